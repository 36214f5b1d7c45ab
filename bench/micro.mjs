// `npm run bench:micro`: the micro-benchmarks on Deno, Bun and Node, one after another.
// Options: --on deno,bun,node   --only hash,ring   --brief (does it run at all?)

import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { ensureNpmPackages, root } from "../test/setup.mjs";

process.chdir(root);
ensureNpmPackages();

const args = process.argv.slice(2);
const at = args.findIndex((arg) => arg === "--on");
const runtimes = at < 0 ? ["deno", "bun", "node"] : args.splice(at, 2)[1].split(",");

// Node 20 runs no TypeScript, so one bundle is made; all three run the same one.
mkdirSync("node_modules/.cache", { recursive: true });
const folder = mkdtempSync(join(root, "node_modules/.cache/ringmux-micro-"));
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
const bundle = join(folder, "run.mjs");
const { build } = await import("esbuild");
await build({
  entryPoints: ["bench/micro/run.ts"],
  outfile: bundle,
  bundle: true,
  platform: "node",
  format: "esm",
  target: "node20",
  // As in adapters/tools/build.mjs: the other build of it is CommonJS.
  alias: { yaml: join(root, "node_modules/yaml/browser/index.js") },
  logLevel: "warning",
});

const commands = {
  deno: ["node_modules/.bin/deno", "run", "-A", "--no-config", "--no-lock"],
  bun: ["node_modules/.bin/bun", "run"],
  node: [process.execPath],
};
for (const runtime of runtimes) {
  const [command, ...rest] = commands[runtime] ?? [];
  if (command === undefined) throw new Error(`runtime ${runtime} is not known (deno, bun, node)`);
  const { status } = spawnSync(command, [...rest, bundle, ...args], { stdio: "inherit" });
  if (status !== 0) process.exit(1);
}
