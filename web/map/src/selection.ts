// What is selected, and what can be done with it.

import { announce, button, byId, element, set } from "./element";
import { copy, csv, download, fileName, m3u8 } from "./save";
import type { Choice, State } from "./state";
import type { MapView } from "./view";
import { count, name } from "./words";

// Songs listed beside the map; the table lists all.
const LISTED = 100;

export function selection(state: State, view: MapView): void {
  const list = byId("selected");
  const draw = () => {
    const songs = state.selection();
    const some = songs.length > 0;
    byId("selected-count").textContent = some ? count(songs.length, "song") : "none";
    byId("selection-actions").hidden = !some;
    byId("selection-hint").hidden = some;
    list.replaceChildren(
      ...songs.slice(0, LISTED).map((song) => {
        const go = button(name(state.data, song), () => {
          state.focusOn(song);
          view.flyTo(song);
        });
        go.dir = "auto";
        return element("li", {}, go);
      }),
    );
    const rest = songs.length - LISTED;
    byId("selected-rest").textContent = rest > 0 ? `and ${count(rest, "more", "more")}, in the table` : "";
  };
  state.on("selection", draw);
  draw();

  const { data } = state;
  const act = (id: string, action: () => void) => byId(id).addEventListener("click", action);
  act("copy-ids", () => {
    const ids = state.selection().map((song) => data.songs.id[song]);
    void copy(ids.join("\n"), `${count(ids.length, "id is", "ids are")} copied`);
  });
  act("save-m3u8", () => {
    const { text, left } = m3u8(data, state.selection());
    download(fileName(data, "m3u8"), "audio/x-mpegurl", text);
    if (left > 0) byId("message").textContent = `${count(left, "song")} without a path left out.`;
  });
  act("save-csv", () => download(fileName(data, "csv"), "text/csv", csv(data, state.selection())));
  act("clear", () => {
    state.select([], "replace");
    announce("The selection is empty");
  });
  byId("save-m3u8").hidden = !data.songs.path.some((path) => path !== null);

  for (const radio of document.querySelectorAll<HTMLInputElement>("input[name=choice]")) {
    radio.addEventListener("change", () => {
      if (radio.checked) state.choice = radio.value as Choice;
    });
  }
  act("select-shown", () => {
    const shown: number[] = [];
    for (let i = 0; i < state.count; i++) if (state.shown[i]) shown.push(i);
    state.select(shown, state.choice);
    announce(`${count(state.selectedCount, "song")} selected`);
  });
  const tools = () => {
    for (const one of document.querySelectorAll<HTMLElement>("[data-tool]")) {
      set(one, { "aria-pressed": String(one.dataset.tool === state.tool) });
    }
    byId("stage").dataset.tool = state.tool;
  };
  state.on("tool", tools);
  for (const one of document.querySelectorAll<HTMLElement>("[data-tool]")) {
    one.addEventListener("click", () => {
      state.tool = one.dataset.tool as State["tool"];
      state.tell("tool");
    });
  }
  tools();
}
