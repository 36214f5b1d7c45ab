// Clients with their own default settings over shards that Sentinels watch over: they see one Redis, also
// while primaries change. The proxy does the same for them whatever it runs on, which sentinel_test.ts
// shows.
// Needs: redis-server python3-redis
// Runtimes: node

import { GlideClient } from "@valkey/valkey-glide";
import { type Job, Queue, Worker } from "bullmq";
import { Redis } from "ioredis";
import { createClient } from "redis";
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  at,
  bulk,
  type ProxyProcess,
  type SentinelSet,
  startProxy,
  startSentinels,
  until,
  Wire,
} from "./harness.ts";
import { glideTour, ioredisTour, names, nodeRedisTour } from "./client_tours.ts";
import { script, tour } from "./languages.ts";

const PYTHON = "/usr/bin/python3";

let set: SentinelSet;
let proxy: ProxyProcess;

async function begin(): Promise<void> {
  set = await startSentinels({ sentinels: 1, quorum: 1 });
  proxy = await startProxy({
    pool: {
      ...{ redis: true, hash_tag: '"{}"', wait: 15_000 },
      sentinels: set.ports.map((port) => `127.0.0.1:${port}:1`),
      servers: set.shards.map(({ name, servers }) => at(servers[0], 1, name)),
    },
  });
}

test.before(() =>
  begin().catch((error) => {
    console.log(error); // uvu keeps it to itself
    throw error;
  })
);

test("ioredis", () => ioredisTour(proxy.port));
test("node-redis", () => nodeRedisTour(proxy.port));
test("redis-py", () => tour(PYTHON, script("redis_py.py"), proxy.port, 2));
test("valkey-glide", () => glideTour(proxy.port));

/** Does something again and again, until it is to stop. */
class Work {
  rounds = 0;
  isOver = false;
  private readonly done: Promise<void>;

  constructor(round: () => Promise<void>) {
    this.done = this.run(round);
    this.done.catch(() => this.isOver = true);
  }

  private async run(round: () => Promise<void>): Promise<void> {
    while (!this.isOver) {
      await round();
      this.rounds++;
    }
  }

  async stop(): Promise<void> {
    this.isOver = true;
    await this.done;
  }
}

/** What a failover has lost shows as a count that goes back; one too high is somebody else's. */
function counts(last: Map<string, number>, keys: string[], replies: number[]): void {
  for (const [i, key] of keys.entries()) {
    const before = last.get(key) ?? 0;
    assert.ok(replies[i] <= before + 1, `${key}: ${replies[i]} after ${before}`);
    last.set(key, replies[i]);
  }
}

test("all of them see no error while primaries change", async () => {
  const { port } = proxy;
  const ioredis = new Redis({ port, host: "127.0.0.1" });
  const nodeRedis = createClient({ url: `redis://127.0.0.1:${port}` });
  // Its requests may take 250 ms unless it is told otherwise: less than any failover takes.
  const addresses = [{ host: "127.0.0.1", port }];
  const glide = await GlideClient.createClient({ addresses, requestTimeout: 15_000 });
  const connection = { host: "127.0.0.1", port };
  const queue = new Queue("failover", { connection, prefix: "{bull}" });
  const worker = new Worker("failover", ({ data }: Job) => Promise.resolve(data.n), {
    ...{ connection, prefix: "{bull}", concurrency: 5 },
  });
  const errors: string[] = [];
  const failed = ({ message }: Error): unknown => errors.push(message);
  ioredis.on("error", failed);
  nodeRedis.on("error", failed);
  queue.on("error", failed);
  worker.on("error", failed);
  await Promise.all([nodeRedis.connect(), worker.waitUntilReady()]);
  const wire = await Wire.open(port);
  const python = tour(PYTHON, script("redis_py_counts.py"), port);
  python.catch(() => {}); // it is heard of below
  const [ioCounts, nodeCounts, glideCounts] = [1, 2, 3].map(() => new Map<string, number>());
  const work = [
    new Work(async () => {
      const pipe = ioredis.pipeline();
      for (const key of names("ion")) pipe.incr(key);
      const replies = await pipe.exec() ?? [];
      assert.equal(replies.filter(([error]) => error !== null), []);
      counts(ioCounts, names("ion"), replies.map(([, count]) => count as number));
      const [[, a], [, b]] = await ioredis.multi().incr("{ion}a").incr("{ion}b").exec() ?? [];
      assert.is(a, b);
    }),
    new Work(async () => {
      const keys = names("nrn");
      const replies = await Promise.all(keys.map((key) => nodeRedis.incr(key)));
      counts(nodeCounts, keys, replies.map(Number));
      const [a, b] = await nodeRedis.multi().incr("{nrn}a").incr("{nrn}b").exec();
      assert.is(Number(a), Number(b));
    }),
    new Work(async () => {
      const keys = names("gln", 20);
      counts(glideCounts, keys, await Promise.all(keys.map((key) => glide.incr(key))));
    }),
    new Work(async () => {
      await queue.addBulk(Array.from({ length: 10 }, (_, n) => ({ name: "job", data: { n } })));
      await until("the jobs to be done", async () => {
        const { waiting, active } = await queue.getJobCounts("waiting", "active");
        return waiting + active === 0;
      });
    }),
  ];
  try {
    const rounds = async (): Promise<number[]> => {
      const python = /\d+/.exec((await wire.ask("GET", "pyn:rounds")).split("\r\n")[1] ?? "")?.[0];
      return [...work.map((one) => one.rounds), Number(python ?? 0)];
    };
    const more = async (): Promise<void> => {
      const before = await rounds();
      await until("all to go on", async () => {
        if (work.some(({ isOver }) => isOver)) return true;
        return (await rounds()).every((n, i) => n >= before[i] + 3);
      }, 30_000);
    };
    await more();
    for (const { name } of set.shards) {
      await set.failover(name);
      await more();
    }
    await Promise.all(work.map((one) => one.stop()));
    assert.is(await wire.ask("SET", "pyn:stop", "1"), "+OK\r\n");
    await python;
    assert.equal(errors, []);
    assert.is(await queue.getFailedCount(), 0);
    assert.is(await wire.ask("GET", "pyn:stop"), bulk("1"));
  } finally {
    await Promise.all([worker.close(), queue.close()]);
    ioredis.disconnect();
    nodeRedis.destroy();
    glide.close();
    wire.close();
  }
});

test.run();
