// Which songs are at a point or inside an outline of the window.

import type { Projection } from "./camera";

export type Point = [number, number];

/** The visible song nearest to a point, within `radius` pixels, or -1. */
export function at(
  { x, y, depth, count }: Projection,
  point: Point,
  radius: number,
  visible: (song: number) => boolean,
): number {
  let best = -1;
  let least = radius * radius;
  for (let i = 0; i < count; i++) {
    const dx = x[i] - point[0];
    if (!(dx <= radius && dx >= -radius)) continue;
    const dy = y[i] - point[1];
    const distance = dx * dx + dy * dy;
    if (!(distance <= least) || !visible(i)) continue;
    // Of two at the same place the one in front.
    if (distance === least && best >= 0 && depth[i] >= depth[best]) continue;
    best = i;
    least = distance;
  }
  return best;
}

/** The visible songs inside a closed outline, by the even-odd rule. */
export function inside(
  { x, y, count }: Projection,
  outline: Point[],
  visible: (song: number) => boolean,
): number[] {
  const xs = outline.map((point) => point[0]);
  const ys = outline.map((point) => point[1]);
  const [left, right, top, bottom] = [
    Math.min(...xs),
    Math.max(...xs),
    Math.min(...ys),
    Math.max(...ys),
  ];
  const found: number[] = [];
  for (let i = 0; i < count; i++) {
    const [px, py] = [x[i], y[i]];
    if (!(px >= left && px <= right && py >= top && py <= bottom) || !visible(i)) continue;
    let odd = false;
    for (let a = 0, b = outline.length - 1; a < outline.length; b = a++) {
      const crosses = ys[a] > py !== ys[b] > py;
      if (crosses && px < ((xs[b] - xs[a]) * (py - ys[a])) / (ys[b] - ys[a]) + xs[a]) odd = !odd;
    }
    if (odd) found.push(i);
  }
  return found;
}

export function rectangle([ax, ay]: Point, [bx, by]: Point): Point[] {
  return [
    [ax, ay],
    [bx, ay],
    [bx, by],
    [ax, by],
  ];
}
