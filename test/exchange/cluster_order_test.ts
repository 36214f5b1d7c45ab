// What a client has sent for one slot is carried out in its order, also where the answers of a node to
// one pipeline differ: for clients of the pool, and for those of a front whose target it is.

import { test } from "uvu";
import * as assert from "uvu/assert";
import { bytes } from "../../core/bytes.ts";
import type { FakeSocket } from "../fake/fake_host.ts";
import { bulk, command, PORT } from "../fake/fixture.ts";
import { ALL_AT_A, line, Nodes, SLOTS } from "../fake/nodes.ts";

const FRONT_PORT = PORT + 100;
const FRONT = `front:\n  listen: 127.0.0.1:${FRONT_PORT}\n  redis: true\n  routes: {default: p}\n`;
const [first, second, third] = ["1", "2", "3"].map((value) => command("SET", "k", value));
const moved = (to: string): string => `-MOVED 7629 10.0.0.1:710${"abc".indexOf(to) + 1}\r\n`;

/** The same for a client of the pool, and for one of a front. */
function both(name: string, check: (nodes: Nodes, client: FakeSocket) => void): void {
  for (const [whose, port] of [["the pool", PORT], ["a front", FRONT_PORT]] as const) {
    test(`${name}: a client of ${whose}`, async () => {
      const nodes = await Nodes.start(ALL_AT_A + line(3, "", 3), [], { more: FRONT });
      check(nodes, nodes.host.client(port));
      assert.is(nodes.f.watch.requests.size, 0);
    });
  }
}

/** A node says something more over the connection that `socket` is. */
function say(nodes: Nodes, socket: FakeSocket, reply: string): void {
  socket.send(reply);
  nodes.host.settle();
}

both("a node that says b, then c: what goes to c waits for what is at b", (nodes, client) => {
  nodes.f.say(client, first + second + third);
  const a = nodes.link("a");
  assert.is(nodes.answer("a", moved("b")), first + second + third);
  say(nodes, a, moved("c") + moved("c"));
  nodes.later();
  assert.is(nodes.take("c"), "");
  // Now they go together, in their order.
  assert.is(nodes.answer("b", moved("c")), first);
  nodes.later();
  assert.is(nodes.answer("c", "+1\r\n+2\r\n+3\r\n"), first + second + third);
  assert.is(client.received(), "+1\r\n+2\r\n+3\r\n");
});

both("what a node refuses alike goes on at once, one behind the other", (nodes, client) => {
  nodes.f.say(client, first + second);
  assert.is(nodes.answer("a", moved("b") + moved("b")), first + second);
  assert.is(nodes.answer("b", "+1\r\n+2\r\n"), first + second);
  // Once more, though the slot has changed hands before.
  nodes.f.say(client, first + second);
  assert.is(nodes.answer("b", moved("c") + moved("c")), first + second);
  assert.is(nodes.answer("c", "+1\r\n+2\r\n"), first + second);
  assert.is(client.received(), "+1\r\n+2\r\n+1\r\n+2\r\n");
});

both("what is redirected behind one that waits waits too", (nodes, client) => {
  const many = command("RENAME", "{k}1", "{k}2");
  nodes.f.say(client, many + first);
  const again = "-TRYAGAIN Multiple keys request during rehashing of slot\r\n";
  assert.is(nodes.answer("a", again + moved("b")), many + first);
  assert.is(nodes.take("b"), "", "it does not overtake");
  nodes.later();
  assert.is(nodes.answer("b", "+OK\r\n+1\r\n"), many + first);
  assert.is(client.received(), "+OK\r\n+1\r\n");
});

test("a read of several keys behind a write of them that waits is not done key by key", async () => {
  const nodes = await Nodes.start(ALL_AT_A);
  const client = nodes.f.client();
  const write = command("MSET", "{k}1", "v", "{k}2", "v");
  const read = command("MGET", "{k}1", "{k}2");
  nodes.f.say(client, write + read);
  const again = "-TRYAGAIN Multiple keys request during rehashing of slot\r\n";
  assert.is(nodes.answer("a", again + again), write + read);
  assert.is(nodes.take("a"), "");
  nodes.later();
  assert.is(nodes.answer("a", `+OK\r\n*2\r\n${bulk("v")}${bulk("v")}`), write + read);
  assert.is(client.received(), `+OK\r\n*2\r\n${bulk("v")}${bulk("v")}`);
});

both(
  "a request is redirected as often as it has to be, if it has waited in between",
  (nodes, client) => {
    nodes.f.say(client, first);
    const nobody = "-CLUSTERDOWN The cluster is down\r\n";
    for (let n = 0; n < 8; n++) {
      assert.is(nodes.answer("a", "-ASK 7629 10.0.0.1:7102\r\n"), first, `time ${n}`);
      assert.is(nodes.answer("b", `+OK\r\n${nobody}`), command("ASKING") + first);
      nodes.later();
    }
    assert.is(nodes.answer("a", "+1\r\n"), first);
    assert.is(client.received(), "+1\r\n");
  },
);

test("a node that sends to itself is connected to anew: somebody else answers there by now", async () => {
  const nodes = await Nodes.start(ALL_AT_A);
  const client = nodes.f.client();
  const before = nodes.f.attempts("a");
  nodes.f.say(client, first + second);
  const old = nodes.link("a");
  assert.is(nodes.answer("a", moved("a") + moved("a")), first + second);
  nodes.host.pass(50);
  assert.is.not(nodes.link("a"), old);
  assert.is(nodes.f.attempts("a"), before + 1);
  // The same again: not at once, or it would be connected to all the time.
  for (let n = 0; n < 5; n++) {
    nodes.answer("a", moved("a") + moved("a"));
    nodes.host.pass(100);
  }
  assert.is(nodes.f.attempts("a"), before + 1);
  assert.is(nodes.answer("a", "+1\r\n+2\r\n"), first + second);
  assert.is(client.received(), "+1\r\n+2\r\n");
});

test("the map is asked for soon: of whom MOVED names, and when a connection is lost or refuses", async () => {
  const nodes = await Nodes.start(ALL_AT_A, ["cluster: {refresh: 60000}"]);
  const client = nodes.f.client();
  const asks = (): string => nodes.asked.splice(0).join("");
  nodes.host.pass(1000);
  asks();
  nodes.f.say(client, first);
  nodes.answer("a", moved("b"));
  nodes.host.pass(200);
  assert.match(asks(), /^b/);
  nodes.answer("b", "+1\r\n");
  nodes.f.say(client, first);
  nodes.lose("b");
  nodes.host.pass(200);
  assert.ok(asks() !== "");
  // However many refuse: ten questions a second at most, and the pauses of what waits grow.
  nodes.f.say(client, command("GET", "k"));
  let tries = 0;
  for (let ms = 0; ms < 5000; ms += 10) {
    if (nodes.isAsked("b")) {
      tries++;
      nodes.answer("b", "-CLUSTERDOWN The cluster is down\r\n");
    }
    nodes.host.pass(10);
  }
  const questions = asks().length;
  assert.ok(questions > 10 && questions <= 51, `${questions} questions in 5 s`);
  assert.ok(tries > 15 && tries < 40, `${tries} tries in 5 s`);
});

test("too many redirections, and a value that is too large to be sent again, are told", async () => {
  const nodes = await Nodes.start(ALL_AT_A + line(3, "", 3), ["cluster: {redirects: 1}"]);
  const client = nodes.f.client();
  nodes.f.say(client, first);
  nodes.answer("a", moved("b"));
  nodes.answer("b", "-ASK 7629 10.0.0.1:7103\r\n");
  assert.is(client.received(), "-CLUSTERDOWN too many redirections for slot 7629\r\n");
  // It streams over a connection of its own, and is not kept.
  client.send(bytes(command("SET", "k", "v".repeat(20 << 20))));
  nodes.host.settle();
  nodes.answer("b", moved("c"));
  assert.is(
    client.received(),
    "-TRYAGAIN slot 7629 moved while the value was being sent\r\n",
  );
});

test("nodes that are new are connected to at once", async () => {
  const nodes = await Nodes.start(ALL_AT_A, ["cluster: {refresh: 500}"]);
  const known = (): string[] => nodes.host.outgoing.map(({ remote }) => remote);
  assert.not.ok(known().includes("10.0.0.1:7103"));
  nodes.map = ALL_AT_A + line(3, "", 3);
  nodes.host.pass(1000);
  assert.ok(known().includes("10.0.0.1:7103"));
});

test("a slot's owner is the one that was told last", async () => {
  const nodes = await Nodes.start(ALL_AT_A + line(3, "", 3));
  const client = nodes.f.client();
  for (const [from, to] of ["ab", "bc", "ca"]) {
    nodes.f.say(client, first);
    assert.is(nodes.answer(from, moved(to)), first);
    assert.is(nodes.answer(to, "+1\r\n"), first);
  }
  assert.is(client.received(), "+1\r\n".repeat(3));
  assert.ok(nodes.f.pool.servers.length === 3, SLOTS);
});

test.run();
