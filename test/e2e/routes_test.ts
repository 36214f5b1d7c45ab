// Pools with routes over real servers: prefixes, multi-key commands over them, commands without a
// key, transactions, publish and subscribe.
// Needs: redis-server memcached

import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  array,
  at,
  bulk,
  command,
  freePort,
  isNutcracker,
  ours,
  type ProxyProcess,
  run,
  type ServerProcess,
  several,
  startMemcached,
  startProxy,
  startRedis,
  Wire,
} from "./harness.ts";

let redis: ServerProcess[];
let memcached: ServerProcess[];
let proxy: ProxyProcess;
let wire: Wire;
let admin = "";

test.before(async () => {
  if (isNutcracker) return;
  redis = await several(3, startRedis);
  redis.push(await startRedis({ args: ["--requirepass", "secret"] }));
  memcached = await several(2, startMemcached);
  const routes = "{default: main, prefixes: {'a:': alpha, 'ab:': beta, 'l:': locked}}";
  admin = `127.0.0.1:${await freePort()}`;
  proxy = await startProxy({
    front: { redis: true, routes },
    strict: { redis: true, routes: "{prefixes: {'a:': alpha, 'ab:': beta}}" },
    mc: { routes: "{prefixes: {'a:': mc_alpha, 'ab:': mc_beta}}" },
    main: { redis: true, servers: [at(redis[0], 1, "r0")] },
    alpha: { redis: true, servers: [at(redis[1], 1, "r1")] },
    beta: { redis: true, servers: [at(redis[2], 1, "r2")] },
    locked: { redis: true, redis_auth: "secret", servers: [at(redis[3], 1, "r3")] },
    mc_alpha: { servers: [at(memcached[0], 1, "m0")] },
    mc_beta: { servers: [at(memcached[1], 1, "m1")] },
    tree: {
      redis: true,
      routes:
        "{default: {read: {failover: [main, alpha]}, write: {all: [main, alpha], wait: majority}}}",
    },
  }, { admin });
});

test.before.each(async () => {
  if (!isNutcracker) wire = await Wire.open(proxy.ports.front);
});
test.after.each(() => wire?.close());

async function direct(server: ServerProcess, ...words: string[]): Promise<string> {
  const own = await Wire.open(server.port);
  if (server === redis[3]) await own.ask("AUTH", "secret");
  const reply = await own.ask(...words);
  own.close();
  return reply;
}

ours("the longest prefix has the key, and each pool its own password", async () => {
  for (const key of ["x", "a:1", "ab:1", "l:1", "a", ""]) await wire.ask("SET", key, "v");
  assert.is(await direct(redis[0], "DBSIZE"), ":3\r\n");
  assert.is(await direct(redis[1], "EXISTS", "a:1"), ":1\r\n");
  assert.is(await direct(redis[2], "EXISTS", "ab:1"), ":1\r\n");
  assert.is(await direct(redis[3], "EXISTS", "l:1"), ":1\r\n");
});

ours("commands of several keys are split over the pools", async () => {
  assert.is(await wire.ask("MSET", "x", "1", "a:1", "2", "ab:1", "3", "l:1", "4"), "+OK\r\n");
  const keys = ["l:1", "x", "nothing", "ab:1", "a:1"];
  assert.is(await wire.ask("MGET", ...keys), array("4", "1", null, "3", "2"));
  assert.is(await wire.ask("DEL", ...keys), ":4\r\n");
});

ours("a key without a route gets an error that says so, and its neighbours theirs", async () => {
  const strict = await Wire.open(proxy.ports.strict);
  assert.is(await strict.ask("GET", "x"), "-ERR no route for this key\r\n");
  assert.is(await strict.ask("SET", "a:1", "v"), "+OK\r\n");
  assert.is(await strict.ask("MGET", "a:1", "x"), "-ERR no route for this key\r\n");
  assert.is(await strict.ask("GET", "a:1"), bulk("v"));
  assert.is(await strict.ask("BLPOP", "x", "1"), "-ERR no route for this key\r\n");
  strict.close();
  const mc = await Wire.open(proxy.ports.mc);
  const none = "SERVER_ERROR no route for this key\r\n";
  assert.is(await mc.send("get x\r\n").read(none.length), none);
  assert.is(await mc.send("mg x v\r\n").read(none.length), none);
  const stored = "STORED\r\nSTORED\r\n";
  assert.is(
    await mc.send("set a:1 0 0 1\r\n1\r\nset ab:1 0 0 1\r\n2\r\n").read(stored.length),
    stored,
  );
  const both = "VALUE a:1 0 1\r\n1\r\nVALUE ab:1 0 1\r\n2\r\nEND\r\n";
  assert.is(await mc.send("get a:1 ab:1\r\n").read(both.length), both);
  mc.close();
});

ours("commands without a key go to the servers of all pools", async () => {
  await wire.ask("FLUSHALL");
  await wire.ask("MSET", "x", "1", "a:1", "2", "ab:1", "3", "l:1", "4");
  assert.is(await wire.ask("DBSIZE"), ":4\r\n");
  let cursor = "0";
  const seen: string[] = [];
  do {
    const reply = await wire.ask("SCAN", cursor);
    cursor = /\r\n(\d+)\r\n/.exec(reply)![1];
    seen.push(...[...reply.matchAll(/\r\n(x|[al]b?:1)\r\n/g)].map((m) => m[1]));
  } while (cursor !== "0");
  assert.equal(seen.sort(), ["a:1", "ab:1", "l:1", "x"]);
  assert.is(await wire.ask("FLUSHALL"), "+OK\r\n");
  assert.is(await direct(redis[3], "DBSIZE"), ":0\r\n");
  assert.is(await wire.ask("PING"), "+PONG\r\n");
});

ours("transactions and blocking commands are the pool's of their keys", async () => {
  assert.is(await wire.ask("WATCH", "a:1"), "+OK\r\n");
  assert.is(await wire.ask("MULTI"), "+OK\r\n");
  assert.is(await wire.ask("SET", "a:1", "v"), "+QUEUED\r\n");
  assert.is(await wire.ask("EXEC"), "*1\r\n+OK\r\n");
  assert.is(await wire.ask("RPUSH", "l:list", "e"), ":1\r\n");
  assert.is(await wire.ask("BLPOP", "l:list", "1"), array("l:list", "e"));
  assert.match(
    await wire.ask("RENAME", "a:1", "ab:1"),
    /^-CROSSSLOT .*'a:1' is on server r1, 'ab:1' is on server r2/,
  );
});

ours("a client of its own database and RESP version has them in every pool", async () => {
  assert.is(await wire.ask("SELECT", "3"), "+OK\r\n");
  for (const key of ["x", "a:1", "l:1"]) await wire.ask("SET", key, "in 3");
  await wire.ask("HELLO", "3");
  assert.is(await wire.ask("GET", "l:nothing"), "_\r\n");
  assert.is(await wire.ask("MGET", "x", "a:1", "l:1"), array("in 3", "in 3", "in 3"));
  const own = await Wire.open(redis[3].port);
  await own.ask("AUTH", "secret");
  await own.ask("SELECT", "3");
  assert.is(await own.ask("GET", "l:1"), bulk("in 3"));
  own.close();
  await wire.ask("FLUSHALL");
});

ours("channels are heard where their names lead, patterns everywhere", async () => {
  await wire.ask("SUBSCRIBE", "l:news");
  await wire.ask("PSUBSCRIBE", "*");
  const other = await Wire.open(proxy.ports.front);
  assert.is(await other.ask("PUBLISH", "l:news", "hello"), ":2\r\n");
  const messages = array("message", "l:news", "hello") + array("pmessage", "*", "l:news", "hello");
  assert.equal(
    [await wire.reply(), await wire.reply()].sort(),
    [messages.slice(0, messages.indexOf("*4")), messages.slice(messages.indexOf("*4"))].sort(),
  );
  other.close();
});

ours("ringmux route tells the way of a key", async () => {
  const [program, first] = command();
  const route = async (...words: string[]) => {
    const { code, stdout, stderr } = await run(program, [
      ...first,
      "route",
      ...words,
      "--admin",
      admin,
    ]);
    return `${code} ${stdout}${stderr}`;
  };
  assert.is(
    await route("ab:1", "get", "--pool", "front"),
    '0 pool "front", get:\n  prefix ab:\n    pool beta\n      server r2\n',
  );
  assert.is(
    await route("x", "set", "--pool", "tree"),
    '0 pool "tree", set:\n  default\n    all, wait: majority\n' +
      "      pool main\n        server r0\n      pool alpha\n        server r1\n",
  );
  assert.match(
    await route("x", "--pool", "tree"),
    /tree", read:[^]*tree", write:[^]*tree", delete:/,
  );
  assert.is(await route("x", "--pool", "main"), '0 pool "main": r0\n');
  assert.match(
    await route("x", "gett", "--pool", "tree"),
    /^1 ringmux: route: command "gett" is not known/,
  );
  assert.match(await route(), /^1 ringmux: route: it takes a key, and perhaps a command/);
});

test.run();
