// The one thing a proxy must never get wrong: two hundred clients at once, on few server
// connections, and every reply is the right one, for the right client, in the right place.
// Needs: redis-server memcached

import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  array,
  at,
  bulk,
  cmd,
  type ProxyProcess,
  random,
  sameBytes,
  several,
  startMemcached,
  startProxy,
  startRedis,
  Wire,
} from "./harness.ts";

const CLIENTS = 200;
const ROUNDS = 12;

let proxy: ProxyProcess;

test.before(async () => {
  const redis = await several(3, startRedis);
  const memcached = await several(3, startMemcached);
  const common = { hash: "fnv1a_64", distribution: "ketama" };
  proxy = await startProxy({
    redis: { ...common, redis: true, servers: redis.map((server) => at(server)) },
    memcached: { ...common, servers: memcached.map((server) => at(server)) },
  });
});

/** A client's requests and the bytes it must get for them. */
interface Burst {
  request: string;
  expected: string;
}

/** Sends each burst in pieces cut anywhere, and compares every byte that comes back. */
async function converse(
  port: number,
  client: number,
  burst: (rand: (below: number) => number, round: number) => Burst,
): Promise<number> {
  const rand = random(client + 1);
  const wire = await Wire.open(port);
  let bytes = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const { request, expected } = burst(rand, round);
    for (let pos = 0; pos < request.length;) {
      const next = pos + 1 + rand(rand(2) === 0 ? 40 : 4000);
      wire.send(request.slice(pos, next));
      if (rand(4) === 0) await wire.flushed();
      pos = next;
    }
    const got = await wire.read(expected.length);
    sameBytes(got, expected, `client ${client}, round ${round}`);
    bytes += expected.length;
  }
  // Nothing may come behind the last reply.
  const rest = await wire.half().rest();
  assert.is(rest, "", `client ${client} received more than was for it`);
  return bytes;
}

test("200 Redis clients that pipeline GET, SET, MGET, MSET and DEL each get their own", async () => {
  const all = Array.from({ length: CLIENTS }, (_, client) => {
    const stored = new Map<string, string>();
    return converse(proxy.ports.redis, client, (rand, round) => {
      const burst: Burst = { request: "", expected: "" };
      const add = (request: string, expected: string) => {
        burst.request += request;
        burst.expected += expected;
      };
      const key = () => `c${client}:${rand(30)}`;
      const n = 1 + rand(30);
      for (let i = 0; i < n; i++) {
        const k = key();
        switch (rand(8)) {
          case 0:
          case 1: {
            const v = `${client}/${round}/${i}:${"x".repeat(rand(20) === 0 ? 9000 : rand(60))}`;
            stored.set(k, v);
            add(cmd("SET", k, v), "+OK\r\n");
            break;
          }
          case 2:
          case 3:
            add(cmd("GET", k), bulk(stored.get(k) ?? null));
            break;
          case 4: {
            const keys = Array.from({ length: 1 + rand(10) }, key);
            add(cmd("MGET", ...keys), array(...keys.map((one) => stored.get(one) ?? null)));
            break;
          }
          case 5: {
            const keys = [...new Set([key(), key(), key()])];
            const had = keys.filter((one) => stored.delete(one)).length;
            add(cmd("DEL", ...keys), `:${had}\r\n`);
            break;
          }
          case 6: {
            const pairs = [...new Set([key(), key()])].map((one) => [one, `${one}=${round}.${i}`]);
            for (const [one, v] of pairs) stored.set(one, v);
            add(cmd("MSET", ...pairs.flat()), "+OK\r\n");
            break;
          }
          default:
            if (rand(2) === 0) add(cmd("PING"), "+PONG\r\n");
            else if (stored.has(k)) add(cmd("LPUSH", k, "x"), WRONGTYPE);
            break;
        }
      }
      return burst;
    });
  });
  const bytes = await Promise.all(all);
  assert.ok(bytes.every((n) => n > 0));
});

const WRONGTYPE = "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n";

test("200 memcached clients that pipeline get, set, delete and noreply each get their own", async () => {
  const all = Array.from({ length: CLIENTS }, (_, client) => {
    const stored = new Map<string, string>();
    const found = (key: string) => {
      const v = stored.get(key);
      return v === undefined ? "" : `VALUE ${key} ${client} ${v.length}\r\n${v}\r\n`;
    };
    return converse(proxy.ports.memcached, client, (rand, round) => {
      const burst: Burst = { request: "", expected: "" };
      const add = (request: string, expected: string) => {
        burst.request += request;
        burst.expected += expected;
      };
      const key = () => `c${client}:${rand(30)}`;
      const n = 1 + rand(30);
      for (let i = 0; i < n; i++) {
        const k = key();
        switch (rand(6)) {
          case 0:
          case 1: {
            const v = `${client}/${round}/${i}:${"y".repeat(rand(20) === 0 ? 9000 : rand(60))}`;
            const quiet = rand(3) === 0;
            stored.set(k, v);
            add(
              `set ${k} ${client} 0 ${v.length}${quiet ? " noreply" : ""}\r\n${v}\r\n`,
              quiet ? "" : "STORED\r\n",
            );
            break;
          }
          case 2:
          case 3:
            add(`get ${k}\r\n`, `${found(k)}END\r\n`);
            break;
          case 4: {
            // Misses make the order of a multi-get a matter of its fragments, so: hits only.
            const keys = Array.from({ length: 2 + rand(10) }, key).filter((x) => stored.has(x));
            if (keys.length > 0) {
              add(`get ${keys.join(" ")}\r\n`, `${keys.map(found).join("")}END\r\n`);
            }
            break;
          }
          default:
            add(`delete ${k}\r\n`, stored.delete(k) ? "DELETED\r\n" : "NOT_FOUND\r\n");
            break;
        }
      }
      return burst;
    });
  });
  await Promise.all(all);
});

test("clients that come, ask and vanish do not shift anybody's replies", async () => {
  const patient = await Wire.open(proxy.ports.redis);
  for (let round = 0; round < 40; round++) {
    const rude = await Promise.all(
      Array.from({ length: 10 }, () => Wire.open(proxy.ports.redis)),
    );
    for (const wire of rude) {
      wire.send(
        cmd("SET", `rude${round}`, "r".repeat(1000)) + cmd("GET", `rude${round}`).repeat(9),
      );
    }
    await Promise.all(rude.map((wire) => wire.flushed()));
    // Half of them leave by reset, half by FIN, none has read a byte.
    rude.forEach((wire, i) => i % 2 === 0 ? wire.socket.resetAndDestroy() : wire.close());
    const mine = Array.from({ length: 20 }, (_, i) => `mine:${round}:${i}`);
    patient.send(mine.map((key) => cmd("SET", key, key) + cmd("GET", key)).join(""));
    const expected = mine.map((key) => `+OK\r\n${bulk(key)}`).join("");
    assert.is(await patient.read(expected.length), expected);
  }
});

test("a client that reads nothing for a while gets everything in the end", async () => {
  const value = "v".repeat(100_000);
  const slow = await Wire.open(proxy.ports.redis);
  const quick = await Wire.open(proxy.ports.redis);
  assert.is(await slow.ask("SET", "slow", value), "+OK\r\n");
  slow.socket.pause();
  const n = 100;
  for (let i = 0; i < n; i++) slow.send(cmd("GET", "slow"));
  for (let i = 0; i < 200; i++) {
    assert.is(await quick.ask("SET", `quick${i}`, i), "+OK\r\n");
    assert.is(await quick.ask("GET", `quick${i}`), bulk(String(i)));
  }
  slow.socket.resume();
  const expected = bulk(value);
  for (let i = 0; i < n; i++) assert.ok(await slow.reply() === expected, `reply ${i} is whole`);
});

test.run();
