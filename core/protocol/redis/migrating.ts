// What a migration says to Redis servers: see migrating_scripts.ts for what they do then, and
// migrating_whole.ts for requests about all keys.

import { text } from "../../bytes.ts";
import type {
  Migrating,
  Page,
  Refused,
  Released,
  Restored,
  SizesPage,
  Taken,
} from "../migrating.ts";
import { PIN_BLOCK, type Scan } from "../scan.ts";
import type { Session } from "../session.ts";
import { COMMANDS, KEYS_COUNTED, KEYS_STREAMS, verbOf } from "./commands.ts";
import { errorReply } from "./errors.ts";
import {
  BACKS,
  COPIER,
  FLUSHED,
  HELD,
  HOLDS,
  LOCK,
  MOVED,
  PREFIX,
  PREFIX_BYTES,
  RELEASE,
  RESTORE,
  SCAN,
  SIZES,
  STATE,
  SWAP,
  TAKE,
  TRIAL,
  TRY,
  TRY_VALUE,
} from "./migrating_scripts.ts";
import { joinWhole, readLease, wholeOf, wholeRequest } from "./migrating_whole.ts";
import { isRefused, joined, NONSENSE, read, request, script, word } from "./migrating_words.ts";
import type { RedisSession } from "./session.ts";

const holdOf = (key: Uint8Array): Uint8Array => joined(`${PREFIX}hold:`, key);
const asideOf = (key: Uint8Array): Uint8Array => joined(`${PREFIX}aside:`, key);

function readTaken(buf: Uint8Array): Taken {
  const reply = read(buf);
  if (isRefused(reply)) return reply;
  if (!Array.isArray(reply)) return NONSENSE;
  const [is, first, second, third, fourth, fifth] = reply;
  switch (word(is)) {
    case "absent":
      return { is: "absent" };
    case "held":
      return { is: "held", token: word(first), lease: Number(word(second)) };
    case "big":
      return { is: "big", size: Number(word(first)) };
    case "taken": {
      const value = {
        dump: first as Uint8Array,
        expire: word(second),
        idle: Number(word(fourth)),
        freq: Number(word(fifth)),
      };
      return { is: "taken", value, lease: Number(word(third)) };
    }
    default:
      return NONSENSE;
  }
}

function readRestored(buf: Uint8Array): Restored {
  const reply = read(buf);
  if (isRefused(reply)) return reply;
  const is = word(reply);
  return is === "done" || is === "expired" || is === "busy" || is === "late" ? { is } : NONSENSE;
}

function readReleased(buf: Uint8Array): Released {
  const reply = read(buf);
  if (isRefused(reply)) return reply;
  const is = word(reply);
  return is === "yes" || is === "no" ? { is } : NONSENSE;
}

function readPage(buf: Uint8Array): Page | Refused {
  const reply = read(buf);
  if (isRefused(reply)) return reply;
  if (!Array.isArray(reply) || !Array.isArray(reply[1])) return NONSENSE;
  return { cursor: word(reply[0]), keys: reply[1] as Uint8Array[] };
}

function readSizes(buf: Uint8Array): SizesPage | Refused {
  const reply = read(buf);
  if (isRefused(reply)) return reply;
  if (!Array.isArray(reply) || !Array.isArray(reply[1])) return NONSENSE;
  const [cursor, list] = reply;
  const keys: { key: Uint8Array; bytes: number }[] = [];
  for (let i = 0; i + 1 < list.length; i += 2) {
    keys.push({ key: list[i] as Uint8Array, bytes: Number(list[i + 1]) });
  }
  return { cursor: word(cursor), keys };
}

function readKeyspace(buf: Uint8Array): { db: number; keys: number }[] | Refused {
  const reply = read(buf);
  if (isRefused(reply)) return reply;
  return [...word(reply).matchAll(/^db(\d+):keys=(\d+)/gm)].map(([, db, keys]) => ({
    db: Number(db),
    keys: Number(keys),
  }));
}

/** What reaches keys that nobody sees in the request, or would have to stop the whole world. */
const REFUSED: ReadonlySet<number> = new Set(["swapdb", "move"].map(verbOf));
const COPY = verbOf("copy");

function refuses(scan: Scan, buf: Uint8Array, at: number): Uint8Array | null {
  const { verb, args } = scan;
  const other = verb === COPY &&
    [...Array(scan.nargs).keys()].slice(3).some((i) =>
      text(buf, at + args[2 * i], at + Math.min(args[2 * i + 1], args[2 * i] + 3)).toLowerCase() ===
        "db"
    );
  if (!REFUSED.has(verb) && !other) return null;
  const name = COMMANDS[verb].name.toUpperCase() + (other ? " with DB" : "");
  return errorReply(
    `ERR ${name} is not possible while keys move to other servers (ringmux migrate status)`,
  );
}

function refusesWithin({ verb }: Scan): Uint8Array {
  const name = COMMANDS[verb].name.toUpperCase();
  return errorReply(
    `ERR ${name} is not possible within WATCH and MULTI while keys move to other servers`,
  );
}

function waitingArgument(scan: Scan, buf: Uint8Array, at: number): [number, number] {
  const command = COMMANDS[scan.verb];
  if (command.keys !== KEYS_STREAMS) {
    return [command.keys === KEYS_COUNTED ? 1 : scan.nargs - 1, 1000];
  }
  for (let i = 1; i < scan.nargs - 1; i++) {
    const [from, to] = [at + scan.args[2 * i], at + scan.args[2 * i + 1]];
    if (to - from === 5 && text(buf, from, to).toLowerCase() === "block") return [i + 1, 1];
  }
  return [scan.nargs - 1, 1];
}

function waiting(
  scan: Scan,
  buf: Uint8Array,
  at: number,
  length: number,
): (ms: number) => Uint8Array {
  const whole = buf.slice(at, at + length);
  const [arg, unit] = waitingArgument(scan, buf, at);
  const forEver = scan.wait === Infinity;
  const args: Uint8Array[] = [];
  for (let i = 0; i < scan.nargs; i++) {
    args.push(whole.subarray(scan.args[2 * i], scan.args[2 * i + 1]));
  }
  return (ms) => {
    const left = Math.max(1, Math.ceil(ms));
    const number = forEver ? "0" : String(left / unit);
    return request(...args.map((value, i) => i === arg ? number : value));
  };
}

export const MIGRATING: Migrating = {
  dbOf: (session: Session) => (session as RedisSession).db,
  isOwn: (key) =>
    key.length > PREFIX_BYTES.length && PREFIX_BYTES.every((byte, i) => key[i] === byte),
  refuses,
  isKeyless: (scan) => scan.pin !== PIN_BLOCK && KEYLESS.has(scan.verb),
  refusesWithin,
  wholeOf,
  whole: wholeRequest,
  joinWhole,
  readLease,
  own: () => errorReply(`ERR keys that begin with ${PREFIX} are the proxy's own while keys move`),
  waited: (ms, why) => errorReply(`TRYAGAIN the key could not be moved within ${ms} ms: ${why}`),
  unknown: () => errorReply("TRYAGAIN migration state unknown"),
  take: (db, key, token, force, most) =>
    script(TAKE, [key, holdOf(key), HOLDS], [String(db), token, force, String(most)]),
  readTaken,
  restore: (db, key, { dump, expire, idle, freq }, since, deadline, counted) =>
    script(RESTORE, counted ? [key, MOVED, FLUSHED] : [key], [
      ...[String(db), String(Math.floor(deadline)), expire],
      ...[dump, String(idle), String(freq), String(Math.floor(since))],
    ]),
  readRestored,
  release(db, key, token, how, counted) {
    const keys = [key, holdOf(key), HOLDS, asideOf(key), BACKS];
    return script(RELEASE, counted ? [...keys, MOVED] : keys, [String(db), token, how]);
  },
  giveBack: (db, key, token) =>
    script(RELEASE, [key, holdOf(key), HOLDS, asideOf(key), BACKS], [String(db), token, "back"]),
  readReleased,
  library: request("FUNCTION", "DUMP"),
  modules: request("MODULE", "LIST"),
  readModules(buf) {
    const reply = read(buf);
    if (!Array.isArray(reply)) return [];
    // Each is a list of names and values: "name", "ReJSON", "ver", 20007, ...
    return reply.flatMap((one) => Array.isArray(one) && one.length > 1 ? [word(one[1])] : []);
  },
  time: request("TIME"),
  readTime(buf) {
    const reply = read(buf);
    if (!Array.isArray(reply)) return NaN;
    return Number(word(reply[0])) * 1000 + Math.floor(Number(word(reply[1])) / 1000);
  },
  scan: (db, cursor, count) => script(SCAN, [], [String(db), cursor, String(count)]),
  readPage,
  sizes: (db, cursor, count) => script(SIZES, [], [String(db), cursor, String(count)]),
  readSizes,
  holds: (db) => script(HELD, [HOLDS, BACKS], [String(db)]),
  // As a script: INFO alone is answered by a server that loads its file, too, and knows few keys then.
  keyspace: script("return redis.call('INFO', 'keyspace')", [], []),
  readKeyspace,
  trial: script(TRY, [TRIAL], ["0"]),
  readTrial(buf) {
    const taken = readTaken(buf);
    if (taken.is === "taken") return taken.value;
    return taken.is === "error" ? taken : NONSENSE;
  },
  tryValue: ({ dump }) => script(TRY_VALUE, [TRIAL], [dump]),
  errorOf(buf) {
    const reply = read(buf);
    return isRefused(reply) ? reply.why : "";
  },
  state: request("GET", STATE),
  swap: (from, to) => script(SWAP, [STATE], [from, to]),
  put: (state) => request("SET", STATE, state),
  readState(buf) {
    const reply = read(buf);
    return isRefused(reply) ? reply : word(reply);
  },
  lock: (who, ms) => script(LOCK, [COPIER], [who, String(ms)]),
  readLock: (buf) => word(read(buf)) === "yes",
  waiting,
  isUnblocked: (buf, start, end) =>
    buf[start] === 45 && text(buf, start + 1, Math.min(end, start + 10)) === "UNBLOCKED",
};

/** Their "keys" are channels. */
const KEYLESS: ReadonlySet<number> = new Set(["publish", "spublish"].map(verbOf));
