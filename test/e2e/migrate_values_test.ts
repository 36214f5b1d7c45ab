// What arrives is what was there: encodings, streams with their groups, times of keys and of fields, how often
// and how long ago a key was used; and modules that are missing are told of before. What cannot differ by
// runtime: tried on one.

import * as fs from "node:fs";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { migrate, start, startSite, untilDone } from "./migrate_site.ts";
import { at, run, runtime, type ServerProcess, startRedis, tempPath, Wire } from "./harness.ts";

const once = runtime === "node" ? test : test.skip;

const withPolicy = (policy: string): Promise<ServerProcess> =>
  startRedis({ args: ["--maxmemory-policy", policy, "--maxmemory", "100mb"] });

/** All keys leave one server for another; `fill` makes them, `facts` are what is to be the same. */
async function moveAll(
  policy: string,
  fill: (wire: Wire) => Promise<void>,
  facts: readonly string[],
): Promise<void> {
  const [old, next] = await Promise.all([withPolicy(policy), withPolicy(policy)]);
  const site = await startSite({
    old: { servers: [at(old, 1, "old")] },
    next: { servers: [at(next, 1, "next")] },
  });
  const [from, to] = [await Wire.open(old.port), await Wire.open(next.port)];
  await fill(from);
  const ask = async (wire: Wire): Promise<string[]> => {
    const all: string[] = [];
    for (const fact of facts) all.push(`${fact}: ${await wire.ask(...fact.split(" "))}`);
    return all;
  };
  const before = await ask(from);
  await start([site]);
  await untilDone([site]);
  assert.equal(await ask(to), before);
}

/** Each encoding that there is, small and large. */
async function fillTypes(wire: Wire): Promise<void> {
  const many = (n: number, of: (i: number) => (string | number)[]): (string | number)[] =>
    Array.from({ length: n }, (_, i) => of(i)).flat();
  const later = Date.now() + 500_000;
  await wire.ask("SET", "int", 12345);
  await wire.ask("SET", "embstr", "short", "PXAT", later + 1);
  await wire.ask("SET", "raw", "long".repeat(100));
  await wire.ask("RPUSH", "list", ...many(5, (i) => [i]));
  await wire.ask("RPUSH", "quicklist", ...many(3000, (i) => [`element ${i}`]));
  await wire.ask("SADD", "intset", 1, 2, 3);
  await wire.ask("SADD", "set", ...many(1000, (i) => [`m${i}`]));
  await wire.ask("HSET", "hash", "f", "v", "g", "w");
  await wire.ask("HSET", "hashtable", ...many(1000, (i) => [`f${i}`, i]));
  await wire.ask("PEXPIREAT", "hashtable", later + 2);
  await wire.ask("ZADD", "zset", 1.5, "a", 2, "b");
  await wire.ask("ZADD", "skiplist", ...many(500, (i) => [i, `m${i}`]));
  await wire.ask("PFADD", "hll", ...many(100, (i) => [i]));
  for (let i = 1; i <= 50; i++) await wire.ask("XADD", "stream", `${i}-1`, "field", i);
  await wire.ask("XGROUP", "CREATE", "stream", "g", "0");
  await wire.ask("XREADGROUP", "GROUP", "g", "alice", "COUNT", 10, "STREAMS", "stream", ">");
  await wire.ask("XREADGROUP", "GROUP", "g", "bob", "COUNT", 5, "STREAMS", "stream", ">");
  await wire.ask("XACK", "stream", "g", "3-1", "4-1");
  await wire.ask("XDEL", "stream", "50-1");
}

const TYPES = [
  ...["int", "embstr", "raw", "list", "quicklist", "intset", "set", "hash", "hashtable"],
  ...["zset", "skiplist", "hll", "stream"],
];

once("values, encodings, streams with groups, LFU and idle times arrive as they were", async () => {
  const facts = [
    ...TYPES.flatMap((key) => [`OBJECT ENCODING ${key}`, `PEXPIRETIME ${key}`]),
    ...["GET int", "GET raw", "LRANGE quicklist 0 -1", "SCARD set", "HGETALL hash"],
    ...["HGET hashtable f77", "ZRANGE skiplist 0 -1 WITHSCORES", "PFCOUNT hll"],
    ...["XRANGE stream - +", "XPENDING stream g", "XINFO GROUPS stream"],
  ];
  await Promise.all([
    moveAll("noeviction", fillTypes, facts),
    moveAll("allkeys-lfu", async (wire) => {
      await wire.ask("SET", "often", "x");
      for (let i = 0; i < 300; i++) await wire.ask("GET", "often");
      await wire.ask("SET", "rarely", "x");
    }, ["OBJECT FREQ often", "OBJECT FREQ rarely"]),
    moveAll("allkeys-lru", async (wire) => {
      // A value that nobody has used for long: 10,000 s are 10,000 s a moment later.
      await wire.ask("EVAL", IDLE, 1, "idle");
    }, ["EVAL_RO " + IDLE_TOLD + " 1 idle"]),
    fieldTimes(),
  ]);
});

const IDLE =
  "redis.call('SET',KEYS[1],'x') local d=redis.call('DUMP',KEYS[1]) redis.call('RESTORE',KEYS[1],0,d,'REPLACE','IDLETIME',100000)";
/** Without blanks; in thousands of seconds. */
const IDLE_TOLD = "return(math.floor(redis.call('OBJECT','IDLETIME',KEYS[1])/1000))";

/** Hashes whose fields have times of their own (Redis 7.4); nothing where the server has none. */
async function fieldTimes(): Promise<void> {
  const server = await startRedis();
  const wire = await Wire.open(server.port);
  await wire.ask("HSET", "h", "f", 1);
  const can = !(await wire.ask("HPEXPIRE", "h", 500_000, "FIELDS", 1, "f")).startsWith("-");
  wire.close();
  await server.stop();
  if (!can) return;
  await moveAll("noeviction", async (one) => {
    await one.ask("HSET", "h", "f", 1, "g", 2, "stays", 3);
    await one.ask("HPEXPIREAT", "h", Date.now() + 400_000, "FIELDS", 1, "f");
    await one.ask("HPEXPIREAT", "h", Date.now() + 500_000, "FIELDS", 1, "g");
  }, ["HPEXPIRETIME h FIELDS 3 f g stays", "HGETALL h"]);
}

/** A module that does nothing but be there. */
const MODULE = `int RedisModule_OnLoad(void *ctx) {
  int (*get)(const char *, void *) = (int (*)(const char *, void *)) ((void **) ctx)[0];
  void (*attribs)(void *, const char *, int, int);
  get("RedisModule_SetModuleAttribs", &attribs);
  attribs(ctx, "toytypes", 1, 1);
  return 0;
}`;

once("a module that a new server has not is told of before anything begins", async () => {
  const source = tempPath("toy.c");
  const library = tempPath("toy.so");
  fs.writeFileSync(source, MODULE);
  const made = await run("cc", ["-shared", "-fPIC", "-o", library, source]).catch(() => null);
  if (made === null || made.code !== 0) return; // no compiler
  const args = ["--loadmodule", library];
  const servers = await Promise.all([startRedis({ args }), startRedis(), startRedis({ args })]);
  const ring = (i: number, name: string) => ({ servers: [at(servers[i], 1, name)] });
  const sites = await Promise.all([
    startSite({ old: ring(0, "a"), next: ring(1, "b") }),
    startSite({ old: ring(0, "a"), next: ring(2, "c") }),
  ]);
  const [without, having] = await Promise.all(sites.map((site) => migrate([site], "plan")));
  assert.is(without.status, 1);
  assert.match(without.said, 'server "b" has not the module toytypes of "a"');
  assert.is(having.status, 0, having.said);
});

test.run();
