// Keys that move to another ring while clients use them: real servers, clients that know each value
// that they may see. What cannot differ by runtime (which servers, which commands) is tried on one.

import * as fs from "node:fs";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { knowingClients } from "./cluster_load.ts";
import { actors, Counters, goOn } from "./migrate_load.ts";
import {
  at,
  bulk,
  cmd,
  command,
  freePort,
  ours,
  type ProxyProcess,
  run,
  runtime,
  type ServerProcess,
  serves,
  several,
  startProxy,
  startRedis,
  tempPath,
  until,
  Wire,
} from "./harness.ts";

interface Ring {
  servers: string[];
  [key: string]: string | string[];
}

interface Setting {
  old: Ring;
  next: Ring;
  rate?: number;
  bigKey?: number;
  workers?: number;
}

interface Site {
  proxy: ProxyProcess;
  port: number;
  admin: string;
}

async function startSite({ old, next, rate = 0, bigKey, workers = 1 }: Setting): Promise<Site> {
  const admin = `127.0.0.1:${await freePort()}`;
  const big = bigKey === undefined ? "" : `, big_key: ${bigKey}`;
  const proxy = await startProxy({
    alpha: { redis: true, migrate: `{to: beta2, rate: ${rate}${big}}`, ...old },
    beta2: { redis: true, ...next },
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

async function untilDone(sites: Site[]): Promise<void> {
  for (const site of sites) {
    await until(
      "the migration to be done",
      async () => (await statusOf(site)).phase === "done",
      60_000,
    );
  }
}

/** The keys of a server that are clients', in all databases. */
async function keysOf(server: ServerProcess): Promise<string[]> {
  const wire = await Wire.open(server.port);
  const reply = await wire.ask("KEYS", "*");
  wire.close();
  return [...reply.matchAll(/\r\n([^$*\r\n][^\r\n]*)/g)].map(([, key]) => key)
    .filter((key) => !key.startsWith("ringmux:migrate:"));
}

const rings = (servers: ServerProcess[], n: number): Ring => ({
  servers: servers.slice(0, n).map((server, i) => at(server, 1, `s${i}`)),
});

/** Clients of every kind while `meanwhile` happens; nothing wrong may be told to any of them. */
async function underLoad(site: Site, meanwhile: () => Promise<void>): Promise<void> {
  const knowing = await knowingClients(site.port, 2);
  const others = await actors(site.port);
  for (const one of [...knowing, ...others]) one.begin();
  await goOn(others, 2);
  await meanwhile();
  await goOn(others, 2);
  await Promise.all([...knowing, ...others].map((one) => one.stop()));
  assert.equal(knowing.flatMap(({ wrong }) => wrong).slice(0, 3), []);
  assert.equal(others.flatMap(({ wrong }) => wrong).slice(0, 3), []);
}

async function nothingAside(site: Site): Promise<void> {
  const status = await statusOf(site);
  assert.is(status.errors, 0, JSON.stringify(status));
  assert.is(status.aside, 0, JSON.stringify(status));
}

ours("two servers become three while clients of every kind go on", async () => {
  const servers = await several(3, () => startRedis());
  const tagged = { hash_tag: '"{}"' };
  const site = await startSite({
    old: { ...rings(servers, 2), ...tagged },
    next: { ...rings(servers, 3), ...tagged },
  });
  await underLoad(site, async () => {
    await start([site]);
    await untilDone([site]);
  });
  await nothingAside(site);
  assert.ok((await keysOf(servers[2])).length > 100);
});

/** What does not depend on the runtime: which servers, which commands, who is killed when. */
const once = runtime === "node" ? test : test.skip;

once(
  "three become two, with other weights and another hash, two proxies of two workers",
  async () => {
    const servers = await several(3, () => startRedis());
    const tagged = { hash_tag: '"{}"' };
    const next = {
      servers: [at(servers[0], 3, "s0"), at(servers[1], 1, "other")],
      hash: "murmur",
      distribution: "modula",
      ...tagged,
    };
    const setting = { old: { ...rings(servers, 3), ...tagged }, next, workers: 2 };
    const sites = await Promise.all([startSite(setting), startSite(setting)]);
    for (const { port } of sites) await serves(port);
    const counters = sites.map(({ port }, i) => new Counters(port, `c${i}`));
    for (const one of counters) one.begin();
    await underLoad(sites[0], async () => {
      await start(sites);
      await untilDone(sites);
    });
    for (const one of counters) await one.stop();
    for (const one of counters) await one.check(sites[1].port);
    assert.equal(counters.flatMap(({ wrong }) => wrong), []);
    assert.is(counters[0].errors + counters[1].errors, 0);
    for (const site of sites) await nothingAside(site);
    assert.equal(await keysOf(servers[2]), []);
  },
);

/** Servers that remember, and can be killed. */
function startLasting(port?: number, dir = fs.mkdtempSync(tempPath("aof"))): Promise<Lasting> {
  const args = ["--appendonly", "yes", "--appendfsync", "always", "--dir", dir];
  return startRedis({ port, args }).then((server) => Object.assign(server, { dir }));
}

type Lasting = ServerProcess & { dir: string };

once("proxies and servers are killed amid the move: what is known stays so", async () => {
  const servers = await several(3, () => startLasting());
  const setting = { old: rings(servers, 2), next: rings(servers, 3), rate: 300 };
  const sites = await Promise.all([startSite(setting), startSite(setting)]);
  const wire = await Wire.open(sites[0].port);
  for (let i = 0; i < 600; i++) wire.send(cmd("SET", `fill:${i}`, `v${i}`));
  await wire.replies(600);
  const counters = sites.flatMap(({ port }, i) =>
    [0, 1].map((n) => new Counters(port, `k${i}.${n}`))
  );
  for (const one of counters) one.begin();
  await start(sites, "--paused");
  const goOnCounting = async (): Promise<void> => {
    const before = counters.map(({ answered }) => answered);
    await until(
      "all to go on",
      () => counters.every(({ answered }, i) => answered > before[i] + 50),
      60_000,
    );
  };
  await goOnCounting();
  // A proxy, and another in its place.
  await sites[0].proxy.stop("SIGKILL");
  sites[0] = await startSite(setting);
  for (const one of counters.slice(0, 2)) one.go(sites[0].port);
  await goOnCounting();
  assert.is((await statusOf(sites[0])).phase, "move");
  assert.is((await migrate(sites, "resume")).status, 0);
  // Each kind of server: of both rings, of the new one.
  for (const i of [0, 2, 1]) {
    await servers[i].stop("SIGKILL");
    servers[i] = await startLasting(servers[i].port, servers[i].dir);
    await goOnCounting();
  }
  await untilDone(sites);
  await goOnCounting();
  for (const one of counters) await one.stop();
  for (const one of counters) await one.check(sites[1].port);
  assert.equal(counters.flatMap(({ wrong }) => wrong), []);
  const reader = await Wire.open(sites[1].port);
  for (let i = 0; i < 600; i++) {
    assert.is(await reader.ask("GET", `fill:${i}`), bulk(`v${i}`), `fill:${i}`);
  }
  // A proxy that starts now knows that all is done, also when the arbiter alone has forgotten it.
  await (await Wire.open(servers[0].port)).ask("DEL", "ringmux:migrate:state");
  const late = await startSite(setting);
  await untilDone([late]);
});

once(
  "what is not safe is refused, what is wrong is told, and the configuration follows",
  async () => {
    const servers = await several(3, () => startRedis());
    const site = await startSite({
      old: rings(servers, 2),
      next: rings(servers, 3),
      bigKey: 100_000,
    });
    const wire = await Wire.open(site.port);
    const keys = Array.from({ length: 100 }, (_, i) => `${i}:key`);
    for (const key of keys) await wire.ask("SET", key, `v-${key}`);
    await wire.ask("SET", "big", "x".repeat(300_000));
    const said = async (...args: string[]): Promise<string> =>
      (await migrate([site], ...args)).said;
    const order = async (what: string): Promise<string> => {
      const url = `http://${site.admin}/migrate?pool=alpha&do=${what}`;
      return (await (await fetch(url, { method: "POST" })).json()).error;
    };
    assert.match(await said("plan"), "the servers can do it");
    assert.match(await order("abort"), "nothing has begun");
    // A proxy that cannot be asked may serve old keys: nothing begins.
    const dead = { ...site, admin: `127.0.0.1:${await freePort()}` };
    assert.match((await migrate([site, dead], "start")).said, `${dead.admin}: no answer`);
    const third = await Wire.open(servers[2].port);
    await third.ask("SET", "stray", "x");
    assert.match(await said("start"), "new servers have to be empty");
    await third.ask("FLUSHALL");
    assert.is((await statusOf(site)).phase, "prepare");

    await start([site], "--paused");
    for (const command of ["SWAPDB 0 1", "MOVE key1 2", "COPY key1 key2 DB 2"]) {
      assert.match(
        await wire.ask(...command.split(" ")),
        "is not possible while keys move",
        command,
      );
    }
    assert.match(await wire.ask("GET", "ringmux:migrate:holds"), "the proxy's own");
    for (const key of keys) assert.is(await wire.ask("GET", key), bulk(`v-${key}`));
    const moved = (await keysOf(servers[2])).filter((key) => key !== "big");
    assert.ok(moved.length > 10);
    // Somebody who knows nothing of it writes at an old server: kept apart, and told.
    const home = await Wire.open(servers[0].port);
    await home.ask("SET", moved[0], "by somebody else");
    const changed = fs.readFileSync(site.proxy.confPath, "utf8").replace(/:1 s1/, ":5 s1");
    fs.writeFileSync(site.proxy.confPath, changed);
    const reload = (): Promise<Response> =>
      fetch(`http://${site.admin}/reload`, { method: "POST" });
    assert.match(await (await reload()).text(), "its keys move to other servers");

    assert.is(await order("resume"), "");
    await untilDone([site]);
    const status = await statusOf(site);
    assert.is(status.errors, 0, JSON.stringify(status));
    // A key is asked for at its old server only, and nothing of the others' is touched.
    const belongs = (await home.ask("EXISTS", `ringmux:migrate:aside:${moved[0]}`)) === ":1\r\n";
    assert.is(status.aside, belongs ? 1 : 0, JSON.stringify(status));
    for (const key of keys) assert.is(await wire.ask("GET", key), bulk(`v-${key}`));
    assert.is((await wire.ask("GET", "big")).length, bulk("x".repeat(300_000)).length);
    assert.match(await said("status"), "done");
    assert.match(await order("abort"), "all keys have moved");
    const lines = await said("finish");
    assert.match(lines, `- ${at(servers[2], 1, "s2")}`);
    fs.writeFileSync(
      site.proxy.confPath,
      `alpha:\n  listen: 127.0.0.1:${site.port}\n  redis: true\n  servers:\n` +
        rings(servers, 3).servers.map((line) => `   - ${line}\n`).join(""),
    );
    assert.match(await (await reload()).text(), '"reloaded":true');
    for (const key of keys) assert.is(await wire.ask("GET", key), bulk(`v-${key}`));
    assert.is(await wire.ask("FLUSHALL"), "+OK\r\n");
  },
);

once(
  "all keys at once while they move: each is told of once, nothing else is, and flushed",
  async () => {
    const servers = await several(3, () => startRedis());
    const site = await startSite({ old: rings(servers, 2), next: rings(servers, 3), rate: 500 });
    const wire = await Wire.open(site.port);
    const keys = Array.from({ length: 2000 }, (_, i) => `key:${i}`);
    const fill = async (): Promise<void> => {
      for (const key of keys) wire.send(cmd("SET", key, "v"));
      await wire.replies(keys.length);
    };
    const all = async (pattern: string): Promise<string[]> =>
      [...(await wire.ask("KEYS", pattern)).matchAll(/\r\n([^$*\r\n][^\r\n]*)/g)]
        .map(([, key]) => key).sort();
    await fill();
    await wire.ask("SCRIPT", "LOAD", "return 1");
    const sha = /[0-9a-f]{40}/.exec(await wire.ask("SCRIPT", "LOAD", "return KEYS[1]"))?.[0] ?? "";
    await start([site]);
    let rounds = 0;
    while ((await statusOf(site)).phase !== "done") {
      assert.equal(await all("*"), [...keys].sort());
      assert.equal(await all("key:1?"), keys.slice(10, 20).sort());
      assert.is(await wire.ask("DBSIZE"), ":2000\r\n");
      assert.match(await wire.ask("RANDOMKEY"), /^\$\d+\r\nkey:\d+\r\n$/);
      // The script was loaded before, at the old servers.
      const key = keys[rounds % keys.length];
      assert.is(await wire.ask("EVALSHA", sha, 1, key), bulk(key));
      rounds++;
    }
    assert.ok(rounds > 2, `${rounds}`);
    assert.is(await wire.ask("DBSIZE"), ":2000\r\n");
    assert.equal(await all("*"), [...keys].sort());
    await nothingAside(site);
  },
);

once("keys are flushed while they move: none comes back", async () => {
  const servers = await several(3, () => startRedis());
  const site = await startSite({ old: rings(servers, 2), next: rings(servers, 3), rate: 2000 });
  const wire = await Wire.open(site.port);
  const fill = async (): Promise<void> => {
    for (let i = 0; i < 3000; i++) wire.send(cmd("SET", `key:${i}`, "v"));
    await wire.replies(3000);
  };
  await fill();
  await wire.ask("SELECT", 1);
  await wire.ask("SET", "other", "stays");
  await wire.ask("SELECT", 0);
  await start([site]);
  await until("keys to move", async () => (await statusOf(site)).keys > 50);
  assert.is(await wire.ask("FLUSHDB"), "+OK\r\n");
  assert.is(await wire.ask("DBSIZE"), ":0\r\n");
  assert.is(await wire.ask("KEYS", "*"), "*0\r\n");
  assert.is(await wire.ask("RANDOMKEY"), "$-1\r\n");
  await wire.ask("SELECT", 1);
  assert.is(await wire.ask("GET", "other"), bulk("stays"));
  assert.is(await wire.ask("SET", "more", 1), "+OK\r\n");
  assert.is(await wire.ask("FLUSHALL", "ASYNC"), "+OK\r\n");
  assert.is(await wire.ask("DBSIZE"), ":0\r\n");
  await untilDone([site]);
  assert.is(await wire.ask("DBSIZE"), ":0\r\n");
  for (const server of servers) assert.equal(await keysOf(server), []);
  await nothingAside(site);
});

once(
  "a start is taken back after keys have moved, by two proxies of which one is killed",
  async () => {
    const servers = await several(3, () => startRedis());
    const tagged = { hash_tag: '"{}"' };
    const setting = {
      old: { ...rings(servers, 2), ...tagged },
      next: { ...rings(servers, 3), ...tagged },
      rate: 300,
    };
    const sites = await Promise.all([startSite(setting), startSite(setting)]);
    const counters = sites.map(({ port }, i) => new Counters(port, `a${i}`));
    await underLoad(sites[0], async () => {
      for (const one of counters) one.begin();
      await start(sites);
      await until("keys to move", async () => (await statusOf(sites[0])).keys > 100);
      const { said, status } = await migrate(sites, "abort");
      assert.is(status, 0, said);
      assert.match(said, "keys move back");
      assert.match((await migrate(sites, "abort")).said, "it goes back already");
      await sites[1].proxy.stop("SIGKILL");
      sites[1] = await startSite(setting);
      counters[1].go(sites[1].port);
      for (const site of sites) {
        await until(
          "all to be back",
          async () => (await statusOf(site)).phase === "prepare",
          60_000,
        );
      }
    });
    for (const one of counters) {
      await one.stop();
    }
    for (const one of counters) await one.check(sites[1].port);
    assert.equal(counters.flatMap(({ wrong }) => wrong), []);
    assert.equal(await keysOf(servers[2]), []);
    await nothingAside(sites[0]);
    // And forward again.
    await start(sites);
    await untilDone(sites);
    for (const one of counters) await one.check(sites[0].port);
    assert.equal(counters.flatMap(({ wrong }) => wrong), []);
    assert.ok((await keysOf(servers[2])).length > 10);
  },
);

test.run();
