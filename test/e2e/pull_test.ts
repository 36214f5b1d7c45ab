// Keys of memcached that move to another ring while clients use them: real servers, clients that know
// each value that they may see. What cannot differ by runtime (which servers, which commands, who is
// killed when) is tried on one.
// Needs: memcached

import * as fs from "node:fs";
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  at,
  command,
  exchange,
  freePort,
  ours,
  type ProxyProcess,
  run,
  runtime,
  type ServerProcess,
  several,
  startMemcached,
  startProxy,
  until,
  Wire,
} from "./harness.ts";
import { Knowing } from "./pull_load.ts";

interface Ring {
  servers: string[];
  [key: string]: string | string[];
}

interface Site {
  proxy: ProxyProcess;
  port: number;
  admin: string;
}

interface Setting {
  old: Ring;
  next: Ring;
  rate?: number;
  workers?: number;
}

async function startSite({ old, next, rate = 0, workers = 1 }: Setting): Promise<Site> {
  const admin = `127.0.0.1:${await freePort()}`;
  const proxy = await startProxy({
    alpha: { migrate: `{to: beta2, rate: ${rate}, big_key: 100000}`, ...old },
    beta2: { ...next },
  }, { admin, args: workers === 1 ? [] : ["--workers", String(workers)] });
  return { proxy, port: proxy.ports.alpha, admin };
}

/** `ringmux migrate ...`; what it said, and its status. */
async function migrate(
  sites: Site[],
  ...args: string[]
): Promise<{ said: string; status: number }> {
  const [program, first] = command();
  const admins = sites.flatMap(({ admin }) => ["--admin", admin]);
  const { code, stdout, stderr } = await run(program, [...first, "migrate", ...args, ...admins]);
  return { said: stdout + stderr, status: code };
}

// deno-lint-ignore no-explicit-any
async function statusOf({ admin }: Site): Promise<any> {
  const reply = await fetch(`http://${admin}/migrate`);
  return (await reply.json()).processes[0]?.[0] ?? {};
}

async function start(sites: Site[], ...more: string[]): Promise<void> {
  const { said, status } = await migrate(sites, "start", ...more);
  assert.is(status, 0, said);
}

async function untilPhase(sites: Site[], phase: string): Promise<void> {
  for (const site of sites) {
    await until(
      `the phase to be ${phase}`,
      async () => (await statusOf(site)).phase === phase,
      60_000,
    );
  }
}

/** The keys of a server that are clients'. */
async function keysOf(server: ServerProcess): Promise<string[]> {
  const list = await exchange(server.port, "lru_crawler metadump hash\r\nquit\r\n");
  return [...list.matchAll(/^key=(\S+)/gm)].map(([, key]) => decodeURIComponent(key))
    .filter((key) => !key.startsWith("ringmux:migrate:"));
}

const rings = (servers: ServerProcess[], n: number): Ring => ({
  servers: servers.slice(0, n).map((server, i) => at(server, 1, `s${i}`)),
});

function clients(sites: Site[], n: number): Knowing[] {
  const ports = (): number[] => sites.map(({ port }) => port);
  return Array.from({ length: n }, (_, i) => new Knowing(ports, `c${i}`, i % 3 === 2));
}

/** Until each client has been answered `n` commands more. */
async function goOn(all: Knowing[], n = 200): Promise<void> {
  const before = all.map(({ answered }) => answered);
  await until(
    "all to go on",
    () => all.every(({ answered, wrong }, i) => answered >= before[i] + n || wrong.length > 0),
    60_000,
  );
}

async function fill(port: number, n: number): Promise<void> {
  const wire = await Wire.open(port);
  for (let i = 0; i < n; i++) wire.send(`set fill:${i} ${i} ${i % 2 * 5000} 5\r\nv${1000 + i}\r\n`);
  for (let i = 0; i < n; i++) assert.is(await wire.line(), "STORED\r\n");
  wire.close();
}

/** Every one of them is there, with its flags. */
async function allThere(port: number, n: number): Promise<void> {
  const wire = await Wire.open(port);
  for (let i = 0; i < n; i++) {
    wire.send(`get fill:${i}\r\n`);
    assert.is(await wire.line(), `VALUE fill:${i} ${i} 5\r\n`);
    assert.is(await wire.readUntil("END\r\n"), `v${1000 + i}\r\nEND\r\n`);
  }
  wire.close();
}

ours("two servers become three: no miss, nothing stale, through two proxies by turns", async () => {
  const servers = await several(3, () => startMemcached());
  const setting = { old: rings(servers, 2), next: rings(servers, 3) };
  const sites = await Promise.all([startSite(setting), startSite(setting)]);
  await fill(sites[0].port, 500);
  const all = clients(sites, 6);
  for (const one of all) one.begin();
  await goOn(all);
  await start(sites);
  await goOn(all);
  await untilPhase(sites, "done");
  await goOn(all);
  for (const one of all) await one.stop();
  assert.equal(all.flatMap(({ wrong }) => wrong).slice(0, 5), []);
  await allThere(sites[1].port, 500);
  const status = await statusOf(sites[0]);
  assert.is(status.errors, 0, JSON.stringify(status));
  assert.ok((await keysOf(servers[2])).length > 100);
});

/** What does not depend on the runtime: which servers, which commands, who is killed when. */
const once = runtime === "node" ? test : test.skip;

once("three become two, with other weights and another hash, two proxies of two workers", async () => {
  const servers = await several(3, () => startMemcached());
  const next = {
    servers: [at(servers[0], 3, "s0"), at(servers[1], 1, "other")],
    hash: "murmur",
    distribution: "modula",
  };
  const setting = { old: rings(servers, 3), next, workers: 2 };
  const sites = await Promise.all([startSite(setting), startSite(setting)]);
  await fill(sites[0].port, 500);
  // Left over from earlier where it is to come: swept away before anything else.
  for (const server of servers.slice(0, 2)) {
    let stale = "";
    for (let i = 0; i < 300; i++) stale += `add c0:${i} 0 0 5\r\nstale\r\n`;
    await exchange(server.port, `${stale}quit\r\n`);
  }
  const wire = await Wire.open(sites[0].port);
  for (let i = 0; i < 300; i++) wire.send(`delete c0:${i}\r\n`);
  for (let i = 0; i < 300; i++) await wire.line();
  const all = clients(sites, 6);
  for (const one of all) one.begin();
  await goOn(all);
  await start(sites);
  await goOn(all);
  await untilPhase(sites, "done");
  await goOn(all);
  for (const one of all) await one.stop();
  assert.equal(all.flatMap(({ wrong }) => wrong).slice(0, 5), []);
  await allThere(sites[1].port, 500);
  assert.equal(await keysOf(servers[2]), []);
});

test.run();
