// A cold pool that another one warms up: real servers, clients that know each value they may see, over
// two proxies by turns. mcrouter's WarmUpRoute brings back what was deleted; this must not.
// Needs: redis-server memcached

import { test } from "uvu";
import * as assert from "uvu/assert";
import { knowingClients } from "./cluster_load.ts";
import {
  at,
  bulk,
  command,
  exchange,
  freePort,
  run,
  runtime,
  several,
  startMemcached,
  startProxy,
  startRedis,
  until,
  Wire,
} from "./harness.ts";
import { Knowing } from "./pull_load.ts";

/** Nothing of it depends on the runtime. */
const once = runtime === "node" ? test : test.skip;
const WARM = { routes: "{default: {warm: {cold: cold, warm: hot}}}" };

once(
  "memcached: what the warm pool has is there, and never again once it was changed",
  async () => {
    const servers = await several(3, () => startMemcached());
    const pools = {
      front: WARM,
      cold: { servers: servers.slice(0, 2).map((one) => at(one)) },
      hot: { servers: [at(servers[2])] },
    };
    const proxies = await Promise.all([startProxy(pools), startProxy(pools)]);
    // At first to the warm pool alone.
    let ports = [proxies[0].ports.hot];
    const all = Array.from({ length: 6 }, (_, i) => new Knowing(() => ports, `w${i}`, i % 3 === 2));
    const goOn = async (): Promise<void> => {
      const before = all.map(({ answered }) => answered);
      const isOn = ({ answered, wrong }: Knowing, i: number): boolean =>
        answered > before[i] + 60 || wrong.length > 0;
      await until("all to go on", () => all.every(isOn), 60_000);
    };
    for (const one of all) one.begin();
    await goOn();
    ports = proxies.map((one) => one.ports.front);
    await goOn();
    await goOn();
    // The cold pool forgets what it likes: nothing old comes up, for the warm one has nothing old.
    for (const one of all) one.doubts = true;
    for (const server of servers.slice(0, 2)) await exchange(server.port, "flush_all\r\nquit\r\n");
    await goOn();
    for (const one of all) one.doubts = false;
    await goOn();
    for (const one of all) await one.stop();
    assert.equal(all.flatMap(({ wrong }) => wrong).slice(0, 5), []);
    const list = await exchange(servers[0].port, "lru_crawler metadump hash\r\nquit\r\n");
    assert.match(list, "key=");
  },
);

once("memcached: times and flags come along; what is too large is read where it is", async () => {
  const [cold, hot] = await Promise.all([
    startMemcached(),
    startMemcached({ args: ["-I", "4m"] }),
  ]);
  const proxy = await startProxy({
    front: WARM,
    cold: { servers: [at(cold)] },
    hot: { servers: [at(hot)] },
  });
  const wire = await Wire.open(proxy.ports.front);
  const direct = await Wire.open(hot.port);
  await direct.send("set k 7 500 1\r\nx\r\n").line();
  await direct.send(`set large 0 0 2000000\r\n${"y".repeat(2_000_000)}\r\n`).line();
  assert.is(await wire.send("mg k f v\r\n").line(), "VA 1 f7\r\n");
  await wire.line();
  const [, seconds] = /^HD t(\d+)/.exec(await exchange(cold.port, "mg k t\r\nquit\r\n")) ?? [];
  assert.ok(Number(seconds) >= 498 && Number(seconds) <= 500, seconds);
  wire.send("get large\r\n");
  assert.is(await wire.line(), "VALUE large 0 2000000\r\n");
  assert.is((await wire.readUntil("END\r\n")).length, 2_000_000 + 7);
  assert.match(await wire.send("append large 0 0 1\r\nz\r\n").line(), "cannot be warmed up");
  assert.is(await wire.send("delete large\r\n").line(), "NOT_FOUND\r\n");
  assert.is(await wire.send("get large\r\n").line(), "END\r\n");
});

once("Redis: values of every kind are brought, written ones never come back", async () => {
  const servers = await several(3, () => startRedis());
  const admin = `127.0.0.1:${await freePort()}`;
  const proxy = await startProxy({
    front: { redis: true, ...WARM },
    cold: { redis: true, servers: servers.slice(0, 2).map((one) => at(one)) },
    hot: { redis: true, servers: [at(servers[2])] },
  }, { admin });
  const wire = await Wire.open(proxy.ports.front);
  const hot = await Wire.open(servers[2].port);
  await hot.ask("HSET", "h", "a", 1, "b", 2);
  await hot.ask("RPUSH", "l", 1, 2, 3);
  await hot.ask("SADD", "s", "x");
  await hot.ask("SET", "n", 5, "PX", 100_000);
  await hot.ask("SET", "gone", 1);
  await hot.ask("XADD", "x", "1-1", "a", 1);
  const [program, first] = command();
  const way = await run(program, [...first, "route", "h", "--admin", admin]);
  assert.match(way.stdout + way.stderr, /cold: reads first[^]*pool cold[^]*warm: what[^]*pool hot/);
  assert.is(await wire.ask("HMGET", "h", "a", "z"), "*2\r\n$1\r\n1\r\n$-1\r\n");
  assert.is(await wire.ask("SISMEMBER", "s", "x"), ":1\r\n");
  assert.is(await wire.ask("LPUSH", "l", 0), ":4\r\n");
  assert.is(await wire.ask("INCR", "n"), ":6\r\n");
  assert.match(await wire.ask("PTTL", "n"), /^:(\d{5}|100000)\r\n$/);
  assert.is(await wire.ask("DEL", "gone"), ":1\r\n");
  assert.is(await wire.ask("GET", "gone"), bulk(null));
  assert.is(await hot.ask("EXISTS", "gone", "l", "n"), ":0\r\n");
  assert.is(await wire.ask("XLEN", "x"), ":1\r\n");
  assert.is(await wire.ask("MGET", "n", "nothing"), "*2\r\n$1\r\n6\r\n$-1\r\n");
  wire.close();
  // Values that are known, written to the warm pool first.
  const early = await knowingClients(proxy.ports.hot, 2);
  for (const one of early) for (let i = 0; i < 10; i++) await one.pipeline();
  for (const one of early) await one.goTo(proxy.ports.front);
  for (const one of early) one.begin();
  const from = early.map(({ answered }) => answered);
  await until(
    "all to go on",
    () => early.every((one, i) => one.answered > from[i] + 1000 || one.wrong.length > 0),
  );
  for (const one of early) await one.stop();
  assert.equal(early.flatMap(({ wrong }) => wrong).slice(0, 3), []);
});

test.run();
