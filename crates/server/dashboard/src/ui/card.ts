// A song as lists show it.

import type { Card, Song } from "../api";
import { fileName, text } from "../words";

export function cardOf(song: Song): Card {
  const value = (name: string) => song.values[name]?.value ?? undefined;
  const genre = value("genre");
  return {
    id: song.id,
    title: text(value("title")) || fileName(song.files?.[0]?.path) || "Without a title",
    artist: value("artist") as string | undefined,
    album: value("album") as string | undefined,
    genres: Array.isArray(genre) ? genre : genre === undefined ? [] : [String(genre)],
    bpm: value("bpm") as number | undefined,
    key: value("key") as Card["key"],
    duration: song.audio.duration,
    size: song.files?.[0]?.size ?? song.blob?.size ?? 0,
  };
}
