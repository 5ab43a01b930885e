// Songs leave the page: as ids, as a playlist, as a table.

import { announce, byId } from "./element";
import type { MapData } from "./data";
import { clusterName } from "./scheme";
import { plain } from "./words";

/** An extended M3U playlist in UTF-8, and how many songs it had to leave out. */
export function m3u8(data: MapData, songs: number[]): { text: string; left: number } {
  const lines = ["#EXTM3U"];
  let left = 0;
  for (const song of songs) {
    const path = data.songs.path[song];
    // A line break cannot be written into a playlist.
    if (path === null || /[\r\n]/.test(path)) {
      left++;
      continue;
    }
    const seconds = data.songs.duration[song];
    const names = [data.songs.artist[song], data.songs.title[song]].map((name) => plain(name ?? ""));
    const label = names.filter((name) => name !== "").join(" - ");
    lines.push(`#EXTINF:${seconds === null ? -1 : Math.round(seconds)},${label}`);
    // Players take a line that begins with “#” for a comment.
    lines.push(path.startsWith("#") ? `./${path}` : path);
  }
  return { text: `${lines.join("\n")}\n`, left };
}

const COLUMNS = [
  "id", "title", "artist", "album", "genre", "key", "bpm", "duration", "cluster", "anomaly", "path",
] as const;

/** A table by RFC 4180, with the names of the columns first. */
export function csv(data: MapData, songs: number[]): string {
  const rows = songs.map((song) =>
    COLUMNS.map((column) => {
      const value = data.songs[column][song];
      if (column === "cluster" && value !== null) return field(clusterName(data, Number(value)));
      return typeof value === "number" ? String(value) : field(value ?? "");
    }).join(","),
  );
  return `${[COLUMNS.join(","), ...rows].join("\r\n")}\r\n`;
}

// Spreadsheets run what begins with one of these; an apostrophe makes it text.
function field(text: string): string {
  const safe = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

export function download(name: string, type: string, text: string): void {
  const address = URL.createObjectURL(new Blob([text], { type: `${type};charset=utf-8` }));
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  link.click();
  // The browser reads it after the click.
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}

/** Puts text on the clipboard and says so. */
export async function copy(text: string, done: string): Promise<void> {
  let copied = true;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Browsers without the clipboard for pages that are files.
    const area = document.createElement("textarea");
    area.value = text;
    document.body.append(area);
    area.select();
    copied = document.execCommand("copy");
    area.remove();
  }
  const message = copied ? done : "The browser does not let this page copy";
  byId("message").textContent = `${message}.`;
  announce(message);
}

/** The library's name as the name of a file. */
export function fileName(data: MapData, end: string): string {
  const name = plain(data.library).replace(/[^\p{L}\p{N} ._-]+/gu, "_").slice(0, 60);
  return `${name.replace(/^\.+/, "") || "library"}-selection.${end}`;
}
