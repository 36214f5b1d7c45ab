// A link over which a client hears all that a server is asked (MONITOR). It is that client's own, and
// says nothing else.

import { errnoText } from "../errno.ts";
import type { Socket, SocketHandler } from "../host.ts";
import { Link } from "../link/link.ts";
import type { LinkCounters, LinkOwner, Listener } from "../link/owner.ts";
import type { ServerContext } from "./context.ts";

/** Whose commands are heard. */
interface Monitored {
  readonly label: string;
  readonly fields: Readonly<Record<string, string>>;
  readonly counters: LinkCounters;
  open(handler: SocketHandler): Socket;
}

/** Whom it tells. */
export interface MonitorListener {
  /** The server agrees, or does not. */
  confirmed(reply: Uint8Array, isError: boolean): void;
  /** What the server was asked, as it tells it. The buffer is borrowed. */
  told(buf: Uint8Array, start: number, end: number): void;
  /** The link is gone, for no wish of ours. */
  gone(why: string): void;
}

export class MonitorLink implements LinkOwner, Listener {
  readonly label: string;
  readonly fields: Readonly<Record<string, string>>;
  readonly counters: LinkCounters;
  readonly judges: boolean;
  readonly keeps: boolean;
  readonly listener: Listener;
  private readonly server: Monitored;
  private readonly hearer: MonitorListener;
  private readonly context: ServerContext;
  private readonly request: Uint8Array;
  private readonly link: Link;
  private isConfirmed: boolean;

  /** `request` asks for it. */
  constructor(
    context: ServerContext,
    server: Monitored,
    request: Uint8Array,
    hearer: MonitorListener,
  ) {
    this.label = `${server.label}: monitor`;
    this.fields = server.fields;
    this.counters = server.counters;
    this.judges = false;
    this.keeps = false;
    this.listener = this;
    this.server = server;
    this.hearer = hearer;
    this.context = context;
    this.request = request;
    this.link = new Link(context, this, context.lane);
    this.isConfirmed = false;
  }

  connect(): void {
    this.link.connect();
  }

  close(): void {
    this.link.dispose();
  }

  open(handler: SocketHandler): Socket {
    return this.server.open(handler);
  }

  connecting(): void {}

  answered(): void {}

  replied(): void {}

  ready(): void {
    this.link.say(this.request);
  }

  refused(why: string): void {
    this.context.log.error(`${this.label}: refused redis_auth or redis_db (${why}); closing`);
  }

  broken(why: string): void {
    this.context.log.warn(`${this.label}: ${why}; closing`);
  }

  frame(buf: Uint8Array, start: number, end: number): void {
    if (this.isConfirmed) return this.hearer.told(buf, start, end);
    this.isConfirmed = true;
    this.hearer.confirmed(buf.slice(start, end), this.context.codec.isError(buf, start));
  }

  closed(errno: string): void {
    this.hearer.gone(errno === "" ? "the server closed it" : errnoText(errno));
  }
}
