// Brings a fresh machine to where the tests can run: npm packages, and the servers and tools from
// Debian. Plain Node, nothing but node: modules, for it runs before anything is installed.

import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** Programs the end-to-end tests use, and the Debian packages they come from. */
const PACKAGES = {
  "redis-server": "redis-server",
  "redis-cli": "redis-tools",
  "redis-benchmark": "redis-tools",
  memcached: "memcached",
  nutcracker: "nutcracker",
  openssl: "openssl",
  memccapable: "libmemcached-tools",
  prometheus: "prometheus",
  promtool: "prometheus",
  haproxy: "haproxy",
  dnsmasq: "dnsmasq-base",
  etcd: "etcd-server",
  chromium: "chromium",
};

/** Path of a program, or "". */
export function which(program) {
  for (const folder of [...(process.env.PATH ?? "").split(delimiter), "/usr/sbin"]) {
    if (folder !== "" && existsSync(join(folder, program))) return join(folder, program);
  }
  return "";
}

function quietly(command, args, env = {}) {
  const done = spawnSync(command, args, {
    cwd: root,
    env: { ...process.env, ...env },
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
    maxBuffer: 1 << 26,
  });
  return { ok: done.status === 0, output: `${done.stdout ?? ""}${done.stderr ?? ""}` };
}

/** True when every package that package.json names is there. */
export function hasNpmPackages() {
  const { dependencies, devDependencies } = JSON.parse(
    readFileSync(join(root, "package.json"), "utf8"),
  );
  return Object.keys({ ...dependencies, ...devDependencies })
    .every((name) => existsSync(join(root, "node_modules", name, "package.json")));
}

/** Installs the npm packages if some are missing; throws when that cannot be done. */
export function ensureNpmPackages(say = console.log) {
  if (hasNpmPackages()) return;
  const verb = existsSync(join(root, "package-lock.json")) ? "ci" : "install";
  say(`installing the npm packages (npm ${verb}) ...`);
  const { ok, output } = quietly("npm", [verb, "--no-audit", "--no-fund"]);
  if (!ok) throw new Error(`npm ${verb} failed:\n${output}`);
}

/** Those of some Debian packages that are not installed. */
function lackingPackages(names) {
  if (names.length === 0) return [];
  const format = "${Package} ${db:Status-Status}\\n";
  const { output } = quietly("dpkg-query", ["-W", `--showformat=${format}`, ...names]);
  const there = new Set(output.split("\n").filter((line) => line.endsWith(" installed")));
  return names.filter((name) => !there.has(`${name} installed`));
}

/**
 * Installs what is missing of the servers and tools, and of what `needed` names beside them (Debian
 * packages), where apt-get can do it without a question. Returns what is still missing.
 */
export function ensurePrograms(needed = [], say = console.log) {
  const libraries = needed.filter((name) => !(name in PACKAGES));
  const missing = () => [
    ...Object.keys(PACKAGES).filter((program) => which(program) === ""),
    ...lackingPackages(libraries),
  ];
  if (missing().length === 0 || process.env.RINGMUX_NO_INSTALL || which("apt-get") === "") {
    return missing();
  }
  const isRoot = process.getuid?.() === 0;
  const sudo = isRoot ? [] : ["sudo", "-n"];
  if (!isRoot && !(which("sudo") !== "" && quietly("sudo", ["-n", "true"]).ok)) return missing();
  const asRoot = (...args) => {
    const [command, ...rest] = [...sudo, "env", "DEBIAN_FRONTEND=noninteractive", ...args];
    return quietly(command, rest);
  };

  const packages = [...new Set(missing().map((name) => PACKAGES[name] ?? name))];
  say(`installing ${packages.join(", ")} (apt-get) ...`);
  // The packages would start their services; a policy-rc.d that answers 101 forbids it.
  const policy = "/usr/sbin/policy-rc.d";
  const ourPolicy = !existsSync(policy);
  if (ourPolicy) {
    asRoot("sh", "-c", `printf '#!/bin/sh\\nexit 101\\n' > ${policy}; chmod 755 ${policy}`);
  }
  try {
    asRoot("apt-get", "update", "-qq");
    // What this release does not have must not keep the others away.
    const known = quietly("apt-cache", ["show", ...packages]).output;
    const there = packages.filter((name) => known.includes(`Package: ${name}\n`));
    const install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends"];
    // A machine of root's is one for tests: it need not survive a power cut in between.
    if (isRoot) install.push("-o", "Dpkg::Options::=--force-unsafe-io");
    const { ok, output } = asRoot(...install, ...there);
    if (!ok) {
      for (const name of there) asRoot(...install, name);
      if (missing().length > 0) say(output.trim().split("\n").slice(-5).join("\n"));
    }
  } finally {
    if (ourPolicy) asRoot("rm", "-f", policy);
  }
  return missing();
}
