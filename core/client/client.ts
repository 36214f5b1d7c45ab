// One client: takes its commands apart, sends each on its way, and gives it the replies in the
// order of the commands, whichever server answers first.

import { EMPTY } from "../bytes.ts";
import { errnoText } from "../errno.ts";
import type { Socket, SocketHandler } from "../host.ts";
import { OutBuffer } from "../wire/out_buffer.ts";
import {
  ALL,
  ANY,
  APART,
  BAD,
  type Codec,
  FORWARD,
  GATHER,
  LOCAL,
  MORE,
  NOTHING,
  type Peer,
  PIN,
  PIN_RESET,
  type Quiet,
  QUIT,
  REFUSE,
  Scan,
  type Session,
  SPLIT,
  TOPICS,
  WALK,
} from "../protocol/codec.ts";
import { fanOutApart } from "../exchange/apart.ts";
import { fanOutAll, fanOutKeys, gather, inquire, together, walk } from "../exchange/fan_out.ts";
import { clientClosed, clientFails, protocolError } from "../journal.ts";
import { LATER, ORDINARY, type Pin, pinned } from "./pin.ts";
import type { Pool } from "../pool.ts";
import { type Request, SPECIAL } from "../exchange/request.ts";
import type { ServerConnection } from "../link/server_connection.ts";
import { publish } from "../exchange/publish.ts";
import { outOfPlace } from "./renewed.ts";
import { refusedToListener, subscribed, type Subscriptions } from "./subscriptions.ts";
import { UPLOAD, Upload } from "../exchange/upload.ts";

/** Requests in flight of one client; at the limit its reading stops until half are answered. */
const MAX_QUEUED = 8192;
/** Unwritten replies (bytes) above which its reading stops. */
const HIGH_WATER = 1 << 20;
/** Least number of bytes taken at a time to complete an unfinished request. */
const STITCH = 512;
/** An unfinished request longer than this keeps its parser state instead of being parsed again. */
const KEEP_SCAN = 4096;
/** A carried request at least this long is handed to the server connection without a copy. */
const ADOPT = 16384;
/** Input (bytes) that is read, unhandled, to see whether the client leaves. */
const LISTENED = 65536;
/** Announced length (bytes) for which room is made at once. */
const BELIEVED = 1 << 20;
/** How long (ms) a new client may take to send its first command when the proxy stops. */
const FRESH = 1000;
/** How long (ms) a client we are done with may take to close its side. */
const LINGER = 1000;

export class Client implements SocketHandler, Peer {
  readonly session: Session;
  readonly pool: Pool;
  /** Unique in the pool; chooses among a server's connections. */
  readonly id: number;
  /** Which of a server's connections it uses: see Pool.laneOf. */
  lane: number;
  readonly out: OutBuffer;
  /** Requests whose replies are still to come, in order. */
  head: Request | null;
  tail: Request | null;
  queued: number;
  /** Bytes of replies that are held until their turn comes. */
  held: number;
  closed: boolean;
  /** For the log: requests and bytes taken, and why it was closed. */
  taken: number;
  received: number;
  private why: string;
  /** The server connection that does not read because of this client. */
  blocks: ServerConnection | null;
  /** Its hold on a connection of its own (transactions, blocking requests); null for none. */
  pin: Pin | null;
  /** What it is subscribed to; null until it first is. */
  subscriptions: Subscriptions | null;
  /** A request of one key needs no second look: the session may do all, and nothing is pinned. */
  private plain: boolean;
  /** Of the dialect it speaks; the pool's until its first byte has come. */
  codec: Codec;
  private begun: boolean;
  private firstByte: number;
  /** When it last sent something (pool time). */
  private heardAt: number;
  /** Its own request ends it: it is closed when it has the reply. */
  private killed: boolean;
  private readonly socket: Socket;
  private dirty: boolean;
  private paused: boolean;
  /** Its socket is not read. It may be read while paused: what comes is then kept. */
  private deaf: boolean;
  /** Paused because a server connection is congested. */
  private waiting: boolean;
  /** Paused until every earlier request is answered. */
  private emptying: boolean;
  /** No more requests are taken; closes when all replies are written. */
  private finishing: boolean;
  /** The client has sent FIN. */
  private ended: boolean;
  /** It is to be closed once what it has sent is answered: see `leave`. */
  private leaving: boolean;
  /** We have sent FIN; since when (pool time), -1 = not yet. */
  private lingeringSince: number;
  /** The unfinished request: carry[carryStart, carryEnd), of `expected` bytes if that is known. */
  private carry: Uint8Array;
  private carryStart: number;
  private carryEnd: number;
  private expected: number;
  /** The huge request that is being passed on; null when there is none. */
  private upload: Upload | null;
  /** The connection of one that is complete, until it is answered. */
  private uploaded: ServerConnection | null;
  /** Parser state of a long unfinished request; null when the pool's shared one does. */
  private scan: Scan | null;

  constructor(pool: Pool, socket: Socket, id: number) {
    this.pool = pool;
    this.socket = socket;
    this.id = id;
    this.lane = pool.lane;
    this.codec = pool.codec;
    this.begun = false;
    this.firstByte = 0;
    this.heardAt = pool.now;
    this.killed = false;
    this.session = pool.codec.newSession(id, socket.remote, pool.host.wallClock());
    this.out = new OutBuffer(pool.buffers);
    this.head = null;
    this.tail = null;
    this.queued = 0;
    this.held = 0;
    this.closed = false;
    this.taken = 0;
    this.received = 0;
    this.why = "";
    this.blocks = null;
    this.pin = null;
    this.subscriptions = null;
    this.plain = !this.session.locked;
    this.dirty = false;
    this.paused = false;
    this.deaf = false;
    this.waiting = false;
    this.emptying = false;
    this.finishing = false;
    this.ended = false;
    this.leaving = false;
    this.lingeringSince = -1;
    this.carry = EMPTY;
    this.carryStart = 0;
    this.carryEnd = 0;
    this.expected = 0;
    this.upload = null;
    this.uploaded = null;
    this.scan = null;
  }

  open(): void {}

  data(buf: Uint8Array, start: number, end: number): void {
    if (this.finishing) return; // after QUIT or a protocol error nothing more is read
    const turn = this.pool.turn;
    turn.enter();
    this.heardAt = this.pool.now;
    this.received += end - start;
    if (this.upload !== null) start = this.continueUpload(this.upload, buf, start, end);
    if (start === end) return turn.leave();
    if (!this.begun) {
      this.begin(buf[start]);
      if (this.finishing) return turn.leave();
    }
    if (this.carryEnd === 0 && !this.paused) this.take(buf, start, end);
    else if (this.paused) this.keepUnhandled(buf, start, end);
    else this.complete(buf, start, end);
    turn.leave();
  }

  private keepUnhandled(buf: Uint8Array, start: number, end: number): void {
    this.keep(buf, start, end);
    if (this.carryEnd - this.carryStart >= LISTENED) this.listen(false);
  }

  private listen(on: boolean): void {
    if (this.deaf !== on) return;
    this.deaf = !on;
    if (on) this.socket.resume();
    else this.socket.pause();
  }

  /** The first byte tells which of a port's dialects the client speaks. */
  private begin(byte: number): void {
    this.begun = true;
    this.firstByte = byte;
    // A TLS record; no request of either protocol begins like that.
    if (byte === 22) {
      this.pool.handshakeFailed(this.socket.remote, "it speaks TLS, and the pool has no tls");
      this.finish();
    }
    this.codec = this.codec.dialects?.of(byte) ?? this.codec;
    if (this.codec !== this.pool.codec) this.lane = this.pool.laneOf(this.session, this.codec);
  }

  /** Handles what is complete and keeps the rest. */
  private take(buf: Uint8Array, start: number, end: number): void {
    const done = this.process(buf, start, end);
    if (done < end && !this.finishing) this.keep(buf, done, end);
  }

  /**
   * Completes the request in `carry`. Only as much is copied behind it as is likely to be needed,
   * so that a long read is not copied because one request was cut by its start.
   */
  private complete(buf: Uint8Array, start: number, end: number): void {
    let pos = start;
    while (pos < end) {
      const old = this.carryEnd - this.carryStart;
      const want = this.expected > old ? this.expected - old : Math.max(STITCH, old);
      const to = Math.min(end, pos + want);
      this.keep(buf, pos, to);
      const carry = this.carry;
      const from = this.carryStart;
      const used = this.process(carry, from, this.carryEnd) - from;
      if (this.finishing) return;
      if (this.upload !== null) {
        // All that was carried has been passed on; what follows it is of the same request.
        this.dropCarry();
        return this.keep(buf, this.continueUpload(this.upload, buf, to, end), end);
      }
      if (this.paused) {
        if (this.carry === carry) this.carryStart += used;
        return this.keep(buf, to, end);
      }
      if (used >= old) {
        this.dropCarry();
        return this.take(buf, pos + used - old, end);
      }
      this.carryStart += used;
      pos = to;
    }
  }

  private keep(buf: Uint8Array, start: number, end: number): void {
    const n = end - start;
    if (n === 0) return;
    const have = this.carryEnd - this.carryStart;
    if (this.carryEnd + n > this.carry.length) {
      const buffers = this.pool.buffers;
      // Grown as bytes come, not as announced: an announced length costs the client nothing.
      const next = buffers.take(
        Math.max(have + n, Math.min(this.expected, Math.max(2 * (have + n), BELIEVED))),
      );
      if (have > 0) next.set(this.carry.subarray(this.carryStart, this.carryEnd));
      if (this.carry !== EMPTY) buffers.give(this.carry);
      this.carry = next;
      this.carryStart = 0;
      this.carryEnd = have;
    }
    this.carry.set(buf.subarray(start, end), this.carryEnd);
    this.carryEnd += n;
  }

  private dropCarry(): void {
    if (this.carry !== EMPTY) this.pool.buffers.give(this.carry);
    this.carry = EMPTY;
    this.carryStart = 0;
    this.carryEnd = 0;
    this.expected = 0;
  }

  /** Handles the complete requests in `buf[start, end)`; returns where the first unfinished begins. */
  private process(buf: Uint8Array, start: number, end: number): number {
    const pool = this.pool;
    const codec = this.codec;
    const scan = this.scan ?? pool.scan;
    const slow = pool.slow.on ? pool.slow : null;
    // Consecutive commands for one connection are copied as one span.
    let spanConnection: ServerConnection | null = null;
    let spanStart = 0;
    let pos = start;
    while (pos < end) {
      let result = codec.parseRequest(scan, buf, pos, end);
      if (!this.plain && result !== BAD && this.isTooMuch(scan, buf, pos, end)) result = BAD;
      if (result <= MORE) {
        if (result === BAD) {
          if (spanConnection !== null) spanConnection.out.append(buf, spanStart, pos);
          this.reject(scan.error);
          return end;
        }
        break;
      }
      this.taken++;
      if (scan.action === FORWARD && this.plain && scan.scratch === null) {
        const connection = pool.route(buf, pos + scan.keyStart, pos + scan.keyEnd, this);
        if (connection !== null) {
          if (connection !== spanConnection) {
            if (spanConnection !== null) spanConnection.out.append(buf, spanStart, pos);
            spanConnection = connection;
            spanStart = pos;
          }
          const request = pool.requests.take(this);
          request.tagHigh = scan.tagHigh;
          request.tagLow = scan.tagLow;
          request.verb = scan.verb;
          if (slow !== null) slow.note(request, buf, pos + scan.keyStart, pos + scan.keyEnd);
          connection.enqueue(request, scan.length);
          if (this.head === null) this.head = request;
          else (this.tail as Request).next = request;
          this.tail = request;
          pos += scan.length;
          if (++this.queued < MAX_QUEUED && !connection.congested) continue;
          this.stopReading(connection);
          break;
        }
      }
      if (spanConnection !== null) {
        spanConnection.out.append(buf, spanStart, pos);
        spanConnection = null;
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
      if (this.finishing) return end;
      if (this.queued >= MAX_QUEUED) this.stopReading(null);
      if (this.paused) break;
    }
    if (spanConnection !== null) this.sendSpan(spanConnection, buf, spanStart, pos);
    if (pos < end && !this.paused) {
      if (scan.length > UPLOAD && this.startUpload(scan, buf, pos, end)) return end;
      this.remember(scan, end - pos);
    } else if (this.scan !== null) {
      this.scan = null;
    }
    return pos;
  }

  /**
   * Passes on the unfinished request at `buf[start, end)` instead of gathering it, if it is one of
   * a single key and that is there. False when it is to be kept: because it has to be gathered, or
   * because earlier requests are not answered yet, which it might overtake on its own connection.
   */
  private startUpload(scan: Scan, buf: Uint8Array, start: number, end: number): boolean {
    const pool = this.pool;
    if (scan.action !== FORWARD || scan.left <= 0 || start + scan.keyEnd > end) return false;
    if (!this.plain) return false;
    if (this.head !== null) {
      this.emptyFirst();
      return false;
    }
    const index = pool.pick(buf, start + scan.keyStart, start + scan.keyEnd);
    if (index < 0) return false;
    const connection = pool.servers[index].takeExtra(this.lane);
    const request = pool.requests.take(this);
    request.tagHigh = scan.tagHigh;
    request.tagLow = scan.tagLow;
    request.verb = scan.verb;
    if (pool.slow.on) pool.slow.note(request, buf, start + scan.keyStart, start + scan.keyEnd);
    this.taken++;
    this.push(request);
    connection.enqueue(request, scan.length);
    this.upload = new Upload(connection, request, scan.length);
    scan.reset();
    this.scan = null;
    this.continueUpload(this.upload, buf, start, end);
    return true;
  }

  private continueUpload(upload: Upload, buf: Uint8Array, start: number, end: number): number {
    const pos = upload.feed(buf, start, end);
    if (upload.connection.congested) this.stopReading(upload.connection);
    if (upload.left === 0) {
      this.upload = null;
      this.uploaded = upload.connection;
      if (!upload.whole) upload.connection.discard();
      this.emptyFirst();
    }
    return pos;
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

  /** Takes no further requests until all earlier ones are answered. */
  private emptyFirst(): void {
    this.emptying = true;
    this.stopReading(null);
    this.touch();
  }

  /** As `emptyFirst`, but sees it at once when the client leaves. */
  emptyListening(): void {
    this.emptying = true;
    this.paused = true;
    if (this.carryEnd - this.carryStart < LISTENED) this.listen(true);
    this.touch();
  }

  /** The last span of a read. A long carried request is handed over as it is, without a copy. */
  private sendSpan(to: ServerConnection, buf: Uint8Array, start: number, end: number): void {
    if (end - start < ADOPT) return to.out.append(buf, start, end);
    if (buf !== this.carry || end !== this.carryEnd) return to.pass(buf, start, end);
    to.out.adopt(buf, start, end);
    this.carry = EMPTY;
    this.carryStart = this.carryEnd = 0;
  }

  /** A request is unfinished: `have` bytes of it are there. */
  private remember(scan: Scan, have: number): void {
    this.expected = scan.length;
    if (have > this.pool.limits.request) {
      return this.reject(this.codec.failure("request too large", scan));
    }
    if (have > KEEP_SCAN) {
      if (this.scan === null) {
        this.scan = scan;
        this.pool.scan = new Scan();
      }
      return;
    }
    scan.reset();
    this.scan = null;
  }

  /**
   * Everything but the plain case: `buf[at, at + length)` is the request as the server is to get it.
   * False when it has to wait until all earlier ones are answered.
   */
  private special(scan: Scan, buf: Uint8Array, at: number, length: number): boolean {
    if (this.subscriptions !== null && refusedToListener(this, scan, buf, at)) return true;
    if (this.pin !== null || scan.action === PIN) {
      const how = pinned(this, scan, buf, at, length);
      if (how !== ORDINARY) return how !== LATER;
    }
    if (scan.action === APART && this.head !== null) return false;
    if (scan.action === TOPICS) {
      const how = subscribed(this, scan, buf, at);
      if (how !== ORDINARY) return how !== LATER;
    }
    this.ordinary(scan, buf, at, length);
    return true;
  }

  private ordinary(scan: Scan, buf: Uint8Array, at: number, length: number): void {
    const codec = this.codec;
    if (scan.action === REFUSE) return this.answer(scan.error);
    if (scan.action === NOTHING) return;
    if (this.session.locked && !codec.openToAll(scan)) {
      return this.answer(codec.lockedError(scan));
    }
    switch (scan.action) {
      case LOCAL:
        return this.answerLocally(scan, buf, at);
      case QUIT:
        this.answer(codec.answer(scan, buf, at, this.session));
        this.why = "quit";
        return this.finish();
      case SPLIT:
        return fanOutKeys(this, scan, buf, at, length);
      case ALL:
        return fanOutAll(this, scan, buf, at, length);
      case APART:
        return fanOutApart(this, scan, buf, at, length);
      case GATHER:
        return gather(this, scan, buf, at, length);
      case WALK:
        return walk(this, scan, buf, at, length);
      case ANY:
        return this.send(this.pool.anyConnection(this), scan, buf, at, length);
      case FORWARD: {
        const connection = this.pool.route(buf, at + scan.keyStart, at + scan.keyEnd, this);
        return this.send(connection, scan, buf, at, length);
      }
      default:
        if (codec.publishing !== null && publish(this, scan, buf, at, length)) return;
        return together(this, scan, buf, at, length);
    }
  }

  private answerLocally(scan: Scan, buf: Uint8Array, at: number): void {
    const reply = this.codec.answer(scan, buf, at, this.session);
    if (scan.pin === PIN_RESET) this.subscriptions?.drop();
    this.setPin(this.pin);
    const lane = this.pool.laneOf(this.session, this.codec);
    if (lane !== this.lane) {
      this.lane = lane;
      // Later requests take other connections: they must not overtake the earlier ones.
      if (this.head !== null) this.emptyFirst();
    }
    this.answer(reply);
    if (this.killed) this.finish();
  }

  get queuedInMulti(): number {
    return this.pin !== null && this.pin.multi ? this.pin.queued : -1;
  }

  get isBlocked(): boolean {
    return this.pin !== null && this.pin.blocking;
  }

  get idle(): number {
    return this.pool.now - this.heardAt;
  }

  kill(asks: boolean): void {
    if (asks) this.killed = true;
    else this.cutOffQuietly();
  }

  /** Sets `pin`, and what follows from it and from the session. */
  setPin(pin: Pin | null): void {
    this.pin = pin;
    this.plain = pin === null && !this.session.locked && !this.session.restricted &&
      !this.onlyListens();
  }

  /** In RESP2 a subscribed client may say little else. */
  private onlyListens(): boolean {
    const { subscriptions } = this;
    return subscriptions !== null && subscriptions.total > 0 && subscriptions.isExclusive();
  }

  /** Sends one whole request to `connection`; null means that no server is alive. */
  send(
    connection: ServerConnection | null,
    scan: Scan,
    buf: Uint8Array,
    at: number,
    length: number,
  ): void {
    const request = this.pool.requests.take(this);
    request.mute = scan.mute;
    request.tagHigh = scan.tagHigh;
    request.tagLow = scan.tagLow;
    request.verb = scan.verb;
    if (scan.mute !== 0) request.kind = SPECIAL;
    const { slow } = this.pool;
    if (slow.on) slow.noteFirst(request, this.codec, scan, buf, at);
    this.push(request);
    if (connection === null) return this.pool.fail(request, "Connection refused");
    connection.enqueue(request, length);
    connection.out.append(buf, at, at + length);
    if (connection.congested) this.stopReading(connection);
  }

  /** Puts a request at the end of the queue. */
  push(request: Request): void {
    if (this.head === null) this.head = request;
    else (this.tail as Request).next = request;
    this.tail = request;
    this.queued++;
  }

  /** Answers the request that was just parsed, in its place. */
  answer(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    if (this.head === null) {
      this.out.append(bytes, 0, bytes.length);
      return this.touch();
    }
    const request = this.pool.requests.take(this);
    request.held = bytes;
    request.heldEnd = bytes.length;
    request.ready = true;
    this.push(request);
  }

  /** Gives the client replies that are its next, straight from a server's bytes. */
  pass(buf: Uint8Array, start: number, end: number): void {
    this.out.pass(this.socket, buf, start, end);
  }

  /** Takes the head off the queue, its reply being in `out`. */
  shift(request: Request): void {
    this.head = request.next;
    this.queued--;
    this.pool.requests.give(request);
  }

  /** Gives the client every reply that is ready at the head of its queue. */
  advance(): void {
    let request = this.head;
    while (request !== null && request.ready) {
      if (request.parts.length === 0) {
        this.out.append(request.held, request.heldStart, request.heldEnd);
      } else if (request.mute === 0 || !this.muted(request)) {
        this.codec.join(request, this.out);
      }
      this.shift(request);
      request = this.head;
    }
    this.touch();
  }

  /** Whether no part of a muted request's reply is to be seen. */
  private muted(request: Request): boolean {
    const { codec } = this;
    const quiet = codec.quiet as Quiet;
    return request.parts.every(({ failure, held, heldStart }) =>
      failure === ""
        ? quiet.muted(request.mute, held, heldStart)
        : quiet.muted(request.mute, codec.failure(failure, request), 0)
    );
  }

  /** There is something to write, or to look after, at the end of the turn. */
  touch(): void {
    if (this.dirty) return;
    this.dirty = true;
    this.pool.turn.markClient(this);
  }

  /** End of turn: writes the replies; goes on reading, or closes, if that is what waits for it. */
  flush(): void {
    this.dirty = false;
    if (this.closed) return;
    if (this.subscriptions !== null) this.subscriptions.release();
    if (!this.out.flush(this.socket) && !this.afterShortWrite()) return;
    if (this.blocks !== null && this.out.size < HIGH_WATER) this.blocks.unblock();
    if (this.paused) this.readOn();
    if (this.finishing && this.head === null && this.out.size === 0) this.linger();
  }

  drain(): void {
    if (this.closed) return; // cut off, and the runtime has not told of the close yet
    this.out.drained(this.socket);
    if (this.out.size === 0) this.subscriptions?.allRead();
    if (this.blocks !== null && this.out.size < HIGH_WATER) this.blocks.unblock();
    if (this.paused) this.readOn();
    if (this.finishing && this.head === null && this.out.size === 0) this.linger();
  }

  /** The client does not take its replies as fast as they come; false when it was cut off. */
  private afterShortWrite(): boolean {
    const size = this.out.size;
    if (this.subscriptions !== null && this.subscriptions.total > 0) {
      const bytes = size + this.subscriptions.heldBytes;
      const most = this.pool.config.pubsub_output_limit;
      const why = most > 0 ? this.subscriptions.tooSlow(bytes, most, this.pool.now) : "";
      if (why !== "") {
        const unread = `${bytes} bytes of messages${why} (pubsub_output_limit: ${most})`;
        this.cutOff(`subscriber did not read ${unread}`);
        return false;
      }
    }
    if (size > this.pool.limits.clientOutput) {
      this.cutOff(`did not read ${size} bytes of replies`);
      return false;
    }
    if (size > HIGH_WATER && !this.paused && !this.finishing) this.stopReading(null);
    return true;
  }

  /** Stops reading; `connection` is why, if it is congested. */
  stopReading(connection: ServerConnection | null): void {
    if (connection !== null && connection.congested && !this.waiting) {
      this.waiting = true;
      connection.addWaiter(this);
    }
    if (this.paused) return;
    this.paused = true;
    this.listen(false);
  }

  /** The server connection this client waited for takes requests again. */
  serverRelaxed(): void {
    this.waiting = false;
    if (!this.closed) this.touch();
  }

  /** Reads on after a pause, if nothing speaks against it any more. */
  private readOn(): void {
    if (this.emptying && this.head !== null) return;
    this.emptying = false;
    if (this.uploaded !== null) this.endUpload(this.uploaded);
    if (this.pin !== null && this.head === null) this.pin.answered();
    if (this.waiting || this.queued > MAX_QUEUED >> 1 || this.out.size > HIGH_WATER >> 1) return;
    this.paused = false;
    if (this.carryEnd > this.carryStart) {
      const carry = this.carry;
      const from = this.carryStart;
      const used = this.process(carry, from, this.carryEnd);
      if (this.finishing) return this.listen(true); // what still comes is dropped: see linger
      if (this.carry === carry) {
        this.carryStart = used;
        if (used === this.carryEnd) this.dropCarry();
      }
      // It has left, or is to leave, and would be blocked.
      const blocked = this.pin !== null && this.pin.blocking;
      if (blocked && (this.ended || this.leaving)) return this.cutOffQuietly();
      if (this.paused) return;
    } else if (this.carry !== EMPTY) {
      this.dropCarry();
    }
    if (this.ended) this.finish();
    else if (this.leaving) this.sayGoodbye();
    else this.listen(true);
  }

  private endUpload(connection: ServerConnection): void {
    this.uploaded = null;
    connection.server.giveExtra(connection);
  }

  /** Answers a broken stream, after what came before it, and closes. */
  private reject(error: Uint8Array): void {
    this.pool.counters.client_err++;
    this.why = "protocol error";
    protocolError(this);
    this.answer(error);
    this.finish();
  }

  /** Takes no more requests; closes when all replies are written. */
  finish(): void {
    if (this.finishing) return;
    this.finishing = true;
    this.subscriptions?.drop();
    this.dropCarry();
    this.touch();
  }

  /**
   * The proxy stops, or the pool is removed: what the client has sent is answered, then it is
   * closed; at once if there is nothing to answer. May be called again and again.
   */
  leave(): void {
    if (this.finishing || this.leaving) return;
    // It may have connected with a command on its way: it gets the time to send that.
    const { host } = this.pool;
    if (!this.begun && host.wallClock() - this.session.since < FRESH) return;
    // What blocks may never be answered. The server lets go of it when its connection closes.
    if (this.pin !== null && this.pin.blocking) return this.cutOffQuietly();
    this.leaving = true;
    // A huge request that is half there is waited for; and see readOn.
    if (!this.paused && this.upload === null) this.sayGoodbye();
  }

  private sayGoodbye(): void {
    if (this.head === null && this.out.size === 0) return this.cutOffQuietly();
    this.finish();
  }

  /**
   * Goes on with the pool's new codec; `old` and `now` are what a new session was and is.
   * Replies to what is in flight are the same by both.
   */
  changeCodec(old: Session, now: Session, reconnect: boolean): void {
    if (this.finishing) return;
    const { pool, session } = this;
    this.codec = this.begun ? (pool.codec.dialects?.of(this.firstByte) ?? pool.codec) : pool.codec;
    // Parsed again from its first byte.
    this.scan = null;
    const { user, locked } = session;
    this.codec.renew(session, old, now);
    this.setPin(this.pin);
    const why = outOfPlace(this, { user, locked });
    if (why !== "") return this.cutOffQuietly(why);
    if (!reconnect) return;
    this.lane = pool.laneOf(session, this.codec);
    // Later requests take other connections: they must not overtake the earlier ones. (After a huge
    // request they never do.)
    if (this.head !== null && this.upload === null) this.emptyFirst();
  }

  /** The pool's servers are others now, or in another order. */
  poolChanged(): void {
    this.pin?.serversChanged();
  }

  /** All is said: FIN, then wait a moment for the client's (a close at once could lose the reply). */
  private linger(): void {
    if (this.closed || this.lingeringSince >= 0) return;
    if (this.ended) return this.socket.close();
    this.lingeringSince = this.pool.now;
    this.pool.lingering.add(this);
    this.listen(true);
    this.socket.shutdown();
  }

  /** Called every tick while lingering. */
  tick(now: number): void {
    if (now - this.lingeringSince > LINGER) this.socket.close();
  }

  /** The client sent FIN: it gets the replies it still waits for. */
  end(): void {
    if (this.closed) return;
    this.pool.counters.client_eof++;
    this.ended = true;
    if (this.lingeringSince >= 0) return this.socket.close();
    if (this.upload !== null) return this.cutOffQuietly(); // half a request gets no reply
    // Redis too hangs up on a client that is blocked and sends FIN: it has most likely left.
    if (this.pin !== null && this.pin.blocking) return this.cutOffQuietly();
    // Requests that wait in `carry` because of a pause are handled first: see readOn.
    if (!this.paused) this.finish();
  }

  /** Closes at once, with unwritten replies. */
  cutOff(why: string): void {
    if (this.closed) return;
    clientFails(this, why);
    this.pool.counters.client_err++;
    this.cutOffQuietly(why);
  }

  /** Closes at once; `why` is for the log. */
  cutOffQuietly(why = ""): void {
    if (this.why === "") this.why = why;
    this.socket.close();
    this.close("");
  }

  close(error: string): void {
    if (this.closed) return;
    this.closed = true;
    this.finishing = true;
    if (error !== "") this.pool.counters.client_err++;
    clientClosed(this, this.why || (error === "" ? "eof" : errnoText(error)));
    this.blocks?.unblock();
    if (this.upload !== null) {
      // Half a request is on that connection: it is of no more use.
      this.upload.connection.discard();
      this.uploaded = this.upload.connection;
    }
    if (this.uploaded !== null) this.endUpload(this.uploaded);
    this.dropCarry();
    this.out.clear();
    let request = this.head;
    while (request !== null) {
      const next: Request | null = request.next;
      // What is ready is in no connection's queue; the rest is given back when its reply comes.
      if (request.ready) this.pool.requests.give(request);
      request = next;
    }
    this.head = null;
    this.tail = null;
    this.pin?.drop();
    this.subscriptions?.drop();
    this.pool.clientClosed(this);
  }
}
