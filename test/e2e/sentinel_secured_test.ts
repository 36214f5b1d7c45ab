// Sentinels and servers that want users and passwords, and call the servers by names; and what
// `-t --ask-servers` says of them. Core does it; sockets differ by runtime, and have tests of their own.
// Needs: redis-server
// Runtimes: node

import * as fs from "node:fs";
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  bulk,
  command,
  freePort,
  run,
  type SentinelSet,
  startProxy,
  startSentinels,
  tempPath,
  toYaml,
  until,
  Wire,
} from "./harness.ts";

const [NAME] = ["shard1"];
let set: SentinelSet;

async function begin(): Promise<void> {
  set = await startSentinels({
    ...{ shards: [NAME], sentinels: 2, host: "localhost" },
    ...{ password: "of-sentinels", serverPassword: "of-servers" },
    lines: [
      "sentinel resolve-hostnames yes",
      "sentinel announce-hostnames yes",
      "user watcher on >watching ~* &* -@all +auth +ping +info +subscribe +sentinel",
    ],
    serverArgs: [
      ...["--replica-announce-ip", "localhost"],
      ...["--user", "proxy", "on", ">proxying", "~*", "&*", "+@all", "-@dangerous", "+role"],
    ],
  });
}

test.before(() =>
  begin().catch((error) => {
    console.log(error); // uvu keeps it to itself
    throw error;
  })
);

function poolOf(changes: Record<string, unknown> = {}) {
  return {
    redis: true,
    ...{ redis_user: "proxy", redis_auth: "proxying" },
    sentinel: "{user: watcher, auth: watching}",
    sentinels: [`127.0.0.1:${set.ports[0]}:1`, `127.0.0.1:${set.ports[1]}:1`],
    // A replica's: a guess that is wrong.
    servers: [`localhost:${set.shards[0].servers[1].port}:1 ${NAME}`],
    ...changes,
  };
}

/** `ringmux -t --ask-servers`. */
async function check(changes: Record<string, unknown> = {}) {
  const [program, first] = command();
  const file = tempPath("conf.yml");
  fs.writeFileSync(file, toYaml({ pool: { listen: "127.0.0.1:1", ...poolOf(changes) } }));
  return await run(program, [...first, "-t", "--ask-servers", "-c", file]);
}

test("--ask-servers tells the primaries, and what is wrong", async () => {
  const primary = await set.primary(NAME);
  const nobody = await freePort();
  const [good, unknown, silent, none] = await Promise.all([
    check(),
    check({ servers: [`localhost:${primary}:1 shard7`] }),
    check({ sentinels: [`127.0.0.1:${set.ports[0]}:1`, `127.0.0.1:${nobody}:1`] }),
    check({ sentinels: [`127.0.0.1:${nobody}:1`] }),
  ]);
  assert.is(good.code, 0, good.stderr);
  const all =
    `1 of 1 servers have a primary, as 2 Sentinels say: "${NAME}" by localhost:${primary}`;
  assert.match(good.stderr, `pool "pool": ${all}`);
  assert.is(unknown.code, 1, unknown.stderr);
  assert.match(unknown.stderr, /pool "pool": server "shard7": Sentinel 127.*No such master/);
  assert.match(unknown.stderr, /0 of 1 servers have a primary, as 2 Sentinels say\n/);
  assert.is(silent.code, 1, silent.stderr);
  assert.match(
    silent.stderr,
    new RegExp(`Sentinel 127.0.0.1:${nobody} does not answer: .*refused`),
  );
  assert.match(silent.stderr, /1 of 1 servers have a primary, as 2 Sentinels say/);
  assert.is(none.code, 1, none.stderr);
  assert.match(none.stderr, /no Sentinel tells who the primaries are/);
});

test("a wrong password, of the Sentinels or the servers, is told as such", async () => {
  const [sentinels, servers] = await Promise.all([
    check({ sentinel: "{user: watcher, auth: wrong}" }),
    check({ redis_auth: "wrong" }),
  ]);
  assert.is(sentinels.code, 1, sentinels.stderr);
  assert.match(sentinels.stderr, /Sentinel 127[^ ]* does not answer: .*WRONGPASS/);
  assert.is(servers.code, 1, servers.stderr);
  assert.match(servers.stderr, /server "shard1" has no primary: localhost:\d+: .*WRONGPASS/);
});

test("a wrong password of the Sentinels is one line of the log for each", async () => {
  const sentinels = [`127.0.0.1:${set.ports[0]}:1`];
  const proxy = await startProxy({
    pool: { ...poolOf({ sentinels, sentinel: "{user: watcher, auth: wrong}" }), wait: 1000 },
  });
  const told = () => proxy.output().split("\n").filter((line) => line.includes("WRONGPASS"));
  await until("it to be told", () => told().length > 0);
  // The guess is a replica, so nobody is asked anything but the Sentinel, four times a second.
  const wire = await Wire.open(proxy.port);
  await wire.ask("AUTH", "proxying");
  assert.match(await wire.ask("GET", "key"), /no primary for "shard1" within 1000 ms/);
  assert.is(told().length, 1, told().join("\n"));
  assert.match(told()[0], `pool "pool": Sentinel 127.0.0.1:${set.ports[0]}: `);
  wire.close();
  await proxy.stop();
});

test("a wrong password of the servers is one line of the log for each", async () => {
  const proxy = await startProxy({ pool: { ...poolOf({ redis_auth: "wrong" }), wait: 1000 } });
  const wire = await Wire.open(proxy.port);
  await wire.ask("AUTH", "wrong");
  assert.match(await wire.ask("GET", "key"), /no primary for "shard1" within 1000 ms/);
  const told = proxy.output().split("\n").filter((line) => line.includes("WRONGPASS"));
  const places = told.map((line) => /: (\S+) is not the primary of "shard1": /.exec(line)?.[1]);
  assert.ok(places.length > 0 && new Set(places).size === places.length, proxy.output());
  wire.close();
  await proxy.stop();
});

test("users at both, servers by names: found, and followed over a failover", async () => {
  const proxy = await startProxy({ pool: { ...poolOf(), wait: 15_000 } });
  const wire = await Wire.open(proxy.port);
  assert.is(await wire.ask("AUTH", "proxying"), "+OK\r\n");
  assert.is(await wire.ask("SET", "key", "before"), "+OK\r\n");
  const before = await set.primary(NAME);
  assert.match(proxy.output(), `the primary of "${NAME}" is localhost:${before}`);
  await set.failover(NAME);
  assert.is(await wire.ask("SET", "key", "after"), "+OK\r\n");
  const after = await set.primary(NAME);
  assert.is(await set.say(after, "GET", "key"), bulk("after"));
  await until("the failover to be told", () => proxy.output().includes("has taken over"));
  assert.match(proxy.output(), `failover: localhost:${after} has taken over shard "${NAME}"`);
  wire.close();
  await proxy.stop();
});

test.run();
