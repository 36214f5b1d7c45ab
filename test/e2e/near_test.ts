// The near cache before real servers: whatever happens there, no client sees a value go back, nor its
// own write missing, nor anything old once the servers have had time to tell.
// Needs: redis-server redis-cli

import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  at,
  bulk,
  type Cluster,
  needs,
  type ProxyProcess,
  run,
  runtime,
  type ServerProcess,
  startCluster,
  startProxy,
  startRedis,
  startSentinels,
  until,
  which,
  Wire,
} from "./harness.ts";

const near = needs("redis", "redisCli");
/** What does not differ by runtime, and takes long. */
const once = runtime === "node" ? near : test.skip;
/** Lines of the pool. */
const NEAR = "{prefixes: ['n:'], ttl: 60000, silence: 1500}";

let server: ServerProcess;
let proxy: ProxyProcess;

async function counters(from = proxy): Promise<Record<string, number>> {
  return (await from.stats()).pool;
}

async function redis(...words: string[]): Promise<string> {
  const { stdout } = await run(which("redis-cli"), ["-p", String(server.port), ...words]);
  return stdout.trim();
}

/** Reads until the value comes from the cache. */
async function kept(wire: Wire, key: string, value: string, from = proxy): Promise<void> {
  await until(`${key} to be kept`, async () => {
    const { near_hits } = await counters(from);
    assert.is(await wire.ask("GET", key), bulk(value));
    return (await counters(from)).near_hits > near_hits;
  });
}

/** What the client gets in the end. */
async function comes(wire: Wire, key: string, reply: string): Promise<void> {
  await until(`${key} to be ${reply.trim()}`, async () => await wire.ask("GET", key) === reply);
}

test.before(async () => {
  server = await startRedis();
  proxy = await startProxy({
    pool: { redis: true, near_cache: NEAR, server_connections: 2, servers: [at(server)] },
  });
});

near(
  "writers through and past the proxy, EXPIRE, FLUSHALL, and the connection killed",
  async () => {
    const wire = await Wire.open(proxy.port);
    const other = await Wire.open(proxy.port);
    await other.ask("SET", "n:a", "1");
    await kept(wire, "n:a", "1");
    assert.is(await other.ask("SET", "n:a", "2"), "+OK\r\n");
    assert.is(await other.ask("GET", "n:a"), bulk("2"), "its own write");
    await comes(wire, "n:a", bulk("2"));
    await kept(wire, "n:a", "2");
    await redis("SET", "n:a", "3");
    await comes(wire, "n:a", bulk("3"));
    await kept(wire, "n:a", "3");
    await redis("PEXPIRE", "n:a", "30");
    await comes(wire, "n:a", "$-1\r\n");
    await redis("SET", "n:a", "4", "PX", "300");
    await comes(wire, "n:a", bulk("4"));
    await comes(wire, "n:a", "$-1\r\n");
    await redis("SET", "n:a", "5");
    await kept(wire, "n:a", "5");
    await redis("FLUSHALL");
    await comes(wire, "n:a", "$-1\r\n");
    await wire.ask("SET", "n:a", "6");
    await kept(wire, "n:a", "6");
    // All connections of the proxy's, the one that hears among them.
    const { near_flushes } = await counters();
    await redis("CLIENT", "KILL", "TYPE", "normal");
    await redis("SET", "n:a", "7");
    const again = await Wire.open(proxy.port);
    await until("the new value", async () => await again.ask("GET", "n:a") === bulk("7"));
    assert.ok((await counters()).near_flushes > near_flushes);
    await kept(again, "n:a", "7");
    for (const one of [wire, other, again]) one.close();
  },
);

near("counters that one client raises never go back for anybody", async () => {
  const writer = await Wire.open(proxy.port);
  const readers = await Promise.all(Array.from({ length: 4 }, () => Wire.open(proxy.port)));
  const keys = ["n:c1", "n:c2", "n:c3"];
  for (const key of keys) await writer.ask("SET", key, "0");
  const wrong: string[] = [];
  let ends = false;
  const read = async (wire: Wire): Promise<void> => {
    const seen = new Map<string, number>();
    while (!ends) {
      const asked = Array.from({ length: 8 }, (_, i) => keys[i % keys.length]);
      wire.send(
        asked.map((key) => `*2\r\n$3\r\nGET\r\n$${key.length}\r\n${key}\r\n`).join(""),
      );
      for (const [i, reply] of (await wire.replies(asked.length)).entries()) {
        const value = Number(reply.split("\r\n")[1]);
        const before = seen.get(asked[i]) ?? 0;
        if (!(value >= before)) wrong.push(`${asked[i]}: ${reply.trim()} after ${before}`);
        seen.set(asked[i], value);
      }
    }
  };
  const reading = readers.map(read);
  for (let n = 1; n <= 150; n++) {
    const key = keys[n % keys.length];
    const how = n % 4;
    // In all ways, and what was written is seen by whoever wrote it.
    if (how === 0) await writer.ask("SET", key, n);
    else if (how === 1) await writer.ask("MSET", key, n, "n:other", n);
    else if (how === 2) {
      await writer.ask("EVAL", "return redis.call('SET', KEYS[1], ARGV[1])", 1, key, n);
    } else {
      await writer.ask("MULTI");
      await writer.ask("SET", key, n);
      await writer.ask("EXEC");
    }
    const own = await writer.ask("GET", key);
    if (own !== bulk(String(n))) wrong.push(`its own: ${JSON.stringify(own)} after ${n}`);
  }
  ends = true;
  await Promise.all(reading);
  assert.equal(wrong.slice(0, 3), []);
  assert.ok((await counters()).near_hits > 0);
  for (const wire of [writer, ...readers]) wire.close();
});

once("what the server evicts is not kept", async () => {
  const wire = await Wire.open(proxy.port);
  await wire.ask("SET", "n:old", "x");
  await kept(wire, "n:old", "x");
  await redis("CONFIG", "SET", "maxmemory-policy", "allkeys-random");
  await redis("CONFIG", "SET", "maxmemory", "1");
  // It makes room for what is written; nothing of it can stay.
  await until("the eviction", async () => {
    await redis("SET", "y", "1");
    return await redis("EXISTS", "n:old") === "0";
  });
  await comes(wire, "n:old", "$-1\r\n");
  await redis("CONFIG", "SET", "maxmemory", "0");
  wire.close();
});

once("a server that stands still for longer than silence", async () => {
  const wire = await Wire.open(proxy.port);
  await wire.ask("SET", "n:s", "1");
  await kept(wire, "n:s", "1");
  server.kill("SIGSTOP");
  try {
    await until("all to be forgotten", async () => (await counters()).near_keys === 0);
  } finally {
    server.kill("SIGCONT");
  }
  await redis("SET", "n:s", "2");
  assert.is(await wire.ask("GET", "n:s"), bulk("2"));
  wire.close();
});

once("a server that is killed, and comes back with other values", async () => {
  const wire = await Wire.open(proxy.port);
  await wire.ask("SET", "n:dead", "1");
  await kept(wire, "n:dead", "1");
  server.kill("SIGKILL");
  await server.exited();
  await until("all to be forgotten", async () => (await counters()).near_keys === 0);
  assert.match(await wire.ask("GET", "n:dead"), /^-/);
  server = await startRedis({ port: server.port });
  await redis("SET", "n:dead", "2");
  await until("it to be there", async () => !(await wire.ask("GET", "n:dead")).startsWith("-"));
  assert.is(await wire.ask("GET", "n:dead"), bulk("2"));
  await kept(wire, "n:dead", "2");
  wire.close();
});

once("a Redis Cluster: slots move under clients that write and read", async () => {
  const cluster: Cluster = await startCluster(3, 0);
  const clustered = await startProxy({
    pool: {
      ...{ redis: true, distribution: "cluster", near_cache: NEAR },
      servers: [at(cluster.ports[0])],
    },
  });
  const [writer, reader] = [await Wire.open(clustered.port), await Wire.open(clustered.port)];
  const keys = Array.from({ length: 12 }, (_, i) => `n:{${i}}`);
  for (const key of keys) await writer.ask("SET", key, "0");
  await kept(reader, keys[0], "0", clustered);
  const wrong: string[] = [];
  let ends = false;
  const reading = (async () => {
    const seen = new Map<string, number>();
    while (!ends) {
      for (const key of keys) {
        const reply = await reader.ask("GET", key);
        const value = Number(reply.split("\r\n")[1]);
        const before = seen.get(key) ?? 0;
        if (!(value >= before)) wrong.push(`${key}: ${reply.trim()} after ${before}`);
        seen.set(key, value);
      }
    }
  })();
  const moved = (async () => {
    const nodes = (await cluster.nodes()).filter(({ primary }) => primary);
    for (const [from, to] of [[0, 1], [1, 0]]) {
      await cluster.manage(
        ...["reshard", `127.0.0.1:${cluster.ports[0]}`, "--cluster-from", nodes[from].id],
        ...["--cluster-to", nodes[to].id, "--cluster-slots", "3000", "--cluster-yes"],
      );
    }
  })();
  let over = false;
  moved.then(() => over = true, () => over = true);
  for (let n = 1; !over || n < 50; n++) {
    const key = keys[n % keys.length];
    assert.is(await writer.ask("SET", key, n), "+OK\r\n");
    const own = await writer.ask("GET", key);
    if (own !== bulk(String(n))) wrong.push(`its own: ${JSON.stringify(own)} after ${n}`);
  }
  await moved;
  ends = true;
  await reading;
  assert.equal(wrong.slice(0, 3), []);
});

once("a failover of Sentinel's: what the new primary is told past the proxy is seen", async () => {
  const set = await startSentinels({ shards: ["shard1"], replicas: 1 });
  const { name, servers } = set.shards[0];
  const watched = await startProxy({
    pool: {
      redis: true,
      near_cache: NEAR,
      sentinels: set.ports.map((port) => `127.0.0.1:${port}:1`),
      servers: [at(servers[0], 1, name)],
    },
  });
  const wire = await Wire.open(watched.port);
  for (const [before, after] of [["1", "2"], ["3", "4"]]) {
    assert.is(await wire.ask("SET", "n:a", before), "+OK\r\n");
    await kept(wire, "n:a", before, watched);
    await set.failover(name);
    assert.is(await set.say(await set.primary(name), "SET", "n:a", after), "+OK\r\n");
    await comes(wire, "n:a", bulk(after));
    await kept(wire, "n:a", after, watched);
  }
  wire.close();
  await watched.stop();
});

test.run();
