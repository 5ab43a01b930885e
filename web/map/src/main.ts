// Puts the page together once the document is there.

import { address } from "./address";
import { card } from "./card";
import { BadData, type MapData, parse } from "./data";
import { byId, set } from "./element";
import { listen } from "./input";
import { legend } from "./legend";
import { Player } from "./player";
import { type SchemeName, usable } from "./scheme";
import { Finder, search } from "./search";
import { selection } from "./selection";
import { type Page, State } from "./state";
import { table } from "./table";
import * as theme from "./theme";
import { tooltip } from "./tooltip";
import { MapView } from "./view";
import { count, plain } from "./words";

theme.apply();
document.addEventListener("DOMContentLoaded", () => {
  // A moment later, so that “Reading the map” is seen while a large one is read.
  setTimeout(start, 30);
});

function start(): void {
  const source = byId("map-data");
  try {
    const data = parse(source.textContent ?? "");
    // Megabytes that are not needed twice.
    source.textContent = "";
    show(data);
    byId("loading").hidden = true;
  } catch (error) {
    byId("loading").textContent =
      error instanceof BadData ? error.message : `The map could not be shown: ${error}`;
    byId("loading").classList.add("failed");
    if (!(error instanceof BadData)) throw error;
  }
}

function show(data: MapData): void {
  describe(data);
  if (data.count === 0) throw new BadData("This library has no songs to show yet.");
  const able = usable(data);
  const wanted = data.color as SchemeName;
  const state = new State(data, able.includes(wanted) ? wanted : (able[0] ?? "genre"));
  state.theme = theme.theme();
  byId("page").hidden = false;

  const finder = new Finder(data);
  const view = new MapView(state);
  const player = new Player(state);
  listen(state, view);
  tooltip(state);
  legend(state);
  card(state, view, player);
  selection(state, view);
  search(state, view, finder);
  // Before the table, which measures itself once it is shown.
  controls(state, view);
  table(state, finder);
  keys(state, view, player);
  address(state, view);
  theme.follow((now) => {
    if (now === state.theme) return;
    state.theme = now;
    state.tell("theme");
  });
  Object.assign(window, { songrecMap: { state, view } });
}

function describe(data: MapData): void {
  const library = plain(data.library) || "Library";
  document.title = `${library}: map of ${count(data.count, "song")}`;
  byId("library").textContent = library;
  byId("library").title = library;
  byId("total").textContent = count(data.count, "song");
  const unplaced = new Set<number>();
  data.coordinates.forEach((value, i) => {
    if (!Number.isFinite(value)) unplaced.add(Math.floor(i / data.dims));
  });
  byId("made").textContent = [
    plain(data.model),
    `${plain(data.method).toUpperCase()} in ${data.dims} dimensions`,
    data.seed === null ? "" : `seed ${data.seed}`,
    data.trustworthiness === null ? "" : `trustworthiness ${data.trustworthiness.toFixed(3)}`,
    data.made === "" ? "" : `made ${plain(data.made).slice(0, 10)}`,
    unplaced.size === 0 ? "" : `${count(unplaced.size, "song")} without a place`,
  ]
    .filter((part) => part !== "")
    .join(" · ");
}

function controls(state: State, view: MapView): void {
  const press = (name: string, is: (value: string) => boolean) => {
    for (const one of document.querySelectorAll<HTMLElement>(`[data-${name}]`)) {
      set(one, { "aria-pressed": String(is(one.dataset[name]!)) });
    }
  };
  const on = (name: string, act: (value: string) => void) => {
    for (const one of document.querySelectorAll<HTMLElement>(`[data-${name}]`)) {
      one.addEventListener("click", () => act(one.dataset[name]!));
    }
  };
  byId("dims").hidden = state.data.dims !== 3;
  on("dims", (value) => view.setSolid(value === "3"));
  on("page", (value) => {
    state.page = value as Page;
    state.tell("page");
  });
  const dims = () => {
    press("dims", (value) => (value === "3") === view.camera.solid);
    byId("hint").textContent = view.camera.solid
      ? "Drag turns, with Shift it pans"
      : state.data.dims === 3
        ? "The first two of three dimensions"
        : "Drag pans, the wheel zooms";
  };
  state.on("view", dims);
  state.on("page", () => {
    press("page", (value) => value === state.page);
    byId("stage").hidden = state.page !== "map";
    byId("table-page").hidden = state.page !== "table";
    byId("tools").hidden = state.page !== "map";
    dims();
    view.redraw();
  });
  byId("zoom-in").addEventListener("click", () => zoom(view, 1.5));
  byId("zoom-out").addEventListener("click", () => zoom(view, 1 / 1.5));
  byId("fit").addEventListener("click", () => view.fit());
  const labels = byId<HTMLInputElement>("labels");
  labels.addEventListener("change", () => {
    state.labels = labels.checked;
    view.redraw();
  });
}

function zoom(view: MapView, factor: number): void {
  view.stop();
  view.camera.zoomAt(factor, view.camera.width / 2, view.camera.height / 2);
  view.moved();
}

// Keys that work everywhere, unless something is being typed.
function keys(state: State, view: MapView, player: Player): void {
  document.addEventListener("keydown", (event) => {
    const target = event.target as HTMLElement;
    const typing = target.matches("input:not([type=checkbox], [type=radio]), select, textarea");
    if (event.key === "Escape") {
      escape(state, view, player);
      if (typing) target.blur();
      return;
    }
    if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "/") {
      event.preventDefault();
      byId<HTMLInputElement>("search").focus();
      byId<HTMLInputElement>("search").select();
    }
    const song = state.hover >= 0 ? state.hover : state.focus;
    const free = target === document.body || target === view.canvas;
    if (event.key === " " && free && (player.has(song) || player.playing >= 0)) {
      event.preventDefault();
      player.toggle(song);
    }
  });
}

// Takes back the last thing first: the outline, what plays, the lines, the song,
// and then the selection.
function escape(state: State, view: MapView, player: Player): void {
  if (view.outline.length > 0) {
    view.outline = [];
    view.redraw();
  } else if (player.playing >= 0) player.stop();
  else if (state.near) state.showNear(false);
  else if (state.focus >= 0) state.focusOn(-1);
  else if (state.selectedCount > 0) state.select([], "replace");
}
