// How values are written.

import type { Value } from "./api";
import { count, duration, fold, plain } from "../../../../web/map/src/words";

export { count, duration, fold, plain };

export function name(card: { title?: string | null; artist?: string | null }): string {
  const title = plain(card.title ?? "") || "Without a title";
  const artist = plain(card.artist ?? "");
  return artist === "" ? title : `${title} – ${artist}`;
}

const UNITS = ["bytes", "kB", "MB", "GB", "TB"];

export function size(bytes: number): string {
  let unit = 0;
  let value = bytes;
  while (value >= 1000 && unit < UNITS.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${value >= 100 || unit === 0 ? Math.round(value) : Number(value.toPrecision(3))} ${UNITS[unit]}`;
}

/** Short lengths with a decimal, because samples last less than a second. */
export function length(seconds: number): string {
  return seconds < 10 ? `${Number(seconds.toFixed(seconds < 1 ? 2 : 1))} s` : duration(seconds);
}

/** Days, hours and minutes. */
export function span(seconds: number): string {
  const minutes = Math.round(seconds / 60);
  if (minutes < 1) return `${Math.round(seconds)} s`;
  if (minutes < 120) return `${minutes} min`;
  const hours = Math.round(minutes / 60);
  return hours < 72 ? `${hours} h` : `${Math.round(hours / 24).toLocaleString("en")} days`;
}

export function number(value: number): string {
  return value.toLocaleString("en");
}

export function percent(share: number): string {
  return `${Math.round(100 * share)} %`;
}

export function bpm(value: number | undefined | null): string {
  return value === undefined || value === null ? "" : String(Math.round(value));
}

/** “3 hours ago”; the exact time belongs into a title. */
export function ago(time: string | null | undefined, now = Date.now()): string {
  if (!time) return "at an unknown time";
  const seconds = (now - Date.parse(time)) / 1000;
  if (!Number.isFinite(seconds)) return plain(time);
  if (seconds < 45) return "just now";
  const steps: [number, string][] = [[60, "minute"], [60, "hour"], [24, "day"], [30.4, "month"], [12, "year"]];
  let value = seconds;
  let unit = "second";
  for (const [size, name] of steps) {
    if (Math.round(value) < size) break;
    value /= size;
    unit = name;
  }
  return `${count(Math.round(value), unit)} ago`;
}

export function when(time: string | null | undefined): string {
  const at = time ? new Date(time) : null;
  return at && Number.isFinite(at.getTime())
    ? at.toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "short" })
    : "";
}

/** A value of a field, as text that can be edited. */
export function text(value: Value | undefined): string {
  if (value === null || value === undefined) return "";
  if (Array.isArray(value)) return value.join(", ");
  if (typeof value === "boolean") return value ? "yes" : "no";
  return typeof value === "string" ? plain(value) : String(value);
}

/** A value of the filter grammar; commas and quotes are for the grammar. */
function quoted(value: string): string {
  return /^[\p{L}\p{N}#&.+_'/-]+( [\p{L}\p{N}#&.+_'/-]+)*$/u.test(value) ? value : `"${value.replaceAll('"', "")}"`;
}

export function filter(key: string, value: string): string {
  return `${key}:${quoted(value)}`;
}

/** The file's name, of a path of any system. */
export function fileName(path: string | undefined): string {
  return plain(path ?? "").split(/[\\/]/).pop() ?? "";
}

const TONICS = ["C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B"];

/** The place of a key on the Camelot wheel, such as `8A` for A minor. */
export function camelot(key: string | undefined | null): string {
  const match = /^([A-G][#b]?)(m?)$/.exec(key ?? "");
  if (!match) return "";
  const tonic = TONICS.indexOf(match[1]);
  if (tonic < 0) return "";
  const major = match[2] === "" ? tonic : (tonic + 3) % 12;
  const fifths = (major * 7) % 12;
  return `${((fifths + 7) % 12) + 1}${match[2] === "" ? "B" : "A"}`;
}

/** The key at a place of the wheel, 1 to 12. */
export function atCamelot(place: number, minor: boolean): string {
  const major = (((place - 8 + 12) % 12) * 7) % 12;
  return minor ? `${TONICS[(major + 9) % 12]}m` : TONICS[major];
}

export function spoken(key: string): string {
  return key.endsWith("m") ? `${key.slice(0, -1)} minor` : `${key} major`;
}
