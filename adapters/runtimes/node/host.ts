// Node: sockets by node:net. In the same order as the other runtimes: the socket, the host.

import { chmodSync, rmSync } from "node:fs";
import cluster from "node:cluster";
import net from "node:net";
import process from "node:process";
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

/** One buffer for all sockets: a read is handled before the next one begins. */
const READ_SIZE = 262144;
const readBuffer = new Uint8Array(READ_SIZE);

class NodeSocket implements Socket {
  remote: string;
  readonly copies = false;
  handler: SocketHandler | null;
  private socket: net.Socket;
  /** Writes made, written, and which of them is PENDING (0 = none). */
  private writes: number;
  private written: number;
  private pending: number;
  private error: string;
  private readonly onWritten: () => void;

  constructor(remote: string) {
    this.remote = remote;
    this.handler = null;
    this.socket = NO_SOCKET;
    this.writes = 0;
    this.written = 0;
    this.pending = 0;
    this.error = "";
    this.onWritten = () => {
      if (++this.written !== this.pending) return;
      this.pending = 0;
      this.handler?.drain();
    };
  }

  /** `onread` of net.Socket: reads without a new Buffer and a stream event each time. */
  readonly onread = {
    buffer: readBuffer,
    callback: (n: number, buf: Uint8Array): boolean => {
      this.handler?.data(buf, 0, n);
      return true;
    },
  };

  attach(socket: net.Socket, handler: SocketHandler): void {
    this.socket = socket;
    this.handler = handler;
    socket.on("end", () => this.handler?.end());
    socket.on("error", (error: NodeJS.ErrnoException) => {
      this.error = error.code ?? "EIO";
    });
    socket.on("close", () => {
      const owner = this.handler;
      this.handler = null;
      owner?.close(this.error);
    });
  }

  write(buf: Uint8Array, start: number, end: number): number {
    this.writes++;
    this.socket.write(buf.subarray(start, end), this.onWritten);
    // libuv writes at once what the kernel takes: then nothing is left in the stream.
    if (this.socket.writableLength === 0) return end - start;
    this.pending = this.writes;
    return PENDING;
  }

  pause(): void {
    this.socket.pause();
  }

  resume(): void {
    this.socket.resume();
  }

  shutdown(): void {
    this.socket.end();
  }

  close(): void {
    this.socket.destroy();
  }
}

const NO_SOCKET = new net.Socket();

function remoteOf(socket: net.Socket): string {
  return socket.remoteAddress === undefined ? "" : `${socket.remoteAddress}:${socket.remotePort}`;
}

/**
 * Takes over the connection of an accepted socket with one that reads by `onread`: net.Server
 * offers that for connecting sockets only.
 */
function takeOver(accepted: net.Socket, socket: NodeSocket): net.Socket {
  const inner = accepted as unknown as { _handle: unknown };
  const handle = inner._handle;
  inner._handle = null;
  const options = { handle, allowHalfOpen: true, onread: socket.onread };
  return new net.Socket(options as net.SocketConstructorOpts);
}

/** Nobody ever wakes who waits on it. */
const napCell = new Int32Array(new SharedArrayBuffer(4));

export const nodeHost: Host = {
  runtime: `node ${process.versions.node}`,

  listen(address: Address, options: ListenOptions, accept): Promise<Listener> {
    if (options.tls !== undefined) return listenTls(address, options, accept);
    return new Promise((resolve, reject) => {
      const server = net.createServer({ allowHalfOpen: true, pauseOnConnect: true }, (accepted) => {
        const remote = remoteOf(accepted);
        const socket = new NodeSocket(remote);
        const own = takeOver(accepted, socket);
        own.setNoDelay(true);
        if (options.keepAlive) own.setKeepAlive(true);
        socket.attach(own, NO_HANDLER);
        const handler = accept(socket);
        if (handler === null) return own.destroySoon();
        socket.handler = handler;
        own.resume();
      });
      server.once("error", reject);
      const { host, port, path, mode } = address;
      // Workers share the socket: its file is not theirs to remove.
      if (path !== "" && !cluster.isWorker) rmSync(path, { force: true });
      const where = path !== "" ? { path } : { host, port };
      server.listen({ ...where, backlog: options.backlog, reusePort: options.reusePort }, () => {
        server.off("error", reject);
        if (path !== "" && mode >= 0) chmodSync(path, mode);
        const bound = server.address();
        resolve({
          port: typeof bound === "object" && bound !== null ? bound.port : 0,
          close: () => server.close(),
        });
      });
    });
  },

  connect(address: Address, handler: SocketHandler, tls?: ConnectTls): Socket {
    if (tls !== undefined) return connectTls(address, handler, tls);
    const { host, port, path } = address;
    const socket = new NodeSocket(path !== "" ? path : `${host}:${port}`);
    const where = path !== "" ? { path } : { host, port };
    const inner = net.connect({
      ...where,
      allowHalfOpen: true,
      noDelay: true,
      onread: socket.onread,
    });
    socket.attach(inner, handler);
    inner.once("connect", () => socket.handler?.open());
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

tuneCopy(28);

const NO_HANDLER: SocketHandler = {
  open() {},
  data() {},
  drain() {},
  end() {},
  close() {},
};
