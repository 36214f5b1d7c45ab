// Where the nodes of a real Redis Cluster are, how they are spoken to, and which of them are known:
// IPv6, other places than they tell (address_map), TLS and host names, a user of the nodes' (ACL);
// users with prefixes and workers in front; nodes that leave, those of the configuration among them;
// slots without an owner. Core does it, and what differs by runtime (sockets, TLS, workers) has tests
// of its own: over one of them only.
// Needs: redis-server redis-cli openssl
// Runtimes: node

import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  bulk,
  type Cluster,
  type ClusterNode,
  cmd,
  freePort,
  type PoolSpec,
  type ProxyOptions,
  type ProxyProcess,
  startCluster,
  startProxy,
  tempPath,
  until,
  Wire,
} from "./harness.ts";
import { knowingClients } from "./cluster_load.ts";

let cluster: Cluster;

test.before(async () => {
  cluster = await startCluster(3, 0, { host: "::1" }).catch((error) => {
    console.log(error); // uvu keeps it to itself
    throw error;
  });
});

/** A proxy with an admin address, that is told of the first node unless it is told otherwise. */
async function proxyOf(
  spec: PoolSpec = {},
  options: ProxyOptions = {},
): Promise<ProxyProcess & { admin: string }> {
  const admin = `127.0.0.1:${await freePort()}`;
  const servers = [`"[::1]:${cluster.ports[0]}:1"`];
  const pool = { redis: true, distribution: "cluster", servers, ...spec };
  return Object.assign(await startProxy({ pool }, { admin, ...options }), { admin });
}

/** The nodes with slots that a proxy knows. */
async function known({ admin }: { admin: string }): Promise<string[]> {
  const [{ servers }] = await (await fetch(`http://${admin}/ring`)).json();
  return servers.map(({ name }: { name: string }) => name).sort();
}

/** Keys of all slots are written and read. */
async function works(wire: Wire, prefix: string): Promise<void> {
  const keys = Array.from({ length: 100 }, (_, i) => `${prefix}${i}`);
  wire.send(keys.map((key) => cmd("SET", key, key) + cmd("GET", key)).join(""));
  const replies = await wire.replies(200);
  assert.equal(replies, keys.flatMap((key) => ["+OK\r\n", bulk(key)]));
}

/** A key's slot goes to another node, and back again. */
async function moved(key: string, meanwhile: (to: ClusterNode) => Promise<void>): Promise<void> {
  const { slot, owner, others: [to] } = await cluster.whose(key);
  await cluster.beginMove(slot, owner, to, []);
  await cluster.endMove(slot, owner, to);
  await meanwhile(to);
  await cluster.beginMove(slot, to, owner, []);
  await cluster.endMove(slot, to, owner);
}

test("nodes on IPv6", async () => {
  const proxy = await proxyOf();
  const wire = await Wire.open(proxy.port);
  await works(wire, "six:");
  await moved("six:1", async () => {
    assert.is(await wire.ask("GET", "six:1"), bulk("six:1"));
  });
  await works(wire, "six:");
  assert.equal(await known(proxy), cluster.ports.map((port) => `::1:${port}`).sort());
});

test("address_map: nodes are where it says, not where they say, also by MOVED and ASK", async () => {
  const pairs = cluster.ports.map((port) => `"::1:${port}": "127.0.0.1:${port}"`);
  const proxy = await proxyOf({ cluster: `{address_map: {${pairs.join(", ")}}}` });
  const wire = await Wire.open(proxy.port);
  await works(wire, "map:");
  await moved("map:1", async () => {
    assert.is(await wire.ask("GET", "map:1"), bulk("map:1"));
  });
  const { slot, owner, others: [to] } = await cluster.whose("map:2");
  await cluster.beginMove(slot, owner, to, ["map:2"]);
  assert.is(await wire.ask("GET", "map:2"), bulk("map:2"));
  await cluster.endMove(slot, owner, to);
  assert.is(await wire.ask("GET", "map:2"), bulk("map:2"));
  assert.equal(await known(proxy), cluster.ports.map((port) => `127.0.0.1:${port}`).sort());
});

test("a user with prefixes, and slots that move", async () => {
  const proxy = await proxyOf({
    auth: "{users: {alice: {password: secret, prefixes: ['a:']}}}",
  });
  const wire = await Wire.open(proxy.port);
  assert.is(await wire.ask("AUTH", "alice", "secret"), "+OK\r\n");
  await works(wire, "a:");
  await moved("a:1", async () => {
    assert.is(await wire.ask("GET", "a:1"), bulk("a:1"));
    wire.send(cmd("MULTI") + cmd("INCR", "a:n") + cmd("GET", "b:1") + cmd("EXEC"));
    assert.match((await wire.replies(4))[3], /^-EXECABORT/);
  });
  assert.match(await wire.ask("MGET", "a:1", "b:1"), /^-NOPERM/);
  assert.match(await wire.ask("GET", "b:1"), /^-NOPERM/);
});

test("two workers: both have the map, also when it changes", async () => {
  const proxy = await proxyOf({ cluster: "{refresh: 300}" }, { args: ["--workers", "2"] });
  const wires: Wire[] = [];
  for (let i = 0; i < 8; i++) wires.push(await Wire.open(proxy.port));
  for (const wire of wires) await works(wire, "w:");
  await moved("w:1", async () => {
    for (const wire of wires) assert.is(await wire.ask("GET", "w:1"), bulk("w:1"));
  });
});

test("all nodes of the configuration are gone: it goes on with those it has learned of", async () => {
  const only = await cluster.add();
  const proxy = await proxyOf({ servers: [`"[::1]:${only.port}:1"`], cluster: "{refresh: 200}" });
  const wire = await Wire.open(proxy.port);
  await works(wire, "learned:");
  const server = cluster.servers.find(({ port }) => port === only.port);
  await server?.stop("SIGKILL");
  for (const { port, gone } of cluster.servers) {
    if (!gone) await cluster.say(port, "CLUSTER", "FORGET", only.id);
  }
  cluster.servers.pop();
  await works(wire, "learned:");
  await moved("learned:1", () => works(wire, "learned:"));
  // A reload too, of something that has nothing to do with it.
  const text = fs.readFileSync(proxy.confPath, "utf8");
  fs.writeFileSync(
    proxy.confPath,
    text.replace("  redis: true\n", "  redis: true\n  wait: 5000\n"),
  );
  proxy.kill("SIGUSR2");
  await until("the reload", () => proxy.output().includes("configuration reloaded"));
  await works(wire, "learned:");
  await moved("learned:2", async () => await works(await Wire.open(proxy.port), "learned:"));
  const left = cluster.ports.map((port) => `::1:${port}`).sort().join();
  await until("it to know the others only", async () => (await known(proxy)).join() === left);
});

test("a node leaves under load: its slots go to others, it is forgotten and ends", async () => {
  const proxy = await proxyOf({ cluster: "{refresh: 200}" });
  const leaving = await cluster.add();
  const [from] = (await cluster.nodes()).filter(({ port }) => port === cluster.ports[0]);
  const reshard = async (a: ClusterNode, b: ClusterNode): Promise<void> => {
    await cluster.manage(
      ...["reshard", `::1:${cluster.ports[0]}`, "--cluster-from", a.id, "--cluster-to", b.id],
      ...["--cluster-slots", "200", "--cluster-yes"],
    );
  };
  await reshard(from, leaving);
  const clients = await knowingClients(proxy.port, 4);
  for (const client of clients) client.begin();
  await until("all to be answered", () => clients.every(({ answered }) => answered > 200));
  await until("the proxy to know it", async () => (await known(proxy)).length === 4);
  await reshard(leaving, from);
  // Redis 7.0 makes it a replica of the node that has its slots now.
  for (const { port } of cluster.servers) {
    if (port !== leaving.port) await cluster.say(port, "CLUSTER", "FORGET", leaving.id);
  }
  const server = cluster.servers.pop();
  // What is on its way there is answered, by MOVED: nobody knows its slots there any more.
  await until("the proxy to forget it", async () => (await known(proxy)).length === 3);
  await server?.stop("SIGTERM");
  const before = clients.map(({ answered }) => answered);
  await until("all to go on", () => clients.every(({ answered }, i) => answered > before[i] + 200));
  for (const client of clients) await client.stop();
  assert.equal(clients.flatMap(({ wrong }) => wrong).slice(0, 3), []);
});

test("a slot without an owner stops all (full coverage), or itself only", async () => {
  const proxy = await proxyOf({ wait: 20_000 });
  const [wire, other] = [await Wire.open(proxy.port), await Wire.open(proxy.port)];
  const { slot, owner, others } = await cluster.whose("{gap}");
  const rest = "{rest}";
  assert.is.not((await cluster.whose(rest)).slot, slot);
  const every = async (...words: string[]): Promise<void> => {
    for (const { port } of [owner, ...others]) await cluster.say(port, ...words);
  };
  for (const coverage of ["yes", "no"]) {
    await every("CONFIG", "SET", "cluster-require-full-coverage", coverage);
    await every("CLUSTER", "DELSLOTS", String(slot));
    const isDown = async ({ port }: ClusterNode): Promise<boolean> =>
      (await cluster.say(port, "CLUSTER", "INFO")).includes("cluster_state:fail");
    if (coverage === "yes") await until("the cluster to be down", () => isDown(owner));
    const waits = wire.ask("SET", "{gap}", coverage);
    const also = other.ask("SET", rest, coverage);
    if (coverage === "no") assert.is(await also, "+OK\r\n");
    // Both wait until there is an owner (again).
    await until("it to wait", async () => (await proxy.stats()).pool.parked_now > 0);
    await every("CLUSTER", "BUMPEPOCH");
    await cluster.say(owner.port, "CLUSTER", "ADDSLOTS", String(slot));
    assert.is(await waits, "+OK\r\n");
    assert.is(await also, "+OK\r\n");
    assert.is(await wire.ask("GET", "{gap}"), bulk(coverage));
    await cluster.agreed();
  }
});

test("TLS towards nodes that announce their names, with a user of their own", async () => {
  const folder = tempPath("certificate");
  fs.mkdirSync(folder);
  const [cert, key] = [`${folder}/node.pem`, `${folder}/node.key`];
  // Issued to a name only: an address would be refused.
  execFileSync("openssl", [
    ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"],
    ...["-keyout", key, "-out", cert, "-days", "2", "-subj", "/CN=nodes"],
    ...["-addext", "subjectAltName=DNS:localhost"],
  ], { stdio: "ignore" });
  const secure = await startCluster(3, 0, {
    args: (port) => [
      ...["--port", "0", "--tls-port", String(port), "--tls-cluster", "yes"],
      ...["--tls-cert-file", cert, "--tls-key-file", key, "--tls-ca-cert-file", cert],
      ...["--tls-auth-clients", "no", "--cluster-announce-hostname", "localhost"],
      ...["--cluster-preferred-endpoint-type", "hostname", "--requirepass", "admin"],
      ...["--user", "proxy", "on", ">secret", "~*", "&*", "+@all", "-@dangerous", "+cluster|nodes"],
    ],
    cli: ["--tls", "--cacert", cert, "--pass", "admin", "--no-auth-warning"],
  });
  const proxy = await proxyOf({
    servers: [`localhost:${secure.ports[0]}:1`],
    ...{ redis_auth: "secret", redis_user: "proxy", server_tls: `{ca: ${cert}}` },
  });
  const wire = await Wire.open(proxy.port);
  assert.is(await wire.ask("AUTH", "secret"), "+OK\r\n");
  await works(wire, "tls:");
  const [from, to] = await secure.nodes();
  await secure.manage(
    ...["reshard", `127.0.0.1:${from.port}`, "--cluster-from", from.id, "--cluster-to", to.id],
    ...["--cluster-slots", "300", "--cluster-yes"],
  );
  await works(wire, "tls:");
  assert.equal(await known(proxy), secure.ports.map((port) => `localhost:${port}`).sort());
  for (const server of secure.servers) server.kill("SIGTERM");
});

test.run();
