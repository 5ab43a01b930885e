// What tests of the pages share: pages that are opened in Chromium, and what is held
// against each.

import assert from "node:assert/strict";
import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { launch } from "./browser-start.mjs";
import { serve } from "./mock.mjs";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const shots = process.env.SHOTS;
if (shots) mkdirSync(shots, { recursive: true });
const SIZES = { wide: [1440, 900], middle: [900, 900], phone: [390, 800] };

let browser;
/** A library that no test changes. */
export let small;

before(async () => {
  small = await serve({ songs: 2000 });
  small.state.anomalies = true;
  browser = await launch();
});
after(async () => {
  await browser.close();
  await small.close();
});

/** A server of its own for a test that changes something. */
export async function own(t, options) {
  const server = await serve(options);
  server.contexts = [];
  t.after(async () => {
    // The pages first, because they complain of a server that goes away.
    for (const context of server.contexts) await context.close();
    await server.close();
  });
  return server;
}

/** Opens a page; the test fails on whatever it logs, throws or asks of others. */
export async function open(t, hash = "", { server = small, size = "wide", theme = "light", expected = null } = {}) {
  const [width, height] = SIZES[size];
  const context = await browser.newContext({ viewport: { width, height }, colorScheme: theme, reducedMotion: "reduce", acceptDownloads: true });
  // Long, because a slow machine is no mistake of a page; who passes waits for nothing.
  context.setDefaultTimeout(60_000);
  server.contexts?.push(context);
  const page = await context.newPage();
  const trouble = [];
  page.on("console", (message) => {
    if (!["error", "warning"].includes(message.type()) || expected?.test(message.text())) return;
    trouble.push(`console: ${message.text()}`);
  });
  page.on("pageerror", (error) => trouble.push(`error: ${error.stack}`));
  page.on("request", (request) => {
    if (!request.url().startsWith(server.url) && !/^(data|blob):/.test(request.url())) trouble.push(`request: ${request.url()}`);
  });
  t.after(async () => {
    await context.close();
    assert.deepEqual(trouble, []);
  });
  await page.goto(`${server.url}/${hash}`);
  await page.waitForSelector("h1", { state: "attached" });
  return page;
}

export const hash = (page) => page.evaluate(() => decodeURIComponent(location.hash));
export const eventually = async (look, say) => {
  const end = Date.now() + 60_000;
  for (;;) {
    const found = await look();
    if (found) return found;
    if (Date.now() > end) assert.fail(say ?? `never: ${look}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
};
export const message = (page, text) => page.locator(".message", { hasText: text }).waitFor();
export const mapReady = async (page) => {
  await page.waitForFunction(() => window.songrecMap?.names.complete);
  await page.waitForTimeout(350);
};


/** Fails on what axe calls serious. */
export async function accessible(page, where) {
  await page.evaluate(axe);
  const found = await page.evaluate(() => window.axe.run({ resultTypes: ["violations"] }));
  const serious = found.violations.filter((one) => ["serious", "critical"].includes(one.impact));
  assert.deepEqual(serious.map((one) => `${one.id}: ${one.nodes.slice(0, 3).map((node) => `${node.html} ${node.failureSummary}`).join("\n")}`), [], where);
}

/** Whether a picture of each page in each form is wanted, not only of those that are tested. */
const forms = shots && process.env.ALL_SHOTS
  ? Object.keys(SIZES).flatMap((size) => [[size, "light"], [size, "dark"]])
  : [["wide", "light"], ["middle", "dark"], ["phone", "light"]];

/** One test for each page: in both themes, at three widths. */
export function everyPage(pages, ready = async () => undefined) {
  for (const [name, address] of Object.entries(pages)) {
    test(`${name}: nothing serious for axe, nothing wider than the window, in both themes`, async (t) => {
      // The map looks at the width when it opens; other pages follow a change of it.
      const isMap = address.startsWith("#/map");
      let page = null;
      for (const [size, theme] of forms) {
        if (page === null || isMap) {
          await page?.close();
          page = await open(t, address, { size, theme });
          await page.waitForLoadState("networkidle");
          if (isMap) await mapReady(page);
          await ready(page, name);
        } else {
          const [width, height] = SIZES[size];
          await page.setViewportSize({ width, height });
          await page.emulateMedia({ colorScheme: theme });
          await page.evaluate((theme) => new Promise((resolve) => {
            const look = () => (document.documentElement.dataset.theme === theme ? resolve() : requestAnimationFrame(look));
            requestAnimationFrame(look);
          }), theme);
        }
        await accessible(page, `${size} ${theme}`);
        const over = await page.evaluate(() => {
          // What scrolls by itself hides that it is too wide.
          const content = document.getElementById("content") ?? document.documentElement;
          return Math.max(document.documentElement.scrollWidth - innerWidth, content.scrollWidth - content.clientWidth);
        });
        assert.ok(over <= 0, `${size}: ${over} pixels too wide`);
        if (shots) await page.screenshot({ path: join(shots, `${name}-${size}-${theme}.png`) });
      }
    });
  }
}
