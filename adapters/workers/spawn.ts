// How a supervisor starts a worker: this program again, with pipes for what they say to each other.
// Node before 22.12 cannot share a port by SO_REUSEPORT; there its cluster module hands out the
// connections.

import { type ChildProcess, spawn, type StdioOptions } from "node:child_process";
import process from "node:process";
import { type Readable, Writable } from "node:stream";
import { type Channel, ipcChannel, lineChannel } from "./channel.ts";
import { ownCommand, ownEnvironment } from "../system/system.ts";

/** Set in the environment of a worker: its number, from 1. */
export const WORKER_MARK = "RINGMUX_WORKER";

export interface WorkerProcess {
  readonly pid: number;
  readonly channel: Channel;
  /** What its runtime says, in pieces: the last words of a crash. */
  readonly stderr: Readable | null;
  /** How it ended: "status 1", "signal SIGKILL". */
  readonly exited: Promise<string>;
  kill(signal: NodeJS.Signals): void;
}

export interface Spawner {
  /** Several processes can listen on one port. */
  readonly reusePort: boolean;
  /** All workers listen on unix sockets; else the first does. */
  readonly shareUnixSockets: boolean;
  start(number: number): WorkerProcess;
}

/** Node's from 22.12 on, and in 23.1 and later; Deno and Bun can. */
export function canReusePort(): boolean {
  const { deno, bun, node } = process.versions as Record<string, string | undefined>;
  if (deno !== undefined || bun !== undefined) return true;
  const [major, minor] = (node ?? "0.0").split(".").map(Number);
  return major > 23 || (major === 23 && minor >= 1) || (major === 22 && minor >= 12);
}

export async function makeSpawner(): Promise<Spawner> {
  if (canReusePort()) return { reusePort: true, shareUnixSockets: false, start: startByPipes };
  const { default: cluster } = await import("node:cluster");
  const stdio: StdioOptions = ["ignore", "ignore", "pipe", "ipc"];
  cluster.setupPrimary({ exec: process.argv[1], args: process.argv.slice(2), stdio });
  return {
    reusePort: false,
    shareUnixSockets: true,
    start(number) {
      const worker = cluster.fork({ [WORKER_MARK]: String(number) });
      return describe(worker.process, ipcChannel(worker.process, false));
    },
  };
}

function startByPipes(number: number): WorkerProcess {
  const [program, args] = ownCommand();
  const child = spawn(program, args, {
    stdio: ["pipe", "pipe", "pipe"],
    env: ownEnvironment({ [WORKER_MARK]: String(number) }),
  });
  return describe(child, lineChannel(child.stdout, child.stdin));
}

function describe(child: ChildProcess, channel: Channel): WorkerProcess {
  return {
    pid: child.pid ?? 0,
    channel,
    stderr: child.stderr,
    exited: new Promise((resolve) => {
      child.on("error", (error) => resolve(error.message));
      child.on("exit", (code, signal) => resolve(signal ? `signal ${signal}` : `status ${code}`));
    }),
    kill: (signal) => void child.kill(signal),
  };
}

/** In a worker: the channel to its supervisor; null in any other process. */
export function supervisorChannel(): Channel | null {
  if (process.env[WORKER_MARK] === undefined) return null;
  delete process.env[WORKER_MARK];
  if (process.send === undefined) return lineChannel(process.stdin, stdoutOf());
  return ipcChannel(process as unknown as Parameters<typeof ipcChannel>[0], true);
}

/** A stdout that never waits for its reader: Deno's process.stdout stops the whole process. */
export function stdoutOf(): Writable {
  const { Deno: deno } = globalThis as unknown as {
    Deno?: { stdout: { write(buf: Uint8Array): Promise<number> } };
  };
  if (process.versions.deno === undefined || deno === undefined) return process.stdout;
  const writeAll = async (buf: Uint8Array): Promise<void> => {
    for (let at = 0; at < buf.length;) at += await deno.stdout.write(buf.subarray(at));
  };
  return new Writable({
    write(buf: Uint8Array, _encoding, done) {
      writeAll(buf).then(() => done(), done);
    },
  });
}
