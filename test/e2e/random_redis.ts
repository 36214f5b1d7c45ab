// Random Redis commands whose replies are the same on every server that got the same commands:
// no random choices, no clocks, and no order that hangs on a server's hash seed (sets hold integers
// only, hashes and sorted sets stay small). Written as a grammar, one command a line.

import fc from "fast-check";
import { cmd } from "./harness.ts";

// Capital letters are keys by their type, K is any; small ones are
//   v value  n integer (or nearly)  k integer  f float  i index  c count  w field  m member of a sorted set
//   d stream id  u unit  r range of scores  q range of names  y type of a bit field
// a|b one of these, [..] perhaps, {..} one to four times; anything else is the word itself.
const GRAMMAR = `
append S v
decr S
decrby S n
get S
getdel S
getex S [ex 1000|persist]
getrange S i i
getset S v
incr S
incrby S n
incrbyfloat S f
lcs S S [len|idx]
mget {K}
mset {S v}
msetnx {S v}
psetex S 1000000 v
set S v [nx|xx|get|keepttl]
set S v ex 1000
setex S 1000 v
setnx S v
setrange S c v
strlen S
substr S i i
setbit B c 0|1
getbit B c
bitcount B [i i]
bitcount B i i bit|byte
bitpos B 0|1 [i]
bitop and|or|xor B {B}
bitop not B B
bitfield B {get y c|set y c n|incrby y c n|overflow sat}
bitfield_ro B {get y c}
hdel H {w}
hexists H w
hget H w
hgetall H
hincrby H w n
hincrbyfloat H w f
hkeys H
hlen H
hmget H {w}
hmset H {w v}
hscan H 0 [count 100]
hset H {w v}
hsetnx H w v
hstrlen H w
hvals H
lindex L i
linsert L before|after v v
llen L
lmove L L left|right left|right
lmpop 1 L left|right [count c]
lmpop 2 L L left|right
lpop L [c]
lpos L v [rank 1|-1] [count c]
lpush L {v}
lpushx L {v}
lrange L i i
lrem L i v
lset L i v
ltrim L i i
rpop L [c]
rpoplpush L L
rpush L {v}
rpushx L {v}
sort L [limit 0 c] alpha [desc] [store L]
sort_ro L alpha
blpop L L 0.01
brpop L 0.01
blmove L L left right 0.01
brpoplpush L L 0.01
blmpop 0.01 2 L L left
sadd T {k}
scard T
sdiff {T}
sdiffstore T {T}
sinter {T}
sintercard 2 T T [limit c]
sinterstore T {T}
sismember T k
smembers T
smismember T {k}
smove T T k
srem T {k}
sscan T 0 [match 1*] [count 1000]
sunion {T}
sunionstore T {T}
sort T [desc]
zadd Z [nx|xx|gt|lt] [ch] {f m}
zadd Z incr f m
zcard Z
zcount Z r r
zdiff 2 Z Z [withscores]
zdiffstore Z 2 Z Z
zincrby Z f m
zinter 2 Z Z [weights f f] [aggregate min] [withscores]
zintercard 2 Z Z
zinterstore Z 2 Z Z
zlexcount Z q q
zmpop 1 Z min|max [count c]
zmscore Z {m}
zpopmax Z [c]
zpopmin Z [c]
zrange Z i i [rev] [withscores]
zrange Z r r byscore [limit 0 c]
zrangebylex Z q q
zrangebyscore Z r r [withscores]
zrangestore Z Z i i
zrank Z m
zrem Z {m}
zremrangebylex Z q q
zremrangebyrank Z i i
zremrangebyscore Z r r
zrevrange Z i i [withscores]
zrevrangebylex Z q q
zrevrangebyscore Z r r
zrevrank Z m
zscan Z 0
zscore Z m
zunion 2 Z Z [aggregate max] [withscores]
zunionstore Z 2 Z Z [weights 2 3]
bzpopmin Z Z 0.01
bzpopmax Z 0.01
bzmpop 0.01 1 Z min
xadd X d {w v}
xadd X [nomkstream] [maxlen c] d w v
xack X g1 {d}
xautoclaim X g1 c1 0 0 [count c] justid
xclaim X g1 c1 0 {d} justid
xdel X {d}
xgroup create X g1|g2 d|0|$ [mkstream]
xgroup createconsumer X g1 c1|c2
xgroup delconsumer X g1 c1|c2
xgroup destroy X g2
xgroup setid X g1 d
xinfo stream X
xinfo groups X
xlen X
xpending X g1
xrange X -|d +|d [count c]
xread [count c] streams X d
xread count 2 streams X X 0 0
xread block 10 streams X $
xreadgroup group g1 c1 [count c] [noack] streams X >|0
xrevrange X + - [count c]
xsetid X d
xtrim X maxlen c
geoadd G {f f m}
geodist G m m [u]
geohash G {m}
geopos G {m}
georadius G f f 500 u [withcoord] [withdist] asc
georadius_ro G f f 500 u desc
georadiusbymember G m 500 u [count c] asc
georadiusbymember G m 500 u asc store Z
georadiusbymember_ro G m 100 u withhash asc
geosearch G frommember m byradius 1000 u asc [withdist]
geosearch G fromlonlat f f bybox 400 400 u asc
geosearchstore G G fromlonlat f f byradius 900 u asc
pfadd P {v}
pfcount {P}
pfmerge P {P}
copy K K [replace]
del {K}
dump S
exists {K}
expire K 1000 [nx|xx|gt|lt]
object encoding K
object refcount K
object help
persist K
pexpire K 1000000
rename K K
renamenx K K
restore K 0 v
touch {K}
ttl K
type K
unlink {K}
scan 0 match s1 count 1000
dbsize
echo v
ping [v]
eval E 1 S v
eval E 2 S S v n
eval_ro return(redis.call('get',KEYS[1])) 1 S
eval E 0
evalsha ffffffffffffffffffffffffffffffffffffffff 1 S
script exists ffffffffffffffffffffffffffffffffffffffff
fcall nosuch 1 S
multi
multi
exec
exec
exec
discard
watch {K}
unwatch
config get databases
command count
command getkeys mset a 1 b 2
memory help
nosuch v v
object nosuch S
xgroup nosuch X g1
get
set S
zadd Z f
hset H w
`.trim().split("\n");

const KEYS = "SBHLTZXGP";
const SCRIPTS = [
  "return 1",
  "return {KEYS[1],ARGV[1],{1,'x',{}},false}",
  "return redis.call('incr',KEYS[1])",
  "return redis.call('set',KEYS[1],ARGV[1])",
  "return redis.pcall('lpush',KEYS[1],1)",
  "return redis.error_reply('MY own error')",
  "return redis.status_reply('FINE')",
  "return 'a'..tonumber(ARGV[1])",
  "return {3.7,'',true,nil,5}",
  "this is not lua",
];

const latin = (max: number): fc.Arbitrary<string> =>
  fc.uint8Array({ maxLength: max }).map((b) => String.fromCharCode(...b));
const pickFrom = (...words: string[]): fc.Arbitrary<string> => fc.constantFrom(...words);
const key = (types: string): fc.Arbitrary<string> =>
  fc.tuple(pickFrom(...types), pickFrom("0", "1", "2")).map(([t, n]) => t.toLowerCase() + n);
const integer = fc.integer({ min: -20, max: 200 }).map(String);
const floats = ["1.5", "0", "-3", "13.361389", "38.115556", "1e3", "15.0875", "37.5"];
const float = pickFrom(...floats, "inf", "x");

const PLACES: Record<string, fc.Arbitrary<string>> = {
  v: fc.oneof(
    { weight: 5, arbitrary: pickFrom("a", "b", "", "10", "3.5", "hello", "a\r\nb", "-1") },
    { weight: 3, arbitrary: latin(40) },
    { weight: 1, arbitrary: fc.integer({ min: 100, max: 20000 }).map((n) => "x".repeat(n)) },
  ),
  n: fc.oneof(integer, pickFrom("9223372036854775807", "-9223372036854775808", "7x", "007")),
  k: integer,
  f: float,
  i: fc.integer({ min: -4, max: 6 }).map(String),
  c: fc.integer({ min: 0, max: 12 }).map(String),
  w: pickFrom("f1", "f2", "f3", "", "a\r\nb"),
  m: pickFrom("a", "b", "c", "d", "e", "f", "g"),
  d: fc.tuple(fc.integer({ min: 1, max: 6 }), fc.integer({ min: 0, max: 3 }))
    .map(([a, b]) => `${a}-${b}`),
  u: pickFrom("m", "km", "ft", "mi", "parsec"),
  r: pickFrom("-inf", "+inf", "0", "(1", "1.5", "1000"),
  q: pickFrom("-", "+", "[a", "(c", "[f", "a"),
  y: pickFrom("u8", "i5", "u1", "i64", "u99"),
  E: pickFrom(...SCRIPTS),
  K: key(KEYS),
};
// Mostly the key's own type, so that there is something to be found; sometimes another's.
for (const type of KEYS) {
  PLACES[type] = fc.oneof(
    { weight: 12, arbitrary: key(type) },
    { weight: 1, arbitrary: key(KEYS) },
  );
}

type Words = fc.Arbitrary<string[]>;

/** The words that a line, or a part of one in brackets, stands for. */
function phrase(line: string): Words {
  const parts: Words[] = [];
  for (const [part] of line.matchAll(/\[[^\]]*\]|\{[^}]*\}|[^ ]+/g)) {
    if (part[0] === "[" && part.endsWith("]")) parts.push(perhaps(choice(part.slice(1, -1))));
    else if (part[0] === "{") parts.push(several(choice(part.slice(1, -1))));
    else parts.push(choice(part));
  }
  return fc.tuple(...parts).map((some) => some.flat());
}

function choice(text: string): Words {
  const options = text.split("|");
  if (options.length > 1) return fc.oneof(...options.map(phrase));
  if (text.includes(" ")) return phrase(text);
  return (PLACES[text] ?? fc.constant(text)).map((word) => [word]);
}

const perhaps = (words: Words): Words => fc.oneof(words, fc.constant<string[]>([]));
const several = (words: Words): Words =>
  fc.array(words, { minLength: 1, maxLength: 4 }).map((some) => some.flat());

const COUNTED =
  /^b|^x|^sadd|^command|^mset|^eval|^fcall|mpop|^z(diff|inter|union)|^sintercard|^lcs/;
const wellMeant = fc.oneof(...GRAMMAR.map(phrase));

/**
 * One word too many or too few. Not where a command could then wait for what never comes, nor where
 * its keys can no longer be told: between MULTI and EXEC the proxy says so at once, Redis at EXEC.
 */
const mistaken = wellMeant.filter(([name, word]) => !COUNTED.test(name) && word !== undefined)
  .chain((words) =>
    fc.oneof(
      fc.constant<string[]>(words.slice(0, -1)),
      PLACES.v.map((word) => [...words, word]),
      fc.constant<string[]>([words[0].toUpperCase(), ...words.slice(1)]),
    )
  );

export const command: Words = fc.oneof(
  { weight: 12, arbitrary: wellMeant },
  { weight: 1, arbitrary: mistaken },
);

/** The command as a line that Redis takes apart by itself. */
function inline(words: readonly string[]): string {
  const quoted = words.map((word) => {
    if (/^[a-z0-9_.+-]+$/i.test(word)) return word;
    const plain = word.replace(
      /["\\]|[^ -~]/g,
      (c) => `\\x${c.charCodeAt(0).toString(16).padStart(2, "0")}`,
    );
    return `"${plain}"`;
  });
  return `${quoted.join(" ")}\r\n`;
}

export interface Asked {
  readonly words: readonly string[];
  readonly bytes: string;
}

const asking = (some: Words): fc.Arbitrary<Asked> =>
  fc.tuple(some, fc.nat(9)).map(([words, how]) => ({
    words,
    bytes: how === 0 && words.join("").length < 1000 ? inline(words) : cmd(...words),
  }));

export const asked = asking(command);

/** Commands that give the same whether their keys live on one server or on several. */
const SPLIT = /^(mget|mset|del|exists|touch|unlink) /;
const KEY = new RegExp(`\\b[${KEYS}K]\\b`, "g");
const WHOLE = /^(multi|exec|discard|watch|unwatch|scan|eval E 0)/;
export const spread = asking(fc.oneof(
  ...GRAMMAR.filter((line) =>
    SPLIT.test(line) ||
    (!WHOLE.test(line) && !/\{[A-Z]\b/.test(line) && (line.match(KEY) ?? []).length < 2)
  ).map(phrase),
));

/** Any commands, but those that concern every server; all keys have one hash tag. */
export const tagged = asking(
  fc.oneof(...GRAMMAR.filter((line) => !/^(dbsize|scan|script)/.test(line)).map(phrase))
    .map((words) => words.map((word) => /^[sbhltzxgp][012]$/.test(word) ? `{t}${word}` : word)),
);

/** Where a stream of bytes is cut, as shares of its length. */
export const cuts: fc.Arbitrary<number[]> = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), {
  maxLength: 12,
});

/** The stream in pieces. */
export function pieces(stream: string, at: readonly number[]): string[] {
  const places = at.map((share) => Math.floor(share * stream.length)).sort((a, b) => a - b);
  return [...places, stream.length].map((end, i) => stream.slice(i === 0 ? 0 : places[i - 1], end))
    .filter((piece) => piece !== "");
}
