// The life of one socket towards a server: connect, greet (AUTH, SELECT, HELLO), send, time out,
// close. Its states are in state.ts. Requests go out in one stream, and replies come in the same
// order; reply_reader.ts finds where they end:
//
//   sink ─ enqueue + append ─▶ out ═ flush at the end of a turn ═▶ socket
//             └▶ in flight: head ▸ … ▸ tail
//   sink ◀─ accept, pass / reply / part / lost ─ head ◀═ replies ═ socket
//
// Shared connections, those of one client, subscribers and health checks are all users of it. It
// knows neither clients nor pools: see attempt.ts and owner.ts for whom it tells of what.

import { errnoText } from "../errno.ts";
import type { Socket } from "../host.ts";
import type { Codec, Handshake } from "../protocol/codec.ts";
import { KeptOutBuffer } from "../wire/kept_out_buffer.ts";
import { OutBuffer } from "../wire/out_buffer.ts";
import { ReplyStore } from "../wire/reply_store.ts";
import type { Attempt, Carrier, Run, Sink } from "./attempt.ts";
import { Deadline } from "./deadline.ts";
import { Ear } from "./ear.ts";
import { bothOf, Greeting } from "./greeting.ts";
import { InFlight } from "./in_flight.ts";
import { Loss } from "./loss.ts";
import type { LinkContext, LinkCounters, LinkOwner } from "./owner.ts";
import { Patience } from "./patience.ts";
import { PushSieve } from "./pushes.ts";
import { Question, UNHEARD } from "./question.ts";
import { type ReadLink, ReplyReader } from "./reply_reader.ts";
import { CLOSED, CONNECTING, GREETING, READY } from "./state.ts";

export { CLOSED, READY };

/** Unwritten output (bytes) above which those that feed it are to stop. */
const HIGH_WATER = 4 << 20;

/** Who waits until a link has written more. */
export interface Waiter {
  linkRelaxed(): void;
}

/** Whose fault it is that a link closes; "ours": it is no failure of the server's. */
type Fault = "server" | "ours";

export class Link implements Carrier, ReadLink {
  readonly owner: LinkOwner;
  /** What it is set up for (dialect, RESP version, database): see pool/lanes.ts. */
  readonly lane: number;
  /** What goes out: bytes of requests that are enqueued in the same turn. */
  readonly out: OutBuffer;
  private readonly flight: InFlight;
  /** How many of those in flight have not been handed to the socket yet. */
  unsent: number;
  /** See state.ts. */
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
  private readonly reader: ReplyReader;
  private socket: Socket | null;
  private ear: Ear | null;
  /** What is to be said first on the socket that is opened: lanes may be others when it is there. */
  private handshake: Handshake | null;
  /** What was said first on the socket; null: nothing. */
  greeting: Greeting | null;
  private dirty: boolean;
  /** Of a link of a client that hears what servers push; null for others. */
  private readonly pushes: PushSieve | null;
  /** The slow reader that stops our reading, and how long one may. */
  private blockedBy: Sink | null;
  private readonly slowReaders: Patience;
  private readonly deadline: Deadline;
  private waiters: Waiter[];
  /** While those that were in flight hear that they are lost. */
  private loss: Loss | null;

  constructor(context: LinkContext, owner: LinkOwner, lane: number) {
    this.context = context;
    this.owner = owner;
    this.lane = lane;
    this.counters = owner.counters;
    this.codec = context.codecOf(lane);
    this.out = owner.keeps ? new KeptOutBuffer(context.buffers) : new OutBuffer(context.buffers);
    this.flight = new InFlight();
    this.unsent = 0;
    this.state = CLOSED;
    this.congested = false;
    this.losses = 0;
    this.retired = false;
    this.patience = 0;
    this.unfinished = false;
    this.store = new ReplyStore(context.buffers);
    const reader = new ReplyReader(this, this.flight, context, this.codec);
    this.reader = reader;
    this.socket = null;
    this.ear = null;
    this.handshake = null;
    this.greeting = null;
    this.dirty = false;
    const setting = context.pushesOf(lane);
    this.pushes = setting === null
      ? null
      : new PushSieve(setting, this.codec, (buf, start, end) => reader.take(buf, start, end));
    this.blockedBy = null;
    this.slowReaders = new Patience(context.host);
    this.deadline = new Deadline();
    this.waiters = [];
    this.loss = null;
  }

  /** The oldest attempt that waits for its reply. */
  get head(): Attempt | null {
    return this.flight.head;
  }

  /** The latest. */
  get last(): Attempt | null {
    return this.flight.last;
  }

  /** How many wait. */
  get inFlight(): number {
    return this.flight.count;
  }

  /** What was sent for them. */
  get inFlightBytes(): number {
    return this.flight.bytes;
  }

  /**
   * Puts an attempt into the in-flight queue. Its bytes are appended to `out` by the caller, in the
   * same order and before the turn ends; opens the socket if there is none.
   */
  enqueue(attempt: Attempt, bytes: number): void {
    attempt.sentAt = this.context.turn.clock;
    this.flight.push(attempt, bytes);
    this.unsent++;
    const { counters } = this;
    counters.requests++;
    counters.request_bytes += bytes;
    this.touch();
  }

  /** `run`, which is the last, has one request more, of `bytes` that are in `out` already. */
  extend(attempt: Attempt, run: Run, bytes: number): void {
    run.more++;
    attempt.bytes += bytes;
    this.flight.bytes += bytes;
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
    this.ear = new Ear(this);
    this.socket = this.owner.open(this.ear);
  }

  /** The socket is connected. */
  open(): void {
    this.counters.server_connections++;
    const handshake = bothOf(this.handshake, this.owner.greets ?? null);
    if (handshake === null) return this.becomeReady();
    this.state = GREETING;
    this.greeting = new Greeting(handshake, this.context.buffers);
    this.greeting.say(this.socket as Socket);
  }

  /** Every reply to the greeting has come, or there is none. */
  becomeReady(): void {
    this.state = READY;
    this.owner.ready();
    if ((this.greeting === null || this.greeting.isSaid) && this.state === READY) this.write();
  }

  /** The server does not like the greeting. */
  refused(greeting: Greeting, why: string): void {
    // What the client wants of its own links is no fault of the server's.
    if (this.pushes !== null && greeting.isAtLast) {
      return this.discard(`server refused CLIENT TRACKING: ${why}`);
    }
    this.owner.refused(why);
    this.abort(`server refused redis_auth or redis_db: ${why}`);
  }

  /** The socket has room again. */
  drain(): void {
    const { greeting } = this;
    if (greeting !== null && !greeting.isSaid) {
      greeting.drained(this.socket as Socket);
      if (greeting.isSaid && this.state === READY) this.write();
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

  /** Bytes have come. */
  data(buf: Uint8Array, start: number, end: number): void {
    const { turn } = this.context;
    turn.enter();
    this.counters.response_bytes += end - start;
    this.deadline.heard = true;
    if (this.pushes === null) this.reader.take(buf, start, end);
    else this.pushes.sift(buf, start, end);
    turn.leave();
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
    if (this.deadline.isOver(now, this.flight.head, allowed, late)) this.abort("ETIMEDOUT");
    else if (this.pushes !== null && this.state === READY) this.probe(this.pushes.tick(now, late));
  }

  /** A link that only hears pushes would not be missed. */
  private probe(how: "ask" | "gone" | ""): void {
    const { probe } = this.codec;
    if (how === "gone" && this.patience === 0 && this.blockedBy === null) this.abort("ETIMEDOUT");
    if (how === "ask" && this.head === null && probe !== null) {
      this.send(new Question(UNHEARD), probe, 0, probe.length);
    }
  }

  /** Closes because of `errno` (or a sentence that becomes the error's text). */
  abort(errno: string): void {
    if (this.state === CLOSED) return;
    const socket = this.socket as Socket;
    this.close(errno);
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
  close(errno: string, fault: Fault = "server"): void {
    const { owner, out } = this;
    if (this.state > CONNECTING) this.counters.server_connections--;
    const unsent = out.unhanded;
    const kept = owner.keeps ? (out as KeptOutBuffer).takeKept() : null;
    const loss = new Loss(this.flight, unsent, kept);
    const wasReady = this.state === READY;
    this.state = CLOSED;
    this.losses++;
    this.socket = null;
    this.ear?.stop();
    this.ear = null;
    this.greeting?.drop();
    this.greeting = null;
    out.clear();
    this.unsent = 0;
    this.unfinished = false;
    this.reader.reset();
    this.deadline.reset();
    if (this.blockedBy !== null) this.unblock(this.blockedBy);
    const text = errnoText(errno);
    if (fault === "server") owner.closed(errno, text, loss.count);
    this.tell(loss, text);
    this.pushes?.reset(wasReady);
    this.relax();
  }

  /** `text` is told to all that `loss` is of. */
  private tell(loss: Loss, text: string): void {
    const { host, now, slow } = this.context;
    const overdue = (attempt: Attempt): void => {
      const ms = host.now() - attempt.sentAt;
      if (ms > slow.ms) slow.tell(attempt, this.codec, this.owner, ms, now, text);
    };
    const { loss: outer } = this; // a sink may have closed a link that was lost
    this.loss = loss;
    loss.tell(this, text, slow.on && text !== "" ? overdue : null);
    this.loss = outer;
  }

  sent(attempt: Attempt, to: OutBuffer): boolean {
    const { bytes } = attempt;
    if (this.loss !== null) return this.loss.copy(bytes, to);
    if (!this.owner.keeps) return false;
    return (this.out as KeptOutBuffer).copyKept(this.inFlightBytes + bytes, bytes, to);
  }
}
