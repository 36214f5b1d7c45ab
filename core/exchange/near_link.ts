// The connection to one server over which a near cache reads, and hears of changes: in the order in
// which they happen there, which is what the cache stands on. Made again when it is lost; what was
// learned over it is forgotten then, and when it is silent for too long.

import type { Host, Socket, SocketHandler } from "../host.ts";
import { type Attempt, type Carrier, HOLD, type Sink } from "../link/attempt.ts";
import { Backoff } from "../link/backoff.ts";
import type { BigWatch } from "../link/big_watch.ts";
import { Link, READY } from "../link/link.ts";
import type { LinkContext, LinkCounters, LinkOwner } from "../link/owner.ts";
import type { PushListener, PushSetting } from "../link/pushes.ts";
import { Question } from "../link/question.ts";
import type { SlowLog } from "../link/slow_log.ts";
import type { Log } from "../log.ts";
import type { Codec, Handshake } from "../protocol/codec.ts";
import type { Server } from "../server/server.ts";
import type { BufferPool } from "../wire/out_buffer.ts";
import type { Flushable, Turn } from "../wire/turn.ts";

/** Silence (ms) after which the server is asked whether it is there. */
const QUIET = 1000;
/** Longest pause (ms) before it is connected to again. */
const LATEST = 5000;

/** Who reads over it. */
export interface NearOwner {
  readonly context: LinkContext & { readonly log: Log };
  readonly codec: Codec;
  /** Null: servers tell of no changes. */
  readonly handshake: Handshake | null;
  /** Longest silence (ms). */
  readonly silence: number;
  /** A key's value may be another; all values that came over the link may be. */
  changed(buf: Uint8Array, start: number, end: number): void;
  forget(link: NearLink): void;
}

/** The pool's, but for what this link says first and who hears it. */
class NearContext implements LinkContext {
  readonly host: Host;
  readonly buffers: BufferPool;
  readonly turn: Turn<Flushable, Flushable>;
  readonly slow: SlowLog;
  readonly big: BigWatch;
  private readonly pool: LinkContext;
  private readonly codec: Codec;
  private readonly setting: PushSetting | null;

  constructor(pool: LinkContext, codec: Codec, setting: PushSetting | null) {
    this.host = pool.host;
    this.buffers = pool.buffers;
    this.turn = pool.turn;
    this.slow = pool.slow;
    this.big = pool.big;
    this.pool = pool;
    this.codec = codec;
    this.setting = setting;
  }

  get now(): number {
    return this.pool.now;
  }

  codecOf(): Codec {
    return this.codec;
  }

  handshakeOf(): Handshake | null {
    return this.setting?.handshake ?? null;
  }

  pushesOf(): PushSetting | null {
    return this.setting;
  }
}

export class NearLink implements LinkOwner, PushListener, Sink {
  readonly label: string;
  readonly fields: Readonly<Record<string, string>>;
  readonly counters: LinkCounters;
  readonly judges: boolean;
  readonly keeps: boolean;
  readonly listener: null;
  readonly remote: string;
  readonly server: Server;
  /** When something last came (ms, `Turn.clock`). */
  heardAt: number;
  private readonly owner: NearOwner;
  private readonly link: Link;
  private readonly backoff: Backoff;
  private retryAt: number;
  /** What is to be done when the questions in flight are answered, in their order. */
  private pings: (() => void)[];
  private told: boolean;

  constructor(owner: NearOwner, server: Server) {
    const { context, codec, handshake } = owner;
    this.label = `${server.label}: near cache`;
    this.fields = server.fields;
    this.counters = server.counters;
    this.judges = false;
    this.keeps = false;
    this.listener = null;
    this.remote = "near cache";
    this.server = server;
    this.heardAt = -Infinity;
    this.owner = owner;
    this.backoff = new Backoff((n) => context.host.random(n));
    this.retryAt = -Infinity;
    this.pings = [];
    this.told = false;
    const setting = handshake === null ? null : { listener: this, handshake };
    this.link = new Link(new NearContext(context, codec, setting), this, 0);
  }

  /** Values may be read over it, and those that were are right. */
  get usable(): boolean {
    return this.link.state === READY && !this.isSilent;
  }

  private get isSilent(): boolean {
    return this.owner.context.turn.clock - this.heardAt > this.owner.silence;
  }

  connect(): void {
    this.link.connect();
  }

  send(attempt: Attempt, bytes: Uint8Array): void {
    this.link.send(attempt, bytes, 0, bytes.length);
  }

  /** Calls `done` when all has been heard that the server has said by now, or nothing will be. */
  ping(done: () => void): void {
    const probe = this.owner.codec.probe as Uint8Array;
    this.pings.push(done);
    this.link.send(new Question(this), probe, 0, probe.length);
  }

  tick(now: number, timeout: number, late: number): void {
    const { link, owner } = this;
    link.tick(now, timeout, late);
    if (link.state !== READY) {
      if (link.head === null && now >= this.retryAt) link.connect();
      return;
    }
    const quiet = now - this.heardAt;
    // What came while the proxy stood still is still to be read: only the next tick condemns.
    if (quiet > owner.silence) {
      owner.forget(this);
      if (late === 0) link.abort("ETIMEDOUT");
    } else if (quiet > Math.min(QUIET, owner.silence / 4) && this.pings.length === 0) {
      this.ping(() => {});
    }
  }

  stop(): void {
    this.link.dispose();
  }

  open(handler: SocketHandler): Socket {
    return this.server.open(handler);
  }

  connecting(): void {
    this.retryAt = this.owner.context.now + this.backoff.next(LATEST);
  }

  ready(): void {
    this.backoff.reset();
    this.told = false;
    this.heard();
  }

  /** Something came. */
  heard(): void {
    this.heardAt = this.owner.context.turn.clock;
  }

  refused(why: string): void {
    this.complain(`refused what a near cache needs (${why}): needs Redis 6 or newer`);
  }

  broken(why: string): void {
    this.complain(why);
  }

  private complain(why: string): void {
    if (this.told) return;
    this.told = true;
    this.owner.context.log.warn(`${this.label}: ${why}`, { event: "near_cache", ...this.fields });
  }

  closed(): void {
    this.owner.forget(this);
  }

  answered(): void {}

  replied(): void {}

  pushed(buf: Uint8Array, start: number, end: number): void {
    this.heard();
    const near = this.owner.codec.caching?.near;
    const each = (from: number, to: number): void => this.owner.changed(buf, from, to);
    if (!near?.changed(buf, start, end, each)) this.owner.forget(this);
  }

  pushesLost(): void {
    this.owner.forget(this);
  }

  accept(): number {
    return HOLD;
  }

  pass(): void {}

  advance(): void {}

  part(): void {}

  reply(_attempt: Attempt, _link: Carrier, _buf: Uint8Array, _start: number, _end: number): void {
    this.heard();
    this.pings.shift()?.();
  }

  lost(): void {
    this.pings.shift()?.();
  }
}
