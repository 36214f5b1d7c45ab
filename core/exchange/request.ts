// One awaited reply: a place in its client's queue and a place in a link's in-flight queue. Also a
// request that was split (the parent, in the client's queue only) and each of its fragments (in an
// in-flight queue only). One class for all, so that objects keep one shape.

import { EMPTY } from "../bytes.ts";
import type { Attempt, Carrier, Run, Sink } from "../link/attempt.ts";
import type { Host } from "../host.ts";
import type { Link, Waiter } from "../link/link.ts";
import type { SlowLog } from "../link/slow_log.ts";
import type { Codec, FanOut, Part, Scan, Session } from "../protocol/codec.ts";
import type { Asker, Redirects, Route } from "../route/route.ts";
import type { Origin, Server, Target } from "../server/server.ts";
import type { ScriptShelf } from "./scripts.ts";
import type { BufferPool, OutBuffer } from "../wire/out_buffer.ts";
import type { ReplyChunk } from "../wire/reply_store.ts";

/** What the exchanges of a pool share. */
export interface ExchangeContext {
  readonly route: Route;
  readonly requests: RequestPool;
  readonly slow: SlowLog;
  /** The dialect that every client starts with. */
  readonly codec: Codec;
  /** The lane that every client starts with. */
  readonly lane: number;
  /** The lane of links that say nothing to the server but who we are. */
  readonly bareLane: number;
  /** All of the pool, those that are ejected among them. */
  readonly servers: readonly Server[];
  readonly limits: { readonly clientOutput: number };
  readonly counters: { forward_error: number; fragments: number };
  readonly host: Pick<Host, "endOfTurn">;
  readonly buffers: BufferPool;
  readonly turn: { enter(): void; leave(): void };
  /** Scripts for servers that do not have them; null where servers do not change. */
  readonly scripts: ScriptShelf | null;
}

/** The client an exchange works for, as far as it has to know it. */
export interface Caller extends Sink, Origin, Asker {
  readonly context: ExchangeContext;
  readonly session: Session;
  readonly codec: Codec;
  readonly isClosed: boolean;
  /** No more of its requests are taken. */
  readonly isFinishing: boolean;
  /** How often its links were replaced by others, which do not keep the order with those. */
  readonly renewals: number;
  /** Its oldest request; their replies go out in their order. */
  readonly head: Request | null;
  readonly out: OutBuffer;
  /** Bytes of replies that are held until their turn comes. */
  held: number;
  /** Puts a request at the end of its queue. */
  push(request: Request): void;
  /** Takes the head off its queue, the reply being in `out`. */
  shift(request: Request): void;
  /** There is something to write, or to look after, at the end of the turn. */
  touch(): void;
  /** Answers the request that was just parsed, in its place. */
  answer(bytes: Uint8Array): void;
  /** Sends one whole request to a server. */
  forward(target: Target, scan: Scan, buf: Uint8Array, at: number, length: number): void;
  /** No more is to be read until `link` has written some. */
  waitForLink(link: Link): void;
  /** Whether it waits for a link; if so, `waiter` is told with it. */
  waitsForLink(waiter: Waiter): boolean;
  /** No more is to be read until `workDone`: one of its requests is carried out bit by bit. */
  stopForWork(): void;
  workDone(): void;
  /** `link`'s large reply comes faster than the client reads it: see Link.waitFor. */
  waitToRead(link: Carrier): void;
  /** Closes it at once; `why` is logged. */
  cutOff(why: string): void;
  /**
   * A reply to a request that went over the client's own link; true when that is seen to. False: it
   * is its answer, or the request may go elsewhere by itself if its `resent` is 0 now.
   */
  heldReply(
    request: Request,
    redirects: Redirects,
    link: Carrier,
    buf: Uint8Array,
    start: number,
    end: number,
  ): boolean;
  /** As `heldReply`: there will be none. */
  heldLoss(
    request: Request,
    redirects: Redirects,
    link: Carrier,
    text: string,
    unsent: boolean,
  ): boolean;
}

// What may be done with its reply (`kind`).
/** Goes straight from the server's bytes to the client's, if it is the client's next. */
export const PLAIN = 0;
/** Plain, and a part of its reply has gone to the client already. */
export const STREAMED = 1;
/** Plain, unless the server answers with an error: the route wants to see that (resend.ts). */
export const MANAGED = 2;
/** Something about it is special: muted, partly held, or a fragment. */
export const SPECIAL = 3;
/** Special, and managed. */
export const WATCHED = 4;
/** A parent whose parts are parents themselves: see slices.ts. */
export const SLICED = 5;

/**
 * `resent` (that, or more) of what goes over a link of the client's own: it cannot go elsewhere by
 * itself (see client/modes/moving.ts).
 */
export const BOUND = 1000;

const NO_PLACES = new Uint16Array(0);

/** Wants to know when a request is over. */
export interface Over {
  done(): void;
}

export class Request implements Attempt, FanOut, Part {
  /** Whose it is. */
  sink: Caller;
  /** Next in the client's queue. */
  next: Request | null;
  nextInFlight: Attempt | null;
  kind: number;
  /** The whole reply is there (or there will be none): it may go to the client when its turn comes. */
  ready: boolean;
  sentAt: number;
  bytes: number;
  mute: number;
  /** See `Origin`; set by whoever takes the request. */
  tagHigh: number;
  tagLow: number;
  /** A reply that had to wait: `held[heldStart, heldEnd)`. */
  held: Uint8Array;
  heldStart: number;
  heldEnd: number;
  /** What `held` is borrowed from; null when it is nobody's (constants, local answers). */
  chunk: ReplyChunk | null;
  /** strerror text when the reply was lost; "" otherwise. */
  failure: string;
  /** Fragments only. */
  parent: Request | null;
  /** Codec's own number of the command. */
  verb: number;
  /** How often it was sent again: see resend.ts. */
  resent: number;
  /** Which way it was sent again, if it was: see route/ways.ts. */
  way: number;
  /** How often it was sent again though a server may have seen to it: after a loss, a lost script. */
  repeated: number;
  /** Of managed routes: where its key is; -1 for none. Since when (ms) it waits; -1 if it does not. */
  place: number;
  parkedAt: number;
  /** The slow log's: note[0, noted) is the beginning of the key. */
  note: Uint8Array;
  noted: number;
  /** What HotKeys is to be told when its reply is there; -1: nothing. */
  hot: number;
  /** What of a near cache it writes; null: nothing. */
  written: Over | null;
  /** It is several requests end to end (runs.ts); its number among its parent's parts. */
  run: Run | null;
  number: number;
  /** Parents only, from here on. */
  parts: Request[];
  awaiting: number;
  nkeys: number;
  /** SPLIT: first the place of each key, then the number of its part. See FanOut. */
  picks: Uint16Array;

  constructor(sink: Caller) {
    this.sink = sink;
    this.next = null;
    this.nextInFlight = null;
    this.kind = PLAIN;
    this.ready = false;
    this.sentAt = 0;
    this.bytes = 0;
    this.mute = 0;
    this.tagHigh = 0;
    this.tagLow = 0;
    this.held = EMPTY;
    this.heldStart = 0;
    this.heldEnd = 0;
    this.chunk = null;
    this.failure = "";
    this.parent = null;
    this.verb = 0;
    this.resent = 0;
    this.way = 0;
    this.repeated = 0;
    this.place = -1;
    this.parkedAt = -1;
    this.note = EMPTY;
    this.noted = 0;
    this.hot = -1;
    this.written = null;
    this.run = null;
    this.number = 0;
    this.parts = NO_PARTS;
    this.awaiting = 0;
    this.nkeys = 0;
    this.picks = NO_PLACES;
  }

  /** Whose it is, as a route sees it. */
  get by(): Caller {
    return this.sink;
  }

  /** What stands for it in its client's queue. */
  get whole(): Request {
    return this.parent === null ? this : this.parent.whole;
  }

  /** What an error says about servers is theirs: no client can make one say it. */
  get isJudged(): boolean {
    return this.sink.codec.judged[this.verb + 1] === 1;
  }

  /** What it is to do: see protocol/intents.ts. */
  get intent(): number {
    return this.sink.codec.intents[this.verb + 1];
  }

  /** Lets go of a reply that was held. */
  release(): void {
    if (this.chunk !== null) {
      this.sink.held -= this.heldEnd - this.heldStart;
      this.chunk.drop();
      this.chunk = null;
    }
    this.held = EMPTY;
    this.heldStart = 0;
    this.heldEnd = 0;
  }
}

const NO_PARTS: Request[] = [];

/** How many free ones are kept. */
const MOST = 16384;
const MOST_PARENTS = 256;

/** Free requests, reused; parents apart, since they bring their arrays along. */
export class RequestPool {
  private readonly singles: Request[];
  private readonly parents: Request[];

  constructor() {
    this.singles = [];
    this.parents = [];
  }

  take(sink: Caller): Request {
    const request = this.singles.pop();
    if (request === undefined) return new Request(sink);
    request.sink = sink;
    return request;
  }

  /** A parent with room for `nkeys` picks and no parts. */
  takeParent(sink: Caller, nkeys: number): Request {
    const request = this.parents.pop() ?? new Request(sink);
    request.sink = sink;
    if (request.parts === NO_PARTS) request.parts = [];
    if (request.picks.length < nkeys) request.picks = new Uint16Array(Math.max(16, nkeys));
    request.nkeys = nkeys;
    request.kind = SPECIAL;
    return request;
  }

  /** Takes back a request whose reply went straight through: nothing else of it was touched. */
  givePlain(request: Request): void {
    request.next = null;
    request.nextInFlight = null;
    if (request.kind !== PLAIN) {
      request.kind = PLAIN;
      this.reset(request);
    }
    if (this.singles.length < MOST) this.singles.push(request);
  }

  /** What only a request that is not plain may have. */
  private reset(request: Request): void {
    request.resent = 0;
    request.repeated = 0;
    request.place = -1;
    request.parkedAt = -1;
    request.hot = -1;
    const { written } = request;
    if (written === null) return;
    request.written = null;
    written.done();
  }

  /** Takes back any request, a parent with its fragments. */
  give(request: Request): void {
    request.next = null;
    request.nextInFlight = null;
    request.kind = PLAIN;
    request.ready = false;
    request.mute = 0;
    request.release();
    request.failure = "";
    request.parent = null;
    request.run = null;
    this.reset(request);
    if (request.parts === NO_PARTS) {
      if (this.singles.length < MOST) this.singles.push(request);
      return;
    }
    for (const part of request.parts) this.give(part);
    request.parts.length = 0;
    if (this.parents.length < MOST_PARENTS && request.picks.length <= 4096) {
      this.parents.push(request);
    }
  }
}
