// A tour of valkey-glide with its own default settings (RESP3, one connection), over three servers.
// Only its timeout is longer than its 250 ms: a busy machine is no error.
// Needs: redis-server

import {
  Batch,
  GlideClient,
  type GlideClientConfiguration,
  Logger,
  ProtocolVersion,
  Script,
} from "@valkey/valkey-glide";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { behindProxy, isNutcracker, ours, type ProxyProcess } from "./harness.ts";

let proxy: ProxyProcess;

test.before(async () => {
  if (isNutcracker) return;
  ({ proxy } = await behindProxy("redis", { hash_tag: '"{}"' }));
});

// It writes every error of a server to the console.
Logger.setLoggerConfig("off");

const CROSS = /CROSSSLOT|CrossSlot|Keys in request don't hash to the same server/;

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

async function elsewhere(client: GlideClient, key: string): Promise<string> {
  for (let i = 0;; i++) {
    const other = `{b${i}}`;
    const reply = await client.renamenx(key, other).then(() => "", (e: Error) => e.message);
    if (CROSS.test(reply)) return other;
  }
}

const connect = (more: Partial<GlideClientConfiguration> = {}): Promise<GlideClient> =>
  GlideClient.createClient({
    addresses: [{ host: "127.0.0.1", port: proxy.port }],
    requestTimeout: 10_000,
    ...more,
  });

for (
  const [title, more] of [
    ["default settings", {}],
    ["RESP2", { protocol: ProtocolVersion.RESP2 }],
  ] as [string, Partial<GlideClientConfiguration>][]
) {
  const tour = (
    what: string,
    walk: (client: GlideClient, other: GlideClient) => Promise<void>,
  ) =>
    ours(`valkey-glide, ${title}: ${what}`, async () => {
      const client = await connect(more);
      const other = await connect(more);
      try {
        await client.flushall();
        await walk(client, other);
      } finally {
        client.close();
        other.close();
      }
    });

  tour("values of all kinds, and many keys at once", async (client) => {
    const keys = names("key", 40);
    assert.is(await client.mset(Object.fromEntries(keys.map((key) => [key, `v ${key}`]))), "OK");
    assert.equal(await client.mget([...keys, "none"]), [...keys.map((key) => `v ${key}`), null]);
    assert.is(await client.exists([...keys, "none"]), 40);
    assert.is(await client.touch(keys), 40);
    assert.is(await client.unlink(keys.slice(0, 10)), 10);
    assert.is(await client.del(keys), 30);
    assert.is(await client.incrBy("n", 5), 5);
    assert.is(await client.hset("h", { a: "1", b: "2" }), 2);
    assert.is((await client.hgetall("h")).length, 2);
    assert.is(await client.rpush("l", ["a", "b"]), 2);
    assert.equal(await client.lrange("l", 0, -1), ["a", "b"]);
    assert.is(await client.zadd("z", { one: 1, two: 2.5 }), 2);
    assert.is(await client.zscore("z", "two"), 2.5);
    assert.is(await client.sadd("s", ["1", "2"]), 2);
    assert.equal([...await client.smembers("s")].sort(), ["1", "2"]);
    assert.is(await client.dbsize(), 5);
    assert.match(await client.info(), /ringmux_version/);
    assert.equal(await client.configGet(["databases"]), { databases: "16" });
    assert.match(await failure(client.lpush("h", ["x"])), /WRONGTYPE|wrong kind/);
    assert.equal(
      await Promise.all(names("many", 300).map((key) => client.set(key, key))),
      Array(300).fill("OK"),
    );
    assert.equal(
      await Promise.all(names("many", 300).map((key) => client.get(key))),
      names("many", 300),
    );
  });

  tour("batches: a pipeline over all servers, a transaction on one hash tag", async (client) => {
    const pipeline = new Batch(false);
    for (const key of names("p", 100)) pipeline.set(key, key).get(key);
    const replies = await client.exec(pipeline, true);
    assert.equal(replies, names("p", 100).flatMap((key) => ["OK", key]));
    const atomic = new Batch(true).set("{t}a", "1").incr("{t}a").get("{t}a");
    assert.equal(await client.exec(atomic, true), ["OK", 2, "2"]);
    const broken = new Batch(true);
    for (const key of names("apart", 20)) broken.set(key, "1");
    assert.match(await failure(client.exec(broken, true)), CROSS);
    assert.is(await client.exists(names("apart", 20)), 0);
  });

  tour("watch: a change by somebody else makes the transaction null", async (client, other) => {
    await client.watch(["{w}a", "{w}b"]);
    await other.set("{w}b", "changed");
    assert.is(await client.exec(new Batch(true).set("{w}a", "1"), true), null);
    await client.watch(["{w}a"]);
    assert.equal(await client.exec(new Batch(true).set("{w}a", "1"), true), ["OK"]);
  });

  tour("scripts and functions on every server", async (client) => {
    const script = new Script("return redis.call('incrby', KEYS[1], ARGV[1])");
    for (const key of names("sum", 12)) {
      assert.is(await client.invokeScript(script, { keys: [key], args: ["7"] }), 7);
    }
    script.release();
    const code = "#!lua name=tour\nredis.register_function('where', function(k) return k[1] end)";
    assert.is(await client.functionLoad(code, { replace: true }), "tour");
    for (const key of names("f", 12)) assert.is(await client.fcall("where", [key], []), key);
    assert.is((await client.functionList()).length, 1);
    assert.is(await client.functionDelete("tour"), "OK");
  });

  tour("scan finds all keys", async (client) => {
    const keys = names("scan", 400);
    await Promise.all(keys.map((key) => client.set(key, "1")));
    const found = new Set<string>();
    let cursor = "0";
    do {
      const [next, some] = await client.scan(cursor, { match: "scan:*", count: 50 });
      for (const key of some) found.add(String(key));
      cursor = String(next);
    } while (cursor !== "0");
    assert.equal([...found].sort(), [...keys].sort());
  });

  tour("streams and blocking commands", async (client, other) => {
    const id = String(await client.xadd("st", [["f", "v"]]));
    assert.is(await client.xgroupCreate("st", "g", "0"), "OK");
    const got = await client.xreadgroup("g", "c", { st: ">" });
    assert.match(JSON.stringify(got), id);
    assert.is(await client.xack("st", "g", [id]), 1);
    const waiting = client.xread({ st: id }, { block: 5000 });
    await other.xadd("st", [["f", "new"]]);
    assert.match(JSON.stringify(await waiting), /"new"/);
    const popped = client.blpop(["{q}a", "{q}b"], 5);
    await other.rpush("{q}b", ["job"]);
    assert.equal(await popped, ["{q}b", "job"]);
    assert.is(await client.blpop(["{q}a"], 0.05), null);
  });

  tour("another database, and what is refused", async (client) => {
    await client.set("k", "zero");
    assert.is(await client.select(2), "OK");
    assert.is(await client.get("k"), null);
    assert.is(await client.select(0), "OK");
    assert.is(await client.get("k"), "zero");
    const [one, two] = ["{a}1", await elsewhere(client, "{a}1")];
    assert.match(await failure(client.sinter([one, two])), CROSS);
    assert.match(await failure(client.msetnx({ [one]: "1", [two]: "2" })), CROSS);
    assert.match(await failure(client.configSet({ maxmemory: "0" })), /'config set' is not/);
    assert.is(await client.ping(), "PONG");
    assert.is(typeof await client.clientId(), "number");
  });
}

ours("valkey-glide with a name and a database from the start", async () => {
  const client = await connect({ clientName: "tour", databaseId: 3 });
  try {
    assert.is(await client.clientGetName(), "tour");
    assert.is(await client.flushall(), "OK");
    await client.set("k", "three");
    await client.select(0);
    assert.is(await client.get("k"), null);
  } finally {
    client.close();
  }
});

test.run();
