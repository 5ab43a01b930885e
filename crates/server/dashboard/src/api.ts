// How the server is asked, and what it answers: the types of its documents come
// from its `openapi.json`.

import type { Schema } from "./schema";

export type Card = Schema["card"];
export type Value = Schema["field_value"];
export type Said = Schema["said"];
export type Features = Schema["features"];
/** A song as it is shown, which is not its history. */
export type Song = Extract<Schema["show"], { values: unknown }>;
export type History = Schema["song-history"];
export type Write = History["writes"][number];
export type Explanation = Schema["explanation"];
export type Neighbor = Schema["neighbour"];
export type Similar = Schema["similar"];
export type Counts = Record<string, number>;
export type Stats = Schema["stats"];
export type Clustering = Schema["clustering"];
export type Cluster = Clustering["clusters"][number];
export type ClusterShown = Schema["cluster-show"];
export type Anomalies = Schema["anomalies"];
export type Same = Extract<Schema["duplicates"], { duplicates: unknown }>["duplicates"][number];
export type Alike = Extract<Schema["duplicates"], { groups: unknown }>["groups"][number];
export type Duplicate = Same | Alike;
export type Model = Schema["model"];
export type Machine = Schema["machine"];
export type Work = Schema["counts"];
export type Plan = Schema["plan"];
export type Conflicts = Schema["conflicts"];
export type Deleted = Schema["trash"];
export type Remote = Schema["remotes"]["remotes"][number];
export type Job = Schema["job"];
export type Playlist = Schema["playlist"];
export type PlaylistShown = Schema["playlist-of-songs"];
export type Entry = PlaylistShown["entries"][number];
export type Radio = Schema["radio"];
export type Way = Schema["way"];
export type Imported = Schema["playlist-import"];
export type Session = Schema["session"];
export type Waveform = Schema["waveform"];
export type Finding = Schema["doctor"];
export type MapPart = Schema["map-song-list"]["songs"][number];

export interface Page<T> {
  rows: T[];
  total: number;
}

/** An answer that is no success, with what the server says to do about it. */
export class Problem extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    readonly title: string,
    detail: string,
    readonly tip?: string,
    /** The song that is meant, where the server names one. */
    readonly song?: string,
  ) {
    super(detail);
  }
}

const BASE = "/api/v1/";

/** Listens for answers that ask for a token. */
export const unauthorized = new EventTarget();

type Params = Record<string, string | number | boolean | string[] | null | undefined>;

function url(path: string, query: Params = {}): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (Array.isArray(value)) for (const one of value) search.append(name, one);
    else if (value !== null && value !== undefined && value !== "") search.set(name, String(value));
  }
  const text = search.toString();
  return `${BASE}${path}${text === "" ? "" : `?${text}`}`;
}

/** A path whose parts may hold anything. */
export function path(...parts: (string | number)[]): string {
  return parts.map((part) => encodeURIComponent(part)).join("/");
}

async function ask(address: string, init: RequestInit = {}): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(address, { credentials: "same-origin", ...init });
  } catch (error) {
    if (init.signal?.aborted) throw error;
    throw new Problem(
      0, "unreachable", "The server does not answer",
      "The connection to songrec failed.",
      "Check that “songrec serve” still runs, then try again.",
    );
  }
  if (response.ok) return response;
  const problem = await told(response);
  if (response.status === 401) unauthorized.dispatchEvent(new Event("401"));
  throw problem;
}

async function told(response: Response): Promise<Problem> {
  let body: Partial<Schema["known-song"]> = {};
  try {
    body = (await response.json()) as typeof body;
  } catch {
    // A proxy or a crash answers otherwise; the status has to do.
  }
  return new Problem(
    response.status,
    body.code ?? `http_${response.status}`,
    body.title ?? `The server answered ${response.status}`,
    body.detail ?? response.statusText,
    body.tip,
    body.id,
  );
}

export async function get<T>(path: string, query: Params = {}, signal?: AbortSignal): Promise<T> {
  const response = await ask(url(path, query), { signal, headers: { accept: "application/json" } });
  return (await response.json()) as T;
}

export async function bytes(path: string, query: Params, signal?: AbortSignal): Promise<ArrayBuffer> {
  return (await ask(url(path, query), { signal })).arrayBuffer();
}

export async function send<T>(
  method: "POST" | "PATCH" | "DELETE",
  path: string,
  body: unknown = {},
  signal?: AbortSignal,
  more: Record<string, string> = {},
): Promise<T> {
  const form = body instanceof FormData;
  const response = await ask(url(path), {
    method,
    signal,
    headers: form ? more : { "content-type": "application/json", ...more },
    body: form ? body : JSON.stringify(body),
  });
  const text = await response.text();
  return (text === "" ? undefined : JSON.parse(text)) as T;
}

/** The rows of a list, which its document holds under a name. */
export function rows<T>(answer: unknown, name: string): Page<T> {
  const object = (answer ?? {}) as Record<string, unknown>;
  const list = Array.isArray(object[name]) ? (object[name] as T[]) : [];
  return { rows: list, total: typeof object.total === "number" ? object.total : list.length };
}

async function list<T>(
  path: string,
  name: string,
  query: Params = {},
  signal?: AbortSignal,
): Promise<Page<T>> {
  return rows<T>(await get<unknown>(path, query, signal), name);
}

interface Listing {
  q?: string;
  filter?: string[];
  sort?: string;
  desc?: boolean;
  limit: number;
  offset: number;
}

export interface Comparing {
  k?: number;
  model?: string;
  filter?: string[];
  explain?: boolean;
  all_copies?: boolean;
  exclude?: string[];
}

interface Question extends Comparing {
  like?: { song: string; weight?: number }[];
  unlike?: { song: string; weight?: number }[];
  text?: string;
}

/** What a radio is asked for; without a length and minutes it has 25 songs. */
export interface RadioQuestion {
  like: string[];
  length?: number;
  minutes?: number;
  variety: number;
  seed: number;
  spacing: { artist: number; album: number };
  filter: string[];
  model?: string;
}

export interface WayQuestion {
  a: string;
  b: string;
  length?: number;
  mix?: boolean;
  filter: string[];
  model?: string;
}

/** A rule as it is sent; the server adds the titles. */
export interface RuleQuestion {
  filter: string[];
  like: string[];
  length?: number;
}

export interface ImportQuestion {
  name?: string;
  relative_to?: string;
  map: string[];
  dry_run: boolean;
}

export interface FilterValues {
  [key: string]: { value: string; count: number }[];
}

interface PackedHeader {
  count: number;
  dims: number;
  classes: { name: string | null; color?: string | null; count?: number }[];
  seed?: number | null;
  model?: string;
  method?: string;
  made_at?: string;
  trustworthiness?: number | null;
}

export interface Packed {
  header: PackedHeader;
  /** One column for each dimension. */
  columns: Float32Array[];
  classes: Uint16Array;
}

export const api = {
  session: () => get<Session>("session"),
  signIn: (token: string) => send<void>("POST", "session", { token }),

  songs: (listing: Listing, signal?: AbortSignal) =>
    list<Card>("songs", "songs", { ...listing, desc: listing.desc || null }, signal),
  song: (id: string, signal?: AbortSignal) => get<Song>(path("songs", id), {}, signal),
  edit: (id: string, change: { set?: Record<string, Value>; unset?: string[] }) =>
    send<Song>("PATCH", path("songs", id), { set: change.set ?? {}, unset: change.unset ?? [] }),
  remove: (id: string) => send<unknown>("DELETE", path("songs", id)),
  upload(file: File) {
    const form = new FormData();
    form.append("file", file, file.name);
    return send<Schema["scan-item"]>("POST", "songs", form);
  },
  audio: (id: string) => url(`${path("songs", id)}/audio`),
  artwork: (id: string) => url(`${path("songs", id)}/artwork`),
  waveform: (id: string, query: { points: number; from?: number; to?: number }, signal?: AbortSignal) =>
    get<Waveform>(`${path("songs", id)}/waveform`, query, signal),
  spectrogram: (id: string, width: number, height: number) =>
    url(`${path("songs", id)}/spectrogram`, { width, height }),
  history: (id: string, signal?: AbortSignal) =>
    get<History>(`${path("songs", id)}/history`, {}, signal),
  similar: (id: string, query: Comparing, signal?: AbortSignal) =>
    get<Similar>(`${path("songs", id)}/similar`, { ...query }, signal),
  ask: (question: Question, signal?: AbortSignal) =>
    send<Similar>("POST", "similar", question, signal),
  askFile(file: Blob, name: string, query: Comparing & { from?: number; to?: number }, signal?: AbortSignal) {
    const form = new FormData();
    for (const [key, value] of Object.entries(query)) {
      if (Array.isArray(value)) for (const one of value) form.append(key, one);
      else if (value !== undefined) form.append(key, String(value));
    }
    // The fields first, so that a server may read the file as a stream.
    form.append("file", file, name);
    return send<Similar>("POST", "similar", form, signal);
  },
  explain: (a: string, b: string) =>
    send<Schema["explain"]>("POST", "explain", { a, b }),

  async filters(signal?: AbortSignal): Promise<FilterValues> {
    const [keys, lists] = await Promise.all([get<Schema["filters"]>("filters", {}, signal), api.playlists(signal)]);
    const values = filterValues(keys);
    // A version that a sync kept has the name of another one; punctuation does not count.
    const named = lists.playlists.filter((list) => !list.beside);
    const playlist = named.map((list) => ({ value: list.name.replaceAll('"', ""), count: list.songs ?? 0 }));
    return playlist.length > 0 ? { ...values, playlist } : values;
  },
  stats: (signal?: AbortSignal) => get<Stats>("stats", {}, signal),
  duplicates: (near: number | null, signal?: AbortSignal) =>
    list<Duplicate>("duplicates", near === null ? "duplicates" : "groups", { near, limit: 200 }, signal),
  models: (signal?: AbortSignal) => list<Model>("models", "models", {}, signal),
  doctor: (signal?: AbortSignal) => list<Finding>("doctor", "checks", {}, signal),
  clusters: (signal?: AbortSignal) => get<Clustering>("clusters", {}, signal),
  cluster: (name: string | number, signal?: AbortSignal) =>
    get<ClusterShown>(path("clusters", name), {}, signal),
  renameCluster: (name: string | number, to: string) =>
    send<unknown>("PATCH", path("clusters", name), { name: to }),
  removeClusters: () => send<unknown>("DELETE", "clusters"),
  playlists: (signal?: AbortSignal) => get<Schema["playlist-list"]>("playlists", {}, signal),
  playlist: (id: string, limit: number, signal?: AbortSignal) =>
    get<PlaylistShown>(path("playlists", id), { limit }, signal),
  newPlaylist: (name: string, songs: string[]) => send<Playlist>("POST", "playlists", { name, songs }),
  newSmartPlaylist: (name: string, rule: RuleQuestion) => send<Playlist>("POST", "playlists", { name, rule }),
  /** With a version, only that one is changed. */
  changePlaylist: (
    id: string,
    change: { name?: string; rule?: RuleQuestion; move?: { entries: string[]; to: number } },
    version?: string,
  ) =>
    send<Playlist>("PATCH", path("playlists", id), change, undefined, version ? { "if-match": `"${version}"` } : {}),
  deletePlaylist: (id: string) => send<unknown>("DELETE", path("playlists", id)),
  addToPlaylist: (id: string, songs: string[], at?: number) =>
    send<Playlist>("POST", `${path("playlists", id)}/songs`, { songs, at }),
  removeFromPlaylist: (id: string, entries: string[]) =>
    send<Playlist>("DELETE", `${path("playlists", id)}/songs?${new URLSearchParams(entries.map((key) => ["entry", key]))}`),
  playlistFile: (id: string, format: string) => url(`${path("playlists", id)}/export`, { format }),

  radio: (question: RadioQuestion, signal?: AbortSignal) => send<Radio>("POST", "radio", question, signal),
  way: (question: WayQuestion, signal?: AbortSignal) =>
    get<Way>("path", { ...question, mix: question.mix || null }, signal),
  importPlaylist(file: File, question: ImportQuestion, signal?: AbortSignal) {
    const form = new FormData();
    for (const [key, value] of Object.entries(question)) {
      if (Array.isArray(value)) for (const one of value) form.append(key, one);
      else if (value !== undefined && value !== "") form.append(key, String(value));
    }
    form.append("file", file, file.name);
    return send<Imported>("POST", "import/playlist", form, signal);
  },

  anomalies: (query: { method?: string; contamination?: number; limit?: number }, signal?: AbortSignal) =>
    get<Anomalies>("anomalies", query, signal),

  machines: (signal?: AbortSignal) => list<Machine>("machines", "machines", {}, signal),
  remotes: (signal?: AbortSignal) => list<Remote>("remotes", "remotes", {}, signal),
  plan: (remote: string, signal?: AbortSignal) =>
    send<Plan>("POST", "sync/plan", { with: remote }, signal),
  conflicts: (signal?: AbortSignal) => list<Conflicts>("conflicts", "songs", {}, signal),
  /** Decides for what is shown, or for another value by its number, from 1. */
  resolve: (song: string, field: string, choose?: number) =>
    send<unknown>("POST", `${path("conflicts", song)}/resolve`, { field, choose }),
  trash: (signal?: AbortSignal) => list<Deleted>("trash", "songs", {}, signal),
  restore: (songs: string[]) => send<{ restored: string[] }>("POST", "trash/restore", { songs }),

  jobs: (signal?: AbortSignal) => list<Job>("jobs", "jobs", {}, signal),
  job: (id: string) => get<Job>(path("jobs", id)),
  start: (kind: string, options: Record<string, unknown> = {}) =>
    send<Job>("POST", `jobs/${kind}`, options),
  cancel: (id: string) => send<unknown>("DELETE", path("jobs", id)),
  events: (id: string) => new EventSource(url(`${path("jobs", id)}/events`)),

  async map(
    query: { method: string; dims: number; model?: string; color: string },
    signal?: AbortSignal,
  ): Promise<Packed> {
    return unpack(await bytes("map", { ...query, format: "packed" }, signal));
  },
  /** The same without the places, which do not depend on the colour. */
  async mapClasses(
    query: { method: string; dims: number; model?: string; color: string },
    signal?: AbortSignal,
  ): Promise<Packed> {
    return unpack(await bytes("map", { ...query, format: "classes" }, signal), false);
  },
  mapSongs: (
    query: { offset: number; limit: number; method: string; dims: number; model?: string },
    signal?: AbortSignal,
  ) => list<MapPart>("map/songs", "songs", query, signal),
};

/** Reads the packed map: a line of JSON, columns of float32 if there are places, a column of uint16. */
function unpack(buffer: ArrayBuffer, places = true): Packed {
  const all = new Uint8Array(buffer);
  const end = all.indexOf(10);
  if (end < 0) throw wrongMap("it has no header");
  const header = JSON.parse(new TextDecoder().decode(all.subarray(0, end))) as PackedHeader;
  const { count, dims } = header;
  if (!(Number.isInteger(count) && count >= 0 && (dims === 2 || dims === 3))) {
    throw wrongMap(`its header says ${count} songs in ${dims} dimensions`);
  }
  const axes = places ? dims : 0;
  const expected = end + 1 + count * (4 * axes + 2);
  if (buffer.byteLength !== expected) {
    throw wrongMap(`it has ${buffer.byteLength} bytes, and ${expected} were expected`);
  }
  // Copied, because typed arrays begin at multiples of their size only.
  const at = (offset: number, length: number) => buffer.slice(end + 1 + offset, end + 1 + offset + length);
  const columns = Array.from({ length: axes }, (_, i) => new Float32Array(at(4 * count * i, 4 * count)));
  return { header, columns, classes: new Uint16Array(at(4 * count * axes, 2 * count)) };
}

function wrongMap(why: string): Problem {
  return new Problem(0, "bad_map", "The map cannot be read", `The map cannot be read: ${why}.`,
    "Reload the page; if it stays so, the server is of another version.");
}

/** The values that songs have for each key, the commonest first. */
function filterValues({ keys }: Schema["filters"]): FilterValues {
  return Object.fromEntries(keys.flatMap(({ key, values }) => (values && values.length > 0 ? [[key, values]] : [])));
}
