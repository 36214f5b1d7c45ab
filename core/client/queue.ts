// A client's replies, in the order of its commands, whichever server answers first.
//
//   link ─▶ accept, pass / reply / part / lost ─▶ out       queue: head ▸ … ▸ last
//
// Knows nothing of how a client is read, and how it ends: that is ClientLife (life.ts), which is a
// ReplyQueue, as the Client (client.ts) is a ClientLife.

import { isAstray } from "../exchange/park.ts";
import { fail, failLost, settle, settlePart } from "../exchange/outcome.ts";
import {
  BOUND,
  type Caller,
  MANAGED,
  PLAIN,
  type Request,
  type RequestPool,
  SLICED,
  SPECIAL,
  STREAMED,
  WATCHED,
} from "../exchange/request.ts";
import { recovered, redirected } from "../exchange/resend.ts";
import { unravel, unravelLost } from "../exchange/runs.ts";
import type { Socket } from "../host.ts";
import { type Carrier, HOLD, LAST, SPAN } from "../link/attempt.ts";
import type { Link, Waiter } from "../link/link.ts";
import type { PushListener } from "../link/pushes.ts";
import type { Codec, Keys, Quiet, Scan, Session } from "../protocol/codec.ts";
import { ALOUD } from "../protocol/session.ts";
import { redirectsOf } from "../route/former.ts";
import type { Redirects } from "../route/route.ts";
import type { Standing } from "../server/replicas.ts";
import type { Target } from "../server/server.ts";
import { OutBuffer } from "../wire/out_buffer.ts";
import type { ClientContext } from "./context.ts";
import { TAKEN } from "./modes/taken.ts";

/** The first byte of an error that a route may want to see (RESP). */
const MINUS = 45;

/** Whether a reply, or a part of it, is there and has not gone to the client, or not all of it. */
function hasCome({ ready, kind, chunk, parts }: Request): boolean {
  return ready || kind === STREAMED || chunk !== null ||
    parts.some((part) => part.ready || part.chunk !== null);
}

export abstract class ReplyQueue implements Caller, PushListener {
  readonly context: ClientContext;
  readonly session: Session;
  /** Unique in the pool; chooses among a server's links. */
  readonly id: number;
  /** Which of a server's links it uses: see pool/lanes.ts. */
  lane: number;
  /** How often its links were replaced by others. */
  renewals: number;
  /** Of the dialect it speaks; the pool's until its first byte has come. */
  codec: Codec;
  readonly out: OutBuffer;
  /** Requests whose replies are still to come, in order. */
  head: Request | null;
  protected last: Request | null;
  protected queued: number;
  /** Requests that have come into the queue, ever: only counted where a route asks. */
  sent: number;
  /** What it has read and written where, by shard; null where replicas are not read from. */
  standings: (Standing | undefined)[] | null;
  /** Requests ever put into its queue one by one (not those on the short way). */
  pushes: number;
  /** See exchange/near_cache.ts. */
  nearWrote: number;
  nearRead: number;
  nearBlind: number;
  /** Bytes of replies that are held until their turn comes. */
  held: number;
  protected readonly requests: RequestPool;
  protected readonly socket: Socket;
  /** Nothing is answered to the command that is carried out now: see modes/silent.ts. */
  hushed: boolean;
  /** It is to be flushed at the end of the turn. */
  protected dirty: boolean;
  /** The link that does not read because of this client. */
  protected holdsUp: Carrier | null;

  constructor(context: ClientContext, socket: Socket, id: number) {
    this.context = context;
    this.session = context.codec.newSession(id, socket.remote, context.host.wallClock());
    // Only where somebody may ask: every client would keep one.
    if (context.config.cluster?.act_as_node) {
      this.session.localHost = () => socket.localHost?.() ?? "";
    }
    this.id = id;
    this.lane = context.enterLane(this.session, context.codec);
    this.renewals = 0;
    this.codec = context.codec;
    this.out = new OutBuffer(context.buffers);
    this.head = null;
    this.last = null;
    this.queued = 0;
    this.sent = 0;
    this.standings = null;
    this.pushes = 0;
    this.nearWrote = 0;
    this.nearRead = 0;
    this.nearBlind = 0;
    this.held = 0;
    this.requests = context.requests;
    this.socket = socket;
    this.hushed = false;
    this.dirty = false;
    this.holdsUp = null;
  }

  abstract get isClosed(): boolean;
  abstract get isBound(): boolean;
  abstract cutOff(why: string): void;
  abstract heldReply(
    request: Request,
    redirects: Redirects,
    link: Carrier,
    buf: Uint8Array,
    start: number,
    end: number,
  ): boolean;
  abstract heldLoss(
    request: Request,
    redirects: Redirects,
    link: Carrier,
    text: string,
    unsent: boolean,
  ): boolean;
  abstract get isFinishing(): boolean;
  abstract waitForLink(link: Link): void;
  abstract waitsForLink(waiter: Waiter): boolean;
  abstract stopForWork(): void;
  abstract workDone(): void;
  /** End of turn. */
  abstract flush(): void;

  get remote(): string {
    return this.session.remote;
  }

  forward(target: Target, scan: Scan, buf: Uint8Array, at: number, length: number): void {
    const request = this.requestOf(scan, buf, at);
    if (!target.available) {
      if (target.parking === null) return fail(request, target.reason);
      return target.parking.parkSpan(request, buf, at, at + length);
    }
    const link = target.linkFor(this);
    link.send(request, buf, at, at + length);
    if (link.congested) this.waitForLink(link);
  }

  /** Sends one whole request over `link`, which is the client's own. */
  sendOver(link: Link, scan: Scan, buf: Uint8Array, at: number, length: number): Request {
    const request = this.hang(scan, buf, at);
    link.send(request, buf, at, at + length);
    if (link.congested) this.waitForLink(link);
    return request;
  }

  hang(scan: Scan, buf: Uint8Array, at: number): Request {
    const request = this.requestOf(scan, buf, at);
    if (this.context.route.redirects !== null) request.resent = BOUND;
    return request;
  }

  /** The request that was just parsed, at the end of the queue. */
  private requestOf(scan: Scan, buf: Uint8Array, at: number): Request {
    const { requests, slow, route } = this.context;
    const request = requests.take(this);
    request.mute = scan.mute;
    request.tagHigh = scan.tagHigh;
    request.tagLow = scan.tagLow;
    request.verb = scan.verb;
    if (scan.mute !== 0) request.kind = SPECIAL;
    if (route.redirects !== null) {
      request.kind = request.kind === PLAIN ? MANAGED : WATCHED;
      request.place = route.place;
    }
    if (slow.on) slow.noteFirst(request, this.codec, scan, buf, at);
    this.push(request);
    return request;
  }

  push(request: Request): void {
    if (this.head === null) this.head = request;
    else (this.last as Request).next = request;
    this.last = request;
    this.queued++;
    this.sent++;
    this.pushes++;
  }

  get answered(): number {
    return this.sent - this.queued;
  }

  get gone(): number {
    return this.pushes - this.queued;
  }

  answer(bytes: Uint8Array): void {
    if (bytes.length === 0 || (this.hushed && this.session.silence !== ALOUD)) return;
    if (this.head === null) {
      this.out.append(bytes, 0, bytes.length);
      return this.touch();
    }
    const request = this.context.requests.take(this);
    request.held = bytes;
    request.heldEnd = bytes.length;
    request.ready = true;
    this.push(request);
  }

  /** What a server tells the client unasked: it goes behind the replies that came before it. */
  pushed(buf: Uint8Array, start: number, end: number): void {
    if (this.isClosed) return;
    let behind: Request | null = null;
    let waiting = end - start;
    for (let request = this.head; request !== null; request = request.next) {
      if (!hasCome(request)) continue;
      behind = request;
      if (request.chunk === null) waiting += request.heldEnd - request.heldStart;
    }
    if (behind === null) {
      this.out.append(buf, start, end);
      return this.touch();
    }
    if (waiting > this.context.limits.clientOutput) {
      return this.cutOff(`waits for one reply while ${waiting} bytes of invalidations are held`);
    }
    const request = this.requests.take(this);
    request.held = buf.slice(start, end);
    request.heldEnd = request.held.length;
    request.ready = true;
    request.next = behind.next;
    behind.next = request;
    if (this.last === behind) this.last = request;
    this.queued++;
    this.sent++;
  }

  /** What it was told unasked may not be all. */
  pushesLost(): void {
    const { caching } = this.codec;
    if (!this.session.ownLinks || caching === null) return;
    this.pushed(caching.forgetAll, 0, caching.forgetAll.length);
  }

  /** As `answer`, for modes. */
  replied(bytes: Uint8Array): number {
    this.answer(bytes);
    return TAKEN;
  }

  accept(request: Request, first: number): number {
    if (this.head !== request) return HOLD;
    if (request.kind !== PLAIN && !this.isPlainAfterAll(request, first)) return HOLD;
    const follower = request.next;
    this.head = follower;
    this.queued--;
    this.requests.givePlain(request);
    return follower !== null && follower.ready ? LAST : SPAN;
  }

  private isPlainAfterAll({ kind }: Request, first: number): boolean {
    return kind === STREAMED || (kind === MANAGED && first !== MINUS);
  }

  pass(buf: Uint8Array, start: number, end: number): void {
    this.out.pass(this.socket, buf, start, end);
    this.touch();
  }

  reply(request: Request, link: Carrier, buf: Uint8Array, start: number, end: number): void {
    const { kind, run } = request;
    if (kind === MANAGED || kind === WATCHED || run !== null) {
      const redirects = redirectsOf(link, this.context.route.redirects);
      if (run !== null && unravel(request, redirects, link, buf, start, end)) return;
      if (redirects !== null && redirected(request, redirects, link, buf, start, end)) return;
    }
    if (request.hot >= 0) {
      this.context.hot.replied(request.hot, request.heldEnd - request.heldStart + end - start);
    }
    settle(request, link, buf, start, end);
  }

  part(
    request: Request,
    link: Carrier,
    buf: Uint8Array,
    start: number,
    end: number,
    left: number,
  ): void {
    settlePart(request, link, buf, start, end, left);
  }

  lost(request: Request, link: Carrier, text: string, unsent: boolean): void {
    // A client that has had a part of its reply cannot be told: only closing is honest.
    if (request.kind === STREAMED && !this.isClosed) this.cutOff("lost reply");
    const redirects = redirectsOf(link, this.context.route.redirects);
    if (redirects === null) return fail(request, text);
    if (request.run !== null && unravelLost(request, redirects, link, text, unsent)) return;
    if (!recovered(request, redirects, link, text, unsent)) failLost(request, text, unsent);
  }

  isAstray(place: number, whole: unknown, way: number): boolean {
    return isAstray(this.head, place, whole, way);
  }

  shift(request: Request): void {
    this.head = request.next;
    this.queued--;
    this.context.requests.give(request);
  }

  /** Gives the client every reply that is ready at the head of its queue. */
  advance(): void {
    let request = this.head;
    while (request !== null && request.ready) {
      if (request.parts.length === 0) {
        this.out.append(request.held, request.heldStart, request.heldEnd);
      } else if (request.mute === 0 || !this.isMuted(request)) {
        if (request.kind === SLICED) (this.codec.keys as Keys).joinSlices(request, this.out);
        else this.codec.join(request, this.out);
      }
      this.shift(request);
      request = this.head;
    }
    this.touch();
  }

  /** Whether no part of a muted request's reply is to be seen. */
  private isMuted(request: Request): boolean {
    const { codec } = this;
    const quiet = codec.quiet as Quiet;
    return request.parts.every(({ failure, held, heldStart }) =>
      failure === ""
        ? quiet.muted(request.mute, held, heldStart)
        : quiet.muted(request.mute, codec.failure(failure, request), 0)
    );
  }

  /** A reply has gone to the client in part. */
  get isAmidReply(): boolean {
    return this.head !== null && this.head.kind === STREAMED;
  }

  touch(): void {
    if (this.dirty) return;
    this.dirty = true;
    this.context.turn.markClient(this);
  }

  waitToRead(link: Carrier): void {
    if (this.holdsUp === link) return;
    // A link it had stopped before has no more to do with it: its reply is complete.
    this.letGo();
    if (link.waitFor(this)) this.holdsUp = link;
  }

  protected letGo(): void {
    const link = this.holdsUp;
    this.holdsUp = null;
    link?.unblock(this);
  }
}
