// A runtime made of memory: sockets are queues of bytes, the end of the turn comes when the test
// says so, and the clock stands still until it is moved. It is as strict as core/host.ts allows a
// runtime to be: what is lent is scribbled over, and a call the contract forbids throws.

import type {
  Address,
  Host,
  Listener,
  ListenOptions,
  Socket,
  SocketHandler,
  Timer,
} from "../../core/host.ts";
import { PENDING } from "../../core/host.ts";
import { bytes, text } from "../../core/bytes.ts";

/** How much of `n` bytes a socket takes: all of them, fewer, or PENDING. */
export type Taker = (n: number) => number;
export const takeAll: Taker = (n) => n;
export const takeNone: Taker = () => 0;
export const lend: Taker = () => PENDING;
export const takeSome = (most: number): Taker => (n) => Math.min(n, most);

const MARGIN = 7;

/** A connection as the proxy sees it; the other methods are its far end, in the test's hands. */
export class FakeSocket implements Socket {
  readonly remote: string;
  readonly host: FakeHost;
  copies: boolean;
  handler: SocketHandler | null;
  taker: Taker;
  paused: boolean;
  /** The proxy has sent FIN; closed by either side, which the proxy may not know yet. */
  finished: boolean;
  gone: boolean;
  opened: boolean;
  /** A short or PENDING write waits for `drain`. */
  blocked: boolean;
  private lent: { buf: Uint8Array; start: number; end: number } | null;
  private readonly arrived: Uint8Array[];
  private readonly unread: Uint8Array[];
  private unreadEnd: boolean;

  constructor(host: FakeHost, remote: string) {
    this.host = host;
    this.remote = remote;
    this.copies = host.copies;
    this.handler = null;
    this.taker = host.taker;
    this.paused = false;
    this.finished = false;
    this.gone = false;
    this.opened = false;
    this.blocked = false;
    this.lent = null;
    this.arrived = [];
    this.unread = [];
    this.unreadEnd = false;
  }

  // What the proxy calls.

  write(buf: Uint8Array, start: number, end: number): number {
    if (this.gone) throw new Error(`write to a closed socket (${this.remote})`);
    if (this.finished) throw new Error(`write after FIN (${this.remote})`);
    if (!this.opened) throw new Error(`write before open (${this.remote})`);
    if (this.lent !== null) throw new Error(`write while a span is lent (${this.remote})`);
    if (start >= end) throw new Error("write of nothing");
    if (this.blocked) return 0;
    const taken = this.taker(end - start);
    if (taken === PENDING) {
      if (this.copies) throw new Error("a socket that copies holds nothing");
      this.lent = { buf, start, end };
      this.blocked = true;
      return PENDING;
    }
    if (taken > 0) this.arrived.push(buf.slice(start, start + taken));
    if (taken < end - start) this.blocked = true;
    return taken;
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
  }

  shutdown(): void {
    if (this.finished) throw new Error("FIN twice");
    if (this.blocked) throw new Error("FIN before all is written");
    this.finished = true;
  }

  close(): void {
    if (this.gone) return;
    this.gone = true;
    if (this.host.closesAtOnce) this.tellClosed("");
    else this.host.later(() => this.tellClosed(""));
  }

  // What the test calls.

  /** All that has arrived since the last call, as a byte string. */
  received(): string {
    let all = "";
    for (const piece of this.arrived.splice(0)) all += text(piece, 0, piece.length);
    return all;
  }

  /** As `received`, for what is too long for a string of single bytes. */
  receivedBytes(): Uint8Array {
    const pieces = this.arrived.splice(0);
    const all = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
    let at = 0;
    for (const piece of pieces) {
      all.set(piece, at);
      at += piece.length;
    }
    return all;
  }

  /** Bytes for the proxy; they wait while it has paused the socket. */
  send(data: string | Uint8Array): void {
    this.unread.push(typeof data === "string" ? bytes(data) : data);
  }

  /** FIN for the proxy, behind what was sent. */
  end(): void {
    this.unreadEnd = true;
  }

  /** The socket takes bytes again: what was lent arrives now. */
  drain(): void {
    if (!this.blocked || this.gone) return;
    if (this.lent !== null) {
      const { buf, start, end } = this.lent;
      this.arrived.push(buf.slice(start, end));
      this.lent = null;
    }
    this.blocked = false;
    this.handler?.drain();
  }

  /** The connection breaks. */
  fail(error: string): void {
    if (this.gone) return;
    this.gone = true;
    this.tellClosed(error);
  }

  /** Hands the proxy at most `most` bytes of what was sent. False if there is nothing for it. */
  deliver(most = Infinity): boolean {
    if (this.paused || this.gone || !this.opened) return false;
    return this.deliverAnyway(most);
  }

  /** As `deliver`, even if paused: these bytes had been read before. */
  deliverAnyway(most = Infinity): boolean {
    const piece = this.unread[0];
    if (piece === undefined) {
      if (!this.unreadEnd || this.gone) return false;
      this.unreadEnd = false;
      this.handler?.end();
      return true;
    }
    const n = Math.min(most, piece.length);
    if (n === piece.length) this.unread.shift();
    else this.unread[0] = piece.subarray(n);
    const buf = new Uint8Array(n + 2 * MARGIN).fill(0x2a);
    buf.set(piece.subarray(0, n), MARGIN);
    this.handler?.data(buf, MARGIN, MARGIN + n);
    buf.fill(0x24); // borrowed until here
    return true;
  }

  get unreadBytes(): number {
    return this.unread.reduce((sum, piece) => sum + piece.length, 0);
  }

  openNow(): void {
    if (this.gone) return;
    this.opened = true;
    this.handler?.open();
  }

  private tellClosed(error: string): void {
    const handler = this.handler;
    this.handler = null;
    if (this.lent !== null) this.host.neverReturned++;
    this.lent = null;
    handler?.close(error);
  }
}

interface FakeTimer extends Timer {
  readonly ms: number;
  readonly fn: () => void;
  next: number;
}

export class FakeHost implements Host {
  readonly runtime: string;
  /** Milliseconds of the clock. */
  time: number;
  /** `close("")` follows `Socket.close` before it returns (as on Deno), or later. */
  closesAtOnce: boolean;
  /** `copies` of new sockets. */
  copies: boolean;
  /** What new sockets take. */
  taker: Taker;
  /** Called with each connection the proxy opens; by default it is accepted. */
  onConnect: (socket: FakeSocket, address: Address) => void;
  /** Connections opened by the proxy, and those opened to it. */
  readonly outgoing: FakeSocket[];
  readonly incoming: FakeSocket[];
  /** Spans that were lent to sockets which then closed: their buffers are lost to the pool. */
  neverReturned: number;
  private readonly listeners: Map<number, (socket: Socket) => SocketHandler | null>;
  private events: (() => void)[];
  private turnEnds: (() => void)[];
  private timers: FakeTimer[];
  private clients: number;

  constructor() {
    this.runtime = "fake 1";
    this.time = 5000;
    this.closesAtOnce = false;
    this.copies = false;
    this.taker = takeAll;
    this.onConnect = (socket) => this.later(() => socket.openNow());
    this.outgoing = [];
    this.incoming = [];
    this.neverReturned = 0;
    this.listeners = new Map();
    this.events = [];
    this.turnEnds = [];
    this.timers = [];
    this.clients = 0;
  }

  listen(
    address: Address,
    _options: ListenOptions,
    accept: (socket: Socket) => SocketHandler | null,
  ): Promise<Listener> {
    if (this.listeners.has(address.port)) {
      return Promise.reject(Object.assign(new Error("in use"), { code: "EADDRINUSE" }));
    }
    this.listeners.set(address.port, accept);
    return Promise.resolve({
      port: address.port,
      close: () => void this.listeners.delete(address.port),
    });
  }

  connect(address: Address, handler: SocketHandler): Socket {
    const socket = new FakeSocket(this, `${address.host}:${address.port}`);
    socket.handler = handler;
    this.outgoing.push(socket);
    this.onConnect(socket, address);
    return socket;
  }

  now(): number {
    return this.time;
  }

  wallClock(): number {
    return 1795433469000 + this.time;
  }

  every(ms: number, fn: () => void): Timer {
    const timer: FakeTimer = { ms, fn, next: this.time + ms, cancel: () => {} };
    timer.cancel = () => {
      this.timers = this.timers.filter((one) => one !== timer);
    };
    this.timers.push(timer);
    return timer;
  }

  endOfTurn(fn: () => void): void {
    this.turnEnds.push(fn);
  }

  nap(): void {}

  random(n: number): number {
    return Math.floor(n / 2);
  }

  // What the test calls.

  /** Whether somebody listens. */
  listensOn(port: number): boolean {
    return this.listeners.has(port);
  }

  /** A client connects to the pool that listens on `port`. */
  client(port: number): FakeSocket {
    const accept = this.listeners.get(port);
    if (accept === undefined) throw new Error(`nothing listens on ${port}`);
    const socket = new FakeSocket(this, `10.9.0.1:${++this.clients}`);
    socket.opened = true;
    socket.handler = accept(socket);
    if (socket.handler === null) socket.gone = true;
    this.incoming.push(socket);
    return socket;
  }

  /** Does `fn` as an event of its own. */
  later(fn: () => void): void {
    this.events.push(fn);
  }

  /** One event that waits; false if there is none. */
  event(): boolean {
    const next = this.events.shift();
    next?.();
    return next !== undefined;
  }

  /** The turn ends; false if nobody waited for it. */
  turn(): boolean {
    const ends = this.turnEnds;
    this.turnEnds = [];
    for (const end of ends) end();
    return ends.length > 0;
  }

  /** Goes on until nothing more happens by itself: events, unread bytes, ends of turns. */
  settle(): void {
    for (let round = 0; round < 100_000; round++) {
      let busy = this.event();
      for (const socket of this.outgoing) if (socket.deliver()) busy = true;
      for (const socket of this.incoming) if (socket.deliver()) busy = true;
      if (this.turn()) busy = true;
      if (!busy) return;
    }
    throw new Error("it does not come to rest");
  }

  /** The process stands still for so long: then each timer that is due comes once, before any byte. */
  stall(ms: number): void {
    this.time += ms;
    for (const timer of [...this.timers]) {
      if (timer.next > this.time) continue;
      timer.next = this.time + timer.ms;
      timer.fn();
    }
  }

  /** Moves the clock on, a timer's step at a time. */
  pass(ms: number): void {
    const until = this.time + ms;
    for (;;) {
      const due = this.timers.reduce((least, one) => Math.min(least, one.next), Infinity);
      if (due > until) break;
      this.time = Math.max(this.time, due);
      for (const timer of [...this.timers]) {
        if (timer.next > this.time) continue;
        timer.next += timer.ms;
        timer.fn();
      }
      this.settle();
    }
    this.time = until;
  }
}
