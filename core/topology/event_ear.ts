// Hears what one Sentinel publishes, over a link of its own that is opened again when it is lost.

import type { Address, Socket, SocketHandler } from "../host.ts";
import { Backoff } from "../link/backoff.ts";
import { CLOSED, Link, READY } from "../link/link.ts";
import {
  type LinkCounters,
  type LinkOwner,
  type Listener,
  newLinkCounters,
} from "../link/owner.ts";
import { HEARING, type SentinelEvent, type Sentinels } from "../protocol/sentinels.ts";
import type { AskerContext } from "./asker.ts";

/** Longest pause (ms) before a lost connection is tried again. */
const LONGEST_PAUSE = 2000;
/** Silence (ms) after which it is asked whether it is there, and how long it may think. */
const SILENCE = 5000;
const PATIENCE = 2000;

export class EventEar implements LinkOwner, Listener {
  readonly label: string;
  readonly fields: Readonly<Record<string, string>>;
  readonly counters: LinkCounters;
  readonly judges: boolean;
  readonly keeps: boolean;
  readonly listener: Listener;
  /** It has answered that we are subscribed. */
  hears: boolean;
  private readonly context: AskerContext;
  private readonly words: Sentinels;
  private readonly address: Address;
  private readonly tell: (event: SentinelEvent) => void;
  private readonly link: Link;
  private readonly backoff: Backoff;
  private retryAt: number;
  private heardAt: number;
  private pinged: boolean;

  constructor(
    context: AskerContext,
    words: Sentinels,
    address: Address,
    tell: (event: SentinelEvent) => void,
  ) {
    this.label = `pool "${context.name}": Sentinel ${address.host}:${address.port}`;
    this.fields = { pool: context.name };
    this.counters = newLinkCounters();
    this.judges = false;
    this.keeps = false;
    this.listener = this;
    this.hears = false;
    this.context = context;
    this.words = words;
    this.address = address;
    this.tell = tell;
    this.link = new Link(context, this, context.lane);
    this.backoff = new Backoff((n) => context.host.random(n));
    this.retryAt = 0;
    this.heardAt = 0;
    this.pinged = false;
  }

  open(handler: SocketHandler): Socket {
    return this.context.host.connect(this.address, handler, this.context.tls);
  }

  connecting(): void {}

  answered(): void {}

  replied(): void {}

  refused(): void {}

  broken(): void {}

  ready(): void {
    this.link.say(this.words.subscribe);
  }

  frame(buf: Uint8Array, start: number, end: number): void {
    this.heardAt = this.context.host.now();
    this.pinged = false;
    const event = this.words.readEvent(buf.slice(start, end));
    if (event === null) return this.link.abort("EINVAL");
    if (event.what !== HEARING) return this.tell(event);
    if (this.hears || event.word === "") return;
    this.hears = true;
    this.backoff.reset();
    this.tell(event);
  }

  closed(): void {
    this.hears = false;
    this.pinged = false;
    this.retryAt = this.context.host.now() + this.backoff.next(LONGEST_PAUSE);
  }

  /** Called every tick. */
  tick(now: number, late: number): void {
    const { link } = this;
    if (link.state === CLOSED) {
      if (now < this.retryAt) return;
      this.heardAt = now;
      return link.connect();
    }
    this.heardAt += late;
    if (late > 0) return;
    const quiet = now - this.heardAt;
    if (link.state !== READY || !this.hears) {
      if (quiet > PATIENCE) link.abort("ETIMEDOUT");
    } else if (this.pinged) {
      if (quiet > SILENCE + PATIENCE) link.abort("ETIMEDOUT");
    } else if (quiet > SILENCE) {
      this.pinged = true;
      link.say(this.words.ping);
    }
  }

  stop(): void {
    this.link.dispose();
  }
}
