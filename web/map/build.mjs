// Makes the page's one file, `crates/library/assets/map.html`, or the file that
// is named as the argument. The same sources give the same bytes.

import { createHash } from "node:crypto";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const output = process.argv[2] ?? here("../../crates/library/assets/map.html");

const bundle = async (entry) => {
  const { outputFiles } = await build({
    entryPoints: [here(entry)],
    bundle: true,
    minify: true,
    write: false,
    format: "iife",
    target: ["es2022", "chrome109", "firefox115", "safari16.4"],
    charset: "utf8",
    legalComments: "none",
    logLevel: "warning",
  });
  return outputFiles[0].text.trim();
};

const [script, style, template] = await Promise.all([
  bundle("src/main.ts"),
  bundle("src/style.css"),
  readFile(here("src/index.html"), "utf8"),
]);

// Only this script and this style run, whatever else gets into the file.
const hash = (text) => `'sha256-${createHash("sha256").update(text).digest("base64")}'`;
const security = [
  "default-src 'none'",
  `script-src ${hash(script)}`,
  `style-src ${hash(style)}`,
  "img-src data: blob:",
  "media-src file: blob: 'self'",
  "base-uri 'none'",
  "form-action 'none'",
].join("; ");

const parts = { SECURITY: security, STYLE: style, SCRIPT: script };
let page = template;
for (const [name, text] of Object.entries(parts)) {
  const mark = new RegExp(`(?<=[">])${name}(?=["<])`);
  if (!mark.test(page)) throw new Error(`the template has no place for ${name}`);
  // A function, because a text would have `$` in it replaced.
  page = page.replace(mark, () => text);
}
if (page.split("/*SONGREC_MAP_DATA*/").length !== 2) {
  throw new Error("the place for the data has to be there once");
}
await mkdir(dirname(output), { recursive: true });
await writeFile(output, page);
console.log(`${output}: ${Buffer.byteLength(page)} bytes`);
