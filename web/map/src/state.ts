// What is shown and chosen. The parts of the page change it by its methods and
// are told of changes; none of them calls another.

import { type MapData, NONE } from "./data";
import type { Theme } from "./palette";
import { type Scheme, type SchemeName, scheme } from "./scheme";

export type Change = "scheme" | "shown" | "selection" | "focus" | "theme" | "tool" | "page" | "view" | "playing" | "query";
export type Tool = "move" | "rectangle" | "lasso";
export type Page = "map" | "table";
/** What a selection does to the one before. */
export type Choice = "replace" | "add" | "remove";

export class State {
  readonly count: number;
  scheme: Scheme;
  /** Classes of the scheme that are hidden. */
  hidden = new Set<number>();
  /** 1 for each song that is shown. */
  readonly shown: Uint8Array;
  /** 1 for each song that has a place on the map. */
  readonly placed: Uint8Array;
  readonly selected: Uint8Array;
  selectedCount = 0;
  /** The song that the card is about, or -1. */
  focus = -1;
  /** Whether lines lead from it to its nearest songs. */
  near = false;
  /** The song under the pointer, or -1. */
  hover = -1;
  theme: Theme = "light";
  tool: Tool = "move";
  choice: Choice = "replace";
  page: Page = "map";
  labels = true;
  /** What the search box holds. */
  query = "";

  #listeners = new Map<Change, (() => void)[]>();
  #schemes = new Map<SchemeName, Scheme>();
  #hidden = new Map<SchemeName, Set<number>>();

  constructor(
    readonly data: MapData,
    first: SchemeName,
  ) {
    this.count = data.count;
    this.shown = new Uint8Array(data.count);
    this.selected = new Uint8Array(data.count);
    this.placed = new Uint8Array(data.count).fill(1);
    const dims = data.dims;
    for (let i = 0; i < data.coordinates.length; i++) {
      if (!Number.isFinite(data.coordinates[i])) this.placed[Math.floor(i / dims)] = 0;
    }
    this.scheme = this.#scheme(first);
    this.#show();
  }

  on(change: Change, listener: () => void): void {
    const listeners = this.#listeners.get(change) ?? [];
    listeners.push(listener);
    this.#listeners.set(change, listeners);
  }

  tell(change: Change): void {
    for (const listener of this.#listeners.get(change) ?? []) listener();
  }

  /** Colours by another property; what was hidden by it before is hidden again. */
  colorBy(name: SchemeName): void {
    this.#hidden.set(this.scheme.name, this.hidden);
    this.scheme = this.#scheme(name);
    this.hidden = this.#hidden.get(name) ?? new Set();
    this.#show();
    this.tell("scheme");
    this.tell("shown");
  }

  hide(classes: Iterable<number>): void {
    this.hidden = new Set(classes);
    this.#show();
    this.tell("shown");
  }

  toggle(one: number): void {
    const hidden = new Set(this.hidden);
    if (!hidden.delete(one)) hidden.add(one);
    this.hide(hidden);
  }

  /** Hides every class but `one`; shows all if that was so already. */
  only(one: number): void {
    const others = this.scheme.classes.map((_, i) => i).filter((i) => i !== one);
    const already = !this.hidden.has(one) && this.hidden.size === others.length;
    this.hide(already ? [] : others);
  }

  select(songs: Iterable<number>, choice: Choice): void {
    if (choice === "replace") this.selected.fill(0);
    const value = choice === "remove" ? 0 : 1;
    for (const song of songs) this.selected[song] = value;
    this.selectedCount = this.selected.reduce((sum, one) => sum + one, 0);
    this.tell("selection");
  }

  /** The selected songs, in the order of the data. */
  selection(): number[] {
    const songs: number[] = [];
    for (let i = 0; i < this.count; i++) if (this.selected[i]) songs.push(i);
    return songs;
  }

  focusOn(song: number): void {
    if (song === this.focus) return;
    this.focus = song;
    if (song < 0) this.near = false;
    this.tell("focus");
  }

  showNear(near: boolean): void {
    this.near = near && this.data.neighbors !== null && this.focus >= 0;
    this.tell("focus");
  }

  /** The songs nearest to `song` in the space of the model, the nearest first. */
  neighbors(song: number): number[] {
    const neighbors = this.data.neighbors;
    if (!neighbors) return [];
    const { k, ids } = neighbors;
    return [...ids.subarray(song * k, song * k + k)].filter((id) => id !== NONE && id !== song);
  }

  /** Whether the song can be seen on the map. */
  visible(song: number): boolean {
    return this.shown[song] === 1 && this.placed[song] === 1;
  }

  #scheme(name: SchemeName): Scheme {
    const made = this.#schemes.get(name) ?? scheme(this.data, name);
    this.#schemes.set(name, made);
    return made;
  }

  #show(): void {
    const { of } = this.scheme;
    for (let i = 0; i < this.count; i++) this.shown[i] = this.hidden.has(of[i]) ? 0 : 1;
  }
}
