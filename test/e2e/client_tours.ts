// Tours of client libraries with their default settings over a pool whose servers change by themselves: a
// Redis Cluster (clients_cluster_test.ts), shards under Sentinels (clients_sentinel_test.ts). They see
// one Redis.

import { Batch, GlideClient, Logger, Script } from "@valkey/valkey-glide";
import { Redis } from "ioredis";
import { createClient } from "redis";
import * as assert from "uvu/assert";

// It writes every error of a server to the console.
Logger.setLoggerConfig("off");

export const names = (prefix: string, n = 50): string[] =>
  Array.from({ length: n }, (_, i) => `${prefix}:${i}`);

/** Many keys, pipelines, transactions, scripts, blocking, publish. */
export async function ioredisTour(port: number): Promise<void> {
  const client = new Redis({ port, host: "127.0.0.1" });
  const other = client.duplicate();
  try {
    const keys = names("io");
    await client.mset(Object.fromEntries(keys.map((key) => [key, key])));
    assert.equal(await client.mget(...keys), keys);
    const pipe = client.pipeline();
    for (const key of keys) pipe.incrby(`${key}:n`, 2);
    assert.equal(await pipe.exec(), keys.map(() => [null, 2]));
    assert.equal(await client.multi().set("{io}a", "1").incr("{io}a").exec(), [
      [null, "OK"],
      [null, 2],
    ]);
    client.defineCommand("add", {
      numberOfKeys: 1,
      lua: "return redis.call('incrby', KEYS[1], ARGV[1])",
    });
    const add = (client as unknown as { add(key: string, n: number): Promise<number> }).add;
    for (const [i, key] of keys.entries()) assert.is(await add.call(client, `${key}:s`, i), i);
    const popped = other.blpop("io:list", 10);
    await client.rpush("io:list", "x");
    assert.equal(await popped, ["io:list", "x"]);
    const heard = new Promise((resolve) => other.once("message", (_, text) => resolve(text)));
    await other.subscribe("io:news");
    await client.publish("io:news", "hi");
    assert.is(await heard, "hi");
    const seen: string[] = [];
    for await (const page of client.scanStream({ match: "io:*:n", count: 10 })) seen.push(...page);
    assert.equal([...new Set(seen)].sort(), keys.map((key) => `${key}:n`).sort());
  } finally {
    client.disconnect();
    other.disconnect();
  }
}

/** Many keys, transactions, WATCH, SCAN. */
export async function nodeRedisTour(port: number): Promise<void> {
  const client = createClient({ url: `redis://127.0.0.1:${port}` });
  await client.connect();
  try {
    const keys = names("nr");
    await client.mSet(Object.fromEntries(keys.map((key) => [key, key])));
    assert.equal(await client.mGet(keys), keys);
    assert.equal(await Promise.all(keys.map((key) => client.get(key))), keys);
    const counted = await client.multi().set("{nr}a", "1").incr("{nr}a").exec();
    assert.equal(counted.map(String), ["OK", "2"]);
    await client.watch("{nr}a");
    assert.equal((await client.multi().incr("{nr}a").exec()).map(Number), [3]);
    const seen: string[] = [];
    for await (const page of client.scanIterator({ MATCH: "nr:*" })) seen.push(...page);
    assert.equal([...new Set(seen)].sort(), [...keys].sort());
    assert.is(await client.del(keys), keys.length);
  } finally {
    client.destroy();
  }
}

/** Many keys, batches, scripts. */
export async function glideTour(port: number): Promise<void> {
  const addresses = [{ host: "127.0.0.1", port }];
  const client = await GlideClient.createClient({ addresses, requestTimeout: 10_000 });
  try {
    const keys = names("gl");
    await client.mset(Object.fromEntries(keys.map((key) => [key, key])));
    assert.equal(await client.mget(keys), keys);
    const atomic = new Batch(true).set("{gl}a", "1").incr("{gl}a");
    assert.equal(await client.exec(atomic, true), ["OK", 2]);
    const loose = new Batch(false);
    for (const key of keys) loose.get(key);
    assert.equal(await client.exec(loose, true), keys);
    const add = new Script("return redis.call('incrby', KEYS[1], ARGV[1])");
    for (const key of keys) {
      assert.is(await client.invokeScript(add, { keys: [`${key}:s`], args: ["5"] }), 5);
    }
  } finally {
    client.close();
  }
}
