// Who is slow, and who waits: memory stays bounded when a client does not read or a server does
// not, nobody is forgotten while paused, and connections end without losing a reply.

import { test } from "uvu";
import * as assert from "uvu/assert";
import { bytes } from "../../core/bytes.ts";
import { lend, takeAll, takeNone, takeSome } from "../fake/fake_host.ts";
import { bulk, command, Fixture } from "../fake/fixture.ts";

const MB = 1 << 20;

/** Bytes in the buffers that are in use. */
const held = (f: Fixture): number => {
  let sum = 0;
  for (const buf of f.watch.buffers) sum += buf.length;
  return sum;
};

for (const [way, taker] of [["none", takeNone], ["lent", lend], ["some", takeSome(10)]] as const) {
  test(`a client that does not read its replies is not read (${way})`, async () => {
    const f = await Fixture.start();
    const client = f.client();
    client.taker = taker;
    const value = bulk("x".repeat(100_000));
    let sent = 0;
    while (!client.paused && sent < 100) {
      f.say(client, command("GET", "k"));
      f.say(f.server("a"), value);
      sent++;
    }
    assert.ok(sent >= 10 && sent < 20, `paused after ${sent} replies`);
    client.send(command("GET", "k") + command("PING"));
    f.settle();
    client.taker = takeAll;
    let received = 0;
    for (let i = 0; i < 100; i++) {
      client.drain();
      f.settle();
      received += client.received().length;
    }
    f.say(f.server("a"), value);
    received += client.received().length;
    assert.is(received, (sent + 1) * value.length + "+PONG\r\n".length);
    assert.not(client.paused);
    assert.is(f.watch.buffers.size, 0);
  });
}

test("a client with too many unread replies is cut off", async () => {
  const f = await Fixture.start({ limits: { clientOutput: 4 * MB } });
  const client = f.client();
  client.taker = takeNone;
  f.say(client, command("GET", "k").repeat(100));
  for (let i = 0; i < 100 && !client.gone; i++) f.say(f.server("a"), bulk("x".repeat(100_000)));
  assert.ok(client.gone);
  assert.ok(f.logged.some((line) => /did not read \d+ bytes/.test(line)));
  f.settle();
  assert.is(f.pool.clients.size, 0);
});

test("a client that was cut off is not touched again, whatever the runtime still tells", async () => {
  const f = await Fixture.start({ limits: { clientOutput: MB } });
  const client = f.client();
  client.taker = takeNone;
  f.say(client, command("GET", "k").repeat(30));
  const handler = client.handler!;
  for (let i = 0; i < 30 && !client.gone; i++) {
    f.server("a").send(bulk("x".repeat(100_000)));
    f.server("a").deliver();
    f.host.turn();
  }
  assert.ok(client.gone);
  handler.drain();
  handler.end();
  handler.data(bytes(command("PING")), 0, 14);
  f.settle();
  assert.is(f.pool.clients.lingering.size, 0);
  assert.is(f.pool.counters.client_eof, 0);
});

for (const way of ["short", "lent"] as const) {
  test(`a server that does not take requests stops the clients that feed it (${way})`, async () => {
    const f = await Fixture.start({ servers: ["a", "b"] });
    const [feeder, other] = [f.client(), f.client()];
    const [a, b] = [f.key("a"), f.key("b")];
    f.say(feeder, command("GET", a));
    const server = f.server("a");
    server.taker = way === "short" ? takeNone : lend;
    const set = command("SET", a, "x".repeat(100_000));
    let sent = 0;
    while (!feeder.paused && sent < 200) {
      f.say(feeder, set);
      sent++;
    }
    assert.ok(sent > 30 && sent < 60, `paused after ${sent} requests`);
    f.say(other, command("GET", b));
    f.say(f.server("b"), bulk("v"));
    assert.is(other.received(), bulk("v"));
    feeder.send(set.repeat(3));
    f.settle();
    assert.ok(f.pool.servers[0].connections[0].out.size < 6 * MB);
    server.taker = takeAll;
    for (let i = 0; i < 100; i++) {
      server.drain();
      f.settle();
    }
    assert.not(feeder.paused);
    f.say(server, bulk("v") + "+OK\r\n".repeat(sent + 3));
    assert.is(feeder.received(), bulk("v") + "+OK\r\n".repeat(sent + 3));
    assert.is(f.watch.buffers.size, 0);
  });
}

test("requests that split stop a client too when a server takes nothing", async () => {
  const f = await Fixture.start({ servers: ["a", "b"] });
  const client = f.client();
  const [a, b] = [f.key("a"), f.key("b")];
  f.say(client, command("GET", a));
  f.server("a").taker = takeNone;
  const mset = command("MSET", a, "x".repeat(100_000), b, "y");
  let sent = 0;
  while (!client.paused && sent < 200) {
    f.say(client, mset);
    sent++;
  }
  assert.ok(sent < 60, `paused after ${sent} requests`);
});

test("clients paused while a server connects go on when it takes all at once", async () => {
  const f = await Fixture.start();
  f.host.onConnect = () => {};
  const client = f.client();
  const set = command("SET", "k", "x".repeat(100_000));
  let sent = 0;
  while (!client.paused && sent < 200) {
    f.say(client, set);
    sent++;
  }
  assert.ok(sent < 60, `paused after ${sent} requests`);
  client.send(command("GET", "k"));
  const server = f.server("a");
  server.openNow();
  f.settle();
  assert.not(client.paused);
  assert.ok(server.received().endsWith(command("GET", "k")));
});

test("clients paused by a congested server go on when a flush, not a drain, empties it", async () => {
  const f = await Fixture.start();
  const [feeder, other] = [f.client(), f.client()];
  f.say(feeder, command("GET", "k"));
  const server = f.server("a");
  server.taker = takeNone;
  const set = command("SET", "k", "x".repeat(100_000));
  for (let i = 0; i < 200 && !feeder.paused; i++) f.say(feeder, set);
  assert.ok(feeder.paused);
  // The first drain takes a little; the socket then takes the rest without having been full.
  server.taker = takeSome(100_000);
  server.drain();
  server.taker = takeAll;
  server.blocked = false;
  f.say(other, command("GET", "k"));
  assert.not(feeder.paused);
});

test("clients paused by a congested server go on when it is lost", async () => {
  const f = await Fixture.start();
  const client = f.client();
  f.say(client, command("GET", "k"));
  f.server("a").taker = takeNone;
  const set = command("SET", "k", "x".repeat(100_000));
  for (let i = 0; i < 200 && !client.paused; i++) f.say(client, set);
  client.send(command("PING"));
  f.server("a").fail("ECONNRESET");
  f.settle();
  assert.not(client.paused);
  assert.ok(client.received().endsWith("-ERR Connection reset by peer\r\n+PONG\r\n"));
});

test("a huge value streams to its client in bounded memory", async () => {
  const f = await Fixture.start();
  const client = f.client();
  f.say(client, command("GET", "k"));
  const server = f.server("a");
  const size = 50 * MB;
  server.send(`$${size}\r\n`);
  const piece = new Uint8Array(65536).fill(0x78);
  for (let i = 0; i < size / piece.length; i++) server.send(piece);
  server.send("\r\n");
  client.taker = lend;
  let received = 0;
  let most = 0;
  for (let i = 0; i < 100_000 && received < size + 13; i++) {
    // The server is much faster than the client.
    for (let k = 0; k < 4; k++) server.deliver();
    f.host.turn();
    most = Math.max(most, held(f));
    if (i % 4 === 0) client.drain();
    f.host.turn();
    received += client.receivedBytes().length;
  }
  assert.is(received, size + 13);
  assert.ok(most < 4 * MB, `${most} bytes`);
  f.settle();
  assert.is(f.watch.buffers.size, 0);
  assert.is(f.watch.requests.size, 0);
  f.say(client, command("GET", "k"));
  f.say(server, bulk("v"));
  client.drain();
  assert.is(client.received(), bulk("v"));
});

test("a server is read on when a client takes a large piece at once", async () => {
  const f = await Fixture.start();
  const [one, two] = [f.client(), f.client()];
  f.say(one, command("GET", "k"));
  f.say(two, command("GET", "l"));
  const server = f.server("a");
  server.send(bytes(`$${4 * MB}\r\n${"x".repeat(2 * MB)}`));
  server.deliver();
  f.host.turn();
  assert.is(one.received().length, 2 * MB + 10);
  assert.not(server.paused);
  f.say(server, "x".repeat(2 * MB) + "\r\n" + bulk("v"));
  assert.is(two.received(), bulk("v"));
});

test("a client that reads nothing of a streamed reply holds the others up for a second at most", async () => {
  const f = await Fixture.start({ config: ["timeout: 400"] });
  const [slow, other] = [f.client(), f.client()];
  slow.taker = takeNone;
  f.say(slow, command("GET", "k"));
  f.say(other, command("GET", "l"));
  const server = f.server("a");
  const size = 8 * MB;
  server.send(`$${size}\r\n`);
  for (let i = 0; i < size / 65536; i++) server.send("x".repeat(65536));
  server.send("\r\n" + bulk("v"));
  f.settle();
  assert.ok(server.paused);
  f.host.pass(700);
  assert.not(server.gone, "a server that is not read has not timed out");
  f.host.pass(1000);
  f.settle();
  assert.is(other.received(), bulk("v"));
});

test("a server paused for a client is read on when the client leaves", async () => {
  const f = await Fixture.start();
  const [slow, other] = [f.client(), f.client()];
  slow.taker = takeNone;
  f.say(slow, command("GET", "k"));
  f.say(other, command("GET", "l"));
  const server = f.server("a");
  server.send(`$${4 * MB}\r\n`);
  for (let i = 0; i < 64; i++) server.send("x".repeat(65536));
  server.send("\r\n" + bulk("v"));
  f.settle();
  assert.ok(server.paused);
  slow.fail("ECONNRESET");
  f.settle();
  assert.is(other.received(), bulk("v"));
});

test("a client served by two slow streams one after the other forgets neither server", async () => {
  const f = await Fixture.start({ servers: ["a", "b"] });
  const client = f.client();
  client.taker = takeNone;
  f.say(client, command("GET", f.key("a")) + command("GET", f.key("b")));
  const [a, b] = [f.server("a"), f.server("b")];
  const start = `$${4 * MB}\r\n${"x".repeat(2 * MB)}`;
  a.send(start);
  a.deliver();
  a.send("x".repeat(2 * MB) + "\r\n");
  a.deliverAnyway(); // had been read before the pause
  b.send(start);
  b.deliver();
  f.host.turn();
  client.taker = takeAll;
  client.drain();
  f.host.turn();
  assert.not(a.paused);
  assert.not(b.paused);
});

test("QUIT is answered after all that came before it, and what follows is not read", async () => {
  const f = await Fixture.start();
  const client = f.client();
  f.say(client, command("GET", "k") + command("QUIT") + command("GET", "l"));
  assert.is(f.server("a").received(), command("GET", "k"));
  assert.not(client.finished);
  f.say(f.server("a"), bulk("v"));
  assert.is(client.received(), bulk("v") + "+OK\r\n");
  assert.ok(client.finished);
  assert.not(client.gone);
  f.say(client, command("GET", "l"));
  assert.is(f.server("a").received(), "");
  client.end();
  f.settle();
  assert.ok(client.gone);
  assert.is(f.pool.clients.size, 0);
});

test("what a client sends behind QUIT is read and dropped even if it had been paused", async () => {
  const f = await Fixture.start();
  const client = f.client();
  client.send(command("GET", "k").repeat(10_000) + command("QUIT"));
  f.settle();
  assert.ok(client.paused);
  f.say(f.server("a"), "$-1\r\n".repeat(8192));
  f.say(f.server("a"), "$-1\r\n".repeat(10_000 - 8192));
  assert.ok(client.finished);
  assert.not(client.paused);
  client.end();
  f.settle();
  assert.ok(client.gone);
});

test("an error in the protocol found after a pause is written before the FIN", async () => {
  for (const last of [command("QUIT"), "*1\r\n:4\r\n"]) {
    const f = await Fixture.start();
    const client = f.client();
    client.send(command("GET", "k").repeat(8192) + last);
    f.settle();
    assert.ok(client.paused);
    f.say(f.server("a"), "$-1\r\n".repeat(8192));
    assert.match(client.received().slice(8192 * 5), /^(\+OK|-ERR Protocol error.*)\r\n$/);
    assert.ok(client.finished);
  }
});

test("memcached: quit closes without a word", async () => {
  const f = await Fixture.start({ memcached: true });
  const client = f.client();
  f.say(client, "quit\r\n");
  assert.ok(client.finished);
  assert.is(client.received(), "");
});

test("a client that does not close its side after QUIT is closed after a second", async () => {
  const f = await Fixture.start();
  const client = f.client();
  f.say(client, command("QUIT"));
  f.host.pass(900);
  assert.not(client.gone);
  f.host.pass(300);
  assert.ok(client.gone);
});

test("a client that has sent FIN still gets the replies it waits for", async () => {
  const f = await Fixture.start({ servers: ["a", "b"] });
  const client = f.client();
  client.send(command("GET", f.key("a")) + command("MGET", f.key("a"), f.key("b")) + "*1\r\n$4");
  client.end();
  f.settle();
  assert.not(client.gone);
  f.say(f.server("a"), bulk("v") + `*1\r\n${bulk("1")}`);
  assert.not(client.gone);
  f.say(f.server("b"), `*1\r\n${bulk("2")}`);
  assert.is(client.received(), bulk("v") + `*2\r\n${bulk("1")}${bulk("2")}`);
  assert.ok(client.gone);
  assert.is(f.watch.requests.size, 0);
});

test("a client that has sent FIN gets an error for a reply that is lost", async () => {
  const f = await Fixture.start();
  const client = f.client();
  client.send(command("GET", "k"));
  client.end();
  f.settle();
  f.server("a").fail("ECONNRESET");
  f.settle();
  assert.is(client.received(), "-ERR Connection reset by peer\r\n");
  assert.ok(client.gone);
});

test("FIN of a paused client comes into force after its requests", async () => {
  const f = await Fixture.start();
  const client = f.client();
  client.send(command("GET", "k").repeat(20_000));
  client.end();
  f.settle();
  const server = f.server("a");
  let answered = 0;
  for (let i = 0; i < 100 && answered < 20_000; i++) {
    const n = server.received().length / command("GET", "k").length;
    f.say(server, "$-1\r\n".repeat(n));
    answered += client.received().length / 5;
    // A runtime may tell of the FIN although the socket is paused.
    if (i === 0) client.deliverAnyway();
  }
  assert.is(answered, 20_000);
  assert.ok(client.gone);
});

test("an error in the protocol is answered after the requests before it", async () => {
  const f = await Fixture.start();
  const client = f.client();
  f.say(client, command("GET", "k") + "*1\r\n:4\r\nPING\r\n" + command("GET", "l"));
  assert.is(f.server("a").received(), command("GET", "k"));
  assert.is(client.received(), "");
  f.say(f.server("a"), bulk("v"));
  assert.is(
    client.received(),
    bulk("v") + "-ERR Protocol error: expected '$', got ':'\r\n",
  );
  assert.ok(client.finished);
  assert.is(f.pool.counters.client_err, 1);
});

test("a request that is too large is refused before it is all there", async () => {
  const f = await Fixture.start({ limits: { request: MB } });
  const client = f.client();
  f.say(client, command("GET", "k") + `*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$${2 * MB}\r\n`);
  f.say(f.server("a"), bulk("v"));
  assert.match(client.received(), /^\$1\r\nv\r\n-ERR .*too large.*\r\n$/);
  assert.ok(client.finished);
});

test("an announced length alone takes no memory to speak of", async () => {
  const f = await Fixture.start();
  const clients = Array.from({ length: 50 }, () => f.client());
  for (const client of clients) f.say(client, `*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$500000000\r\nx`);
  assert.ok(held(f) <= 50 * MB * 2, `${held(f)} bytes`);
  for (const client of clients) client.fail("");
  assert.is(f.watch.buffers.size, 0);
});

test("a value of many megabytes goes up to its server without being copied over and over", async () => {
  const f = await Fixture.start();
  const client = f.client();
  const size = 20 * MB;
  const head = `*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$${size}\r\n`;
  f.say(client, head);
  const piece = new Uint8Array(65536).fill(0x78);
  for (let i = 0; i < size / piece.length; i++) {
    f.say(client, piece);
  }
  f.say(client, "\r\n" + command("GET", "k"));
  const received = f.server("a").receivedBytes();
  // The GET waits: it takes another connection and must not overtake the SET.
  assert.is(received.length, head.length + size + 2);
  f.say(f.server("a"), "+OK\r\n");
  assert.is(client.received(), "+OK\r\n");
  f.say(f.connections("a")[1], bulk("v"));
  assert.is(client.received(), bulk("v"));
  assert.is(f.watch.buffers.size, 0);
});

test("what belongs to an upload is never taken for commands, wherever it is cut", async () => {
  const f = await Fixture.start({ servers: ["a", "b"] });
  const key = f.key("a");
  const smuggled = command("DEL", "victim").repeat(100);
  const value = smuggled + "x".repeat(2 * MB);
  const data = command("SET", key, value) + command("GET", key);
  const head = data.indexOf(smuggled);
  for (const cut of [1, 10, head - 12, head - 2, head - 1, head, head + 1, head + 600]) {
    for (const next of [700, 65536, data.length]) {
      const client = f.client();
      f.say(client, data.slice(0, cut));
      f.say(client, data.slice(cut, cut + next));
      for (let at = cut + next; at < data.length; at += 65536) {
        f.say(client, data.slice(at, at + 65536));
      }
      for (const [request, reply] of [["SET", "+OK\r\n"], ["GET", "$-1\r\n"]]) {
        const sent = f.connections("a").map((socket) => socket.received());
        const expected = request === "SET" ? command("SET", key, value) : command("GET", key);
        assert.ok(sent.join("") === expected, `${request}, cut at ${cut}, then ${next}`);
        f.say(f.connections("a")[sent.indexOf(expected)], reply);
        assert.is(client.received(), reply);
      }
      client.fail("");
    }
  }
  assert.is(f.watch.requests.size, 0);
  assert.is(f.watch.buffers.size, 0);
});

for (const leaves of ["at once", "in the middle", "before the reply"]) {
  test(`a client that leaves an upload ${leaves} does not spoil the next one`, async () => {
    const f = await Fixture.start();
    const value = "y".repeat(2 * MB);
    const request = command("SET", "k", value);
    const leaver = f.client();
    leaver.send(command("SET", "k", "x".repeat(2 * MB)));
    const other = f.client();
    other.send(command("PING"));
    other.deliver(); // what comes after it in this turn waits for the turn's end
    leaver.deliver(100_000); // the connection it is to have is not even opened
    if (leaves !== "at once") {
      f.host.event();
      f.host.turn();
    }
    if (leaves === "before the reply") f.settle();
    leaver.fail("ECONNRESET");
    const client = f.client();
    client.send(request);
    while (client.unreadBytes > 0) {
      client.deliver(100_000);
      f.settle();
    }
    const own = f.connections("a").find((socket) => socket.received().endsWith(request));
    assert.ok(own, "the whole request, and nothing of the other, is there");
    if (leaves === "before the reply" && f.attempts("a") === 1) f.say(own, "+OK\r\n");
    f.say(own, "-ERR mine\r\n");
    assert.is(client.received(), "-ERR mine\r\n");
    assert.is(f.watch.requests.size, 0);
  });
}

test("who is to be answered first is not read faster than a server takes its upload", async () => {
  const f = await Fixture.start();
  f.host.taker = takeNone;
  const client = f.client();
  const request = command("SET", "k", "x".repeat(16 * MB));
  let at = 0;
  for (; !client.paused && at < request.length; at += 65536) {
    f.say(client, request.slice(at, at + 65536));
  }
  assert.ok(client.paused && at < request.length);
  for (const one of f.pool.clients) one.emptyListening();
  f.settle();
  assert.ok(client.paused);
});

test("FIN in the middle of an upload closes the client and frees the connection", async () => {
  const f = await Fixture.start();
  const client = f.client();
  f.say(client, command("SET", "k", "x".repeat(2 * MB)).slice(0, MB));
  client.end();
  f.settle();
  assert.ok(client.gone);
  assert.is(f.watch.requests.size, 0);
  assert.is(f.connections("a").length, 0);
});

test("a client whose later replies pile up behind a missing one is cut off at the limit", async () => {
  const f = await Fixture.start({ servers: ["a", "b"], limits: { clientOutput: MB } });
  const client = f.client();
  const other = f.client();
  f.say(client, command("GET", f.key("a")) + command("GET", f.key("b")).repeat(3));
  const value = bulk("x".repeat(400_000));
  f.say(f.server("b"), value);
  f.say(f.server("b"), value);
  assert.ok(!client.gone, "two of them are within the limit");
  f.say(f.server("b"), value);
  assert.ok(client.gone);
  // What was on its way for it harms nobody.
  f.say(other, command("GET", f.key("a")));
  f.say(f.server("a"), bulk("late") + bulk("mine"));
  assert.is(other.received(), bulk("mine"));
  assert.ok(held(f) <= 16384, "no more than an empty chunk is kept");
});

test("an idle client and an idle connection hold no buffers", async () => {
  const f = await Fixture.start({ servers: ["a", "b"] });
  const client = f.client();
  f.say(client, command("GET", f.key("a")) + command("MGET", f.key("a"), f.key("b")));
  f.say(f.server("a"), bulk("v") + `*1\r\n$-1\r\n`);
  f.say(f.server("b"), `*1\r\n$-1\r\n`);
  client.received();
  // One chunk a server connection for replies that have to wait.
  assert.ok(held(f) <= 2 * 16384, `${held(f)} bytes`);
});

test.run();
