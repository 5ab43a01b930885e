// Colours that stay apart for colour-blind eyes.

export type Theme = "light" | "dark";
export type Rgb = [number, number, number];

// Eight classes for each theme. The hues started from Okabe and Ito (2008) and
// were moved until the smallest distance in OKLab between any two, or to the
// grey of what has no class, was as large as a random search could make it: as
// they are, and as Machado, Oliveira and Fernandes (2009) simulate protanopia,
// deuteranopia and tritanopia. `palette.test.mjs` holds the distances.
const CLASSES: Record<Theme, string[]> = {
  light: ["#3755b8", "#daa629", "#79a48d", "#ba66c3", "#60b6fc", "#e5250c", "#703e63", "#7f7162"],
  dark: ["#54a9fb", "#f9f461", "#98ac1e", "#f16ba9", "#b1d3fd", "#feaf9d", "#8463e6", "#a56b29"],
};

const GREY: Record<Theme, string> = { light: "#b9bcc2", dark: "#5b6068" };

// Blue to yellow with lightness that only rises, so that order can be seen
// without telling hues apart. Values of OKLab.
const RAMP: Record<Theme, Rgb[]> = {
  light: [
    [0.36, 0.01, -0.16],
    [0.48, -0.05, -0.1],
    [0.6, -0.09, 0.02],
    [0.71, -0.05, 0.12],
    [0.81, 0.02, 0.16],
  ],
  dark: [
    [0.46, -0.005, -0.17],
    [0.58, -0.06, -0.1],
    [0.7, -0.1, 0.02],
    [0.83, -0.07, 0.12],
    [0.94, -0.02, 0.16],
  ],
};

/** How many classes have colours of their own before shapes tell them apart. */
export const COLORS = 8;
/** Circle, square, diamond and triangle. */
export const SHAPES = 4;

export function grey(theme: Theme): Rgb {
  return hex(GREY[theme]);
}

/** The colour of the class that is `rank`th by size, from 0. */
export function classColor(theme: Theme, rank: number): Rgb {
  return hex(CLASSES[theme][rank % COLORS]);
}

/** A colour for `t` in 0..1. */
export function rampColor(theme: Theme, t: number): Rgb {
  const stops = RAMP[theme];
  const at = Math.min(Math.max(t, 0), 1) * (stops.length - 1);
  const i = Math.min(Math.floor(at), stops.length - 2);
  const mix = (c: number) => stops[i][c] + (stops[i + 1][c] - stops[i][c]) * (at - i);
  return oklab(mix(0), mix(1), mix(2));
}

/**
 * A colour for a place on the circle of fifths, `turn` in 0..1: neighbours look
 * alike. The circle lies mostly in lightness and blue to yellow, which
 * red-green blind eyes tell apart.
 */
export function circleColor(theme: Theme, turn: number): Rgb {
  const angle = 2 * Math.PI * turn;
  const middle = theme === "light" ? 0.6 : 0.72;
  return oklab(
    middle + 0.16 * Math.sin(angle),
    0.08 * Math.sin(angle + Math.PI / 5),
    0.13 * Math.cos(angle),
  );
}

export function css([r, g, b]: Rgb): string {
  return `rgb(${r} ${g} ${b})`;
}

function hex(color: string): Rgb {
  const value = parseInt(color.slice(1), 16);
  return [value >> 16, (value >> 8) & 255, value & 255];
}

// Ottosson (2020), “A perceptual color space for image processing”.
function oklab(lightness: number, a: number, b: number): Rgb {
  const l = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3;
  const m = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3;
  const s = (lightness - 0.0894841775 * a - 1.291485548 * b) ** 3;
  return [
    encode(4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s),
    encode(-1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s),
    encode(-0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s),
  ];
}

function encode(linear: number): number {
  const value = Math.min(Math.max(linear, 0), 1);
  const srgb = value <= 0.0031308 ? 12.92 * value : 1.055 * value ** (1 / 2.4) - 0.055;
  return Math.round(255 * srgb);
}
