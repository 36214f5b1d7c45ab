// What commands do to the data, as the flags of a real server's COMMAND say: its "readonly" and
// "write" ones; all others are neither. Checked against a server by test/protocol.

import { CLASS_OTHER, CLASS_READ, CLASS_WRITE } from "../../stats/latency.ts";
import { COMMANDS } from "./commands.ts";

const READS = `
bitcount bitfield_ro bitpos dbsize dump eval_ro evalsha_ro exists expiretime fcall_ro geodist
geohash geopos georadius_ro georadiusbymember_ro geosearch get getbit getrange hexists hget
hgetall hkeys hlen hmget hrandfield hscan hstrlen hvals keys lcs lindex llen lolwut lpos lrange
memory|usage mget object|encoding object|freq object|idletime object|refcount pexpiretime
pfcount pttl randomkey scan scard sdiff sinter sintercard sismember smembers smismember sort_ro
srandmember sscan strlen substr sunion touch ttl type xinfo|consumers xinfo|groups xinfo|stream
xlen xpending xrange xread xrevrange zcard zcount zdiff zinter zintercard zlexcount zmscore
zrandmember zrange zrangebylex zrangebyscore zrank zrevrange zrevrangebylex zrevrangebyscore
zrevrank zscan zscore zunion
`;

const WRITES = `
append bitfield bitop blmove blmpop blpop brpop brpoplpush bzmpop bzpopmax bzpopmin copy decr
decrby del expire expireat flushall flushdb function|delete function|flush function|load
function|restore geoadd georadius georadiusbymember geosearchstore getdel getex getset hdel
hincrby hincrbyfloat hmset hset hsetnx incr incrby incrbyfloat linsert lmove lmpop lpop lpush
lpushx lrem lset ltrim migrate move mset msetnx persist pexpire pexpireat pfadd pfdebug pfmerge
psetex rename renamenx restore restore-asking rpop rpoplpush rpush rpushx sadd sdiffstore set
setbit setex setnx setrange sinterstore smove sort spop srem sunionstore swapdb unlink xack xadd
xautoclaim xclaim xdel xgroup|create xgroup|createconsumer xgroup|delconsumer xgroup|destroy
xgroup|setid xreadgroup xsetid xtrim zadd zdiffstore zincrby zinterstore zmpop zpopmax zpopmin
zrangestore zrem zremrangebylex zremrangebyrank zremrangebyscore zunionstore
`;

function namesOf(text: string): ReadonlySet<string> {
  return new Set(text.trim().split(/\s+/));
}

/** The class of every command, by its number + 1; the first place is for unknown ones. */
export const CLASSES: Uint8Array = classify(namesOf(READS), namesOf(WRITES));

function classify(reads: ReadonlySet<string>, writes: ReadonlySet<string>): Uint8Array {
  const classes = COMMANDS.map(({ name }) =>
    reads.has(name) ? CLASS_READ : writes.has(name) ? CLASS_WRITE : CLASS_OTHER
  );
  return Uint8Array.of(CLASS_OTHER, ...classes);
}
