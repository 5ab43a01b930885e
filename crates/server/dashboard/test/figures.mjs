// Measures the dashboard in Chromium: `npm run figures -- [SONGS] [URL]`, over the mock
// or over a server that runs at URL. A processor draws unless `GPU=1`; what else the
// machine does counts.

import { readFile } from "node:fs/promises";
import { loadavg, cpus } from "node:os";
import { gzipSync } from "node:zlib";
import { launch } from "./browser-start.mjs";
import { serve } from "./mock.mjs";

const songs = Number(process.argv[2] ?? 100_000);
const at = process.argv[3];
const RUNS = 5;
const FRAMES = 120;
const dist = new URL("../dist/", import.meta.url);

const sorted = (values) => [...values].sort((a, b) => a - b);
const median = (values) => sorted(values)[values.length >> 1];
const say = (what, value, wanted) => console.log(`${what.padEnd(58)} ${String(value).padStart(10)}   wanted ${wanted}`);

const page = String(await readFile(new URL("index.html", dist)));
const names = ["index.html", ...page.match(/assets\/(?:app|style)-[\w-]+\.(?:js|css)/g)];
const style = String(await readFile(new URL(names.find((name) => name.endsWith(".css")), dist)));
const packed = await Promise.all(names.map(async (name) => gzipSync(await readFile(new URL(name, dist)), { level: 9 }).length));
const font = (await readFile(new URL(`assets/${style.match(/inter-latin-wght-normal-\w+\.woff2/)[0]}`, dist))).length;
say("first page, compressed, with the font", `${Math.round((packed.reduce((a, b) => a + b, 0) + font) / 1000)} kB`, "≤ 250 kB");

const server = at ? null : await serve({ songs });
const url = at ?? server.url;
const browser = await launch(process.env.GPU ? [] : undefined);
const load = loadavg()[0];
const [seen, scripts, frames] = [[], [], []];
let bytes = 0;
let count = 0;
for (let run = 0; run < RUNS; run++) {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 } });
  const tab = await context.newPage();
  const network = await context.newCDPSession(tab);
  await network.send("Network.enable");
  await network.send("Performance.enable");
  const maps = new Set();
  let arrived = 0;
  network.on("Network.requestWillBeSent", ({ requestId, request }) => /\/api\/v1\/map\?/.test(request.url) && maps.add(requestId));
  network.on("Network.loadingFinished", ({ requestId, encodedDataLength }) => maps.has(requestId) && (arrived += encodedDataLength));
  // The first call that draws more points than an empty picture has.
  await tab.addInitScript(() => {
    const draw = WebGL2RenderingContext.prototype.drawArrays;
    WebGL2RenderingContext.prototype.drawArrays = function (mode, first, count) {
      if (mode === this.POINTS && count > 10 && !window.pictured) {
        requestAnimationFrame(() => setTimeout(() => (window.pictured ??= performance.now())));
      }
      return draw.call(this, mode, first, count);
    };
  });
  await tab.goto(`${url}/#/map`);
  await tab.waitForFunction(() => window.pictured, undefined, { timeout: 120_000 });
  seen.push(await tab.evaluate(() => window.pictured));
  await tab.waitForFunction(() => window.songrecMap?.names.complete, undefined, { timeout: 300_000 });
  count = await tab.evaluate(() => window.songrecMap.state.count);
  bytes = arrived;
  // Panning, a step for each frame; the time in scripts is the browser's own count of it.
  const before = (await network.send("Performance.getMetrics")).metrics;
  const drawn = await tab.evaluate((steps) => new Promise((resolve) => {
    const { view } = window.songrecMap;
    const began = performance.now();
    let step = 0;
    const next = () => {
      view.camera.pan(step % 40 < 20 ? 4 : -4, 2 * Math.sign(20 - (step % 40)));
      view.moved();
      if (++step < steps) requestAnimationFrame(next);
      else requestAnimationFrame(() => resolve((performance.now() - began) / steps));
    };
    requestAnimationFrame(next);
  }), FRAMES);
  const after = (await network.send("Performance.getMetrics")).metrics;
  const of = (metrics, name) => metrics.find((one) => one.name === name).value;
  scripts.push((1000 * (of(after, "ScriptDuration") - of(before, "ScriptDuration"))) / FRAMES);
  frames.push(drawn);
  await context.close();
}
await browser.close();
await server?.close();
const spread = (values, unit) => `${median(values).toFixed(unit === "s" ? 2 : 1)} ${unit}`;
const least = (values) => sorted(values)[0].toFixed(2);
say(`first picture of ${count.toLocaleString("en")} songs, median of ${RUNS}`, spread(seen.map((ms) => ms / 1000), "s"), `≤ 1 s; least ${least(seen.map((ms) => ms / 1000))} s`);
say("script a frame while panning, median", spread(scripts, "ms"), `≤ 8 ms; least ${least(scripts)} ms`);
say("a whole frame while panning, median", spread(frames, "ms"), process.env.GPU ? "" : "nothing: a processor draws");
say("data of the map, as it came", `${(bytes / 1e6).toFixed(2)} MB`, "≤ 1.6 MB");
console.log(`\n${cpus().length} processors, ${cpus()[0].model}; load ${load.toFixed(1)} when it began, ${loadavg()[0].toFixed(1)} when it ended.`);
