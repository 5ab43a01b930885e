// What the page is given: one JSON object, described in `../README.md`. It is
// checked here, once; everything else may rely on it.

/** Stands in `neighbors.ids` where a song has fewer neighbours than `k`. */
export const NONE = 0xffffffff;

type Text = (string | null)[];
type Numbers = (number | null)[];

export interface Songs {
  id: string[];
  title: Text;
  artist: Text;
  album: Text;
  genre: Text;
  key: Text;
  /** Beats a minute. */
  bpm: Numbers;
  /** Seconds. */
  duration: Numbers;
  cluster: Numbers;
  anomaly: Numbers;
  path: Text;
  /** Where the audio can be played from, if anywhere. */
  href: Text;
}

export interface MapData {
  library: string;
  model: string;
  method: string;
  dims: 2 | 3;
  seed: number | null;
  made: string;
  count: number;
  trustworthiness: number | null;
  /** `count * dims` values, song by song. */
  coordinates: Float32Array;
  /** `count * k` song numbers, the nearest first, or null if none were given. */
  neighbors: { k: number; ids: Uint32Array } | null;
  songs: Songs;
  clusters: Map<number, string>;
  color: string;
}

/** Says what is wrong with the data, in a sentence for the reader of the page. */
export class BadData extends Error {}

type Json = Record<string, unknown>;

/** Reads the JSON text of the page. Throws `BadData`. */
export function parse(text: string): MapData {
  let json: Json;
  try {
    json = JSON.parse(text) as Json;
  } catch {
    throw new BadData("This page holds no map. Make one with “songrec map -o map.html”.");
  }
  if (json === null || typeof json !== "object") throw new BadData("The map is not an object.");
  if (json.version !== 1) {
    throw new BadData(`This page reads maps of version 1, and was given version ${json.version}.`);
  }
  const dims = json.dims;
  if (dims !== 2 && dims !== 3) throw new BadData("A map has 2 or 3 dimensions.");
  const count = Number(json.count);
  if (!Number.isInteger(count) || count < 0) throw new BadData("The number of songs is missing.");

  const coordinates = new Float32Array(bytes(json.coordinates, 4 * count * dims, "coordinates"));
  return {
    library: string(json.library),
    model: string(json.model),
    method: string(json.method),
    dims,
    seed: number(json.seed),
    made: string(json.made),
    count,
    trustworthiness: number(json.trustworthiness),
    coordinates,
    neighbors: neighbors(json.neighbors as Json | undefined | null, count),
    songs: songs((json.songs ?? {}) as Json, count),
    clusters: clusters(json.clusters),
    color: string(json.color),
  };
}

function neighbors(json: Json | undefined | null, count: number): MapData["neighbors"] {
  if (!json) return null;
  const k = Number(json.k);
  if (!Number.isInteger(k) || k < 1) return null;
  const ids = new Uint32Array(bytes(json.ids, 4 * count * k, "neighbours"));
  if (ids.some((id) => id >= count && id !== NONE)) {
    throw new BadData("A neighbour is not a song of this map.");
  }
  return { k, ids };
}

function songs(json: Json, count: number): Songs {
  const column = (name: string, required = false): unknown[] => {
    const values = json[name];
    // A column that is left out is unknown for every song.
    if (values === undefined && !required) return new Array(count).fill(null);
    if (!Array.isArray(values) || values.length !== count) {
      throw new BadData(`The column “${name}” does not have one value for each song.`);
    }
    return values;
  };
  const text = (name: string) =>
    column(name).map((value) => (typeof value === "string" && value !== "" ? value : null));
  const numbers = (name: string) => column(name).map(number);
  return {
    id: column("id", true).map(string),
    title: text("title"),
    artist: text("artist"),
    album: text("album"),
    genre: text("genre"),
    key: text("key"),
    bpm: numbers("bpm"),
    duration: numbers("duration"),
    cluster: numbers("cluster"),
    anomaly: numbers("anomaly"),
    path: text("path"),
    href: text("href"),
  };
}

function clusters(json: unknown): Map<number, string> {
  const names = new Map<number, string>();
  if (!Array.isArray(json)) return names;
  for (const cluster of json as Json[]) {
    const id = number(cluster?.id);
    if (id !== null && string(cluster.name) !== "") names.set(id, string(cluster.name));
  }
  return names;
}

function string(value: unknown): string {
  return typeof value === "string" ? value : "";
}

function number(value: unknown): number | null {
  return typeof value === "number" && Number.isFinite(value) ? value : null;
}

function bytes(base64: unknown, length: number, what: string): ArrayBuffer {
  let binary: string;
  try {
    binary = atob(string(base64));
  } catch {
    throw new BadData(`The ${what} are not base64.`);
  }
  if (binary.length !== length) {
    throw new BadData(`The ${what} have ${binary.length} bytes; ${length} were expected.`);
  }
  const out = new Uint8Array(length);
  for (let i = 0; i < length; i++) out[i] = binary.charCodeAt(i);
  return out.buffer;
}
