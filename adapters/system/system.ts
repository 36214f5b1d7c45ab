// The operating system as the command line needs it, on the node: modules that Deno, Bun and Node
// share. Knows nothing of proxies or of the network.

import { spawn } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import process from "node:process";
import { LineOut } from "./line_out.ts";
import type { Sink } from "../log/log.ts";
import { createNotifier } from "./notify.ts";
import { plain } from "./plain.ts";
import { fileState, watchFile } from "./watch.ts";

/** What the command needs of the operating system. Failures are Errors; `message` says why. */
export interface System {
  /** Arguments behind the program's name. */
  readonly args: readonly string[];
  readonly pid: number;
  readonly hostname: string;
  /** "node 20.20.2" */
  readonly runtime: string;
  /** "Linux 6.1.0 x64" */
  readonly platform: string;
  /** This process is the child that `daemonize` has started. */
  readonly isDaemon: boolean;
  readTextFile(path: string): Promise<string>;
  /** Creates or replaces a file that everybody may read. */
  writeFile(path: string, text: string): void;
  removeFile(path: string): void;
  /** Opens a log file to append to; "" is stderr. Neither ever waits for a reader. */
  openLog(path: string): Sink;
  stderr(text: string): void;
  stdout?(text: string): void;
  /** Calls `fn` at every such signal ("SIGHUP"); does nothing where there is no such signal. */
  on(signal: string, fn: () => void): void;
  signalNumber(signal: string): number;
  /** Sends a signal to another process. */
  signal?(pid: number, signal: string): void;
  /** Its arguments, with blanks between; "" when there is no such process. */
  commandLine?(pid: number): string;
  /** What tells one state of a file from another; "" when it is not there. */
  fileState?(path: string): string;
  /** Calls `changed` when a file is in another state than `known`. */
  watchFile?(path: string, known: string, changed: () => void): { stop(): void };
  /**
   * Starts this program again, detached, and waits until it calls `daemonReady` or dies. Returns
   * the status to exit with.
   */
  daemonize(): Promise<number>;
  /** In the child: start-up is over, the parent may go. */
  daemonReady(): void;
  /** Tells a service manager that waits for it: "READY=1", "RELOADING=1", "STOPPING=1". */
  notify?(...state: string[]): Promise<void>;
  /** Names this process, its arguments unchanged; false where that cannot be done. */
  setTitle?(name: string): boolean;
  exit(code: number): never;
}

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
    openLog: (path) => new LineOut(path),
    stderr: (text) => write(2, text),
    stdout: (text) => write(1, text),
    on(signal, fn) {
      try {
        process.on(signal as NodeJS.Signals, fn);
      } catch {
        // This platform has no such signal.
      }
    },
    setTitle,
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
    daemonReady: () => write(2, READY),
    notify: createNotifier((why) => write(2, `ringmux: ${why}\n`)),
    exit: (code) => process.exit(code),
  };
}

/** For what is said before there is a log, or instead: the whole text, however long that takes. */
function write(to: number, text: string): void {
  try {
    const bytes = new TextEncoder().encode(text);
    for (let at = 0; at < bytes.length;) at += fs.writeSync(to, bytes, at);
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
      env: ownEnvironment({ [DAEMON_MARK]: "1" }),
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
      write(2, `ringmux: cannot start a daemon: ${plain(error).message}\n`);
      resolve(1);
    });
    child.on("close", (code) => {
      write(2, said);
      resolve(code || 1);
    });
  });
}

function setTitle(name: string): boolean {
  try {
    // Not process.title: that overwrites the arguments, by which a daemon, a worker and --takeover
    // go, and does nothing on Bun.
    fs.writeFileSync("/proc/self/comm", name);
    return true;
  } catch {
    if (process.versions.bun !== undefined) return false;
    process.title = name;
    return true;
  }
}

/**
 * The environment of a process of ours: this one's and `more`, and, unless the operator says it, how
 * Deno's engine is to collect garbage. See docs/operations.md, "Deno's garbage collector".
 */
export function ownEnvironment(more: Readonly<Record<string, string>>): NodeJS.ProcessEnv {
  const { deno } = process.versions;
  const engine = deno === undefined ? {} : { DENO_V8_FLAGS: "--no-incremental-marking" };
  return { ...engine, ...process.env, ...more };
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
