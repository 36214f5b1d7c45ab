// What holds on to a slot of a real Redis Cluster while the slot goes to another node: transactions,
// WATCH, and commands that block. The proxy does them again there, and the client sees nothing of it.

import * as assert from "uvu/assert";
import { test } from "uvu";
import {
  array,
  at,
  bulk,
  type Cluster,
  cmd,
  needs,
  type ProxyProcess,
  readPage,
  startCluster,
  startProxy,
  until,
  Wire,
} from "./harness.ts";

const clusterTest = needs("redis", "redisCli");

let cluster: Cluster;
let proxy: ProxyProcess;

test.before(async () => {
  cluster = await startCluster(3, 0).catch((error) => {
    console.log(error); // uvu keeps it to itself
    throw error;
  });
  proxy = await startProxy({
    pool: {
      redis: true,
      distribution: "cluster",
      servers: cluster.ports.map((port) => at(port)),
      wait: 2000,
    },
  });
});

clusterTest(
  "a transaction over a slot that is moving: done whole, wherever its keys are",
  async () => {
    const wire = await Wire.open(proxy.port);
    await wire.ask("MSET", "{m}a", "1", "{m}b", "2");
    const { slot, owner, others: [to, back] } = await cluster.whose("{m}a");
    const transaction = cmd("MULTI") + cmd("INCR", "{m}a") + cmd("PING") + cmd("INCR", "{m}a") +
      cmd("EXEC");
    // The key is at the new node already, the slot is not.
    await cluster.beginMove(slot, owner, to, ["{m}a"]);
    wire.send(transaction);
    const queued = "+QUEUED\r\n";
    const done = (
      n: number,
    ) => ["+OK\r\n", queued, queued, queued, `*3\r\n:${n}\r\n+PONG\r\n:${n + 1}\r\n`];
    assert.equal(await wire.replies(5), done(2));
    // Bit by bit.
    assert.is(await wire.ask("MULTI"), "+OK\r\n");
    assert.is(await wire.ask("INCR", "{m}a"), queued);
    assert.is(await wire.ask("PING"), queued);
    assert.is(await wire.ask("INCR", "{m}a"), queued);
    assert.is(await wire.ask("EXEC"), "*3\r\n:4\r\n+PONG\r\n:5\r\n");
    // Queued at the old node, and EXEC finds the key gone.
    assert.is(await wire.ask("MULTI"), "+OK\r\n");
    assert.is(await wire.ask("INCR", "{m}b"), queued);
    await cluster.moveKeys(owner, to, ["{m}b"]);
    assert.is(await wire.ask("EXEC"), "*1\r\n:3\r\n");
    // Queued before the slot is another's; EXEC comes after.
    assert.is(await wire.ask("MULTI"), "+OK\r\n");
    assert.is(await wire.ask("SET", "{m}new", "x"), queued);
    await cluster.endMove(slot, owner, to);
    assert.is(await wire.ask("EXEC"), "*1\r\n+OK\r\n");
    wire.send(transaction);
    assert.equal(await wire.replies(5), done(6));
    // DISCARD, and an error of the client's own.
    await cluster.beginMove(slot, to, back, ["{m}a"]);
    assert.is(await wire.ask("MULTI"), "+OK\r\n");
    assert.is(await wire.ask("INCR", "{m}a"), queued);
    assert.is(await wire.ask("DISCARD"), "+OK\r\n");
    assert.is(await wire.ask("GET", "{m}a"), bulk("7"));
    wire.send(cmd("MULTI") + cmd("INCR", "{m}a") + cmd("INCR") + cmd("EXEC"));
    const replies = await wire.replies(4);
    assert.match(replies[2], /^-ERR wrong number/);
    assert.match(replies[3], /^-EXECABORT/);
    await cluster.endMove(slot, to, back);
    // Many clients, many transactions, while the slot goes there and back.
    const wires = await Promise.all(Array.from({ length: 5 }, () => Wire.open(proxy.port)));
    let moving = true;
    const total = Promise.all(wires.map(async (each) => {
      let n = 0;
      for (; moving; n++) {
        each.send(cmd("MULTI") + cmd("INCR", "{m}n") + cmd("EXEC"));
        const [ok, q, reply] = await each.replies(3);
        assert.is(ok + q, "+OK\r\n+QUEUED\r\n");
        assert.match(reply, /^\*1\r\n:\d+\r\n$/);
      }
      return n;
    }));
    for (const [a, b] of [[back, to], [to, owner], [owner, back]]) {
      await cluster.beginMove(slot, a, b, ["{m}a", "{m}n"]);
      await cluster.endMove(slot, a, b);
    }
    moving = false;
    const sum = (await total).reduce((all, n) => all + n, 0);
    assert.is(await wire.ask("GET", "{m}n"), bulk(String(sum)));
  },
);

clusterTest("WATCH over a slot that is moving: nil, or done; never both", async () => {
  const wire = await Wire.open(proxy.port);
  await wire.ask("MSET", "{w}a", "1", "{w}b", "2");
  const { slot, owner, others: [to, back] } = await cluster.whose("{w}a");
  assert.is(await wire.ask("WATCH", "{w}a"), "+OK\r\n");
  await cluster.beginMove(slot, owner, to, ["{w}a"]);
  wire.send(cmd("MULTI") + cmd("INCR", "{w}a") + cmd("EXEC"));
  assert.equal(await wire.replies(3), ["+OK\r\n", "+QUEUED\r\n", "*-1\r\n"]);
  // At the node that has it only for now.
  assert.is(await wire.ask("WATCH", "{w}a"), "+OK\r\n");
  assert.is(await wire.ask("GET", "{w}a"), bulk("1"));
  assert.is(await wire.ask("MULTI"), "+OK\r\n");
  assert.is(await wire.ask("INCR", "{w}a"), "+QUEUED\r\n");
  assert.is(await wire.ask("EXEC"), "*1\r\n:2\r\n");
  const other = await Wire.open(proxy.port);
  assert.is(await wire.ask("WATCH", "{w}a"), "+OK\r\n");
  assert.is(await other.ask("INCR", "{w}a"), ":3\r\n");
  wire.send(cmd("MULTI") + cmd("INCR", "{w}a") + cmd("EXEC"));
  assert.equal(await wire.replies(3), ["+OK\r\n", "+QUEUED\r\n", "*-1\r\n"]);
  // The slot is another's between WATCH and MULTI, and the proxy knows.
  assert.is(await wire.ask("WATCH", "{w}b"), "+OK\r\n");
  await cluster.endMove(slot, owner, to);
  assert.is(await other.ask("GET", "{w}b"), bulk("2"));
  assert.is(await wire.ask("GET", "{w}b"), bulk("2"));
  wire.send(cmd("MULTI") + cmd("INCR", "{w}b") + cmd("PING") + cmd("EXEC"));
  assert.equal(
    await wire.replies(4),
    ["+OK\r\n", "+QUEUED\r\n", "+QUEUED\r\n", "*-1\r\n"],
  );
  // WATCH itself is told where to go.
  await cluster.beginMove(slot, to, back, []);
  await cluster.endMove(slot, to, back);
  wire.send(cmd("WATCH", "{w}a") + cmd("MULTI") + cmd("INCR", "{w}a") + cmd("EXEC"));
  assert.equal(
    await wire.replies(4),
    ["+OK\r\n", "+OK\r\n", "+QUEUED\r\n", "*1\r\n:4\r\n"],
  );
  const three = await Wire.open(proxy.port);
  await three.ask("HELLO", "3");
  assert.is(await three.ask("WATCH", "{w}a"), "+OK\r\n");
  await cluster.beginMove(slot, back, to, []);
  await cluster.endMove(slot, back, to);
  three.send(cmd("MULTI") + cmd("INCR", "{w}a") + cmd("EXEC"));
  assert.equal(await three.replies(3), ["+OK\r\n", "+QUEUED\r\n", "_\r\n"]);
});

clusterTest("what blocks goes along with its slot, for the time that is left", async () => {
  const wire = await Wire.open(proxy.port);
  const pusher = await Wire.open(proxy.port);
  const { slot, owner, others: [to, back] } = await cluster.whose("{b}list");
  const blocked = async (port: number, n: number) =>
    await until(
      `${n} to be blocked`,
      async () => (await cluster.say(port, "INFO", "clients")).includes(`blocked_clients:${n}\r\n`),
    );
  wire.send(cmd("BLPOP", "{b}list", "{b}other", "0"));
  const stream = await Wire.open(proxy.port);
  stream.send(cmd("XREAD", "BLOCK", "60000", "STREAMS", "{b}stream", "0"));
  await blocked(owner.port, 2);
  await cluster.beginMove(slot, owner, to, []);
  await cluster.endMove(slot, owner, to);
  await blocked(to.port, 2);
  assert.is(await pusher.ask("RPUSH", "{b}other", "x"), ":1\r\n");
  assert.is((await wire.replies(1))[0], array("{b}other", "x"));
  await pusher.ask("XADD", "{b}stream", "1-1", "f", "v");
  assert.match((await stream.replies(1))[0], /1-1/);
  // Half-moved: a list that is not there is waited for at the new node.
  await cluster.beginMove(slot, to, back, []);
  wire.send(cmd("BLPOP", "{b}list", "60"));
  await blocked(back.port, 1);
  assert.is(await pusher.ask("RPUSH", "{b}list", "y"), ":1\r\n");
  assert.is((await wire.replies(1))[0], array("{b}list", "y"));
  await cluster.endMove(slot, to, back);
  // The time that is over is over.
  wire.send(cmd("BLPOP", "{b}list", "0.3"));
  await blocked(back.port, 1);
  await cluster.beginMove(slot, back, to, []);
  await cluster.endMove(slot, back, to);
  assert.is((await wire.replies(1))[0], "*-1\r\n");
});

clusterTest("a transaction that is too large to be kept is not carried out", async () => {
  const wire = await Wire.open(proxy.port);
  const value = "v".repeat(200_000);
  const { slot, owner, others: [to] } = await cluster.whose("{l}a");
  await wire.ask("SET", "{l}a", "x");
  assert.is(await wire.ask("MULTI"), "+OK\r\n");
  for (let i = 0; i < 6; i++) assert.is(await wire.ask("SET", "{l}a", value), "+QUEUED\r\n");
  await cluster.beginMove(slot, owner, to, ["{l}a"]);
  assert.is(await wire.ask("SET", "{l}a", value), "+QUEUED\r\n");
  assert.is(await wire.ask("EXEC"), "-EXECABORT slot moved\r\n");
  assert.is(await wire.ask("GET", "{l}a"), bulk("x"));
  await cluster.endMove(slot, owner, to);
});

clusterTest("scripts and functions are at every primary, at new ones too", async () => {
  const wire = await Wire.open(proxy.port);
  const script = "return {redis.call('INCR', KEYS[1]), ARGV[1]}";
  const sha = (await wire.ask("SCRIPT", "LOAD", script)).split("\r\n")[1];
  const library = (n: number) =>
    `#!lua name=lib\nredis.register_function('f', function(k) return redis.call('INCRBY', k[1], ${n}) end)`;
  await wire.ask("FUNCTION", "LOAD", library(10));
  const { slot, owner } = await cluster.whose("{s}n");
  // A node that has lost it gets it again, and the request with it.
  await cluster.say(owner.port, "SCRIPT", "FLUSH");
  assert.is(await wire.ask("EVALSHA", sha, "1", "{s}n", "x"), "*2\r\n:1\r\n$1\r\nx\r\n");
  await cluster.say(owner.port, "SCRIPT", "FLUSH");
  assert.is(
    await wire.ask("EVALSHA", sha.toUpperCase(), "1", "{s}n", "y"),
    "*2\r\n:2\r\n$1\r\ny\r\n",
  );
  // What nobody has given stays the client's to give; what a script says is the script's.
  assert.match(await wire.ask("EVALSHA", "0".repeat(40), "1", "{s}n"), /^-NOSCRIPT/);
  const liar = "redis.call('INCR', KEYS[1]); return redis.error_reply('NOSCRIPT sorry')";
  const lie = (await wire.ask("SCRIPT", "LOAD", liar)).split("\r\n")[1];
  assert.match(await wire.ask("EVALSHA", lie, "1", "{s}n"), /^-NOSCRIPT sorry/);
  assert.is(await wire.ask("GET", "{s}n"), bulk("3"), "carried out once");
  // A node that comes; then another library; then it gets a slot.
  const fresh = await cluster.add();
  const has = async (...words: string[]) => await cluster.say(fresh.port, ...words);
  await until(
    "the new node to have the script",
    async () => (await has("SCRIPT", "EXISTS", sha)) === "*1\r\n:1\r\n",
  );
  await until(
    "the new node to have the functions",
    async () => (await has("FUNCTION", "LIST")).includes("lib"),
  );
  assert.is(await wire.ask("FUNCTION", "LOAD", "REPLACE", library(100)), "$3\r\nlib\r\n");
  await until(
    "the new node to have the new ones",
    async () => (await has("FUNCTION", "LIST", "WITHCODE")).includes("k[1], 100"),
  );
  await cluster.beginMove(slot, owner, fresh, []);
  await cluster.endMove(slot, owner, fresh);
  assert.is(await wire.ask("FCALL", "f", "1", "{s}n"), ":103\r\n");
  await cluster.beginMove(slot, fresh, owner, []);
  await cluster.endMove(slot, fresh, owner);
});

clusterTest("several keys of a slot that stays half-moved: key by key", async () => {
  const wire = await Wire.open(proxy.port);
  const { slot, owner, others: [to] } = await cluster.whose("{t}1");
  await wire.ask("MSET", "{t}1", "a", "{t}2", "b", "{t}3", "c", "other", "o");
  await cluster.beginMove(slot, owner, to, ["{t}2"]);
  assert.is(
    await wire.ask("MGET", "{t}3", "{t}2", "{t}none", "{t}1", "{t}2"),
    array("c", "b", null, "a", "b"),
  );
  assert.is(
    await wire.ask("MGET", "other", "{t}3", "{t}2", "none", "{t}1"),
    array("o", "c", "b", null, "a"),
  );
  wire.send(
    cmd("EXISTS", "{t}1", "{t}2", "{t}2", "{t}none") + cmd("TOUCH", "{t}1", "other", "{t}2"),
  );
  assert.equal(await wire.replies(2), [":3\r\n", ":3\r\n"]);
  const many = Array.from({ length: 5000 }, (_, i) => `{t}${i}`);
  const found = await wire.ask("MGET", ...many);
  assert.is(found, array(null, "a", "b", "c", ...many.slice(4).map(() => null)));
  // What is written stays together: it waits until the slot is one node's.
  const set = wire.ask("MSET", "{t}1", "A", "{t}2", "B");
  await until("it to wait", async () => (await cluster.say(owner.port, "PING")) === "+PONG\r\n");
  await cluster.endMove(slot, owner, to);
  assert.is(await set, "+OK\r\n");
  assert.is(await wire.ask("DEL", "{t}1", "{t}2", "{t}3", "other"), ":4\r\n");
});

clusterTest(
  "SCAN sees a key that goes behind its back, and a slot that stays half-moved",
  async () => {
    const wire = await Wire.open(proxy.port);
    await wire.ask("FLUSHALL");
    const keys = Array.from({ length: 300 }, (_, i) => `{y}${i}`);
    await wire.ask("MSET", ...keys.flatMap((key) => [key, "x"]), "{m}one", "x", "{w}two", "x");
    keys.push("{m}one", "{w}two");
    keys.sort();
    const { slot, owner, others } = await cluster.whose("{y}");
    const [to] = others;
    const seenIn = async (moveAt: number, move: () => Promise<void>): Promise<string[]> => {
      const seen = new Set<string>();
      let cursor = "0";
      for (let pages = 0; pages === 0 || cursor !== "0"; pages++) {
        if (pages === moveAt) await move();
        const page = readPage(await wire.ask("SCAN", cursor, "COUNT", "10"));
        cursor = page.cursor;
        for (const key of page.keys) seen.add(key);
        assert.ok(pages < 1000, "it ends");
      }
      return [...seen].sort();
    };
    const half = keys.filter((key) => key.startsWith("{y}")).slice(0, 150);
    assert.equal(await seenIn(5, () => cluster.beginMove(slot, owner, to, half)), keys);
    assert.equal(await seenIn(-1, async () => {}), keys, "while it stays half-moved");
    assert.equal(
      await seenIn(3, () =>
        cluster.moveKeys(
          owner,
          to,
          keys.filter((key) => key.startsWith("{y}") && !half.includes(key)).slice(0, 100),
        )),
      keys,
    );
    assert.equal(await seenIn(4, () => cluster.endMove(slot, owner, to)), keys);
    // There and back within one walk.
    assert.equal(
      await seenIn(6, async () => {
        await cluster.beginMove(slot, to, owner, []);
        await cluster.endMove(slot, to, owner);
        await cluster.beginMove(slot, owner, to, []);
        await cluster.endMove(slot, owner, to);
      }),
      keys,
    );
    // A cursor that nobody knows begins anew; one that is none is refused.
    assert.ok(Number(readPage(await wire.ask("SCAN", "12345678901")).cursor) > 0);
    assert.match(await wire.ask("SCAN", "x"), /^-ERR invalid cursor/);
    assert.match(await wire.ask("SCAN", "0", "COUNT", "x"), /^-ERR value is not an integer/);
  },
);

clusterTest("subscribers notice nothing when slots move", async () => {
  const hearer = await Wire.open(proxy.port);
  const shard = await Wire.open(proxy.port);
  const wire = await Wire.open(proxy.port);
  const { slot, owner, others: [to] } = await cluster.whose("{p}news");
  await hearer.ask("SUBSCRIBE", "{p}news");
  assert.match(await shard.ask("SSUBSCRIBE", "{p}news", "{p}more"), /^\*3\r\n\$10\r\nssubscribe/);
  await shard.replies(1);
  await cluster.beginMove(slot, owner, to, []);
  await cluster.endMove(slot, owner, to);
  for (const channel of ["{p}news", "{p}more"]) {
    await until(
      "the channel to be heard at the new node",
      async () => (await cluster.say(to.port, "PUBSUB", "SHARDNUMSUB", channel)).endsWith(":1\r\n"),
    );
  }
  assert.is(await wire.ask("SPUBLISH", "{p}news", "one"), ":1\r\n");
  assert.is(await wire.ask("SPUBLISH", "{p}more", "two"), ":1\r\n");
  assert.equal(await shard.replies(2), [
    array("smessage", "{p}news", "one"),
    array("smessage", "{p}more", "two"),
  ]);
  await wire.ask("PUBLISH", "{p}news", "a");
  await wire.ask("PUBLISH", "{p}news", "b");
  assert.equal(await hearer.replies(2), [
    array("message", "{p}news", "a"),
    array("message", "{p}news", "b"),
  ]);
  // To a slot that the proxy looks for at the wrong node.
  await cluster.beginMove(slot, to, owner, []);
  await cluster.endMove(slot, to, owner);
  const late = await Wire.open(proxy.port);
  assert.match(await late.ask("SSUBSCRIBE", "{p}late"), /^\*3\r\n\$10\r\nssubscribe/);
  await wire.ask("SPUBLISH", "{p}late", "three");
  assert.equal(await late.replies(1), [array("smessage", "{p}late", "three")]);
  assert.is(await wire.ask("PUBSUB", "SHARDNUMSUB", "{p}late"), `*2\r\n${bulk("{p}late")}:1\r\n`);
});

clusterTest("events of keys are heard from all primaries, each once", async () => {
  const [hearer, wire] = await Promise.all([Wire.open(proxy.port), Wire.open(proxy.port)]);
  const ports = (await cluster.nodes()).filter(({ primary }) => primary).map(({ port }) => port);
  for (const port of ports) {
    await cluster.say(port, "CONFIG", "SET", "notify-keyspace-events", "E$");
  }
  const channel = "__keyevent@0__:set";
  assert.match(await hearer.ask("SUBSCRIBE", channel), /subscribe/);
  const keys = Array.from({ length: 12 }, (_, i) => `event${i}`);
  for (const key of keys) assert.is(await wire.ask("SET", key, "x"), "+OK\r\n");
  const heard = await hearer.replies(keys.length);
  assert.equal(heard.sort(), keys.map((key) => array("message", channel, key)).sort());
  for (const port of ports) {
    await cluster.say(port, "CONFIG", "SET", "notify-keyspace-events", "");
  }
});

clusterTest("what waits, for how long, and what it is told then", async () => {
  const wire = await Wire.open(proxy.port);
  const { slot, owner } = await cluster.whose("{q}n");
  const hasty = await startProxy({
    pool: {
      ...{ redis: true, distribution: "cluster", servers: [at(owner.port)], wait: 0 },
    },
  });
  const crowded = await startProxy({
    pool: {
      ...{ redis: true, distribution: "cluster", servers: [at(owner.port)], park_bytes: 5000 },
    },
  });
  const [now, one, two] = await Promise.all(
    [hasty, crowded, crowded].map((p) => Wire.open(p.port)),
  );
  // Not enough replicas: the client hears it, when its time is over.
  await cluster.say(owner.port, "CONFIG", "SET", "min-replicas-to-write", "1");
  assert.match(await wire.ask("SET", "{q}n", "1"), /^-NOREPLICAS/);
  assert.match(await now.ask("SET", "{q}n", "1"), /^-NOREPLICAS/);
  const waits = wire.ask("SET", "{q}n", "2");
  await cluster.say(owner.port, "CONFIG", "SET", "min-replicas-to-write", "0");
  assert.is(await waits, "+OK\r\n");
  // A script may say what it likes: it is run once.
  for (const lie of ["TRYAGAIN sorry", "LOADING sorry", "NOREPLICAS sorry"]) {
    const script = `redis.call('INCR', KEYS[1]); return redis.error_reply('${lie}')`;
    assert.is(await wire.ask("EVAL", script, "1", "{q}lies"), `-${lie}\r\n`);
  }
  assert.is(await wire.ask("GET", "{q}lies"), bulk("3"));
  // A slot without an owner.
  const ports = (await cluster.nodes()).filter(({ primary }) => primary).map(({ port }) => port);
  for (const port of ports) {
    await cluster.say(port, "CONFIG", "SET", "cluster-require-full-coverage", "no");
    await cluster.say(port, "CLUSTER", "DELSLOTS", String(slot));
  }
  const none = (wait: number) => `-CLUSTERDOWN no primary for slot ${slot} within ${wait} ms\r\n`;
  assert.is(await now.ask("SET", "{q}n", "3"), none(0));
  assert.is(await now.ask("BLPOP", "{q}l", "1"), none(0));
  now.send(cmd("MULTI") + cmd("INCR", "{q}n") + cmd("EXEC"));
  assert.equal((await now.replies(3)).slice(1), [
    none(0),
    "-EXECABORT Transaction discarded because of previous errors.\r\n",
  ]);
  assert.is(await wire.ask("SET", "{q}n", "3"), none(2000));
  // There is room for one of them.
  const both = [one, two].map((each) => each.ask("SET", "{q}n", "4"));
  assert.match(await Promise.race(both), /^-CLUSTERDOWN no primary/);
  const block = Wire.open(proxy.port).then((other) => other.ask("BLPOP", "{q}list", "5"));
  const queued = wire.ask("MULTI").then(() => wire.ask("INCR", "{q}c"));
  for (const port of ports) await cluster.say(port, "CLUSTER", "BUMPEPOCH");
  await cluster.say(owner.port, "CLUSTER", "ADDSLOTS", String(slot));
  assert.is((await Promise.all(both)).sort()[0], "+OK\r\n");
  assert.is(await queued, "+QUEUED\r\n");
  assert.is(await wire.ask("EXEC"), "*1\r\n:1\r\n");
  assert.is(await wire.ask("RPUSH", "{q}list", "x"), ":1\r\n");
  assert.is(await block, array("{q}list", "x"));
});

test.run();
