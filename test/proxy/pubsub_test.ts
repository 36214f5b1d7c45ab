// Publish and subscribe on a runtime made of memory: who hears what, in which order, and what is
// asked of the servers; with losses of connections in between.

import { test } from "uvu";
import * as assert from "uvu/assert";
import { bulk, command, Fixture } from "./fixture.ts";
import type { FakeSocket } from "./fake_host.ts";

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
