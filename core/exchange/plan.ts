// A request that is more than one attempt at one server: what a branch of a route makes of a key is a
// plan, and whoever carries it out sends attempts to servers (or to plans again) and judges their
// replies.
//
//   client's queue: Request ◀─ Want ◀─ Run (failover, all) ◀─ Errand ─▶ link   (and ─▶ link, ...)
//
// A route gives a plan as an Unavailable with a `parking`: see server/server.ts. So the data path of
// plain pools knows nothing of it.

import { EMPTY } from "../bytes.ts";
import type { Attempt, Carrier } from "../link/attempt.ts";
import type { Link } from "../link/link.ts";
import type { Codec, Origin as Tags, Session } from "../protocol/codec.ts";
import { reads } from "../protocol/intents.ts";
import type { Verdicts } from "../protocol/verdicts.ts";
import { type Origin, type Parking, type Target, Unavailable } from "../server/server.ts";
import type { RouteTallies } from "../stats/routes.ts";
import type { BufferPool, OutBuffer } from "../wire/out_buffer.ts";
import type { Judge, Paper } from "./judge.ts";
import { fail, settle } from "./outcome.ts";
import type { Caller, Request } from "./request.ts";

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
  readonly tallies: RouteTallies;
  /** What stands for a lane of the front's clients as long as it is theirs; undefined: nobody's. */
  laneOf(lane: number): object | undefined;
  /** A delete has failed at a server: it is tried again, if there is room. */
  retry(target: Target, want: Want, buf: Uint8Array, start: number, end: number): void;
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
  /** Of what stands for one pool: whether that is gone. Absent: it is a tree. */
  readonly isOver?: boolean;
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

  /** It stands for one pool, not for several. */
  get isOnePool(): boolean {
    return this.work.isOver !== undefined;
  }

  get isOver(): boolean {
    return this.work.isOver ?? false;
  }

  parkSpan(attempt: Attempt, buf: Uint8Array, start: number, end: number): void {
    const want = new Asked(attempt as Request, buf, start, end);
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

/** Whose request it is: a client, or nobody who waits for it (ghost.ts). */
export interface Party extends Origin {
  readonly remote: string;
  readonly codec: Codec;
  readonly session: Session;
  readonly isClosed: boolean;
  readonly context: {
    readonly buffers: BufferPool;
    readonly limits: { readonly clientOutput: number };
  };
  waitForLink(link: Link): void;
  /** No more of its requests are taken, until `workDone`: see Caller. */
  stopForWork?(): void;
  workDone?(): void;
}

/** What is wanted of a tree: one reply for one request. */
export abstract class Want implements Judge {
  readonly caller: Party;
  readonly verb: number;
  readonly intent: number;
  readonly verdicts: Verdicts;
  /** It has to stay at the first child. */
  readonly tied: boolean;
  /** What an error made for it repeats of it. */
  readonly tags: Tags;
  /** The slow log's: the beginning of its key. */
  readonly note: Uint8Array;

  constructor(caller: Party, verb: number, tied: boolean, tags: Tags, note: Uint8Array) {
    this.caller = caller;
    this.verb = verb;
    this.intent = caller.codec.intents[verb + 1];
    this.verdicts = caller.codec.verdicts;
    this.tied = tied;
    this.tags = tags;
    this.note = note;
  }

  get reads(): boolean {
    return reads(this.intent);
  }

  verdict(buf: Uint8Array, start: number, end: number): number {
    return this.verdicts.verdict(this.verb, buf, start, end);
  }

  /** Whether `n` more bytes of a reply are to be kept, behind `size` of it. */
  abstract takes(size: number, n: number): boolean;
  abstract reply(
    index: number,
    link: Carrier,
    buf: Uint8Array,
    start: number,
    end: number,
  ): void;
  abstract lost(index: number, text: string, unsent: boolean): void;
  abstract streams(index: number): Request | null;
  abstract streamed(index: number): void;
}

/** What a client's request wants. */
export class Asked extends Want {
  readonly request: Request;
  private readonly client: Caller;

  constructor(request: Request, buf: Uint8Array, start: number, end: number) {
    const { sink, verb, note, noted } = request;
    const tied = sink.codec.verdicts.isTied(verb, buf, start, end);
    // The request may be another one's when a late reply is logged.
    super(sink, verb, tied, request, noted > 0 ? note.slice(0, noted) : EMPTY);
    this.request = request;
    this.client = sink;
  }

  takes(size: number, n: number): boolean {
    const most = this.caller.context.limits.clientOutput;
    if (size + n <= most) return true;
    this.client.cutOff(`one of the replies to its request has more than ${most} bytes`);
    return false;
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
