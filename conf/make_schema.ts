// Writes what is derived from the rows of core/config/keys.ts: conf/ringmux.schema.json (for editors)
// and the tables of keys in docs/configuration.md. Run from the project's root after every change
// of them: deno run -A conf/make_schema.ts (or bun conf/make_schema.ts). A test compares.

import * as fs from "node:fs";
import process from "node:process";
import { type ConversionConfig, toJsonSchema } from "@valibot/to-json-schema";
import { GLOBAL_KEYS } from "../core/config/groups.ts";
import { POOL_ROWS } from "../core/config/keys.ts";
import { conditionsOf, EFFECTS, type Row, type Rows } from "../core/config/rows.ts";
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
  readonly properties?: Record<string, Property>;
  readonly required?: readonly string[];
  readonly additionalProperties?: Property | false;
}

const options: ConversionConfig = { typeMode: "input", target: "draft-07" };

/** The two derived texts; `docs` is the present text of docs/configuration.md. */
export function generate(docs: string): { schema: string; docs: string } {
  const file = toJsonSchema(FileSchema, options) as Record<string, unknown>;
  const pool = file.additionalProperties as { properties: Record<string, Property> };
  const properties = { ...pool.properties };
  // Everything is text to ringmux, so a password of digits needs no quotes; editors should agree.
  properties.redis_auth = { ...properties.redis_auth, type: ["string", "number"] };
  properties.auth = textOrNumber(properties.auth);
  const { $schema, ...rest } = file as { $schema: unknown; properties: Record<string, Property> };
  const global = rest.properties.global.properties as Record<string, Property>;
  global.workers = { ...global.workers, type: ["string", "integer"] };
  global.log_level = { ...global.log_level, type: ["string", "integer"] };
  const schema = {
    $schema,
    title: "ringmux configuration",
    description: "Pools by name; twemproxy (nutcracker) files are valid.",
    ...rest,
    minProperties: 1,
    additionalProperties: {
      ...{ ...pool, properties, dependencies: dependencies() },
      anyOf: ["servers", "routes", "discovery"].map((key) => ({ required: [key] })),
    },
  };
  const start = docs.indexOf(BEGIN);
  const end = docs.indexOf(END);
  if (start < 0 || end < start) throw new Error(`${DOCS_FILE} has lost its markers`);
  return {
    schema: JSON.stringify(schema, null, 2) + "\n",
    docs: docs.slice(0, start + BEGIN.length) + "\n\n" + table(properties, POOL_ROWS) +
      "\n### Keys of a pool that hold others\n\n" + nestedTables(properties) +
      "## Keys of `global`\n\n" + table(rest.properties.global.properties ?? {}, GLOBAL_KEYS) +
      "\n" +
      docs.slice(end),
  };
}

/** As redis_auth: a password of digits in `auth` or one of its users. */
function textOrNumber(group: Property): Property {
  const properties = { ...group.properties };
  const { password, users } = properties;
  properties.password = { ...password, type: ["string", "number"] };
  const each = users?.additionalProperties;
  if (typeof each === "object") {
    properties.users = { ...users, additionalProperties: textOrNumber(each) };
  }
  return { ...group, properties };
}

/** Keys that may be given only where another has a certain value: those of one protocol's pools. */
function dependencies(): Record<string, unknown> {
  const rows: Rows = POOL_ROWS;
  const entries = Object.entries(rows).flatMap(([key, row]) => {
    const conditions = conditionsOf(row);
    if (conditions.length === 0) return [];
    const required = conditions.filter(([other, ...values]) => {
      const { default: usual } = rows[other] as { default?: unknown };
      return !values.includes(String(usual));
    }).map(([other]) => other);
    const properties = Object.fromEntries(
      conditions.map(([other, ...values]) => [other, { enum: values.map(plain) }]),
    );
    return [[key, { ...(required.length > 0 && { required }), properties }]];
  });
  return Object.fromEntries(entries);
}

function plain(value: string): unknown {
  return value === "true" || value === "false" ? value === "true" : value;
}

/** `rows` tell what a reload does; those of keys within others do as these do. */
function table(
  properties: Record<string, Property>,
  rows: Rows | null,
  required: readonly string[] = ["listen", "servers"],
): string {
  const lines = Object.entries(properties).map(([key, property]) => {
    const must = required.includes(key.slice(key.lastIndexOf(".") + 1));
    const cells = [`\`${key}\``, values(property), must ? "required" : fallback(property)];
    if (rows !== null) cells.push(reload(rows[key]));
    return `| ${cells.join(" | ")} | ${property.description ?? ""} |\n`;
  });
  const titles = ["key", "values", "default", ...(rows === null ? [] : ["at a reload"]), "meaning"];
  return `| ${titles.join(" | ")} |\n|${"---|".repeat(titles.length)}\n${lines.join("")}`;
}

/** What a reload does with a changed value: the last of its effects tells most. */
function reload({ reload: effects = [] }: Row): string {
  return effects.length === 0 ? "at once" : EFFECTS[effects[effects.length - 1]];
}

/** One table for each key with keys of its own, but for commands, which has a section. */
function nestedTables(properties: Record<string, Property>): string {
  return Object.entries(properties)
    .filter(([key, { properties: own }]) => own !== undefined && key !== "commands")
    .map(([key, property]) => table(flatten(key, property), null, property.required ?? []) + "\n")
    .join("");
}

function flatten(path: string, property: Property): Record<string, Property> {
  const rows: Record<string, Property> = {};
  for (const [key, value] of Object.entries(property.properties ?? {})) {
    rows[`${path}.${key}`] = value;
    const item = value.additionalProperties;
    if (item !== undefined && item !== false) {
      Object.assign(rows, flatten(`${path}.${key}.NAME`, item));
    }
  }
  return rows;
}

function values(property: Property): string {
  if (property.enum !== undefined) return property.enum.map((name) => `\`${name}\``).join(" ");
  if (property.type === "boolean") return "`true` `false`";
  if (property.type === "integer") return `${property.minimum} to ${property.maximum}`;
  if (property.type === "object") return "mapping";
  return property.type === "array" ? "list" : "text";
}

function fallback({ default: value }: Property): string {
  const none = value === undefined || value === "" || typeof value === "object";
  return none ? "none" : `\`${value}\``;
}

if (/make_schema\.(ts|m?js)$/.test(process.argv[1] ?? "")) {
  const made = generate(fs.readFileSync(DOCS_FILE, "utf8"));
  fs.writeFileSync(SCHEMA_FILE, made.schema);
  fs.writeFileSync(DOCS_FILE, made.docs);
}
