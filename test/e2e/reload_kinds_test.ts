// A reload makes a ring a cluster, or shards that Sentinels tell of, and back, while clients use the
// pool: they stay, what is in flight is answered by the old servers, and nothing comes out of order.

import * as fs from "node:fs";
import * as assert from "uvu/assert";
import { test } from "uvu";
import {
  array,
  at,
  bulk,
  cmd,
  freePort,
  needs,
  type PoolSpec,
  type ProxyProcess,
  run,
  runtime,
  startNode,
  startProxy,
  startRedis,
  startSentinels,
  toYaml,
  until,
  which,
  Wire,
} from "./harness.ts";

const kindsTest = needs("redis");
/** What cannot differ by runtime. */
const ours = runtime === "node" ? kindsTest : test.skip;

const KEYS = Array.from({ length: 12 }, (_, i) => `who:${i}`);

/** Of clients, and where their counters begin: what one counts tells whose it is. */
const NAMES = ["c0", "c1", "c2", "c3"];
const OTHERS = ["d0", "d1", "d2", "d3"];
const FIRST: Record<string, number> = { ring: 1e6, cluster: 2e6, sentinels: 3e6, other: 4e6 };

type Kind = "ring" | "cluster" | "other" | "sentinels" | "reads";
const specs = {} as Record<Kind, PoolSpec>;
let proxy: ProxyProcess;
let adminPort = 0;

/** Two nodes that have agreed, as fast as can be. */
async function smallCluster(): Promise<number[]> {
  const nodes = await Promise.all([startNode(), startNode()]);
  const ports = nodes.map(({ port }) => port);
  const cli = (port: number, ...words: string[]) =>
    run(which("redis-cli"), ["-p", String(port), ...words]);
  await cli(ports[0], "CLUSTER", "ADDSLOTSRANGE", "0", "8000");
  await cli(ports[1], "CLUSTER", "ADDSLOTSRANGE", "8001", "16383");
  await cli(ports[1], "CLUSTER", "SET-CONFIG-EPOCH", "2");
  const { stdout } = await cli(ports[1], "CONFIG", "GET", "cluster-port");
  await cli(ports[0], "CLUSTER", "MEET", "127.0.0.1", `${ports[1]}`, stdout.split("\n")[1]);
  await until("the nodes to agree", async () => {
    const infos = await Promise.all(ports.map((port) => cli(port, "CLUSTER", "INFO")));
    return infos.every(({ stdout }) => stdout.includes("cluster_state:ok"));
  }, 30_000);
  return ports;
}

async function change(to: Kind): Promise<void> {
  const listen = `127.0.0.1:${proxy.port}`;
  fs.writeFileSync(proxy.confPath, toYaml({ pool: { listen, ...specs[to] } }));
  const reply = await fetch(`http://127.0.0.1:${adminPort}/reload`, { method: "POST" });
  assert.equal(await reply.json(), { reloaded: true, mistakes: [] });
}

test.before(() =>
  prepare().catch((error) => {
    console.log(error); // uvu keeps it to itself
    throw error;
  })
);

async function prepare(): Promise<void> {
  const [ring, cluster, other, set] = await Promise.all([
    Promise.all([startRedis(), startRedis(), startRedis()]),
    smallCluster(),
    runtime === "node" ? smallCluster() : [],
    startSentinels({ shards: ["shard1", "shard2"], replicas: 0, sentinels: 1, quorum: 1 }),
  ]);
  const redis = true;
  specs.ring = { redis, servers: ring.map((server, i) => at(server, 1, `s${i}`)) };
  specs.cluster = { redis, distribution: "cluster", servers: [at(cluster[0])] };
  specs.other = { ...specs.cluster, servers: other.map((port) => at(port)) };
  specs.reads = { ...specs.cluster, reads: "{from: prefer_replica, max_lag: 1000}" };
  specs.sentinels = {
    ...{ redis, sentinels: set.ports.map((port) => `127.0.0.1:${port}:1`) },
    servers: set.shards.map(({ name, servers }) => at(servers[0], 1, name)),
  };
  proxy = await startProxy({ pool: specs.ring }, {
    admin: `127.0.0.1:${adminPort = await freePort()}`,
  });
  for (const one of ["sentinels", "cluster", "other", "ring"] as const) {
    if (one === "other" && other.length === 0) continue;
    await change(one);
    const wire = await Wire.open(proxy.port);
    // Another cluster is followed when it has told its map.
    if (one === "other") await until("it", () => proxy.output().includes("of another cluster"));
    for (const key of KEYS) {
      assert.is(await wire.ask("SET", key, one), "+OK\r\n");
      for (const name of [...NAMES, ...OTHERS]) {
        await wire.ask("SET", `{${key}}${name}`, FIRST[one]);
      }
    }
    wire.close();
  }
}

/** Knows what it has counted with each kind, and tells with whom it speaks. */
class Counting {
  readonly wrong: string[] = [];
  /** Whose values it was given, each change once. */
  readonly seen: string[] = [];
  answered = 0;
  private stopping = false;
  private done = Promise.resolve();
  private readonly counts: Record<string, number> = {};
  private readonly wire: Wire;
  private readonly name: string;

  constructor(wire: Wire, name: string) {
    this.wire = wire;
    this.name = name;
  }

  begin(): this {
    this.done = this.run().catch((error) => void this.wrong.push(String(error)));
    return this;
  }

  async stop(): Promise<void> {
    this.stopping = true;
    await this.done;
    this.wire.close();
  }

  private async run(): Promise<void> {
    while (!this.stopping) {
      const requests = KEYS.flatMap((key) => [
        cmd("GET", key),
        cmd("MGET", ...KEYS.slice(0, 4)),
        cmd("INCR", `{${key}}${this.name}`),
      ]);
      const replies = await this.wire.send(requests.join("")).replies(requests.length);
      for (let i = 0; i < replies.length; i += 3) this.look(KEYS[i / 3], replies.slice(i, i + 3));
      this.answered += replies.length;
    }
  }

  private look(key: string, [who, many, count]: string[]): void {
    const say = (what: string): void => void this.wrong.push(`${key}: ${JSON.stringify(what)}`);
    for (const [got, of] of [[who, 1], [many, 4]] as const) {
      const whose = /\n(ring|cluster|other|sentinels)\r/.exec(got)?.[1] ?? "";
      if (got !== (of === 1 ? bulk(whose) : array(...Array(of).fill(whose)))) say(got);
      if (this.seen.at(-1) !== whose) this.seen.push(whose);
    }
    const number = Number(count.slice(1));
    const id = `${key} ${Math.floor(number / 1e6)}`;
    if (number % 1e6 !== (this.counts[id] ?? 0) + 1) say(count);
    this.counts[id] = number % 1e6;
    const whose = Object.keys(FIRST).find((one) => number - FIRST[one] < 1e6) ?? "";
    if (this.seen.at(-1) !== whose) this.seen.push(whose);
  }
}

kindsTest("any becomes any other under load: no error, nothing out of order", () => {
  return become(NAMES, ["cluster", "sentinels", "ring", "sentinels", "cluster", "ring"]);
});

ours("a cluster becomes another one under load, and back", () => {
  return become(OTHERS, ["cluster", "other", "cluster", "ring"]);
});

/** Goes from the ring to each of them, and comes to the last. */
async function become(names: string[], way: Kind[]): Promise<void> {
  const wires = await Promise.all(names.map(() => Wire.open(proxy.port)));
  const clients = wires.map((wire, i) => new Counting(wire, names[i]).begin());
  const more = async (): Promise<void> => {
    const before = clients.map(({ answered }) => answered);
    await until("load", () => clients.every(({ answered }, i) => answered > before[i] + 100));
  };
  const isSeen = (to: Kind) => clients.every(({ seen }) => seen.at(-1) === to);
  await more();
  for (const to of way) {
    await change(to);
    await until(
      `the values of ${to}`,
      () => isSeen(to) || clients.some(({ wrong }) => wrong.length > 0),
    );
    await more();
  }
  for (const client of clients) await client.stop();
  for (const { wrong, seen } of clients) {
    assert.equal(wrong.slice(0, 3), []);
    assert.equal(seen, ["ring", ...way]);
  }
}

kindsTest("who waits waits on, who listens hears, who watches is told", async () => {
  const [blocked, listener, watcher, inside, guarded, other] = await Promise.all(
    [1, 2, 3, 4, 5, 6].map(() => Wire.open(proxy.port)),
  );
  for (const to of ["cluster", "sentinels", "ring"] as const) {
    blocked.send(cmd("BLPOP", `list ${to}`, "0"));
    assert.match(await listener.ask("SUBSCRIBE", `news ${to}`), /subscribe/);
    assert.is(await watcher.ask("WATCH", "w"), "+OK\r\n");
    assert.is(await inside.ask("MULTI"), "+OK\r\n");
    assert.is(await inside.ask("SET", "t", to), "+QUEUED\r\n");
    assert.is(await guarded.ask("WATCH", "g"), "+OK\r\n");
    assert.is(await guarded.ask("MULTI"), "+OK\r\n");
    assert.is(await guarded.ask("SET", "g", to), "+QUEUED\r\n");
    await until(
      "it to wait",
      async () => /blocked_clients:1/.test(await other.ask("INFO", "clients")),
    );
    await change(to);
    assert.is(await watcher.ask("MULTI"), "+OK\r\n");
    assert.is(await watcher.ask("SET", "w", to), "+QUEUED\r\n");
    assert.is(await watcher.ask("EXEC"), "*-1\r\n");
    assert.match(await inside.ask("EXEC"), /^-EXECABORT/);
    assert.is(await guarded.ask("SET", "g", to), "+QUEUED\r\n");
    assert.is(await guarded.ask("EXEC"), "*-1\r\n");
    assert.is(await guarded.ask("GET", "g"), "$-1\r\n");
    assert.is(await inside.ask("GET", "t"), "$-1\r\n");
    await until(
      "the listener",
      async () => await other.ask("PUBLISH", `news ${to}`, "x") === ":1\r\n",
    );
    assert.is(await listener.reply(), array("message", `news ${to}`, "x"));
    assert.is(await other.ask("RPUSH", `list ${to}`, to), ":1\r\n");
    assert.is(await blocked.reply(), array(`list ${to}`, to));
    assert.is(await watcher.ask("WATCH", "w"), "+OK\r\n");
    assert.is(await watcher.ask("MULTI"), "+OK\r\n");
    assert.is(await watcher.ask("SET", "w", to), "+QUEUED\r\n");
    assert.is(await watcher.ask("EXEC"), "*1\r\n+OK\r\n");
  }
  for (const wire of [blocked, listener, watcher, inside, guarded, other]) wire.close();
});

ours("reads come and go", async () => {
  const wire = await Wire.open(proxy.port);
  for (const to of ["reads", "cluster", "reads", "ring"] as const) {
    await change(to);
    assert.is(await wire.ask("GET", KEYS[0]), bulk(to === "reads" ? "cluster" : to));
  }
  assert.is(await wire.ask("GET", KEYS[0]), bulk("ring"));
  wire.close();
});

ours("a client of another database cannot stay in a cluster", async () => {
  const wire = await Wire.open(proxy.port);
  assert.is(await wire.ask("SELECT", "1"), "+OK\r\n");
  await change("cluster");
  assert.is(await wire.rest(), "");
  await change("ring");
});

test.run();
