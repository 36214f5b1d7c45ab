// Clients with their own default settings over a Redis Cluster: plain ones, which see one Redis, also
// while slots move; and those for clusters, which see a cluster of one node (act_as_node). The proxy does
// the same for them whatever it runs on, which cluster_test.ts and cluster_node_test.ts show.
// Needs: redis-server redis-tools python3-redis
// Runtimes: node

import { ClusterBatch, GlideClusterClient } from "@valkey/valkey-glide";
import { type Job, Queue, QueueEvents, Worker } from "bullmq";
import { Cluster as IoCluster, Redis } from "ioredis";
import { createCluster } from "redis";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { at, type Cluster, type ProxyProcess, startCluster, startProxy } from "./harness.ts";
import { glideTour, ioredisTour, names, nodeRedisTour } from "./client_tours.ts";
import { script, tour } from "./languages.ts";

const PYTHON = "/usr/bin/python3";

let cluster: Cluster;
let proxy: ProxyProcess;

async function begin(): Promise<void> {
  cluster = await startCluster(3, 0);
  const pool = {
    ...{ redis: true, distribution: "cluster" },
    servers: cluster.ports.slice(0, 2).map((port) => at(port)),
  };
  proxy = await startProxy({
    plain: pool,
    node: { ...pool, cluster: "{act_as_node: true}" },
  });
}

test.before(() =>
  begin().catch((error) => {
    console.log(error); // uvu keeps it to itself
    throw error;
  })
);

/** Moves slots to and fro for as long as `work` takes. */
async function whileSlotsMove<T>(work: () => Promise<T>): Promise<T> {
  let done = false;
  const result = work().finally(() => done = true);
  const moves = (async () => {
    for (let round = 0; !done || round === 0; round++) {
      const [a, b] = (await cluster.nodes()).filter(({ slots }) => slots.length > 0);
      const [from, to] = round % 2 === 0 ? [a, b] : [b, a];
      await cluster.manage(
        ...["reshard", `127.0.0.1:${from.port}`, "--cluster-from", from.id],
        ...["--cluster-to", to.id, "--cluster-slots", "50", "--cluster-yes"],
      );
    }
  })();
  await Promise.all([result, moves]);
  return await result;
}

test("ioredis: many keys, pipelines, transactions, scripts, blocking, publish", () => {
  return ioredisTour(proxy.ports.plain);
});

test("node-redis: many keys, transactions, WATCH, SCAN", () => nodeRedisTour(proxy.ports.plain));

test("redis-py", () => tour(PYTHON, script("redis_py.py"), proxy.ports.plain, 3, "cluster"));

test("valkey-glide: many keys, batches, scripts", () => glideTour(proxy.ports.plain));

test("BullMQ works on while its slot moves", async () => {
  const settings = { connection: { host: "127.0.0.1", port: proxy.ports.plain }, prefix: "{bull}" };
  const queue = new Queue("moving", settings);
  const events = new QueueEvents("moving", settings);
  const worker = new Worker("moving", ({ data }: Job) => Promise.resolve(data.n * 2), {
    ...settings,
    concurrency: 5,
  });
  const errors: string[] = [];
  const failed = ({ message }: Error): unknown => errors.push(message);
  queue.on("error", failed);
  events.on("error", failed);
  worker.on("error", failed);
  queue.setMaxListeners(100);
  try {
    await Promise.all([events.waitUntilReady(), worker.waitUntilReady()]);
    const results: number[] = [];
    for (let round = 0; round < 2; round++) {
      const jobs = await queue.addBulk(
        Array.from({ length: 50 }, (_, n) => ({ name: "double", data: { n } })),
      );
      const done = Promise.all(jobs.map((job) => job.waitUntilFinished(events)));
      await moveSlotOf("{bull}");
      results.push(...await done);
    }
    assert.equal(results, Array.from({ length: 100 }, (_, i) => (i % 50) * 2));
    assert.equal(errors, []);
    assert.is(await queue.getFailedCount(), 0);
  } finally {
    await Promise.all([worker.close(), queue.close(), events.close()]);
  }
});

/** Moves the slot of a key, with all that is in it, to another node. */
async function moveSlotOf(key: string): Promise<void> {
  const { slot, owner, others: [other] } = await cluster.whose(key);
  await cluster.beginMove(slot, owner, other, []);
  await cluster.endMove(slot, owner, other);
}

// ------------------------------------------------------------------------- clients for clusters

test("ioredis' Redis.Cluster, with act_as_node", async () => {
  const client = new IoCluster([{ host: "127.0.0.1", port: proxy.ports.node }]);
  try {
    const keys = names("ioc");
    await Promise.all(keys.map((key) => client.set(key, key)));
    assert.equal(await Promise.all(keys.map((key) => client.get(key))), keys);
    assert.is(client.nodes("master").length, 1);
    assert.equal(await client.multi().set("{ioc}a", "1").incr("{ioc}a").exec(), [
      [null, "OK"],
      [null, 2],
    ]);
    await whileSlotsMove(async () => {
      for (let i = 0; i < 20; i++) {
        await Promise.all(keys.map((key) => client.incr(`${key}:n`)));
      }
    });
    assert.equal(
      await Promise.all(keys.map((key) => client.get(`${key}:n`))),
      keys.map(() => "20"),
    );
  } finally {
    client.disconnect();
  }
});

test("node-redis' createCluster, with act_as_node", async () => {
  const client = createCluster({ rootNodes: [{ url: `redis://127.0.0.1:${proxy.ports.node}` }] });
  await client.connect();
  try {
    const keys = names("nrc");
    await Promise.all(keys.map((key) => client.set(key, key)));
    assert.equal(await Promise.all(keys.map((key) => client.get(key))), keys);
    assert.is(client.masters.length, 1);
    const counted = await client.multi().set("{nrc}a", "1").incr("{nrc}a").exec();
    assert.equal(counted.map(String), ["OK", "2"]);
  } finally {
    client.destroy();
  }
});

test("redis-py's RedisCluster, with act_as_node", () => {
  return tour(PYTHON, script("redis_py_cluster.py"), proxy.ports.node);
});

test("GlideClusterClient, with act_as_node", async () => {
  const addresses = [{ host: "127.0.0.1", port: proxy.ports.node }];
  const client = await GlideClusterClient.createClient({ addresses, requestTimeout: 10_000 });
  try {
    const keys = names("glc");
    assert.is(await client.mset(Object.fromEntries(keys.map((key) => [key, key]))), "OK");
    assert.equal(await client.mget(keys), keys);
    const atomic = new ClusterBatch(true).set("{glc}a", "1").incr("{glc}a");
    assert.equal(await client.exec(atomic, true), ["OK", 2]);
    const loose = new ClusterBatch(false);
    for (const key of keys) loose.get(key);
    assert.equal(await client.exec(loose, true), keys);
  } finally {
    client.close();
  }
});

test("keys of a slot are counted and named over all nodes, also while it moves", async () => {
  const client = new Redis({ port: proxy.ports.node, host: "127.0.0.1" });
  try {
    const keys = names("{count}", 20);
    await client.mset(Object.fromEntries(keys.map((key) => [key, key])));
    const slot = Number(await client.call("CLUSTER", "KEYSLOT", "{count}"));
    assert.is(await client.call("CLUSTER", "COUNTKEYSINSLOT", slot), 20);
    assert.equal(
      (await client.call("CLUSTER", "GETKEYSINSLOT", slot, 100) as string[]).sort(),
      [...keys].sort(),
    );
    await moveSlotOf("{count}");
    assert.is(await client.call("CLUSTER", "COUNTKEYSINSLOT", slot), 20);
  } finally {
    client.disconnect();
  }
});

test.run();
