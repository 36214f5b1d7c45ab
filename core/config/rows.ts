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

/** A key of a pool, and values of it as they stand in a file. */
export type Condition = readonly [key: string, ...values: string[]];

interface Common {
  /** For the documentation and for editors. */
  readonly text: string;
  /** The only protocol whose pools may have it. */
  readonly only?: "redis" | "memcached";
  /** It may be given only where another key of the pool has one of these values. */
  readonly with?: Condition;
  /** Its value is shown nowhere: no message, no log, no page. */
  readonly secret?: true;
  /** What a reload has to do when the value changes; absent: the new value is used from then on. */
  readonly reload?: readonly Effect[];
  /** What to say to somebody who gives a list or a mapping instead. */
  readonly hint?: string;
}

/** A key with a value. It has a `default`, is `optional`, or is required. */
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

/** A key whose value is a mapping of names, which anybody chooses, to what `each` says. */
export interface NamesRow extends Common {
  readonly each: Row;
}

/** A key whose value is a list of what `items` says. */
export interface ListRow extends Common {
  readonly items: Row;
}

export type Row = ValueRow | GroupRow | NamesRow | ListRow;

export interface Rows {
  readonly [key: string]: Row;
}

type ValueOf<R> = R extends { keys: infer K } ? ValuesOf<K>
  : R extends { each: infer E } ? Record<string, ValueOf<E>>
  : R extends { items: infer I } ? ValueOf<I>[]
  : R extends { type: infer T extends v.GenericSchema } ? v.InferOutput<T>
  : never;

type Optional<R> = { [N in keyof R]: R[N] extends { optional: true } ? N : never }[keyof R];

/** The values of a mapping with these keys. */
export type ValuesOf<R> =
  & { -readonly [N in Exclude<keyof R, Optional<R>>]: ValueOf<R[N]> }
  & { -readonly [N in Optional<R>]?: ValueOf<R[N]> };

/** The schema of a mapping with these keys. */
export function schemaOf<R extends Rows>(rows: R): v.GenericSchema<unknown, ValuesOf<R>> {
  return objectOf(rows) as v.GenericSchema<unknown, ValuesOf<R>>;
}

function objectOf(rows: Rows): v.GenericSchema {
  const entries = Object.entries(rows).map(([name, row]) => [name, entryOf(row)]);
  return v.strictObject(Object.fromEntries(entries));
}

/** The schema of one key's value. Of names and lists, none is none at all. */
export function entryOf(row: Row): v.GenericSchema {
  const told = described(typeOf(row), textOf(row));
  if ("each" in row) return v.optional(told, {});
  if ("items" in row) return v.optional(told, []);
  if ("default" in row) return v.optional(told, row.default);
  return row.optional ? v.optional(told) : told;
}

function typeOf(row: Row): v.GenericSchema {
  if ("keys" in row) return objectOf(row.keys);
  if ("each" in row) return v.record(v.string(), entryOf(row.each));
  return "items" in row ? v.array(entryOf(row.items)) : row.type;
}

/** The text goes before what the schema makes of a value: editors see what is before that only. */
function described(schema: v.GenericSchema, text: string): v.GenericSchema {
  const { pipe = [schema] } = schema as { pipe?: v.GenericSchema[] };
  const [first, ...rest] = pipe;
  if (text === "") return schema;
  return v.pipe(first, ...[v.description(text), ...rest] as unknown as []);
}

const PROTOCOLS = { redis: "Redis", memcached: "memcached" } as const;

/** The meaning of a key, with whose it is. */
export function textOf({ text, only, with: condition }: Row): string {
  const whose = only === undefined ? "" : ` ${PROTOCOLS[only]} pools only.`;
  return text + whose + (condition === undefined ? "" : ` Only with \`${shown(condition)}\`.`);
}

/** What has to be so for a key to be given: "redis: true". */
export function conditionsOf({ only, with: condition }: Row): Condition[] {
  const own: Condition[] = only === undefined ? [] : [["redis", String(only === "redis")]];
  return condition === undefined ? own : [...own, condition];
}

export function shown([key, ...values]: Condition): string {
  return `${key}: ${values.join(" or ")}`;
}

/** The rows below a row, whatever it is. */
export function rowsIn(row: Row): readonly Row[] {
  if ("keys" in row) return Object.values(row.keys);
  return "each" in row ? [row.each] : "items" in row ? [row.items] : [];
}

/** Whether the value of a key may not be shown: it is a secret, or has one in it. */
export function hasSecret(row: Row): boolean {
  return row.secret === true || rowsIn(row).some(hasSecret);
}

/** Whether a change of these keys has this effect. */
export function changes(rows: Rows, keys: ReadonlySet<string>, effect: Effect): boolean {
  for (const key of keys) {
    if (Object.hasOwn(rows, key) && rows[key].reload?.includes(effect)) return true;
  }
  return false;
}
