// A tour of ioredis and of iovalkey, its descendant, with their own default settings, over three
// servers: what works on one Redis works here, or says clearly why it cannot.
// Needs: redis-server

import { Cluster, Redis } from "ioredis";
import { Redis as Iovalkey } from "iovalkey";
import * as assert from "uvu/assert";
import { test } from "uvu";
import { behindProxy, isNutcracker, ours, type ProxyProcess, until } from "./harness.ts";

let proxy: ProxyProcess;

test.before(async () => {
  if (isNutcracker) return;
  ({ proxy } = await behindProxy("redis", { hash_tag: '"{}"' }));
});

interface Options {
  enableAutoPipelining?: boolean;
  keyPrefix?: string;
  protocol?: 2 | 3;
}
const LIBRARIES: Record<string, (options: Options) => Redis> = {
  "ioredis": (options) => new Redis({ port: proxy.port, host: "127.0.0.1", ...options }),
  "ioredis, auto-pipelining": (options) =>
    new Redis({ port: proxy.port, host: "127.0.0.1", enableAutoPipelining: true, ...options }),
  "ioredis, RESP2": (options) =>
    new Redis({ port: proxy.port, host: "127.0.0.1", protocol: 2, ...options }),
  "iovalkey": (options) =>
    new Iovalkey({ port: proxy.port, host: "127.0.0.1", ...options }) as unknown as Redis,
  "iovalkey, auto-pipelining": (options) =>
    new Iovalkey({
      ...{ port: proxy.port, host: "127.0.0.1", enableAutoPipelining: true },
      ...options,
    }) as unknown as Redis,
};

const names = (prefix: string, n: number): string[] =>
  Array.from({ length: n }, (_, i) => `${prefix}:${i}`);

async function failure(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
  } catch (error) {
    return (error as Error).message;
  }
  return assert.unreachable("there was no error") as never;
}

for (const [library, connect] of Object.entries(LIBRARIES)) {
  const tour = (title: string, walk: (redis: Redis) => Promise<void>, options: Options = {}) =>
    ours(`${library}: ${title}`, async () => {
      const redis = connect(options);
      const errors: string[] = [];
      redis.on("error", (error: Error) => errors.push(error.message));
      try {
        await redis.flushall();
        await walk(redis);
        assert.equal(errors, [], "errors of the connection");
      } finally {
        redis.disconnect();
      }
    });

  tour("values of all kinds, and many keys at once", async (redis) => {
    const keys = names("key", 40);
    assert.is(await redis.mset(Object.fromEntries(keys.map((key) => [key, `v ${key}`]))), "OK");
    assert.equal(await redis.mget(...keys, "none"), [...keys.map((key) => `v ${key}`), null]);
    assert.is(await redis.exists(...keys, "none"), 40);
    assert.is(await redis.touch(...keys), 40);
    assert.is(await redis.unlink(...keys.slice(0, 10)), 10);
    assert.is(await redis.del(keys), 30);
    assert.is(await redis.set("k", "v", "EX", 100, "NX"), "OK");
    assert.is(await redis.set("k", "v", "NX"), null);
    assert.ok(await redis.ttl("k") > 80);
    assert.is(await redis.getdel("k"), "v");
    assert.equal(await Promise.all([redis.incr("n"), redis.incrby("n", 9), redis.decr("n")]), [
      ...[1, 10, 9],
    ]);
    await redis.hset("h", { a: "1", b: "2" });
    assert.equal({ ...await redis.hgetall("h") }, { a: "1", b: "2" });
    await redis.rpush("l", "a", "b", "c");
    assert.equal(await redis.lrange("l", 0, -1), ["a", "b", "c"]);
    await redis.zadd("z", 1, "one", 2.5, "two");
    assert.is(Number(await redis.zscore("z", "two")), 2.5);
    await redis.sadd("s", 1, 2, 3);
    assert.equal((await redis.smembers("s")).sort(), ["1", "2", "3"]);
    const binary = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
    await redis.set(Buffer.from([0, 255, 13, 10]), binary);
    assert.equal(await redis.getBuffer(Buffer.from([0, 255, 13, 10])), binary);
    assert.match(await failure(redis.lpush("h", "x")), /^WRONGTYPE/);
    assert.is(await redis.dbsize(), 6);
    assert.equal((await redis.keys("?")).sort(), ["h", "l", "n", "s", "z"]);
    assert.match(await redis.info(), /redis_version:7/);
    assert.is(await redis.echo("hi"), "hi");
    assert.is((await redis.time()).length, 2);
  });

  tour("a pipeline over three servers, with an error in its middle", async (redis) => {
    const pipeline = redis.pipeline();
    for (const key of names("p", 300)) pipeline.set(key, key).get(key);
    pipeline.incr("p:0").mget(...names("p", 50));
    const results = await pipeline.exec() as [Error | null, unknown][];
    assert.is(results.length, 602);
    names("p", 300).forEach((key, i) => assert.equal(results[2 * i + 1], [null, key]));
    assert.match(String(results[600][0]), /not an integer/);
    assert.equal(results[601], [null, names("p", 50)]);
  });

  tour("many commands at once are answered each by its own reply", async (redis) => {
    const keys = names("auto", 500);
    await Promise.all(keys.map((key) => redis.set(key, key)));
    assert.equal(await Promise.all(keys.map((key) => redis.get(key))), keys);
  });

  tour("multi on one hash tag, and the error when its keys are apart", async (redis) => {
    const results = await redis.multi().set("{t}a", 1).incr("{t}a").get("{t}a").exec();
    assert.equal(results, [[null, "OK"], [null, 2], [null, "2"]]);
    assert.equal(await redis.multi().exec(), []);
    const broken = redis.multi();
    for (const key of names("apart", 20)) broken.set(key, 1);
    assert.match(await failure(broken.exec()), /^EXECABORT/);
    assert.is(await redis.exists(...names("apart", 20)), 0);
    assert.match(await failure(redis.rename("{a}1", await elsewhere(redis, "{a}1"))), CROSS);
    assert.is(await redis.get("{t}a"), "2");
  });

  tour("watch: a change by somebody else makes exec answer null", async (redis) => {
    const other = connect({});
    await redis.watch("{w}a", "{w}b");
    await other.set("{w}b", "changed");
    assert.is(await redis.multi().set("{w}a", 1).exec(), null);
    await redis.watch("{w}a");
    assert.equal(await redis.multi().set("{w}a", 1).exec(), [[null, "OK"]]);
    other.disconnect();
  });

  tour("scripts: eval, defineCommand with evalsha, script load", async (redis) => {
    redis.defineCommand("add", {
      numberOfKeys: 1,
      lua: "return redis.call('incrby', KEYS[1], ARGV[1])",
    });
    // deno-lint-ignore no-explicit-any
    const own = redis as any;
    const sums = await Promise.all(names("sum", 30).map((key, i) => own.add(key, i)));
    assert.equal(sums, sums.map((_, i) => i));
    assert.is(await own.add("sum:3", 4), 7);
    const piped = await redis.pipeline([["add", "sum:1", "10"], ["get", "sum:1"]]).exec();
    assert.equal(piped, [[null, 11], [null, "11"]]);
    assert.is(await redis.eval("return #KEYS", 2, "{e}1", "{e}2"), 2);
    const sha = await redis.script("LOAD", "return KEYS[1]") as string;
    for (const key of names("where", 12)) assert.is(await redis.evalsha(sha, 1, key), key);
  });

  tour("scanStream finds all keys, sscan, hscan and zscan their own", async (redis) => {
    const keys = names("scan", 400);
    await Promise.all(keys.map((key) => redis.set(key, 1)));
    const found = new Set<string>();
    for await (const some of redis.scanStream({ match: "scan:*", count: 50 })) {
      for (const key of some as string[]) found.add(key);
    }
    assert.equal([...found].sort(), [...keys].sort());
    const members = names("m", 1000);
    await redis.sadd("set", ...members);
    const seen = new Set<string>();
    for await (const some of redis.sscanStream("set")) for (const m of some) seen.add(m);
    assert.is(seen.size, 1000);
    await redis.hset("hash", { a: 1 });
    for await (const pair of redis.hscanStream("hash")) assert.equal(pair, ["a", "1"]);
  });

  tour("streams with a group of consumers", async (redis) => {
    const id = await redis.xadd("st", "*", "f", "v") as string;
    await redis.xadd("st", "*", "f", "w");
    assert.is(await redis.xlen("st"), 2);
    await redis.xgroup("CREATE", "st", "g", "0");
    const read = await redis.xreadgroup("GROUP", "g", "c", "COUNT", 1, "STREAMS", "st", ">");
    assert.match(JSON.stringify(read), `"${id}",["f","v"]`);
    assert.is(await redis.xack("st", "g", id), 1);
    const waiting = redis.xread("BLOCK", 5000, "STREAMS", "st", "$");
    const other = connect({});
    await until("the reader to block", async () => {
      await other.xadd("st", "*", "f", "new");
      return await Promise.race([waiting.then(() => true), other.ping().then(() => false)]);
    });
    assert.match(JSON.stringify(await waiting), /\["f","new"\]/);
    other.disconnect();
  });

  tour("blocking commands wait, and nobody else does", async (redis) => {
    const other = connect({});
    const popped = redis.blpop("{q}a", "{q}b", 5);
    await other.set("meanwhile", 1);
    await other.rpush("{q}b", "job");
    assert.equal(await popped, ["{q}b", "job"]);
    assert.is(await redis.blpop("{q}a", 0.05), null);
    await other.rpush("{q}src", "x");
    assert.is(await redis.blmove("{q}src", "{q}dst", "LEFT", "RIGHT", 1), "x");
    assert.match(await failure(redis.blpop("{a}1", await elsewhere(redis, "{a}1"), 1)), CROSS);
    other.disconnect();
  });

  tour("a key prefix is part of the key, also for scripts and multi", async (redis) => {
    await redis.mset({ a: 1, b: 2, c: 3 });
    assert.equal(await redis.mget("a", "b", "c"), ["1", "2", "3"]);
    assert.equal(await redis.multi().incr("a").incr("a").exec(), [[null, 2], [null, 3]]);
    assert.is(await redis.eval("return KEYS[1]", 1, "x"), "{app}:x");
    assert.is(await redis.sunionstore("d", "e", "f"), 0);
    assert.equal((await redis.keys("*")).sort(), ["{app}:a", "{app}:b", "{app}:c"]);
  }, { keyPrefix: "{app}:" });

  tour("another database, a name, a second connection, quit", async (redis) => {
    await redis.set("k", "zero");
    assert.is(await redis.select(2), "OK");
    assert.is(await redis.get("k"), null);
    await redis.set("k", "two");
    assert.is(await redis.client("SETNAME", "me"), "OK");
    assert.is(await redis.client("GETNAME"), "me");
    const twin = redis.duplicate();
    assert.is(await twin.get("k"), "zero");
    assert.is(await twin.quit(), "OK");
    await redis.flushdb();
    await redis.select(0);
    assert.is(await redis.get("k"), "zero");
  });

  tour(
    "what several servers cannot do is one clear error, and the client goes on",
    async (redis) => {
      const [one, two] = ["{a}1", await elsewhere(redis, "{a}1")];
      for (
        const [name, ...args] of [
          ["msetnx", one, 1, two, 2],
          ["sinter", one, two],
          ["sunionstore", one, two],
          ["pfcount", one, two],
          ["copy", one, two],
          ["smove", one, two, "m"],
          ["lmove", one, two, "LEFT", "LEFT"],
          ["bitop", "AND", one, two],
          ["zunionstore", one, 1, two],
        ] as [string, ...(string | number)[]][]
      ) {
        const message = await failure(redis.call(name, ...args));
        assert.match(message, CROSS, name);
        assert.match(message, /is on server s\d, '.*' is on server s\d/, name);
      }
      assert.match(await failure(redis.call("SWAPDB", 0, 1)), /'swapdb' is not supported/);
      assert.match(await failure(redis.call("DEBUG", "SLEEP", 0)), /'debug' is not supported/);
      assert.is(await redis.ping(), "PONG");
    },
  );
}

ours("a client for clusters is told that this is none", async () => {
  const cluster = new Cluster([{ host: "127.0.0.1", port: proxy.port }], {
    clusterRetryStrategy: () => null,
  });
  const reasons: string[] = [];
  cluster.on(
    "error",
    (error: Error & { lastNodeError?: Error }) =>
      reasons.push(String(error.lastNodeError?.message)),
  );
  await until("the reason", () => reasons.length > 0);
  assert.is(reasons[0], "ERR This instance has cluster support disabled");
  cluster.disconnect();
});

const CROSS = /^CROSSSLOT Keys in request don't hash to the same server/;

/** A key that lives on another server than this one. */
async function elsewhere(redis: Redis, key: string): Promise<string> {
  for (let i = 0;; i++) {
    const other = `{b${i}}`;
    const message = await redis.renamenx(key, other).then(() => "", (e: Error) => e.message);
    if (message.startsWith("CROSSSLOT")) return other;
  }
}

test.run();
