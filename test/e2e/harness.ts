// What the end-to-end tests stand on: real servers, a proxy of any runtime and a client that
// speaks bytes. Runs on Node; the proxy under test is named by RINGMUX_RUNTIME (node, deno, bun,
// or nutcracker, which proves the tests themselves against the original).
// Ends only processes it started, and all of them, however the test file ends.

import { type ChildProcess, execFile, execFileSync, spawn } from "node:child_process";
import * as fs from "node:fs";
import * as net from "node:net";
import * as os from "node:os";
import * as path from "node:path";
import process from "node:process";
import { test } from "uvu";
import * as assert from "uvu/assert";

export type Runtime = "node" | "deno" | "bun" | "nutcracker";

/** The proxy under test. */
export const runtime = (process.env.RINGMUX_RUNTIME ?? "node") as Runtime;
export const isNutcracker = runtime === "nutcracker";
/** For what ringmux does and nutcracker does not: skipped when nutcracker is under test. */
export const ours = isNutcracker ? test.skip : test;

export const root = process.env.RINGMUX_ROOT ?? process.cwd();
/** Longest wait for anything, in milliseconds. */
export const PATIENCE = Number(process.env.RINGMUX_PATIENCE ?? 10_000);

// ---------------------------------------------------------------------- processes and cleaning

const children = new Set<ChildProcess>();
const closers = new Set<() => void>();
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

// -------------------------------------------------------------------------------------- ports

function isFree(port: number, host: string): Promise<boolean> {
  return new Promise((resolve) => {
    const server = net.createServer();
    server.once("error", () => resolve(false));
    server.listen(port, host, () => server.close(() => resolve(true)));
  });
}

/** A port nobody listens on, outside the range the kernel gives to outgoing connections. */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < 1000; tries++) {
    const port = 10_000 + Math.floor(Math.random() * 20_000);
    if (await isFree(port, "0.0.0.0") && await isFree(port, "::")) return port;
  }
  throw new Error("no free port");
}

function canConnect(target: Target): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect(toConnect(target));
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}

// ------------------------------------------------------------------------------------ servers

export interface ServerProcess extends Running {
  port: number;
}

async function startServer(
  name: string,
  port: number | undefined,
  command: string,
  args: (port: number) => string[],
): Promise<ServerProcess> {
  for (let tries = 0; tries < 5; tries++) {
    const at = port ?? await freePort();
    const running = new Running(name, command, args(at)) as ServerProcess;
    running.port = at;
    await until(`${name} to listen`, async () => running.gone || await canConnect(at));
    if (!running.gone) return running;
    if (port !== undefined) break;
  }
  throw new Error(`${name} does not start`);
}

/** A redis-server that keeps nothing on disk; `config`: a file that it may rewrite. */
export function startRedis(
  opts: { port?: number; args?: string[]; config?: string } = {},
): Promise<ServerProcess> {
  return startServer("redis-server", opts.port, which("redis-server"), (port) => [
    ...(opts.config === undefined ? [] : [opts.config]),
    ...["--port", String(port), "--bind", "127.0.0.1", "::1", "--save", "", "--appendonly", "no"],
    ...["--daemonize", "no", "--dir", path.dirname(tempPath("dir"))],
    ...(opts.args ?? []),
  ]);
}

export function startMemcached(
  opts: { port?: number; args?: string[] } = {},
): Promise<ServerProcess> {
  return startServer("memcached", opts.port, which("memcached"), (port) => [
    ...["-p", String(port), "-U", "0", "-l", "127.0.0.1,::1", "-t", "1", "-m", "64"],
    ...(process.getuid?.() === 0 ? ["-u", "root"] : []),
    ...(opts.args ?? []),
  ]);
}

/** `n` servers of one kind, started together. */
export function several<T>(n: number, start: () => Promise<T>): Promise<T[]> {
  return Promise.all(Array.from({ length: n }, () => start()));
}

/** A server in this process that does what the test says. */
export interface Fake {
  port: number;
  /** Connections ever accepted. */
  accepted: number;
  /** Everything received, all connections together. */
  received: () => string;
  close(): void;
}

export async function startFake(
  onConnection: (socket: net.Socket, fake: Fake) => void,
  port?: number,
): Promise<Fake> {
  const sockets = new Set<net.Socket>();
  const chunks: Buffer[] = [];
  const server = net.createServer((socket) => {
    fake.accepted++;
    sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => sockets.delete(socket));
    socket.on("data", (chunk) => chunks.push(chunk as Buffer));
    onConnection(socket, fake);
  });
  const fake: Fake = {
    port: port ?? await freePort(),
    accepted: 0,
    received: () => Buffer.concat(chunks).toString("latin1"),
    close() {
      server.close();
      for (const socket of sockets) socket.destroy();
      closers.delete(fake.close);
    },
  };
  closers.add(fake.close);
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(fake.port, "127.0.0.1", resolve);
  });
  return fake;
}

// ------------------------------------------------------------------------------------ proxies

/** Directives of one pool; `listen` may be left out and is then a free port on 127.0.0.1. */
export type PoolSpec = Record<string, string | number | boolean | string[]>;
export type Pools = Record<string, PoolSpec>;

/** The configuration file of these pools, as nutcracker reads it. */
export function toYaml(pools: Pools): string {
  let yaml = "";
  for (const [name, spec] of Object.entries(pools)) {
    yaml += `${name}:\n`;
    for (const [key, value] of Object.entries(spec)) {
      if (Array.isArray(value)) {
        yaml += `  ${key}:\n${value.map((item) => `   - ${item}\n`).join("")}`;
      } else {
        yaml += `  ${key}: ${value}\n`;
      }
    }
  }
  return yaml;
}

/** A server line "127.0.0.1:port:weight name". */
export function at(server: { port: number } | number, weight = 1, name = ""): string {
  const port = typeof server === "number" ? server : server.port;
  return `127.0.0.1:${port}:${weight}${name === "" ? "" : " " + name}`;
}

/** How ringmux is called on a runtime: command and first arguments. */
export function command(which_: Runtime = runtime): [string, string[]] {
  switch (which_) {
    case "nutcracker":
      return [which("nutcracker"), []];
    case "deno":
      return [denoBinary(), ["run", "-A", "--no-lock", "--node-modules-dir=manual", "mod.ts"]];
    case "bun":
      return [bunBinary(), ["run", "adapters/bun.ts"]];
    default:
      return [process.execPath, ["dist/ringmux.js"]];
  }
}

/** The first of these that runs, else the name itself (found by PATH). */
function firstBinary(name: string, candidates: string[]): string {
  for (const candidate of candidates) {
    const file = path.join(root, "node_modules", candidate);
    if (!fs.existsSync(file)) continue;
    try {
      execFileSync(file, ["--version"], { stdio: "ignore" });
      return file;
    } catch {
      // built for another processor or C library: try the next
    }
  }
  return which(name) || name;
}

const binaries: Record<string, string> = {};

/** The real deno, not npm's wrapper: its pid is the proxy's. */
export function denoBinary(): string {
  const platform = `${process.platform}-${process.arch}`;
  return binaries.deno ??= process.env.RINGMUX_DENO ?? firstBinary("deno", [
    "deno/deno",
    `@deno/${platform}-glibc/deno`,
    `@deno/${platform}/deno`,
  ]);
}

export function bunBinary(): string {
  const platform = `${process.platform}-${process.arch === "arm64" ? "aarch64" : process.arch}`;
  return binaries.bun ??= process.env.RINGMUX_BUN ?? firstBinary("bun", [
    "bun/bin/bun.exe",
    `@oven/bun-${platform}/bin/bun`,
    `@oven/bun-${platform}-baseline/bin/bun`,
  ]);
}

export interface ProxyOptions {
  runtime?: Runtime;
  /** More arguments. */
  args?: string[];
  /** The option --admin; "" for none, "off" if not said. */
  admin?: string;
  env?: Record<string, string>;
  /** Most file descriptors it may have open, when it is not this process's limit. */
  descriptors?: number;
  /** Lines for `global:`, which stand before the pools. */
  global?: Record<string, string | number | boolean>;
}

/** A proxy that listens. */
export class ProxyProcess extends Running {
  /** Port of each pool, in file order (0 for a unix socket). */
  ports!: Record<string, number>;
  /** Port of the first pool. */
  port!: number;
  statsPort!: number;
  confPath!: string;

  /** The line the stats port sends. */
  async statsText(): Promise<string> {
    const wire = await Wire.open(this.statsPort);
    return await wire.rest();
  }

  // deno-lint-ignore no-explicit-any
  async stats(): Promise<any> {
    return JSON.parse(await this.statsText());
  }
}

/** Not the default address, which only one of many proxies could have. */
function adminOption({ runtime: under = runtime, admin = "off" }: ProxyOptions): string[] {
  return under === "nutcracker" || admin === "" ? [] : ["--admin", admin];
}

/** A command behind `ulimit -n`; its pid is still the program's. */
function limited([program, args]: [string, string[]], descriptors?: number): [string, string[]] {
  if (descriptors === undefined) return [program, args];
  return ["sh", ["-c", `ulimit -n ${descriptors} && exec "$0" "$@"`, program, ...args]];
}

/** Starts a proxy and waits until all its ports take connections (one connection to each). */
export async function startProxy(
  pools: Pools,
  opts: ProxyOptions = {},
): Promise<ProxyProcess> {
  let why = "";
  for (let tries = 0; tries < 3; tries++) {
    const ports: Record<string, number> = {};
    const listens: Target[] = [];
    const full: Pools = {};
    for (const [name, spec] of Object.entries(pools)) {
      const listen = String(spec.listen ?? `127.0.0.1:${await freePort()}`);
      full[name] = { listen, ...spec };
      if (listen.startsWith("/")) {
        ports[name] = 0;
        listens.push({ path: listen.split(" ")[0] });
      } else {
        const colon = listen.lastIndexOf(":");
        ports[name] = Number(listen.slice(colon + 1));
        listens.push({ host: listen.slice(0, colon), port: ports[name] });
      }
    }
    const confPath = tempPath("ringmux.yml");
    const global = opts.global === undefined ? "" : toYaml({ global: opts.global });
    fs.writeFileSync(confPath, global + toYaml(full));
    const statsPort = await freePort();
    const [program, first] = limited(command(opts.runtime), opts.descriptors);
    const proxy = new ProxyProcess(opts.runtime ?? runtime, program, [
      ...first,
      ...["-c", confPath, "-a", "127.0.0.1", "-s", String(statsPort), "-i", "100"],
      ...["-p", tempPath("proxy.pid")],
      ...adminOption(opts),
      ...(opts.args ?? []),
    ], opts.env);
    Object.assign(proxy, { ports, port: Object.values(ports)[0], statsPort, confPath });
    const admin = Number(/:(\d+)$/.exec(opts.admin ?? "")?.[1] ?? statsPort);
    for (const target of [...listens, statsPort, admin]) {
      await until(
        `${proxy.name} to listen on ${JSON.stringify(target)}\n${proxy.output()}`,
        async () => proxy.gone || await canConnect(target),
        30_000,
      );
    }
    if (!proxy.gone) return proxy;
    why = proxy.output();
  }
  throw new Error(`the proxy does not start:\n${why}`);
}

export function startNutcracker(pools: Pools, opts: ProxyOptions = {}): Promise<ProxyProcess> {
  return startProxy(pools, { ...opts, runtime: "nutcracker" });
}

// ------------------------------------------------------------------------------------ clients

/** A port on 127.0.0.1, or host and port, or a unix socket. */
export type Target = number | { host: string; port: number } | { path: string };

function toConnect(target: Target): net.NetConnectOpts {
  if (typeof target === "number") return { port: target, host: "127.0.0.1" };
  return target as net.NetConnectOpts;
}

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

/** A Redis command as an array of bulk strings. */
export function cmd(...args: (string | number)[]): string {
  let bytes = `*${args.length}\r\n`;
  for (const arg of args) {
    const text = String(arg);
    bytes += `$${text.length}\r\n${text}\r\n`;
  }
  return bytes;
}

/** A bulk string reply; null is the null bulk string. */
export function bulk(text: string | null): string {
  return text === null ? "$-1\r\n" : `$${text.length}\r\n${text}\r\n`;
}

export function array(...items: (string | null)[]): string {
  return `*${items.length}\r\n${items.map(bulk).join("")}`;
}

/** Where the Redis reply (RESP2 or RESP3) that begins at `pos` ends; -1 if it is not all there. */
export function respEnd(buf: Buffer, pos: number): number {
  let left = 1;
  while (left > 0) {
    const eol = buf.indexOf("\r\n", pos, "latin1");
    if (eol < 0) return -1;
    const type = String.fromCharCode(buf[pos]);
    const n = Number(buf.toString("latin1", pos + 1, eol));
    pos = eol + 2;
    left--;
    if ("$!=".includes(type)) {
      if (n >= 0) pos += n + 2;
      if (pos > buf.length) return -1;
    } else if ("*~>".includes(type)) {
      if (n > 0) left += n;
    } else if (type === "%") {
      left += 2 * n;
    }
  }
  return pos;
}

/** Sends bytes, then FIN, and gives everything that comes back until the other side ends. */
export async function exchange(target: Target, input: string): Promise<string> {
  const wire = await Wire.open(target);
  return await wire.send(input).half().rest();
}

/** The same bytes; says where they part instead of showing all of them when they are many. */
export function sameBytes(got: string, expected: string, what: string): void {
  if (got === expected) return;
  if (got.length + expected.length < 4000) return assert.is(got, expected, what);
  let i = 0;
  while (got[i] === expected[i]) i++;
  const part = (text: string) => JSON.stringify(text.slice(Math.max(0, i - 40), i + 60));
  const sizes = `${got.length} bytes instead of ${expected.length}`;
  assert.unreachable(`${what}: ${sizes}; at ${i}: ${part(got)} instead of ${part(expected)}`);
}

/** A generator of pseudo-random 32-bit integers: every run tests the same bytes. */
export function random(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}
