// A made-up library as a page: `node sample.mjs SONGS [2|3] [OUTPUT]`. The same
// arguments give the same page. Tests use it, and whoever changes the page.

import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath, pathToFileURL } from "node:url";

const GENRES = [
  "Techno", "House", "Ambient", "Jazz", "Hip-Hop", "Drum & Bass", "Rock", "Folk", "Dub", "Classical",
  "Soul", "Funk", "Disco", "Trance", "Metal", "Pop", "Blues", "Reggae", "Electro", "Musique concrète",
];
const FIRST = ["Quiet", "Northern", "Glass", "Second", "Slow", "Blue", "Paper", "Late", "Hollow", "Été"];
const LAST = ["Harbour", "Signal", "Orchard", "Machine", "Lantern", "Tide", "Winter", "Room", "Meridian", "Straße"];
const KEYS = ["C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B"].flatMap((key) => [key, `${key}m`]);
const NEAR = 10;

// What tags can hold, too; each is the title of one of the first songs.
export const HOSTILE = [
  "</script><script>window.broken = true</script>",
  "<img src=x onerror=\"window.broken = true\"><b>bold</b>",
  "\u202Eright to left\u0000\u0007\nand a second line",
  "=HYPERLINK(\"http://example.org\", \"click\")",
  `A title without an end ${"and on ".repeat(60)}`,
  "عنوان باللغة العربية",
  "<!--",
];

/** The JSON object of a made-up map. */
export function sample(count, dims = 2) {
  const random = mulberry(count * 10 + dims);
  const normal = () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  const pick = (list) => list[Math.floor(random() * list.length)];
  const groups = Math.max(3, Math.min(24, Math.round(count / 40)));
  const space = 6;
  const centers = Array.from({ length: groups }, () => Array.from({ length: space }, () => 4 * normal()));
  const spread = centers.map(() => 0.35 + 0.8 * random());

  const songs = Object.fromEntries(
    ["id", "title", "artist", "album", "genre", "key", "bpm", "duration", "cluster", "anomaly", "path"].map((name) => [name, []]),
  );
  const vectors = [];
  for (let i = 0; i < count; i++) {
    const noise = random() < 0.06;
    // Clusters are of very different sizes, as in libraries.
    const group = Math.floor(groups * random() ** 1.7);
    const wide = noise ? 4 : spread[group];
    vectors.push(centers[group].map((value) => value + wide * normal()));
    const known = random() > 0.04;
    const artist = `${pick(FIRST)} ${pick(LAST)}`;
    const title = HOSTILE[i] ?? `${pick(FIRST)} ${pick(LAST)} ${i}`;
    songs.id.push(`00000000-0000-8000-8000-${String(i).padStart(12, "0")}`);
    songs.title.push(i === 20 ? null : title);
    songs.artist.push(i === 21 ? null : artist);
    songs.album.push(known ? `${pick(FIRST)} ${pick(LAST)}` : null);
    songs.genre.push(known ? (random() < 0.75 ? GENRES[group % GENRES.length] : pick(GENRES)) : null);
    songs.key.push(known ? pick(KEYS) : null);
    songs.bpm.push(known ? Math.round((85 + 4 * (group % 20) + 6 * normal()) * 100) / 100 : null);
    songs.duration.push(Math.round((200 + 60 * normal() ** 2) * 1000) / 1000);
    songs.cluster.push(noise ? null : group);
    songs.anomaly.push(Math.round(1000 * (noise ? 0.6 + 0.4 * random() : 0.5 * random() ** 2)) / 1000);
    songs.path.push(i === 22 ? null : `/music/${artist}/${String(i).padStart(6, "0")}.flac`);
  }
  const coordinates = new Float32Array(count * dims);
  vectors.forEach((vector, i) => {
    for (let axis = 0; axis < dims; axis++) {
      coordinates[i * dims + axis] = vector[axis] + 0.6 * Math.sin(vector[axis + 3] / 2);
    }
  });
  const base64 = (array) => Buffer.from(array.buffer).toString("base64");
  return {
    version: 1,
    library: "Sample library",
    model: "dsp45@1",
    method: "umap",
    dims,
    seed: 42,
    made: "2026-11-22T12:00:00Z",
    count,
    trustworthiness: 0.93,
    coordinates: base64(coordinates),
    neighbors: { k: NEAR, ids: base64(neighbors(vectors, songs.cluster)) },
    songs,
    // One is left without a name.
    clusters: centers.slice(1).map((_, i) => ({ id: i + 1, name: `${pick(FIRST).toLowerCase()} ${GENRES[(i + 1) % GENRES.length].toLowerCase()}` })),
    color: "genre",
  };
}

// The nearest of at most 600 songs of the same cluster: exact for small samples,
// good enough to look at for large ones.
function neighbors(vectors, cluster) {
  const members = new Map();
  cluster.forEach((id, i) => members.set(id, [...(members.get(id) ?? []).slice(-599), i]));
  const ids = new Uint32Array(vectors.length * NEAR).fill(0xffffffff);
  vectors.forEach((vector, i) => {
    const all = vectors.length <= 5000 ? [...vectors.keys()] : members.get(cluster[i]);
    const best = [];
    for (const j of all) {
      if (j === i) continue;
      const distance = vectors[j].reduce((sum, value, axis) => sum + (value - vector[axis]) ** 2, 0);
      if (best.length === NEAR && distance >= best[NEAR - 1][0]) continue;
      best.push([distance, j]);
      best.sort((a, b) => a[0] - b[0]);
      best.length = Math.min(best.length, NEAR);
    }
    best.forEach(([, j], at) => (ids[i * NEAR + at] = j));
  });
  return ids;
}

/** The template with an object pasted in, as the program does it. */
export function page(template, map) {
  const json = JSON.stringify(map).replaceAll("<", "\\u003c");
  return template.replace("/*SONGREC_MAP_DATA*/", () => json);
}

function mulberry(state) {
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const [count = "5000", dims = "2", output = "sample.html"] = process.argv.slice(2);
  const template = fileURLToPath(new URL("../../crates/library/assets/map.html", import.meta.url));
  writeFileSync(output, page(readFileSync(template, "utf8"), sample(Number(count), Number(dims))));
}
