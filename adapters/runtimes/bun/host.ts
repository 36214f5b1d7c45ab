// Bun: sockets by Bun.listen and Bun.connect. In the same order as the other runtimes: the socket,
// the host.

import { chmodSync, readFileSync, rmSync } from "node:fs";
import { tuneCopy } from "../../../core/bytes.ts";
import type {
  Address,
  ConnectTls,
  Host,
  Listener,
  ListenOptions,
  Socket,
  SocketHandler,
  Timer,
} from "../../../core/host.ts";
import { connectTls, listenTls } from "../shared/tls_socket.ts";

type Inner = import("bun").Socket<BunSocket>;

class BunSocket implements Socket {
  remote: string;
  readonly copies = true;
  handler: SocketHandler | null;
  inner: Inner | null;
  error: string;
  /** Closed before the connection was made. */
  private cancelled: boolean;
  /** A write was cut short: `drain` is owed. */
  private blocked: boolean;
  /** FIN was sent; was received. */
  private finished: boolean;
  private ended: boolean;

  constructor(remote: string, handler: SocketHandler | null) {
    this.remote = remote;
    this.handler = handler;
    this.inner = null;
    this.error = "";
    this.cancelled = false;
    this.blocked = false;
    this.finished = false;
    this.ended = false;
  }

  opened(inner: Inner): void {
    this.inner = inner;
    inner.setNoDelay(true);
    if (this.cancelled) inner.terminate();
    else this.handler?.open();
  }

  drained(): void {
    // Bun tells it of writes too that were taken whole.
    if (!this.blocked) return;
    this.blocked = false;
    this.handler?.drain();
  }

  gotEnd(): void {
    if (this.ended) return;
    this.ended = true;
    this.handler?.end();
  }

  closed(error: string): void {
    // Where both have sent FIN Bun tells the end only.
    if (this.finished && error === "") this.gotEnd();
    const handler = this.handler;
    this.handler = null;
    handler?.close(error);
  }

  write(buf: Uint8Array, start: number, end: number): number {
    const taken = (this.inner as Inner).write(buf, start, end - start);
    if (taken === end - start) return taken;
    this.blocked = true;
    if (taken >= 0) return taken;
    // It is gone, and Bun keeps that to itself.
    if (this.handler !== null) setImmediate(() => this.lost());
    return 0;
  }

  private lost(): void {
    this.inner?.terminate();
    this.closed("EPIPE");
  }

  pause(): void {
    this.inner?.pause();
  }

  resume(): void {
    this.inner?.resume();
  }

  shutdown(): void {
    this.finished = true;
    this.inner?.shutdown();
  }

  close(): void {
    this.ended = true;
    // Not terminate(): that resets the connection, and what the kernel has not sent yet is lost.
    if (this.inner !== null) this.inner.end();
    else this.cancelled = true;
  }
}

/** Whom a socket belongs to that is not wanted. */
const NOBODY = new BunSocket("", null);

// One table of handlers for all sockets; what belongs to one is in socket.data.
const handlers = {
  open(inner: Inner): void {
    inner.data.opened(inner);
  },
  data(inner: Inner, chunk: Uint8Array): void {
    inner.data.handler?.data(chunk, 0, chunk.length);
  },
  drain(inner: Inner): void {
    inner.data.drained();
  },
  end(inner: Inner): void {
    inner.data.gotEnd();
  },
  error(inner: Inner, error: Error): void {
    inner.data.error = codeOf(error);
  },
  connectError(inner: Inner, error: Error): void {
    inner.data.closed(codeOf(error));
  },
  close(inner: Inner, error?: Error): void {
    const socket = inner.data;
    socket.closed(error ? codeOf(error) : socket.error);
  },
};

function codeOf(error: Error): string {
  return (error as Error & { code?: string }).code ?? "EIO";
}

/**
 * Bun's loop calls accept over and over when there is no file descriptor left, and takes all of a
 * CPU for it. So a client that would take one of the last is closed: they are for connections to
 * servers and for files. (The kernel always gives the lowest free number.)
 */
const RESERVED = 12;

/** The first descriptor that clients may not have. */
function descriptorLimit(): number {
  try {
    const soft = /^Max open files\s+(\d+)/m.exec(readFileSync("/proc/self/limits", "utf8"));
    return soft === null ? Infinity : Number(soft[1]) - RESERVED;
  } catch {
    return Infinity; // not Linux
  }
}

/** Nobody ever wakes who waits on it. */
const napCell = new Int32Array(new SharedArrayBuffer(4));

export const bunHost: Host = {
  runtime: `bun ${Bun.version}`,

  listen(address: Address, options: ListenOptions, accept): Promise<Listener> {
    if (options.tls !== undefined) return listenTls(address, options, accept);
    const { host, port, path, mode } = address;
    if (path !== "") rmSync(path, { force: true });
    const limit = descriptorLimit();
    const socket = {
      ...handlers,
      open(inner: Inner): void {
        if ((inner as unknown as { fd: number }).fd >= limit) {
          inner.data = NOBODY;
          inner.end();
          return;
        }
        const own = new BunSocket(`${inner.remoteAddress}:${inner.remotePort}`, null);
        own.inner = inner;
        inner.data = own;
        inner.setNoDelay(true);
        if (options.keepAlive) inner.setKeepAlive(true);
        own.handler = accept(own);
        if (own.handler === null) inner.end();
      },
    };
    const where = path !== "" ? { unix: path } : { hostname: host, port };
    try {
      const listener = Bun.listen(
        {
          ...where,
          allowHalfOpen: true,
          reusePort: options.reusePort,
          socket,
        } as Parameters<typeof Bun.listen>[0],
      );
      if (path !== "" && mode >= 0) chmodSync(path, mode);
      return Promise.resolve({
        port: path !== "" ? 0 : (listener as { port: number }).port,
        close: () => listener.stop(false),
      });
    } catch (error) {
      return Promise.reject(error);
    }
  },

  connect(address: Address, handler: SocketHandler, tls?: ConnectTls): Socket {
    if (tls !== undefined) return connectTls(address, handler, tls);
    const { host, port, path } = address;
    const socket = new BunSocket(path !== "" ? path : `${host}:${port}`, handler);
    const where = path !== "" ? { unix: path } : { hostname: host, port };
    Bun.connect(
      {
        ...where,
        allowHalfOpen: true,
        data: socket,
        socket: handlers,
      } as unknown as Parameters<typeof Bun.connect>[0],
    ).catch((error) => socket.closed(codeOf(error)));
    return socket;
  },

  now: () => performance.now(),
  wallClock: () => Date.now(),
  every(ms: number, fn: () => void): Timer {
    const timer = setInterval(fn, ms);
    timer.unref();
    return { cancel: () => clearInterval(timer) };
  },
  endOfTurn: (fn) => void setImmediate(fn),
  nap: (ms) => void Atomics.wait(napCell, 0, 0, ms),
  random: (n) => Math.floor(Math.random() * n),
};

tuneCopy(80);
