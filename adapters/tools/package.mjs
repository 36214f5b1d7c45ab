// Makes the npm package, dist/ringmux-VERSION.tgz: node adapters/tools/package.mjs [--no-build]
// [--out FOLDER]. What it needs is bundled in it, so its package.json names no dependencies, and
// `npm install` fetches nothing. To publish: npm publish dist/ringmux-VERSION.tgz

import { execFileSync } from "node:child_process";
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const args = process.argv.slice(2);
const out = args.includes("--out") ? resolve(args[args.indexOf("--out") + 1]) : join(root, "dist");
if (!args.includes("--no-build")) {
  execFileSync(process.execPath, [join(root, "adapters/tools/build.mjs")], { stdio: "inherit" });
}

const full = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
const { dependencies: _, devDependencies: __, scripts: ___, ...manifest } = full;
const stage = mkdtempSync(join(tmpdir(), "ringmux-package-"));
try {
  for (const name of ["README.md", "CHANGELOG.md", "LICENSE", "conf", "docs", "deploy"]) {
    cpSync(join(root, name), join(stage, name), { recursive: true });
  }
  mkdirSync(join(stage, "dist"));
  for (const name of readdirSync(join(root, "dist")).filter((name) => name.endsWith(".js"))) {
    cpSync(join(root, "dist", name), join(stage, "dist", name));
  }
  writeFileSync(join(stage, "package.json"), `${JSON.stringify(manifest, null, 2)}\n`);
  mkdirSync(out, { recursive: true });
  const pack = ["pack", "--silent", "--offline", "--pack-destination", out];
  const name = execFileSync("npm", pack, { cwd: stage, encoding: "utf8" }).trim();
  console.log(join(out, name));
} finally {
  rmSync(stage, { recursive: true, force: true });
}
