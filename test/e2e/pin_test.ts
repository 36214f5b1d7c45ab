// Transactions and blocking commands, which take a server connection of their own: with the client
// libraries people use, with many clients at once, and byte by byte beside a real redis-server.
// Needs: redis-server

import { test } from "uvu";
import * as assert from "uvu/assert";
import { Redis } from "ioredis";
import { createClient } from "redis";
import {
  array,
  at,
  bulk,
  cmd,
  exchange,
  type ProxyProcess,
  random,
  sameBytes,
  type ServerProcess,
  several,
  startProxy,
  startRedis,
  until,
  Wire,
} from "./harness.ts";

let servers: ServerProcess[];
/** The server that runs the same scripts by itself. */
let alone: ServerProcess;
let proxy: ProxyProcess;
let port: number;
let mortal: ServerProcess;

test.before(async () => {
  servers = await several(3, startRedis);
  const small = await startRedis();
  mortal = await startRedis();
  const single = await startRedis();
  alone = await startRedis();
  proxy = await startProxy({
    many: {
      redis: true,
      timeout: 2000,
      hash_tag: '"{}"',
      servers: servers.map((server) => at(server)),
    },
    one: { redis: true, servers: [at(single)] },
    small: { redis: true, pinned_connections: 2, servers: [at(small)] },
    lost: { redis: true, servers: [at(mortal)] },
  });
  port = proxy.ports.many;
});

/** How many clients of a pool's servers have a connection of their own. */
async function pins(pool: string): Promise<number> {
  const stats = Object.values((await proxy.stats())[pool]) as Record<string, number>[];
  return stats.reduce((sum, server) => sum + (server.pinned_connections ?? 0), 0);
}

/** Waits until a server says that so many of its clients are blocked. */
async function blocked(server: ServerProcess, n: number): Promise<void> {
  const wire = await Wire.open(server.port);
  await until(`${n} blocked clients`, async () => {
    return (await wire.ask("INFO", "clients")).includes(`blocked_clients:${n}\r\n`);
  });
  wire.close();
}

/** The server of a key: the one that has it after a SET through the proxy. */
async function ownerOf(key: string): Promise<ServerProcess> {
  const wire = await Wire.open(port);
  await wire.ask("SET", key, "x");
  for (const server of servers) {
    const direct = await Wire.open(server.port);
    const found = await direct.ask("EXISTS", key);
    direct.close();
    if (found !== ":1\r\n") continue;
    await wire.ask("DEL", key);
    wire.close();
    return server;
  }
  throw new Error(`no server has ${key}`);
}

test("ioredis: multi, exec, and null when a watched key has changed", async () => {
  const redis = new Redis({ host: "127.0.0.1", port });
  const results = await redis.multi().set("io", "1").incr("io").get("io").exec();
  assert.equal(results, [[null, "OK"], [null, 2], [null, "2"]]);
  await redis.watch("io");
  const other = await Wire.open(port);
  await other.ask("SET", "io", "9");
  assert.is(await redis.multi().incr("io").exec(), null);
  await redis.watch("io");
  assert.equal(await redis.multi().incr("io").exec(), [[null, 10]]);
  assert.is(await redis.get("io"), "10");
  await redis.watch("io");
  await redis.unwatch();
  await other.ask("SET", "io", "0");
  assert.equal(await redis.multi().incr("io").exec(), [[null, 1]]);
  await redis.multi().set("io", "x").discard();
  other.close();
  redis.disconnect();
  await until("all connections to be given back", async () => await pins("many") === 0);
});

for (const RESP of [2, 3] as const) {
  test(`node-redis, RESP${RESP}: multi, exec, a watch conflict, and a blocking pop`, async () => {
    const open = async () =>
      await createClient({ RESP, socket: { host: "127.0.0.1", port } }).connect();
    const redis = await open();
    const other = await open();
    const key = `node${RESP}`;
    assert.equal(await redis.multi().set(key, "1").incr(key).get(key).exec(), ["OK", 2, "2"]);
    await redis.watch(key);
    await other.set(key, "7");
    let conflict = "";
    await redis.multi().incr(key).exec().catch((error) => conflict = error.constructor.name);
    assert.is(conflict, "WatchError");
    const server = await ownerOf(`list${RESP}`);
    const popped = redis.blPop(`list${RESP}`, 0);
    await blocked(server, 1);
    await other.lPush(`list${RESP}`, "element");
    assert.equal({ ...await popped }, { key: `list${RESP}`, element: "element" });
    redis.destroy();
    other.destroy();
  });
}

test("BLPOP is woken by another client's push, and a third one works meanwhile", async () => {
  const server = await ownerOf("list");
  const [waiting, pusher, third] = await several(3, () => Wire.open(port));
  waiting.send(cmd("BLPOP", "list", 0) + cmd("ECHO", "after"));
  await blocked(server, 1);
  for (let i = 0; i < 200; i++) {
    assert.is(await third.ask("INCR", "{list}n"), `:${i + 1}\r\n`);
    assert.is(await third.ask("LLEN", "list"), ":0\r\n");
  }
  assert.is(waiting.peek().length, 0);
  assert.is(await pins("many"), 1);
  assert.is(await pusher.ask("LPUSH", "list", "x"), ":1\r\n");
  assert.equal(await waiting.replies(2), [array("list", "x"), bulk("after")]);
  for (const wire of [waiting, pusher, third]) wire.close();
});

test("a blocking command may wait longer than the pool's timeout", async () => {
  const wire = await Wire.open(port);
  assert.is(await wire.ask("BLPOP", "none", 2.6), "*-1\r\n");
  wire.close();
});

for (const how of ["FIN", "RST"]) {
  test(`when a client in BLPOP leaves (${how}), what is pushed then is not lost`, async () => {
    const server = await ownerOf("queue");
    const [leaver, other] = await several(2, () => Wire.open(port));
    leaver.send(cmd("BLPOP", "queue", 0));
    await blocked(server, 1);
    if (how === "FIN") leaver.close();
    else leaver.socket.resetAndDestroy();
    await blocked(server, 0);
    assert.is(await other.ask("RPUSH", "queue", "kept"), ":1\r\n");
    assert.is(await other.ask("LPOP", "queue"), bulk("kept"));
    other.close();
  });
}

test("XREAD BLOCK waits for an entry", async () => {
  const server = await ownerOf("stream");
  const [reader, writer] = await several(2, () => Wire.open(port));
  reader.send(cmd("XREAD", "BLOCK", 0, "STREAMS", "stream", "$"));
  await blocked(server, 1);
  assert.is(await writer.ask("XADD", "stream", "1-1", "f", "v"), bulk("1-1"));
  const entry = `*2\r\n${bulk("1-1")}${array("f", "v")}`;
  assert.is(await reader.reply(), `*1\r\n*2\r\n${bulk("stream")}*1\r\n${entry}`);
  assert.is(await reader.ask("XREAD", "BLOCK", 10, "STREAMS", "stream", "$"), "*-1\r\n");
  reader.close();
  writer.close();
});

test("every blocking command is carried out", async () => {
  const wire = await Wire.open(port);
  const ask = async (line: string) => await wire.ask(...line.split(" "));
  await ask("RPUSH {b}l 1 2 3 4 5");
  assert.is(await ask("BLPOP {b}none {b}l 0"), array("{b}l", "1"));
  assert.is(await ask("BRPOP {b}l 1"), array("{b}l", "5"));
  assert.is(await ask("BLMOVE {b}l {b}m LEFT RIGHT 0"), bulk("2"));
  assert.is(await ask("BRPOPLPUSH {b}l {b}m 0"), bulk("4"));
  assert.is(await ask("BLMPOP 0 1 {b}l LEFT"), `*2\r\n${bulk("{b}l")}${array("3")}`);
  await ask("ZADD {b}z 1 a 2 b 3 c");
  assert.is(await ask("BZPOPMIN {b}z 0"), array("{b}z", "a", "1"));
  assert.is(await ask("BZPOPMAX {b}z 0"), array("{b}z", "c", "3"));
  assert.is(await ask("BZMPOP 0 1 {b}z MIN"), `*2\r\n${bulk("{b}z")}*1\r\n${array("b", "2")}`);
  wire.close();
});

test("at the bound of pinned connections the answer names the setting", async () => {
  const wires = await several(3, () => Wire.open(proxy.ports.small));
  for (const wire of wires.slice(0, 2)) assert.is(await wire.ask("WATCH", "k"), "+OK\r\n");
  assert.match(await wires[2].ask("BLPOP", "k", 0), /^-ERR .* all 2 pinned_connections /);
  assert.is(await wires[2].ask("GET", "k"), "$-1\r\n");
  assert.is(await pins("small"), 2);
  wires[0].close();
  await until("a connection to be free", async () => await pins("small") === 1);
  assert.is(await wires[2].ask("BLPOP", "k", 0.01), "*-1\r\n");
  for (const wire of wires) wire.close();
});

test("a server that dies in a transaction: errors, and then all is as before", async () => {
  const wire = await Wire.open(proxy.ports.lost);
  await wire.ask("MULTI");
  assert.is(await wire.ask("SET", "k", "v"), "+QUEUED\r\n");
  const waiting = await Wire.open(proxy.ports.lost);
  waiting.send(cmd("BLPOP", "none", 0));
  await blocked(mortal, 1);
  const server = await Wire.open(mortal.port);
  await server.ask("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes");
  assert.match(await waiting.reply(), /^-ERR /);
  assert.match(await wire.ask("SET", "k", "w"), /^-ERR /);
  assert.match(await wire.ask("EXEC"), /^-EXECABORT /);
  assert.is(await wire.ask("GET", "k"), "$-1\r\n");
  assert.is(await wire.ask("EXEC"), "-ERR EXEC without MULTI\r\n");
  for (const one of [wire, waiting, server]) one.close();
});

test("transactions of 50 clients at once are whole, in order, and each client's own", async () => {
  const converse = async (client: number): Promise<void> => {
    const wire = await Wire.open(port);
    const rand = random(client + 1);
    const tag = `{${client % 7}}`;
    for (let round = 0; round < 20; round++) {
      // A list that all clients of a tag push to: a transaction's elements stand together.
      const mark = `${client}:${round}`;
      const n = 1 + rand(6);
      let request = cmd("SET", `own:${client}`, round) + cmd("MULTI");
      let expected = "+OK\r\n+OK\r\n";
      const length = `list:${tag}`;
      for (let i = 0; i < n; i++) {
        request += cmd("RPUSH", length, `${mark}:${i}:${n}`);
        expected += "+QUEUED\r\n";
      }
      request += cmd("ECHO", mark) + cmd("EXEC") + cmd("GET", `own:${client}`);
      expected += "+QUEUED\r\n";
      for (let pos = 0; pos < request.length;) {
        const next = pos + 1 + rand(300);
        wire.send(request.slice(pos, next));
        if (rand(5) === 0) await wire.flushed();
        pos = next;
      }
      sameBytes(await wire.read(expected.length), expected, `client ${client}, round ${round}`);
      const exec = await wire.reply();
      const lengths = [...exec.matchAll(/:(\d+)\r\n/g)].slice(0, n).map((m) => Number(m[1]));
      assert.ok(lengths.every((l, i) => i === 0 || l === lengths[i - 1] + 1), exec);
      assert.ok(exec.endsWith(bulk(mark)), exec);
      assert.is(await wire.reply(), bulk(String(round)));
    }
    assert.is(await wire.half().rest(), "");
  };
  await Promise.all(Array.from({ length: 50 }, (_, client) => converse(client)));
  const wire = await Wire.open(port);
  for (let t = 0; t < 7; t++) {
    const all = [...(await wire.ask("LRANGE", `list:{${t}}`, 0, -1)).matchAll(/\d+:\d+:\d+:\d+/g)]
      .map(([element]) => element.split(":"));
    assert.ok(all.length > 0);
    for (let i = 0; i < all.length; i += Number(all[i][3])) {
      const [client, round, , n] = all[i];
      const together = all.slice(i, i + Number(n)).map((element) => element.join(":"));
      const wanted = together.map((_, j) => `${client}:${round}:${j}:${n}`);
      assert.equal(together, wanted);
    }
  }
  wire.close();
  await until("all connections to be given back", async () => await pins("many") === 0);
});

test("increments under WATCH by 20 clients lose none", async () => {
  const increment = async (): Promise<number> => {
    const wire = await Wire.open(port);
    let conflicts = 0;
    for (let done = 0; done < 5;) {
      await wire.ask("WATCH", "sum");
      const value = Number(/\d+(?=\r\n$)/.exec(await wire.ask("GET", "sum"))?.[0] ?? 0);
      wire.send(cmd("MULTI") + cmd("SET", "sum", value + 1) + cmd("EXEC"));
      const [, , exec] = await wire.replies(3);
      if (exec === "*-1\r\n") conflicts++;
      else done++;
    }
    wire.close();
    return conflicts;
  };
  await (await Wire.open(port)).ask("SET", "sum", 0);
  await Promise.all(Array.from({ length: 20 }, increment));
  assert.is(await (await Wire.open(port)).ask("GET", "sum"), bulk("100"));
});

// The same bytes to the proxy and to a redis-server: the same bytes come back. A line is a command.
const SCRIPTS: Record<string, string> = {
  "a transaction": "MULTI|SET a 1|INCR a|GET a|EXEC|GET a",
  "an empty transaction": "MULTI|EXEC",
  "no keys": "MULTI|PING|ECHO hi|PING hi|EXEC",
  "no keys, then one": "MULTI|PING|SET a 1|ECHO x|EXEC",
  "discard": "MULTI|SET a 1|DISCARD|GET a",
  "discard of nothing": "MULTI|DISCARD|GET a",
  "EXEC without MULTI": "EXEC|GET a",
  "DISCARD without MULTI": "DISCARD|GET a",
  "UNWATCH of nothing": "UNWATCH|GET a",
  "nested MULTI": "MULTI|MULTI|SET a 1|EXEC",
  "nested MULTI after a key": "MULTI|SET a 1|MULTI|EXEC|GET a",
  "WATCH inside": "MULTI|WATCH a|SET a 1|EXEC",
  "WATCH inside after a key": "MULTI|SET a 1|WATCH a|EXEC",
  "UNWATCH inside": "WATCH a|MULTI|UNWATCH|SET a 1|EXEC",
  "a wrong number of arguments": "MULTI|SET a|SET a 1|EXEC|GET a",
  "a wrong number after a key": "MULTI|SET a 1|GET|EXEC|GET a",
  "an unknown command": "MULTI|NOPE x y|SET a 1|EXEC|GET a",
  "an unknown command after a key": "MULTI|SET a 1|NOPE|EXEC|GET a",
  "an error, then DISCARD": "MULTI|SET a 1|NOPE|DISCARD|GET a|MULTI|SET a 2|EXEC",
  "EXEC with an argument": "MULTI|SET a 1|EXEC now|EXEC",
  "DISCARD with an argument": "MULTI|SET a 1|DISCARD now|EXEC",
  "EXEC with an argument and no MULTI": "EXEC now|GET a",
  "EXEC with an argument, then a transaction": "MULTI|EXEC now|MULTI|SET a 1|EXEC",
  "MULTI with an argument": "MULTI now|SET a 1|EXEC",
  "WATCH without a key": "WATCH|MULTI|EXEC",
  "an error while it is carried out": "MULTI|SET a x|LPUSH a y|INCR a|GET a|EXEC",
  "multi-key commands": "MULTI|MSET a 1 b 2|MGET a b c|DEL a b|EXISTS a b|EXEC",
  "commands of all servers": "SET a 1|MULTI|DBSIZE|KEYS *|FLUSHALL|DBSIZE|EXEC",
  "WATCH and no change": "SET a 1|WATCH a|GET a|MULTI|INCR a|EXEC|GET a",
  "a change by the client itself": "WATCH a|SET a 1|MULTI|GET a|EXEC|GET a",
  "a change of another key": "WATCH a b|SET c 1|MULTI|GET a|EXEC",
  "WATCH, UNWATCH, change": "WATCH a|UNWATCH|SET a 1|MULTI|GET a|EXEC",
  "WATCH, DISCARD, change": "WATCH a|MULTI|DISCARD|SET a 1|MULTI|GET a|EXEC",
  "WATCH twice": "WATCH a|WATCH b|SET b 1|MULTI|GET a|EXEC|MULTI|GET b|EXEC",
  "WATCH and a multi-key command": "WATCH a|MSET a 1 b 2|MULTI|EXEC",
  "WATCH and a command of all servers": "SET a 1|WATCH a|FLUSHALL|MULTI|GET a|EXEC",
  "two transactions": "MULTI|SET a 1|EXEC|MULTI|INCR a|EXEC|GET a",
  "RESET inside": "MULTI|SET a 1|RESET|EXEC|GET a",
  "RESET of WATCH": "WATCH a|RESET|SET a 1|MULTI|GET a|EXEC",
  "QUIT inside": "MULTI|SET a 1|QUIT|EXEC",
  "a blocking command inside":
    "MULTI|BLPOP a 0|RPUSH a x|BLPOP a b 0|XREAD BLOCK 0 STREAMS s $|EXEC",
  "a script inside": "MULTI|EVAL return(KEYS[1]) 1 a|EVAL return{1,{2}} 0|EXEC",
  "a sort inside": "RPUSH a 3 1 2|MULTI|SORT a|SORT a STORE b|EXEC",
  "a blocking command with something there": "RPUSH a x y|BLPOP a 0|BRPOP b a 0|LLEN a",
  "a blocking command that times out": "BLPOP a 0.01|GET a",
  "a blocking command of another type": "SET a x|BLPOP a 0|GET a",
  "a timeout that is none":
    "BLPOP a x|BLPOP a -1|BLMPOP x 1 a LEFT|XREAD BLOCK x STREAMS s $|GET a",
  "a count that is none": "BLMPOP 0 9 a LEFT|BZMPOP 0 x a MIN|GET a",
  "a blocking command after WATCH": "WATCH a|RPUSH a x|BLPOP a 0|MULTI|LLEN a|EXEC",
  "an empty line inside": "MULTI||SET a 1||EXEC",
  "RESP3": "HELLO 3 SETNAME x|MULTI|HSET h f v|HGETALL h|EXEC|WATCH a|SET a 1|MULTI|GET a|EXEC",
};

const comparable = (reply: string): string => reply.replace(/\$2\r\nid\r\n:\d+/, "id");

for (const [title, script] of Object.entries(SCRIPTS)) {
  test(`${title}: the same bytes as redis-server`, async () => {
    const lines = script.split("|");
    const arrays = lines.map((line) => line === "" ? "\r\n" : cmd(...line.split(" "))).join("");
    const inline = lines.map((line) => `${line}\r\n`).join("");
    for (const input of [arrays, inline]) {
      const got: string[] = [];
      for (const target of [alone.port, proxy.ports.one]) {
        await exchange(target, cmd("FLUSHALL"));
        const wire = await Wire.open(target);
        // The mark at the end says that all is there; a FIN would end what blocks.
        const mark = title === "QUIT inside" ? "" : cmd("ECHO", "the end");
        wire.send(input + mark);
        const reply = mark === "" ? await wire.rest() : await wire.readUntil(bulk("the end"));
        got.push(comparable(reply));
        wire.close();
      }
      sameBytes(got[1], got[0], title);
    }
  });
}

test.run();
