// The operating system as the command line needs it, on the node: modules that Deno, Bun and Node
// share. Knows nothing of proxies or of the network.

import { spawn } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import process from "node:process";
import type { System } from "./cli.ts";
import type { Sink } from "./log.ts";
import { createNotifier } from "./notify.ts";
import { fileState, watchFile } from "./watch.ts";

/** Set in the environment of a daemon, so that it does not start another one. */
const DAEMON_MARK = "RINGMUX_DAEMON";
/** What a daemon writes to its stderr, which its parent reads, when start-up is over. */
const READY = "\0ready\n";

export function createSystem(): System {
  const isDaemon = process.env[DAEMON_MARK] === "1";
  // Processes that this one starts are no daemons.
  delete process.env[DAEMON_MARK];
  return {
    args: process.argv.slice(2),
    pid: process.pid,
    hostname: os.hostname(),
    runtime: runtimeName(),
    platform: `${os.type()} ${os.release()} ${process.arch}`,
    isDaemon,
    async readTextFile(path) {
      try {
        return await fs.promises.readFile(path, "utf8");
      } catch (error) {
        throw plain(error);
      }
    },
    writeFile: (path, text) => attempt(() => fs.writeFileSync(path, text, { mode: 0o644 })),
    removeFile: (path) => attempt(() => fs.unlinkSync(path)),
    openLog: (path) => new LogFile(path),
    stderr,
    on(signal, fn) {
      try {
        process.on(signal as NodeJS.Signals, fn);
      } catch {
        // This platform has no such signal.
      }
    },
    signal: (pid, signal) => attempt(() => void process.kill(pid, signal)),
    commandLine(pid) {
      try {
        return fs.readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0").join(" ");
      } catch {
        return "";
      }
    },
    fileState,
    watchFile,
    signalNumber: (signal) => os.constants.signals[signal as NodeJS.Signals] ?? 0,
    daemonize,
    daemonReady: () => stderr(READY),
    notify: createNotifier((why) => stderr(`ringmux: ${why}\n`)),
    exit: (code) => process.exit(code),
  };
}

class LogFile implements Sink {
  private readonly path: string;
  private fd: number;

  constructor(path: string) {
    this.path = path;
    this.fd = this.open();
  }

  write(text: string): void {
    writeAll(this.fd, text);
  }

  reopen(): void {
    // The new one first: if it cannot be opened the old one is better than none.
    const old = this.fd;
    this.fd = this.open();
    fs.closeSync(old);
  }

  close(): void {
    fs.closeSync(this.fd);
  }

  private open(): number {
    return attempt(() => fs.openSync(this.path, "a", 0o644));
  }
}

function stderr(text: string): void {
  writeAll(2, text);
}

/** A log that cannot be written (disk full, reader gone) is no reason to stop serving. */
function writeAll(fd: number, text: string): void {
  try {
    const bytes = new TextEncoder().encode(text);
    for (let at = 0; at < bytes.length;) at += fs.writeSync(fd, bytes, at);
  } catch {
    // Nowhere left to say so.
  }
}

function daemonize(): Promise<number> {
  const [program, args] = ownCommand();
  return new Promise((resolve) => {
    const child = spawn(program, args, {
      detached: true,
      stdio: ["ignore", "ignore", "pipe"],
      env: { ...process.env, [DAEMON_MARK]: "1" },
    });
    let said = "";
    child.stderr.setEncoding("utf8");
    child.stderr.on("data", (text: string) => {
      said += text;
      if (!said.includes(READY)) return;
      child.stderr.destroy();
      child.unref();
      resolve(0);
    });
    child.on("error", (error) => {
      stderr(`ringmux: cannot start a daemon: ${plain(error).message}\n`);
      resolve(1);
    });
    child.on("close", (code) => {
      stderr(said);
      resolve(code || 1);
    });
  });
}

/** How to start this program again with the same arguments. */
export function ownCommand(): [string, string[]] {
  try {
    // The whole truth where there is one: Deno does not tell its own flags otherwise, and a
    // compiled program has no script.
    const line = fs.readFileSync("/proc/self/cmdline", "utf8").split("\0");
    return [process.execPath, line.slice(1, -1)];
  } catch {
    const flags = process.versions.deno !== undefined ? ["run", "-A"] : process.execArgv;
    return [process.execPath, [...flags, ...process.argv.slice(1)]];
  }
}

function runtimeName(): string {
  const { deno, bun, node } = process.versions as Record<string, string | undefined>;
  if (deno !== undefined) return `deno ${deno}`;
  return bun !== undefined ? `bun ${bun}` : `node ${node}`;
}

function attempt<T>(fn: () => T): T {
  try {
    return fn();
  } catch (error) {
    throw plain(error);
  }
}

/** The system's own words: "no such file or directory" for "ENOENT: no such ..., open 'x'". */
export function plain(error: unknown): Error {
  const text = error instanceof Error ? error.message : String(error);
  const found = /^[A-Z0-9]+: (.*?)(?:, [a-z]+(?: '.*')?)?$/.exec(text);
  return new Error(found === null ? text : found[1]);
}
