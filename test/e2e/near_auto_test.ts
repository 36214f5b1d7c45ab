// The near cache of hot keys, and of memcached, before real servers: what is promised of the values.
// Needs: redis-server memcached

import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  at,
  bulk,
  cmd,
  isNutcracker,
  type ProxyProcess,
  runtime,
  type ServerProcess,
  startMemcached,
  startProxy,
  startRedis,
  until,
  Wire,
} from "./harness.ts";

// What the core does no runtime can do in its own way.
const once = runtime === "node" && !isNutcracker ? test : test.skip;
const TTL = 700;

let redis: ServerProcess;
let memcached: ServerProcess;
let proxy: ProxyProcess;

test.before(async () => {
  if (runtime !== "node") return;
  [redis, memcached] = await Promise.all([startRedis(), startMemcached()]);
  proxy = await startProxy({
    auto: { redis: true, near_cache: "{auto: true, ttl: 60000}", servers: [at(redis)] },
    mc: { near_cache: `{prefixes: ['n:'], ttl: ${TTL}}`, servers: [at(memcached)] },
    shared: { redis: true, near_cache: "{prefixes: ['s:'], ttl: 0}", servers: [at(redis)] },
  });
});

async function hits(pool: string): Promise<number> {
  return (await proxy.stats())[pool].near_hits;
}

once("hot keys are kept, and a counter that is raised past the proxy never goes back", async () => {
  const writer = await Wire.open(redis.port);
  const own = await Wire.open(proxy.ports.auto);
  await writer.ask("SET", "hot", "0");
  const wrong: string[] = [];
  let ends = false;
  const readers = await Promise.all(Array.from({ length: 3 }, () => Wire.open(proxy.ports.auto)));
  const reading = readers.map(async (wire) => {
    let last = 0;
    while (!ends) {
      wire.send(cmd("GET", "hot").repeat(20) + cmd("GET", "cold"));
      for (const reply of (await wire.replies(21)).slice(0, 20)) {
        const value = Number(reply.split("\r\n")[1]);
        if (!(value >= last)) wrong.push(`${reply.trim()} after ${last}`);
        last = value;
      }
    }
  });
  await until("the key to be kept", async () => await hits("auto") > 100);
  for (let n = 1; n <= 40; n++) {
    // By others, and by a client that reads it back.
    if (n % 2 === 0) await writer.ask("INCR", "hot");
    else await own.ask("INCR", "hot");
    const reply = await own.ask("GET", "hot");
    if (n % 2 === 1 && Number(reply.split("\r\n")[1]) !== n) wrong.push(`own: ${reply} for ${n}`);
    await until("the news", async () => await own.ask("GET", "hot") === bulk(String(n)));
  }
  ends = true;
  await Promise.all(reading);
  assert.equal(wrong.slice(0, 3), []);
  for (const wire of [writer, own, ...readers]) wire.close();
});

once("memcached: own writes are seen at once, others' after ttl at the latest", async () => {
  const [one, two] = [await Wire.open(proxy.ports.mc), await Wire.open(proxy.ports.mc)];
  const direct = await Wire.open(memcached.port);
  const value = (n: number) => `VALUE n:k 3 1\r\n${n}\r\nEND\r\n`;
  const get = (wire: Wire) => wire.send("get n:k\r\n").readUntil("END\r\n");
  const set = (wire: Wire, n: number) => wire.send(`set n:k 3 0 1\r\n${n}\r\n`).line();
  for (let n = 1; n < 6; n++) {
    assert.is(await set(one, n), "STORED\r\n");
    assert.is(await get(one), value(n));
    assert.is(await get(two), value(n), "by the same proxy");
  }
  await until("it to be kept", async () => {
    const before = await hits("mc");
    assert.is(await get(two), value(5));
    return await hits("mc") > before;
  });
  await set(direct, 6);
  const since = Date.now();
  await until("the new value", async () => await get(two) === value(6));
  // It may take longer on a busy machine, and no longer than the cache may.
  assert.ok(Date.now() - since < 20 * TTL);
  assert.is(await one.send("delete n:k\r\n").line(), "DELETED\r\n");
  assert.is(await get(two), "END\r\n");
  assert.is(await one.send("gets n:k n:x\r\n").line(), "END\r\n");
  for (const wire of [one, two, direct]) wire.close();
});

once("ttl: 0: the same question by many is asked once, and each answer is right", async () => {
  const wires = await Promise.all(Array.from({ length: 10 }, () => Wire.open(proxy.ports.shared)));
  await wires[0].ask("SET", "s:k", "x".repeat(10_000));
  await until("some to be shared", async () => {
    const all = await Promise.all(wires.map((wire) => wire.ask("GET", "s:k")));
    for (const reply of all) assert.is(reply, bulk("x".repeat(10_000)));
    return (await proxy.stats()).shared.near_joined > 5;
  });
  assert.is(await hits("shared"), 0);
  for (const wire of wires) wire.close();
});

test.run();
