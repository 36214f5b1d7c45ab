// A check after Jepsen's manner (https://jepsen.io): clients append unique numbers to lists of their own
// while primaries are stopped and killed and slots move. Short here; RINGMUX_ROUNDS=20 goes on longer:
//
//   RINGMUX_ROUNDS=20 node test/run.mjs --runtime node cluster_history
//
// What it checks does not differ by runtime: it runs over one of them.

import * as assert from "uvu/assert";
import * as path from "node:path";
import process from "node:process";
import { test } from "uvu";
import {
  at,
  type Cluster,
  type ClusterNode,
  freePort,
  needs,
  Network,
  type ProxyProcess,
  runtime,
  startCluster,
  startProxy,
  tempPath,
  until,
  US,
  Wire,
} from "./harness.ts";
import { Historian } from "./cluster_history.ts";

const ROUNDS = Number(process.env.RINGMUX_ROUNDS ?? 1);
const CLIENTS = 6;

const historyTest = runtime === "node" ? needs("redis", "redisCli") : test.skip;

async function primaries(cluster: Cluster): Promise<ClusterNode[]> {
  const alive = cluster.servers.filter((server) => !server.gone);
  const nodes = await cluster.nodes(alive[alive.length - 1].port);
  return nodes.filter(({ primary, failed, slots }) => primary && !failed && slots.length > 0);
}

/** A primary that has a replica which can take its place. */
async function withReplica(cluster: Cluster): Promise<ClusterNode | null> {
  for (const node of await primaries(cluster)) {
    const info = await cluster.at(node.port, "INFO", "replication");
    if (/state=online/.test(info)) return node;
  }
  return null;
}

function serverOf(cluster: Cluster, { port }: ClusterNode): Cluster["servers"][number] {
  return cluster.servers.find((server) => server.port === port) as Cluster["servers"][number];
}

async function reshard(cluster: Cluster): Promise<void> {
  const [from, to] = await primaries(cluster);
  await cluster.manage(
    ...["reshard", `127.0.0.1:${from.port}`, "--cluster-from", from.id],
    ...["--cluster-to", to.id, "--cluster-slots", "300", "--cluster-yes"],
  );
}

async function listOf(wire: Wire, { key }: Historian): Promise<number[]> {
  const reply = await wire.ask("LRANGE", key, "0", "-1");
  return reply.split("\r\n").filter((line) => /^\d+$/.test(line)).map(Number);
}

/** All of them have been acknowledged some more. */
async function goOn(historians: readonly Historian[]): Promise<void> {
  const before = historians.map(({ acknowledged }) => acknowledged);
  await until(
    "all to go on",
    () => historians.every(({ acknowledged }, i) => acknowledged > before[i] + 20),
    30_000,
  );
}

/** Another node is the primary of its slots. */
async function replaced(cluster: Cluster, { port }: ClusterNode): Promise<void> {
  await until("another primary", async () => {
    const others = cluster.servers.filter((server) => !server.gone && server.port !== port);
    const nodes = await cluster.nodes(others[0].port);
    return nodes.some((node) => node.port === port && (node.failed || !node.primary)) &&
      nodes.filter(({ primary, failed, slots }) => primary && !failed && slots.length > 0).length >=
        3;
  }, 30_000);
}

historyTest("no acknowledged number is lost, none comes twice, none out of order", async () => {
  const cluster = await startCluster();
  const proxy = await startProxy({
    pool: {
      ...{ redis: true, distribution: "cluster", timeout: 1000 },
      servers: cluster.ports.map((port) => at(port)),
    },
  });
  const historians = await Promise.all(
    Array.from({ length: CLIENTS }, (_, i) => Historian.begin(proxy.port, `history:${i}`)),
  );
  const moreDone = (): Promise<void> => goOn(historians);
  const wire = await Wire.open(proxy.port);
  let mayLose = false;
  for (let round = 0; round < ROUNDS; round++) {
    await moreDone();
    await reshard(cluster);
    await moreDone();
    // Nothing was killed in this round yet: what was there before it was judged, and is there.
    for (const historian of mayLose ? [] : historians) {
      const known = historian.known();
      const list = new Set(await listOf(wire, historian));
      assert.equal(known.filter((n) => !list.has(n)), [], "acknowledged while slots moved");
    }
    const slow = await withReplica(cluster);
    if (slow !== null) {
      // It is stopped, replaced, and comes back as what it was.
      mayLose = true;
      serverOf(cluster, slow).kill("SIGSTOP");
      await replaced(cluster, slow);
      serverOf(cluster, slow).kill("SIGCONT");
      await moreDone();
      await cluster.agreed();
    }
    const victim = await withReplica(cluster);
    if (victim === null || cluster.servers.filter(({ gone }) => !gone).length < 5) continue;
    serverOf(cluster, victim).kill("SIGKILL");
    await serverOf(cluster, victim).exited();
    await replaced(cluster, victim);
    await moreDone();
  }
  for (const historian of historians) await historian.end();
  const wrong: string[] = [];
  for (const historian of historians) {
    const list = await listOf(wire, historian);
    wrong.push(...historian.judgeList(list, mayLose));
    assert.ok(list.length > 20);
  }
  assert.equal(wrong.slice(0, 5), []);
});

/** Six machines, or why there are none. */
const network = historyTest === test.skip ? "" : Network.make(6);
if (typeof network === "string" && network !== "") console.log(`no partitions: ${network}`);
const partitionTest = network instanceof Network ? historyTest : test.skip;

/** Links to servers that a proxy has lost. */
async function lostLinks(proxy: ProxyProcess): Promise<number> {
  const { pool } = await proxy.stats();
  return Object.values(pool).reduce<number>((sum, one) => {
    const { server_err = 0, server_eof = 0, server_timedout = 0 } = one as Record<string, number>;
    return sum + server_err + server_eof + server_timedout;
  }, 0);
}

partitionTest(
  "networks that part: a node without the others, a node without the proxy",
  async () => {
    if (!(network instanceof Network)) return;
    const ports: number[] = [];
    const cluster = await startCluster(3, 1, {
      start: async (args) => {
        const port = await freePort();
        const n = ports.push(port);
        return await network.startRedis(n, port, args, path.dirname(tempPath("dir")));
      },
      hostOf: (port) => network.address(ports.indexOf(port) + 1),
    });
    const proxy = await startProxy({
      pool: {
        ...{ redis: true, distribution: "cluster", timeout: 500, cluster: "{refresh: 500}" },
        servers: ports.map((port) => `${cluster.hostOf(port)}:${port}:1`),
      },
    });
    const historians = await Promise.all(
      Array.from({ length: CLIENTS }, (_, i) => Historian.begin(proxy.port, `history:${i}`)),
    );
    const wire = await Wire.open(proxy.port);
    const judge = async (mayLose: boolean): Promise<void> => {
      for (const historian of historians) {
        const known = historian.known();
        const list = await listOf(wire, historian);
        const there = new Set(list);
        const wrong = historian.judgeList(list, true);
        if (!mayLose) wrong.push(...known.filter((n) => !there.has(n)).map((n) => `${n} is lost`));
        assert.equal(wrong.slice(0, 5), []);
      }
    };
    const numberOf = ({ port }: ClusterNode): number => ports.indexOf(port) + 1;
    const all = ports.map((_, i) => i + 1);
    let mayLose = false;
    for (let round = 0; round < ROUNDS; round++) {
      await goOn(historians);
      // Cut off from the proxy, not from the others: nobody takes its place. What is asked of it waits.
      const far = numberOf((await primaries(cluster))[0]);
      const before = await lostLinks(proxy);
      network.cut(far, [US]);
      await until("a connection to be lost", async () => await lostLinks(proxy) > before);
      network.join(far, [US]);
      await goOn(historians);
      await judge(mayLose);
      // Cut off from the others, not from the proxy: it stops to serve, and another one takes its place.
      const lonely = await withReplica(cluster) as ClusterNode;
      assert.ok(lonely !== null);
      const others = all.filter((n) => n !== numberOf(lonely));
      network.cut(numberOf(lonely), others);
      mayLose = true; // what it acknowledges before it notices
      await replaced(cluster, lonely);
      await goOn(historians);
      network.join(numberOf(lonely), others);
      await cluster.agreed();
      await until("it to follow", async () => {
        const nodes = await cluster.nodes(lonely.port);
        return nodes.some(({ port, primary }) => port === lonely.port && !primary);
      }, 30_000);
      await goOn(historians);
      await judge(mayLose);
    }
    for (const historian of historians) await historian.end();
    for (const historian of historians) {
      const list = await listOf(wire, historian);
      assert.equal(historian.judgeList(list, mayLose), []);
      assert.ok(list.length > 20);
    }
  },
);

test.run();
