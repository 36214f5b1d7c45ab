// A tour of node-redis with its own default settings (RESP3) and with RESP2, over three servers;
// and of connect-redis with express-session, which stand on it.
// Needs: redis-server

import * as http from "node:http";
import { RedisStore } from "connect-redis";
import session from "express-session";
import { createClient, createClientPool, defineScript } from "redis";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { behindProxy, freePort, isNutcracker, ours, type ProxyProcess } from "./harness.ts";

let proxy: ProxyProcess;

test.before(async () => {
  if (isNutcracker) return;
  ({ proxy } = await behindProxy("redis", { hash_tag: '"{}"' }));
});

const CROSS = /^CROSSSLOT Keys in request don't hash to the same server/;

const scripts = {
  add: defineScript({
    NUMBER_OF_KEYS: 1,
    SCRIPT: "return redis.call('incrby', KEYS[1], ARGV[1])",
    parseCommand(parser, key: string, n: number) {
      parser.pushKey(key);
      parser.push(String(n));
    },
    transformReply: undefined as unknown as () => number,
  }),
};
const make = (RESP: 2 | 3 | undefined) =>
  createClient({
    url: `redis://127.0.0.1:${proxy.port}`,
    ...(RESP === undefined ? {} : { RESP }),
    scripts,
  });
type Client = ReturnType<typeof make>;

const names = (prefix: string, n: number): string[] =>
  Array.from({ length: n }, (_, i) => `${prefix}:${i}`);

async function failure(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
  } catch (error) {
    return (error as Error).message;
  }
  return assert.unreachable("there was no error") as never;
}

/** A key that lives on another server than this one. */
async function elsewhere(client: Client, key: string): Promise<string> {
  for (let i = 0;; i++) {
    const other = `{b${i}}`;
    const reply = await client.renameNX(key, other).then(() => "", (e: Error) => e.message);
    if (reply.startsWith("CROSSSLOT")) return other;
  }
}

for (const [title, RESP] of [["default settings", undefined], ["RESP2", 2]] as const) {
  const tour = (what: string, walk: (client: Client, other: Client) => Promise<void>) =>
    ours(`node-redis, ${title}: ${what}`, async () => {
      const clients = [make(RESP), make(RESP)];
      const errors: string[] = [];
      try {
        for (const client of clients) {
          client.on("error", (error: Error) => errors.push(String(error)));
          await client.connect();
        }
        await clients[0].flushAll();
        await walk(clients[0], clients[1]);
        assert.equal(errors, [], "errors of the connections");
      } finally {
        for (const client of clients) client.destroy();
      }
    });

  tour("values of all kinds, and many keys at once", async (client) => {
    const keys = names("key", 40);
    await client.mSet(Object.fromEntries(keys.map((key) => [key, `v ${key}`])));
    assert.equal(await client.mGet([...keys, "none"]), [...keys.map((key) => `v ${key}`), null]);
    assert.is(await client.exists([...keys, "none"]), 40);
    assert.is(await client.unlink(keys.slice(0, 10)), 10);
    assert.is(await client.del(keys), 30);
    await client.set("k", "v", { expiration: { type: "EX", value: 100 }, condition: "NX" });
    assert.ok(await client.ttl("k") > 80);
    assert.is(await client.incrByFloat("f", 1.5), "1.5");
    await client.hSet("h", { a: "1", b: "2" });
    assert.equal({ ...await client.hGetAll("h") }, { a: "1", b: "2" });
    await client.rPush("l", ["a", "b"]);
    assert.equal(await client.lRange("l", 0, -1), ["a", "b"]);
    await client.zAdd("z", [{ score: 1, value: "one" }, { score: 2.5, value: "two" }]);
    assert.is(await client.zScore("z", "two"), 2.5);
    assert.equal((await client.zRangeWithScores("z", 0, -1)).length, 2);
    await client.geoAdd("g", { longitude: 13.36, latitude: 38.11, member: "P" });
    assert.ok(Math.abs(Number((await client.geoPos("g", "P"))[0]?.longitude) - 13.36) < 0.001);
    await client.pfAdd("hll", ["a", "b"]);
    assert.is(await client.pfCount("hll"), 2);
    assert.match(await failure(client.lPush("h", "x")), /^WRONGTYPE/);
    assert.is(await client.dbSize(), 7);
    assert.match(await client.info("server"), /ringmux_version/);
    assert.match(JSON.stringify(await client.configGet("databases")), /"databases":"16"/);
  });

  tour("multi on one hash tag; over several servers it is aborted", async (client) => {
    const replies = await client.multi().set("{t}a", "1").incr("{t}a").get("{t}a").exec();
    assert.equal(replies, ["OK", 2, "2"]);
    const broken = client.multi();
    for (const key of names("apart", 20)) broken.set(key, "1");
    assert.match(await failure(broken.exec()), /EXECABORT|CROSSSLOT|errored/);
    assert.is(await client.exists(names("apart", 20)), 0);
    const piped = client.multi();
    for (const key of names("apart", 20)) piped.set(key, "1");
    assert.equal(await piped.execAsPipeline(), Array(20).fill("OK"));
  });

  tour("watch: a change by somebody else makes exec fail", async (client, other) => {
    await client.watch(["{w}a", "{w}b"]);
    await other.set("{w}b", "changed");
    assert.match(await failure(client.multi().set("{w}a", "1").exec()), /watch/i);
    await client.watch("{w}a");
    assert.equal(await client.multi().set("{w}a", "1").exec(), ["OK"]);
  });

  tour("scripts by their hash, on every server", async (client) => {
    const sums = await Promise.all(names("sum", 30).map((key, i) => client.add(key, i)));
    assert.equal(sums, sums.map((_, i) => i));
    const sha = await client.scriptLoad("return ARGV[1]");
    for (const key of names("where", 12)) {
      assert.is(await client.evalSha(sha, { keys: [key], arguments: [key] }), key);
    }
    assert.equal(await client.scriptExists([sha]), [1]);
  });

  tour("scanIterator finds all keys", async (client) => {
    const keys = names("scan", 400);
    await Promise.all(keys.map((key) => client.set(key, "1")));
    const found = new Set<string>();
    for await (const some of client.scanIterator({ MATCH: "scan:*", COUNT: 50 })) {
      for (const key of some) found.add(key);
    }
    assert.equal([...found].sort(), [...keys].sort());
    await client.hSet("hash", { a: "1" });
    for await (const some of client.hScanIterator("hash")) {
      assert.equal(some.map((one) => ({ ...one })), [{ field: "a", value: "1" }]);
    }
  });

  tour("streams with a group of consumers, and readers that wait", async (client, other) => {
    const id = await client.xAdd("st", "*", { f: "v" });
    await client.xGroupCreate("st", "g", "0");
    const got = await client.xReadGroup("g", "c", { key: "st", id: ">" }, { COUNT: 1 });
    assert.match(JSON.stringify(got), id);
    assert.is(await client.xAck("st", "g", id), 1);
    const waiting = client.xRead({ key: "st", id }, { BLOCK: 5000 });
    await other.xAdd("st", "*", { f: "new" });
    assert.match(JSON.stringify(await waiting), /"new"/);
    assert.is(await client.xRead({ key: "st", id: "$" }, { BLOCK: 20 }), null);
  });

  tour("blocking commands wait, and nobody else does", async (client, other) => {
    const popped = client.blPop(["{q}a", "{q}b"], 5);
    await other.rPush("{q}b", "job");
    assert.equal({ ...await popped }, { key: "{q}b", element: "job" });
    assert.is(await client.blPop("{q}a", 0.05), null);
    const [one, two] = ["{a}1", await elsewhere(client, "{a}1")];
    assert.match(await failure(client.blPop([one, two], 1)), CROSS);
  });

  tour("another database, a name, and what is refused", async (client) => {
    await client.set("k", "zero");
    await client.select(2);
    assert.is(await client.get("k"), null);
    await client.select(0);
    assert.is(await client.get("k"), "zero");
    await client.clientSetName("me");
    assert.is(await client.clientGetName(), "me");
    assert.match(String(await client.clientId()), /^\d+$/);
    const [one, two] = ["{a}1", await elsewhere(client, "{a}1")];
    assert.match(await failure(client.sInter([one, two])), CROSS);
    assert.match(await failure(client.mSetNX({ [one]: "1", [two]: "2" })), CROSS);
    assert.match(await failure(client.configSet("maxmemory", "0")), /'config set' is not/);
    assert.is(await client.ping(), "PONG");
  });
}

ours("node-redis: a pool of clients, blocked ones beside busy ones", async () => {
  const pool = createClientPool({ url: `redis://127.0.0.1:${proxy.port}` }, {
    minimum: 2,
    maximum: 6,
  });
  const errors: string[] = [];
  pool.on("error", (error: Error) => errors.push(String(error)));
  await pool.connect();
  try {
    const blocked = pool.execute((client) => client.blPop("{p}list", 5));
    const keys = names("pool", 100);
    await Promise.all(keys.map((key) => pool.set(key, key)));
    assert.equal(await Promise.all(keys.map((key) => pool.get(key))), keys);
    const exec = await pool.execute(async (client) => {
      await client.watch("{p}n");
      return await client.multi().incr("{p}n").exec();
    });
    assert.equal(exec, [1]);
    await pool.rPush("{p}list", "x");
    assert.is((await blocked)?.element, "x");
    assert.equal(errors, []);
  } finally {
    pool.destroy();
  }
});

ours("connect-redis: every method of the session store", async () => {
  const client = createClient({ url: `redis://127.0.0.1:${proxy.port}` });
  await client.connect();
  await client.flushAll();
  try {
    const store = new RedisStore({ client });
    const data = (n: number) => ({ cookie: { originalMaxAge: 60_000 }, n }) as never;
    for (let i = 0; i < 60; i++) await store.set(`id${i}`, data(i));
    await client.set("something else", "stays");
    assert.equal(await store.get("id7"), data(7));
    assert.is(await store.get("none"), null);
    assert.is(await store.length(), 60);
    const ids = names("id", 60).map((id) => id.replace(":", "")).sort();
    assert.equal((await store.ids()).sort(), ids);
    const all = await store.all() as { id: string; n: number }[];
    assert.is(all.length, 60);
    for (const { id, n } of all) assert.is(id, `id${n}`);
    const soon = { cookie: { originalMaxAge: 60_000, expires: new Date(Date.now() + 5000) } };
    await store.touch("id1", soon as never);
    assert.ok(await client.ttl("sess:id1") <= 5);
    await store.destroy("id1");
    assert.is(await store.get("id1"), null);
    await store.clear();
    assert.is(await store.length(), 0);
    assert.is(await client.get("something else"), "stays");
  } finally {
    client.destroy();
  }
});

ours("express-session keeps a visitor's count over requests", async () => {
  const client = createClient({ url: `redis://127.0.0.1:${proxy.port}` });
  await client.connect();
  const middleware = session({
    store: new RedisStore({ client, prefix: "web:" }),
    secret: "not a secret",
    resave: false,
    saveUninitialized: false,
  });
  // deno-lint-ignore no-explicit-any
  const server = http.createServer((req: any, res: any) =>
    middleware(req, res, () => {
      req.session.views = (req.session.views ?? 0) + 1;
      res.end(String(req.session.views));
    })
  );
  const port = await freePort();
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  try {
    let cookie = "";
    const visit = async (): Promise<string> => {
      const response = await fetch(`http://127.0.0.1:${port}/`, { headers: { cookie } });
      cookie = response.headers.get("set-cookie")?.split(";")[0] ?? cookie;
      return await response.text();
    };
    for (let i = 1; i <= 5; i++) assert.is(await visit(), String(i));
    cookie = "";
    assert.is(await visit(), "1");
    assert.is((await client.keys("web:*")).length, 2);
  } finally {
    server.closeAllConnections();
    server.close();
    client.destroy();
  }
});

test.run();
