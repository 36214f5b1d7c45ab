// Reads from replicas, over real servers that copy each other: who is read from, that nobody misses
// what it has written itself, and that replicas that lag, load, hang or die are seen by nobody.
// Each replica has a mark of its own under one key, so that a read tells who has answered it.
// Needs: redis-server

import * as fc from "fast-check";
import * as net from "node:net";
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  bulk,
  cmd,
  freePort,
  isNutcracker,
  type ProxyProcess,
  runtime,
  sameBytes,
  type ServerProcess,
  several,
  startProxy,
  startRedis,
  until,
  Wire,
} from "./harness.ts";
import { command } from "./random_redis.ts";

const ours = isNutcracker ? test.skip : test;
/** What no runtime can do in its own way. */
const once = runtime === "node" ? test : test.skip;

const DEBUG = ["--enable-debug-command", "yes", "--repl-diskless-sync-delay", "0"];
const NO_REPLICA = '-ERR no replica of "shard1" within max_lag\r\n';

let primary: ServerProcess;
let replicas: ServerProcess[];

/** A connection to each server, for the test's own words. */
async function say({ port }: ServerProcess, ...words: (string | number)[]): Promise<string> {
  const wire = await Wire.open(port);
  const reply = await wire.ask(...words);
  wire.socket.destroy();
  return reply;
}

function info(server: ServerProcess, section: string): Promise<string> {
  return say(server, "INFO", section);
}

/** Follows, has the data, and has its mark. */
async function follow(replica: ServerProcess, mark: string, port = primary.port): Promise<void> {
  await say(replica, "CONFIG", "SET", "replica-read-only", "no");
  await say(replica, "REPLICAOF", "127.0.0.1", port);
  await until(
    `${mark} to follow`,
    async () => (await info(replica, "replication")).includes("master_link_status:up"),
  );
  await say(replica, "SET", "who", mark);
}

interface Reading {
  proxy: ProxyProcess;
  admin: string;
  wire: Wire;
}

// deno-lint-ignore no-explicit-any
async function view({ admin }: Reading): Promise<any> {
  return (await (await fetch(`http://${admin}/ring`)).json())[0];
}

/** Which replicas are fit, by their names in the test. */
async function fit(reading: Reading): Promise<string[]> {
  const { replicas: all } = await view(reading);
  return all.filter((one: { fit: boolean }) => one.fit)
    .map(({ name }: { name: string }) => name.split(":")[1])
    .map((port: string) => `r${replicas.findIndex((one) => one.port === Number(port)) + 1}`)
    .sort();
}

async function start(
  reads: string,
  from: ServerProcess[] = replicas,
  ports: number[] = from.map(({ port }) => port),
): Promise<Reading> {
  const admin = `127.0.0.1:${await freePort()}`;
  const list = ports.map((port) => `"127.0.0.1:${port}"`).join(", ");
  const proxy = await startProxy({
    pool: {
      redis: true,
      reads: `{${reads}}`,
      servers: [`{server: "127.0.0.1:${primary.port}:1 shard1", replicas: [${list}]}`],
    },
  }, { admin });
  const reading = { proxy, admin, wire: await Wire.open(proxy.port) };
  return reading;
}

const readings = new Map<string, Promise<Reading>>();

/** A proxy for all tests that want the same of it. */
async function started(reads: string): Promise<Reading> {
  if (!readings.has(reads)) readings.set(reads, start(reads));
  const reading = await readings.get(reads) as Reading;
  await until("both to be fit", async () => (await fit(reading)).length === 2);
  return reading;
}

/** Who answers the reads of so many new clients. */
async function readers({ proxy }: Reading, n = 12): Promise<Set<string>> {
  const seen = new Set<string>();
  for (let i = 0; i < n; i++) {
    const wire = await Wire.open(proxy.port);
    seen.add((await wire.ask("GET", "who")).split("\r\n")[1] ?? "nobody");
    wire.socket.destroy();
  }
  return seen;
}

test.before(async () => {
  if (isNutcracker) return;
  const [first, ...rest] = await several(3, () => startRedis({ args: DEBUG }));
  primary = first;
  replicas = rest;
  await say(primary, "SET", "who", "primary");
  await Promise.all(replicas.map((replica, i) => follow(replica, `r${i + 1}`)));
});

ours("reads go to replicas, each client's to one; all else goes to the primary", async () => {
  const reading = await started("from: prefer_replica");
  assert.equal([...await readers(reading)].sort(), ["r1", "r2"]);
  const { wire } = reading;
  const mine = await wire.ask("GET", "who");
  assert.match(mine, /r[12]/);
  for (let i = 0; i < 20; i++) assert.is(await wire.ask("GET", "who"), mine);
  assert.is(await wire.ask("MGET", "who", "none"), `*2\r\n${mine}$-1\r\n`);
  assert.is(await wire.ask("EVAL_RO", "return redis.call('GET', KEYS[1])", 1, "who"), mine);
  // A script, a transaction, and what a client watches are the primary's.
  const theirs = bulk("primary");
  const other = await Wire.open(reading.proxy.port);
  assert.is(await other.ask("EVAL", "return redis.call('GET', KEYS[1])", 1, "who"), theirs);
  other.send(cmd("MULTI") + cmd("GET", "who") + cmd("EXEC"));
  assert.equal(await other.replies(3), ["+OK\r\n", "+QUEUED\r\n", `*1\r\n${theirs}`]);
  other.send(cmd("WATCH", "w") + cmd("GET", "who") + cmd("UNWATCH"));
  assert.equal(await other.replies(3), ["+OK\r\n", theirs, "+OK\r\n"]);
  assert.match(await other.ask("GET", "who"), /r[12]/);
  const { replicas: rows } = await view(reading);
  const reads = rows.reduce((sum: number, one: { reads: number }) => sum + one.reads, 0);
  assert.ok(reads >= 30, `${reads} reads are told of`);
});

ours("a client reads what it has written, and nothing that it writes later", async () => {
  const reading = await started("from: replica");
  for (let i = 0; i < 20; i++) {
    reading.wire.send(cmd("SET", "own", i) + cmd("GET", "own") + cmd("MGET", "own", "none"));
    const own = bulk(String(i));
    assert.equal(await reading.wire.replies(3), ["+OK\r\n", own, `*2\r\n${own}$-1\r\n`]);
  }
  const key = "later";
  let value = "none";
  await reading.wire.ask("SET", key, value);
  for (let i = 0; i < 10; i++) {
    // No read is overtaken by the write behind it, in whatever way that is sent.
    const write = i % 2 === 0 ? cmd("SET", key, i) : cmd("MSET", key, i, "another", i);
    await until("the replicas to have it", async () => {
      const all = await Promise.all(replicas.map((replica) => say(replica, "GET", key)));
      return all.every((one) => one === bulk(value));
    });
    reading.wire.send(cmd("GET", key) + write + cmd("GET", key));
    const replies = await reading.wire.replies(3);
    assert.equal(replies, [bulk(value), "+OK\r\n", bulk(String(i))], `round ${i}`);
    value = String(i);
  }
});

once("random reads answer as the primary alone would, while the data is at rest", async () => {
  const { proxy } = await started("from: replica");
  const rounds = Number(process.env.RINGMUX_ROUNDS ?? 200);
  const seed = Number(process.env.RINGMUX_SEED ?? 7);
  await say(primary, "FLUSHALL");
  const words = fc.sample(command, { numRuns: 3 * rounds, seed });
  const reads =
    /^(get|getrange|substr|strlen|getbit|bit(count|pos|field_ro)|exists|type|ttl|pttl|h(exists|get|getall|keys|vals|len|mget|strlen)|l(index|len|pos|range)|mget|s(card|inter|union|diff|ismember|mismember|members|intercard)|x(len|range|revrange)|z(card|count|lexcount|mscore|range|rangebyscore|rank|revrange|revrank|score|inter|union|diff|intercard)|lcs|dump|expiretime)$/i;
  const connections = /^(multi|exec|discard|watch|unwatch|reset|quit|select|hello)$/i;
  const load = words.slice(0, rounds).filter(([name]) => !connections.test(name));
  const direct = await Wire.open(primary.port);
  await direct.send(load.map((one) => cmd(...one)).join("")).replies(load.length);
  const asked = words.filter(([name]) => reads.test(String(name))).map((one) => cmd(...one));
  assert.ok(asked.length > rounds / 4, `${asked.length} reads`);
  await until("the replicas to have it all", async () => {
    const at = (text: string) => /(?:slave_repl|master_repl)_offset:(\d+)/.exec(text)?.[1];
    const all = await Promise.all([primary, ...replicas].map((one) => info(one, "replication")));
    return all.every((one) => at(one) === at(all[0]));
  });
  const wires = await several(2, () => Wire.open(proxy.port));
  const expected = await direct.send(asked.join("")).replies(asked.length);
  for (const one of wires) {
    const got = await one.send(asked.join("")).replies(asked.length);
    for (const [i, reply] of got.entries()) sameBytes(reply, expected[i], asked[i]);
  }
  await say(primary, "SET", "who", "primary");
  for (const [i, replica] of replicas.entries()) {
    await until(
      "the mark to come",
      async () => await say(replica, "GET", "who") === bulk("primary"),
    );
    await say(replica, "SET", "who", `r${i + 1}`);
  }
});

/** Clients that read all the time; what they got that they should not have. */
async function load({ proxy }: Reading, n = 4) {
  const wrong: string[] = [];
  let going = true;
  let answered = 0;
  const clients = await several(n, () => Wire.open(proxy.port));
  const loops = clients.map(async (wire) => {
    while (going) {
      for (const reply of await wire.send(cmd("GET", "who").repeat(10)).replies(10)) {
        answered++;
        if (!/^\$\d+\r\n(primary|r1|r2)\r\n$/.test(reply)) wrong.push(reply);
      }
    }
  });
  return {
    more: async (count = 200) => {
      const before = answered;
      await until("reads to be answered", () => answered > before + count);
    },
    stop: async () => {
      going = false;
      await Promise.all(loops);
      for (const { socket } of clients) socket.destroy();
      assert.equal(wrong.slice(0, 3), []);
    },
  };
}

ours("a replica that hangs, and one that dies, are noticed by no client", async () => {
  const reading = await started("from: prefer_replica");
  const clients = await load(reading);
  await clients.more();
  replicas[0].kill("SIGSTOP");
  await until("it to be unfit", async () => (await fit(reading)).join() === "r2");
  await clients.more();
  assert.equal([...await readers(reading)], ["r2"]);
  replicas[0].kill("SIGCONT");
  await until("it to be fit again", async () => (await fit(reading)).length === 2);
  await clients.more();
  const { port } = replicas[1];
  await replicas[1].stop("SIGKILL");
  await until("it to be missed", async () => (await fit(reading)).join() === "r1");
  await clients.more();
  replicas[1] = await startRedis({ port, args: DEBUG });
  await follow(replicas[1], "r2");
  await until("it to be back", async () => (await fit(reading)).length === 2);
  await clients.more();
  await clients.stop();
});

once("a replica that loads is left alone until it has loaded", async () => {
  const reading = await started("from: prefer_replica");
  const clients = await load(reading);
  const fill = Array.from({ length: 3000 }, (_, i) => cmd("SET", `fill${i}`, i)).join("");
  const direct = await Wire.open(primary.port);
  await direct.send(fill).replies(3000);
  await say(replicas[0], "CONFIG", "SET", "key-load-delay", 300);
  const done = say(replicas[0], "DEBUG", "RELOAD");
  await until("it to be unfit", async () => (await fit(reading)).join() === "r2");
  await clients.more();
  await done;
  await say(replicas[0], "CONFIG", "SET", "key-load-delay", 0);
  await until("it to be fit again", async () => (await fit(reading)).length === 2);
  await clients.stop();
});

once("a replica whose link carries nothing any more is too old after max_lag", async () => {
  let stopped = false;
  const pairs: net.Socket[] = [];
  const relay = net.createServer((from) => {
    const to = net.connect(primary.port, "127.0.0.1");
    pairs.push(from, to);
    from.on("error", () => {}).on("data", (chunk) => stopped || to.write(chunk));
    to.on("error", () => {}).on("data", (chunk) => stopped || from.write(chunk));
  });
  await new Promise<void>((resolve) => relay.listen(0, "127.0.0.1", resolve));
  const { port } = relay.address() as net.AddressInfo;
  await follow(replicas[0], "r1", port);
  const reading = await start("from: replica, max_lag: 300", replicas.slice(0, 1));
  const { wire } = reading;
  await until("it to be fit", async () => (await fit(reading)).join() === "r1");
  assert.is(await wire.ask("GET", "who"), bulk("r1"));
  stopped = true;
  await say(primary, "SET", "newer", "1");
  await until("it to be too old", async () => {
    await say(primary, "INCR", "newer");
    return await wire.ask("GET", "who") === NO_REPLICA;
  });
  const { replicas: [row] } = await view(reading);
  assert.is(row.why, "its data is older than max_lag");
  assert.ok(row.lag > 300, `it lags ${row.lag} ms`);
  assert.is(await wire.ask("MGET", "who", "newer"), NO_REPLICA);
  assert.is(await wire.ask("SET", "x", "1"), "+OK\r\n", "writes go on");
  for (const socket of pairs) socket.destroy();
  relay.close();
  await follow(replicas[0], "r1");
  await until("it to be fit again", async () => (await fit(reading)).join() === "r1");
  assert.is(await wire.ask("GET", "who"), bulk("r1"));
});

ours("prefer_primary reads on while the primary is down, without one error", async () => {
  const reading = await started("from: prefer_primary");
  const { wire } = reading;
  assert.equal([...await readers(reading, 3)], ["primary"]);
  const clients = await load(reading);
  await clients.more();
  const { port } = primary;
  await primary.stop("SIGKILL");
  await clients.more(500);
  for (const who of await readers(reading)) assert.match(who, /^r[12]$/);
  assert.match(await wire.ask("SET", "x", "1"), /^-ERR Connection refused/);
  assert.match(await wire.ask("GET", "who"), /r[12]/);
  primary = await startRedis({ port, args: DEBUG });
  await say(primary, "SET", "who", "primary");
  await until("it to be read from", async () => (await readers(reading, 1)).has("primary"));
  await clients.more();
  await clients.stop();
});

test.run();
