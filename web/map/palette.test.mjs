// Colours stay apart for eyes with and without colour blindness: `node --test`.

import assert from "node:assert/strict";
import test from "node:test";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const { outputFiles } = await build({
  entryPoints: [fileURLToPath(new URL("src/palette.ts", import.meta.url))],
  bundle: true,
  write: false,
  format: "esm",
});
const source = Buffer.from(outputFiles[0].contents).toString("base64");
const palette = await import(`data:text/javascript;base64,${source}`);

// Machado, Oliveira and Fernandes (2009), severity 1, for linear RGB.
const EYES = {
  "no colour blindness": [1, 0, 0, 0, 1, 0, 0, 0, 1],
  protanopia: [0.152286, 1.052583, -0.204868, 0.114503, 0.786281, 0.099216, -0.003882, -0.048116, 1.051998],
  deuteranopia: [0.367322, 0.860646, -0.227968, 0.280085, 0.672501, 0.047413, -0.01182, 0.04294, 0.968881],
  tritanopia: [1.255528, -0.076749, -0.178779, -0.078411, 0.930809, 0.147602, 0.004733, 0.691367, 0.3039],
};
const BACKGROUND = { light: [251, 251, 250], dark: [21, 23, 27] };

const decode = (value) => {
  const x = value / 255;
  return x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4;
};
const seen = (rgb, eye) => {
  const linear = rgb.map(decode);
  const row = (i) => eye[3 * i] * linear[0] + eye[3 * i + 1] * linear[1] + eye[3 * i + 2] * linear[2];
  return [0, 1, 2].map((i) => Math.min(1, Math.max(0, row(i))));
};
// Ottosson (2020).
const oklab = ([r, g, b]) => {
  const l = Math.cbrt(0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b);
  const m = Math.cbrt(0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b);
  const s = Math.cbrt(0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b);
  return [
    0.2104542553 * l + 0.793617785 * m - 0.0040720468 * s,
    1.9779984951 * l - 2.428592205 * m + 0.4505937099 * s,
    0.0259040371 * l + 0.7827717662 * m - 0.808675766 * s,
  ];
};
const distance = (a, b) => Math.hypot(a[0] - b[0], a[1] - b[1], a[2] - b[2]);
// Contrast by WCAG 2.
const light = (rgb) => {
  const [r, g, b] = rgb.map(decode);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b + 0.05;
};
const contrast = (a, b) => Math.max(light(a), light(b)) / Math.min(light(a), light(b));

for (const theme of ["light", "dark"]) {
  const classes = Array.from({ length: palette.COLORS }, (_, i) => palette.classColor(theme, i));
  classes.push(palette.grey(theme));

  for (const [name, eye] of Object.entries(EYES)) {
    test(`classes and grey differ on ${theme} with ${name}`, () => {
      const colors = classes.map((color) => oklab(seen(color, eye)));
      let least = Infinity;
      colors.forEach((a, i) => colors.slice(0, i).forEach((b) => (least = Math.min(least, distance(a, b)))));

      // Okabe and Ito's seven colours reach 0.076 at worst.
      assert.ok(least > 0.099, `two lie ${least.toFixed(3)} apart`);
    });

    test(`the ramp only gets lighter on ${theme} with ${name}`, () => {
      const steps = Array.from({ length: 21 }, (_, i) => palette.rampColor(theme, i / 20));
      const lightness = steps.map((color) => oklab(seen(color, eye))[0]);

      lightness.slice(1).forEach((value, i) => assert.ok(value > lightness[i], `at step ${i}`));
    });
  }

  test(`classes stand out from the background on ${theme}`, () => {
    const least = Math.min(...classes.slice(0, -1).map((color) => contrast(color, BACKGROUND[theme])));

    assert.ok(least > 2, `one has a contrast of ${least.toFixed(2)}`);
  });
}
