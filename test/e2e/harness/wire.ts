// A client that sends bytes and reads bytes.

import * as net from "node:net";
import { type Target, toConnect } from "./ports.ts";
import { closers, PATIENCE } from "./processes.ts";
import { cmd, respEnd } from "./resp.ts";

/** A client that sends bytes and reads bytes; a string is one character per byte. */
export class Wire {
  readonly socket: net.Socket;
  /** The other side has closed its half, or the connection is gone. */
  ended: boolean;
  /** Error code of a broken connection ("ECONNRESET"), else "". */
  error: string;
  /** Received and not yet taken: `buf[start, end)`; grows by doubling. */
  private buf: Buffer;
  private start: number;
  private end: number;
  private wake: () => void;

  constructor(socket: net.Socket) {
    this.socket = socket;
    this.ended = false;
    this.error = "";
    this.buf = Buffer.alloc(4096);
    this.start = 0;
    this.end = 0;
    this.wake = () => {};
    socket.setNoDelay(true);
    socket.on("data", (chunk: Buffer) => {
      this.keep(chunk);
      this.wake();
    });
    const end = () => {
      this.ended = true;
      this.wake();
    };
    socket.on("end", end);
    socket.on("close", end);
    socket.on("error", (error: NodeJS.ErrnoException) => {
      this.error = error.code ?? String(error);
      end();
    });
    const close = () => socket.destroy();
    closers.add(close);
    socket.on("close", () => closers.delete(close));
  }

  static open(target: Target): Promise<Wire> {
    return new Promise((resolve, reject) => {
      const socket = net.connect({ ...toConnect(target), allowHalfOpen: true });
      socket.once("error", reject);
      socket.once("connect", () => {
        socket.off("error", reject);
        resolve(new Wire(socket));
      });
    });
  }

  send(data: string | Uint8Array): this {
    this.socket.write(typeof data === "string" ? Buffer.from(data, "latin1") : data);
    return this;
  }

  /** Resolves when everything sent is with the kernel. */
  flushed(): Promise<void> {
    return new Promise((resolve) => this.socket.write("", () => resolve()));
  }

  /** All received and not yet taken. */
  peek(): Buffer {
    return this.buf.subarray(this.start, this.end);
  }

  private take(n: number): string {
    this.start += n;
    return this.buf.toString("latin1", this.start - n, this.start);
  }

  private keep(chunk: Buffer): void {
    if (this.end + chunk.length > this.buf.length) {
      const held = this.peek();
      this.buf = Buffer.alloc(2 * (held.length + chunk.length));
      held.copy(this.buf);
      this.start = 0;
      this.end = held.length;
    }
    this.end += chunk.copy(this.buf, this.end);
  }

  /** Waits until `ready` is true, checked after every arrival. */
  private async wait(what: string, ready: () => boolean, patience = PATIENCE): Promise<void> {
    const deadline = Date.now() + patience;
    while (!ready()) {
      const left = deadline - Date.now();
      if (this.ended || left <= 0) {
        const got = this.peek();
        const why = this.ended ? `the connection ended ${this.error}` : `${patience} ms went by`;
        const shown = JSON.stringify(got.toString("latin1", 0, 400));
        throw new Error(`waiting for ${what}: ${why}; received ${got.length} bytes: ${shown}`);
      }
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left);
        this.wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      this.wake = () => {};
    }
  }

  /** Exactly `n` bytes. */
  async read(n: number): Promise<string> {
    await this.wait(`${n} bytes`, () => this.end - this.start >= n);
    return this.take(n);
  }

  /** Up to and with `mark`. */
  async readUntil(mark: string): Promise<string> {
    await this.wait(JSON.stringify(mark), () => this.peek().includes(mark, 0, "latin1"));
    return this.take(this.peek().indexOf(mark, 0, "latin1") + mark.length);
  }

  line(): Promise<string> {
    return this.readUntil("\r\n");
  }

  /** `n` whole Redis replies, each as its bytes. */
  async replies(n: number): Promise<string[]> {
    const replies: string[] = [];
    let next = -1;
    while (replies.length < n) {
      await this.wait(
        `Redis reply ${replies.length + 1} of ${n}`,
        () => (next = respEnd(this.peek(), 0)) > 0,
      );
      const all = this.peek();
      let pos = 0;
      while (next > 0 && replies.length < n) {
        replies.push(all.toString("latin1", pos, next));
        pos = next;
        next = respEnd(all, pos);
      }
      this.take(pos);
    }
    return replies;
  }

  async reply(): Promise<string> {
    return (await this.replies(1))[0];
  }

  /** Sends a Redis command and reads its reply. */
  ask(...args: (string | number)[]): Promise<string> {
    return this.send(cmd(...args)).reply();
  }

  /** Sends FIN; reading goes on. */
  half(): this {
    this.socket.end();
    return this;
  }

  /** Everything until the other side ends. */
  async rest(): Promise<string> {
    await this.wait("the end of the connection", () => this.ended);
    const all = this.take(this.peek().length);
    this.socket.destroy();
    return all;
  }

  close(): void {
    this.socket.destroy();
  }
}

/** Sends bytes, then FIN, and gives everything that comes back until the other side ends. */
export async function exchange(target: Target, input: string): Promise<string> {
  const wire = await Wire.open(target);
  return await wire.send(input).half().rest();
}
