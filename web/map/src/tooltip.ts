// What a song is, beside the pointer.

import { byId, element } from "./element";
import { clusterName } from "./scheme";
import type { State } from "./state";
import * as words from "./words";

/** What is known of a song, as pairs of a name and a text. */
export function facts(state: State, song: number): [string, string][] {
  const { songs } = state.data;
  const cluster = songs.cluster[song];
  const all: [string, string | null][] = [
    ["Artist", songs.artist[song]],
    ["Album", songs.album[song]],
    ["Genre", songs.genre[song]],
    ["BPM", words.bpm(songs.bpm[song])],
    ["Key", songs.key[song]],
    ["Length", words.duration(songs.duration[song])],
    ["Cluster", cluster === null ? "" : clusterName(state.data, cluster)],
    ["Anomaly", words.anomaly(songs.anomaly[song])],
  ];
  return all
    .map(([name, text]): [string, string] => [name, words.plain(text ?? "")])
    .filter(([, text]) => text !== "");
}

export function factList(pairs: [string, string][]): HTMLDListElement {
  const list = element("dl", { class: "facts" });
  for (const [name, text] of pairs) {
    list.append(element("dt", {}, name), element("dd", { dir: "auto" }, text));
  }
  return list;
}

export function tooltip(state: State): void {
  const box = byId("tooltip");
  let shown = -1;
  box.addEventListener("follow", (event) => {
    const here = (event as CustomEvent<[number, number] | undefined>).detail;
    const song = state.hover;
    box.hidden = song < 0 || !here;
    if (box.hidden || !here) return;
    if (song !== shown) {
      shown = song;
      const heading = element("strong", { dir: "auto" }, words.title(state.data, song));
      box.replaceChildren(heading, factList(facts(state, song)));
    }
    const stage = byId("stage").getBoundingClientRect();
    const { offsetWidth, offsetHeight } = box;
    const [x, y] = here;
    // On the side of the pointer where there is room.
    const left = x + 16 + offsetWidth < stage.width ? x + 16 : x - 16 - offsetWidth;
    const top = Math.min(y + 16, stage.height - offsetHeight - 8);
    box.style.transform = `translate(${Math.max(8, left)}px, ${Math.max(8, top)}px)`;
  });
}
