// Random clients of a pool before a Redis Cluster made of memory (fake/cluster_model.ts): slots move,
// shards change their primaries, nodes refuse, die and come back, and tell of one another what is old,
// torn or wrong; bytes are cut anywhere. Each client writes keys of its own, so it knows what every
// reply has to be. Nobody sees a redirection, nothing is lost, doubled or out of order; and as long as
// no connection is lost there is no error at all.
//
// A failure names its seed. RINGMUX_ROUNDS=50 goes on with others.

import { test } from "uvu";
import * as assert from "uvu/assert";
import { ModelCluster, type Peer, TAGS } from "../fake/cluster_model.ts";
import { FakeHost, type FakeSocket, lend, takeAll } from "../fake/fake_host.ts";
import { bulk, command, Fixture } from "../fake/fixture.ts";
import { type Dice, dice } from "../fake/models.ts";
import { seeds } from "../fake/rounds.ts";

const STEPS = 5000;
const CLIENTS = 5;

type Value = string | null;

/** What a client waits for. */
interface Awaited {
  readonly words: readonly string[];
  /** What is wrong with the reply; "" if nothing is. */
  judge(reply: string): string;
}

const DOUBT = /^-ERR [^\r\n]*; it may have been carried out\r\n$/;
const LOSS = /^-ERR (Connection|server|the connection|Invalid|unknown)[^\r\n]*\r\n$/;

class ModelClient {
  readonly socket: FakeSocket;
  readonly name: string;
  readonly expected: Awaited[] = [];
  got = "";
  answered = 0;
  /** Nothing more is said until all is answered. */
  waits = false;
  /** What it waits for by BLPOP, and what was pushed ("": nothing yet). */
  private blocked: { key: string; value: string } | null = null;
  /** By key: what it may be. More than one: a write of it is in doubt. */
  private readonly values = new Map<string, Set<Value>>();
  /** By key: what is written to it by requests that are not answered yet, and their numbers. */
  private readonly writes: { key: string; value: Value; at: number }[] = [];
  private readonly rough: boolean;

  constructor(socket: FakeSocket, name: string, rough: boolean) {
    this.socket = socket;
    this.name = name;
    this.rough = rough;
  }

  may(key: string): Set<Value> {
    return this.values.get(key) ?? new Set([null]);
  }

  private expect(words: string[], judge: (reply: string, at: number) => string): void {
    const at = this.answered + this.expected.length;
    this.expected.push({ words, judge: (reply) => judge(reply, at) });
  }

  say(words: string[], judge: (reply: string, at: number) => string): void {
    this.expect(words, judge);
    this.socket.send(command(...words));
  }

  /** The key has this value. A read that was sent again may have seen what was written behind it. */
  private saw(key: string, value: Value, at: number): string {
    if (this.may(key).has(value)) {
      this.values.set(key, new Set([value]));
      return "";
    }
    const isLater = this.writes.some((one) =>
      one.at > at && one.key === key && (one.value === value || one.value === "+1")
    );
    return this.rough && isLater
      ? ""
      : `${key} is ${value}, not ${[...this.may(key)].join(" or ")}`;
  }

  /** It may have been written, or not. */
  private doubt(key: string, value: Value): void {
    this.values.set(key, new Set([...this.may(key), value]));
  }

  private isLost(reply: string): boolean {
    return this.rough && (LOSS.test(reply) || DOUBT.test(reply));
  }

  read(keys: string[], words: string[]): void {
    this.say(words, (reply, at) => {
      if (this.isLost(reply)) return "";
      const parts = words[0] === "MGET" ? elements(reply) : [reply];
      if (parts === null || parts.length !== keys.length) return "no list of as many";
      return parts.map((part, i) => {
        const value = valueOf(part);
        return value === undefined ? "no value" : this.saw(keys[i], value, at);
      }).filter((wrong) => wrong !== "").join("; ");
    });
  }

  /** A write of these values; `reply` is what the answer has to be. */
  write(pairs: [string, Value][], words: string[], right: (reply: string) => boolean): void {
    const at = this.answered + this.expected.length;
    for (const [key, value] of pairs) this.writes.push({ key, value, at });
    this.say(words, (reply) => {
      this.over(at);
      if (this.rough && DOUBT.test(reply)) {
        for (const [key, value] of pairs) this.doubt(key, value);
        return "";
      }
      if (!right(reply)) return "wrong";
      for (const [key, value] of pairs) this.values.set(key, new Set([value]));
      return "";
    });
  }

  private over(at: number): void {
    while (this.writes.length > 0 && this.writes[0].at <= at) this.writes.shift();
  }

  del(keys: string[]): void {
    this.write(keys.map((key) => [key, null]), ["DEL", ...keys], (reply) => {
      const n = Number(/^:(\d+)\r\n$/.exec(reply)?.[1] ?? NaN);
      const sure = keys.filter((key) => !this.may(key).has(null)).length;
      const perhaps = keys.filter((key) => [...this.may(key)].some((one) => one !== null)).length;
      return n >= sure && n <= perhaps;
    });
  }

  private raised(key: string): Set<Value> {
    return new Set([...this.may(key)].map((value) => String(Number(value ?? 0) + 1)));
  }

  incr(key: string): void {
    const at = this.answered + this.expected.length;
    this.writes.push({ key, value: "+1", at });
    this.say(["INCR", key], (reply) => {
      this.over(at);
      if (this.rough && DOUBT.test(reply)) {
        for (const value of this.raised(key)) this.doubt(key, value);
        return "";
      }
      return this.counted(key, reply);
    });
  }

  private counted(key: string, reply: string): string {
    const sum = /^:(\d+)\r\n$/.exec(reply)?.[1];
    if (sum === undefined || !this.raised(key).has(sum)) {
      return `not ${[...this.raised(key)].join(" or ")}`;
    }
    this.values.set(key, new Set([sum]));
    return "";
  }

  /** A counter, a key, and nothing, all of one slot. */
  transaction(counter: string, key: string, value: string, watches: boolean): void {
    const said = (words: string[], right: RegExp): void =>
      this.say(words, (reply) => {
        return right.test(reply) || (this.rough && reply[0] === "-") ? "" : `not ${right}`;
      });
    if (watches) said(["WATCH", counter], /^\+OK\r\n$/);
    said(["MULTI"], /^\+OK\r\n$/);
    for (const words of [["INCR", counter], ["SET", key, value], ["PING"]]) {
      said(words, /^\+QUEUED\r\n$/);
    }
    const at = this.answered + this.expected.length;
    this.writes.push({ key: counter, value: "+1", at }, { key, value, at });
    this.say(["EXEC"], (reply) => {
      this.over(at);
      if (watches && reply === "*-1\r\n") return "";
      if (this.rough && DOUBT.test(reply)) {
        for (const sum of this.raised(counter)) this.doubt(counter, sum);
        this.doubt(key, value);
        return "";
      }
      if (this.rough && reply[0] === "-") return "";
      const parts = elements(reply);
      if (parts?.length !== 3 || parts[1] !== "+OK\r\n" || parts[2] !== "+PONG\r\n") return "wrong";
      this.values.set(key, new Set([value]));
      return this.counted(counter, parts[0]);
    });
  }

  /** Waits for what `push` will push. */
  pop(key: string): void {
    this.blocked = { key, value: "" };
    this.waits = true;
    this.say(["BLPOP", key, "0"], (reply) => {
      const value = this.blocked?.value ?? "";
      this.blocked = null;
      if (this.rough && DOUBT.test(reply)) return "";
      return reply === `*2\r\n${bulk(key)}${bulk(value)}` ? "" : `not ${value}`;
    });
  }

  push(cluster: ModelCluster): void {
    if (this.blocked === null || this.blocked.value !== "") return;
    this.blocked.value = `p${this.answered}`;
    cluster.push(this.blocked.key, this.blocked.value);
  }

  /** Looks at what has come. */
  check(): void {
    this.got += this.socket.received();
    let pos = 0;
    for (let end = replyEnd(this.got, 0); end > 0; end = replyEnd(this.got, pos)) {
      const reply = this.got.slice(pos, end);
      const first = this.expected.shift();
      assert.ok(first !== undefined, `${this.name} got more than it asked for: ${show(reply)}`);
      this.answered++;
      const wrong = (first as Awaited).judge(reply);
      assert.is(
        wrong,
        "",
        `${this.name}: ${show((first as Awaited).words.join(" "))} got ${show(reply)}: ${wrong}`,
      );
      pos = end;
    }
    this.got = this.got.slice(pos);
    if (this.expected.length === 0) this.waits = false;
  }

  /** What it knows of all its keys. */
  known(): ReadonlyMap<string, ReadonlySet<Value>> {
    return this.values;
  }
}

const show = (text: string): string => JSON.stringify(text.slice(0, 100));

function valueOf(reply: string): Value | undefined {
  if (reply === "$-1\r\n") return null;
  return /^\$\d+\r\n([^]*)\r\n$/.exec(reply)?.[1];
}

/** Where the reply at `pos` ends; 0 if it is not whole. */
function replyEnd(all: string, pos: number): number {
  const line = all.indexOf("\r\n", pos);
  if (line < 0) return 0;
  const n = Number(all.slice(pos + 1, line));
  let end = line + 2;
  if (all[pos] === "$" && n >= 0) end += n + 2;
  if (all[pos] === "*") {
    for (let i = 0; i < n; i++) {
      end = replyEnd(all, end);
      if (end === 0) return 0;
    }
  }
  return end <= all.length ? end : 0;
}

/** The replies in an array. */
function elements(reply: string): string[] | null {
  if (!/^\*\d/.test(reply)) return null;
  const parts: string[] = [];
  for (let pos = reply.indexOf("\r\n") + 2; pos < reply.length;) {
    const end = replyEnd(reply, pos);
    parts.push(reply.slice(pos, end));
    pos = end;
  }
  return parts;
}

class Game {
  readonly cluster: ModelCluster;
  private readonly host: FakeHost;
  private readonly roll: Dice;
  /** Connections are lost, nodes die. */
  private readonly rough: boolean;
  private f!: Fixture;
  private clients: ModelClient[] = [];
  private peers: Peer[] = [];
  private made = 0;
  checked = 0;

  constructor(host: FakeHost, roll: Dice, rough: boolean) {
    this.host = host;
    this.roll = roll;
    this.rough = rough;
    this.cluster = new ModelCluster(roll);
    host.onConnect = (socket) => this.connected(socket);
  }

  /** The pool starts as soon as a node has told it of the others. */
  async begin(config: string[]): Promise<void> {
    const starting = Fixture.start({
      servers: ["a", "b"],
      host: this.host,
      config: ["distribution: cluster", "wait: 600000", ...config],
    });
    let isStarted = false;
    void starting.then(() => isStarted = true);
    while (!isStarted) {
      await Promise.resolve();
      this.rest(false);
      this.pass(20);
    }
    this.f = await starting;
    for (let i = 0; i < CLIENTS; i++) this.join();
  }

  private join(): void {
    const client = new ModelClient(this.f.client(), `c${this.made++}`, this.rough);
    client.socket.taker = this.taker();
    this.clients.push(client);
  }

  private taker(): (n: number) => number {
    const { roll } = this;
    const most = 1 + roll(3000);
    return [takeAll, takeAll, lend, (n: number) => Math.min(n, most)][roll(4)];
  }

  private connected(socket: FakeSocket): void {
    const node = this.cluster.nodeAt(socket.remote);
    this.host.later(() => {
      if (socket.gone) return;
      if (!node.up) return socket.fail("ECONNREFUSED");
      socket.taker = this.taker();
      this.peers.push(this.cluster.peer(socket, node));
      socket.openNow();
    });
  }

  private one<T>(list: readonly T[]): T | null {
    return list[this.roll(list.length)] ?? null;
  }

  step(): void {
    const { f, roll, clients, host } = this;
    const client = clients[roll(clients.length)];
    const peer = this.one(this.peers);
    switch (roll(14)) {
      case 0:
      case 1:
        return this.speak(client);
      case 2:
      case 3:
        client.check();
        return void client.socket.deliver(1 + roll(5000));
      case 4:
      case 5:
      case 6:
        for (let n = 3; n > 0; n--) {
          const some = this.one(this.peers);
          if (some !== null) this.serve(some);
        }
        return;
      case 7:
      case 8:
        for (let n = 3; n > 0; n--) {
          this.one(this.peers)?.socket.deliver(1 + roll(roll(2) > 0 ? 40 : 20_000));
        }
        return;
      case 9:
        host.event();
        return void host.turn();
      case 10:
        client.socket.drain();
        return peer?.socket.drain();
      case 11:
        client.check();
        if (roll(3) === 0) this.pass(1 + roll(250));
        if (roll(3) === 0) client.push(this.cluster);
        return;
      case 12:
        return this.event();
      default:
        if (roll(60) === 0) {
          client.socket.fail("ECONNRESET");
          clients.splice(clients.indexOf(client), 1);
          this.join();
        } else if (this.rough) this.accident(peer);
        assert.ok(f.pool.cluster !== null);
    }
  }

  /**
   * Something happens to the cluster. All that is on its way is answered before: a pipeline which sees
   * two states of a node, the first one refusing, may be carried out in another order in any cluster.
   */
  private event(): void {
    const { cluster, roll } = this;
    const kind = roll(10);
    if (kind < 4) return cluster.move(true);
    this.rest(false);
    if (kind < 6) return cluster.move(false);
    if (kind < 7) return cluster.gossip();
    if (kind === 7) return cluster.failOver();
    if (kind === 8) return cluster.comeOrGo();
    cluster.waver();
    cluster.comeBack();
  }

  private accident(peer: Peer | null): void {
    const { cluster, roll } = this;
    if (roll(10) === 0) cluster.agree();
    if (peer !== null && roll(12) === 0) {
      peer.socket.fail(roll(2) > 0 ? "ECONNRESET" : "");
    }
    if (roll(30) === 0) {
      const node = cluster.die();
      for (const one of this.peers) if (one.node === node) one.socket.fail("ECONNRESET");
    }
    this.sweep();
  }

  private sweep(): void {
    this.peers = this.peers.filter(({ socket }) => !socket.gone);
  }

  /** The clock moves, timers fire; nothing else happens meanwhile. */
  private pass(ms: number): void {
    const { host } = this;
    const { settle } = host;
    host.settle = () => {};
    host.pass(ms);
    host.settle = settle;
  }

  private speak(client: ModelClient): void {
    const { roll } = this;
    client.check();
    if (client.waits || client.socket.unreadBytes > 100_000) return;
    for (let n = 1 + roll(roll(6) === 0 ? 40 : 5); n > 0 && !client.waits; n--) {
      const tags = [...TAGS].sort(() => roll(3) - 1).slice(0, 1 + roll(5));
      const key = (tag: string): string => `${tag}${client.name}.${roll(4)}`;
      const counter = `${tags[0]}${client.name}.n`;
      // One key of each of several slots; or several of one, which nothing may follow: what is refused
      // by TRYAGAIN is overtaken in any cluster.
      const keys = roll(3) > 0 ? tags.map(key) : [...new Set([1, 2, 3].map(() => key(tags[0])))];
      const isTogether = keys.length > 1 && keys[1].startsWith(tags[0]);
      const value = `${client.name}=${client.answered + client.expected.length}`;
      switch (roll(10)) {
        case 9:
          if (roll(3) === 0) client.pop(`${tags[0]}${client.name}.b${client.answered}`);
          break;
        case 0: {
          const large = roll(10) === 0 ? value.repeat(roll(9000)) : "";
          const pair: [string, Value] = [keys[0], value + large];
          client.write([pair], ["SET", ...pair as [string, string]], isOk);
          break;
        }
        case 1:
          client.read(keys, ["MGET", ...keys]);
          client.waits = isTogether;
          break;
        case 2:
          client.write(
            keys.map((one) => [one, value]),
            ["MSET", ...keys.flatMap((one) => [one, value])],
            isOk,
          );
          client.waits = isTogether;
          break;
        case 3:
          client.del(keys);
          client.waits = isTogether;
          break;
        case 4:
        case 5:
          client.incr(counter);
          break;
        case 6:
          client.transaction(counter, key(tags[0]), value, roll(3) === 0);
          break;
        case 7: {
          const own = isTogether ? keys : keys.slice(0, 1);
          client.write(
            own.map((one) => [one, value]),
            ["EVAL", "script", String(own.length), ...own, value],
            (reply) => reply === `:${own.length}\r\n`,
          );
          client.waits = isTogether;
          break;
        }
        default:
          client.read([keys[0]], ["GET", keys[0]]);
      }
    }
  }

  private serve(peer: Peer, most = 1 + this.roll(8)): boolean {
    let busy = !peer.socket.gone && this.cluster.serve(peer, most);
    const n = this.roll(3) === 0 ? peer.output.length : this.roll(peer.output.length + 1);
    if (n > 0) peer.socket.send(peer.output.slice(0, n));
    busy ||= peer.output !== "";
    peer.output = peer.output.slice(n);
    if (peer.closes && peer.output === "" && !peer.socket.finished) peer.socket.end();
    return busy;
  }

  /** All requests that are on their way are answered; `hear`: and all that clients have said. */
  private rest(hear: boolean): void {
    const { host } = this;
    for (let round = 0; round < 10_000; round++) {
      let busy = host.event();
      for (const { socket } of this.clients) busy = (hear ? hurry(socket) : drain(socket)) || busy;
      this.sweep();
      for (const peer of this.peers) {
        busy = hurry(peer.socket) || busy;
        busy = this.serve(peer, Infinity) || busy;
      }
      busy = host.turn() || busy;
      if (!busy) return;
    }
    throw new Error("it does not come to rest");
  }

  finish(): void {
    const { f, cluster } = this;
    this.rest(false);
    cluster.heal();
    for (let round = 0; round < 200; round++) {
      this.rest(true);
      for (const client of this.clients) {
        client.check();
        client.push(cluster);
      }
      if (this.clients.every(({ expected }) => expected.length === 0)) break;
      this.pass(100);
    }
    const values = cluster.values();
    for (const client of this.clients) {
      const { name, expected, answered } = client;
      assert.is(expected.length, 0, `${name}: ${expected.length} are not answered`);
      this.checked += answered;
      for (const [key, may] of client.known()) {
        assert.ok(may.has(values.get(key) ?? null), `in the end ${key} is ${values.get(key)}`);
      }
    }
    const lot = f.pool.cluster?.lot;
    assert.is(f.pool.inFlight(), 0, "requests are not answered");
    assert.is(lot?.waiting, 0, "requests wait");
    assert.is(lot?.bytes, 0, "bytes wait");
    for (const { socket } of this.clients) socket.fail("");
    this.rest(true);
    assert.is(f.watch.requests.size, 0, "requests are left");
    assert.is(f.pool.clients.size, 0, "clients are left");
    const links = f.pool.servers.flatMap(({ connections }) => connections);
    const chunks = links.length + this.peers.length;
    const left = f.watch.buffers.size - this.host.neverReturned;
    // Each link may keep one chunk for replies that have to wait, and none of what it has sent.
    assert.ok(left <= chunks, `${left} buffers are left, of ${chunks} links`);
    for (const link of links) assert.is(link.inFlightBytes + link.out.size, 0, "bytes are left");
  }
}

const isOk = (reply: string): boolean => reply === "+OK\r\n";

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

async function play(seed: number, rough: boolean, said: Map<string, number>): Promise<number> {
  const roll = dice(seed);
  const host = new FakeHost();
  host.closesAtOnce = roll(2) > 0;
  const game = new Game(host, roll, rough);
  try {
    await game.begin([
      `server_connections: ${1 + roll(2)}`,
      `cluster: {refresh: ${500 + roll(4000)}}`,
    ]);
    for (let i = 0; i < STEPS; i++) game.step();
    game.finish();
  } catch (error) {
    (error as Error).message = `seed ${seed}: ${(error as Error).message}`;
    throw error;
  }
  for (const [word, n] of game.cluster.said) said.set(word, (said.get(word) ?? 0) + n);
  return game.checked;
}

test("slots move, primaries change, nodes refuse: no error at all, every reply right", async () => {
  const said = new Map<string, number>();
  let checked = 0;
  for (const seed of seeds(1, 6)) checked += await play(seed, false, said);
  assert.ok(checked > 700, `only ${checked} replies`);
  for (const word of ["MOVED", "ASK", "TRYAGAIN", "CLUSTERDOWN", "EXECABORT", "UNBLOCKED"]) {
    assert.ok((said.get(word) ?? 0) > 1, `${word}: ${said.get(word)}`);
  }
});

test("connections are lost and nodes die too: doubt is said, and only that", async () => {
  const said = new Map<string, number>();
  let checked = 0;
  for (const seed of seeds(101, 6)) checked += await play(seed, true, said);
  assert.ok(checked > 700, `only ${checked} replies`);
  assert.ok((said.get("LOADING") ?? 0) > 10, `LOADING: ${said.get("LOADING")}`);
});

test.run();
