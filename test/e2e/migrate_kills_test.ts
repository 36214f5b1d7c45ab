// In each phase of a migration each kind of process is killed (kill -9): a worker, a proxy, an old server, a
// new one. Clients count meanwhile: nothing is lost, doubled or brought back. By default all that are killed
// in a phase are killed at once; with RINGMUX_ROUNDS=2 one after the other. What cannot differ by runtime.

import * as fs from "node:fs";
import process from "node:process";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { Counters } from "./migrate_load.ts";
import { migrate, order, rings, type Site, start, startSite, untilDone } from "./migrate_site.ts";
import {
  bulk,
  cmd,
  runtime,
  type ServerProcess,
  serves,
  startRedis,
  tempPath,
  until,
  Wire,
} from "./harness.ts";

const once = runtime === "node" ? test : test.skip;
const oneByOne = Number(process.env.RINGMUX_ROUNDS ?? 1) > 1;

/** Servers that remember. */
async function startLasting(port?: number, dir = fs.mkdtempSync(tempPath("aof"))) {
  const args = ["--appendonly", "yes", "--appendfsync", "always", "--dir", dir];
  return Object.assign(await startRedis({ port, args }), { dir });
}

type Lasting = ServerProcess & { dir: string };

class Scene {
  servers: Lasting[] = [];
  sites: Site[] = [];
  counters: Counters[] = [];
  private readonly setting = (workers: number) => ({
    old: rings(this.servers, 2),
    next: rings(this.servers, 3),
    rate: 200,
    workers,
  });

  async open(): Promise<void> {
    this.servers = await Promise.all([startLasting(), startLasting(), startLasting()]);
    this.sites = await Promise.all([startSite(this.setting(2)), startSite(this.setting(1))]);
    for (const { port } of this.sites) await serves(port);
    this.counters = this.sites.map(({ port }, i) => new Counters(port, `k${i}`));
    for (const one of this.counters) one.begin();
  }

  private async killServer(i: number): Promise<void> {
    const { port, dir } = this.servers[i];
    await this.servers[i].stop("SIGKILL");
    this.servers[i] = await startLasting(port, dir);
  }

  private async killProxy(): Promise<void> {
    await this.sites[1].proxy.stop("SIGKILL");
    this.sites[1] = await startSite(this.setting(1));
    this.counters[1].go(this.sites[1].port);
  }

  /** The one that was started last: the proxy logs its number. */
  private async killWorker(): Promise<void> {
    const { proxy } = this.sites[0];
    const again = (): number[] =>
      [...proxy.output().matchAll(/worker \d started again, pid (\d+)/g)].map(([, pid]) => +pid);
    const first = /workers: pids \d+, (\d+)/.exec(proxy.output());
    const before = again();
    process.kill(before.at(-1) ?? Number(first?.[1]), "SIGKILL");
    await until("another worker", () => again().length > before.length, 30_000);
  }

  /** All of them, in whatever phase it is; then clients go on. `old`: which old server. */
  async killAll(phase: string, old: number): Promise<void> {
    const killed = [
      () => this.killWorker(),
      () => this.killProxy(),
      () => this.killServer(old),
      () => this.killServer(2),
    ];
    if (oneByOne) { for (const kill of killed) await kill(); }
    else await Promise.all(killed.map((kill) => kill()));
    await this.goOn(`after kills in ${phase}`);
  }

  async goOn(when: string): Promise<void> {
    const before = this.counters.map(({ answered }) => answered);
    const isOn = ({ answered }: Counters, i: number): boolean => answered > before[i] + 30;
    await until(`clients to go on ${when}`, () => this.counters.every(isOn), 60_000);
    assert.equal(this.counters.flatMap(({ wrong }) => wrong), [], when);
  }

  /** Of all processes that can be asked now. */
  async untilPhase(phase: string): Promise<void> {
    let told: string[] = [];
    await until(`${phase} everywhere`, async () => {
      told = (await Promise.all(this.sites.map(({ admin }) => processesOf(admin)))).flat();
      return told.every((one) => one.startsWith(phase));
    }, 60_000).catch((error) => {
      throw new Error(`${error}: ${told.join("; ")}`);
    });
  }

  async order(what: string): Promise<string> {
    return await order(this.sites[0], what);
  }

  /** Until nothing is in its way: a server may be still coming back. */
  async ordered(what: string): Promise<void> {
    let why = "";
    await until(`the order "${what}"`, async () => {
      why = await this.order(what).catch(String);
      return why === "";
    }, 30_000).catch((error) => {
      throw new Error(`${error}: ${why}`);
    });
  }

  async check(): Promise<void> {
    for (const one of this.counters) await one.stop();
    for (const one of this.counters) await one.check(this.sites[1].port);
    assert.equal(this.counters.flatMap(({ wrong }) => wrong), []);
  }
}

/** The phase of each process of a proxy, and why it is no other; "?" of one that does not run now. */
async function processesOf(admin: string): Promise<string[]> {
  const { processes } = await (await fetch(`http://${admin}/migrate`)).json();
  return processes.map((one: { phase: string; why: string }[] | null) =>
    one === null ? "?" : `${one[0]?.phase} ${one[0]?.why}`
  );
}

once("kill -9 of a worker, a proxy, an old and a new server in each phase", async () => {
  const scene = new Scene();
  await scene.open();
  const wire = await Wire.open(scene.sites[0].port);
  // Names that differ in front: others are all on one server.
  for (let i = 0; i < 300; i++) wire.send(cmd("SET", `${i}:fill`, `v${i}`));
  assert.equal(new Set(await wire.replies(300)), new Set(["+OK\r\n"]));
  wire.close();
  await scene.killAll("prepare", 0);

  await scene.untilPhase("prepare");
  await scene.ordered("start");
  await scene.untilPhase("barrier");
  await scene.killAll("barrier", 1);
  // It may have ended by itself, since nobody goes on with it.
  await scene.order("abort");
  await scene.untilPhase("prepare");

  await start(scene.sites, "--paused");
  await scene.killAll("move", 0);

  await scene.untilPhase("move");
  if (oneByOne) { // it takes long until that has ended by itself
    await scene.ordered("abort");
    await scene.untilPhase("retreat");
    await scene.killAll("retreat", 1);
    await scene.untilPhase("move"); // nor with that
  }

  const { said, status } = await migrate(scene.sites, "abort", "--paused");
  assert.is(status, 0, said);
  await scene.killAll("back", 0);
  // It is over already if clients have asked for all of them.
  await scene.order("resume");
  await scene.untilPhase("prepare");

  await start(scene.sites);
  await scene.killAll("move, amid copying", 1);
  await untilDone(scene.sites);
  await scene.killAll("done", 0);
  await scene.untilPhase("done");
  await scene.check();
  const reader = await Wire.open(scene.sites[1].port);
  for (let i = 0; i < 300; i++) {
    assert.is(await reader.ask("GET", `${i}:fill`), bulk(`v${i}`), `${i}:fill`);
  }
  reader.close();
});

test.run();
