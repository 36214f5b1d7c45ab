// Lines to stderr or to a log file, without ever waiting for whoever reads them: a pipe that nobody
// reads is full after 64 KB, and a write to it would stop the whole process. Lines that find no room
// are dropped and counted.

import * as fs from "node:fs";
import { Socket } from "node:net";
import process from "node:process";
import { plain } from "./plain.ts";
import type { Sink } from "../log/log.ts";

/** Most bytes that wait for their reader. */
const MOST = 128 * 1024;
/** How soon (ms) it is tried again. */
const AGAIN = 20;
/** How long (ms) the last lines may take at the end. */
const LAST = 200;

/** Resolves to the bytes written; may take as long as it likes. */
type Write = (buf: Uint8Array) => Promise<number>;

export class LineOut implements Sink {
  /** Is told, when there is room again, how many lines were dropped. */
  lost: (lines: number) => void;
  private readonly path: string;
  private fd: number;
  /** Where a write may block the process another thread does it; null where it does not. */
  private later: Write | null;
  private readonly queue: Uint8Array[];
  private queued: number;
  private dropped: number;
  /** A write is under way, or will be tried again. */
  private busy: boolean;

  /** `path` "" is stderr. Throws when the file cannot be opened. */
  constructor(path: string) {
    this.lost = () => {};
    this.path = path;
    this.later = null;
    this.queue = [];
    this.queued = 0;
    this.dropped = 0;
    this.busy = false;
    this.fd = path === "" ? this.openStderr() : openLog(path);
  }

  write(text: string): void {
    const bytes = new TextEncoder().encode(text);
    if (this.queued + bytes.length > MOST) {
      this.dropped++;
      return;
    }
    this.queue.push(bytes);
    this.queued += bytes.length;
    if (!this.busy) this.pump();
  }

  reopen(): void {
    if (this.path === "") return;
    // The new one first: if it cannot be opened the old one is better than none.
    const old = this.fd;
    this.fd = openLog(this.path);
    fs.closeSync(old);
  }

  async close(): Promise<void> {
    for (let waited = 0; this.busy && waited < LAST; waited += AGAIN) {
      await new Promise((resolve) => setTimeout(resolve, AGAIN));
    }
    if (this.path !== "") fs.closeSync(this.fd);
  }

  /** Writes what the other side takes now. */
  private pump(): void {
    this.busy = true;
    while (this.queue.length > 0) {
      const [first] = this.queue;
      if (this.later !== null) {
        const done = this.later(first).then((n) => this.wrote(n), (error) => this.failed(error));
        return void done.then(() => this.pump());
      }
      try {
        this.wrote(fs.writeSync(this.fd, first));
      } catch (error) {
        if (isFull(error)) return void setTimeout(() => this.pump(), AGAIN);
        this.give();
      }
    }
    this.rest();
  }

  private rest(): void {
    this.busy = false;
    const lines = this.dropped;
    this.dropped = 0;
    if (lines > 0) this.lost(lines);
  }

  private wrote(n: number): void {
    this.queued -= n;
    if (n < this.queue[0]?.length) this.queue[0] = this.queue[0].subarray(n);
    else this.queue.shift();
  }

  private failed(error: unknown): Promise<void> | void {
    if (isFull(error)) return new Promise((resolve) => setTimeout(resolve, AGAIN));
    this.give();
  }

  /** A log that cannot be written (disk full, reader gone) is no reason to stop serving. */
  private give(): void {
    const line = this.queue.shift();
    this.queued -= line?.length ?? 0;
  }

  private openStderr(): number {
    const stat = statOf(2);
    // A write to a file never waits for a reader.
    if (stat === null || stat.isFile()) return 2;
    try {
      // Opened anew, so that nobody else's stderr becomes non-blocking with it.
      const { O_WRONLY, O_NONBLOCK, O_APPEND } = fs.constants;
      if (!stat.isSocket()) return fs.openSync("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_APPEND);
    } catch {
      // No /proc, or somebody else's.
    }
    this.later = writeStderr();
    return 2;
  }
}

function statOf(fd: number): fs.Stats | null {
  try {
    return fs.fstatSync(fd);
  } catch {
    return null;
  }
}

function isFull(error: unknown): boolean {
  return /EAGAIN|EWOULDBLOCK|os error 11\b/.test(
    `${(error as { code?: string }).code} ${(error as Error).message}`,
  );
}

/** By the runtime's loop or one of its threads, whichever does not hinder the process from ending. */
function writeStderr(): Write {
  const { versions } = process;
  const { Deno: deno } = globalThis as unknown as { Deno?: { stderr: { write: Write } } };
  if (versions.deno !== undefined && deno) return (buf) => deno.stderr.write(buf);
  if (versions.bun !== undefined) {
    return (buf) =>
      new Promise((resolve, reject) => {
        fs.write(2, buf, 0, buf.length, null, (error, n) => error ? reject(error) : resolve(n));
      });
  }
  // Node ends its threads before it ends, and would wait for one that writes.
  const socket = new Socket({ fd: 2, readable: false, writable: true });
  socket.on("error", () => {}).unref();
  return (buf) =>
    new Promise((resolve, reject) => {
      socket.write(buf, (error) => error ? reject(error) : resolve(buf.length));
    });
}

/** A FIFO is opened for reading too: then it needs no reader, and one may come and go. */
function openLog(path: string): number {
  const { O_WRONLY, O_RDWR, O_APPEND, O_CREAT, O_NONBLOCK } = fs.constants;
  try {
    try {
      if (fs.statSync(path).isFIFO()) return fs.openSync(path, O_RDWR | O_NONBLOCK);
    } catch {
      // Not there yet, or not ours to read: that it cannot be opened is told below.
    }
    return fs.openSync(path, O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK, 0o644);
  } catch (error) {
    throw plain(error);
  }
}
