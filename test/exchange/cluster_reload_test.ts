// A reload of a Redis Cluster's pool: nodes of the same cluster, or of another one; and what becomes of
// requests that wait, or are on their way, meanwhile. Two clusters are never taken for one.

import { test } from "uvu";
import * as assert from "uvu/assert";
import { bulk, command } from "../fake/fixture.ts";
import { ALL_AT_A, ALL_AT_B, line, Nodes, SLOTS } from "../fake/nodes.ts";

const GET = command("GET", "k");
const SET = command("SET", "k", "v");
const CLUSTER = ["distribution: cluster"];
/** Another cluster: c has all slots, at a lower epoch than those of the first have. */
const OTHER = line(3, SLOTS, 1) + line(4, "", 0);
const FIRST = line(1, SLOTS, 7) + line(2, "", 8);

async function start(config: string[] = []): Promise<Nodes> {
  const nodes = await Nodes.start(FIRST, config);
  nodes.maps.set("c", OTHER).set("d", OTHER);
  return nodes;
}

/** The pool's servers are these from now on. `refusal`: what node a is asked meanwhile it refuses. */
async function reload(
  nodes: Nodes,
  servers: string[],
  config: string[] = [],
  refusal = "",
): Promise<void> {
  await nodes.f.reload({ servers, config: [...CLUSTER, ...config] });
  await settled(nodes, refusal);
}

/** Time goes by, and what waits for a promise goes on. */
async function settled(nodes: Nodes, refusal = ""): Promise<void> {
  for (let i = 0; i < 3; i++) {
    nodes.later(refusal);
    await Promise.resolve();
  }
}

function ask(nodes: Nodes, from: string, value: string): void {
  const client = nodes.f.client();
  nodes.f.say(client, GET);
  assert.is(nodes.answer(from, bulk(value)), GET);
  assert.is(client.received(), bulk(value));
}

test("other nodes of the same cluster: nothing changes, all are known", async () => {
  const nodes = await start();
  const client = nodes.f.client();
  nodes.f.say(client, GET);
  const link = nodes.link("a");
  await reload(nodes, ["b"]);
  assert.is(nodes.answer("a", bulk("1")), GET);
  nodes.f.say(client, GET);
  assert.is(nodes.link("a"), link, "over the same connection");
  assert.is(nodes.answer("a", bulk("2")), GET);
  assert.is(client.received(), bulk("1") + bulk("2"));
  // One that nobody has named, but that is of it.
  nodes.maps.set("c", FIRST);
  await reload(nodes, ["c"]);
  nodes.f.say(client, GET);
  assert.is(nodes.link("a"), link);
});

test("nodes of another cluster: it goes over to that", async () => {
  const nodes = await start();
  const client = nodes.f.client();
  nodes.f.say(client, GET);
  await reload(nodes, ["c", "d"]);
  assert.match(nodes.f.logged.join("\n"), "10.0.0.1:7103 is of another cluster than before");
  // What is on its way is answered by the old ones, and the first reply is the first.
  nodes.f.say(client, SET);
  assert.is(nodes.answer("a", bulk("old")), GET);
  assert.is(nodes.answer("c", "+OK\r\n"), SET);
  assert.is(client.received(), `${bulk("old")}+OK\r\n`);
  ask(nodes, "c", "new");
  nodes.host.pass(20_000);
  assert.equal(nodes.f.pool.servers.map(({ name }) => name), ["10.0.0.1:7103", "10.0.0.1:7104"]);
  assert.equal([nodes.f.connections("a").length, nodes.f.connections("b").length], [0, 0]);
  // And back.
  await reload(nodes, ["a"]);
  ask(nodes, "a", "old");
});

test("what an old node refuses or loses after that goes to the new ones, wherever it says", async () => {
  for (const what of ["-MOVED 7629 10.0.0.1:7102\r\n", "-ASK 7629 10.0.0.1:7102\r\n", "lost"]) {
    const nodes = await start();
    const client = nodes.f.client();
    nodes.f.say(client, GET);
    await reload(nodes, ["c"]);
    assert.is(what === "lost" ? nodes.lose("a") : nodes.answer("a", what), GET);
    nodes.later();
    assert.is(nodes.take("b"), "", what);
    assert.is(nodes.answer("c", bulk("new")), GET, what);
    assert.is(client.received(), bulk("new"), what);
    ask(nodes, "c", "again");
    assert.is(nodes.f.watch.requests.size, 0);
  }
});

test("what waits goes on waiting, for the time that is left, and goes where its key is then", async () => {
  const down = "-CLUSTERDOWN Hash slot not served\r\n";
  for (const [servers, from] of [[["b"], "a"], [["c"], "c"]] as const) {
    const nodes = await start();
    const client = nodes.f.client();
    nodes.f.say(client, SET);
    assert.is(nodes.answer("a", down), SET);
    assert.is(nodes.f.pool.cluster?.lot.waiting, 1);
    await reload(nodes, [...servers], [], down);
    nodes.later();
    assert.is(nodes.answer(from, "+OK\r\n"), SET);
    assert.is(client.received(), "+OK\r\n");
  }
  const nodes = await start();
  const client = nodes.f.client();
  nodes.f.say(client, SET);
  nodes.answer("a", down);
  await reload(nodes, ["b"], ["wait: 200"], down);
  assert.is(client.received(), "-CLUSTERDOWN no primary for slot 7629 within 200 ms\r\n");
});

test("servers that do not answer: it goes on with the nodes that it knows, until they do", async () => {
  const nodes = await start();
  const { onConnect } = nodes.host;
  nodes.host.onConnect = (socket, address) =>
    address.port === 7103
      ? nodes.host.later(() => socket.fail("ECONNREFUSED"))
      : onConnect(socket, address);
  await reload(nodes, ["c"], ["cluster: {refresh: 500}"]);
  ask(nodes, "a", "old");
  nodes.host.onConnect = onConnect;
  nodes.host.pass(3000);
  await settled(nodes);
  ask(nodes, "c", "new");
});

test("a node of the configuration that is another cluster's by now is not listened to", async () => {
  const nodes = await start(["cluster: {refresh: 500}"]);
  nodes.maps.set("b", OTHER);
  nodes.map = ALL_AT_A;
  nodes.host.pass(10_000);
  assert.match(nodes.f.logged.join("\n"), "10.0.0.1:7102: it is a node of another cluster");
  ask(nodes, "a", "v");
  // Nor is what another worker was told by it.
  const from = { host: "10.0.0.1", port: 7102, path: "", mode: -1 };
  nodes.f.proxy.heardMap({ pool: "p", from, reply: bulk(OTHER) });
  ask(nodes, "a", "v");
});

test("a cluster that was made anew where it was is followed", async () => {
  const nodes = await start(["cluster: {refresh: 500}"]);
  const place = (n: number): string => `10.0.0.1:${7100 + n}@1`;
  nodes.map = line(11, "", 0, place(1)) + line(12, SLOTS, 1, place(2));
  nodes.host.pass(10_000);
  ask(nodes, "b", "new");
  nodes.map = ALL_AT_B;
});

test.run();
