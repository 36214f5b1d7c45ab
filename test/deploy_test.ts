// What is deployed with is right as far as it can be told without deploying: the unit passes
// systemd's own check, the Dockerfile copies what is there, the manifests' configurations pass
// ringmux's check, and what is published holds all that it imports.

import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import process from "node:process";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { parseAllDocuments } from "yaml";
import { checkConfig, formatMistake } from "../core/config/load.ts";

const root = process.cwd();
const read = (file: string): string => fs.readFileSync(path.join(root, file), "utf8");
const manifest = JSON.parse(read("package.json"));

const hasAnalyze = spawnSync("systemd-analyze", ["--version"]).status === 0;

(hasAnalyze ? test : test.skip)("systemd has nothing to say against the unit", () => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "ringmux-unit-"));
  try {
    const unit = path.join(folder, "ringmux.service");
    // The program need not be installed where the test runs.
    fs.writeFileSync(
      unit,
      read("deploy/ringmux.service").replaceAll("/usr/local/bin/", "/bin/true "),
    );
    const verify = spawnSync("systemd-analyze", ["verify", "--man=no", unit], { encoding: "utf8" });
    assert.is(verify.stderr, "");
    assert.is(verify.status, 0);
    // Exposure from 0 to 10, here in tenths: 1.6 when this was written.
    const args = ["security", "--offline=true", "--threshold=25", "--no-pager", unit];
    const security = spawnSync("systemd-analyze", args, { encoding: "utf8" });
    assert.is(security.status, 0, security.stdout + security.stderr);
  } finally {
    fs.rmSync(folder, { recursive: true });
  }
});

test("the unit waits for readiness, reloads by signal and stops after the drain", () => {
  const unit = new Map(
    [...read("deploy/ringmux.service").matchAll(/^(\w+)=(.*)$/gm)].map((
      [, key, value],
    ) => [key, value]),
  );
  assert.is(unit.get("Type"), "notify");
  assert.is(unit.get("NotifyAccess"), "all", "systemd-notify is another process");
  assert.is(unit.get("ExecReload"), "/bin/kill -USR1 $MAINPID");
  const { config } = checkConfig(
    "a:\n  listen: 127.0.0.1:1\n  servers: [127.0.0.1:2:1]\n",
    "a.yml",
  );
  assert.ok(Number(unit.get("TimeoutStopSec")) * 1000 > (config?.global.drain_timeout ?? Infinity));
});

/** The instructions of a Dockerfile, their continuation lines joined. */
function instructions(text: string): [string, string][] {
  return text.replace(/^\s*#.*\n/gm, "").replace(/\\\n\s*/g, "").split("\n").filter(Boolean)
    .map((line) => [line.slice(0, line.indexOf(" ")), line.slice(line.indexOf(" ") + 1)]);
}

test("the Dockerfile copies what is there, and runs it as nobody special", () => {
  const all = instructions(read("deploy/Dockerfile"));
  const known = "FROM LABEL WORKDIR COPY RUN ENV USER EXPOSE STOPSIGNAL HEALTHCHECK ENTRYPOINT CMD";
  for (const [name] of all) assert.ok(known.split(" ").includes(name), name);
  const ignored = read("deploy/Dockerfile.dockerignore").split("\n").filter(Boolean);
  const copied = all.filter(([name, what]) => name === "COPY" && !what.startsWith("--from"))
    .flatMap(([, what]) => what.split(" ").slice(0, -1));
  assert.ok(copied.includes("adapters"));
  for (const file of copied) {
    assert.ok(fs.existsSync(path.join(root, file)), `${file} is not there`);
    assert.not.ok(ignored.includes(file), `${file} is in .dockerignore`);
  }
  // What the build reads besides is copied too.
  const built = read("adapters/tools/build.mjs").matchAll(/entry: "([^"/]+)/g);
  for (const [, file] of built) assert.ok(copied.includes(file), `${file} is not copied`);
  const one = (name: string): string => all.filter(([is]) => is === name).at(-1)?.[1] ?? "";
  assert.is(one("USER"), "node");
  assert.is(one("STOPSIGNAL"), "SIGTERM");
  for (const name of ["ENTRYPOINT", "CMD"]) JSON.parse(one(name)); // no shell between
  const check = JSON.parse(one("HEALTHCHECK").replace(/^.*CMD /, ""));
  assert.match(check[2], "http://127.0.0.1:22223/healthz");
  new Function(check[2]); // it is JavaScript
});

// deno-lint-ignore no-explicit-any
type Manifest = any;

const manifests = fs.readdirSync(path.join(root, "deploy/kubernetes"));

for (const file of manifests) {
  const documents: Manifest[] = parseAllDocuments(read(`deploy/kubernetes/${file}`)).map((one) => {
    assert.equal(one.errors, [], file);
    return one.toJS();
  });
  const of = (kind: string): Manifest[] => documents.filter((one) => one.kind === kind);

  test(`${file}: the configuration in its ConfigMap is a right one`, () => {
    for (const { data } of of("ConfigMap")) {
      const { config, mistakes } = checkConfig(data["ringmux.yml"], file);
      assert.equal(mistakes.map(formatMistake), []);
      assert.ok(config !== null && config.pools.length > 0);
    }
  });

  test(`${file}: ports, probes, volumes and times fit together`, () => {
    const [configMap] = of("ConfigMap");
    const { config } = checkConfig(configMap.data["ringmux.yml"], file);
    const [{ spec: { selector, template } }] = of("Deployment");
    assert.equal(template.metadata.labels, selector.matchLabels);
    const { initContainers = [], containers, volumes, terminationGracePeriodSeconds } =
      template.spec;
    const ringmux = [...initContainers, ...containers].find((one) => one.name === "ringmux");
    assert.is(ringmux.image, `ringmux:${manifest.version}`);
    const [mount] = ringmux.volumeMounts;
    assert.is(mount.mountPath, "/etc/ringmux");
    assert.is(mount.subPath, undefined, "a file that is mounted alone never changes");
    assert.is(
      volumes.find((one: Manifest) => one.name === mount.name).configMap.name,
      configMap.metadata.name,
    );
    const preStop = Number(ringmux.lifecycle?.preStop.exec.command[1] ?? 0);
    const drain = (config?.global.drain_timeout ?? 0) / 1000;
    assert.ok(terminationGracePeriodSeconds > preStop + drain);
    for (const probe of ["startupProbe", "livenessProbe", "readinessProbe"]) {
      const { httpGet, exec } = ringmux[probe] ?? {};
      if (httpGet !== undefined) {
        const port = ringmux.ports.find((one: Manifest) => one.name === httpGet.port);
        assert.is(config?.global.admin, `0.0.0.0:${port.containerPort}`);
        assert.match(httpGet.path, /^\/(healthz|readyz)$/);
      }
      if (exec !== undefined) {
        assert.match(exec.command[2], "http://127.0.0.1:22223/healthz");
        new Function(exec.command[2]);
      }
    }
    for (const { spec } of of("Service")) {
      for (const { targetPort } of spec.ports) {
        const port = ringmux.ports.find((one: Manifest) => one.name === targetPort).containerPort;
        assert.ok(config?.pools.some((pool) => pool.listen.port === port), `no pool on ${port}`);
      }
    }
  });
}

/** The published files: "deno publish --dry-run" tells the same, but asks the registry. */
function published(): string[] {
  const { publish } = JSON.parse(read("deno.json"));
  const files: string[] = [];
  for (const name of publish.include as string[]) {
    if (name.includes("*")) continue;
    if (fs.statSync(path.join(root, name)).isFile()) files.push(name);
    else {
      for (const file of fs.readdirSync(path.join(root, name), { recursive: true })) {
        files.push(path.join(name, String(file)));
      }
    }
  }
  return files.filter((file) => !publish.exclude.includes(file));
}

test("what is published on JSR holds all that it imports", () => {
  const { imports, exports } = JSON.parse(read("deno.json"));
  const files = published();
  assert.ok(files.includes(path.normalize(exports)));
  let seen = 0;
  for (const file of files.filter((file) => file.endsWith(".ts"))) {
    for (const [, to] of read(file).matchAll(/(?:from|import)\s*\(?\s*"([^"\s]+)"/g)) {
      seen++;
      if (to.startsWith("node:") || to.startsWith("bun")) continue;
      if (to.startsWith(".")) {
        const target = path.join(path.dirname(file), to);
        assert.ok(files.includes(target), `${file} imports ${to}, which is not published`);
      } else {
        const name = to.split("/").slice(0, to.startsWith("@") ? 2 : 1).join("/");
        assert.ok(name in imports, `${file} imports ${to}, which deno.json does not name`);
      }
    }
  }
  assert.ok(seen > 100);
});

test.run();
