// A connection on Deno: a Deno.Conn that is read from and written to by promises.

import { viewed } from "../../../core/bytes.ts";
import { PENDING, type Socket, type SocketHandler } from "../../../core/host.ts";
import { NOBODY } from "../shared/nobody.ts";

/** A quiet connection waits with a small buffer; one that fills it gets a larger one. */
const FIRST_BUFFER = 512;
const LARGEST_BUFFER = 262144;

export class DenoSocket implements Socket {
  remote: string;
  readonly copies = false;
  /** Ends a connect that is under way. */
  connecting: AbortController | null;
  private readonly handler: SocketHandler;
  private conn: Deno.Conn | null;
  private buffer: Uint8Array;
  private reading: boolean;
  private paused: boolean;
  private closed: boolean;
  /** FIN received: no more reads. FIN sent. */
  private ended: boolean;
  private finished: boolean;
  private writing: boolean;
  /** FIN is to follow the write that is under way. */
  private shutdownAfter: boolean;
  private readonly onRead: (n: number | null) => void;
  private readonly onError: (error: unknown) => void;
  private toWrite: Uint8Array;

  constructor(remote: string, makeHandler: (socket: DenoSocket) => SocketHandler) {
    this.remote = remote;
    this.connecting = null;
    this.conn = null;
    this.buffer = viewed(new Uint8Array(FIRST_BUFFER));
    this.reading = false;
    this.paused = false;
    this.closed = false;
    this.ended = false;
    this.finished = false;
    this.writing = false;
    this.shutdownAfter = false;
    this.toWrite = this.buffer;
    this.onRead = (n) => this.received(n);
    this.onError = (error) => this.failed(codeOf(error));
    this.handler = makeHandler(this);
  }

  localHost(): string {
    const { localAddr } = this.conn ?? {};
    return localAddr !== undefined && "hostname" in localAddr ? localAddr.hostname : "";
  }

  attach(conn: Deno.Conn): void {
    if (this.closed) return conn.close();
    this.conn = conn;
    this.connecting = null;
    if ("setNoDelay" in conn) (conn as Deno.TcpConn).setNoDelay(true);
  }

  read(): void {
    if (this.reading || this.paused || this.closed || this.ended) return;
    this.reading = true;
    (this.conn as Deno.Conn).read(this.buffer).then(this.onRead, this.onError);
  }

  private received(n: number | null): void {
    this.reading = false;
    if (this.closed) return;
    if (n === null) {
      this.ended = true;
      this.handler.end();
      return this.closeWhenOver();
    }
    const buffer = this.buffer;
    if (n === buffer.length && n < LARGEST_BUFFER) this.buffer = viewed(new Uint8Array(n * 4));
    this.handler.data(buffer, 0, n);
    this.read();
  }

  write(buf: Uint8Array, start: number, end: number): number {
    if (this.closed) return 0;
    this.toWrite = buf.subarray(start, end);
    this.writing = true;
    (this.conn as Deno.Conn).write(this.toWrite).then(this.afterWrite, this.onError);
    return PENDING;
  }

  private readonly afterWrite = (n: number): void => {
    if (n < this.toWrite.length && !this.closed) {
      this.toWrite = this.toWrite.subarray(n);
      (this.conn as Deno.Conn).write(this.toWrite).then(this.afterWrite, this.onError);
      return;
    }
    this.writing = false;
    if (this.closed) return;
    this.handler.drain();
    if (this.shutdownAfter && !this.writing) this.shutdown();
  };

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    if (!this.paused) return;
    this.paused = false;
    this.read();
  }

  shutdown(): void {
    if (this.closed || this.finished) return;
    if (this.writing) {
      this.shutdownAfter = true;
      return;
    }
    this.shutdownAfter = false;
    (this.conn as Deno.Conn).closeWrite().then(() => {
      this.finished = true;
      this.closeWhenOver();
    }, this.onError);
  }

  /** Both have sent FIN. */
  private closeWhenOver(): void {
    if (this.ended && this.finished) this.failed("");
  }

  close(): void {
    this.connecting?.abort();
    this.failed("");
  }

  get isClosed(): boolean {
    return this.closed;
  }

  /** Nobody wants the connection. */
  get refused(): boolean {
    return this.handler === NOBODY;
  }

  failed(error: string): void {
    if (this.closed) return;
    this.closed = true;
    try {
      this.conn?.close();
    } catch {
      // closed already by the runtime
    }
    this.handler.close(error);
  }
}

const CODES: Record<string, string> = {
  ConnectionReset: "ECONNRESET",
  ConnectionRefused: "ECONNREFUSED",
  ConnectionAborted: "ECONNABORTED",
  BrokenPipe: "EPIPE",
  NotFound: "ENOENT",
  TimedOut: "ETIMEDOUT",
};

export function codeOf(error: unknown): string {
  const { name, code, message } = error as Error & { code?: string };
  if (code !== undefined) return code;
  if (message.includes("failed to lookup address")) return "ENOTFOUND";
  return CODES[name] ?? "EIO";
}
