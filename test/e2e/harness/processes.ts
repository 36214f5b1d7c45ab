// Processes of the end-to-end tests, the folder of their files, and the end of all of it: only
// processes are ended that were started here, and all of them, however the test file ends.

import { type ChildProcess, execFile, spawn } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import process from "node:process";
import { test } from "uvu";

export const root = process.env.RINGMUX_ROOT ?? process.cwd();
/** Longest wait for anything, in milliseconds. */
export const PATIENCE = Number(process.env.RINGMUX_PATIENCE ?? 10_000);

const children = new Set<ChildProcess>();
/** What else is to be closed at the end. */
export const closers = new Set<() => void>();
let tmp = "";
let serial = 0;

/** A new path inside this run's temporary folder. */
export function tempPath(name: string): string {
  if (tmp === "") tmp = fs.mkdtempSync(path.join(os.tmpdir(), "ringmux-e2e-"));
  return path.join(tmp, `${++serial}-${name}`);
}

/** Stops every process, socket and server of this file. */
export function cleanUp(): void {
  for (const close of closers) close();
  closers.clear();
  for (const child of children) {
    if (child.exitCode === null && child.signalCode === null) child.kill("SIGKILL");
  }
  children.clear();
  if (tmp !== "") fs.rmSync(tmp, { recursive: true, force: true });
  tmp = "";
}
process.on("exit", cleanUp);
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.on(signal, () => process.exit(1));
}
test.after(cleanUp);

/** Polls until `check` gives something truthy; never longer than PATIENCE. */
export async function until<T>(
  what: string,
  check: () => T | Promise<T>,
  patience = PATIENCE,
): Promise<T> {
  const deadline = Date.now() + patience;
  for (;;) {
    const result = await check();
    if (result) return result;
    if (Date.now() > deadline) throw new Error(`waited ${patience} ms in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

export interface Exit {
  code: number | null;
  signal: string | null;
}

/** A process of ours, its output in a file. */
export class Running {
  readonly child: ChildProcess;
  readonly name: string;
  readonly outputPath: string;

  constructor(name: string, command: string, args: string[], env: Record<string, string> = {}) {
    this.name = name;
    this.outputPath = tempPath(`${name}.log`);
    const fd = fs.openSync(this.outputPath, "w");
    this.child = spawn(command, args, {
      stdio: ["ignore", fd, fd],
      cwd: root,
      env: { ...process.env, NO_COLOR: "1", ...env },
    });
    fs.closeSync(fd);
    this.child.on("error", (error) => fs.appendFileSync(this.outputPath, String(error)));
    this.child.unref();
    children.add(this.child);
  }

  get pid(): number {
    return this.child.pid as number;
  }

  get gone(): boolean {
    return this.child.exitCode !== null || this.child.signalCode !== null ||
      this.child.pid === undefined;
  }

  /** What it has printed so far, standard output and error together. */
  output(): string {
    return fs.readFileSync(this.outputPath, "utf8");
  }

  kill(signal: NodeJS.Signals): void {
    if (!this.gone) this.child.kill(signal);
  }

  async exited(): Promise<Exit> {
    await until(`${this.name} to exit`, () => this.gone);
    children.delete(this.child);
    return { code: this.child.exitCode, signal: this.child.signalCode };
  }

  stop(signal: NodeJS.Signals = "SIGTERM"): Promise<Exit> {
    this.kill(signal);
    return this.exited();
  }
}

export interface Ran {
  code: number;
  stdout: string;
  stderr: string;
}

/** Runs a command to its end. */
export function run(command: string, args: string[], input = ""): Promise<Ran> {
  return new Promise((resolve) => {
    const child = execFile(
      command,
      args,
      { cwd: root, timeout: 60_000, maxBuffer: 1 << 28, env: { ...process.env, NO_COLOR: "1" } },
      (error, stdout, stderr) => {
        const code = error === null ? 0 : typeof error.code === "number" ? error.code : -1;
        resolve({ code, stdout, stderr });
      },
    );
    children.add(child);
    child.stdin?.on("error", () => {}); // it may end without reading
    child.stdin?.end(input);
  });
}

/** Path of a program, or "" if it is not installed. */
export function which(program: string): string {
  const folders = [...(process.env.PATH ?? "").split(":"), "/usr/sbin", "/usr/local/sbin"];
  for (const folder of folders) {
    const file = path.join(folder, program);
    if (folder !== "" && fs.existsSync(file)) return file;
  }
  return "";
}

export const has = {
  redis: which("redis-server") !== "",
  redisCli: which("redis-cli") !== "",
  memcached: which("memcached") !== "",
  nutcracker: which("nutcracker") !== "",
  memccapable: which("memccapable") !== "" || which("memcapable") !== "",
};

/** `test` when all the programs are there, else `test.skip`. */
export function needs(...programs: (keyof typeof has)[]): typeof test | typeof test.skip {
  return programs.every((program) => has[program]) ? test : test.skip;
}
