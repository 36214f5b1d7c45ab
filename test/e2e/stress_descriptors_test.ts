// A proxy that runs out of file descriptors: it neither dies nor spins, those who are connected are
// served, and it takes new clients as soon as it can.
// Needs: redis-server

import * as fs from "node:fs";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { cpuSeconds, figure, Load } from "./load.ts";
import {
  at,
  bulk,
  cmd,
  ours,
  type ProxyProcess,
  type ServerProcess,
  several,
  startProxy,
  startRedis,
  until,
  Wire,
} from "./harness.ts";

const LIMIT = 64;

let redis: ServerProcess;

test.before(async () => {
  redis = await startRedis();
});

let proxy: ProxyProcess;
test.after.each(async () => {
  await proxy.stop("SIGKILL");
});

function descriptors(): number {
  return fs.readdirSync(`/proc/${proxy.pid}/fd`).length;
}

/** Seconds of CPU that pass while a second goes by. */
async function cpuOfOneSecond(): Promise<number> {
  const before = cpuSeconds(proxy.pid);
  const from = Date.now();
  await until("a second to pass", () => Date.now() - from >= 1000);
  return (cpuSeconds(proxy.pid) - before) * 1000 / (Date.now() - from);
}

ours("more clients than descriptors: no spinning, no crash, all served in the end", async () => {
  proxy = await startProxy({ pool: { redis: true, preconnect: true, servers: [at(redis)] } }, {
    descriptors: LIMIT,
  });
  const first = await Wire.open(proxy.port);
  assert.is(await first.ask("SET", "a", "1"), "+OK\r\n");
  // The kernel takes all of them; the proxy cannot.
  const many = await several(2 * LIMIT, () => Wire.open(proxy.port));
  for (const wire of many) wire.send(cmd("GET", "a"));
  await until("the limit to be reached", () => descriptors() >= LIMIT - 14);
  const answered = () => many.filter((wire) => wire.peek().length > 0).length;
  await until("somebody to be served", () => answered() > 10);
  const cpu = await cpuOfOneSecond();
  figure("CPU while out of descriptors", cpu * 100, "% of one core");
  assert.ok(cpu < 0.5, `it takes ${(cpu * 100).toFixed(0)} % of the CPU to do nothing`);
  assert.is(await first.ask("GET", "a"), bulk("1"));
  assert.ok(answered() < many.length, "the limit was not reached");
  // Room for those who wait: all who have been answered leave, as long as there are any.
  await until("everybody to be answered or closed", () => {
    for (const wire of many) if (wire.peek().length > 0) wire.close();
    return many.every((wire) => wire.peek().length > 0 || wire.ended);
  });
  for (const wire of many) {
    const got = wire.peek().toString("latin1");
    // On Node and Bun those are closed who cannot be taken.
    assert.ok(got === bulk("1") || (got === "" && wire.ended), JSON.stringify(got));
    wire.close();
  }
  // Who comes before those who left are gone may find no descriptor, and be closed as well.
  await until("room for ten clients", () => descriptors() < LIMIT - 30);
  const load = new Load(proxy.port, 10);
  await load.served();
  await load.stop();
  assert.is(load.errorCount, 0);
  assert.not.ok(proxy.gone, proxy.output());
});

ours("no descriptor for a server connection: an error each time, and then it works", async () => {
  proxy = await startProxy({ pool: { redis: true, servers: [at(redis)] } }, {
    descriptors: LIMIT,
  });
  const first = await Wire.open(proxy.port);
  assert.is(await first.ask("PING"), "+PONG\r\n");
  const many = await several(2 * LIMIT, () => Wire.open(proxy.port));
  await until("the limit to be reached", () => descriptors() >= LIMIT - 14);
  const from = cpuSeconds(proxy.pid);
  for (let i = 0; i < 20; i++) {
    // A descriptor that is held in reserve may do.
    assert.match(await first.ask("GET", "none"), /^(\$-1|-ERR (Too many open files|E[A-Z]+))\r\n$/);
    assert.is(await first.ask("PING"), "+PONG\r\n");
  }
  assert.ok(cpuSeconds(proxy.pid) - from < 2, "much ado about nothing");
  for (const wire of many) wire.close();
  await until("the server to be reached", async () => await first.ask("GET", "none") === "$-1\r\n");
  assert.not.ok(proxy.gone, proxy.output());
});

test.run();
