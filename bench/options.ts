// The command line of `npm run bench`.

import { baseContestants, type Contestant, CONTESTANTS } from "./contestants.ts";
import { resolve } from "node:path";
import { WORKLOADS } from "./workloads.ts";

/** Milliseconds: load before the first round, load before each window, the window. */
export interface Times {
  readonly warmMs: number;
  readonly rampMs: number;
  readonly windowMs: number;
}

/** The times are those of a closed loop. */
export interface Options extends Times {
  readonly quick: boolean;
  readonly rounds: number;
  /** In the order of their tables; workloads by name. */
  readonly workloads: readonly string[];
  readonly contestants: readonly Contestant[];
  /**
   * Of an open loop: its rare long waits need time to come, and one function that is compiled anew shows, as
   * do 50 clients that have all come at once.
   */
  readonly open: Times;
  readonly syscalls: boolean;
  readonly gc: boolean;
}

const USAGE = `usage: npm run bench -- [options]
  --quick            a few workloads, short windows: under two minutes
  --rounds <n>       rounds of A B C A B C ... (3)
  --only <names>     these workloads; a name's beginning stands for all that begin so
  --with <names>     these contestants, likewise
  --window <ms>      length of one measurement (1000, open loop 60000; quick: 500 and 2000)
  --base <folder>    another checkout of ringmux, built: contestants base-deno, base-bun, base-node
  --gc               tell the pauses of the garbage collectors, too
  --syscalls         count system calls per request instead (strace)
  --list             what there is to choose from`;

/** null after --help and --list. Throws an Error whose message is for the person who typed. */
export function parseOptions(args: readonly string[]): Options | null {
  let quick = false;
  let syscalls = false;
  let gc = false;
  let rounds = 3;
  let windowMs = 0;
  let only: string[] | null = null;
  let chosen: string[] | null = null;
  let base = "";
  const rest = [...args];
  const value = (name: string): string => {
    const next = rest.shift();
    if (next === undefined) throw new Error(`${name} wants a value\n${USAGE}`);
    return next;
  };
  for (let arg = rest.shift(); arg !== undefined; arg = rest.shift()) {
    const eq = arg.startsWith("--") ? arg.indexOf("=") : -1;
    if (eq > 0) {
      rest.unshift(arg.slice(eq + 1));
      arg = arg.slice(0, eq);
    }
    if (arg === "--quick") quick = true;
    else if (arg === "--syscalls") syscalls = true;
    else if (arg === "--gc") gc = true;
    else if (arg === "--rounds") rounds = number(arg, value(arg));
    else if (arg === "--window") windowMs = number(arg, value(arg));
    else if (arg === "--only") only = value(arg).split(",");
    else if (arg === "--with") chosen = value(arg).split(",");
    else if (arg === "--base") base = resolve(value(arg));
    else if (arg === "--help" || arg === "-h") return usage();
    else if (arg === "--list") return list();
    else throw new Error(`option ${arg} is not known\n${USAGE}`);
  }
  const all = base === "" ? CONTESTANTS : [...baseContestants(base), ...CONTESTANTS];
  const names = select("contestant", chosen ?? [""], all.map((c) => c.name));
  const usual = syscalls
    ? ["redis-get", "redis-get-p16"]
    : WORKLOADS.filter((w) => quick ? w.quick : !w.extra).map((w) => w.name);
  return {
    quick,
    rounds,
    syscalls,
    gc,
    workloads: only === null ? usual : select("workload", only, WORKLOADS.map((w) => w.name)),
    contestants: all.filter((c) => names.includes(c.name)),
    warmMs: quick ? 400 : 1000,
    rampMs: quick ? 100 : 250,
    windowMs: windowMs || (quick ? 500 : 1000),
    open: {
      warmMs: quick ? 400 : 15_000,
      rampMs: quick ? 100 : 2500,
      windowMs: windowMs || (quick ? 2000 : 60_000),
    },
  };
}

/** The names asked for: an exact name, or all names that begin with what was asked for. */
function select(kind: string, wanted: readonly string[], names: readonly string[]): string[] {
  const picked = new Set<string>();
  for (const want of wanted) {
    const found = names.includes(want) ? [want] : names.filter((name) => name.startsWith(want));
    if (found.length === 0) throw new Error(`${kind} ${want} is not known (${names.join(", ")})`);
    for (const name of found) picked.add(name);
  }
  return names.filter((name) => picked.has(name));
}

function number(option: string, text: string): number {
  if (!/^[1-9]\d*$/.test(text)) throw new Error(`${option} ${text}: not a number above 0`);
  return Number(text);
}

function usage(): null {
  console.log(USAGE);
  return null;
}

function list(): null {
  console.log("workloads (--only):");
  for (const w of WORKLOADS) console.log(`  ${w.name.padEnd(20)} ${w.title}`);
  console.log("contestants (--with):");
  for (const c of CONTESTANTS) console.log(`  ${c.name.padEnd(20)} ${c.title}`);
  return null;
}
