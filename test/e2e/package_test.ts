// What people install: the npm package on Node, the single binary on Bun. Each starts, checks a
// configuration, serves, and ends when it is told to.
// Needs: redis-server

import * as fs from "node:fs";
import * as path from "node:path";
import process from "node:process";
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  at,
  bulk,
  bunBinary,
  freePort,
  root,
  run,
  Running,
  runtime,
  startRedis,
  tempPath,
  toYaml,
  until,
  which,
  Wire,
} from "./harness.ts";

const on = (name: string, ...programs: string[]) =>
  runtime === name && programs.every((program) => which(program) !== "") ? test : test.skip;

/** Checks, serves, drains: with the program and its first arguments. */
async function works(program: string, first: string[], name: string): Promise<void> {
  const version = await run(program, [...first, "-V"]);
  assert.match(version.stderr, "This is ringmux-");
  assert.match(version.stderr, `event backend: ${name} `);

  const redis = await startRedis();
  const [port, stats] = [await freePort(), await freePort()];
  const conf = tempPath("conf.yml");
  const pool = { listen: `127.0.0.1:${port}`, redis: true, servers: [at(redis)] };
  fs.writeFileSync(conf, toYaml({ pool }));
  const checked = await run(program, [...first, "-t", "-c", conf]);
  assert.is(checked.code, 0, checked.stderr);
  fs.writeFileSync(`${conf}.bad`, toYaml({ pool: { ...pool, hash: "none" } }));
  const bad = await run(program, [...first, "-t", "-c", `${conf}.bad`]);
  assert.is(bad.code, 1);
  assert.match(bad.stderr, /conf\.yml\.bad:\d+: pool "pool": hash "none" is not known/);

  const proxy = new Running(name, program, [...first, "-c", conf, "-s", String(stats)]);
  const wire = await until("it to listen", () => {
    assert.not.ok(proxy.gone, proxy.output());
    return Wire.open(port).catch(() => null);
  }, 30_000) as Wire;
  assert.is(await wire.ask("SET", "k", "packed"), "+OK\r\n");
  assert.is(await wire.ask("GET", "k"), bulk("packed"));
  assert.is((await proxy.stop("SIGTERM")).code, 0, proxy.output());
}

on("node", "npm")("the npm package: packed, installed without a network, run", async () => {
  const out = path.dirname(tempPath("out"));
  // The bundles are those that this run of the tests has built.
  const packed = await run(process.execPath, [
    "adapters/tools/package.mjs",
    "--no-build",
    "--out",
    out,
  ]);
  assert.is(packed.code, 0, packed.stderr);
  const archive = packed.stdout.trim();
  const folder = path.dirname(tempPath("app"));
  fs.writeFileSync(path.join(folder, "package.json"), '{ "private": true }');
  const flags = ["--offline", "--no-audit", "--no-fund", "--prefix", folder];
  const installed = await run(which("npm"), ["install", ...flags, archive]);
  assert.is(installed.code, 0, installed.stdout + installed.stderr);
  // Nothing comes with it.
  const modules = fs.readdirSync(path.join(folder, "node_modules"));
  assert.equal(modules.filter((name) => !name.startsWith(".")), ["ringmux"]);
  const files = path.join(folder, "node_modules/ringmux");
  for (const file of ["README.md", "LICENSE", "conf/ringmux.schema.json", "deploy/Dockerfile"]) {
    assert.ok(fs.existsSync(path.join(files, file)), file);
  }
  await works(path.join(folder, "node_modules/.bin/ringmux"), [], "node");

  const use = "const { hashKey, VERSION } = await import('ringmux'); " +
    "console.log(VERSION, hashKey instanceof Function);";
  fs.writeFileSync(path.join(folder, "use.mjs"), use);
  const used = await run(process.execPath, [path.join(folder, "use.mjs")]);
  const { version } = JSON.parse(fs.readFileSync(path.join(root, "package.json"), "utf8"));
  assert.is(used.stdout, `${version} true\n`, used.stderr);
});

on("bun")("the single binary: compiled, run where there is nothing else", async () => {
  const binary = tempPath("ringmux");
  // As `npm run compile` does, but not into dist/.
  const { scripts } = JSON.parse(fs.readFileSync(path.join(root, "package.json"), "utf8"));
  const args = scripts.compile.split(" ").slice(1).map((arg: string) =>
    arg === "dist/ringmux" ? binary : arg
  );
  assert.ok(args.includes(binary));
  const compiled = await run(bunBinary(), args);
  assert.is(compiled.code, 0, compiled.stderr);
  // `env -i`: no PATH, no home; and a folder of its own.
  await works("env", ["-i", "-C", path.dirname(binary), binary], "bun");
});

test.run();
