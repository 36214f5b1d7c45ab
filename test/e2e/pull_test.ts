// Keys of memcached that move to another ring while clients use them: real servers, clients that know
// each value that they may see. What cannot differ by runtime (which servers, which commands, who is
// killed when) is tried on one.
// Needs: memcached

import * as fs from "node:fs";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { at, exchange, ours, runtime, several, startMemcached, until, Wire } from "./harness.ts";
import { HitRate } from "./hit_rate.ts";
import {
  allThere,
  clients,
  fill,
  goOn,
  keysOf,
  migrate,
  order,
  rings,
  type Site,
  start,
  startSite,
  statusOf,
  untilPhase,
} from "./pull_site.ts";

const RACED = 200;

/** What a pool's clients are told of the raced keys: the value of each, "" for none. */
async function raced(wire: Wire): Promise<string[]> {
  const values: string[] = [];
  for (let i = 0; i < RACED; i++) wire.send(`get ${i}:race\r\n`);
  for (let i = 0; i < RACED; i++) {
    const line = await wire.line();
    values.push(line === "END\r\n" ? "" : (await wire.line()).trimEnd());
    if (line !== "END\r\n") await wire.line();
  }
  return values;
}

/**
 * Keys that have not moved yet are read by one client while another one, at another proxy, deletes or
 * sets them: what was read is not to come back then. (mcrouter's warm-up routes let it, as their own
 * tests show: a fill that comes late brings what was deleted.) What each key has to be from then on.
 */
async function race(sites: Site[]): Promise<string[]> {
  const [reads, writes] = await Promise.all(sites.map(({ port }) => Wire.open(port)));
  const news = Array.from({ length: RACED }, (_, i) => i % 2 === 0 ? "" : `new${i}`);
  const said = raced(reads);
  for (const [i, value] of news.entries()) {
    const key = `${i}:race`;
    if (value === "") writes.send(`delete ${key}\r\n`);
    else writes.send(`set ${key} 0 0 ${value.length}\r\n${value}\r\n`);
  }
  for (const value of news) {
    assert.is(await writes.line(), value === "" ? "DELETED\r\n" : "STORED\r\n");
  }
  for (const [i, value] of (await said).entries()) {
    assert.ok([`old${i}`, news[i]].includes(value), `${i}:race was "${value}"`);
  }
  for (const wire of [reads, writes]) assert.equal(await raced(wire), news);
  for (const wire of [reads, writes]) wire.close();
  return news;
}

ours("two servers become three: no miss, nothing stale, through two proxies by turns", async () => {
  const servers = await several(3, () => startMemcached());
  const setting = { old: rings(servers, 2), next: rings(servers, 3), rate: 600 };
  const sites = await Promise.all([startSite(setting), startSite(setting)]);
  const ports = sites.map(({ port }) => port);
  await fill(ports[0], 500);
  const filler = await Wire.open(ports[0]);
  for (let i = 0; i < RACED; i++) {
    filler.send(`set ${i}:race 0 0 ${`old${i}`.length}\r\nold${i}\r\n`);
  }
  for (let i = 0; i < RACED; i++) assert.is(await filler.line(), "STORED\r\n");
  const all = clients(sites, 6);
  // A tenth of the keys is not there.
  const readers = new HitRate(ports, Array.from({ length: 550 }, (_, i) => `${i}:fill`));
  for (const one of [...all, readers]) one.begin();
  await goOn(all);
  await until("some rounds", () => readers.rounds.length >= 2 || readers.wrong !== "");
  const before = readers.rounds.length;
  await start(sites, "commit-paused");
  const news = await race(sites);
  assert.is(await order(sites[0], "resume"), "");
  await goOn(all);
  await untilPhase(sites, "done");
  await goOn(all);
  for (const one of [...all, readers]) await one.stop();
  assert.equal(all.flatMap(({ wrong }) => wrong).slice(0, 5), []);
  assert.is(readers.wrong, "");
  const rate = Math.min(...readers.rounds.slice(0, before));
  assert.is(rate, 500 / 550);
  const during = readers.rounds.slice(before);
  assert.ok(during.length > 1, `${during.length} rounds`);
  assert.ok(Math.min(...during) >= rate - 0.01, `${Math.min(...during)} hits, before ${rate}`);
  await allThere(ports[1], 500);
  for (const port of ports) assert.equal(await raced(await Wire.open(port)), news);
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
  /** `gets`: the number that `cas` wants. */
  const unique = async (key: string): Promise<string> => {
    const [, number] = / 5 (\d+)\r\n/.exec(await say(`gets ${key}`)) ?? [];
    await wire.readUntil("END\r\n");
    return number;
  };
  const uniques: string[] = [];
  for (let i = 0; i < 50; i++) uniques.push(await unique(`${i}:fill`));
  await say(`set big 0 0 300000\r\n${"x".repeat(300_000)}`);
  const plan = JSON.parse((await migrate([site], "plan", "--json")).said);
  assert.is(plan.wrong, "");
  // Few enough to be counted.
  const has = plan.servers.map((one: { keys: number }) => one.keys);
  assert.is(has[0] + has[1], 51, JSON.stringify(plan));
  assert.ok(plan.servers[2].gains > 5, JSON.stringify(plan));
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
  assert.is(await say("flush_all 10 noreply\r\nmn"), "MN\r\n");
  assert.match(await say("incr ringmux:migrate:lock 1"), "the proxy's own");
  // A number of the server that a key has left is not good any more: the client reads again.
  let moved = 0;
  for (const [i, number] of uniques.entries()) {
    const cas = (one: string): Promise<string> =>
      say(`cas ${i}:fill ${i} 0 5 ${one}\r\nv${1000 + i}`);
    if (i % 2 === 1) continue; // these have times that are looked at
    const said = await cas(number);
    if (said === "STORED\r\n") continue;
    assert.is(said, "EXISTS\r\n");
    assert.is(await cas(await unique(`${i}:fill`)), "STORED\r\n");
    moved++;
  }
  assert.ok(moved > 0 && moved < 25, `${moved} keys have moved`);
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
