// Routes whose targets change their servers by themselves: a Redis Cluster whose slots move, shards
// under Sentinels, replicas that are read from. Clients know every value that they may see.
// Needs: redis-server redis-cli

import * as assert from "uvu/assert";
import { test } from "uvu";
import { type KnowingClient, knowingClients } from "./cluster_load.ts";
import {
  array,
  at,
  bulk,
  type Cluster,
  cmd,
  needs,
  type ProxyProcess,
  runtime,
  scanAll,
  type SentinelSet,
  type ServerProcess,
  several,
  startCluster,
  startProxy,
  startRedis,
  startSentinels,
  until,
  Wire,
} from "./harness.ts";

// What the core does no runtime can do in its own way.
const once = runtime === "node" ? needs("redis", "redisCli") : test.skip;

let cluster: Cluster;
let set: SentinelSet;
let redis: ServerProcess[];
let proxy: ProxyProcess;

test.before(async () => {
  if (runtime !== "node") return;
  const show = (error: unknown) => {
    console.log(error); // uvu keeps it to itself
    throw error;
  };
  [cluster, set, redis] = await Promise.all([
    startCluster(3, 0),
    startSentinels({ shards: ["shard1"], sentinels: 3 }),
    several(3, startRedis),
  ]).catch(show);
  await direct(redis[2].port, "REPLICAOF", "127.0.0.1", String(redis[1].port));
  await direct(redis[2].port, "CONFIG", "SET", "replica-read-only", "no");
  await until(
    "the replica to follow",
    async () =>
      (await direct(redis[2].port, "INFO", "replication")).includes("master_link_status:up"),
  );
  const pool = { redis: true };
  const nodes = { ...pool, distribution: "cluster", servers: cluster.ports.map((one) => at(one)) };
  const front = (routes: string) => ({ redis: true, routes });
  const shards = set.shards.map(({ name, servers: [first] }) => at(first, 1, name));
  proxy = await startProxy({
    alone: front("{default: nodes}"),
    both: front("{default: {all: [nodes, ring], wait: all}}"),
    shadow: front("{default: ring, mirror: [{pool: nodes}]}"),
    spare: front("{default: {failover: [hasty, ring]}}"),
    watched: front("{default: {all: [sentinel, ring], wait: all}}"),
    reading: front("{default: ring, prefixes: {'r:': replicas}}"),
    mixed: front("{default: nodes, prefixes: {'r:': ring, 'w:': sentinel}}"),
    outer: front("{default: mixed}"),
    only: front("{default: hasty}"),
    nodes: { ...nodes, wait: 5000 },
    hasty: { ...nodes, wait: 0 },
    ring: { ...pool, servers: [at(redis[0])] },
    sentinel: {
      ...pool,
      sentinels: set.ports.map((one) => `127.0.0.1:${one}:1`),
      servers: shards,
      wait: 15_000,
    },
    replicas: {
      ...pool,
      reads: "{from: replica}",
      servers: [`{server: '${at(redis[1], 1, "p")}', replicas: ['127.0.0.1:${redis[2].port}']}`],
    },
  }).catch(show);
});

async function direct(port: number, ...words: string[]): Promise<string> {
  const wire = await Wire.open(port);
  const reply = await wire.ask(...words);
  wire.close();
  return reply;
}

/** Clients of a front that know their values, while something happens; what was wrong. */
async function load(front: string, during: () => Promise<void>): Promise<KnowingClient[]> {
  const clients = await knowingClients(proxy.ports[front], 4);
  for (const client of clients) client.begin();
  await until("all to be at work", () => clients.every(({ answered }) => answered > 100));
  await during();
  const before = clients.map(({ answered }) => answered);
  await until(
    "all to go on",
    () => clients.every(({ answered }, i) => answered > before[i] + 100),
    30_000,
  );
  await Promise.all(clients.map((client) => client.stop()));
  return clients;
}

function wrongOf(clients: KnowingClient[]): unknown[] {
  return clients.flatMap(({ wrong }) => wrong);
}

/** The slot of the clients' first key goes to another node and back. */
async function moveSlot(client: KnowingClient): Promise<void> {
  const { slot, owner, others } = await cluster.whose(client.key(0));
  await cluster.beginMove(slot, owner, others[0], []);
  await cluster.endMove(slot, owner, others[0]);
}

async function everyMove(front: string): Promise<KnowingClient[]> {
  const clients = await knowingClients(proxy.ports[front], 4);
  for (const client of clients) client.begin();
  for (const client of clients) await moveSlot(client);
  await Promise.all(clients.map((client) => client.stop()));
  return clients;
}

/** All keys that begin so, with their values, as a front shows them. */
async function contents(front: string, prefix: string): Promise<string[]> {
  const wire = await Wire.open(proxy.ports[front]);
  const keys = [...new Set(await scanAll(wire, "MATCH", `${prefix}*`, "COUNT", "1000"))].sort();
  const reply = keys.length === 0 ? "" : await wire.ask("MGET", ...keys);
  wire.close();
  return [keys.join(" "), reply];
}

once("a front over a cluster: keys of all slots, several keys, scripts, SCAN", async () => {
  const wire = await Wire.open(proxy.ports.alone);
  const keys = Array.from({ length: 50 }, (_, i) => `k${i}`);
  assert.is(await wire.ask("MSET", ...keys.flatMap((key) => [key, key])), "+OK\r\n");
  assert.is(await wire.ask("MGET", ...keys), array(...keys));
  wire.send(keys.map((key) => cmd("APPEND", key, "x") + cmd("GET", key)).join(""));
  const replies = await wire.replies(2 * keys.length);
  assert.equal(
    replies,
    keys.flatMap((key) => [`:${key.length + 1}\r\n`, bulk(`${key}x`)]),
  );
  assert.is(await wire.ask("EVAL", "return KEYS[1]", "1", "k1"), bulk("k1"));
  assert.equal([...new Set(await scanAll(wire))].sort(), [...keys].sort());
  assert.is(await wire.ask("DBSIZE"), ":50\r\n");
  assert.match(await wire.ask("MULTI"), /^\+OK/);
  assert.match(await wire.ask("GET", "k1"), /^-ERR the route of this key is pool "nodes"/);
  assert.match(await wire.ask("EXEC"), /^-EXECABORT/);
  assert.match(await wire.ask("BLPOP", "l", "1"), /^-ERR the route of this key is pool "nodes"/);
  assert.match(await wire.ask("RENAME", "k1", "k2"), /^-ERR the route of this key is pool "nodes"/);
  assert.is(await wire.ask("RENAME", "k1", "{k1}new"), "+OK\r\n");
  assert.is(await wire.ask("FLUSHALL"), "+OK\r\n");
  assert.is(await wire.ask("DBSIZE"), ":0\r\n");
  wire.close();
});

once("all of a cluster and a ring: slots move, nobody sees it, both have the same", async () => {
  const clients = await everyMove("both");
  assert.equal(wrongOf(clients), []);
  const prefix = clients[0].key(0).replace(/c0:0$/, "");
  assert.equal(await contents("alone", prefix), await contents("shadow", prefix));
});

once("a cluster as a mirror: slots move, and it gets all in its order", async () => {
  const wire = await Wire.open(proxy.ports.shadow);
  const keys = Array.from({ length: 10 }, (_, i) => `m:${i}`);
  const { slot, owner, others: [to] } = await cluster.whose(keys[0]);
  // Not more than may wait for a mirror, however slow that is.
  const moved = cluster.beginMove(slot, owner, to, []).then(() => cluster.endMove(slot, owner, to));
  for (let i = 0; i < 90; i++) {
    wire.send(keys.map((key) => cmd("APPEND", key, String(i % 10))).join(""));
    await wire.replies(keys.length);
    if (i === 45) await moved;
  }
  wire.close();
  const expected = await contents("shadow", "m:");
  assert.is((await proxy.stats()).shadow.mirror_dropped, 0);
  await until(
    "the mirror to have it all",
    async () => JSON.stringify(await contents("alone", "m:")) === JSON.stringify(expected),
  );
});

once("a failover under Sentinels below `all`: nothing is lost, nobody sees it", async () => {
  const clients = await load("watched", () => set.failover("shard1"));
  assert.equal(wrongOf(clients), []);
});

once("replicas of a target are read from, and clients read what they have written", async () => {
  await direct(redis[2].port, "SET", "r:who", "replica");
  const wire = await Wire.open(proxy.ports.reading);
  await until(
    "the replica to be read from",
    async () => await wire.ask("GET", "r:who") === bulk("replica"),
  );
  for (let i = 0; i < 50; i++) {
    wire.send(cmd("SET", "r:own", i) + cmd("GET", "r:own"));
    assert.equal(await wire.replies(2), ["+OK\r\n", bulk(String(i))]);
  }
  wire.close();
  assert.equal(wrongOf(await load("reading", async () => {})), []);
});

for (const front of ["mixed", "outer"]) {
  once(`SCAN over ${front}, a cluster and other pools: slots move, each key is seen`, async () => {
    const wire = await Wire.open(proxy.ports[front]);
    await wire.ask("FLUSHALL");
    const moving = Array.from({ length: 40 }, (_, i) => `{moving}:${i}`);
    const keys = [
      ...moving,
      ...Array.from({ length: 300 }, (_, i) => `${["", "r:", "w:"][i % 3]}${i}`),
    ];
    assert.is(await wire.ask("MSET", ...keys.flatMap((key) => [key, "v"])), "+OK\r\n");
    let ends = false;
    const moves = (async () => {
      for (let i = 0; !ends || i < 2; i++) {
        const { slot, owner, others } = await cluster.whose(moving[0]);
        const to = others[i % others.length];
        await cluster.beginMove(slot, owner, to, moving.slice(0, 20));
        await cluster.endMove(slot, owner, to);
      }
    })();
    try {
      for (let i = 0; i < 4; i++) {
        const seen = new Set(await scanAll(wire, "COUNT", "7"));
        assert.equal(keys.filter((key) => !seen.has(key)), [], "missed");
        assert.equal([...seen].filter((key) => !keys.includes(key)), [], "invented");
      }
    } finally {
      ends = true;
      await moves;
    }
    wire.close();
  });
}

once("scripts and functions loaded through a front are at a node that joins later", async () => {
  const wire = await Wire.open(proxy.ports.mixed);
  const script = "return redis.call('INCR', KEYS[1])";
  const sha = (await wire.ask("SCRIPT", "LOAD", script)).split("\r\n")[1];
  const lib =
    "#!lua name=lib\nredis.register_function('twice', function(k, a) return 2 * a[1] end)";
  assert.is(await wire.ask("FUNCTION", "LOAD", lib), bulk("lib"));
  const node = await cluster.add();
  const { slot, owner } = await cluster.whose("counter");
  await cluster.beginMove(slot, owner, node, []);
  await cluster.endMove(slot, owner, node);
  assert.is(await wire.ask("EVALSHA", sha, "1", "counter"), ":1\r\n");
  assert.is(await wire.ask("FCALL", "twice", "1", "counter", "21"), ":42\r\n");
  // A node that has forgotten it is given it again.
  await direct(node.port, "SCRIPT", "FLUSH");
  assert.is(await wire.ask("EVALSHA", sha, "1", "counter"), ":2\r\n");
  assert.match(await wire.ask("EVALSHA", "0".repeat(40), "1", "counter"), /^-NOSCRIPT/);
  wire.close();
});

// The last one: the cluster does not come back.
once("failover from a cluster to a ring when a node is gone", async () => {
  const { owner } = await cluster.whose("gone");
  const wire = await Wire.open(proxy.ports.spare);
  assert.is(await wire.ask("SET", "gone", "1"), "+OK\r\n");
  const server = cluster.servers.find(({ port }) => port === owner.port) as ServerProcess;
  server.kill("SIGKILL");
  await server.exited();
  for (let i = 0; i < 20; i++) {
    assert.is(await wire.ask("SET", "gone", i), "+OK\r\n");
    assert.is(await wire.ask("GET", "gone"), bulk(String(i)));
  }
  assert.is(await direct(redis[0].port, "GET", "gone"), bulk("19"));
  wire.close();
  // By itself it has an error to tell, which is counted where its requests are.
  const alone = await Wire.open(proxy.ports.only);
  assert.match(await alone.ask("GET", "gone"), /^-/);
  alone.close();
  const rows = (await proxy.stats()).only as unknown as Record<string, unknown>;
  assert.equal(rows["default > hasty"], { requests: 1, errors: 1 });
});

test.run();
