// A route whose places change their owners while clients use them (a cluster's slots, say): requests
// that a server refuses, or that a lost link had not sent, go to another one, at their old place in
// their client's queue. What a client writes to one key is carried out once and in its order.

import { test } from "uvu";
import * as assert from "uvu/assert";
import { bytes, text } from "../../core/bytes.ts";
import type { Routing } from "../../core/pool.ts";
import type { Carrier } from "../../core/link/attempt.ts";
import type { Link } from "../../core/link/link.ts";
import type { Scan } from "../../core/protocol/codec.ts";
import type { RingRoute } from "../../core/route/ring.ts";
import type { Redirects, Route } from "../../core/route/route.ts";
import type { Server, Target } from "../../core/server/server.ts";
import { CLASS_READ } from "../../core/stats/latency.ts";
import { FakeHost, type FakeSocket, lend, takeAll } from "../fake/fake_host.ts";
import { bulk, command, Fixture } from "../fake/fixture.ts";
import { type Dice, dice } from "../fake/models.ts";

const SERVERS = ["a", "b", "c"];
const PLACES = 8;

function placeOf(key: string): number {
  let h = 7;
  for (const c of key) h = (h * 31 + c.charCodeAt(0)) % 65521;
  return h % PLACES;
}

/** Places with owners that are learned from `-MOVED <place> <server>`. */
class MovingRoute implements Route {
  readonly tells = false;
  readonly mixed = false;
  readonly redirects: Redirects;
  readonly places = PLACES;
  epoch = 0;
  picked = 0;
  readonly place = -1;
  private readonly pool: Parameters<Routing>[1];
  private readonly owners: number[];
  private readonly epochs: number[];

  constructor(_ring: RingRoute, pool: Parameters<Routing>[1]) {
    this.pool = pool;
    this.owners = Array.from({ length: PLACES }, (_, i) => i % SERVERS.length);
    this.epochs = this.owners.map(() => 0);
    this.redirects = {
      rounds: null,
      refused: (buf, start, end) => this.refused(text(buf, start, end)),
      lost: (link) => this.lost(link),
      mayRepeat: (intent) => intent === CLASS_READ,
      most: 5,
      preface: null,
      apart: false,
      tooMany: () => null,
      held: () => null,
      forgotten: () => null,
      broadcasts: false,
      overdue: () => bytes(""),
    };
  }

  /** A place has another owner, as far as the route knows. */
  move(place: number, owner: number): void {
    if (this.owners[place] === owner) return;
    this.owners[place] = owner;
    this.epochs[place] = ++this.epoch;
  }

  pick(buf: Uint8Array, start: number, end: number): Target {
    const place = placeOf(text(buf, start, end));
    this.picked = this.epochs[place];
    return this.owner(place);
  }

  isOnePlace(): boolean {
    return true;
  }

  walkFrom(place: number): number {
    return place;
  }

  pickAll(scan: Scan, buf: Uint8Array, at: number, places: Uint16Array): Target | null {
    let several = false;
    for (let i = 0; i < scan.nkeys; i++) {
      const arg = 2 * (scan.first + i * scan.step);
      places[i] = placeOf(text(buf, at + scan.args[arg], at + scan.args[arg + 1]));
      if (places[i] !== places[0]) several = true;
    }
    return several ? null : this.owner(places[0]);
  }

  owner(place: number): Server {
    return this.pool.servers[this.owners[place]];
  }

  any(): Target {
    return this.pool.servers[0];
  }

  all(): Server[] {
    return [...this.pool.servers];
  }

  private refused(error: string): Target | null {
    const moved = /^-MOVED (\d+) (\w+)\r\n$/.exec(error);
    if (moved === null) return null;
    const owner = SERVERS.indexOf(moved[2]);
    this.move(Number(moved[1]), owner);
    return this.pool.servers[owner];
  }

  /** The same server, over its next socket. */
  private lost(link: Carrier): Target | null {
    return (link as Link).owner as Server;
  }
}

/** What the servers have, whichever has it now. */
class Cluster {
  readonly owners = Array.from({ length: PLACES }, (_, i) => i % SERVERS.length);
  readonly values = new Map<string, string>();
  /** How often each request was refused, by its words: for the bound. */
  readonly refusals = new Map<string, number>();
  /** Carried out, all in all, and sent elsewhere. */
  done = 0;
  moved = 0;

  reply(server: string, words: string[]): string {
    const name = words[0];
    const places = (name === "MSET" ? words.slice(1).filter((_, i) => i % 2 === 0) : words.slice(1))
      .slice(0, name === "MGET" || name === "MSET" || name === "DEL" ? undefined : 1).map(placeOf);
    const place = places[0];
    assert.ok(places.every((other) => other === place), "a fragment of several places");
    const owner = SERVERS[this.owners[place]];
    if (owner !== server) {
      const said = words.join(" ");
      this.refusals.set(said, (this.refusals.get(said) ?? 0) + 1);
      this.moved++;
      return `-MOVED ${place} ${owner}\r\n`;
    }
    this.done++;
    const { values } = this;
    const get = (key: string): string => {
      const value = values.get(key);
      return value === undefined ? "$-1\r\n" : bulk(value);
    };
    const keys = words.slice(1);
    switch (name) {
      case "GET":
        return get(keys[0]);
      case "SET":
        values.set(keys[0], keys[1]);
        return "+OK\r\n";
      case "INCRBY": {
        const sum = Number(values.get(keys[0]) ?? 0) + Number(keys[1]);
        values.set(keys[0], String(sum));
        return `:${sum}\r\n`;
      }
      case "MGET":
        return `*${keys.length}\r\n${keys.map(get).join("")}`;
      case "MSET":
        for (let i = 0; i < keys.length; i += 2) values.set(keys[i], keys[i + 1]);
        return "+OK\r\n";
      case "DEL":
        return `:${keys.filter((key) => values.delete(key)).length}\r\n`;
      default:
        throw new Error(`a server got ${name}`);
    }
  }
}

/** The whole requests in `input`, and the rest of it. */
function parse(input: string): { all: string[][]; rest: string } {
  const all: string[][] = [];
  let pos = 0;
  for (;;) {
    const words: string[] = [];
    let line = input.indexOf("\r\n", pos);
    if (line < 0) break;
    const count = Number(input.slice(pos + 1, line));
    let at = line + 2;
    while (words.length < count) {
      line = input.indexOf("\r\n", at);
      if (line < 0) break;
      const end = line + 2 + Number(input.slice(at + 1, line));
      if (end + 2 > input.length) break;
      words.push(input.slice(line + 2, end));
      at = end + 2;
    }
    if (words.length < count) break;
    all.push(words);
    pos = at;
  }
  return { all, rest: input.slice(pos) };
}

interface Peer {
  readonly socket: FakeSocket;
  readonly name: string;
  input: string;
  output: string;
}

/** A client's own idea of what it has stored: its keys are nobody else's. */
class ModelClient {
  readonly socket: FakeSocket;
  readonly name: string;
  readonly values = new Map<string, string>();
  readonly expected: { reply: string; words: string[] }[] = [];
  got = "";

  constructor(socket: FakeSocket, name: string) {
    this.socket = socket;
    this.name = name;
  }
}

class Game {
  readonly f: Fixture;
  readonly cluster: Cluster;
  readonly route: MovingRoute;
  /** Links are lost: what was on its way may be answered by an error, or twice done if it reads. */
  private readonly rough: boolean;
  private readonly roll: Dice;
  private readonly clients: ModelClient[] = [];
  private peers: Peer[] = [];
  private readonly movedNow = new Set<number>();
  checked = 0;

  constructor(f: Fixture, roll: Dice, rough: boolean) {
    this.f = f;
    this.roll = roll;
    this.rough = rough;
    this.cluster = new Cluster();
    this.route = f.pool.route as MovingRoute;
    for (let i = 0; i < 5; i++) {
      const client = new ModelClient(f.client(), `c${i}`);
      client.socket.taker = this.taker();
      this.clients.push(client);
    }
  }

  private taker(): (n: number) => number {
    const { roll } = this;
    const most = 1 + roll(3000);
    return [takeAll, takeAll, lend, (n: number) => Math.min(n, most)][roll(4)];
  }

  connected(socket: FakeSocket): void {
    const { host } = this.f;
    host.later(() => {
      if (socket.gone) return;
      socket.taker = this.taker();
      const name = SERVERS[Number(socket.remote.slice(-1)) - 1];
      this.peers.push({ socket, name, input: "", output: "" });
      socket.openNow();
    });
  }

  step(): void {
    const { f, roll, clients, peers } = this;
    const client = clients[roll(clients.length)];
    const peer = peers.length > 0 ? peers[roll(peers.length)] : null;
    switch (roll(12)) {
      case 0:
      case 1:
        return this.speak(client);
      case 2:
      case 3:
        return void client.socket.deliver(1 + roll(5000));
      case 4:
      case 5:
        return void (peer && this.serve(peer));
      case 6:
      case 7:
        return void peer?.socket.deliver(1 + roll(roll(2) > 0 ? 40 : 20_000));
      case 8:
        f.host.event();
        return void f.host.turn();
      case 9:
        client.socket.drain();
        return peer?.socket.drain();
      case 10:
        // A place moves; the route hears of it at once, later, or by a server's error.
        if (roll(3) === 0) this.move(roll(PLACES), roll(SERVERS.length));
        return;
      default:
        if (this.rough && peer && roll(8) === 0) peer.socket.fail("ECONNRESET");
        this.peers = this.peers.filter(({ socket }) => !socket.gone);
    }
  }

  /**
   * Each place moves once before all that is on its way has come to rest, and the route knows it: two moves in a row may
   * put two commands out of order in any cluster (the one goes the long way, the other the short).
   */
  private move(place: number, owner: number): void {
    if (this.movedNow.has(place)) {
      this.rest();
      for (const old of this.movedNow) this.route.move(old, this.cluster.owners[old]);
      this.movedNow.clear();
    }
    this.movedNow.add(place);
    this.cluster.owners[place] = owner;
    if (this.roll(2) > 0) this.route.move(place, owner);
  }

  private speak(client: ModelClient): void {
    const { roll } = this;
    if (client.socket.unreadBytes > 200_000) return;
    const { values, expected } = client;
    for (let n = 1 + roll(roll(6) === 0 ? 40 : 5); n > 0; n--) {
      const key = (): string => `${client.name}.${roll(12)}`;
      const keys = [...new Set(Array.from({ length: 1 + roll(6) }, key))];
      const say = (reply: string, ...words: string[]): void => {
        expected.push({ reply, words });
        // An inline command goes another way through the proxy.
        const inline = roll(8) === 0 && words.every((word) => word.length < 50 && word !== "");
        client.socket.send(inline ? `${words.join(" ")}\r\n` : command(...words));
      };
      const get = (k: string): string => values.has(k) ? bulk(values.get(k) as string) : "$-1\r\n";
      switch (roll(8)) {
        case 0: {
          const length = roll(10) === 0 ? roll(90_000) : 1 + roll(40);
          const value = `<${keys[0]}>`.repeat(9000).slice(0, length) || "x";
          values.set(keys[0], value);
          say("+OK\r\n", "SET", keys[0], value);
          break;
        }
        case 1:
          say(`*${keys.length}\r\n${keys.map(get).join("")}`, "MGET", ...keys);
          break;
        case 2:
          for (const k of keys) values.set(k, `m${expected.length}`);
          say("+OK\r\n", "MSET", ...keys.flatMap((k) => [k, `m${expected.length}`]));
          break;
        case 3:
          say(`:${keys.filter((k) => values.delete(k)).length}\r\n`, "DEL", ...keys);
          break;
        case 4:
        case 5: {
          const counter = `${client.name}.n${roll(4)}`;
          const sum = Number(values.get(counter) ?? 0) + 1 + roll(9);
          const by = sum - Number(values.get(counter) ?? 0);
          values.set(counter, String(sum));
          say(`:${sum}\r\n`, "INCRBY", counter, String(by));
          break;
        }
        default:
          say(get(keys[0]), "GET", keys[0]);
      }
    }
  }

  private serve(peer: Peer): boolean {
    const { all, rest } = parse(peer.input + peer.socket.received());
    peer.input = rest;
    for (const words of all) peer.output += this.cluster.reply(peer.name, words);
    const n = this.roll(3) === 0 ? peer.output.length : this.roll(peer.output.length + 1);
    if (n > 0) peer.socket.send(peer.output.slice(0, n));
    const busy = peer.output !== "";
    peer.output = peer.output.slice(n);
    return busy;
  }

  /** All requests that are on their way are answered. */
  private rest(hear = false): void {
    const { f, clients } = this;
    for (let round = 0; round < 10_000; round++) {
      let busy = f.host.event();
      for (const { socket } of clients) busy = (hear ? hurry(socket) : drain(socket)) || busy;
      this.peers = this.peers.filter(({ socket }) => !socket.gone);
      for (const peer of this.peers) {
        busy = hurry(peer.socket) || busy;
        busy = this.serve(peer) || busy;
      }
      busy = f.host.turn() || busy;
      if (!busy) return assert.is(f.pool.inFlight(), 0, "requests are not answered");
    }
    throw new Error("it does not come to rest");
  }

  finish(): void {
    const { f, clients } = this;
    this.rest(true);
    for (const client of clients) this.check(client);
    assert.is(f.watch.requests.size, 0, "requests are left");
    for (const { socket } of clients) socket.fail("");
    f.settle();
    const links = f.pool.servers.flatMap(({ connections }) => connections);
    for (const link of links) {
      assert.is(link.inFlight, 0);
      assert.is(link.inFlightBytes, 0);
      assert.is(link.out.size, 0);
    }
    const left = f.watch.buffers.size - f.host.neverReturned;
    // Each may keep one chunk for replies that have to wait, and none of what it has sent.
    assert.ok(left <= links.length, `${left} buffers are left`);
  }

  private check(client: ModelClient): void {
    client.got += client.socket.received();
    const { got, expected, name } = client;
    let at = 0;
    const show = (s: string) => JSON.stringify(s.slice(0, 80));
    for (const { reply, words } of expected) {
      this.checked++;
      if (got.startsWith(reply, at)) {
        at += reply.length;
        continue;
      }
      const error = /-[^\r\n]*\r\n/y;
      error.lastIndex = at;
      const found = error.exec(got);
      const what = `${name}: ${show(words.join(" "))} got ${show(got.slice(at))}, not ${
        show(reply)
      }`;
      if (found !== null && found[0].startsWith("-MOVED")) {
        const times = [...this.cluster.refusals].filter(([said]) => said.startsWith(words[0]));
        assert.ok(times.some(([, n]) => n > 5), what);
      }
      assert.ok(this.rough, what);
      // After an error nobody knows what is stored.
      return this.checkRough(client, what);
    }
    assert.is(at, got.length, `${name} got more than it asked for`);
  }

  /** There is one reply to each request. */
  private checkRough(client: ModelClient, what: string): void {
    if (client.socket.gone) return; // a part of the lost reply had gone to it: it was cut off
    const replies = count(client.got);
    assert.is(replies, client.expected.length, `${what}; replies`);
  }
}

/** How many replies there are in `got`. */
function count(got: string): number {
  let n = 0;
  let at = 0;
  const one = (): void => {
    const line = got.indexOf("\r\n", at);
    assert.ok(line >= 0, "half a reply");
    const number = Number(got.slice(at + 1, line));
    const kind = got[at];
    at = line + 2;
    if (kind === "$" && number >= 0) at += number + 2;
    else if (kind === "*") { for (let i = 0; i < number; i++) one(); }
    else assert.ok("$:+-".includes(kind), `no reply: ${got.slice(at, at + 20)}`);
  };
  for (; at < got.length; n++) one();
  return n;
}

function drain(socket: FakeSocket): boolean {
  socket.taker = takeAll;
  const blocked = socket.blocked && !socket.gone;
  socket.drain();
  return blocked;
}

function hurry(socket: FakeSocket): boolean {
  let busy = drain(socket);
  while (socket.deliver()) busy = true;
  return busy;
}

async function play(seed: number, rough: boolean, steps = 3000): Promise<Game> {
  const roll = dice(seed);
  const host = new FakeHost();
  host.closesAtOnce = roll(2) > 0;
  const f = await Fixture.start({
    servers: SERVERS,
    host,
    config: [`server_connections: ${1 + roll(2)}`],
    routing: (ring, pool) => new MovingRoute(ring, pool),
  });
  const game = new Game(f, roll, rough);
  host.onConnect = (socket) => game.connected(socket);
  try {
    for (let i = 0; i < steps; i++) game.step();
    game.finish();
  } catch (error) {
    (error as Error).message = `seed ${seed}: ${(error as Error).message}`;
    throw error;
  }
  return game;
}

test("places move at random: every reply is right, and what is written is written once", async () => {
  let checked = 0;
  let moved = 0;
  for (let seed = 1; seed <= 14; seed++) {
    const game = await play(seed, false);
    checked += game.checked;
    moved += game.cluster.moved;
  }
  assert.ok(checked > 5000 && moved > 200, `${checked} replies, ${moved} moved`);
});

test("links are lost too: one reply to each request, and errors only then", async () => {
  let checked = 0;
  for (let seed = 101; seed <= 114; seed++) checked += (await play(seed, true)).checked;
  assert.ok(checked > 500, `${checked} replies`);
});

/** A pool with a moving route, and a client that has connected to each server. */
async function start(): Promise<{ f: Fixture; route: MovingRoute; client: FakeSocket }> {
  const f = await Fixture.start({
    servers: SERVERS,
    routing: (ring, pool) => new MovingRoute(ring, pool),
  });
  return { f, route: f.pool.route as MovingRoute, client: f.client() };
}

/** The `n`th key of a place. */
function keyOf(place: number, n = 0): string {
  for (let i = 0;; i++) if (placeOf(`k${i}`) === place && n-- === 0) return `k${i}`;
}

test("a refused request goes to the server that the error names, those behind it wait", async () => {
  const { f, client } = await start();
  const [set, get] = [command("SET", keyOf(0), "1"), command("GET", keyOf(1))];
  f.say(client, set + get);
  f.say(f.server("b"), bulk("later"));
  f.say(f.server("a"), "-MOVED 0 c\r\n");
  assert.is(client.received(), "");
  assert.is(f.server("c").received(), set);
  f.say(f.server("c"), "+OK\r\n");
  assert.is(client.received(), `+OK\r\n${bulk("later")}`);
});

test("after five times the client gets the error itself", async () => {
  const { f, client } = await start();
  f.say(client, command("SET", keyOf(0), "1"));
  for (const [at, to] of ["ab", "ba", "ab", "ba", "ab"]) f.say(f.server(at), `-MOVED 0 ${to}\r\n`);
  assert.is(client.received(), "");
  f.say(f.server("b"), "-MOVED 0 a\r\n");
  assert.is(client.received(), "-MOVED 0 a\r\n");
  f.say(client, command("SET", keyOf(0), "1"));
  f.say(f.server("a"), "-MOVED 0 c\r\n");
  assert.is(client.received(), "", "the next one is counted anew");
});

test("other errors are the client's", async () => {
  const { f, client } = await start();
  f.say(client, command("SET", keyOf(0), "1"));
  f.say(f.server("a"), "-WRONGTYPE MOVED\r\n");
  assert.is(client.received(), "-WRONGTYPE MOVED\r\n");
});

test("nothing of a client overtakes at a place that has moved, of whatever kind it is", async () => {
  const key = keyOf(0);
  const followers = [
    command("SET", key, "2"),
    `SET ${key} 2\r\n`,
    command("MSET", key, "2", keyOf(1), "3"),
    command("MSET", key, "2", keyOf(0, 1), "3"),
    command("RENAME", key, keyOf(0, 1)),
    command("BLPOP", key, "0"),
  ];
  for (const follower of followers) {
    const { f, route, client } = await start();
    const first = command("SET", key, "1");
    f.say(client, first);
    route.move(0, 2);
    f.say(client, follower);
    assert.is(f.attempts("c"), 0, follower);
    assert.is(f.attempts("b"), 0, follower);
    f.say(f.server("a"), "-MOVED 0 c\r\n");
    assert.is(f.server("c").received(), first, follower);
    f.say(f.server("c"), "+OK\r\n");
    const after = f.connections("c").map((socket) => socket.received()).join("");
    assert.ok(after.includes(key), follower);
  }
});

test("what a client holds a connection for is done again elsewhere, whole", async () => {
  const { f, client } = await start();
  const key = keyOf(0);
  f.say(client, command("MULTI") + command("SET", key, "1") + command("SET", key, "2"));
  const old = f.server("a");
  old.received();
  f.say(old, "+OK\r\n-MOVED 0 c\r\n-MOVED 0 c\r\n");
  assert.is(old.received(), command("DISCARD"));
  assert.is(f.attempts("c"), 0, "the old server is done with first");
  f.say(old, "+OK\r\n");
  const both = command("SET", key, "1") + command("SET", key, "2");
  assert.is(f.server("c").received(), command("MULTI") + both);
  assert.is(client.received(), "+OK\r\n");
  f.say(f.server("c"), "+OK\r\n+QUEUED\r\n+QUEUED\r\n");
  assert.is(client.received(), "+QUEUED\r\n+QUEUED\r\n");
  f.say(client, command("EXEC"));
  // It was sent, and may have been carried out.
  f.server("c").fail("ECONNRESET");
  f.settle();
  assert.is(client.received(), "-ERR Connection reset by peer; it may have been carried out\r\n");
});

test("a client may leave while what it holds on for goes elsewhere", async () => {
  const { f, client } = await start();
  const key = keyOf(0);
  f.say(client, command("MULTI") + command("SET", key, "1") + command("SET", key, "2"));
  f.say(f.server("a"), "+OK\r\n-MOVED 0 c\r\n");
  client.fail("ECONNRESET");
  f.settle();
  assert.is(f.connections("a").length, 0);
  assert.is(f.attempts("c"), 0);
  assert.is(f.watch.requests.size, 0);
});

test("a muted write goes where it belongs, and no reply is seen", async () => {
  const { f, client } = await start();
  const set = command("SET", keyOf(0), "1");
  f.say(client, command("CLIENT", "REPLY", "OFF") + set);
  f.say(f.server("a"), "-MOVED 0 c\r\n");
  assert.is(f.server("c").received(), set);
  f.say(f.server("c"), "+OK\r\n");
  assert.is(client.received(), "");
});

test("requests that a link had not sent are sent over the next, those it had sent are lost", async () => {
  const { f, client } = await start();
  const [set, get] = [command("SET", keyOf(0), "1"), command("GET", keyOf(0))];
  f.say(client, set + get);
  const server = f.server("a");
  assert.is(server.received(), set + get);
  server.taker = () => 0;
  const second = command("SET", keyOf(0), "2");
  f.say(client, second);
  server.fail("ECONNRESET");
  f.settle();
  assert.is(client.received(), "-ERR Connection reset by peer; it may have been carried out\r\n");
  assert.is(f.server("a").received(), get + second, "reading does no harm twice");
  f.say(f.server("a"), `${bulk("?")}+OK\r\n`);
  assert.is(client.received(), `${bulk("?")}+OK\r\n`);
});

test("a connection that is refused does not lose what waits for it, up to a bound", async () => {
  const { f, client } = await start();
  let refused = 0;
  const { onConnect } = f.host;
  f.host.onConnect = (socket, address) => {
    if (++refused > 3) onConnect(socket, address);
    else f.host.later(() => socket.fail("ECONNREFUSED"));
  };
  f.say(client, command("SET", keyOf(0), "1"));
  assert.is(f.server("a").received(), command("SET", keyOf(0), "1"));
  f.server("a").fail("ECONNRESET");
  f.settle();
  assert.is(client.received(), "-ERR Connection reset by peer; it may have been carried out\r\n");
  refused = -100;
  f.say(client, command("SET", keyOf(0), "1"));
  assert.is(client.received(), "-ERR Connection refused\r\n");
});

test("a large value is sent again whole; one that is more than is kept is not", async () => {
  const { f, client } = await start();
  const large = command("SET", keyOf(0), "v".repeat(900_000));
  f.say(client, large);
  f.server("a").received();
  f.say(f.server("a"), "-MOVED 0 c\r\n");
  assert.ok(f.server("c").received() === large);
  f.say(f.server("c"), "+OK\r\n");
  assert.is(client.received(), "+OK\r\n");
  // An upload has a link of its own, and its error is the client's.
  client.send(bytes(command("SET", keyOf(1), "v".repeat(20 << 20))));
  f.settle();
  for (const socket of f.connections("b")) {
    socket.receivedBytes();
    socket.send("-MOVED 1 c\r\n");
  }
  f.settle();
  assert.is(client.received(), "-MOVED 1 c\r\n");
  const held = [...f.watch.buffers].reduce((sum, buf) => sum + buf.length, 0);
  assert.ok(held < 1 << 20, `${held} bytes are held when all is answered`);
});

test.run();
