// The one connection over which a pool hears what is published on a server, for all its clients.
// Keeps the server's subscriptions the same as the pool's, over losses of the connection too.

import { EMPTY } from "../bytes.ts";
import { errnoText } from "../errno.ts";
import type { Socket, SocketHandler } from "../host.ts";
import { Backoff } from "../link/backoff.ts";
import { CLOSED, Link, READY } from "../link/link.ts";
import type { LinkCounters, LinkOwner, Listener } from "../link/owner.ts";
import {
  ALIVE,
  CONFIRMED,
  type Frame,
  MESSAGE,
  NONSENSE,
  type Publishing,
  REFUSED,
  SHARD,
} from "../protocol/publishing.ts";
import type { ServerContext } from "./context.ts";
import type { Server } from "./server.ts";

/** How a topic stands at a server (`Topic.states`). */
export const WAITED_FOR = 1;
export const HEARD = 2;
/** The connection was lost; asked for again on the next one. */
export const LOST = 3;

/** Longest pause (ms) before a lost connection is tried again. */
const LONGEST_PAUSE = 5000;
/** Silence (ms) after which the server is asked whether it is there, and how long it may think. */
const SILENCE = 10_000;
const PATIENCE = 10_000;

/** A channel or pattern, as far as a subscriber knows it. */
export interface Topic<T extends Topic<T>> {
  readonly kind: number;
  /** A byte string. */
  readonly name: string;
  /** How it stands at each server concerned. */
  readonly states: Map<Subscriber<T>, number>;
  /** How many servers are to confirm it. */
  awaiting: number;
  /** Of the last server that did not. */
  error: Uint8Array;
}

/** Whom a subscriber tells. */
export interface SubscriptionTable<T extends Topic<T>> {
  /** A server has confirmed the topic, or will not. */
  settled(topic: T): void;
  /** It stands otherwise at a server: the connection is lost, or the server does not have it any more. */
  moved(topic: T): void;
  /** A message, read into `frame`. */
  deliver(frame: Frame, buf: Uint8Array, start: number, end: number): void;
  /** Whether a server's subscription is another topic's too, which servers call the same. */
  isShared(topic: T, subscriber: Subscriber<T>): boolean;
}

interface Expected<T> {
  readonly topic: T;
  readonly on: boolean;
}

export class Subscriber<T extends Topic<T>> implements LinkOwner, Listener {
  readonly server: Server;
  readonly topics: Set<T>;
  readonly label: string;
  readonly fields: Readonly<Record<string, string>>;
  readonly counters: LinkCounters;
  readonly judges: boolean;
  readonly keeps: boolean;
  readonly listener: Listener;
  private readonly context: ServerContext;
  private readonly table: SubscriptionTable<T>;
  private words: Publishing;
  private readonly frameRead: Frame;
  private link: Link;
  /** Requests without an answer, from `answeredTo` on. */
  private expected: Expected<T>[];
  private answeredTo: number;
  private readonly backoff: Backoff;
  private retryAt: number;
  /** When it last heard of the server, or began to wait for it (pool time). */
  private heardAt: number;
  private pinged: boolean;
  /** Nothing is to be heard of the server any more. */
  private leaves: boolean;

  constructor(table: SubscriptionTable<T>, context: ServerContext, server: Server) {
    this.server = server;
    this.topics = new Set();
    this.label = `${server.label}: subscriber`;
    this.fields = server.fields;
    this.counters = server.counters;
    this.judges = false;
    this.keeps = false;
    this.listener = this;
    this.context = context;
    this.table = table;
    this.words = context.codec.publishing as Publishing;
    this.frameRead = { what: NONSENSE, kind: 0, name: "", off: false };
    this.link = new Link(context, this, context.lane);
    this.expected = [];
    this.answeredTo = 0;
    this.backoff = new Backoff((n) => context.host.random(n));
    this.retryAt = 0;
    this.heardAt = 0;
    this.pinged = false;
    this.leaves = false;
  }

  private get isReady(): boolean {
    return this.link.state === READY;
  }

  private get isClosed(): boolean {
    return this.link.state === CLOSED;
  }

  /** The topic is to be heard of this server; `again`: with the next connection, if there is none. */
  subscribe(topic: T, again = false): void {
    this.topics.add(topic);
    topic.states.set(this, WAITED_FOR);
    topic.awaiting++;
    if (this.isReady) this.ask(topic, true);
    else if (this.isClosed && !(again && this.context.now < this.retryAt)) this.connect();
  }

  unsubscribe(topic: T): void {
    if (!this.topics.delete(topic)) return;
    const was = topic.states.get(this);
    topic.states.delete(this);
    if (was === WAITED_FOR) topic.awaiting--;
    if (!this.isReady || was === LOST || this.table.isShared(topic, this)) return;
    this.ask(topic, false);
  }

  private ask(topic: T, on: boolean): void {
    const { words } = this;
    if (this.answeredTo === this.expected.length) {
      this.heardAt = this.context.now;
      this.expected = [];
      this.answeredTo = 0;
    }
    this.expected.push({ topic, on });
    this.link.say(
      on ? words.subscribe(topic.kind, topic.name) : words.unsubscribe(topic.kind, topic.name),
    );
  }

  private connect(): void {
    this.heardAt = this.context.now;
    this.link.connect();
  }

  open(handler: SocketHandler): Socket {
    return this.server.open(handler);
  }

  connecting(): void {}

  answered(): void {}

  replied(): void {}

  ready(): void {
    this.backoff.reset();
    this.retryAt = 0;
    this.context.log.info(`${this.label}: connected; ${this.topics.size} subscriptions`);
    for (const topic of this.topics) {
      if (topic.states.get(this) === LOST) {
        topic.states.set(this, WAITED_FOR);
        topic.awaiting++;
      }
      this.ask(topic, true);
    }
  }

  refused(why: string): void {
    this.context.log.error(`${this.label}: refused redis_auth or redis_db (${why}); closing`);
  }

  broken(): void {
    this.context.log.warn(`${this.label}: the server sent what is no message; closing`);
  }

  frame(buf: Uint8Array, start: number, end: number): void {
    this.heardAt = this.context.now;
    this.pinged = false;
    const { frameRead } = this;
    this.words.readFrame(frameRead, buf, start, end);
    switch (frameRead.what) {
      case MESSAGE:
        return this.table.deliver(frameRead, buf, start, end);
      case ALIVE:
        return;
      case CONFIRMED:
      case REFUSED:
        if (frameRead.what === CONFIRMED && frameRead.off && this.isWithdrawn(frameRead)) return;
        if (this.answeredTo < this.expected.length) {
          return this.settle(frameRead.what === REFUSED ? buf.slice(start, end) : EMPTY);
        }
    }
    this.broken();
    this.abort("EINVAL");
  }

  /**
   * Redis says unasked that a channel of a slot is not heard any more, when the slot has gone to
   * another node (cluster.c, removeChannelsInSlot). True if that is what it says.
   */
  private isWithdrawn({ kind, name }: Frame): boolean {
    if (kind !== SHARD) return false;
    const { renaming } = this.words;
    const isIt = (topic: T): boolean =>
      topic.kind === SHARD && (renaming?.toServer(topic.name) ?? topic.name) === name;
    const next = this.expected[this.answeredTo];
    if (next !== undefined && !next.on && isIt(next.topic)) return false;
    for (const topic of [...this.topics].filter(isIt)) {
      if (topic.states.get(this) !== HEARD) continue; // it is asked for again as it is
      this.topics.delete(topic);
      topic.states.delete(this);
      this.table.moved(topic);
    }
    return true;
  }

  /** It has no connection, and the last try to get one has failed. */
  get isDown(): boolean {
    return this.link.state !== READY && this.retryAt > 0;
  }

  /** The oldest request has its answer; `error` is empty when all is well. */
  private settle(error: Uint8Array): void {
    const { topic, on } = this.expected[this.answeredTo++];
    if (this.leaves && this.answeredTo === this.expected.length) this.abort("");
    if (!on || topic.states.get(this) !== WAITED_FOR) return;
    topic.awaiting--;
    if (error.length === 0) {
      topic.states.set(this, HEARD);
    } else {
      topic.states.delete(this);
      this.topics.delete(topic);
      topic.error = error;
    }
    this.table.settled(topic);
  }

  /** Called every tick; see Link.tick for `late`. */
  tick(now: number, timeout: number, late: number): void {
    if (this.isClosed) {
      if (this.topics.size > 0 && now >= this.retryAt) this.connect();
      return;
    }
    this.heardAt += late;
    if (late > 0) return; // what has come meanwhile is still to be read
    const quiet = now - this.heardAt;
    const most = timeout > 0 ? timeout : PATIENCE;
    if (!this.isReady || this.answeredTo < this.expected.length) {
      if (quiet > most) this.abort("ETIMEDOUT");
    } else if (this.pinged) {
      if (quiet > SILENCE + most) this.abort("ETIMEDOUT");
    } else if (quiet > SILENCE && this.topics.size > 0) {
      this.pinged = true;
      this.link.say(this.words.ping);
    }
  }

  /** The server is to be spoken to in another way: all is asked for again on a new link. */
  renew(): void {
    const { link } = this;
    const wasClosed = this.isClosed;
    this.words = this.context.codec.publishing as Publishing;
    this.link = new Link(this.context, this, this.context.lane);
    link.dispose();
    this.forget();
    if (wasClosed) return;
    for (const topic of this.topics) {
      if (topic.states.get(this) === HEARD) topic.states.set(this, LOST);
    }
    this.connect();
  }

  abort(errno: string): void {
    this.link.abort(errno);
  }

  /** Gives up its topics: what is on its way is still heard, then the connection is closed. */
  leave(): void {
    this.leaves = true;
    for (const topic of [...this.topics]) {
      this.unsubscribe(topic);
      this.table.settled(topic);
    }
    if (!this.isReady || this.answeredTo === this.expected.length) this.abort("");
  }

  /** It has left, and has no connection. */
  get isGone(): boolean {
    return this.leaves && this.isClosed;
  }

  /** The link is gone; what it was to hear is asked for again later. */
  closed(errno: string): void {
    this.forget();
    this.retryAt = this.context.now + this.backoff.next(LONGEST_PAUSE);
    if (this.context.stopped) return;
    const why = errnoText(errno);
    if (this.topics.size > 0) {
      this.context.log.notice(
        `${this.label}: closed: ${why}; ${this.topics.size} subscriptions lost`,
      );
    }
    for (const topic of [...this.topics]) {
      const was = topic.states.get(this);
      topic.states.set(this, LOST);
      if (was !== WAITED_FOR) {
        this.table.moved(topic);
        continue;
      }
      topic.awaiting--;
      topic.error = this.context.codec.failure(why);
      this.table.settled(topic);
    }
  }

  private forget(): void {
    this.expected = [];
    this.answeredTo = 0;
    this.pinged = false;
  }
}
