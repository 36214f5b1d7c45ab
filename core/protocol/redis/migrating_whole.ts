// KEYS, RANDOMKEY, DBSIZE, FLUSHALL and FLUSHDB while keys move: what servers are asked instead, so that
// nothing of the migration's own is seen and each key is told of once.
//
// Of a ring DBSIZE is right at whatever moments the servers are asked: a key that goes from one to the
// other is one less there and one more here, and `moved` is one more there and one less here.

import { bytes } from "../../bytes.ts";
import {
  WHOLE_FLUSH,
  WHOLE_KEYS,
  WHOLE_NONE,
  WHOLE_RANDOM,
  WHOLE_SIZE,
  type WholeHow,
} from "../migrating.ts";
import type { Scan } from "../scan.ts";
import type { Session } from "../session.ts";
import { verbOf } from "./commands.ts";
import { BACKS, COPIER, FLUSHED, HOLDS, MOVED, PREFIX, STATE, TRIAL } from "./migrating_scripts.ts";
import { type Arg, isRefused, list, read, request, script, word } from "./migrating_words.ts";
import type { RedisSession } from "./session.ts";

const HOLD = `${PREFIX}hold:`;

/** ARGV: db, pattern. */
const KEYS = `redis.call('SELECT', ARGV[1])
local out = {}
for _, k in ipairs(redis.call('KEYS', ARGV[2])) do
  if string.sub(k, 1, ${PREFIX.length}) ~= '${PREFIX}' then out[#out + 1] = k end
end
for _, k in ipairs(redis.call('KEYS', '${HOLD}' .. ARGV[2])) do
  out[#out + 1] = string.sub(k, ${HOLD.length + 1})
end
return out`;

const RANDOM = `redis.call('SELECT', ARGV[1])
for i = 1, 1000 do
  local k = redis.call('RANDOMKEY')
  if not k then return false end
  if string.sub(k, 1, ${PREFIX.length}) ~= '${PREFIX}' then return k end
  if string.sub(k, 1, ${HOLD.length}) == '${HOLD}' then
    return string.sub(k, ${HOLD.length + 1})
  end
end
return false`;

/** KEYS: moved, and what else is not a client's. ARGV: db, "moving" if moved counts. */
const SIZE = `redis.call('SELECT', '0')
local moved = ARGV[2] == 'moving' and tonumber(redis.call('HGET', KEYS[1], ARGV[1]) or '0') or 0
redis.call('SELECT', ARGV[1])
return redis.call('DBSIZE') - redis.call('EXISTS', unpack(KEYS)) + moved`;

/**
 * KEYS: state, flushed, moved, holds. ARGV: db or all, and how. Returns the longest lease of what was
 * held in database 0.
 */
const FLUSH = `redis.call('SELECT', '0')
local db, lease = ARGV[1], 0
for _, meta in ipairs(redis.call('HVALS', KEYS[4])) do
  lease = math.max(lease, tonumber(string.match(meta, '^%S+ (%S+)')))
end
local state, t = redis.call('GET', KEYS[1]), redis.call('TIME')
local kept = {[KEYS[2]] = redis.call('HGETALL', KEYS[2]), [KEYS[3]] = redis.call('HGETALL', KEYS[3])}
if db == 'all' then
  redis.call('FLUSHALL', unpack(ARGV, 2))
  kept[KEYS[3]] = {}
else
  redis.call('SELECT', db)
  redis.call('FLUSHDB', unpack(ARGV, 2))
  redis.call('SELECT', '0')
end
if state then redis.call('SET', KEYS[1], state) end
for key, list in pairs(kept) do
  if #list > 0 then redis.call('HSET', key, unpack(list)) end
end
redis.call('HDEL', KEYS[3], db)
redis.call('HSET', KEYS[2], db, string.format('%.0f', t[1] * 1000 + math.floor(t[2] / 1000)))
redis.call('PEXPIRE', KEYS[2], '60000')
return lease`;

const FLUSHALL = verbOf("flushall");

const KINDS: ReadonlyMap<number, number> = new Map([
  [verbOf("keys"), WHOLE_KEYS],
  [verbOf("randomkey"), WHOLE_RANDOM],
  [verbOf("dbsize"), WHOLE_SIZE],
  [verbOf("flushdb"), WHOLE_FLUSH],
  [FLUSHALL, WHOLE_FLUSH],
]);

export function wholeOf({ verb }: Scan): number {
  return KINDS.get(verb) ?? WHOLE_NONE;
}

export function wholeRequest(
  scan: Scan,
  buf: Uint8Array,
  at: number,
  db: number,
  how: WholeHow,
): Uint8Array {
  const plain = how === "plain";
  const { args, nargs } = scan;
  const given: Arg[] = [];
  for (let i = plain ? 0 : 1; i < nargs; i++) {
    given.push(buf.slice(at + args[2 * i], at + args[2 * i + 1]));
  }
  if (plain) return request(...given);
  switch (wholeOf(scan)) {
    case WHOLE_KEYS:
      return script(KEYS, [], [String(db), ...given]);
    case WHOLE_RANDOM:
      return script(RANDOM, [], [String(db)]);
    case WHOLE_SIZE:
      return script(SIZE, [MOVED, HOLDS, BACKS, STATE, COPIER, TRIAL, FLUSHED], [String(db), how]);
    default: {
      const which = scan.verb === FLUSHALL ? "all" : String(db);
      return script(FLUSH, [STATE, FLUSHED, MOVED, HOLDS], [which, ...given]);
    }
  }
}

export function readLease(reply: Uint8Array): number {
  const lease = read(reply);
  return typeof lease === "number" ? lease : 0;
}

let turn = 0;

export function joinWhole(
  whole: number,
  replies: readonly Uint8Array[],
  session: Session,
): Uint8Array {
  const refused = replies.find((reply) => reply[0] === 45);
  if (refused !== undefined) return refused;
  switch (whole) {
    case WHOLE_KEYS:
      return joinKeys(replies);
    case WHOLE_SIZE:
      return bytes(`:${replies.reduce((sum, reply) => sum + Number(read(reply)), 0)}\r\n`);
    case WHOLE_RANDOM: {
      const some = replies.filter((reply) => read(reply) instanceof Uint8Array);
      turn = (turn + 1) & 0xffff;
      if (some.length > 0) return some[turn % some.length];
      return bytes((session as RedisSession).resp === 3 ? "_\r\n" : "$-1\r\n");
    }
    default:
      return bytes("+OK\r\n");
  }
}

/** Each key once, though it may have been at two servers one after the other. */
function joinKeys(replies: readonly Uint8Array[]): Uint8Array {
  const names = new Set<string>();
  for (const reply of replies) {
    const keys = read(reply);
    if (Array.isArray(keys) && !isRefused(keys)) { for (const key of keys) names.add(word(key)); }
  }
  return list([...names].map((name) => bytes(name)));
}
