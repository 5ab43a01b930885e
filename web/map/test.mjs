// The page in a real browser: `node --test test.mjs`, which needs Chromium
// (`CHROMIUM` names another than /usr/bin/chromium) and the built page. With
// `SHOTS=FOLDER` it leaves pictures there to be looked at.

import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { after, before } from "node:test";
import { fileURLToPath, pathToFileURL } from "node:url";
import { chromium } from "playwright-core";
import { HOSTILE, page as pasted, sample } from "./sample.mjs";

const template = readFileSync(
  fileURLToPath(new URL("../../crates/library/assets/map.html", import.meta.url)),
  "utf8",
);
const folder = mkdtempSync(join(tmpdir(), "map-page-"));
const shots = process.env.SHOTS;
if (shots) mkdirSync(shots, { recursive: true });
const maps = new Map();
let browser;

before(async () => {
  browser = await chromium.launchPersistentContext(mkdtempSync(join(folder, "profile-")), {
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    headless: true,
    permissions: ["clipboard-read", "clipboard-write"],
    args: [
      "--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--disable-quic",
      "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    ],
  });
});
after(async () => {
  await browser.close();
  rmSync(folder, { recursive: true, force: true });
});

const write = (name, map) => {
  const path = join(folder, name);
  writeFileSync(path, pasted(template, map));
  return pathToFileURL(path).href;
};

/** The address of a sample's page, made once, and the sample. */
function made(count, dims = 2) {
  const name = `${count}-${dims}.html`;
  if (!maps.has(name)) {
    const map = sample(count, dims);
    maps.set(name, { map, url: write(name, map) });
  }
  return maps.get(name);
}

/** Opens a page; the test fails on whatever it logs, throws or asks for. */
async function open(t, url, { width = 1280, height = 800, theme = "light", script, ready = true } = {}) {
  const page = await browser.newPage();
  const trouble = [];
  page.on("console", (message) => trouble.push(`console: ${message.text()}`));
  page.on("pageerror", (error) => trouble.push(`error: ${error.stack}`));
  page.on("request", (request) => {
    if (request.url().split("#")[0] !== url.split("#")[0] && !/^(data|blob):/.test(request.url())) {
      trouble.push(`request: ${request.url()}`);
    }
  });
  page.trouble = trouble;
  await page.setViewportSize({ width, height });
  await page.emulateMedia({ colorScheme: theme, reducedMotion: "reduce" });
  if (script) await page.addInitScript(script);
  await page.goto(url);
  if (ready) await page.waitForSelector("#loading", { state: "hidden", timeout: 60_000 });
  t.after(async () => {
    await page.close();
    assert.deepEqual(trouble, []);
  });
  return page;
}

/** How many pixels of the map are not background. */
const inked = (page) =>
  page.evaluate(() => {
    const { view } = window.songrecMap;
    view.draw(performance.now() + 1e6);
    const { canvas } = view;
    const gl = canvas.getContext("webgl2");
    const pixels = gl
      ? new Uint8Array(4 * canvas.width * canvas.height)
      : canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
    gl?.readPixels(0, 0, canvas.width, canvas.height, gl.RGBA, gl.UNSIGNED_BYTE, pixels);
    let count = 0;
    for (let i = 0; i < pixels.length; i += 4) {
      const differs = [0, 1, 2].some((c) => Math.abs(pixels[i + c] - pixels[c]) > 8);
      if (differs) count++;
    }
    return count;
  });

/** Where a song is in the window. */
const place = (page, song) =>
  page.evaluate((song) => {
    const { x, y } = window.songrecMap.view.projected();
    const box = document.getElementById("points").getBoundingClientRect();
    return [x[song] + box.left, y[song] + box.top];
  }, song);

const selected = (page) => page.evaluate(() => window.songrecMap.state.selection());
const settled = (page) => page.waitForTimeout(700);

async function drag(page, points, key) {
  if (key) await page.keyboard.down(key);
  await page.mouse.move(...points[0]);
  await page.mouse.down();
  for (const point of points.slice(1)) await page.mouse.move(...point, { steps: 4 });
  await page.mouse.up();
  if (key) await page.keyboard.up(key);
}

for (const [count, dims] of [[50, 2], [5000, 2], [5000, 3], [100_000, 2], [100_000, 3]]) {
  test(`${count} songs in ${dims} dimensions are drawn, wide and narrow, light and dark`, async (t) => {
    const { url } = made(count, dims);
    for (const theme of ["light", "dark"]) {
      for (const width of [1280, 640]) {
        const page = await open(t, url, { width, theme });

        const ink = await inked(page);

        assert.ok(ink > Math.min(count * 8, 8_000), `${ink} pixels`);
        assert.equal(await page.locator("html").getAttribute("data-theme"), theme);
        const over = await page.evaluate(() => {
          const { scrollWidth, scrollHeight } = document.documentElement;
          return [scrollWidth - innerWidth, scrollHeight - innerHeight];
        });
        assert.deepEqual(over, [0, 0], "the page is larger than the window");
        if (shots) await page.screenshot({ path: join(shots, `${count}-${dims}d-${theme}-${width}.png`) });
      }
    }
  });
}

test("the legend hides classes, shows one alone, and shows all again", async (t) => {
  const { map, url } = made(5000);
  const page = await open(t, url);
  const shown = () => page.evaluate(() => window.songrecMap.state.shown.reduce((a, b) => a + b, 0));
  const before = await inked(page);
  const first = page.locator("#legend .class").first();
  const name = await first.locator(".name").textContent();
  const members = map.songs.genre.filter((genre) => genre === name).length;

  await first.click();
  assert.equal(await first.getAttribute("aria-pressed"), "false");
  assert.equal(await shown(), 5000 - members);
  assert.ok((await inked(page)) < before);

  await first.click({ modifiers: ["Shift"] });
  assert.equal(await shown(), members);

  await page.click("#invert");
  assert.equal(await shown(), 5000 - members);
  await page.click("#show-all");
  assert.equal(await shown(), 5000);
  assert.equal(await inked(page), before);
});

test("every property colours the map, and numbers go from blue to yellow", async (t) => {
  const { map, url } = made(5000);
  const page = await open(t, url);
  for (const name of ["cluster", "key", "bpm", "anomaly", "genre"]) {
    await page.selectOption("#color", name);
    const counts = await page.locator("#legend .count").allTextContents();
    const total = counts.reduce((sum, text) => sum + Number(text.replaceAll(",", "")), 0);
    assert.equal(total, 5000, name);
    if (shots) await page.screenshot({ path: join(shots, `color-${name}.png`) });
  }
  await page.selectOption("#color", "bpm");
  const order = map.songs.bpm
    .map((bpm, i) => [bpm, i])
    .filter(([bpm]) => bpm !== null)
    .sort((a, b) => a[0] - b[0]);
  const color = (song) =>
    page.evaluate((song) => [...window.songrecMap.view.colors.subarray(4 * song, 4 * song + 3)], song);
  const [slow, fast] = [await color(order[0][1]), await color(order.at(-1)[1])];
  assert.ok(slow[2] > slow[0] && fast[0] > fast[2], `${slow} to ${fast}`);
});

test("search finds without accents, and brings the song into the middle", async (t) => {
  const { map, url } = made(5000);
  const page = await open(t, url);
  const song = map.songs.title.findIndex((title, i) => i > 30 && title.startsWith("Été Straße"));

  await page.keyboard.press("/");
  await page.keyboard.type(map.songs.title[song].replaceAll("É", "e").replace("é", "E"));
  await page.waitForSelector("#results:not([hidden]) [role=option]");
  await page.keyboard.press("Enter");
  await settled(page);

  assert.equal(await page.evaluate(() => window.songrecMap.state.focus), song);
  assert.equal(await page.locator("#song h3").textContent(), map.songs.title[song]);
  const box = await page.locator("#points").boundingBox();
  const [x, y] = await place(page, song);
  assert.ok(Math.hypot(x - box.x - box.width / 2, y - box.y - box.height / 2) < 1);
});

test("the pointer is told what it is on, and a click keeps it", async (t) => {
  const { map, url } = made(50);
  const page = await open(t, url);
  const spot = await place(page, 30);
  // Whichever song is on top there.
  const song = await page.evaluate(([x, y]) => {
    const box = document.getElementById("points").getBoundingClientRect();
    return window.songrecMap.view.songAt([x - box.left, y - box.top]);
  }, spot);

  await page.mouse.move(...spot);

  const text = await page.locator("#tooltip").innerText();
  for (const column of ["title", "artist", "album", "genre", "key"]) {
    const value = map.songs[column][song];
    if (value !== null) assert.ok(text.includes(value), `${column} is missing in ${text}`);
  }
  await page.mouse.click(...spot);
  assert.equal(await page.evaluate(() => window.songrecMap.state.focus), song);
});

test("rectangle and lasso select what is inside; Shift adds, Alt removes", async (t) => {
  for (const dims of [2, 3]) {
    const { url } = made(5000, dims);
    const page = await open(t, url);
    const within = (test) =>
      page.evaluate((body) => {
        const { view, state } = window.songrecMap;
        const { x, y } = view.projected();
        const box = document.getElementById("points").getBoundingClientRect();
        const inside = new Function("x", "y", `return ${body}`);
        return [...state.shown.keys()].filter((i) => inside(x[i] + box.left, y[i] + box.top));
      }, test);

    await page.click("[data-tool=rectangle]");
    await drag(page, [[420, 300], [560, 460]]);
    const rectangle = await within("x >= 420 && x <= 560 && y >= 300 && y <= 460");
    assert.ok(rectangle.length > 20);
    assert.deepEqual(await selected(page), rectangle);

    await page.click("[data-tool=lasso]");
    // A triangle with a right angle: left of x + y = 1000.
    await drag(page, [[500, 300], [700, 300], [500, 500]], "Shift");
    const triangle = await within("x >= 500 && y >= 300 && x + y <= 1000");
    const both = await selected(page);
    const wanted = new Set([...rectangle, ...triangle]);
    const wrong = [...wanted].filter((song) => !both.includes(song)).length + both.filter((song) => !wanted.has(song)).length;
    // A lasso is kept to a few pixels only.
    assert.ok(both.length > rectangle.length && wrong <= wanted.size * 0.02, `${wrong} of ${wanted.size}`);
    if (shots) await page.screenshot({ path: join(shots, `lasso-${dims}d.png`) });

    await page.click("[data-tool=rectangle]");
    await drag(page, [[0, 120], [979, 770]], "Alt");
    const left = await within("x > 979 || x < 0 || y < 120 || y > 770");
    assert.deepEqual(await selected(page), both.filter((song) => left.includes(song)));
  }
});

test("hidden songs are not selected", async (t) => {
  const { map, url } = made(5000);
  const page = await open(t, url);
  await page.locator("#legend .class").first().click();
  await page.click("[data-tool=rectangle]");
  await drag(page, [[10, 120], [970, 760]]);

  const hidden = await page.locator("#legend .class .name").first().textContent();
  const genres = (await selected(page)).map((song) => map.songs.genre[song]);
  assert.ok(genres.length > 1000);
  assert.ok(!genres.includes(hidden));
});

test("lines lead to the true nearest songs, and the page says that the map distorts", async (t) => {
  const { map, url } = made(5000);
  const page = await open(t, url);
  const bytes = Buffer.from(map.neighbors.ids, "base64");
  const truly = (song) => Array.from({ length: 10 }, (_, i) => bytes.readUInt32LE(4 * (song * 10 + i)));
  const points = Buffer.from(map.coordinates, "base64");
  const at = (i) => [points.readFloatLE(8 * i), points.readFloatLE(8 * i + 4)];
  const onMap = (song) =>
    [...Array(5000).keys()]
      .filter((i) => i !== song)
      .map((i) => [Math.hypot(at(i)[0] - at(song)[0], at(i)[1] - at(song)[1]), i])
      .sort((a, b) => a[0] - b[0])
      .slice(0, 10)
      .map(([, i]) => i);
  const both = (song) => truly(song).filter((i) => onMap(song).includes(i)).length;
  // One for which the map is right in part.
  const song = [...Array(5000).keys()].find((song) => song > 700 && both(song) > 1 && both(song) < 9);
  const [nearest, shared] = [truly(song), both(song)];

  await page.evaluate((song) => window.songrecMap.state.focusOn(song), song);
  await page.click("#near");

  const listed = await page.locator("#nearest ol button").allTextContents();
  const names = nearest.map((i) => map.songs.title[i]);
  listed.forEach((text, i) => assert.ok(text.startsWith(names[i]), `${text}, not ${names[i]}`));
  const note = await page.locator("#nearest .note").textContent();
  assert.match(note, /Distances on this map are distorted: lines show the true nearest songs/);
  assert.match(note, new RegExp(`Of these 10, ${shared} `));
  if (shots) {
    await page.getByRole("button", { name: "Centre" }).click();
    await settled(page);
    await page.screenshot({ path: join(shots, "nearest.png") });
  }
});

test("titles are text, whatever they hold", async (t) => {
  const { url } = made(50);
  const page = await open(t, url);
  for (let song = 0; song < HOSTILE.length; song++) {
    await page.evaluate((song) => window.songrecMap.state.focusOn(song), song);
    const heading = await page.locator("#song h3").textContent();
    assert.ok(heading.length > 0 && !/[\u0000-\u001f\u202e]/.test(heading), JSON.stringify(heading));
  }
  await page.click("#select-shown");
  await page.click("[data-page=table]");
  assert.equal(await page.locator("#rows tr").count() > 20, true);

  assert.equal(await page.evaluate(() => window.broken), undefined);
  assert.equal(await page.locator("img, b, iframe").count(), 0);
  assert.equal(await page.locator("script").count(), 2);
});

test("a selection leaves as ids, as a playlist and as a table", async (t) => {
  const { map, url } = made(50);
  const page = await open(t, url);
  await page.click("#select-shown");

  await page.click("#copy-ids");
  await page.waitForFunction(() => document.getElementById("message").textContent !== "");
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), map.songs.id.join("\n"));

  const fetched = async (id) => {
    const [download] = await Promise.all([page.waitForEvent("download"), page.click(id)]);
    return { name: download.suggestedFilename(), text: readFileSync(await download.path(), "utf8") };
  };
  const list = await fetched("#save-m3u8");
  assert.equal(list.name, "Sample library-selection.m3u8");
  const lines = list.text.trimEnd().split("\n");
  assert.equal(lines[0], "#EXTM3U");
  assert.deepEqual(lines.filter((line) => !line.startsWith("#")), map.songs.path.filter((path) => path));
  assert.equal(lines.length, 1 + 2 * 49);
  assert.match(await page.locator("#message").textContent(), /1 song without a path left out/);

  const { text } = await fetched("#save-csv");
  assert.equal(text.split("\r\n")[0], "id,title,artist,album,genre,key,bpm,duration,cluster,anomaly,path");
  assert.ok(text.includes(`"'=HYPERLINK(""http://example.org"", ""click"")"`));

  await page.click("#clear");
  assert.equal((await selected(page)).length, 0);
});

test("keys pan, zoom, search and take back; Tab goes through the page in order", async (t) => {
  const { url } = made(5000);
  const page = await open(t, url);
  const flat = () => page.evaluate(() => ({ ...window.songrecMap.view.camera.flat }));
  const order = [];
  for (let i = 0; i < 6; i++) {
    await page.keyboard.press("Tab");
    order.push(await page.evaluate(() => document.activeElement.id || document.activeElement.textContent));
  }
  assert.deepEqual(order, ["search", "Map", "Table", "theme", "points", "Move"]);

  await page.focus("#points");
  const start = await flat();
  await page.keyboard.press("ArrowRight");
  assert.ok((await flat()).x > start.x);
  await page.keyboard.press("ArrowUp");
  assert.ok((await flat()).y > start.y);
  await page.keyboard.press("+");
  assert.ok((await flat()).zoom > start.zoom);
  await page.keyboard.press("-");
  assert.ok(Math.abs((await flat()).zoom - start.zoom) < 1e-9);
  await page.keyboard.press("Enter");
  await page.keyboard.press("n");
  const state = () => page.evaluate(() => [window.songrecMap.state.focus >= 0, window.songrecMap.state.near]);
  assert.deepEqual(await state(), [true, true]);
  await page.keyboard.press("Escape");
  assert.deepEqual(await state(), [true, false]);
  await page.keyboard.press("Escape");
  assert.deepEqual(await state(), [false, false]);
  await page.keyboard.press("0");
  await settled(page);
  assert.deepEqual(await flat(), { x: 0, y: 0, zoom: 1 });
});

test("the table holds few rows, sorts with what is unknown last, and selects", async (t) => {
  const { map, url } = made(100_000);
  const page = await open(t, url);
  await page.click("[data-page=table]");
  const table = page.locator("#table");
  assert.equal(await table.getAttribute("aria-rowcount"), "100001");
  assert.ok((await page.locator("#rows tr").count()) < 80);
  const column = (n) => page.locator(`#rows tr td:nth-child(${n})`).allTextContents();
  const bpm = page.locator("#heads button", { hasText: "BPM" });
  const known = map.songs.bpm.filter((value) => value !== null);

  await bpm.click();
  assert.equal(Number((await column(6))[0]), Math.round(known.reduce((a, b) => Math.min(a, b)) * 10) / 10);
  await bpm.click();
  assert.equal(await page.locator("#heads th[aria-sort=descending]").textContent(), "BPM");
  assert.equal(Number((await column(6))[0]), Math.round(known.reduce((a, b) => Math.max(a, b)) * 10) / 10);

  await page.locator("#rows tr").first().focus();
  await page.keyboard.press("End");
  const last = page.locator("#rows tr:focus");
  assert.equal(await last.getAttribute("aria-rowindex"), "100001");
  assert.equal((await column(6)).at(-1), "");
  await page.keyboard.press("Space");
  assert.equal((await selected(page)).length, 1);
  assert.equal(await page.locator("#rows tr:focus").getAttribute("aria-selected"), "true");
  const within = await page.evaluate(() => {
    const row = document.activeElement.getBoundingClientRect();
    const box = document.getElementById("table-scroll").getBoundingClientRect();
    return row.top >= box.top && row.bottom <= box.bottom + 1;
  });
  assert.ok(within, "the row with the focus is out of sight");

  await page.fill("#search", "glass tide 99");
  await page.waitForFunction(() => document.getElementById("table-count").textContent !== "100,000 songs");
  const folded = (song) => `${map.songs.title[song]} ${map.songs.artist[song]}`.toLowerCase();
  const wanted = map.songs.id.filter((_, song) =>
    ["glass", "tide", "99"].every((word) => folded(song).includes(word)),
  );
  assert.equal(await page.locator("#table-count").textContent(), `${wanted.length} songs`);
  if (shots) await page.screenshot({ path: join(shots, "table.png") });
});

test("a table of a million rows can be scrolled to its end", async (t) => {
  const { url } = made(50);
  const page = await open(t, url);
  await page.click("[data-page=table]");
  // The rows are repeated: what is tested is how they are placed.
  await page.evaluate(() => {
    const { state } = window.songrecMap;
    const once = [...state.shown.keys()];
    Object.defineProperty(state.shown, "keys", {
      value: () => Array.from({ length: 1_000_000 }, (_, i) => once[i % 50]),
    });
    state.tell("shown");
  });
  const scroll = (top) =>
    page.evaluate(async (top) => {
      const box = document.getElementById("table-scroll");
      box.scrollTop = top;
      await new Promise((done) => setTimeout(done, 200));
      const area = box.getBoundingClientRect();
      const head = document.getElementById("heads").getBoundingClientRect();
      const rows = [...document.querySelectorAll("#rows tr")].filter((row) => {
        const { top, bottom } = row.getBoundingClientRect();
        return top >= head.bottom - 1 && bottom <= area.bottom + 1;
      });
      return { head: head.top - area.top, rows: rows.map((row) => Number(row.dataset.row)) };
    }, top);

  for (const top of [0, 6_000_000, 1e9]) {
    const { head, rows } = await scroll(top);
    assert.ok(Math.abs(head) < 2, `the head is ${head} pixels off at ${top}`);
    assert.ok(rows.length > 15, `${rows.length} rows at ${top}`);
  }
  assert.equal((await scroll(1e9)).rows.at(-1), 999_999);
});

test("an address shows the same view again", async (t) => {
  for (const dims of [2, 3]) {
    const { map, url } = made(5000, dims);
    const page = await open(t, url);
    await page.selectOption("#color", "cluster");
    await page.locator("#legend .class").nth(2).click();
    await page.locator("#legend .class").last().click();
    await page.click("#invert");
    await settled(page);
    assert.match(page.url(), /only=/);
    await page.click("#hide-all");
    await settled(page);
    assert.match(page.url(), /hidden=all/);
    await page.click("#show-all");
    await page.locator("#legend .class").nth(2).click();
    await page.locator("#legend .class").last().click();
    await drag(page, [[400, 400], [450, 430]]);
    await page.mouse.wheel(0, -400);
    await page.evaluate(() => {
      window.songrecMap.state.focusOn(123);
      window.songrecMap.state.showNear(true);
    });
    await settled(page);
    const look = (page) =>
      page.evaluate(() => {
        const { state, view } = window.songrecMap;
        const { camera } = view;
        // As many digits as an address holds.
        const round = (value) => Number(value.toPrecision(5));
        return {
          scheme: state.scheme.name,
          hidden: [...state.hidden].sort(),
          focus: state.focus,
          near: state.near,
          camera: Object.values(camera.solid ? camera.orbit : camera.flat).map(round),
        };
      });
    const address = page.url();
    assert.ok(address.includes(`song=${map.songs.id[123]}`));

    const again = await open(t, address);

    const before = await look(page);
    assert.equal(before.hidden.length, 2);
    assert.deepEqual(await look(again), before);
    await settled(again);
    assert.equal(again.url(), address);
  }
});

test("the theme follows the system until it is chosen", async (t) => {
  const { url } = made(50);
  const page = await open(t, url, { theme: "dark" });
  const theme = () => page.locator("html").getAttribute("data-theme");
  assert.equal(await theme(), "dark");
  await page.emulateMedia({ colorScheme: "light" });
  await page.waitForSelector("html[data-theme=light]");

  await page.click("#theme");
  assert.equal(await theme(), "dark");
  await page.reload();
  await page.waitForSelector("#loading", { state: "hidden" });
  assert.equal(await theme(), "dark");
  await page.click("#theme");
  assert.equal(await theme(), "light");
});

test("three dimensions turn, and lie flat when asked to", async (t) => {
  const { url } = made(5000, 3);
  const page = await open(t, url);
  const orbit = () => page.evaluate(() => ({ ...window.songrecMap.view.camera.orbit }));
  const before = await orbit();

  await drag(page, [[500, 400], [600, 420]]);
  assert.notEqual((await orbit()).yaw, before.yaw);
  assert.equal((await orbit()).x, before.x);
  await drag(page, [[500, 400], [600, 420]], "Shift");
  assert.notEqual((await orbit()).x, before.x);

  await page.click("[data-dims='2']");
  await settled(page);
  assert.equal(await page.locator("#hint").textContent(), "The first two of three dimensions");
  const same = await page.evaluate(() => {
    const { view } = window.songrecMap;
    const { x } = view.projected();
    const values = view.places.values;
    const { camera } = view;
    return [...x.keys()].every((i) => Math.abs(x[i] - (values[3 * i] * camera.scale + camera.width / 2)) < 0.01);
  });
  assert.ok(same);
});

test("what cannot be shown is said in words", async (t) => {
  const cases = [
    [template, /holds no map/],
    [pasted(template, { ...sample(5), version: 2 }), /version 2/],
    [pasted(template, { ...sample(5), coordinates: "AAAA" }), /coordinates have 3 bytes; 40 were expected/],
    [pasted(template, { ...sample(5), songs: { ...sample(5).songs, bpm: [1] } }), /“bpm”/],
    [pasted(template, { ...sample(5), count: 0, coordinates: "", neighbors: null, songs: { id: [] } }), /no songs/],
  ];
  for (const [i, [text, message]] of cases.entries()) {
    const path = join(folder, `bad-${i}.html`);
    writeFileSync(path, text);
    const page = await open(t, pathToFileURL(path).href, { ready: false });
    await page.waitForSelector("#loading.failed");
    assert.match(await page.locator("#loading").textContent(), message);
    assert.equal(await page.locator("#page").isVisible(), false);
  }
});

test("one song, songs all at one place, and songs without a place are shown", async (t) => {
  const one = write("one.html", sample(1));
  const page = await open(t, one);
  assert.ok((await inked(page)) > 20);

  const zeros = Buffer.from(new Float32Array(60).buffer).toString("base64");
  const same = await open(t, write("same.html", { ...sample(30), coordinates: zeros }));
  assert.ok((await inked(same)) > 20);

  const values = Float32Array.from({ length: 60 }, (_, i) => (i < 4 ? NaN : i * (i % 7)));
  const map = { ...sample(30), coordinates: Buffer.from(values.buffer).toString("base64"), neighbors: null };
  const partly = await open(t, write("partly.html", map));
  assert.ok((await inked(partly)) > 20);
  assert.match(await partly.locator("#made").textContent(), /2 songs without a place/);
  await partly.evaluate(() => window.songrecMap.state.focusOn(0));
  assert.match(await partly.locator("#song").textContent(), /has no place on the map/);
  assert.equal(await partly.locator("#near").count(), 0);
});

test("the example of the README is a map", async (t) => {
  const readme = readFileSync(fileURLToPath(new URL("README.md", import.meta.url)), "utf8");
  const map = JSON.parse(readme.split("```json\n")[1].split("```")[0]);
  const page = await open(t, write("readme.html", map));

  assert.equal(await page.locator("#library").textContent(), "Home");
  assert.ok((await inked(page)) > 20);
  await page.evaluate(() => window.songrecMap.state.focusOn(0));
  await page.click("#near");
  assert.equal(await page.locator("#nearest ol button").textContent(), "b.mp3 – Glass");
  assert.match(await page.locator("#nearest .note").textContent(), /Of these 1, 1 is also/);
});

test("nothing outside can be asked for", async (t) => {
  const { url } = made(50);
  const page = await open(t, url);

  let reached = 0;
  const server = createServer((_, response) => {
    reached++;
    response.end();
  });
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  t.after(() => server.close());

  const refused = await page.evaluate(async (host) => {
    const tries = await Promise.allSettled([
      fetch(host),
      new Promise((done, fail) => {
        const image = new Image();
        image.onload = done;
        image.onerror = fail;
        image.src = `${host}a.png`;
      }),
    ]);
    const script = document.createElement("script");
    script.textContent = "window.broken = true";
    document.head.append(script);
    return tries.map((one) => one.status);
  }, `http://127.0.0.1:${server.address().port}/`);

  assert.deepEqual(refused, ["rejected", "rejected"]);
  assert.equal(reached, 0);
  assert.equal(await page.evaluate(() => window.broken), undefined);
  // The browser reports a request that it refuses like any other.
  const policy = page.trouble.splice(0).filter((line) => !line.startsWith("request: http://127.0.0.1:"));
  assert.ok(policy.length >= 3 && policy.every((line) => line.includes("Content Security Policy")), policy.join("\n"));
});

test("the map comes back after the graphics driver was lost", async (t) => {
  const { url } = made(5000);
  const page = await open(t, url);
  const before = await inked(page);

  const lost = await page.evaluate(async () => {
    const gl = window.songrecMap.view.canvas.getContext("webgl2");
    const extension = gl.getExtension("WEBGL_lose_context");
    extension.loseContext();
    await new Promise((done) => setTimeout(done, 200));
    const lost = gl.isContextLost();
    extension.restoreContext();
    await new Promise((done) => setTimeout(done, 500));
    return lost;
  });

  assert.ok(lost);
  assert.equal(await inked(page), before);
  page.trouble.splice(0, page.trouble.length, ...page.trouble.filter((line) => !line.includes("CONTEXT_LOST")));
});

test("without WebGL2 the songs are drawn all the same", async (t) => {
  const { url } = made(5000);
  const script = () => {
    const real = HTMLCanvasElement.prototype.getContext;
    HTMLCanvasElement.prototype.getContext = function (kind, ...rest) {
      return kind === "webgl2" ? null : real.call(this, kind, ...rest);
    };
  };
  const page = await open(t, url, { script });

  const fallback = await inked(page);
  if (shots) await page.screenshot({ path: join(shots, "without-webgl.png") });

  const drawn = await open(t, url);
  const usual = await inked(drawn);
  assert.ok(Math.abs(fallback / usual - 1) < 0.15, `${fallback} pixels, ${usual} with WebGL2`);
});

test("a song with a file plays with the space bar", async (t) => {
  const map = sample(50);
  writeFileSync(join(folder, "tone.wav"), tone(3));
  map.songs.href = map.songs.id.map((_, i) => (i === 30 ? "tone.wav" : i === 31 ? "https://example.org/a.mp3" : null));
  const page = await open(t, write("audio.html", map));
  await page.evaluate(() => window.songrecMap.state.focusOn(31));
  assert.equal(await page.getByRole("button", { name: "Play", exact: true }).count(), 0);
  await page.evaluate(() => window.songrecMap.state.focusOn(30));

  await page.focus("#points");
  await page.keyboard.press("Space");

  await page.waitForSelector("#song button:text-is('Stop')");
  await page.waitForTimeout(500);
  assert.equal(await page.locator("#song button:text-is('Stop')").count(), 1);
  await page.keyboard.press("Space");
  await page.waitForSelector("#song button:text-is('Play')");
  const asked = page.trouble.splice(0);
  assert.ok(asked.every((line) => line.startsWith("request: file:") && line.endsWith("tone.wav")), asked.join("\n"));
});

test("100,000 songs can be moved", async (t) => {
  for (const dims of [2, 3]) {
    const { url } = made(100_000, dims);
    const page = await open(t, url);
    await page.evaluate(() => (window.songrecMap.view.frames.length = 0));
    await page.mouse.move(300, 400);
    await page.mouse.down();
    for (let i = 0; i < 90; i++) {
      await page.mouse.move(300 + 3 * i, 400 + i);
      await page.waitForTimeout(10);
    }
    await page.mouse.up();
    const { frames, whole, script } = await page.evaluate(() => {
      const { view } = window.songrecMap;
      const gl = view.canvas.getContext("webgl2");
      const pixel = new Uint8Array(4);
      const times = [];
      let script = 0;
      for (let i = 0; i < 12; i++) {
        view.stale = true;
        const begun = performance.now();
        // Far in the future: nothing moves, so that all songs are drawn.
        view.draw(performance.now() + 1e6);
        script += (performance.now() - begun) / 12;
        gl.readPixels(0, 0, 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, pixel);
        times.push(performance.now() - begun);
      }
      return { frames: view.frames, whole: times.sort((a, b) => a - b)[6], script };
    });
    frames.sort((a, b) => a - b);
    const at = (share) => Math.round(frames[Math.floor(share * (frames.length - 1))]);
    t.diagnostic(
      `${dims} dimensions: frames while moving ${at(0.5)} ms (median), ${at(0.9)} ms (90 %); ` +
        `all songs drawn and finished in ${whole.toFixed(1)} ms, of which ${script.toFixed(1)} ms script`,
    );
    assert.ok(frames.length > 5);
    assert.ok(whole < 500, `${whole} ms for one picture`);
    assert.ok(script < 60, `${script} ms of script for one picture`);
  }
});

/** Seconds of a tone as a WAV file. */
function tone(seconds) {
  const rate = 8000;
  const data = Buffer.alloc(44 + rate * seconds);
  data.write("RIFF", 0);
  data.writeUInt32LE(data.length - 8, 4);
  data.write("WAVEfmt ", 8);
  data.writeUInt32LE(16, 16);
  data.writeUInt16LE(1, 20);
  data.writeUInt16LE(1, 22);
  data.writeUInt32LE(rate, 24);
  data.writeUInt32LE(rate, 28);
  data.writeUInt16LE(1, 32);
  data.writeUInt16LE(8, 34);
  data.write("data", 36);
  data.writeUInt32LE(rate * seconds, 40);
  for (let i = 44; i < data.length; i++) data[i] = 128 + 60 * Math.sin((2 * Math.PI * 440 * i) / rate);
  return data;
}
