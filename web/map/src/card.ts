// The song that is looked at, and its true neighbours.

import { announce, button, byId, element } from "./element";
import { choose } from "./input";
import type { Player } from "./player";
import { copy } from "./save";
import type { State } from "./state";
import { factList, facts } from "./tooltip";
import type { MapView } from "./view";
import * as words from "./words";

export function card(state: State, view: MapView, player: Player): void {
  const box = byId("song");
  const draw = () => {
    const song = state.focus;
    byId("song-section").hidden = song < 0;
    if (song < 0) return;
    const { data } = state;
    const path = words.plain(data.songs.path[song] ?? "");
    const pairs = facts(state, song);
    if (path !== "") pairs.push(["File", path]);
    const chosen = state.selected[song] === 1;
    const neighbors = state.neighbors(song);
    box.replaceChildren(
      element("h3", { dir: "auto" }, words.title(data, song)),
      factList(pairs),
      element(
        "div",
        { class: "buttons" },
        neighbors.length === 0
          ? null
          : button("Show its nearest", () => state.showNear(!state.near), {
              id: "near",
              "aria-pressed": String(state.near),
            }),
        player.has(song)
          ? button(player.playing === song ? "Stop" : "Play", () => player.toggle(song))
          : null,
        button("Centre", () => view.flyTo(song)),
        button(chosen ? "Deselect" : "Select", () =>
          choose(state, [song], chosen ? "remove" : "add"),
        ),
        button("Copy id", () => void copy(data.songs.id[song], "The id is copied")),
      ),
      state.near ? nearest(state, view, song, neighbors) : "",
    );
    if (state.placed[song] === 0) {
      box.append(element("p", { class: "note" }, "This song has no place on the map."));
    }
  };
  const keepingFocus = () => {
    // The buttons are made anew; who works with keys stays on the same one.
    const buttons = () => [...box.querySelectorAll("button")];
    const at = buttons().indexOf(document.activeElement as HTMLButtonElement);
    draw();
    if (at >= 0) (buttons()[at] ?? buttons()[0])?.focus();
  };
  for (const change of ["focus", "selection", "playing"] as const) state.on(change, keepingFocus);
  draw();
}

function nearest(state: State, view: MapView, song: number, neighbors: number[]): Element {
  const list = element("ol", { class: "songs" });
  for (const one of neighbors) {
    const go = button(words.name(state.data, one), () => {
      state.focusOn(one);
      view.flyTo(one);
      announce(words.name(state.data, one));
    });
    go.dir = "auto";
    if (!state.visible(one)) go.classList.add("unseen");
    list.append(element("li", {}, go));
  }
  const near = view.amongNearest(song, neighbors);
  const total = neighbors.length;
  const note =
    `Distances on this map are distorted: lines show the true nearest songs. ` +
    `Of these ${total}, ${near} ${near === 1 ? "is" : "are"} also among the ${total} nearest on the map.`;
  return element(
    "div",
    { id: "nearest" },
    element("p", { class: "note" }, note),
    list,
    element(
      "div",
      { class: "buttons" },
      button("Select them", () => choose(state, [song, ...neighbors], "replace")),
    ),
  );
}
