// What workers cost and how fair they are: memory of all processes (proportional set size: what they share
// counts once) with 1, 2 and 4 workers, and how many of 400 clients each of them has got.
// `npm run bench -- workers`. Two workers beside two nutcrackers want cores for the load as well: four.
//
//   --with NAMES   deno, bun, node (all)

import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { freePort, LOAD_CORES, start, untilAnswers } from "./child.ts";
import { family } from "./measure.ts";
import { executable } from "./packages.ts";
import { columns } from "./report.ts";

const RUNTIMES: Readonly<Record<string, readonly string[]>> = {
  deno: ["deno", "run", "-A", "--no-lock", "--node-modules-dir=manual", "mod.ts"],
  bun: ["bun", "run", "adapters/bun.ts"],
  node: ["node", "dist/ringmux.js"],
};
const COUNTS = [1, 2, 4];
const CLIENTS = 400;
const PATIENCE_MS = 20_000;
const PING = "PING\r\n";

function pssMb(pids: readonly number[]): number {
  let kb = 0;
  for (const pid of pids) {
    const found = /^Pss:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, "utf8"));
    kb += Number(found?.[1] ?? 0);
  }
  return kb / 1024;
}

function openFiles(pids: readonly number[]): Map<number, number> {
  return new Map(pids.map((pid) => [pid, readdirSync(`/proc/${pid}/fd`).length]));
}

/** A client that has had an answer. */
function client(port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1", () => socket.write(PING));
    socket.once("data", () => resolve(socket));
    socket.once("error", reject);
  });
}

async function line(name: string, workers: number, folder: string): Promise<string[]> {
  const [port, stats, server] = [await freePort(), await freePort(), await freePort()];
  const file = join(folder, `${name}-${workers}.yml`);
  writeFileSync(
    file,
    `global: {workers: ${workers}, admin: "off"}\np:\n  listen: 127.0.0.1:${port}\n  redis: true\n` +
      `  servers:\n   - 127.0.0.1:${server}:1\n`,
  );
  const [program, ...rest] = RUNTIMES[name];
  const command = [executable(program), ...rest, "-c", file, "-s", String(stats)];
  const child = start(command, `0,${LOAD_CORES}`);
  const clients: Socket[] = [];
  try {
    const why = await untilAnswers(child, port, PING, "+PONG", PATIENCE_MS);
    if (why !== "") throw new Error(`${name} does not start: ${why}`);
    // All of them listen before the first is counted.
    const told = workers === 1 ? "stats on" : `${workers} workers: pids`;
    while (!child.said().includes(told) && !isOver(child)) {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    const pids = family([child.pid]);
    const memory = pssMb(pids);
    const before = openFiles(pids);
    for (let i = 0; i < CLIENTS; i++) clients.push(await client(port));
    const after = openFiles(pids);
    const shares = pids.map((pid) => (after.get(pid) ?? 0) - (before.get(pid) ?? 0));
    const busy = shares.filter((n) => n > 2).sort((a, b) => a - b);
    return [name, String(workers), `${memory.toFixed(0)} MB`, busy.join(" ")];
  } finally {
    for (const socket of clients) socket.destroy();
    await child.stop();
  }
}

function isOver({ process: { exitCode } }: { process: { exitCode: number | null } }): boolean {
  return exitCode !== null;
}

export async function main(args: readonly string[], folder: string): Promise<number> {
  const at = args.indexOf("--with");
  const names = at < 0 ? Object.keys(RUNTIMES) : (args[at + 1] ?? "").split(",");
  if (names.some((name) => RUNTIMES[name] === undefined)) {
    console.error(`--with: ${Object.keys(RUNTIMES).join(", ")}`);
    return 1;
  }
  if (names.includes("node")) spawnSync(process.execPath, ["adapters/tools/build.mjs"]);
  try {
    const lines = [["", "workers", "memory", `of ${CLIENTS} clients each has`]];
    for (const name of names) {
      for (const workers of COUNTS) lines.push(await line(name, workers, folder));
    }
    console.log(columns(lines));
    return 0;
  } catch (error) {
    console.error((error as Error).message);
    return 1;
  }
}
