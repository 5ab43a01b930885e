// Pointer and keys on the map.

import { announce, byId } from "./element";
import { type Point, inside, rectangle } from "./pick";
import type { Choice, State } from "./state";
import type { MapView } from "./view";
import { count, name } from "./words";

// A press that moves less than this, in pixels, is a click.
const CLICK = 4;
// Pixels that an arrow key pans.
const PAN = 60;

type Drag = "pan" | "turn" | "outline" | "pinch";

export function listen(state: State, view: MapView): void {
  const { canvas, camera } = view;
  const pointers = new Map<number, Point>();
  let drag: Drag | null = null;
  let start: Point = [0, 0];
  let far = false;

  const point = (event: PointerEvent | WheelEvent | MouseEvent): Point => {
    const box = canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };

  canvas.addEventListener("pointerdown", (event) => {
    view.stop();
    canvas.setPointerCapture(event.pointerId);
    const here = point(event);
    pointers.set(event.pointerId, here);
    hover(state, view, -1);
    if (pointers.size === 2) {
      drag = "pinch";
      view.outline = [];
      return;
    }
    [start, far] = [here, false];
    const side = event.button !== 0 || (state.tool === "move" && event.shiftKey);
    if (side) drag = "pan";
    else if (state.tool !== "move") drag = "outline";
    else drag = camera.solid ? "turn" : "pan";
  });

  canvas.addEventListener("pointermove", (event) => {
    const here = point(event);
    const last = pointers.get(event.pointerId);
    if (!last) {
      if (event.pointerType !== "touch") hover(state, view, view.songAt(here), here);
      return;
    }
    if (drag === "pinch") {
      pinch(view, pointers, event.pointerId, here);
      return;
    }
    pointers.set(event.pointerId, here);
    far ||= Math.hypot(here[0] - start[0], here[1] - start[1]) > CLICK;
    if (!far) return;
    const [dx, dy] = [here[0] - last[0], here[1] - last[1]];
    if (drag === "pan") camera.pan(dx, dy);
    else if (drag === "turn") camera.turn(dx, dy);
    else if (drag === "outline") {
      if (state.tool === "rectangle") view.outline = rectangle(start, here);
      else {
        if (view.outline.length === 0) view.outline.push(start);
        const [x, y] = view.outline[view.outline.length - 1];
        if (Math.hypot(here[0] - x, here[1] - y) > 3) view.outline.push(here);
      }
      view.redraw();
      return;
    }
    view.moved();
  });

  const release = (event: PointerEvent) => {
    if (!pointers.delete(event.pointerId)) return;
    if (drag === "pinch") {
      if (pointers.size === 0) drag = null;
      return;
    }
    if (event.type === "pointerup") {
      if (!far) click(state, view, point(event));
      else if (drag === "outline" && view.outline.length > 2) {
        const songs = inside(view.projected(), view.outline, (song) => state.visible(song));
        choose(state, songs, event.shiftKey ? "add" : event.altKey ? "remove" : state.choice);
      }
    }
    drag = null;
    view.outline = [];
    view.redraw();
  };
  canvas.addEventListener("pointerup", release);
  canvas.addEventListener("pointercancel", release);
  canvas.addEventListener("pointerleave", () => hover(state, view, -1));
  canvas.addEventListener("contextmenu", (event) => event.preventDefault());

  canvas.addEventListener(
    "wheel",
    (event) => {
      event.preventDefault();
      view.stop();
      // Lines and pages of a wheel, in pixels.
      const unit = [1, 16, 400][event.deltaMode];
      const delta = Math.max(-300, Math.min(300, event.deltaY * unit));
      const [x, y] = point(event);
      camera.zoomAt(Math.exp(-delta * (event.ctrlKey ? 0.01 : 0.0022)), x, y);
      hover(state, view, -1);
      view.moved();
    },
    { passive: false },
  );
  canvas.addEventListener("dblclick", (event) => {
    camera.zoomAt(2, ...point(event));
    view.moved();
  });
  canvas.addEventListener("keydown", (event) => {
    if (key(state, view, event)) event.preventDefault();
  });
}

/** Selects songs and says how many. */
export function choose(state: State, songs: number[], choice: Choice): void {
  state.select(songs, choice);
  announce(`${count(state.selectedCount, "song")} selected`);
}

function click(state: State, view: MapView, here: Point): void {
  state.focusOn(view.songAt(here));
}

function pinch(view: MapView, pointers: Map<number, Point>, id: number, here: Point): void {
  const pair = () => [...pointers.values()];
  const [a, b] = pair();
  pointers.set(id, here);
  const [c, d] = pair();
  const apart = (p: Point, q: Point) => Math.max(Math.hypot(p[0] - q[0], p[1] - q[1]), 1);
  const [x, y] = [(c[0] + d[0]) / 2, (c[1] + d[1]) / 2];
  view.camera.pan(x - (a[0] + b[0]) / 2, y - (a[1] + b[1]) / 2);
  view.camera.zoomAt(apart(c, d) / apart(a, b), x, y);
  view.moved();
}

function hover(state: State, view: MapView, song: number, here?: Point): void {
  if (song !== state.hover) {
    state.hover = song;
    view.canvas.style.cursor = song >= 0 ? "pointer" : "";
    view.redraw();
  }
  byId("tooltip").dispatchEvent(new CustomEvent("follow", { detail: here }));
}

function key(state: State, view: MapView, event: KeyboardEvent): boolean {
  if (event.ctrlKey || event.metaKey || event.altKey) return false;
  const { camera } = view;
  const middle = [camera.width / 2, camera.height / 2] as const;
  const arrows: Record<string, Point> = {
    ArrowLeft: [PAN, 0],
    ArrowRight: [-PAN, 0],
    ArrowUp: [0, PAN],
    ArrowDown: [0, -PAN],
  };
  const arrow = arrows[event.key];
  if (arrow) {
    if (camera.solid && event.shiftKey) camera.turn(...arrow);
    else camera.pan(...arrow);
  } else if (event.key === "+" || event.key === "=") camera.zoomAt(1.3, ...middle);
  else if (event.key === "-" || event.key === "_") camera.zoomAt(1 / 1.3, ...middle);
  else if (event.key === "0" || event.key === "Home") {
    view.fit();
    return true;
  } else if (event.key === "Enter") {
    const song = view.songInTheMiddle();
    state.focusOn(song);
    announce(song < 0 ? "No song is shown" : name(state.data, song));
    return true;
  } else if (event.key === "n" && state.focus >= 0) {
    state.showNear(!state.near);
    return true;
  } else return false;
  view.stop();
  view.moved();
  return true;
}
