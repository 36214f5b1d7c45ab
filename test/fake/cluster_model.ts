// A Redis Cluster made of memory, for tests on the fake host: shards of two nodes each, slots that go
// from one to another key by key, nodes that die, come back, are replaced, and know of all that a
// while later than those it happens to. What a node answers is as Redis 7.0 has it (cluster.c,
// getNodeByQuery; multi.c); what it says of the others may be old, torn or wrong.
//
// Shards replicate at once: what is acknowledged is never lost by the cluster itself.

import { bytes } from "../../core/bytes.ts";
import { slotOf } from "../../core/hash/slot.ts";
import type { FakeSocket } from "./fake_host.ts";
import { bulk } from "./fixture.ts";
import type { Dice } from "./models.ts";

/** Keys begin with one of these; each has a slot of its own. */
export const TAGS = ["{a}", "{b}", "{c}", "{d}", "{e}", "{f}", "{g}", "{h}"];
/** Port of the first node. */
const FIRST_PORT = 7101;
const SHARDS = 4;

function slotOfKey(key: string): number {
  const buf = bytes(key);
  return slotOf(buf, 0, buf.length);
}

/** Slots that keep together: those of the tags alone, and what is between them. */
const SEGMENTS = (() => {
  const tags = TAGS.map(slotOfKey).sort((a, b) => a - b);
  const segments: { first: number; last: number }[] = [];
  let next = 0;
  for (const slot of tags) {
    if (slot > next) segments.push({ first: next, last: slot - 1 });
    segments.push({ first: slot, last: slot });
    next = slot + 1;
  }
  return [...segments, { first: next, last: 16383 }];
})();
const segmentOf = (slot: number): number => SEGMENTS.findIndex(({ last }) => slot <= last);
/** The segments that have keys. */
const OWN = TAGS.map((tag) => segmentOf(slotOfKey(tag)));

class Shard {
  readonly number: number;
  readonly values = new Map<string, string>();
  /** By key, raised by every change: for WATCH. */
  readonly versions = new Map<string, number>();
  primary!: Node;
  epoch = 1;

  constructor(number: number) {
    this.number = number;
  }

  put(key: string, value: string | null): void {
    if (value === null) this.values.delete(key);
    else this.values.set(key, value);
    this.versions.set(key, (this.versions.get(key) ?? 0) + 1);
  }
}

/** What a node knows of all. */
interface View {
  readonly owners: Shard[];
  readonly primaries: Map<Shard, Node>;
  readonly epochs: Map<Shard, number>;
  readonly dead: Set<Node>;
}

export class Node {
  readonly port: number;
  readonly shard: Shard;
  id: string;
  view!: View;
  /** The process runs; it reads its data; it does not serve, as long as too many are away. */
  up = true;
  loading = false;
  down = false;

  constructor(index: number, shard: Shard) {
    this.port = FIRST_PORT + index;
    this.shard = shard;
    this.id = String(index).padStart(40, "0");
  }

  get isPrimary(): boolean {
    return this.view.primaries.get(this.shard) === this;
  }
}

/** One connection to a node. */
export interface Peer {
  readonly socket: FakeSocket;
  readonly node: Node;
  input: string;
  output: string;
  asking: boolean;
  /** What MULTI has queued; null: it is in none. `broken`: EXEC is to say that it was discarded. */
  queue: string[][] | null;
  broken: boolean;
  /** By key: its version when it was watched. */
  watched: Map<string, number>;
  /** What BLPOP waits for; "" for nothing. */
  blocked: string;
  /** It is closed when its output is written. */
  closes: boolean;
}

interface Move {
  readonly from: Shard;
  readonly to: Shard;
  /** The new owner knows that it is; the old one does not yet. */
  given: boolean;
}

export class ModelCluster {
  readonly nodes: Node[];
  private readonly shards: Shard[];
  private readonly roll: Dice;
  /** By segment. */
  private readonly owners: Shard[];
  private readonly moves = new Map<number, Move>();
  private readonly dead = new Set<Node>();
  /** It is part of the cluster: the last shard comes and goes. */
  private readonly joined: Shard[];
  private epoch = 1;
  private generation = 0;
  /** Connections, those that are gone among them. */
  private peers: Peer[] = [];
  /** What the proxy may have seen: how often, by first word. */
  readonly said = new Map<string, number>();

  constructor(roll: Dice) {
    this.roll = roll;
    this.shards = Array.from({ length: SHARDS }, (_, i) => new Shard(i));
    this.joined = this.shards.slice(0, SHARDS - 1);
    this.nodes = this.shards.flatMap((shard) => {
      const two = [0, 1].map((i) => new Node(2 * shard.number + i, shard));
      shard.primary = two[0];
      return two;
    });
    this.owners = SEGMENTS.map(({ first }) =>
      this.joined[Math.floor(first * this.joined.length / 16384)]
    );
    for (const node of this.nodes) this.teach(node);
  }

  private one<T>(list: readonly T[]): T {
    return list[this.roll(list.length)];
  }

  nodeAt(remote: string): Node {
    return this.nodes[Number(remote.split(":")[1]) - FIRST_PORT];
  }

  peer(socket: FakeSocket, node: Node): Peer {
    const state = { input: "", output: "", asking: false, queue: null, broken: false };
    const peer = { socket, node, ...state, watched: new Map(), blocked: "", closes: false };
    this.peers = this.peers.filter((one) => !one.socket.gone);
    this.peers.push(peer);
    return peer;
  }

  /** What blocks at a node is refused. */
  private free(node: Node, why: (key: string) => string): void {
    for (const peer of this.peers) {
      if (peer.node !== node || peer.blocked === "") continue;
      const reply = why(peer.blocked);
      if (reply === "") continue;
      peer.blocked = "";
      peer.output += reply;
      peer.closes = reply === UNBLOCKED;
      this.count(reply);
    }
  }

  /** Somebody pushes to a list. */
  push(key: string, value: string): void {
    const segment = segmentOf(slotOfKey(key));
    const shard = this.moves.get(segment)?.to ?? this.owners[segment];
    const peer = this.peers.find(({ socket, node, blocked }) =>
      !socket.gone && node === shard.primary && node.up && blocked === key
    );
    if (peer === undefined) return shard.put(key, value);
    peer.blocked = "";
    peer.output += `*2\r\n${bulk(key)}${bulk(value)}`;
  }

  // ---------------------------------------------------------------- what happens to the cluster

  /** A node hears of all that has happened. */
  private teach(node: Node): void {
    node.view = {
      owners: [...this.owners],
      primaries: new Map(this.shards.map((shard) => [shard, shard.primary])),
      epochs: new Map(this.shards.map((shard) => [shard, shard.epoch])),
      dead: new Set(this.dead),
    };
  }

  private get members(): Node[] {
    return this.nodes.filter(({ shard }) => this.joined.includes(shard));
  }

  gossip(): void {
    this.teach(this.one(this.nodes));
  }

  /** A slot begins to go to another shard; `goesOn`: it gets on with it; else all know that it is there. */
  move(goesOn: boolean): void {
    const segment = this.one(OWN);
    const known = this.moves.get(segment);
    if (known === undefined) return goesOn ? undefined : this.beginMove(segment);
    if (known.given === goesOn) return;
    const { from, to } = known;
    if ([from, to].some(({ primary }) => !primary.up || primary.loading)) return;
    const tag = TAGS[OWN.indexOf(segment)];
    const keys = [...from.values.keys()].filter((key) => key.startsWith(tag));
    if (known.given) {
      this.moves.delete(segment);
      for (const node of this.nodes) {
        if (node.shard !== from) continue;
        node.view.owners[segment] = to;
        this.free(node, (key) => {
          const slot = slotOfKey(key);
          return segmentOf(slot) === segment ? this.moved(slot, to, node) : "";
        });
      }
      return;
    }
    if (keys.length > 0 && this.roll(4) > 0) return this.moveKey(this.one(keys), known);
    if (this.roll(3) > 0) return;
    for (const key of keys) this.moveKey(key, known);
    known.given = true;
    this.owners[segment] = to;
    to.epoch = ++this.epoch;
    for (const node of this.nodes) {
      if (node.shard !== to) continue;
      node.view.owners[segment] = to;
      node.view.epochs.set(to, to.epoch);
    }
  }

  private beginMove(segment: number): void {
    const from = this.owners[segment];
    const to = this.one(this.joined);
    if (from !== to && from.primary.up && to.primary.up) {
      this.moves.set(segment, { from, to, given: false });
    }
  }

  private moveKey(key: string, { from, to }: Move): void {
    to.put(key, from.values.get(key) as string);
    from.put(key, null);
  }

  /** The replica takes over: by hand, or because the primary is dead. */
  failOver(): void {
    const shard = this.one(this.joined);
    const other = this.nodes.find((node) => node.shard === shard && node !== shard.primary) as Node;
    if (!other.up || other.loading) return;
    const old = shard.primary;
    shard.primary = other;
    shard.epoch = ++this.epoch;
    this.teach(other);
    if (!old.up || old.loading) return;
    this.teach(old);
    this.free(old, () => UNBLOCKED);
  }

  /** A node's process ends. */
  die(): Node | null {
    const node = this.one(this.members);
    const pair = this.nodes.filter(({ shard }) => shard === node.shard);
    if (pair.some(({ up, loading }) => !up || loading)) return null;
    node.up = false;
    return node;
  }

  /** The others have agreed about those that are down. */
  agree(): void {
    this.dead.clear();
    for (const node of this.nodes) if (!node.up) this.dead.add(node);
  }

  /** One that was down runs again, or serves again. */
  comeBack(): void {
    for (const node of this.nodes) {
      if (node.loading && this.roll(2) > 0) {
        node.loading = false;
        this.teach(node);
      }
      if (!node.up && this.roll(3) === 0) {
        node.up = true;
        node.loading = true;
        this.dead.delete(node);
      }
    }
  }

  /** A node does not serve, or does again. */
  waver(): void {
    const down = this.nodes.filter((node) => node.down);
    if (down.length > 0) this.one(down).down = false;
    else if (this.roll(2) > 0) {
      const node = this.one(this.members);
      node.down = true;
      this.free(node, () => DOWN);
    }
  }

  /** The last shard comes, or goes when it has no slots. */
  comeOrGo(): void {
    const shard = this.shards[SHARDS - 1];
    const at = this.joined.indexOf(shard);
    if (at < 0) {
      this.generation++;
      for (const node of this.nodes) {
        if (node.shard === shard) node.id = `${this.generation}${node.port}`.padStart(40, "f");
      }
      this.joined.push(shard);
      return;
    }
    const busy = this.owners.includes(shard) ||
      [...this.moves.values()].some(({ from, to }) => from === shard || to === shard);
    if (!busy) this.joined.splice(at, 1);
  }

  /** All is well, and everybody knows. */
  heal(): void {
    for (const node of this.nodes) {
      node.up = true;
      node.loading = false;
      node.down = false;
    }
    this.dead.clear();
    for (const [segment, move] of this.moves) {
      const tag = TAGS[OWN.indexOf(segment)];
      for (const key of [...move.from.values.keys()]) {
        if (key.startsWith(tag)) this.moveKey(key, move);
      }
      this.owners[segment] = move.to;
      move.to.epoch = ++this.epoch;
    }
    this.moves.clear();
    for (const node of this.nodes) {
      this.teach(node);
      this.free(node, (key) => this.refusal(node, [key], false));
    }
  }

  /** Every key that is somewhere. */
  values(): Map<string, string> {
    return new Map(this.shards.flatMap(({ values }) => [...values]));
  }

  // ---------------------------------------------------------------- what nodes answer

  /** The whole requests that have come are carried out, at most `most`; false if there were none. */
  serve(peer: Peer, most = Infinity): boolean {
    if (peer.closes) return false;
    const input = peer.input + peer.socket.received();
    let pos = 0;
    let n = 0;
    for (; n < most && peer.blocked === ""; n++) {
      const found = readArray(input, pos);
      if (found === null) break;
      pos = found.end;
      const reply = this.reply(peer, found.words);
      this.count(reply);
      peer.output += reply;
    }
    peer.input = input.slice(pos);
    return n > 0;
  }

  private count(reply: string): void {
    const word = /^-(\w+)/.exec(reply)?.[1];
    if (word !== undefined) this.said.set(word, (this.said.get(word) ?? 0) + 1);
  }

  private reply(peer: Peer, words: string[]): string {
    const name = words[0].toUpperCase();
    const { asking } = peer;
    // server.c, resetClient: it counts for the next command, and as long as MULTI lasts.
    if (peer.queue === null) peer.asking = false;
    switch (name) {
      case "ASKING":
        peer.asking = true;
        return "+OK\r\n";
      case "CLUSTER":
        return peer.node.loading ? LOADING : this.describe(peer.node);
      case "FUNCTION":
        return words[1].toUpperCase() === "DUMP" ? bulk("dump") : "+OK\r\n";
      case "MULTI":
        peer.queue = [];
        peer.broken = false;
        peer.asking = asking;
        return "+OK\r\n";
      case "DISCARD":
        this.endMulti(peer);
        return "+OK\r\n";
      case "UNWATCH":
        if (peer.queue !== null) throw new Error("UNWATCH in MULTI");
        peer.watched.clear();
        return "+OK\r\n";
      case "EXEC":
        return this.exec(peer);
      case "PING":
        if (peer.queue === null) return "+PONG\r\n";
        peer.queue.push(words);
        return "+QUEUED\r\n";
    }
    const refused = this.refusal(peer.node, keysOf(words), asking);
    if (refused !== "") {
      if (peer.queue !== null) peer.broken = true;
      return refused;
    }
    if (peer.queue !== null) {
      peer.queue.push(words);
      return "+QUEUED\r\n";
    }
    if (name === "WATCH") {
      const { versions } = peer.node.shard;
      for (const key of words.slice(1)) peer.watched.set(key, versions.get(key) ?? 0);
      return "+OK\r\n";
    }
    if (name === "BLPOP") return this.pop(peer, words[1]);
    return run(peer.node.shard, words);
  }

  private pop(peer: Peer, key: string): string {
    const { shard } = peer.node;
    const value = shard.values.get(key);
    if (value === undefined) peer.blocked = key;
    else shard.put(key, null);
    return value === undefined ? "" : `*2\r\n${bulk(key)}${bulk(value)}`;
  }

  private endMulti(peer: Peer): void {
    peer.queue = null;
    peer.broken = false;
    peer.asking = false;
    peer.watched.clear();
  }

  private exec(peer: Peer): string {
    const { queue, broken, asking, watched, node } = peer;
    if (queue === null) return "-ERR EXEC without MULTI\r\n";
    if (broken) {
      this.endMulti(peer);
      return "-EXECABORT Transaction discarded because of previous errors.\r\n";
    }
    const keys = queue.flatMap(keysOf);
    const refused = keys.length === 0 ? "" : this.refusal(node, keys, asking);
    const { versions } = node.shard;
    const isStale = [...watched].some(([key, version]) => (versions.get(key) ?? 0) !== version);
    this.endMulti(peer);
    if (refused !== "") return refused;
    if (isStale) return "*-1\r\n";
    return `*${queue.length}\r\n${queue.map((words) => run(node.shard, words)).join("")}`;
  }

  /** Why a node does not do what is asked with these keys; "" if it does. */
  private refusal(node: Node, keys: string[], asking: boolean): string {
    const { shard, view } = node;
    const slot = slotOfKey(keys[0]);
    if (keys.some((key) => slotOfKey(key) !== slot)) throw new Error(`CROSSSLOT ${keys.join(" ")}`);
    if (node.down) return DOWN;
    if (node.loading) return LOADING;
    const segment = segmentOf(slot);
    const move = this.moves.get(segment);
    const owner = view.owners[segment];
    const all = [...new Set(keys)];
    const missing = all.filter((key) => !shard.values.has(key)).length;
    if (!node.isPrimary) return this.moved(slot, owner, node);
    if (owner === shard) {
      if (move?.from !== shard || missing === 0) return "";
      if (missing < all.length) return TRYAGAIN;
      return `-ASK ${slot} ${this.place(move.to.primary)}\r\n`;
    }
    if (move?.to === shard && asking) {
      return missing > 0 && all.length > 1 ? TRYAGAIN : "";
    }
    return this.moved(slot, owner, node);
  }

  private moved(slot: number, owner: Shard, { view }: Node): string {
    return `-MOVED ${slot} ${this.place(view.primaries.get(owner) as Node)}\r\n`;
  }

  /** All are on one host: a node may leave it out. */
  private place({ port }: Node): string {
    return `${this.roll(4) === 0 ? "" : "10.0.0.1"}:${port}`;
  }

  /** CLUSTER NODES: as the node knows it, with a lie now and then. */
  private describe(me: Node): string {
    const { view } = me;
    const lie = this.roll(8);
    // A node that was reset, or has not met the others.
    if (lie === 0) return bulk(`${me.id} :${me.port}@1 myself,master - 0 0 0 connected\n`);
    const owners = [...view.owners];
    const hidden = lie === 1 ? this.one(this.members) : null;
    if (lie === 2) owners[this.one(OWN)] = this.one(this.joined);
    const lines = this.members.filter((node) => node !== hidden || node === me).map((node) => {
      const primary = view.primaries.get(node.shard) as Node;
      const flags = [
        ...(node === me ? ["myself"] : []),
        node === primary ? "master" : "slave",
        ...(view.dead.has(node) ? ["fail"] : []),
      ];
      const ranges = owners.flatMap((owner, i) =>
        owner === node.shard && node === primary
          ? [`${SEGMENTS[i].first}-${SEGMENTS[i].last}`.replace(/^(\d+)-\1$/, "$1")]
          : []
      );
      const host = node === me && this.roll(2) > 0 ? "" : "10.0.0.1";
      return [
        ...[node.id, `${host}:${node.port}@1${this.roll(2) > 0 ? ",name" : ""}`, flags.join()],
        ...[node === primary ? "-" : primary.id, "0", "0"],
        ...[String(view.epochs.get(node.shard)), "connected", ...ranges],
      ].join(" ");
    });
    return bulk(`${lines.join("\n")}\n`);
  }
}

const DOWN = "-CLUSTERDOWN The cluster is down\r\n";
/** blocked.c, disconnectAllBlockedClients. */
const UNBLOCKED = "-UNBLOCKED force unblock from blocking operation, instance state changed " +
  "(master -> replica?)\r\n";
const LOADING = "-LOADING Redis is loading the dataset in memory\r\n";
const TRYAGAIN = "-TRYAGAIN Multiple keys request during rehashing of slot\r\n";

function keysOf(words: string[]): string[] {
  switch (words[0].toUpperCase()) {
    case "MGET":
    case "DEL":
    case "WATCH":
      return words.slice(1);
    case "MSET":
      return words.slice(1).filter((_, i) => i % 2 === 0);
    case "EVAL":
      return words.slice(3, 3 + Number(words[2]));
    case "PING":
      return [];
    default:
      return [words[1]];
  }
}

/** Carries out what is not refused. */
function run(shard: Shard, words: string[]): string {
  const { values } = shard;
  const [name, key] = words;
  const get = (one: string): string => {
    const value = values.get(one);
    return value === undefined ? "$-1\r\n" : bulk(value);
  };
  switch (name.toUpperCase()) {
    case "GET":
      return get(key);
    case "SET":
      shard.put(key, words[2]);
      return "+OK\r\n";
    case "INCR": {
      const sum = Number(values.get(key) ?? 0) + 1;
      shard.put(key, String(sum));
      return `:${sum}\r\n`;
    }
    case "MGET":
      return `*${words.length - 1}\r\n${words.slice(1).map(get).join("")}`;
    case "MSET":
      for (let i = 1; i < words.length; i += 2) shard.put(words[i], words[i + 1]);
      return "+OK\r\n";
    case "DEL": {
      const there = new Set(words.slice(1).filter((one) => values.has(one)));
      for (const one of there) shard.put(one, null);
      return `:${there.size}\r\n`;
    }
    case "EVAL": {
      // Each key gets the argument, and the number of keys is told.
      const keys = keysOf(words);
      for (const one of keys) shard.put(one, words[words.length - 1]);
      return `:${keys.length}\r\n`;
    }
    case "PING":
      return "+PONG\r\n";
    default:
      throw new Error(`a node got ${words.join(" ").slice(0, 80)}`);
  }
}

/** The words of the array at `pos` of `input`, and where it ends; null if it is not whole. */
function readArray(input: string, pos: number): { words: string[]; end: number } | null {
  let line = input.indexOf("\r\n", pos);
  if (line < 0) return null;
  if (input[pos] !== "*") throw new Error(`no request: ${JSON.stringify(input.slice(pos, 60))}`);
  const words: string[] = [];
  const count = Number(input.slice(pos + 1, line));
  pos = line + 2;
  while (words.length < count) {
    line = input.indexOf("\r\n", pos);
    if (line < 0) return null;
    const end = line + 2 + Number(input.slice(pos + 1, line));
    if (end + 2 > input.length) return null;
    words.push(input.slice(line + 2, end));
    pos = end + 2;
  }
  return { words, end: pos };
}
