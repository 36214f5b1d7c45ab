// Reads the value of a key as its row says: every mistake is told with its place, and no message
// shows a secret.

import * as v from "valibot";
import { entryOf, type Row, type Rows } from "./rows.ts";
import { nearest } from "./suggest.ts";
import { NOT_A_PATH } from "./values.ts";
import type { Mapping, Node, Place } from "./yaml.ts";

/** Tells one mistake, at its place. */
export type Note = (place: Place, message: string) => void;

/**
 * The value of `node`, which stands at `path` ("tls" or "auth.users.alice.password"), by `row`.
 * What is wrong is told to `note`; the value then has gaps and is not to be used.
 */
export function readRow(row: Row, node: Node, path: string, note: Note): unknown {
  if ("keys" in row) return readKeys(row.keys, node, path, note);
  if ("each" in row) return readNames(row.each, node, path, note);
  if (typeOf(row.type) === "array") return readList(row, node, path, note);
  return readScalar(row, node, path, note);
}

/** The value of a key that is not there; undefined, and `note` is called, if it has to be. */
export function readNothing(row: Row, missing: () => void): unknown {
  const result = v.safeParse(entryOf(row), undefined);
  if (result.success) return result.output;
  missing();
  return undefined;
}

/** What a schema takes, whatever is done with it then. */
function typeOf(schema: v.GenericSchema): string {
  return schema.type;
}

/** The value of a mapping whose keys are these. */
export function readKeys(rows: Rows, node: Node, path: string, note: Note): unknown {
  const names = Object.keys(rows);
  if (node.kind !== "mapping") {
    note(node, `${path} has to be a mapping with ${names.join(", ")}`);
    return undefined;
  }
  const values: Record<string, unknown> = {};
  eachOnce(node, path, note, (name, value, place) => {
    if (!Object.hasOwn(rows, name)) {
      const near = nearest(name, names);
      const hint = near !== "" ? `did you mean ${near}?` : `known: ${names.join(", ")}`;
      return note(place, `key "${path}.${name}" is not known; ${hint}`);
    }
    values[name] = readRow(rows[name], value, `${path}.${name}`, note);
  });
  for (const name of names) {
    if (Object.hasOwn(values, name)) continue;
    values[name] = readNothing(rows[name], () => note(node, `${path}.${name} is missing`));
  }
  return values;
}

function readNames(each: Rows, node: Node, path: string, note: Note): unknown {
  if (node.kind !== "mapping") {
    note(node, `${path} has to be a mapping`);
    return undefined;
  }
  const values: Record<string, unknown> = Object.create(null);
  eachOnce(node, path, note, (name, value) => {
    values[name] = readKeys(each, value, `${path}.${name}`, note);
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

/** A list of single values. */
function readList(row: Row, node: Node, path: string, note: Note): unknown {
  if (node.kind !== "list") {
    note(node, `${path} has to be a list`);
    return undefined;
  }
  const texts: string[] = [];
  for (const item of node.items) {
    const text = singleText(item, path, "", note);
    if (text !== undefined) texts.push(text);
  }
  return judged(row, texts, node, path, "", note);
}

function readScalar(row: Row, node: Node, path: string, note: Note): unknown {
  const text = singleText(node, path, row.hint ?? "", note);
  if (text === undefined || !("type" in row)) return undefined;
  const shown = row.secret ? "" : ` "${text}"`;
  return judged(row, fromText(typeOf(row.type), text), node, path, shown, note);
}

/** The text of a node that has to be a single value. */
function singleText(node: Node, path: string, hint: string, note: Note): string | undefined {
  if (node.kind !== "scalar") {
    const what = node.kind === "list" ? "a list" : "a mapping";
    note(node, `${path} has to be a single value, not ${what}${hint && `; ${hint}`}`);
  } else if (node.text === "") {
    note(node, `${path} has no value`);
  } else {
    return node.text;
  }
  return undefined;
}

function judged(
  row: Row,
  value: unknown,
  place: Place,
  path: string,
  shown: string,
  note: Note,
): unknown {
  const result = v.safeParse(entryOf(row), value);
  if (result.success) return result.output;
  const { message } = result.issues[0];
  note(place, `${path}${message === NOT_A_PATH ? "" : shown} ${message}`);
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
