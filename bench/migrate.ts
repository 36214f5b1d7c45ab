// What it costs to move keys to another ring while clients use them: how fast, how much of a CPU, how
// much longer clients wait beside no migration; and one huge key. `npm run bench -- migrate`.
//
//   --keys N     keys of 100 bytes in two servers, a third one comes (1000000)
//   --rate N     migrate.rate (0: as fast as it goes)
//   --ask N      requests a second of clients meanwhile, at even distances (500)
//   --big MB     one more key of so many megabytes (200; 0: none)
//   --on NAME    node, deno or bun (node)

import { spawnSync } from "node:child_process";
import { existsSync, writeFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { type Child, freePort, LOAD_CORES, PROXY_CORES, start, untilAnswers } from "./child.ts";
import { cpuNanos, family } from "./measure.ts";
import { executable } from "./packages.ts";

const VALUE = "x".repeat(100);
const PIPELINE = 1000;
/** Seconds of no migration, for comparison. */
const BEFORE = 5;

const RUNTIMES: Readonly<Record<string, string[]>> = {
  node: ["node", "dist/ringmux.js"],
  deno: ["deno", "run", "-A", "mod.ts"],
  bun: ["bun", "run", "adapters/bun.ts"],
};

function option(argv: readonly string[], name: string, fallback: string): string {
  const at = argv.indexOf(`--${name}`);
  return at < 0 ? fallback : argv[at + 1] ?? fallback;
}

/** One connection; replies are one line, or a bulk string. */
class Wire {
  private readonly socket: Socket;
  private readonly waiting: ((at: number) => void)[];
  /** Bytes of a bulk string that are still to come. */
  private rest: number;
  private line: string;

  private constructor(socket: Socket) {
    this.socket = socket;
    this.waiting = [];
    this.rest = 0;
    this.line = "";
    socket.on("data", (chunk: Uint8Array) => this.data(chunk));
  }

  static open(port: number): Promise<Wire> {
    return new Promise((resolve, reject) => {
      const socket = connect(port, "127.0.0.1", () => resolve(new Wire(socket)));
      socket.setNoDelay(true);
      socket.once("error", reject);
    });
  }

  private data(chunk: Uint8Array): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.rest > 0) {
        const n = Math.min(this.rest, chunk.length - at);
        this.rest -= n;
        at += n;
        if (this.rest === 0) this.done();
        continue;
      }
      const byte = chunk[at++];
      if (byte !== 10) {
        if (this.line.length < 200) this.line += String.fromCharCode(byte);
        continue;
      }
      const size = this.line[0] === "$" ? Number(this.line.slice(1)) : -1;
      if (this.line[0] === "-") throw new Error(this.line);
      this.line = "";
      if (size >= 0) this.rest = size + 2;
      else this.done();
    }
  }

  private done(): void {
    this.waiting.shift()?.(performance.now());
  }

  /** `n` requests; resolves when the last one is answered. */
  async send(bytes: string | Uint8Array, n = 1): Promise<number> {
    const all: Promise<number>[] = [];
    for (let i = 0; i < n; i++) all.push(new Promise((resolve) => this.waiting.push(resolve)));
    this.socket.write(bytes);
    return (await Promise.all(all))[n - 1];
  }

  close(): void {
    this.socket.destroy();
  }
}

function cmd(...args: string[]): string {
  return `*${args.length}\r\n${args.map((arg) => `$${arg.length}\r\n${arg}\r\n`).join("")}`;
}

/** Asks at even distances, whether the one before is answered or not; ms from when it was due. */
class Asker {
  times: number[];
  private readonly wire: Wire;
  private readonly keys: number;
  private readonly timer: NodeJS.Timeout;
  private dueAt: number;

  constructor(wire: Wire, keys: number, rate: number) {
    this.times = [];
    this.wire = wire;
    this.keys = keys;
    this.dueAt = performance.now();
    this.timer = setInterval(() => this.ask(1000 / rate), 1);
  }

  private ask(gap: number): void {
    const now = performance.now();
    for (; this.dueAt <= now; this.dueAt += gap) {
      const due = this.dueAt;
      const key = `key:${Math.floor(Math.random() * this.keys)}`;
      const request = Math.random() < 0.8 ? cmd("GET", key) : cmd("SET", key, VALUE);
      void this.wire.send(request).then((at) => this.times.push(at - due));
    }
  }

  /** Those since the last call, of half and of 99 in 100 the longest, and of all. */
  take(): { p50: number; p99: number; most: number; n: number } {
    const all = this.times.sort((a, b) => a - b);
    this.times = [];
    const of = (part: number): number => all[Math.floor(all.length * part)] ?? 0;
    return { p50: of(0.5), p99: of(0.99), most: all.at(-1) ?? 0, n: all.length };
  }

  stop(): void {
    clearInterval(this.timer);
  }
}

interface Status {
  readonly phase: string;
  readonly keys: number;
  readonly bytes: number;
  readonly errors: number;
}

class Run {
  private readonly children: Child[];
  private readonly folder: string;

  constructor(folder: string) {
    this.children = [];
    this.folder = folder;
  }

  private async server(): Promise<number> {
    const program = executable("redis-server");
    if (program === "") throw new Error("redis-server is not installed");
    const port = await freePort();
    const quiet = ["--save", "", "--appendonly", "no", "--daemonize", "no"];
    const place = ["--port", String(port), "--bind", "127.0.0.1"];
    const child = start([program, ...place, ...quiet], LOAD_CORES);
    this.children.push(child);
    const why = await untilAnswers(child, port, "PING\r\n", "+PONG", 5000);
    if (why !== "") throw new Error(`redis-server does not start: ${why}`);
    return port;
  }

  async run(argv: readonly string[]): Promise<string> {
    const number = (name: string, fallback: string): number => Number(option(argv, name, fallback));
    const [keys, rate] = [number("keys", "1000000"), number("rate", "0")];
    const [ask, big] = [number("ask", "500"), number("big", "200")];
    const runtime = RUNTIMES[option(argv, "on", "node")];
    if (runtime === undefined) throw new Error("--on: node, deno or bun");
    if (runtime[0] === "node" && !existsSync("dist/ringmux.js")) {
      spawnSync("node", ["adapters/tools/build.mjs"], { stdio: "inherit" });
    }
    const servers = [await this.server(), await this.server(), await this.server()];
    const [port, admin] = [await freePort(), await freePort()];
    const pool = (n: number): string =>
      `  redis: true\n  timeout: 60000\n  servers:\n` +
      servers.slice(0, n).map((at, i) => `    - 127.0.0.1:${at}:1 s${i}\n`).join("");
    const file = join(this.folder, "migrate.yml");
    writeFileSync(
      file,
      `global: {admin: "127.0.0.1:${admin}"}\nalpha:\n  listen: 127.0.0.1:${port}\n` +
        `  migrate: {to: beta, rate: ${rate}}\n${pool(2)}beta:\n${pool(3)}`,
    );
    const proxy = start([...runtime, "-c", file, "-s", String(await freePort())], PROXY_CORES);
    this.children.push(proxy);
    const why = await untilAnswers(proxy, port, "PING\r\n", "+PONG", 10_000);
    if (why !== "") throw new Error(`the proxy does not start: ${why}`);

    const filler = await Wire.open(port);
    for (let i = 0; i < keys; i += PIPELINE) {
      const n = Math.min(PIPELINE, keys - i);
      const some = Array.from({ length: n }, (_, k) => cmd("SET", `key:${i + k}`, VALUE));
      await filler.send(some.join(""), n);
    }
    const status = async (): Promise<Status> => {
      const reply = await fetch(`http://127.0.0.1:${admin}/migrate`);
      return (await reply.json()).processes[0][0];
    };
    const order = async (what: string): Promise<string> => {
      const url = `http://127.0.0.1:${admin}/migrate?pool=alpha&do=${what}`;
      return (await (await fetch(url, { method: "POST" })).json()).error;
    };
    const cpu = (): number => cpuNanos(family([proxy.pid])) / 1e9;
    const asker = new Asker(await Wire.open(port), keys, ask);
    await sleep(1000);
    asker.take();
    const idle = cpu();
    await sleep(BEFORE * 1000);
    const usual = (cpu() - idle) / BEFORE;
    const before = asker.take();

    const wrong = await order("start");
    if (wrong !== "") throw new Error(wrong);
    for (let said = "."; said !== ""; await sleep(50)) said = await order("commit");
    const barrier = asker.take();
    const [begun, used] = [performance.now(), cpu()];
    let now = await status();
    while (now.phase !== "done") {
      await sleep(200);
      now = await status();
    }
    const seconds = (performance.now() - begun) / 1000;
    const during = asker.take();
    const extra = (cpu() - used) / seconds - usual;
    asker.stop();
    const lines = [
      `${now.keys} of ${keys} keys moved in ${seconds.toFixed(1)} s: ` +
      `${Math.round(now.keys / seconds)} keys/s, ${(now.bytes / seconds / 1e6).toFixed(1)} MB/s, ` +
      `${now.errors} errors`,
      `CPU of the proxy for it: ${(100 * extra).toFixed(0)} % of a core, ` +
      `${(extra * seconds * 1e6 / now.keys).toFixed(0)} µs a key`,
      `clients, ms (${ask} requests/s)   p50 ${shown(before, during, "p50")}   ` +
      `p99 ${shown(before, during, "p99")}   most ${shown(before, during, "most")}`,
      `the barrier: ${barrier.most.toFixed(0)} ms at most`,
    ];
    if (big > 0) lines.push(await this.bigKey(big, runtime, keys, ask));
    return lines.join("\n");
  }

  /** A huge key on its way, while clients use others of the same servers. */
  private async bigKey(
    megabytes: number,
    runtime: readonly string[],
    keys: number,
    ask: number,
  ): Promise<string> {
    const servers = [await this.server(), await this.server()];
    const [port, admin] = [await freePort(), await freePort()];
    const file = join(this.folder, "big.yml");
    const pool = (at: number): string =>
      `  redis: true\n  timeout: 60000\n  servers:\n    - 127.0.0.1:${at}:1 s${at}\n`;
    writeFileSync(
      file,
      `global: {admin: "127.0.0.1:${admin}"}\nalpha:\n  listen: 127.0.0.1:${port}\n` +
        `  migrate: {to: beta}\n${pool(servers[0])}beta:\n${pool(servers[1])}`,
    );
    const direct = await Wire.open(servers[0]);
    await direct.send(cmd("SETRANGE", "huge", String(megabytes * 1_000_000 - 1), "x"));
    direct.close();
    const proxy = start([...runtime, "-c", file, "-s", String(await freePort())], PROXY_CORES);
    this.children.push(proxy);
    const why = await untilAnswers(proxy, port, "PING\r\n", "+PONG", 10_000);
    if (why !== "") throw new Error(`the proxy does not start: ${why}`);
    const order = async (what: string): Promise<string> => {
      const url = `http://127.0.0.1:${admin}/migrate?pool=alpha&do=${what}`;
      return (await (await fetch(url, { method: "POST" })).json()).error;
    };
    const wrong = await order("start");
    if (wrong !== "") throw new Error(wrong);
    for (let said = "."; said !== ""; await sleep(50)) said = await order("commit-paused");
    const asker = new Asker(await Wire.open(port), Math.min(keys, 1000), ask);
    const wire = await Wire.open(port);
    const begun = performance.now();
    const at = await wire.send(cmd("STRLEN", "huge"));
    await sleep(200);
    asker.stop();
    const { p50, most } = asker.take();
    return `one key of ${megabytes} MB, asked for: ${((at - begun) / 1000).toFixed(2)} s; ` +
      `clients of other keys meanwhile, ms: p50 ${p50.toFixed(2)}, ` +
      `most ${most.toFixed(0)}`;
  }

  async stop(): Promise<void> {
    await Promise.all(this.children.map((child) => child.stop()));
  }
}

type Times = ReturnType<Asker["take"]>;

function shown(before: Times, during: Times, what: "p50" | "p99" | "most"): string {
  return `${before[what].toFixed(2)} → ${during[what].toFixed(2)}`;
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

export async function main(argv: readonly string[], folder: string): Promise<number> {
  const run = new Run(folder);
  try {
    console.log(await run.run(argv));
    return 0;
  } catch (error) {
    console.error(String(error instanceof Error ? error.message : error));
    return 1;
  } finally {
    await run.stop();
  }
}
