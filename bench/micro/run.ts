// Runs the micro-benchmarks on the runtime it is started with and prints one table per suite.
// Usage: run.ts [--brief] [--only hash,ring]; `npm run bench:micro` runs it on all three.

import { tuneCopy } from "../../core/bytes.ts";
import { newBench } from "./bench.ts";
import { type Suite, SUITES } from "./suites.ts";

declare const process: { argv: string[]; versions: Record<string, string> };

const BRIEF_MS = 20;
const USUAL_MS = 250;

interface Line {
  readonly name: string;
  /** Nanoseconds per operation, median and relative spread. */
  readonly nanos: number;
  readonly spread: number;
}

/** "append 8 bytes, 256 spans" is 256 operations per call; other tasks are one. */
function operations(name: string): number {
  const found = /, ([\d,]+) [a-z]+$/.exec(name);
  return found === null ? 1 : Number(found[1].replaceAll(",", ""));
}

async function measure(suite: Suite, time: number): Promise<Line[]> {
  const bench = newBench(time);
  await suite(bench);
  await bench.run();
  return bench.tasks.map((task) => {
    const { result, name } = task;
    if (!("latency" in result)) throw new Error(`${name} was not measured`);
    const { p50, mad } = result.latency;
    return { name, nanos: (p50 * 1e6) / operations(name), spread: p50 > 0 ? mad / p50 : 0 };
  });
}

/** A task "thing" is compared with the task "thing (naive)". */
function table(title: string, lines: readonly Line[]): string {
  const width = Math.max(title.length, ...lines.map((line) => line.name.length));
  const head = `${title.padEnd(width)}  ${"ns/op".padStart(9)}  ${"±".padStart(4)}  naive/this`;
  const rows = lines.map(({ name, nanos, spread }) => {
    const naive = lines.find((l) => l.name !== name && l.name.replace(" (naive)", "") === name);
    const times = naive === undefined ? "" : `${(naive.nanos / nanos).toFixed(1)}×`;
    const number = nanos >= 1000 ? Math.round(nanos).toString() : nanos.toPrecision(3);
    const percent = `${Math.round(spread * 100)}%`;
    const text = `${name.padEnd(width)}  ${number.padStart(9)}  ${percent.padStart(4)}  `;
    return (text + times.padStart(10)).trimEnd();
  });
  return [head, ...rows].join("\n");
}

function runtime(): string {
  const { versions } = process;
  for (const name of ["deno", "bun"]) if (versions[name] !== undefined) return name;
  return "node";
}

// As the adapters have it.
const [loop, words] = { deno: [44, 256], bun: [80, 192], node: [28, 256] }[runtime()] ?? [];
tuneCopy(loop as number, words as number);

const args = process.argv.slice(2);
const time = args.includes("--brief") ? BRIEF_MS : USUAL_MS;
const at = args.indexOf("--only");
const names = at < 0 ? Object.keys(SUITES) : args[at + 1].split(",");
for (const name of names) {
  const suite = SUITES[name];
  if (suite === undefined) {
    throw new Error(`suite ${name} is not known (${Object.keys(SUITES).join(", ")})`);
  }
  const lines = await measure(suite, time);
  console.log(`\n${table(`${name} on ${runtime()} ${process.versions[runtime()]}`, lines)}`);
}
