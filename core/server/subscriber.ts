// The one connection over which a pool hears what is published on a server, for all its clients.
// Keeps the server's subscriptions the same as the pool's, over losses of the connection too.

import { EMPTY } from "../bytes.ts";
import { errnoText } from "../errno.ts";
import type { Socket, SocketHandler } from "../host.ts";
import { OutBuffer } from "../wire/out_buffer.ts";
import { ReplyScan } from "../protocol/codec.ts";
import {
  ALIVE,
  CONFIRMED,
  type Frame,
  MESSAGE,
  NONSENSE,
  type Publishing,
  REFUSED,
} from "../protocol/publishing.ts";
import { Backoff } from "../link/backoff.ts";
import type { Pool } from "../pool.ts";
import type { Server } from "./server.ts";
import type { Topic, Topics } from "../exchange/topics.ts";

const CLOSED = 0;
const CONNECTING = 1;
const HANDSHAKE = 2;
const READY = 3;

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

interface Expected {
  readonly topic: Topic;
  readonly on: boolean;
}

export class Subscriber {
  readonly server: Server;
  readonly topics: Set<Topic>;
  state: number;
  private readonly pool: Pool;
  private readonly table: Topics;
  private words: Publishing;
  private readonly out: OutBuffer;
  private readonly scan: ReplyScan;
  private readonly frame: Frame;
  private socket: Socket | null;
  private handler: SocketHandler | null;
  private handshakesLeft: number;
  private dirty: boolean;
  /** An unfinished frame: carry[0, carried), looked at up to `looked`. */
  private carry: Uint8Array;
  private carried: number;
  private looked: number;
  /** Requests without an answer, from `answered` on. */
  private expected: Expected[];
  private answered: number;
  private readonly backoff: Backoff;
  private retryAt: number;
  /** When it last heard of the server, or began to wait for it (pool time). */
  private heardAt: number;
  private pinged: boolean;

  constructor(table: Topics, server: Server) {
    this.table = table;
    this.pool = table.pool;
    this.words = this.pool.codec.publishing as Publishing;
    this.server = server;
    this.topics = new Set();
    this.state = CLOSED;
    this.out = new OutBuffer(this.pool.buffers);
    this.scan = new ReplyScan();
    this.frame = { what: NONSENSE, kind: 0, name: "" };
    this.socket = null;
    this.handler = null;
    this.handshakesLeft = 0;
    this.dirty = false;
    this.carry = EMPTY;
    this.carried = 0;
    this.looked = 0;
    this.expected = [];
    this.answered = 0;
    this.backoff = new Backoff((n) => this.pool.host.random(n));
    this.retryAt = 0;
    this.heardAt = 0;
    this.pinged = false;
  }

  get label(): string {
    return `${this.server.label}: subscriber`;
  }

  /** The topic is to be heard of this server. */
  subscribe(topic: Topic): void {
    this.topics.add(topic);
    topic.states.set(this, WAITED_FOR);
    topic.awaiting++;
    if (this.state === READY) this.ask(topic, true);
    else if (this.state === CLOSED) this.connect();
  }

  unsubscribe(topic: Topic): void {
    if (!this.topics.delete(topic)) return;
    const was = topic.states.get(this);
    topic.states.delete(this);
    if (was === WAITED_FOR) topic.awaiting--;
    if (this.state !== READY || was === LOST || this.table.isShared(topic, this)) return;
    this.ask(topic, false);
  }

  private ask(topic: Topic, on: boolean): void {
    const { words } = this;
    if (this.answered === this.expected.length) {
      this.heardAt = this.pool.now;
      this.expected = [];
      this.answered = 0;
    }
    this.expected.push({ topic, on });
    this.write(
      on ? words.subscribe(topic.kind, topic.name) : words.unsubscribe(topic.kind, topic.name),
    );
  }

  private write(bytes: Uint8Array): void {
    this.out.append(bytes, 0, bytes.length);
    if (this.dirty) return;
    this.dirty = true;
    this.pool.turn.markServer(this);
  }

  flush(): void {
    this.dirty = false;
    if (this.state >= HANDSHAKE && this.out.size > 0) this.out.flush(this.socket as Socket);
  }

  private connect(): void {
    this.state = CONNECTING;
    this.heardAt = this.pool.now;
    const handler: SocketHandler = {
      open: () => this.handler === handler && this.open(),
      data: (buf, start, end) => this.handler === handler && this.data(buf, start, end),
      drain: () => this.handler === handler && void this.out.drained(this.socket as Socket),
      end: () => this.handler === handler && this.abort(""),
      close: (error) => this.handler === handler && this.gone(error),
    };
    this.handler = handler;
    this.socket = this.server.open(handler);
  }

  private open(): void {
    this.server.counters.server_connections++;
    const handshake = this.pool.handshakeOf(this.pool.lane);
    this.state = HANDSHAKE;
    this.handshakesLeft = handshake?.replies ?? 0;
    if (handshake !== null) this.write(handshake.bytes);
    else this.becomeReady();
  }

  private becomeReady(): void {
    this.state = READY;
    this.backoff.reset();
    this.pool.log.info(`${this.label}: connected; ${this.topics.size} subscriptions`);
    for (const topic of this.topics) {
      if (topic.states.get(this) === LOST) {
        topic.states.set(this, WAITED_FOR);
        topic.awaiting++;
      }
      this.ask(topic, true);
    }
  }

  private data(buf: Uint8Array, start: number, end: number): void {
    const { turn } = this.pool;
    turn.enter();
    this.heardAt = this.pool.now;
    this.pinged = false;
    this.server.counters.response_bytes += end - start;
    if (this.carried === 0) {
      const done = this.read(buf, start, start, end);
      if (done < end) this.keep(buf, done, end);
    } else {
      const { looked } = this;
      this.keep(buf, start, end);
      const { carry, carried } = this;
      const done = this.read(carry, 0, looked, carried);
      if (this.carry === carry) {
        this.carried = carried - done;
        if (this.carried === 0) this.carry = EMPTY;
        else carry.copyWithin(0, done, carried);
      }
    }
    turn.leave();
  }

  private keep(buf: Uint8Array, start: number, end: number): void {
    const n = end - start;
    if (this.handler === null) return;
    if (this.carried + n > this.carry.length) {
      const larger = new Uint8Array(Math.max(1024, 2 * (this.carried + n)));
      larger.set(this.carry.subarray(0, this.carried));
      this.carry = larger;
    }
    this.carry.set(buf.subarray(start, end), this.carried);
    this.carried += n;
  }

  /** Reads whole frames from `start` on, the first one from where it was left; returns the end of the last. */
  private read(buf: Uint8Array, start: number, from: number, end: number): number {
    const { codec } = this.pool;
    let frame = start;
    let pos = from;
    while (pos < end) {
      pos = codec.parseReply(this.scan, buf, pos, end);
      if (this.scan.bad) {
        this.abort("EINVAL");
        return end;
      }
      if (!this.scan.done) break;
      this.take(buf, frame, pos);
      if (this.handler === null) return end;
      frame = pos;
    }
    this.looked = pos - frame;
    return frame;
  }

  private take(buf: Uint8Array, start: number, end: number): void {
    if (this.state === HANDSHAKE) {
      const { codec } = this.pool;
      if (codec.isError(buf, start)) {
        const why = codec.errorText(buf, start, end);
        this.pool.log.error(`${this.label}: refused redis_auth or redis_db (${why}); closing`);
        return this.abort(`server refused redis_auth or redis_db: ${why}`);
      }
      if (--this.handshakesLeft === 0) this.becomeReady();
      return;
    }
    const { frame } = this;
    this.words.readFrame(frame, buf, start, end);
    switch (frame.what) {
      case MESSAGE:
        return this.table.deliver(frame, buf, start, end);
      case ALIVE:
        return;
      case CONFIRMED:
      case REFUSED:
        if (this.answered < this.expected.length) {
          return this.settle(frame.what === REFUSED ? buf.slice(start, end) : EMPTY);
        }
    }
    this.pool.log.warn(`${this.label}: the server sent what is no message; closing`);
    this.abort("EINVAL");
  }

  /** The oldest request has its answer; `error` is empty when all is well. */
  private settle(error: Uint8Array): void {
    const { topic, on } = this.expected[this.answered++];
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

  tick(now: number, timeout: number): void {
    if (this.state === CLOSED) {
      if (this.topics.size > 0 && now >= this.retryAt) this.connect();
      return;
    }
    const quiet = now - this.heardAt;
    const most = timeout > 0 ? timeout : PATIENCE;
    if (this.state !== READY || this.answered < this.expected.length) {
      if (quiet > most) this.abort("ETIMEDOUT");
    } else if (this.pinged) {
      if (quiet > SILENCE + most) this.abort("ETIMEDOUT");
    } else if (quiet > SILENCE && this.topics.size > 0) {
      this.pinged = true;
      this.write(this.words.ping);
    }
  }

  /** The server is to be spoken to in another way: all is asked for again on a new connection. */
  renew(): void {
    const { socket } = this;
    this.words = this.pool.codec.publishing as Publishing;
    if (this.state === CLOSED) return;
    this.reset();
    for (const topic of this.topics) {
      if (topic.states.get(this) === HEARD) topic.states.set(this, LOST);
    }
    socket?.close();
    this.connect();
  }

  abort(errno: string): void {
    const { socket } = this;
    if (this.state === CLOSED) return;
    this.gone(errno);
    socket?.close();
  }

  /** The connection is no more; what it was to hear is asked for again later. */
  private gone(errno: string): void {
    this.reset();
    this.retryAt = this.pool.now + this.backoff.next(LONGEST_PAUSE);
    if (this.pool.stopped) return;
    const why = errnoText(errno);
    if (this.topics.size > 0) {
      this.pool.log.notice(`${this.label}: closed: ${why}; ${this.topics.size} subscriptions lost`);
    }
    for (const topic of [...this.topics]) {
      const was = topic.states.get(this);
      topic.states.set(this, LOST);
      if (was !== WAITED_FOR) {
        this.table.census.note(topic);
        continue;
      }
      topic.awaiting--;
      topic.error = this.pool.codec.failure(why);
      this.table.settled(topic);
    }
  }

  /** Forgets the connection. */
  private reset(): void {
    if (this.state > CONNECTING) this.server.counters.server_connections--;
    this.state = CLOSED;
    this.socket = null;
    this.handler = null;
    this.out.clear();
    this.scan.reset();
    this.carry = EMPTY;
    this.carried = 0;
    this.looked = 0;
    this.expected = [];
    this.answered = 0;
    this.pinged = false;
  }
}
