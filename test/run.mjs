// All tests: node test/run.mjs [--runtime node,deno,bun,nutcracker] [--jobs N] [words]
// Type checks, then every unit test file on the three runtimes, then the end-to-end files with
// the proxy on each runtime. Words choose files by a part of their path. Each file is a process
// of its own with a time limit. Ends with "N passed, N failed" (", N skipped").

import { spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { basename, join } from "node:path";
import { ensureNpmPackages, ensurePrograms, root, which } from "./setup.mjs";

const UNIT_LIMIT = 120_000;
const E2E_LIMIT = 180_000;
const RUNTIMES = ["node", "deno", "bun"];

const options = readArguments(process.argv.slice(2));
const total = { passed: 0, failed: 0, skipped: 0 };
const failures = [];
const running = new Set();
let bundleFolder = "";

process.on("exit", () => {
  for (const child of running) killGroup(child, "SIGKILL");
  if (bundleFolder !== "") rmSync(bundleFolder, { recursive: true, force: true });
});
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => process.exit(1));

try {
  await main();
} catch (error) {
  console.log(String(error?.stack ?? error));
  total.failed++;
}
if (failures.length > 0) console.log(`\nfailed:\n${failures.map((f) => `  ${f}`).join("\n")}`);
const skipped = total.skipped > 0 ? `, ${total.skipped} skipped` : "";
console.log(`\n${total.passed} passed, ${total.failed} failed${skipped}`);
process.exitCode = total.failed > 0 ? 1 : 0;

async function main() {
  ensureNpmPackages();
  const files = findTests();
  const unit = files.filter((file) => !file.startsWith("test/e2e/"));
  const e2e = files.filter((file) => file.startsWith("test/e2e/"));
  if (options.words.length > 0 && files.length === 0) {
    throw new Error(`no test file's path contains ${options.words.join(" or ")}`);
  }

  if (options.words.length === 0) await runAll(checks());
  if (e2e.length > 0 && options.runtimes.includes("node")) {
    await runAll([{
      label: "build",
      command: process.execPath,
      args: ["adapters/tools/build.mjs"],
    }]);
  }
  const bundled = await bundle([...unit, ...e2e]);

  const jobs = [];
  for (const runtime of options.runtimes) {
    for (const file of unit) {
      if (runtime === "nutcracker" || bundled(file) === "") continue;
      // The sockets of a runtime are tested on it.
      if (file.startsWith("test/runtimes/") && !file.endsWith(`/${runtime}_test.ts`)) continue;
      jobs.push(unitJob(runtime, file, bundled));
    }
  }
  const needed = new Set(e2e.flatMap((file) => wanted(file) ? describe(file).needs : []));
  const missing = e2e.length > 0 ? ensurePrograms([...needed]) : [];
  for (const file of e2e) {
    const { needs, tests, runtimes } = describe(file);
    const lacking = needs.filter((program) => missing.includes(program));
    for (const runtime of options.runtimes) {
      const label = `${file} (${runtime})`;
      if (bundled(file) === "" || !runtimes.includes(runtime)) continue;
      if (lacking.length > 0) skip(label, tests, `needs ${lacking.join(", ")}`);
      else jobs.push(e2eJob(label, runtime, bundled(file)));
    }
  }
  await runAll(jobs);
}

function readArguments(args) {
  const found = { runtimes: RUNTIMES, words: [], jobs: 2 };
  for (let i = 0; i < args.length; i++) {
    const [name, inline] = args[i].split("=");
    if (name === "--runtime") found.runtimes = (inline ?? args[++i]).split(",");
    else if (name === "--jobs") found.jobs = Number(inline ?? args[++i]);
    else found.words.push(args[i]);
  }
  for (const runtime of found.runtimes) {
    if (![...RUNTIMES, "nutcracker"].includes(runtime)) {
      console.error(`runtime "${runtime}" is not known (${RUNTIMES.join(", ")}, nutcracker)`);
      process.exit(2);
    }
  }
  return found;
}

function findTests() {
  return readdirSync(join(root, "test"), { recursive: true })
    .map((file) => join("test", String(file)))
    .filter((file) => file.endsWith("_test.ts"))
    .filter((file) => options.words.length === 0 || options.words.some((w) => file.includes(w)))
    .sort();
}

function binary(name) {
  const shim = join(root, "node_modules", ".bin", name);
  return existsSync(shim) ? shim : which(name) || name;
}

/** What is right or wrong as a whole: one check is one test. */
function checks() {
  const deno = ["check", "--quiet", "--no-lock", "--node-modules-dir=manual"];
  const rest = ["test", "bench", "conf", "docs"].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true })
      .filter((file) => file.endsWith(".ts")).map((file) => `${folder}/${file}`)
  );
  const jobs = [
    { label: "types of core", command: binary("tsc"), args: ["-p", "tsconfig.json"] },
    {
      label: "types of the rest",
      command: binary("deno"),
      args: [...deno, "mod.ts", "adapters/deno.ts", "adapters/demo/main.ts", ...rest],
    },
  ];
  return jobs;
}

/** Bundles tests for Node, which runs no TypeScript before 22. Gives file -> bundle, "" if none. */
async function bundle(files) {
  const { build } = await import("esbuild");
  const cache = join(root, "node_modules", ".cache");
  mkdirSync(cache, { recursive: true });
  bundleFolder = mkdtempSync(join(cache, "ringmux-test-"));
  const broken = new Set();
  const target = (file) =>
    broken.has(file) ? "" : join(bundleFolder, file.replace(/\.ts$/, ".mjs"));
  for (const file of files) {
    // One at a time, so that a file which does not compile is one failure, not all.
    await build({
      absWorkingDir: root,
      entryPoints: [file],
      outfile: target(file),
      bundle: true,
      platform: "node",
      format: "esm",
      target: "node20",
      packages: "external",
      sourcemap: "inline",
      logLevel: "silent",
    }).catch((error) => {
      broken.add(file);
      record(`${file} does not compile`, 0, 1, 0, error.message);
    });
  }
  return target;
}

function unitJob(runtime, file, bundled) {
  const label = `${file} (${runtime})`;
  const limit = file.startsWith("test/runtimes/") ? E2E_LIMIT : UNIT_LIMIT;
  const job = { label, uvu: true, limit };
  if (runtime === "deno") {
    const args = ["run", "-A", "--no-check", "--no-lock", "--node-modules-dir=manual", file];
    return { ...job, command: binary("deno"), args };
  }
  if (runtime === "bun") return { ...job, command: binary("bun"), args: ["run", file] };
  return { ...job, command: process.execPath, args: ["--enable-source-maps", bundled(file)] };
}

function e2eJob(label, runtime, file) {
  return {
    label,
    uvu: true,
    limit: E2E_LIMIT,
    command: process.execPath,
    args: ["--enable-source-maps", file],
    env: { RINGMUX_RUNTIME: runtime, RINGMUX_ROOT: root },
  };
}

/** Whether one of the runtimes chosen is one that the file is for. */
function wanted(file) {
  return describe(file).runtimes.some((runtime) => options.runtimes.includes(runtime));
}

/**
 * What an end-to-end file says of itself: "// Needs: redis-server nutcracker" (programs and Debian
 * packages), and "// Runtimes: node" if it is not for all.
 */
function describe(file) {
  const text = readFileSync(join(root, file), "utf8");
  const words = (name) =>
    text.match(new RegExp(`^// ${name}: .*$`, "gm"))
      ?.flatMap((line) => line.split(/\s+/).slice(2));
  const needs = words("Needs") ?? [];
  const runtimes = words("Runtimes") ?? [...RUNTIMES, "nutcracker"];
  return { needs, runtimes, tests: (text.match(/^\s*(test|ours)\(/gm) ?? []).length };
}

async function runAll(jobs) {
  const queue = [...jobs];
  const lanes = Array.from({ length: options.jobs }, async () => {
    for (let job = queue.shift(); job !== undefined; job = queue.shift()) await runOne(job);
  });
  await Promise.all(lanes);
}

function runOne({ label, command, args, env = {}, uvu = false, limit = 300_000 }) {
  return new Promise((resolve) => {
    const started = Date.now();
    const chunks = [];
    let late = false;
    // A group of its own: whatever the file started and left behind goes with it.
    const child = spawn(command, args, {
      cwd: root,
      detached: true,
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, NO_COLOR: "1", FORCE_COLOR: "0", ...env },
    });
    running.add(child);
    child.stdout.on("data", (chunk) => chunks.push(chunk));
    child.stderr.on("data", (chunk) => chunks.push(chunk));
    const timer = setTimeout(() => {
      late = true;
      killGroup(child, "SIGTERM");
      setTimeout(() => killGroup(child, "SIGKILL"), 3000).unref();
    }, limit);
    let spawnError = "";
    child.on("error", (error) => {
      spawnError = `${error.message}\n`;
      if (child.pid === undefined) finish(-1);
    });
    child.on("exit", () => killGroup(child, "SIGKILL"));
    child.on("close", (code) => finish(code));

    function finish(code) {
      clearTimeout(timer);
      running.delete(child);
      const output = spawnError + Buffer.concat(chunks).toString("utf8");
      const why = late ? `took longer than ${limit / 1000} s` : `exit code ${code}`;
      const seconds = ((Date.now() - started) / 1000).toFixed(1);
      const name = `${label} ${seconds} s`;
      if (!uvu) record(name, code === 0 ? 1 : 0, code === 0 ? 0 : 1, 0, `${output}${why}`);
      else countUvu(name, output, code === 0 && !late, why);
      resolve();
    }
  });
}

function killGroup(child, signal) {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, signal);
  } catch {
    // nobody is left
  }
}

/** uvu ends a file with Total, Passed and Skipped; a file that does not get there has failed. */
function countUvu(name, output, ok, why) {
  const number = (word) => Number(new RegExp(`^\\s+${word}:\\s+(\\d+)`, "m").exec(output)?.[1]);
  const [tests, passed, skipped] = [number("Total"), number("Passed"), number("Skipped")];
  if (Number.isNaN(tests)) return record(name, 0, 1, 0, `${output}no test has run: ${why}`);
  const nothing = tests === 0 && skipped === 0;
  const failed = tests - passed + (nothing || (tests === passed && !ok) ? 1 : 0);
  record(name, passed, failed, skipped, failed > 0 ? `${output}${why}` : "");
}

function skip(label, tests, why) {
  record(label, 0, 0, Math.max(tests, 1), "", why);
}

function record(name, passed, failed, skipped, output, note = "") {
  total.passed += passed;
  total.failed += failed;
  total.skipped += skipped;
  const word = failed > 0 ? "FAILED " : passed > 0 ? "ok     " : "skipped";
  const parts = [`${passed} passed`];
  if (failed > 0) parts.push(`${failed} failed`);
  if (skipped > 0) parts.push(`${skipped} skipped${note === "" ? "" : ": " + note}`);
  console.log(`${word} ${name.replace(`${basename(root)}/`, "")}: ${parts.join(", ")}`);
  if (failed > 0) {
    failures.push(name);
    const lines = output.split("\n").slice(-400);
    console.log(lines.map((line) => `    ${line.slice(0, 500)}`).join("\n"));
  }
}
