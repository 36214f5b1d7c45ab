// Bun's compiler threads come after the one that serves requests.
// Needs: redis-server

import * as fs from "node:fs";
import * as os from "node:os";
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  at,
  needs,
  type ProxyProcess,
  runtime,
  type ServerProcess,
  startProxy,
  startRedis,
  until,
  Wire,
} from "./harness.ts";

const bunTest = runtime === "bun" && process.platform === "linux" ? needs("redis") : test.skip;

let redis: ServerProcess;
let proxy: ProxyProcess;

/** How much nicer its threads are than this process, by name. */
function priorities(pid: number): [name: string, nice: number][] {
  const threads: [string, number][] = [];
  for (const thread of fs.readdirSync(`/proc/${pid}/task`)) {
    try {
      const name = fs.readFileSync(`/proc/${pid}/task/${thread}/comm`, "utf8").trim();
      threads.push([name, os.getPriority(Number(thread)) - os.getPriority()]);
    } catch {
      // it has ended
    }
  }
  return threads;
}

bunTest("the compiler's threads have a low priority, all others the usual one", async () => {
  redis = await startRedis();
  proxy = await startProxy({ pool: { redis: true, servers: [at(redis)] } });
  const wire = await Wire.open(proxy.port);
  await until("compilers to be at work, and deferred", async () => {
    for (let i = 0; i < 50; i++) await wire.ask("SET", `key ${i}`, "value");
    const compilers = priorities(proxy.pid).filter(([name]) => name === "JITWorker");
    return compilers.length > 0 && compilers.every(([, nice]) => nice === 10);
  });
  const others = priorities(proxy.pid).filter(([name]) => name !== "JITWorker");
  assert.equal(others.filter(([, nice]) => nice !== 0), []);
  wire.close();
  await proxy.stop();
  await redis.stop();
});

test.run();
