// How names and numbers are written. Everything that comes from tags passes
// through `plain` before it is shown.

import type { MapData } from "./data";

// Control characters, and marks that turn the direction of what follows.
const UNSEEN = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]+/g;

export function plain(text: string): string {
  return text.replace(UNSEEN, " ").trim();
}

/** The title, or the file's name where there is none. */
export function title(data: MapData, song: number): string {
  const title = plain(data.songs.title[song] ?? "");
  if (title !== "") return title;
  const file = plain(data.songs.path[song] ?? "").split(/[\\/]/).pop();
  return file ? file : "Without a title";
}

export function artist(data: MapData, song: number): string {
  return plain(data.songs.artist[song] ?? "");
}

/** “Title – Artist”, or the title alone. */
export function name(data: MapData, song: number): string {
  const by = artist(data, song);
  return by === "" ? title(data, song) : `${title(data, song)} – ${by}`;
}

export function count(n: number, one: string, many = `${one}s`): string {
  return `${n.toLocaleString("en")} ${n === 1 ? one : many}`;
}

export function bpm(value: number | null): string {
  return value === null ? "" : String(Math.round(value * 10) / 10);
}

export function anomaly(value: number | null): string {
  return value === null ? "" : String(Number(value.toPrecision(3)));
}

export function duration(seconds: number | null): string {
  if (seconds === null) return "";
  const whole = Math.round(seconds);
  const minutes = Math.floor(whole / 60);
  const pad = (n: number) => String(n).padStart(2, "0");
  return minutes < 60
    ? `${minutes}:${pad(whole % 60)}`
    : `${Math.floor(minutes / 60)}:${pad(minutes % 60)}:${pad(whole % 60)}`;
}

/** Lower case without accents, for comparing. */
export function fold(text: string): string {
  return text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();
}
