// A pool over a real Redis Cluster: what works in it, and that nobody notices when slots move,
// primaries change or die.

import * as assert from "uvu/assert";
import { test } from "uvu";
import {
  array,
  at,
  bulk,
  type Cluster,
  type ClusterNode,
  cmd,
  needs,
  type ProxyProcess,
  readPage,
  scanAll,
  startCluster,
  startProxy,
  until,
  Wire,
} from "./harness.ts";
import { type KnowingClient, knowingClients } from "./cluster_load.ts";

const clusterTest = needs("redis", "redisCli");

let cluster: Cluster;

/** A proxy that is told of `n` nodes only. */
function proxyOf(
  { ports }: Cluster,
  n = 1,
  more: Record<string, string> = {},
): Promise<ProxyProcess> {
  return startProxy({
    pool: {
      redis: true,
      distribution: "cluster",
      servers: ports.slice(0, n).map((port) => at(port)),
      ...more,
    },
  });
}

/** Walks over all keys again and again: what each walk does not see, or sees and is not there. */
async function scanning(
  proxy: ProxyProcess,
  meanwhile: () => Promise<void>,
): Promise<{ missed: string[]; invented: string[]; walks: number }> {
  const wire = await Wire.open(proxy.port);
  const keys = Array.from({ length: 1000 }, (_, i) => `scan:${i}`);
  await wire.ask("MSET", ...keys.flatMap((key) => [key, "x"]));
  const found = { missed: [] as string[], invented: [] as string[], walks: 0 };
  let isOver = false;
  const walking = (async () => {
    for (; !isOver; found.walks++) {
      const seen = new Set(await scanAll(wire, "MATCH", "scan:*", "COUNT", "10"));
      found.missed.push(...keys.filter((key) => !seen.has(key)));
      found.invented.push(...[...seen].filter((key) => !keys.includes(key)));
    }
  })();
  await meanwhile();
  isOver = true;
  await walking;
  return found;
}

async function loaded(
  proxy: ProxyProcess,
  meanwhile: (clients: KnowingClient[]) => Promise<void>,
): Promise<KnowingClient[]> {
  const clients = await knowingClients(proxy.port, 6);
  for (const client of clients) client.begin();
  await until("all to be answered", () => clients.every(({ answered }) => answered > 200));
  await meanwhile(clients);
  const before = clients.map(({ answered }) => answered);
  await until("all to go on", () => clients.every(({ answered }, i) => answered > before[i] + 200));
  for (const client of clients) await client.stop();
  return clients;
}

function nothingWrong(clients: KnowingClient[]): void {
  assert.equal(clients.flatMap(({ wrong }) => wrong).slice(0, 3), []);
}

test.before(async () => {
  cluster = await startCluster().catch((error) => {
    console.log(error); // uvu keeps it to itself
    throw error;
  });
});

clusterTest(
  "keys of all slots are found, and requests of several keys are put together",
  async () => {
    const proxy = await proxyOf(cluster);
    const wire = await Wire.open(proxy.port);
    assert.is(await wire.ask("FLUSHALL"), "+OK\r\n");
    const keys = Array.from({ length: 200 }, (_, i) => `key${i}`);
    assert.is(await wire.ask("MSET", ...keys.flatMap((key) => [key, `v-${key}`])), "+OK\r\n");
    for (const key of keys) assert.is(await wire.ask("GET", key), bulk(`v-${key}`));
    assert.is(
      await wire.ask("MGET", ...keys, "none"),
      array(...keys.map((key) => `v-${key}`), null),
    );
    assert.is(await wire.ask("DBSIZE"), ":200\r\n");
    const nodes = (await cluster.nodes()).filter(({ primary }) => primary);
    const sizes = await Promise.all(nodes.map(({ port }) => cluster.at(port, "DBSIZE")));
    assert.ok(sizes.every((size) => Number(/\d+/.exec(size)?.[0]) > 0), "each primary has some");
    const seen = new Set(await scanAll(wire, "COUNT", "20"));
    assert.equal([...seen].sort(), [...keys].sort());
    const all = readPage(`*2\r\n$1\r\n0\r\n${await wire.ask("KEYS", "key*")}`).keys;
    assert.equal(all.sort(), [...keys].sort());
    assert.ok(keys.includes((await wire.ask("RANDOMKEY")).split("\r\n")[1]));
    assert.match(await wire.ask("INFO", "keyspace"), /db0:keys=200,/);
    assert.is(await wire.ask("DEL", ...keys, "none"), ":200\r\n");
    assert.is(await wire.ask("DBSIZE"), ":0\r\n");
  },
);

clusterTest("what a cluster does not have is told in its own words", async () => {
  const proxy = await proxyOf(cluster);
  const wire = await Wire.open(proxy.port);
  assert.is(await wire.ask("SELECT", "1"), "-ERR SELECT is not allowed in cluster mode\r\n");
  assert.is(await wire.ask("SELECT", "0"), "+OK\r\n");
  assert.match(await wire.ask("RENAME", "a", "b"), /^-CROSSSLOT/);
  assert.is(await wire.ask("MSET", "{t}a", "1", "{t}b", "2"), "+OK\r\n");
  assert.is(await wire.ask("RENAME", "{t}a", "{t}c"), "+OK\r\n");
  assert.is(
    await wire.ask("EVAL", "return redis.call('get', KEYS[1])", "1", "{t}c"),
    bulk("1"),
  );
});

clusterTest("transactions, WATCH and blocking commands on one slot's primary", async () => {
  const proxy = await proxyOf(cluster);
  const wire = await Wire.open(proxy.port);
  await wire.ask("DEL", "{t}n", "{t}list");
  assert.is(await wire.ask("WATCH", "{t}n"), "+OK\r\n");
  assert.is(await wire.ask("MULTI"), "+OK\r\n");
  assert.is(await wire.ask("INCR", "{t}n"), "+QUEUED\r\n");
  assert.is(await wire.ask("INCR", "{t}n"), "+QUEUED\r\n");
  assert.is(await wire.ask("EXEC"), "*2\r\n:1\r\n:2\r\n");
  const other = await Wire.open(proxy.port);
  const popped = wire.ask("BLPOP", "{t}list", "10");
  assert.is(await other.ask("RPUSH", "{t}list", "x"), ":1\r\n");
  assert.is(await popped, array("{t}list", "x"));
});

clusterTest("what is published is heard once, by channel and by pattern", async () => {
  const proxy = await proxyOf(cluster);
  const hearer = await Wire.open(proxy.port);
  await hearer.ask("SUBSCRIBE", "news");
  await hearer.ask("PSUBSCRIBE", "n*");
  const wire = await Wire.open(proxy.port);
  await wire.ask("PUBLISH", "news", "one");
  await wire.ask("PUBLISH", "news", "two");
  const heard = await hearer.replies(4);
  const sorted = [...heard].sort();
  assert.equal(
    sorted,
    [
      array("message", "news", "one"),
      array("message", "news", "two"),
      array("pmessage", "n*", "news", "one"),
      array("pmessage", "n*", "news", "two"),
    ].sort(),
  );
});

clusterTest("3,000 slots move under load, and nobody sees it", async () => {
  const proxy = await proxyOf(cluster, 2);
  const nodes = (await cluster.nodes()).filter(({ primary, slots }) => primary && slots.length > 0);
  const [from, to] = nodes;
  const clients = await loaded(proxy, async () => {
    const found = await scanning(proxy, async () => {
      await cluster.manage(
        ...["reshard", `127.0.0.1:${from.port}`, "--cluster-from", from.id],
        ...["--cluster-to", to.id, "--cluster-slots", "3000", "--cluster-yes"],
      );
    });
    assert.equal({ ...found, walks: found.walks > 0 }, { missed: [], invented: [], walks: true });
  });
  nothingWrong(clients);
});

clusterTest("a failover by hand under load: no error", async () => {
  const proxy = await proxyOf(cluster, 2);
  const nodes = await cluster.nodes();
  const replica = nodes.find(({ primary }) => !primary) as ClusterNode;
  // A client that blocks there is told UNBLOCKED by the old primary, and waits on at the new one.
  const list = await keyAt(nodes.find(({ id }) => id === replica.of) as ClusterNode);
  const wire = await Wire.open(proxy.port);
  wire.send(cmd("BLPOP", list, "60"));
  const clients = await loaded(proxy, async () => {
    const found = await scanning(proxy, async () => {
      await cluster.at(replica.port, "CLUSTER", "FAILOVER");
      await until(
        "the replica to be the primary",
        async () =>
          (await cluster.nodes()).some(({ port, primary }) => primary && port === replica.port),
        30_000,
      );
    });
    assert.equal({ ...found, walks: found.walks > 0 }, { missed: [], invented: [], walks: true });
  });
  nothingWrong(clients);
  assert.is(await (await Wire.open(proxy.port)).ask("RPUSH", list, "x"), ":1\r\n");
  assert.is(await wire.reply(), array(list, "x"));
});

/** A key of one of a node's slots. */
async function keyAt({ port, slots }: ClusterNode): Promise<string> {
  const ranges = slots.map((range) => range.split("-").map(Number));
  for (let i = 0;; i++) {
    const slot = Number(await cluster.at(port, "CLUSTER", "KEYSLOT", `k${i}`));
    if (ranges.some(([first, last = first]) => slot >= first && slot <= last)) return `k${i}`;
  }
}

/** Most looks at the map between the cluster's serving a slot again and ours: some 100 ms each. */
const LOOKS = 6;

clusterTest("a primary is killed: served again as soon as the cluster has another", async () => {
  const proxy = await proxyOf(cluster, 6);
  const wire = await Wire.open(proxy.port);
  const nodes = await cluster.nodes();
  const victim = nodes.find(({ primary, slots, id }) =>
    primary && slots.length > 0 && nodes.some(({ of }) => of === id)
  );
  assert.ok(victim);
  const heir = nodes.find(({ of }) => of === victim.id) as ClusterNode;
  const key = await keyAt(victim);
  assert.is(await wire.ask("SET", key, "before"), "+OK\r\n");
  await until(
    "the replica to have it",
    async () => /connected_slaves:[1-9]/.test(await cluster.at(victim.port, "INFO", "replication")),
  );
  // A subscriber at that node, by channel, shard channel and pattern.
  const hearer = await Wire.open(proxy.port);
  const shard = await Wire.open(proxy.port);
  await hearer.ask("SUBSCRIBE", key);
  await hearer.ask("PSUBSCRIBE", `${key}*`);
  await shard.ask("SSUBSCRIBE", key);
  const killed = cluster.servers.find(({ port }) => port === victim.port);
  killed?.kill("SIGKILL");
  await killed?.exited();
  // It waits in the proxy until the cluster has another primary, and hardly longer.
  wire.send(cmd("SET", key, "after"));
  await until(
    "a client of the replica itself to be served",
    async () => (await cluster.say(heir.port, "SET", `{${key}}direct`, "x")) === "+OK\r\n",
    30_000,
  );
  const { refreshes } = (await proxy.stats()).pool;
  assert.is(await wire.reply(), "+OK\r\n");
  const looks = (await proxy.stats()).pool.refreshes - refreshes;
  assert.ok(looks <= LOOKS, `${looks} looks at the map`);
  await cluster.agreed();
  assert.is(await wire.ask("GET", key), bulk("after"));
  await until("channel and pattern to be heard again", async () => {
    await wire.ask("PUBLISH", key, "probe");
    const heard = hearer.peek().toString("latin1");
    return heard.includes("pmessage") && heard.includes("$7\r\nmessage");
  });
  await wire.ask("PUBLISH", key, "hello");
  const last: string[] = [];
  for (let n = 0; n < 2;) {
    const [message] = await hearer.replies(1);
    if (!message.includes("hello")) continue;
    last.push(message);
    n++;
  }
  assert.equal(last.sort(), [
    array("message", key, "hello"),
    array("pmessage", `${key}*`, key, "hello"),
  ]);
  await until("the shard channel to be heard again", async () => {
    return (await wire.ask("SPUBLISH", key, "hi")) === ":1\r\n";
  });
  assert.equal(await shard.replies(1), [array("smessage", key, "hi")]);
});

test.run();
