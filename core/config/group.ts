// Reads a value that is a mapping, as its schema says: every mistake is told with its place.

import * as v from "valibot";
import { nearest } from "./suggest.ts";
import type { Mapping, Node, Place } from "./yaml.ts";

/** What is needed of a valibot schema to walk it. */
export type AnySchema = v.GenericSchema & {
  readonly type: string;
  readonly wrapped?: AnySchema;
  readonly entries?: Record<string, AnySchema>;
  readonly item?: AnySchema;
  readonly value?: AnySchema;
};

/** Tells one mistake, at its place. */
export type Note = (place: Place, message: string) => void;

/** Values are never shown of keys that hold a secret. */
const SECRET: ReadonlySet<string> = new Set(["password", "redis_auth"]);

/**
 * The value of `node`, which stands at `path` ("tls" or "auth.users.alice"), by `schema`. What is
 * wrong is told to `note`; the value then has gaps and is not to be used.
 */
export function readGroup(schema: AnySchema, node: Node, path: string, note: Note): unknown {
  const inner = unwrap(schema);
  switch (inner.type) {
    case "strict_object":
      return readObject(inner.entries ?? {}, node, path, note);
    case "record":
      return readRecord(inner.value as AnySchema, node, path, note);
    case "array":
      return readList(schema, inner, node, path, note);
    default:
      return readScalar(schema, inner.type, node, path, note);
  }
}

function unwrap(schema: AnySchema): AnySchema {
  return schema.wrapped === undefined ? schema : unwrap(schema.wrapped);
}

function readObject(
  entries: Record<string, AnySchema>,
  node: Node,
  path: string,
  note: Note,
): unknown {
  const names = Object.keys(entries);
  if (node.kind !== "mapping") {
    note(node, `${path} has to be a mapping with ${names.join(", ")}`);
    return undefined;
  }
  const values: Record<string, unknown> = {};
  eachOnce(node, path, note, (name, value, place) => {
    if (!Object.hasOwn(entries, name)) {
      const near = nearest(name, names);
      const hint = near !== "" ? `did you mean ${near}?` : `known: ${names.join(", ")}`;
      return note(place, `key "${path}.${name}" is not known; ${hint}`);
    }
    values[name] = readGroup(entries[name], value, `${path}.${name}`, note);
  });
  for (const name of names) {
    if (Object.hasOwn(values, name)) continue;
    const result = v.safeParse(entries[name], undefined);
    if (result.success) values[name] = result.output;
    else note(node, `${path}.${name} is missing`);
  }
  return values;
}

function readRecord(item: AnySchema, node: Node, path: string, note: Note): unknown {
  if (node.kind !== "mapping") {
    note(node, `${path} has to be a mapping`);
    return undefined;
  }
  const values: Record<string, unknown> = Object.create(null);
  eachOnce(node, path, note, (name, value) => {
    values[name] = readGroup(item, value, `${path}.${name}`, note);
  });
  return values;
}

function eachOnce(
  node: Mapping,
  path: string,
  note: Note,
  fn: (name: string, value: Node, place: Place) => void,
): void {
  const seen = new Map<string, Place>();
  for (const { key, value } of node.entries) {
    const first = seen.get(key.text);
    if (first === undefined) {
      seen.set(key.text, key);
      fn(key.text, value, key);
    } else {
      note(key, `${path}.${key.text} is given twice (first on line ${first.line})`);
    }
  }
}

function readList(
  schema: AnySchema,
  inner: AnySchema,
  node: Node,
  path: string,
  note: Note,
): unknown {
  if (node.kind !== "list") {
    note(node, `${path} has to be a list`);
    return undefined;
  }
  const values = node.items.map((item) => readGroup(inner.item as AnySchema, item, path, note));
  const result = v.safeParse(schema, values);
  if (result.success) return result.output;
  note(node, `${path} ${result.issues[0].message}`);
  return undefined;
}

function readScalar(
  schema: AnySchema,
  type: string,
  node: Node,
  path: string,
  note: Note,
): unknown {
  if (node.kind !== "scalar") {
    const what = node.kind === "list" ? "a list" : "a mapping";
    note(node, `${path} has to be a single value, not ${what}`);
    return undefined;
  }
  if (node.text === "") {
    note(node, `${path} has no value`);
    return undefined;
  }
  const result = v.safeParse(schema, fromText(type, node.text));
  if (result.success) return result.output;
  const shown = SECRET.has(path.slice(path.lastIndexOf(".") + 1)) ? "" : ` "${node.text}"`;
  note(node, `${path}${shown} ${result.issues[0].message}`);
  return undefined;
}

/**
 * Values are raw text: only digits make a number and only true and false make a boolean. Whatever
 * else stays text, which the schema then refuses.
 */
export function fromText(type: string, text: string): unknown {
  if (type === "number" && /^[0-9]+$/.test(text)) return Number(text);
  if (type === "boolean" && text === "true") return true;
  if (type === "boolean" && text === "false") return false;
  return text;
}
