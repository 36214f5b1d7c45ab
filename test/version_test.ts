// The version, and what package.json and deno.json both name, are the same everywhere.

import * as fs from "node:fs";
import * as path from "node:path";
import process from "node:process";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { VERSION } from "../core/version.ts";

const read = (file: string) =>
  JSON.parse(fs.readFileSync(path.join(process.cwd(), file), "utf8")) as Record<string, unknown>;
const npm = read("package.json");
const lock = read("package-lock.json");
const deno = read("deno.json");

test("core/version.ts, package.json, its lock and deno.json have one version", () => {
  assert.is(npm.version, VERSION);
  assert.is(deno.version, VERSION);
  assert.is(lock.version, VERSION);
});

test("the change log begins with this version", () => {
  const text = fs.readFileSync(path.join(process.cwd(), "CHANGELOG.md"), "utf8");
  const versions = [...text.matchAll(/^## \[(\d[^\]]*)\]/gm)].map((match) => match[1]);
  assert.is(versions[0], VERSION);
});

test("deno.json imports packages in the range that package.json has", () => {
  const ranges = {
    ...npm.dependencies as Record<string, string>,
    ...npm.devDependencies as Record<string, string>,
  };
  for (const [name, specifier] of Object.entries(deno.imports as Record<string, string>)) {
    assert.is(specifier, `npm:${name}@${ranges[name]}`);
  }
  for (const name of Object.keys(npm.dependencies as Record<string, string>)) {
    assert.ok(name in (deno.imports as Record<string, string>), `${name} is missing in deno.json`);
  }
});

test("package-lock.json holds the packages for every platform", () => {
  // npm ci refuses a lock made on a machine whose registry had some of them only.
  const packages = lock.packages as Record<string, Record<string, Record<string, string>>>;
  for (const [path, { optionalDependencies }] of Object.entries(packages)) {
    for (const name of Object.keys(optionalDependencies ?? {})) {
      assert.ok(`node_modules/${name}` in packages, `${path} needs ${name}`);
    }
  }
});

test.run();
