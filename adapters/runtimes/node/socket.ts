// A connection on Node: a net.Socket that reads into one buffer.

import net from "node:net";
import { viewed } from "../../../core/bytes.ts";
import { PENDING, type Socket, type SocketHandler } from "../../../core/host.ts";

/** One buffer for all sockets: a read is handled before the next one begins. */
const READ_SIZE = 262144;
const readBuffer = viewed(new Uint8Array(READ_SIZE));

export class NodeSocket implements Socket {
  remote: string;
  readonly copies = false;
  handler: SocketHandler | null;
  private socket: net.Socket;
  /** Writes made, written, and which of them is PENDING (0 = none). */
  private writes: number;
  private written: number;
  private pending: number;
  private error: string;
  private paused: boolean;
  private readonly onWritten: () => void;

  constructor(remote: string) {
    this.remote = remote;
    this.handler = null;
    this.socket = NO_SOCKET;
    this.writes = 0;
    this.written = 0;
    this.pending = 0;
    this.error = "";
    this.paused = false;
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

  localHost(): string {
    return this.socket.localAddress ?? "";
  }

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

  /** Reads, if its owner has not paused it already. */
  begin(): void {
    if (!this.paused) this.socket.resume();
  }

  pause(): void {
    this.paused = true;
    this.socket.pause();
  }

  resume(): void {
    this.paused = false;
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
