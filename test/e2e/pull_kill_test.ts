// Proxies, workers and servers of memcached that are killed before keys move, in the barrier and in the
// drain (amid the pull: pull_test.ts), while clients use them that know each value that they may see.
// Needs: memcached
// Runtimes: node

import process from "node:process";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { at, exchange, type ServerProcess, several, startMemcached, until } from "./harness.ts";
import type { Knowing } from "./pull_load.ts";
import {
  agree,
  allAre,
  allThere,
  clients,
  fill,
  goOn,
  order,
  rings,
  type Setting,
  type Site,
  startSite,
  untilPhase,
} from "./pull_site.ts";

/** How long (ms) a process may take to start on a machine that has much to do. */
const LONG = 60_000;

/** Servers, proxies before them, and clients of those. */
class Scene {
  readonly servers: ServerProcess[];
  readonly setting: Setting;
  readonly sites: Site[];
  readonly all: Knowing[];

  private constructor(servers: ServerProcess[], setting: Setting, sites: Site[]) {
    this.servers = servers;
    this.setting = setting;
    this.sites = sites;
    this.all = clients(sites, 3);
    for (const one of this.all) one.pause = 20;
  }

  static async start({ weight = 1, workers = 2 } = {}): Promise<Scene> {
    const servers = await several(3, () => startMemcached());
    const [old, next] = [rings(servers, 2), rings(servers, 3)];
    next.servers[1] = at(servers[1], weight, "s1");
    const setting = { old, next };
    const sites = [await startSite(setting), await startSite({ ...setting, workers })];
    const scene = new Scene(servers, setting, sites);
    await untilPhase(sites, "prepare");
    for (const one of scene.all) one.begin();
    await goOn(scene.all, 20);
    return scene;
  }

  /** Clients may be told errors while `what` happens; `doubts`: servers lose what they have. */
  async during(doubts: boolean, what: () => Promise<void>): Promise<void> {
    const { all } = this;
    for (const one of all) one.lenient = true;
    for (const one of all) one.doubts = doubts;
    await what();
    await goOn(all, 5);
    for (const one of all) one.lenient = one.doubts = false;
    assert.equal(all.flatMap(({ wrong }) => wrong).slice(0, 5), []);
  }

  async killProxy(i: number): Promise<void> {
    await this.sites[i].proxy.stop("SIGKILL");
    this.sites[i] = await startSite(this.setting);
  }

  async killWorker(i: number): Promise<void> {
    const { proxy } = this.sites[i];
    const pids = (): string[] =>
      [...proxy.output().matchAll(/(?:2 workers: pids|started again, pid) (\d+)/g)].map(([, pid]) =>
        pid
      );
    const pid = (await until("workers", () => pids().at(-1), LONG)) as string;
    process.kill(Number(pid), "SIGKILL");
    await until("it to be missed", () => proxy.output().includes(`(pid ${pid}) ended`), LONG);
    await until("another one", () => pids().at(-1) !== pid, LONG);
    await until(
      "it to tell",
      () => allAre([this.sites[i]], (status) => status !== undefined),
      LONG,
    );
  }

  /** `dead`: what happens while it is gone. */
  async killServer(i: number, dead: () => Promise<void> = async () => {}): Promise<void> {
    const { servers } = this;
    await servers[i].stop("SIGKILL");
    await dead();
    servers[i] = await startMemcached({ port: servers[i].port });
  }

  async begin(): Promise<void> {
    assert.is(await order(this.sites[0], "start"), "");
    await untilPhase(this.sites, "barrier");
  }

  /** It goes back, by an order or (where all of that takes long) by itself. */
  async abort(): Promise<void> {
    await order(this.sites[0], "abort");
    await untilPhase(this.sites, "prepare");
  }

  /** It comes to its end, and clients have seen nothing wrong. */
  async ends(): Promise<void> {
    const { all, sites } = this;
    await untilPhase(sites, "done");
    await goOn(all, 30);
    for (const one of all) await one.stop();
    assert.equal(all.flatMap(({ wrong }) => wrong).slice(0, 5), []);
  }
}

/** In `prepare` nothing has begun: who is dead stops the start, and nothing else. */
async function inPrepare(scene: Scene): Promise<void> {
  const { sites } = scene;
  await scene.during(false, async () => {
    await scene.killProxy(0);
    await scene.killWorker(1);
    await untilPhase(sites, "prepare");
  });
  for (const i of [0, 1, 2]) {
    await scene.during(true, () =>
      scene.killServer(i, async () => {
        // At first it may be told of another one, which has only just come back.
        await until(`s${i} to be missed`, async () => {
          const said = await order(sites[0], "start");
          assert.is.not(said, "");
          return said.includes(`server "s${i}" does not answer: Connection refused`);
        }, LONG);
        // One that starts then: nobody who is dead has any memory of keys on their way.
        if (i === 2) await scene.killProxy(0);
        await untilPhase(sites, "prepare");
      }));
  }
  // Amid what a start does first: keys are swept away that are left over where others are to come.
  let stale = "";
  for (let n = 0; n < 5000; n++) stale += `add ${n}:left 0 0 1\r\nx\r\n`;
  await exchange(scene.servers[1].port, `${stale}quit\r\n`);
  await scene.during(false, async () => {
    assert.is(await order(sites[0], "start"), "");
    await scene.killProxy(0);
    await scene.abort();
  });
}

/** In the barrier: whoever is killed comes back into it, and the others wait. */
async function inBarrier(scene: Scene): Promise<void> {
  const { sites } = scene;
  await scene.during(false, async () => {
    await scene.begin();
    await scene.killWorker(1);
    await scene.abort();
  });
  for (const i of [1, 2]) {
    await scene.during(true, async () => {
      await scene.begin();
      await scene.killServer(i);
      await scene.abort();
    });
  }
  // The one where the state is changed forgets it, and is told again.
  await scene.during(true, async () => {
    await scene.begin();
    await scene.killServer(0, async () => {
      assert.match(await order(sites[0], "commit"), /not parked yet|too early|Connection refused/);
    });
    const isAgain = () => allAre(sites, ({ phase }) => phase === "prepare");
    const isOn = () => allAre(sites, ({ parked }) => parked);
    await until("all to know", async () => await isOn() || await isAgain(), LONG);
    if (await isAgain()) await scene.begin();
    await agree(sites);
  });
}

/** In the drain nothing is left to be moved. */
async function inDrain(scene: Scene): Promise<void> {
  const { sites } = scene;
  const drains = ({ proxy }: Site): boolean => /migration to "beta2": drain/.test(proxy.output());
  await until("the drain", () => sites.some(drains), LONG);
  // Without the one where the state is changed it does not come to its end, and says so.
  await scene.during(true, async () => {
    await scene.killServer(0, async () => {
      await scene.killProxy(0);
      await scene.killWorker(1);
      await until(
        "it to be told",
        () => allAre(sites, ({ why }) => /server "s0": /.test(why)),
        LONG,
      );
      await untilPhase(sites, "drain");
    });
    for (const i of [1, 2]) await scene.killServer(i);
  });
}

/** Who has begun dies in the barrier: the others go back by themselves, and begin again. */
async function beginnerDies(scene: Scene): Promise<void> {
  const { sites } = scene;
  await fill(sites[0].port, 100);
  await scene.during(false, async () => {
    await scene.begin();
    await scene.killProxy(0);
    await untilPhase(sites, "prepare");
  });
  await allThere(sites[0].port, 100);
  await scene.begin();
  await agree(sites);
  await scene.ends();
  await allThere(sites[1].port, 100);
}

async function inEachPhase(scene: Scene): Promise<void> {
  await inPrepare(scene);
  await inBarrier(scene);
  await inDrain(scene);
  await scene.ends();
}

test("whoever is killed when: nothing stale is seen, and it comes to its end", async () => {
  const [one, two] = [await Scene.start({ workers: 1 }), await Scene.start({ weight: 3 })];
  // Most of it is waiting.
  await Promise.all([beginnerDies(one), inEachPhase(two)]);
});

test.run();
