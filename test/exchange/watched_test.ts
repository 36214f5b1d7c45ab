// A pool whose primary Sentinels tell, on the fake host: whom it asks and when, whom it believes, and what
// becomes of requests. (With real Sentinels: e2e/sentinel_test.ts.)

import { test } from "uvu";
import * as assert from "uvu/assert";
import { bulk, command } from "../fake/fixture.ts";
import { SENTINEL_PORTS, Watched } from "../fake/watched.ts";

const [ONE, TWO, THREE] = SENTINEL_PORTS;
const GET = command("GET", "k");
const SET = command("SET", "k", "v");
const READONLY = "-READONLY You can't write against a read only replica.\r\n";
const DOUBT = "-ERR Connection reset by peer; it may have been carried out\r\n";

/** The Sentinels name another primary, which says that it is one. */
function failover(watched: Watched, to: string, epoch: number): void {
  watched.primaries.add(to);
  watched.say({ primary: to, epoch });
  watched.publish(ONE, "+switch-master", `a 10.0.0.1 7101 10.0.0.1 ${7101 + "abc".indexOf(to)}`);
}

/** How often a Sentinel is asked within `ms`. */
function questions(watched: Watched, port: number, ms: number): number {
  watched.asked.length = 0;
  watched.host.pass(ms);
  return watched.asked.filter((one) => one === port).length;
}

test("each Sentinel is asked every 10 s while it is heard, each second while it is not", async () => {
  const watched = await Watched.start([], [ONE, TWO]);
  watched.host.pass(1000);
  assert.equal([ONE, TWO].map((port) => questions(watched, port, 60_000)), [6, 6]);
  // It is lost, and does not come back.
  watched.deaf.add(TWO);
  watched.ears.get(TWO)?.fail("ECONNRESET");
  watched.host.settle();
  const unheard = questions(watched, TWO, 20_000);
  assert.ok(unheard >= 15 && unheard <= 25, `${unheard} questions in 20 s`);
});

test("the highest epoch counts, whoever answers first; who is named has to say so itself", async () => {
  const watched = await Watched.start([], [ONE, TWO], (one) => {
    one.primaries.add("b");
    Object.assign(one.sayings.get(TWO) ?? {}, { primary: "b", epoch: 7 });
  });
  const client = watched.f.client();
  watched.f.say(client, GET);
  assert.is(watched.answer("b", bulk("v")), GET);
  // It has not been promoted yet: nothing goes there before it says that it is.
  watched.say({ primary: "c", epoch: 8 });
  watched.publish(TWO, "+switch-master", "a 10.0.0.1 7102 10.0.0.1 7103");
  watched.f.say(client, SET);
  watched.later();
  assert.is(watched.take("b") + watched.take("c"), "");
  watched.primaries.add("c");
  watched.later();
  assert.is(watched.answer("c", "+OK\r\n"), SET);
  assert.is(client.received(), `${bulk("v")}+OK\r\n`);
});

test("READONLY: the Sentinels are asked at once, and the request waits", async () => {
  const watched = await Watched.start();
  const client = watched.f.client();
  watched.f.say(client, SET + GET);
  watched.primaries.delete("a");
  watched.asked.length = 0;
  assert.is(watched.answer("a", READONLY + READONLY), SET + GET);
  watched.host.pass(200);
  assert.ok(watched.asked.length > 0);
  watched.later();
  assert.is(watched.take("a"), "", "it says that it is a replica");
  failover(watched, "b", 2);
  watched.later();
  assert.is(watched.answer("b", `+OK\r\n${bulk("v")}`), SET + GET);
  assert.is(client.received(), `+OK\r\n${bulk("v")}`);
  // The old one comes back and says that it is a primary: that is not for it to say.
  watched.primaries.add("a");
  watched.host.pass(30_000);
  watched.f.say(client, GET);
  assert.is(watched.answer("b", bulk("v")), GET);
});

test("a switch: what was sent is the old one's to answer, what was not goes over", async () => {
  const watched = await Watched.start();
  const client = watched.f.client();
  watched.f.say(client, SET + GET);
  const old = watched.link("a");
  old.taker = () => 0;
  const second = command("SET", "k", "second");
  watched.f.say(client, second);
  failover(watched, "b", 2);
  // A connection with something unsent is of no use: what was sent over it is in doubt, but for reads.
  watched.later();
  assert.is(client.received().split("\r\n")[0].slice(0, 4), "-ERR");
  assert.is(watched.answer("b", `${bulk("x")}+OK\r\n`), GET + second);
  assert.is(client.received(), `${bulk("x")}+OK\r\n`);
});

test("a switch: the old one answers what it was sent, before what the new one is sent behind it", async () => {
  const watched = await Watched.start();
  const [client, other] = [watched.f.client(), watched.f.client()];
  watched.f.say(client, SET);
  failover(watched, "b", 2);
  watched.f.say(client, GET);
  watched.f.say(other, GET);
  assert.is(watched.answer("b", bulk("other")), GET, "the first one's waits for its SET");
  assert.is(watched.answer("a", "+OK\r\n"), SET);
  assert.is(watched.answer("b", bulk("v")), GET);
  assert.is(client.received(), `+OK\r\n${bulk("v")}`);
  assert.is(other.received(), bulk("other"));
  assert.is(watched.f.watch.requests.size, 0);
});

test("a lost connection: reads are sent again, writes are told to be in doubt", async () => {
  const watched = await Watched.start();
  const client = watched.f.client();
  watched.f.say(client, SET + GET);
  watched.lose("a");
  watched.later();
  assert.is(watched.lose("a"), GET);
  watched.later();
  assert.is(client.received(), `${DOUBT}-ERR Connection reset by peer\r\n`, "once only");
  assert.is(watched.take("a"), "");
});

test("TILT: what it says of who is down does not count, the address does", async () => {
  const watched = await Watched.start();
  const sentinel = watched.f.pool.watched?.topology;
  watched.say({ flags: "master,s_down,o_down", isTilted: true });
  watched.publish(ONE, "+odown", "master a 10.0.0.1 7101");
  watched.later();
  assert.not.ok(sentinel?.shards[0].isDown);
  const client = watched.f.client();
  watched.f.say(client, GET);
  assert.is(watched.answer("a", bulk("v")), GET);
  failover(watched, "b", 2);
  watched.later();
  watched.f.say(client, GET);
  assert.is(watched.answer("b", bulk("v")), GET);
  watched.say({ flags: "master,o_down", isTilted: false });
  watched.publish(ONE, "+odown", "master a 10.0.0.1 7102");
  watched.later();
  assert.ok(sentinel?.shards[0].isDown);
});

test("no Sentinel: the last primary stays", async () => {
  const watched = await Watched.start();
  const { onConnect } = watched.host;
  watched.host.onConnect = (socket, address) =>
    SENTINEL_PORTS.includes(address.port)
      ? watched.host.later(() => socket.fail("ECONNREFUSED"))
      : onConnect(socket, address);
  for (const socket of watched.host.outgoing) {
    if (!socket.gone && socket.remote.endsWith(`:${ONE}`)) socket.fail("ECONNRESET");
  }
  watched.host.pass(60_000);
  const client = watched.f.client();
  watched.f.say(client, SET);
  assert.is(watched.answer("a", "+OK\r\n"), SET);
  // Its connection is lost: it is asked itself.
  watched.f.say(client, SET);
  watched.lose("a");
  watched.f.say(client, GET);
  watched.later();
  assert.is(watched.answer("a", bulk("v")), GET);
  assert.is(client.received(), `+OK\r\n${DOUBT}${bulk("v")}`);
});

test("Sentinels that others name are learned; those that nobody names any more are dropped", async () => {
  const watched = await Watched.start();
  const peers = (): number[] =>
    (watched.f.pool.watched?.topology.peers ?? []).map(({ address }) => address.port).sort();
  assert.equal(peers(), [ONE]);
  watched.say({ others: [TWO, THREE] });
  watched.host.pass(11_000);
  assert.equal(peers(), SENTINEL_PORTS);
  // Gone, and forgotten by the others.
  const { onConnect } = watched.host;
  watched.host.onConnect = (socket, address) =>
    address.port === THREE
      ? watched.host.later(() => socket.fail("ECONNREFUSED"))
      : onConnect(socket, address);
  for (const socket of watched.host.outgoing) {
    if (!socket.gone && socket.remote.endsWith(`:${THREE}`)) socket.fail("ECONNRESET");
  }
  watched.host.pass(60_000);
  assert.equal(peers(), SENTINEL_PORTS, "the others name it still");
  watched.say({ others: [TWO] });
  watched.host.pass(60_000);
  assert.equal(peers(), [ONE, TWO]);
});

test("a reload names other Sentinels: what they say counts at once, whatever its epoch", async () => {
  const watched = await Watched.start([], [ONE], (one) => one.say({ epoch: 9 }));
  watched.primaries.add("b");
  Object.assign(watched.sayings.get(TWO) ?? {}, { primary: "b", epoch: 0 });
  await watched.f.reload({ servers: ["a"], config: [Watched.line([TWO])] });
  watched.later();
  const client = watched.f.client();
  watched.f.say(client, GET);
  assert.is(watched.answer("b", bulk("v")), GET);
});

test("a script may say what it likes, and UNBLOCK what it is asked to: both are carried out once", async () => {
  const watched = await Watched.start();
  const client = watched.f.client();
  const script = command("EVAL", "x", "1", "k");
  for (const lie of ["LOADING sorry", "READONLY sorry", "NOREPLICAS sorry", "MASTERDOWN sorry"]) {
    watched.f.say(client, script);
    assert.is(watched.answer("a", `-${lie}\r\n`), script);
    assert.is(client.received(), `-${lie}\r\n`);
  }
  // What the server says before it runs one is a refusal.
  watched.f.say(client, script);
  assert.is(watched.answer("a", READONLY), script);
  watched.later();
  assert.is(watched.answer("a", ":1\r\n"), script);
  const pop = command("BLPOP", "k", "0");
  watched.f.say(client, pop);
  const unblocked = "-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n";
  assert.is(watched.answer("a", unblocked), pop);
  assert.is(client.received(), `:1\r\n${unblocked}`);
});

test("too few replicas: it waits, and is told that when its time is over", async () => {
  const few = "-NOREPLICAS Not enough good replicas to write.\r\n";
  for (const wait of [0, 1000]) {
    const watched = await Watched.start([`wait: ${wait}`]);
    const client = watched.f.client();
    watched.f.say(client, SET);
    let tries = 0;
    let got = "";
    for (let ms = 0; ms < 3000 && got === ""; ms += 10) {
      if (watched.isAsked("a")) {
        tries++;
        watched.answer("a", few);
      }
      watched.host.pass(10);
      got = client.received();
    }
    assert.is(got, few, `wait: ${wait}`);
    assert.ok(wait === 0 ? tries === 1 : tries > 3, `${tries} tries`);
  }
});

test("wait: 0 fails at once while there is no primary", async () => {
  const watched = await Watched.start(["wait: 0"]);
  const client = watched.f.client();
  watched.primaries.delete("a");
  watched.f.say(client, SET);
  watched.answer("a", READONLY);
  assert.is(client.received(), '-ERR no primary for "a" within 0 ms\r\n');
  watched.f.say(client, GET);
  assert.is(client.received(), '-ERR no primary for "a" within 0 ms\r\n');
});

test.run();
