// Reads from the replicas of a real Redis Cluster: they are learned, told READONLY, followed through a
// failover, and not asked for keys of a slot that is on its way. The proxy's part does not differ by
// runtime (replicas_test.ts runs on all): on one only.
// Needs: redis-server redis-cli

import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  at,
  bulk,
  type Cluster,
  type ClusterNode,
  freePort,
  needs,
  runtime,
  startCluster,
  startProxy,
  until,
  Wire,
} from "./harness.ts";

const once = runtime === "node" ? needs("redis", "redisCli") : test.skip;

let cluster: Cluster;
let admin: string;
let port: number;

interface Row {
  name: string;
  of: string;
  fit: boolean;
  why: string;
  reads: number;
}

async function rows(): Promise<Row[]> {
  return (await (await fetch(`http://${admin}/ring`)).json())[0].replicas;
}

async function allFit(n = 3): Promise<Row[]> {
  await until("all replicas to be fit", async () => {
    const all = await rows();
    return all.length === n && all.every(({ fit }) => fit);
  });
  return await rows();
}

function reads(all: Row[]): number {
  return all.reduce((sum, { reads: n }) => sum + n, 0);
}

async function replicaOf(node: ClusterNode): Promise<ClusterNode> {
  return (await cluster.nodes()).find(({ of }) => of === node.id) as ClusterNode;
}

/** A replica has what its primary had. */
async function caughtUp(node: ClusterNode): Promise<void> {
  const offset = async (of: number, name: string) =>
    new RegExp(`${name}:(\\d+)`).exec(await cluster.say(of, "INFO", "replication"))?.[1];
  const replica = await replicaOf(node);
  await until(
    "the replica to have it all",
    async () =>
      await offset(node.port, "master_repl_offset") ===
        await offset(replica.port, "slave_repl_offset"),
  );
}

test.before(async () => {
  if (runtime !== "node") return;
  cluster = await startCluster();
  admin = `127.0.0.1:${await freePort()}`;
  const proxy = await startProxy({
    pool: {
      redis: true,
      distribution: "cluster",
      reads: "{from: prefer_replica, max_lag: 1000}",
      servers: cluster.ports.slice(0, 1).map((one) => at(one)),
    },
  }, { admin });
  port = proxy.port;
  await allFit();
});

once("reads go to the replicas of each slot's primary, by READONLY", async () => {
  const wire = await Wire.open(port);
  const keys = Array.from({ length: 60 }, (_, i) => `key${i}`);
  await wire.ask("MSET", ...keys.flatMap((key) => [key, `v-${key}`]));
  for (const node of (await cluster.nodes()).filter(({ primary }) => primary)) await caughtUp(node);
  const before = reads(await allFit());
  for (const key of keys) assert.is(await wire.ask("GET", key), bulk(`v-${key}`));
  const all = await wire.ask("MGET", ...keys, "none");
  assert.is(all, `*61\r\n${keys.map((key) => bulk(`v-${key}`)).join("")}$-1\r\n`);
  const after = await rows();
  assert.ok(reads(after) - before >= 60, `${reads(after) - before} reads`);
  assert.ok(after.every(({ reads: n }) => n > 0), "each replica has some");
  assert.is(await wire.ask("SET", "key1", "new"), "+OK\r\n");
});

once("keys of a slot that is on its way are read at the primary, and found", async () => {
  const wire = await Wire.open(port);
  const keys = Array.from({ length: 20 }, (_, i) => `{moving}${i}`);
  await wire.ask("MSET", ...keys.flatMap((key) => [key, "v"]));
  const { slot, owner, others: [other] } = await cluster.whose("{moving}");
  await caughtUp(owner);
  const reader = await Wire.open(port);
  await allFit();
  for (const key of keys) assert.is(await reader.ask("GET", key), bulk("v"));
  await cluster.beginMove(slot, owner, other, []);
  // From the next question on.
  const name = `127.0.0.1:${(await replicaOf(owner)).port}`;
  const count = async () => (await rows()).find((one) => one.name === name)?.reads ?? 0;
  await until("the slot to be read at its primary", async () => {
    const before = await count();
    assert.is(await reader.ask("GET", keys[0]), bulk("v"));
    return await count() === before;
  });
  await cluster.moveKeys(owner, other, keys.slice(0, 10));
  for (let i = 0; i < 3; i++) {
    for (const key of keys) assert.is(await reader.ask("GET", key), bulk("v"), key);
  }
  await cluster.endMove(slot, owner, other);
  for (let i = 0; i < 3; i++) {
    for (const key of keys) assert.is(await reader.ask("GET", key), bulk("v"), key);
  }
  await caughtUp(other);
});

once("a failover: the new primary's replicas are read from, and nobody sees an error", async () => {
  const [first] = (await cluster.nodes()).filter(({ primary }) => primary);
  const replica = await replicaOf(first);
  const wires = await Promise.all([1, 2, 3].map(() => Wire.open(port)));
  await wires[0].ask("SET", "here", "v");
  let going = true;
  let answered = 0;
  const wrong: string[] = [];
  const loops = wires.map(async (wire, i) => {
    while (going) {
      const key = `key${(answered * 7 + i) % 60}`;
      const reply = await wire.ask("GET", key);
      if (!/^\$\d+\r\n(v-key\d+|new)\r\n$/.test(reply)) wrong.push(`${key} ${reply}`);
      answered++;
    }
  });
  await cluster.say(replica.port, "CLUSTER", "FAILOVER");
  await until("the replica to be known as the primary", async () => {
    const all = await rows();
    return all.length === 3 && all.every(({ fit }) => fit) &&
      all.some(({ name }) => name === `127.0.0.1:${first.port}`);
  }, 20_000);
  const before = answered;
  await until("reads to go on", () => answered > before + 100);
  going = false;
  await Promise.all(loops);
  assert.equal(wrong.slice(0, 3), []);
});

test.run();
