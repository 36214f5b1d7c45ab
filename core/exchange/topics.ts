// Who is subscribed to what in a pool: a table from channels and patterns to clients. Many clients
// of one channel share one subscription at the channel's server (see Subscriber). A channel lives
// where a key of its name would; patterns, and the events of keys, are heard on all servers.

import { bytes, EMPTY } from "../bytes.ts";
import { CLASS_READ } from "../stats/latency.ts";
import {
  CHANNEL,
  type Frame,
  KINDS,
  PATTERN,
  type Publishing,
  SHARD,
} from "../protocol/publishing.ts";
import type { Route } from "../route/route.ts";
import type { ServerContext } from "../server/context.ts";
import type { Server } from "../server/server.ts";
import { HEARD, LOST, Subscriber, type SubscriptionTable } from "../server/subscriber.ts";
import { Census, type CensusContext, type Hearings } from "./census.ts";
import { type Hearer, Topic } from "./topic.ts";

/** What the topics ask their pool. */
export interface TopicsContext extends ServerContext, CensusContext {
  readonly route: Route;
  /** The servers of the pool, or of all that are its targets. */
  readonly servers: readonly Server[];
}

export class Topics implements SubscriptionTable<Topic> {
  private readonly context: TopicsContext;
  readonly census: Census;
  /** Messages given to clients. */
  messages: number;
  private readonly tables: Map<string, Topic>[];
  private readonly subscribers: Map<Server, Subscriber<Topic>>;

  /** `say` tells other processes that share the pool: see census.ts. */
  constructor(context: TopicsContext, say: ((hearings: Hearings) => void) | null) {
    this.context = context;
    this.census = new Census(context, say);
    this.messages = 0;
    this.tables = [];
    for (let kind = 0; kind < KINDS; kind++) this.tables.push(new Map());
    this.subscribers = new Map();
  }

  /** Number of topics of a kind that clients are subscribed to. */
  count(kind: number): number {
    return this.tables[kind].size;
  }

  counts(): { channels: number; patterns: number; shard_channels: number; messages: number } {
    return {
      channels: this.count(CHANNEL),
      patterns: this.count(PATTERN),
      shard_channels: this.count(SHARD),
      messages: this.messages,
    };
  }

  find(kind: number, name: string): Topic | undefined {
    return this.tables[kind].get(name);
  }

  isHeardAt(topic: Topic, server: Server): boolean {
    const subscriber = this.subscribers.get(server);
    return subscriber !== undefined && topic.states.get(subscriber) === HEARD;
  }

  /** Other processes are told of all topics. */
  tellAll(): void {
    this.census.tellAll(this.tables.flatMap((table) => [...table.values()]));
  }

  /** Subscribes a client, which is not yet; the topic may have to wait for servers. */
  join(client: Hearer, kind: number, name: string): Topic {
    let topic = this.tables[kind].get(name);
    if (topic === undefined) {
      topic = new Topic(kind, name);
      this.tables[kind].set(name, topic);
    }
    topic.clients.add(client);
    this.ask(topic);
    this.census.note(topic);
    return topic;
  }

  leave(client: Hearer, topic: Topic): void {
    topic.clients.delete(client);
    this.census.note(topic);
    if (topic.clients.size > 0) return;
    this.tables[topic.kind].delete(topic.name);
    for (const subscriber of [...topic.states.keys()]) subscriber.unsubscribe(topic);
  }

  private targets({ kind, name }: Topic): readonly Server[] {
    const { route, codec } = this.context;
    if ((codec.publishing as Publishing).isEverywhere(kind, name)) return route.all(CLASS_READ);
    const key = bytes(name);
    const server = route.pick(key, 0, key.length, CLASS_READ);
    return server.available ? [server] : [];
  }

  /** Subscribes where the topic has to be heard and is not. */
  private ask(topic: Topic): void {
    for (const server of this.targets(topic)) {
      let subscriber = this.subscribers.get(server);
      if (subscriber === undefined) {
        subscriber = new Subscriber(this, server.context, server);
        this.subscribers.set(server, subscriber);
      }
      const state = topic.states.get(subscriber);
      if (state === undefined || state === LOST) subscriber.subscribe(topic);
    }
  }

  /** A server has confirmed the topic, or will not. */
  settled(topic: Topic): void {
    if (topic.awaiting > 0) return;
    if (topic.isHeard()) this.trim(topic);
    this.census.note(topic);
    if (topic.waiting.length === 0) return;
    const error = topic.isHeard() ? EMPTY : topic.error;
    for (const waiting of topic.waiting.splice(0)) waiting.settled(topic, error);
  }

  /** Unsubscribes where the topic is not published any more, now that it is heard where it is. */
  private trim(topic: Topic): void {
    const targets = this.targets(topic);
    if (targets.length === 0) return;
    for (const subscriber of [...topic.states.keys()]) {
      if (!targets.includes(subscriber.server)) subscriber.unsubscribe(topic);
    }
  }

  /** The ring, or the list of servers, has changed: topics move. */
  rebalance(): void {
    for (const [server, subscriber] of this.subscribers) {
      if (this.context.servers.includes(server)) continue;
      this.subscribers.delete(server);
      for (const topic of [...subscriber.topics]) {
        subscriber.unsubscribe(topic);
        this.settled(topic);
      }
      subscriber.abort("");
    }
    for (const table of this.tables) {
      for (const topic of [...table.values()]) {
        this.ask(topic);
        if (topic.awaiting === 0) this.trim(topic);
        this.census.note(topic);
      }
    }
  }

  /** Servers are spoken to in another way (password, TLS): see Subscriber.renew. */
  renew(): void {
    for (const subscriber of this.subscribers.values()) subscriber.renew();
  }

  /** Gives a message, read into `frame`, to every client of its topic. */
  deliver(frame: Frame, buf: Uint8Array, start: number, end: number): void {
    const table = this.tables[frame.kind];
    const topic = table.get(frame.name);
    const { renaming } = this.context.codec.publishing as Publishing;
    if (renaming === null) {
      // Undefined: on its way while the last client left.
      if (topic !== undefined) this.give(topic, buf, start, end);
      return;
    }
    const alias = renaming.alias(frame.name);
    for (const one of [topic, alias === "" ? undefined : table.get(alias)]) {
      if (one === undefined) continue;
      const seen = renaming.seen(frame, one.name, buf, start, end);
      if (seen === null) this.give(one, buf, start, end);
      else if (seen.length > 0) this.give(one, seen, 0, seen.length);
    }
  }

  private give(topic: Topic, buf: Uint8Array, start: number, end: number): void {
    for (const client of topic.clients) {
      this.messages++;
      client.hear(topic, buf, start, end);
    }
  }

  /** Whether a server's subscription is another topic's too, which servers call the same. */
  isShared(topic: Topic, subscriber: Subscriber<Topic>): boolean {
    const { renaming } = this.context.codec.publishing as Publishing;
    if (renaming === null) return false;
    const there = renaming.toServer(topic.name);
    for (const name of [there, renaming.alias(there)]) {
      const other = name === topic.name ? undefined : this.tables[topic.kind].get(name);
      if (other !== undefined && subscriber.topics.has(other)) return true;
    }
    return false;
  }

  moved(topic: Topic): void {
    this.census.note(topic);
  }

  tick(now: number, timeout: number, late: number): void {
    for (const subscriber of this.subscribers.values()) subscriber.tick(now, timeout, late);
  }

  stop(): void {
    for (const subscriber of this.subscribers.values()) subscriber.abort("");
  }
}
