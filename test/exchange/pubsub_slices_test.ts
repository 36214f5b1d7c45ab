// SUBSCRIBE and UNSUBSCRIBE of very many channels are carried out in slices: others are served
// meanwhile, and what the client is told is what it would have been.

import { test } from "uvu";
import * as assert from "uvu/assert";
import { SLICE } from "../../core/exchange/in_slices.ts";
import { bulk, Fixture } from "../fake/fixture.ts";
import type { FakeSocket } from "../fake/fake_host.ts";

const MANY = 6 * SLICE + 5;
const SERVERS = ["a", "b"];
/** As the fixture's, of as many words as one likes. */
const command = (name: string, words: string[] = []): string =>
  `*${1 + words.length}\r\n${[name, ...words].map(bulk).join("")}`;
const channel = (i: number): string => `c${i}`;
const channels = Array.from({ length: MANY }, (_, i) => channel(i));
const told = (verb: string, name: string, count: number): string =>
  `*3\r\n${bulk(verb)}${bulk(name)}:${count}\r\n`;
const message = (name: string, body: string): string =>
  `*3\r\n${bulk("message")}${bulk(name)}${bulk(body)}`;

/** Servers confirm what they are asked for. */
function confirm(f: Fixture): void {
  for (const name of SERVERS) {
    for (const socket of f.connections(name)) {
      const words = socket.received().split("\r\n");
      let said = "";
      for (let i = 0; i + 4 < words.length; i += 5) {
        said += told(words[i + 2].toLowerCase(), words[i + 4], 1);
      }
      if (said !== "") socket.send(said);
    }
  }
  f.settle();
}

interface Scene {
  f: Fixture;
  client: FakeSocket;
  other: FakeSocket;
}

async function scene(subscribed: string[] = []): Promise<Scene> {
  const f = await Fixture.start({ servers: SERVERS });
  const client = f.client();
  const other = f.client();
  f.settle();
  if (subscribed.length > 0) {
    f.say(client, command("SUBSCRIBE", subscribed));
    confirm(f);
    client.received();
  }
  return { f, client, other };
}

/** The client's bytes are read, and turns end, until what `other` says is answered: how many turns. */
function turnsUntilAnswered({ f, other }: Scene, ends: () => void): number {
  ends();
  other.send(command("PING"));
  for (let turn = 1; turn < 100; turn++) {
    f.host.turn();
    other.deliver();
    if (other.received() !== "") return turn;
  }
  return 100;
}

function deliverAll(client: FakeSocket): void {
  while (client.deliver(65536));
}

test("others are served between the slices of SUBSCRIBE", async () => {
  const it = await scene();
  it.client.send(command("SUBSCRIBE", channels));
  const turns = turnsUntilAnswered(it, () => deliverAll(it.client));
  assert.ok(turns <= 2, `answered after ${turns} turns`);
  assert.ok(it.f.pool.topics.count(0) <= 3 * SLICE, `${it.f.pool.topics.count(0)} were asked for`);
  it.f.settle();
  confirm(it.f);
  assert.is(
    it.client.received(),
    channels.map((name, i) => told("subscribe", name, i + 1)).join(""),
  );
});

for (const names of [channels, []]) {
  test(`others are served between the slices of UNSUBSCRIBE of ${names.length} names`, async () => {
    const it = await scene(channels);
    it.client.send(command("UNSUBSCRIBE", names));
    const turns = turnsUntilAnswered(it, () => deliverAll(it.client));
    assert.ok(turns <= 2, `answered after ${turns} turns`);
    assert.ok(it.f.pool.topics.count(0) >= SLICE, `${it.f.pool.topics.count(0)} are left`);
    it.f.settle();
    confirm(it.f);
    assert.is(
      it.client.received(),
      channels.map((name, i) => told("unsubscribe", name, MANY - 1 - i)).join(""),
    );
    assert.is(it.f.pool.topics.count(0), 0);
    it.f.say(it.client, command("GET", ["k"]));
    assert.is(it.client.received(), "", "it is no subscriber any more: the server is asked");
  });
}

test("others are served while a subscriber leaves, who hears no more", async () => {
  const it = await scene(channels);
  const turns = turnsUntilAnswered(it, () => it.client.fail("ECONNRESET"));
  assert.ok(turns <= 2, `answered after ${turns} turns`);
  assert.ok(it.f.pool.topics.count(0) >= SLICE);
  it.f.settle();
  confirm(it.f);
  assert.is(it.f.pool.topics.count(0), 0);
});

test("RESET of a subscriber: no message after its reply; what it subscribes to then, it hears", async () => {
  const { f, client } = await scene(channels);
  const last = MANY - 1;
  client.send(command("RESET"));
  deliverAll(client);
  for (const name of SERVERS) {
    for (const socket of f.connections(name)) {
      for (const i of [0, last]) socket.send(message(channel(i), "late"));
      socket.deliver();
    }
  }
  f.settle();
  assert.is(client.received(), "+RESET\r\n");
  f.say(client, command("SUBSCRIBE", [channel(last)]));
  confirm(f);
  assert.is(client.received(), told("subscribe", channel(last), 1));
  f.say(f.server(f.owner(channel(last))), message(channel(last), "now"));
  assert.is(client.received(), message(channel(last), "now"));
});

test("a client that leaves amid its SUBSCRIBE leaves nothing behind", async () => {
  const { f, client } = await scene();
  client.send(command("SUBSCRIBE", channels));
  deliverAll(client);
  assert.ok(f.pool.topics.count(0) > 0);
  client.fail("ECONNRESET");
  f.settle();
  confirm(f);
  assert.is(f.pool.topics.count(0), 0);
  assert.is(f.watch.requests.size, 0);
});

test("a message does not come before its channel is confirmed, even if others have it already", async () => {
  const { f, client, other } = await scene();
  const [old, fresh] = [f.key("a"), f.key("b")];
  f.say(other, command("SUBSCRIBE", [old]));
  confirm(f);
  f.say(client, command("SUBSCRIBE", [old, fresh]));
  f.say(f.server("a"), message(old, "m"));
  assert.is(client.received(), "");
  confirm(f);
  assert.is(
    client.received(),
    told("subscribe", old, 1) + told("subscribe", fresh, 2) + message(old, "m"),
  );
});

test.run();
