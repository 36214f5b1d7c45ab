// The rows of table.ts as objects and, for the data path, as columns of integers. A word that a row
// must not have ends the start: nothing in the table has a silent default.

import { CLASS_OTHER, CLASS_READ, CLASS_WRITE } from "../../stats/latency.ts";
import { INTENT_DELETE, INTENT_READ_HERE } from "../intents.ts";
import {
  ALL,
  ANY,
  FORWARD,
  GATHER,
  LOCAL,
  PIN,
  PIN_BLOCK,
  PIN_DISCARD,
  PIN_EXEC,
  PIN_MULTI,
  PIN_NONE,
  PIN_QUEUE,
  PIN_RESET,
  PIN_TRACK,
  PIN_UNWATCH,
  PIN_WAIT,
  PIN_WATCH,
  QUIT,
  REFUSE,
  RESCUE,
  SPLIT,
  TOGETHER,
  TOPICS,
  WALK,
} from "../codec.ts";
import { TABLE } from "./table.ts";

/** How keys are found when their places are not fixed (`Command.keys`). */
export const KEYS_FIXED = 0;
export const KEYS_COUNTED = 1;
export const KEYS_STORE = 2;
export const KEYS_STREAMS = 3;

/** How the replies of fragments become one. */
export const JOIN_NONE = 0;
export const JOIN_ARRAY = 1;
export const JOIN_SUM = 2;
export const JOIN_OK = 3;
export const JOIN_FIRST = 4;
export const JOIN_CONCAT = 5;
export const JOIN_LEAST = 6;
export const JOIN_OLDEST = 7;
export const JOIN_SOME = 8;
export const JOIN_ANY_OK = 9;
export const JOIN_INFO = 10;
export const JOIN_CURSOR = 11;
export const JOIN_UNION = 12;
export const JOIN_MOST = 13;
export const JOIN_NUMSUB = 14;
export const JOIN_PUBLISH = 15;
export const JOIN_EXEC = 16;

/** Flags (`Command.flags`). */
export const READONLY = 1;
export const WRITE = 2;
export const FAST = 4;
export const ADMIN = 8;
export const BLOCKING = 16;
export const PUBSUB = 32;
export const BEFORE_AUTH = 64;
/** An argument names a database. */
export const NAMES_DB = 128;
/** It runs code of a client's, whose errors say what that client likes. */
export const SAYS_ANYTHING = 256;

/** Rights (`Command.rights`). Changes nothing: for users that may only read. */
export const READS = 1;
/** Has no key and shows and touches none: for users with prefixes. */
export const KEYLESS = 2;
/** Reaches keys that nobody can see in the request. */
export const SCRIPT = 4;
/** The argument behind the name, or all of them, are channels; or patterns of channels or keys. */
export const CHANNEL = 8;
export const CHANNELS = 16;
export const PATTERNS = 32;
export const SCANS = 64;
export const SORTS = 128;

/** Action of a container command: its row is found with the subcommand's name behind a "|". */
export const SUB = -1;

type Words = Readonly<Record<string, number>>;

const ACTIONS: Words = {
  forward: FORWARD,
  split: SPLIT,
  together: TOGETHER,
  any: ANY,
  all: ALL,
  rescue: RESCUE,
  gather: GATHER,
  walk: WALK,
  local: LOCAL,
  quit: QUIT,
  pin: PIN,
  topics: TOPICS,
  admin: REFUSE,
  refuse: REFUSE,
  sub: SUB,
};
const PINS: Words = {
  block: PIN_BLOCK,
  watch: PIN_WATCH,
  unwatch: PIN_UNWATCH,
  multi: PIN_MULTI,
  exec: PIN_EXEC,
  discard: PIN_DISCARD,
  queue: PIN_QUEUE,
  reset: PIN_RESET,
  wait: PIN_WAIT,
  track: PIN_TRACK,
};
const JOINS: Words = {
  array: JOIN_ARRAY,
  sum: JOIN_SUM,
  ok: JOIN_OK,
  first: JOIN_FIRST,
  concat: JOIN_CONCAT,
  least: JOIN_LEAST,
  oldest: JOIN_OLDEST,
  some: JOIN_SOME,
  anyok: JOIN_ANY_OK,
  info: JOIN_INFO,
  cursor: JOIN_CURSOR,
  union: JOIN_UNION,
  most: JOIN_MOST,
  numsub: JOIN_NUMSUB,
  publish: JOIN_PUBLISH,
  exec: JOIN_EXEC,
};
const FLAGS: Words = {
  r: READONLY,
  w: WRITE,
  f: FAST,
  a: ADMIN,
  b: BLOCKING,
  p: PUBSUB,
  n: BEFORE_AUTH,
  d: NAMES_DB,
  s: SAYS_ANYTHING,
};
const RIGHTS_BY_WORD: Words = {
  free: READS | KEYLESS,
  look: READS,
  keyless: KEYLESS,
  script: SCRIPT,
  channel: CHANNEL,
  channels: CHANNELS,
  patterns: PATTERNS,
  scans: SCANS,
  sorts: SORTS,
};

/** Redis's ACL categories, and the one that its vector sets bring. */
export const CATEGORIES: readonly string[] =
  ("keyspace read write set sortedset list hash string bitmap hyperloglog geo stream pubsub admin " +
    "fast slow blocking dangerous connection transaction scripting vectorset").split(" ");

/** One row of the table. */
export interface Command {
  readonly name: string;
  /** Arguments with the name; negative: at least that many. */
  readonly arity: number;
  readonly action: number;
  /** SUB: the action without a subcommand; else SUB. */
  readonly alone: number;
  /** Why it is refused: the word behind `refuse:`, admin, or cluster. */
  readonly reason: string;
  /**
   * `admin`: the action where administration is allowed (ANY: of a pool's only server, LOCAL: on links
   * of the client's own); else SUB.
   */
  readonly opened: number;
  readonly join: number;
  /** See `Scan.pin`. */
  readonly pin: number;
  /** First key argument; 0 when there is none. */
  readonly first: number;
  /** Last key argument; negative counts from the end (-1 is the last). */
  readonly last: number;
  readonly step: number;
  readonly keys: number;
  /** KEYS_COUNTED: the argument that holds the number of keys. */
  readonly countAt: number;
  readonly flags: number;
  /** Versions as in the table: Redis's, then Valkey's with a "v" before it. */
  readonly since: readonly string[];
  /** ACL categories, those that the flags imply among them. */
  readonly categories: readonly string[];
  readonly rights: number;
}

/** The number of a word; what is not known is a fault of the table. */
function find(words: Words, word: string, line: string): number {
  if (Object.hasOwn(words, word)) return words[word];
  const known = Object.keys(words).join(", ");
  throw new Error(`redis/table.ts: "${line}": "${word}" is not known (${known})`);
}

function all(words: Words, list: readonly string[], line: string): number {
  return list.reduce((sum, word) => sum | find(words, word, line), 0);
}

type Keys = Pick<Command, "first" | "last" | "step" | "keys" | "countAt">;

function readKeys(text: string, line: string): Keys {
  const none = { first: 0, last: 0, step: 1, keys: KEYS_FIXED, countAt: 0 };
  if (text === "-") return none;
  if (text === "1+store") return { ...none, first: 1, last: 1, keys: KEYS_STORE };
  if (text === "streams") return { ...none, keys: KEYS_STREAMS };
  const counted = /^(1\+)?@(\d)(?:\/(\d))?$/.exec(text);
  if (counted) {
    const [, one, at, step = 1] = counted;
    const first = one === undefined ? 0 : 1;
    return { first, last: first, step: Number(step), keys: KEYS_COUNTED, countAt: Number(at) };
  }
  const fixed = /^(\d)(?:\.\.(-?\d))?(?:\/(\d))?$/.exec(text);
  if (!fixed) throw new Error(`redis/table.ts: "${line}": "${text}" are no keys`);
  const [, first, last = first, step = 1] = fixed;
  return { ...none, first: Number(first), last: Number(last), step: Number(step) };
}

/** acl.c setImplicitACLCategories. */
function categories(flags: number, groups: readonly string[]): string[] {
  const found = new Set(groups);
  if ((flags & WRITE) !== 0) found.add("write");
  if ((flags & READONLY) !== 0 && !found.has("scripting")) found.add("read");
  if ((flags & ADMIN) !== 0) found.add("admin").add("dangerous");
  if ((flags & PUBSUB) !== 0) found.add("pubsub");
  if ((flags & BLOCKING) !== 0) found.add("blocking");
  found.add((flags & FAST) !== 0 ? "fast" : "slow");
  return CATEGORIES.filter((name) => found.has(name));
}

/** A column's text as words; "-" is none. */
const list = (text: string, mark: string): string[] => text === "-" ? [] : text.split(mark);

function row(line: string): Command {
  const [name, arity, keys, how, letters, since, groups = "-", words = "-", more] = line
    .split(/ +/);
  if (!/^(v?\d+\.\d+\.\d+,?)+$/.test(since) || more !== undefined || !/^-?\d+$/.test(arity)) {
    throw new Error(`redis/table.ts: "${line}" is no row`);
  }
  const [verb, detail = "", join = ""] = how.split(":");
  const action = find(ACTIONS, verb, line);
  const isPin = action === PIN || action === LOCAL;
  const isAdmin = verb === "admin";
  const isOne = detail === "one" || detail === "cluster";
  const monitors = isAdmin && detail === "monitor";
  const isJoined = [SPLIT, ALL, RESCUE, GATHER, WALK].includes(action) ||
    (action === TOGETHER && detail !== "") || (isAdmin && !isOne && !monitors) || join !== "" ||
    detail === "exec";
  const flags = all(FLAGS, list(letters, ""), line);
  const own = list(groups, ",");
  all(Object.fromEntries(CATEGORIES.map((category) => [category, 0])), own, line);
  const rights = all(RIGHTS_BY_WORD, list(words, "+"), line);
  return {
    name,
    arity: Number(arity),
    action,
    alone: action === SUB && detail !== "" ? find(ACTIONS, detail, line) : SUB,
    reason: isAdmin && detail !== "cluster" ? verb : action === REFUSE ? detail : "",
    opened: !isAdmin ? SUB : monitors ? LOCAL : isOne ? ANY : ALL,
    join: isJoined ? find(JOINS, join || detail, line) : JOIN_NONE,
    pin: isPin && detail !== "" ? find(PINS, detail, line) : PIN_NONE,
    ...readKeys(keys, line),
    flags,
    since: since.split(","),
    categories: categories(flags, own),
    rights: (flags & READONLY) !== 0 ? rights | READS : rights,
  };
}

/** All rows; a command's number (`Scan.verb`) is its index here. */
export const COMMANDS: readonly Command[] = TABLE.trim().split("\n").map(row);

// Columns of COMMANDS as typed arrays: the data path reads integers, not objects.
export const ARITY: Int8Array = Int8Array.from(COMMANDS, (c) => c.arity);
export const ACTION: Int8Array = Int8Array.from(COMMANDS, (c) => c.action);
/** First key argument of FORWARD commands. */
export const FIRST_KEY: Int8Array = Int8Array.from(COMMANDS, (c) => c.first);
export const RIGHTS: Uint8Array = Uint8Array.from(COMMANDS, (c) => c.rights);

/** The class of every command, by its number + 1; the first place is for unknown ones. */
export const CLASSES: Uint8Array = Uint8Array.of(
  CLASS_OTHER,
  ...COMMANDS.map(({ flags }) =>
    (flags & READONLY) !== 0 ? CLASS_READ : (flags & WRITE) !== 0 ? CLASS_WRITE : CLASS_OTHER
  ),
);

/** See `Codec.judged`. A command that is not known may be a script of a module's. */
export const JUDGED: Uint8Array = Uint8Array.of(
  0,
  ...COMMANDS.map(({ flags }) => (flags & SAYS_ANYTHING) !== 0 ? 0 : 1),
);

const byName: ReadonlyMap<string, number> = new Map(COMMANDS.map((c, verb) => [c.name, verb]));

/** The number of a command by its lower-case name; -1 if there is none. */
export function verbOf(name: string): number {
  return byName.get(name) ?? -1;
}

/** See `Requests.intents`. */
export const INTENTS: Uint8Array = CLASSES.slice();
for (const name of ["del", "unlink"]) INTENTS[verbOf(name) + 1] = INTENT_DELETE;
// Cursors are one server's, and so is what its memory looks like; what blocks waits for writes.
const HERE = /^(touch|[hsz]scan|object\|.*|memory\|.*)$/;
const CARRIED: readonly number[] = [FORWARD, SPLIT, TOGETHER];
for (const [verb, { name, action, flags }] of COMMANDS.entries()) {
  if ((flags & READONLY) === 0) continue;
  const moves = CARRIED.includes(action) && (flags & BLOCKING) === 0 && !HERE.test(name);
  if (!moves) INTENTS[verb + 1] = INTENT_READ_HERE;
}
