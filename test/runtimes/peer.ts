// Gives orders to peer.mjs, a process that is the far end of the connections under test.

import { type ChildProcess, spawn } from "node:child_process";
import process from "node:process";

/** Longest wait for anything, in milliseconds. */
export const PATIENCE = Number(process.env.RINGMUX_PATIENCE ?? 10_000);

/** What the far end knows of a connection. */
export interface FarEnd {
  readonly id: number;
  readonly received: number;
  /** All that was received is what was to be sent. */
  readonly good: boolean;
  readonly ended: boolean;
  readonly closed: boolean;
  readonly error: string;
  /** Bytes of its own that its kernel has taken. */
  readonly flushed: number;
}

export type Where = { host: string; port: number } | { path: string };

const running = new Set<ChildProcess>();
process.on("exit", () => running.forEach((child) => child.kill("SIGKILL")));

export class Peer {
  private readonly child: ChildProcess;
  private readonly waiting: Map<number, (reply: { value?: unknown; error?: string }) => void>;
  private last: number;

  constructor(script: string) {
    this.child = spawn("node", [script], { stdio: ["pipe", "pipe", "inherit"] });
    this.waiting = new Map();
    this.last = 0;
    let rest = "";
    this.child.stdout?.setEncoding("utf8");
    this.child.stdout?.on("data", (text: string) => {
      const lines = (rest + text).split("\n");
      rest = lines.pop() as string;
      for (const line of lines) {
        const reply = JSON.parse(line);
        this.waiting.get(reply.n)?.(reply);
        this.waiting.delete(reply.n);
      }
    });
    running.add(this.child);
    this.child.on("exit", () => running.delete(this.child));
  }

  ask<T = FarEnd>(order: string, args: Record<string, unknown> = {}): Promise<T> {
    const n = ++this.last;
    this.child.stdin?.write(`${JSON.stringify({ n, order, args })}\n`);
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        reject(new Error(`waited ${PATIENCE} ms in vain: ${order} of the far end`));
      }, PATIENCE);
      this.waiting.set(n, ({ value, error }) => {
        clearTimeout(timer);
        if (error !== undefined) reject(new Error(`${order}: ${error}`));
        else resolve(value as T);
      });
    });
  }

  /** It does nothing any more. */
  stand(): void {
    process.kill(this.child.pid as number, "SIGSTOP");
  }

  /** It is gone without a word. */
  kill(): Promise<void> {
    return new Promise((resolve) => {
      this.child.on("exit", () => resolve());
      process.kill(this.child.pid as number, "SIGKILL");
    });
  }

  stop(): void {
    this.child.stdin?.end();
  }
}
