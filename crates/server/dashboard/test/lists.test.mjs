// Radio, path, import and the rules of playlists, in a real browser over the mock.

import assert from "node:assert/strict";
import test from "node:test";
import { accessible, eventually, everyPage, hash, mapReady, message, open, own, small } from "./browser.mjs";
import { idOf } from "./mock.mjs";

const SMART = "3".padStart(12, "0");
const RADIO = `#/radio?like=${idOf(40)}`;
const PATH = `#/path?a=${idOf(40)}&b=${idOf(90)}`;

everyPage({
  "radio without a song": "#/radio", radio: `${RADIO}&like=${idOf(41)}&length=12`, "short radio": `${RADIO}&artist=50&filter=artist%3AQuiet`,
  "path without songs": "#/path", path: PATH, "path for mixing": `${PATH}&mix=1&length=16`,
  import: "#/playlists/import", "new rule": "#/playlists/rule", rule: `#/playlists/${SMART}/rule`, "rule with odd titles": `#/playlists/rule?like=${idOf(0)}&like=${idOf(3)}&like=${idOf(4)}&filter=genre%3ATechno`,
});

const songs = (page) => page.locator(".songs > li").evaluateAll((rows) => rows.map((row) => row.dataset.song));
const settled = (page) => page.locator(".results:not(.stale) .songs > li").first().waitFor();
/** Numbers of songs that a word finds, in the order of the list. */
const found = (page, words) => page.getByLabel(words, { exact: true });

/** What the page asked of an address last. */
const asked = (server, start) => server.state.requests.filter((one) => one.startsWith(start));

const playlist = (lines, name = "holiday.m3u8") => ({ name, mimeType: "audio/x-mpegurl", buffer: Buffer.from(["#EXTM3U", ...lines].join("\n")) });

test("a radio is begun by typing, with keys alone, and its settings are in the address", async (t) => {
  const page = await open(t, "#/radio");
  await found(page, "Add a song").focus();
  await page.keyboard.type(small.state.library.songs[40].title);
  await page.keyboard.press("Enter");
  await settled(page);
  assert.equal((await songs(page)).length, 25);
  assert.ok((await hash(page)).includes(`like=${idOf(40)}`));
  assert.ok(!(await songs(page)).includes(idOf(40)));

  await page.getByLabel("Songs", { exact: true }).last().fill("7");
  await page.keyboard.press("Enter");
  await eventually(async () => (await songs(page)).length === 7);
  await page.getByRole("radio", { name: "Minutes" }).click();
  await page.getByLabel("Minutes", { exact: true }).last().fill("20");
  await page.keyboard.press("Enter");
  await eventually(async () => (await hash(page)).includes("minutes=20"));
  assert.ok(!(await hash(page)).includes("length="));
  await page.getByLabel("Variety", { exact: true }).and(page.locator("input")).focus();
  for (let i = 0; i < 4; i++) await page.keyboard.press("ArrowRight");
  await eventually(async () => (await hash(page)).includes("variety=0.5"));
  await page.getByLabel("Songs between two of one artist").fill("3");
  await page.keyboard.press("Enter");
  await eventually(async () => (await hash(page)).includes("artist=3"));
  await settled(page);
  const before = await songs(page);
  const again = await open(t, await hash(page));
  await settled(again);
  assert.deepEqual(await songs(again), before, "the address is the list");
});

test("another radio is another list, and going back gives the first one", async (t) => {
  const page = await open(t, RADIO);
  await settled(page);
  const first = await songs(page);
  await page.getByRole("button", { name: "Another one" }).click();
  await eventually(async () => JSON.stringify(await songs(page)) !== JSON.stringify(first));
  assert.match(await hash(page), /seed=\d+/);
  await page.goBack();
  await eventually(async () => JSON.stringify(await songs(page)) === JSON.stringify(first));
  // Without variety chance has nothing to say.
  await page.goto(`${small.url}/${RADIO}&variety=0`);
  await settled(page);
  assert.ok(await page.getByRole("button", { name: "Another one" }).isDisabled());
});

test("a radio plays one song after the other, from any of them", async (t) => {
  const page = await open(t, RADIO);
  await settled(page);
  const list = await songs(page);
  const plays = (i) => page.locator(`.songs > li.playing[data-song="${list[i]}"]`).waitFor();
  await page.getByRole("button", { name: "Play all" }).click();
  await plays(0);
  await page.getByRole("button", { name: "Next song" }).click();
  await plays(1);
  await page.locator(".songs > li").nth(5).getByRole("button", { name: /^Play/ }).click();
  await plays(5);
  await page.getByRole("button", { name: "Next song" }).click();
  await plays(6);
  await page.locator(".songs > li").first().focus();
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Space");
  await plays(1);
});

test("a radio is kept as a playlist in its order", async (t) => {
  const server = await own(t, { songs: 300 });
  const page = await open(t, RADIO, { server });
  await settled(page);
  const list = await songs(page);
  await page.getByRole("button", { name: "Save as playlist" }).click();
  await eventually(async () => (await page.getByLabel("Name of a playlist").inputValue()).startsWith("Radio: "));
  await page.keyboard.press("Enter");
  await message(page, "25 songs added");
  assert.deepEqual(server.state.library.playlists.at(-1).entries.map((entry) => entry.song), list);
  // A second one is another playlist, not a longer one.
  const first = server.state.library.playlists.length;
  await page.getByRole("button", { name: "Save as playlist" }).click();
  await eventually(async () => (await page.getByLabel("Name of a playlist").inputValue()).endsWith(" 2"));
  await page.keyboard.press("Enter");
  await eventually(() => server.state.library.playlists.length === first + 1);
  assert.equal(server.state.library.playlists.at(-1).entries.length, 25);
  await page.getByRole("button", { name: "Show" }).last().click();
  await page.getByRole("heading", { level: 1, name: /^Radio: / }).waitFor();
});

test("a short radio says why, and what would make it longer", async (t) => {
  const page = await open(t, `${RADIO}&length=50&artist=50&filter=artist%3AQuiet`);
  const note = page.locator(".notes");
  await note.getByText("Shorter than you asked").waitFor();
  await note.getByText("would come too near").waitFor();
  const few = (await songs(page)).length;
  assert.ok(few < 50);
  await note.getByRole("button", { name: "Without the spacing" }).click();
  await eventually(async () => (await songs(page)).length > few);
  await page.goto(`${small.url}/${RADIO}&filter=genre%3ATechno&filter=genre%3AJazz`);
  await page.locator(".empty", { hasText: "No song goes on from there" }).getByRole("button", { name: "Without the filters" }).click();
  await settled(page);
});

test("a path leads from one song to another, is turned round and kept", async (t) => {
  const server = await own(t, { songs: 400 });
  const page = await open(t, "#/path", { server });
  const { library } = server.state;
  await found(page, "From").and(page.locator("input")).fill(library.songs[40].title);
  await page.locator(".picks li button").first().click();
  await page.locator(".one-song .chip").first().waitFor();
  await found(page, "To").and(page.locator("input")).fill(library.songs[90].title);
  await page.locator(".picks li.at").waitFor();
  await page.keyboard.press("Enter");
  await settled(page);
  const there = await songs(page);
  assert.equal(there.length, 10);
  assert.deepEqual([there[0], there.at(-1)], [idOf(40), idOf(90)]);
  await page.getByRole("button", { name: "Turn the path round" }).click();
  await eventually(async () => (await songs(page))[0] === idOf(90));
  await page.getByLabel("Songs, with both ends").fill("5");
  await page.keyboard.press("Enter");
  await eventually(async () => (await songs(page)).length === 5);
  await page.getByRole("button", { name: "Save as playlist" }).click();
  await page.keyboard.press("Enter");
  await message(page, "5 songs added");
  assert.deepEqual(library.playlists.at(-1).entries.map((entry) => entry.song), await songs(page));
  assert.equal(library.playlists.at(-1).name, `${library.songs[90].title} to ${library.songs[40].title}`);
});

test("a path for mixing says of each song whether it mixes, and why there are fewer", async (t) => {
  const page = await open(t, `${PATH}&length=16`);
  await settled(page);
  assert.ok((await page.locator(".step.clashes").count()) === 0, "without the rules nothing is wrong");
  await page.getByLabel("Each song can be mixed with the next").check();
  await eventually(async () => (await hash(page)).includes("mix=1"));
  // Some of the list before mix by chance, and it is there until the new one comes.
  let shown = 0;
  await eventually(async () => {
    const mixes = await page.locator(".step.mixes").count();
    shown = (await songs(page)).length;
    return shown > 0 && mixes >= shown - 2;
  }, "nearly all mix");
  if (shown < 16) await page.locator(".notes", { hasText: "none can be mixed" }).waitFor();
  await page.getByRole("figure").or(page.locator(".tempo")).first().waitFor();
});

test("a path without two songs, or with one twice, says what to do", async (t) => {
  const page = await open(t, `#/path?a=${idOf(40)}&b=${idOf(40)}`);
  await page.locator(".empty", { hasText: "Both ends are the same song" }).waitFor();
  assert.equal(asked(small, "GET /api/v1/path").some((one) => one.includes(`a=${idOf(40)}&b=${idOf(40)}`)), false);
});

test("radios and paths are begun where songs are", async (t) => {
  const page = await open(t, `#/song/${idOf(40)}`);
  const goes = async (what, wanted) => {
    await what.click();
    await eventually(async () => (await hash(page)).startsWith(wanted), wanted);
  };
  const back = (address) => page.goto(`${small.url}/${address}`);
  await goes(page.locator(".song-buttons").getByRole("link", { name: "Radio" }), `#/radio?like=${idOf(40)}`);
  await settled(page);
  await back(`#/song/${idOf(40)}`);
  await goes(page.getByRole("link", { name: "Path to…" }), `#/path?a=${idOf(40)}`);

  await back("#/search?q=glass");
  const first = await page.locator(".songs > li").first().getAttribute("data-song");
  await goes(page.locator(".songs > li").first().getByRole("button", { name: /^Radio from/ }), `#/radio?like=${first}`);
  await back(`#/search?like=${idOf(40)}&like=${idOf(41)}`);
  await goes(page.getByRole("link", { name: "Path between them" }), `#/path?a=${idOf(40)}&b=${idOf(41)}`);
  await back(`#/search?like=${idOf(40)}&like=${idOf(41)}`);
  await goes(page.getByRole("link", { name: "Radio from them" }), `#/radio?like=${idOf(40)}&like=${idOf(41)}`);

  await back(`#/playlists/${"1".padStart(12, "0")}`);
  await goes(page.locator(".page-tools").getByRole("link", { name: "Radio" }), `#/radio?like=${idOf(20)}&like=${idOf(3)}&like=${idOf(22)}`);

  await back("#/library?sort=id");
  for (const n of [2, 3]) await page.locator(".grid-row input[type=checkbox]").nth(n).click();
  await goes(page.locator(".selection-bar").getByRole("link", { name: "Path between them" }), `#/path?a=${idOf(2)}&b=${idOf(3)}`);

  await back(`#/map?song=${idOf(40)}`);
  await mapReady(page);
  await goes(page.locator(".focus").getByRole("link", { name: "Radio" }), `#/radio?like=${idOf(40)}`);
  await back("#/map");
  await page.waitForFunction(() => window.songrecMap.state.select([7, 8], "replace") ?? true);
  await goes(page.locator("[aria-label=Selection]").getByRole("button", { name: "Radio" }), `#/radio?like=${idOf(7)}&like=${idOf(8)}`);

  await page.locator("#content").focus();
  for (const [key, page_] of [["h", "path"], ["r", "radio"]]) {
    await page.keyboard.press("g");
    await page.keyboard.press(key);
    await eventually(async () => (await hash(page)).startsWith(`#/${page_}`), `g ${key}`);
    // A page that comes takes the focus into its field.
    await page.waitForLoadState("networkidle");
  }
});

test("a playlist of another player is looked at, mapped, and taken in", async (t) => {
  const server = await own(t, { songs: 200 });
  const { library } = server.state;
  library.trash.clear();
  const page = await open(t, "#/playlists", { server, expected: /400/ });
  await page.getByRole("link", { name: "Import" }).click();
  const there = [20, 21].map((i) => library.songs[i].path);
  const moved = [30, 31].map((i) => library.songs[i].path.replace("/music/", "M:\\Tunes\\").replaceAll("/", "\\"));
  await page.setInputFiles("input[type=file]", playlist([...there, ...moved, "M:\\Tunes\\Nobody\\lost <b>song</b>.mp3"]));
  await page.locator(".queue-facts", { hasText: "2 of 5 songs found" }).waitFor();
  await page.locator(".unmatched li", { hasText: "lost <b>song</b>.mp3" }).waitFor();
  assert.equal(await page.locator(".unmatched li").count(), 3);
  await accessible(page, "with lines that were not found");
  const before = library.playlists.length;

  await page.getByRole("button", { name: "A folder" }).click();
  assert.equal(await page.getByLabel("Folder 1 as the file has it").inputValue(), "M:\\Tunes", "what the lines have in common");
  await page.getByLabel("Folder 1 as the server has it").fill("/music");
  await page.locator(".queue-facts", { hasText: "4 of 5 songs found" }).waitFor();
  assert.equal(await page.locator(".unmatched li").count(), 1);
  assert.equal(library.playlists.length, before, "nothing is made yet");
  await page.getByLabel("Name of the playlist").fill("Late EVENING");
  await page.getByRole("button", { name: "Make a playlist of 4 songs" }).click();
  await page.locator(".trouble", { hasText: "there is a playlist" }).waitFor();
  await page.getByLabel("Name of the playlist").fill("Ferien Ü");
  await page.keyboard.press("Enter");
  await message(page, "has 4 songs now");
  await page.getByRole("heading", { level: 1, name: "Ferien Ü" }).waitFor();
  assert.deepEqual(library.playlists.at(-1).entries.map((entry) => entry.song), [20, 21, 30, 31].map(idOf));
});

test("a playlist that is dropped on any page is looked at", async (t) => {
  const page = await open(t, "#/insights");
  await page.locator(".tiles").waitFor();
  const drop = async (where, name, text) => {
    const transfer = await page.evaluateHandle(([name, text]) => {
      const data = new DataTransfer();
      data.items.add(new File([text], name, { type: "audio/x-mpegurl" }));
      return data;
    }, [name, text]);
    await page.dispatchEvent(where, "drop", { dataTransfer: transfer });
  };
  await drop(".tiles", "mine.M3U", `#EXTM3U\n${small.state.library.songs[50].path}\n`);
  await page.locator(".notice.good", { hasText: "Every song of the file" }).waitFor();
  await page.getByRole("button", { name: "Another file" }).click();
  await drop(".drop", "holiday.txt", "x");
  await message(page, "is no playlist");
  await drop(".drop", "empty.m3u8", "#EXTM3U\n");
  await page.locator(".empty", { hasText: "The file lists no songs" }).waitFor();
  await page.goto(`${small.url}/#/map`);
  await mapReady(page);
  await drop("#stage", "third.m3u8", "nothing here.mp3\n");
  await page.locator(".notice", { hasText: "No song was found" }).waitFor();
  assert.ok(await page.getByRole("button", { name: "Make the playlist" }).isDisabled());
});

test("a smart playlist is made of filters and songs, whose list is seen first", async (t) => {
  const server = await own(t, { songs: 500 });
  const { library } = server.state;
  library.trash.clear();
  const page = await open(t, "#/playlists", { server });
  await page.getByRole("link", { name: "New smart playlist" }).click();
  await page.locator(".empty", { hasText: "The rule says nothing yet" }).waitFor();
  await page.locator(".filters .button").first().click();
  await page.fill("[aria-label='A filter in words']", "genre:Techno");
  await page.keyboard.press("Enter");
  await page.keyboard.press("Escape");
  await settled(page);
  const techno = library.select({ filter: ["genre:Techno"], sort: "title" });
  await page.locator(".queue-facts", { hasText: `${techno.length} songs` }).waitFor();
  assert.deepEqual((await songs(page)).slice(0, 5), techno.slice(0, 5).map(idOf));

  await found(page, "Add a song").fill(library.songs[40].title);
  await page.locator(".picks li.at").waitFor();
  await page.keyboard.press("Enter");
  await page.locator(".queue-facts", { hasText: "25 songs" }).waitFor();
  await page.getByLabel("Songs at the most").fill("12");
  await page.keyboard.press("Enter");
  await page.locator(".queue-facts", { hasText: "12 songs" }).waitFor();
  await settled(page);
  const shown = await songs(page);
  assert.equal(shown[0], idOf(40), "it begins with the song");
  const lists = library.playlists.length;
  assert.ok(await page.getByRole("button", { name: "Make the playlist" }).isDisabled(), "it has no name");
  await page.getByLabel("Name of the playlist").fill("Like forty");
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { level: 1, name: "Like forty" }).waitFor();
  assert.equal(library.playlists.length, lists + 1);
  assert.deepEqual(library.playlists.at(-1).rule, { filter: ["genre:Techno"], like: [{ song: idOf(40), title: library.songs[40].title }], length: 12 });
  const kept = await page.locator(".entries .song-name > a").evaluateAll((links) => links.map((link) => decodeURIComponent(link.hash).split("/").pop()));
  assert.deepEqual(kept, shown, "what was shown is what it has");
});

test("a rule is edited, and a change of somebody else is not lost", async (t) => {
  const server = await own(t, { songs: 500 });
  const list = server.state.library.playlists[2];
  const page = await open(t, `#/playlists/${SMART}`, { server, expected: /412|400/ });
  await page.getByRole("link", { name: "Edit the rule" }).click();
  await settled(page);
  await page.getByRole("button", { name: "Remove bpm:120..140" }).click();
  await page.getByLabel("Songs at the most").fill("5");
  await page.keyboard.press("Enter");
  await page.locator(".queue-facts", { hasText: /^5 songs/ }).waitFor();
  assert.equal(list.rule.length, 30, "Enter in a field keeps nothing");
  // A reload loses nothing.
  await page.reload();
  await page.locator(".queue-facts", { hasText: /^5 songs/ }).waitFor();
  assert.deepEqual(list.rule.filter, ["genre:Techno", "bpm:120..140"]);
  list.version = "9".padStart(32, "0");
  await page.getByRole("button", { name: "Save the rule" }).click();
  await page.locator(".trouble", { hasText: "changed meanwhile" }).waitFor();
  list.version = "0".repeat(32);
  await page.getByRole("button", { name: "Save the rule" }).click();
  await page.locator(".entries > li").nth(4).waitFor();
  assert.deepEqual(list.rule, { filter: ["genre:Techno"], like: [{ song: idOf(30), title: server.state.library.songs[30].title }], length: 5 });
  assert.equal(await page.locator(".entries > li").count(), 5);
  // A filter that cannot be read is explained beside it.
  await page.goto(`${server.url}/#/playlists/${SMART}/rule?edited=1&filter=tempo%3A9`);
  await page.locator(".filter-problem", { hasText: "there is no filter" }).waitFor();
  assert.ok(await page.getByRole("button", { name: "Save the rule" }).isDisabled());
});

test("a rule with a song that is gone is put right", async (t) => {
  const server = await own(t, { songs: 500 });
  const { library } = server.state;
  library.playlists[2].rule.like.push({ song: idOf(12), title: "gone" });
  const page = await open(t, `#/playlists/${SMART}/rule`, { server, expected: /404/ });
  await page.locator(".notes", { hasText: "1 song that it sounded like is gone" }).waitFor();
  await page.getByRole("button", { name: "Save the rule" }).click();
  await message(page, "follows the new rule");
  assert.deepEqual(library.playlists[2].rule.like.map((seed) => seed.song), [idOf(30)]);
});

test("a server that only reads has radio and path, and nothing that is kept", async (t) => {
  const server = await own(t, { songs: 300, readOnly: true });
  for (const address of [RADIO, PATH]) {
    const page = await open(t, address, { server });
    await settled(page);
    assert.equal(await page.getByRole("button", { name: "Save as playlist" }).count(), 0);
    await page.getByRole("button", { name: "Play all" }).waitFor();
  }
  for (const address of ["#/playlists/import", "#/playlists/rule", `#/playlists/${SMART}/rule`]) {
    const page = await open(t, address, { server });
    await page.locator(".empty", { hasText: "This server only reads" }).waitFor();
  }
  const page = await open(t, "#/playlists", { server });
  await page.locator(".playlist-card").first().waitFor();
  assert.equal(await page.locator(".page-tools .button").count(), 0);
});

test("an empty library says what to do before a radio or path", async (t) => {
  const server = await own(t, { songs: 0 });
  const page = await open(t, "#/radio", { server });
  await page.getByRole("button", { name: "Begin with any song" }).click();
  await message(page, "The library has no songs yet");
  await found(page, "Add a song").fill("anything");
  await page.locator(".picks", { hasText: "No song has these words" }).waitFor();
  const path = await open(t, "#/path", { server });
  await path.locator(".empty", { hasText: "Pick two songs" }).waitFor();
});

test("errors of a radio and a path say what to do, and trying again helps", async (t) => {
  const server = await own(t, { songs: 300, fail: /\/api\/v1\/(radio|path)/ });
  for (const address of [RADIO, PATH]) {
    server.state.fail = /\/api\/v1\/(radio|path)/;
    const page = await open(t, address, { server, expected: /503/ });
    await page.locator(".trouble", { hasText: "Wait a minute" }).waitFor();
    server.state.fail = null;
    await page.getByRole("button", { name: "Try again" }).click();
    await settled(page);
  }
});

test("odd titles are text in radios, paths and rules", async (t) => {
  for (const address of [`#/radio?like=${idOf(0)}&like=${idOf(1)}`, `#/path?a=${idOf(1)}&b=${idOf(0)}`, `#/playlists/rule?like=${idOf(2)}&like=${idOf(3)}`]) {
    const page = await open(t, address);
    await settled(page);
    await page.waitForLoadState("networkidle");
    assert.equal(await page.evaluate(() => window.broken), undefined);
  }
});
