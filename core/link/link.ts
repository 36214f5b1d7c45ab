// The life of one socket towards a server: connect, greet (AUTH, SELECT, HELLO), send, find where
// replies end, time out, close. Requests go out in one stream, and replies come in the same order:
//
//   sink ─ enqueue + append ─▶ out ═ flush at the end of a turn ═▶ socket
//             └▶ in flight: head ▸ … ▸ tail
//   sink ◀─ accept, pass / reply / part / lost ─ head ◀═ replies ═ socket
//
//   | state      | what happens                                   | next       |
//   | CLOSED     | the first request at the end of its turn       | CONNECTING |
//   | CONNECTING | the socket is there                            | GREETING, or READY without one |
//   | GREETING   | every reply to the greeting has come           | READY      |
//   | any        | lost, refused, timed out, garbage: `close`     | CLOSED     |
//
// Shared connections, those of one client, subscribers and health checks are all users of it. It
// knows neither clients nor pools: see attempt.ts and owner.ts for whom it tells of what.

import { errnoText } from "../errno.ts";
import type { Socket, SocketHandler } from "../host.ts";
import { ASKED, type Codec, type Handshake, ReplyScan } from "../protocol/codec.ts";
import { ReplyStore } from "../wire/reply_store.ts";
import { type Kept, KeptOutBuffer } from "../wire/kept_out_buffer.ts";
import { OutBuffer } from "../wire/out_buffer.ts";
import { type Attempt, type Carrier, HOLD, LAST, type Run, type Sink } from "./attempt.ts";
import { Deadline } from "./deadline.ts";
import { FrameReader } from "./frames.ts";
import type { LinkContext, LinkCounters, LinkOwner } from "./owner.ts";
import { PartialLine } from "./partial_line.ts";
import { Patience } from "./patience.ts";
import { Question, Unheard } from "./question.ts";
import { PushSieve } from "./pushes.ts";

/** No socket; the next request opens one. */
export const CLOSED = 0;
export const CONNECTING = 1;
/** The greeting is on its way; requests wait for the replies to it. */
export const GREETING = 2;
export const READY = 3;

/** Unwritten output (bytes) above which those that feed it are to stop. */
const HIGH_WATER = 4 << 20;

/** Who waits until a link has written more. */
export interface Waiter {
  linkRelaxed(): void;
}

/** Why a link is closed by us for no fault of the server's: see `Link.discard`. */
type Fault = "server" | "ours";

/**
 * What one socket tells its link. A runtime may have more to tell of a socket after it was closed:
 * that must not reach the socket which has taken its place.
 */
class Wire implements SocketHandler {
  private readonly link: Link;

  constructor(link: Link) {
    this.link = link;
  }

  open(): void {
    if (this.link.wire === this) this.link.open();
  }

  data(buf: Uint8Array, start: number, end: number): void {
    if (this.link.wire === this) this.link.data(buf, start, end);
  }

  drain(): void {
    if (this.link.wire === this) this.link.drain();
  }

  end(): void {
    if (this.link.wire === this) this.link.abort("");
  }

  close(error: string): void {
    if (this.link.wire === this) this.link.close(error, "server");
  }
}

export class Link implements Carrier {
  readonly owner: LinkOwner;
  /** What it is set up for (dialect, RESP version, database): see Pool.enterLane. */
  readonly lane: number;
  /** What goes out: bytes of requests that are enqueued in the same turn. */
  readonly out: OutBuffer;
  /** Attempts that wait for replies, oldest first. */
  head: Attempt | null;
  private tail: Attempt | null;
  /** Length of that queue, and the bytes sent for it. */
  inFlight: number;
  inFlightBytes: number;
  /** How many of them have not been handed to the socket yet. */
  unsent: number;
  state: number;
  /** Too much is waiting to be written: those that feed it are to stop. */
  congested: boolean;
  /** How many sockets it has lost: what a server kept for one of them is gone with it. */
  losses: number;
  /** It takes no more requests, and is closed when all are answered: see retired.ts. */
  retired: boolean;
  /** How much longer (ms) than the timeout its server may take to answer. */
  patience: number;
  /** The last request has not been handed over whole yet: its server is waited for without end. */
  unfinished: boolean;
  /** Replies that cannot go to their client yet. */
  readonly store: ReplyStore;
  private readonly context: LinkContext;
  private readonly counters: LinkCounters;
  private readonly codec: Codec;
  private socket: Socket | null;
  /** The current socket's; null when there is none. */
  wire: Wire | null;
  /** What is to be said first on the socket that is opened: lanes may be others when it is there. */
  private handshake: Handshake | null;
  /** The greeting, while the socket has not taken all of it; its replies still to come. */
  private greeting: OutBuffer | null;
  private greetingLeft: number;
  private dirty: boolean;
  private readonly scan: ReplyScan;
  /** Of a link that hears what is published; null for others. */
  private readonly frames: FrameReader | null;
  /** Of a link of a client that hears what servers push; null for others. */
  private readonly pushes: PushSieve | null;
  private readonly line: PartialLine;
  /** The slow reader that stops our reading, and how long one may. */
  private blockedBy: Sink | null;
  private readonly slowReaders: Patience;
  private readonly deadline: Deadline;
  private waiters: Waiter[];
  /** While what was in flight is lost: what was sent for it, and how much of that is still ahead. */
  private lostBytes: Kept | null;
  private lostBehind: number;
  /** Of a reply that goes on: what has been given on. */
  private begun: number;

  constructor(context: LinkContext, owner: LinkOwner, lane: number) {
    this.context = context;
    this.owner = owner;
    this.lane = lane;
    this.counters = owner.counters;
    this.codec = context.codecOf(lane);
    this.out = owner.keeps ? new KeptOutBuffer(context.buffers) : new OutBuffer(context.buffers);
    this.head = null;
    this.tail = null;
    this.inFlight = 0;
    this.inFlightBytes = 0;
    this.unsent = 0;
    this.state = CLOSED;
    this.congested = false;
    this.losses = 0;
    this.retired = false;
    this.patience = 0;
    this.unfinished = false;
    this.store = new ReplyStore(context.buffers);
    this.socket = null;
    this.wire = null;
    this.handshake = null;
    this.greeting = null;
    this.greetingLeft = 0;
    this.dirty = false;
    this.scan = new ReplyScan();
    this.frames = owner.listener === null ? null : new FrameReader(owner.listener);
    const setting = context.pushesOf(lane);
    this.pushes = setting === null
      ? null
      : new PushSieve(setting, this.codec, (buf, start, end) => this.take(buf, start, end));
    this.line = new PartialLine();
    this.blockedBy = null;
    this.slowReaders = new Patience(context.host);
    this.deadline = new Deadline();
    this.waiters = [];
    this.lostBytes = null;
    this.lostBehind = 0;
    this.begun = 0;
  }

  /**
   * Puts an attempt into the in-flight queue. Its bytes are appended to `out` by the caller, in the
   * same order and before the turn ends; opens the socket if there is none.
   */
  enqueue(attempt: Attempt, bytes: number): void {
    attempt.sentAt = this.context.turn.clock;
    attempt.bytes = bytes;
    if (this.head === null) this.head = attempt;
    else (this.tail as Attempt).nextInFlight = attempt;
    this.tail = attempt;
    this.inFlight++;
    this.unsent++;
    this.inFlightBytes += bytes;
    const { counters } = this;
    counters.requests++;
    counters.request_bytes += bytes;
    this.touch();
  }

  /** The attempt that was enqueued last, if it still waits. */
  get last(): Attempt | null {
    return this.head === null ? null : this.tail;
  }

  /** `run`, which is the last, has one request more, of `bytes` that are in `out` already. */
  extend(attempt: Attempt, run: Run, bytes: number): void {
    run.more++;
    attempt.bytes += bytes;
    this.inFlightBytes += bytes;
    this.counters.request_bytes += bytes;
  }

  /** Sends one whole request, `buf[start, end)`. */
  send(attempt: Attempt, buf: Uint8Array, start: number, end: number): void {
    this.enqueue(attempt, end - start);
    this.out.append(buf, start, end);
  }

  /** Sends what no reply of its own is awaited for (a listener's requests). */
  say(bytes: Uint8Array): void {
    this.out.append(bytes, 0, bytes.length);
    this.touch();
  }

  /** Sends a long span of requests that are enqueued already. */
  pass(buf: Uint8Array, start: number, end: number): void {
    this.out.pass(this.state === READY ? this.socket : null, buf, start, end);
  }

  /** There is something to write at the end of the turn. */
  touch(): void {
    if (this.dirty) return;
    this.dirty = true;
    this.context.turn.markLink(this);
  }

  /** End of turn: writes what has been gathered. */
  flush(): void {
    this.dirty = false;
    if (this.state !== READY) {
      // What was in flight may have failed since it was enqueued: then there is nothing to do.
      if (this.state === CLOSED && this.head !== null) this.connect();
      if (this.out.size > HIGH_WATER) this.congested = true;
      return;
    }
    this.write();
  }

  private write(): void {
    if (this.out.flush(this.socket as Socket)) this.unsent = 0;
    if (this.out.size > HIGH_WATER) this.congested = true;
    else if (this.congested && this.out.size < HIGH_WATER >> 1) this.relax();
  }

  /** Opens the socket if there is none. */
  connect(): void {
    if (this.state !== CLOSED) return;
    this.state = CONNECTING;
    const { pushes } = this;
    this.handshake = pushes === null ? this.context.handshakeOf(this.lane) : pushes.handshake;
    this.owner.connecting();
    this.wire = new Wire(this);
    this.socket = this.owner.open(this.wire);
  }

  /** The socket is connected. */
  open(): void {
    this.counters.server_connections++;
    const handshake = bothOf(this.handshake, this.owner.greets ?? null);
    if (handshake === null) return this.becomeReady();
    this.state = GREETING;
    this.greet(handshake);
  }

  private greet(handshake: Handshake): void {
    this.greetingLeft = handshake.replies;
    // The requests gathered so far stay in `out`: a second buffer carries the few bytes of AUTH.
    const first = new OutBuffer(this.context.buffers);
    first.append(handshake.bytes, 0, handshake.bytes.length);
    if (!first.flush(this.socket as Socket)) this.greeting = first;
  }

  private becomeReady(): void {
    this.state = READY;
    this.owner.ready();
    if (this.greeting === null && this.state === READY) this.write();
  }

  drain(): void {
    if (this.greeting !== null) {
      if (!this.greeting.drained(this.socket as Socket)) return;
      this.greeting = null;
      if (this.state === READY) this.write();
      return;
    }
    if (this.state !== READY) return;
    if (this.out.drained(this.socket as Socket)) this.unsent = 0;
    if (this.congested && this.out.size < HIGH_WATER >> 1) this.relax();
  }

  /** `waiter` has to wait until this link has written more. */
  addWaiter(waiter: Waiter): void {
    this.waiters.push(waiter);
  }

  private relax(): void {
    this.congested = false;
    if (this.waiters.length === 0) return;
    const { waiters } = this;
    this.waiters = [];
    for (const waiter of waiters) waiter.linkRelaxed();
  }

  data(buf: Uint8Array, start: number, end: number): void {
    const { turn } = this.context;
    turn.enter();
    this.counters.response_bytes += end - start;
    this.deadline.heard = true;
    if (this.pushes === null) this.take(buf, start, end);
    else this.pushes.sift(buf, start, end);
    turn.leave();
  }

  private take(buf: Uint8Array, start: number, end: number): void {
    let pos = start;
    while (this.line.size > 0 && pos < end) pos = this.completeLine(buf, pos, end);
    if (pos < end) this.consume(buf, pos, end);
  }

  /**
   * Brings the line or head that was cut to its end with bytes from `buf`, consumes it, and returns
   * where to go on.
   */
  private completeLine(buf: Uint8Array, start: number, end: number): number {
    const { line } = this;
    const { replyHead } = this.codec;
    const pos = line.complete(buf, start, end, replyHead);
    if (line.isWhole(replyHead)) {
      const whole = line.take();
      this.consume(whole, 0, whole.length);
    }
    return pos;
  }

  /** Hands out the replies in `buf[start, end)`. */
  private consume(buf: Uint8Array, start: number, end: number): void {
    if (this.state !== READY) {
      if (this.state === CLOSED) return;
      start = this.greeted(buf, start, end);
      if (start >= end || this.state !== READY) return;
    }
    if (this.frames !== null) return this.hear(this.frames, buf, start, end);
    const { codec, scan, counters, owner } = this;
    const { classes } = codec;
    const { slow, big } = this.context;
    const { clock } = this.context.turn;
    const begins = scan.done;
    const fresh = begins && owner.judges;
    const firstVerb = this.head === null ? ASKED : this.head.verb;
    // Consecutive replies for one sink are given on as one span.
    let spanSink: Sink | null = null;
    let spanStart = 0;
    // Neighbours that were sent in one turn took equally long.
    let sentAt = 0;
    let cls = 0;
    let alike = 0;
    let late = false;
    // A reply that is large, or goes on, is no more than this.
    const watched = this.begun > 0 || end - start > big.bytes;
    let pos = start;
    while (pos < end) {
      const attempt = this.head;
      if (attempt === null) break;
      let next = codec.parseReply(scan, buf, pos, end);
      const { run } = attempt;
      if (run) next = this.runOn(run, begins || pos > start, buf, pos, next, end);
      if (!scan.done || (run && run.more >= 0)) {
        if (spanSink !== null) spanSink.pass(buf, spanStart, pos);
        if (alike > 0) owner.answered(cls, clock - sentAt, alike);
        this.unfinishedReply(attempt, buf, pos, next, end);
        if (scan.done) { // between two replies of a run
          spanSink = null;
          alike = 0;
          pos = end;
        }
        break;
      }
      if (attempt.sentAt !== sentAt || classes[attempt.verb + 1] !== cls) {
        if (alike > 0) owner.answered(cls, clock - sentAt, alike);
        sentAt = attempt.sentAt;
        cls = classes[attempt.verb + 1];
        alike = 0;
        // What blocks takes its time.
        late = watched || (clock - sentAt > slow.ms && this.patience === 0);
      }
      alike++;
      if (late) this.look(attempt, clock - sentAt, next - pos);
      this.head = attempt.nextInFlight;
      this.inFlight--;
      this.inFlightBytes -= attempt.bytes;
      counters.responses++;
      const { sink } = attempt;
      const how = sink.accept(attempt, buf[pos]);
      if (how !== HOLD) {
        if (sink !== spanSink) {
          if (spanSink !== null) spanSink.pass(buf, spanStart, pos);
          spanSink = sink;
          spanStart = pos;
        }
        if (how === LAST) {
          sink.pass(buf, spanStart, next);
          spanSink = null;
          sink.advance();
        }
      } else {
        if (spanSink !== null) {
          spanSink.pass(buf, spanStart, pos);
          spanSink = null;
        }
        attempt.nextInFlight = null;
        sink.reply(attempt, this, buf, pos, next);
        if (this.state !== READY) break;
      }
      pos = next;
    }
    if (this.state !== READY) return;
    if (scan.done) {
      if (spanSink !== null) spanSink.pass(buf, spanStart, pos);
      if (alike > 0) owner.answered(cls, clock - sentAt, alike);
    }
    if (owner.keeps) (this.out as KeptOutBuffer).keepLast(this.inFlightBytes);
    if (fresh && pos > start) owner.replied(codec, firstVerb, buf, start, pos);
    if (scan.done && pos < end) {
      // Behind the false end of a list of keys: see exchange/broadcast.ts.
      if (this.retired) return this.discard();
      this.garbage("sent a reply nobody waits for");
    }
  }

  /**
   * What comes behind the first reply `buf[pos, next)` of a run, whose count is -1 when all is there.
   * `begins`: that reply begins here. Returns how far it has come.
   */
  private runOn(
    run: Run,
    begins: boolean,
    buf: Uint8Array,
    pos: number,
    next: number,
    end: number,
  ): number {
    const { codec, scan } = this;
    if (begins && codec.isError(buf, pos)) run.flawed = true;
    while (scan.done && --run.more >= 0 && next < end) {
      if (codec.isError(buf, next)) run.flawed = true;
      next = codec.parseReply(scan, buf, next, end);
    }
    return next;
  }

  /** A whole reply, or the rest of one, after `ms`: it may be slow, or large. */
  private look(attempt: Attempt, ms: number, bytes: number): void {
    const { slow, big, now } = this.context;
    if (ms > slow.ms && this.patience === 0) {
      slow.tell(attempt, this.codec, this.owner, ms, now, "");
    }
    const { begun } = this;
    this.begun = 0;
    if (begun + bytes > big.bytes) big.reply(attempt, this.codec, begun + bytes, begun > big.bytes);
  }

  private garbage(what: string): void {
    if (this.state === CLOSED) return;
    this.owner.broken(what);
    this.abort("EINVAL");
  }

  /** The input ends in the middle of a reply: buf[pos, next) is of it, the rest a line. */
  private unfinishedReply(
    attempt: Attempt,
    buf: Uint8Array,
    pos: number,
    next: number,
    end: number,
  ): void {
    if (this.scan.bad) return this.garbage("sent what is no reply");
    if (next < end) this.line.keep(buf, next, end);
    if (next === pos) return;
    const { begun } = this;
    this.begun = begun + next - pos;
    const { big } = this.context;
    if (this.begun > big.bytes) big.reply(attempt, this.codec, this.begun, begun > big.bytes);
    attempt.sink.part(attempt, this, buf, pos, next, this.scan.skip);
  }

  /** All that comes is for the listener. */
  private hear(frames: FrameReader, buf: Uint8Array, start: number, end: number): void {
    if (!frames.read(this.codec, this.scan, buf, start, end)) this.garbage("sent what is no reply");
  }

  /** Replies to the greeting; returns where other replies begin. */
  private greeted(buf: Uint8Array, start: number, end: number): number {
    let pos = start;
    while (this.greetingLeft > 0 && pos < end) {
      const next = this.codec.parseReply(this.scan, buf, pos, end);
      if (this.scan.bad) {
        this.abort("EINVAL");
        return end;
      }
      if (!this.scan.done) {
        this.line.keep(buf, next, end);
        return end;
      }
      if (this.codec.isError(buf, pos)) {
        const why = this.codec.errorText(buf, pos, next);
        // What the client wants of its own links is no fault of the server's.
        if (this.pushes !== null && this.greetingLeft === 1) {
          this.discard(`server refused CLIENT TRACKING: ${why}`);
          return end;
        }
        this.owner.refused(why);
        this.abort(`server refused redis_auth or redis_db: ${why}`);
        return end;
      }
      this.greetingLeft--;
      pos = next;
    }
    if (this.greetingLeft === 0) this.becomeReady();
    return pos;
  }

  waitFor(sink: Sink): boolean {
    if (this.blockedBy !== null) return this.blockedBy === sink;
    if (!this.slowReaders.begin(() => this.inFlight > 1, () => this.unblock(sink))) return false;
    this.blockedBy = sink;
    this.socket?.pause();
    return true;
  }

  unblock(sink: Sink): void {
    if (this.blockedBy !== sink) return;
    this.blockedBy = null;
    this.slowReaders.end();
    this.deadline.readsSince = this.context.now;
    this.socket?.resume();
  }

  /**
   * Called every tick: closes when the oldest request has waited longer than `timeout` (ms, 0: for
   * ever). See Deadline for `late`.
   */
  tick(now: number, timeout: number, late: number): void {
    const patient = timeout <= 0 || this.blockedBy !== null || this.unfinished;
    const more = this.state === READY ? this.patience : 0;
    const allowed = patient ? Infinity : timeout + more;
    if (this.deadline.isOver(now, this.head, allowed, late)) this.abort("ETIMEDOUT");
    else if (this.pushes !== null && this.state === READY) this.probe(this.pushes.tick(now, late));
  }

  /** A link that only hears pushes would not be missed. */
  private probe(how: "ask" | "gone" | ""): void {
    const { probe } = this.codec;
    if (how === "gone" && this.patience === 0 && this.blockedBy === null) this.abort("ETIMEDOUT");
    if (how === "ask" && this.head === null && probe !== null) {
      this.send(new Question(new Unheard()), probe, 0, probe.length);
    }
  }

  /** Closes because of `errno` (or a sentence that becomes the error's text). */
  abort(errno: string): void {
    if (this.state === CLOSED) return;
    const socket = this.socket as Socket;
    this.close(errno, "server");
    socket.close();
  }

  /** Closes for no fault of the server's; `why` is told to those that still wait. */
  discard(why = ""): void {
    // Closed it may be, and yet hold half a request: it would have been opened at the turn's end.
    if (this.state === CLOSED && this.head === null) return;
    const { socket } = this;
    this.close(why, "ours");
    socket?.close();
  }

  /** It will not be used again. */
  dispose(): void {
    this.discard();
    this.store.close();
  }

  /**
   * The one end of a socket: what is in flight is lost. A new socket is opened by the next request.
   * `errno` is an errno name, a sentence, or "" for an orderly end.
   */
  close(errno: string, fault: Fault): void {
    const { owner } = this;
    if (this.state > CONNECTING) this.counters.server_connections--;
    const first = this.head;
    const lost = this.inFlight;
    const behind = this.inFlightBytes;
    const unsent = this.out.unhanded;
    const kept = owner.keeps ? (this.out as KeptOutBuffer).takeKept() : null;
    const text = errnoText(errno);
    const wasReady = this.state === READY;
    this.state = CLOSED;
    this.losses++;
    this.socket = null;
    this.wire = null;
    this.greeting?.clear();
    this.greeting = null;
    this.out.clear();
    this.head = null;
    this.tail = null;
    this.inFlight = 0;
    this.inFlightBytes = 0;
    this.unsent = 0;
    this.line.size = 0;
    this.frames?.reset();
    this.scan.reset();
    this.deadline.reset();
    this.begun = 0;
    this.unfinished = false;
    if (this.blockedBy !== null) this.unblock(this.blockedBy);
    if (fault === "server") owner.closed(errno, text, lost);
    this.loseAll(first, text, behind, unsent, kept);
    this.pushes?.reset(wasReady);
    this.relax();
  }

  /** `behind` bytes were in flight, the last `unsentBytes` of them not handed to the socket. */
  private loseAll(
    first: Attempt | null,
    text: string,
    behind: number,
    unsentBytes: number,
    kept: Kept | null,
  ): void {
    const { host, now, slow } = this.context;
    let attempt = first;
    while (attempt !== null) {
      const next: Attempt | null = attempt.nextInFlight;
      attempt.nextInFlight = null;
      if (slow.on && text !== "") {
        const ms = host.now() - attempt.sentAt;
        if (ms > slow.ms) slow.tell(attempt, this.codec, this.owner, ms, now, text);
      }
      this.lostBytes = kept;
      this.lostBehind = behind;
      const unsent = behind <= unsentBytes;
      behind -= attempt.bytes;
      attempt.sink.lost(attempt, this, text, unsent);
      attempt = next;
    }
    this.lostBytes = null;
    kept?.release();
  }

  sent(attempt: Attempt, to: OutBuffer): boolean {
    const { bytes } = attempt;
    if (this.lostBytes !== null) return this.lostBytes.copy(this.lostBehind, bytes, to);
    if (!this.owner.keeps) return false;
    return (this.out as KeptOutBuffer).copyKept(this.inFlightBytes + bytes, bytes, to);
  }
}

/** One greeting behind the other. */
function bothOf(first: Handshake | null, then: Handshake | null): Handshake | null {
  if (first === null || then === null) return first ?? then;
  const bytes = new Uint8Array(first.bytes.length + then.bytes.length);
  bytes.set(first.bytes);
  bytes.set(then.bytes, first.bytes.length);
  return { bytes, replies: first.replies + then.replies };
}
