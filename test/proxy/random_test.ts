// Random clients, commands and servers, everything at random times and cut at random places, with
// sockets that take what they like: each client gets exactly its own replies, in its order. With
// servers that are lost now and then an error may stand in a reply's place, and nothing else.
// The numbers are pseudo-random with fixed seeds: a failure names its seed.

import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  FakeHost,
  type FakeSocket,
  lend,
  takeAll,
  takeNone,
  type Taker,
} from "../fake/fake_host.ts";
import { Fixture } from "../fake/fixture.ts";
import { seeds } from "../fake/rounds.ts";
import { type Dice, dice, memcached, mixed, type Model, redis, type Step } from "../fake/models.ts";

const SERVERS = ["a", "b", "c"];
const STEPS = 4000;
const MOST_CLIENTS = 6;

class ModelClient {
  readonly socket: FakeSocket;
  readonly name: string;
  readonly expected: Step[];
  /** Nothing more is said: QUIT was, or FIN sent. */
  done: boolean;
  got: string;

  constructor(socket: FakeSocket, name: string) {
    this.socket = socket;
    this.name = name;
    this.expected = [];
    this.done = false;
    this.got = "";
  }
}

interface ModelServer {
  readonly socket: FakeSocket;
  input: string;
  output: string;
}

class Game {
  private readonly f: Fixture;
  private readonly model: Model;
  private readonly roll: Dice;
  /** Servers are lost now and then. */
  private readonly rough: boolean;
  private readonly clients: ModelClient[];
  private readonly servers: Map<FakeSocket, ModelServer>;
  private made: number;
  checked: number;

  constructor(f: Fixture, model: Model, roll: Dice, rough: boolean) {
    this.f = f;
    this.model = model;
    this.roll = roll;
    this.rough = rough;
    this.clients = [];
    this.servers = new Map();
    this.made = 0;
    this.checked = 0;
  }

  private one<T>(list: readonly T[]): T | undefined {
    return list[this.roll(list.length)];
  }

  private taker(socket: FakeSocket): Taker {
    const { roll } = this;
    const kind = roll(socket.copies ? 6 : 8);
    if (kind < 3) return takeAll;
    if (kind === 3) return takeNone;
    const most = 1 + roll(kind === 4 ? 10 : 30_000);
    if (kind < 6) return (n) => Math.min(n, most);
    if (kind === 6) return lend;
    return (n) => roll(2) > 0 ? lend(n) : Math.min(n, 1 + roll(2000));
  }

  private size(): number {
    const kind = this.roll(4);
    return kind === 0 ? 1 + this.roll(8) : kind === 1 ? 1 + this.roll(300) : 65536;
  }

  step(): void {
    const { f, roll } = this;
    const client = this.one(this.clients);
    const server = this.one([...this.servers.values()]);
    switch (roll(16)) {
      case 0:
        if (this.clients.length < MOST_CLIENTS) this.join();
        return;
      case 1:
      case 2:
        return client && this.speak(client);
      case 3:
      case 4:
      case 5:
        client?.socket.deliver(this.size());
        return;
      case 6:
      case 7:
        if (server) this.serve(server);
        return;
      case 8:
      case 9:
      case 10:
        server?.socket.deliver(this.size());
        return;
      case 11:
      case 12:
        f.host.turn();
        f.host.event();
        return;
      case 13:
        client?.socket.drain();
        server?.socket.drain();
        return;
      case 14:
        if (roll(4) === 0 && client) client.socket.taker = this.taker(client.socket);
        if (roll(4) === 0 && server) server.socket.taker = this.taker(server.socket);
        return;
      default:
        return this.accident(client, server);
    }
  }

  private join(): void {
    const client = new ModelClient(this.f.client(), `c${this.made++}`);
    client.socket.taker = this.taker(client.socket);
    this.clients.push(client);
  }

  private speak(client: ModelClient): void {
    if (client.done || client.socket.gone || client.socket.unreadBytes > 200_000) return;
    let said = "";
    for (let n = 1 + this.roll(this.roll(10) === 0 ? 60 : 6); n > 0 && !client.done; n--) {
      const step = this.model.step(this.roll, client.name, client.expected.length);
      client.expected.push(step);
      said += step.request;
      client.done = step.last;
    }
    client.socket.send(said);
  }

  /** A server answers some of what it was asked; false if there was nothing to do. */
  private serve(server: ModelServer): boolean {
    const { replies, rest } = this.model.serve(server.input + server.socket.received());
    server.input = rest;
    server.output += replies.join("");
    const busy = server.output !== "";
    const n = this.roll(3) === 0 ? server.output.length : this.roll(server.output.length + 1);
    if (n > 0) server.socket.send(server.output.slice(0, n));
    server.output = server.output.slice(n);
    return busy;
  }

  private accident(client: ModelClient | undefined, server: ModelServer | undefined): void {
    const { f, roll } = this;
    if (client && roll(12) === 0) {
      // A client leaves: with a FIN, or at once.
      if (roll(2) > 0 && !client.done) {
        client.socket.end();
        client.done = true;
      } else if (roll(2) > 0) {
        client.socket.fail("ECONNRESET");
        this.check(client, false);
        this.clients.splice(this.clients.indexOf(client), 1);
      }
    }
    if (server && this.rough && roll(6) === 0) {
      const how = roll(4);
      if (how === 0) server.socket.end();
      if (how === 1) {
        server.socket.send(`${server.output}\0nonsense\r\n`);
        server.output = "";
      }
      if (how > 1) server.socket.fail(how === 2 ? "ECONNRESET" : "");
    }
    if (roll(10) === 0) this.pass(roll(60));
    for (const [socket] of this.servers) if (socket.gone) this.servers.delete(socket);
    f.host.event();
  }

  /** The clock moves, timers fire; nothing else happens meanwhile. */
  private pass(ms: number): void {
    const { host } = this.f;
    const { settle } = host;
    host.settle = () => {};
    host.pass(ms);
    host.settle = settle;
  }

  connected(socket: FakeSocket): void {
    const { host } = this.f;
    if (this.rough && this.roll(4) === 0) {
      host.later(() => socket.fail("ECONNREFUSED"));
      return;
    }
    host.later(() => {
      if (socket.gone) return;
      socket.taker = this.taker(socket);
      this.servers.set(socket, { socket, input: "", output: "" });
      socket.openNow();
    });
  }

  /** Everybody becomes quick and willing, until all is said and answered. */
  finish(): void {
    const { f } = this;
    for (let round = 0; round < 10_000; round++) {
      let busy = f.host.event();
      for (const client of this.clients) busy = this.hurry(client.socket) || busy;
      for (const server of [...this.servers.values()]) {
        if (server.socket.gone) this.servers.delete(server.socket);
        busy = this.hurry(server.socket) || busy;
        busy = this.serve(server) || busy;
      }
      if (f.host.turn()) busy = true;
      if (!busy) break;
    }
    for (const client of this.clients) this.check(client, !this.rough || !client.socket.gone);
    assert.is(f.watch.requests.size, 0, "requests are left");
    // Connections that a reload has left over are closed by the clock.
    this.pass(1000);
    for (const client of this.clients) {
      client.socket.end();
      client.socket.deliver();
    }
    f.settle();
    assert.is(f.pool.clients.size, 0, "clients are left");
    // Each connection may keep one chunk for replies that have to wait.
    const chunks = f.pool.servers.reduce((sum, server) => sum + server.connections.length, 0);
    const left = f.watch.buffers.size - f.host.neverReturned;
    assert.ok(left <= chunks, `${left} buffers are left`);
  }

  private hurry(socket: FakeSocket): boolean {
    socket.taker = takeAll;
    const blocked = socket.blocked && !socket.gone;
    socket.drain();
    let busy = false;
    while (socket.deliver()) busy = true;
    return busy || blocked;
  }

  /** What a client got is what it was to get; or, if not `whole`, the beginning of that. */
  private check(client: ModelClient, whole: boolean): void {
    client.got += client.socket.received();
    const { got, expected, name } = client;
    if (!this.rough) {
      const right = expected.map((step) => step.reply).join("");
      const ok = whole ? got === right : right.startsWith(got);
      assert.ok(ok, ok ? "" : `${name}: ${difference(got, right)}`);
      this.checked += expected.length;
      return;
    }
    // Places in `got` where a reply may end: an error may be that of this request or the next.
    let places = new Set([0]);
    for (const step of expected) {
      const next = new Set<number>();
      for (const at of places) {
        if (got.startsWith(step.reply, at)) next.add(at + step.reply.length);
        if (!whole && step.reply.startsWith(got.slice(at))) return;
        if (!step.mayFail) continue;
        const pattern = step.error ?? this.model.error;
        pattern.lastIndex = at;
        const error = pattern.exec(got);
        if (error !== null) next.add(at + error[0].length);
        else if (!whole && (step.begun ?? this.model.begun).test(got.slice(at))) return;
      }
      const last = Math.max(...places);
      assert.ok(
        next.size > 0,
        `${name}: after ${JSON.stringify(step.request.slice(0, 60))} ` +
          difference(got.slice(last), step.reply),
      );
      places = next;
      this.checked++;
    }
    assert.ok(!whole || places.has(got.length), `${name} got more than it asked for`);
  }
}

function difference(got: string, right: string): string {
  let at = 0;
  while (at < got.length && got[at] === right[at]) at++;
  const show = (text: string) => JSON.stringify(text.slice(Math.max(0, at - 20), at + 60));
  return `from byte ${at} of ${got.length}/${right.length} ${show(got)}, not ${show(right)}`;
}

/** A configuration in which everything that may change at any time is different. */
async function reload(f: Fixture, model: Model, roll: Dice, rough: boolean): Promise<void> {
  const pool = ["a", "b", "c", "d", "e"];
  // As many as before: some replies tell how many there are.
  const servers = SERVERS.map(() => pool.splice(roll(pool.length), 1)[0]);
  await f.reload({
    servers: servers.map((name) => `${name}*${1 + roll(3)}`),
    memcached: model.memcached,
    config: [
      ...model.config,
      `server_connections: ${1 + roll(3)}`,
      `distribution: ${["ketama", "modula", "random"][roll(3)]}`,
      `hash: ${["fnv1a_64", "murmur", "crc16"][roll(3)]}`,
      `timeout: ${rough ? 300 + roll(200) : 0}`,
      `hash_tag: "${["{}", "[]"][roll(2)]}"`,
    ],
  });
}

async function play(
  model: Model,
  seed: number,
  rough: boolean,
  reloads = false,
): Promise<number> {
  const roll = dice(seed);
  const host = new FakeHost();
  host.closesAtOnce = roll(2) > 0;
  host.copies = roll(2) > 0;
  const f = await Fixture.start({
    servers: SERVERS,
    memcached: model.memcached,
    host,
    config: [
      ...model.config,
      `server_connections: ${1 + roll(3)}`,
      ...(rough ? ["timeout: 400"] : []),
    ],
  });
  const game = new Game(f, model, roll, rough);
  host.onConnect = (socket) => game.connected(socket);
  try {
    for (let i = 0; i < STEPS; i++) {
      game.step();
      if (reloads && roll(80) === 0) await reload(f, model, roll, rough);
    }
    game.finish();
    if (reloads) checkServers(f);
  } catch (error) {
    (error as Error).message = `seed ${seed}: ${(error as Error).message}`;
    throw error;
  }
  return game.checked;
}

for (
  const [name, model] of Object.entries({ redis, memcached, "both memcached protocols": mixed })
) {
  test(`${name}: everyone gets exactly their own replies, in order`, async () => {
    let checked = 0;
    for (const seed of seeds(1, 8)) checked += await play(model, seed, false);
    assert.ok(checked > 5000, `only ${checked} replies`);
  });

  test(`${name}: with servers lost, everyone gets their own replies or errors`, async () => {
    let checked = 0;
    for (const seed of seeds(101, 10)) checked += await play(model, seed, true);
    assert.ok(checked > 5000, `only ${checked} replies`);
  });
}

/** What is left of the servers' connections after many reloads. */
function checkServers(f: Fixture): void {
  f.settle();
  const open = f.host.outgoing.filter((socket) => !socket.gone);
  const kept = f.pool.servers.flatMap((server) => server.connections);
  assert.ok(kept.every((connection) => !connection.retired), "a retired connection is left");
  assert.ok(open.length <= kept.length, `${open.length} connections are open, not ${kept.length}`);
}

for (
  const [name, model] of Object.entries({ redis, memcached, "both memcached protocols": mixed })
) {
  test(`${name}: while the configuration changes, everyone gets their own replies`, async () => {
    let checked = 0;
    for (const seed of seeds(201, 4)) checked += await play(model, seed, false, true);
    for (const seed of seeds(301, 2)) checked += await play(model, seed, true, true);
    assert.ok(checked > 3000, `only ${checked} replies`);
  });
}

test.run();
