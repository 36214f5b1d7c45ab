// Nobody outside can stop a running proxy by doing nothing: connections to the stats port that are
// never closed, a log that nobody reads.
// Needs: redis-server

import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import * as fs from "node:fs";
import * as net from "node:net";
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  at,
  bulk,
  command,
  freePort,
  ours,
  serves,
  startProxy,
  startRedis,
  tempPath,
  until,
  Wire,
} from "./harness.ts";

for (const workers of [1, 2]) {
  ours(`stats connections that are never closed end, with ${workers} workers`, async () => {
    const redis = await startRedis();
    const proxy = await startProxy(
      { p: { redis: true, servers: [at(redis)] } },
      { args: ["--workers", String(workers)], descriptors: 256 },
    );
    await serves(proxy.port);
    await until(
      "the stats to be told",
      () => proxy.stats().then((s) => s.p !== undefined, () => false),
    );
    // Half open: what the proxy sends is read, its FIN is not answered. No more at a time than the
    // kernel's queue has room for.
    const held: net.Socket[] = [];
    for (let i = 0; i < 6; i++) {
      const some = Array.from({ length: 50 }, () => {
        const to = { port: proxy.statsPort, host: "127.0.0.1", allowHalfOpen: true };
        return net.connect(to).on("error", () => {}).resume();
      });
      held.push(...some);
      await until("all to be told", () => some.every((one) => one.readableEnded || one.closed));
    }
    const wire = await Wire.open(proxy.port);
    assert.is(await wire.ask("SET", "k", "v"), "+OK\r\n");
    assert.ok((await proxy.stats()).p, "the stats are still told");
    const open = () => fs.readdirSync(`/proc/${proxy.pid}/fd`).length;
    const idle = open();
    await until("the last of them to be closed", () => open() <= idle - 32);
    for (const one of held) one.destroy();
    assert.is((await proxy.stop()).code, 0);
  });
}

/** Starts a proxy whose stderr, a pipe, is not read before `read` is called. */
async function unread(
  args: string[],
): Promise<{ port: number; child: ChildProcess; read(): () => string }> {
  const redis = await startRedis();
  const port = await freePort();
  const conf = tempPath("unread.yml");
  fs.writeFileSync(
    conf,
    `p:\n  listen: 127.0.0.1:${port}\n  redis: true\n  servers:\n    - ${at(redis)}\n`,
  );
  const [program, first] = command();
  const stats = ["-a", "127.0.0.1", "-s", String(await freePort()), "--admin", "off"];
  const child = spawn(program, [...first, "-c", conf, ...stats, "-v", "7", ...args], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  test.after(() => void child.kill("SIGKILL"));
  await serves(port);
  return {
    port,
    child,
    read() {
      let text = "";
      child.stderr?.on("data", (chunk) => void (text += chunk));
      return () => text;
    },
  };
}

/** Has the proxy log some 500 KB. */
async function chatter(port: number): Promise<void> {
  for (let i = 0; i < 30; i++) {
    await Promise.all(Array.from({ length: 50 }, async () => {
      const wire = await Wire.open(port);
      wire.send("*1\r\n$-7\r\n");
      await wire.rest();
    }));
  }
  const wire = await Wire.open(port);
  assert.is(await wire.ask("SET", "k", "v"), "+OK\r\n");
  assert.is(await wire.ask("GET", "k"), bulk("v"));
  wire.close();
}

for (const workers of ["1", "2"]) {
  const how = `with ${workers} workers`;
  ours(`a stderr that nobody reads stops nobody, ${how}; what is lost is told`, async () => {
    const { port, child, read } = await unread(["--workers", workers]);
    await chatter(port);
    const text = read();
    await until("the lost lines to be told", () => /log: \d+ lines dropped/.test(text()));
    child.kill("SIGTERM");
    await until("its last line", () => /stopped\n/.test(text()));
    await until("it to end", () => child.exitCode === 0);
    for (const line of text().split("\n").slice(0, -1)) assert.match(line, /^\[20\d\d-.*\] ./);
  });

  ours(`it ends though nobody reads its stderr, ${how}`, async () => {
    const { port, child } = await unread(["--workers", workers]);
    await chatter(port);
    child.kill("SIGTERM");
    await until("it to end", () => child.exitCode === 0);
  });
}

ours("a log file may be a FIFO without a reader, and with one that comes later", async () => {
  const fifo = tempPath("log.fifo");
  execFileSync("mkfifo", [fifo]);
  const { port, child } = await unread(["-o", fifo]);
  await chatter(port);
  const reader = fs.createReadStream(fifo);
  let text = "";
  reader.on("data", (chunk) => void (text += chunk));
  await until("the lost lines to be told", () => /log: \d+ lines dropped/.test(text));
  assert.match(text, /started on pid/);
  child.kill("SIGTERM");
  await until("it to end", () => child.exitCode === 0);
  await until("its last line", () => /stopped\n/.test(text));
  reader.destroy();
});

test.run();
