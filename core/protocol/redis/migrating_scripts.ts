// The scripts and names of a migration: every step is one script, which a server carries out whole or
// not at all, also in its append-only file.
//
//   ringmux:migrate:hold:<key>   the value of a key that has been taken
//   ringmux:migrate:holds        a hash: key → "token lease expiry" of everything that is held
//   ringmux:migrate:aside:<key>  the old server's value of a key that the new one had already
//   ringmux:migrate:backs        how many keys were given back, or set aside
//   ringmux:migrate:state        the phase; :copier who copies; :trial of the trial at the start
//   ringmux:migrate:moved        by database: keys that have left the server, less those that have come
//   ringmux:migrate:flushed      by database, or "all": when (ms) it was flushed last, for a minute

import { bytes } from "../../bytes.ts";

export const PREFIX = "ringmux:migrate:";
export const HOLDS = bytes(`${PREFIX}holds`);
export const BACKS = bytes(`${PREFIX}backs`);
export const STATE = bytes(`${PREFIX}state`);
export const COPIER = bytes(`${PREFIX}copier`);
export const TRIAL = bytes(`${PREFIX}trial`);
export const MOVED = bytes(`${PREFIX}moved`);
export const FLUSHED = bytes(`${PREFIX}flushed`);
export const PREFIX_BYTES = bytes(PREFIX);

/**
 * Least time (ms) that a taken key is its taker's, and how many bytes of it are given one more. Nobody
 * else touches the hold before that.
 */
export const LEASE = 5000;
const BYTES_PER_MS = 10_000;

// allow-oom: a full server is what one migrates away from. (Redis 7.)
export const TAKE = `#!lua flags=allow-oom
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

/**
 * KEYS: key, and moved and flushed where a server has such. ARGV: db, deadline, expiry, value, idle,
 * frequency, what the server's clock has shown before the key was taken.
 */
export const RESTORE = `if KEYS[3] then
  redis.call('SELECT', '0')
  for _, at in ipairs(redis.call('HMGET', KEYS[3], ARGV[1], 'all')) do
    if at and tonumber(ARGV[7]) <= tonumber(at) then return 'expired' end
  end
end
redis.call('SELECT', ARGV[1])
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
if KEYS[2] then
  redis.call('SELECT', '0')
  redis.call('HINCRBY', KEYS[2], ARGV[1], -1)
end
return 'done'`;

/**
 * KEYS: key, hold, holds, aside, backs, and moved if that is counted. ARGV: db, token, drop (it is at
 * the new server) | gone (it has expired) | aside | back.
 */
export const RELEASE = `#!lua flags=allow-oom
redis.call('SELECT', ARGV[1])
local k, hold, holds, aside = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local meta = redis.call('HGET', holds, k)
if not meta then return 'no' end
local token, at = string.match(meta, '^(%S+) %S+ (%S+)$')
if token ~= ARGV[2] then return 'no' end
redis.call('HDEL', holds, k)
if redis.call('EXISTS', hold) == 0 then return 'yes' end
if ARGV[3] == 'drop' or ARGV[3] == 'gone' then
  redis.call('UNLINK', hold)
  if ARGV[3] == 'drop' and KEYS[6] then
    redis.call('SELECT', '0')
    redis.call('HINCRBY', KEYS[6], ARGV[1], 1)
  end
  return 'yes'
end
redis.call('INCR', KEYS[5])
if ARGV[3] == 'back' and redis.call('RENAMENX', hold, k) == 1 then
  if tonumber(at) >= 0 then redis.call('PEXPIREAT', k, at) end
else
  redis.call('RENAME', hold, aside)
end
return 'yes'`;

export const SCAN = `redis.call('SELECT', ARGV[1])
return redis.call('SCAN', ARGV[2], 'COUNT', ARGV[3])`;

/** As SCAN; behind each key the memory it takes. */
export const SIZES = `redis.call('SELECT', ARGV[1])
local page = redis.call('SCAN', ARGV[2], 'COUNT', ARGV[3])
local out = {}
for _, k in ipairs(page[2]) do
  local size = redis.pcall('MEMORY', 'USAGE', k)
  out[#out + 1] = k
  out[#out + 1] = type(size) == 'number' and size or 0
end
return {page[1], out}`;

export const HELD = `redis.call('SELECT', ARGV[1])
return {redis.call('GET', KEYS[2]) or '0', redis.call('HKEYS', KEYS[1])}`;

export const SWAP = `local s = redis.call('GET', KEYS[1]) or ''
if s ~= ARGV[1] then return s end
redis.call('SET', KEYS[1], ARGV[2])
return ARGV[2]`;

export const LOCK = `local who = redis.call('GET', KEYS[1])
if who and who ~= ARGV[1] then return 'no' end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 'yes'`;

export const TRY = `#!lua flags=allow-oom
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

export const TRY_VALUE = `redis.call('RESTORE', KEYS[1], '0', ARGV[1], 'ABSTTL', 'REPLACE')
redis.call('DEL', KEYS[1])
return 'done'`;
