// A server that answers as `songrec serve` does, with made-up songs:
// `node test/mock.mjs [SONGS] [PORT]`, and with `READ_ONLY=1` or `TOKEN=…` so.
// The same number of songs is the same library. Tests use it, and whoever
// changes the pages.

import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { deflateSync } from "node:zlib";
import { imported, playlists, radio, way } from "./mock-lists.mjs";
import { fold, idOf, missing, numberOf, problem } from "./mock-words.mjs";

export { idOf };

const DIST = fileURLToPath(new URL("../dist", import.meta.url));
const TYPES = { ".html": "text/html; charset=utf-8", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".woff2": "font/woff2", ".txt": "text/plain; charset=utf-8" };
// As the server sends it: nothing inline, and nothing of others.
const POLICY = "default-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; style-src 'self'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'";

const GENRES = ["Techno", "House", "Ambient", "Jazz", "Hip-Hop", "Drum & Bass", "Rock", "Folk", "Dub", "Classical", "Soul", "Funk", "Disco", "Trance", "Metal", "Pop"];
const FIRST = ["Quiet", "Northern", "Glass", "Second", "Slow", "Blue", "Paper", "Late", "Hollow", "Été", "Copper", "Distant", "Small", "Velvet", "Open", "Salt"];
const LAST = ["Harbour", "Signal", "Orchard", "Machine", "Lantern", "Tide", "Winter", "Room", "Meridian", "Straße", "Garden", "Engine", "Window", "River", "Field", "Echo"];
const MOODS = ["calm", "dark", "bright", "dreamy", "aggressive", "danceable", "dramatic"];
const INSTRUMENTS = ["kick", "snare", "hat", "bass", "synth", "voice", "bell", "pad"];
const KEYS = ["C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B"].flatMap((key) => [key, `${key}m`]);
const CODECS = ["flac", "mp3", "mp3", "aac", "vorbis", "pcm_s16le"];
const GROUPS = [["mfcc", "tone and vocals", "the same kind of tone colour: similar instruments or voices"], ["chroma", "tune and melody", "the same notes are prominent: a similar key or harmony"], ["rhythm", "rhythm", "a similar pulse, about as regular"], ["spectral_contrast", "texture and background", "a similar texture: as dense or as clear from bass to treble"], ["rms", "loudness pattern", "about as loud, with similar swings between loud and soft"], ["zcr", "noise and voice", "about as noisy or as tonal as each other"]];
// What tags can hold, too; each is the title of one of the first songs.
export const HOSTILE = ["<script>window.broken = true</script>", "<img src=x onerror=\"window.broken = true\"><b>bold</b>", "\u202Eright to left\u0000\u0007\nand a second line", `A title without an end ${"and on ".repeat(40)}`, "عنوان باللغة العربية"];

function mulberry(state) {
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

class Library {
  constructor(count) {
    const random = mulberry(7);
    const pick = (list) => list[Math.floor(random() * list.length)];
    const normal = () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
    this.groups = 14;
    this.centers = Array.from({ length: this.groups }, () => [4 * normal(), 4 * normal(), 4 * normal()]);
    this.clusterNames = this.centers.map((_, i) => `${pick(MOODS)} ${GENRES[i % GENRES.length].toLowerCase()}`);
    this.songs = [];
    this.places = new Float32Array(count * 3);
    this.group = new Uint16Array(count);
    for (let i = 0; i < count; i++) {
      const group = Math.floor(this.groups * random() ** 1.6);
      const noise = random() < 0.05;
      this.group[i] = noise ? this.groups : group;
      for (let axis = 0; axis < 3; axis++) this.places[3 * i + axis] = this.centers[group][axis] + (noise ? 3 : 0.5 + 0.06 * group) * normal();
      const artist = `${pick(FIRST)} ${pick(LAST)}`;
      const known = random() > 0.03;
      this.songs.push({
        id: idOf(i),
        title: HOSTILE[i] ?? `${pick(FIRST)} ${pick(LAST)} ${i}`,
        artist,
        album: `${pick(FIRST)} ${pick(LAST)}`,
        genres: known ? [random() < 0.75 ? GENRES[group % GENRES.length] : pick(GENRES)] : undefined,
        year: 1960 + Math.floor(66 * random()),
        bpm: known ? Math.round((80 + 6 * group + 7 * normal()) * 100) / 100 : undefined,
        key: known ? KEYS[Math.floor(24 * random() ** 1.4)] : undefined,
        moods: [pick(MOODS)],
        instrument: random() < 0.2 ? pick(INSTRUMENTS) : undefined,
        loop: random() < 0.3 ? random() < 0.5 : undefined,
        duration: Math.round((random() < 0.1 ? 3 * random() + 0.2 : 180 + 60 * Math.abs(normal())) * 100) / 100,
        path: `/music/${artist}/${String(i).padStart(6, "0")}.flac`,
        codec: pick(CODECS),
        size: Math.round(3e6 + 3e7 * random()),
        models: ["dsp45@1"],
      });
    }
    this.edits = new Map();
    this.playlists = [];
    if (count > 40) {
      this.keep("Late evening", [idOf(20), idOf(3), idOf(12), idOf(22), idOf(1), idOf(24), idOf(25), idOf(26)]);
      this.keep(HOSTILE[1], [idOf(5)]);
      this.keep("Without an end", [], { filter: ["genre:Techno", "bpm:120..140"], like: [{ song: idOf(30), title: this.songs[30].title }], length: 30 });
    }
    this.trash = new Map();
    this.orders = new Map();
    this.conflicts = count > 2 ? [
      { song: idOf(7), title: this.songs[7]?.title ?? "", conflicts: [{ field: "genre", shown: ["Ambient"], other: ["Drone"], set_at: "2026-11-20T18:00:00Z" }] },
      { song: idOf(9), title: this.songs[9]?.title ?? "", conflicts: [{ field: "title", shown: "Late Room", other: "Late Room (live)", set_at: "2026-11-19T08:00:00Z" }] },
    ].filter((one) => one.title) : [];
    if (count > 12) this.trash.set(idOf(12), { song: idOf(12), title: this.songs[12].title, deleted_at: "2026-11-21T10:00:00Z", paths: [this.songs[12].path] });
  }

  keep(name, songs, rule) {
    const list = { id: String(this.playlists.length + 1).padStart(12, "0"), name, rule, entries: songs.map((song) => this.entry(song)), version: "0".repeat(32), created_at: "2026-11-01T09:00:00Z", updated_at: "2026-11-20T09:00:00Z" };
    this.playlists.push(list);
    return list;
  }

  entry(song) {
    this.keys = (this.keys ?? 0) + 1;
    return { key: String(this.keys).padStart(8, "0"), song };
  }

  get(id) {
    const song = this.songs[numberOf(id)];
    return song?.id === id && !this.trash.has(id) ? song : undefined;
  }

  ordered(sort, desc) {
    const key = `${sort} ${desc}`;
    if (!this.orders.has(key)) {
      const list = [...this.songs.keys()];
      const field = { added: "id", id: "id" }[sort] ?? sort;
      const side = desc ? -1 : 1;
      list.sort((a, b) => {
        const [x, y] = [this.songs[a][field], this.songs[b][field]];
        if (x === y) return a - b;
        if (x === undefined) return 1;
        if (y === undefined) return -1;
        return (x < y ? -1 : 1) * side;
      });
      this.orders.set(key, list);
    }
    return this.orders.get(key);
  }

  select({ q, filter, sort = "id", desc }) {
    const tests = [...filter, ...(q ? q.split(/\s+/) : [])].map((term) => this.test(term));
    const plain = tests.length === 0 && this.trash.size === 0;
    const list = this.ordered(sort, desc);
    return plain ? list : list.filter((i) => !this.trash.has(this.songs[i].id) && tests.every((test) => test(this.songs[i], i)));
  }

  test(term) {
    if (term.startsWith("-")) {
      const inner = this.test(term.slice(1));
      return (song, i) => !inner(song, i);
    }
    const [key, ...rest] = term.split(":");
    if (rest.length === 0) {
      const word = fold(key);
      return (song) => [song.title, song.artist, song.album, ...(song.genres ?? []), song.path].some((text) => fold(text).split(/[\s/]+/).some((one) => one.startsWith(word)));
    }
    const value = rest.join(":");
    const values = (value.match(/"[^"]*"|[^,]+/g) ?? []).map((one) => fold(one.replaceAll('"', "")));
    const range = /^([\d.]*)\.\.([\d.]*)$/.exec(value);
    const list = (get) => (song) => (get(song) ?? []).some((one) => value === "*" || values.includes(fold(String(one))));
    switch (key) {
      case "genre": return list((song) => song.genres);
      case "mood": return list((song) => song.moods);
      case "instrument": return list((song) => song.instrument && [song.instrument]);
      case "key": return list((song) => song.key && [song.key]);
      case "loop": return (song) => song.loop === (value === "yes");
      case "artist": case "album": case "title": return (song) => values.some((words) => words.split(" ").every((word) => fold(song[key]).split(" ").some((one) => one.startsWith(word))));
      case "cluster": return (_, i) => this.group[i] < this.groups && values.some((one) => one === String(this.group[i]) || one === fold(this.clusterNames[this.group[i]]));
      case "playlist": return (song) => this.playlists.some((one) => values.includes(fold(one.name)) && one.entries.some((entry) => entry.song === song.id));
      case "bpm": case "year": case "duration": {
        if (!range) throw problem(400, "bad_filter", "The filter cannot be read", `\`${term}\` has no range`, "Write it as bpm:120..130.");
        const [low, high] = [range[1] === "" ? -Infinity : Number(range[1]), range[2] === "" ? Infinity : Number(range[2])];
        return (song) => song[key] >= low && song[key] <= high;
      }
      case "warning": return () => false;
      default: throw problem(400, "bad_filter", "The filter cannot be read", `there is no filter \`${key}\``, "Use genre, artist, title, album, bpm, key, year, duration, loop, mood, instrument or cluster.");
    }
  }

  nearest(places, k, but = -1, keep = () => true) {
    const best = [];
    for (let i = 0; i < this.songs.length; i++) {
      if (i === but || this.trash.has(this.songs[i].id) || !keep(this.songs[i], i)) continue;
      const distance = Math.hypot(...places.map((value, axis) => value - this.places[3 * i + axis]));
      if (best.length === k && distance >= best[k - 1][0]) continue;
      best.push([distance, i]);
      best.sort((a, b) => a[0] - b[0]);
      best.length = Math.min(best.length, k);
    }
    return best.map(([distance, i], at) => {
      const similarity = 1 / (1 + distance / 4);
      return { rank: at + 1, similarity, distance, ...this.songs[i], explanation: this.explain(similarity, i) };
    });
  }

  explain(similarity, seed = 0) {
    const random = mulberry(seed);
    const groups = GROUPS.map(([group, label]) => ({ group, label, cosine: 0.9, score: Math.max(0.05, Math.min(1, similarity + 0.5 * (random() - 0.6))) })).sort((a, b) => b.score - a.score);
    return {
      reasons: groups.slice(0, 3).map((one) => ({ label: one.label, description: GROUPS.find(([name]) => name === one.group)[2], score: one.score })),
      groups,
      facts: [{ name: "tempo", unit: "BPM", left: "124.0", right: "126.0", remark: "about the same" }, { name: "loudness", unit: "LUFS", left: "-14.0", right: "-11.5", remark: "the second is 2 dB louder" }],
    };
  }

  at(i) {
    return [0, 1, 2].map((axis) => this.places[3 * i + axis]);
  }

  count(get) {
    const counts = {};
    for (const song of this.songs) for (const value of [get(song)].flat()) if (value !== undefined) counts[value] = (counts[value] ?? 0) + 1;
    return counts;
  }
}

/** Starts the server; returns its address and a way to end it. */
export async function serve({ songs = 2000, port = 0, readOnly = false, token = null, map = true, fail = null, slow = 0 } = {}) {
  const library = new Library(songs);
  const state = { library, jobs: new Map(), requests: [], clusters: songs > 0, slow, maps: new Set(map ? ["umap 2", "umap 3", "pca 2"] : []), fail, cookies: new Set() };
  const server = createServer((request, response) => {
    handle(state, { readOnly, token }, request, response).catch((error) => {
      const body = error.problem ?? { type: "about:blank", title: "Bug in the mock", status: 500, code: "bug", detail: String(error.stack), tip: "" };
      response.writeHead(body.status, { "content-type": "application/problem+json" }).end(JSON.stringify(body));
    });
  });
  await new Promise((resolve) => server.listen(port, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    state,
    close: () => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(resolve));
    },
  };
}

async function handle(state, { readOnly, token }, request, response) {
  const url = new URL(request.url, "http://localhost");
  const json = (body, status = 200) => response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
  if (!url.pathname.startsWith("/api/v1/")) return file(url.pathname, response);
  state.requests.push(`${request.method} ${url.pathname}${url.search}`);
  const parts = url.pathname.slice("/api/v1/".length).split("/").map(decodeURIComponent);
  const signedIn = token === null || (request.headers.cookie ?? "").includes("songrec_session=yes");
  if (parts[0] === "session") {
    if (request.method === "GET") return json({ needed: token !== null, authenticated: signedIn, read_only: readOnly, library: "/home/me/Music/library", backend: "local", version: "0.1.0" });
    const { token: given } = JSON.parse(await text(request));
    if (given !== token) throw problem(401, "bad_token", "This is not the token", "the token is another one", "Copy it again from the file that the setting names.");
    return response.writeHead(204, { "set-cookie": "songrec_session=yes; HttpOnly; SameSite=Strict; Path=/" }).end();
  }
  if (!signedIn) throw problem(401, "unauthorized", "A token is needed", "no session", "Open the page again and give the token.");
  if (state.fail?.test(`${request.method} ${url.pathname}`)) throw problem(503, "asleep", "The library does not answer", "the database sleeps", "Wait a minute, then try again.");
  // Questions that need a body are no writes.
  const asks = ["similar", "explain", "sync/plan", "radio"].includes(parts.join("/"));
  if (readOnly && request.method !== "GET" && !asks) throw problem(403, "read_only", "The server only reads", "it was started with --read-only", "Start it without --read-only to change something.");
  const body = request.method === "GET" ? null : await text(request);
  const answer = await route(state, request.method, parts, url.searchParams, body, request, response);
  if (answer !== undefined) json(answer.body ?? answer, answer.status ?? 200);
}

async function file(path, response) {
  const name = normalize(path === "/" ? "/index.html" : path);
  try {
    const bytes = await readFile(join(DIST, name));
    response.writeHead(200, { "content-type": TYPES[extname(name)] ?? "application/octet-stream", "content-security-policy": POLICY, "x-content-type-options": "nosniff" }).end(bytes);
  } catch {
    response.writeHead(404).end();
  }
}

function text(request) {
  return new Promise((resolve) => {
    const chunks = [];
    request.on("data", (chunk) => chunks.push(chunk));
    request.on("end", () => resolve(Buffer.concat(chunks).toString("latin1")));
  });
}

async function route(state, method, parts, query, body, request, response) {
  const { library } = state;
  const [first, second, third] = parts;
  const filter = query.getAll("filter");
  const number = (name, usual) => (query.has(name) ? Number(query.get(name)) : usual);
  const keep = (terms) => {
    const tests = terms.map((term) => library.test(term));
    return (song, i) => tests.every((test) => test(song, i));
  };
  const similar = (title, at, k, but, terms, more = {}) => ({ query: { title, ...more }, model: "dsp45@1", metric: "cosine", results: library.nearest(at, k, but, keep(terms)) });
  switch (first) {
    case "songs": {
      if (second === undefined) {
        if (method === "POST") return { status: 201, body: { type: "added", id: idOf(0), path: "upload" } };
        const all = library.select({ q: query.get("q"), filter, sort: query.get("sort") ?? "artist", desc: query.get("desc") === "true" });
        const [offset, limit] = [number("offset", 0), Math.min(1000, number("limit", 50))];
        return { songs: all.slice(offset, offset + limit).map((i) => library.songs[i]), total: all.length };
      }
      const song = library.get(second);
      if (!song) throw missing("song", "List songs with `GET songs`.");
      return oneSong(state, method, song, third, query, body, request, response, similar);
    }
    case "similar": {
      const parts = multipart(request, body);
      if (parts) {
        const k = Number(parts.k ?? 10);
        const out = similar(parts.filename ?? "file", library.at(Math.min(42, library.songs.length - 1)), k, -1, [].concat(parts.filter ?? []));
        out.query.part = parts.from === undefined ? undefined : { start: Number(parts.from), end: Number(parts.to) };
        if (parts.filename?.startsWith("known")) out.query.id = idOf(42);
        state.lastPart = out.query.part;
        return out;
      }
      const asked = JSON.parse(body);
      if (asked.text !== undefined) return similar(asked.text, library.at([...asked.text].reduce((sum, one) => sum + one.charCodeAt(0), 0) % library.songs.length), asked.k ?? 10, -1, asked.filter ?? []);
      const at = [0, 0, 0];
      for (const { song } of asked.like) library.at(numberOf(song)).forEach((value, axis) => (at[axis] += value / asked.like.length));
      return similar(library.songs[numberOf(asked.like[0].song)]?.title, at, asked.k ?? 10, numberOf(asked.like[0].song), asked.filter ?? []);
    }
    case "explain": {
      const { a, b } = JSON.parse(body);
      return { ...library.explain(0.8, numberOf(b)), left: library.get(a), right: library.get(b), similarity: 0.8 };
    }
    case "filters":
      return filters(library);
    case "stats":
      return stats(library);
    case "duplicates": {
      const near = query.get("near");
      if (library.songs.length < 30) return { duplicates: [], groups: [], total: 0 };
      return { duplicates: near === null
        ? [{ ...library.songs[3], files: [{ path: "/music/a.flac", size: 3e7, identical: false }, { path: "/music/copy of a.flac", size: 3e7, identical: true }], wasted: 3e7 }]
        : undefined, groups: near === null ? undefined : [{ similarity: 0.991, songs: [{ ...library.songs[20], similarity: 1 }, { ...library.songs[21], similarity: 0.991 }] }], total: 1 };
    }
    case "models":
      return { models: [{ name: "dsp45@1", dimension: 45, metric: "cosine", description: "timbre, harmony, rhythm and level", reads_text: false, kind: "built_in" }, { name: "clap@1", dimension: 512, metric: "cosine", description: "music and words in one space", reads_text: true, kind: "onnx" }] };
    case "doctor":
      return { checks: [{ name: "configuration", state: "good", detail: "read; 16 settings differ from their defaults or are unset" }, { name: "processors", state: "good", detail: "8, of which a scan uses 8" }, { name: "disk", state: "doubtful", detail: "4 GB are free", hint: "a scan of 100,000 songs needs 2 GB" }] };
    case "version":
      return { name: "songrec", version: "0.1.0", target: "x86_64-linux", models: ["dsp45@1"] };
    case "clusters":
      return clusters(state, method, second, body);
    case "playlists":
      return playlists(state, method, second, third, query, body, response, request.headers);
    case "radio":
      return radio(library, JSON.parse(body));
    case "path":
      return way(library, query);
    case "import":
      return imported(state, multipart(request, body));
    case "anomalies": {
      if (!state.anomalies) throw problem(404, "not_computed", "Outliers were not looked for yet", "no scores are kept", "Start the job; it takes some seconds.");
      const share = number("contamination", 0.05);
      const all = Math.round(library.songs.length * share);
      const results = library.songs.slice(0, Math.min(all, number("limit", 50))).map((song, i) => ({ ...song, score: -0.2 + 0.001 * i, reasons: ["more even than 98 % of the songs", "its nearest neighbor is 0.32 away"] }));
      return { model: "dsp45@1", method: "forest", contamination: share, offset: -0.5, songs: library.songs.length, anomalies: all, results };
    }
    case "map":
      return maps(state, second, query, response);
    case "trash":
      if (second === "restore") {
        const { songs } = JSON.parse(body);
        const restored = songs.filter((id) => library.trash.delete(id));
        return { restored };
      }
      return { songs: [...library.trash.values()], total: library.trash.size };
    case "conflicts":
      if (third === "resolve") {
        const { field, choose } = JSON.parse(body);
        const song = library.get(second);
        const conflict = library.conflicts.find((one) => one.song === second)?.conflicts[choose === undefined ? 0 : choose - 1];
        if (conflict?.field !== field) throw missing("conflict", "List them with `GET conflicts`.");
        set(song, field, choose === undefined ? conflict.shown : conflict.other);
        library.conflicts = library.conflicts.filter((one) => one.song !== second);
        return show(state, song);
      }
      return { songs: library.conflicts, total: library.conflicts.length };
    case "machines":
      return { machines: library.songs.length === 0 ? [] : [{ id: "a1", name: "studio", last_seen: new Date(Date.now() - 3 * 3600e3).toISOString(), round: 4, retired: false, version: "0.1.0" }, { id: "b2", name: "laptop", last_seen: new Date(Date.now() - 2 * 86400e3).toISOString(), round: 4, retired: false, version: "0.1.0" }, { id: "c3", name: "old desktop", last_seen: "2026-05-01T12:00:00Z", round: 1, retired: true, version: "0.1.0" }] };
    case "remotes":
      return { remotes: library.songs.length === 0 ? [] : [{ name: "cloud", kind: "astra", place: "keyspace home", is_default: true }, { name: "nas", kind: "local", place: "/mnt/nas/library", is_default: false }] };
    case "sync":
      return { songs: [{ song: idOf(1), title: library.songs[1].title, left: "add", right: null }, { song: idOf(2), title: library.songs[2].title, left: null, right: "delete" }], documents: [], counts: { left: { add: 12, update: 3, merge: 1, delete: 0, restore: 0 }, right: { add: 40, update: 2, merge: 1, delete: 1, restore: 0 } }, bytes: { left: 2.1e6, right: 8.4e6 }, requests: { left: 10, right: 12 }, agreed: 1900, full: false };
    case "jobs":
      return jobs(state, method, second, third, body, request, response);
    default:
      throw missing("path", "See /docs.");
  }
}

function multipart(request, body) {
  const boundary = /multipart\/form-data; boundary=(.+)/.exec(request.headers["content-type"] ?? "")?.[1];
  if (!boundary) return null;
  const out = {};
  for (const part of body.split(`--${boundary}`)) {
    const name = /name="([^"]*)"/.exec(part)?.[1];
    if (name === undefined) continue;
    const filename = /filename="([^"]*)"/.exec(part)?.[1];
    const value = part.slice(part.indexOf("\r\n\r\n") + 4, -2);
    if (filename !== undefined) Object.assign(out, { filename: utf8(filename), file: value, bytes: value.length });
    else if (out[name] !== undefined) out[name] = [].concat(out[name], utf8(value));
    else out[name] = utf8(value);
  }
  return out;
}

const utf8 = (text) => Buffer.from(text, "latin1").toString("utf8");

function set(song, field, value) {
  const name = { genre: "genres", mood: "moods" }[field] ?? field;
  song[name] = value === null || (Array.isArray(value) && value.length === 0) ? undefined : value;
}

function show(state, song) {
  const { library } = state;
  const edits = library.edits.get(song.id) ?? {};
  const fields = { title: song.title, artist: song.artist, album: song.album, genre: song.genres, year: song.year, bpm: song.bpm, key: song.key, mood: song.moods, instrument: song.instrument, loop: song.loop };
  const values = Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined).map(([name, value]) => [name, { value, source: edits[name] !== undefined ? "person" : ["bpm", "key", "mood", "instrument", "loop"].includes(name) ? "measured" : "file" }]));
  const group = library.group[numberOf(song.id)];
  return {
    format: 3, id: song.id, audio_hash: "0".repeat(64), revision: { number: 1 + Object.keys(edits).length, operation: "1" },
    files: [{ path: song.path, sha256: "0".repeat(64), size: song.size }],
    audio: { container: "flac", codec: song.codec, sample_rate: 44100, channels: 2, bit_depth: 16, frames: 1, duration: song.duration, bitrate: 900000 },
    tags: { title: song.title, art: { media_type: "image/png", size: 4000 } }, edits, features: { version: 1, bpm: song.bpm, bpm_confidence: 0.8, key: song.key, key_confidence: 0.4, tuning_hz: 440.8, loudness_lufs: -12.4, peak_db: -0.3, rms: 0.1, dynamic_range_db: 11, spectral_centroid_hz: 1840, spectral_bandwidth_hz: 1900, spectral_rolloff_hz: 4000, spectral_flatness: 0.02, zero_crossing_rate: 0.08, pitch_salience: 0.42, onset_rate: 3.2, is_loop: song.loop, instrument: song.instrument, instrument_confidence: 0.7, moods: song.moods, silence_start_s: 0, silence_end_s: 1.2 },
    embeddings: { "dsp45@1": { dimension: 45, digest: "0" } }, added_at: "2026-11-01T09:00:00Z", updated_at: "2026-11-20T09:00:00Z", values,
    cluster: group < library.groups ? { cluster_id: group, name: library.clusterNames[group] } : undefined,
  };
}

async function oneSong(state, method, song, part, query, body, request, response, similar) {
  const { library } = state;
  const i = numberOf(song.id);
  switch (part) {
    case undefined: {
      if (method === "DELETE") {
        library.trash.set(song.id, { song: song.id, title: song.title, deleted_at: new Date().toISOString(), paths: [song.path] });
        return { songs: 1, deleted_files: [], failed_files: [], left_files: [] };
      }
      if (method === "PATCH") {
        await new Promise((resolve) => setTimeout(resolve, state.slow));
        const { set: wanted = {}, unset = [] } = JSON.parse(Buffer.from(body, "latin1").toString("utf8"));
        if (wanted.year !== undefined && wanted.year !== null && !Number.isInteger(wanted.year)) throw problem(422, "bad_value", "The value does not fit", `\`${wanted.year}\` is not a year`, "Give a whole number from 1 to 9999.");
        const edits = library.edits.get(song.id) ?? {};
        for (const [field, value] of Object.entries(wanted)) {
          set(song, field, value);
          edits[field] = value;
        }
        for (const field of unset) delete edits[field];
        library.edits.set(song.id, edits);
        library.orders.clear();
      }
      return show(state, song);
    }
    case "audio": {
      // Longer than a test looks at it, because a list plays on by itself.
      const wav = sound(i, 30);
      const range = /bytes=(\d+)-(\d*)/.exec(request.headers.range ?? "");
      if (!range) return void response.writeHead(200, { "content-type": "audio/wav", "accept-ranges": "bytes", "content-length": wav.length }).end(wav);
      const [from, to] = [Number(range[1]), range[2] === "" ? wav.length - 1 : Number(range[2])];
      return void response.writeHead(206, { "content-type": "audio/wav", "content-range": `bytes ${from}-${to}/${wav.length}`, "content-length": to - from + 1 }).end(wav.subarray(from, to + 1));
    }
    case "waveform": {
      const points = Number(query.get("points") ?? 1000);
      const random = mulberry(i);
      const max = Array.from({ length: points }, (_, at) => 0.15 + 0.75 * Math.abs(Math.sin(at / 37 + i)) * (0.5 + 0.5 * Math.sin(at / 170)) ** 2 * random());
      return { duration: song.duration, points, min: max.map((value) => -value * 0.9), max, rms: max.map((value) => value * 0.5) };
    }
    case "artwork":
    case "spectrogram":
      return void response.writeHead(200, { "content-type": "image/png" }).end(picture(i));
    case "history":
      return { id: song.id, seen: 2, writes: [{ at: "2026-11-01T09:00:00Z", operation: "a", values: { added_at: "2026-11-01T09:00:00Z", "tags.title": song.title } }, { at: "2026-11-20T09:00:00Z", operation: "b", values: { "edits.genre": [], 'edits.genre="Ambient"': null, life: null } }] };
    case "similar":
      return similar(song.title, library.at(i), Number(query.get("k") ?? 10), i, query.getAll("filter"), { id: song.id });
    default:
      throw missing("path", "See /docs.");
  }
}

function filters(library) {
  const counts = { genre: library.count((song) => song.genres), artist: library.count((song) => song.artist), instrument: library.count((song) => song.instrument), key: library.count((song) => song.key), mood: library.count((song) => song.moods), cluster: Object.fromEntries(library.clusterNames.map((name, i) => [name, library.group.filter((one) => one === i).length])) };
  const keys = Object.entries(counts).map(([key, values]) => ({ key, values: Object.entries(values).map(([value, count]) => ({ value, count })).sort((a, b) => b.count - a.count).slice(0, 200) }));
  return { keys: [...keys, { key: "bpm" }, { key: "year" }, { key: "title" }], songs: library.songs.length };
}

function stats(library) {
  const bins = (get, edges, name) => {
    const counts = {};
    for (const song of library.songs) {
      const value = get(song);
      if (value === undefined) continue;
      const at = edges.findIndex((edge) => value < edge);
      const label = name(at, edges);
      counts[label] = (counts[label] ?? 0) + 1;
    }
    return counts;
  };
  const dashes = (at, edges) => (at === 0 ? `<${edges[0]}` : at < 0 ? `>=${edges.at(-1)}` : `${edges[at - 1]}-${edges[at]}`);
  const songs = library.songs.length;
  return {
    total_songs: songs, total_duration: library.songs.reduce((sum, song) => sum + song.duration, 0), total_size: library.songs.reduce((sum, song) => sum + song.size, 0),
    genres: library.count((song) => song.genres), instruments: library.count((song) => song.instrument), keys: library.count((song) => song.key),
    tempos: bins((song) => song.bpm, [100, 120, 140, 160, 180], dashes), codecs: library.count((song) => song.codec), without_audio: 0, warnings: {},
    artists: Object.keys(library.count((song) => song.artist)).length, albums: Object.keys(library.count((song) => song.album)).length,
    loops: library.songs.filter((song) => song.loop).length, one_shots: 3, models: [{ name: "dsp45@1", dimension: 45, metric: "cosine", songs }, { name: "clap@1", dimension: 512, metric: "cosine", songs: Math.round(songs * 0.8) }], without_embedding: 0,
    lengths: bins((song) => song.duration, [0.5, 5, 60, 240, 600], (at) => (at === 0 ? "<0.5 s" : at < 0 ? "10 min and more" : ["", "0.5 to 5 s", "5 to 60 s", "1 to 4 min", "4 to 10 min"][at])),
    sound: { songs, silent_start: 12, silent_end: 40, loudness: { "<-30": 3, "-30 to -24": Math.round(songs * 0.08), "-24 to -18": Math.round(songs * 0.2), "-18 to -12": Math.round(songs * 0.4), "-12 to -6": Math.round(songs * 0.3), ">=-6": Math.round(songs * 0.02) }, compared: Math.min(songs, 500), near_duplicates: 7 },
  };
}

function clusters(state, method, name, body) {
  const { library } = state;
  if (!state.clusters) throw problem(404, "no_clusters", "There are no clusters", "none were made", "Start the job.");
  if (method === "DELETE") {
    state.clusters = false;
    return { removed: true };
  }
  const one = (i) => {
    const members = [];
    for (let song = 0; song < library.songs.length; song++) if (library.group[song] === i) members.push(library.songs[song]);
    const genres = {};
    for (const song of members) for (const genre of song.genres ?? []) genres[genre] = (genres[genre] ?? 0) + 1;
    return { cluster_id: i, name: library.clusterNames[i], named_by_hand: false, size: members.length, genres, purity: Math.max(0, ...Object.values(genres)) / Math.max(1, members.length), tightness: 0.62 - 0.02 * i, typical: members.slice(0, 3).map((song) => song.id), members };
  };
  if (name !== undefined) {
    const i = library.clusterNames.findIndex((one, at) => String(at) === name || one === name);
    if (i < 0) throw missing("cluster", "List them with `GET clusters`.");
    if (method === "PATCH") {
      library.clusterNames[i] = JSON.parse(body).name;
      return { cluster_id: i, name: library.clusterNames[i] };
    }
    const { members, ...rest } = one(i);
    return { ...rest, songs: members.slice(0, 50) };
  }
  return { model: "dsp45@1", metric: "cosine", method: "kmeans", parameters: { k: library.groups }, seed: 0, filter: [], made_at: "2026-11-22T10:00:00Z", songs: library.songs.length, noise: library.group.filter((group) => group === library.groups).length, silhouette: 0.31, agreement: 1, clusters: library.clusterNames.map((_, i) => { const { members, ...rest } = one(i); return rest; }) };
}

function maps(state, part, query, response) {
  const { library } = state;
  const count = library.songs.length;
  const [method, dims] = [query.get("method") ?? "umap", Number(query.get("dims") ?? 2)];
  if (count > 0 && !state.maps.has(`${method} ${dims}`)) throw problem(404, "not_computed", "The map was not made yet", "no map is kept", "Start the job; it takes some minutes for a large library.");
  if (part === "songs") {
    const [offset, limit] = [Number(query.get("offset") ?? 0), Number(query.get("limit") ?? 1000)];
    return { songs: library.songs.slice(offset, offset + limit).map(({ id, title, artist, genres, bpm, key }) => ({ id, title, artist, genre: genres?.[0] ?? null, bpm: bpm ?? null, key: key ?? null })), total: count };
  }
  const byCluster = query.get("color") === "cluster";
  const names = byCluster ? library.clusterNames : GENRES;
  const classes = new Uint16Array(count);
  for (let i = 0; i < count; i++) {
    const genre = library.songs[i].genres?.[0];
    const place = byCluster ? library.group[i] : GENRES.indexOf(genre);
    // A song of no class.
    classes[i] = place >= 0 && place < names.length ? place : 65535;
  }
  const columns = Array.from({ length: query.get("format") === "classes" ? 0 : dims }, (_, axis) => Float32Array.from({ length: count }, (_, i) => library.places[3 * i + axis]));
  const told = JSON.stringify({ count, dims, classes: names.map((name) => ({ name, count: 0 })), seed: 0, model: "dsp45@1", method, made_at: "2026-11-22T10:00:00Z", trustworthiness: 0.954 });
  // The floats begin at a multiple of four.
  const header = told.padEnd(4 * Math.ceil((told.length + 1) / 4) - 1);
  const bytes = Buffer.concat([Buffer.from(`${header}\n`), ...columns.map((column) => Buffer.from(column.buffer)), Buffer.from(classes.buffer)]);
  state.mapBytes = (state.mapBytes ?? 0) + bytes.length;
  response.writeHead(200, { "content-type": "application/octet-stream", etag: '"1"' }).end(bytes);
}

const STEPS = 12;

function jobs(state, method, id, part, body, request, response) {
  const all = state.jobs;
  const shown = ({ timer, log, listeners, ...job }) => job;
  if (id === undefined) return { jobs: [...all.values()].reverse().map(shown) };
  if (method === "POST") return { status: 202, body: shown(begin(state, id, JSON.parse(body || "{}"))) };
  const job = all.get(id);
  if (!job) throw missing("job", "List them with `GET jobs`.");
  if (method === "DELETE") {
    end(job, "cancelled");
    return shown(job);
  }
  if (part !== "events") return shown(job);
  response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-store" });
  const after = Number(request.headers["last-event-id"] ?? -1);
  const send = (event) => response.write(`id: ${event.id}\nevent: ${event.kind}\ndata: ${JSON.stringify(event.data)}\n\n`);
  job.log.filter((event) => event.id > after).forEach(send);
  job.listeners.add(send);
  request.on("close", () => job.listeners.delete(send));
}

function tell(job, kind, data) {
  const event = { id: job.log.length, kind, data };
  job.log.push(event);
  for (const send of job.listeners) send(event);
}

function begin(state, kind, options) {
  const job = { id: `job-${state.jobs.size + 1}`, kind, state: "running", asked: new Date().toISOString(), started: new Date().toISOString(), progress: { task: `${kind}ning`, done: 0, total: STEPS }, failed_items: [], counts: {}, options, log: [], listeners: new Set() };
  state.jobs.set(job.id, job);
  job.timer = setInterval(() => {
    job.progress = { ...job.progress, done: job.progress.done + 1, current: `/music/file ${job.progress.done}.flac` };
    tell(job, "progress", job.progress);
    tell(job, "item", job.progress.done === 5 ? { type: "failed", path: "/music/broken.flac", reason: "it is cut off" } : { type: "added", path: job.progress.current });
    if (job.progress.done < STEPS) return;
    job.counts = { added: STEPS - 1, failed: 1 };
    job.failed_items = kind === "scan" ? [{ item: "/music/broken.flac", reason: "it is cut off" }] : [];
    if (kind === "map") state.maps.add(`${options.method ?? "umap"} ${options.dims ?? 2}`);
    if (kind === "anomalies") state.anomalies = true;
    if (kind === "cluster") state.clusters = true;
    end(job, "done");
  }, 120);
  return job;
}

function end(job, how) {
  clearInterval(job.timer);
  if (job.ended) return;
  job.state = how;
  job.ended = new Date().toISOString();
  const { timer, log, listeners, ...whole } = job;
  tell(job, "end", whole);
}

// Two seconds of a tone with a beat, as a WAV file.
export function sound(i = 0, seconds = 2) {
  const [rate, samples] = [8000, 8000 * seconds];
  const bytes = Buffer.alloc(44 + 2 * samples);
  bytes.write("RIFF");
  bytes.writeUInt32LE(36 + 2 * samples, 4);
  bytes.write("WAVEfmt ", 8);
  bytes.writeUInt32LE(16, 16);
  bytes.writeUInt16LE(1, 20);
  bytes.writeUInt16LE(1, 22);
  bytes.writeUInt32LE(rate, 24);
  bytes.writeUInt32LE(2 * rate, 28);
  bytes.writeUInt16LE(2, 32);
  bytes.writeUInt16LE(16, 34);
  bytes.write("data", 36);
  bytes.writeUInt32LE(2 * samples, 40);
  const pitch = 110 * 2 ** ((i % 24) / 12);
  for (let n = 0; n < samples; n++) {
    const beat = Math.exp(-6 * ((n / rate) % 0.5));
    bytes.writeInt16LE(Math.round(12000 * beat * Math.sin((2 * Math.PI * pitch * n) / rate)), 44 + 2 * n);
  }
  return bytes;
}

// A small picture that looks like a spectrogram.
function picture(seed) {
  const [width, height] = [300, 80];
  const raw = Buffer.alloc((1 + 3 * width) * height);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const low = (height - y) / height;
      const level = Math.max(0, Math.min(1, (1.1 - low) * (0.5 + 0.5 * Math.sin(x / 6 + seed) * Math.sin(y / 5 + x / 50))));
      const at = y * (1 + 3 * width) + 1 + 3 * x;
      raw[at] = 255 * level ** 1.5;
      raw[at + 1] = 200 * level ** 2.2;
      raw[at + 2] = 120 * Math.sin(level * 3) + 60 * level;
    }
  }
  const chunk = (type, data) => {
    const head = Buffer.alloc(8);
    head.writeUInt32BE(data.length);
    head.write(type, 4);
    const tail = Buffer.alloc(4);
    tail.writeUInt32BE(crc(Buffer.concat([head.subarray(4), data])));
    return Buffer.concat([head, data, tail]);
  };
  const head = Buffer.alloc(13);
  head.writeUInt32BE(width);
  head.writeUInt32BE(height, 4);
  head.set([8, 2, 0, 0, 0], 8);
  return Buffer.concat([Buffer.from([137, 80, 78, 71, 13, 10, 26, 10]), chunk("IHDR", head), chunk("IDAT", deflateSync(raw)), chunk("IEND", Buffer.alloc(0))]);
}

function crc(bytes) {
  let value = ~0;
  for (const byte of bytes) {
    value ^= byte;
    for (let i = 0; i < 8; i++) value = (value >>> 1) ^ (value & 1 ? 0xedb88320 : 0);
  }
  return ~value >>> 0;
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const { url } = await serve({
    songs: Number(process.argv[2] ?? 2000),
    port: Number(process.argv[3] ?? 8002),
    readOnly: process.env.READ_ONLY !== undefined,
    token: process.env.TOKEN ?? null,
  });
  console.log(url);
}
