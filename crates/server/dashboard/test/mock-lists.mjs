// Playlists of the mock, and what fills them: radio, path, rules, files of players.

import { fold, missing, numberOf, problem } from "./mock-words.mjs";

const FILES = /\.(m3u8?|xspf|jspf)$/i;

/** Songs between two of one artist or album, and one more of each as it is drawn. */
export function radio(library, { like = [], length, minutes, variety = 0, seed = 0, spacing = {}, filter = [] }) {
  if (like.length === 0) throw problem(400, "invalid_request", "The request means nothing", "a queue cannot go on from 0 songs", "`like` has the ids of 1 to 100");
  const seeds = like.map((id) => library.get(id) ?? gone(id));
  const most = length ?? (minutes === undefined ? 25 : 1000);
  const tests = filter.map((term) => library.test(term));
  const at = [0, 1, 2].map((axis) => seeds.reduce((sum, song) => sum + library.at(numberOf(song.id))[axis], 0) / seeds.length);
  const near = library.nearest(at, Math.ceil(most * (1 + 7 * variety)), -1, (song, i) => !like.includes(song.id) && tests.every((test) => test(song, i)));
  // Lehmer's generator.
  let state = seed + 1;
  const chance = () => (state = (state * 48271) % 2147483647) / 2147483647;
  const rest = [...near];
  const songs = [];
  let [seconds, passed] = [0, 0];
  while (rest.length > 0 && songs.length < most && (minutes === undefined || seconds < 60 * minutes)) {
    const [{ explanation, rank, distance, ...card }] = rest.splice(variety === 0 ? 0 : Math.floor(chance() * Math.min(rest.length, 1 + 8 * variety)), 1);
    const far = (field) => songs.slice(-(spacing[field] ?? 0) || songs.length).every((one) => one[field] !== card[field]);
    if (!far("artist") || !far("album")) {
      passed++;
      continue;
    }
    songs.push({ ...card, position: songs.length + 1 });
    seconds += card.duration;
  }
  const short = minutes === undefined ? songs.length < most : seconds < 60 * minutes;
  const notes = [
    ...(short && passed > 0 ? [`${passed} more sound alike, and would come too near to a song of the same artist or album`] : []),
    ...(short && near.length < most ? [`${near.length} songs pass the filter and can be compared`] : []),
  ];
  return { songs, duration: seconds, notes };
}

const gone = (id) => {
  throw problem(404, "not_found", "There is no such song", `no song has the id \`${id}\``, "it may have been forgotten");
};

const KEYS = ["C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B"];

function wheel(key) {
  const minor = key.endsWith("m");
  const tonic = KEYS.indexOf(minor ? key.slice(0, -1) : key);
  return { place: ((minor ? tonic + 3 : tonic) * 7 + 7) % 12, minor };
}

function mixes(a, b) {
  if (!a.key || !b.key || !a.bpm || !b.bpm) return false;
  const [x, y] = [wheel(a.key), wheel(b.key)];
  const steps = Math.min((x.place - y.place + 12) % 12, (y.place - x.place + 12) % 12);
  return (x.minor === y.minor ? steps <= 1 : steps === 0) && Math.abs(a.bpm / b.bpm - 1) <= 0.06;
}

export function way(library, query) {
  const [a, b] = ["a", "b"].map((name) => library.get(query.get(name)) ?? gone(query.get(name)));
  if (a === b) throw problem(400, "invalid_request", "The request means nothing", "a way begins and ends with different songs", "name another song for its end");
  const length = Number(query.get("length") ?? 10);
  const mix = query.get("mix") === "true";
  const tests = query.getAll("filter").map((term) => library.test(term));
  const [from, to] = [library.at(numberOf(a.id)), library.at(numberOf(b.id))];
  const songs = [{ ...a, along: 0, position: 1, mixes: true }];
  let skipped = 0;
  for (let i = 1; i < length - 1; i++) {
    const along = i / (length - 1);
    const used = new Set([a.id, b.id, ...songs.map((song) => song.id)]);
    const found = library.nearest(from.map((value, axis) => value + along * (to[axis] - value)), mix ? 200 : 1, -1, (song, n) => !used.has(song.id) && tests.every((test) => test(song, n)));
    const next = found.find((song) => !mix || mixes(songs.at(-1), song));
    if (!next) skipped++;
    else {
      const { explanation, rank, distance, similarity, ...card } = next;
      songs.push({ ...card, along, position: songs.length + 1, mixes: mixes(songs.at(-1), card) });
    }
  }
  songs.push({ ...b, along: 1, position: songs.length + 1, mixes: mixes(songs.at(-1), b) });
  const notes = skipped > 0 ? [`${skipped} of ${length - 2} places are left out: of the songs that lie there, none can be mixed with its neighbors`] : [];
  if (mix) notes.push(...songs.filter((song) => !song.mixes).map((song) => `\`${song.title}\` cannot be mixed with the song before it`));
  return { model: "dsp45@1", songs, duration: songs.reduce((sum, song) => sum + song.duration, 0), notes };
}

/** Reads a list of paths, as M3U is one. */
export function imported(state, form) {
  const { library } = state;
  if (!FILES.test(form?.filename ?? "")) throw problem(400, "invalid_request", "The request means nothing", `\`${form?.filename}\` is no playlist`, "playlists are files that end in .m3u8, .m3u, .xspf or .jspf");
  state.imports = [...(state.imports ?? []), { ...form, file: undefined }];
  const maps = [].concat(form.map ?? []).map((text) => text.split("="));
  if (maps.some((map) => map.length !== 2)) throw problem(400, "invalid_request", "The request means nothing", "a map is `FROM=TO`", "such as `M:\\Music=/music`");
  const lines = Buffer.from(form.file, "latin1").toString("utf8").split(/\r?\n/).filter((line) => line !== "" && !line.startsWith("#"));
  const byPath = new Map(library.songs.filter((song) => !library.trash.has(song.id)).map((song) => [song.path, song.id]));
  const [songs, unmatched] = [[], []];
  lines.forEach((line, i) => {
    const map = maps.find(([from]) => line.startsWith(from));
    const path = map ? `${map[1]}${line.slice(map[0].length).replaceAll("\\", "/")}` : line;
    const song = byPath.get(path);
    if (song) songs.push(song);
    else unmatched.push({ position: i + 1, location: line, why: "no song of the library has this path or this name of a file" });
  });
  const out = { matched: songs.length, matched_by: songs.length > 0 ? { path: songs.length } : {}, unmatched };
  if (songs.length === 0 || form.dry_run === "true") return { ...out, playlist: null };
  const name = form.name ?? form.filename.replace(FILES, "");
  taken(library, name);
  return { status: 201, body: { ...out, playlist: card(library.keep(name, songs)) } };
}

const card = ({ entries, ...list }) => ({ ...list, songs: list.rule ? null : entries.length });

function taken(library, name, but) {
  if (library.playlists.some((one) => one !== but && fold(one.name) === fold(name))) throw problem(400, "invalid_request", "The request means nothing", `there is a playlist \`${name}\` already`, "Give it another name.");
}

function ruleOf(library, { filter = [], like = [], length }) {
  filter.forEach((term) => library.test(term));
  if (filter.length + like.length === 0) throw problem(400, "invalid_request", "The request means nothing", "a rule has a filter or songs to be like", "Send `filter` or `like`.");
  const seeds = like.map((id) => ({ song: id, title: (library.get(id) ?? gone(id)).title }));
  return { ...(filter.length > 0 ? { filter } : {}), ...(seeds.length > 0 ? { like: seeds } : {}), ...(length ? { length } : {}) };
}

function ofRule(library, { filter = [], like = [], length }) {
  const tests = filter.map((term) => library.test(term));
  if (like.length === 0) return library.select({ filter, sort: "title" }).slice(0, length).map((i) => library.songs[i].id);
  const seeds = like.map((seed) => seed.song).filter((id) => library.get(id));
  const most = length ?? 25;
  const at = [0, 1, 2].map((axis) => seeds.reduce((sum, id) => sum + library.at(numberOf(id))[axis], 0) / seeds.length);
  const near = library.nearest(at, Math.max(0, most - seeds.length), -1, (song, i) => !seeds.includes(song.id) && tests.every((test) => test(song, i)));
  return [...seeds, ...near.map((song) => song.id)].slice(0, most);
}

export function playlists(state, method, id, part, query, body, response, headers) {
  const { library } = state;
  const asked = method === "GET" || method === "DELETE" ? {} : JSON.parse(Buffer.from(body, "latin1").toString("utf8"));
  if (id === undefined) {
    if (method === "GET") return { playlists: library.playlists.map(card), unreadable: [] };
    taken(library, asked.name);
    return { status: 201, body: card(library.keep(asked.name, asked.songs ?? [], asked.rule && ruleOf(library, asked.rule))) };
  }
  const at = library.playlists.findIndex((one) => one.id === id);
  const list = library.playlists[at];
  if (!list) throw missing("playlist", "List them with `GET playlists`.");
  if (part === "export") return void response.writeHead(200, { "content-type": "audio/x-mpegurl", "content-disposition": `attachment; filename="list.${query.get("format")}"` }).end("#EXTM3U\n");
  const seen = headers["if-match"];
  if (seen !== undefined && seen !== `"${list.version}"`) throw problem(412, "changed", "It was changed meanwhile", `the playlist \`${list.name}\` has another version`, "get it again, and change what is there now");
  if (part === "songs") {
    if (method === "DELETE") list.entries = list.entries.filter((entry) => !query.getAll("entry").includes(entry.key));
    else list.entries.splice((asked.at ?? list.entries.length + 1) - 1, 0, ...asked.songs.map((song) => library.entry(song)));
    return card(list);
  }
  if (method === "DELETE") {
    library.playlists.splice(at, 1);
    return { removed: true, id };
  }
  if (method === "PATCH") {
    if (asked.name !== undefined) {
      taken(library, asked.name, list);
      list.name = asked.name;
    }
    if (asked.rule) list.rule = ruleOf(library, asked.rule);
    if (asked.move) {
      const moved = asked.move.entries.map((key) => list.entries.find((entry) => entry.key === key));
      list.entries = list.entries.filter((entry) => !moved.includes(entry));
      list.entries.splice(asked.move.to - 1, 0, ...moved);
    }
    list.version = String(1 + Number(list.version)).padStart(32, "0");
    return card(list);
  }
  const songs = list.rule ? ofRule(library, list.rule).map((song) => ({ song })) : list.entries;
  const entries = songs.map((entry, i) => {
    const song = library.get(entry.song);
    const { title, artist } = library.songs[numberOf(entry.song)];
    return { position: i + 1, ...entry, missing: song === undefined, title, artist, card: song };
  });
  const limit = Number(query.get("limit") ?? 1000);
  return { ...card(list), songs: entries.length, missing: entries.filter((entry) => entry.missing).length, duration: entries.reduce((sum, entry) => sum + (entry.card?.duration ?? 0), 0), entries: entries.slice(0, limit), offset: 0, limit };
}
