// The near cache of hot keys (`auto`), of memcached, and where only questions are shared (`ttl: 0`), on
// servers made of memory.

import { test } from "uvu";
import * as assert from "uvu/assert";
import { ask as packet } from "../protocol/packets.ts";
import { bulk, command, Fixture, type Setting } from "../fake/fixture.ts";
import type { FakeSocket } from "../fake/fake_host.ts";

const HELLO = "%1\r\n$5\r\nproto\r\n:3\r\n+OK\r\n";
const TRACKING = command("HELLO", "3") + command("CLIENT", "TRACKING", "ON");
const GET = command("GET", "hot");
const ASK = command("PTTL", "hot") + GET;
const changed = (key: string): string => `>2\r\n${bulk("invalidate")}*1\r\n${bulk(key)}`;

/** A pool whose one server is asked over a near connection too. */
class Auto {
  readonly f: Fixture;
  readonly client: FakeSocket;
  plain!: FakeSocket;
  near!: FakeSocket;

  constructor(f: Fixture) {
    this.f = f;
    this.client = f.client();
  }

  static async start(near: string, setting: Setting = {}): Promise<Auto> {
    const f = await Fixture.start({ ...setting, config: [`near_cache: ${near}`] });
    return new Auto(f);
  }

  /** Requests for a key make it hot, and it is kept from now on. */
  heat(request: string, reply: string): void {
    const { f, client } = this;
    for (let i = 0; i < 200 && f.connections("a").length < 2; i++) {
      f.say(client, request.repeat(50));
      [this.plain] = f.connections("a");
      for (let asked = 0; (asked = this.plain.received().split(request).length - 1) > 0;) {
        f.say(this.plain, reply.repeat(asked));
      }
      f.host.pass(20);
      client.received();
    }
    [, this.near] = f.connections("a");
    assert.is(this.near.received(), TRACKING);
    f.say(this.near, HELLO);
  }

  get hits(): number {
    return this.f.proxy.snapshot().pools[0].counters.near_hits;
  }
}

test("a hot key is read over the connection that hears of changes, and then answered", async () => {
  const a = await Auto.start("{auto: true}");
  a.heat(GET, bulk("1"));
  a.f.say(a.client, GET);
  assert.is(a.near.received(), ASK);
  a.f.say(a.near, `:-1\r\n${bulk("2")}`);
  assert.is(a.client.received(), bulk("2"));
  a.f.say(a.client, GET);
  assert.is(a.client.received(), bulk("2"));
  assert.is(a.hits, 1);
  a.f.say(a.near, changed("hot"));
  a.f.say(a.client, GET);
  assert.is(a.near.received(), ASK);
  a.f.say(a.near, `:-1\r\n${bulk("3")}`);
  assert.is(a.client.received(), bulk("3"));
  // Its own write comes first.
  a.plain.received();
  a.f.say(a.client, command("SET", "hot", "4") + GET);
  assert.is(a.plain.received(), command("SET", "hot", "4"));
  a.f.say(a.plain, "+OK\r\n");
  a.f.say(a.near, changed("hot"));
  assert.is(a.near.received(), ASK);
  a.f.say(a.near, `:-1\r\n${bulk("4")}`);
  assert.is(a.client.received(), `+OK\r\n${bulk("4")}`);
  a.f.say(a.client, command("GET", "cold"));
  assert.is(a.plain.received(), command("GET", "cold"));
});

test("what was on its way when a key became hot is answered first", async () => {
  const a = await Auto.start("{auto: true}");
  const writer = a.f.client();
  a.f.say(writer, command("SET", "hot", "0"));
  a.plain = a.f.connections("a")[0];
  const { plain } = a;
  assert.is(plain.received(), command("SET", "hot", "0"));
  for (let i = 0; i < 60; i++) {
    a.f.say(a.client, GET.repeat(50));
    a.f.host.pass(20);
  }
  a.f.host.pass(1000);
  // It is hot, and the write is not answered yet: it is only watched.
  assert.is(a.f.connections("a").length, 1);
  a.f.say(a.client, GET);
  a.f.host.pass(1000);
  assert.is(a.f.connections("a").length, 1);
  a.f.say(plain, "+OK\r\n" + bulk("0").repeat(3001));
  a.f.host.pass(1000);
  a.f.say(a.client, GET);
  assert.is(a.f.connections("a").length, 2);
});

test("a key that changes as much as it is read is let go", async () => {
  const a = await Auto.start("{auto: true}");
  a.heat(GET, bulk("1"));
  const { near } = a;
  for (let i = 0; i < 3000; i++) {
    a.f.say(a.client, GET);
    if (near.received() === "") break;
    a.f.say(near, `:-1\r\n${bulk("1")}${changed("hot")}`);
    if (i % 50 === 49) a.f.host.pass(200);
  }
  assert.is(a.plain.received(), GET);
});

const VALUE = "VALUE n:a 0 1\r\n1\r\nEND\r\n";
const get = "get n:a\r\n";

test("memcached: a value is given for ttl, and no longer; own writes outdate it", async () => {
  const f = await Fixture.start({
    memcached: true,
    config: ["near_cache: {prefixes: ['n:'], ttl: 3000}"],
  });
  const client = f.client();
  f.say(client, get);
  const [one, two] = f.connections("a");
  assert.is(f.connections("a").length, 2);
  const plain = [one, two].find((socket) => socket.received() === get) as FakeSocket;
  const near = plain === one ? two : one;
  f.say(plain, VALUE);
  f.say(client, get + get);
  assert.is(near.received(), get);
  f.say(near, VALUE);
  assert.is(client.received(), VALUE.repeat(3));
  f.say(client, `${get}get n:a n:a\r\n`);
  assert.is(client.received(), VALUE + VALUE.replace("END\r\n", "") + VALUE);
  assert.is(near.received() + plain.received(), "");
  // Others' clients, in the binary protocol too.
  const other = f.client();
  f.say(other, packet(0x04, { key: "n:a" }));
  f.say(client, get);
  assert.is(near.received(), get);
  f.say(near, "END\r\n");
  assert.is(client.received(), "END\r\n");
  const binary = f.connections("a").find((socket) => socket !== near && socket !== plain);
  assert.is((binary as FakeSocket).received(), packet(0x04, { key: "n:a" }));
  f.say(binary as FakeSocket, `\x81\x04${"\0".repeat(22)}`);
  f.say(client, get);
  assert.is(near.received(), get);
  f.say(near, VALUE);
  client.received();
  f.say(client, "stats\r\n" + "version\r\n");
  plain.received();
  f.say(plain, "END\r\nVERSION 1\r\n");
  client.received();
  f.say(client, get);
  assert.is(client.received(), VALUE, "stats change nothing");
  f.host.pass(2900);
  near.received();
  f.say(near, "VERSION 1\r\n");
  f.host.pass(200);
  near.received();
  f.say(client, get);
  assert.is(near.received(), get);
});

test("ttl: 0 keeps nothing: questions in flight are shared", async () => {
  const a = await Auto.start("{ttl: 0}");
  a.f.say(a.client, GET);
  const [one, two] = a.f.connections("a");
  const near = [one, two].find((socket) => socket.received() === TRACKING) as FakeSocket;
  const plain = near === one ? two : one;
  plain.received();
  a.f.say(near, HELLO);
  a.f.say(plain, bulk("1"));
  assert.is(a.client.received(), bulk("1"));
  const others = Array.from({ length: 5 }, () => a.f.client());
  for (const client of others) a.f.say(client, GET);
  assert.is(near.received(), GET);
  a.f.say(near, bulk("2"));
  for (const client of others) assert.is(client.received(), bulk("2"));
  a.f.say(a.client, GET);
  assert.is(near.received(), GET);
  // What was told of since is not shared.
  a.f.say(near, changed("hot"));
  a.f.say(others[0], GET);
  assert.is(near.received(), GET);
  assert.is(plain.received(), "");
  a.f.say(near, bulk("3") + bulk("4"));
  assert.is(a.client.received(), bulk("3"));
  assert.is(others[0].received(), bulk("4"));
});

test.run();
