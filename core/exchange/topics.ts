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
import type { Redirects, Route } from "../route/route.ts";
import type { ServerContext } from "../server/context.ts";
import type { Carrier } from "../link/attempt.ts";
import { mainOf, type Server, type Target } from "../server/server.ts";
import { HEARD, LOST, Subscriber, type SubscriptionTable } from "../server/subscriber.ts";
import { Census, type CensusContext, type Hearings } from "./census.ts";
import { type Hearer, Topic } from "./topic.ts";

/** What the topics ask their pool. */
export interface TopicsContext extends ServerContext, CensusContext {
  readonly route: Route;
  /** The servers of the pool, or of all that are its targets. */
  readonly servers: readonly Server[];
  /** Those that tell each other what is published, where there are such. */
  readonly broadcasters: readonly Server[];
  /** Another ring whose clients publish; null for none. */
  readonly secondRoute: Route | null;
}

/** A subscription that a server has refused is no request, and comes of no link. */
const NO_REQUEST = { place: -1, resent: 0, parkedAt: -1, isJudged: true };
const NO_CARRIER = { owner: null } as unknown as Carrier;

export class Topics implements SubscriptionTable<Topic> {
  private readonly context: TopicsContext;
  readonly census: Census;
  /** Messages given to clients. */
  messages: number;
  private readonly tables: Map<string, Topic>[];
  private readonly subscribers: Map<Server, Subscriber<Topic>>;
  /** Those of servers that the pool has no more, until they have heard what was on its way. */
  private readonly leaving: Set<Subscriber<Topic>>;
  /** Not heard, and asked for again soon. */
  private readonly postponed: Set<Topic>;

  /** `say` tells other processes that share the pool: see census.ts. */
  constructor(context: TopicsContext, say: ((hearings: Hearings) => void) | null) {
    this.context = context;
    this.census = new Census(context, say);
    this.messages = 0;
    this.tables = [];
    for (let kind = 0; kind < KINDS; kind++) this.tables.push(new Map());
    this.subscribers = new Map();
    this.leaving = new Set();
    this.postponed = new Set();
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
    if (this.isManaged && topic.states.size === 0) this.postpone(topic);
    this.census.note(topic);
    return topic;
  }

  leave(client: Hearer, topic: Topic): void {
    topic.clients.delete(client);
    this.census.note(topic);
    if (topic.clients.size > 0) return;
    this.tables[topic.kind].delete(topic.name);
    if (this.postponed.delete(topic)) topic.awaiting--;
    for (const subscriber of [...topic.states.keys()]) subscriber.unsubscribe(topic);
  }

  private targets(topic: Topic): readonly Server[] {
    const { kind, name } = topic;
    const { route, secondRoute, codec } = this.context;
    const words = codec.publishing as Publishing;
    const key = bytes(name);
    const on = (one: Route): readonly Server[] => {
      const broadcasts = one.redirects?.broadcasts ?? false;
      if (words.isEverywhere(kind, name, broadcasts)) return one.all(CLASS_READ);
      const server = mainOf(one.pick(key, 0, key.length, CLASS_READ));
      if (broadcasts && kind !== SHARD) return this.anywhere(topic, one, server);
      return server.available ? [server] : [];
    };
    return secondRoute === null ? on(route) : [...new Set([...on(route), ...on(secondRoute)])];
  }

  /** Every topic is heard where it is to be, or cannot be. */
  get isSettled(): boolean {
    return this.tables.every((table) =>
      [...table.values()].every(({ awaiting }) => awaiting === 0)
    );
  }

  private get isManaged(): boolean {
    return this.context.route.redirects !== null;
  }

  /** The servers tell each other what is published: it is heard where it is, or at any that is well. */
  private anywhere(topic: Topic, route: Route, server: Target): readonly Server[] {
    const { broadcasters } = this.context;
    for (const [{ server: where }, state] of topic.states) {
      if (state === HEARD && broadcasters.includes(where)) return [where];
    }
    const isWell = (one: Server): boolean => this.subscribers.get(one)?.isDown !== true;
    if (server.available && isWell(server)) return [server];
    const well = route.all(CLASS_READ).find(isWell);
    return well !== undefined ? [well] : server.available ? [server] : [];
  }

  /** Subscribes where the topic has to be heard and is not. */
  private ask(topic: Topic, again = false): void {
    for (const server of this.targets(topic)) {
      let subscriber = this.subscribers.get(server);
      if (subscriber === undefined) {
        subscriber = new Subscriber(this, server.context, server);
        this.subscribers.set(server, subscriber);
      }
      const state = topic.states.get(subscriber);
      if (state === undefined || state === LOST) subscriber.subscribe(topic, again);
    }
  }

  /** It is asked for again with the next tick; those that wait for it do so for `wait` ms. */
  private postpone(topic: Topic): void {
    if (topic.clients.size === 0 || this.postponed.has(topic)) return;
    topic.triedSince = topic.triedSince < 0 ? this.context.now : topic.triedSince;
    this.postponed.add(topic);
    topic.awaiting++;
  }

  /** Of a managed route: the topic is not heard, and may be when a slot has an owner again. */
  private mayComeYet(topic: Topic): boolean {
    const { redirects } = this.context.route;
    if (redirects === null || topic.isHeard() || topic.clients.size === 0) return false;
    const { error, states } = topic;
    if (states.size > 0 || error.length === 0) return true; // a connection was lost
    return redirects.refused(error, 0, error.length, NO_REQUEST, NO_CARRIER) !== null;
  }

  /** A server has confirmed the topic, or will not. */
  settled(topic: Topic): void {
    if (topic.awaiting > 0) return;
    const { config, now, route } = this.context;
    if (this.mayComeYet(topic)) {
      const isOver = topic.triedSince >= 0 && now - topic.triedSince >= config.wait;
      const { waiting } = topic;
      this.postpone(topic);
      if (!isOver) return;
      // Those that are new to it are told; those that have heard it before go on waiting.
      const error = topic.error.length > 0
        ? topic.error
        : (route.redirects as Redirects).overdue(-1);
      topic.waiting = [];
      for (const one of waiting) one.settled(topic, error);
      return;
    }
    topic.triedSince = -1;
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
      subscriber.leave();
      if (!subscriber.isGone) this.leaving.add(subscriber);
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

  /** A server is somewhere else now. */
  renewAt(server: Server): void {
    this.subscribers.get(server)?.renew();
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
    if (this.isManaged && !topic.isHeard()) this.postpone(topic);
  }

  /** What was not heard is asked for again, elsewhere if it has moved. */
  private askAgain(): void {
    for (const topic of [...this.postponed]) {
      this.postponed.delete(topic);
      topic.awaiting--;
      const targets = this.targets(topic);
      for (const subscriber of [...topic.states.keys()]) {
        if (!targets.includes(subscriber.server)) subscriber.unsubscribe(topic);
      }
      topic.error = EMPTY;
      this.ask(topic, true);
      this.settled(topic);
    }
  }

  tick(now: number, timeout: number, late: number): void {
    if (this.postponed.size > 0) this.askAgain();
    for (const subscriber of this.subscribers.values()) subscriber.tick(now, timeout, late);
    for (const subscriber of this.leaving) {
      if (subscriber.isGone) this.leaving.delete(subscriber);
      else subscriber.tick(now, timeout, late);
    }
  }

  stop(): void {
    for (const subscriber of this.subscribers.values()) subscriber.abort("");
    for (const subscriber of this.leaving) subscriber.abort("");
  }
}
