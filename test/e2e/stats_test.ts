// The stats port: collectors written for nutcracker must find every field under the same name, in
// the same order, with the same count after the same work. Both proxies run side by side.
// Needs: redis-server memcached nutcracker

import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  at,
  cmd,
  exchange,
  freePort,
  type Pools,
  type ProxyProcess,
  several,
  startFake,
  startMemcached,
  startNutcracker,
  startProxy,
  startRedis,
  until,
  Wire,
} from "./harness.ts";

// deno-lint-ignore no-explicit-any
type Json = any;

let proxy: ProxyProcess;
let oracle: ProxyProcess;
let pools: Pools;

test.before(async () => {
  const redis = await several(2, startRedis);
  const memcached = await several(3, startMemcached);
  const mute = await startFake((socket) => socket.resume());
  const dead = await freePort();
  pools = {
    // Neither pools nor servers are in the order in which the stats show them.
    redis_pool: {
      redis: true,
      hash: "md5",
      servers: [at(redis[0], 1, "second"), at(redis[1], 1, "first")],
    },
    mc: {
      hash: "md5",
      servers: [at(memcached[0], 1, "s10"), at(memcached[1], 2, "s9"), at(memcached[2], 1, "s1")],
    },
    dead: { redis: true, servers: [at(dead)] },
    mute: { redis: true, timeout: 100, servers: [at(mute, 1, "mute")] },
    eject: {
      redis: true,
      auto_eject_hosts: true,
      server_failure_limit: 1,
      server_retry_timeout: 600_000,
      servers: [at(dead, 1, "gone")],
    },
  };
  proxy = await startProxy(pools);
  oracle = await startNutcracker(pools);
});

const POOL_FIELDS = [
  ...["client_eof", "client_err", "client_connections", "server_ejects", "forward_error"],
  "fragments",
];
const SERVER_FIELDS = [
  ...["server_eof", "server_err", "server_timedout", "server_connections", "server_ejected_at"],
  ...["requests", "request_bytes", "responses", "response_bytes", "in_queue", "in_queue_bytes"],
  ...["out_queue", "out_queue_bytes"],
];

/** The keys of `want` come first in `got`, in the same order; more may follow. */
function startsWithKeys(got: Json, want: Json, where: string): void {
  const names = Object.keys(want);
  assert.equal(Object.keys(got).slice(0, names.length), names, where);
}

test("the stats port sends one JSON line and closes", async () => {
  const text = await proxy.statsText();
  assert.ok(text.endsWith("}}\n"), "it ends with }} and a line feed");
  assert.is(text.indexOf("\n"), text.length - 1, "one line");
  assert.type(JSON.parse(text), "object");
});

test("the line is spaced as nutcracker's, for collectors that take it apart by pattern", async () => {
  const text = await proxy.statsText();
  assert.match(text, /^\{"service":"[a-z]+", "source":"[^"]*", "version":"[^"]+", "uptime":\d+, /);
  assert.match(text, /"timestamp":\d+, "total_connections":\d+, "curr_connections":\d+, "/);
  assert.match(text, /"mc": \{"client_eof":\d+, "client_err":\d+, "client_connections":\d+, /);
  assert.match(text, /"fragments":\d+, "s1": \{"server_eof":\d+, "server_err":\d+, /);
});

test("top level, pools and servers have nutcracker's fields in nutcracker's order", async () => {
  const want = await oracle.stats();
  const got = await proxy.stats();
  const scalars = (json: Json) =>
    Object.fromEntries(Object.entries(json).filter(([, value]) => typeof value !== "object"));
  startsWithKeys(scalars(got), scalars(want), "top level");
  const poolNames = (json: Json) =>
    Object.keys(json).filter((key) => typeof json[key] === "object");
  assert.equal(poolNames(got), poolNames(want), "pools");
  for (const pool of poolNames(want)) {
    startsWithKeys(scalars(got[pool]), scalars(want[pool]), pool);
    assert.equal(Object.keys(scalars(want[pool])), POOL_FIELDS);
    assert.equal(poolNames(got[pool]), poolNames(want[pool]), `servers of ${pool}`);
    for (const server of poolNames(want[pool])) {
      startsWithKeys(got[pool][server], want[pool][server], `${pool}, ${server}`);
      assert.equal(Object.keys(want[pool][server]), SERVER_FIELDS);
    }
  }
});

test("source, uptime and timestamp are what they say", async () => {
  const want = await oracle.stats();
  const got = await proxy.stats();
  assert.is(got.source, want.source);
  assert.ok(Math.abs(got.timestamp - Date.now() / 1000) < 5);
  assert.ok(got.uptime >= 0 && got.uptime < 120);
});

/**
 * The same work for either proxy; resolves when every reply is there. Nothing with noreply: where
 * nutcracker passes that on, ringmux asks the server for a reply and keeps it to itself.
 */
async function work(on: ProxyProcess): Promise<void> {
  const keys = Array.from({ length: 30 }, (_, i) => `stat:${i}`);
  const redis = await exchange(
    on.ports.redis_pool,
    keys.map((key) => cmd("SET", key, "v")).join("") + keys.map((key) => cmd("GET", key)).join("") +
      cmd("MGET", ...keys) + cmd("DEL", ...keys) + cmd("PING") + cmd("LPUSH", keys[0], 1) +
      cmd("INCR", keys[0]) + cmd("DEL", keys[0]),
  );
  assert.match(redis, /WRONGTYPE[^\r]*\r\n:1\r\n$/);
  const mc = await exchange(
    on.ports.mc,
    keys.map((key) => `set ${key} 0 0 1\r\nv\r\n`).join("") + `get ${keys.join(" ")} none\r\n` +
      keys.map((key) => `get ${key}\r\n`).join("") +
      keys.map((key) => `delete ${key}\r\n`).join(""),
  );
  assert.match(mc, /DELETED\r\n$/);
  assert.match(await exchange(on.ports.dead, cmd("GET", "a").repeat(3)), /refused/);
  assert.match(await exchange(on.ports.mute, cmd("GET", "a").repeat(4)), /timed out/);
  for (let i = 0; i < 3; i++) {
    assert.match(await exchange(on.ports.eject, cmd("GET", "a")), /refused/);
  }
}

/**
 * What can be compared: no clock readings, and not `fragments`, which nutcracker has but never
 * counts.
 */
function counters(stats: Json): Json {
  const result: Json = {};
  for (const pool of Object.keys(pools)) {
    result[pool] = { ...stats[pool], fragments: 0 };
    for (const [name, value] of Object.entries(stats[pool])) {
      if (typeof value !== "object") continue;
      result[pool][name] = {};
      for (const field of SERVER_FIELDS) result[pool][name][field] = (value as Json)[field];
      result[pool][name].server_ejected_at = (value as Json).server_ejected_at > 0 ? "set" : 0;
    }
  }
  return result;
}

/** Stats lag behind by the interval: read until two readings in a row are the same. */
async function settled(on: ProxyProcess): Promise<Json> {
  let last = "";
  let same = 0;
  return await until("the stats to settle", async () => {
    const now = counters(await on.stats());
    const text = JSON.stringify(now);
    same = text === last ? same + 1 : 0;
    last = text;
    await new Promise((resolve) => setTimeout(resolve, 60));
    return same >= 4 && now.mc.client_connections === 0 ? now : null;
  });
}

test("after the same work every counter is the same", async () => {
  await work(oracle);
  await work(proxy);
  const want = await settled(oracle);
  const got = await settled(proxy);
  for (const pool of Object.keys(pools)) {
    for (const [name, value] of Object.entries(want[pool])) {
      if (typeof value === "object") assert.equal(got[pool][name], value, `${pool}, ${name}`);
      else assert.is(got[pool][name], value, `${pool}, ${name}`);
    }
  }
  // And they are what was done, so that two proxies that count nothing are not the same.
  const sum = (pool: string, field: string) =>
    Object.values(got[pool]).reduce((n: number, server: Json) => n + (server?.[field] ?? 0), 0);
  assert.ok(sum("redis_pool", "requests") >= 30 + 30 + 2 + 2 + 3);
  assert.is(sum("redis_pool", "requests"), sum("redis_pool", "responses"));
  assert.ok(sum("mc", "requests") >= 30 + 3 + 30 + 30);
  assert.is(got.dead.forward_error, 3);
  assert.is(sum("mute", "server_timedout"), 1);
  assert.is(got.eject.server_ejects, 1);
  assert.is(got.eject.gone.server_ejected_at, "set");
});

test("client_connections and server_connections are how many there are now", async () => {
  const wires = await several(7, () => Wire.open(proxy.ports.redis_pool));
  for (const [i, wire] of wires.entries()) await wire.ask("SET", `now:${i}`, i);
  await until("7 clients", async () => (await proxy.stats()).redis_pool.client_connections === 7);
  const stats = await proxy.stats();
  assert.is(stats.redis_pool.first.server_connections, 1);
  assert.ok(stats.curr_connections >= 7 && stats.total_connections >= stats.curr_connections);
  for (const wire of wires) wire.close();
  await until("none", async () => (await proxy.stats()).redis_pool.client_connections === 0);
});

test("what waits is in the queue gauges, and leaves them when it is answered", async () => {
  const wire = await Wire.open(proxy.ports.mute);
  wire.send(cmd("GET", "a").repeat(3));
  assert.match(await wire.reply(), /timed out/);
  await wire.replies(2);
  await until("empty queues", async () => {
    const { mute } = (await proxy.stats()).mute;
    return mute.in_queue === 0 && mute.out_queue === 0 && mute.in_queue_bytes === 0 &&
      mute.out_queue_bytes === 0;
  });
});

test("many collectors at once each get a whole line", async () => {
  const lines = await Promise.all(Array.from({ length: 30 }, () => proxy.stats()));
  assert.ok(lines.every((line) => typeof line.mc.client_eof === "number"));
});

test.run();
