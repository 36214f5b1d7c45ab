// One persistent connection to a server, shared by many clients: their requests go out in one
// stream, and the replies, which come in the same order, are given back to whom they belong.

import { errnoText } from "../errno.ts";
import type { Socket, SocketHandler } from "../host.ts";
import { OutBuffer } from "../wire/out_buffer.ts";
import { type Codec, type Handshake, OWN, ReplyScan } from "../protocol/codec.ts";
import type { Client } from "../client/client.ts";
import { Keeper } from "../wire/hold.ts";
import {
  serverBabbles,
  serverClosed,
  serverConnected,
  serverConnecting,
  serverRefuses,
} from "../journal.ts";
import type { Pool } from "../pool.ts";
import { PLAIN, type Request, SPECIAL } from "../exchange/request.ts";
import type { Server } from "../server/server.ts";

/** No socket; the next request opens one. */
const CLOSED = 0;
const CONNECTING = 1;
/** AUTH and SELECT are on their way; requests wait for their replies. */
const HANDSHAKE = 2;
const READY = 3;

/** A reply with more than this still to come is passed on as it arrives instead of being held. */
const STREAM = 16384;
/** Unwritten output above this stops the reading of the clients that feed it. */
const HIGH_WATER = 4 << 20;
/** More than the longest line of either protocol. */
const LONG_LINE = 65536 + 16;
/** A client with more than this unwritten while a large reply streams to it stops our reading. */
const CLIENT_HIGH_WATER = 1 << 20;

/**
 * What one socket tells a connection. A runtime may have more to tell of a socket after it was
 * closed: that must not reach the socket which has taken its place.
 */
class Link implements SocketHandler {
  private readonly connection: ServerConnection;

  constructor(connection: ServerConnection) {
    this.connection = connection;
  }

  open(): void {
    if (this.connection.link === this) this.connection.open();
  }

  data(buf: Uint8Array, start: number, end: number): void {
    if (this.connection.link === this) this.connection.data(buf, start, end);
  }

  drain(): void {
    if (this.connection.link === this) this.connection.drain();
  }

  end(): void {
    if (this.connection.link === this) this.connection.end();
  }

  close(error: string): void {
    if (this.connection.link === this) this.connection.gone(error);
  }
}

export class ServerConnection {
  readonly server: Server;
  readonly pool: Pool;
  /** What it is set up for (RESP version, database): see Pool.laneOf. */
  readonly lane: number;
  readonly out: OutBuffer;
  /** Requests waiting for replies, oldest first. */
  head: Request | null;
  tail: Request | null;
  /** Length of that queue, and the bytes sent for it. */
  inFlight: number;
  inFlightBytes: number;
  /** How many of them have not been handed to the socket yet. */
  unsent: number;
  state: number;
  /** Too much is waiting to be written: clients that use this connection are paused. */
  congested: boolean;
  /** How many sockets it has lost: what a server kept for one of them is gone with it. */
  losses: number;
  /** It takes no more requests, and is closed when all are answered: see retire.ts. */
  retired: boolean;
  /** How much longer (ms) than the pool's timeout its server may take to answer. */
  patience: number;
  private readonly codec: Codec;
  private socket: Socket | null;
  /** The current socket's; null when there is none. */
  link: Link | null;
  /** The handshake, while the socket has not taken all of it. */
  private greeting: OutBuffer | null;
  private dirty: boolean;
  private readonly scan: ReplyScan;
  private readonly keeper: Keeper;
  /** The beginning of a line whose end has not arrived: carry[0, carried). */
  private carry: Uint8Array;
  private carried: number;
  /** Part of the current reply has already gone to its client. */
  streaming: boolean;
  private handshakesLeft: number;
  /** The client whose slowness stops our reading, since when (pool time), what it had unwritten. */
  private blockedBy: Client | null;
  private blockedSince: number;
  /** When our reading went on (pool time): what came late because of that has not timed out. */
  private unblockedAt: number;
  /** Id of the client that was not worth waiting for: its output grows, up to the pool's limit. */
  private gaveUpOn: number;
  private readonly waiters: Client[];

  constructor(pool: Pool, server: Server, lane: number) {
    this.pool = pool;
    this.lane = lane;
    this.server = server;
    this.codec = pool.codecOf(lane);
    this.out = new OutBuffer(pool.buffers);
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
    this.socket = null;
    this.link = null;
    this.greeting = null;
    this.dirty = false;
    this.scan = new ReplyScan();
    this.keeper = new Keeper(pool.buffers);
    this.carry = new Uint8Array(64);
    this.carried = 0;
    this.streaming = false;
    this.handshakesLeft = 0;
    this.blockedBy = null;
    this.blockedSince = 0;
    this.unblockedAt = 0;
    this.gaveUpOn = 0;
    this.waiters = [];
  }

  /**
   * Puts a request into the in-flight queue. Its bytes are appended to `out` by the caller, in the
   * same order and before the turn ends; opens the connection if there is none.
   */
  enqueue(request: Request, bytes: number): void {
    request.sentAt = this.pool.turn.clock;
    request.bytes = bytes;
    if (this.head === null) this.head = request;
    else (this.tail as Request).nextInFlight = request;
    this.tail = request;
    this.inFlight++;
    this.unsent++;
    this.inFlightBytes += bytes;
    const counters = this.server.counters;
    counters.requests++;
    counters.request_bytes += bytes;
    this.touch();
  }

  /** There is something to write at the end of the turn. */
  touch(): void {
    if (this.dirty) return;
    this.dirty = true;
    this.pool.turn.markServer(this);
  }

  /** Sends a long span of requests that are enqueued already. */
  pass(buf: Uint8Array, start: number, end: number): void {
    this.out.pass(this.state === READY ? this.socket : null, buf, start, end);
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

  /** Opens the connection if it is closed. */
  connect(): void {
    if (this.state !== CLOSED) return;
    this.state = CONNECTING;
    serverConnecting(this.server);
    this.link = new Link(this);
    this.socket = this.server.open(this.link);
  }

  open(): void {
    this.server.counters.server_connections++;
    const handshake = this.pool.handshakeOf(this.lane);
    if (handshake === null) return this.becomeReady();
    this.state = HANDSHAKE;
    this.greet(handshake);
  }

  private greet(handshake: Handshake): void {
    this.handshakesLeft = handshake.replies;
    // The requests gathered so far stay in `out`: a second buffer carries the few bytes of AUTH.
    const first = new OutBuffer(this.pool.buffers);
    first.append(handshake.bytes, 0, handshake.bytes.length);
    if (!first.flush(this.socket as Socket)) this.greeting = first;
  }

  private becomeReady(): void {
    this.state = READY;
    serverConnected(this.server);
    if (this.greeting === null) this.write();
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

  /** `client` has to wait until this connection has written more. */
  addWaiter(client: Client): void {
    this.waiters.push(client);
  }

  private relax(): void {
    this.congested = false;
    const waiters = this.waiters.splice(0);
    for (const client of waiters) client.serverRelaxed();
  }

  data(buf: Uint8Array, start: number, end: number): void {
    const turn = this.pool.turn;
    turn.enter();
    this.server.counters.response_bytes += end - start;
    let pos = start;
    while (this.carried > 0 && pos < end) pos = this.completeLine(buf, pos, end);
    if (pos < end) this.consume(buf, pos, end);
    turn.leave();
  }

  /**
   * Brings the line in `carry` to its end with bytes from `buf`, consumes it, and returns where to
   * go on. (Lines and heads only: bodies are never carried.)
   */
  private completeLine(buf: Uint8Array, start: number, end: number): number {
    const head = this.codec.replyHead;
    if (head > 0) return this.completeHead(buf, start, end, head);
    let pos = start;
    while (pos < end && buf[pos++] !== 10);
    this.keepLine(buf, start, pos);
    // Without its end a line is only looked at when it is too long to be one.
    if (buf[pos - 1] !== 10 && this.carried <= LONG_LINE) return pos;
    this.consumeCarry();
    return pos;
  }

  private completeHead(buf: Uint8Array, start: number, end: number, head: number): number {
    const pos = Math.min(end, start + head - this.carried);
    this.keepLine(buf, start, pos);
    if (this.carried === head) this.consumeCarry();
    return pos;
  }

  private consumeCarry(): void {
    const carried = this.carried;
    this.carried = 0;
    this.consume(this.carry.slice(0, carried), 0, carried);
  }

  private keepLine(buf: Uint8Array, start: number, end: number): void {
    const n = end - start;
    if (this.carried + n > this.carry.length) {
      const larger = new Uint8Array((this.carried + n) * 2);
      larger.set(this.carry.subarray(0, this.carried));
      this.carry = larger;
    }
    for (let i = 0; i < n; i++) this.carry[this.carried + i] = buf[start + i];
    this.carried += n;
  }

  /** Hands out the replies in `buf[start, end)`. */
  private consume(buf: Uint8Array, start: number, end: number): void {
    if (this.state !== READY) {
      if (this.state === CLOSED) return;
      start = this.shakeHands(buf, start, end);
      if (start >= end || this.state !== READY) return;
    }
    const codec = this.codec;
    const scan = this.scan;
    const requests = this.pool.requests;
    const counters = this.server.counters;
    const fresh = scan.done;
    // Consecutive replies for one client are copied as one span.
    let spanClient: Client | null = null;
    let spanStart = 0;
    // Neighbours that were sent in one turn took equally long.
    const { classes } = codec;
    const { slow } = this.pool;
    const { clock } = this.pool.turn;
    let sentAt = 0;
    let cls = 0;
    let alike = 0;
    let late = false;
    let pos = start;
    while (pos < end) {
      const request = this.head;
      if (request === null) break;
      const next = codec.parseReply(scan, buf, pos, end);
      if (!scan.done) {
        if (spanClient !== null) spanClient.pass(buf, spanStart, pos);
        if (alike > 0) this.server.answered(cls, clock - sentAt, alike);
        if (pos > start) this.streaming = false;
        return this.partial(request, buf, pos, next, end);
      }
      if (request.sentAt !== sentAt || classes[request.verb + 1] !== cls) {
        if (alike > 0) this.server.answered(cls, clock - sentAt, alike);
        sentAt = request.sentAt;
        cls = classes[request.verb + 1];
        alike = 0;
        // What blocks takes its time.
        late = clock - sentAt > slow.ms && this.patience === 0;
      }
      alike++;
      if (late) slow.tell(request, this.server, clock - sentAt, this.pool.now, "");
      const client = request.client;
      if (client.head === request && request.kind === PLAIN) {
        this.head = request.nextInFlight;
        this.inFlight--;
        this.inFlightBytes -= request.bytes;
        counters.responses++;
        if (client !== spanClient) {
          if (spanClient !== null) spanClient.pass(buf, spanStart, pos);
          spanClient = client;
          spanStart = pos;
          client.touch();
        }
        const follower = request.next;
        client.head = follower;
        client.queued--;
        requests.givePlain(request);
        if (follower !== null && follower.ready) {
          client.pass(buf, spanStart, next);
          spanClient = null;
          client.advance();
        }
      } else {
        if (spanClient !== null) {
          spanClient.pass(buf, spanStart, pos);
          spanClient = null;
        }
        this.shiftInFlight(request);
        counters.responses++;
        this.finish(request, buf, pos, next);
      }
      pos = next;
    }
    if (spanClient !== null) spanClient.pass(buf, spanStart, pos);
    if (alike > 0) this.server.answered(cls, clock - sentAt, alike);
    this.streaming = false;
    if (this.pool.autoEject && fresh && pos > start) this.judge(buf, start, pos);
    if (pos < end) {
      // Behind the false end of a list of keys: see exchange/apart.ts.
      if (this.retired) return this.discard();
      serverBabbles(this.server, "sent a reply nobody waits for");
      this.abort("EINVAL");
    }
  }

  private shiftInFlight(request: Request): void {
    this.head = request.nextInFlight;
    this.inFlight--;
    this.inFlightBytes -= request.bytes;
    request.nextInFlight = null;
  }

  /** A reply that is not the next thing its client waits for, or is special. */
  private finish(request: Request, buf: Uint8Array, start: number, end: number): void {
    const client = request.client;
    const parent = request.parent;
    if (client.closed) {
      this.pool.abandon(request);
      return;
    }
    if (request.mute !== 0) {
      const held = request.hold !== null;
      const first = held ? request.held : buf;
      const at = held ? request.heldStart : start;
      const own = request.mute === OWN;
      if (own || this.codec.quiet?.muted(request.mute, first, at)) {
        const refused = own && this.codec.isError(first, at);
        request.release();
        request.ready = true;
        if (client.head === request) client.advance();
        // What the client was told in the server's place is not so.
        if (refused) this.abort("EINVAL");
        return;
      }
      this.codec.quiet?.unmute?.(request.mute, first, at);
    }
    if (parent === null && client.head === request) {
      client.out.append(request.held, request.heldStart, request.heldEnd);
      client.out.append(buf, start, end);
      client.shift(request);
      client.touch();
      if (client.head !== null) client.advance();
      return;
    }
    this.hold(request, buf, start, end);
    if (client.closed) return this.pool.abandon(request); // it was too much
    request.ready = true;
    if (parent !== null) this.pool.fragmentDone(parent);
  }

  /** The end of the input is in the middle of a reply: buf[pos, next) is of it, the rest a line. */
  private partial(request: Request, buf: Uint8Array, pos: number, next: number, end: number): void {
    if (this.scan.bad) {
      serverBabbles(this.server, "sent what is no reply");
      return this.abort("EINVAL");
    }
    if (next < end) this.keepLine(buf, next, end);
    if (next === pos) return;
    const client = request.client;
    const direct = client.head === request && request.parent === null && request.mute === 0;
    if (direct && (this.streaming || this.scan.skip > STREAM)) {
      if (request.hold !== null) {
        client.out.append(request.held, request.heldStart, request.heldEnd);
        request.release();
      }
      request.kind = PLAIN;
      this.streaming = true;
      client.pass(buf, pos, next);
      client.touch();
      if (client.out.size > CLIENT_HIGH_WATER) this.waitForClient(client);
      else if (this.gaveUpOn === client.id) this.gaveUpOn = 0;
    } else if (!client.closed) {
      request.kind = SPECIAL;
      this.hold(request, buf, pos, next);
    }
  }

  /** Keeps reply bytes that cannot go to their client yet; a client may have only so much kept. */
  private hold(request: Request, buf: Uint8Array, start: number, end: number): void {
    const { client } = request;
    this.keeper.append(request, buf, start, end);
    client.held += end - start;
    if (client.held > this.pool.limits.clientOutput) {
      client.cutOff(`waits for one reply while ${client.held} bytes of later ones are held`);
    }
  }

  /** Stops reading until `client` has taken more of its large reply. */
  private waitForClient(client: Client): void {
    if (this.blockedBy !== null || this.gaveUpOn === client.id) return;
    // A connection it had stopped before has no more to do with it: its reply is complete.
    client.blocks?.unblock();
    this.blockedBy = client;
    this.blockedSince = this.pool.now;
    client.blocks = this;
    this.socket?.pause();
  }

  /** The client that stopped our reading has caught up, is gone, or is not worth waiting for. */
  unblock(): void {
    if (this.blockedBy === null) return;
    this.blockedBy.blocks = null;
    this.blockedBy = null;
    this.unblockedAt = this.pool.now;
    this.socket?.resume();
  }

  /** Replies during the handshake; returns where requests' replies begin. */
  private shakeHands(buf: Uint8Array, start: number, end: number): number {
    let pos = start;
    while (this.handshakesLeft > 0 && pos < end) {
      const next = this.codec.parseReply(this.scan, buf, pos, end);
      if (this.scan.bad) {
        this.abort("EINVAL");
        return end;
      }
      if (!this.scan.done) {
        this.keepLine(buf, next, end);
        return end;
      }
      if (this.codec.isError(buf, pos)) {
        const why = this.codec.errorText(buf, pos, next);
        serverRefuses(this.server, why);
        this.abort(`server refused redis_auth or redis_db: ${why}`);
        return end;
      }
      this.handshakesLeft--;
      pos = next;
    }
    if (this.handshakesLeft === 0) this.becomeReady();
    return pos;
  }

  /** The first reply of a read shows that the server is well, or says itself that it is not. */
  private judge(buf: Uint8Array, start: number, end: number): void {
    if (this.codec.serverErrors?.isServerFailure(buf, start, end)) this.server.failed();
    else this.server.failures = 0;
  }

  /** Called every tick: closes when the oldest request has waited too long. */
  tick(now: number, timeout: number): void {
    if (this.blockedBy !== null) {
      if (now - this.blockedSince <= GRACE) return;
      this.gaveUpOn = this.blockedBy.id;
      return this.unblock();
    }
    if (timeout <= 0 || this.head === null) return;
    const waited = now - Math.max(this.head.sentAt, this.unblockedAt);
    if (waited <= timeout) return;
    if (this.state === READY && waited - this.patience <= timeout) return;
    this.abort("ETIMEDOUT");
  }

  end(): void {
    this.abort("");
  }

  /** Closes because of `errno` (or a sentence that becomes the error's text). */
  abort(errno: string): void {
    if (this.state === CLOSED) return;
    const socket = this.socket as Socket;
    this.gone(errno);
    socket.close();
  }

  /** Closes for no fault of the server's; `why` is told to those that still wait. */
  discard(why = ""): void {
    // Closed it may be, and yet hold half a request: it would have been opened at the turn's end.
    if (this.state === CLOSED && this.head === null) return;
    const { socket } = this;
    this.gone(why, true);
    socket?.close();
  }

  /** It will not be used again. */
  dispose(): void {
    this.discard();
    this.keeper.close();
  }

  /** The connection is no more: everything in flight is answered with an error. */
  gone(error: string, byUs = false): void {
    const server = this.server;
    const counters = server.counters;
    if (this.state > CONNECTING) counters.server_connections--;
    const lost = this.head;
    const text = errnoText(error);
    if (!byUs) this.countLoss(error, text);
    this.state = CLOSED;
    this.losses++;
    this.socket = null;
    this.link = null;
    this.greeting?.clear();
    this.greeting = null;
    this.out.clear();
    this.head = null;
    this.tail = null;
    this.inFlight = 0;
    this.inFlightBytes = 0;
    this.unsent = 0;
    this.carried = 0;
    this.scan.reset();
    this.unblock();
    if (!byUs) server.closed();
    const streaming = this.streaming;
    this.streaming = false;
    this.failAll(lost, text, streaming);
    this.relax();
  }

  private countLoss(error: string, text: string): void {
    const { counters } = this.server;
    if (error === "ETIMEDOUT") counters.server_timedout++;
    else if (error === "") counters.server_eof++;
    else counters.server_err++;
    if (text.startsWith("TLS: ") && !this.pool.complaints.allow(this.pool.host.now())) return;
    serverClosed(this.server, error, text, this.inFlight);
  }

  private failAll(first: Request | null, text: string, streaming: boolean): void {
    const { host, now, slow } = this.pool;
    let request = first;
    // A client that has had a part of its reply cannot be told: only closing is honest.
    if (streaming && request !== null && !request.client.closed) {
      request.client.cutOff("lost reply");
    }
    while (request !== null) {
      const next: Request | null = request.nextInFlight;
      request.nextInFlight = null;
      if (slow.on && text !== "") {
        const ms = host.now() - request.sentAt;
        if (ms > slow.ms) slow.tell(request, this.server, ms, now, text);
      }
      this.pool.fail(request, text);
      request = next;
    }
  }
}

/** How long (ms) one slow client may keep a connection from being read. */
const GRACE = 1000;
