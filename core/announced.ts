// Clients of a pool with proxy_protocol: a load balancer among them says first whose connection it
// passes on (proxy_header.ts), and may take only so long for it; nobody else may say so.

import type { Host, Preface, Socket, SocketHandler, Timer } from "./host.ts";
import { hostOf, Network, parseIp } from "./networks.ts";
import { BAD, HeaderReader, looksLikeHeader, MORE } from "./proxy_header.ts";

/** How long (ms) one for whom there is no room may take to close its side. */
const LINGER = 1000;

/** `proxy_protocol` of a pool. */
export interface Announcing {
  /** Networks of those who have to send a header. */
  readonly from: readonly string[];
  /** Milliseconds that it may take. */
  readonly timeout: number;
}

/** Who has to send a header. */
export class Trusted {
  private from: readonly string[];
  private networks: readonly Network[];

  constructor() {
    this.from = [];
    this.networks = [];
  }

  has(remote: string, { from }: Announcing): boolean {
    if (from !== this.from) {
      this.from = from;
      this.networks = from.map(Network.parse).filter((one) => typeof one !== "string");
    }
    const address = parseIp(hostOf(remote));
    return address !== null && this.networks.some((network) => network.has(address));
  }
}

/** Tells that a client is turned away because of its header, or the lack of one. */
type Refuse = (remote: string, why: string) => void;

/** What a load balancer says before all else. */
export class Announcement implements Preface {
  readonly timeout: number;
  private readonly peer: string;
  private readonly reader: HeaderReader;
  private readonly refuse: Refuse;

  constructor(peer: string, timeout: number, refuse: Refuse) {
    this.peer = peer;
    this.timeout = timeout;
    this.refuse = refuse;
    this.reader = new HeaderReader();
  }

  take(buf: Uint8Array, start: number, end: number): number {
    const at = this.reader.take(buf, start, end);
    if (at === BAD) this.refuse(this.peer, this.reader.why);
    return at;
  }

  get remote(): string {
    return this.reader.source || this.peer;
  }

  late(): void {
    const what = this.reader.begun ? "its header was not complete" : "it sent no header";
    this.refuse(this.peer, `${what} within ${this.timeout} ms`);
  }

  /** A check that only connects is nothing to tell of. */
  ended(): void {
    if (this.reader.begun) this.refuse(this.peer, "it hung up within its header");
  }
}

/** A connection whose header is awaited; then it is its client's. */
export class Announced implements SocketHandler {
  private readonly socket: Socket;
  private readonly announcement: Announcement;
  private readonly accept: () => SocketHandler | null;
  private readonly over: (one: Announced) => void;
  private readonly host: Host;
  private timer: Timer;
  private client: SocketHandler | null;
  private isOver: boolean;

  /** `accept` is asked for the client when its address is known; `over` hears that it no longer waits. */
  constructor(
    host: Host,
    socket: Socket,
    announcement: Announcement,
    accept: () => SocketHandler | null,
    over: (one: Announced) => void,
  ) {
    this.host = host;
    this.socket = socket;
    this.announcement = announcement;
    this.accept = accept;
    this.over = over;
    this.client = null;
    this.isOver = false;
    this.timer = host.every(announcement.timeout, () => this.late());
  }

  open(): void {}

  data(buf: Uint8Array, start: number, end: number): void {
    if (this.client !== null) return this.client.data(buf, start, end);
    if (this.isOver) return;
    const at = this.announcement.take(buf, start, end);
    if (at === MORE) return;
    this.leave();
    if (at === BAD) return this.socket.close();
    this.socket.remote = this.announcement.remote;
    this.client = this.accept();
    if (this.client === null) this.linger();
    else if (at < end) this.client.data(buf, at, end);
  }

  drain(): void {
    this.client?.drain();
  }

  end(): void {
    if (this.client !== null) return this.client.end();
    if (!this.isOver) this.announcement.ended();
    this.leave();
    this.socket.close();
  }

  close(error: string): void {
    this.leave();
    this.timer.cancel();
    this.client?.close(error);
  }

  /** The listener has gone. */
  drop(): void {
    this.leave();
    this.socket.close();
  }

  /** There is no room for it, which it was told. */
  private linger(): void {
    this.socket.shutdown();
    this.timer = this.host.every(LINGER, () => this.socket.close());
  }

  private late(): void {
    this.announcement.late();
    this.drop();
  }

  private leave(): void {
    if (this.isOver) return;
    this.isOver = true;
    this.timer.cancel();
    this.over(this);
  }
}

/** A client that may not send a header: one that begins as a header does is turned away. */
export class Unannounced implements SocketHandler {
  private readonly socket: Socket;
  private readonly client: SocketHandler;
  private readonly refuse: Refuse;
  /** What has come of what may be a header. */
  private readonly first: Uint8Array;
  private size: number;

  constructor(socket: Socket, client: SocketHandler, refuse: Refuse) {
    this.socket = socket;
    this.client = client;
    this.refuse = refuse;
    this.first = new Uint8Array(12);
    this.size = 0;
  }

  open(): void {}

  data(buf: Uint8Array, start: number, end: number): void {
    const { client, first } = this;
    if (this.size < 0) return client.data(buf, start, end);
    const n = Math.min(first.length - this.size, end - start);
    first.set(buf.subarray(start, start + n), this.size);
    const before = this.size;
    this.size += n;
    const looks = looksLikeHeader(first, 0, this.size);
    if (looks === 0) return;
    this.size = -1;
    if (looks > 0) {
      this.refuse(this.socket.remote, "it sent a header, and is not in proxy_protocol.from");
      return this.socket.close();
    }
    if (before > 0) client.data(first.slice(0, before), 0, before);
    client.data(buf, start, end);
  }

  drain(): void {
    this.client.drain();
  }

  end(): void {
    const { size } = this;
    this.size = -1;
    if (size > 0) this.client.data(this.first, 0, size);
    this.client.end();
  }

  close(error: string): void {
    this.client.close(error);
  }
}
