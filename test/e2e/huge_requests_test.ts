// Requests of a million keys: their replies are right byte for byte, and others are served meanwhile.
// Needs: redis-server memcached

import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  at,
  bulk,
  cmd,
  type ProxyProcess,
  sameBytes,
  several,
  startMemcached,
  startProxy,
  startRedis,
  Wire,
} from "./harness.ts";

const KEYS = 1_000_000;
/** Of memcached's; a line is at most 1 MB there. */
const NAMES = 70_000;

let proxy: ProxyProcess;

test.before(async () => {
  const redis = await several(3, startRedis);
  const memcached = await several(3, startMemcached);
  proxy = await startProxy({
    redis: { redis: true, servers: redis.map((server) => at(server)) },
    memcached: { servers: memcached.map((server) => at(server)) },
  });
});

/** `each(i)` for all numbers below `n`, end to end. */
function repeated(n: number, each: (i: number) => string): string {
  const parts: string[] = [];
  for (let i = 0; i < n; i++) parts.push(each(i));
  return parts.join("");
}

/** Asks again and again until `done`; how often it was answered. */
async function ask(port: number, request: string, reply: string, done: Promise<unknown>) {
  const wire = await Wire.open(port);
  let over = false;
  const stop = () => void (over = true);
  done.then(stop, stop);
  let answers = 0;
  for (; !over; answers++) {
    wire.send(request);
    assert.is(await wire.read(reply.length), reply);
  }
  wire.socket.destroy();
  return answers;
}

const name = (i: number): string => `k${i}`;

test("MSET, MGET and DEL of a million keys, while another client is served", async () => {
  const { redis } = proxy.ports;
  const wire = await Wire.open(redis);
  const converse = async (request: string, reply: string, what: string): Promise<void> => {
    wire.send(request);
    const got = wire.read(reply.length);
    const answers = await ask(redis, cmd("PING") + cmd("GET", "mine"), "+PONG\r\n$-1\r\n", got);
    sameBytes(await got, reply, what);
    // How often depends on the machine; test/exchange/slices_test.ts counts turns instead.
    assert.ok(answers > 0, `${what}: others were answered ${answers} times`);
  };
  const half = KEYS / 2;
  // Redis takes 1,048,576 arguments: half of the keys are set.
  const pairs = repeated(half, (i) => bulk(name(2 * i)) + bulk(`v${i}`));
  await converse(`*${KEYS + 1}\r\n${bulk("MSET")}${pairs}`, "+OK\r\n", "MSET");
  const keys = repeated(KEYS, (i) => bulk(name(i)));
  const values = repeated(half, (i) => `${bulk(`v${i}`)}$-1\r\n`);
  const mget = `*${KEYS + 1}\r\n${bulk("MGET")}${keys}`;
  await converse(mget, `*${KEYS}\r\n${values}`, "MGET");
  const del = `*${KEYS + 1}\r\n${bulk("DEL")}${keys}`;
  await converse(del, `:${half}\r\n`, "DEL");
});

test("memcached: get of very many keys, while another client is served", async () => {
  const { memcached } = proxy.ports;
  const wire = await Wire.open(memcached);
  const stored = 30_000;
  wire.send(repeated(stored, (i) => `set ${name(i)} 0 0 ${name(i).length}\r\n${name(i)}\r\n`));
  await wire.read(stored * "STORED\r\n".length);
  const value = (i: number) => `VALUE ${name(i)} 0 ${name(i).length}\r\n${name(i)}\r\n`;
  const reply = `${repeated(stored, value)}END\r\n`;
  wire.send(`get ${repeated(NAMES, (i) => `${name(i)} `)}\r\n`);
  const got = wire.read(reply.length);
  await ask(memcached, "get mine\r\n", "END\r\n", got);
  sameBytes(await got, reply, "get");
});

test.run();
