// The benchmark from its command line to its reports.

import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { availableParallelism, cpus, release } from "node:os";
import { chart } from "./chart.ts";
import { complaint, openFiles } from "./child.ts";
import { Loader } from "./loader.ts";
import { measure, type Session } from "./session.ts";
import { type Options, parseOptions } from "./options.ts";
import { executable, installMissing } from "./packages.ts";
import { derived, table } from "./report.ts";
import type { Results } from "./results.ts";
import { Servers } from "./servers.ts";
import { countSyscalls } from "./syscalls.ts";
import { type Workload, WORKLOADS } from "./workloads.ts";

/** Runs the benchmark; `folder` is for temporary files. Returns the exit code. */
export async function main(args: readonly string[], folder: string): Promise<number> {
  let options: Options | null;
  try {
    options = parseOptions(args);
  } catch (error) {
    console.error((error as Error).message);
    return 1;
  }
  if (options === null) return 0;
  if (process.platform !== "linux") {
    console.error("the comparison needs Linux: it reads CPU time and memory from /proc");
    return 1;
  }
  installMissing(options.syscalls ? { strace: "strace" } : {});
  if (options.contestants.some((c) => c.name === "node")) buildForNode();
  const contestants = options.contestants.filter((contestant) => {
    const why = contestant.missing();
    if (why !== "") console.log(`${contestant.title}: skipped: ${why}`);
    return why === "";
  });
  if (availableParallelism() < 2) console.log("one core only: proxy, load and servers share it");
  const loader = new Loader();
  const servers = new Servers(loader, folder);
  const session: Session = {
    options,
    contestants,
    loader,
    servers,
    folder,
    files: openFiles(),
  };
  const workloads = WORKLOADS.filter((w) => options.workloads.includes(w.name));
  try {
    if (options.syscalls) await countSyscalls(session, workloads);
    else await compare(session, workloads);
  } finally {
    await loader.stop();
    await servers.stop();
  }
  return 0;
}

async function compare(session: Session, workloads: typeof WORKLOADS): Promise<void> {
  const { options } = session;
  const results: Results = {
    date: new Date().toISOString(),
    machine: `${cpus()[0]?.model ?? "?"}, ${availableParallelism()} cores, Linux ${release()}`,
    versions: versions(),
    quick: options.quick,
    rounds: options.rounds,
    windowMs: options.windowMs,
    rows: [],
  };
  for (const group of together(workloads)) {
    const rows = await measure(session, group);
    results.rows.push(...rows);
    for (const row of rows) console.log(`\n${table(row)}\n`);
    save(results);
  }
  const more = derived(results);
  if (more !== "") console.log(`${more}\n`);
  console.log("written: bench/results/latest.json, bench/results/chart.svg");
}

/** Those to be compared with each other in one group, in the order of their first. */
function together(workloads: typeof WORKLOADS): Workload[][] {
  const groups = new Map<string, Workload[]>();
  for (const workload of workloads) {
    const name = workload.beside === "" ? workload.name : workload.beside;
    groups.set(name, [...groups.get(name) ?? [], workload]);
  }
  return [...groups.values()];
}

/** After every row: a run that is broken off leaves what it has. */
function save(results: Results): void {
  mkdirSync("bench/results", { recursive: true });
  writeFileSync("bench/results/latest.json", `${JSON.stringify(results, null, 1)}\n`);
  writeFileSync("bench/results/chart.svg", chart(results));
}

/** Node runs what `npm run build` makes. */
function buildForNode(): void {
  if (!existsSync("adapters/tools/build.mjs")) return;
  const { status, stderr } = spawnSync(process.execPath, ["adapters/tools/build.mjs"], {
    encoding: "utf8",
  });
  if (status !== 0) console.log(`the build for Node failed: ${complaint(stderr)}`);
}

function versions(): Record<string, string> {
  const programs: Record<string, string[]> = {
    deno: ["--version"],
    bun: ["--version"],
    node: ["--version"],
    nutcracker: ["-V"],
    haproxy: ["-v"],
    "redis-server": ["--version"],
    memcached: ["--version"],
  };
  const found: Record<string, string> = {};
  for (const [program, args] of Object.entries(programs)) {
    const path = executable(program);
    if (path === "") continue;
    const { stdout, stderr } = spawnSync(path, args, { encoding: "utf8" });
    const number = /\d+\.\d+[\w.+-]*/.exec(stdout + stderr);
    if (number !== null) found[program] = number[0];
  }
  return found;
}
