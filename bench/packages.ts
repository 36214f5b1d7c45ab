// Finds the programs that are needed, and installs Debian's packages of those that are missing,
// if it may, without leaving a service running. Deno and Bun are the real programs inside their
// npm packages, not the scripts that start them: it is their process that is measured.

import { spawnSync } from "node:child_process";
import { accessSync, constants, existsSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** Program → Debian's package. */
const DEBIAN: Readonly<Record<string, string>> = {
  "nutcracker": "nutcracker",
  "redis-server": "redis-server",
  "redis-benchmark": "redis-tools",
  "memcached": "memcached",
  "haproxy": "haproxy",
  "stunnel": "stunnel4",
  "openssl": "openssl",
};

const POLICY = "/usr/sbin/policy-rc.d";
const found = new Map<string, string>();

/** Path of a program, "" when there is none. */
export function executable(name: string): string {
  const known = found.get(name);
  if (known !== undefined) return known;
  const path = find(name);
  if (path !== "") found.set(name, path);
  return path;
}

function find(name: string): string {
  if (name === "node") return process.execPath;
  if (name === "deno") return inPackage(["@deno/*/deno", "deno/deno"]);
  if (name === "bun") return inPackage(["@oven/*/bin/bun", "bun/bin/bun.exe"]);
  const folders = [...(process.env.PATH ?? "").split(":"), "/usr/sbin", "/usr/local/sbin", "/sbin"];
  return folders.map((folder) => join(folder, name)).find(runs) ?? "";
}

/** The first of `patterns` under node_modules; "*" stands for one folder. */
function inPackage(patterns: readonly string[]): string {
  for (const pattern of patterns) {
    const [scope, rest] = pattern.split("/*/");
    const folder = join("node_modules", scope);
    if (rest === undefined) {
      if (runs(folder)) return folder;
      continue;
    }
    const names = existsSync(folder) ? readdirSync(folder) : [];
    const file = names.map((name) => join(folder, name, rest)).find(runs);
    // A package for another libc may be there as well and does not start.
    if (file !== undefined && spawnSync(file, ["--version"]).status === 0) return file;
  }
  return "";
}

function runs(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Installs what is missing of Debian's packages; says what it does and what it cannot do. */
export function installMissing(more: Readonly<Record<string, string>> = {}): void {
  const wanted = { ...DEBIAN, ...more };
  const missing = Object.keys(wanted).filter((name) => executable(name) === "");
  if (missing.length === 0) return;
  const packages = missing.map((name) => wanted[name]);
  const root = process.getuid?.() === 0;
  if (executable("apt-get") === "" || (!root && spawnSync("sudo", ["-n", "true"]).status !== 0)) {
    console.log(`not installed, and not installable from here: ${missing.join(", ")}`);
    return;
  }
  console.log(`installing Debian packages: ${packages.join(" ")}`);
  const sudo = root ? [] : ["sudo", "-n"];
  // Debian's packages start their services, unless this script says no.
  const policy = root && !existsSync(POLICY);
  if (policy) writeFileSync(POLICY, "#!/bin/sh\nexit 101\n", { mode: 0o755 });
  try {
    const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive", RUNLEVEL: "1" };
    const run = (...args: string[]) => {
      const [command, ...rest] = [...sudo, "apt-get", "-q", ...args];
      return spawnSync(command, rest, { env, encoding: "utf8" });
    };
    run("update");
    const { status, stderr } = run("install", "-y", "--no-install-recommends", ...packages);
    if (status !== 0) console.log(`apt-get could not install them: ${stderr.trim()}`);
  } finally {
    if (policy) rmSync(POLICY, { force: true });
  }
}
