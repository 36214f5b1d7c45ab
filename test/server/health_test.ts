// Health checks: who is asked what and when, who leaves the ring, and who comes back.

import { test } from "uvu";
import * as assert from "uvu/assert";
import { Backoff } from "../../core/link/backoff.ts";
import { FakeHost, type FakeSocket } from "../fake/fake_host.ts";
import { command, Fixture, type Setting } from "../fake/fixture.ts";

const PING = command("PING");
const CHECK = ["health_check:", "  interval: 1000", "  timeout: 300"];

function start(setting: Setting = {}): Promise<Fixture> {
  return Fixture.start({
    servers: ["a", "b"],
    ...setting,
    config: [...CHECK, ...(setting.config ?? [])],
  });
}

/** The connection over which a server is checked; other connections are not asked for PING. */
function check(f: Fixture, name: string): FakeSocket {
  return f.connections(name)[0];
}

/** Answers every check of a server, or says what it says instead. */
function answer(f: Fixture, name: string, reply = "+PONG\r\n"): void {
  const socket = check(f, name);
  if (socket?.received().includes(PING)) socket.send(reply);
  f.settle();
}

function refuse(f: Fixture, port: number): void {
  const accept = f.host.onConnect;
  f.host.onConnect = (socket, address) => {
    if (address.port === port) f.host.later(() => socket.fail("ECONNREFUSED"));
    else accept(socket, address);
  };
}

test("each server is asked at the interval, over one connection of its own", async () => {
  const f = await start();
  f.host.pass(50);
  for (let i = 0; i < 5; i++) {
    for (const name of ["a", "b"]) {
      assert.is(f.attempts(name), 1);
      assert.is(check(f, name).received(), PING, `${name} ${i}`);
      check(f, name).send("+PO");
      f.settle();
      check(f, name).send("NG\r\n");
      f.settle();
    }
    f.host.pass(900);
    for (const name of ["a", "b"]) assert.is(check(f, name).received(), "");
    f.host.pass(130);
  }
  assert.equal(f.pool.servers.map((server) => server.live), [true, true]);
});

test("a server that does not answer leaves the ring after server_failure_limit checks", async () => {
  const f = await start();
  f.host.pass(50);
  answer(f, "a");
  assert.ok(f.key("b") !== "");
  f.host.pass(300);
  assert.ok(f.pool.servers[1].live, "one failure is not enough");
  for (let i = 0; i < 20 && f.pool.servers[1].live; i++) {
    f.host.pass(100);
    answer(f, "a");
  }
  assert.not.ok(f.pool.servers[1].live);
  assert.is(f.pool.counters.server_ejects, 1);
  assert.is(f.owner("anything"), "a");
  assert.ok(f.logged.some((line) => /^warn .*"b".*ejected until it passes a health/.test(line)));
});

test("nothing but a check that passes brings it back, not server_retry_timeout", async () => {
  const f = await start({ config: ["server_retry_timeout: 10", "auto_eject_hosts: true"] });
  const accept = f.host.onConnect;
  refuse(f, 7102);
  for (let i = 0; i < 80; i++) {
    f.host.pass(50);
    answer(f, "a");
  }
  assert.not.ok(f.pool.servers[1].live);
  const client = f.client();
  for (let i = 0; i < 20; i++) assert.is(f.owner(`key${i}`), "a");
  f.host.onConnect = accept;
  for (let i = 0; i < 80 && !f.pool.servers[1].live; i++) {
    f.host.pass(50);
    answer(f, "a");
    answer(f, "b");
  }
  assert.ok(f.pool.servers[1].live);
  assert.ok(f.logged.some((line) => /^notice .*"b".*readmitted: it answers again/.test(line)));
  f.say(client, command("GET", f.key("b")));
  assert.is(f.connections("b").length, 2);
});

test("what a server says decides: loading is unwell, a password that is missing is not", async () => {
  for (
    const [reply, live] of [
      ["-LOADING Redis is loading the dataset in memory\r\n", false],
      ["-MASTERDOWN Link with MASTER is down\r\n", false],
      ["-BUSY Redis is busy running a script.\r\n", false],
      ["-NOAUTH Authentication required.\r\n", true],
      ["nonsense\r\n", false],
    ] as const
  ) {
    const f = await start({ config: ["server_failure_limit: 1"] });
    f.host.pass(50);
    answer(f, "b", reply);
    assert.is(f.pool.servers[1].live, live, reply);
  }
});

test("with a password the check authenticates first, and a refusal is a failure", async () => {
  const f = await start({ config: ["redis_auth: secret", "server_failure_limit: 1"] });
  f.host.pass(50);
  assert.is(check(f, "a").received(), command("AUTH", "secret"));
  check(f, "b").send("-WRONGPASS invalid\r\n");
  f.say(check(f, "a"), "+OK\r\n");
  assert.is(check(f, "a").received(), PING);
  f.say(check(f, "a"), "+PONG\r\n");
  assert.equal(f.pool.servers.map((server) => server.live), [true, false]);
  f.host.pass(1050);
  assert.is(check(f, "a").received(), PING, "once a connection");
});

test("memcached is asked for its version", async () => {
  const f = await start({ memcached: true, config: ["server_failure_limit: 1"] });
  f.host.pass(50);
  assert.is(check(f, "a").received(), "version\r\n");
  check(f, "a").send("VERSION 1.6.18\r\n");
  f.settle();
  f.host.pass(400);
  assert.equal(f.pool.servers.map((server) => server.live), [true, false]);
});

test("an idle connection that is closed is no failure: the server is asked at once", async () => {
  const f = await start({ config: ["server_failure_limit: 1"] });
  f.host.pass(50);
  answer(f, "a");
  check(f, "a").end();
  f.settle();
  f.host.pass(50);
  assert.is(f.attempts("a"), 2);
  answer(f, "a");
  assert.ok(f.pool.servers[0].live);
});

test("a late answer of a connection that was given up counts for nothing", async () => {
  const f = await start({ servers: ["a"], config: ["server_failure_limit: 1"] });
  f.host.pass(50);
  const first = check(f, "a");
  first.received();
  f.host.pass(400);
  assert.not.ok(f.pool.servers[0].live);
  first.send("+PONG\r\n");
  f.settle();
  assert.not.ok(f.pool.servers[0].live);
  const client = f.client();
  f.say(client, command("GET", "k"));
  assert.is(client.received(), "-ERR Connection refused\r\n");
});

test("a reload keeps what a check has ejected, and ends the checks if they are not wanted", async () => {
  const config = [...CHECK, "server_failure_limit: 1"];
  const f = await Fixture.start({ servers: ["a", "b"], config });
  f.host.pass(50);
  answer(f, "a");
  answer(f, "b", "-LOADING data\r\n");
  assert.not.ok(f.pool.servers[1].live);
  await f.reload({ servers: ["a", "b"], config: [...config, "timeout: 1000"] });
  assert.not.ok(f.pool.servers[1].live);
  assert.is(f.owner("k"), "a");
  await f.reload({ servers: ["a", "b"], config: ["timeout: 1000"] });
  f.host.pass(200);
  assert.ok(f.pool.servers[1].live);
  assert.is(f.host.outgoing.filter((socket) => !socket.gone).length, 0);
});

test("a server that a reload removes is asked no more", async () => {
  const f = await Fixture.start({ servers: ["a", "b"], config: CHECK });
  f.host.pass(50);
  answer(f, "a");
  answer(f, "b");
  await f.reload({ servers: ["a"], config: CHECK });
  f.settle();
  assert.is(f.connections("b").length, 0);
  f.host.pass(3000);
  assert.is(f.attempts("b"), 1);
});

test("a stopped proxy asks nobody", async () => {
  const f = await start();
  f.host.pass(50);
  f.proxy.stop();
  f.settle();
  const asked = f.host.outgoing.length;
  f.host.pass(5000);
  assert.is(f.host.outgoing.length, asked);
  assert.is(f.host.outgoing.filter((socket) => !socket.gone).length, 0);
});

test("without health_check nobody is asked", async () => {
  const f = await Fixture.start({ servers: ["a", "b"] });
  f.host.pass(5000);
  assert.is(f.host.outgoing.length, 0);
});

test("waits double up to ten seconds, a quarter more or less, and begin anew after success", () => {
  const host = new FakeHost();
  const middle = new Backoff((n) => host.random(n));
  assert.equal(
    Array.from({ length: 9 }, () => middle.next()),
    [100, 200, 400, 800, 1600, 3200, 6400, 10000, 10000],
  );
  middle.reset();
  assert.is(middle.next(), 100);
  assert.is(middle.next(150), 150);
  assert.is(new Backoff(() => 0).next(), 75);
  assert.is(new Backoff((n) => n - 1).next(), 125);
});

test.run();
