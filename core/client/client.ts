// One client: takes its commands apart, sends each on its way, and gives it the replies in the
// order of the commands, whichever server answers first.
//
//   socket ═▶ data ─▶ process ─▶ route.pick ─▶ link            queue: head ▸ … ▸ last
//   socket ◀═ flush ◀─ out ◀─ accept, pass / reply ◀─ link      (replies go out in this order)
//
// Its phase (each step is made in one place):
//
//   | phase     | event                                                  | next                 |
//   | OPEN      | its own request ends it (CLIENT KILL)                  | DOOMED               |
//   | OPEN      | QUIT, broken protocol, FIN when all it sent is handled | FINISHING            |
//   | DOOMED    | that request is answered                               | FINISHING            |
//   | FINISHING | every reply is written                                 | LINGERING, or CLOSED after its FIN |
//   | LINGERING | its FIN, or a second has passed                        | CLOSED               |
//   | any       | the socket is lost, it is cut off                      | CLOSED               |
//
// What may be done with a command is said by its mode: see modes/mode.ts.

import { errnoText } from "../errno.ts";
import { inquire } from "../exchange/inquire.ts";
import { fail, settle, settlePart } from "../exchange/outcome.ts";
import {
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
import type { Socket, SocketHandler } from "../host.ts";
import { type Carrier, HOLD, LAST, SPAN } from "../link/attempt.ts";
import type { Link, Waiter } from "../link/link.ts";
import {
  BAD,
  type Codec,
  FORWARD,
  type Keys,
  MORE,
  type Peer,
  PIN_RESET,
  type Quiet,
  REFUSE,
  Scan,
  type Session,
} from "../protocol/codec.ts";
import { ALOUD } from "../protocol/session.ts";
import type { Target } from "../server/server.ts";
import { NO_LANE } from "../server/lanes.ts";
import { OutBuffer } from "../wire/out_buffer.ts";
import type { ClientContext } from "./context.ts";
import { carryOut } from "./dispatch.ts";
import { Input } from "./input.ts";
import { clientClosed, clientFails, protocolError } from "./journal.ts";
import { BLOCKED, type Hold, type ModeClient, TRANSACTION } from "./modes/hold.ts";
import { HOLDING } from "./modes/holding.ts";
import { LISTENING } from "./modes/listening.ts";
import { LOCKED } from "./modes/locked.ts";
import type { Mode } from "./modes/mode.ts";
import { PAUSED_CLIENT } from "./modes/paused.ts";
import { RESTRICTED, SHARED } from "./modes/shared.ts";
import { SILENT_CLIENT } from "./modes/silent.ts";
import { UPLOAD, Upload } from "./modes/upload.ts";
import { LATER, ORDINARY, TAKEN } from "./modes/taken.ts";
import { outOfPlace } from "./renewed.ts";
import type { Subscriptions } from "./subscriptions.ts";
import type { Topic } from "../exchange/topic.ts";

const OPEN = 0;
const DOOMED = 1;
const FINISHING = 2;
const LINGERING = 3;
const CLOSED = 4;

/** Why it is not read from (`Client.stops`); 0 = it is. */
/** Too many of its requests are in flight. */
const FULL = 1;
/** It does not read its replies. */
const UNREAD = 2;
/** A link that it feeds has too much to write. */
const CONGESTED = 4;
/** Every earlier request is to be answered first. */
const EMPTYING = 8;
/** Nothing any more: it goes on at the end of the turn. */
const RESUMING = 16;
/** The pool is paused (CLIENT PAUSE). */
const PAUSED = 32;
/** One of its requests is carried out bit by bit: see exchange/slices.ts. */
const WORKING = 64;

/** How it is to end when it is read to the end of what it has sent (`Client.farewell`). */
const STAYS = 0;
/** We want it to leave. */
const LEAVES = 1;
/** It has sent FIN. */
const ENDED = 2;

/** The first byte of an error that a route may want to see (RESP). */
const MINUS = 45;
/** Requests in flight of one client; at the limit its reading stops until half are answered. */
const MAX_QUEUED = 8192;
/** Unwritten replies (bytes) above which its reading stops. */
const HIGH_WATER = 1 << 20;
/** Least number of bytes taken at a time to complete an unfinished request. */
const STITCH = 512;
/** An unfinished request longer than this keeps its parser state instead of being parsed again. */
const KEEP_SCAN = 4096;
/** A carried request at least this long is handed to the link without a copy. */
const ADOPT = 16384;
/** Input (bytes) that is read, unhandled, to see whether the client leaves. */
const LISTENED = 65536;
/** How long (ms) a new client may take to send its first command when the proxy stops. */
const FRESH = 1000;
/** How long (ms) a client we are done with may take to close its side. */
const LINGER = 1000;

export class Client implements SocketHandler, ModeClient, Peer, Waiter {
  readonly context: ClientContext;
  readonly session: Session;
  /** Unique in the pool; chooses among a server's links. */
  readonly id: number;
  /** Which of a server's links it uses: see Pool.enterLane. */
  lane: number;
  /** How often its links were replaced by others. */
  renewals: number;
  /** Of the dialect it speaks; the pool's until its first byte has come. */
  codec: Codec;
  readonly out: OutBuffer;
  /** Requests whose replies are still to come, in order. */
  head: Request | null;
  private last: Request | null;
  private queued: number;
  held: number;
  /** For the log: requests and bytes taken, and why it was closed. */
  taken: number;
  received: number;
  private why: string;
  /** The link that does not read because of this client. */
  private holdsUp: Carrier | null;
  /** The link that it waits for (CONGESTED). */
  private congestedBy: Link | null;
  private phase: number;
  private stops: number;
  private farewell: number;
  private mode: Mode;
  /** Nothing is answered to the command that is carried out now: see modes/silent.ts. */
  hushed: boolean;
  /** Its hold on a link of its own; null for none. */
  hold: Hold | null;
  /** What it is subscribed to; null until it first is. */
  subscriptions: Subscriptions | null;
  /** The huge request that is passed on, until it is answered; null when there is none. */
  private upload: Upload | null;
  /** Its first byte, which tells the dialect; -1 until it has come. */
  private firstByte: number;
  /** When it last sent something, and since when it lingers (pool time). */
  private heardAt: number;
  private lingersSince: number;
  private readonly requests: RequestPool;
  private readonly socket: Socket;
  /** Its socket is read. It may be read while there are stops: what comes is then kept. */
  private listens: boolean;
  private dirty: boolean;
  private readonly input: Input;
  /** Parser state of a long unfinished request; null when the pool's shared one does. */
  private scan: Scan | null;
  /** The route's epoch when its queue was last empty: see Route.redirects. */
  private epoch: number;

  constructor(context: ClientContext, socket: Socket, id: number) {
    this.context = context;
    this.session = context.codec.newSession(id, socket.remote, context.host.wallClock());
    this.id = id;
    this.lane = context.enterLane(this.session, context.codec);
    this.renewals = 0;
    this.codec = context.codec;
    this.out = new OutBuffer(context.buffers);
    this.head = null;
    this.last = null;
    this.queued = 0;
    this.held = 0;
    this.taken = 0;
    this.received = 0;
    this.why = "";
    this.holdsUp = null;
    this.congestedBy = null;
    this.phase = OPEN;
    this.stops = 0;
    this.farewell = STAYS;
    this.mode = this.session.locked ? LOCKED : SHARED;
    this.hushed = false;
    this.hold = null;
    this.subscriptions = null;
    this.upload = null;
    this.firstByte = -1;
    this.heardAt = context.now;
    this.lingersSince = 0;
    this.requests = context.requests;
    this.socket = socket;
    this.listens = true;
    this.dirty = false;
    this.input = new Input(context.buffers);
    this.scan = null;
    this.epoch = context.route.epoch;
    if (context.pause.isOn) this.settleMode();
  }

  get remote(): string {
    return this.session.remote;
  }

  get isClosed(): boolean {
    return this.phase === CLOSED;
  }

  /** No more of its requests are taken. */
  get isFinishing(): boolean {
    return this.phase >= FINISHING;
  }

  // ---------------------------------------------------------------- input

  open(): void {}

  data(buf: Uint8Array, start: number, end: number): void {
    if (this.phase >= FINISHING) return; // after QUIT or a protocol error nothing more is read
    const { turn } = this.context;
    turn.enter();
    this.heardAt = this.context.now;
    this.received += end - start;
    if (this.upload !== null) start = this.feed(this.upload, buf, start, end);
    if (start === end) return turn.leave();
    if (this.firstByte < 0) {
      this.begin(buf[start]);
      if (this.phase >= FINISHING) return turn.leave();
    }
    if (this.stops !== 0) this.keepUnhandled(buf, start, end);
    else if (this.input.end === 0) this.take(buf, start, end);
    else this.complete(buf, start, end);
    turn.leave();
  }

  private keepUnhandled(buf: Uint8Array, start: number, end: number): void {
    this.input.keep(buf, start, end);
    if (this.input.size >= LISTENED) this.listen(false);
  }

  private listen(on: boolean): void {
    if (this.listens === on) return;
    this.listens = on;
    if (on) this.socket.resume();
    else this.socket.pause();
  }

  /** The first byte tells which of a port's dialects the client speaks. */
  private begin(byte: number): void {
    this.firstByte = byte;
    const { context } = this;
    // A TLS record; no request of either protocol begins like that.
    if (byte === 22) {
      context.handshakeFailed(this.socket.remote, "it speaks TLS, and the pool has no tls");
      this.finish();
    }
    this.codec = this.codec.dialects?.of(byte) ?? this.codec;
    if (this.codec === context.codec) return;
    context.leaveLane(this.lane);
    const lane = context.enterLane(this.session, this.codec);
    if (lane === NO_LANE) return this.cutOff("there are too many kinds of connections");
    this.lane = lane;
  }

  /** Handles what is complete and keeps the rest. */
  private take(buf: Uint8Array, start: number, end: number): void {
    const done = this.process(buf, start, end);
    if (done < end && this.phase < FINISHING) this.input.keep(buf, done, end);
  }

  /**
   * Completes the request in `input`. Only as much is copied behind it as is likely to be needed,
   * so that a long read is not copied because one request was cut by its start.
   */
  private complete(buf: Uint8Array, start: number, end: number): void {
    const { input } = this;
    let pos = start;
    while (pos < end) {
      const old = input.size;
      const want = input.expected > old ? input.expected - old : Math.max(STITCH, old);
      const to = Math.min(end, pos + want);
      input.keep(buf, pos, to);
      const carry = input.buf;
      const from = input.start;
      const used = this.process(carry, from, input.end) - from;
      if (this.phase >= FINISHING) return;
      if (this.upload !== null) {
        // All that was kept has been passed on; what follows it is of the same request.
        input.drop();
        return input.keep(buf, this.feed(this.upload, buf, to, end), end);
      }
      if (this.stops !== 0) {
        if (input.buf === carry) input.start += used;
        return input.keep(buf, to, end);
      }
      if (used >= old) {
        input.drop();
        return this.take(buf, pos + used - old, end);
      }
      input.start += used;
      pos = to;
    }
  }

  /** Handles the complete requests in `buf[start, end)`; returns where the first unfinished begins. */
  private process(buf: Uint8Array, start: number, end: number): number {
    const { context, codec } = this;
    const { route, requests } = context;
    const scan = this.scan ?? context.scan;
    const slow = context.slow.on ? context.slow : null;
    const managed = route.redirects !== null;
    // Consecutive commands for one link are copied as one span.
    let spanLink: Link | null = null;
    let spanStart = 0;
    let pos = start;
    while (pos < end) {
      let result = codec.parseRequest(scan, buf, pos, end);
      const direct = this.mode === SHARED;
      if (!direct && result !== BAD && this.isTooMuch(scan, buf, pos, end)) result = BAD;
      if (result <= MORE) {
        if (result === BAD) {
          if (spanLink !== null) spanLink.out.append(buf, spanStart, pos);
          this.reject(scan.error);
          return end;
        }
        break;
      }
      this.taken++;
      if (direct && scan.action === FORWARD && scan.scratch === null) {
        const intent = managed ? codec.classes[scan.verb + 1] : 0;
        const server = route.pick(buf, pos + scan.keyStart, pos + scan.keyEnd, intent);
        if (managed && this.mustEmpty()) {
          if (spanLink !== null) spanLink.out.append(buf, spanStart, pos);
          spanLink = null;
          this.taken--;
          this.emptyFirst();
          break;
        }
        if (server.available) {
          const link = server.linkFor(this);
          if (link !== spanLink) {
            if (spanLink !== null) spanLink.out.append(buf, spanStart, pos);
            spanLink = link;
            spanStart = pos;
          }
          const request = requests.take(this);
          if (managed) request.kind = MANAGED;
          request.tagHigh = scan.tagHigh;
          request.tagLow = scan.tagLow;
          request.verb = scan.verb;
          if (slow !== null) slow.note(request, buf, pos + scan.keyStart, pos + scan.keyEnd);
          link.enqueue(request, scan.length);
          if (this.head === null) this.head = request;
          else (this.last as Request).next = request;
          this.last = request;
          pos += scan.length;
          if (++this.queued < MAX_QUEUED && !link.congested) continue;
          this.stopFor(link);
          break;
        }
      }
      if (spanLink !== null) {
        spanLink.out.append(buf, spanStart, pos);
        spanLink = null;
      }
      if (scan.action === REFUSE && !this.session.locked && this.asks(scan, buf, pos)) break;
      this.guard(scan, buf, pos);
      const at = pos;
      pos += scan.length;
      const taken = scan.scratch === null
        ? this.special(scan, buf, at, scan.length)
        : this.special(scan, scan.scratch, 0, scan.scratchLength);
      if (!taken) {
        // Its turn comes when the earlier ones are answered.
        this.taken--;
        this.emptyFirst();
        pos = at;
        break;
      }
      if (this.phase >= FINISHING) return end;
      if (this.queued >= MAX_QUEUED) this.stop(FULL);
      if (this.stops !== 0) break;
    }
    if (spanLink !== null) this.sendSpan(spanLink, buf, spanStart, pos);
    if (pos < end && this.stops === 0) {
      if (scan.length > UPLOAD && this.startUpload(scan, buf, pos, end)) return end;
      this.remember(scan, end - pos);
    } else if (this.scan !== null) {
      this.scan = null;
    }
    return pos;
  }

  /** The place that the route gave last is newer than what is in flight: see Route. */
  private mustEmpty(): boolean {
    const { route } = this.context;
    if (this.head === null) {
      this.epoch = route.epoch;
      return false;
    }
    return route.picked > this.epoch;
  }

  /** As `mustEmpty`, of any place: a request may have several. */
  private isBehind(): boolean {
    const { route } = this.context;
    if (this.head === null) this.epoch = route.epoch;
    return route.epoch > this.epoch;
  }

  /** The last span of a read. A long kept request is handed over as it is, without a copy. */
  private sendSpan(to: Link, buf: Uint8Array, start: number, end: number): void {
    const { input } = this;
    if (end - start < ADOPT) return to.out.append(buf, start, end);
    if (buf !== input.buf || end !== input.end) return to.pass(buf, start, end);
    to.out.adopt(buf, start, end);
    input.lose();
  }

  /**
   * Everything but the plain case: `buf[at, at + length)` is the request as the server is to get it.
   * False when it has to wait until all earlier ones are answered.
   */
  private special(scan: Scan, buf: Uint8Array, at: number, length: number): boolean {
    if (this.context.route.redirects !== null && this.isBehind()) return false;
    let how = this.mode.take(this, scan, buf, at, length);
    if (how === ORDINARY) how = carryOut(this, scan, buf, at, length);
    return how !== LATER;
  }

  /** A client that has not said who it is cannot make the proxy keep much for it. */
  private isTooMuch(scan: Scan, buf: Uint8Array, start: number, end: number): boolean {
    return this.session.locked && this.codec.tooMuch(scan, buf, start, end);
  }

  /** Whether the client may make this request is said before anything is done with it. */
  private guard(scan: Scan, buf: Uint8Array, start: number): void {
    const { session } = this;
    if (!session.locked && session.user === null) return;
    if (scan.scratch === null) this.codec.guard(scan, buf, start, session);
    else this.codec.guard(scan, scan.scratch, 0, session);
  }

  /** Whether the request has to wait for what a server says about its command. */
  private asks(scan: Scan, buf: Uint8Array, at: number): boolean {
    const { scratch } = scan;
    const asked = scratch === null ? inquire(this, scan, buf, at) : inquire(this, scan, scratch, 0);
    if (asked) {
      this.taken--; // it will be parsed again
      this.emptyFirst();
    }
    return asked;
  }

  /** A request is unfinished: `have` bytes of it are there. */
  private remember(scan: Scan, have: number): void {
    const { context } = this;
    this.input.expected = scan.length;
    if (have > context.limits.request) {
      return this.reject(this.codec.failure("request too large", scan));
    }
    if (have > KEEP_SCAN) {
      if (this.scan === null) {
        this.scan = scan;
        context.scan = new Scan();
      }
      return;
    }
    scan.reset();
    this.scan = null;
  }

  /** Answers a broken stream, after what came before it, and closes. */
  private reject(error: Uint8Array): void {
    this.context.counters.client_err++;
    this.why = "protocol error";
    protocolError(this);
    this.answer(error);
    this.finish();
  }

  // ---------------------------------------------------------------- uploads

  /**
   * Passes on the unfinished request at `buf[start, end)` instead of gathering it, if it is one of
   * a single key and that is there. False when it is to be kept: because it has to be gathered, or
   * because earlier requests are not answered yet, which it might overtake on its own link.
   */
  private startUpload(scan: Scan, buf: Uint8Array, start: number, end: number): boolean {
    const { context } = this;
    if (scan.action !== FORWARD || scan.left <= 0 || start + scan.keyEnd > end) return false;
    if (this.mode !== SHARED) return false;
    if (this.head !== null) {
      this.emptyFirst();
      return false;
    }
    this.epoch = context.route.epoch;
    const { keyStart, keyEnd, verb, length } = scan;
    const intent = this.codec.classes[verb + 1];
    const server = context.route.pick(buf, start + keyStart, start + keyEnd, intent);
    if (!server.available) return false;
    const link = server.takeExtra(this.lane);
    const request = context.requests.take(this);
    request.tagHigh = scan.tagHigh;
    request.tagLow = scan.tagLow;
    request.verb = verb;
    if (context.slow.on) context.slow.note(request, buf, start + keyStart, start + keyEnd);
    this.taken++;
    this.push(request);
    link.enqueue(request, length);
    this.upload = new Upload(server, link, request, length);
    scan.reset();
    this.scan = null;
    this.feed(this.upload, buf, start, end);
    return true;
  }

  private feed(upload: Upload, buf: Uint8Array, start: number, end: number): number {
    if (upload.left === 0) return start;
    const pos = upload.feed(buf, start, end, this.context.turn.clock);
    if (upload.link.congested) this.stopFor(upload.link);
    if (upload.left === 0) this.emptyFirst();
    return pos;
  }

  /** Bytes of a huge request are still to come. */
  private get isUploading(): boolean {
    return this.upload !== null && this.upload.left > 0;
  }

  // ---------------------------------------------------------------- modes

  /** Its mode when it does not listen. */
  private modeBeneath(): Mode {
    const { session } = this;
    if (session.locked) return LOCKED;
    if (this.hold !== null) return HOLDING;
    return session.restricted ? RESTRICTED : SHARED;
  }

  takeBeneath(scan: Scan, buf: Uint8Array, at: number, length: number): number {
    return this.modeBeneath().take(this, scan, buf, at, length);
  }

  /** The session, the hold or the subscriptions are others now. */
  settleMode(): void {
    this.mode = this.context.pause.isOn ? PAUSED_CLIENT : this.modeServed();
  }

  /** The mode while the pool is not paused. */
  private modeServed(): Mode {
    return this.session.silence === ALOUD ? this.modeAloud() : SILENT_CLIENT;
  }

  /** The mode while it wants replies. */
  private modeAloud(): Mode {
    const { subscriptions, session } = this;
    const listens = subscriptions !== null && !session.locked && subscriptions.total > 0 &&
      subscriptions.isExclusive();
    return listens ? LISTENING : this.modeBeneath();
  }

  takeAloud(scan: Scan, buf: Uint8Array, at: number, length: number): number {
    const how = this.modeAloud().take(this, scan, buf, at, length);
    return how === ORDINARY ? carryOut(this, scan, buf, at, length) : how;
  }

  takeServed(scan: Scan, buf: Uint8Array, at: number, length: number): number {
    return this.modeServed().take(this, scan, buf, at, length);
  }

  /** The pool is paused: what comes waits for `resume`. */
  pauseReading(): void {
    this.stop(PAUSED);
  }

  resume(): void {
    this.settleMode();
    if ((this.stops & PAUSED) === 0) return;
    this.stops = (this.stops & ~PAUSED) | RESUMING;
    this.touch();
  }

  beginHold(hold: Hold): void {
    this.hold = hold;
    this.settleMode();
  }

  endHold(): void {
    this.hold = null;
    this.settleMode();
  }

  /** Answers what is the proxy's own to answer; may change the session. */
  answerLocally(scan: Scan, buf: Uint8Array, at: number): void {
    const { session, codec, context } = this;
    const kind = codec.lane(session);
    const reply = codec.answer(scan, buf, at, session);
    if (scan.pin === PIN_RESET) this.subscriptions?.drop();
    if (codec.lane(session) !== kind) {
      const lane = context.enterLane(session, codec);
      if (lane === NO_LANE) {
        codec.lanes?.goBack(session, kind);
        const most = context.config.server_lanes;
        return this.answer(codec.failure(
          `clients use too many combinations of SELECT and HELLO: server_lanes is ${most}`,
        ));
      }
      context.leaveLane(this.lane);
      this.lane = lane;
      // Later requests take other links: they must not overtake the earlier ones.
      if (this.head !== null) this.emptyFirst();
    }
    this.settleMode();
    this.answer(reply);
    if (this.phase === DOOMED) this.finish();
  }

  /**
   * Goes on with the pool's new codec; `old` and `now` are what a new session was and is.
   * Replies to what is in flight are the same by both.
   */
  changeCodec(old: Session, now: Session, reconnect: boolean): void {
    if (this.phase >= FINISHING) return;
    const { context, session } = this;
    this.codec = this.firstByte < 0
      ? context.codec
      : context.codec.dialects?.of(this.firstByte) ?? context.codec;
    // Parsed again from its first byte.
    this.scan = null;
    const { user, locked } = session;
    this.codec.renew(session, old, now);
    this.settleMode();
    const why = outOfPlace(this, { user, locked });
    if (why !== "") return this.drop(why);
    if (!reconnect) return;
    const lane = context.enterLane(session, this.codec);
    if (lane === NO_LANE) return this.cutOff("there are too many kinds of connections");
    this.lane = lane;
    this.renewals++;
    // Later requests take other links: they must not overtake the earlier ones. (After a huge
    // request they never do.)
    if (this.head !== null && !this.isUploading) this.emptyFirst();
  }

  get queuedInMulti(): number {
    const { hold } = this;
    return hold !== null && hold.state === TRANSACTION ? hold.queued : -1;
  }

  get isBlocked(): boolean {
    return this.hold !== null && this.hold.state === BLOCKED;
  }

  get idle(): number {
    return this.context.now - this.heardAt;
  }

  unblock(withError: boolean): boolean {
    return this.hold !== null && this.hold.unblock(withError);
  }

  kill(asks: boolean): void {
    if (!asks) this.drop("");
    else if (this.phase === OPEN) this.phase = DOOMED;
  }

  // ---------------------------------------------------------------- requests

  /** Sends one whole request to a server. */
  forward(target: Target, scan: Scan, buf: Uint8Array, at: number, length: number): void {
    if (target.available) {
      return this.sendOver(target.linkFor(this), scan, buf, at, length);
    }
    const request = this.requestOf(scan, buf, at);
    fail(request, target.reason);
  }

  /** Sends one whole request over `link`. */
  sendOver(link: Link, scan: Scan, buf: Uint8Array, at: number, length: number): void {
    const request = this.requestOf(scan, buf, at);
    link.send(request, buf, at, at + length);
    if (link.congested) this.stopFor(link);
  }

  /** The request that was just parsed, at the end of the queue. */
  private requestOf(scan: Scan, buf: Uint8Array, at: number): Request {
    const { requests, slow, route } = this.context;
    const request = requests.take(this);
    request.mute = scan.mute;
    request.tagHigh = scan.tagHigh;
    request.tagLow = scan.tagLow;
    request.verb = scan.verb;
    const managed = route.redirects !== null && this.hold === null;
    if (scan.mute !== 0) request.kind = managed ? WATCHED : SPECIAL;
    else if (managed) request.kind = MANAGED;
    if (slow.on) slow.noteFirst(request, this.codec, scan, buf, at);
    this.push(request);
    return request;
  }

  push(request: Request): void {
    if (this.head === null) this.head = request;
    else (this.last as Request).next = request;
    this.last = request;
    this.queued++;
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

  /** As `answer`, for modes. */
  replied(bytes: Uint8Array): number {
    this.answer(bytes);
    return TAKEN;
  }

  /** QUIT: `bytes` are the last ones. */
  sayGoodbye(bytes: Uint8Array): void {
    this.answer(bytes);
    this.why = "quit";
    this.finish();
  }

  // ---------------------------------------------------------------- replies

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
    const { redirects } = this.context.route;
    if (redirects !== null && redirected(request, redirects, link, buf, start, end)) return;
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
    const { redirects } = this.context.route;
    if (redirects !== null && recovered(request, redirects, link, unsent)) return;
    fail(request, text);
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

  hear(topic: Topic, buf: Uint8Array, start: number, end: number): void {
    this.subscriptions?.deliver(topic, buf, start, end);
  }

  // ---------------------------------------------------------------- output

  touch(): void {
    if (this.dirty) return;
    this.dirty = true;
    this.context.turn.markClient(this);
  }

  /** End of turn: writes the replies; goes on reading, or closes, if that is what waits for it. */
  flush(): void {
    this.dirty = false;
    if (this.phase === CLOSED) return;
    if (this.subscriptions !== null) this.subscriptions.release();
    if (!this.out.flush(this.socket) && !this.afterShortWrite()) return;
    this.goOn();
  }

  drain(): void {
    if (this.phase === CLOSED) return; // the runtime has not told of the close yet
    this.out.drained(this.socket);
    if (this.out.size === 0) this.subscriptions?.allRead();
    this.goOn();
  }

  /** Something has been written. */
  private goOn(): void {
    if (this.holdsUp !== null && this.out.size < HIGH_WATER) this.letGo();
    if (this.stops !== 0) this.readOn();
    if (this.phase === FINISHING && this.head === null && this.out.size === 0) this.linger();
  }

  /** The client does not take its replies as fast as they come; false when it was cut off. */
  private afterShortWrite(): boolean {
    const { subscriptions, context } = this;
    const { size } = this.out;
    if (subscriptions !== null && subscriptions.total > 0) {
      const bytes = size + subscriptions.heldBytes;
      const most = context.config.pubsub_output_limit;
      const why = most > 0 ? subscriptions.tooSlow(bytes, most, context.now) : "";
      if (why !== "") {
        const unread = `${bytes} bytes of messages${why} (pubsub_output_limit: ${most})`;
        this.cutOff(`subscriber did not read ${unread}`);
        return false;
      }
    }
    if (size > context.limits.clientOutput) {
      this.cutOff(`did not read ${size} bytes of replies`);
      return false;
    }
    if (size > HIGH_WATER && this.phase < FINISHING) this.stop(UNREAD);
    return true;
  }

  waitToRead(link: Carrier): void {
    if (this.holdsUp === link) return;
    // A link it had stopped before has no more to do with it: its reply is complete.
    this.letGo();
    if (link.waitFor(this)) this.holdsUp = link;
  }

  private letGo(): void {
    const link = this.holdsUp;
    this.holdsUp = null;
    link?.unblock(this);
  }

  // ---------------------------------------------------------------- reading or not

  /** Does not read any more, because of `reason`. */
  private stop(reason: number): void {
    if (this.stops === 0) this.listen(false);
    this.stops |= reason;
  }

  /** Stops because its queue is full, or because `link` is congested. */
  private stopFor(link: Link): void {
    if (link.congested) this.waitForLink(link);
    if (this.queued >= MAX_QUEUED) this.stop(FULL);
  }

  waitForLink(link: Link): void {
    if ((this.stops & CONGESTED) === 0) link.addWaiter(this);
    this.stop(CONGESTED);
    this.congestedBy = link;
  }

  waitsForLink(waiter: Waiter): boolean {
    const link = this.congestedBy;
    if (link === null || !link.congested) return false;
    link.addWaiter(waiter);
    return true;
  }

  stopForWork(): void {
    this.stop(WORKING);
  }

  workDone(): void {
    this.stops = (this.stops & ~WORKING) | RESUMING;
    if (this.phase !== CLOSED) this.touch();
  }

  linkRelaxed(): void {
    this.stops = (this.stops & ~CONGESTED) | RESUMING;
    this.congestedBy = null;
    if (this.phase !== CLOSED) this.touch();
  }

  /** Takes no further requests until all earlier ones are answered. */
  private emptyFirst(): void {
    this.stop(EMPTYING);
    this.touch();
  }

  /** As `emptyFirst`, but sees it at once when the client leaves. */
  emptyListening(): void {
    this.stops |= EMPTYING;
    if (this.input.size < LISTENED) this.listen(true);
    this.touch();
  }

  /** Reads on after a stop, if nothing speaks against it any more. */
  private readOn(): void {
    if ((this.stops & EMPTYING) !== 0) {
      if (this.head !== null) return;
      this.stops &= ~EMPTYING;
    }
    if (this.head === null) this.allAnswered();
    this.stops &= ~RESUMING;
    if (this.queued <= MAX_QUEUED >> 1) this.stops &= ~FULL;
    if (this.out.size <= HIGH_WATER >> 1) this.stops &= ~UNREAD;
    if (this.stops !== 0) return;
    const { input } = this;
    if (input.size > 0) {
      const carry = input.buf;
      const used = this.process(carry, input.start, input.end);
      if (this.phase >= FINISHING) return this.listen(true); // what still comes is dropped
      if (input.buf === carry) {
        input.start = used;
        if (used === input.end) input.drop();
      }
      // It has left, or is to leave, and would be blocked.
      if (this.isBlocked && this.farewell !== STAYS) return this.drop("");
      if (this.stops !== 0) return;
    } else {
      input.drop();
    }
    if (this.farewell === ENDED) this.finish();
    else if (this.farewell === LEAVES) this.leaveNow();
    else this.listen(true);
  }

  /** Every request is answered that was sent before it stopped. */
  private allAnswered(): void {
    if (this.upload !== null && this.upload.left === 0) {
      this.upload.end();
      this.upload = null;
    }
    this.hold?.answered();
  }

  // ---------------------------------------------------------------- the end

  /** Takes no more requests; closes when all replies are written. */
  finish(): void {
    if (this.phase >= FINISHING) return;
    this.phase = FINISHING;
    this.subscriptions?.drop();
    this.input.drop();
    this.touch();
  }

  /**
   * The proxy stops, or the pool is removed: what the client has sent is answered, then it is
   * closed; at once if there is nothing to answer. May be called again and again.
   */
  leave(): void {
    if (this.phase >= FINISHING || this.farewell !== STAYS) return;
    // It may have connected with a command on its way: it gets the time to send that.
    const { host } = this.context;
    if (this.firstByte < 0 && host.wallClock() - this.session.since < FRESH) return;
    // What blocks may never be answered. The server lets go of it when its connection closes.
    if (this.isBlocked) return this.drop("");
    this.farewell = LEAVES;
    // A huge request that is half there is waited for; and see readOn.
    if (this.stops === 0 && this.upload === null) this.leaveNow();
  }

  private leaveNow(): void {
    if (this.head === null && this.out.size === 0) return this.drop("");
    this.finish();
  }

  /** All is said: FIN, then wait a moment for the client's (a close at once could lose the reply). */
  private linger(): void {
    if (this.farewell === ENDED) return this.socket.close();
    this.phase = LINGERING;
    this.lingersSince = this.context.now;
    this.context.lingers(this);
    this.listen(true);
    this.socket.shutdown();
  }

  /** Called every tick while it lingers. Its FIN may still be unread when a tick comes `late`. */
  tick(now: number, late: number): void {
    if (late === 0 && now - this.lingersSince > LINGER) this.socket.close();
  }

  /** The client sent FIN: it gets the replies it still waits for. */
  end(): void {
    if (this.phase === CLOSED) return;
    this.context.counters.client_eof++;
    this.farewell = ENDED;
    if (this.phase === LINGERING) return this.socket.close();
    if (this.isUploading) return this.drop(""); // half a request gets no reply
    // Redis too hangs up on a client that is blocked and sends FIN: it has most likely left.
    if (this.isBlocked) return this.drop("");
    // Requests that wait in `input` because of a stop are handled first: see readOn.
    if (this.stops === 0) this.finish();
  }

  /** Closes at once, with unwritten replies; that is worth a line in the log. */
  cutOff(why: string): void {
    if (this.phase === CLOSED) return;
    clientFails(this, why);
    this.context.counters.client_err++;
    this.drop(why);
  }

  /** Closes at once; `why` is for the log. */
  drop(why: string): void {
    if (this.why === "") this.why = why;
    this.socket.close();
    this.close("");
  }

  /** The one end: the socket is gone. */
  close(error: string): void {
    if (this.phase === CLOSED) return;
    this.phase = CLOSED;
    const { context } = this;
    if (error !== "") context.counters.client_err++;
    clientClosed(this, this.why || (error === "" ? "eof" : errnoText(error)));
    this.letGo();
    this.upload?.end();
    this.upload = null;
    this.input.drop();
    this.out.clear();
    let request = this.head;
    while (request !== null) {
      const next: Request | null = request.next;
      // What is ready is in no link's queue; the rest is given back when its reply comes.
      if (request.ready) context.requests.give(request);
      request = next;
    }
    this.head = null;
    this.last = null;
    this.hold?.drop();
    this.subscriptions?.drop();
    context.leaveLane(this.lane);
    context.closed(this);
  }
}
