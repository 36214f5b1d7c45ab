// npm run fuzz -- [--seconds 60] [--seed N] [--only redis-requests] [--input HEX]
// Fuzzes the parsers in turn, with a new seed each round, and stops at the first input that breaks
// a rule: it prints the seed and the bytes. Runs on Deno, Bun and Node from 22 on.

import process from "node:process";
import { attempt, type Failure, fromHex, fuzz, TARGETS } from "./fuzz.ts";

const ROUND = 2000;

function main(args: string[]): number {
  const given = new Map<string, string>();
  for (let i = 0; i < args.length; i += 2) given.set(args[i], args[i + 1] ?? "");
  for (const name of given.keys()) {
    if (["--seconds", "--seed", "--only", "--input"].includes(name)) continue;
    console.error(`option ${name} is not known (--seconds, --seed, --only, --input)`);
    return 2;
  }
  const only = given.get("--only");
  const targets = TARGETS.filter(({ name }) => only === undefined || name === only);
  if (targets.length === 0) {
    console.error(`--only ${only} is not known (${TARGETS.map(({ name }) => name).join(", ")})`);
    return 2;
  }
  const input = given.get("--input");
  if (input !== undefined) return repeat(targets, fromHex(input));

  const until = performance.now() + 1000 * Number(given.get("--seconds") ?? 60);
  let seed = Number(given.get("--seed") ?? Date.now() % 1_000_000);
  const inputs = new Map(targets.map(({ name }) => [name, 0]));
  for (; performance.now() < until; seed++) {
    for (const target of targets) {
      const left = Math.max(100, Math.min(ROUND, until - performance.now()));
      const report = fuzz(target, seed, left);
      inputs.set(target.name, (inputs.get(target.name) as number) + report.inputs);
      if (report.failure !== null) {
        tell(report.failure);
        return 1;
      }
    }
    console.log(`seed ${seed}: ${[...inputs].map(([name, n]) => `${name} ${n}`).join(", ")}`);
  }
  return 0;
}

function repeat(targets: readonly (typeof TARGETS)[number][], input: string): number {
  let bad = 0;
  for (const target of targets) {
    for (let cuts = 0; cuts < 1000; cuts++) {
      const { why } = attempt(target, input, cuts);
      if (why === "") continue;
      console.log(`${target.name}: ${why}`);
      bad = 1;
      break;
    }
  }
  if (bad === 0) console.log("nothing wrong with it");
  return bad;
}

function tell({ target, seed, why, hex }: Failure): void {
  console.log(`${target}: ${why}`);
  console.log(`seed ${seed}; again with: npm run fuzz -- --only ${target} --input ${hex}`);
}

process.exitCode = main(process.argv.slice(2));
