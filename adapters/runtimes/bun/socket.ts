// A connection on Bun, made by Bun.listen or Bun.connect.

import type { Socket, SocketHandler } from "../../../core/host.ts";
import { reread } from "../shared/read_buffer.ts";

export type Inner = import("bun").Socket<BunSocket>;

export class BunSocket implements Socket {
  remote: string;
  readonly copies = true;
  handler: SocketHandler | null;
  inner: Inner | null;
  error: string;
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
    this.blocked = false;
    this.finished = false;
    this.ended = false;
  }

  /** It may still be connected. */
  get connecting(): boolean {
    return this.inner === null && this.handler !== null;
  }

  localHost(): string {
    return this.inner?.localAddress ?? "";
  }

  opened(inner: Inner): void {
    if (!this.connecting) {
      // Closed meanwhile, or another address was faster.
      inner.data = UNWANTED;
      inner.terminate();
      return;
    }
    this.inner = inner;
    inner.setNoDelay(true);
    this.handler?.open();
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
    else setImmediate(() => this.closed(""));
  }
}

/** Whom a socket belongs to that is not wanted. */
export const UNWANTED = new BunSocket("", null);

// One table of handlers for all sockets; what belongs to one is in socket.data.
export const handlers = {
  open(inner: Inner): void {
    inner.data.opened(inner);
  },
  data(inner: Inner, chunk: Uint8Array): void {
    inner.data.handler?.data(reread(chunk), 0, chunk.length);
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
  close(inner: Inner, error?: Error): void {
    const socket = inner.data;
    socket.closed(error ? codeOf(error) : socket.error);
  },
};

export function codeOf(error: Error): string {
  return (error as Error & { code?: string }).code ?? "EIO";
}

/** Connects `socket`; `failed` is told if that cannot be. Who closes it meanwhile hears no more. */
export function connectOne(
  socket: BunSocket,
  where: { hostname: string; port: number } | { unix: string },
  failed: (error: string) => void,
): void {
  Bun.connect(
    {
      ...where,
      allowHalfOpen: true,
      data: socket,
      socket: handlers,
    } as unknown as Parameters<typeof Bun.connect>[0],
  ).catch((error) => failed(codeOf(error)));
}
