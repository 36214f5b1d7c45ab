// A proxy that is stopped or busy, clients that stall or do not read, servers that close what is
// idle: nobody else is hurt, and no server is blamed. What passes here is time itself, so some tests
// wait for the clock.
// Needs: redis-server

import * as fs from "node:fs";
import type * as net from "node:net";
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  at,
  behindProxy,
  bulk,
  cmd,
  ours,
  type PoolSpec,
  type ProxyProcess,
  startFake,
  startProxy,
  startRedis,
  until,
  Wire,
} from "./harness.ts";

const EJECTS: PoolSpec = {
  auto_eject_hosts: true,
  server_failure_limit: 1,
  server_retry_timeout: 30_000,
};

let started: { stop(signal: NodeJS.Signals): Promise<unknown> }[] = [];
test.after.each(async () => {
  for (const process of started) {
    (process as ProxyProcess).kill("SIGCONT");
    await process.stop("SIGKILL");
  }
  started = [];
});

/** Waits until so many ms have passed since `start`. */
const passed = (start: number, ms: number) =>
  until(`${ms} ms to pass`, () => Date.now() - start > ms);

/** Lost requests, and times a server was blamed. */
async function blamed(proxy: ProxyProcess): Promise<number> {
  const { pool } = await proxy.stats();
  let sum = pool.server_ejects + pool.forward_error;
  for (const of of Object.values(pool)) {
    if (typeof of !== "object" || of === null) continue;
    const server = of as Record<string, number>;
    sum += (server.server_timedout ?? 0) + (server.server_err ?? 0);
  }
  return sum;
}

test("a reply that came while the proxy was stopped is delivered", async () => {
  let answer: net.Socket | null = null;
  const fake = await startFake((socket) => void socket.on("data", () => answer = socket));
  const proxy = await startProxy({
    pool: { redis: true, timeout: 400, ...EJECTS, servers: [at(fake)] },
  });
  started.push(proxy);
  const wire = await Wire.open(proxy.port);
  for (let round = 0; round < 3; round++) {
    answer = null;
    wire.send(cmd("GET", "k"));
    const socket = await until("the request to come", () => answer) as unknown as net.Socket;
    const start = Date.now();
    proxy.kill("SIGSTOP");
    await until("the proxy to stand still", () => {
      const stat = fs.readFileSync(`/proc/${proxy.pid}/stat`, "latin1");
      return stat.slice(stat.lastIndexOf(")") + 2)[0] === "T";
    });
    socket.write(bulk("v"));
    await passed(start, 1200);
    proxy.kill("SIGCONT");
    assert.is(await wire.reply(), bulk("v"));
  }
  assert.is(await blamed(proxy), 0);
  fake.close();
});

ours("a request that keeps the proxy busy makes no server look dead", async () => {
  const { servers, proxy } = await behindProxy("redis", { timeout: 250, ...EJECTS });
  started.push(proxy, ...servers);
  const keys = Array.from({ length: 150_000 }, (_, i) => bulk(`absent:${i}`));
  const big = `*${keys.length + 1}\r\n${bulk("MGET")}${keys.join("")}`;
  const [busy, ...others] = await Promise.all([1, 2, 3, 4].map(() => Wire.open(proxy.port)));
  for (let round = 0; round < 3; round++) {
    let done = false;
    const small = others.map(async (wire, i) => {
      for (let n = 0; !done; n++) assert.is(await wire.ask("GET", `k${i}:${n}`), "$-1\r\n");
    });
    const reply = await busy.send(big).reply();
    assert.is(reply, `*150000\r\n${"$-1\r\n".repeat(150_000)}`);
    done = true;
    await Promise.all(small);
  }
  assert.is(await blamed(proxy), 0);
});

ours("a server that closes idle connections is no dead server", async () => {
  const redis = await startRedis({ args: ["--timeout", "1"] });
  const proxy = await startProxy({ pool: { redis: true, ...EJECTS, servers: [at(redis)] } });
  started.push(proxy, redis);
  const [one, two] = [await Wire.open(proxy.port), await Wire.open(proxy.port)];
  assert.is(await one.ask("SET", "k", "v"), "+OK\r\n");
  assert.is(await two.ask("SELECT", 1), "+OK\r\n");
  assert.is(await two.ask("SET", "k", "w"), "+OK\r\n");
  await until("both connections to be closed", async () => {
    const { pool } = await proxy.stats();
    return Object.values(pool).some((server) =>
      (server as { server_eof?: number })?.server_eof === 2
    );
  });
  assert.is(await one.ask("GET", "k"), bulk("v"));
  assert.is(await two.ask("GET", "k"), bulk("w"));
  assert.is(await blamed(proxy), 0);
});

ours("clients that do not read hold up nobody for long", async () => {
  const redis = await startRedis();
  const proxy = await startProxy({ pool: { redis: true, servers: [at(redis)] } });
  started.push(proxy, redis);
  const wire = await Wire.open(proxy.port);
  assert.is(await wire.ask("SET", "big", "x".repeat(8 << 20)), "+OK\r\n");
  assert.is(await wire.ask("SET", "small", "v"), "+OK\r\n");
  const slow: Wire[] = [];
  for (let i = 0; i < 8; i++) {
    const one = await Wire.open(proxy.port);
    one.socket.pause();
    one.send(cmd("GET", "big"));
    slow.push(one);
    // It waits behind all of them, and is served while none of them has read a byte.
    assert.is(await wire.ask("GET", "small"), bulk("v"));
  }
  for (const one of slow) one.close();
});

ours("a client that stalls in an upload is no fault of the server's", async () => {
  const redis = await startRedis();
  const proxy = await startProxy({
    pool: { redis: true, timeout: 400, ...EJECTS, servers: [at(redis)] },
  });
  started.push(proxy, redis);
  const [wire, other] = [await Wire.open(proxy.port), await Wire.open(proxy.port)];
  const value = "x".repeat(2 << 20);
  const request = cmd("SET", "k", value);
  wire.send(request.slice(0, 1_500_000));
  await wire.flushed();
  await passed(Date.now(), 1200);
  assert.is(await other.ask("GET", "k"), "$-1\r\n");
  wire.send(request.slice(1_500_000));
  assert.is(await wire.reply(), "+OK\r\n");
  assert.is(await other.ask("STRLEN", "k"), `:${value.length}\r\n`);
  assert.is(await blamed(proxy), 0);
});

ours("what a server refuses to queue ends in its own words, and blames nobody", async () => {
  const redis = await startRedis();
  const proxy = await startProxy({ pool: { redis: true, ...EJECTS, servers: [at(redis)] } });
  started.push(proxy, redis);
  const [ours, theirs] = [await Wire.open(proxy.port), await Wire.open(redis.port)];
  const script = [["MULTI"], ["COMMAND", "NOSUCH"], ["GET", "k"], ["EXEC"], ["GET", "k"]];
  const replies: string[][] = [[], []];
  for (const [i, wire] of [ours, theirs].entries()) {
    for (const words of script) replies[i].push(await wire.ask(...words));
  }
  assert.is(replies[0][3], replies[1][3], "EXEC");
  assert.is(replies[0][4], replies[1][4], "the connection is as it was");
  const lie = "return redis.error_reply('LOADING is what it says')";
  assert.match(await ours.ask("EVAL", lie, 1, "k"), /^-LOADING/);
  assert.is(await ours.ask("GET", "k"), "$-1\r\n");
  assert.is(await blamed(proxy), 0);
});

ours("a client that watches and does nothing is closed", async () => {
  const redis = await startRedis();
  const proxy = await startProxy({
    pool: { redis: true, pinned_idle_timeout: 1000, servers: [at(redis)] },
  });
  started.push(proxy, redis);
  const [watches, waits, other] = await Promise.all([1, 2, 3].map(() => Wire.open(proxy.port)));
  waits.send(cmd("BLPOP", "l", 0));
  assert.is(await watches.ask("WATCH", "k"), "+OK\r\n");
  await until("it to be closed", () => watches.ended);
  assert.is(await other.ask("LPUSH", "l", "v"), ":1\r\n");
  assert.is(await waits.reply(), `*2\r\n${bulk("l")}${bulk("v")}`);
});

ours(
  "one client that tries every database and version opens no more than the lanes allow",
  async () => {
    const redis = await startRedis({ args: ["--databases", "64"] });
    const proxy = await startProxy({
      pool: { redis: true, server_lanes: 8, lane_idle_timeout: 500, servers: [at(redis)] },
    });
    started.push(proxy, redis);
    const [wire, direct] = [await Wire.open(proxy.port), await Wire.open(redis.port)];
    const connected = async (): Promise<number> =>
      Number(/connected_clients:(\d+)/.exec(await direct.ask("INFO", "clients"))?.[1]);
    for (let db = 0; db < 64; db++) {
      for (const version of [2, 3]) {
        await wire.ask("HELLO", version);
        assert.is(await wire.ask("SELECT", db), "+OK\r\n");
        assert.is(await wire.ask("GET", "k"), version === 2 ? "$-1\r\n" : "_\r\n");
      }
      // Ours, one a lane, one that asks about commands.
      await until("closed lanes to be gone", async () => await connected() <= 1 + 8 + 1);
    }
    // Ours, the one of new clients, its own.
    await until("idle lanes to close", async () => await connected() === 3);
    assert.is(await wire.ask("GET", "k"), "_\r\n");
  },
);

test.run();
