// Real servers for a demonstration: processes with their files in one temporary folder, all ended and
// removed at the end, however that comes. Knows nothing of what they are for.

import { type ChildProcess, execFile, spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import * as net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";

/** How long (ms) anything may take. */
const PATIENCE = 30_000;
const PAUSE = 50;

/** Where programs are looked for beside PATH. */
const FOLDERS = ["/usr/sbin", "/usr/local/sbin", "/usr/local/bin", "/opt/homebrew/bin"];

/** What runs, and what to do with it. */
export interface Demo {
  /** The lines of ringmux's configuration file. */
  readonly config: readonly string[];
  /** The port of its pool. */
  readonly listen: number;
  /** Shown when the pool listens. */
  readonly text: string;
}

export class Launcher {
  /** What a server writes goes there; the path has no spaces. */
  readonly folder: string;
  private readonly servers: Map<string, ChildProcess>;
  private ended: boolean;

  constructor() {
    this.folder = mkdtempSync(join(tmpdir(), "ringmux-demo-"));
    this.servers = new Map();
    this.ended = false;
  }

  /** The path of a file with these lines. */
  file(name: string, lines: readonly string[]): string {
    const path = join(this.folder, name);
    writeFileSync(path, lines.map((line) => `${line}\n`).join(""));
    return path;
  }

  /** Starts a server; resolves to its pid when it listens on `port`. */
  async start(
    name: string,
    port: number,
    program: string,
    args: readonly string[],
  ): Promise<number> {
    // A group of its own: Ctrl-C is for the proxy, which may still need it.
    const child = spawn(program, args, {
      cwd: this.folder,
      detached: true,
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.servers.set(name, child);
    let said = "";
    for (const output of [child.stdout, child.stderr]) {
      output.setEncoding("utf8").on("data", (text: string) => said = (said + text).slice(-2000));
    }
    child.on("error", (error) => said += error.message);
    await until(`${name} to listen on port ${port}`, async () => {
      if (child.pid === undefined || child.exitCode !== null) {
        throw new Error(`${name} has ended at once:\n${said.trimEnd()}`);
      }
      return await isTaken(port);
    });
    return child.pid as number;
  }

  /** Ends all servers at once and removes what they have written. */
  end(): void {
    if (this.ended) return;
    this.ended = true;
    for (const child of this.servers.values()) child.kill("SIGKILL");
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** The path of a program; `what` needs it. */
export function programFor(what: string, name: string): string {
  const folders = [...(process.env.PATH ?? "").split(":"), ...FOLDERS];
  const found = folders.map((folder) => join(folder, name)).find((path) => existsSync(path));
  if (found !== undefined) return found;
  throw new Error(
    `${what} needs ${name}, which is not installed (looked for it in ${folders.join(", ")})`,
  );
}

/** Runs a command to its end; resolves to what it prints. */
export function output(program: string, ...args: string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(program, args, { timeout: PATIENCE }, (error, stdout, stderr) => {
      if (error === null) resolve(stdout.trimEnd());
      else reject(new Error(`${program} ${args.join(" ")} failed:\n${stdout}${stderr}`.trimEnd()));
    });
  });
}

/** Asks again and again, for as long as `check` says no. */
export async function until(what: string, check: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + PATIENCE;
  while (!await check()) {
    if (Date.now() > deadline) throw new Error(`waited ${PATIENCE} ms in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, PAUSE));
  }
}

/** `n` ports in a row that nobody listens on, nor on those `beside` of them. */
export async function freePorts(n: number, beside: readonly number[] = []): Promise<number[]> {
  for (let first = 7001; first < 17_000; first += 100) {
    const ports = Array.from({ length: n }, (_, i) => first + i);
    const all = [0, ...beside].flatMap((offset) => ports.map((port) => port + offset));
    if (!(await Promise.all(all.map(isTaken))).includes(true)) return ports;
  }
  throw new Error(`there are no ${n} free ports in a row from 7001 to 17000`);
}

export function isTaken(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect(port, "127.0.0.1");
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}
