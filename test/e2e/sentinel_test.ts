// A pool whose primaries real Sentinels tell: failovers by hand and by crash, under load by clients that
// know every value they may see.

import * as assert from "uvu/assert";
import { test } from "uvu";
import { knowingClients } from "./cluster_load.ts";
import {
  array,
  at,
  bulk,
  cmd,
  freePort,
  needs,
  type ProxyProcess,
  runtime,
  type SentinelSet,
  type ServerProcess,
  startProxy,
  startRedis,
  startSentinels,
  until,
  Wire,
} from "./harness.ts";

const sentinelTest = needs("redis");
/** What cannot differ by runtime. */
const ours = runtime === "node" ? sentinelTest : test.skip;

let set: SentinelSet;
let proxy: ProxyProcess;
let adminPort = 0;

const WAIT = 15_000;

test.before(async () => {
  set = await startSentinels().catch((error) => {
    console.log(error); // uvu keeps it to itself
    throw error;
  });
  proxy = await startProxy({
    pool: {
      redis: true,
      sentinels: [`127.0.0.1:${set.ports[0]}:1`, `127.0.0.1:${set.ports[1]}:1`],
      // The first address is a replica's: a guess that is wrong.
      servers: set.shards.map(({ name, servers }) => at(servers[1], 1, name)),
      wait: WAIT,
    },
  }, { admin: `127.0.0.1:${adminPort = await freePort()}` });
});

/** Keys of both shards. */
const KEYS = Array.from({ length: 20 }, (_, i) => `key${i}`);

/** A key of each shard, by its name. */
async function keyOf(name: string): Promise<string> {
  const wire = await Wire.open(proxy.port);
  try {
    for (const key of KEYS) {
      await wire.ask("SET", key, "x");
      if (await set.say(await set.primary(name), "EXISTS", key) === ":1\r\n") return key;
    }
  } finally {
    wire.close();
  }
  throw new Error(`no key of ${name}`);
}

sentinelTest("the primaries are found, although the addresses are wrong guesses", async () => {
  const wire = await Wire.open(proxy.port);
  for (const key of KEYS) assert.is(await wire.ask("SET", key, key), "+OK\r\n");
  assert.is(await wire.ask("MGET", ...KEYS), array(...KEYS));
  assert.is(await wire.ask("DBSIZE"), `:${KEYS.length}\r\n`);
  for (const { name } of set.shards) await keyOf(name);
  wire.close();
});

sentinelTest("a failover by hand under load: no error", async () => {
  const clients = await knowingClients(proxy.port, 6);
  for (const client of clients) client.begin();
  const name = set.shards[0].name;
  await until("load", () => clients.every(({ answered }) => answered > 100));
  await set.failover(name);
  const before = clients.map(({ answered }) => answered);
  await until(
    "load behind it",
    () => clients.every(({ answered }, i) => answered > before[i] + 200),
  );
  for (const client of clients) await client.stop();
  // What the old primary has acknowledged before the news of the promotion came may be lost with it
  // on a machine that is busy; an error there is none.
  const errors = clients.flatMap(({ wrong }) => wrong).filter(({ got }) => got.startsWith("-"));
  assert.equal(errors.slice(0, 3), []);
  const key = await keyOf(name);
  const wire = await Wire.open(proxy.port);
  assert.is(await wire.ask("SET", key, "after"), "+OK\r\n");
  assert.is(await set.say(await set.primary(name), "GET", key), bulk("after"));
  wire.close();
});

ours("metrics, /ring and the failover in the log", async () => {
  const get = async (path: string) =>
    await (await fetch(`http://127.0.0.1:${adminPort}${path}`)).text();
  await until(
    "the Sentinels to be heard",
    async () => /ringmux_pool_sentinels_subscribed\{pool="pool"\} 3/.test(await get("/metrics")),
  );
  const metrics = await get("/metrics");
  assert.match(metrics, 'ringmux_pool_sentinels{pool="pool"} 3');
  assert.match(metrics, 'ringmux_pool_shards_without_primary{pool="pool"} 0');
  assert.match(metrics, 'ringmux_pool_failovers_total{pool="pool"} 1');
  const [{ sentinel }] = JSON.parse(await get("/ring"));
  const [{ name }] = set.shards;
  assert.is(sentinel.shards[0].primary, `127.0.0.1:${await set.primary(name)}`);
  assert.is(sentinel.failovers[0].what, `shard "${name}"`);
  const [{ from, to }] = sentinel.failovers;
  assert.is(to, sentinel.shards[0].primary);
  assert.match(from, /^127\.0\.0\.1:[0-9]+$/);
  assert.is.not(from, to);
  assert.match(
    proxy.output(),
    `failover: ${to} has taken over shard "shard1" from ${from}`,
  );
});

/** Counts by itself, and notes what it is told that cannot be. */
class Counter {
  readonly errors: string[] = [];
  /** How often its count went back: what the old primary had acknowledged was lost with it. */
  losses = 0;
  /** Replies that fit neither, as if they were another's or old. */
  readonly wrong: string[] = [];
  answered = 0;
  private last = 0;
  private stopping = false;
  private done = Promise.resolve();
  private readonly wire: Wire;
  private readonly key: string;

  constructor(wire: Wire, key: string) {
    this.wire = wire;
    this.key = key;
  }

  begin(): this {
    this.done = this.run();
    return this;
  }

  async stop(): Promise<void> {
    this.stopping = true;
    await this.done;
    this.wire.close();
  }

  private async run(): Promise<void> {
    while (!this.stopping) {
      this.wire.send(cmd("INCR", this.key) + cmd("GET", this.key));
      const [count, value] = await this.wire.replies(2);
      this.answered += 2;
      if (count.startsWith("-") || value.startsWith("-")) {
        this.errors.push(count, value);
        continue;
      }
      const counted = Number(count.slice(1));
      const read = Number(value.split("\r\n")[1]);
      if (counted <= this.last || read < counted) this.losses++;
      if (counted > this.last + 1 || read > counted) {
        this.wrong.push(`${this.last} ${count} ${value}`);
      }
      this.last = read;
    }
  }
}

ours("two failovers in a row: no error, and only what a failover loses is lost", async () => {
  const name = set.shards[0].name;
  await set.settled(name);
  const wires = await Promise.all(KEYS.slice(0, 8).map(() => Wire.open(proxy.port)));
  const counters = wires.map((wire, i) => new Counter(wire, `count${i}`).begin());
  for (let i = 0; i < 2; i++) {
    await set.settled(name);
    await set.failover(name);
    const before = counters.map(({ answered }) => answered);
    await until(
      "load behind it",
      () => counters.every(({ answered }, n) => answered > before[n] + 20),
    );
  }
  for (const counter of counters) await counter.stop();
  for (const { errors, wrong, losses } of counters) {
    assert.equal([...errors, ...wrong].slice(0, 3), []);
    assert.ok(losses <= 2, `${losses} losses by two failovers`);
  }
});

ours("what holds a connection goes over: WATCH, a transaction, BLPOP, a subscriber", async () => {
  const name = set.shards[1].name;
  await set.settled(name);
  const key = await keyOf(name);
  const [watcher, subscriber, blocked, other] = await Promise.all(
    [1, 2, 3, 4].map(() => Wire.open(proxy.port)),
  );
  assert.is(await watcher.ask("WATCH", key), "+OK\r\n");
  assert.is(await watcher.ask("MULTI"), "+OK\r\n");
  assert.is(await watcher.ask("SET", key, "unseen"), "+QUEUED\r\n");
  assert.match(await subscriber.ask("SUBSCRIBE", key), /subscribe/);
  assert.is(await other.ask("DEL", key), ":1\r\n");
  blocked.send(cmd("BLPOP", key, "0"));
  await set.failover(name);
  await until("the new one", async () => {
    return (await other.ask("PUBLISH", key, "hello")) === ":1\r\n";
  }, 20_000);
  assert.is(await subscriber.reply(), array("message", key, "hello"));
  // Keys that were watched have changed, or nobody can tell.
  assert.match(await watcher.ask("EXEC"), /^(\*-1|\$-1|_|-EXECABORT)/);
  await until("the push to wake", async () => {
    await other.ask("RPUSH", key, "v");
    return blocked.peek().length > 0;
  }, 25_000);
  assert.is(await blocked.reply(), array(key, "v"));
  await other.ask("DEL", key);
  for (const wire of [watcher, subscriber, blocked, other]) wire.close();
});

ours("kill -9: reads are answered late, writes once or told to be in doubt", async () => {
  const name = set.shards[0].name;
  await set.settled(name);
  const key = await keyOf(name);
  const wire = await Wire.open(proxy.port);
  assert.is(await wire.ask("SET", key, "kept"), "+OK\r\n");
  await set.say(await set.primary(name), "WAIT", "1", "1000");
  const before = await set.primary(name);
  const old = await set.server(name);
  old.kill("SIGKILL");
  await old.exited();
  assert.is(await wire.ask("GET", key), bulk("kept"));
  assert.is(await wire.ask("SET", key, "new"), "+OK\r\n");
  await set.switched(name, before);
  assert.is(await set.say(await set.primary(name), "GET", key), bulk("new"));
  wire.close();
});

ours(
  "a failover by hand: an error for each write on the wire that is never answered, no other",
  async () => {
    const { name } = set.shards[1];
    await set.settled(name);
    const key = await keyOf(name);
    const [writer, reader, later] = await Promise.all([1, 2, 3].map(() => Wire.open(proxy.port)));
    const n = 20;
    const old = await set.server(name);
    old.kill("SIGSTOP");
    writer.send(cmd("APPEND", key, "x").repeat(n));
    reader.send(cmd("GET", key).repeat(n));
    await until(
      "all to be on the wire",
      async () => (await proxy.stats()).pool[name].out_queue >= 2 * n,
    );
    await set.failover(name);
    assert.is(await later.ask("SET", key, "later"), "+OK\r\n");
    assert.is(writer.peek().length, 0, "they may be answered yet");
    old.kill("SIGKILL");
    for (const reply of await writer.replies(n)) {
      assert.match(reply, /^-ERR [^\r]*; it may have been carried out\r\n$/);
    }
    // Reads are sent again.
    assert.equal(await reader.replies(n), Array(n).fill(bulk("later")));
    for (const wire of [writer, reader, later]) wire.close();
  },
);

ours(
  "the old primary comes back, the Sentinels are lost and back, one is stopped, and again",
  async () => {
    const [{ name, servers }] = set.shards;
    const dead = servers.find(({ gone }) => gone) as ServerProcess;
    const back = await startRedis({ port: dead.port });
    servers[servers.indexOf(dead)] = back;
    const key = await keyOf(name);
    const wire = await Wire.open(proxy.port);
    assert.is(await wire.ask("SET", key, "mine"), "+OK\r\n");
    assert.is(await set.say(await set.primary(name), "GET", key), bulk("mine"));
    await set.settled(name);
    for (const sentinel of set.sentinels) await sentinel.stop("SIGKILL");
    assert.is(await wire.ask("SET", key, "alone"), "+OK\r\n");
    await until(
      "the old primary to follow",
      async () => (await set.say(dead.port, "GET", key)) === bulk("alone"),
    );
    await until("them to be missed", () => /Sentinel 127[^ ]*: .*refused/.test(proxy.output()));
    assert.is(await wire.ask("GET", key), bulk("alone"));
    for (
      const { port, files } of set.sentinels.map(({ port }, i) => ({ port, files: set.files[i] }))
    ) {
      set.sentinels[set.ports.indexOf(port)] = await set.startSentinel(port, files);
    }
    const before = await set.primary(name);
    const hung = await set.server(name);
    hung.kill("SIGSTOP");
    try {
      assert.is(await wire.ask("GET", key), bulk("alone"), "read again elsewhere");
      assert.is(await wire.ask("SET", key, "moved"), "+OK\r\n");
    } finally {
      hung.kill("SIGCONT");
    }
    await set.switched(name, before);
    assert.is(await set.say(await set.primary(name), "GET", key), bulk("moved"));
    wire.close();
  },
);

test.run();
