// The main pages over a real server: `SONGREC=path/to/songrec node --test
// test/server.test.mjs`. It makes a library of the example audio in an empty home.
// With `DIST=1` the pages are those in `dist`, not those in the program.

import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { after, before } from "node:test";
import { fileURLToPath } from "node:url";
import { launch } from "./browser-start.mjs";

const songrec = process.env.SONGREC;
const examples = fileURLToPath(new URL("../../../../examples/audio", import.meta.url));
const home = mkdtempSync(join(tmpdir(), "dashboard-server-"));
const shots = process.env.SHOTS;
if (shots) mkdirSync(shots, { recursive: true });
const env = { PATH: process.env.PATH, HOME: home };
const library = join(home, "library");
let server;
let url;
let browser;

const run = (...args) => execFileSync(songrec, ["--library", library, ...args], { env, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });

const freePort = () => new Promise((resolve) => {
  const probe = createServer();
  probe.listen(0, "127.0.0.1", () => {
    const { port } = probe.address();
    probe.close(() => resolve(port));
  });
});

before(async () => {
  if (!songrec) return;
  run("init", library);
  run("scan", examples);
  run("cluster", "--k", "4");
  server = await start([]);
  url = server.url;
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await server?.end();
  rmSync(home, { recursive: true, force: true });
});

/** Starts another server over the library, with other options. */
async function start(options, more = {}) {
  const address = `127.0.0.1:${await freePort()}`;
  const child = spawn(songrec, ["--library", library, "serve", "--addr", address, ...options], { env: { ...env, ...more }, stdio: ["ignore", "ignore", "pipe"] });
  let said = "";
  child.stderr.on("data", (chunk) => (said += chunk));
  for (let i = 0; ; i++) {
    try {
      if ((await fetch(`http://${address}/healthz`)).ok) break;
    } catch {
      // Not yet.
    }
    assert.ok(i < 200 && child.exitCode === null, `the server did not start: ${said}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  const end = async () => {
    child.kill("SIGTERM");
    if (child.exitCode === null) await new Promise((resolve) => child.on("exit", resolve));
  };
  return { url: `http://${address}`, end };
}

const real = (name, act) => test(name, { skip: songrec ? false : "SONGREC names no program" }, act);

async function open(t, hash, { expected = null, at = url } = {}) {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, reducedMotion: "reduce" });
  context.setDefaultTimeout(20_000);
  const page = await context.newPage();
  if (process.env.DIST) await page.route((address) => !/^\/(api|docs|openapi)/.test(address.pathname), fromDist);
  const trouble = [];
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type()) && !expected?.test(message.text())) trouble.push(`console: ${message.text()} ${message.location().url}`);
  });
  page.on("pageerror", (error) => trouble.push(`error: ${error.stack}`));
  page.on("request", (request) => {
    if (!request.url().startsWith(at) && !/^(data|blob):/.test(request.url())) trouble.push(`request: ${request.url()}`);
  });
  t.after(async () => {
    if (shots) await page.screenshot({ path: join(shots, `${t.name.replaceAll(/\W+/g, "-")}.png`) });
    await context.close();
    assert.deepEqual(trouble, []);
  });
  await page.goto(`${at}/${hash}`);
  return page;
}

// With the policy that the server sends, so that it holds here too.
async function fromDist(route) {
  const { pathname } = new URL(route.request().url());
  const { headers } = await fetch(`${url}/`);
  await route.fulfill({
    path: fileURLToPath(new URL(`../dist/${pathname === "/" ? "index.html" : pathname.slice(1)}`, import.meta.url)),
    headers: { "content-security-policy": headers.get("content-security-policy") },
  });
}

const first = () => JSON.parse(run("--json", "ls", "--limit", "1").split("\n")[0]);

real("the map is drawn, coloured by what it knows, and finds a song", async (t) => {
  const page = await open(t, "#/map");
  await page.waitForFunction(() => window.songrecMap?.names.complete);
  assert.equal(await page.evaluate(() => window.songrecMap.state.count), 50);
  for (const scheme of ["cluster", "genre"]) {
    await page.selectOption(".legend select >> nth=0", scheme);
    const counts = await page.locator(".class .count").allTextContents();
    assert.equal(counts.reduce((sum, text) => sum + Number(text), 0), 50);
    assert.ok(counts.length > 2, scheme);
  }
  await page.fill("[data-search]", "snare");
  await page.locator("#find-results [role=option]").first().click();
  await page.locator(".near li").first().waitFor();
  await page.getByRole("button", { name: "Lines to its nearest" }).click();
  assert.ok(await page.evaluate(() => window.songrecMap.state.neighbors(window.songrecMap.state.focus).length > 5));
});

real("the map in three dimensions is drawn", async (t) => {
  const page = await open(t, "#/map?dims=3");
  await page.waitForFunction(() => window.songrecMap?.state.data.dims === 3);
});

real("words, filters and files find songs", async (t) => {
  const page = await open(t, "#/search");
  await page.fill("input[data-search]", "snare");
  await page.locator(".songs > li").first().waitFor();
  await page.goto(`${url}/#/search?filter=genre%3ADrums`);
  await page.locator(".results-head", { hasText: "15 songs" }).waitFor();
  await page.goto(`${url}/#/search?by=file`);
  await page.setInputFiles("input[type=file]", join(examples, "bass/rubber-bass.wav"));
  await page.locator(".notice", { hasText: "Rubber Bass" }).waitFor();
  await page.locator(".songs > li", { hasText: "Growl Bass" }).waitFor();
  await page.evaluate(() => (location.hash = "#/search?by=file&from=0.1&to=0.9"));
  await page.locator(".brought", { hasText: "only that part is compared" }).waitFor();
  await page.locator(".results:not(.stale) .songs > li").first().waitFor();
  await page.locator(".songs .text-button", { hasText: "Why" }).first().click();
  await page.locator(".why .bars li").first().waitFor();
});

real("the table sorts, edits, forgets and restores", async (t) => {
  const page = await open(t, "#/library?sort=title");
  await page.locator(".grid-row a").first().waitFor();
  assert.equal(await page.locator(".grid").getAttribute("aria-rowcount"), "51");
  await page.locator(".grid-head button", { hasText: "Year" }).click();
  await page.waitForTimeout(300);
  await page.locator("#cell-0-2").dblclick();
  await page.keyboard.press("Control+a");
  await page.keyboard.type("An Edited Album");
  await page.keyboard.press("Enter");
  await page.locator("#cell-0-2", { hasText: "An Edited Album" }).waitFor();
  assert.ok(run("--json", "ls", "--album", "An Edited Album").includes("An Edited Album"));
  await page.locator(".grid-row input").first().click();
  await page.locator(".selection-bar button", { hasText: "Forget" }).click();
  await page.locator("dialog button", { hasText: "Forget" }).click();
  await page.locator(".message button", { hasText: "Undo" }).click();
  await page.waitForTimeout(500);
  assert.equal(run("--json", "ls", "--count").trim(), '{"songs":50}');
});

real("a song shows its sound, its neighbours and its history", async (t) => {
  const page = await open(t, `#/song/${first().id}`);
  for (const part of ["How it sounds", "Nearest songs", "What is known", "Files and copies", "History"]) {
    await page.locator("h2", { hasText: part }).waitFor();
  }
  await page.locator(".history li", { hasText: "Added to the library" }).waitFor();
  await page.locator(".songs > li").nth(3).waitFor();
  await page.waitForFunction(() => document.querySelector(".spectrogram img")?.naturalWidth > 0);
  assert.equal(await page.locator(".picture .trouble").count(), 0);
  await page.locator(".song-head .play-button, .song-head .icon-button.large").first().click();
  await page.waitForFunction(() => document.querySelector(".player .icon-button.main")?.getAttribute("aria-label") !== undefined);
  await page.waitForTimeout(1500);
  assert.equal(await page.locator(".message.bad").count(), 0, "it plays");
});

real("statistics, clusters, outliers and duplicates are shown", async (t) => {
  const page = await open(t, "#/insights");
  await page.locator(".tile dd", { hasText: "50" }).first().waitFor();
  await page.locator(".bars a", { hasText: "Drums" }).click();
  await page.locator(".page-title", { hasText: "15 songs" }).waitFor();
  await page.goto(`${url}/#/insights/clusters`);
  assert.equal(await page.locator(".cluster").first().waitFor().then(() => page.locator(".cluster").count()), 4);
  await page.locator(".cluster h2 a").first().click();
  await page.locator(".songs > li").first().waitFor();
  await page.goto(`${url}/#/insights/outliers`);
  await page.locator(".songs > li").first().waitFor();
  await page.goto(`${url}/#/insights/duplicates?near=0.95`);
  await page.locator(".empty, .card").first().waitFor();
});

real("a scan runs as a job and its end is told", async (t) => {
  const page = await open(t, "#/machines/jobs");
  await page.fill("[aria-label=Folder]", join(examples, "kick"));
  await page.keyboard.press("Enter");
  await page.locator(".job[data-state=done]").waitFor();
  await page.goto(`${url}/#/machines/health`);
  await page.locator(".findings li").first().waitFor();
  await page.goto(`${url}/#/machines/trash`);
  await page.locator(".empty, .trash-list").first().waitFor();
});

real("a token is asked for, and a server that only reads offers no change", async (t) => {
  const closed = await start(["--read-only"], { SONGREC_SERVE_TOKEN: "a-token-of-some-length-for-tests" });
  try {
    const page = await open(t, "#/library", { expected: /401|403/, at: closed.url });
    await page.fill("input[type=password]", "another-token");
    await page.keyboard.press("Enter");
    await page.locator("[role=alert]", { hasText: "not the token" }).waitFor();
    await page.fill("input[type=password]", "a-token-of-some-length-for-tests");
    await page.keyboard.press("Enter");
    await page.locator(".grid-row a").first().waitFor();
    await page.locator(".read-only").waitFor();
    // The cookie also lets the picture and the sound through, which send no header.
    await page.locator(".grid-row a").first().click();
    await page.waitForFunction(() => document.querySelector(".spectrogram img")?.naturalWidth > 0);
    assert.equal(await page.locator("[aria-label^=Edit], [aria-label^=Forget]").count(), 0);
  } finally {
    await closed.end();
  }
});

real("a playlist is made from the table, ordered, played and written", async (t) => {
  const page = await open(t, "#/library");
  for (const n of [0, 1, 2]) await page.locator(".grid-row input[type=checkbox]").nth(n).click();
  await page.getByRole("button", { name: "Add to playlist" }).click();
  await page.getByLabel("Name of a playlist").fill("Made here");
  await page.keyboard.press("Enter");
  await page.getByRole("button", { name: "Show" }).click();
  await page.getByRole("heading", { level: 1, name: "Made here" }).waitFor();
  const titles = () => page.locator(".entries .song-name > a").allTextContents();
  const before = await titles();
  assert.equal(before.length, 3);
  await page.locator(".entries .handle").first().focus();
  await page.keyboard.press("End");
  const turned = [before[1], before[2], before[0]];
  await page.waitForFunction((last) => [...document.querySelectorAll(".entries .song-name > a")].at(-1)?.textContent === last, before[0]);
  await page.waitForLoadState("networkidle");
  await page.reload();
  await page.locator(".entries > li").first().waitFor();
  assert.deepEqual(await titles(), turned);
  await page.getByRole("button", { name: "Export" }).click();
  const [file] = await Promise.all([page.waitForEvent("download"), page.locator(".exports a").nth(1).click()]);
  assert.equal(file.suggestedFilename(), "Made here.xspf");
  await page.getByRole("button", { name: "Delete this playlist" }).click();
  await page.getByRole("button", { name: "Delete", exact: true }).click();
  await page.getByRole("heading", { level: 1, name: "Playlists" }).waitFor();
});

real("a radio and a path are made and kept, and a rule is what was shown", async (t) => {
  const { id } = first();
  const page = await open(t, `#/radio?like=${id}&length=7&variety=0.5`);
  const songs = () => page.locator(".songs > li").evaluateAll((rows) => rows.map((row) => row.dataset.song));
  const settled = () => page.locator(".results:not(.stale) .songs > li").first().waitFor();
  await settled();
  const radio = await songs();
  assert.equal(radio.length, 7);
  assert.ok(!radio.includes(id));
  await page.getByRole("button", { name: "Save as playlist" }).click();
  await page.getByLabel("Name of a playlist").fill("A real radio");
  await page.keyboard.press("Enter");
  await page.getByRole("button", { name: "Show" }).click();
  await page.getByRole("heading", { level: 1, name: "A real radio" }).waitFor();
  const ids = () => page.locator(".entries .song-name > a").evaluateAll((links) => links.map((link) => decodeURIComponent(link.hash).split("/").pop()));
  assert.deepEqual(await ids(), radio);

  // Samples are short, and a time is filled all the same.
  await page.goto(`${url}/#/radio?like=${id}&minutes=1`);
  await page.locator(".queue-facts", { hasText: "1 min" }).waitFor();
  assert.ok((await songs()).length > 1);

  await page.goto(`${url}/#/path?a=${id}&b=${radio[6]}&length=5`);
  await settled();
  const way = await songs();
  assert.deepEqual([way[0], way.at(-1)], [id, radio[6]]);

  await page.goto(`${url}/#/playlists/rule?filter=genre%3ADrums&like=${radio[0]}&length=6`);
  await settled();
  const shown = await songs();
  await page.getByLabel("Name of the playlist").fill("A <b>rule</b>");
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { level: 1, name: "A <b>rule</b>" }).waitFor();
  assert.deepEqual(await ids(), shown);
  await page.getByRole("link", { name: "Edit the rule" }).click();
  await page.getByLabel("Songs at the most").fill("3");
  await page.keyboard.press("Enter");
  await page.locator(".queue-facts", { hasText: /^3 songs/ }).waitFor();
  await page.getByRole("button", { name: "Save the rule" }).click();
  await page.locator(".entries > li").nth(2).waitFor();
  assert.deepEqual(await ids(), shown.slice(0, 3));
});

real("a playlist of another player is found by a folder that is mapped", async (t) => {
  const page = await open(t, "#/playlists/import");
  const lines = ["#EXTM3U", "M:\\Samples\\bass\\rubber-bass.wav", "M:\\Samples\\kick\\nobody has this.wav", ""];
  await page.setInputFiles("input[type=file]", { name: "From a player.m3u8", mimeType: "audio/x-mpegurl", buffer: Buffer.from(lines.join("\r\n")) });
  await page.locator(".unmatched li").first().waitFor();
  await page.getByRole("button", { name: "A folder" }).click();
  await page.getByLabel("Folder 1 as the file has it").fill("M:\\Samples");
  await page.getByLabel("Folder 1 as the server has it").fill(examples);
  await page.locator(".queue-facts", { hasText: "1 by path" }).waitFor();
  await page.getByRole("button", { name: "Make a playlist of 1 song" }).click();
  await page.getByRole("heading", { level: 1, name: "From a player" }).waitFor();
  await page.locator(".entries", { hasText: "Rubber Bass" }).waitFor();
});

real("clusters are deleted", async (t) => {
  const page = await open(t, "#/insights/clusters", { expected: /404/ });
  await page.getByRole("button", { name: "Delete the clusters" }).click();
  await page.getByRole("button", { name: "Delete", exact: true }).click();
  await page.locator(".empty", { hasText: "There are no clusters yet" }).waitFor();
});

real("the documentation opens, asks and answers under the policy", async (t) => {
  const page = await open(t, "docs/");
  await page.locator("#operations-songs-list .opblock-summary-control, .opblock-get .opblock-summary-control").first().click();
  await page.locator(".try-out__btn").first().click();
  await page.locator(".btn.execute").first().click();
  await page.locator(".live-responses-table .response-col_status").first().waitFor();
  await page.locator(".btn.authorize").first().click();
  await page.locator(".modal-ux").waitFor();
});
