// What people and their tools are told of a Redis Cluster behind a pool: whose the slots are, what is
// redirected and waits, failovers and their time, what is not served. Over real nodes; the admin address
// is the same on all runtimes (admin_test.ts), the topology is core's.
// Needs: redis-server redis-tools
// Runtimes: node

import * as fs from "node:fs";
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  at,
  type Cluster,
  cmd,
  command,
  freePort,
  type ProxyProcess,
  run,
  startCluster,
  startProxy,
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

async function proxyWith(args: string[]): Promise<ProxyProcess> {
  const port = await freePort();
  admin = `http://127.0.0.1:${port}`;
  return await startProxy({
    pool: {
      ...{ redis: true, distribution: "cluster", wait: 30000, cluster: "{refresh: 300}" },
      servers: cluster.ports.map((one) => at(one)),
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

test("redirections are counted while slots move, and the map is looked at because of them", async () => {
  const [from, to] = (await cluster.nodes()).filter(({ slots }) => slots.length > 0);
  await cluster.manage(
    ...["reshard", placeOf(from.port), "--cluster-from", from.id],
    ...["--cluster-to", to.id, "--cluster-slots", "20", "--cluster-yes"],
  );
  const wire = await Wire.open(proxy.port);
  const keys = Array.from({ length: 3000 }, (_, i) => `key${i}`);
  wire.send(keys.map((key) => cmd("SET", key, "x")).join(""));
  for (const reply of await wire.replies(keys.length)) assert.is(reply, "+OK\r\n");
  wire.close();
  assert.ok(await metric("moved_total") > 0);
  await until("a look", async () => (await ring()).topology.look.why === "MOVED");
  await until("the slots", async () => {
    const { nodes } = (await ring()).topology;
    return nodes.find(({ name }: Json) => name === placeOf(to.port)).slots === 5461 + 20 ||
      nodes.find(({ name }: Json) => name === placeOf(to.port)).slots === 5462 + 20;
  });
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

const check = async () => {
  const [program, first] = command();
  return await run(program, [...first, "-t", "--ask-servers", "-c", proxy.confPath]);
};

test("slots without an owner: /readyz, the metric and -t --ask-servers tell them", async () => {
  assert.is((await get("/readyz?covered")).status, 200);
  const good = await check();
  assert.is(good.code, 0, good.stderr);
  assert.match(good.stderr, /pool "pool": all 16384 slots are served by 3 primaries, as 127/);
  const living = cluster.servers.filter((server) => !server.gone);
  const lost = ["12182", "12183", "12185"];
  // What one has forgotten others may tell it again: until all have.
  await until("all to have forgotten", async () => {
    const left = await Promise.all(living.map(async ({ port }) => {
      if ((await cluster.at(port, "CLUSTER", "INFO")).includes("slots_assigned:16381")) {
        return false;
      }
      await cluster.at(port, "CLUSTER", "DELSLOTS", ...lost).catch(() => {});
      return true;
    }));
    return !left.includes(true);
  }, 20_000);
  const bad = await check();
  assert.is(bad.code, 1);
  assert.match(
    bad.stderr,
    /pool "pool": 16381 of 16384 slots are served .*: 3 have no owner \(12182-12183 12185\)/,
  );
  await until("the proxy to see it", async () => await metric("ownerless_slots") === 3);
  assert.is((await get("/readyz?covered")).status, 503);
  assert.is((await get("/readyz")).json.pools[0].cluster.covered, 16381);
  const blind = proxy.confPath.replace(/[^/]*$/, "blind.yml");
  const nobody = (await freePort()).toString();
  fs.writeFileSync(
    blind,
    fs.readFileSync(proxy.confPath, "utf8").replace(/127\.0\.0\.1:\d+:1/g, (_, i) => {
      return `127.0.0.1:${nobody}:1 n${i}`;
    }),
  );
  const [program, first] = command();
  const none = await run(program, [...first, "-t", "--ask-servers", "-c", blind]);
  assert.is(none.code, 1);
  assert.match(none.stderr, /no node tells who has the slots: .*Connection refused/);
  const holder = (await cluster.nodes()).find(({ slots }) => slots.length > 0) as { port: number };
  await cluster.at(holder.port, "CLUSTER", "ADDSLOTS", ...lost);
  await cluster.agreed();
  await until("the proxy to see it", async () => await metric("ownerless_slots") === 0);
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
