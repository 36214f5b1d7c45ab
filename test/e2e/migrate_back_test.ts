// What concerns all keys at once while they move to another ring, and a start that is taken back. What
// cannot differ by runtime: tried on one.

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
import { bulk, cmd, runtime, several, startRedis, until, Wire } from "./harness.ts";

const once = runtime === "node" ? test : test.skip;

once(
  "all keys at once while they move: each is told of once, nothing else is, and flushed",
  async () => {
    const servers = await several(3, () => startRedis());
    const site = await startSite({ old: rings(servers, 2), next: rings(servers, 3) });
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
    await start([site], "--paused");
    const mover = await Wire.open(site.port);
    for (let round = 0; round < 8; round++) {
      // Keys are on their way all the time.
      const some = keys.slice(250 * round, 250 * round + 250);
      for (const key of some) mover.send(cmd("GET", key));
      assert.equal(await all("*"), [...keys].sort());
      assert.is(await wire.ask("DBSIZE"), ":2000\r\n");
      assert.equal(await all("key:1?"), keys.slice(10, 20).sort());
      assert.match(await wire.ask("RANDOMKEY"), /^\$\d+\r\nkey:\d+\r\n$/);
      // The script was loaded before, at the old servers.
      const key = keys[250 * round];
      assert.is(await wire.ask("EVALSHA", sha, 1, key), bulk(key));
      assert.is(new Set(await mover.replies(250)).size, 1);
    }
    assert.is((await migrate([site], "resume")).status, 0);
    await untilDone([site]);
    assert.equal(await all("*"), [...keys].sort());
    assert.is(await wire.ask("DBSIZE"), ":2000\r\n");
    for (let i = 0; i < 20; i++) assert.match(await wire.ask("RANDOMKEY"), /\r\nkey:\d+\r\n$/);
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
      await start(sites, "--paused");
      await until("keys to move", async () => (await statusOf(sites[0])).keys > 20);
      const { said, status } = await migrate(sites, "abort");
      assert.is(status, 0, said);
      assert.match(said, "keys move back");
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
