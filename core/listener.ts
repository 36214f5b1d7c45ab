// Where a pool listens. The pool behind a listener may change while it is open, so that a reload can
// rename a pool, or let two of them swap their addresses, without refusing a client.

import { Announced, Announcement, type Announcing, Trusted, Unannounced } from "./announced.ts";
import { errnoText } from "./errno.ts";
import type { Host, Listener, ListenTls, Socket, SocketHandler } from "./host.ts";

/** What a listener needs of its pool. */
export interface ListenerOwner {
  readonly label: string;
  readonly config: {
    readonly listen_text: string;
    readonly listen: Parameters<Host["listen"]>[0];
    readonly backlog: number;
    readonly tcpkeepalive: boolean;
    readonly tls?: ListenTls;
    readonly proxy_protocol?: Announcing;
  };
  /** A client comes, while so many others have not said yet who they are. */
  accept(socket: Socket, unknown: number): SocketHandler | null;
  /** Whether one more may come in while so many others are at their TLS handshake. */
  hasRoom(remote: string, handshakes: number): boolean;
  /** A client failed at TLS. */
  handshakeFailed(remote: string, why: string): void;
  /** A client's header of the PROXY protocol is not as it has to be, or not allowed. */
  headerFailed(remote: string, why: string): void;
}

export class PoolListener {
  /** Whose clients come in; null: nobody's, they are turned away. */
  pool: ListenerOwner | null;
  /** What it is known by: a unix socket's path, or the address as the configuration has it. */
  readonly place: string;
  /** It speaks TLS, for as long as it is open. */
  readonly secure: boolean;
  private listener: Listener | null;
  private readonly host: Host;
  private readonly trusted: Trusted;
  /** Those whose header is awaited. */
  private readonly waiting: Set<Announced>;

  private constructor(host: Host, pool: ListenerOwner) {
    this.host = host;
    this.trusted = new Trusted();
    this.waiting = new Set();
    this.pool = pool;
    this.place = placeOf(pool.config);
    this.secure = pool.config.tls !== undefined;
    this.listener = null;
  }

  /** Rejects with an Error that says what cannot be listened on, and why. */
  static async open(host: Host, pool: ListenerOwner, reusePort: boolean): Promise<PoolListener> {
    const opened = new PoolListener(host, pool);
    const { listen, backlog, listen_text } = pool.config;
    const options = {
      backlog,
      reusePort,
      // Read at every client that comes: it may change while the listener is open.
      get keepAlive(): boolean {
        return opened.pool?.config.tcpkeepalive ?? false;
      },
      get tls(): ListenTls | undefined {
        return opened.pool === null ? pool.config.tls : opened.pool.config.tls;
      },
      preface: (remote: string) => opened.preface(remote),
      room: (remote: string, handshakes: number) =>
        opened.pool === null || opened.pool.hasRoom(remote, handshakes),
      refused: (remote: string, why: string) => opened.pool?.handshakeFailed(remote, why),
    };
    const attempt = host.listen(listen, options, (socket) => opened.accept(socket));
    opened.listener = await listening(attempt, pool.label, listen_text);
    return opened;
  }

  private preface(remote: string): Announcement | null {
    const announcing = this.pool?.config.proxy_protocol;
    if (announcing === undefined || !this.trusted.has(remote, announcing)) return null;
    return new Announcement(remote, announcing.timeout, (who, why) => this.refuse(who, why));
  }

  private refuse(remote: string, why: string): void {
    this.pool?.headerFailed(remote, why);
  }

  private take(socket: Socket): SocketHandler | null {
    return this.pool?.accept(socket, this.waiting.size) ?? null;
  }

  private accept(socket: Socket): SocketHandler | null {
    // With TLS the header has come before it.
    if (this.pool?.config.proxy_protocol === undefined || this.secure) return this.take(socket);
    const preface = this.preface(socket.remote);
    if (preface === null) {
      const client = this.take(socket);
      const refuse = (who: string, why: string) => this.refuse(who, why);
      return client === null ? null : new Unannounced(socket, client, refuse);
    }
    if (!this.pool.hasRoom(socket.remote, this.waiting.size)) return null;
    const over = (one: Announced) => void this.waiting.delete(one);
    const one = new Announced(this.host, socket, preface, () => this.take(socket), over);
    this.waiting.add(one);
    return one;
  }

  get port(): number {
    return this.listener?.port ?? 0;
  }

  close(): void {
    this.listener?.close();
    this.listener = null;
    for (const one of [...this.waiting]) one.drop();
  }
}

/** The mode of a unix socket is no part of its place: its path can be bound only once. */
export function placeOf(config: Pick<ListenerOwner["config"], "listen" | "listen_text">): string {
  return config.listen.path !== "" ? config.listen.path : config.listen_text;
}

/** Says in an error which address it was that cannot be had, in the same words on every runtime. */
export async function listening<T>(attempt: Promise<T>, who: string, where: string): Promise<T> {
  try {
    return await attempt;
  } catch (error) {
    const { code, message } = error as Error & { code?: string };
    const why = code === undefined || errnoText(code) === code ? message : errnoText(code);
    throw new Error(`${who}: cannot listen on ${where}: ${why}`);
  }
}
