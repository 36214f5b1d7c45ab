// Servers that refuse, hang up, stay silent or reject us: what clients are told, when a server
// leaves the ring and comes back, and that what is over stays over.

import { test } from "uvu";
import * as assert from "uvu/assert";
import { type FakeSocket, lend, takeSome } from "../fake/fake_host.ts";
import { bulk, command, Fixture } from "../fake/fixture.ts";

const refuse = (error: string) => (socket: FakeSocket) =>
  socket.host.later(() => socket.fail(error));
const silent = () => {};

for (const closesAtOnce of [false, true]) {
  const when = closesAtOnce ? "at once" : "later";
  const start: typeof Fixture.start = async (setting) => {
    const f = await Fixture.start(setting);
    f.host.closesAtOnce = closesAtOnce;
    return f;
  };

  test(`a timeout closes the connection and fails all that was in flight (closes ${when})`, async () => {
    const f = await start({ config: ["timeout: 400"] });
    const [one, two] = [f.client(), f.client()];
    f.say(one, command("GET", "k"));
    f.host.pass(300);
    f.say(two, command("GET", "k") + command("GET", "l"));
    const old = f.server("a");
    f.host.pass(90);
    assert.is(one.received(), "");
    f.host.pass(100);
    assert.is(one.received(), "-ERR Connection timed out\r\n");
    assert.is(two.received(), "-ERR Connection timed out\r\n".repeat(2));
    assert.ok(old.gone);
    assert.is(f.pool.servers[0].counters.server_timedout, 1);
    assert.is(f.pool.servers[0].counters.server_err, 0);
    assert.is(f.pool.servers[0].counters.server_eof, 0);
    assert.is(f.pool.servers[0].counters.server_connections, 0);
    f.say(two, command("GET", "k"));
    f.say(f.server("a"), bulk("v"));
    assert.is(two.received(), bulk("v"));
  });

  test(`one timeout is one failure (closes ${when})`, async () => {
    const f = await start({
      servers: ["a", "b"],
      config: ["timeout: 400", "auto_eject_hosts: true", "server_failure_limit: 2"],
    });
    const client = f.client();
    const key = f.key("a");
    f.say(client, command("GET", key));
    f.host.pass(500);
    assert.is(client.received(), "-ERR Connection timed out\r\n");
    assert.is(f.owner(key), "a");
    assert.is(f.pool.servers[0].failures, 1);
  });

  test(`the late news of an old connection's end does not touch the new one (closes ${when})`, async () => {
    const f = await start({ config: ["timeout: 400"] });
    f.host.onConnect = silent;
    const client = f.client();
    f.say(client, command("GET", "k"));
    const old = f.server("a");
    f.host.onConnect = (socket) => later.call(f.host, () => socket.openNow());
    // The timer fires, and a request comes before the runtime tells that the socket is closed.
    const news: (() => void)[] = [];
    const later = f.host.later;
    f.host.later = (fn) => void news.push(fn);
    f.host.pass(500);
    assert.ok(old.gone);
    assert.is(client.received(), "-ERR Connection timed out\r\n");
    f.host.later = later;
    f.say(client, command("GET", "k"));
    for (const tell of news) tell();
    f.settle();
    assert.is(client.received(), "");
    f.say(f.server("a"), bulk("v"));
    assert.is(client.received(), bulk("v"));
    assert.is(f.attempts("a"), 2);
    assert.is(f.pool.servers[0].counters.server_connections, 1);
  });

  test(`a server that sends nonsense is one failure (closes ${when})`, async () => {
    const f = await start({ config: ["auto_eject_hosts: true", "server_failure_limit: 2"] });
    const client = f.client();
    f.say(client, command("GET", "k"));
    f.say(f.server("a"), "nonsense\r\n");
    assert.is(client.received(), "-ERR Invalid argument\r\n");
    assert.is(f.pool.servers[0].failures, 1);
    assert.is(f.pool.servers[0].counters.server_err, 1);
    assert.is(f.pool.servers[0].counters.server_eof, 0);
  });
}

test("why a reply is lost is told as twemproxy tells it", async () => {
  const cases: [string, string][] = [
    ["ECONNREFUSED", "Connection refused"],
    ["ECONNRESET", "Connection reset by peer"],
    ["EPIPE", "Broken pipe"],
    ["ENOTFOUND", "Host is down"],
    ["EHOSTUNREACH", "No route to host"],
    ["", "unknown"],
    ["EWHATEVER", "EWHATEVER"],
  ];
  for (const [errno, words] of cases) {
    const f = await Fixture.start();
    const client = f.client();
    f.say(client, command("GET", "k") + command("PING"));
    f.server("a").fail(errno);
    f.settle();
    assert.is(client.received(), `-ERR ${words}\r\n+PONG\r\n`);
    assert.is(f.pool.counters.forward_error, 1);
    assert.is(f.watch.requests.size, 0);
  }
  const f = await Fixture.start({ memcached: true });
  const client = f.client();
  f.say(client, "get k\r\nmn\r\n");
  f.server("a").fail("ECONNREFUSED");
  f.settle();
  assert.is(client.received(), "SERVER_ERROR Connection refused\r\nMN\r\n");
});

test("a server's FIN fails what is in flight, and the next request connects again", async () => {
  const f = await Fixture.start();
  const client = f.client();
  f.say(client, command("GET", "k") + command("GET", "l"));
  f.server("a").send(bulk("v"));
  f.server("a").end();
  f.settle();
  assert.is(client.received(), bulk("v") + "-ERR unknown\r\n");
  f.say(client, command("GET", "k"));
  f.say(f.server("a"), bulk("v"));
  assert.is(client.received(), bulk("v"));
});

test("a refused connection fails each request once and is tried again by the next", async () => {
  const f = await Fixture.start();
  f.host.onConnect = refuse("ECONNREFUSED");
  const client = f.client();
  for (let i = 1; i <= 3; i++) {
    f.say(client, command("GET", "k"));
    assert.is(client.received(), "-ERR Connection refused\r\n");
    assert.is(f.attempts("a"), i);
  }
});

test("a request that comes while a connect fails does not make it fail twice", async () => {
  const f = await Fixture.start({ config: ["auto_eject_hosts: true", "server_failure_limit: 2"] });
  f.host.onConnect = silent;
  const [one, two] = [f.client(), f.client()];
  f.say(one, command("GET", "k"));
  const [socket] = f.connections("a");
  // In one turn: a request, then the refusal.
  one.send(command("GET", "k"));
  two.send(command("GET", "k"));
  one.deliver();
  two.deliver();
  socket.fail("ECONNREFUSED");
  f.host.onConnect = refuse("ECONNREFUSED");
  f.settle();
  assert.is(one.received(), "-ERR Connection refused\r\n".repeat(2));
  assert.is(two.received(), "-ERR Connection refused\r\n");
  assert.is(f.attempts("a"), 1);
  assert.is(f.pool.servers[0].failures, 1);
});

test("a client that got part of a reply which is lost is cut off, others get an error", async () => {
  const f = await Fixture.start();
  const [one, two] = [f.client(), f.client()];
  f.say(one, command("GET", "k"));
  f.say(two, command("GET", "k"));
  f.say(f.server("a"), `$100000\r\n${"x".repeat(50_000)}`);
  f.server("a").fail("ECONNRESET");
  f.settle();
  assert.ok(one.gone);
  assert.is(two.received(), "-ERR Connection reset by peer\r\n");
  assert.is(f.watch.requests.size, 0);
});

test("a reply that is lost while it is held is an error", async () => {
  const f = await Fixture.start({ servers: ["a", "b"] });
  const client = f.client();
  f.say(client, command("GET", f.key("a")) + command("GET", f.key("b")));
  f.say(f.server("b"), `$100000\r\n${"x".repeat(50_000)}`);
  f.server("b").fail("ECONNRESET");
  f.settle();
  f.say(f.server("a"), bulk("v"));
  assert.is(client.received(), bulk("v") + "-ERR Connection reset by peer\r\n");
});

test("a failing fragment makes the whole an error, and the client stays", async () => {
  const f = await Fixture.start({ servers: ["a", "b"] });
  const client = f.client();
  const keys = [f.key("a"), f.key("b")];
  f.say(client, command("MGET", ...keys) + command("DEL", ...keys) + command("PING"));
  f.say(f.server("a"), `*1\r\n${bulk("x")}`);
  f.server("b").fail("ECONNRESET");
  f.settle();
  assert.is(client.received(), "-ERR Connection reset by peer\r\n");
  f.say(f.server("a"), ":1\r\n");
  assert.is(client.received(), "-ERR Connection reset by peer\r\n+PONG\r\n");
  assert.is(f.watch.requests.size, 0);
  f.say(client, command("GET", keys[1]));
  f.say(f.server("b"), bulk("v"));
  assert.is(client.received(), bulk("v"));
});

test("a server is ejected at the limit, the ring does without it, and it is tried again", async () => {
  const f = await Fixture.start({
    servers: ["a", "b"],
    config: [
      "auto_eject_hosts: true",
      "server_failure_limit: 3",
      "server_retry_timeout: 2000",
    ],
  });
  const client = f.client();
  const key = f.key("a");
  f.host.onConnect = refuse("ECONNREFUSED");
  for (let i = 0; i < 3; i++) {
    assert.is(f.owner(key), "a");
    f.say(client, command("GET", key));
    assert.is(client.received(), "-ERR Connection refused\r\n");
    f.host.pass(100);
  }
  assert.is(f.owner(key), "b");
  assert.is(f.pool.counters.server_ejects, 1);
  f.host.onConnect = (socket) => socket.host.later(() => socket.openNow());
  f.say(client, command("GET", key));
  f.say(f.server("b"), bulk("from b"));
  assert.is(client.received(), bulk("from b"));
  f.host.pass(1700);
  assert.is(f.owner(key), "b");
  f.host.pass(300);
  assert.is(f.owner(key), "a");
  f.say(client, command("GET", key));
  f.say(f.server("a"), bulk("from a"));
  assert.is(client.received(), bulk("from a"));
});

test("replies in between start the count of failures anew", async () => {
  const f = await Fixture.start({
    servers: ["a", "b"],
    config: ["auto_eject_hosts: true", "server_failure_limit: 2"],
  });
  const client = f.client();
  const key = f.key("a");
  for (let i = 0; i < 5; i++) {
    f.say(client, command("GET", key) + command("GET", key));
    f.say(f.server("a"), bulk("v"));
    f.server("a").fail("ECONNRESET");
    f.settle();
    f.host.pass(100);
    assert.is(f.owner(key), "a");
  }
});

test("with all servers ejected a request is refused at once", async () => {
  const f = await Fixture.start({
    config: ["auto_eject_hosts: true", "server_failure_limit: 1"],
  });
  f.host.onConnect = refuse("ECONNREFUSED");
  const client = f.client();
  f.say(client, command("GET", "k"));
  f.say(client, command("GET", "k") + command("MGET", "k", "l") + command("DBSIZE"));
  f.say(client, command("RENAME", "k", "l") + command("RANDOMKEY"));
  assert.is(client.received(), "-ERR Connection refused\r\n".repeat(6));
  assert.is(f.attempts("a"), 1);
  assert.is(f.watch.requests.size, 0);
});

test("several connections that drop in one moment are one failure", async () => {
  const f = await Fixture.start({
    servers: ["a", "b"],
    config: ["auto_eject_hosts: true", "server_failure_limit: 2", "server_connections: 4"],
  });
  const key = f.key("a");
  for (let i = 0; i < 4; i++) f.say(f.client(), command("GET", key));
  const open = f.connections("a");
  assert.is(open.length, 4);
  for (const socket of open) socket.fail("ECONNRESET");
  f.settle();
  assert.is(f.owner(key), "a");
  assert.is(f.pool.servers[0].failures, 1);
});

test("several connections that time out in one moment are one failure", async () => {
  const f = await Fixture.start({
    servers: ["a", "b"],
    config: [
      "auto_eject_hosts: true",
      "server_failure_limit: 2",
      "server_connections: 4",
      "timeout: 400",
    ],
  });
  const key = f.key("a");
  for (let i = 0; i < 4; i++) f.say(f.client(), command("GET", key));
  f.host.pass(500);
  assert.is(f.connections("a").length, 0);
  assert.is(f.owner(key), "a");
  assert.is(f.pool.servers[0].failures, 1);
});

test("LOADING and OOM count as failures of the server, other errors do not", async () => {
  for (
    const [error, ejected] of [["LOADING x", true], ["OOM x", true], ["ERR x", false]] as const
  ) {
    const f = await Fixture.start({
      servers: ["a", "b"],
      config: ["auto_eject_hosts: true", "server_failure_limit: 2"],
    });
    const client = f.client();
    const key = f.key("a");
    for (let i = 0; i < 2; i++) {
      f.say(client, command("GET", key));
      f.say(f.server("a"), `-${error}\r\n`);
      assert.is(client.received(), `-${error}\r\n`);
    }
    assert.is(f.owner(key), ejected ? "b" : "a", error);
  }
});

// ----------------------------------------------------------------------------------- handshake

const HANDSHAKE = ["redis_auth: secret", "redis_db: 5"];
const GREETING = command("AUTH", "secret") + command("SELECT", "5");

test("AUTH and then SELECT go before the requests", async () => {
  const f = await Fixture.start({ config: HANDSHAKE });
  const client = f.client();
  f.say(client, command("AUTH", "secret") + command("GET", "k"));
  assert.is(client.received(), "+OK\r\n");
  assert.is(f.server("a").received(), GREETING);
  for (const byte of "+OK\r\n+OK\r") f.say(f.server("a"), byte);
  assert.is(f.server("a").received(), "");
  f.say(f.server("a"), "\n");
  assert.is(f.server("a").received(), command("GET", "k"));
  f.say(f.server("a"), bulk("v"));
  assert.is(client.received(), bulk("v"));
});

test("a request that comes during the handshake waits for its end", async () => {
  const f = await Fixture.start({ config: HANDSHAKE });
  const client = f.client();
  f.say(client, command("AUTH", "secret") + command("GET", "k"));
  f.say(client, command("GET", "l"));
  f.say(f.server("a"), "+OK\r\n");
  f.say(client, command("GET", "m"));
  assert.is(f.server("a").received(), GREETING);
  f.say(f.server("a"), "+OK\r\n");
  assert.is(f.server("a").received(), ["k", "l", "m"].map((k) => command("GET", k)).join(""));
});

test("a refused handshake fails the requests and says why", async () => {
  for (const replies of ["-WRONGPASS no\r\n+OK\r\n", "+OK\r\n-WRONGPASS no\r\n"]) {
    const f = await Fixture.start({ config: HANDSHAKE });
    const client = f.client();
    f.say(client, command("AUTH", "secret") + command("GET", "k"));
    client.received();
    f.say(f.server("a"), replies);
    const error = "-ERR server refused redis_auth or redis_db: WRONGPASS no\r\n";
    assert.is(client.received(), error);
    assert.is(f.connections("a").length, 0);
    f.say(client, command("GET", "k"));
    assert.is(f.server("a").received(), GREETING);
    f.say(f.server("a"), "+OK\r\n+OK\r\n");
    f.say(f.server("a"), bulk("v"));
    assert.is(client.received(), bulk("v"));
  }
});

test("the handshake goes out whole however little the socket takes", async () => {
  for (const taker of [takeSome(1), takeSome(20), lend]) {
    const f = await Fixture.start({ config: HANDSHAKE });
    f.host.taker = taker;
    const client = f.client();
    f.say(client, command("AUTH", "secret") + command("GET", "k"));
    const server = f.server("a");
    let greeting = "";
    for (let i = 0; i < 100 && greeting.length < GREETING.length; i++) {
      server.drain();
      greeting += server.received();
    }
    assert.is(greeting, GREETING);
    f.say(server, "+OK\r\n+OK\r\n");
    let request = "";
    for (let i = 0; i < 100; i++) {
      server.drain();
      request += server.received();
    }
    assert.is(request, command("GET", "k"));
  }
});

test("the handshake's replies may come before the socket has let go of it", async () => {
  const f = await Fixture.start({ config: HANDSHAKE });
  f.host.taker = lend;
  const client = f.client();
  f.say(client, command("AUTH", "secret") + command("GET", "k"));
  const server = f.server("a");
  f.say(server, "+OK\r\n+OK\r\n");
  server.drain();
  assert.is(server.received(), GREETING);
  server.drain();
  assert.is(server.received(), command("GET", "k"));
});

test("a client that has not given the password gets no further", async () => {
  const f = await Fixture.start({ config: HANDSHAKE });
  const client = f.client();
  f.say(client, command("GET", "k") + command("MGET", "k", "l") + command("PING"));
  f.say(client, command("DBSIZE") + command("AUTH", "wrong"));
  assert.is(
    client.received(),
    "-NOAUTH Authentication required\r\n".repeat(4) + "-ERR invalid password\r\n",
  );
  assert.is(f.attempts("a"), 0);
});

test("the pool can connect in advance", async () => {
  const f = await Fixture.start({
    servers: ["a", "b"],
    config: ["preconnect: true", "server_connections: 2"],
  });
  f.settle();
  assert.equal([f.connections("a").length, f.connections("b").length], [2, 2]);
});

test("a stopped proxy drops every connection and takes no more", async () => {
  const f = await Fixture.start();
  const client = f.client();
  f.say(client, command("GET", "k"));
  f.proxy.stop();
  f.settle();
  assert.ok(client.gone);
  assert.is(f.connections("a").length, 0);
  assert.throws(() => f.client(), /nothing listens/);
  assert.is(f.watch.requests.size, 0);
});

test("clients beyond client_connections are told and closed", async () => {
  const f = await Fixture.start({ config: ["client_connections: 2"] });
  const [one] = [f.client(), f.client()];
  const third = f.client();
  assert.ok(third.gone);
  assert.is(third.received(), "-ERR max number of clients reached\r\n");
  one.fail("");
  assert.not(f.client().gone);
});

test.run();
