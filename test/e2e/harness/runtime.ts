// Which proxy is under test, and how it is called.

import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import process from "node:process";
import { test } from "uvu";
import { root, which } from "./processes.ts";

export type Runtime = "node" | "deno" | "bun" | "nutcracker";

/** The proxy under test. */
export const runtime = (process.env.RINGMUX_RUNTIME ?? "node") as Runtime;
export const isNutcracker = runtime === "nutcracker";
/** For what ringmux does and nutcracker does not: skipped when nutcracker is under test. */
export const ours = isNutcracker ? test.skip : test;

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
