// By what songs are coloured: each scheme puts every song into one class, and
// the legend lists the classes.

import type { MapData } from "./data";
import { type Rgb, SHAPES, COLORS, type Theme, circleColor, classColor, grey, rampColor } from "./palette";
import { plain } from "./words";

export type SchemeName = "genre" | "cluster" | "key" | "bpm" | "anomaly";

export const SCHEMES: { name: SchemeName; title: string }[] = [
  { name: "genre", title: "Genre" },
  { name: "cluster", title: "Cluster" },
  { name: "key", title: "Key" },
  { name: "bpm", title: "BPM" },
  { name: "anomaly", title: "Anomaly" },
];

export interface Class {
  /** Names the class in the address of a view. */
  id: string;
  label: string;
  count: number;
  shape: number;
  color(theme: Theme): Rgb;
  /** What has no value; it is grey and comes last. */
  none: boolean;
}

export interface Scheme {
  name: SchemeName;
  classes: Class[];
  /** The class of each song. */
  of: Uint32Array;
  /** Where each song is in the range of a number, 0..1; null for names. */
  level: Float32Array | null;
}

export function scheme(data: MapData, name: SchemeName): Scheme {
  const songs = data.songs;
  switch (name) {
    case "genre":
      return named(name, songs.genre.map((genre) => genre?.trim() || null), (id) => id, "No genre");
    case "cluster":
      return named(
        name,
        songs.cluster.map((id) => (id === null ? null : String(id))),
        (id) => clusterName(data, Number(id)),
        "In no cluster",
      );
    case "key":
      return keys(songs.key);
    case "bpm":
      return numbered(name, songs.bpm, "No tempo");
    case "anomaly":
      return numbered(name, songs.anomaly, "No score");
  }
}

/** The schemes for which any song has a value. */
export function usable(data: MapData): SchemeName[] {
  return SCHEMES.map(({ name }) => name).filter((name) =>
    data.songs[name].some((value) => value !== null),
  );
}

export function clusterName(data: MapData, id: number): string {
  return data.clusters.get(id) ?? `Cluster ${id}`;
}

function noClass(label: string): Class {
  return { id: "", label, count: 0, shape: 0, color: grey, none: true };
}

// The largest class first, so that the classes most seen have the colours that
// differ most; after the last colour the shape changes.
function named(
  name: SchemeName,
  values: (string | null)[],
  label: (id: string) => string,
  none: string,
): Scheme {
  const counts = new Map<string, number>();
  for (const value of values) if (value !== null) counts.set(value, (counts.get(value) ?? 0) + 1);
  const ids = [...counts.keys()].sort(
    (a, b) => counts.get(b)! - counts.get(a)! || (a < b ? -1 : 1),
  );
  const classes: Class[] = ids.map((id, rank) => ({
    id,
    label: plain(label(id)),
    count: counts.get(id)!,
    shape: Math.floor(rank / COLORS) % SHAPES,
    color: (theme) => classColor(theme, rank),
    none: false,
  }));
  return assign(name, classes, values, none);
}

const TONICS = ["C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B"];

// Round the circle of fifths, each major key before its relative minor; major
// keys are circles and minor ones diamonds of the same colour.
function keys(values: (string | null)[]): Scheme {
  const classes: Class[] = [];
  const known = new Set<string>();
  for (let step = 0; step < 12; step++) {
    const major = (step * 7) % 12;
    for (const [key, shape] of [[TONICS[major], 0], [`${TONICS[(major + 9) % 12]}m`, 2]] as const) {
      known.add(key);
      classes.push({
        id: key,
        label: `${plain(key).replace("m", " minor")}${shape === 0 ? " major" : ""}`,
        count: 0,
        shape,
        color: (theme) => circleColor(theme, step / 12),
        none: false,
      });
    }
  }
  const read = values.map((key) => (key !== null && known.has(key) ? key : null));
  return assign("key", classes, read, "No key");
}

function assign(name: SchemeName, all: Class[], values: (string | null)[], none: string): Scheme {
  const count = new Map<string, number>();
  for (const value of values) if (value !== null) count.set(value, (count.get(value) ?? 0) + 1);
  const classes = all.filter((one) => count.has(one.id));
  const index = new Map(classes.map((one, i) => [one.id, i]));
  for (const one of classes) one.count = count.get(one.id)!;
  const last = noClass(none);
  const of = Uint32Array.from(values, (value) => {
    if (value !== null) return index.get(value)!;
    last.count++;
    return classes.length;
  });
  if (last.count > 0) classes.push(last);
  return { name, classes, of, level: null };
}

// A colour for the value, and a class for each of some eight equal steps. The
// ends of the ramp are the 1st and the 99th percentile, so that one strange
// value does not make all others the same colour.
function numbered(name: SchemeName, values: (number | null)[], none: string): Scheme {
  const sorted = Float64Array.from(values.filter((value) => value !== null)).sort();
  const at = (share: number) => sorted[Math.round(share * (sorted.length - 1))] ?? 0;
  const low = at(0.01);
  const high = at(0.99);
  const span = high - low || 1;
  const step = nice(span / 8);
  const first = Math.floor(low / step);
  const steps = Math.max(Math.ceil(high / step) - first, 1);
  const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  const edge = (i: number) => ((first + i) * step).toFixed(digits);
  const below = sorted.length > 0 && sorted[0] < first * step;
  const above = sorted.length > 0 && sorted[sorted.length - 1] >= (first + steps) * step;

  const classes: Class[] = Array.from({ length: steps }, (_, i) => {
    const middle = ((first + i + 0.5) * step - low) / span;
    let label = `${edge(i)} to ${edge(i + 1)}`;
    if (i === steps - 1 && above) label = `${edge(i)} and more`;
    if (i === 0 && below) label = `below ${edge(1)}`;
    if (steps === 1) label = "all values";
    return {
      id: edge(i),
      label,
      count: 0,
      shape: 0,
      color: (theme) => rampColor(theme, middle),
      none: false,
    };
  });
  const last = noClass(none);
  const of = Uint32Array.from(values, (value) => {
    const i =
      value === null
        ? steps
        : Math.min(Math.max(Math.floor(value / step) - first, 0), steps - 1);
    (classes[i] ?? last).count++;
    return i;
  });
  if (last.count > 0) classes.push(last);
  const level = Float32Array.from(values, (value) => (value === null ? NaN : (value - low) / span));
  return { name, classes, of, level };
}

// The least of 1, 2 and 5 times a power of ten that is not below `step`.
function nice(step: number): number {
  const power = 10 ** Math.floor(Math.log10(step));
  const factor = [1, 2, 5, 10].find((factor) => factor * power >= step * (1 - 1e-9)) ?? 10;
  return factor * power;
}
