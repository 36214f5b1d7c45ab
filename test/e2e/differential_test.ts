// The same bytes to nutcracker and to the proxy: the same bytes must come back. A row without an
// answer is settled by the nutcracker that runs beside it. The rows under "deliberate" say what
// nutcracker does and what ringmux does instead; both halves are checked.
// A row is sent with a FIN behind it, so that "nothing more comes" is part of every answer.
// Needs: redis-server memcached nutcracker

import type * as net from "node:net";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { VERSION } from "../../core/version.ts";
import {
  array,
  at,
  bulk,
  cmd,
  exchange,
  type Fake,
  freePort,
  isNutcracker,
  type PoolSpec,
  type ProxyProcess,
  sameBytes,
  type ServerProcess,
  several,
  startFake,
  startMemcached,
  startNutcracker,
  startProxy,
  startRedis,
} from "./harness.ts";

let redis: ServerProcess[];
let memcached: ServerProcess[];
let proxy: ProxyProcess;
let oracle: ProxyProcess;

/** A server that answers every read with the same bytes. */
function parrot(reply: string): Promise<Fake> {
  return startFake((socket: net.Socket) => {
    socket.on("data", () => socket.write(reply, "latin1"));
  });
}

test.before(async () => {
  redis = await several(2, startRedis);
  const locked = await startRedis({ args: ["--requirepass", "secret"] });
  memcached = await several(2, startMemcached);
  const dead = await freePort();
  const mute = await startFake((socket) => socket.resume());
  const leaver = await startFake((socket) => socket.on("data", () => socket.end()));
  const parrots = {
    garbage: await parrot("what is this?\r\n"),
    oom: await parrot("-OOM command not allowed when used memory > 'maxmemory'.\r\n"),
    loading: await parrot("-LOADING Redis is loading the dataset in memory\r\n"),
    busy: await parrot("-BUSY Redis is busy running a script.\r\n"),
    moved: await parrot("-MOVED 3999 127.0.0.1:6381\r\n"),
    error: await parrot("-ERR boom\r\n"),
    mc_error: await parrot("SERVER_ERROR out of memory storing object\r\n"),
    mc_client_error: await parrot("CLIENT_ERROR bad data chunk\r\n"),
    mc_plain_error: await parrot("ERROR\r\n"),
  };
  const pools: Record<string, PoolSpec> = {};
  const add = (name: string, servers: string[], more: PoolSpec = {}) => {
    const kind: PoolSpec = name.startsWith("mc") ? {} : { redis: true };
    pools[name] = { ...kind, hash: "fnv1a_64", ...more, servers };
  };
  // No name resolution is asked for a label of 70 characters: it fails at once.
  const nowhere = `${"x".repeat(70)}.invalid:6379:1`;
  for (const [prefix, live] of [["", redis], ["mc_", memcached]] as const) {
    add(`${prefix}pool`, live.map((server, i) => at(server, 1, `server${i}`)));
    add(`${prefix}dead`, [at(dead)]);
    add(`${prefix}half`, [at(live[0], 1, "live"), at(dead, 1, "dead")]);
    add(`${prefix}mute`, [at(mute)], { timeout: 150 });
    add(`${prefix}half_mute`, [at(live[0], 1, "live"), at(mute, 1, "mute")], { timeout: 150 });
    add(`${prefix}leaver`, [at(leaver)]);
    add(`${prefix}nowhere`, [nowhere]);
    add(`${prefix}tag`, live.map((server, i) => at(server, 1, `server${i}`)), { hash_tag: '"{}"' });
    add(`${prefix}ejected`, [at(dead)], {
      auto_eject_hosts: true,
      server_failure_limit: 1,
      server_retry_timeout: 60_000,
    });
    add(`${prefix}garbage`, [at(parrots.garbage)]);
  }
  add("half_error", [at(redis[0], 1, "live"), at(parrots.error, 1, "error")]);
  add("auth", [at(locked)], { redis_auth: "secret" });
  add("badauth", [at(locked)], { redis_auth: "wrong" });
  add("db", [at(redis[0])], { redis_db: 3 });
  for (const [name, fake] of Object.entries(parrots)) add(name, [at(fake)]);
  pools.mc_error_half = {
    hash: "fnv1a_64",
    servers: [at(memcached[0], 1, "live"), at(parrots.mc_error, 1, "error")],
  };
  proxy = await startProxy(pools);
  oracle = await startNutcracker(pools);
});

async function flush(): Promise<void> {
  for (const server of redis) await exchange(server.port, cmd("FLUSHALL") + cmd("SCRIPT", "FLUSH"));
  for (const server of memcached) await exchange(server.port, "flush_all\r\nquit\r\n");
}

/** cas values count all writes of a server's life: only that they are there can be compared. */
function comparable(reply: string): string {
  return reply.replace(/^(VALUE \S+ \d+ \d+) \d+\r$/gm, "$1 <cas>\r");
}

async function answer(from: ProxyProcess, pool: string, input: string): Promise<string> {
  await flush();
  const got = await exchange(from.ports[pool], input);
  return comparable(got);
}

function same(pool: string, title: string, input: string): void {
  test(`${pool}: ${title}: the same bytes as nutcracker`, async () => {
    const expected = await answer(oracle, pool, input);
    assert.is.not(expected, "", "nutcracker answers this");
    sameBytes(await answer(proxy, pool, input), expected, title);
  });
}

function deliberate(
  pool: string,
  title: string,
  input: string,
  was: string | RegExp,
  is: string,
): void {
  test(`${pool}: ${title}: deliberately not what nutcracker does`, async () => {
    const got = await answer(oracle, pool, input);
    if (typeof was === "string") assert.is(got, was, "nutcracker");
    else assert.match(got, was, "nutcracker");
    if (!isNutcracker) assert.is(await answer(proxy, pool, input), is, "ringmux");
  });
}

const keys = Array.from({ length: 20 }, (_, i) => `key:${i}`);
const setAll = keys.map((key) => cmd("SET", key, `v:${key}`)).join("");
const mcSetAll = keys.map((key) => `set ${key} 1 0 ${key.length}\r\n${key}\r\n`).join("");
const PING = cmd("PING");

// ------------------------------------------------------------------------- Redis: what works

same(
  "pool",
  "strings",
  cmd("SET", "a", "1") + cmd("GET", "a") + cmd("INCR", "a") + cmd("GET", "b"),
);
same("pool", "names of commands in any case", cmd("sEt", "a", "1") + cmd("gEt", "a"));
same("pool", "mget over servers", setAll + cmd("MGET", ...keys, "none", ...keys));
same("pool", "mget of one key", cmd("MGET", "none"));
same("pool", "mget of the same key twice", cmd("SET", "a", "1") + cmd("MGET", "a", "a"));
same("pool", "mget of a hash's key", cmd("HSET", "h", "f", "v") + cmd("MGET", "h", "i"));
same(
  "pool",
  "mset over servers",
  cmd("MSET", ...keys.flatMap((k) => [k, k])) + cmd("MGET", ...keys),
);
same("pool", "del over servers", setAll + cmd("DEL", ...keys, "none") + cmd("DEL", "a"));
same("pool", "unlink over servers", setAll + cmd("UNLINK", ...keys, "none"));
same("pool", "touch over servers", setAll + cmd("TOUCH", ...keys, "none"));
same("pool", "hashes", cmd("HSET", "h", "a", 1) + cmd("HGETALL", "h") + cmd("HGET", "h", "x"));
same("pool", "an empty list", cmd("LRANGE", "none", 0, -1));
same("pool", "nested replies", cmd("EVAL", "return {1,'a',{2,{},false}}", 1, "k"));
same("pool", "a status of the server's own", cmd("TYPE", "none"));
same("pool", "floats", cmd("SET", "f", "1.5") + cmd("INCRBYFLOAT", "f", "0.25"));
same("pool", "scans of a key", cmd("SADD", "s", "x") + cmd("SSCAN", "s", 0));
same("pool", "sort", cmd("RPUSH", "l", 3, 1, 2) + cmd("SORT", "l"));
same("pool", "the server's errors", cmd("SET", "a", "x") + cmd("LPUSH", "a", 1) + cmd("INCR", "a"));
same("pool", "NOSCRIPT", cmd("EVALSHA", "f".repeat(40), 1, "k"));
same("pool", "a wrong count the server complains of", cmd("HSET", "h", "f") + cmd("ZADD", "z", 1));
same("pool", "PING", PING + PING);
same("pool", "an empty key", cmd("SET", "", "x") + cmd("GET", ""));
same("pool", "a large value", cmd("SET", "big", "z".repeat(300_000)) + cmd("GET", "big"));
same(
  "pool",
  "multi-key commands whose keys share a server by chance of being one key",
  cmd("SADD", "s", "x") + cmd("SUNION", "s", "s") + cmd("SINTERSTORE", "s", "s"),
);
same(
  "tag",
  "keys with one hash tag live together",
  cmd("SADD", "{t}1", "x", "y") + cmd("SADD", "{t}2", "y") + cmd("SINTER", "{t}1", "{t}2") +
    cmd("SUNIONSTORE", "{t}3", "{t}1", "{t}2") + cmd("SMOVE", "{t}1", "{t}2", "x"),
);
same("db", "the configured database", cmd("SET", "a", "db3") + cmd("GET", "a"));

// -------------------------------------------------------------------- Redis: lost servers

same("dead", "connection refused", cmd("GET", "a") + cmd("SET", "a", "b") + PING);
same("dead", "del over a dead server", cmd("DEL", "a", "b") + PING);
same("half", "del over a live and a dead server", cmd("DEL", ...keys) + PING);
same(
  "half",
  "mset over a live and a dead server",
  cmd("MSET", ...keys.flatMap((k) => [k, k])) + PING,
);
same("mute", "timeout", cmd("GET", "a") + PING);
same("mute", "everything that waits on the connection times out", cmd("GET", "a").repeat(5));
same("half_mute", "del with a server that times out", cmd("DEL", ...keys) + PING);
same("leaver", "the server ends the connection", cmd("GET", "a"));
same("nowhere", "a host name that does not resolve", cmd("GET", "a"));
same("ejected", "every server is ejected", cmd("GET", "a").repeat(3) + PING);
same("garbage", "a reply that is none", cmd("GET", "a"));
same("moved", "MOVED is passed on", cmd("GET", "a"));
same("error", "any other error is passed on", cmd("GET", "a"));

// ------------------------------------------------------------------------------ Redis: AUTH

const AUTH = cmd("AUTH", "secret");
same("auth", "before AUTH everything is refused", cmd("GET", "a") + PING + cmd("DEL", "a", "b"));
same("auth", "after AUTH it works", AUTH + cmd("SET", "a", "1") + cmd("GET", "a") + PING);
same("auth", "a wrong password", cmd("AUTH", "wrong") + cmd("GET", "a"));
same("auth", "a wrong password after the right one", AUTH + cmd("AUTH", "no") + cmd("GET", "a"));
same("pool", "AUTH where there is no password", AUTH + PING);

// --------------------------------------------------------------------- Redis: what is mended

// nutcracker closes a client whose mget or get lost a part, and whether the error line is still
// sent is a matter of luck.
const refused = "-ERR Connection refused\r\n";
deliberate(
  "half",
  "mget with a lost part",
  cmd("MGET", ...keys) + PING,
  /^(-ERR Connection refused\r\n)?(\+PONG\r\n)?$/,
  `${refused}+PONG\r\n`,
);
// The server's own words say what is wrong; nutcracker replaces them.
for (
  const [verb, was] of [["MGET", /^(-ERR Invalid argument\r\n)?(\+PONG\r\n)?$/], [
    "DEL",
    /^-ERR Invalid argument\r\n\+PONG\r\n$/,
  ]] as const
) {
  deliberate(
    "half_error",
    `${verb} with an error in one part`,
    cmd(verb, ...keys) + PING,
    was,
    "-ERR boom\r\n+PONG\r\n",
  );
}
for (
  const [pool, words] of [
    ["oom", "-OOM command not allowed when used memory > 'maxmemory'.\r\n"],
    ["loading", "-LOADING Redis is loading the dataset in memory\r\n"],
    ["busy", "-BUSY Redis is busy running a script.\r\n"],
  ]
) {
  deliberate(pool, "what the server says", cmd("GET", "a"), "-ERR Invalid argument\r\n", words);
}
deliberate(
  "half_mute",
  "mget with a part that times out",
  cmd("MGET", ...keys) + PING,
  /^(-ERR Connection timed out\r\n)?(\+PONG\r\n)?$/,
  "-ERR Connection timed out\r\n+PONG\r\n",
);
deliberate("pool", "QUIT", PING + cmd("QUIT"), "+PONG\r\n", "+PONG\r\n+OK\r\n");
deliberate("pool", "PING with an argument", cmd("PING", "hi"), "", bulk("hi"));
deliberate("pool", "ECHO", cmd("ECHO", "hi"), "", bulk("hi"));
deliberate("pool", "SELECT of database 0", cmd("SELECT", "0"), "", "+OK\r\n");
deliberate("pool", "an inline PING", "PING\r\n", "", "+PONG\r\n");
deliberate(
  "pool",
  "a wrong number of arguments",
  cmd("GET", "a", "b") + PING,
  "",
  "-ERR wrong number of arguments for 'get' command\r\n+PONG\r\n",
);
deliberate(
  "pool",
  "exists of many keys",
  setAll + cmd("EXISTS", ...keys),
  // All of them are asked of the first key's server.
  `${"+OK\r\n".repeat(20)}:10\r\n`,
  `${"+OK\r\n".repeat(20)}:20\r\n`,
);
deliberate("pool", "streams", cmd("XADD", "x", "1-1", "f", "v"), "", bulk("1-1"));

// -------------------------------------------------------------------- memcached: what works

same(
  "mc_pool",
  "storage",
  "set a 1 0 2\r\nhi\r\nadd a 0 0 1\r\nx\r\nreplace b 0 0 1\r\nx\r\nget a\r\n",
);
same(
  "mc_pool",
  "append, prepend",
  "set a 0 0 1\r\nb\r\nappend a 0 0 1\r\nc\r\nprepend a 0 0 1\r\na\r\nget a\r\n",
);
same("mc_pool", "gets", "set a 0 0 1\r\nb\r\ngets a\r\ngets none\r\n");
same("mc_pool", "counters", "set n 0 0 1\r\n5\r\nincr n 10\r\ndecr n 3\r\nincr none 1\r\n");
same("mc_pool", "counters that are none", "set n 0 0 1\r\nx\r\nincr n 1\r\nincr n -1\r\n");
same(
  "mc_pool",
  "delete and touch",
  "set a 0 0 1\r\nx\r\ntouch a 10\r\ndelete a\r\ntouch a 1\r\ndelete a\r\n",
);
same("mc_pool", "cas", "cas a 0 0 1 99\r\nx\r\nset a 0 0 1\r\nx\r\ncas a 0 0 1 1\r\ny\r\n");
same("mc_pool", "multi-get over servers", `${mcSetAll}get ${keys.join(" ")} none ${keys[3]}\r\n`);
same("mc_pool", "multi-gets over servers", `${mcSetAll}gets ${keys.join(" ")}\r\n`);
same(
  "mc_pool",
  "multi-get with every other key missing",
  `${mcSetAll}get x ${keys.join(" x ")}\r\n`,
);
same("mc_pool", "multi-get of nothing there", "get a b c d\r\n");
same("mc_pool", "the same key many times", "set a 0 0 1\r\nx\r\nget a a b a\r\n");
same("mc_pool", "noreply", "set a 0 0 1 noreply\r\nx\r\nget a\r\ndelete a noreply\r\nget a\r\n");
same("mc_pool", "a key named noreply", "set noreply 0 0 1\r\nx\r\nget noreply\r\n");
same("mc_pool", "spaces where they do no harm", "set  a  0  0  1 \r\nx\r\nget  a \r\nget a  b\r\n");
same("mc_pool", "a large value", `set a 0 0 300000\r\n${"z".repeat(300_000)}\r\nget a\r\n`);
same(
  "mc_pool",
  "a value too large for the server",
  `set a 0 0 2000000\r\n${"z".repeat(2_000_000)}\r\nget a\r\n`,
);
same(
  "mc_pool",
  "a value that looks like a protocol",
  "set a 0 0 12\r\nEND\r\nget x\r\n\r\nget a\r\n",
);
same("mc_pool", "an empty value", "set a 0 0 0\r\n\r\nget a\r\n");
same("mc_pool", "version", "version\r\n");
same("mc_tag", "hash tags", "set {t}1 0 0 1\r\nx\r\nset {t}2 0 0 1\r\ny\r\nget {t}1 {t}2\r\n");
same(
  "mc_pool",
  "a key of 250 bytes",
  `set ${"k".repeat(250)} 0 0 1\r\nx\r\nget ${"k".repeat(250)}\r\n`,
);

// ---------------------------------------------------------------- memcached: lost servers

same("mc_dead", "connection refused", "get a\r\nset a 0 0 1\r\nx\r\ndelete a\r\n");
same("mc_mute", "timeout", "get a\r\n");
same("mc_leaver", "the server ends the connection", "get a\r\n");
same("mc_nowhere", "a host name that does not resolve", "get a\r\n");
same("mc_ejected", "every server is ejected", "get a\r\nget a\r\nget a\r\n");
same("mc_garbage", "a reply that is none", "get a\r\n");
same("mc_error", "SERVER_ERROR is passed on", "set a 0 0 1\r\nx\r\n");
same("mc_client_error", "CLIENT_ERROR is passed on", "incr a 1\r\n");
same("mc_plain_error", "ERROR is passed on", "touch a 1\r\n");

// ----------------------------------------------------------------- memcached: what is mended

const mcRefused = "SERVER_ERROR Connection refused\r\n";
deliberate(
  "mc_half",
  "a multi-get with a lost part",
  `get ${keys.join(" ")}\r\nget none\r\nget ${keys.join(" ")}\r\n`,
  /^(SERVER_ERROR Connection refused\r\n)?$/,
  `${mcRefused}END\r\n${mcRefused}`,
);
deliberate(
  "mc_half_mute",
  "a multi-get with a part that times out",
  `get ${keys.join(" ")}\r\nget none\r\n`,
  /^(SERVER_ERROR Connection timed out\r\n)?$/,
  "SERVER_ERROR Connection timed out\r\nEND\r\n",
);
deliberate(
  "mc_dead",
  "version",
  "version\r\nget a\r\n",
  "SERVER_ERROR Connection refused\r\n".repeat(2),
  `VERSION ${VERSION}\r\n${mcRefused}`,
);
deliberate("mc_pool", "an unknown command", "nosuch\r\nget a\r\n", "", "ERROR\r\nEND\r\n");
deliberate("mc_pool", "meta no-op", "mn\r\n", "", "MN\r\n");
deliberate(
  "mc_pool",
  "a negative expiry",
  "set a 0 -1 1\r\nx\r\nget a\r\n",
  "",
  "STORED\r\nEND\r\n",
);
deliberate("mc_pool", "delete with a zero", "delete a 0\r\n", "", "NOT_FOUND\r\n");
deliberate("mc_pool", "flush_all", "set a 0 0 1\r\nx\r\nflush_all\r\n", "", "STORED\r\nOK\r\n");

test("replies of an array of arrays keep their shape through the proxy", async () => {
  const got = await answer(proxy, "pool", setAll + cmd("MGET", ...keys));
  assert.is(got, "+OK\r\n".repeat(20) + array(...keys.map((key) => `v:${key}`)));
});

test.run();
