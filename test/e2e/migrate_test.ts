// Keys that move to another ring while clients use them: real servers, clients that know each value
// that they may see. What cannot differ by runtime (which servers, which commands) is tried on one.

import * as fs from "node:fs";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { Counters } from "./migrate_load.ts";
import {
  keysOf,
  migrate,
  nothingAside,
  rings,
  start,
  startSite,
  statusOf,
  underLoad,
  untilDone,
} from "./migrate_site.ts";
import {
  at,
  bulk,
  cmd,
  freePort,
  ours,
  runtime,
  type ServerProcess,
  serves,
  several,
  startRedis,
  tempPath,
  until,
  Wire,
} from "./harness.ts";

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
    assert.match(await order("abort"), "nothing has begun");
    const planned = await said("plan");
    assert.match(planned, "the servers can do it");
    assert.match(planned, "s2: 0.0 % of the keys, then");
    // Few enough to be counted: it is to come out exactly so.
    const plan = JSON.parse(await said("plan", "--json"));
    const gains = plan.servers.find(({ server }: { server: string }) => server === "s2").gains;
    const moving = gains - plan.bigs.length;
    // A proxy that cannot be asked may serve old keys: nothing begins.
    const dead = { ...site, admin: `127.0.0.1:${await freePort()}` };
    assert.match((await migrate([site, dead], "start")).said, `${dead.admin}: no answer`);
    const third = await Wire.open(servers[2].port);
    await third.ask("SET", "stray", "x");
    assert.match(await said("start"), "new servers have to be empty");
    await third.ask("FLUSHALL");
    assert.is((await statusOf(site)).phase, "prepare");

    // In the barrier only what moves waits.
    assert.is(await order("start"), "");
    const clients = await several(keys.length, () => Wire.open(site.port));
    for (const [i, one] of clients.entries()) one.send(cmd("EXISTS", keys[i]));
    const answered = (): number => clients.filter((one) => one.peek().length > 0).length;
    await until("those to be answered whose keys stay", () => answered() >= keys.length - moving);
    assert.is((await statusOf(site)).waiting, moving);
    assert.is(answered(), keys.length - moving);
    assert.is(await order("abort"), "");
    for (const one of clients) assert.is(await one.reply(), ":1\r\n");
    for (const one of clients) one.close();
    // What the migration has noted is nobody's business.
    assert.is(await wire.ask("DBSIZE"), `:${keys.length + 1}\r\n`);
    assert.not.match(await wire.ask("KEYS", "*"), "ringmux");

    await start([site], "--paused");
    for (const command of ["MOVE key1 2", "COPY key1 key2 DB 2"]) {
      assert.match(
        await wire.ask(...command.split(" ")),
        "is not possible while keys move",
        command,
      );
    }
    assert.match(await wire.ask("GET", "ringmux:migrate:holds"), "the proxy's own");
    const metrics = await (await fetch(`http://${site.admin}/metrics`)).text();
    assert.match(metrics, 'ringmux_pool_migration_info{pool="alpha",phase="move",to="beta2"} 1');
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

    // How fast they go may change.
    const repaced = changed.replace(/:5 s1/, ":1 s1").replace(
      /rate: \d+, latency: \d+/,
      "rate: 5000, latency: 0",
    );
    fs.writeFileSync(site.proxy.confPath, repaced);
    assert.match(await (await reload()).text(), '"reloaded":true');
    assert.is((await statusOf(site)).phase, "move");
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

test.run();
