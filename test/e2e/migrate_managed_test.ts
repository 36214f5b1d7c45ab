// Keys that move from a ring to what is followed: a real Redis Cluster, shards under real Sentinels,
// while clients use them that know each value that they may see. What cannot differ by runtime.

import * as fs from "node:fs";
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  migrate,
  nothingAside,
  type Ring,
  rings,
  type Site,
  start,
  startSite,
  statusOf,
  underLoad,
  untilDone,
} from "./migrate_site.ts";
import { Counters } from "./migrate_load.ts";
import {
  at,
  bulk,
  cmd,
  needs,
  runtime,
  several,
  startCluster,
  startRedis,
  startSentinels,
  toYaml,
  until,
  Wire,
} from "./harness.ts";

/** The pool gets the settings of what its keys have moved to, as `finish` says. */
async function handOver({ proxy, port, admin }: Site, next: Ring): Promise<void> {
  const listen = `127.0.0.1:${port}`;
  fs.writeFileSync(proxy.confPath, toYaml({ alpha: { listen, redis: true, ...next } }));
  const reply = await fetch(`http://${admin}/reload`, { method: "POST" });
  assert.equal(await reply.json(), { reloaded: true, mistakes: [] });
}

const managed = runtime === "node" ? needs("redis", "redisCli") : test.skip;

managed("a ring becomes a Redis Cluster, whose slots move meanwhile", async () => {
  const [servers, cluster] = await Promise.all([
    several(2, () => startRedis()),
    startCluster(3, 0),
  ]);
  const next = { distribution: "cluster", servers: cluster.ports.map((port) => at(port)) };
  const site = await startSite({
    old: { ...rings(servers, 2), hash_tag: '"{}"' },
    next,
    rate: 500,
  });
  const wire = await Wire.open(site.port);
  for (let i = 0; i < 1000; i++) wire.send(cmd("SET", `fill:${i}`, `v${i}`));
  await wire.replies(1000);
  assert.match(await wire.ask("SELECT", 3), "not allowed in cluster mode");
  // Few enough to be counted: all of them leave.
  const said = await until("a plan", async () => {
    const told = await migrate([site], "plan", "--json");
    return told.status === 0 ? told.said : "";
  }, 60_000);
  const planned = JSON.parse(said);
  assert.is(planned.wrong, "");
  const sum = (of: { keys: number }[]): number => of.reduce((keys, one) => keys + one.keys, 0);
  assert.is(sum(planned.flows), 1000, JSON.stringify(planned));
  assert.is(new Set(planned.flows.map(({ to }: { to: string }) => to)).size, 3);
  await underLoad(site, async () => {
    await start([site]);
    // Slots go to and fro while keys come to them.
    let moves = 0;
    for (let i = 0; (await statusOf(site)).phase !== "done"; i = (i + 7) % 1000) {
      const { slot, owner, others: [to] } = await cluster.whose(`fill:${i}`);
      await cluster.beginMove(slot, owner, to, []);
      await until("a while", async () => (await wire.ask("PING")) === "+PONG\r\n");
      await cluster.endMove(slot, owner, to);
      moves++;
    }
    assert.ok(moves > 2, `${moves}`);
    await nothingAside(site);
    // Nobody loses what was on its way: not what is taken from a list, nor a message.
    await handOver(site, next);
  }, { db: 0 });
  for (let i = 0; i < 1000; i++) {
    assert.is(await wire.ask("GET", `fill:${i}`), bulk(`v${i}`));
  }
  for (const { port } of servers) {
    const old = await Wire.open(port);
    assert.match(await old.ask("INFO", "keyspace"), /db0:keys=[1-4],|# Keyspace\r\n\r\n/);
    old.close();
  }
});

managed("a ring becomes shards under Sentinels, of which one fails over meanwhile", async () => {
  const [servers, set] = await Promise.all([
    several(2, () => startRedis()),
    startSentinels(),
  ]);
  const next = {
    sentinels: set.ports.map((port) => `127.0.0.1:${port}:1`),
    servers: set.shards.map(({ name, servers: [first] }) => at(first, 1, name)),
    hash_tag: '"{}"',
  };
  const site = await startSite({
    old: { ...rings(servers, 2), hash_tag: '"{}"' },
    next,
    rate: 300,
  });
  const wire = await Wire.open(site.port);
  for (let i = 0; i < 1000; i++) wire.send(cmd("SET", `fill:${i}`, `v${i}`));
  await wire.replies(1000);
  const counters = new Counters(site.port, "s");
  counters.begin();
  await start([site]);
  await until("keys to move", async () => (await statusOf(site)).keys > 100);
  await set.failover(set.shards[0].name);
  await untilDone([site]);
  assert.is((await statusOf(site)).aside, 0);
  await handOver(site, next);
  const { answered } = counters;
  await until("the counters to go on", () => counters.answered > answered + 50, 60_000);
  await counters.stop();
  await counters.check(site.port);
  assert.equal(counters.wrong, []);
  for (let i = 0; i < 1000; i++) {
    assert.is(await wire.ask("GET", `fill:${i}`), bulk(`v${i}`));
  }
});

test.run();
