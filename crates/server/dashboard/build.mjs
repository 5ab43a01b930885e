// Makes `dist`, or the folder that is named as the argument: the page, its script,
// style and fonts, and the licence texts of what is in them. The same sources give
// the same bytes.

import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const output = process.argv[2] ?? here("dist");
await rm(output, { recursive: true, force: true });

const { metafile } = await build({
  entryPoints: { app: here("src/main.tsx"), style: here("src/style.css") },
  outdir: join(output, "assets"),
  bundle: true,
  minify: true,
  metafile: true,
  format: "esm",
  target: ["es2022", "chrome109", "firefox115", "safari16.4"],
  charset: "utf8",
  jsx: "automatic",
  jsxImportSource: "preact",
  // The hash lets browsers keep a file for ever.
  entryNames: "[name]-[hash]",
  assetNames: "[name]-[hash]",
  loader: { ".woff2": "file" },
  legalComments: "none",
  logLevel: "warning",
  absWorkingDir: here("."),
});

const made = Object.keys(metafile.outputs).map((path) => relative(output, here(path)));
const named = (pattern) => made.find((path) => pattern.test(path));
let page = await readFile(here("src/index.html"), "utf8");
for (const [mark, path] of Object.entries({ SCRIPT: named(/app-.*\.js$/), STYLE: named(/style-.*\.css$/) })) {
  if (!page.includes(mark)) throw new Error(`the page has no place for ${mark}`);
  page = page.replace(mark, () => path);
}
await writeFile(join(output, "index.html"), page);
await writeFile(join(output, "icon.svg"), await readFile(here("src/icon.svg")));
await writeFile(join(output, "licenses.txt"), await licences(Object.keys(metafile.inputs)));

const packed = async (path) => gzipSync(await readFile(join(output, path)), { level: 9 }).length;
const first = (await Promise.all(["index.html", named(/app-.*\.js$/), named(/style-.*\.css$/)].map(packed)))
  .reduce((a, b) => a + b, 0);
const font = (await readFile(join(output, named(/inter-latin-wght-normal/)))).length;
console.log(`${output}: first page ${first + font} bytes compressed, ${font} of it the font`);
if (first + font > 250_000) throw new Error("the first page has to stay below 250 kB compressed");

// The licence text of every package of which something is in the bundle.
async function licences(inputs) {
  const packages = new Set(
    inputs.map((path) => path.match(/node_modules\/((?:@[^/]+\/)?[^/]+)/)?.[1]).filter(Boolean),
  );
  const texts = await Promise.all(
    [...packages].sort().map(async (name) => {
      const folder = here(`node_modules/${name}`);
      const { version, license } = JSON.parse(await readFile(join(folder, "package.json"), "utf8"));
      const file = (await readdir(folder)).find((one) => /^licen[cs]e/i.test(one));
      if (!file) throw new Error(`${name} has no licence text`);
      return `${name} ${version} (${license})\n\n${(await readFile(join(folder, file), "utf8")).trim()}\n`;
    }),
  );
  await mkdir(dirname(join(output, "licenses.txt")), { recursive: true });
  return `The dashboard of songrec holds parts of these packages.\n\n${texts.join(`\n${"-".repeat(72)}\n\n`)}`;
}
