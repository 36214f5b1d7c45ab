// What a node of a Redis Cluster says, word for word, and what becomes of the request: two nodes in the
// test's hands, the map as the test tells it. (How it all goes together: proxy/cluster_model_test.ts.)

import { test } from "uvu";
import * as assert from "uvu/assert";
import { bulk, command } from "../fake/fixture.ts";
import { ALL_AT_A, ALL_AT_B, line, Nodes, SLOTS } from "../fake/nodes.ts";

/** replication.c, disconnectAllBlockedClients (blocked.c). */
const UNBLOCKED = "-UNBLOCKED force unblock from blocking operation, instance state changed " +
  "(master -> replica?)\r\n";
test("a demotion frees what blocks: it waits on at the new primary, for the time that is left", async () => {
  const nodes = await Nodes.start(ALL_AT_A);
  const { f, host } = nodes;
  const client = f.client();
  f.say(client, command("BLPOP", "list", "10"));
  host.pass(4000);
  nodes.map = ALL_AT_B;
  const old = nodes.link("a");
  assert.is(nodes.answer("a", UNBLOCKED), command("BLPOP", "list", "10"));
  assert.ok(old.gone, "the server closes it after that: nobody else is to get it");
  nodes.later("-MOVED 7629 10.0.0.1:7102\r\n");
  assert.is(client.received(), "");
  const left = Number(/BLPOP\r\n\$4\r\nlist\r\n\$\d+\r\n([\d.]+)\r\n$/.exec(nodes.take("b"))?.[1]);
  assert.ok(left > 5 && left <= 6, `${left} s`);
});

test("what frees a client that asks for it is the client's", async () => {
  const nodes = await Nodes.start(ALL_AT_A);
  const client = nodes.f.client();
  const own = "-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n";
  nodes.f.say(client, command("BLPOP", "list", "10"));
  nodes.answer("a", own);
  assert.is(client.received(), own);
});

test("XREAD too, and what was pushed meanwhile is answered", async () => {
  const nodes = await Nodes.start(ALL_AT_A);
  const { f } = nodes;
  const client = f.client();
  f.say(client, command("XREAD", "BLOCK", "9000", "STREAMS", "s", "0"));
  nodes.map = ALL_AT_B;
  nodes.answer("a", UNBLOCKED);
  nodes.later(UNBLOCKED);
  assert.match(nodes.answer("b", "*1\r\n$1\r\nx\r\n"), /XREAD.*BLOCK.*8\d\d\d\r\n/s);
  assert.is(client.received(), "*1\r\n$1\r\nx\r\n");
  assert.is(f.watch.requests.size, 0);
});

test("a lost connection: reads are sent again as often as retry says, writes if it says so", async () => {
  const error = (doubt: boolean): string =>
    `-ERR Connection reset by peer${doubt ? "; it may have been carried out" : ""}\r\n`;
  const cases: [string, number, number][] = [
    ["", 1, 0],
    ["retry: {reads: 0}", 0, 0],
    ["retry: {reads: 3}", 3, 0],
    ["retry: {reads: 2, writes: true}", 2, 2],
  ];
  for (const [config, reads, writes] of cases) {
    for (const [words, times] of [[["GET", "k"], reads], [["SET", "k", "v"], writes]] as const) {
      const nodes = await Nodes.start(ALL_AT_A, config === "" ? [] : [config]);
      const client = nodes.f.client();
      nodes.f.say(client, command(...words));
      for (let n = 0; n <= times; n++) {
        assert.is(client.received(), "", `${config}: ${words.join(" ")} after ${n} losses`);
        assert.is(nodes.lose("a"), command(...words));
        nodes.later();
      }
      assert.is(client.received(), error(words[0] === "SET"), `${config} ${words.join(" ")}`);
      assert.is(nodes.take("a") + nodes.take("b"), "");
      assert.is(nodes.f.watch.requests.size, 0);
    }
  }
});

test("EXEC is never sent again, whatever retry says: its client is told that nobody knows", async () => {
  for (const config of [[], ["retry: {reads: 3, writes: true}"]]) {
    const nodes = await Nodes.start(ALL_AT_A, config);
    const client = nodes.f.client();
    const all = command("MULTI") + command("SET", "k", "v") + command("EXEC");
    nodes.f.say(client, all);
    nodes.link("a").send("+OK\r\n+QUEUED\r\n");
    nodes.host.settle();
    assert.is(nodes.lose("a"), all);
    nodes.later();
    assert.is(
      client.received(),
      "+OK\r\n+QUEUED\r\n-ERR Connection reset by peer; it may have been carried out\r\n",
    );
    assert.is(nodes.take("a"), "");
    nodes.f.say(client, command("GET", "k"));
    assert.is(nodes.answer("a", bulk("v")), command("GET", "k"));
    assert.is(client.received(), bulk("v"));
  }
});

test("refused connections and unsent bytes are no losses: they are tried again for `wait` ms", async () => {
  const nodes = await Nodes.start(ALL_AT_A, ["wait: 5000"]);
  const { f, host } = nodes;
  const { onConnect } = host;
  host.onConnect = (socket) => host.later(() => socket.fail("ECONNREFUSED"));
  const client = f.client();
  f.say(client, command("INCR", "k"));
  host.pass(4500);
  assert.is(client.received(), "");
  host.onConnect = onConnect;
  host.pass(400);
  assert.is(nodes.answer("a", ":1\r\n"), command("INCR", "k"));
  assert.is(client.received(), ":1\r\n");
  host.onConnect = (socket) => host.later(() => socket.fail("ECONNREFUSED"));
  for (const socket of host.outgoing) socket.fail("ECONNRESET");
  f.say(client, command("INCR", "k"));
  host.pass(5300);
  assert.is(client.received(), "-CLUSTERDOWN no primary for slot 7629 within 5000 ms\r\n");
});

test("an owner that is to be called by a name and has none (MOVED 1 ?:7102) is in the map", async () => {
  const nodes = await Nodes.start(ALL_AT_A);
  const client = nodes.f.client();
  nodes.f.say(client, command("GET", "k"));
  nodes.map = ALL_AT_B;
  nodes.answer("a", "-MOVED 7629 ?:7102\r\n");
  nodes.later("-MOVED 7629 ?:7102\r\n");
  assert.is(client.received(), "");
  assert.is(nodes.answer("b", bulk("v")), command("GET", "k"));
  assert.is(client.received(), bulk("v"));
});

test("a node is one node, whether it is called by its address or by its name", async () => {
  const named = (n: number, slots: string): string =>
    line(n, slots, n, `10.0.0.1:${7100 + n}@1,node${n}.example`);
  const nodes = await Nodes.start(named(1, SLOTS) + named(2, ""));
  const { f } = nodes;
  const client = f.client();
  f.say(client, command("GET", "k"));
  nodes.answer("a", "-MOVED 7629 node2.example:7102\r\n");
  assert.is(nodes.answer("b", bulk("v")), command("GET", "k"));
  assert.is(client.received(), bulk("v"));
  assert.equal(f.pool.servers.map(({ name }) => name), ["10.0.0.1:7101", "10.0.0.1:7102"]);
});

test("with TLS nodes are spoken to by their names, which certificates are issued to", async () => {
  const named = (n: number, slots: string): string =>
    line(n, slots, n, `10.0.0.1:${7100 + n}@1,node${n}.example,shard-id=x`);
  const cases: [string, string[]][] = [
    ["server_tls: {}", ["node1.example:7101", "node2.example:7102"]],
    ["server_tls: {server_name: all.example}", ["10.0.0.1:7101", "10.0.0.1:7102"]],
    ["server_tls: {insecure: true}", ["10.0.0.1:7101", "10.0.0.1:7102"]],
  ];
  for (const [config, names] of cases) {
    const nodes = await Nodes.start(named(1, SLOTS) + named(2, ""), [config]);
    const { f } = nodes;
    assert.equal(f.pool.servers.map(({ name }) => name), names, config);
    const client = f.client();
    f.say(client, command("GET", "k"));
    // By its address all the same: it is the one that is known.
    nodes.answer("a", "-MOVED 7629 10.0.0.1:7102\r\n");
    assert.is(nodes.answer("b", bulk("v")), command("GET", "k"));
    assert.equal(f.pool.servers.map(({ name }) => name), names, config);
  }
});

test("address_map: where nodes are that call themselves something else, by address or name", async () => {
  for (const place of ["172.17.0.2:6379@1", "172.17.0.9:6379@1,cache2", "[fd00::2]:6379@1"]) {
    const nodes = await Nodes.start(line(1, SLOTS, 1) + line(2, "", 2, place), [
      'cluster: {address_map: {"172.17.0.2:6379": "10.0.0.1:7102", "cache2:6379": ' +
      '"10.0.0.1:7102", "fd00::2:6379": "10.0.0.1:7102"}}',
    ]);
    const { f } = nodes;
    const client = f.client();
    f.say(client, command("GET", "k"));
    nodes.answer("a", `-MOVED 7629 ${place.split(/[@,]/)[0]}\r\n`);
    assert.is(nodes.answer("b", bulk("v")), command("GET", "k"), place);
    assert.equal(f.pool.servers.map(({ name }) => name), ["10.0.0.1:7101", "10.0.0.1:7102"]);
  }
});

test("a client leaves in a transaction that has moved: nobody gets its connection", async () => {
  const nodes = await Nodes.start(ALL_AT_A);
  const { f } = nodes;
  const client = f.client();
  f.say(client, command("MULTI") + command("SET", "k", "v"));
  nodes.answer("a", "+OK\r\n-ASK 7629 10.0.0.1:7102\r\n");
  assert.is(nodes.answer("a", "+OK\r\n"), command("DISCARD"));
  const there = nodes.link("b");
  const asked = command("ASKING") + command("MULTI") + command("SET", "k", "v");
  assert.is(nodes.answer("b", "+OK\r\n+OK\r\n+QUEUED\r\n"), asked);
  client.fail("ECONNRESET");
  nodes.host.settle();
  assert.ok(there.gone, "it is in MULTI");
});

test("MULTI that was lost with all of its transaction is answered OK", async () => {
  const nodes = await Nodes.start(ALL_AT_A);
  const { f } = nodes;
  const client = f.client();
  f.say(client, command("WATCH", "k"));
  nodes.answer("a", "+OK\r\n");
  f.say(client, command("MULTI") + command("SET", "k", "v"));
  nodes.lose("a");
  nodes.later();
  f.say(client, command("EXEC"));
  assert.is(client.received(), "+OK\r\n+OK\r\n+QUEUED\r\n*-1\r\n");
});

test("keys that are all missing in a slot on its way: they wait until it is one node's", async () => {
  const nodes = await Nodes.start(ALL_AT_A);
  const { f } = nodes;
  const client = f.client();
  f.say(client, command("MSET", "{k}1", "v", "{k}2", "v"));
  for (let n = 0; n < 8; n++) {
    nodes.answer("a", "-ASK 7629 10.0.0.1:7102\r\n");
    nodes.answer("b", "+OK\r\n-TRYAGAIN Multiple keys request during rehashing of slot\r\n");
    assert.is(client.received(), "");
    nodes.later();
  }
  nodes.answer("a", "-MOVED 7629 10.0.0.1:7102\r\n");
  nodes.answer("b", "+OK\r\n");
  assert.is(client.received(), "+OK\r\n");
});

test("what is refused behind one that waits waits too: it does not overtake", async () => {
  const nodes = await Nodes.start(ALL_AT_A);
  const { f } = nodes;
  const client = f.client();
  const [script, set] = [command("EVAL", "x", "1", "k"), command("SET", "k", "v")];
  f.say(client, script + set);
  // A script may say anything: it does not lead to a node that nobody else has told of.
  nodes.answer("a", "-MOVED 7629 10.0.0.3:7103\r\n-MOVED 7629 10.0.0.1:7102\r\n");
  assert.is(nodes.take("b"), "");
  nodes.later();
  assert.is(nodes.take("b"), script + set);
});

test("one that waited and is tried again is not overtaken by what is refused meanwhile", async () => {
  const nodes = await Nodes.start(ALL_AT_A);
  const { f, host } = nodes;
  const client = f.client();
  const [script, set] = [command("EVAL", "x", "1", "k"), command("SET", "k", "v")];
  f.say(client, script + set);
  assert.is(nodes.answer("a", "-MOVED 7629 10.0.0.3:7103\r\n"), script + set);
  host.pass(30); // it is on its way again, behind the other one, which is not answered yet
  assert.is(nodes.answer("a", "-MOVED 7629 10.0.0.1:7102\r\n"), script);
  host.pass(30);
  assert.is(nodes.take("b"), "", "the other one waits until the script is answered");
  for (const socket of host.outgoing) {
    if (!socket.gone && socket.remote.endsWith(":7101")) socket.send("-MOVED 7629 :7102\r\n");
  }
  nodes.later();
  assert.is(nodes.take("b"), script + set);
});

test("what another worker was told of the map counts, and need not be asked for again", async () => {
  const nodes = await Nodes.start(ALL_AT_A, ["cluster: {refresh: 1000}"]);
  const { f, host } = nodes;
  const topology = f.pool.cluster?.topology;
  const before = topology?.refreshes;
  const from = { host: "10.0.0.1", port: 7101, path: "", mode: -1 };
  for (let ms = 0; ms < 10_000; ms += 900) {
    f.proxy.heardMap({ pool: "p", from, reply: bulk(ALL_AT_B) });
    host.pass(900);
  }
  assert.is(topology?.refreshes, before);
  const client = f.client();
  f.say(client, command("GET", "k"));
  assert.is(nodes.answer("b", bulk("v")), command("GET", "k"));
  // Of another cluster, whose configuration that worker has still; or of nothing.
  f.proxy.heardMap({ pool: "p", from: { ...from, port: 9999 }, reply: bulk(ALL_AT_A) });
  f.proxy.heardMap({ pool: "p", from, reply: "-LOADING\r\n" });
  f.proxy.heardMap({ pool: "q", from, reply: bulk(ALL_AT_A) });
  f.say(client, command("GET", "k"));
  assert.is(nodes.answer("b", bulk("v")), command("GET", "k"));
  host.pass(1500);
  assert.is.not(topology?.refreshes, before, "it asks when nobody tells");
});

test.run();
