// Reads the value of a key as its row says: every mistake is told with its place, and no message
// shows a secret.

import * as v from "valibot";
import { conditionsOf, entryOf, type Row, type Rows, shown, type ValueRow } from "./rows.ts";
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
  if ("items" in row) return readList(row.items, node, path, note);
  return readScalar(row, node, path, note);
}

/** The value of a key that is not there; undefined, and `note` is called, if it has to be. */
export function readNothing(row: Row, missing: () => void): unknown {
  const result = v.safeParse(entryOf(row), undefined);
  if (result.success) return result.output;
  missing();
  return undefined;
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
      const near = nearest(name.split(":", 1)[0], names);
      const hint = near !== "" ? `did you mean ${near}?` : `known: ${names.join(", ")}`;
      return note(place, `key "${path}.${shownKey(name)}" is not known; ${hint}`);
    }
    values[name] = readRow(rows[name], value, `${path}.${name}`, note);
  });
  for (const name of names) {
    if (Object.hasOwn(values, name)) continue;
    values[name] = readNothing(rows[name], () => note(node, `${path}.${name} is missing`));
  }
  return values;
}

function readNames(each: Row, node: Node, path: string, note: Note): unknown {
  if (node.kind !== "mapping") {
    note(node, `${path} has to be a mapping`);
    return undefined;
  }
  const values: Record<string, unknown> = Object.create(null);
  eachOnce(node, path, note, (name, value) => {
    values[name] = readRow(each, value, `${path}.${name}`, note);
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

function readList(items: Row, node: Node, path: string, note: Note): unknown {
  if (node.kind === "list") return node.items.map((item) => readRow(items, item, path, note));
  note(node, `${path} has to be a list`);
  return undefined;
}

function readScalar(row: ValueRow, node: Node, path: string, note: Note): unknown {
  if (node.kind !== "scalar") {
    const what = node.kind === "list" ? "a list" : "a mapping";
    const hint = row.hint === undefined ? "" : `; ${row.hint}`;
    note(node, `${path} has to be a single value, not ${what}${hint}`);
    return undefined;
  }
  if (node.text === "") {
    note(node, `${path} has no value`);
    return undefined;
  }
  // What a schema takes, whatever it makes of it.
  const result = v.safeParse(row.type, fromText(row.type.type, node.text));
  if (result.success) return result.output;
  const { message } = result.issues[0];
  const value = row.secret || message === NOT_A_PATH ? "" : ` "${node.text}"`;
  note(node, `${path}${value} ${message}`);
  return undefined;
}

/**
 * Keys that may not be given because of another key of the pool, `settings`, at any depth: a key of
 * a Redis pool in a memcached pool.
 */
export function judgeConditions(rows: Rows, body: Mapping, note: Note): void {
  const settings = new Map(body.entries.map(({ key, value }) => [key.text, value]));
  const valueOf = (key: string): string => {
    const node = settings.get(key);
    if (node !== undefined) return node.kind === "scalar" ? node.text : "";
    return String((rows[key] as Partial<ValueRow> | undefined)?.default ?? "");
  };
  const judge = (row: Row, node: Node, path: string): void => {
    const failed = conditionsOf(row).find(([key, ...values]) => !values.includes(valueOf(key)));
    if (failed !== undefined) return note(node, `${path} is only valid with ${shown(failed)}`);
    if ("keys" in row) return judgeKeys(row.keys, node, path);
    if ("each" in row && node.kind === "mapping") {
      for (const { key, value } of node.entries) judge(row.each, value, `${path}.${key.text}`);
    }
    if ("items" in row && node.kind === "list") {
      for (const item of node.items) judge(row.items, item, path);
    }
  };
  const judgeKeys = (keys: Rows, node: Node, path: string): void => {
    if (node.kind !== "mapping") return;
    for (const { key: { text: key }, value } of node.entries) {
      if (Object.hasOwn(keys, key)) judge(keys[key], value, path === "" ? key : `${path}.${key}`);
    }
  };
  judgeKeys(rows, body, "");
}

/** A key as a message shows it: what follows a colon may be a value, and a secret. */
export function shownKey(key: string): string {
  return key.replace(/:.*$/s, ":...");
}

/**
 * Values are raw text: only digits (and one point) make a number and only true and false make a boolean. Whatever
 * else stays text, which the schema then refuses.
 */
export function fromText(type: string, text: string): unknown {
  if (type === "number" && /^[0-9]+(\.[0-9]+)?$/.test(text)) return Number(text);
  if (type === "boolean" && text === "true") return true;
  if (type === "boolean" && text === "false") return false;
  return text;
}
