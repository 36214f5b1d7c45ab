// What people and tools ask of a whole Redis: SCAN over all servers, INFO's sums, redis-cli's
// modes, redis-benchmark without complaints, and commands switched off or renamed.
// Needs: redis-server redis-cli redis-benchmark

import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  array,
  at,
  bulk,
  cmd,
  isNutcracker,
  ours,
  type ProxyProcess,
  run,
  type ServerProcess,
  several,
  startProxy,
  startRedis,
  until,
  which,
  Wire,
} from "./harness.ts";

let servers: ServerProcess[];
let proxy: ProxyProcess;
let wire: Wire;

test.before(async () => {
  if (isNutcracker) return;
  servers = await several(3, startRedis);
  const pool = { redis: true, servers: servers.map((server, i) => at(server, 1, `server${i}`)) };
  proxy = await startProxy({
    pool: { hash_tag: '"{}"', ...pool },
    policed: {
      ...pool,
      commands: "{deny: [keys, config get], rename: {wipe: flushall, fetch: get}}",
    },
    allowed: { ...pool, commands: "{allow: [get, set, info]}" },
    database: { ...pool, redis_db: 5 },
    ejecting: {
      ...pool,
      servers: [...pool.servers, "127.0.0.1:1:1 gone"],
      auto_eject_hosts: true,
      server_failure_limit: 1,
      server_retry_timeout: 600_000,
    },
  });
});

test.before.each(async () => {
  if (isNutcracker) return;
  wire = await Wire.open(proxy.port);
  assert.is(await wire.ask("FLUSHALL"), "+OK\r\n");
});

test.after.each(() => wire?.close());

const port = (pool: string): number => proxy.ports[pool];

async function withWire<T>(to: number, use: (wire: Wire) => Promise<T>): Promise<T> {
  const other = await Wire.open(to);
  try {
    return await use(other);
  } finally {
    other.close();
  }
}

/** Sets keys through the proxy, in bursts. */
async function fill(names: string[], to = wire): Promise<void> {
  for (let i = 0; i < names.length; i += 1000) {
    const some = names.slice(i, i + 1000);
    to.send(some.map((name) => cmd("SET", name, "v")).join(""));
    for (const reply of await to.replies(some.length)) assert.is(reply, "+OK\r\n");
  }
}

/** One page of SCAN. */
function page(reply: string): { cursor: string; keys: string[] } {
  const match = /^\*2\r\n\$\d+\r\n(\d+)\r\n\*(\d+)\r\n/.exec(reply);
  assert.ok(match, reply.slice(0, 200));
  const keys = [...reply.slice(match[0].length).matchAll(/\$\d+\r\n(.*)\r\n/g)].map((m) => m[1]);
  assert.is(keys.length, Number(match[2]));
  return { cursor: match[1], keys };
}

async function scanAll(from: Wire, ...options: (string | number)[]): Promise<string[]> {
  const found: string[] = [];
  let cursor = "0";
  do {
    const { cursor: next, keys } = page(await from.ask("SCAN", cursor, ...options));
    found.push(...keys);
    cursor = next;
  } while (cursor !== "0");
  return found;
}

ours("SCAN finds every key that is there throughout, and none that never was", async () => {
  const steady = Array.from({ length: 5000 }, (_, i) => `steady:${i}`);
  await fill(steady);
  for (const server of servers) {
    assert.not.match(await withWire(server.port, (own) => own.ask("DBSIZE")), /^:0\r/);
  }
  let going = true;
  // Tables of the servers grow and shrink while the scan goes on.
  const churn = withWire(proxy.port, async (other) => {
    for (let round = 0; going; round++) {
      const names = Array.from({ length: 3000 }, (_, i) => `passing:${round}:${i}`);
      await fill(names, other);
      assert.is(await other.ask("DEL", ...names), `:${names.length}\r\n`);
    }
  });
  try {
    for (const count of [10, 100, 1000]) {
      const found = new Set(await scanAll(wire, "COUNT", count));
      assert.equal(steady.filter((name) => !found.has(name)), [], `COUNT ${count}`);
      const strange = [...found].filter((name) => !/^(steady:\d+|passing:\d+:\d+)$/.test(name));
      assert.equal(strange, []);
    }
  } finally {
    going = false;
    await churn;
  }
});

ours("SCAN goes on from its cursor on another connection, with MATCH and TYPE", async () => {
  const names = Array.from({ length: 300 }, (_, i) => `key${i}`);
  await fill(names);
  await wire.ask("LPUSH", "list1", "x");
  const first = page(await wire.ask("SCAN", 0, "COUNT", 20));
  assert.is.not(first.cursor, "0");
  const rest = await withWire(proxy.port, async (other) => {
    const found: string[] = [];
    for (let cursor = first.cursor; cursor !== "0";) {
      const next = page(await other.ask("SCAN", cursor, "COUNT", 20));
      found.push(...next.keys);
      cursor = next.cursor;
    }
    return found;
  });
  assert.equal([...new Set([...first.keys, ...rest])].sort(), [...names, "list1"].sort());
  assert.equal((await scanAll(wire, "MATCH", "key1?")).sort(), names.slice(10, 20));
  assert.equal(await scanAll(wire, "TYPE", "list"), ["list1"]);
  assert.is(await wire.ask("SCAN", "x"), "-ERR invalid cursor\r\n");
  assert.is(await wire.ask("SCAN", 0, "COUNT", 0), "-ERR syntax error\r\n");
});

ours("SCAN and INFO pass over an ejected server", async () => {
  await withWire(port("ejecting"), async (other) => {
    // Any error comes from the server that is not there, and ejects it.
    await until("the missing server to be ejected", async () => {
      const replies: string[] = [];
      for (let i = 0; i < 20; i++) replies.push(await other.ask("SET", `probe${i}`, "v"));
      return replies.every((reply) => reply === "+OK\r\n");
    });
    await other.ask("FLUSHALL");
    const names = Array.from({ length: 200 }, (_, i) => `key${i}`);
    await fill(names, other);
    assert.equal([...new Set(await scanAll(other))].sort(), [...names].sort());
    const info = await other.ask("INFO");
    assert.match(info, /\r\ngone:ejected\r\n/);
    assert.match(info, /\r\ndb0:keys=200,/);
  });
});

ours("RANDOMKEY, DBSIZE, KEYS, LASTSAVE and scripts see all servers", async () => {
  assert.is(await wire.ask("RANDOMKEY"), "$-1\r\n");
  await wire.ask("SET", "only", "1");
  for (let i = 0; i < 10; i++) assert.is(await wire.ask("RANDOMKEY"), bulk("only"));
  await fill(Array.from({ length: 100 }, (_, i) => `k${i}`));
  assert.is(await wire.ask("DBSIZE"), ":101\r\n");
  assert.match(await wire.ask("KEYS", "*"), /^\*101\r\n/);
  assert.match(await wire.ask("LASTSAVE"), /^:\d{10}\r\n$/);
  const sha = /\r\n(\w{40})\r\n/.exec(await wire.ask("SCRIPT", "LOAD", "return KEYS[1]"))![1];
  for (const key of ["a", "b", "c", "d", "e"]) {
    assert.is(await wire.ask("EVALSHA", sha, 1, key), bulk(key));
  }
  assert.is(await wire.ask("SCRIPT", "EXISTS", sha, "0".repeat(40)), "*2\r\n:1\r\n:0\r\n");
  assert.is(await wire.ask("SCRIPT", "FLUSH", "SYNC"), "+OK\r\n");
  assert.is(await wire.ask("SCRIPT", "EXISTS", sha), "*1\r\n:0\r\n");
  assert.match(await wire.ask("SCRIPT", "KILL"), /^-NOTBUSY/);
  assert.is(await wire.ask("EVAL", "return 7", 0), ":7\r\n");
  const library =
    "#!lua name=lib\nredis.register_function('one', function(keys) return keys[1] or 'none' end)";
  assert.is(await wire.ask("FUNCTION", "LOAD", library), bulk("lib"));
  for (const key of ["a", "b", "c", "d"]) {
    assert.is(await wire.ask("FCALL", "one", 1, key), bulk(key));
  }
  assert.is(await wire.ask("FCALL", "one", 0), bulk("none"));
  assert.match(await wire.ask("FUNCTION", "LIST"), /library_name/);
  assert.is(await wire.ask("FUNCTION", "DELETE", "lib"), "+OK\r\n");
  assert.is(await wire.ask("FLUSHDB", "ASYNC"), "+OK\r\n");
  assert.is(await wire.ask("DBSIZE"), ":0\r\n");
});

ours("INFO adds up the servers' figures", async () => {
  await fill(Array.from({ length: 100 }, (_, i) => `k${i}`));
  assert.is(await wire.ask("CONFIG", "RESETSTAT"), "+OK\r\n");
  await wire.ask("MGET", ...Array.from({ length: 120 }, (_, i) => `k${i}`));
  const info = await wire.ask("INFO");
  assert.match(info, /\r\ndb0:keys=100,expires=0,avg_ttl=0\r\n/);
  assert.match(info, /\r\nkeyspace_hits:100\r\n/);
  assert.match(info, /\r\nkeyspace_misses:20\r\n/);
  assert.match(info, /\r\nringmux_version:/);
  const used = Number(/\r\nused_memory:(\d+)/.exec(info)![1]);
  assert.ok(used > 3 * 500_000, String(used));
  assert.is((info.match(/# Memory/g) ?? []).length, 1);
  assert.match(await wire.ask("INFO", "keyspace"), /^\$\d+\r\n# Keyspace\r\ndb0:keys=100,/);
  assert.is(await wire.ask("INFO", "nothing"), bulk(""));
  await wire.ask("HELLO", "3");
  assert.match(await wire.ask("INFO", "keyspace"), /^=\d+\r\ntxt:# Keyspace\r\ndb0:keys=100,/);
});

ours("what asks about a server has a sensible answer", async () => {
  assert.is(await wire.ask("CONFIG", "GET", "databases"), array("databases", "16"));
  assert.match(await wire.ask("CONFIG", "SET", "maxmemory", "0"), /^-ERR 'config set' is not/);
  const off = "-ERR This instance has cluster support disabled\r\n";
  for (const sub of ["INFO", "NODES", "SLOTS", "MYID"]) {
    assert.is(await wire.ask("CLUSTER", sub), off);
  }
  assert.is(await wire.ask("ACL", "WHOAMI"), bulk("default"));
  assert.is(await wire.ask("SLOWLOG", "RESET"), "+OK\r\n");
  assert.is(await wire.ask("SLOWLOG", "LEN"), ":0\r\n");
  assert.is(await wire.ask("LATENCY", "RESET"), ":0\r\n");
  assert.is(await wire.ask("LATENCY", "LATEST"), "*0\r\n");
  assert.is(await wire.ask("MODULE", "LIST"), "*0\r\n");
  assert.is(await wire.ask("MEMORY", "PURGE"), "+OK\r\n");
  await wire.ask("SET", "k", "v");
  assert.match(await wire.ask("MEMORY", "USAGE", "k"), /^:\d+\r\n$/);
  assert.is(await wire.ask("OBJECT", "REFCOUNT", "k"), ":1\r\n");
  assert.match(await wire.ask("DEBUG", "SLEEP", "0"), /^-ERR 'debug' is not supported/);
});

ours("MOVE and COPY reach another database of the same server", async () => {
  await wire.ask("SET", "k", "v");
  assert.is(await wire.ask("MOVE", "k", 3), ":1\r\n");
  assert.is(await wire.ask("GET", "k"), "$-1\r\n");
  assert.is(await wire.ask("MOVE", "k", 99), "-ERR DB index is out of range\r\n");
  assert.is(await wire.ask("SELECT", 3), "+OK\r\n");
  assert.is(await wire.ask("GET", "k"), bulk("v"));
  assert.is(await wire.ask("COPY", "k", "k", "DB", 0), ":1\r\n");
  assert.is(await wire.ask("SELECT", 0), "+OK\r\n");
  assert.is(await wire.ask("GET", "k"), bulk("v"));
  // To clients of a pool with redis_db its database is 0.
  await withWire(port("database"), async (other) => {
    await other.ask("SELECT", 3);
    assert.is(await other.ask("MOVE", "k", 0), ":1\r\n");
    await other.ask("SELECT", 0);
    assert.is(await other.ask("GET", "k"), bulk("v"));
    assert.is(await other.ask("SELECT", 5), "+OK\r\n");
    assert.is(await other.ask("GET", "k"), bulk("v"));
  });
});

ours("keys on two servers are told, and the tag that would bring them together", async () => {
  const names = Array.from({ length: 50 }, (_, i) => `${i * 7919}:name`);
  const replies: string[] = [];
  for (const name of names) replies.push(await wire.ask("RENAME", "0:name", name));
  const cross = replies.find((reply) => reply.startsWith("-CROSSSLOT"))!;
  const [, one, other] = /'(0:name)' is on server server\d, '(\d+:name)' is on server/.exec(cross)!;
  const [, first, second] = /together: '([^']+)', '([^']+)'\r\n$/.exec(cross)!;
  assert.equal([first, second], [`{x}${one}`, `{x}${other}`]);
  await wire.ask("SET", first, "v");
  assert.is(await wire.ask("RENAME", first, second), "+OK\r\n");
});

ours("commands are switched off, allowed and renamed by the configuration", async () => {
  await withWire(port("policed"), async (other) => {
    assert.match(await other.ask("KEYS", "*"), /^-ERR command 'keys' is switched off by this/);
    assert.match(await other.ask("CONFIG", "GET", "save"), /^-ERR command 'config get' is/);
    assert.match(await other.ask("GET", "a"), /^-ERR unknown command 'GET'/);
    assert.is(await other.ask("SET", "a", "1"), "+OK\r\n");
    assert.is(await other.ask("FETCH", "a"), bulk("1"));
    const large = "x".repeat(300_000);
    assert.is(await other.ask("SET", "large", large), "+OK\r\n");
    assert.is(await other.ask("FETCH", "large"), bulk(large));
    assert.match(await other.ask("FLUSHALL"), /^-ERR unknown command 'FLUSHALL'/);
    assert.is(await other.ask("WIPE"), "+OK\r\n");
    assert.is(await other.ask("DBSIZE"), ":0\r\n");
  });
  await withWire(port("allowed"), async (other) => {
    assert.is(await other.ask("SET", "a", "1"), "+OK\r\n");
    assert.is(await other.ask("GET", "a"), bulk("1"));
    assert.match(await other.ask("DEL", "a"), /^-ERR command 'del' is .*\(commands\.allow\)\r\n$/);
    assert.match(await other.ask("HELLO", "3"), /^%7\r\n/);
  });
});

ours("commands that only the servers know are found and go where their keys are", async () => {
  // What a module would add: the servers have commands under names that are not Redis's.
  const args = [
    "--rename-command",
    "GETRANGE",
    "mod.get",
    "--rename-command",
    "MSETNX",
    "mod.many",
  ];
  const moduled = await several(2, () => startRedis({ args }));
  const own = await startProxy({
    pool: { redis: true, hash_tag: '"{}"', servers: moduled.map((server) => at(server)) },
  });
  await withWire(own.port, async (other) => {
    const names = Array.from({ length: 40 }, (_, i) => `${i * 7919}:name`);
    await fill(names, other);
    other.send(names.map((name) => cmd("MOD.GET", name, 0, -1)).join(""));
    for (const reply of await other.replies(names.length)) assert.is(reply, bulk("v"));
    assert.is(await other.ask("mod.many", "{t}a", 1, "{t}b", 2), ":1\r\n");
    const scattered = names.flatMap((name) => [`${name}:new`, "v"]);
    assert.match(await other.ask("mod.many", ...scattered), /^-CROSSSLOT .*'mod.many' cannot/);
    assert.match(await other.ask("mod.get", "a"), /^-ERR wrong number of arguments/);
    assert.match(await other.ask("mod.nope", "a"), /^-ERR unknown command 'mod.nope'/);
    await other.ask("HELLO", "3");
    assert.is(await other.ask("mod.get", "{t}a", 0, -1), bulk("1"));
  });
  await withWire(own.port, async (other) => {
    await other.ask("HELLO", "3");
    assert.match(await other.ask("mod.other", "a"), /^-ERR unknown command 'mod.other'/);
  });
  await own.stop();
});

if (which("redis-cli") !== "") {
  const cli = (...args: string[]) => run("redis-cli", ["-p", String(proxy.port), ...args]);

  ours("redis-cli --scan, --bigkeys, --memkeys and --pipe work over all servers", async () => {
    const names = Array.from({ length: 500 }, (_, i) => `key${i}`);
    const input = names.map((name) => cmd("SET", name, "v")).join("");
    const piped = await run("redis-cli", ["-p", String(proxy.port), "--pipe"], input);
    assert.match(piped.stdout, /errors: 0, replies: 500/, piped.stderr);
    await wire.ask("RPUSH", "biglist", ..."abcdefgh");
    const scanned = (await cli("--scan", "--pattern", "key*")).stdout.trim().split("\n");
    assert.equal([...new Set(scanned)].sort(), [...names].sort());
    const big = await cli("--bigkeys");
    assert.match(big.stdout, /Sampled 501 keys in the keyspace/, big.stdout + big.stderr);
    assert.match(big.stdout, /Biggest +list found '"biglist"' has 8 items/);
    const memory = await cli("--memkeys");
    assert.match(memory.stdout, /Sampled 501 keys/, memory.stdout + memory.stderr);
  });

  ours("redis-cli --stat shows the keys and the memory of all servers", async () => {
    await fill(Array.from({ length: 50 }, (_, i) => `k${i}`));
    // It never ends by itself, and keeps its lines back unless told not to.
    const shown = await run("timeout", [
      ...["1", "stdbuf", "-oL", "redis-cli", "-p", String(proxy.port), "--stat", "-i", "0.1"],
    ]);
    assert.match(shown.stdout, /^50 +\d+\.\d+M +\d+ +0 +\d+/m, shown.stdout + shown.stderr);
  });
}

if (which("redis-benchmark") !== "") {
  ours("redis-benchmark has nothing to complain of", async () => {
    const args = ["-p", String(proxy.port), "-n", "500", "-c", "5", "-t", "get,set,mset,lpush"];
    const { code, stdout, stderr } = await run("redis-benchmark", args);
    assert.is(code, 0);
    assert.not.match(stdout + stderr, /warn|error/i);
  });
}

test.run();
