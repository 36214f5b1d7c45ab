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
    alpha: { migrate: `{to: beta2, rate: ${rate}, latency: 0, big_key: 100000}`, ...old },
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

/** Gives an order to a process; what is wrong with it. */
async function order({ admin }: Site, what: string): Promise<string> {
  const url = `http://${admin}/migrate?pool=alpha&do=${what}`;
  return (await (await fetch(url, { method: "POST" })).json()).error;
}

/** What `ringmux migrate start` does, without a process of its own. */
async function start(sites: Site[], commit = "commit"): Promise<void> {
  assert.is(await order(sites[0], "start"), "");
  await until("all to agree", async () => {
    const told = await Promise.all(sites.map(async ({ admin }) => {
      const { processes } = await (await fetch(`http://${admin}/migrate`)).json();
      return processes.every(([one]: { parked: boolean }[]) => one.parked);
    }));
    return told.every(Boolean) && await order(sites[0], commit) === "";
  });
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
async function goOn(all: Knowing[], n = 60): Promise<void> {
  const before = all.map(({ answered }) => answered);
  await until(
    "all to go on",
    () => all.every(({ answered, wrong }, i) => answered >= before[i] + n || wrong.length > 0),
    60_000,
  );
}

async function fill(port: number, n: number): Promise<void> {
  const wire = await Wire.open(port);
  for (let i = 0; i < n; i++) wire.send(`set ${i}:fill ${i} ${i % 2 * 5000} 5\r\nv${1000 + i}\r\n`);
  for (let i = 0; i < n; i++) assert.is(await wire.line(), "STORED\r\n");
  wire.close();
}

/** Every one of them is there, with its flags. */
async function allThere(port: number, n: number): Promise<void> {
  const wire = await Wire.open(port);
  for (let i = 0; i < n; i++) {
    wire.send(`get ${i}:fill\r\n`);
    assert.is(await wire.line(), `VALUE ${i}:fill ${i} 5\r\n`);
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

once(
  "three become two, with other weights and another hash, two proxies of two workers",
  async () => {
    const servers = await several(3, () => startMemcached());
    const next = {
      servers: [at(servers[0], 3, "s0"), at(servers[1], 1, "other")],
      hash: "murmur",
      distribution: "modula",
    };
    const setting = { old: rings(servers, 3), next };
    const sites = await Promise.all([startSite(setting), startSite({ ...setting, workers: 2 })]);
    await fill(sites[0].port, 500);
    // Left over from earlier where it is to come: swept away before anything else.
    for (const server of servers.slice(0, 2)) {
      let stale = "";
      for (let i = 0; i < 300; i++) stale += `add ${i}:c0 0 0 5\r\nstale\r\n`;
      await exchange(server.port, `${stale}quit\r\n`);
    }
    const wire = await Wire.open(sites[0].port);
    for (let i = 0; i < 300; i++) wire.send(`delete ${i}:c0\r\n`);
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
  },
);

once("proxies and servers are killed amid it: nothing stale comes up", async () => {
  const servers = await several(3, () => startMemcached());
  const setting = { old: rings(servers, 2), next: rings(servers, 3), rate: 100 };
  const sites = await Promise.all([startSite(setting), startSite(setting)]);
  await fill(sites[0].port, 500);
  const all = clients(sites, 6);
  for (const one of all) one.begin();
  await start(sites, "commit-paused");
  await goOn(all);
  const killing = async (what: "lenient" | "doubts", kill: () => Promise<void>): Promise<void> => {
    for (const one of all) one.lenient = true;
    for (const one of all) one.doubts = what === "doubts";
    await kill();
    await goOn(all, 20);
    for (const one of all) one.lenient = one.doubts = false;
    await goOn(all, 30);
  };
  const killProxy = (): Promise<void> =>
    killing("lenient", async () => {
      await sites[0].proxy.stop("SIGKILL");
      sites[0] = await startSite(setting);
    });
  const killServer = (i: number): Promise<void> =>
    killing("doubts", async () => {
      await servers[i].stop("SIGKILL");
      await goOn(all, 5);
      servers[i] = await startMemcached({ port: servers[i].port });
    });
  await killProxy();
  assert.is((await statusOf(sites[0])).phase, "pull");
  assert.is(await order(sites[0], "resume"), "");
  // Of both rings (where the state is changed), of the new one, of both again.
  for (const i of [0, 2, 1]) await killServer(i);
  await untilPhase(sites, "done");
  await killProxy();
  assert.is((await statusOf(sites[0])).phase, "done");
  await goOn(all);
  for (const one of all) await one.stop();
  assert.equal(all.flatMap(({ wrong }) => wrong).slice(0, 5), []);
});

once("what is not safe is refused, what is wrong is told, the configuration follows", async () => {
  const servers = await several(3, () => startMemcached());
  const site = await startSite({ old: rings(servers, 2), next: rings(servers, 3) });
  const wire = await Wire.open(site.port);
  const say = (line: string): Promise<string> => wire.send(`${line}\r\n`).line();
  await fill(site.port, 50);
  await say(`set big 0 0 300000\r\n${"x".repeat(300_000)}`);
  const plan = JSON.parse((await migrate([site], "plan", "--json")).said);
  assert.is(plan.wrong, "");
  // Few enough to be counted.
  const keys = plan.servers.map((one: { keys: number }) => one.keys);
  assert.is(keys[0] + keys[1], 51, JSON.stringify(plan));
  assert.ok(plan.servers[2].gains > 5, JSON.stringify(plan));
  assert.equal(plan.bigs.length, plan.flows.some((one: { bytes: number }) => one.bytes > 3e5) ? 1 : 0);
  assert.match(await order(site, "abort"), "nothing has begun");
  await exchange(servers[2].port, "set stray 0 0 1\r\nx\r\nquit\r\n");
  assert.match(await order(site, "start"), "new servers have to be empty");
  await exchange(servers[2].port, "flush_all\r\nquit\r\n");
  assert.is((await statusOf(site)).phase, "prepare");

  const { said, status: began } = await migrate([site], "start", "--paused");
  assert.is(began, 0, said);
  assert.match(await order(site, "abort"), "keys have moved already");
  assert.match(await say("get ringmux:migrate:state"), "the proxy's own");
  assert.match(await say("flush_all 10"), "with a delay is not possible");
  assert.match(await say("incr ringmux:migrate:lock 1"), "the proxy's own");
  // Times are kept, and what has none has none.
  for (const i of [10, 11, 12, 13]) {
    const [, seconds] = /^HD t(-?\d+)/.exec(await say(`mg ${i}:fill t`)) ?? [];
    if (i % 2 === 0) assert.is(seconds, "-1");
    else assert.ok(Number(seconds) > 4900 && Number(seconds) <= 5000, seconds);
  }
  await allThere(site.port, 50);
  // Whatever is on its way then.
  await fill(site.port, 300);
  assert.is(await order(site, "resume"), "");
  assert.is(await say("flush_all"), "OK\r\n");
  for (let i = 0; i < 300; i++) assert.is(await say(`get ${i}:fill`), "END\r\n");
  await fill(site.port, 50);
  await say(`set big 0 0 300000\r\n${"x".repeat(300_000)}`);
  await untilPhase([site], "done");
  const status = await statusOf(site);
  assert.is(status.errors, 0, JSON.stringify(status));
  await allThere(site.port, 50);
  assert.match(await say("mg big s"), "HD s300000");
  assert.match((await migrate([site], "finish")).said, `- ${at(servers[2], 1, "s2")}`);
  fs.writeFileSync(
    site.proxy.confPath,
    `alpha:\n  listen: 127.0.0.1:${site.port}\n  servers:\n` +
      rings(servers, 3).servers.map((line) => `   - ${line}\n`).join(""),
  );
  const reload = await fetch(`http://${site.admin}/reload`, { method: "POST" });
  assert.match(await reload.text(), '"reloaded":true');
  await allThere(site.port, 50);
});

test.run();
