// The view in the address of the page, so that a link shows the same again.

import { type SchemeName, usable } from "./scheme";
import type { State } from "./state";
import type { MapView } from "./view";

/** Keeps the address and the view alike. */
export function address(state: State, view: MapView): void {
  read(state, view);
  let timer = 0;
  let last = "";
  const later = () => {
    clearTimeout(timer);
    timer = window.setTimeout(() => {
      const hash = write(state, view);
      if (hash === last) return;
      last = hash;
      try {
        history.replaceState(null, "", hash);
      } catch {
        // Browsers that refuse it for a page that is a file.
        location.replace(hash);
      }
    }, 250);
  };
  for (const change of ["view", "scheme", "shown", "focus", "page"] as const) state.on(change, later);
  window.addEventListener("hashchange", () => {
    if (location.hash !== last) read(state, view);
  });
}

export function write(state: State, view: MapView): string {
  const { camera } = view;
  const parts = new URLSearchParams();
  const short = (value: number) => String(Number(value.toPrecision(5)));
  if (state.page === "table") parts.set("page", "table");
  if (state.data.dims === 3) parts.set("dims", camera.solid ? "3" : "2");
  const { flat, orbit } = camera;
  const where = camera.solid
    ? [orbit.x, orbit.y, orbit.z, orbit.yaw, orbit.pitch, orbit.distance]
    : [flat.x, flat.y, flat.zoom];
  parts.set("at", where.map(short).join(","));
  parts.set("color", state.scheme.name);
  const { classes } = state.scheme;
  const most = state.hidden.size > classes.length / 2;
  classes.forEach((one, i) => {
    // Whichever list is shorter.
    if (state.hidden.has(i) !== most) parts.append(most ? "only" : "hide", one.id);
  });
  if (most && !parts.has("only")) parts.set("hidden", "all");
  if (state.focus >= 0) parts.set("song", state.data.songs.id[state.focus]);
  if (state.near) parts.set("near", "1");
  return `#${parts}`;
}

function read(state: State, view: MapView): void {
  const parts = new URLSearchParams(location.hash.slice(1));
  const color = parts.get("color") as SchemeName | null;
  if (color !== null && color !== state.scheme.name && usable(state.data).includes(color)) {
    state.colorBy(color);
  }
  const { classes } = state.scheme;
  const ids = (name: string) => new Set(parts.getAll(name));
  const [hide, only] = [ids("hide"), ids("only")];
  const all = [...classes.keys()];
  if (parts.get("hidden") === "all") state.hide(all);
  else if (only.size > 0) state.hide(all.filter((i) => !only.has(classes[i].id)));
  else state.hide(all.filter((i) => hide.has(classes[i].id)));

  const { camera } = view;
  if (state.data.dims === 3 && parts.has("dims")) camera.solid = parts.get("dims") === "3";
  const where = (parts.get("at") ?? "").split(",").map(Number);
  if (where.every(Number.isFinite)) {
    if (camera.solid && where.length === 6 && where[5] > 0) {
      const [x, y, z, yaw, pitch, distance] = where;
      camera.orbit = { x, y, z, yaw, pitch, distance };
    } else if (!camera.solid && where.length === 3 && where[2] > 0) {
      camera.flat = { x: where[0], y: where[1], zoom: where[2] };
    }
  }
  const id = parts.get("song");
  const song = id === null ? -1 : state.data.songs.id.indexOf(id);
  state.focusOn(song);
  if (song >= 0) state.showNear(parts.get("near") === "1");
  state.page = parts.get("page") === "table" ? "table" : "map";
  state.tell("page");
  view.moved();
}
