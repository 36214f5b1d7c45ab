// How many clients hear a topic. A server takes a process with many subscribed clients for one, so
// what it answers to PUBLISH and PUBSUB NUMSUB is completed by those it does not know of: clients of
// this process, and of the others that share the pool (workers), which tell each other of them. Who
// carries what they tell is not known here.

import type { Codec } from "../protocol/codec.ts";
import { CHANNEL, KINDS, PATTERN, type Publishing } from "../protocol/publishing.ts";
import type { Server } from "../server/server.ts";
import type { Flushable, Turn } from "../wire/turn.ts";
import type { Topic } from "./topic.ts";

/** What a process tells of a topic: kind, name, its clients, the servers that know of them. */
export type Hearing = readonly [kind: number, name: string, clients: number, known: number];

/** What a process tells of a pool. */
export interface Hearings {
  readonly pool: string;
  /** It is all there is to tell; otherwise what has changed. No clients: nothing more to tell. */
  readonly all: boolean;
  readonly topics: readonly Hearing[];
}

/** What a census asks its pool. */
export interface CensusContext {
  readonly name: string;
  readonly codec: Codec;
  readonly turn: Turn<Flushable, Flushable>;
  readonly topics: {
    find(kind: number, name: string): Topic | undefined;
    isHeardAt(topic: Topic, server: Server): boolean;
  };
}

/** `kind name`. */
const keyOf = (kind: number, name: string): string => `${kind} ${name}`;

/** What there is to be added to the servers' numbers is not what they would think by themselves. */
function isUneven(kind: number, clients: number, known: number): boolean {
  return kind === PATTERN ? clients > 1 || (clients === 1 && known === 0) : clients !== known;
}

export class Census {
  private readonly context: CensusContext;
  /** Tells the other processes; null if there are none. */
  private readonly say: ((hearings: Hearings) => void) | null;
  /** Of this process, by kind: topics with several clients. */
  private readonly crowded: Set<Topic>[];
  /** Of other processes, by their numbers. */
  private readonly others: Map<number, Map<string, Hearing>>;
  /** Topics that may have changed since others were told; what they were told of. */
  private readonly changed: Set<Topic>;
  private readonly told: Set<string>;
  private tellsAll: boolean;
  private marked: boolean;

  constructor(context: CensusContext, say: ((hearings: Hearings) => void) | null) {
    this.context = context;
    this.say = say;
    this.crowded = [];
    for (let kind = 0; kind < KINDS; kind++) this.crowded.push(new Set());
    this.others = new Map();
    this.changed = new Set();
    this.told = new Set();
    this.tellsAll = false;
    this.marked = false;
  }

  /** The topic has another number of clients, or stands otherwise at a server. */
  note(topic: Topic): void {
    if (topic.clients.size > 1) this.crowded[topic.kind].add(topic);
    else this.crowded[topic.kind].delete(topic);
    if (this.say === null) return;
    this.changed.add(topic);
    this.mark();
  }

  private mark(): void {
    if (this.marked) return;
    this.marked = true;
    this.context.turn.markClient(this);
  }

  /** End of turn: the other processes are told. */
  flush(): void {
    this.marked = false;
    const all = this.tellsAll;
    const topics: Hearing[] = [];
    if (all) this.told.clear();
    for (const topic of this.changed) {
      const { kind, name, clients: { size }, known, awaiting } = topic;
      if (awaiting > 0) continue; // it is noted again when that is over
      const key = keyOf(kind, name);
      if (size > 0 && isUneven(kind, size, known)) {
        topics.push([kind, name, size, known]);
        this.told.add(key);
      } else if (this.told.delete(key)) {
        topics.push([kind, name, 0, 0]);
      }
    }
    this.changed.clear();
    this.tellsAll = false;
    if (all || topics.length > 0) this.say?.({ pool: this.context.name, all, topics });
  }

  /** Another process wants to be told all. */
  tellAll(topics: Iterable<Topic>): void {
    for (const topic of topics) this.changed.add(topic);
    this.tellsAll = true;
    this.mark();
  }

  /** The process with this number has told something. */
  heard(from: number, { all, topics }: Hearings): void {
    let table = this.others.get(from);
    if (table === undefined || all) {
      table = new Map();
      this.others.set(from, table);
    }
    for (const one of topics) {
      const key = keyOf(one[0], one[1]);
      if (one[2] === 0) table.delete(key);
      else table.set(key, one);
    }
    if (table.size === 0) this.others.delete(from);
  }

  /** Servers know of every client; nobody needs to be asked. */
  get isExact(): boolean {
    const { crowded, others } = this;
    return others.size === 0 && crowded.every((topics) => topics.size === 0);
  }

  /** How many clients hear what is published at a server, beyond those it will count. */
  beyond(kind: number, name: string, server: Server): number {
    const { topics } = this.context;
    const words = this.context.codec.publishing as Publishing;
    let sum = 0;
    const topic = topics.find(kind, name);
    if (topic !== undefined && topics.isHeardAt(topic, server)) sum += topic.clients.size - 1;
    const patterns = kind === CHANNEL;
    if (patterns) {
      for (const one of this.crowded[PATTERN]) {
        if (!topics.isHeardAt(one, server) || !words.matches(one.name, name)) continue;
        sum += one.clients.size - 1;
      }
    }
    const key = keyOf(kind, name);
    for (const table of this.others.values()) {
      const [, , clients = 0, known = 0] = table.get(key) ?? [];
      if (known > 0) sum += clients - 1;
      if (!patterns) continue;
      for (const one of table.values()) {
        if (one[0] !== PATTERN || one[3] === 0) continue;
        if (words.matches(one[1], name)) sum += one[2] - 1;
      }
    }
    return sum;
  }

  /** How many clients a topic has beyond the subscriptions that the servers know of. */
  hidden(kind: number, name: string): number {
    const topic = this.context.topics.find(kind, name);
    let sum = topic === undefined ? 0 : topic.clients.size - topic.known;
    const key = keyOf(kind, name);
    for (const table of this.others.values()) {
      const [, , clients = 0, known = 0] = table.get(key) ?? [];
      sum += clients - known;
    }
    return sum;
  }
}
