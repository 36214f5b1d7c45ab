// `npm run bench`: the way in. Plain JavaScript, so that it runs on a fresh checkout: installs the
// npm packages if they are missing, bundles main.ts (`npm run bench -- migrate`: migrate.ts, and so on)
// and runs it. See README.md in this folder.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { ensureNpmPackages, root } from "../test/setup.mjs";

process.chdir(root);
ensureNpmPackages();

const args = process.argv.slice(2);
const entry = ["migrate", "handshakes", "pools", "workers"].includes(args[0]) ? args[0] : "main";
const { build } = await import("esbuild");
const folder = mkdtempSync(join(tmpdir(), "ringmux-bench-"));
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
const bundle = join(folder, "main.mjs");
await build({
  entryPoints: [`bench/${entry}.ts`],
  outfile: bundle,
  bundle: true,
  platform: "node",
  format: "esm",
  logLevel: "warning",
});
const { main } = await import(pathToFileURL(bundle).href);
process.exit(await main(args, folder));
