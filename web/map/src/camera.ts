// From the map to the window: a flat camera that pans and zooms, and one that
// moves round a point of a map with three dimensions.

import type { MapData } from "./data";

export type Matrix = Float64Array;

const FIELD = Math.PI / 4;
const MARGIN = 0.92;

export interface Flat {
  x: number;
  y: number;
  zoom: number;
}

export interface Orbit {
  x: number;
  y: number;
  z: number;
  yaw: number;
  pitch: number;
  distance: number;
}

/** Positions of all songs, moved and scaled into -1..1; three values a song. */
export interface Positions {
  values: Float32Array;
  /** Half the size of the map along each axis; the largest is 1. */
  half: [number, number, number];
  /** How far from the middle all but one song in a hundred are. */
  radius: number;
}

export function positions(data: MapData): Positions {
  const { dims, count, coordinates } = data;
  const low = [0, 0, 0];
  const high = [0, 0, 0];
  for (let axis = 0; axis < dims; axis++) {
    let [least, most] = [Infinity, -Infinity];
    for (let i = axis; i < coordinates.length; i += dims) {
      const value = coordinates[i];
      if (!Number.isFinite(value)) continue;
      if (value < least) least = value;
      if (value > most) most = value;
    }
    if (least <= most) [low[axis], high[axis]] = [least, most];
  }
  const scale = Math.max(...high.map((value, axis) => (value - low[axis]) / 2)) || 1;
  const values = new Float32Array(count * 3);
  for (let i = 0; i < count; i++) {
    for (let axis = 0; axis < dims; axis++) {
      const value = coordinates[i * dims + axis];
      values[3 * i + axis] = (value - (low[axis] + high[axis]) / 2) / scale;
    }
  }
  const half = high.map((value, axis) => Math.max((value - low[axis]) / 2 / scale, 0.05));
  return { values, half: half as [number, number, number], radius: radius(values) };
}

function radius(values: Float32Array): number {
  const all = new Float32Array(values.length / 3);
  let placed = 0;
  for (let i = 0; i < all.length; i++) {
    const distance = Math.hypot(values[3 * i], values[3 * i + 1], values[3 * i + 2]);
    if (Number.isFinite(distance)) all[placed++] = distance;
  }
  const sorted = all.subarray(0, placed).sort();
  return Math.max(sorted[Math.ceil(0.99 * (placed - 1))] ?? 1, 0.1);
}

export class Camera {
  flat: Flat = { x: 0, y: 0, zoom: 1 };
  orbit: Orbit = { x: 0, y: 0, z: 0, yaw: 0.6, pitch: 0.45, distance: 3.6 };
  solid: boolean;
  private readonly radius: number;
  width = 1;
  height = 1;

  constructor(
    readonly half: [number, number, number],
    solid: boolean,
    radius = 0,
  ) {
    this.solid = solid;
    // Corners of the box are mostly empty, but not those of small maps.
    this.radius = Math.max(0.75 * Math.hypot(...half), radius);
  }

  /** Pixels of the window for a unit of the flat map. */
  get scale(): number {
    const fit = Math.min(this.width / this.half[0], this.height / this.half[1]) / 2;
    return fit * MARGIN * this.flat.zoom;
  }

  /** How far the view is magnified, 1 where the whole map is seen. */
  get zoom(): number {
    return this.solid ? this.fitDistance() / this.orbit.distance : this.flat.zoom;
  }

  fit(): void {
    this.flat = { x: 0, y: 0, zoom: 1 };
    this.orbit = { x: 0, y: 0, z: 0, yaw: 0.6, pitch: 0.45, distance: this.fitDistance() };
  }

  private fitDistance(): number {
    const narrow = Math.min(1, this.width / this.height);
    return this.radius / Math.sin(FIELD / 2) / narrow;
  }

  pan(dx: number, dy: number): void {
    if (!this.solid) {
      this.flat.x -= dx / this.scale;
      this.flat.y += dy / this.scale;
      return;
    }
    const { right, up } = this.axes();
    const unit = (2 * Math.tan(FIELD / 2) * this.orbit.distance) / this.height;
    this.orbit.x += (-dx * right[0] + dy * up[0]) * unit;
    this.orbit.y += (-dx * right[1] + dy * up[1]) * unit;
    this.orbit.z += (-dx * right[2] + dy * up[2]) * unit;
  }

  turn(dx: number, dy: number): void {
    this.orbit.yaw -= dx * 0.006;
    this.orbit.pitch = clamp(this.orbit.pitch + dy * 0.006, -1.55, 1.55);
  }

  /** Magnifies by `factor`; what is at the point of the window stays there. */
  zoomAt(factor: number, x: number, y: number): void {
    if (this.solid) {
      this.orbit.distance = clamp(this.orbit.distance / factor, 0.01, 20);
      return;
    }
    const before = this.scale;
    this.flat.zoom = clamp(this.flat.zoom * factor, 0.3, 20_000);
    const change = 1 / before - 1 / this.scale;
    this.flat.x += (x - this.width / 2) * change;
    this.flat.y -= (y - this.height / 2) * change;
  }

  /** The camera as it would be with `song`'s place in the middle. */
  centered(place: ArrayLike<number>, zoom: number): { flat: Flat; orbit: Orbit } {
    const distance = Math.min(this.orbit.distance, this.fitDistance() / zoom);
    return {
      flat: { x: place[0], y: place[1], zoom: Math.max(this.flat.zoom, zoom) },
      orbit: { ...this.orbit, x: place[0], y: place[1], z: place[2], distance },
    };
  }

  /** Map to clip space, column by column. */
  matrix(): Matrix {
    if (!this.solid) {
      const sx = (2 * this.scale) / this.width;
      const sy = (2 * this.scale) / this.height;
      const { x, y } = this.flat;
      return Float64Array.of(sx, 0, 0, 0, 0, sy, 0, 0, 0, 0, 0, 0, -x * sx, -y * sy, 0, 1);
    }
    const { right, up, back } = this.axes();
    const { x, y, z, distance } = this.orbit;
    const f = 1 / Math.tan(FIELD / 2);
    const fx = f * (this.height / this.width);
    const near = distance / 50;
    const far = distance + 8;
    const a = (near + far) / (near - far);
    const b = (2 * near * far) / (near - far);
    const dot = (v: number[]) => v[0] * x + v[1] * y + v[2] * z;
    const [rx, uy, bz] = [-dot(right), -dot(up), -dot(back) - distance];
    const out = new Float64Array(16);
    for (let i = 0; i < 3; i++) {
      out[4 * i] = fx * right[i];
      out[4 * i + 1] = f * up[i];
      out[4 * i + 2] = a * back[i];
      out[4 * i + 3] = -back[i];
    }
    out[12] = fx * rx;
    out[13] = f * uy;
    out[14] = a * bz + b;
    out[15] = -bz;
    return out;
  }

  private axes(): { right: number[]; up: number[]; back: number[] } {
    const { yaw, pitch } = this.orbit;
    const [cy, sy, cp, sp] = [Math.cos(yaw), Math.sin(yaw), Math.cos(pitch), Math.sin(pitch)];
    return {
      right: [cy, 0, -sy],
      up: [-sy * sp, cp, -cy * sp],
      back: [sy * cp, sp, cy * cp],
    };
  }
}

/** Where songs are in the window; kept until the camera or the window changes. */
export class Projection {
  readonly x: Float32Array;
  readonly y: Float32Array;
  /** Distance from the camera, 1 on a flat map. */
  readonly depth: Float32Array;

  constructor(readonly count: number) {
    this.x = new Float32Array(count);
    this.y = new Float32Array(count);
    this.depth = new Float32Array(count);
  }

  /** What is behind the camera or has no place becomes NaN, which is nowhere. */
  update(values: Float32Array, m: Matrix, width: number, height: number): void {
    for (let i = 0; i < this.count; i++) {
      const x = values[3 * i];
      const y = values[3 * i + 1];
      const z = values[3 * i + 2];
      const w = m[3] * x + m[7] * y + m[11] * z + m[15];
      if (!(w > 1e-6)) {
        this.x[i] = this.y[i] = NaN;
        continue;
      }
      this.x[i] = ((m[0] * x + m[4] * y + m[8] * z + m[12]) / w + 1) * 0.5 * width;
      this.y[i] = (1 - (m[1] * x + m[5] * y + m[9] * z + m[13]) / w) * 0.5 * height;
      this.depth[i] = w;
    }
  }
}

export function clamp(value: number, low: number, high: number): number {
  return Math.min(Math.max(value, low), high);
}
