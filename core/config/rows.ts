// What a configuration key is: a row that says what it takes, its default, its meaning, which
// protocols have it, whether its value may be shown, and what a reload does when it changes. The
// rows are in keys.ts and groups.ts. From them come validation, the JSON Schema, the documentation
// and what a reload does; nothing else needs to know a key by its name.

import * as v from "valibot";

/** Changes that need more than a look at the new value, and what the documentation says of them. */
export const EFFECTS = {
  /** The ring is made anew. */
  ring: "at once; keys move",
  /** How often the pool looks after its timeouts. */
  tick: "at once",
  /** How clients are understood and what they may do: the codec is made anew. */
  codec: "at once",
  /** What is said to a server first, or how many connections there are: they are replaced. */
  connections: "at once; server connections are replaced",
  /** Who listens where is seen to by Proxy.reload. */
  listener: "at once",
  /** The kernel was told when it was asked to listen. */
  bind: "with another `listen`, else after a new start",
  /** Only a new start changes it. */
  start: "after a new start",
} as const;

export type Effect = keyof typeof EFFECTS;

interface Common {
  /** For the documentation and for editors. */
  readonly text: string;
  /** The only protocol whose pools may have it. */
  readonly only?: "redis" | "memcached";
  /** Its value is shown nowhere: no message, no log, no page. */
  readonly secret?: true;
  /** What a reload has to do when the value changes; absent: the new value is used from then on. */
  readonly reload?: readonly Effect[];
  /** What to say to somebody who gives a list or a mapping instead. */
  readonly hint?: string;
}

/** A key with a value, or with a list of them. It has a `default`, is `optional`, or is required. */
export interface ValueRow extends Common {
  readonly type: v.GenericSchema;
  readonly default?: unknown;
  readonly optional?: true;
}

/** A key whose value is a mapping with keys of its own. */
export interface GroupRow extends Common {
  readonly keys: Rows;
  readonly optional?: true;
}

/** A key whose value is a mapping of names to mappings. None is none at all. */
export interface NamesRow extends Common {
  readonly each: Rows;
}

export type Row = ValueRow | GroupRow | NamesRow;

export interface Rows {
  readonly [key: string]: Row;
}

type ValueOf<R> = R extends { keys: infer K } ? ValuesOf<K>
  : R extends { each: infer K } ? Record<string, ValuesOf<K>>
  : R extends { type: infer T extends v.GenericSchema } ? v.InferOutput<T>
  : never;

type Optional<R> = { [N in keyof R]: R[N] extends { optional: true } ? N : never }[keyof R];

/** The values of a mapping with these keys. */
export type ValuesOf<R> =
  & { -readonly [N in Exclude<keyof R, Optional<R>>]: ValueOf<R[N]> }
  & { -readonly [N in Optional<R>]?: ValueOf<R[N]> };

/** The schema of a mapping with these keys. */
export function schemaOf<R extends Rows>(rows: R): v.GenericSchema<unknown, ValuesOf<R>> {
  const entries = Object.entries(rows).map(([name, row]) => [name, entryOf(row)]);
  return v.strictObject(Object.fromEntries(entries)) as unknown as v.GenericSchema<
    unknown,
    ValuesOf<R>
  >;
}

/** The schema of one key's value. */
export function entryOf(row: Row): v.GenericSchema {
  const type = "keys" in row
    ? schemaOf(row.keys)
    : "each" in row
    ? v.record(v.string(), schemaOf(row.each))
    : row.type;
  const told = described(type as v.GenericSchema, textOf(row));
  if ("each" in row) return v.optional(told, {});
  if ("default" in row) return v.optional(told, row.default);
  return row.optional ? v.optional(told) : told;
}

/** The text goes before what the schema makes of a value: editors see what is before that only. */
function described(schema: v.GenericSchema, text: string): v.GenericSchema {
  const { pipe = [schema] } = schema as { pipe?: v.GenericSchema[] };
  const [first, ...rest] = pipe;
  return v.pipe(first, ...[v.description(text), ...rest] as unknown as []);
}

const PROTOCOLS = { redis: "Redis", memcached: "memcached" } as const;

/** The meaning of a key, with whose it is. */
export function textOf({ text, only }: Row): string {
  return only === undefined ? text : `${text} ${PROTOCOLS[only]} pools only.`;
}

/** Whether the value of a key may not be shown: it is a secret, or has one in it. */
export function hasSecret(row: Row): boolean {
  if (row.secret) return true;
  const inner = "keys" in row ? row.keys : "each" in row ? row.each : {};
  return Object.values(inner).some(hasSecret);
}

/** Whether a change of these keys has this effect. */
export function changes(rows: Rows, keys: ReadonlySet<string>, effect: Effect): boolean {
  for (const key of keys) {
    if (Object.hasOwn(rows, key) && rows[key].reload?.includes(effect)) return true;
  }
  return false;
}
