// Health checks against servers that are killed, frozen and started again: who only asks for keys
// of the others never sees an error, and nobody's request is spent on finding out.
// Needs: redis-server memcached

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
  type ServerProcess,
  startMemcached,
  startProxy,
  startRedis,
  tempPath,
  until,
  Wire,
} from "./harness.ts";
import * as fs from "node:fs";

const CHECK = "\n    interval: 50\n    timeout: 250";

/** Two servers with keys of theirs, and a proxy that checks them. */
interface Scene {
  proxy: ProxyProcess;
  wire: Wire;
  servers: ServerProcess[];
  /** A key of each server. */
  keys: string[];
  log(): string;
}

async function scene(more: PoolSpec = {}): Promise<Scene> {
  const servers = await Promise.all([startRedis(), startRedis()]);
  const path = tempPath("health.log");
  const names = ["one", "two"];
  const proxy = await startProxy({
    pool: {
      redis: true,
      health_check: CHECK,
      ...more,
      servers: servers.map((server, i) => at(server, 1, names[i])),
    },
  }, { args: ["-o", path, "-v", "info"] });
  const wire = await Wire.open(proxy.port);
  const keys: string[] = [];
  for (let i = 0; keys.filter(Boolean).length < 2; i++) {
    assert.is(await wire.ask("SET", `key:${i}`, "x"), "+OK\r\n");
    const direct = await Wire.open(servers[0].port);
    keys[await direct.ask("EXISTS", `key:${i}`) === ":1\r\n" ? 0 : 1] = `key:${i}`;
    direct.close();
  }
  return { proxy, wire, servers, keys, log: () => fs.readFileSync(path, "utf8") };
}

/** Asks for the key of a healthy server all the time, until `over`. */
async function askAll({ proxy, keys }: Scene, over: () => boolean): Promise<number> {
  const wire = await Wire.open(proxy.port);
  let asked = 0;
  while (!over()) {
    assert.is(await wire.ask("GET", keys[0]), bulk("x"));
    asked++;
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  wire.close();
  return asked;
}

ours("a server that is killed is ejected without a request, and comes back by itself", async () => {
  const s = await scene();
  const { port } = s.servers[1];
  const out = /server "two".*ejected until it passes a health check/;
  await s.servers[1].stop("SIGKILL");
  const asked = await askAll(s, () => out.test(s.log()));
  assert.ok(asked > 0);
  // Its keys are another server's now, and no request has been spent on that.
  assert.is(await s.wire.ask("GET", s.keys[1]), "$-1\r\n");
  const ejected = await s.proxy.stats();
  assert.is(ejected.pool.forward_error, 0);
  assert.is(ejected.pool.server_ejects, 1);
  await startRedis({ port });
  await askAll(s, () => /server "two".*readmitted/.test(s.log()));
  assert.is(await s.wire.ask("SET", s.keys[1], "back"), "+OK\r\n");
  const direct = await Wire.open(port);
  assert.is(await direct.ask("GET", s.keys[1]), bulk("back"));
  assert.is((await s.proxy.stats()).pool.forward_error, 0);
});

ours("a server that hangs is ejected, and comes back when it goes on", async () => {
  const s = await scene({ timeout: 5000 });
  s.servers[1].kill("SIGSTOP");
  try {
    await askAll(s, () => /health check failed: no answer in 250 ms/.test(s.log()));
    await askAll(s, () => /server "two".*ejected until/.test(s.log()));
    assert.is(await s.wire.ask("GET", s.keys[1]), "$-1\r\n");
  } finally {
    s.servers[1].kill("SIGCONT");
  }
  await askAll(s, () => /server "two".*readmitted/.test(s.log()));
  assert.is(await s.wire.ask("GET", s.keys[1]), bulk("x"));
  assert.is((await s.proxy.stats()).pool.forward_error, 0);
});

ours("when all servers are gone, requests get an error at once; memcached too", async () => {
  const memcached = await startMemcached();
  const path = tempPath("all.log");
  const proxy = await startProxy(
    { pool: { health_check: CHECK, servers: [at(memcached)] } },
    { args: ["-o", path] },
  );
  const wire = await Wire.open(proxy.port);
  assert.is(await wire.send("set k 0 0 1\r\nx\r\n").line(), "STORED\r\n");
  await memcached.stop("SIGKILL");
  await until("the ejection", () => /ejected until/.test(fs.readFileSync(path, "utf8")));
  assert.is(await wire.send("get k\r\n").line(), "SERVER_ERROR Connection refused\r\n");
  await startMemcached({ port: memcached.port });
  await until("the return", () => /readmitted/.test(fs.readFileSync(path, "utf8")));
  assert.is(await wire.send("get k\r\n").line(), "END\r\n");
});

ours("a server that is dead from the start is out before the first request", async () => {
  const redis = await startRedis();
  const path = tempPath("dead.log");
  const dead = await freePort();
  const proxy = await startProxy({
    pool: {
      redis: true,
      health_check: CHECK,
      servers: [at(redis, 1, "one"), at(dead, 1, "dead")],
    },
  }, { args: ["-o", path] });
  await until("the ejection", () => /"dead".*ejected until/.test(fs.readFileSync(path, "utf8")));
  const wire = await Wire.open(proxy.port);
  wire.send(Array.from({ length: 50 }, (_, i) => cmd("SET", `k${i}`, i)).join(""));
  assert.equal(await wire.replies(50), Array(50).fill("+OK\r\n"));
});

test.run();
