// The port to a runtime: everything ringmux needs from Deno, Bun or Node, and nothing else.
// An adapter implements Host and Socket; core implements SocketHandler. Imports nothing.

/** Where to listen or connect: TCP, or a unix socket when `path` is set. */
export interface Address {
  /** Host name or IP address; "" for a unix socket. */
  readonly host: string;
  /** TCP port; 0 for a unix socket. */
  readonly port: number;
  /** Path of a unix socket; "" for TCP. */
  readonly path: string;
  /** File mode of a listening unix socket; -1 leaves it as the umask makes it. */
  readonly mode: number;
}

/** `Socket.write` kept the span: it must not be touched until `SocketHandler.drain`. */
export const PENDING = -1;

/** One connection, either way round. */
export interface Socket {
  /**
   * Peer as "host:port", or the path of a unix socket; "" when unknown. Its owner may put another in
   * its place, whose connection the peer passes on.
   */
  remote: string;
  /**
   * The address (without a port) that the peer of an accepted connection has found; "" when it is
   * not known, and for unix sockets. Absent: it is never known.
   */
  localHost?(): string;
  /** `write` never answers PENDING: what it has not taken it has no hold of. */
  readonly copies: boolean;
  /**
   * Writes `buf[start, end)`. Returns how many bytes are done with (the caller may reuse them);
   * if fewer than asked, `drain` follows and the caller then writes the rest. Or returns PENDING:
   * the span stays lent to the socket until `drain`, and no other write may be made before it.
   */
  write(buf: Uint8Array, start: number, end: number): number;
  /** Stops reading; `data` may still be called for bytes already read. */
  pause(): void;
  /** Reads again after `pause`. */
  resume(): void;
  /** Sends FIN after all that was written; reading goes on. */
  shutdown(): void;
  /** Closes at once, both ways; `close("")` follows on the handler. Unsent bytes are lost. */
  close(): void;
}

/** What a connection tells its owner. No call after `close`. */
export interface SocketHandler {
  /** Connected (sockets made by `Host.connect` only). */
  open(): void;
  /** Bytes arrived. `buf[start, end)` is borrowed: valid until this call returns. */
  data(buf: Uint8Array, start: number, end: number): void;
  /** The socket takes bytes again, or has let go of a PENDING span. */
  drain(): void;
  /** The peer sent FIN. Writing still works. */
  end(): void;
  /**
   * The connection is gone; called once, also when a connect fails. `error` is an errno name such
   * as "ECONNREFUSED", "ECONNRESET" or "ENOTFOUND", a sentence that begins with "TLS: ", or "" for
   * an orderly close.
   */
  close(error: string): void;
}

/** What a listener shows to its clients. All are PEM texts; "" for none. */
export interface ListenTls {
  readonly cert: string;
  readonly key: string;
  readonly ca: string;
  readonly require_client_cert: boolean;
  /** Milliseconds that a client may take for the handshake. */
  readonly handshake_timeout: number;
}

/** How a connection is made safe that goes out. PEM texts; "" for none. */
export interface ConnectTls {
  /** "": the authorities that the system trusts. */
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
  /** Whom the certificate has to be issued to; "": the host connected to. */
  readonly server_name: string;
  /** The certificate is not checked. */
  readonly insecure: boolean;
}

/** What a client has to say before TLS begins. */
export interface Preface {
  /** Milliseconds that it may take. */
  readonly timeout: number;
  /** As `Socket.remote`, once all of it is there. */
  readonly remote: string;
  /** Takes what belongs to it: where the rest begins, -1 for more to come, -2 to close. */
  take(buf: Uint8Array, start: number, end: number): number;
  /** It has taken too long. */
  late(): void;
  /** The client has hung up before it was complete. */
  ended(): void;
}

export interface ListenOptions {
  /** Length of the kernel's queue of connections not yet accepted. */
  readonly backlog: number;
  /** SO_KEEPALIVE on accepted sockets. */
  readonly keepAlive: boolean;
  /** Several processes may listen on the same port. */
  readonly reusePort: boolean;
  /**
   * TLS with these; absent: none. Whether there is TLS is settled when listening begins; the value
   * is read again at every client that comes, and may be another one by then.
   */
  readonly tls?: ListenTls;
  /** With TLS: what a client from there has to say first; null for nothing. */
  readonly preface?: (remote: string) => Preface | null;
  /** Asked of a client that begins TLS while `handshakes` others are at it; false: it is closed. */
  readonly room?: (remote: string, handshakes: number) => boolean;
  /** A client did not get as far as `accept`, because of TLS; `why` is in words. */
  readonly refused?: (remote: string, why: string) => void;
}

export interface Listener {
  /** Port listened on (useful after asking for port 0); 0 for a unix socket. */
  readonly port: number;
  /** Stops accepting; accepted connections live on. */
  close(): void;
}

export interface Timer {
  cancel(): void;
}

export interface Host {
  /** "deno", "bun" or "node", with its version: "node 20.20.2". */
  readonly runtime: string;
  /**
   * Listens; `accept` is called with every new socket and returns its handler, or null to have
   * the socket closed at once. Rejects with an Error whose message says why it cannot listen.
   */
  listen(
    address: Address,
    options: ListenOptions,
    accept: (socket: Socket) => SocketHandler | null,
  ): Promise<Listener>;
  /** Starts to connect (names are resolved without blocking); `open` or `close` follows. */
  connect(address: Address, handler: SocketHandler, tls?: ConnectTls): Socket;
  /** Monotonic milliseconds. */
  now(): number;
  /** Milliseconds since 1970. */
  wallClock(): number;
  /** Calls `fn` every `ms` milliseconds; does not keep the process alive. */
  every(ms: number, fn: () => void): Timer;
  /** Calls `fn` once, after the input that is ready now has been handled (setImmediate). */
  endOfTurn(fn: () => void): void;
  /** Blocks the thread for about so many milliseconds (a fraction of one): see turn.ts. */
  nap(ms: number): void;
  /** Random integer in [0, n). */
  random(n: number): number;
}
