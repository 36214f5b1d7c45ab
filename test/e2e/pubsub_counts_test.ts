// How many clients hear of what is published, and events of databases: beside a real redis-server
// with the same clients, through one process and through several workers.
// Needs: redis-server

import process from "node:process";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { globMatches } from "../../core/protocol/redis/glob.ts";
import {
  at,
  bulk,
  cmd,
  ours,
  type ProxyProcess,
  random,
  type ServerProcess,
  several,
  startProxy,
  startRedis,
  until,
  Wire,
} from "./harness.ts";

let alone: ServerProcess;
let servers: ServerProcess[];
let proxy: ProxyProcess;
let workers: ProxyProcess;

test.before(async () => {
  alone = await startRedis({ args: ["--notify-keyspace-events", "KEA"] });
  servers = await several(3, () => startRedis({ args: ["--notify-keyspace-events", "KEA"] }));
  const all = servers.map((server) => at(server));
  proxy = await startProxy({
    one: { redis: true, servers: [all[0]] },
    many: { redis: true, servers: all },
    third: { redis: true, redis_db: 3, servers: all },
  });
  workers = await startProxy({ many: { redis: true, servers: all } }, {
    global: { workers: 3 },
  });
});

const CHANNELS = ["a", "ab", "abc", "news", "news.1"];
const PATTERNS = ["a*", "*", "n[d-f]ws*", "a?", "nosuch"];
const VERBS = ["SUBSCRIBE", "PSUBSCRIBE", "SSUBSCRIBE", "UNSUBSCRIBE", "PUNSUBSCRIBE"];

/** A reply whose elements may come in any order. */
function unordered(reply: string): string {
  return reply.split("\r\n").sort().join(" ");
}

/** What a port says of who is subscribed. */
async function told(port: number): Promise<string[]> {
  const wire = await Wire.open(port);
  const said: string[] = [];
  for (const name of CHANNELS) {
    said.push(`${name} ${await wire.ask("PUBLISH", name, "x")}`);
    said.push(`s ${name} ${await wire.ask("SPUBLISH", name, "x")}`);
  }
  said.push(await wire.ask("PUBSUB", "NUMSUB", ...CHANNELS));
  said.push(await wire.ask("PUBSUB", "SHARDNUMSUB", ...CHANNELS));
  said.push(await wire.ask("PUBSUB", "NUMPAT"));
  said.push(unordered(await wire.ask("PUBSUB", "CHANNELS")));
  said.push(unordered(await wire.ask("PUBSUB", "CHANNELS", "a*")));
  said.push(unordered(await wire.ask("PUBSUB", "SHARDCHANNELS")));
  wire.close();
  return said;
}

/** Twelve clients here and twelve there, who do the same; the numbers are the same all the time. */
async function compare(port: number, seed: number): Promise<void> {
  const below = random(seed);
  const pairs: Wire[][] = [];
  for (let i = 0; i < 12; i++) pairs.push([await Wire.open(port), await Wire.open(alone.port)]);
  for (let round = 0; round < 12; round++) {
    for (let step = 0; step < 8; step++) {
      const pair = pairs[below(pairs.length)];
      const verb = VERBS[below(VERBS.length)];
      const names = verb[0] === "P" ? PATTERNS : CHANNELS;
      const name = names[below(names.length)];
      for (const wire of pair) {
        // Messages of earlier rounds lie before the confirmation.
        wire.send(cmd(verb, name));
        for (;;) {
          const said = await wire.reply();
          if (said.includes(`${verb.toLowerCase()}\r\n`)) break;
        }
      }
    }
    const expected = (await told(alone.port)).join("\n");
    let got = "";
    // Workers hear of one another's clients a moment later.
    await until("the same numbers", async () => (got = (await told(port)).join("\n")) === expected)
      .catch(() => assert.is(got, expected));
  }
  for (const pair of pairs) for (const wire of pair) wire.close();
  await until("nobody to be subscribed", async () => {
    const [one, two] = [await told(alone.port), await told(port)];
    return one.join() === two.join() && one.every((line) => !/ :[1-9]/.test(line));
  });
}

ours("one server: PUBLISH and PUBSUB count clients as Redis does", async () => {
  await compare(proxy.ports.one, 1);
});

ours("three servers: PUBLISH and PUBSUB count clients as Redis does", async () => {
  await compare(proxy.ports.many, 2);
});

ours("three workers: PUBLISH and PUBSUB count the clients of all", async () => {
  await compare(workers.port, 3);
});

ours("a worker that is started anew knows of the others' clients", async () => {
  const names = ["alpha", "beta"];
  const listeners: Wire[] = [];
  for (let i = 0; i < 12; i++) {
    const wire = await Wire.open(workers.port);
    await wire.send(cmd("SUBSCRIBE", ...names)).replies(2);
    listeners.push(wire);
  }
  const pids = /3 workers: pids ([\d, ]+)/.exec(workers.output())?.[1].split(", ").map(Number) ??
    [];
  assert.is(pids.length, 3);
  process.kill(pids[0], "SIGKILL");
  await until("another worker", () => workers.output().includes("started again"));
  await until("the lost clients to be seen", () => listeners.some((wire) => wire.ended));
  const left = listeners.filter((wire) => !wire.ended).length;
  assert.ok(left < 12);
  for (let i = 0; i < 9; i++) {
    const wire = await Wire.open(workers.port);
    await until("the number", async () => {
      return await wire.ask("PUBLISH", "alpha", "x") === `:${left}\r\n` &&
        await wire.ask("PUBSUB", "NUMSUB", "beta") === `*2\r\n${bulk("beta")}:${left}\r\n`;
    });
    wire.close();
  }
  for (const wire of listeners) wire.close();
});

ours("patterns are Redis's", async () => {
  const wire = await Wire.open(alone.port);
  const below = random(4);
  const letters = ["a", "b", "c", "-", "]", "^", "\\", "[", "*", "?"];
  const some = (most: number) =>
    Array.from({ length: 1 + below(most) }, () => letters[below(letters.length)]).join("");
  await wire.ask("FLUSHALL");
  const names = new Set(Array.from({ length: 200 }, () => some(4)));
  for (const name of names) await wire.ask("SET", name, "");
  for (let i = 0; i < 3000; i++) {
    const pattern = some(7);
    const found = (await wire.ask("KEYS", pattern)).split("\r\n").slice(1)
      .filter((_, n) => n % 2 === 1).sort();
    const ours = [...names].filter((name) => globMatches(pattern, name)).sort();
    assert.equal(ours, found, JSON.stringify(pattern));
  }
  await wire.ask("FLUSHALL");
  wire.close();
});

/** What a client hears, `n` messages, when it subscribes and another one then acts in a database. */
async function heard(port: number, verb: string, name: string, db: number, n: number) {
  const listener = await Wire.open(port);
  const speaker = await Wire.open(port);
  await listener.ask(verb, name);
  await speaker.ask("SELECT", db);
  for (const key of ["k1", "k2", "k3", "k4"]) await speaker.ask("SET", key, "v");
  const all = await listener.replies(n);
  assert.is(await listener.ask("PING"), `*2\r\n${bulk("pong")}${bulk("")}`);
  listener.close();
  speaker.close();
  return all.sort();
}

for (
  const [verb, name, zero, five] of [
    ["SUBSCRIBE", "__keyevent@0__:set", 4, 0],
    ["SUBSCRIBE", "__keyspace@0__:k2", 1, 0],
    ["SUBSCRIBE", "__keyspace@5__:k2", 0, 1],
    ["PSUBSCRIBE", "__keyevent@0__:*", 4, 0],
    ["PSUBSCRIBE", "__key*@0__:*", 8, 0],
    ["PSUBSCRIBE", "__keyspace@*__:k[12]", 2, 2],
    ["PSUBSCRIBE", "*", 8, 8],
  ] as const
) {
  ours(`redis_db: 3: ${verb} ${name} hears of what clients call 0`, async () => {
    for (const [db, n] of [[0, zero], [5, five]]) {
      const expected = await heard(alone.port, verb, name, db, n);
      assert.equal(await heard(proxy.ports.third, verb, name, db, n), expected);
    }
  });
}

ours("redis_db: 3: events of the servers' database 0 are not taken for it", async () => {
  const listener = await Wire.open(proxy.ports.third);
  const other = await Wire.open(proxy.ports.many);
  const own = await Wire.open(proxy.ports.third);
  await listener.ask("SUBSCRIBE", "__keyevent@0__:set");
  await listener.ask("PSUBSCRIBE", "__keyevent@*__:set");
  await other.ask("SET", "theirs", "1");
  await own.ask("SET", "theirs", "1");
  const messages = await listener.replies(2);
  assert.ok(messages.every((message) => message.includes("@0__") && message.includes("theirs")));
  await own.ask("SET", "second", "1");
  assert.ok((await listener.replies(2)).every((message) => message.includes("second")));
  for (const wire of [listener, other, own]) wire.close();
});

ours("redis_db: 3: both names of the database, and one of them given up", async () => {
  const listener = await Wire.open(proxy.ports.third);
  const speaker = await Wire.open(proxy.ports.third);
  await listener.send(cmd("SUBSCRIBE", "__keyevent@0__:set", "__keyevent@3__:set")).replies(2);
  await speaker.ask("SET", "a", "1");
  const two = (await listener.replies(2)).join("");
  assert.ok(two.includes("@0__") && two.includes("@3__"), two);
  await listener.ask("UNSUBSCRIBE", "__keyevent@3__:set");
  await speaker.ask("SET", "b", "1");
  assert.is(
    await listener.reply(),
    `*3\r\n${bulk("message")}${bulk("__keyevent@0__:set")}${bulk("b")}`,
  );
  // What a client publishes by such a name reaches who listens to it.
  assert.is(await speaker.ask("PUBLISH", "__keyevent@0__:set", "by hand"), ":1\r\n");
  assert.is(
    await listener.reply(),
    `*3\r\n${bulk("message")}${bulk("__keyevent@0__:set")}${bulk("by hand")}`,
  );
  listener.close();
  speaker.close();
});

ours(
  "UNSUBSCRIBE without names: patterns in Redis's order, channels in one of its orders",
  async () => {
    const got: string[][] = [];
    for (const port of [proxy.ports.many, alone.port]) {
      const wire = await Wire.open(port);
      await wire.send(cmd("PSUBSCRIBE", "z*", "a*", "m*", "a*", "b*")).replies(5);
      await wire.send(cmd("SUBSCRIBE", "z", "a", "m", "b")).replies(4);
      got.push(await wire.send(cmd("PUNSUBSCRIBE")).replies(4));
      const channels = await wire.send(cmd("UNSUBSCRIBE")).replies(4);
      // The counts go down, whatever the order.
      assert.equal(channels.map((said) => said.slice(-4)), [
        ":3\r\n",
        ":2\r\n",
        ":1\r\n",
        ":0\r\n",
      ]);
      wire.close();
    }
    assert.equal(got[0], got[1]);
  },
);

test.run();
