// The pages in a real browser, over the mock: `npm test`, which needs Chromium and the
// built pages. With `SHOTS=FOLDER` it leaves pictures there to be looked at.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { after } from "node:test";
import { accessible, eventually, everyPage, hash, mapReady, message, open, own, small } from "./browser.mjs";
import { idOf, serve, sound } from "./mock.mjs";

const folder = mkdtempSync(join(tmpdir(), "dashboard-"));
const wav = join(folder, "loop.wav");
writeFileSync(wav, sound(3));
after(() => rmSync(folder, { recursive: true, force: true }));

everyPage({
  map: "#/map", "map of a song": `#/map?song=${idOf(40)}&near=1`, "map in 3-D": "#/map?dims=3",
  search: "#/search", words: "#/search?q=glass&filter=genre%3ATechno", likeness: `#/search?like=${idOf(40)}`, file: "#/search?by=file",
  playlists: "#/playlists", playlist: `#/playlists/${"1".padStart(12, "0")}`, "smart playlist": `#/playlists/${"3".padStart(12, "0")}`,
  library: "#/library", song: `#/song/${idOf(40)}`,
  statistics: "#/insights", clusters: "#/insights/clusters", cluster: "#/insights/clusters/1", outliers: "#/insights/outliers", duplicates: "#/insights/duplicates?near=0.97",
  machines: "#/machines", conflicts: "#/machines/conflicts", trash: "#/machines/trash", jobs: "#/machines/jobs", health: "#/machines/health", "no page": "#/nowhere",
});

test("100,000 songs are drawn in 2-D and 3-D, with few bytes and few points while they move", async (t) => {
  const server = await own(t, { songs: 100_000 });
  for (const dims of [2, 3]) {
    server.state.requests.length = 0;
    const page = await open(t, `#/map?dims=${dims}`, { server });
    await page.waitForFunction(() => window.songrecMap?.view);
    // Two columns files: places once, then classes alone.
    const maps = server.state.requests.filter((one) => /\/map\?/.test(one));
    assert.deepEqual(maps.map((one) => new URLSearchParams(one.split("?")[1]).get("format")).sort(), ["classes", "packed"]);
    assert.ok(server.state.mapBytes <= 1_000_000 * (dims === 2 ? 1.6 : 2), `${server.state.mapBytes} bytes`);
    server.state.mapBytes = 0;
    const box = await page.locator("#points").boundingBox();
    // What a frame draws while the map moves is counted where it is drawn.
    await page.evaluate(() => {
      window.drawn = [];
      const draw = WebGL2RenderingContext.prototype.drawArrays;
      WebGL2RenderingContext.prototype.drawArrays = function (mode, first, count) {
        window.drawn.push(count);
        return draw.call(this, mode, first, count);
      };
    });
    await page.mouse.move(box.x + 400, box.y + 400);
    await page.mouse.down();
    for (let i = 0; i < 60; i++) await page.mouse.move(box.x + 400 + 3 * i, box.y + 400 + i);
    await page.mouse.up();
    const { drawn, moved, count } = await page.evaluate(() => ({
      drawn: window.drawn.filter((points) => points > 100), moved: window.songrecMap.view.frames.length, count: window.songrecMap.state.count,
    }));
    assert.equal(count, 100_000);
    assert.ok(moved > 0 && drawn.length > 0, `${moved} frames, ${drawn.length} drawn`);
    // No frame draws a song twice, however slow the machine is.
    assert.ok(Math.max(...drawn) <= count, `${Math.max(...drawn)} points in a frame`);
    assert.equal(server.state.requests.filter((one) => /\/map\?/.test(one)).length, 2, "a map that moves is not fetched again");
    await page.close();
  }
});

test("the legend hides a class, shows one alone, and the address keeps it", async (t) => {
  const page = await open(t, "#/map");
  await mapReady(page);
  const shown = () => page.evaluate(() => window.songrecMap.state.shown.reduce((a, b) => a + b, 0));
  const first = page.locator(".class").first();
  const name = await first.locator(".class-name").textContent();
  await first.click();
  assert.equal(await first.getAttribute("aria-pressed"), "false");
  const without = await shown();
  assert.ok(without < 2000);
  await eventually(async () => (await hash(page)).includes(`hide=${name}`));

  await first.click({ modifiers: ["Shift"] });
  assert.equal(await shown(), 2000 - without);
  await eventually(async () => (await hash(page)).includes(`only=${name}`));
  const kept = await hash(page);

  const again = await open(t, kept);
  await mapReady(again);
  assert.equal(await again.evaluate(() => window.songrecMap.state.shown.reduce((a, b) => a + b, 0)), 2000 - without);
  await again.click("text=Show all");
  assert.equal(await again.evaluate(() => window.songrecMap.state.hidden.size), 0);
});

test("the map is coloured by each property once names are there", async (t) => {
  const page = await open(t, "#/map");
  await mapReady(page);
  for (const scheme of ["cluster", "key", "bpm", "anomaly", "genre"]) {
    await page.selectOption(".legend select >> nth=0", scheme);
    await page.waitForFunction((name) => window.songrecMap.state.scheme.name === name, scheme);
    const counts = await page.locator(".class .count").allTextContents();
    assert.equal(counts.reduce((sum, text) => sum + Number(text.replaceAll(",", "")), 0), 2000, scheme);
  }
});

test("search on the map centres and rings a song, and draws lines to its true neighbours", async (t) => {
  const page = await open(t, "#/map");
  await mapReady(page);
  await page.keyboard.press("/");
  await page.keyboard.type(small.state.library.songs[50].title);
  await page.locator("#find-results [role=option]").first().waitFor();
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => window.songrecMap.state.focus === 50);
  await page.getByRole("button", { name: "Lines to its nearest" }).click();
  await page.locator(".near li").first().waitFor();
  const neighbors = await page.evaluate(() => window.songrecMap.state.neighbors(50));
  const true_ = small.state.library.nearest(small.state.library.at(50), 20, 50).map((one) => Number(one.id.slice(-12)));
  assert.deepEqual(neighbors, true_);
  await eventually(async () => (await hash(page)).includes(`song=${idOf(50)}`) && (await hash(page)).includes("near=1"));
  const middle = await page.evaluate(() => {
    const { view } = window.songrecMap;
    const { x, y } = view.projected();
    return Math.hypot(x[50] - view.camera.width / 2, y[50] - view.camera.height / 2);
  });
  assert.ok(middle < 2, `${middle} pixels from the middle`);
});

test("a lasso selects, and the selection can be edited and searched by", async (t) => {
  const server = await own(t, { songs: 500 });
  server.state.library.trash.clear();
  const page = await open(t, "#/map", { server });
  await mapReady(page);
  await page.locator("[data-value=lasso]").click();
  const box = await page.locator("#points").boundingBox();
  const at = (x, y) => [box.x + x * box.width, box.y + y * box.height];
  await page.mouse.move(...at(0.2, 0.2));
  await page.mouse.down();
  for (const [x, y] of [[0.8, 0.2], [0.8, 0.8], [0.2, 0.8], [0.2, 0.25]]) await page.mouse.move(...at(x, y), { steps: 6 });
  await page.mouse.up();
  const selected = await page.evaluate(() => window.songrecMap.state.selection());
  assert.ok(selected.length > 20 && selected.length < 500, String(selected.length));
  await page.locator("[aria-label=Selection]").getByRole("button", { name: "Edit" }).click();
  await page.selectOption("dialog select", "genre");
  await page.fill("dialog input", "Selected Genre");
  await page.keyboard.press("Enter");
  await message(page, `${selected.length} songs changed`);
  assert.deepEqual(server.state.library.songs[selected[0]].genres, ["Selected Genre"]);
  await page.locator("[aria-label=Selection]").getByRole("button", { name: "Similar" }).click();
  await page.locator(".songs > li").first().waitFor();
  assert.ok((await hash(page)).startsWith("#/search?like="));
});

test("a file finds its place on the map", async (t) => {
  const page = await open(t, "#/map");
  await mapReady(page);
  const transfer = await page.evaluateHandle((bytes) => {
    const data = new DataTransfer();
    data.items.add(new File([Uint8Array.from(bytes)], "found.wav", { type: "audio/wav" }));
    return data;
  }, [...sound(1, 0.2)]);
  await page.dispatchEvent("#stage", "drop", { dataTransfer: transfer });
  await page.locator(".map-panel h2", { hasText: "found.wav" }).waitFor();
  await page.waitForFunction(() => window.songrecMap.state.selectedCount === 20);
  await page.waitForFunction(() => window.songrecMap.view.over !== null);

  // One that the library has is shown where it is.
  await page.setInputFiles(".file-button input", { name: "known.wav", mimeType: "audio/wav", buffer: sound(1, 0.2) });
  await message(page, "is in the library");
  await page.waitForFunction(() => window.songrecMap.state.focus === 42);
});

test("a file that is dropped anywhere is searched by", async (t) => {
  const page = await open(t, "#/insights");
  await page.locator(".tiles").waitFor();
  const transfer = await page.evaluateHandle((bytes) => {
    const data = new DataTransfer();
    data.items.add(new File([Uint8Array.from(bytes)], "dropped.wav", { type: "audio/wav" }));
    return data;
  }, [...sound(2, 0.5)]);
  await page.dispatchEvent(".tiles", "drop", { dataTransfer: transfer });
  await page.locator(".brought", { hasText: "dropped.wav" }).waitFor();
  await page.locator(".songs > li").first().waitFor();
});

test("a filter selects on the map", async (t) => {
  const page = await open(t, "#/map");
  await mapReady(page);
  await page.locator(".map-panel .filters button").first().click();
  await page.fill("[aria-label='A filter in words']", "genre:Techno");
  await page.keyboard.press("Enter");
  const techno = small.state.library.songs.filter((song, i) => song.genres?.includes("Techno") && i !== 12).length;
  await page.waitForFunction((count) => window.songrecMap.state.selectedCount === count, techno);
});

test("a map that was not made is made by a click", async (t) => {
  const server = await own(t, { songs: 300, map: false });
  const page = await open(t, "#/map", { server, expected: /404/ });
  await page.getByRole("button", { name: "Make the map" }).click();
  await page.waitForSelector("#stage");
});

test("an empty library says what to do, on each page", async (t) => {
  const server = await own(t, { songs: 0 });
  for (const page of ["map", "library", "insights", "insights/clusters", "insights/outliers", "insights/duplicates", "machines", "machines/trash", "machines/conflicts", "machines/jobs", "search"]) {
    const opened = await open(t, `#/${page}`, { server, expected: /404/ });
    await opened.locator(".empty h2, .card .soft").first().waitFor();
  }
});

test("words find songs; Space plays, w says why, Enter opens", async (t) => {
  const page = await open(t, "#/search");
  await page.fill("input[data-search]", "glass tide");
  await page.locator(".songs > li").first().waitFor();
  assert.match(await hash(page), /q=glass\+tide/);
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Space");
  await page.locator(".player").waitFor();
  await page.locator(".songs > li.playing").waitFor();
  await page.waitForFunction(() => document.querySelector(".player .time").textContent !== "");
  await page.keyboard.press("Enter");
  await page.waitForSelector(".song-page");
});

test("a song plays when the pointer rests on it, if that is wanted", async (t) => {
  const page = await open(t, `#/search?like=${idOf(40)}`);
  await page.locator(".songs > li").nth(2).waitFor();
  await page.locator("h1").click();
  await page.locator(".songs > li").nth(2).hover();
  await page.locator(".songs > li.playing").waitFor();
  await page.locator("[aria-label='Close the player']").click();
  await page.uncheck(".switch input");
  await page.locator(".songs > li").nth(3).hover();
  await page.waitForTimeout(600);
  assert.equal(await page.locator(".player").count(), 0);
});

test("a file is drawn, a part of it is chosen, played and compared", async (t) => {
  const page = await open(t, "#/search?by=file");
  await page.setInputFiles("input[type=file]", wav);
  await page.locator(".brought .wave canvas").waitFor();
  await page.locator(".songs > li").first().waitFor();
  const box = await page.locator(".brought .wave canvas").boundingBox();
  await page.mouse.move(box.x + box.width * 0.25, box.y + 40);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * 0.75, box.y + 40, { steps: 8 });
  await page.mouse.up();
  await page.locator(".brought", { hasText: "only that part is compared" }).waitFor();
  await eventually(() => small.state.lastPart && Math.abs(small.state.lastPart.start - 0.5) < 0.05 && Math.abs(small.state.lastPart.end - 1.5) < 0.05);
  assert.match(await hash(page), /from=0\.5\d*&to=1\.5/);
  // A second of sound may be over before anybody looks, so that its beginning is kept.
  await page.evaluate(() => {
    const begin = AudioBufferSourceNode.prototype.start;
    AudioBufferSourceNode.prototype.start = function (...when) {
      window.begun = when;
      return begin.apply(this, when);
    };
  });
  await page.getByRole("button", { name: "Play the chosen part" }).click();
  const [, from, length] = await eventually(() => page.evaluate(() => window.begun));
  assert.ok(Math.abs(from - 0.5) < 0.05 && Math.abs(length - 1) < 0.1, `${from}, ${length}`);
  await page.getByRole("button", { name: "Play the chosen part" }).waitFor();
  await page.locator(".songs .text-button", { hasText: "Why" }).first().click();
  assert.equal(await page.locator(".songs .why .bars li").count(), 6);
});

test("a part of a file is chosen by keys", async (t) => {
  const page = await open(t, "#/search?by=file");
  await page.setInputFiles("input[type=file]", wav);
  await page.locator(".brought .wave canvas").focus();
  for (let i = 0; i < 10; i++) await page.keyboard.press("Shift+ArrowRight");
  await eventually(async () => /from=0\.00&to=0\.4/.test(await hash(page)));
  for (let i = 0; i < 5; i++) await page.keyboard.press("Shift+ArrowUp");
  await eventually(async () => /from=0\.2\d?&to=0\.4/.test(await hash(page)));
});

test("a file that the browser cannot read is still compared", async (t) => {
  const page = await open(t, "#/search?by=file");
  const path = join(folder, "strange.caf");
  writeFileSync(path, "no sound");
  await page.setInputFiles("input[type=file]", path);
  await page.locator(".brought", { hasText: "cannot read the file" }).waitFor();
  await page.locator(".songs > li").first().waitFor();
});

test("a sound in words finds songs", async (t) => {
  const page = await open(t, "#/search?by=sound");
  await page.fill("input[data-search]", "a dark drone");
  await page.locator(".songs > li").first().waitFor();
  assert.equal(await page.locator(".songs > li").count(), 20);
});

test("filters are clicked together, turned round and taken away", async (t) => {
  const page = await open(t, "#/search");
  await page.locator(".filters .button").first().click();
  await page.locator(".filter-sheet .value", { hasText: /^Techno/ }).click();
  await page.locator(".filter-sheet .value", { hasText: /^House/ }).click();
  await page.fill("[aria-label='Tempo from']", "90");
  await page.locator("[aria-label='Tempo from']").blur();
  await page.locator("[data-key='8A']").click();
  await eventually(async () => (await hash(page)).includes("filter=genre:Techno,House") && (await hash(page)).includes("filter=bpm:90..") && (await hash(page)).includes("filter=key:Am"));
  await page.keyboard.press("Escape");
  await page.locator(".term", { hasText: "genre" }).click();
  await eventually(async () => (await hash(page)).includes("filter=-genre:Techno,House"));
  await page.getByRole("button", { name: "Clear all" }).click();
  assert.ok(!(await hash(page)).includes("filter"));
});

test("200,000 songs scroll, and only what is seen is fetched", async (t) => {
  const server = await own(t, { songs: 200_000 });
  const page = await open(t, "#/library?sort=id", { server });
  await page.locator(".grid-row a").first().waitFor();
  server.state.requests.length = 0;
  const grid = page.locator(".grid");
  await grid.evaluate((box) => (box.scrollTop = box.scrollHeight));
  await page.locator(".grid-row a", { hasText: "199999" }).waitFor();
  assert.ok((await page.locator(".grid-row").count()) < 90);
  // Passed by, not asked for.
  const rests = await grid.evaluate(async (box) => {
    let rests = 0;
    for (let i = 0; i < 30; i++) {
      const begun = performance.now();
      box.scrollTop = i * 100_000;
      await new Promise((resolve) => setTimeout(resolve, 10));
      // A slow machine rests where it should pass by: then the list is right to ask.
      if (performance.now() - begun > 30) rests++;
    }
    return rests;
  });
  await page.waitForTimeout(500);
  const asked = server.state.requests.filter((one) => one.includes("/songs?")).length;
  assert.ok(asked < 12 + 2 * rests, `${asked} requests, ${rests} rests`);
  // One is in the trash, and the head is a row.
  assert.equal(await grid.getAttribute("aria-rowcount"), "200000");
  await grid.focus();
  await page.keyboard.press("End");
  await page.locator("#cell-199998-0.here").waitFor();
  await page.keyboard.press("Home");
  await page.locator("#cell-0-0.here").waitFor();
});

test("the table sorts, filters and shows other columns, and the address keeps it", async (t) => {
  const page = await open(t, "#/library");
  await page.locator(".grid-head button", { hasText: "BPM" }).click();
  await eventually(async () => (await hash(page)).includes("sort=bpm"));
  const column = async () => (await page.locator(".grid-row").evaluateAll((rows) => rows.map((row) => Number(row.children[6].textContent)))).slice(0, 10);
  await eventually(async () => { const values = await column(); return values.length > 5 && values.every((value, i) => i === 0 || values[i - 1] <= value) && values[0] > 0; });
  await page.locator(".grid-head button", { hasText: "BPM" }).click();
  await eventually(async () => { const values = await column(); return values[0] > 150 && values.every((value, i) => i === 0 || values[i - 1] >= value); });
  await page.fill("input[data-search]", "copper");
  await eventually(async () => (await hash(page)).includes("q=copper"));
  await page.getByRole("button", { name: "Columns" }).click();
  await page.getByLabel("Codec").check();
  await page.locator(".grid-head", { hasText: "Codec" }).waitFor();
  const again = await open(t, await hash(page));
  await again.locator(".grid-head", { hasText: "Codec" }).waitFor();
  assert.equal(await again.locator("input[data-search]").inputValue(), "copper");
});

test("a cell is edited in place, by keys alone", async (t) => {
  const server = await own(t, { songs: 300 });
  server.state.library.trash.clear();
  const page = await open(t, "#/library?sort=id", { server, expected: /422/ });
  await page.locator(".grid-row a").first().waitFor();
  await page.locator(".grid").focus();
  for (let i = 0; i < 20; i++) await page.keyboard.press("ArrowDown");
  for (let i = 0; i < 4; i++) await page.keyboard.press("ArrowRight");
  await page.keyboard.press("F2");
  await page.keyboard.press("Control+a");
  await page.keyboard.type("1.5");
  await page.keyboard.press("Enter");
  await message(page, "is not a year");
  await page.keyboard.press("Control+a");
  await page.keyboard.type("1999");
  await page.keyboard.press("Enter");
  await eventually(() => server.state.library.songs[20].year === 1999);
  await page.locator("#cell-20-4", { hasText: "1999" }).waitFor();
});

test("many songs are selected and edited at once, and forgotten, and come back", async (t) => {
  const server = await own(t, { songs: 300 });
  const page = await open(t, "#/library?sort=id", { server });
  await page.locator(".grid-row a").first().waitFor();
  await page.locator(".grid").focus();
  for (let i = 0; i < 15; i++) await page.keyboard.press("ArrowDown");
  await page.keyboard.press("x");
  for (let i = 0; i < 9; i++) await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Shift+X");
  await page.locator(".selection-bar", { hasText: "10 songs selected" }).waitFor();
  for (let i = 0; i < 3; i++) await page.keyboard.press("ArrowRight");
  await page.keyboard.press("Enter");
  await page.keyboard.press("Control+a");
  await page.keyboard.type("Drone, Noise");
  await page.keyboard.press("Enter");
  await message(page, "10 songs changed");
  const changed = server.state.library.songs.filter((song) => song.genres?.join() === "Drone,Noise");
  assert.equal(changed.length, 10);
  await page.locator(".selection-bar button", { hasText: "Forget" }).click();
  await page.locator("dialog button", { hasText: "Forget" }).click();
  await message(page, "10 songs forgotten");
  assert.equal(server.state.library.trash.size, 11);
  await page.locator(".message button", { hasText: "Undo" }).click();
  await eventually(() => server.state.library.trash.size === 1);
});

test("a change of very many songs is told of, and can be stopped", async (t) => {
  const server = await own(t, { songs: 1500, slow: 20 });
  const page = await open(t, "#/library?sort=id", { server });
  await page.locator(".grid-row a").first().waitFor();
  await page.locator(".grid").focus();
  await page.keyboard.press("x");
  await page.keyboard.press("End");
  await page.locator(".grid-row a", { hasText: "1499" }).waitFor();
  await page.keyboard.press("Shift+X");
  await page.locator(".selection-bar", { hasText: "1,499 songs selected" }).waitFor();
  await page.locator(".selection-bar button", { hasText: "Edit" }).click();
  await page.fill("dialog input", "Stopped");
  await page.keyboard.press("Enter");
  await page.locator(".changing", { hasText: "of 1499" }).waitFor();
  // The dialog lies over everything; it closes, and the change goes on.
  await page.keyboard.press("Escape");
  await page.locator(".changing button").click();
  await page.locator(".changing").waitFor({ state: "detached" });
  const changed = server.state.library.songs.filter((song) => song.genres?.[0] === "Stopped").length;
  assert.ok(changed > 0 && changed < 1499, String(changed));
});

test("a song shows all that is known, and is edited", async (t) => {
  const server = await own(t, { songs: 300 });
  const page = await open(t, `#/song/${idOf(40)}`, { server });
  for (const part of ["How it sounds", "Nearest songs", "What is known", "Files and copies", "Duplicates", "History"]) {
    await page.locator("h2", { hasText: part }).waitFor();
  }
  await page.locator(".history li", { hasText: "genre set to “Ambient”" }).waitFor();
  await page.locator(".sounding", { hasText: "Brightness" }).waitFor();
  assert.ok(await page.locator(".spectrogram img").evaluate((image) => image.naturalWidth > 0));
  assert.ok(await page.locator(".cover img").evaluate((image) => image.complete && image.naturalWidth > 0));
  await page.getByRole("button", { name: /^Edit Artist/ }).click();
  await page.keyboard.press("Control+a");
  await page.keyboard.type("Somebody Else");
  await page.keyboard.press("Enter");
  await eventually(() => server.state.library.songs[40].artist === "Somebody Else");
  await page.locator(".tags .source.person").waitFor();
  await page.locator(".song-title", { hasText: "Somebody Else" }).waitFor();
  await page.locator(".songs .text-button").first().click();
  await page.locator(".why .bars").waitFor();
  await page.locator(".picture").scrollIntoViewIfNeeded();
  const wave = await page.locator(".picture .wave canvas").boundingBox();
  await page.mouse.click(wave.x + wave.width / 2, wave.y + 40);
  await page.locator(".player").waitFor();
});

test("statistics are filters when clicked", async (t) => {
  const page = await open(t, "#/insights");
  await page.locator(".bars a", { hasText: "Techno" }).click();
  await eventually(async () => (await hash(page)) === "#/library?filter=genre:Techno");
  await page.goBack();
  await page.locator(".wheel a[data-key='8A']").click();
  await eventually(async () => (await hash(page)) === "#/library?filter=key:Am");
  await page.goBack();
  await page.locator(".histogram[aria-label='Songs of each tempo'] a").nth(1).click();
  await eventually(async () => (await hash(page)) === "#/library?filter=bpm:100..120");
  await page.locator(".grid-row a").first().waitFor();
});

const LIST = `#/playlists/${"1".padStart(12, "0")}`;
const entriesOf = (page) => page.locator(".entries > li").evaluateAll((rows) => rows.map((row) => row.dataset.key));

test("a playlist is put in order by dragging and by keys", async (t) => {
  const server = await own(t, { songs: 200 });
  const page = await open(t, LIST, { server });
  await page.locator(".entries > li").first().waitFor();
  const kept = () => server.state.library.playlists[0].entries.map((entry) => entry.key);
  const before = kept();
  const handle = (at) => page.locator(".entries > li .handle").nth(at);
  const [from, to] = [await handle(4).boundingBox(), await page.locator(".entries > li").nth(1).boundingBox()];
  await page.mouse.move(from.x + 10, from.y + 15);
  await page.mouse.down();
  await page.mouse.move(from.x + 10, to.y + 40, { steps: 4 });
  await page.mouse.move(from.x + 10, to.y + to.height / 2, { steps: 4 });
  await page.mouse.up();
  const dragged = [before[0], before[4], before[1], before[2], before[3], ...before.slice(5)];
  await eventually(() => JSON.stringify(kept()) === JSON.stringify(dragged), "the server has the order");
  assert.deepEqual(await entriesOf(page), dragged);

  await handle(0).focus();
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("ArrowDown");
  await eventually(() => kept()[2] === before[0], "two places down");
  assert.equal(await page.evaluate(() => document.activeElement.closest("li").dataset.key), before[0]);
  await page.keyboard.press("End");
  await eventually(() => kept().at(-1) === before[0], "at the end");
  assert.deepEqual(await entriesOf(page), kept());
});

test("a playlist plays on, is renamed, loses a song and gets it back, is written and deleted", async (t) => {
  const server = await own(t, { songs: 200 });
  const page = await open(t, LIST, { server, expected: /400/ });
  const list = server.state.library.playlists[0];
  await page.getByRole("button", { name: "Play all" }).click();
  await page.locator(".player", { hasText: server.state.library.songs[20].title }).waitFor();
  await page.getByRole("button", { name: "Next song" }).click();
  await page.locator(".entries > li.playing").nth(0).waitFor();
  assert.equal(await page.locator(".entries > li.playing").getAttribute("data-key"), list.entries[1].key);
  assert.equal(await page.locator(".entries > .gone").count(), 1);
  // The one that is gone is passed over, and a song that is there twice goes on after each.
  list.entries.splice(3, 0, { key: "feedbeef", song: idOf(20) });
  await page.reload();
  await page.locator(".entries > li").nth(3).getByRole("button", { name: /^Play/ }).click();
  await page.getByRole("button", { name: "Next song" }).click();
  await page.locator(".player", { hasText: server.state.library.songs[22].title }).waitFor();
  list.entries.splice(3, 1);
  await page.reload();

  const before = list.entries.map((entry) => entry.song);
  await page.locator(".entries > li").nth(1).getByRole("button", { name: /out$/ }).click();
  await message(page, "is taken out");
  assert.equal(list.entries.length, before.length - 1);
  await page.getByRole("button", { name: "Undo" }).click();
  await eventually(() => JSON.stringify(list.entries.map((entry) => entry.song)) === JSON.stringify(before), "it is back at its place");

  await page.getByRole("button", { name: "Rename" }).click();
  await page.getByRole("textbox", { name: "Name" }).fill("Without an END");
  await page.keyboard.press("Enter");
  await message(page, "there is a playlist");
  await page.getByRole("button", { name: "Close message" }).last().click();
  await page.getByRole("button", { name: "Rename" }).click();
  await page.getByRole("textbox", { name: "Name" }).fill("Night");
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { level: 1, name: "Night" }).waitFor();

  await page.getByRole("button", { name: "Export" }).click();
  const [file] = await Promise.all([page.waitForEvent("download"), page.locator(".exports a").first().click()]);
  assert.equal(file.suggestedFilename(), "list.m3u8");
  await page.getByRole("button", { name: "Delete this playlist" }).click();
  await page.getByRole("button", { name: "Delete", exact: true }).click();
  await eventually(async () => (await hash(page)) === "#/playlists");
  assert.equal(server.state.library.playlists.includes(list), false);
});

test("songs come into playlists from a search, the table, a song and the map", async (t) => {
  const server = await own(t, { songs: 300 });
  server.state.library.trash.clear();
  const { playlists } = server.state.library;
  const page = await open(t, "#/search?q=glass", { server });
  const first = await page.locator(".songs > li").first().getAttribute("data-song");
  await page.locator(".songs > li").first().getByRole("button", { name: /to a playlist/ }).click();
  await page.getByRole("button", { name: /Late evening/ }).click();
  await message(page, "1 song added to “Late evening”");
  assert.equal(playlists[0].entries.at(-1).song, first);

  await page.goto(`${server.url}/#/library`);
  for (const n of [0, 1, 2]) await page.locator(".grid-row input[type=checkbox]").nth(n).click();
  await page.getByRole("button", { name: "Add to playlist" }).click();
  await page.getByLabel("Name of a playlist").fill("Fresh");
  await page.keyboard.press("Enter");
  await message(page, "3 songs added to “Fresh”");
  assert.equal(playlists.at(-1).entries.length, 3);
  await page.getByRole("button", { name: "Show" }).last().click();
  await page.getByRole("heading", { level: 1, name: "Fresh" }).waitFor();

  await page.goto(`${server.url}/#/song/${idOf(40)}`);
  await page.getByRole("button", { name: "Add to a playlist" }).click();
  await page.getByLabel("Name of a playlist").fill("fresh");
  await page.keyboard.press("Enter");
  await eventually(() => playlists.at(-1).entries.length === 4, "not a second one");

  await page.goto(`${server.url}/#/map`);
  await mapReady(page);
  await page.locator("[data-value=lasso]").click();
  const box = await page.locator("#points").boundingBox();
  await page.mouse.move(box.x + 60, box.y + 120);
  await page.mouse.down();
  for (const [x, y] of [[box.width - 60, 120], [box.width - 60, box.height - 80], [60, box.height - 80], [60, 130]]) await page.mouse.move(box.x + x, box.y + y, { steps: 5 });
  await page.mouse.up();
  const chosen = await page.evaluate(() => window.songrecMap.state.selectedCount);
  assert.ok(chosen > 50, `${chosen}`);
  await page.getByRole("button", { name: "To playlist" }).click();
  await page.getByLabel("Name of a playlist").fill("From the map");
  await page.keyboard.press("Enter");
  await message(page, "added to “From the map”");
  assert.equal(playlists.at(-1).entries.length, chosen);
});

test("clusters are opened, renamed, shown on the map and made", async (t) => {
  const server = await own(t, { songs: 400 });
  const page = await open(t, "#/insights/clusters", { server });
  await page.locator(".cluster a").first().click();
  await page.getByRole("button", { name: "Rename the cluster" }).click();
  await page.fill("[aria-label='Name of the cluster']", "my cluster");
  await page.keyboard.press("Enter");
  await page.locator("h2.large", { hasText: "my cluster" }).waitFor();
  assert.ok(server.state.library.clusterNames.includes("my cluster"));
  await page.goto(`${server.url}/#/insights/clusters`);
  await page.locator(".cluster", { hasText: "my cluster" }).getByText("On the map").click();
  await page.waitForFunction(() => window.songrecMap?.state.scheme.name === "cluster");
  await eventually(() => page.evaluate(() => window.songrecMap.state.hidden.size === window.songrecMap.state.scheme.classes.length - 1));
  await page.goto(`${server.url}/#/insights/clusters`);
  await page.getByRole("button", { name: "Make them again" }).click();
  await page.getByRole("button", { name: "Make them", exact: true }).click();
  await page.locator(".job").waitFor();
});

test("clusters are deleted after a question, and made again", async (t) => {
  const server = await own(t, { songs: 400 });
  const page = await open(t, "#/insights/clusters", { server, expected: /404/ });
  await page.getByRole("button", { name: "Delete the clusters" }).click();
  await page.getByRole("button", { name: "Keep as it is" }).click();
  assert.equal(server.state.clusters, true);
  await page.getByRole("button", { name: "Delete the clusters" }).click();
  await page.getByRole("button", { name: "Delete", exact: true }).click();
  await page.locator(".empty", { hasText: "There are no clusters yet" }).waitFor();
  assert.equal(server.state.clusters, false);
  await page.getByRole("button", { name: "Make clusters" }).click();
  await page.getByRole("button", { name: "Make them", exact: true }).click();
  await page.getByRole("link", { name: "See the clusters" }).click();
  await page.locator(".cluster").first().waitFor();
});

test("another kind of map takes the place of the last one without complaint", async (t) => {
  const page = await open(t, "#/map");
  await mapReady(page);
  await page.selectOption("[aria-label='Method of the map']", "pca");
  await page.waitForFunction(() => window.songrecMap.state.data.method === "pca");
  await page.selectOption("[aria-label='Method of the map']", "umap");
  await page.waitForFunction(() => window.songrecMap.state.data.method === "umap");
  await page.getByRole("radio", { name: "3-D" }).click();
  await page.waitForFunction(() => window.songrecMap.state.data.dims === 3);
  // What the last map would still want to draw, it would want by now.
  await page.setViewportSize({ width: 1000, height: 800 });
  await mapReady(page);
});

test("outliers are looked for, listed with reasons", async (t) => {
  const server = await own(t, { songs: 400 });
  const page = await open(t, "#/insights/outliers", { server, expected: /404/ });
  await page.getByRole("button", { name: "Look for them" }).click();
  await page.locator(".songs > li", { hasText: "its nearest neighbor" }).first().waitFor();
  await page.locator(".strip a").first().waitFor();
});

test("a sync is planned, run and followed", async (t) => {
  const server = await own(t, { songs: 300 });
  const page = await open(t, "#/machines", { server });
  await page.locator(".machine-list", { hasText: "studio" }).waitFor();
  const cloud = page.locator(".remote", { hasText: "cloud" });
  await cloud.getByRole("button", { name: "What would a sync do?" }).click();
  await cloud.locator(".plan td", { hasText: "40" }).waitFor();
  await cloud.getByRole("button", { name: "Sync", exact: true }).click();
  // One song would be deleted, so it asks first.
  await page.locator("dialog button", { hasText: "Sync" }).click();
  await cloud.locator("progress").waitFor();
  await cloud.locator(".job[data-state=done]").waitFor();
  await message(page, "Sync is done");
});

test("a scan runs as a job with progress, log and failures, and can be cancelled", async (t) => {
  const server = await own(t, { songs: 300 });
  const page = await open(t, "#/machines/jobs", { server });
  await page.fill("[aria-label=Folder]", "/music");
  await page.keyboard.press("Enter");
  await page.locator(".job .log li", { hasText: "it is cut off" }).first().waitFor();
  await page.locator(".job[data-state=done]", { hasText: "done, some failed" }).waitFor();
  await page.locator(".job", { hasText: "11 added" }).waitFor();
  await page.fill("[aria-label=Folder]", "/more");
  await page.keyboard.press("Enter");
  await page.locator(".job progress").waitFor();
  await page.getByRole("button", { name: "Cancel" }).click();
  await page.locator(".job[data-state=cancelled]").waitFor();
  assert.equal(server.state.jobs.get("job-2").options.path, "/more");
});

test("a conflict is decided", async (t) => {
  const server = await own(t, { songs: 300 });
  const page = await open(t, "#/machines/conflicts", { server });
  await page.locator(".option", { hasText: "Late Room (live)" }).click();
  await eventually(() => server.state.library.songs[9].title === "Late Room (live)");
  await eventually(async () => (await page.locator(".conflict").count()) === 1);
});

test("the trash restores songs", async (t) => {
  const server = await own(t, { songs: 300 });
  const page = await open(t, "#/machines/trash", { server });
  await page.locator(".trash-list input").check();
  await page.getByRole("button", { name: "Restore 1 song" }).click();
  await page.locator(".empty", { hasText: "The trash is empty" }).waitFor();
  assert.equal(server.state.library.trash.size, 0);
});

test("a server that only reads offers nothing that writes", async (t) => {
  const server = await own(t, { songs: 300, readOnly: true });
  for (const address of ["library", `song/${idOf(40)}`, "machines", "machines/jobs", "machines/trash", "insights/clusters/1", "search?by=file"]) {
    const page = await open(t, `#/${address}`, { server });
    await page.waitForLoadState("networkidle");
    assert.equal(await page.locator("button", { hasText: /^(Sync|Scan|Restore|Forget|Add to)/ }).count(), 0, address);
    assert.equal(await page.locator("[aria-label^=Edit], [aria-label^=Rename], [aria-label^=Forget]").count(), 0, address);
    await page.locator(".read-only").waitFor();
  }
  const page = await open(t, "#/library", { server });
  await page.locator(".grid-row a").first().waitFor();
  await page.locator(".grid").focus();
  await page.keyboard.press("F2");
  await page.waitForSelector(".song-page");
});

test("a token is asked for, refused and taken", async (t) => {
  const server = await own(t, { songs: 300, token: "sesame" });
  const page = await open(t, "#/library", { server, expected: /401/ });
  await page.locator("h1", { hasText: "asks for a token" }).waitFor();
  await accessible(page);
  await page.fill("input[type=password]", "wrong");
  await page.keyboard.press("Enter");
  await page.locator("[role=alert]", { hasText: "not the token" }).waitFor();
  await page.fill("input[type=password]", "sesame");
  await page.keyboard.press("Enter");
  await page.locator(".grid-row a").first().waitFor();
  assert.equal(await page.evaluate(() => document.cookie), "");
});

test("an error says what to do, and trying again helps", async (t) => {
  const server = await own(t, { songs: 300, fail: /GET \/api\/v1\/stats/ });
  const page = await open(t, "#/insights", { server, expected: /503/ });
  await page.locator(".trouble", { hasText: "Wait a minute" }).waitFor();
  server.state.fail = null;
  await page.getByRole("button", { name: "Try again" }).click();
  await page.locator(".tiles").waitFor();
});

test("a filter that cannot be read is explained beside it", async (t) => {
  const page = await open(t, "#/library?filter=tempo%3A120", { expected: /400/ });
  await page.locator(".filter-problem", { hasText: "there is no filter" }).waitFor();
});

test("a lost server is told of", async (t) => {
  const server = await serve({ songs: 300 });
  const page = await open(t, "#/insights", { server, expected: /ERR_CONNECTION|Failed to load/ });
  await page.locator(".tiles").waitFor();
  await server.close();
  await page.locator(".tabs a", { hasText: "Clusters" }).click();
  await page.locator(".trouble", { hasText: "does not answer" }).waitFor();
});

test("keys go everywhere, and ? lists them", async (t) => {
  const page = await open(t, "#/library");
  await page.locator(".grid-row a").first().waitFor();
  await page.keyboard.press("?");
  await page.locator("dialog h3", { hasText: "Everywhere" }).waitFor();
  await page.keyboard.press("Escape");
  await page.locator("dialog").waitFor({ state: "detached" });
  for (const [key, page_] of [["s", "search"], ["i", "insights"], ["c", "machines"], ["m", "map"], ["l", "library"]]) {
    // The second key counts for 1.2 s after the first, which a busy machine can miss: it is pressed again then.
    await eventually(async () => {
      await page.locator("#content").focus();
      await page.keyboard.press("g");
      await page.keyboard.press(key);
      return (await hash(page)).startsWith(`#/${page_}`);
    }, `g ${key}`);
    // A page that comes takes the focus into its field.
    await page.waitForLoadState("networkidle");
  }
  const before = await page.locator("html").getAttribute("data-theme");
  await page.keyboard.press("t");
  assert.notEqual(await page.locator("html").getAttribute("data-theme"), before);
});

test("what tags hold is text, never markup", async (t) => {
  for (const address of ["#/library?sort=id", `#/song/${idOf(0)}`, `#/song/${idOf(1)}`, "#/insights/outliers", `#/search?like=${idOf(1)}`, `#/map?song=${idOf(1)}`]) {
    const page = await open(t, address);
    await page.waitForLoadState("networkidle");
    assert.equal(await page.evaluate(() => window.broken), undefined);
  }
});
