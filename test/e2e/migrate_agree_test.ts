// Proxies that do not agree: one dies in the barrier, one never answers, one does not know where it is.
// What cannot differ by runtime: tried on one.

import * as net from "node:net";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { Counters } from "./migrate_load.ts";
import {
  migrate,
  rings,
  type Site,
  start,
  startSite,
  statusOf,
  untilDone,
} from "./migrate_site.ts";
import { at, bulk, cmd, freePort, runtime, several, startRedis, until, Wire } from "./harness.ts";

const once = runtime === "node" ? test : test.skip;

async function order({ admin }: Site, what: string): Promise<string> {
  const url = `http://${admin}/migrate?pool=alpha&do=${what}`;
  return (await (await fetch(url, { method: "POST" })).json()).error;
}

async function untilPhase(site: Site, phase: string): Promise<void> {
  await until(phase, async () => (await statusOf(site)).phase === phase, 20_000);
}

/** A proxy that cannot ask all servers does not know whether keys have moved. */
async function unknown(): Promise<void> {
  const [server] = await several(1, () => startRedis());
  const dead = at(await freePort(), 1, "dead");
  const site = await startSite({
    old: { servers: [at(server, 1, "s0"), dead] },
    next: { servers: [at(server, 5, "s0"), dead] },
  });
  const wire = await Wire.open(site.port);
  const keys = Array.from({ length: 50 }, (_, i) => `key${i}`);
  wire.send(cmd("MGET", ...keys));
  await until("an answer", () => wire.peek().length > 0, 30_000);
  assert.is(await wire.reply(), "-TRYAGAIN migration state unknown\r\n");
  assert.match((await statusOf(site)).why, 'server "dead"');
  assert.match((await migrate([site], "start")).said, "the phase is unknown");
}

/** The one that has begun a start dies: the others do not wait for ever, and lose nothing. */
async function killedInBarrier(): Promise<void> {
  const servers = await several(3, () => startRedis());
  const setting = { old: rings(servers, 2), next: rings(servers, 3) };
  const sites = await Promise.all([startSite(setting), startSite(setting)]);
  // In prepare there is nothing to know.
  await sites[0].proxy.stop("SIGKILL");
  sites[0] = await startSite(setting);
  await untilPhase(sites[0], "prepare");
  const counters = new Counters(sites[1].port, "k");
  counters.begin();
  await until("the counters to begin", () => counters.answered > 50);
  assert.is(await order(sites[0], "start"), "");
  await untilPhase(sites[1], "barrier");
  await sites[0].proxy.stop("SIGKILL");
  assert.match(await order(sites[1], "pause"), "the phase is barrier");
  await untilPhase(sites[1], "prepare");
  const before = counters.answered;
  await until("the counters to go on", () => counters.answered > before + 50);
  assert.match((await migrate(sites, "start")).said, "no answer");
  sites[0] = await startSite(setting);
  await untilPhase(sites[0], "prepare");
  await start(sites);
  await untilDone(sites);
  await counters.stop();
  await counters.check(sites[0].port);
  assert.equal(counters.wrong, []);
}

/** The one that has announced a barrier dies before it comes: the others forget it. */
async function killedBeforeBarrier(): Promise<void> {
  const servers = await several(3, () => startRedis());
  const setting = { old: rings(servers, 2), next: rings(servers, 3) };
  const sites = await Promise.all([startSite(setting), startSite(setting)]);
  for (const site of sites) await untilPhase(site, "prepare");
  const arbiter = await Wire.open(servers[0].port);
  const isSoon = async (): Promise<boolean> =>
    (await arbiter.ask("GET", "ringmux:migrate:state")).includes(" soon");
  const ordered = order(sites[0], "start").catch(() => "");
  await until("the announcement", isSoon);
  // Nobody waits for anything yet.
  const wire = await Wire.open(sites[1].port);
  for (let i = 0; i < 50; i++) assert.is(await wire.ask("SET", `key${i}`, i), "+OK\r\n");
  await sites[0].proxy.stop("SIGKILL");
  await ordered;
  await until("it to be forgotten", async () => !await isSoon(), 30_000);
  sites[0] = await startSite(setting);
  for (const site of sites) await untilPhase(site, "prepare");
  // Taken back by word: the one that has announced it hears of that.
  const again = order(sites[0], "start");
  await until("the order to be taken back", async () => await order(sites[1], "abort") === "");
  assert.match(await again, /^(it was taken back meanwhile)?$/);
  await untilPhase(sites[1], "prepare");
  await start(sites);
  await untilDone(sites);
  for (let i = 0; i < 50; i++) assert.is(await wire.ask("GET", `key${i}`), bulk(String(i)));
}

/** A peer that takes connections and says nothing: nothing begins. */
async function silentPeer(): Promise<void> {
  const servers = await several(3, () => startRedis());
  const site = await startSite({ old: rings(servers, 2), next: rings(servers, 3) });
  const sockets = new Set<net.Socket>();
  const peer = net.createServer((socket) => void sockets.add(socket));
  await new Promise<void>((resolve) => peer.listen(0, "127.0.0.1", resolve));
  const { port } = peer.address() as net.AddressInfo;
  const { said, status } = await migrate([site, { ...site, admin: `127.0.0.1:${port}` }], "start");
  assert.is(status, 1);
  assert.match(said, `127.0.0.1:${port}: no answer`);
  assert.is((await statusOf(site)).phase, "prepare");
  for (const socket of sockets) socket.destroy();
  peer.close();
}

once("who dies, is silent, or does not know: nothing is lost, and all is told", async () => {
  await Promise.all([unknown(), killedInBarrier(), killedBeforeBarrier(), silentPeer()]);
});

test.run();
