// What administers a Redis, through the proxy and beside real servers: CLIENT, DEBUG where it is
// opened, scripts and functions on every server, databases, and one clear error for what is not
// for a proxy.
// Needs: redis-server

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
  type ServerProcess,
  several,
  startProxy,
  startRedis,
  until,
  Wire,
} from "./harness.ts";

let servers: ServerProcess[];
let proxy: ProxyProcess;
let wire: Wire;
/** One connection to each server. */
let own: Wire[];

test.before(async () => {
  if (isNutcracker) return;
  // DEBUG RELOAD saves and loads: each needs a file of its own.
  let n = 0;
  servers = await several(3, () => {
    const args = ["--enable-debug-command", "yes", "--dbfilename", `dump${n++}.rdb`];
    return startRedis({ args });
  });
  const pool = {
    redis: true,
    hash_tag: '"{}"',
    servers: servers.map((server, i) => at(server, 1, `server${i}`)),
  };
  proxy = await startProxy({
    pool,
    debug: { ...pool, commands: '{allow: ["@all", debug, monitor]}' },
    users: {
      ...pool,
      auth: "{password: main, users: {ro: {password: pw, access: read-only}, " +
        "part: {password: pw, prefixes: ['p:']}}}",
    },
  });
});

test.before.each(async () => {
  if (isNutcracker) return;
  wire = await Wire.open(proxy.port);
  own = await Promise.all(servers.map((server) => Wire.open(server.port)));
  assert.is(await wire.ask("FLUSHALL"), "+OK\r\n");
});

test.after.each(() => {
  wire?.close();
  for (const one of own ?? []) one.close();
});

const port = (pool: string): number => proxy.ports[pool];
const KEYS = Array.from({ length: 30 }, (_, i) => `${i * 7919}:key`);

async function withWire<T>(to: number, use: (wire: Wire) => Promise<T>): Promise<T> {
  const other = await Wire.open(to);
  try {
    return await use(other);
  } finally {
    other.close();
  }
}

/** What each server says. */
const each = (...words: (string | number)[]): Promise<string[]> =>
  Promise.all(own.map((one) => one.ask(...words)));

const field = (reply: string, name: string): string =>
  new RegExp(`[ \\n]${name}=(\\S*)`).exec(reply)?.[1] ?? "";

ours("CLIENT answers what a server does", async () => {
  // What is the same whoever answers: errors, and what concerns the connection alone.
  const lines = [
    ...["GETNAME", "SETNAME me", "GETNAME", "SETNAME", "GETREDIR", "NO-EVICT on", "NO-EVICT what"],
    ...["REPLY on", "REPLY what", "TRACKINGINFO", "TRACKING off", "LIST TYPE master"],
    ...["LIST TYPE what", "LIST what", "LIST ID x", "LIST ID 99999999", "LIST TYPE normal x"],
    ...["KILL 1.2.3.4:5", "KILL ID 0", "KILL ID x", "KILL ID -1", "KILL TYPE what", "KILL a b c"],
    ...["KILL USER nobody", "KILL SKIPME what", "KILL ID", "KILL ADDR 1.2.3.4:5", "KILL x y"],
    ...["KILL TYPE master", "KILL LADDR 1.2.3.4:5 SKIPME no", "KILL ID 99999999", "KILL", "NOPE"],
    ...["KILL TYPE replica USER default", "NO-EVICT", "PAUSE", "UNBLOCK", "ID x", "INFO x"],
  ];
  const wrong: string[] = [];
  for (const line of lines) {
    const words = ["CLIENT", ...line.split(" ")];
    const [ours, theirs] = [await wire.ask(...words), await own[0].ask(...words)];
    if (ours !== theirs) wrong.push(`${line}: ${JSON.stringify([ours, theirs])}`);
  }
  assert.equal(wrong, []);
  assert.match(await wire.ask("CLIENT", "TRACKING", "on"), /^-ERR CLIENT TRACKING needs RESP3/);
  assert.is(await wire.ask("CLIENT", "NO-TOUCH", "on"), "+OK\r\n");
  assert.is(await wire.ask("CLIENT", "SETINFO", "LIB-VER", "1.2"), "+OK\r\n");
  assert.match(await wire.ask("CLIENT", "SETINFO", "LIB-NAME", "a b"), /^-ERR lib-name cannot/);
  assert.match(await wire.ask("CLIENT", "HELP"), /^\*\d+\r\n\+CLIENT <subcommand>/);
});

ours("CLIENT LIST and INFO show the connection as it is, as a server does", async () => {
  for (const to of [port("pool"), servers[0].port]) {
    const [one, two] = [await Wire.open(to), await Wire.open(to)];
    const id = /:(\d+)/.exec(await one.ask("CLIENT", "ID"))![1];
    const shown = () => two.ask("CLIENT", "LIST", "ID", id);
    const address = `127.0.0.1:${(one.socket.address() as { port: number }).port}`;
    await one.ask("CLIENT", "SETNAME", "me");
    let line = await shown();
    assert.is(field(line, "addr"), address);
    assert.is(field(line, "laddr"), `127.0.0.1:${to}`);
    assert.is(field(line, "name"), "me");
    assert.is(field(line, "multi"), "-1");
    assert.is(field(line, "flags"), "N");
    await one.ask("MULTI");
    assert.is(field(await shown(), "multi"), "0");
    await one.ask("PING");
    await one.ask("SET", "{t}a", "1");
    line = await shown();
    assert.is(field(line, "multi"), "2");
    assert.is(field(line, "flags"), "x");
    await one.ask("EXEC");
    assert.is(field(await shown(), "multi"), "-1");
    one.send(cmd("BLPOP", "{t}none", "0"));
    await until("it to be blocked", async () => field(await shown(), "flags") === "b");
    await two.ask("LPUSH", "{t}none", "x");
    await one.reply();
    await one.ask("SUBSCRIBE", "channel");
    line = await two.ask("CLIENT", "LIST", "TYPE", "pubsub");
    assert.is(field(line, "sub"), "1");
    assert.is(field(line, "flags"), "P");
    assert.is(field(await two.ask("CLIENT", "INFO"), "resp"), "2");
    one.close();
    two.close();
  }
});

ours("CLIENT KILL ends clients by id, address, type and user, as a server does", async () => {
  for (const to of [port("pool"), servers[0].port]) {
    const killer = await Wire.open(to);
    const victim = async (how: (id: string, address: string) => string, prepare = "") => {
      const one = await Wire.open(to);
      const id = /:(\d+)/.exec(await one.ask("CLIENT", "ID"))![1];
      if (prepare !== "") await one.send(prepare).reply();
      const address = `127.0.0.1:${(one.socket.address() as { port: number }).port}`;
      const reply = await killer.ask("CLIENT", "KILL", ...how(id, address).split(" "));
      await until("it to be closed", () => Promise.resolve(one.ended));
      return reply;
    };
    assert.is(await victim((id) => `ID ${id}`), ":1\r\n");
    assert.is(await victim((_, address) => `ADDR ${address}`), ":1\r\n");
    assert.is(await victim((_, address) => address), "+OK\r\n");
    assert.is(await victim(() => "TYPE pubsub", cmd("SUBSCRIBE", "c")), ":1\r\n");
    assert.is(await victim((id) => `ID ${id} USER default LADDR 127.0.0.1:${to}`), ":1\r\n");
    assert.is(await victim((id) => `ID ${id} SKIPME yes`, cmd("MULTI")), ":1\r\n");
    const id = /:(\d+)/.exec(await killer.ask("CLIENT", "ID"))![1];
    assert.is(await killer.ask("CLIENT", "KILL", "ID", id), ":0\r\n");
    killer.send(cmd("CLIENT", "KILL", "ID", id, "SKIPME", "no") + cmd("PING"));
    assert.is(await killer.rest(), ":1\r\n");
  }
});

ours("users with restrictions end no other clients", async () => {
  const main = await Wire.open(port("users"));
  assert.is(await main.ask("AUTH", "main"), "+OK\r\n");
  const id = /:(\d+)/.exec(await main.ask("CLIENT", "ID"))![1];
  const no = "-NOPERM this user has no permissions to run the 'client|kill' command\r\n";
  for (const name of ["ro", "part"]) {
    await withWire(port("users"), async (other) => {
      assert.is(await other.ask("AUTH", name, "pw"), "+OK\r\n");
      assert.is(await other.ask("CLIENT", "KILL", "ID", id), no);
      assert.is(await other.ask("CLIENT", "KILL", "TYPE", "normal"), no);
      assert.is(await main.ask("PING"), "+PONG\r\n");
      const mine = /:(\d+)/.exec(await other.ask("CLIENT", "ID"))![1];
      assert.is(await main.ask("CLIENT", "KILL", "USER", name), ":1\r\n");
      assert.is.not(mine, id);
      await until("it to be closed", () => Promise.resolve(other.ended));
    });
  }
  assert.is(await main.ask("CLIENT", "KILL", "USER", "nobody"), "-ERR No such user 'nobody'\r\n");
  main.close();
});

ours("DEBUG works where the configuration opens it, and nowhere else", async () => {
  assert.match(await wire.ask("DEBUG", "SLEEP", "0"), /^-ERR 'debug' is not supported by ringmux/);
  await withWire(port("debug"), async (other) => {
    for (const key of KEYS) assert.is(await other.ask("SET", key, "v"), "+OK\r\n");
    for (const key of KEYS) {
      assert.match(await other.ask("DEBUG", "OBJECT", key), /^\+Value at:.* encoding:embstr/);
      assert.match(await other.ask("DEBUG", "DIGEST-VALUE", key), /^\*1\r\n\+[0-9a-f]{40}\r\n$/);
    }
    const none = "-ERR no such key\r\n";
    assert.is(await other.ask("DEBUG", "OBJECT", "none"), none);
    assert.match(await other.ask("DEBUG", "DIGEST-VALUE", "{t}a", "{t}b"), /^\*2\r\n/);
    assert.match(
      await other.ask("DEBUG", "DIGEST-VALUE", ...KEYS),
      /^-CROSSSLOT .*'DEBUG' cannot be split/,
    );
    await each("CONFIG", "RESETSTAT");
    assert.is(await other.ask("DEBUG", "SLEEP", "0"), "+OK\r\n");
    assert.is(await other.ask("DEBUG", "RELOAD"), "+OK\r\n");
    for (const info of await each("INFO", "commandstats")) {
      assert.match(info, /cmdstat_debug:calls=2,/);
    }
    assert.is(await other.ask("DBSIZE"), `:${KEYS.length}\r\n`);
    assert.is(await other.ask("DEBUG", "SET-ACTIVE-EXPIRE", "1"), "+OK\r\n");
    assert.match(await other.ask("DEBUG", "JMAP"), /^-ERR unknown subcommand or wrong number/i);
    for (const sub of ["SEGFAULT", "POPULATE", "DIGEST", "PROTOCOL", "NOPE"]) {
      const name = sub.toLowerCase();
      assert.match(
        await other.ask("DEBUG", sub, "1"),
        `-ERR 'debug ${name}' is not supported by ringmux: `,
      );
    }
  });
});

ours("scripts and functions are on every server", async () => {
  const sha =
    /\r\n(\w{40})\r\n/.exec(await wire.ask("SCRIPT", "LOAD", "return KEYS[1] or 'no'"))![1];
  for (const reply of await each("SCRIPT", "EXISTS", sha)) assert.is(reply, "*1\r\n:1\r\n");
  for (const key of KEYS) assert.is(await wire.ask("EVALSHA", sha, 1, key), bulk(key));
  assert.is(await wire.ask("EVALSHA", sha, 0), bulk("no"));
  // One server has lost it: clients load it again.
  assert.is(await own[1].ask("SCRIPT", "FLUSH"), "+OK\r\n");
  assert.is(await wire.ask("SCRIPT", "EXISTS", sha), "*1\r\n:0\r\n");
  const replies = await Promise.all(
    KEYS.map(async (key) => await wire.ask("EVALSHA", sha, 1, key)),
  );
  assert.ok(replies.some((reply) => reply.startsWith("-NOSCRIPT ")));
  assert.is(await wire.ask("SCRIPT", "LOAD", "return KEYS[1] or 'no'"), bulk(sha));
  for (const key of KEYS) assert.is(await wire.ask("EVALSHA", sha, 1, key), bulk(key));
  assert.is(await wire.ask("SCRIPT", "FLUSH", "ASYNC"), "+OK\r\n");
  assert.is((await each("SCRIPT", "EXISTS", sha)).join(""), "*1\r\n:0\r\n".repeat(3));
  assert.match(await wire.ask("SCRIPT", "KILL"), /^-NOTBUSY /);

  const code = "#!lua name=lib\nredis.register_function{function_name='f', flags={'no-writes'}, " +
    "callback=function(keys, args) return keys[1] or args[1] or 'none' end}";
  assert.is(await wire.ask("FUNCTION", "LOAD", code), bulk("lib"));
  assert.match(await wire.ask("FUNCTION", "LOAD", code), /^-ERR Library 'lib' already exists/);
  assert.is(await wire.ask("FUNCTION", "LOAD", "REPLACE", code), bulk("lib"));
  for (const key of KEYS) {
    assert.is(await wire.ask("FCALL", "f", 1, key), bulk(key));
    assert.is(await wire.ask("FCALL_RO", "f", 1, key, "x"), bulk(key));
  }
  assert.is(await wire.ask("FCALL", "f", 0), bulk("none"));
  assert.is(await wire.ask("FCALL_RO", "f", 0, "arg"), bulk("arg"));
  assert.match(await wire.ask("FCALL", "f", KEYS.length, ...KEYS), /^-CROSSSLOT /);
  for (const reply of await each("FUNCTION", "LIST")) {
    assert.is(await wire.ask("FUNCTION", "LIST"), reply);
  }
  assert.match(await wire.ask("FUNCTION", "STATS"), /libraries_count\r\n:1\r\n/);
  assert.match(await wire.ask("FUNCTION", "KILL"), /^-NOTBUSY /);
  const dump = await wire.ask("FUNCTION", "DUMP");
  const body = dump.slice(dump.indexOf("\r\n") + 2, -2);
  assert.is(await wire.ask("FUNCTION", "DELETE", "lib"), "+OK\r\n");
  assert.is((await each("FUNCTION", "LIST")).join(""), "*0\r\n".repeat(3));
  assert.match(await wire.ask("FUNCTION", "DELETE", "lib"), /^-ERR Library not found/);
  assert.is(await wire.ask("FUNCTION", "RESTORE", body), "+OK\r\n");
  for (const key of KEYS) assert.is(await wire.ask("FCALL", "f", 1, key), bulk(key));
  assert.is(await wire.ask("FUNCTION", "FLUSH", "SYNC"), "+OK\r\n");
  assert.is((await each("FUNCTION", "LIST")).join(""), "*0\r\n".repeat(3));
});

ours("MEMORY USAGE, OBJECT, MOVE and COPY go to the key's server", async () => {
  for (const key of KEYS) {
    await wire.ask("SET", key, "v");
    assert.match(await wire.ask("MEMORY", "USAGE", key, "SAMPLES", 0), /^:\d+\r\n$/);
    assert.is(await wire.ask("OBJECT", "ENCODING", key), bulk("embstr"));
    assert.match(await wire.ask("OBJECT", "IDLETIME", key), /^:\d+\r\n$/);
    assert.match(await wire.ask("OBJECT", "FREQ", key), /^-ERR An LFU maxmemory policy is not/);
    assert.is(await wire.ask("COPY", key, key, "DB", 2), ":1\r\n");
    assert.is(await wire.ask("COPY", key, key, "DB", 2), ":0\r\n");
    assert.is(await wire.ask("COPY", key, key, "DB", 2, "REPLACE"), ":1\r\n");
    assert.is(await wire.ask("MOVE", key, 3), ":1\r\n");
  }
  assert.is(await wire.ask("DBSIZE"), ":0\r\n");
  for (const db of [2, 3]) {
    assert.is(await wire.ask("SELECT", db), "+OK\r\n");
    assert.is(await wire.ask("DBSIZE"), `:${KEYS.length}\r\n`);
    assert.is(await wire.ask("MGET", ...KEYS), array(...KEYS.map(() => "v")));
  }
  // FLUSHDB empties the database that is selected, on every server, FLUSHALL all of them.
  assert.is(await wire.ask("FLUSHDB", "SYNC"), "+OK\r\n");
  assert.is(await wire.ask("DBSIZE"), ":0\r\n");
  assert.is(await wire.ask("SELECT", 2), "+OK\r\n");
  assert.is(await wire.ask("DBSIZE"), `:${KEYS.length}\r\n`);
  assert.match(await wire.ask("FLUSHDB", "WHAT"), /^-ERR syntax error/);
  assert.is(await wire.ask("FLUSHALL", "ASYNC"), "+OK\r\n");
  assert.is((await each("DBSIZE")).join(""), ":0\r\n".repeat(3));
});

ours("CONFIG: GET of the first server, RESETSTAT on all, SET and REWRITE refused", async () => {
  for (const [i, one] of own.entries()) await one.ask("CONFIG", "SET", "hz", 11 + i);
  assert.is(await wire.ask("CONFIG", "GET", "hz"), array("hz", "11"));
  await each("GET", "none");
  assert.is(await wire.ask("CONFIG", "RESETSTAT"), "+OK\r\n");
  for (const info of await each("INFO", "commandstats")) assert.not.match(info, "cmdstat_get:");
  for (const words of [["SET", "hz", "20"], ["REWRITE"]]) {
    const name = `config ${words[0].toLowerCase()}`;
    assert.match(
      await wire.ask("CONFIG", ...words),
      `-ERR '${name}' is not supported by ringmux: `,
    );
  }
  assert.is(await own[1].ask("CONFIG", "GET", "hz"), array("hz", "12"));
  const now = Date.now() / 1000;
  const [, seconds] = /^\*2\r\n\$10\r\n(\d+)\r\n/.exec(await wire.ask("TIME"))!;
  assert.ok(Math.abs(Number(seconds) - now) < 60);
  const saved = (await each("LASTSAVE")).map((reply) => Number(reply.slice(1)));
  assert.is(await wire.ask("LASTSAVE"), `:${Math.min(...saved)}\r\n`);
});

ours("MONITOR where it is open: what each server tells, in each server's order", async () => {
  await withWire(port("debug"), async (monitor) => {
    assert.is(await monitor.ask("MONITOR"), "+OK\r\n");
    // What a server tells a client of its own, beside what the proxy's clients are told.
    const direct = await Promise.all(servers.map((server) => Wire.open(server.port)));
    try {
      for (const one of direct) assert.is(await one.ask("MONITOR"), "+OK\r\n");
      for (const key of KEYS) await wire.ask("SET", key, 'a "quoted" \\ value');
      monitor.send(cmd("PING"));
      for (const one of own) await one.ask("ECHO", "last");
      const told = async (one: Wire, n: number): Promise<string[]> => {
        const lines: string[] = [];
        while (lines.filter((line) => line.endsWith('"ECHO" "last"\r\n')).length < n) {
          lines.push(await one.reply());
        }
        return lines;
      };
      const all = await told(monitor, servers.length);
      assert.ok(all.includes("+PONG\r\n"), "commands go on");
      for (const one of direct) {
        const lines = await told(one, 1);
        assert.ok(lines.length > 1);
        assert.equal(all.filter((line) => lines.includes(line)), lines);
      }
      assert.is(await monitor.ask("RESET"), "+RESET\r\n");
    } finally {
      for (const one of direct) one.close();
    }
  });
});

ours("what administers one server is one clear error, and the connection stays", async () => {
  const lines = [
    ...["SWAPDB 0 1", "MONITOR", "SYNC", "PSYNC ? -1", "REPLICAOF no one", "SLAVEOF no one"],
    ...["SHUTDOWN NOSAVE", "SAVE", "BGSAVE", "BGREWRITEAOF", "FAILOVER", "REPLCONF ack 1"],
    ...["LATENCY DOCTOR", "LATENCY HISTOGRAM", "MEMORY STATS", "MEMORY DOCTOR"],
    ...["MIGRATE h 1 k 0 10", "MODULE LOAD x", "MODULE UNLOAD x", "ACL SETUSER x", "ACL LIST"],
    ...["SCRIPT DEBUG yes", "DEBUG RELOAD"],
  ];
  await each("CONFIG", "RESETSTAT");
  for (const line of lines) {
    const reply = await wire.ask(...line.split(" "));
    assert.match(reply, /^-ERR '[a-z- ]+' is not supported by ringmux: [a-z].*\r\n$/, line);
  }
  const off = "-ERR This instance has cluster support disabled\r\n";
  for (const sub of ["INFO", "NODES", "SLOTS", "SHARDS", "MYID", "COUNTKEYSINSLOT 1"]) {
    assert.is(await wire.ask("CLUSTER", ...sub.split(" ")), off);
  }
  assert.is(await wire.ask("PING"), "+PONG\r\n");
  for (const info of await each("INFO", "commandstats")) {
    assert.not.match(info, /cmdstat_(swapdb|save|bgsave|shutdown|replicaof|monitor|debug)/);
  }
});

test.run();
