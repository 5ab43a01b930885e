// Draws the songs: by WebGL2, or on a plain canvas where a browser lacks it.

import type { Matrix, Projection } from "./camera";
import { type Rgb, css } from "./palette";

export interface Frame {
  matrix: Matrix;
  solid: boolean;
  /** Distance of the camera from what it turns round. */
  distance: number;
  /** Diameter of a song in pixels of the window. */
  size: number;
  opacity: number;
  background: Rgb;
  /** Whether songs that are not selected step back. */
  dimmed: boolean;
  /** How many songs are drawn at most; they are an even sample of all. */
  budget: number;
}

/** Bytes for one song: red, green, blue, shown (0 or 255). */
export type Colors = Uint8Array;

/** Bits of a mark: a shape in 0..3, and whether the song is selected. */
export const SELECTED = 4;

export interface Renderer {
  resize(width: number, height: number, ratio: number): void;
  paint(colors: Colors, marks: Uint8Array): void;
  draw(frame: Frame): void;
}

const VERTEX = `#version 300 es
in vec3 position;
in vec4 color;
in uint mark;
uniform mat4 matrix;
uniform float size;
uniform float opacity;
uniform float reference;
uniform vec3 background;
uniform bool chosen;
out vec4 tint;
out float diameter;
flat out uint shape;
void main() {
  bool selected = (mark & 4u) != 0u;
  if (color.a == 0.0 || selected != chosen) {
    gl_Position = vec4(2.0, 2.0, 2.0, 1.0);
    gl_PointSize = 1.0;
    return;
  }
  gl_Position = matrix * vec4(position, 1.0);
  shape = mark & 3u;
  diameter = size;
  vec3 rgb = color.rgb;
  if (reference > 0.0) {
    float near = reference / max(gl_Position.w, 1e-6);
    diameter *= clamp(near, 0.4, 4.0);
    // What is far fades into the background, which shows depth.
    rgb = mix(background, rgb, clamp(0.15 + 0.85 * near * near, 0.3, 1.0));
  }
  if (shape != 0u) diameter *= 1.12;
  tint = vec4(rgb, opacity);
  gl_PointSize = diameter;
}`;

const FRAGMENT = `#version 300 es
precision mediump float;
in vec4 tint;
in float diameter;
flat in uint shape;
out vec4 color;
void main() {
  vec2 p = gl_PointCoord * 2.0 - 1.0;
  float edge = length(p);
  if (shape == 1u) edge = max(abs(p.x), abs(p.y)) * 1.2;
  if (shape == 2u) edge = abs(p.x) + abs(p.y);
  if (shape == 3u) edge = max(2.0 * p.y, 1.732 * abs(p.x) - p.y);
  float soft = min(2.5 / diameter, 0.9);
  float cover = 1.0 - smoothstep(1.0 - soft, 1.0, edge);
  if (cover < 0.05) discard;
  color = vec4(tint.rgb, tint.a * cover);
}`;

/** A renderer by WebGL2, or null where there is none. */
export function webgl(canvas: HTMLCanvasElement, positions: Float32Array): Renderer | null {
  const gl = canvas.getContext("webgl2", { antialias: false, alpha: false });
  if (!gl) return null;
  const count = positions.length / 3;
  const order = shuffled(count);
  let ratio = 1;
  let program: WebGLProgram;
  let uniforms: Record<string, WebGLUniformLocation | null>;
  let colorBuffer: WebGLBuffer | null;
  let markBuffer: WebGLBuffer | null;
  let painted: [Colors, Uint8Array] | null = null;
  const sorted = { colors: new Uint8Array(4 * count), marks: new Uint8Array(count) };

  const prepare = () => {
    program = link(gl);
    const names = ["matrix", "size", "opacity", "reference", "background", "chosen"];
    uniforms = Object.fromEntries(names.map((name) => [name, gl.getUniformLocation(program, name)]));
    const places = new Float32Array(3 * count);
    order.forEach((song, i) => places.set(positions.subarray(3 * song, 3 * song + 3), 3 * i));
    const buffer = () => {
      const made = gl.createBuffer();
      gl.bindBuffer(gl.ARRAY_BUFFER, made);
      return made;
    };
    gl.bindVertexArray(gl.createVertexArray());
    const at = (name: string) => {
      const location = gl.getAttribLocation(program, name);
      gl.enableVertexAttribArray(location);
      return location;
    };
    buffer();
    gl.bufferData(gl.ARRAY_BUFFER, places, gl.STATIC_DRAW);
    gl.vertexAttribPointer(at("position"), 3, gl.FLOAT, false, 0, 0);
    colorBuffer = buffer();
    gl.bufferData(gl.ARRAY_BUFFER, 4 * count, gl.DYNAMIC_DRAW);
    gl.vertexAttribPointer(at("color"), 4, gl.UNSIGNED_BYTE, true, 0, 0);
    markBuffer = buffer();
    gl.bufferData(gl.ARRAY_BUFFER, count, gl.DYNAMIC_DRAW);
    gl.vertexAttribIPointer(at("mark"), 1, gl.UNSIGNED_BYTE, 0, 0);
    gl.useProgram(program);
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.SRC_ALPHA, gl.ONE_MINUS_SRC_ALPHA);
  };
  prepare();

  const paint = (colors: Colors, marks: Uint8Array) => {
    painted = [colors, marks];
    for (let i = 0; i < count; i++) {
      const song = order[i];
      sorted.marks[i] = marks[song];
      for (let c = 0; c < 4; c++) sorted.colors[4 * i + c] = colors[4 * song + c];
    }
    gl.bindBuffer(gl.ARRAY_BUFFER, colorBuffer);
    gl.bufferData(gl.ARRAY_BUFFER, sorted.colors, gl.DYNAMIC_DRAW);
    gl.bindBuffer(gl.ARRAY_BUFFER, markBuffer);
    gl.bufferData(gl.ARRAY_BUFFER, sorted.marks, gl.DYNAMIC_DRAW);
  };

  canvas.addEventListener("webglcontextlost", (event) => event.preventDefault());
  canvas.addEventListener("webglcontextrestored", () => {
    prepare();
    if (painted) paint(...painted);
    canvas.dispatchEvent(new Event("redraw"));
  });

  return {
    paint,
    resize(width, height, pixels) {
      ratio = pixels;
      canvas.width = Math.max(1, Math.round(width * ratio));
      canvas.height = Math.max(1, Math.round(height * ratio));
    },
    draw(frame) {
      const [r, g, b] = frame.background.map((value) => value / 255);
      gl.viewport(0, 0, canvas.width, canvas.height);
      gl.clearColor(r, g, b, 1);
      gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
      if (frame.solid) gl.enable(gl.DEPTH_TEST);
      else gl.disable(gl.DEPTH_TEST);
      gl.uniformMatrix4fv(uniforms.matrix, false, new Float32Array(frame.matrix));
      gl.uniform1f(uniforms.reference, frame.solid ? frame.distance : 0);
      gl.uniform3f(uniforms.background, r, g, b);
      const budget = Math.min(frame.budget, count);
      const pass = (chosen: boolean, size: number, opacity: number) => {
        gl.uniform1i(uniforms.chosen, Number(chosen));
        gl.uniform1f(uniforms.size, size * ratio);
        gl.uniform1f(uniforms.opacity, opacity);
        gl.drawArrays(gl.POINTS, 0, budget);
      };
      pass(false, frame.size, frame.dimmed ? frame.opacity * 0.22 : frame.opacity);
      if (frame.dimmed) pass(true, frame.size * 1.25, 1);
    },
  };
}

/** A renderer for browsers without WebGL2; slower by far, and without depth. */
export function plainCanvas(canvas: HTMLCanvasElement, project: () => Projection): Renderer {
  const context = canvas.getContext("2d")!;
  let ratio = 1;
  let colors: Colors = new Uint8Array();
  let marks: Uint8Array = new Uint8Array();
  // One small picture for each colour and shape, of the size last asked for.
  const stamps = new Map<number, HTMLCanvasElement>();
  let stamped = 0;
  const stamp = (song: number, size: number) => {
    if (size * ratio !== stamped) stamps.clear();
    stamped = size * ratio;
    const [r, g, b] = colors.subarray(4 * song, 4 * song + 3);
    const key = (((r << 16) | (g << 8) | b) << 2) + (marks[song] & 3);
    let made = stamps.get(key);
    if (!made) {
      made = document.createElement("canvas");
      made.width = made.height = Math.ceil(stamped);
      const brush = made.getContext("2d")!;
      brush.scale(stamped / 2, stamped / 2);
      brush.fillStyle = css([r, g, b]);
      trace(brush, marks[song] & 3);
      brush.fill();
      stamps.set(key, made);
    }
    return made;
  };
  return {
    paint(newColors, newMarks) {
      colors = newColors;
      marks = newMarks;
    },
    resize(width, height, pixels) {
      ratio = pixels;
      canvas.width = Math.max(1, Math.round(width * ratio));
      canvas.height = Math.max(1, Math.round(height * ratio));
    },
    draw(frame) {
      const { x, y, count } = project();
      context.setTransform(ratio, 0, 0, ratio, 0, 0);
      context.globalAlpha = 1;
      context.fillStyle = css(frame.background);
      context.fillRect(0, 0, canvas.width, canvas.height);
      const step = Math.max(1, Math.ceil(count / frame.budget));
      for (const chosen of frame.dimmed ? [0, SELECTED] : [0]) {
        const weight = frame.dimmed && !chosen ? 0.22 : 1;
        context.globalAlpha = frame.opacity * weight;
        const size = frame.size * (chosen ? 1.25 : 1);
        for (let i = 0; i < count; i += step) {
          if (colors[4 * i + 3] === 0 || (marks[i] & SELECTED) !== chosen) continue;
          if (!(x[i] > -size && y[i] > -size && x[i] < canvas.width && y[i] < canvas.height)) continue;
          context.drawImage(stamp(i, size), x[i] - size / 2, y[i] - size / 2, size, size);
        }
      }
    },
  };
}

// The outline of a shape in a square from 0 to 2.
function trace(brush: CanvasRenderingContext2D, shape: number): void {
  const corners = [
    [],
    [[0.2, 0.2], [1.8, 0.2], [1.8, 1.8], [0.2, 1.8]],
    [[1, 0], [2, 1], [1, 2], [0, 1]],
    [[1, 0.1], [1.9, 1.7], [0.1, 1.7]],
  ][shape];
  brush.beginPath();
  if (shape === 0) brush.arc(1, 1, 0.95, 0, 2 * Math.PI);
  for (const [x, y] of corners) brush.lineTo(x, y);
}

function link(gl: WebGL2RenderingContext): WebGLProgram {
  const program = gl.createProgram()!;
  for (const [type, source] of [
    [gl.VERTEX_SHADER, VERTEX],
    [gl.FRAGMENT_SHADER, FRAGMENT],
  ] as const) {
    const shader = gl.createShader(type)!;
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    gl.attachShader(program, shader);
  }
  gl.linkProgram(program);
  if (!gl.getProgramParameter(program, gl.LINK_STATUS) && !gl.isContextLost()) {
    const logs = gl.getAttachedShaders(program)!.map((shader) => gl.getShaderInfoLog(shader));
    throw new Error(`a shader does not compile: ${gl.getProgramInfoLog(program)} ${logs.join(" ")}`);
  }
  return program;
}

// Any beginning of the list is an even sample of the songs, and no class lies on
// top of all others. The same for every load of the page.
function shuffled(count: number): Uint32Array {
  const order = Uint32Array.from({ length: count }, (_, i) => i);
  let state = 0x9e3779b9;
  for (let i = count - 1; i > 0; i--) {
    // xorshift32, Marsaglia (2003).
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    const j = (state >>> 0) % (i + 1);
    [order[i], order[j]] = [order[j], order[i]];
  }
  return order;
}
