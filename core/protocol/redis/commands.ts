// The Redis command table: every command of Redis 7.0 (checked against a real server's COMMAND by
// test/protocol/redis_commands_test.ts) and what ringmux does with it. A new command is a new row.

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
  PIN_UNWATCH,
  PIN_WATCH,
  QUIT,
  REFUSE,
  SPLIT,
  TOGETHER,
  TOPICS,
  WALK,
} from "../codec.ts";

// arity  as COMMAND reports it: the name counts; -n means "n or more"
// keys   1        argument 1 (the name is argument 0)
//        1..-1    arguments 1 to the last; 1..-2 to the last but one; 1..-1/2 every second one
//        @n       argument n says how many keys follow it
//        1+@2     argument 1 and the keys counted by argument 2
//        1+store  argument 1 and what follows STORE or STOREDIST
//        streams  the first half of what follows STREAMS
// how    forward  one key: to its server
//        split    by server, the replies joined: array in key order, sum, ok (all of them +OK)
//        together all keys must live on one server; publish: ringmux adds to the number in the reply
//        any      any live server;  all: every server, the replies joined: ok, sum, first,
//                 concat (arrays one after the other), least (element-wise minimum), oldest (the
//                 least number), most (the greatest), union (each element once), some (one that is
//                 not nil), anyok (OK if one server says so)
//        gather   every server's and ringmux's own;  walk: one server after the other by a cursor
//        pin      on a connection of the client's own: block (waits at the server), or the part that
//                 it has in a transaction
//        local    answered by ringmux; in a transaction: queue (a server does), reset (ends it),
//                 else refused;  sub: the row is found by the subcommand
//        topics   publish and subscribe (core/client/subscriptions.ts)
//        refuse   answered by an error; the word chooses its text (errors.ts)
const TABLE = `
acl                      -2  -        sub
acl|cat                  -2  -        any
acl|deluser              -3  -        refuse:admin
acl|dryrun               -4  -        refuse:admin
acl|genpass              -2  -        any
acl|getuser               3  -        refuse:admin
acl|help                  2  -        any
acl|list                  2  -        refuse:admin
acl|load                  2  -        refuse:admin
acl|log                  -2  -        refuse:admin
acl|save                  2  -        refuse:admin
acl|setuser              -3  -        refuse:admin
acl|users                 2  -        local
acl|whoami                2  -        local
append                   3  1        forward
asking                   1  -        refuse:cluster
auth                    -2  -        local
bgrewriteaof             1  -        refuse:admin
bgsave                  -1  -        refuse:admin
bitcount                -2  1        forward
bitfield                -2  1        forward
bitfield_ro             -2  1        forward
bitop                   -4  2..-1    together
bitpos                  -3  1        forward
blmove                   6  1..2     pin:block
blmpop                  -5  @2       pin:block
blpop                   -3  1..-2    pin:block
brpop                   -3  1..-2    pin:block
brpoplpush               4  1..2     pin:block
bzmpop                  -5  @2       pin:block
bzpopmax                -3  1..-2    pin:block
bzpopmin                -3  1..-2    pin:block
client                  -2  -        local
cluster                 -2  -        refuse:cluster
command                 -1  -        any
config                   -2  -        sub
config|get               -3  -        any
config|help               2  -        any
config|resetstat          2  -        all:ok
config|rewrite            2  -        refuse:config
config|set               -4  -        refuse:config
copy                    -3  1..2     together
dbsize                   1  -        all:sum
debug                   -2  -        refuse:admin
decr                     2  1        forward
decrby                   3  1        forward
del                     -2  1..-1    split:sum
discard                  1  -        pin:discard
dump                     2  1        forward
echo                     2  -        local:queue
eval                    -3  @2       together
eval_ro                 -3  @2       together
evalsha                 -3  @2       together
evalsha_ro              -3  @2       together
exec                     1  -        pin:exec
exists                  -2  1..-1    split:sum
expire                  -3  1        forward
expireat                -3  1        forward
expiretime               2  1        forward
failover                -1  -        refuse:admin
fcall                   -3  @2       together
fcall_ro                -3  @2       together
flushall                -1  -        all:ok
flushdb                 -1  -        all:ok
function                -2  -        sub
function|delete          3  -        all:ok
function|dump            2  -        any
function|flush          -2  -        all:ok
function|help            2  -        any
function|kill             2  -        all:anyok
function|list           -2  -        any
function|load           -3  -        all:first
function|restore        -3  -        all:ok
function|stats           2  -        any
geoadd                  -5  1        forward
geodist                 -4  1        forward
geohash                 -2  1        forward
geopos                  -2  1        forward
georadius               -6  1+store  together
georadius_ro            -6  1        forward
georadiusbymember       -5  1+store  together
georadiusbymember_ro    -5  1        forward
geosearch               -7  1        forward
geosearchstore          -8  1..2     together
get                      2  1        forward
getbit                   3  1        forward
getdel                   2  1        forward
getex                   -2  1        forward
getrange                 4  1        forward
getset                   3  1        forward
hdel                    -3  1        forward
hello                   -1  -        local
hexists                  3  1        forward
hget                     3  1        forward
hgetall                  2  1        forward
hincrby                  4  1        forward
hincrbyfloat             4  1        forward
hkeys                    2  1        forward
hlen                     2  1        forward
hmget                   -3  1        forward
hmset                   -4  1        forward
hrandfield              -2  1        forward
hscan                   -3  1        forward
hset                    -4  1        forward
hsetnx                   4  1        forward
hstrlen                  3  1        forward
hvals                    2  1        forward
incr                     2  1        forward
incrby                   3  1        forward
incrbyfloat              3  1        forward
info                     -1  -        gather:info
keys                     2  -        all:concat
lastsave                  1  -        all:oldest
latency                  -2  -        sub
latency|doctor            2  -        refuse:admin
latency|graph             3  -        refuse:admin
latency|help              2  -        any
latency|histogram        -2  -        refuse:admin
latency|history           3  -        all:concat
latency|latest            2  -        all:concat
latency|reset            -2  -        all:sum
lcs                     -3  1..2     together
lindex                   3  1        forward
linsert                  5  1        forward
llen                     2  1        forward
lmove                    5  1..2     together
lmpop                   -4  @1       together
lolwut                  -1  -        local
lpop                    -2  1        forward
lpos                    -3  1        forward
lpush                   -3  1        forward
lpushx                  -3  1        forward
lrange                   4  1        forward
lrem                     4  1        forward
lset                     4  1        forward
ltrim                    4  1        forward
memory                  -2  -        sub
memory|doctor            2  -        refuse:admin
memory|help              2  -        any
memory|malloc-stats      2  -        refuse:admin
memory|purge              2  -        all:ok
memory|stats             2  -        refuse:admin
memory|usage            -3  2        forward
mget                    -2  1..-1    split:array
migrate                 -6  -        refuse:admin
module                   -2  -        sub
module|help               2  -        any
module|list               2  -        any
module|load              -3  -        refuse:admin
module|loadex            -3  -        refuse:admin
module|unload             3  -        refuse:admin
monitor                  1  -        refuse:admin
move                      3  1        forward
mset                    -3  1..-1/2  split:ok
msetnx                  -3  1..-1/2  together
multi                    1  -        pin:multi
object                  -2  -        sub
object|encoding          3  2        forward
object|freq              3  2        forward
object|help              2  -        any
object|idletime          3  2        forward
object|refcount          3  2        forward
persist                  2  1        forward
pexpire                 -3  1        forward
pexpireat               -3  1        forward
pexpiretime              2  1        forward
pfadd                   -2  1        forward
pfcount                 -2  1..-1    together
pfdebug                  3  2        forward
pfmerge                 -2  1..-1    together
pfselftest               1  -        any
ping                    -1  -        local:queue
psetex                   4  1        forward
psubscribe              -2  -        topics
psync                   -3  -        refuse:admin
pttl                     2  1        forward
publish                  3  1        together:publish
pubsub                  -2  -        sub
pubsub|channels         -2  -        all:union
pubsub|help              2  -        any
pubsub|numpat            2  -        all:most
pubsub|numsub           -2  -        gather:numsub
pubsub|shardchannels    -2  -        all:union
pubsub|shardnumsub      -2  -        gather:numsub
punsubscribe            -1  -        topics
quit                    -1  -        quit
randomkey                 1  -        all:some
readonly                 1  -        local
readwrite                1  -        local
rename                   3  1..2     together
renamenx                 3  1..2     together
replconf                -1  -        refuse:admin
replicaof                3  -        refuse:admin
reset                    1  -        local:reset
restore                 -4  1        forward
restore-asking          -4  1        refuse:cluster
role                     1  -        local
rpop                    -2  1        forward
rpoplpush                3  1..2     together
rpush                   -3  1        forward
rpushx                  -3  1        forward
sadd                    -3  1        forward
save                     1  -        refuse:admin
scan                     -2  -        walk:cursor
scard                    2  1        forward
script                  -2  -        sub
script|debug             3  -        refuse:admin
script|exists           -3  -        all:least
script|flush            -2  -        all:ok
script|help              2  -        any
script|kill               2  -        all:anyok
script|load              3  -        all:first
sdiff                   -2  1..-1    together
sdiffstore              -3  1..-1    together
select                   2  -        local
set                     -3  1        forward
setbit                   4  1        forward
setex                    4  1        forward
setnx                    3  1        forward
setrange                 4  1        forward
shutdown                -1  -        refuse:admin
sinter                  -2  1..-1    together
sintercard              -3  @1       together
sinterstore             -3  1..-1    together
sismember                3  1        forward
slaveof                  3  -        refuse:admin
slowlog                  -2  -        sub
slowlog|get              -2  -        all:concat
slowlog|help              2  -        any
slowlog|len               2  -        all:sum
slowlog|reset             2  -        all:ok
smembers                 2  1        forward
smismember              -3  1        forward
smove                    4  1..2     together
sort                    -2  1+store  together
sort_ro                 -2  1        forward
spop                    -2  1        forward
spublish                 3  1        together:publish
srandmember             -2  1        forward
srem                    -3  1        forward
sscan                   -3  1        forward
ssubscribe              -2  -        topics
strlen                   2  1        forward
subscribe               -2  -        topics
substr                   4  1        forward
sunion                  -2  1..-1    together
sunionstore             -3  1..-1    together
sunsubscribe            -1  -        topics
swapdb                   3  -        refuse:db
sync                     1  -        refuse:admin
time                     1  -        local:queue
touch                   -2  1..-1    split:sum
ttl                      2  1        forward
type                     2  1        forward
unlink                  -2  1..-1    split:sum
unsubscribe             -1  -        topics
unwatch                  1  -        pin:unwatch
wait                     3  -        refuse:wait
watch                   -2  1..-1    pin:watch
xack                    -4  1        forward
xadd                    -5  1        forward
xautoclaim              -6  1        forward
xclaim                  -6  1        forward
xdel                    -3  1        forward
xgroup                  -2  -        sub
xgroup|create           -5  2        forward
xgroup|createconsumer    5  2        forward
xgroup|delconsumer       5  2        forward
xgroup|destroy           4  2        forward
xgroup|help              2  -        any
xgroup|setid            -5  2        forward
xinfo                   -2  -        sub
xinfo|consumers          4  2        forward
xinfo|groups             3  2        forward
xinfo|help               2  -        any
xinfo|stream            -3  2        forward
xlen                     2  1        forward
xpending                -3  1        forward
xrange                  -4  1        forward
xread                   -4  streams  together
xreadgroup              -7  streams  together
xrevrange               -4  1        forward
xsetid                  -3  1        forward
xtrim                   -4  1        forward
zadd                    -4  1        forward
zcard                    2  1        forward
zcount                   4  1        forward
zdiff                   -3  @1       together
zdiffstore              -4  1+@2     together
zincrby                  4  1        forward
zinter                  -3  @1       together
zintercard              -3  @1       together
zinterstore             -4  1+@2     together
zlexcount                4  1        forward
zmpop                   -4  @1       together
zmscore                 -3  1        forward
zpopmax                 -2  1        forward
zpopmin                 -2  1        forward
zrandmember             -2  1        forward
zrange                  -4  1        forward
zrangebylex             -4  1        forward
zrangebyscore           -4  1        forward
zrangestore             -5  1..2     together
zrank                    3  1        forward
zrem                    -3  1        forward
zremrangebylex           4  1        forward
zremrangebyrank          4  1        forward
zremrangebyscore         4  1        forward
zrevrange               -4  1        forward
zrevrangebylex          -4  1        forward
zrevrangebyscore        -4  1        forward
zrevrank                 3  1        forward
zscan                   -3  1        forward
zscore                   3  1        forward
zunion                  -3  @1       together
zunionstore             -4  1+@2     together

# Redis 7.4 and 8
hexpire                 -6  1        forward
hpexpire                -6  1        forward
hexpireat               -6  1        forward
hpexpireat              -6  1        forward
httl                    -5  1        forward
hpttl                   -5  1        forward
hexpiretime             -5  1        forward
hpexpiretime            -5  1        forward
hpersist                -5  1        forward
hgetdel                 -5  1        forward
hgetex                  -5  1        forward
hsetex                  -6  1        forward
waitaof                  4  -        refuse:wait
xdelex                  -5  1        forward
xackdel                 -6  1        forward
delex                   -2  1        forward
digest                   2  1        forward
`;

/** How keys are found when their places are not fixed (`Commands.keys`). */
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

/** Action of a container command: its row is found with the subcommand's name behind a "|". */
export const SUB = -1;

const ACTIONS: Record<string, number> = {
  forward: FORWARD,
  split: SPLIT,
  together: TOGETHER,
  any: ANY,
  all: ALL,
  gather: GATHER,
  walk: WALK,
  local: LOCAL,
  quit: QUIT,
  pin: PIN,
  topics: TOPICS,
  refuse: REFUSE,
  sub: SUB,
};
const PINS: Record<string, number> = {
  block: PIN_BLOCK,
  watch: PIN_WATCH,
  unwatch: PIN_UNWATCH,
  multi: PIN_MULTI,
  exec: PIN_EXEC,
  discard: PIN_DISCARD,
  queue: PIN_QUEUE,
  reset: PIN_RESET,
};
const JOINS: Record<string, number> = {
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
};

/** One row of the table. */
export interface Command {
  readonly name: string;
  /** Arguments with the name; negative: at least that many. */
  readonly arity: number;
  readonly action: number;
  /** Word behind `refuse:`. */
  readonly reason: string;
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
}

function row(line: string): Command {
  const [name, arity, keys, how] = line.split(/ +/);
  const [action, detail = ""] = how.split(":");
  const counted = /^(1\+)?@(\d)$/.exec(keys);
  const fixed = /^(\d)(?:\.\.(-?\d))?(?:\/(\d))?$/.exec(keys);
  const first = counted ? (counted[1] ? 1 : 0) : keys === "1+store" ? 1 : Number(fixed?.[1] ?? 0);
  return {
    name,
    arity: Number(arity),
    action: ACTIONS[action],
    reason: action === "refuse" ? detail : "",
    join: JOINS[detail] ?? JOIN_NONE,
    pin: PINS[detail] ?? PIN_NONE,
    first,
    last: Number(fixed?.[2] ?? first),
    step: Number(fixed?.[3] ?? 1),
    keys: counted
      ? KEYS_COUNTED
      : keys === "1+store"
      ? KEYS_STORE
      : keys === "streams"
      ? KEYS_STREAMS
      : KEYS_FIXED,
    countAt: Number(counted?.[2] ?? 0),
  };
}

/** All rows; a command's number (`Scan.verb`) is its index here. */
export const COMMANDS: readonly Command[] = TABLE.split("\n")
  .filter((line) => line !== "" && line[0] !== "#")
  .map(row);

// Columns of COMMANDS as typed arrays: the parser reads integers, not objects.
export const ARITY: Int8Array = Int8Array.from(COMMANDS, (c) => c.arity);
export const ACTION: Int8Array = Int8Array.from(COMMANDS, (c) => c.action);
/** First key argument of FORWARD commands. */
export const FIRST_KEY: Int8Array = Int8Array.from(COMMANDS, (c) => c.first);

/** The number of a command by its lower-case name; -1 if there is none. */
export function verbOf(name: string): number {
  return COMMANDS.findIndex((c) => c.name === name);
}

const LONGEST = Math.max(...COMMANDS.map((c) => c.name.length));
const SLOTS = 2048;
/** Open addressing, index of the command + 1; 0 is free. */
const slots = new Int16Array(SLOTS);
/** Names, LONGEST bytes each. */
const names = new Uint8Array(COMMANDS.length * LONGEST);
const lengths = Uint8Array.from(COMMANDS, (c) => c.name.length);

for (let v = 0; v < COMMANDS.length; v++) {
  const name = COMMANDS[v].name;
  let h = name.length;
  for (let i = 0; i < name.length; i++) {
    names[v * LONGEST + i] = name.charCodeAt(i);
    h = Math.imul(h, 31) + (name.charCodeAt(i) | 32);
  }
  h &= SLOTS - 1;
  while (slots[h] !== 0) h = (h + 1) & (SLOTS - 1);
  slots[h] = v + 1;
}

/** The number of the command named `buf[start, end)`, in any case; -1 if it is not known. */
export function lookup(buf: Uint8Array, start: number, end: number): number {
  const n = end - start;
  let h = n;
  for (let i = start; i < end; i++) h = Math.imul(h, 31) + (buf[i] | 32);
  h &= SLOTS - 1;
  for (let v = slots[h]; v !== 0; v = slots[h]) {
    if (lengths[v - 1] === n && matches(v - 1, buf, start, n)) return v - 1;
    h = (h + 1) & (SLOTS - 1);
  }
  return -1;
}

function matches(verb: number, buf: Uint8Array, start: number, n: number): boolean {
  const at = verb * LONGEST;
  for (let i = 0; i < n; i++) {
    let c = buf[start + i];
    if (c >= 65 && c <= 90) c |= 32;
    if (names[at + i] !== c) return false;
  }
  return true;
}

const joined = new Uint8Array(LONGEST + 1);

/** The number of subcommand `buf[start, end)` of container `verb`; -1 if it is not known. */
export function lookupSub(verb: number, buf: Uint8Array, start: number, end: number): number {
  const container = lengths[verb];
  const n = container + 1 + end - start;
  if (n > LONGEST) return -1;
  joined.set(names.subarray(verb * LONGEST, verb * LONGEST + container));
  joined[container] = 124; // |
  for (let i = start; i < end; i++) joined[container + 1 + i - start] = buf[i];
  return lookup(joined, 0, n);
}
