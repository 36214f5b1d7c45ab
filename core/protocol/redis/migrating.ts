// What a migration says to Redis servers. Every step is one script, which a server carries out whole
// or not at all, also in its append-only file.
//
//   ringmux:migrate:hold:<key>   the value of a key that has been taken
//   ringmux:migrate:holds        a hash: key → "token lease expiry" of everything that is held
//   ringmux:migrate:aside:<key>  the old server's value of a key that the new one had already
//   ringmux:migrate:backs        how many keys were given back, or set aside
//   ringmux:migrate:state        the phase; :copier who copies; :trial of the trial at the start

import { bytes, decimal, text } from "../../bytes.ts";
import type { Migrating, Page, Refused, Released, Restored, Taken } from "../migrating.ts";
import { PIN_BLOCK, type Scan } from "../scan.ts";
import type { Session } from "../session.ts";
import { COMMANDS, KEYS_COUNTED, KEYS_STREAMS, verbOf } from "./commands.ts";
import { errorReply } from "./errors.ts";
import type { RedisSession } from "./session.ts";

const PREFIX = "ringmux:migrate:";
const HOLDS = bytes(`${PREFIX}holds`);
const BACKS = bytes(`${PREFIX}backs`);
const STATE = bytes(`${PREFIX}state`);
const COPIER = bytes(`${PREFIX}copier`);
const TRIAL = bytes(`${PREFIX}trial`);
const PREFIX_BYTES = bytes(PREFIX);

/**
 * Least time (ms) that a taken key is its taker's, and how many bytes of it are given one more. Nobody
 * else touches the hold before that.
 */
export const LEASE = 5000;
const BYTES_PER_MS = 10_000;

// allow-oom: a full server is what one migrates away from. (Redis 7.)
const TAKE = `#!lua flags=allow-oom
redis.call('SELECT', ARGV[1])
local k, hold, holds = KEYS[1], KEYS[2], KEYS[3]
local meta = redis.call('HGET', holds, k)
local expire, idle, freq = '-1', -1, -1
if meta then
  local token, lease, at = string.match(meta, '^(%S+) (%S+) (%S+)$')
  if token ~= ARGV[3] then return {'held', token, lease} end
  expire = at
  if redis.call('EXISTS', hold) == 0 then
    redis.call('HDEL', holds, k)
    meta = false
  end
end
if not meta then
  if redis.call('EXISTS', k) == 0 then return {'absent'} end
  if ARGV[4] ~= '0' then
    local size = redis.pcall('MEMORY', 'USAGE', k)
    if type(size) == 'number' and size > tonumber(ARGV[4]) then
      return {'big', string.format('%.0f', size)}
    end
  end
  expire = string.format('%.0f', redis.call('PEXPIRETIME', k))
  local i, f = redis.pcall('OBJECT', 'IDLETIME', k), redis.pcall('OBJECT', 'FREQ', k)
  if type(i) == 'number' then idle = i end
  if type(f) == 'number' then freq = f end
  if redis.call('RENAMENX', k, hold) == 0 then
    return redis.error_reply('ERR a hold of this key is there and nobody knows whose')
  end
  redis.call('PERSIST', hold)
end
local dump = redis.call('DUMP', hold)
local lease = string.format('%.0f', ${LEASE} + math.floor(#dump / ${BYTES_PER_MS}))
redis.call('HSET', holds, k, ARGV[2] .. ' ' .. lease .. ' ' .. expire)
return {'taken', dump, expire, lease, tostring(idle), tostring(freq)}`;

const RESTORE = `redis.call('SELECT', ARGV[1])
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
if now > tonumber(ARGV[2]) then return 'late' end
local at = tonumber(ARGV[3])
if at >= 0 and at <= now then return 'expired' end
if redis.call('EXISTS', KEYS[1]) == 1 then return 'busy' end
if at < 0 then at = '0' else at = ARGV[3] end
if ARGV[6] ~= '-1' then
  redis.call('RESTORE', KEYS[1], at, ARGV[4], 'ABSTTL', 'FREQ', ARGV[6])
elseif ARGV[5] ~= '-1' then
  redis.call('RESTORE', KEYS[1], at, ARGV[4], 'ABSTTL', 'IDLETIME', ARGV[5])
else
  redis.call('RESTORE', KEYS[1], at, ARGV[4], 'ABSTTL')
end
return 'done'`;

/** KEYS: key, hold, holds, aside, backs. ARGV: db, token, drop | aside | back. */
const RELEASE = `#!lua flags=allow-oom
redis.call('SELECT', ARGV[1])
local k, hold, holds, aside = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local meta = redis.call('HGET', holds, k)
if not meta then return 'no' end
local token, at = string.match(meta, '^(%S+) %S+ (%S+)$')
if token ~= ARGV[2] then return 'no' end
redis.call('HDEL', holds, k)
if redis.call('EXISTS', hold) == 0 then return 'yes' end
if ARGV[3] == 'drop' then
  redis.call('UNLINK', hold)
  return 'yes'
end
redis.call('INCR', KEYS[5])
if ARGV[3] == 'back' and redis.call('RENAMENX', hold, k) == 1 then
  if tonumber(at) >= 0 then redis.call('PEXPIREAT', k, at) end
else
  redis.call('RENAME', hold, aside)
end
return 'yes'`;

const SCAN = `redis.call('SELECT', ARGV[1])
return redis.call('SCAN', ARGV[2], 'COUNT', ARGV[3])`;

const HELD = `redis.call('SELECT', ARGV[1])
return {redis.call('GET', KEYS[2]) or '0', redis.call('HKEYS', KEYS[1])}`;

const SWAP = `local s = redis.call('GET', KEYS[1]) or ''
if s ~= ARGV[1] then return s end
redis.call('SET', KEYS[1], ARGV[2])
return ARGV[2]`;

const LOCK = `local who = redis.call('GET', KEYS[1])
if who and who ~= ARGV[1] then return 'no' end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 'yes'`;

const TRY = `#!lua flags=allow-oom
local a, b = KEYS[1], KEYS[1] .. ':2'
redis.call('SELECT', ARGV[1])
redis.call('DEL', a, b)
redis.call('SET', a, 'x', 'PX', '60000')
redis.call('HSET', b, 'x', 'y')
redis.call('HGET', b, 'x')
redis.call('HKEYS', b)
redis.call('HDEL', b, 'x')
redis.call('PEXPIRETIME', a)
redis.call('RENAMENX', a, b)
redis.call('RENAME', b, a)
redis.call('PERSIST', a)
redis.call('PEXPIREAT', a, '99999999999999')
redis.call('SCAN', '0', 'COUNT', '1')
redis.call('TIME')
local dump = redis.call('DUMP', a)
redis.call('UNLINK', a)
redis.call('RESTORE', a, '0', dump, 'ABSTTL')
redis.call('DEL', a)
return {'taken', dump, '-1', '0', '-1', '-1'}`;

const TRY_VALUE = `redis.call('RESTORE', KEYS[1], '0', ARGV[1], 'ABSTTL', 'REPLACE')
redis.call('DEL', KEYS[1])
return 'done'`;

type Arg = Uint8Array | string;

/** A request of these arguments. */
function request(...args: readonly Arg[]): Uint8Array {
  const parts: Uint8Array[] = [bytes(`*${args.length}\r\n`)];
  let size = parts[0].length;
  for (const arg of args) {
    const value = typeof arg === "string" ? bytes(arg) : arg;
    const head = bytes(`$${value.length}\r\n`);
    parts.push(head, value, CRLF);
    size += head.length + value.length + 2;
  }
  const out = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

const CRLF = bytes("\r\n");

function script(source: string, keys: readonly Uint8Array[], args: readonly Arg[]): Uint8Array {
  return request("EVAL", source, String(keys.length), ...keys, ...args);
}

function joined(prefix: string, key: Uint8Array): Uint8Array {
  const out = new Uint8Array(prefix.length + key.length);
  out.set(bytes(prefix), 0);
  out.set(key, prefix.length);
  return out;
}

const holdOf = (key: Uint8Array): Uint8Array => joined(`${PREFIX}hold:`, key);
const asideOf = (key: Uint8Array): Uint8Array => joined(`${PREFIX}aside:`, key);

/** A RESP2 reply as values: bulk strings as bytes, errors as Refused, nil as null. */
type Reply = Uint8Array | string | number | null | Refused | Reply[];

class Reader {
  private readonly buf: Uint8Array;
  private at: number;

  constructor(buf: Uint8Array) {
    this.buf = buf;
    this.at = 0;
  }

  read(): Reply {
    const { buf } = this;
    const type = buf[this.at];
    const from = this.at + 1;
    let to = from;
    while (to < buf.length && buf[to] !== 13) to++;
    this.at = to + 2;
    if (type === 45) return { is: "error", why: text(buf, from, to) };
    if (type === 43) return text(buf, from, to);
    if (type === 58) return Number(text(buf, from, to));
    const n = decimal(buf, from, to, 0x7fffffff);
    if (n < 0) return null;
    if (type === 36) {
      const value = buf.subarray(this.at, this.at + n);
      this.at += n + 2;
      return value;
    }
    const list: Reply[] = [];
    for (let i = 0; i < n; i++) list.push(this.read());
    return list;
  }
}

function read(reply: Uint8Array): Reply {
  return new Reader(reply).read();
}

function isRefused(reply: Reply): reply is Refused {
  return reply !== null && typeof reply === "object" && "is" in reply;
}

const NONSENSE: Refused = { is: "error", why: "the server's answer is not understood" };

function word(reply: Reply): string {
  if (reply instanceof Uint8Array) return text(reply, 0, reply.length);
  return typeof reply === "string" ? reply : "";
}

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

function readKeyspace(buf: Uint8Array): { db: number; keys: number }[] | Refused {
  const reply = read(buf);
  if (isRefused(reply)) return reply;
  return [...word(reply).matchAll(/^db(\d+):keys=(\d+)/gm)].map(([, db, keys]) => ({
    db: Number(db),
    keys: Number(keys),
  }));
}

/** What reaches keys that nobody sees in the request, or would have to stop the whole world. */
const REFUSED_NAMES: readonly string[] = [
  ...["flushall", "flushdb", "swapdb", "move", "keys", "randomkey"],
];
const REFUSED: ReadonlySet<number> = new Set(REFUSED_NAMES.map(verbOf));
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
  const hint = name === "KEYS" ? "; SCAN is" : "";
  return errorReply(
    `ERR ${name} is not possible while keys move to other servers (ringmux migrate status)${hint}`,
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
  own: () => errorReply(`ERR keys that begin with ${PREFIX} are the proxy's own while keys move`),
  waited: (ms, why) => errorReply(`TRYAGAIN the key could not be moved within ${ms} ms: ${why}`),
  unknown: () => errorReply("TRYAGAIN migration state unknown"),
  take: (db, key, token, force, most) =>
    script(TAKE, [key, holdOf(key), HOLDS], [String(db), token, force, String(most)]),
  readTaken,
  restore: (db, key, { dump, expire, idle, freq }, deadline) =>
    script(RESTORE, [key], [
      ...[String(db), String(Math.floor(deadline)), expire],
      ...[dump, String(idle), String(freq)],
    ]),
  readRestored,
  release: (db, key, token, aside) =>
    script(RELEASE, [key, holdOf(key), HOLDS, asideOf(key), BACKS], [
      ...[String(db), token, aside ? "aside" : "drop"],
    ]),
  giveBack: (db, key, token) =>
    script(RELEASE, [key, holdOf(key), HOLDS, asideOf(key), BACKS], [String(db), token, "back"]),
  readReleased,
  library: request("FUNCTION", "DUMP"),
  time: request("TIME"),
  readTime(buf) {
    const reply = read(buf);
    if (!Array.isArray(reply)) return NaN;
    return Number(word(reply[0])) * 1000 + Math.floor(Number(word(reply[1])) / 1000);
  },
  scan: (db, cursor, count) => script(SCAN, [], [String(db), cursor, String(count)]),
  readPage,
  holds: (db) => script(HELD, [HOLDS, BACKS], [String(db)]),
  keyspace: request("INFO", "keyspace"),
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
