// Names on the map: of clusters, and of songs where few are in view. A name is
// left out where it would lie over another.

import type { Positions, Projection } from "./camera";
import { clusterName } from "./scheme";
import type { State } from "./state";
import { plain, title } from "./words";

interface Label {
  text: string;
  x: number;
  y: number;
  strong: boolean;
}

interface ClusterPlace {
  id: number;
  text: string;
  /** The song that is nearest to the middle of the cluster. */
  song: number;
  size: number;
}

// Below this many songs in view their titles are written too.
const TITLES = 50;
const LONGEST = 28;

/** Where the name of each cluster goes, the largest cluster first. */
export function clusterPlaces(state: State, { values }: Positions): ClusterPlace[] {
  const members = new Map<number, number[]>();
  state.data.songs.cluster.forEach((id, song) => {
    if (id === null || !state.placed[song]) return;
    const songs = members.get(id);
    if (songs) songs.push(song);
    else members.set(id, [song]);
  });
  const places = [...members].map(([id, songs]) => {
    const middle = [0, 1, 2].map((axis) => {
      const along = Float32Array.from(songs, (song) => values[3 * song + axis]).sort();
      return along[along.length >> 1];
    });
    // The medians alone may lie outside a cluster that is bent.
    let [song, least] = [songs[0], Infinity];
    for (const one of songs) {
      const distance = Math.hypot(...middle.map((value, axis) => values[3 * one + axis] - value));
      if (distance < least) [song, least] = [one, distance];
    }
    return { id, text: shorten(plain(clusterName(state.data, id))), song, size: songs.length };
  });
  return places.sort((a, b) => b.size - a.size || a.id - b.id);
}

export function draw(
  context: CanvasRenderingContext2D,
  labels: Label[],
  width: number,
  height: number,
  ink: string,
  halo: string,
): void {
  const taken: [number, number, number, number][] = [];
  context.textBaseline = "middle";
  context.textAlign = "center";
  context.lineJoin = "round";
  context.lineWidth = 3.5;
  const family = getComputedStyle(document.body).fontFamily;
  for (const label of labels) {
    context.font = `${label.strong ? "600 12.5px" : "11px"} ${family}`;
    const half = context.measureText(label.text).width / 2 + 4;
    const box: [number, number, number, number] = [
      label.x - half,
      label.y - 9,
      label.x + half,
      label.y + 9,
    ];
    if (box[0] < 0 || box[1] < 0 || box[2] > width || box[3] > height) continue;
    const meets = ([l, t, r, b]: typeof box) => box[0] < r && box[2] > l && box[1] < b && box[3] > t;
    if (taken.some(meets)) continue;
    taken.push(box);
    context.strokeStyle = halo;
    context.strokeText(label.text, label.x, label.y);
    context.fillStyle = ink;
    context.fillText(label.text, label.x, label.y);
  }
}

/** The labels for this view, those that matter most first. */
export function choose(
  state: State,
  places: ClusterPlace[],
  { x, y }: Projection,
  width: number,
  height: number,
  zoom: number,
): Label[] {
  // The whole map shows the names of large clusters only; more come with zoom.
  const most = Math.max(8, Math.round(14 * zoom * Math.sqrt((width * height) / 1e6)));
  const labels: Label[] = [];
  for (const place of places) {
    if (labels.length >= most) break;
    const [px, py] = [x[place.song], y[place.song]];
    if (!state.shown[place.song] || !(px > 0 && px < width && py > 0 && py < height)) continue;
    labels.push({ text: place.text, x: px, y: py - 14, strong: true });
  }
  const inView: number[] = [];
  for (let i = 0; i < state.count && inView.length <= TITLES; i++) {
    if (x[i] > 0 && x[i] < width && y[i] > 0 && y[i] < height && state.visible(i)) inView.push(i);
  }
  if (inView.length <= TITLES) {
    for (const song of inView) {
      const text = shorten(title(state.data, song));
      labels.push({ text, x: x[song], y: y[song] + 15, strong: false });
    }
  }
  return labels;
}

function shorten(text: string): string {
  const letters = [...text];
  return letters.length <= LONGEST ? text : `${letters.slice(0, LONGEST - 1).join("")}…`;
}
