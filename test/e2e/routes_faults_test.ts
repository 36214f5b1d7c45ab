// Children of failover and all are killed, stopped and answer garbage, under clients that know what
// they have written: nothing that was promised is lost, and nobody waits who need not.
// Needs: redis-server memcached

import process from "node:process";
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  at,
  bulk,
  type Fake,
  isNutcracker,
  ours,
  type ProxyProcess,
  type ServerProcess,
  several,
  startFake,
  startProxy,
  startRedis,
  Wire,
} from "./harness.ts";

const CLIENTS = 4;
const ROUNDS = Number(process.env.RINGMUX_ROUNDS ?? 40);

let redis: ServerProcess[];
let garbage: Fake;
let proxy: ProxyProcess;

test.before(async () => {
  if (isNutcracker) return;
  redis = await several(3, startRedis);
  garbage = await startFake((socket) => {
    socket.on("data", () => socket.write("?!\r\n"));
    socket.on("error", () => {});
  });
  const pool = { redis: true, timeout: 400 };
  const routes = (text: string) => ({ redis: true, routes: text });
  proxy = await startProxy({
    majority: routes("{default: {all: [r0, r1, r2], wait: majority}}"),
    fastest: routes("{default: {all: [r0, r1, r2], wait: fastest}}"),
    spare: routes("{default: {failover: [r1, r0]}}"),
    odd: routes("{default: {failover: [odd0, r0]}}"),
    ...Object.fromEntries(redis.map((s, i) => [`r${i}`, { ...pool, servers: [at(s)] }])),
    odd0: { ...pool, servers: [at(garbage.port)] },
  });
});

/** Clients write and read keys of their own through a front; what does not agree is returned. */
async function load(front: string, during: () => void | Promise<void>): Promise<string[]> {
  const wrong: string[] = [];
  let begun = 0;
  let tell = () => {};
  const half = new Promise<void>((resolve) => tell = resolve);
  const run = async (n: number) => {
    const wire = await Wire.open(proxy.ports[front]);
    for (let i = 0; i < ROUNDS; i++) {
      const key = `${front}:${n}:${i}`;
      if (++begun === CLIENTS * ROUNDS / 2) tell();
      wire.send(`*3\r\n$3\r\nSET\r\n${bulk(key)}${bulk(String(i))}*2\r\n$3\r\nGET\r\n${bulk(key)}`);
      const [set, get] = await wire.replies(2);
      if (set !== "+OK\r\n" || get !== bulk(String(i))) wrong.push(`${key}: ${set} ${get}`);
    }
    wire.close();
  };
  const all = Promise.all(Array.from({ length: CLIENTS }, (_, n) => run(n)));
  await half;
  await during();
  await all;
  return wrong;
}

async function count(server: ServerProcess, front: string): Promise<number> {
  const wire = await Wire.open(server.port);
  const reply = await wire.ask("EVAL", "return #redis.call('KEYS', ARGV[1])", "0", `${front}:*`);
  wire.close();
  return Number(reply.slice(1));
}

ours("majority: a child that stands still holds up nobody, and both others have all", async () => {
  const wrong = await load("majority", () => void redis[1].kill("SIGSTOP"));
  redis[1].kill("SIGCONT");
  assert.equal(wrong, []);
  for (const i of [0, 2]) assert.is(await count(redis[i], "majority"), CLIENTS * ROUNDS);
});

ours("fastest: as long as one child answers", async () => {
  const wrong = await load("fastest", () => {
    redis[0].kill("SIGSTOP");
    redis[1].kill("SIGSTOP");
  });
  redis[0].kill("SIGCONT");
  redis[1].kill("SIGCONT");
  assert.equal(wrong, []);
});

ours("failover: before a server that answers garbage reads go to the spare", async () => {
  const wire = await Wire.open(proxy.ports.spare);
  await wire.ask("SET", "known", "v"); // at r1
  const direct = await Wire.open(redis[0].port);
  await direct.ask("SET", "known", "v");
  wire.close();
  direct.close();
  const odd = await Wire.open(proxy.ports.odd);
  for (let i = 0; i < 5; i++) assert.is(await odd.ask("GET", "known"), bulk("v"));
  assert.match(await odd.ask("SET", "known", "w"), /^-ERR .*; it may have been carried out\r\n$/);
  odd.close();
});

ours("failover: a killed child is replaced, but for writes that may have been done", async () => {
  const wrong = await load("spare", async () => {
    redis[1].kill("SIGKILL");
    await redis[1].exited();
  });
  for (const line of wrong) {
    // What was lost on its way, and reads of what only the dead one had.
    assert.match(line, /it may have been carried out|\+OK\r\n \$-1|-ERR/, line);
  }
  assert.ok(wrong.length <= 2 * CLIENTS, `${wrong.length}: ${wrong.join("; ")}`);
  const wire = await Wire.open(proxy.ports.spare);
  assert.is(await wire.ask("SET", "after", "v"), "+OK\r\n");
  assert.is(await wire.ask("GET", "after"), bulk("v"));
  wire.close();
});

test.run();
