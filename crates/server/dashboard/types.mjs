// Makes `src/schema.ts`, or the file that is named as the argument, from the server's
// `openapi.json`: a type for every document that an answer under `/api/v1` holds.

import { readFile, writeFile } from "node:fs/promises";

const here = (path) => new URL(path, import.meta.url);
const { components, paths } = JSON.parse(await readFile(here("../openapi.json"), "utf8"));
const SCHEMAS = "schemas/";
const ROOT = "#/components/";

/** What a reference means: a document by its name, or a part of one. */
function follow(ref) {
  const path = ref.slice(ROOT.length);
  const steps = path.split("/");
  const found = steps.reduce((part, step) => part?.[step], components);
  if (!ref.startsWith(ROOT) || found === undefined) throw new Error(`openapi.json names ${ref} and has none`);
  return { name: path.startsWith(SCHEMAS) && steps.length === 2 ? steps[1] : null, found };
}

const wanted = new Set();
function reach(schema) {
  if (schema === null || typeof schema !== "object") return;
  if (schema.$ref) {
    const { name, found } = follow(schema.$ref);
    if (name === null) return reach(found);
    if (wanted.has(name)) return;
    wanted.add(name);
    return reach(found);
  }
  for (const value of Object.values(schema)) reach(value);
}
for (const [path, methods] of Object.entries(paths)) {
  if (path.startsWith("/api/v1/")) for (const { responses } of Object.values(methods)) reach(responses);
}

function type(schema) {
  if (schema === true || schema === undefined) return "unknown";
  if (schema.$ref) {
    const { name, found } = follow(schema.$ref);
    return name === null ? type(found) : `Schema[${JSON.stringify(name)}]`;
  }
  if ("const" in schema) return JSON.stringify(schema.const);
  if (schema.enum) return schema.enum.map((one) => JSON.stringify(one)).join(" | ");
  const several = schema.anyOf ?? schema.oneOf;
  const parts = [
    several && `(${several.map(type).join(" | ")})`,
    ...(schema.allOf ?? []).map(type),
    own(schema),
  ].filter(Boolean);
  return parts.length === 0 ? "unknown" : parts.join(" & ");
}

function own({ type: kind, properties, required = [], additionalProperties, items, prefixItems }) {
  const of = (name) => {
    switch (name) {
      case "integer": return "number";
      case "array": return prefixItems ? `[${prefixItems.map(type).join(", ")}]` : `${bracketed(type(items))}[]`;
      case "object": return properties
        ? `{ ${Object.entries(properties).map(([key, value]) => `${JSON.stringify(key)}${required.includes(key) ? "" : "?"}: ${type(value)}`).join("; ")} }`
        : `Record<string, ${additionalProperties ? type(additionalProperties) : "unknown"}>`;
      default: return name;
    }
  };
  if (Array.isArray(kind)) return `(${kind.map(of).join(" | ")})`;
  if (kind === undefined) return properties ? of("object") : null;
  return of(kind);
}

const bracketed = (text) => (/[|&]/.test(text) ? `(${text})` : text);

const lines = [...wanted].sort().map((name) => `  ${JSON.stringify(name)}: ${type(components.schemas[name])};`);
await writeFile(process.argv[2] ?? here("src/schema.ts"), `// Made by types.mjs from openapi.json.

export interface Schema {
${lines.join("\n")}
}
`);
