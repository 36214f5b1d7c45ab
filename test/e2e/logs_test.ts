// The log of a running proxy: JSON lines, levels, the slow log, and that it cannot be flooded.
// Needs: redis-server

import * as fs from "node:fs";
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  at,
  bulk,
  cmd,
  freePort,
  ours,
  type PoolSpec,
  type ProxyProcess,
  serves,
  startFake,
  startProxy,
  startRedis,
  tempPath,
  until,
  Wire,
} from "./harness.ts";

interface Line {
  time: string;
  level: string;
  msg: string;
  pid: number;
  event?: string;
  [field: string]: unknown;
}

interface Logged {
  proxy: ProxyProcess;
  text(): string;
  lines(): Line[];
  /** The first line that is wanted, once it is there. */
  find(what: string, wanted: (line: Line) => boolean): Promise<Line>;
}

async function logged(
  pool: PoolSpec,
  global?: Record<string, string>,
  args: string[] = [],
): Promise<Logged> {
  const path = tempPath("proxy.log");
  const pools: Record<string, PoolSpec> = { pool };
  const proxy = await startProxy(pools, { args: ["-o", path, ...args], global });
  const text = () => fs.readFileSync(path, "utf8");
  const whole = (): string => text().slice(0, text().lastIndexOf("\n") + 1);
  const lines = () => whole().split("\n").filter(Boolean).map((line) => JSON.parse(line));
  const find = async (what: string, wanted: (line: Line) => boolean): Promise<Line> => {
    let line: Line | undefined;
    await until(what, () => (line = lines().find(wanted)) !== undefined);
    return line as Line;
  };
  return { proxy, text, lines, find };
}

const JSON_INFO = { log_format: "json", log_level: "info" };

ours("each JSON line parses; a connection's life is told in fields", async () => {
  const redis = await startRedis();
  const log = await logged({ redis: true, servers: [at(redis, 1, "one")] }, JSON_INFO);
  const wire = await Wire.open(log.proxy.port);
  assert.is(await wire.ask("SET", "secret-key", "secret-value"), "+OK\r\n");
  assert.is(await wire.ask("GET", "secret-key"), bulk("secret-value"));
  wire.close();
  const closed = await log.find(
    "the client's end",
    (line) => line.event === "client_closed" && line.requests === 2,
  );
  assert.is(closed.level, "info");
  assert.is(closed.pool, "pool");
  assert.is(closed.pid, log.proxy.pid);
  assert.is(closed.reason, "eof");
  assert.is(
    closed.bytes,
    cmd("SET", "secret-key", "secret-value").length +
      cmd("GET", "secret-key").length,
  );
  assert.match(closed.time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  const { client } = closed;
  assert.ok(log.lines().some((one) => one.event === "client_connected" && one.client === client));
  const connected = log.lines().find((line) => line.event === "server_connected");
  assert.is(connected?.server, "one");
  assert.is(connected?.address, `127.0.0.1:${redis.port}`);
  await redis.stop("SIGKILL");
  await log.find(
    "the server's end",
    (line) => line.event === "server_closed" && line.server === "one",
  );
  await log.proxy.stop();
  assert.match(log.lines().at(-1)?.msg ?? "", /stopped$/);
  assert.not.match(log.text(), /secret/);
});

ours("log_level counts, and -v goes before it, by number or name", async () => {
  const redis = await startRedis();
  const pool = { redis: true, servers: [at(redis)] };
  const has = async (log: Logged) => {
    const wire = await Wire.open(log.proxy.port);
    assert.is(await wire.ask("GET", "a"), "$-1\r\n");
    wire.close();
    await log.proxy.stop();
    return /connected/.test(log.text());
  };
  assert.not.ok(await has(await logged(pool)));
  assert.ok(await has(await logged(pool, { log_level: "info" })));
  assert.not.ok(await has(await logged(pool, { log_level: "info" }, ["-v", "notice"])));
  assert.ok(await has(await logged(pool, { log_level: "warn" }, ["--verbose=debug"])));
  assert.ok(await has(await logged(pool, { log_level: "warn" }, ["-v", "6"])));
});

ours("a slow server's requests are told with command, key and server", async () => {
  const slow = await startFake((socket) => {
    socket.on("data", () => setTimeout(() => socket.write(bulk("late")), 150));
  });
  const log = await logged(
    { redis: true, slowlog_ms: 50, servers: [at(slow, 1, "snail")] },
    { log_format: "json" },
  );
  const wire = await Wire.open(log.proxy.port);
  assert.is(await wire.ask("GET", "what:1"), bulk("late"));
  const line = await log.find("the line", (one) => one.event === "slow_request");
  assert.equal([line.level, line.command, line.key, line.server], [
    ...["warn", "GET", "what:1", "snail"],
  ]);
  assert.type(line.ms, "number");
  assert.ok(line.ms as number > 50);
  assert.match(String(line.client), /^127\.0\.0\.1:\d+$/);
});

ours("lines of several workers say whose they are", async () => {
  const redis = await startRedis();
  const log = await logged(
    { redis: true, servers: [at(redis)] },
    { ...JSON_INFO, workers: "2" },
  );
  await serves(log.proxy.port);
  const line = await log.find("a client's line", (one) => one.event === "client_connected");
  assert.ok(line.worker === 1 || line.worker === 2);
  assert.match(line.msg, `worker ${line.worker}: `);
  assert.type(line.pid, "number");
  assert.is.not(line.pid, log.proxy.pid);
});

ours("a dead server cannot flood the log", async () => {
  const dead = await freePort();
  const log = await logged({ redis: true, servers: [at(dead, 1, "dead")] }, { log_format: "json" });
  const wire = await Wire.open(log.proxy.port);
  const closed = () => log.lines().filter((line) => line.event === "server_closed");
  // One after the other: each of them makes a connection that is refused.
  for (let i = 0; i < 200; i++) {
    assert.is(await wire.ask("GET", `k${i}`), "-ERR Connection refused\r\n");
  }
  await until("the rest to be told", () => closed().some((line) => line.suppressed as number > 0));
  const told = closed().reduce((sum, line) => sum + 1 + Number(line.suppressed ?? 0), 0);
  assert.ok(told <= 200 && closed().length < 150, `${closed().length} lines for 200`);
});

test.run();
