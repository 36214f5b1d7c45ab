// Redis through the proxy with the clients people use: redis-cli, ioredis, node-redis,
// redis-benchmark, and raw bytes where bytes matter. Three servers behind one pool.
// Needs: redis-server redis-cli redis-benchmark

import { Redis } from "ioredis";
import { createClient } from "redis";
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  array,
  at,
  bulk,
  cmd,
  exchange,
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
let direct: Wire;
let wire: Wire;

test.before(async () => {
  servers = await several(3, startRedis);
  proxy = await startProxy({
    pool: {
      hash: "fnv1a_64",
      distribution: "ketama",
      redis: true,
      servers: servers.map((server, i) => at(server, 1, `server${i}`)),
    },
  });
  direct = await Wire.open(servers[0].port);
});

test.before.each(async () => {
  for (const server of servers) {
    const clean = await Wire.open(server.port);
    assert.is(await clean.ask("FLUSHALL"), "+OK\r\n");
    clean.close();
  }
  wire = await Wire.open(proxy.port);
});

test.after.each(() => wire?.close());

/** Sends each command in one burst and compares the replies one by one. */
async function check(rows: [(string | number)[], string][]): Promise<void> {
  wire.send(rows.map(([command]) => cmd(...command)).join(""));
  const replies = await wire.replies(rows.length);
  rows.forEach(([command, expected], i) => {
    assert.is(replies[i], expected, command.join(" "));
  });
}

test("strings: set, get, counters, ranges", () =>
  check([
    [["SET", "a", "1"], "+OK\r\n"],
    [["GET", "a"], bulk("1")],
    [["get", "nothing"], "$-1\r\n"],
    [["INCR", "a"], ":2\r\n"],
    [["INCRBY", "a", 40], ":42\r\n"],
    [["DECR", "a"], ":41\r\n"],
    [["APPEND", "a", "0"], ":3\r\n"],
    [["STRLEN", "a"], ":3\r\n"],
    [["GETRANGE", "a", 0, 1], bulk("41")],
    [["SET", "a", "x", "NX"], "$-1\r\n"],
    [["SET", "a", "x", "XX", "EX", 100], "+OK\r\n"],
    [["GETSET", "a", "y"], bulk("x")],
    [["SETNX", "b", "1"], ":1\r\n"],
    [["SETEX", "c", 10, "v"], "+OK\r\n"],
    [["GETDEL", "c"], bulk("v")],
    [["TYPE", "a"], "+string\r\n"],
    [["SET", "", "the empty key"], "+OK\r\n"],
    [["GET", ""], bulk("the empty key")],
  ]));

test("expiry: expire, ttl, persist", () =>
  check([
    [["SET", "a", "1"], "+OK\r\n"],
    [["TTL", "a"], ":-1\r\n"],
    [["EXPIRE", "a", 100], ":1\r\n"],
    [["TTL", "a"], ":100\r\n"],
    [["PERSIST", "a"], ":1\r\n"],
    [["TTL", "a"], ":-1\r\n"],
    [["TTL", "nothing"], ":-2\r\n"],
  ]));

test("hashes", () =>
  check([
    [["HSET", "h", "f", "1", "g", "2"], ":2\r\n"],
    [["HGET", "h", "f"], bulk("1")],
    [["HMGET", "h", "g", "x", "f"], array("2", null, "1")],
    [["HGETALL", "h"], array("f", "1", "g", "2")],
    [["HINCRBY", "h", "f", 5], ":6\r\n"],
    [["HDEL", "h", "f", "g", "x"], ":2\r\n"],
    [["HLEN", "h"], ":0\r\n"],
    [["HGETALL", "h"], "*0\r\n"],
  ]));

test("lists", () =>
  check([
    [["RPUSH", "l", "a", "b", "c"], ":3\r\n"],
    [["LPUSH", "l", "z"], ":4\r\n"],
    [["LRANGE", "l", 0, -1], array("z", "a", "b", "c")],
    [["LINDEX", "l", 1], bulk("a")],
    [["LINSERT", "l", "BEFORE", "b", "x"], ":5\r\n"],
    [["LPOP", "l"], bulk("z")],
    [["RPOP", "l", 2], array("c", "b")],
    [["LLEN", "l"], ":2\r\n"],
  ]));

test("sets and sorted sets", () =>
  check([
    [["SADD", "s", "a", "b"], ":2\r\n"],
    [["SISMEMBER", "s", "a"], ":1\r\n"],
    [["SCARD", "s"], ":2\r\n"],
    [["ZADD", "z", 1, "a", 2, "b"], ":2\r\n"],
    [["ZSCORE", "z", "b"], bulk("2")],
    [["ZRANGE", "z", 0, -1, "WITHSCORES"], array("a", "1", "b", "2")],
    [["ZINCRBY", "z", 5, "a"], bulk("6")],
    [["ZRANK", "z", "a"], ":1\r\n"],
  ]));

test("scripts: eval and evalsha with keys, NOSCRIPT unchanged", () =>
  check([
    [["EVAL", "return redis.call('set',KEYS[1],ARGV[1])", 1, "k", "v"], "+OK\r\n"],
    [["EVAL", "return redis.call('get',KEYS[1])", 1, "k"], bulk("v")],
    [["EVAL", "return {1,{2,'x',{}}}", 1, "k"], "*2\r\n:1\r\n*3\r\n:2\r\n$1\r\nx\r\n*0\r\n"],
    [
      ["EVALSHA", "0".repeat(40), 1, "k"],
      "-NOSCRIPT No matching script. Please use EVAL.\r\n",
    ],
  ]));

// nutcracker knows no streams.
ours("streams", () =>
  check([
    [["XADD", "x", "1-1", "f", "v"], bulk("1-1")],
    [["XADD", "x", "1-2", "f", "w"], bulk("1-2")],
    [["XLEN", "x"], ":2\r\n"],
    [["XRANGE", "x", "1-2", "+"], "*1\r\n*2\r\n$3\r\n1-2\r\n*2\r\n$1\r\nf\r\n$1\r\nw\r\n"],
  ]));

test("an error of the server comes through unchanged", async () => {
  const commands = [
    ["LPUSH", "str", "x"],
    ["INCR", "str"],
    ["SETEX", "str", "0", "x"],
    ["EXPIRE", "str", "soon"],
    ["EVAL", "this is not lua", "1", "str"],
  ];
  await direct.ask("SET", "str", "a");
  await wire.ask("SET", "str", "a");
  for (const command of commands) {
    const expected = await direct.ask(...command);
    assert.ok(expected.startsWith("-"), expected);
    assert.is(await wire.ask(...command), expected, command.join(" "));
  }
});

test("keys are spread over all three servers and each is found again", async () => {
  const keys = Array.from({ length: 600 }, (_, i) => `key:${i}`);
  wire.send(keys.map((key) => cmd("SET", key, `value of ${key}`)).join(""));
  await wire.replies(keys.length);
  let sum = 0;
  for (const server of servers) {
    const one = await Wire.open(server.port);
    const size = Number((await one.ask("DBSIZE")).slice(1));
    one.close();
    assert.ok(size > 60, `a server holds ${size} of 600 keys`);
    sum += size;
  }
  assert.is(sum, 600);
  wire.send(keys.map((key) => cmd("GET", key)).join(""));
  const replies = await wire.replies(keys.length);
  keys.forEach((key, i) => assert.is(replies[i], bulk(`value of ${key}`)));
});

test("mget over three servers keeps the order of the keys, with holes and repeats", async () => {
  const keys = Array.from({ length: 50 }, (_, i) => `m${i}`);
  const even = keys.filter((_, i) => i % 2 === 0);
  assert.is(await wire.ask("MSET", ...even.flatMap((key) => [key, `v-${key}`])), "+OK\r\n");
  const asked = [...keys, "m0", "m1", "m0", ...keys.slice().reverse()];
  const expected = asked.map((key) => Number(key.slice(1)) % 2 === 0 ? `v-${key}` : null);
  assert.is(await wire.ask("MGET", ...asked), array(...expected));
  assert.is(await wire.ask("MGET", "m2"), array("v-m2"));
});

test("mset over three servers sets every key; del, unlink and touch add their counts", async () => {
  const keys = Array.from({ length: 40 }, (_, i) => `d${i}`);
  await wire.ask("MSET", ...keys.flatMap((key) => [key, key]));
  assert.is(await wire.ask("TOUCH", ...keys, "nothing"), ":40\r\n");
  assert.is(await wire.ask("DEL", ...keys.slice(0, 15), "nothing"), ":15\r\n");
  assert.is(await wire.ask("UNLINK", ...keys), ":25\r\n");
  assert.is(await wire.ask("DEL", ...keys), ":0\r\n");
});

// nutcracker sends the whole EXISTS to the first key's server and miscounts.
ours("exists adds up over servers and counts a repeated key twice", async () => {
  const keys = Array.from({ length: 40 }, (_, i) => `e${i}`);
  await wire.ask("MSET", ...keys.flatMap((key) => [key, key]));
  assert.is(await wire.ask("EXISTS", ...keys, "nothing", "e0"), ":41\r\n");
});

test("commands of many keys take a thousand of them", async () => {
  const keys = Array.from({ length: 1000 }, (_, i) => `many:${i}:${"x".repeat(i % 50)}`);
  await wire.ask("MSET", ...keys.flatMap((key, i) => [key, i]));
  assert.is(await wire.ask("MGET", ...keys), array(...keys.map((_, i) => String(i))));
  assert.is(await wire.ask("DEL", ...keys), ":1000\r\n");
});

test("every byte may stand in keys and values", async () => {
  const all = Array.from({ length: 256 }, (_, i) => String.fromCharCode(i)).join("");
  await check([
    [["SET", all, `${all}\r\n${all}`], "+OK\r\n"],
    [["GET", all], bulk(`${all}\r\n${all}`)],
    [["MSET", `1${all}`, all, `2${all}`, "\r\n"], "+OK\r\n"],
    [["MGET", `2${all}`, `1${all}`], array("\r\n", all)],
  ]);
});

test("a value of 20 MB passes both ways, and small replies keep their place behind it", async () => {
  const big = "0123456789abcdef".repeat((20 << 20) / 16);
  wire.send(cmd("SET", "big", big) + cmd("SET", "small", "s"));
  assert.equal(await wire.replies(2), ["+OK\r\n", "+OK\r\n"]);
  wire.send(cmd("GET", "big") + cmd("GET", "small") + cmd("GET", "big"));
  const [first, small, second] = await wire.replies(3);
  assert.ok(first === bulk(big), "the value came back changed");
  assert.is(small, bulk("s"));
  assert.ok(second === bulk(big), "the value came back changed the second time");
});

test("a command cut at every byte is still one command", async () => {
  const bytes = cmd("SET", "cut", "a\r\nb") + cmd("MGET", "cut", "none");
  for (let i = 1; i < bytes.length; i++) {
    wire.send(bytes.slice(0, i));
    await wire.flushed();
    wire.send(bytes.slice(i));
    assert.equal(await wire.replies(2), ["+OK\r\n", array("a\r\nb", null)], `cut at ${i}`);
  }
  for (const byte of bytes) {
    wire.send(byte);
    await wire.flushed();
  }
  assert.equal(await wire.replies(2), ["+OK\r\n", array("a\r\nb", null)]);
});

test("a pipeline of ten thousand commands is answered in order", async () => {
  const n = 10_000;
  let bytes = "";
  for (let i = 0; i < n; i++) bytes += cmd("SET", `p${i}`, i) + cmd("GET", `p${i}`);
  wire.send(bytes);
  const replies = await wire.replies(2 * n);
  for (let i = 0; i < n; i++) {
    assert.is(replies[2 * i], "+OK\r\n");
    assert.is(replies[2 * i + 1], bulk(String(i)));
  }
});

test("PING is answered by the proxy", async () => {
  assert.is(await wire.ask("PING"), "+PONG\r\n");
  assert.is(await wire.ask("ping"), "+PONG\r\n");
});

test("after QUIT the connection ends once everything before it is answered", async () => {
  const got = await exchange(proxy.port, cmd("SET", "q", "1") + cmd("GET", "q") + cmd("QUIT"));
  // nutcracker closes without the +OK that Redis sends.
  assert.is(got, `+OK\r\n$1\r\n1\r\n${isNutcracker ? "" : "+OK\r\n"}`);
});

ours("commands after QUIT are not carried out", async () => {
  const got = await exchange(proxy.port, cmd("QUIT") + cmd("SET", "late", "1"));
  assert.is(got, "+OK\r\n");
  assert.is(await wire.ask("GET", "late"), "$-1\r\n");
});

ours("inline commands work, as with Redis", async () => {
  assert.is(await wire.send("PING\r\n").reply(), "+PONG\r\n");
  assert.is(await wire.send("SET inline yes\r\n").reply(), "+OK\r\n");
  assert.is(await wire.send("get inline\r\n").reply(), bulk("yes"));
});

ours("what clients say when they connect is answered", async () => {
  assert.is(await wire.ask("PING", "hello"), bulk("hello"));
  assert.is(await wire.ask("ECHO", "hello"), bulk("hello"));
  assert.is(await wire.ask("SELECT", "0"), "+OK\r\n");
  assert.is(await wire.ask("CLIENT", "SETNAME", "me"), "+OK\r\n");
  assert.is(await wire.ask("CLIENT", "GETNAME"), bulk("me"));
  assert.is(await wire.ask("CLIENT", "SETINFO", "LIB-NAME", "x"), "+OK\r\n");
  assert.match(await wire.ask("CLIENT", "ID"), /^:\d+\r\n$/);
  const hello = await wire.ask("HELLO", "2");
  assert.match(hello, /^\*\d+\r\n\$6\r\nserver\r\n/);
  assert.match(hello, /\$5\r\nproto\r\n:2\r\n/);
  assert.match(await wire.ask("COMMAND", "COUNT"), /^:\d+\r\n$/);
  assert.match(await wire.ask("INFO"), /^\$\d+\r\n# Server\r\n/);
});

ours("a wrong number of arguments is said in Redis' own words, and the client stays", async () => {
  for (const command of [["GET"], ["GET", "a", "b"], ["SET", "a"], ["MSET", "a"], ["HSET", "a"]]) {
    assert.is(await wire.ask(...command), await direct.ask(...command), command.join(" "));
  }
  assert.is(await wire.ask("PING"), "+PONG\r\n");
});

ours("an unknown command is an error and the connection stays", async () => {
  const reply = await wire.ask("NOSUCHCOMMAND", "a", "b");
  assert.ok(reply.startsWith("-ERR unknown command 'NOSUCHCOMMAND'"), reply);
  assert.is(await wire.ask("PING"), "+PONG\r\n");
});

ours(
  "keys of one command on two servers are refused with CROSSSLOT, on one they work",
  async () => {
    const [here, there] = await keysOnTwoServers();
    for (
      const command of [["RENAME", here, there], ["SINTERSTORE", here, there], [
        "RPOPLPUSH",
        here,
        there,
      ], ["ZUNION", 2, here, there]]
    ) {
      const reply = await wire.ask(...command);
      assert.ok(reply.startsWith("-CROSSSLOT"), `${command.join(" ")}: ${reply}`);
    }
    await wire.ask("RPUSH", here, "a", "b");
    assert.is(await wire.ask("RPOPLPUSH", here, here), bulk("b"));
    assert.is(await wire.ask("PING"), "+PONG\r\n");
  },
);

/** Two keys which the proxy keeps on different servers. */
async function keysOnTwoServers(): Promise<string[]> {
  const found = new Map<number, string>();
  for (let i = 0; found.size < 2; i++) {
    const key = `where:${i}`;
    await wire.ask("SET", key, "1");
    for (const server of servers) {
      const one = await Wire.open(server.port);
      if (await one.ask("DEL", key) === ":1\r\n") found.set(server.port, key);
      one.close();
    }
  }
  return [...found.values()];
}

test("redis-cli sets and gets", async () => {
  const cli = (...args: string[]) =>
    run(which("redis-cli"), ["-p", String(proxy.port), ...args]).then((ran) => ran.stdout);
  assert.is(await cli("set", "a", "hello"), "OK\n");
  assert.is(await cli("get", "a"), "hello\n");
  assert.is(await cli("mget", "a", "nothing"), "hello\n\n");
  assert.is(await cli("del", "a"), "1\n");
  assert.is(await cli("--no-raw", "get", "a"), "(nil)\n");
});

test("redis-cli --pipe loads thousands of commands without an error", async () => {
  // Its end mark is an ECHO, which nutcracker does not know.
  if (isNutcracker) return;
  const input = Array.from({ length: 5000 }, (_, i) => cmd("SET", `pipe:${i}`, i)).join("");
  const ran = await run(which("redis-cli"), ["-p", String(proxy.port), "--pipe"], input);
  assert.match(ran.stdout, /errors: 0, replies: 5000/);
});

test("redis-benchmark runs to its end, plain and pipelined", async () => {
  const tests = "set,get,incr,lpush,rpush,lpop,rpop,sadd,hset,spop,zadd,zpopmin,lrange_100,mset";
  for (const pipeline of ["1", "16"]) {
    const args = ["-p", String(proxy.port), "-n", "2000", "-c", "20", "-P", pipeline, "-q"];
    const ran = await run(which("redis-benchmark"), [...args, "-t", tests]);
    assert.is(ran.code, 0, ran.stdout + ran.stderr);
    assert.is((ran.stdout.match(/requests per second/g) ?? []).length, 15, ran.stdout);
    assert.not.match(ran.stdout + ran.stderr, /^Error/m);
  }
});

test("ioredis works, a pipeline of a thousand included", async () => {
  // nutcracker closes the connection on INFO, CLIENT and HELLO; ringmux gets no special options.
  const options = isNutcracker
    ? { enableReadyCheck: false, disableClientInfo: true, protocol: 2 as const }
    : {};
  const redis = new Redis({ port: proxy.port, host: "127.0.0.1", ...options });
  try {
    assert.is(await redis.set("k", "v"), "OK");
    assert.is(await redis.get("k"), "v");
    await redis.mset({ x: "1", y: "2", z: "3" });
    assert.equal(await redis.mget("z", "none", "x", "y"), ["3", null, "1", "2"]);
    assert.is(await redis.del("x", "y", "z", "none"), 3);
    await redis.hset("h", { a: "1", b: "2" });
    assert.equal(await redis.hgetall("h"), { a: "1", b: "2" });
    await redis.zadd("zs", 1, "one", 2, "two");
    assert.equal(await redis.zrange("zs", "0", "-1"), ["one", "two"]);
    await redis.expire("k", 50);
    assert.is(await redis.ttl("k"), 50);
    assert.is(await redis.eval("return ARGV[1]", 1, "k", "hello"), "hello");
    const binary = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
    await redis.set("bin", binary);
    assert.equal(await redis.getBuffer("bin"), binary);
    let failure = "";
    await redis.lpush("k", "x").catch((error: Error) => failure = error.message);
    assert.match(failure, /^WRONGTYPE/);
    const pipeline = redis.pipeline();
    for (let i = 0; i < 500; i++) pipeline.set(`n${i}`, i).get(`n${i}`);
    const results = await pipeline.exec() as [Error | null, unknown][];
    assert.is(results.length, 1000);
    for (let i = 0; i < 500; i++) assert.equal(results[2 * i + 1], [null, String(i)]);
  } finally {
    redis.disconnect();
  }
});

// node-redis says HELLO and CLIENT SETINFO when it connects, which nutcracker does not know.
for (
  const [title, options] of [
    ["with its default options", {}],
    ["with RESP2", { RESP: 2 }],
  ] as const
) {
  ours(`node-redis works ${title}`, async () => {
    const client = createClient({ ...options, socket: { port: proxy.port, host: "127.0.0.1" } });
    let trouble = "";
    client.on("error", (error: Error) => trouble = String(error));
    try {
      // It would try to connect for ever.
      const connected = client.connect().catch((error: Error) => trouble = String(error));
      await until("node-redis to connect", () => client.isReady || trouble !== "");
      assert.is(trouble, "");
      await connected;
      assert.is(await client.set("k", "v"), "OK");
      assert.is(await client.get("k"), "v");
      assert.is(await client.ping(), "PONG");
      await client.mSet({ x: "1", y: "2", z: "3" });
      assert.equal(await client.mGet(["z", "none", "x", "y"]), ["3", null, "1", "2"]);
      assert.is(await client.exists(["x", "y", "z", "none"]), 3);
      assert.is(await client.del(["x", "y", "z", "none"]), 3);
      await client.hSet("h", { a: "1", b: "2" });
      assert.equal({ ...await client.hGetAll("h") }, { a: "1", b: "2" });
      await client.zAdd("zs", [{ score: 1, value: "one" }, { score: 2, value: "two" }]);
      assert.equal(await client.zRangeWithScores("zs", 0, -1), [
        { score: 1, value: "one" },
        { score: 2, value: "two" },
      ]);
      assert.is(await client.eval("return ARGV[1]", { keys: ["k"], arguments: ["hi"] }), "hi");
      assert.is(await client.xAdd("st", "1-1", { f: "v" }), "1-1");
      let failure = "";
      await client.lPush("k", "x").catch((error: Error) => failure = error.message);
      assert.match(failure, /^WRONGTYPE/);
      const got = await Promise.all(
        Array.from(
          { length: 1000 },
          (_, i) => i % 2 === 0 ? client.set(`c${i}`, String(i)) : client.get(`c${i - 1}`),
        ),
      );
      got.forEach((value, i) => assert.is(value, i % 2 === 0 ? "OK" : String(i - 1)));
    } finally {
      client.destroy();
    }
  });
}

test.run();
