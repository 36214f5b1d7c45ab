// Publish and subscribe on a runtime made of memory: who hears what, in which order, and what is
// asked of the servers; with losses of connections in between.

import { test } from "uvu";
import * as assert from "uvu/assert";
import { bulk, command, Fixture } from "../fake/fixture.ts";
import { type FakeSocket, takeAll, takeNone } from "../fake/fake_host.ts";

const line = (word: string, name: string, n: number) => `*3\r\n${bulk(word)}${bulk(name)}:${n}\r\n`;
const message = (name: string, said: string) =>
  `*3\r\n${bulk("message")}${bulk(name)}${bulk(said)}`;

test("two clients share one subscription, and the last one ends it", async () => {
  const f = await Fixture.start();
  const [one, two] = [f.client(), f.client()];
  f.say(one, command("SUBSCRIBE", "c"));
  const server = f.server("a");
  assert.is(server.received(), command("SUBSCRIBE", "c"));
  assert.is(one.received(), "");
  f.say(server, line("subscribe", "c", 1));
  assert.is(one.received(), line("subscribe", "c", 1));
  f.say(two, command("SUBSCRIBE", "c"));
  assert.is(two.received(), line("subscribe", "c", 1));
  assert.is(server.received(), "");
  f.say(server, message("c", "hi"));
  assert.is(one.received(), message("c", "hi"));
  assert.is(two.received(), message("c", "hi"));
  f.say(one, command("UNSUBSCRIBE", "c"));
  assert.is(one.received(), line("unsubscribe", "c", 0));
  assert.is(server.received(), "");
  two.end();
  f.settle();
  assert.is(server.received(), command("UNSUBSCRIBE", "c"));
  assert.is(f.pool.topics.count(0), 0);
  assert.is(f.watch.requests.size, 0);
});

test("a message waits until the client is told that it is subscribed", async () => {
  const f = await Fixture.start({ servers: ["a", "b"] });
  const [x, y] = [f.key("a"), f.key("b")];
  const client = f.client();
  f.say(client, command("SUBSCRIBE", x, y));
  f.say(f.server("a"), line("subscribe", x, 1) + message(x, "early"));
  assert.is(client.received(), "");
  f.say(f.server("b"), line("subscribe", y, 1));
  assert.is(
    client.received(),
    line("subscribe", x, 1) + line("subscribe", y, 2) + message(x, "early"),
  );
});

test("a message does not go into a reply that is on its way", async () => {
  const f = await Fixture.start();
  const client = f.client();
  f.say(client, command("HELLO", "3"));
  client.received();
  f.say(client, command("SUBSCRIBE", "c"));
  const listener = f.server("a");
  f.say(listener, line("subscribe", "c", 1));
  client.received();
  f.say(client, command("GET", "k"));
  const replies = f.connections("a").find((one) => one !== listener) as FakeSocket;
  f.say(replies, "%7\r\n" + "+a\r\n:1\r\n".repeat(7)); // HELLO's
  const body = "x".repeat(100_000);
  f.say(replies, `$100000\r\n${body.slice(0, 50_000)}`);
  f.say(listener, message("c", "now"));
  f.say(replies, `${body.slice(50_000)}\r\n`);
  assert.is(client.received(), `$100000\r\n${body}\r\n>${message("c", "now").slice(1)}`);
});

test("a lost server fails who waits, and is subscribed to again for who does not", async () => {
  const f = await Fixture.start();
  const [old, late] = [f.client(), f.client()];
  f.say(old, command("SUBSCRIBE", "c"));
  f.say(f.server("a"), line("subscribe", "c", 1));
  old.received();
  f.say(late, command("SUBSCRIBE", "d"));
  f.server("a").fail("ECONNRESET");
  f.settle();
  assert.match(late.received(), /^-ERR /);
  f.host.pass(1000);
  const again = f.server("a");
  assert.is(again.received(), command("SUBSCRIBE", "c"));
  f.say(again, line("subscribe", "c", 1) + message("c", "back"));
  assert.is(old.received(), message("c", "back"));
  assert.is(late.received(), "");
});

test("a channel moves when its server is ejected, and back when that answers again", async () => {
  const f = await Fixture.start({
    servers: ["a", "b"],
    config: [
      "auto_eject_hosts: true",
      "server_failure_limit: 1",
      "server_retry_timeout: 1000",
      "distribution: ketama",
    ],
  });
  const channel = f.key("b");
  const [listener, other] = [f.client(), f.client()];
  f.say(listener, command("SUBSCRIBE", channel));
  const first = f.server("b");
  assert.is(first.received(), command("SUBSCRIBE", channel));
  f.say(first, line("subscribe", channel, 1));
  listener.received();
  f.say(other, command("GET", channel));
  // The subscriber's connection is the older one; a lost request ejects the server.
  f.connections("b")[1].fail("ECONNRESET");
  f.settle();
  assert.is(f.owner(channel), "a");
  const there = f.server("a");
  assert.is(there.received(), command("SUBSCRIBE", channel));
  // Until it is heard at its new place, it is heard at the old one.
  f.say(first, message(channel, "last"));
  assert.is(listener.received(), message(channel, "last"));
  assert.is(first.received(), "");
  f.say(there, line("subscribe", channel, 1));
  assert.is(first.received(), command("UNSUBSCRIBE", channel));
  f.say(first, line("unsubscribe", channel, 0));
  f.say(there, message(channel, "moved"));
  assert.is(listener.received(), message(channel, "moved"));

  f.host.pass(1500);
  f.say(other, command("GET", channel));
  assert.is(f.owner(channel), "b");
  assert.is(first.received(), command("SUBSCRIBE", channel));
  f.say(first, line("subscribe", channel, 1));
  assert.is(
    there.received().slice(-command("UNSUBSCRIBE", channel).length),
    command("UNSUBSCRIBE", channel),
  );
  f.say(first, message(channel, "back"));
  assert.is(listener.received(), message(channel, "back"));
});

test("another password: subscribed anew over a new connection, and nobody is told", async () => {
  const f = await Fixture.start({ config: ["redis_auth: one"] });
  const [client, late] = [f.client(), f.client()];
  f.say(client, command("AUTH", "one") + command("SUBSCRIBE", "c"));
  const old = f.server("a");
  assert.is(old.received(), command("AUTH", "one"));
  f.say(old, "+OK\r\n");
  assert.is(old.received(), command("SUBSCRIBE", "c"));
  f.say(old, line("subscribe", "c", 1));
  client.received();
  f.say(late, command("AUTH", "one") + command("SUBSCRIBE", "d"));
  late.received();

  await f.reload({ config: ["redis_auth: other"] });
  f.settle();
  assert.ok(old.gone);
  const now = f.server("a");
  assert.is(now.received(), command("AUTH", "other"));
  f.say(now, "+OK\r\n");
  assert.is(now.received(), command("SUBSCRIBE", "c") + command("SUBSCRIBE", "d"));
  f.say(now, line("subscribe", "c", 1) + line("subscribe", "d", 2) + message("c", "still"));
  assert.is(client.received(), message("c", "still"));
  assert.is(late.received(), line("subscribe", "d", 1));
  assert.not.match(f.logged.join("\n"), /subscriptions lost/);
});

test("another redis_db: what clients call 0 is that one from now on", async () => {
  const f = await Fixture.start({ config: ["redis_db: 3"] });
  const client = f.client();
  f.say(client, command("SUBSCRIBE", "__keyevent@0__:set"));
  const old = f.server("a");
  assert.is(old.received(), command("SELECT", "3"));
  f.say(old, "+OK\r\n");
  assert.is(old.received(), command("SUBSCRIBE", "__keyevent@3__:set"));
  f.say(old, line("subscribe", "__keyevent@3__:set", 1) + message("__keyevent@3__:set", "k"));
  assert.is(
    client.received(),
    line("subscribe", "__keyevent@0__:set", 1) + message("__keyevent@0__:set", "k"),
  );
  await f.reload({ config: ["redis_db: 12"] });
  f.settle();
  const now = f.server("a");
  assert.is(now.received(), command("SELECT", "12"));
  f.say(now, "+OK\r\n");
  assert.is(now.received(), command("SUBSCRIBE", "__keyevent@12__:set"));
  f.say(now, line("subscribe", "__keyevent@12__:set", 1) + message("__keyevent@12__:set", "k"));
  assert.is(client.received(), message("__keyevent@0__:set", "k"));
});

test("PUBLISH counts clients that the server does not know of; its errors are its own", async () => {
  const f = await Fixture.start();
  const [one, two, speaker] = [f.client(), f.client(), f.client()];
  for (const client of [one, two]) f.say(client, command("SUBSCRIBE", "c"));
  const listener = f.server("a");
  f.say(listener, line("subscribe", "c", 1));
  f.say(speaker, command("PUBLISH", "c", "hi") + command("PUBLISH", "d", "hi"));
  const server = f.connections("a").find((one) => one !== listener) as FakeSocket;
  assert.is(server.received(), command("PUBLISH", "c", "hi") + command("PUBLISH", "d", "hi"));
  f.say(server, ":4\r\n:1\r\n");
  assert.is(speaker.received(), ":5\r\n:1\r\n");
  f.say(speaker, command("PUBLISH", "c", "hi"));
  f.say(server, "-NOPERM no\r\n");
  assert.is(speaker.received(), "-NOPERM no\r\n");
  f.say(speaker, command("PUBLISH", "c", "hi"));
  server.fail("ECONNRESET");
  f.settle();
  assert.match(speaker.received(), /^-ERR Connection reset by peer/);
  assert.is(f.watch.requests.size, 0);
});

test("who has a quarter of the limit unread for a minute is cut off, as beyond the limit", async () => {
  const f = await Fixture.start({ config: ["pubsub_output_limit: 4000"] });
  const [slow, slower, quick] = [f.client(), f.client(), f.client()];
  for (const client of [slow, slower, quick]) f.say(client, command("SUBSCRIBE", "c"));
  const server = f.server("a");
  f.say(server, line("subscribe", "c", 1));
  for (const client of [slow, slower]) client.taker = takeNone;
  const some = message("c", "x".repeat(1500));
  const pass = (seconds: number) => {
    for (let i = 0; i < seconds; i++) {
      f.host.pass(1000);
      f.say(server, `*2\r\n${bulk("pong")}${bulk("")}`); // it is alive
    }
  };
  f.say(server, some);
  pass(30);
  // One of them catches up in time; its minute begins anew.
  slow.taker = takeAll;
  slow.drain();
  f.settle();
  slow.taker = takeNone;
  f.say(server, message("c", "a"));
  pass(25);
  f.say(server, some);
  assert.not(slower.gone);
  pass(6);
  f.say(server, message("c", "b"));
  assert.ok(slower.gone);
  assert.not(slow.gone);
  assert.match(f.logged.join("\n"), /bytes of messages for 60 s \(pubsub_output_limit: 4000\)/);
  f.say(server, some + some);
  assert.ok(slow.gone);
  assert.match(f.logged.join("\n"), /bytes of messages in time \(pubsub_output_limit: 4000\)/);
  assert.not(quick.gone);
});

test("random: clients, channels and losses; nothing astray, nothing lost while all is up", async () => {
  const f = await Fixture.start({ servers: ["a", "b", "c"] });
  let seed = 7;
  const random = (n: number) => (seed = (Math.imul(seed, 1103515245) + 12345) >>> 1) % n;
  const channels = ["a", "b", "c"].flatMap((name) => [0, 1, 2].map((n) => f.key(name, n)));
  const clients = [0, 1, 2, 3, 4].map(() => f.client());
  const mine = clients.map(() => new Set<string>());
  const open = new Map<FakeSocket, { text: string; on: Set<string> }>();
  /** Servers answer what they were asked. */
  const serve = () => {
    for (let busy = true; busy;) {
      busy = false;
      for (const socket of f.host.outgoing) {
        if (socket.gone) continue;
        const state = open.get(socket) ?? { text: "", on: new Set<string>() };
        open.set(socket, state);
        const words = socket.received().split("\r\n");
        for (let i = 0; i + 4 < words.length; i += 5) {
          const [, , verb, , name] = words.slice(i, i + 5);
          if (verb === "SUBSCRIBE") state.on.add(name);
          else state.on.delete(name);
          socket.send(line(verb.toLowerCase(), name, state.on.size));
          busy = true;
        }
      }
      f.settle();
    }
  };
  for (let step = 0; step < 3000; step++) {
    const who = random(clients.length);
    const name = channels[random(channels.length)];
    const what = random(20);
    if (what < 5) {
      mine[who].add(name);
      f.say(clients[who], command("SUBSCRIBE", name));
    } else if (what < 9) {
      mine[who].delete(name);
      f.say(clients[who], command("UNSUBSCRIBE", name));
    } else if (what === 9) {
      const up = f.host.outgoing.filter((one) => !one.gone);
      if (up.length > 0) up[random(up.length)].fail("ECONNRESET");
      f.host.pass(6000);
    }
    serve();
    for (const client of clients) assert.not.match(client.received(), /^-/);
    if (what <= 9) continue;
    const listeners = [...open].filter(([socket, { on }]) => !socket.gone && on.has(name));
    assert.is(listeners.length, mine.some((set) => set.has(name)) ? 1 : 0, `step ${step}`);
    const said = [`${step} one`, `${step} two`].map((text) => message(name, text)).join("");
    for (const [socket] of listeners) socket.send(said);
    f.settle();
    clients.forEach((client, i) => {
      assert.is(client.received(), mine[i].has(name) ? said : "", `step ${step}, client ${i}`);
    });
  }
});

test.run();
