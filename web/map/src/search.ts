// Finds songs by title and artist.

import { announce, byId, element, set } from "./element";
import type { MapData } from "./data";
import type { State } from "./state";
import type { MapView } from "./view";
import { artist, count, fold, title } from "./words";

const LISTED = 12;

/** Songs that hold every word of a query, the best first. */
export class Finder {
  // Title and artist of each song, with a line break between; made when needed.
  private texts: string[] | null = null;

  constructor(private readonly data: MapData) {}

  find(query: string): number[] {
    const words = fold(query).split(/\s+/).filter((word) => word !== "");
    if (words.length === 0) return [];
    this.texts ??= this.data.songs.id.map(
      (_, song) => `${fold(title(this.data, song))}\n${fold(artist(this.data, song))}`,
    );
    const phrase = words.join(" ");
    const found: [number, number][] = [];
    this.texts.forEach((text, song) => {
      if (words.every((word) => text.includes(word))) found.push([rank(text, phrase, words), song]);
    });
    return found.sort((a, b) => a[0] - b[0] || a[1] - b[1]).map(([, song]) => song);
  }
}

function rank(text: string, phrase: string, words: string[]): number {
  const [title, artist] = text.split("\n");
  if (title === phrase) return 0;
  if (title.startsWith(phrase)) return 1;
  if (artist === phrase) return 2;
  if (artist.startsWith(phrase)) return 3;
  const begins = (word: string) => text.startsWith(word) || text.includes(` ${word}`) || text.includes(`\n${word}`);
  return words.every(begins) ? 4 : 5;
}

export function search(state: State, view: MapView, finder: Finder): void {
  const box = byId<HTMLInputElement>("search");
  const list = byId("results");
  let found: number[] = [];
  let at = -1;
  let timer = 0;

  const open = (visible: boolean) => {
    list.hidden = !visible;
    set(box, { "aria-expanded": String(visible) });
    if (!visible) set(box, { "aria-activedescendant": null });
  };
  const go = (song: number) => {
    open(false);
    state.focusOn(song);
    if (state.page === "map") view.flyTo(song);
    announce(`${title(state.data, song)} is in the middle of the map`);
  };
  const mark = (to: number) => {
    const options = list.querySelectorAll("[role=option]");
    options[at]?.removeAttribute("aria-selected");
    at = to;
    const option = options[at];
    if (!option) return;
    set(option, { "aria-selected": "true" });
    set(box, { "aria-activedescendant": option.id });
    option.scrollIntoView({ block: "nearest" });
  };
  const look = () => {
    state.query = box.value;
    state.tell("query");
    if (state.page === "table") return open(false);
    found = finder.find(box.value);
    at = -1;
    const options = found.slice(0, LISTED).map((song, i) => {
      const hidden = state.visible(song) ? null : element("em", {}, "hidden");
      const option = element(
        "li",
        { role: "option", id: `result-${i}` },
        element("span", { class: "name", dir: "auto" }, title(state.data, song)),
        element("span", { class: "by", dir: "auto" }, artist(state.data, song)),
        hidden,
      );
      // Before the box loses the focus.
      option.addEventListener("pointerdown", (event) => {
        event.preventDefault();
        go(song);
      });
      return option;
    });
    const total = element("li", { class: "total", role: "presentation" }, matches(found.length));
    if (found.length > 0) {
      const all = element("button", { type: "button", tabindex: -1 }, "Select all");
      all.addEventListener("pointerdown", (event) => {
        event.preventDefault();
        state.select(found, state.choice);
        open(false);
        announce(`${count(state.selectedCount, "song")} selected`);
      });
      total.append(all);
    }
    list.replaceChildren(...options, total);
    open(box.value.trim() !== "");
    announce(matches(found.length));
    if (found.length > 0) mark(0);
  };

  box.addEventListener("input", () => {
    clearTimeout(timer);
    timer = window.setTimeout(look, state.count > 20_000 ? 120 : 0);
  });
  box.addEventListener("focus", () => {
    if (box.value.trim() !== "") look();
  });
  box.addEventListener("blur", () => open(false));
  box.addEventListener("keydown", (event) => {
    const last = Math.min(found.length, LISTED) - 1;
    if (event.key === "Enter") {
      clearTimeout(timer);
      if (list.hidden || state.query !== box.value) look();
      const song = found[Math.max(at, 0)];
      if (song !== undefined && state.page === "map") {
        if (event.shiftKey) state.select([song], "add");
        go(song);
      }
    } else if (list.hidden) return;
    else if (event.key === "ArrowDown") mark(at >= last ? 0 : at + 1);
    else if (event.key === "ArrowUp") mark(at <= 0 ? last : at - 1);
    else if (event.key === "Escape") {
      open(false);
      event.stopPropagation();
    } else return;
    event.preventDefault();
  });
}

function matches(n: number): string {
  return n === 0 ? "No song matches" : count(n, "song matches", "songs match");
}
