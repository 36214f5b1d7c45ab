// `multi: split`: transactions over three servers beside the same on one redis-server.
// Needs: redis-server

import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  at,
  cmd,
  ours,
  type ProxyProcess,
  random,
  type ServerProcess,
  several,
  startProxy,
  startRedis,
  Wire,
} from "./harness.ts";

let alone: ServerProcess;
let servers: ServerProcess[];
let proxy: ProxyProcess;

test.before(async () => {
  alone = await startRedis();
  servers = await several(3, startRedis);
  proxy = await startProxy({
    split: { redis: true, multi: "split", servers: servers.map((server) => at(server)) },
  });
});

/** Commands of one key, some of which fail when they are carried out. */
const COMMANDS: ((key: string) => string[])[] = [
  (key) => ["SET", key, "1"],
  (key) => ["GET", key],
  (key) => ["INCR", key],
  (key) => ["DEL", key],
  (key) => ["RPUSH", key, "a", "b"],
  (key) => ["LRANGE", key, "0", "-1"],
  (key) => ["HSET", key, "f", "v"],
  (key) => ["HGETALL", key],
  (key) => ["SADD", key, "m"],
  (key) => ["SMEMBERS", key],
  (key) => ["EVAL", "return {KEYS[1], {1, redis.call('exists', KEYS[1])}, false}", "1", key],
  () => ["PING"],
  () => ["ECHO", "e"],
  (key) => ["BLPOP", key, "0"],
];
const WRONG = [["GET"], ["NOSUCH", "x"], ["MULTI"], ["WATCH", "x"], ["SUBSCRIBE"]];

for (const hello of ["2", "3"]) {
  ours(`random transactions have a single server's replies, RESP${hello}`, async () => {
    const below = random(Number(hello));
    const ours = await Wire.open(proxy.port);
    const theirs = await Wire.open(alone.port);
    for (const wire of [ours, theirs]) {
      await wire.ask("FLUSHALL");
      await wire.ask("HELLO", hello);
    }
    for (let round = 0; round < 150; round++) {
      const n = below(30);
      const all: string[][] = [["MULTI"]];
      for (let i = 0; i < n; i++) {
        all.push(
          below(80) === 0
            ? WRONG[below(WRONG.length)]
            : COMMANDS[below(COMMANDS.length)](`${below(20)}:key`),
        );
      }
      all.push([below(10) === 0 ? "DISCARD" : "EXEC"], ["GET", "0:key"]);
      const said = all.map((words) => cmd(...words)).join("");
      const expected = await theirs.send(said).replies(all.length);
      const got = await ours.send(said).replies(all.length);
      assert.equal(got.map(plain), expected.map(plain), JSON.stringify(all));
    }
    ours.close();
    theirs.close();
  });
}

/** ringmux has words of its own for what it refuses. */
function plain(reply: string): string {
  return reply.replace(/^-ERR (?!MULTI|WATCH).*\r\n/, "-ERR\r\n");
}

ours("each server's part is a transaction, and nobody comes in between", async () => {
  const wires = await Promise.all(Array.from({ length: 6 }, () => Wire.open(proxy.port)));
  const keys = Array.from({ length: 12 }, (_, i) => `${i}:pair`);
  await Promise.all(wires.map(async (wire) => {
    for (let round = 0; round < 50; round++) {
      wire.send(cmd("MULTI"));
      for (const key of keys) wire.send(cmd("INCR", key) + cmd("DECR", key));
      wire.send(cmd("EXEC"));
      const replies = await wire.replies(2 + 2 * keys.length);
      const numbers = (replies.at(-1) as string).split("\r\n").slice(1, -1);
      assert.equal(numbers, keys.flatMap(() => [":1", ":0"]));
    }
    wire.close();
  }));
});

ours("10,000 commands in one transaction", async () => {
  const wire = await Wire.open(proxy.port);
  const n = 10_000;
  wire.send(cmd("MULTI"));
  for (let i = 0; i < n; i++) wire.send(cmd("INCRBY", `many${i * 7919}`, i));
  const replies = await wire.send(cmd("EXEC")).replies(n + 2);
  const numbers = replies[n + 1].split("\r\n").slice(1, -1);
  assert.is(numbers.length, n);
  assert.ok(numbers.every((said, i) => said === `:${i}`));
  wire.close();
});

test.run();
