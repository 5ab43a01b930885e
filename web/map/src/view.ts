// The map itself: the songs, what is drawn over them, and the frames.

import { Camera, type Flat, type Orbit, Projection, clamp, positions } from "./camera";
import { byId } from "./element";
import * as labels from "./labels";
import { type Rgb, grey, rampColor } from "./palette";
import { type Point, at } from "./pick";
import { type Colors, type Renderer, SELECTED, plainCanvas, webgl } from "./renderer";
import type { State } from "./state";

// Milliseconds after the last movement until everything is drawn again.
const SETTLED = 160;
// Frames slower than this while moving draw fewer songs, faster ones more.
const SLOW = 34;
const FAST = 20;
const FEWEST = 20_000;
const REACH = 14;

export class MapView {
  readonly camera: Camera;
  readonly canvas = byId<HTMLCanvasElement>("points");
  /** What the pointer is drawing, in pixels of the window. */
  outline: Point[] = [];
  /** Draws more over the songs, last of all; the dashboard marks places with it. */
  over: ((context: CanvasRenderingContext2D) => void) | null = null;
  /** Times between frames while the map moves, in milliseconds; tests read it. */
  readonly frames: number[] = [];

  private readonly overlay = byId<HTMLCanvasElement>("overlay");
  private readonly context = this.overlay.getContext("2d")!;
  readonly places;
  private readonly clusters;
  private readonly projection: Projection;
  private readonly renderer: Renderer;
  private readonly colors: Colors;
  private readonly marks: Uint8Array;
  private stale = true;
  private waiting = false;
  private budget: number;
  private movedAt = -Infinity;
  private drawnAt = 0;
  private settle = 0;
  private flight = 0;
  private ended = false;
  private readonly size: ResizeObserver;

  constructor(private readonly state: State) {
    this.places = positions(state.data);
    this.camera = new Camera(this.places.half, state.data.dims === 3, this.places.radius);
    this.clusters = labels.clusterPlaces(state, this.places);
    this.projection = new Projection(state.count);
    this.colors = new Uint8Array(4 * state.count);
    this.marks = new Uint8Array(state.count);
    this.budget = state.count;
    this.renderer =
      webgl(this.canvas, this.places.values) ?? plainCanvas(this.canvas, () => this.projected());

    // A canvas that was taken out is told of its size once more.
    this.size = new ResizeObserver(() => this.canvas.isConnected && this.resize());
    this.size.observe(byId("stage"));
    this.resize();
    this.camera.fit();
    for (const change of ["scheme", "shown", "selection", "theme"] as const) {
      state.on(change, () => this.paint());
    }
    state.on("focus", () => this.redraw());
    this.canvas.addEventListener("redraw", () => this.redraw());
    this.paint();
  }

  /** Draws a frame soon; several calls before it draw one. */
  redraw(): void {
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame((now) => {
      this.waiting = false;
      this.draw(now);
    });
  }

  /** The camera has changed. */
  moved(): void {
    this.stale = true;
    this.movedAt = performance.now();
    clearTimeout(this.settle);
    this.settle = window.setTimeout(() => {
      this.redraw();
      this.state.tell("view");
    }, SETTLED);
    this.redraw();
  }

  stop(): void {
    cancelAnimationFrame(this.flight);
  }

  /** Draws no more: its place in the page goes. */
  end(): void {
    this.stop();
    this.size.disconnect();
    clearTimeout(this.settle);
    this.ended = true;
  }

  fit(): void {
    const { flat, orbit } = this.camera;
    this.camera.fit();
    const goal = { flat: this.camera.flat, orbit: this.camera.orbit };
    [this.camera.flat, this.camera.orbit] = [flat, orbit];
    this.fly(goal);
  }

  /** Brings a song into the middle of the view. */
  flyTo(song: number): void {
    if (!this.state.placed[song]) return;
    const place = this.places.values.subarray(3 * song, 3 * song + 3);
    const closer = clamp(Math.sqrt(this.state.count / 400), 1, 8);
    this.fly(this.camera.centered(place, closer));
  }

  setSolid(solid: boolean): void {
    this.stop();
    this.camera.solid = solid && this.state.data.dims === 3;
    this.moved();
    this.state.tell("view");
  }

  songAt(point: Point): number {
    return at(this.projected(), point, REACH, (song) => this.state.visible(song));
  }

  /** The song nearest to the middle of the view. */
  songInTheMiddle(): number {
    const { width, height } = this.camera;
    const middle: Point = [width / 2, height / 2];
    return at(this.projected(), middle, Math.hypot(...middle), (song) => this.state.visible(song));
  }

  /** How many of `others`, n of them, are among the n songs nearest on the map. */
  amongNearest(song: number, others: number[]): number {
    const { values } = this.places;
    const distance = (one: number) => {
      const between = [0, 1, 2].map((axis) => values[3 * one + axis] - values[3 * song + axis]);
      return Math.hypot(...between);
    };
    // Whoever has fewer than n songs nearer than itself is among the n nearest.
    const distances = others.map(distance);
    const nearer = new Uint32Array(others.length);
    for (let i = 0; i < this.state.count; i++) {
      if (i === song) continue;
      const one = distance(i);
      for (let j = 0; j < distances.length; j++) if (one < distances[j]) nearer[j]++;
    }
    return nearer.reduce((sum, before) => sum + (before < others.length ? 1 : 0), 0);
  }

  projected(): Projection {
    if (this.stale) {
      const { width, height } = this.camera;
      this.projection.update(this.places.values, this.camera.matrix(), width, height);
      this.stale = false;
    }
    return this.projection;
  }

  private fly(goal: { flat: Flat; orbit: Orbit }): void {
    this.stop();
    const from = { flat: { ...this.camera.flat }, orbit: { ...this.camera.orbit } };
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    const begun = performance.now();
    const step = (now: number) => {
      const t = still ? 1 : clamp((now - begun) / 350, 0, 1);
      const eased = 1 - (1 - t) ** 3;
      const mix = (a: number, b: number) => a + (b - a) * eased;
      // Sizes change by factors, so that speed seems even.
      const scale = (a: number, b: number) => a * (b / a) ** eased;
      this.camera.flat = {
        x: mix(from.flat.x, goal.flat.x),
        y: mix(from.flat.y, goal.flat.y),
        zoom: scale(from.flat.zoom, goal.flat.zoom),
      };
      this.camera.orbit = {
        x: mix(from.orbit.x, goal.orbit.x),
        y: mix(from.orbit.y, goal.orbit.y),
        z: mix(from.orbit.z, goal.orbit.z),
        yaw: mix(from.orbit.yaw, goal.orbit.yaw),
        pitch: mix(from.orbit.pitch, goal.orbit.pitch),
        distance: scale(from.orbit.distance, goal.orbit.distance),
      };
      this.moved();
      if (t < 1) this.flight = requestAnimationFrame(step);
    };
    step(begun);
  }

  private resize(): void {
    const { width, height } = byId("stage").getBoundingClientRect();
    // While the table is shown the map has no size; it keeps the one it had.
    if (width < 1 || height < 1) return;
    [this.camera.width, this.camera.height] = [width, height];
    const ratio = Math.min(window.devicePixelRatio || 1, 2);
    this.renderer.resize(width, height, ratio);
    this.overlay.width = Math.round(width * ratio);
    this.overlay.height = Math.round(height * ratio);
    this.context.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.stale = true;
    // At once, because a canvas that changes its size is empty.
    this.draw(performance.now());
  }

  private paint(): void {
    const { state, colors, marks } = this;
    const { of, level, classes } = state.scheme;
    const palette = classes.map((one) => one.color(state.theme));
    const none = grey(state.theme);
    const ramp: Rgb[] = level
      ? Array.from({ length: 256 }, (_, i) => rampColor(state.theme, i / 255))
      : [];
    for (let i = 0; i < state.count; i++) {
      let color = palette[of[i]];
      if (level) {
        color = level[i] >= -Infinity ? ramp[Math.round(clamp(level[i], 0, 1) * 255)] : none;
      }
      colors.set(color, 4 * i);
      colors[4 * i + 3] = state.visible(i) ? 255 : 0;
      marks[i] = classes[of[i]].shape | (state.selected[i] ? SELECTED : 0);
    }
    this.renderer.paint(colors, marks);
    this.redraw();
  }

  private draw(now: number): void {
    // A frame may have been asked for before the end.
    if (this.ended) return;
    const moving = now - this.movedAt < SETTLED;
    if (moving && now - this.drawnAt < 500) this.pace(now - this.drawnAt);
    this.drawnAt = now;
    const { camera, state } = this;
    const spacing = Math.sqrt((camera.width * camera.height) / Math.max(state.count, 1));
    const zoom = Math.max(camera.zoom, 0.5);
    const size = clamp(spacing * 0.7 * (camera.solid ? 1 : zoom ** 0.55), 2.8, 11);
    const crowd = clamp(spacing * zoom, 0, 14) / 14;
    this.renderer.draw({
      matrix: camera.matrix(),
      solid: camera.solid,
      distance: camera.orbit.distance,
      size,
      opacity: camera.solid ? 1 : 0.6 + 0.3 * crowd,
      background: this.color("--canvas"),
      dimmed: state.selectedCount > 0,
      budget: moving ? this.budget : state.count,
    });
    this.drawOverlay(size);
  }

  private pace(time: number): void {
    this.frames.push(time);
    if (this.frames.length > 600) this.frames.shift();
    if (time > SLOW) this.budget = Math.max(FEWEST, this.budget * Math.max(0.4, SLOW / time));
    if (time < FAST) this.budget = Math.min(this.state.count, this.budget * 1.1);
  }

  private drawOverlay(size: number): void {
    const { context, state, camera } = this;
    const { width, height } = camera;
    const projection = this.projected();
    const { x, y } = projection;
    const style = getComputedStyle(document.documentElement);
    const [ink, halo, accent] = ["--ink", "--canvas", "--accent"].map((name) =>
      style.getPropertyValue(name),
    );
    context.clearRect(0, 0, width, height);

    if (state.near) {
      context.strokeStyle = accent;
      context.lineWidth = 1.5;
      context.globalAlpha = 0.85;
      for (const song of state.neighbors(state.focus)) {
        if (Number.isNaN(x[song]) || Number.isNaN(x[state.focus])) continue;
        context.beginPath();
        context.moveTo(x[state.focus], y[state.focus]);
        context.lineTo(x[song], y[song]);
        context.stroke();
        this.ring(x[song], y[song], size / 2 + 3, accent, halo);
      }
      context.globalAlpha = 1;
    }
    if (state.labels) {
      const chosen = labels.choose(state, this.clusters, projection, width, height, camera.zoom);
      labels.draw(context, chosen, width, height, ink, halo);
    }
    if (state.hover >= 0) this.ring(x[state.hover], y[state.hover], size / 2 + 3, ink, halo);
    if (state.focus >= 0) {
      this.ring(x[state.focus], y[state.focus], size / 2 + 5, accent, halo);
      this.ring(x[state.focus], y[state.focus], size / 2 + 10, accent, halo);
    }
    if (this.outline.length > 1) {
      context.beginPath();
      this.outline.forEach(([px, py]) => context.lineTo(px, py));
      context.closePath();
      context.strokeStyle = accent;
      context.lineWidth = 1.5;
      context.setLineDash([5, 4]);
      context.stroke();
      context.setLineDash([]);
      context.globalAlpha = 0.1;
      context.fillStyle = accent;
      context.fill("evenodd");
      context.globalAlpha = 1;
    }
    this.over?.(context);
  }

  private ring(x: number, y: number, radius: number, color: string, halo: string): void {
    if (Number.isNaN(x)) return;
    for (const [width, style] of [[4.5, halo], [2, color]] as const) {
      this.context.beginPath();
      this.context.arc(x, y, radius, 0, 2 * Math.PI);
      this.context.lineWidth = width;
      this.context.strokeStyle = style;
      this.context.stroke();
    }
  }

  private color(name: string): Rgb {
    const hex = getComputedStyle(document.documentElement).getPropertyValue(name).trim();
    const value = parseInt(hex.slice(1), 16);
    return [value >> 16, (value >> 8) & 255, value & 255];
  }
}
