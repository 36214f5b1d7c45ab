// What a large configuration costs: 100 pools of 100 servers each. From the start of the process to its
// first answer from the last pool, memory then, and (ringmux) from SIGUSR2 to the first answer of a pool
// that the file has got meanwhile, while a client of another pool asks all the time.
// `npm run bench -- pools`.
//
//   --pools N --servers N   (100, 100)
//   --with NAMES            contestants: deno, bun, node, nutcracker (all)

import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  ask,
  type Child,
  freePort,
  LOAD_CORES,
  PROXY_CORES,
  start,
  untilAnswers,
} from "./child.ts";
import { cpuNanos, family, residentKb } from "./measure.ts";
import { executable } from "./packages.ts";
import { columns } from "./report.ts";

const RUNTIMES: Readonly<Record<string, readonly string[]>> = {
  deno: ["deno", "run", "-A", "--no-lock", "--node-modules-dir=manual", "mod.ts"],
  bun: ["bun", "run", "adapters/bun.ts"],
  node: ["node", "dist/ringmux.js"],
  nutcracker: ["nutcracker"],
};
const PATIENCE_MS = 60_000;
const GET = "*2\r\n$3\r\nGET\r\n$1\r\na\r\n";

interface Size {
  readonly pools: number;
  readonly servers: number;
}

/** All servers are one, under many names: what they cost is the same, and it need not be started often. */
function configuration({ pools, servers }: Size, ports: readonly number[], server: number): string {
  const lines: string[] = [];
  for (let i = 0; i < pools; i++) {
    lines.push(`pool${i}:`, `  listen: 127.0.0.1:${ports[i]}`, "  redis: true");
    lines.push("  hash: fnv1a_64", "  distribution: ketama", "  servers:");
    for (let k = 0; k < servers; k++) lines.push(`   - 127.0.0.1:${server}:1 server${k}`);
  }
  return `${lines.join("\n")}\n`;
}

/** The longest time (ms) in which a client of another pool had to wait, until `what` is over. */
async function longestWait(port: number, what: Promise<unknown>): Promise<number> {
  let isOver = false;
  void what.finally(() => isOver = true);
  let most = 0;
  while (!isOver) {
    const begun = performance.now();
    await ask(port, GET, PATIENCE_MS);
    most = Math.max(most, performance.now() - begun);
  }
  return most;
}

async function line(name: string, size: Size, server: number, folder: string): Promise<string[]> {
  const ports: number[] = [];
  for (let i = 0; i <= size.pools; i++) ports.push(await freePort());
  const file = join(folder, `${name}.yml`);
  writeFileSync(file, configuration(size, ports, server));
  const [program, ...rest] = RUNTIMES[name];
  const extra = name === "nutcracker" ? ["-p", join(folder, "pid")] : ["--admin", "off"];
  const stats = String(await freePort());
  const began = performance.now();
  const child = start(
    [executable(program), ...rest, ...extra, "-c", file, "-s", stats],
    PROXY_CORES,
  );
  const answers = (port: number) => untilAnswers(child, port, GET, "$-1", PATIENCE_MS);
  try {
    const why = await answers(ports[size.pools - 1]);
    if (why !== "") throw new Error(`${name} does not start: ${why}`);
    const started = performance.now() - began;
    const pids = family([child.pid]);
    const figures = [
      name,
      `${started.toFixed(0)} ms`,
      `${(cpuNanos(pids) / 1e6).toFixed(0)} ms`,
      `${(residentKb(pids) / 1024).toFixed(0)} MB`,
    ];
    if (name === "nutcracker") return [...figures, "-", "-", "-"];
    writeFileSync(file, configuration({ ...size, pools: size.pools + 1 }, ports, server));
    const [used, asked] = [cpuNanos(pids), performance.now()];
    child.process.kill("SIGUSR2");
    let reloaded = 0;
    const ready = answers(ports[size.pools]).then((bad) => {
      if (bad !== "") throw new Error(`${name} does not reload: ${bad}`);
      reloaded = performance.now() - asked;
    });
    const most = await longestWait(ports[0], ready);
    await ready;
    const cpu = (cpuNanos(pids) - used) / 1e6;
    return [...figures, ...[reloaded, cpu, most].map((ms) => `${ms.toFixed(0)} ms`)];
  } finally {
    await child.stop();
  }
}

export async function main(args: readonly string[], folder: string): Promise<number> {
  const option = (name: string, fallback: string): string => {
    const at = args.indexOf(`--${name}`);
    return at < 0 ? fallback : args[at + 1] ?? fallback;
  };
  const size = { pools: Number(option("pools", "100")), servers: Number(option("servers", "100")) };
  const names = option("with", Object.keys(RUNTIMES).join(",")).split(",");
  const unknown = names.find((name) => RUNTIMES[name] === undefined);
  if (unknown !== undefined || !(size.pools > 0 && size.servers > 0)) {
    console.error(`--with: ${Object.keys(RUNTIMES).join(", ")}; --pools and --servers: numbers`);
    return 1;
  }
  if (names.includes("node")) spawnSync(process.execPath, ["adapters/tools/build.mjs"]);
  let server: Child | null = null;
  try {
    const port = await freePort();
    const program = executable("redis-server");
    if (program === "") throw new Error("redis-server is not installed");
    server = start([program, "--port", String(port), "--save", ""], LOAD_CORES);
    const why = await untilAnswers(server, port, "PING\r\n", "+PONG", PATIENCE_MS);
    if (why !== "") throw new Error(`redis-server does not start: ${why}`);
    const lines = [["", "start", "its CPU", "memory", "reload", "its CPU", "longest wait in it"]];
    for (const name of names) {
      if (executable(RUNTIMES[name][0]) === "") console.log(`${name}: not installed`);
      else {
        lines.push(await line(name, size, port, folder));
        console.log((lines.at(-1) as string[]).join("  "));
      }
    }
    console.log(`${size.pools} pools of ${size.servers} servers\n${columns(lines)}`);
    return 0;
  } catch (error) {
    console.error((error as Error).message);
    return 1;
  } finally {
    await server?.stop();
  }
}
