// What people and their tools are told of a Redis Cluster behind a pool: whose the slots are, what is
// redirected and waits, failovers and their time, what is not served. Over real nodes; the admin address
// is the same on all runtimes (admin_test.ts), the topology is core's.
// Needs: redis-server redis-tools
// Runtimes: node

import * as fs from "node:fs";
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  array,
  at,
  bulk,
  type Cluster,
  cmd,
  command,
  freePort,
  type ProxyProcess,
  run,
  startCluster,
  startProxy,
  startRedis,
  tempPath,
  toYaml,
  until,
  Wire,
} from "./harness.ts";

// deno-lint-ignore no-explicit-any
type Json = any;

let cluster: Cluster;
let proxy: ProxyProcess;
let admin = "";

async function begin(): Promise<void> {
  cluster = await startCluster();
  proxy = await proxyWith([]);
}

test.before(() =>
  begin().catch((error) => {
    console.log(error); // uvu keeps it to itself
    throw error;
  })
);

async function proxyWith(args: string[], nodes = cluster.ports): Promise<ProxyProcess> {
  const port = await freePort();
  admin = `http://127.0.0.1:${port}`;
  return await startProxy({
    pool: {
      ...{ redis: true, distribution: "cluster", wait: 30000, cluster: "{refresh: 300}" },
      servers: nodes.map((one) => at(one)),
    },
  }, { admin: `127.0.0.1:${port}`, args });
}

async function get(path: string): Promise<{ status: number; text: string; json: Json }> {
  const reply = await fetch(`${admin}${path}`);
  const text = await reply.text();
  const isJson = reply.headers.get("content-type")?.includes("json") ?? false;
  return { status: reply.status, text, json: isJson ? JSON.parse(text) : null };
}

async function ring(key = ""): Promise<Json> {
  return (await get(`/ring?key=${key}`)).json[0];
}

/** A metric of the pool. */
async function metric(name: string): Promise<number> {
  const { text } = await get("/metrics");
  return Number(new RegExp(`^ringmux_pool_${name}\\{pool="pool"\\} (\\S+)$`, "m").exec(text)?.[1]);
}

const placeOf = (port: number): string => `127.0.0.1:${port}`;

async function cli(...words: string[]): Promise<string> {
  const living = cluster.servers.find((server) => !server.gone) as { port: number };
  return await cluster.at(living.port, ...words);
}

test("the ring tells nodes, roles, epochs, and whose a key's slot is", async () => {
  const nodes = await cluster.nodes();
  const { topology, slot, owner, servers } = await ring("foo");
  assert.is(slot, Number(await cli("CLUSTER", "KEYSLOT", "foo")));
  const holder = nodes.find(({ slots }) =>
    slots.some((range) => {
      const [first, last = first] = range.split("-").map(Number);
      return slot >= first && slot <= last;
    })
  );
  assert.is(owner, placeOf(holder?.port ?? 0));
  assert.is(topology.ownerless + topology.unreachable, 0);
  for (const { port, id, primary, of, slots } of nodes) {
    const seen = topology.nodes.find(({ name }: Json) => name === placeOf(port));
    assert.is(seen.id, id);
    assert.is(seen.role, primary ? "primary" : "replica");
    const above = nodes.find((one) => one.id === of);
    assert.is(seen.of, above === undefined ? "" : placeOf(above.port));
    if (primary) {
      assert.is(servers.find(({ name }: Json) => name === placeOf(port)).slots, slots.join(" "));
    }
  }
  assert.ok(topology.look.at > 0 && topology.look.why !== "");
  const epochs = (await cli("CLUSTER", "NODES")).split("\n").map((line) =>
    Number(line.split(" ")[6])
  );
  assert.is(topology.epoch, Math.max(...epochs));
});

test("what the nodes say themselves is there too", async () => {
  const ids = (await cluster.nodes()).map(({ id }) => id).sort();
  const nodes = await get("/cluster");
  assert.equal(nodes.text.trim().split("\n").map((line) => line.split(" ")[0]).sort(), ids);
  assert.match((await get("/cluster?what=info")).text, "cluster_state:ok");
  const slots = (await get("/cluster?what=slots")).json;
  assert.is(slots.reduce((sum: number, [a, b]: number[]) => sum + b - a + 1, 0), 16384);
  const shards = (await get("/cluster?pool=pool&what=shards")).json;
  assert.is(shards.length, 3);
});

test("redirections are counted while a slot moves, and the map is looked at because of them", async () => {
  const wire = await Wire.open(proxy.port);
  const { slot, owner, others: [other] } = await cluster.whose("{t}");
  assert.is(await wire.ask("MSET", "{t}a", "1", "{t}b", "2"), "+OK\r\n");
  await cluster.beginMove(slot, owner, other, ["{t}a"]);
  assert.is(await wire.ask("GET", "{t}a"), bulk("1"));
  assert.ok(await metric("ask_total") > 0);
  wire.send(cmd("MGET", "{t}a", "{t}b"));
  await until("it to be refused", async () => await metric("tryagain_total") > 0);
  await cluster.endMove(slot, owner, other);
  assert.equal(await wire.replies(1), [array("1", "2")]);
  // The map may be looked at just before the next request: then once more, the other way.
  for (
    let [from, to] = [other, owner];
    await metric("moved_total") === 0;
    [from, to] = [to, from]
  ) {
    assert.is(await wire.ask("GET", "{t}b"), bulk("2"));
    await cluster.beginMove(slot, from, to, []);
    await cluster.endMove(slot, from, to);
  }
  const place = placeOf((await cluster.whose("{t}")).owner.port);
  await until("the owner", async () => (await ring("{t}")).owner === place);
  wire.close();
});

test("with several workers it is the same, and the supervisor tells it", async () => {
  const first = admin;
  const several = await proxyWith(["--workers", "2"]);
  await until(
    "it to be ready",
    async () => (await get("/readyz")).json?.pools[0]?.cluster !== undefined,
  );
  assert.is((await ring("foo")).slot, 12182);
  assert.match((await get("/cluster?what=info")).text, "cluster_state:ok");
  assert.is(await metric("primaries"), 3);
  await several.stop();
  admin = first;
});

test("a failover by hand is told: who, what, and that nobody had trouble", async () => {
  const nodes = await cluster.nodes();
  const replica = nodes.find(({ primary }) => !primary) as typeof nodes[number];
  const primary = nodes.find(({ id }) => id === replica.of) as typeof nodes[number];
  await cluster.at(replica.port, "CLUSTER", "FAILOVER");
  await until("it to be seen", async () => await metric("failovers_total") === 1, 20_000);
  const [told] = (await ring()).topology.failovers;
  assert.equal([told.from, told.to], [placeOf(primary.port), placeOf(replica.port)]);
  assert.match(told.what, /^\d+ slots$/);
  assert.match(
    proxy.output(),
    `failover: ${told.to} has taken over ${told.what} from ${told.from}`,
  );
  await cluster.agreed();
});

test("slots without an owner: /readyz, the metric and -t --ask-servers tell them", async () => {
  const lone = await startRedis({
    args: [
      ...["--cluster-enabled", "yes", "--cluster-port", String(await freePort())],
      ...["--cluster-config-file", tempPath("nodes.conf")],
    ],
  });
  await cluster.at(lone.port, "CLUSTER", "ADDSLOTSRANGE", "0", "12181", "12184", "16383");
  const [program, first] = command();
  const check = (port: number) => {
    const file = tempPath("conf.yml");
    const pool = { listen: "127.0.0.1:1", redis: true, distribution: "cluster" };
    fs.writeFileSync(file, toYaml({ pool: { ...pool, servers: [at(port)] } }));
    return run(program, [...first, "-t", "--ask-servers", "-c", file]);
  };
  const before = admin;
  const starting = proxyWith([], [lone.port]);
  const ports = [cluster.ports[0], lone.port, await freePort()];
  const [good, bad, none] = await Promise.all(ports.map(check));
  const partial = await starting;
  assert.is(good.code, 0, good.stderr);
  assert.match(good.stderr, /pool "pool": all 16384 slots are served by 3 primaries, as 127/);
  assert.is(bad.code, 1);
  const found = /pool "pool": 16382 of 16384 slots are served .*: 2 have no owner \(12182-12183\)/;
  assert.match(bad.stderr, found);
  assert.is(none.code, 1);
  assert.match(none.stderr, /no node tells who has the slots: .*Connection refused/);

  assert.is(await metric("ownerless_slots"), 2);
  assert.is((await get("/readyz")).status, 200);
  assert.is((await get("/readyz?covered")).status, 503);
  assert.is((await get("/readyz")).json.pools[0].cluster.covered, 16382);
  assert.is((await ring("foo")).owner, null);
  await partial.stop();
  admin = before;
  assert.is((await get("/readyz?covered")).status, 200);
});

test("a primary that is killed: what waited, and how long it took", async () => {
  const nodes = await cluster.nodes();
  const victim = nodes.find(({ primary, slots, id }) =>
    primary && slots.length > 0 && nodes.some(({ of }) => of === id)
  ) as typeof nodes[number];
  const before = await metric("failovers_total");
  const server = cluster.servers.find(({ port }) => port === victim.port);
  server?.kill("SIGKILL");
  await server?.exited();
  const wire = await Wire.open(proxy.port);
  const keys = Array.from({ length: 100 }, (_, i) => `dead${i}`);
  wire.send(keys.map((key) => cmd("GET", key)).join(""));
  await until("some to wait", async () => await metric("parked_requests") > 0);
  assert.equal(await wire.replies(keys.length), keys.map(() => "$-1\r\n"));
  assert.is(await metric("parked_requests"), 0);
  assert.ok(await metric("parked_total") > 0);
  assert.is(await metric("parked_in_vain_total"), 0);
  await until("it to be seen", async () => await metric("failovers_total") === before + 1);
  const [told] = (await ring()).topology.failovers;
  assert.is(told.from, placeOf(victim.port));
  assert.ok(told.ms > 0);
  assert.ok(Math.abs(await metric("failover_seconds_total") - told.ms / 1000) < 1);
  assert.is(await metric("failed_nodes"), 1);
});

test.run();
