// Deno: sockets by Deno.listen and Deno.connect. In the same order as the other runtimes: the
// socket, the host.

import { tuneCopy } from "../../../core/bytes.ts";
import {
  type Address,
  type ConnectTls,
  type Host,
  type Listener,
  type ListenOptions,
  PENDING,
  type Socket,
  type SocketHandler,
  type Timer,
} from "../../../core/host.ts";
import { connectTls, listenTls } from "../shared/tls_socket.ts";

/** A quiet connection waits with a small buffer; one that fills it gets a larger one. */
const FIRST_BUFFER = 512;
const LARGEST_BUFFER = 262144;

class DenoSocket implements Socket {
  remote: string;
  readonly copies = false;
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
    this.conn = null;
    this.buffer = new Uint8Array(FIRST_BUFFER);
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

  attach(conn: Deno.Conn): void {
    if (this.closed) return conn.close();
    this.conn = conn;
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
    if (n === buffer.length && n < LARGEST_BUFFER) this.buffer = new Uint8Array(n * 4);
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
    this.failed("");
  }

  get isClosed(): boolean {
    return this.closed;
  }

  /** Nobody wants the connection. */
  get refused(): boolean {
    return this.handler === REFUSED;
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

function codeOf(error: unknown): string {
  const { name, code, message } = error as Error & { code?: string };
  if (code !== undefined) return code;
  if (message.includes("failed to lookup address")) return "ENOTFOUND";
  return CODES[name] ?? "EIO";
}

function addressOf(conn: Deno.Conn): string {
  const { remoteAddr } = conn;
  return "hostname" in remoteAddr ? `${remoteAddr.hostname}:${remoteAddr.port}` : "";
}

const EXHAUSTED = ["EMFILE", "ENFILE", "ENOBUFS", "ENOMEM"];

async function acceptAll(
  listener: Deno.Listener,
  options: ListenOptions,
  accept: (socket: Socket) => SocketHandler | null,
): Promise<void> {
  for (;;) {
    let conn: Deno.Conn;
    try {
      conn = await listener.accept();
    } catch (error) {
      if (error instanceof Deno.errors.BadResource || error instanceof Deno.errors.Interrupted) {
        return; // the listener was closed
      }
      // Out of file descriptors: wait a moment, or this loop would take the whole CPU. All else
      // (ENOTCONN: the client has hung up already) concerns that one connection only.
      if (EXHAUSTED.includes(codeOf(error))) {
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
      continue;
    }
    if (options.keepAlive && "setKeepAlive" in conn) (conn as Deno.TcpConn).setKeepAlive(true);
    const socket = new DenoSocket(addressOf(conn), (own) => {
      own.attach(conn);
      return accept(own) ?? REFUSED;
    });
    if (socket.refused) socket.close();
    else socket.read();
  }
}

const REFUSED: SocketHandler = {
  open() {},
  data() {},
  drain() {},
  end() {},
  close() {},
};

/** Nobody ever wakes who waits on it. */
const napCell = new Int32Array(new SharedArrayBuffer(4));

export const denoHost: Host = {
  runtime: `deno ${Deno.version.deno}`,

  async listen(address: Address, options: ListenOptions, accept): Promise<Listener> {
    if (options.tls !== undefined) return await listenTls(address, options, accept);
    const { host, port, path, mode } = address;
    if (path !== "") await Deno.remove(path).catch(() => {});
    const listener = path !== ""
      ? Deno.listen({ transport: "unix", path })
      : Deno.listen({ hostname: host, port, reusePort: options.reusePort });
    if (path !== "" && mode >= 0) await Deno.chmod(path, mode);
    acceptAll(listener, options, accept);
    return {
      port: "port" in listener.addr ? listener.addr.port : 0,
      close: () => listener.close(),
    };
  },

  connect(address: Address, handler: SocketHandler, tls?: ConnectTls): Socket {
    if (tls !== undefined) return connectTls(address, handler, tls);
    const { host, port, path } = address;
    const socket = new DenoSocket(path !== "" ? path : `${host}:${port}`, () => handler);
    const connecting: Promise<Deno.Conn> = path !== ""
      ? Deno.connect({ transport: "unix", path })
      : Deno.connect({ hostname: host, port });
    connecting.then((conn) => {
      socket.attach(conn);
      if (socket.isClosed) return;
      handler.open();
      socket.read();
    }, (error) => socket.failed(codeOf(error)));
    return socket;
  },

  now: () => performance.now(),
  wallClock: () => Date.now(),
  every(ms: number, fn: () => void): Timer {
    const timer = setInterval(fn, ms);
    Deno.unrefTimer(timer);
    return { cancel: () => clearInterval(timer) };
  },
  endOfTurn: (fn) => void setImmediate(fn),
  nap: (ms) => void Atomics.wait(napCell, 0, 0, ms),
  random: (n) => Math.floor(Math.random() * n),
};

tuneCopy(44);
