// The map as the server sends it, made into what the renderer of `web/map` draws.
// Names come later and by page, because a map of 100,000 songs has to be there
// at once.

import { api, type MapPart, type Packed } from "../api";
import { type MapData, NONE } from "../../../../../web/map/src/data";

export const NEAR = 20;
const PAGE = 1000;
// Pages that are asked for at once; the others wait, so that clicks are answered.
const AT_ONCE = 3;

/** What classes without a name are called in a packed map. */
function named(name: string | null | undefined): string | null {
  return name === null || name === undefined || name === "" || name === "none" ? null : name;
}

export function mapData(genres: Packed, clusters: Packed | null): MapData {
  const { header, columns } = genres;
  const { count, dims } = header;
  const coordinates = new Float32Array(count * dims);
  for (let axis = 0; axis < dims; axis++) {
    const column = columns[axis];
    for (let i = 0; i < count; i++) coordinates[i * dims + axis] = column[i];
  }
  const nothing = <T>() => new Array<T | null>(count).fill(null);
  const genreNames = header.classes.map((one) => named(one.name));
  const genre = Array.from(genres.classes, (one) => genreNames[one] ?? null);
  const cluster = nothing<number>();
  const names = new Map<number, string>();
  if (clusters && clusters.header.count === count) {
    clusters.header.classes.forEach((one, i) => {
      const name = named(one.name);
      if (name !== null) names.set(i, name);
    });
    clusters.classes.forEach((one, i) => {
      if (names.has(one)) cluster[i] = one;
    });
  }
  return {
    library: "",
    model: header.model ?? "",
    method: header.method ?? "",
    dims: dims as 2 | 3,
    seed: header.seed ?? null,
    made: header.made_at ?? "",
    count,
    trustworthiness: header.trustworthiness ?? null,
    coordinates,
    neighbors: { k: NEAR, ids: new Uint32Array(count * NEAR).fill(NONE) },
    songs: {
      id: new Array<string>(count).fill(""),
      title: nothing(),
      artist: nothing(),
      album: nothing(),
      genre,
      key: nothing(),
      bpm: nothing(),
      duration: nothing(),
      cluster,
      anomaly: nothing(),
      path: nothing(),
      href: nothing(),
    },
    clusters: names,
    color: "genre",
  };
}

/** The names of the songs of a map: wanted ones first, then all. */
export class Names {
  /** Where each song is on the map, of those that were named. */
  readonly places = new Map<string, number>();
  complete = false;
  #pages = new Map<number, Promise<void>>();
  #controller = new AbortController();
  #all: Promise<void> | null = null;

  constructor(
    private readonly data: MapData,
    private readonly of: { method: string; dims: number; model?: string },
    private readonly told: () => void,
  ) {}

  end(): void {
    this.#controller.abort();
  }

  /** Names these songs. */
  async name(songs: Iterable<number>): Promise<void> {
    const pages = new Set<number>();
    for (const song of songs) if (this.data.songs.id[song] === "") pages.add(Math.floor(song / PAGE));
    await Promise.all([...pages].map((page) => this.#page(page)));
  }

  all(): Promise<void> {
    this.#all ??= (async () => {
      const pages = Math.ceil(this.data.count / PAGE);
      let next = 0;
      const worker = async () => {
        while (next < pages && !this.#controller.signal.aborted) await this.#page(next++);
      };
      await Promise.all(Array.from({ length: AT_ONCE }, worker));
      this.complete = this.data.songs.id.every((id) => id !== "");
      this.told();
    })();
    return this.#all;
  }

  /** The place of a song, once it is known; -1 if it is not on the map. */
  async find(id: string): Promise<number> {
    const place = this.places.get(id);
    if (place !== undefined) return place;
    if (!this.complete) await this.all();
    return this.places.get(id) ?? -1;
  }

  #page(page: number): Promise<void> {
    const there = this.#pages.get(page);
    if (there) return there;
    const asked = api
      .mapSongs({ offset: page * PAGE, limit: PAGE, ...this.of }, this.#controller.signal)
      .then((answer) => {
        answer.rows.forEach((song, i) => this.#put(page * PAGE + i, song));
        this.told();
      })
      .catch((error: unknown) => {
        // It may be asked for again.
        this.#pages.delete(page);
        throw error;
      });
    this.#pages.set(page, asked);
    return asked;
  }

  #put(song: number, part: MapPart): void {
    const { songs, count } = this.data;
    if (song >= count) return;
    songs.id[song] = part.id;
    songs.title[song] = part.title ?? null;
    songs.artist[song] = part.artist ?? null;
    songs.genre[song] ??= part.genre ?? null;
    songs.bpm[song] = part.bpm ?? null;
    songs.key[song] = part.key ?? null;
    this.places.set(part.id, song);
    const ids = this.data.neighbors!.ids;
    (part.neighbors ?? []).slice(0, NEAR).forEach((near, i) => (ids[song * NEAR + i] = near < count ? near : NONE));
  }
}
