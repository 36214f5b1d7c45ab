// Writes what is derived from core/config/schema.ts: conf/ringmux.schema.json (for editors) and
// the table of keys in docs/configuration.md. Run from the project's root after every change of
// the schema: deno run -A conf/make_schema.ts (or bun conf/make_schema.ts). A test compares.

import * as fs from "node:fs";
import process from "node:process";
import { type ConversionConfig, toJsonSchema } from "@valibot/to-json-schema";
import { FileSchema } from "../core/config/schema.ts";

export const SCHEMA_FILE = "conf/ringmux.schema.json";
export const DOCS_FILE = "docs/configuration.md";
const BEGIN = "<!-- keys: written by conf/make_schema.ts -->";
const END = "<!-- end of keys -->";

interface Property {
  readonly type: string | string[];
  readonly description?: string;
  readonly default?: unknown;
  readonly enum?: readonly string[];
  readonly minimum?: number;
  readonly maximum?: number;
}

const options: ConversionConfig = { typeMode: "input", target: "draft-07" };

/** The two derived texts; `docs` is the present text of docs/configuration.md. */
export function generate(docs: string): { schema: string; docs: string } {
  const file = toJsonSchema(FileSchema, options) as Record<string, unknown>;
  const pool = file.additionalProperties as { properties: Record<string, Property> };
  const properties = { ...pool.properties };
  // Everything is text to ringmux, so a password of digits needs no quotes; editors should agree.
  properties.redis_auth = { ...properties.redis_auth, type: ["string", "number"] };
  const { $schema, ...rest } = file;
  const schema = {
    $schema,
    title: "ringmux configuration",
    description: "Pools by name; twemproxy (nutcracker) files are valid.",
    ...rest,
    minProperties: 1,
    additionalProperties: { ...pool, properties },
  };
  const start = docs.indexOf(BEGIN);
  const end = docs.indexOf(END);
  if (start < 0 || end < start) throw new Error(`${DOCS_FILE} has lost its markers`);
  return {
    schema: JSON.stringify(schema, null, 2) + "\n",
    docs: docs.slice(0, start + BEGIN.length) + "\n\n" + table(properties) + "\n" +
      docs.slice(end),
  };
}

function table(properties: Record<string, Property>): string {
  const rows = Object.entries(properties).map(([key, property]) => {
    const cells = [`\`${key}\``, values(property), fallback(key, property)];
    return `| ${cells.join(" | ")} | ${property.description ?? ""} |\n`;
  });
  return "| key | values | default | meaning |\n|---|---|---|---|\n" + rows.join("");
}

function values(property: Property): string {
  if (property.enum !== undefined) return property.enum.map((name) => `\`${name}\``).join(" ");
  if (property.type === "boolean") return "`true` `false`";
  if (property.type === "integer") return `${property.minimum} to ${property.maximum}`;
  if (property.type === "object") return "mapping";
  return property.type === "array" ? "list" : "text";
}

function fallback(key: string, property: Property): string {
  if (property.default !== undefined) return `\`${property.default}\``;
  return key === "listen" || key === "servers" ? "required" : "none";
}

if (/make_schema\.(ts|m?js)$/.test(process.argv[1] ?? "")) {
  const made = generate(fs.readFileSync(DOCS_FILE, "utf8"));
  fs.writeFileSync(SCHEMA_FILE, made.schema);
  fs.writeFileSync(DOCS_FILE, made.docs);
}
