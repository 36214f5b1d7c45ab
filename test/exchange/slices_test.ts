// Requests with very many keys are carried out in slices: others are served meanwhile, and the reply
// is what it would have been.

import { test } from "uvu";
import * as assert from "uvu/assert";
import { bytes, text } from "../../core/bytes.ts";
import { FakeHost, type FakeSocket, lend } from "../fake/fake_host.ts";
import { Fixture } from "../fake/fixture.ts";

const SERVERS = ["a", "b", "c"];
/** As the fixture's, of as many words as one likes. */
const command = (name: string, words: string[] = []): string =>
  `*${1 + words.length}\r\n${[name, ...words].map(bulk).join("")}`;
const key = (i: number): string => `k${i}`;
const value = (name: string): string => `<${name}>`;
const bulk = (text: string): string => `$${text.length}\r\n${text}\r\n`;
const item = (name: string): string =>
  `VALUE ${name} 0 ${value(name).length}\r\n${value(name)}\r\n`;

/** The words of each whole request in `input`; none is cut. */
function requests(input: string, memcached: boolean): string[][] {
  const lines = input.split("\r\n").slice(0, -1);
  if (memcached) return lines.map((line) => line.trim().split(" "));
  const all: string[][] = [];
  for (let i = 0; i < lines.length;) {
    const n = Number(lines[i++].slice(1));
    all.push(Array.from({ length: n }, (_, k) => lines[i + 2 * k + 1]));
    i += 2 * n;
  }
  return all;
}

function reply(words: string[], memcached: boolean): string {
  const keys = words.slice(1);
  if (memcached) return `${keys.map(item).join("")}END\r\n`;
  switch (words[0]) {
    case "MGET":
      return `*${keys.length}\r\n${keys.map((k) => bulk(value(k))).join("")}`;
    case "MSET":
      return "+OK\r\n";
    case "GET":
      return bulk(value(keys[0]));
    default:
      return `:${keys.length}\r\n`;
  }
}

/**
 * Turn by turn, servers answering at once, until nothing more happens or `each` says so; how many
 * turns it took.
 */
function carryOut(
  f: Fixture,
  memcached: boolean,
  each: (turn: number) => boolean | void = () => {},
  answer = reply,
): number {
  const rest = new Map<FakeSocket, string>();
  for (let turn = 0; turn < 10_000; turn++) {
    let busy = false;
    while (f.host.event()) busy = true;
    for (const socket of f.host.incoming) busy = socket.deliver() || busy;
    for (const socket of f.host.outgoing) {
      if (socket.gone) continue;
      socket.drain();
      const input = (rest.get(socket) ?? "") + socket.received();
      if (input !== "") {
        rest.set(socket, "");
        socket.send(requests(input, memcached).map((words) => answer(words, memcached)).join(""));
      }
      while (socket.deliver()) busy = true;
    }
    for (const socket of f.host.incoming) {
      const { blocked } = socket;
      socket.drain();
      busy = blocked || busy;
    }
    busy = f.host.turn() || busy;
    if (each(turn) === true) return turn;
    if (!busy) return turn;
  }
  throw new Error("it does not end");
}

const keysOf = (n: number): string[] => Array.from({ length: n }, (_, i) => key(i));

function checkEnd(f: Fixture): void {
  assert.is(f.watch.requests.size, 0, "requests are left");
  for (const client of f.host.incoming) client.fail("");
  const chunks = f.pool.servers.reduce((sum, server) => sum + server.connections.length, 0);
  assert.ok(f.watch.buffers.size <= chunks, `${f.watch.buffers.size} buffers are left`);
}

for (const n of [4095, 4096, 4097, 8192, 20_000, 100_000]) {
  test(`MGET, MSET and DEL of ${n} keys, and what stands around them`, async () => {
    const f = await Fixture.start({ servers: SERVERS });
    const client = f.client();
    const keys = keysOf(n);
    const pairs = keys.flatMap((k) => [k, value(k)]);
    client.send(
      command("GET", ["x"]) + command("MGET", keys) + command("GET", ["y"]) +
        command("MSET", pairs) + command("DEL", keys) + command("GET", ["z"]),
    );
    carryOut(f, false);
    const right = bulk(value("x")) + reply(["MGET", ...keys], false) + bulk(value("y")) +
      `+OK\r\n:${n}\r\n` + bulk(value("z"));
    assert.ok(client.received() === right, "the replies are others");
    checkEnd(f);
  });

  test(`memcached: get of ${n} keys, and what stands around it`, async () => {
    const f = await Fixture.start({ servers: SERVERS, memcached: true });
    const client = f.client();
    const keys = keysOf(n).slice(0, 60_000);
    client.send(`get x\r\nget ${keys.join(" ")}\r\nget y\r\n`);
    carryOut(f, true);
    const right = [["x"], keys, ["y"]].map((some) => reply(["get", ...some], true)).join("");
    assert.ok(client.received() === right, "the replies are others");
    checkEnd(f);
  });
}

/** In which turn a client that asks when the huge request is there is answered, and how many it takes. */
async function served(n: number): Promise<{ other: number; all: number; most: number }> {
  const f = await Fixture.start({ servers: SERVERS });
  const [client, other] = [f.client(), f.client()];
  client.send(command("MGET", keysOf(n)));
  client.deliver();
  other.send(command("GET", ["mine"]));
  let answered = -1;
  let most = 0;
  let before = 0;
  const all = carryOut(f, false, (turn) => {
    if (answered < 0 && other.received() !== "") answered = turn;
    const now = f.pool.counters.fragments;
    most = Math.max(most, now - before);
    before = now;
  });
  assert.is(client.received().length, reply(["MGET", ...keysOf(n)], false).length);
  return { other: answered, all, most };
}

test("others are served while it is carried out, and no turn has more to do for more keys", async () => {
  const small = await served(40_000);
  const large = await served(160_000);
  assert.ok(small.other >= 0 && small.other < 5, `answered in turn ${small.other}`);
  assert.ok(large.other >= 0 && large.other < 5, `answered in turn ${large.other}`);
  assert.ok(large.all > 2.5 * small.all, `${small.all} and ${large.all} turns`);
  assert.ok(small.most <= 6 && large.most <= 6, `${large.most} fragments in one turn`);
});

test("an error of a server, or a lost one, makes the whole an error", async () => {
  for (const memcached of [false, true]) {
    const f = await Fixture.start({ servers: SERVERS, memcached });
    const client = f.client();
    const keys = keysOf(20_000);
    const request = memcached ? `get ${keys.join(" ")}\r\n` : command("MGET", keys);
    let n = 0;
    const error = memcached ? "SERVER_ERROR no\r\n" : "-ERR no\r\n";
    client.send(request);
    carryOut(f, memcached, undefined, (words) => ++n === 9 ? error : reply(words, memcached));
    assert.is(client.received(), error);

    client.send(request);
    carryOut(f, memcached, (turn) => {
      if (turn === 2) f.server("b").fail("ECONNRESET");
    });
    assert.match(client.received(), /^(-ERR|SERVER_ERROR) Connection reset by peer\r\n$/);
    assert.is(f.pool.counters.forward_error, 1);
    checkEnd(f);
  }
});

test("servers that come and go meanwhile get the keys that are theirs by then", async () => {
  const f = await Fixture.start({ servers: SERVERS });
  const client = f.client();
  const keys = keysOf(40_000);
  client.send(command("MGET", keys) + command("GET", ["end"]));
  carryOut(f, false, (turn) => turn === 3);
  await f.reload({ servers: ["a", "c", "d", "e"] });
  carryOut(f, false);
  const right = reply(["MGET", ...keys], false) + bulk(value("end"));
  assert.ok(client.received() === right, "the reply is another");
  assert.ok(f.attempts("d") > 0 && f.attempts("e") > 0);
});

test("a pool that connects anew meanwhile says so instead of an answer out of order", async () => {
  const f = await Fixture.start({ servers: SERVERS });
  const client = f.client();
  client.send(command("MGET", keysOf(40_000)) + command("GET", ["end"]));
  carryOut(f, false, (turn) => turn === 3);
  await f.reload({ servers: SERVERS, config: ["redis_db: 3"] });
  carryOut(f, false, undefined, (words) => words[0] === "SELECT" ? "+OK\r\n" : reply(words, false));
  const error = "-ERR the connection to the server was replaced\r\n";
  const got = client.received();
  assert.is(got.slice(0, 100), error + bulk(value("end")));
});

test("no server is alive any more", async () => {
  const f = await Fixture.start({
    servers: SERVERS,
    config: ["auto_eject_hosts: true", "server_failure_limit: 1"],
  });
  const client = f.client();
  client.send(command("MGET", keysOf(40_000)) + command("PING"));
  carryOut(f, false, (turn) => {
    if (turn === 3) { for (const name of SERVERS) f.server(name).fail("ECONNRESET"); }
  });
  assert.match(client.received(), /^-ERR Connection re[a-z ]+\r\n\+PONG\r\n$/);
  checkEnd(f);
});

test("a client that leaves meanwhile leaves nothing behind", async () => {
  for (const at of [0, 1, 2, 3, 5, 8]) {
    const f = await Fixture.start({ servers: SERVERS });
    const client = f.client();
    client.send(command("MGET", keysOf(30_000)));
    carryOut(f, false, (turn) => {
      if (turn === at) client.fail("ECONNRESET");
    });
    checkEnd(f);
  }
});

test("a client that says goodbye behind it gets its reply; the proxy that stops waits for it", async () => {
  for (const leaves of [true, false]) {
    const f = await Fixture.start({ servers: SERVERS });
    const client = f.client();
    const keys = keysOf(30_000);
    client.send(command("MGET", keys));
    if (leaves) client.end();
    carryOut(f, false, (turn) => {
      if (turn === 1 && !leaves) f.pool.dismiss();
    });
    assert.ok(client.received() === reply(["MGET", ...keys], false));
    checkEnd(f);
  }
});

test("servers that take little at a time hold the slices up, and all comes right", async () => {
  const host = new FakeHost();
  const f = await Fixture.start({ servers: SERVERS, host });
  const long = "v".repeat(2000);
  const client = f.client();
  const n = 12_000;
  host.onConnect = (socket) => {
    socket.taker = lend;
    host.later(() => socket.openNow());
  };
  const parts = [`*${1 + 2 * n}\r\n${bulk("MSET")}`];
  for (let i = 0; i < n; i++) parts.push(bulk(key(i)) + bulk(long));
  client.send(bytes(parts.join("")));
  client.send(command("GET", ["end"]));
  let most = 0;
  carryOut(f, false, () => {
    for (const server of f.pool.servers) {
      for (const link of server.connections) most = Math.max(most, link.out.size);
    }
  });
  assert.is(client.received(), "+OK\r\n" + bulk(value("end")));
  assert.ok(most < 12 << 20, `${most} bytes wait for one server`);
});

test("a client without replies gets none", async () => {
  const f = await Fixture.start({ servers: SERVERS });
  const client = f.client();
  client.send(
    command("CLIENT", ["REPLY", "OFF"]) + command("MGET", keysOf(9000)) +
      command("MGET", keysOf(9)) + command("CLIENT", ["REPLY", "ON"]),
  );
  carryOut(f, false);
  assert.is(text(client.receivedBytes(), 0, 5), "+OK\r\n");
  checkEnd(f);
});

test.run();
