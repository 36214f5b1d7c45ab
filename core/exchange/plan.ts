// A request that is more than one attempt at one server: what a branch of a route makes of a key is a
// plan, and whoever carries it out sends attempts to servers (or to plans again) and judges their
// replies.
//
//   client's queue: Request ◀─ Want ◀─ Run (failover, all) ◀─ Errand ─▶ link   (and ─▶ link, ...)
//
// A route gives a plan as an Unavailable with a `parking`: see server/server.ts. So the data path of
// plain pools knows nothing of it.

import { EMPTY } from "../bytes.ts";
import { type Attempt, type Carrier, HOLD, type Sink } from "../link/attempt.ts";
import { reads } from "../protocol/intents.ts";
import type { Verdicts } from "../protocol/verdicts.ts";
import { type Parking, type Target, Unavailable } from "../server/server.ts";
import { type BufferPool, OutBuffer } from "../wire/out_buffer.ts";
import { ReplyStore } from "../wire/reply_store.ts";
import { fail, settle, settlePart } from "./outcome.ts";
import { type Caller, type Request, STREAMED } from "./request.ts";

/** A reply with more than this still to come may go to its client as it comes. */
const STREAM = 16384;

/** What is counted: see stats/counters.ts. */
export interface TreeCounters {
  route_failovers: number;
  route_failovers_refused: number;
  deletes_queued: number;
  deletes_retried: number;
  deletes_dropped: number;
  mirrored: number;
  mirror_dropped: number;
}

/** What the branches of a front share. */
export interface Tree {
  readonly buffers: BufferPool;
  readonly counters: TreeCounters;
  /** Coarse monotonic time (ms). */
  readonly now: number;
  /** Carries replies that no link brings. */
  readonly paper: Paper;
  /** Bytes of requests that are kept so that they can be sent again. */
  kept: number;
  /** A delete has failed at a server: it is tried again, if there is room. */
  retry(target: Target, want: Want, buf: Uint8Array, start: number, end: number): void;
}

/** Hears what has become of child `index`. */
export interface Judge {
  reply(index: number, link: Carrier, buf: Uint8Array, start: number, end: number): void;
  /** There will be no reply. `unsent`: it was surely not carried out. */
  lost(index: number, text: string, unsent: boolean): void;
  /** The request whose reply this is for sure, if it is a hit; null: that is not known yet. */
  streams(index: number): Request | null;
  /** What was given on in parts, since `streams`, is complete, or lost. */
  streamed(index: number): void;
}

/** Carries out plans. */
export interface Work {
  run(
    want: Want,
    targets: readonly Target[],
    buf: Uint8Array,
    start: number,
    end: number,
    judge: Judge,
    index: number,
  ): void;
}

export class Plan implements Parking {
  /** What the route gives for it. */
  readonly target: Unavailable;
  readonly targets: readonly Target[];
  private readonly tree: Tree;
  private readonly work: Work;

  /** `reason`: why what needs one server is not possible; `main`: where it goes all the same. */
  constructor(
    tree: Tree,
    work: Work,
    targets: readonly Target[],
    reason: string,
    main: Target | null = null,
  ) {
    this.tree = tree;
    this.work = work;
    this.targets = targets;
    this.target = new Unavailable(reason, this, false, main);
  }

  run(
    want: Want,
    buf: Uint8Array,
    start: number,
    end: number,
    judge: Judge,
    index: number,
  ): void {
    this.work.run(want, this.targets, buf, start, end, judge, index);
  }

  parkSpan(attempt: Attempt, buf: Uint8Array, start: number, end: number): void {
    const want = new Want(attempt as Request, buf, start, end);
    this.run(want, buf, start, end, want, 0);
  }

  /** Never called: nothing waits for it. */
  wait(): void {}

  park(attempt: Attempt, bytes: OutBuffer, size: number): void {
    const { buffers } = this.tree;
    const buf = buffers.take(size);
    bytes.moveInto(buf);
    this.parkSpan(attempt, buf, 0, size);
    buffers.give(buf);
  }
}

/** What is wanted of a tree: one reply for one request. */
export class Want implements Judge {
  readonly request: Request;
  readonly caller: Caller;
  readonly verb: number;
  readonly intent: number;
  readonly verdicts: Verdicts;
  /** It has to stay at the first child. */
  readonly tied: boolean;

  constructor(request: Request, buf: Uint8Array, start: number, end: number) {
    const { sink, verb } = request;
    this.request = request;
    this.caller = sink;
    this.verb = verb;
    this.intent = sink.codec.intents[verb + 1];
    this.verdicts = sink.codec.verdicts;
    this.tied = this.verdicts.isTied(verb, buf, start, end);
  }

  get reads(): boolean {
    return reads(this.intent);
  }

  verdict(buf: Uint8Array, start: number, end: number): number {
    return this.verdicts.verdict(this.verb, buf, start, end);
  }

  reply(_index: number, link: Carrier, buf: Uint8Array, start: number, end: number): void {
    settle(this.request, link, buf, start, end);
  }

  lost(_index: number, text: string): void {
    fail(this.request, text);
  }

  streams(): Request | null {
    return this.request;
  }

  streamed(): void {}
}

/** Sends `buf[start, end)` where it is to go; `judge` hears what becomes of it. */
export function send(
  target: Target,
  want: Want,
  buf: Uint8Array,
  start: number,
  end: number,
  judge: Judge,
  index: number,
): void {
  const { caller } = want;
  if (caller.isClosed) return judge.lost(index, "", true);
  if (!target.available) {
    const { parking, reason } = target;
    if (parking instanceof Plan) return parking.run(want, buf, start, end, judge, index);
    return judge.lost(index, reason, true);
  }
  const link = target.linkFor(caller);
  link.send(new Errand(want, judge, index), buf, start, end);
  if (link.congested) caller.waitForLink(link);
}

/** One attempt at one server. */
class Errand implements Attempt, Sink {
  readonly sink: Sink;
  nextInFlight: Attempt | null;
  sentAt: number;
  bytes: number;
  verb: number;
  note: Uint8Array;
  noted: number;
  mute: number;
  readonly run: null;
  private readonly want: Want;
  private readonly judge: Judge;
  private readonly index: number;
  /** What has come of a reply that goes on; null while nothing has. */
  private gathered: OutBuffer | null;
  /** The request that its reply is given to as it comes. */
  private into: Request | null;

  constructor(want: Want, judge: Judge, index: number) {
    this.sink = this;
    this.nextInFlight = null;
    this.sentAt = 0;
    this.bytes = 0;
    this.verb = want.verb;
    // The request may be another one's when a late reply is logged.
    const { note, noted } = want.request;
    this.note = noted > 0 ? note.slice(0, noted) : EMPTY;
    this.noted = noted;
    this.mute = 0;
    this.run = null;
    this.want = want;
    this.judge = judge;
    this.index = index;
    this.gathered = null;
    this.into = null;
  }

  get remote(): string {
    return this.want.caller.remote;
  }

  accept(): number {
    return HOLD;
  }

  pass(): void {}

  advance(): void {}

  reply(_: Attempt, link: Carrier, buf: Uint8Array, start: number, end: number): void {
    const { judge, index, into, gathered } = this;
    if (into !== null) {
      this.into = null;
      settle(into, link, buf, start, end);
      return judge.streamed(index);
    }
    if (gathered === null) return judge.reply(index, link, buf, start, end);
    gathered.append(buf, start, end);
    this.gathered = null;
    const { buffers } = this.want.caller.context;
    const { size } = gathered;
    const whole = buffers.take(size);
    gathered.moveInto(whole);
    judge.reply(index, link, whole, 0, size);
    buffers.give(whole);
  }

  part(
    _: Attempt,
    link: Carrier,
    buf: Uint8Array,
    start: number,
    end: number,
    left: number,
  ): void {
    const { caller } = this.want;
    if (this.into === null && this.gathered === null && left > STREAM) {
      this.into = this.judge.streams(this.index);
    }
    if (this.into !== null) return settlePart(this.into, link, buf, start, end, left);
    if (caller.isClosed) return this.forget();
    this.gathered ??= new OutBuffer(caller.context.buffers);
    this.gathered.append(buf, start, end);
    const most = caller.context.limits.clientOutput;
    if (this.gathered.size > most) {
      caller.cutOff(`one of the replies to its request has more than ${most} bytes`);
    }
  }

  private forget(): void {
    this.gathered?.clear();
    this.gathered ??= new OutBuffer(this.want.caller.context.buffers);
  }

  lost(_: Attempt, _link: Carrier, text: string, unsent: boolean): void {
    const { judge, index, into } = this;
    this.gathered?.clear();
    this.gathered = null;
    if (into === null) return judge.lost(index, text, unsent);
    this.into = null;
    // A client that has had a part of its reply cannot be told: only closing is honest.
    if (into.kind === STREAMED && !into.sink.isClosed) into.sink.cutOff("lost reply");
    fail(into, text);
    judge.streamed(index);
  }
}

/** A carrier of replies that were kept, or that are the proxy's own. */
export class Paper implements Carrier {
  readonly owner: null;
  readonly retired: boolean;
  readonly store: ReplyStore;

  constructor(buffers: BufferPool) {
    this.owner = null;
    this.retired = false;
    this.store = new ReplyStore(buffers);
  }

  waitFor(): boolean {
    return false;
  }

  unblock(): void {}

  sent(): boolean {
    return false;
  }

  discard(): void {}
}

/** What a child has said, while others are waited for. */
export interface Said {
  readonly verdict: number;
  /** The reply; empty if there is none. */
  readonly bytes: Uint8Array;
  readonly text: string;
  readonly unsent: boolean;
}

export const SILENCE: Said = { verdict: -1, bytes: EMPTY, text: "", unsent: false };

/** Gives on what was kept of a child. */
export function tell(judge: Judge, index: number, paper: Paper, said: Said): void {
  const { bytes, text, unsent } = said;
  if (bytes.length === 0) judge.lost(index, text, unsent);
  else judge.reply(index, paper, bytes, 0, bytes.length);
}
