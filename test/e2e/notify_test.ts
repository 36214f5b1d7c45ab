// systemd's notifications, received by a listener on a unix socket in systemd's place.

import * as fs from "node:fs";
import process from "node:process";
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  at,
  freePort,
  ours,
  type ProxyProcess,
  Running,
  runtime,
  startProxy,
  tempPath,
  until,
  which,
} from "./harness.ts";

const notifying = which("python3") !== "" && which("systemd-notify") !== "" ? ours : test.skip;

/** Prints every datagram; the descriptors that come along (BARRIER=1) are closed as systemd does. */
const LISTENER = `
import os, socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
print("listening", flush=True)
while True:
    data, fds, _, _ = socket.recv_fds(s, 4096, 8)
    for fd in fds: os.close(fd)
    if data != b"BARRIER=1": print(data.decode().replace("\\n", " "), flush=True)
`;

let proxy: ProxyProcess | undefined;
test.after.each(async () => {
  await proxy?.stop("SIGKILL");
});

notifying("systemd is told of readiness, reload and the end, in this order", async () => {
  const socket = tempPath("notify");
  const listener = new Running("listener", "python3", ["-c", LISTENER, socket]);
  await until("the listener", () => listener.output().includes("listening"));
  proxy = await startProxy({ pool: { redis: true, servers: [at(await freePort())] } }, {
    env: { NOTIFY_SOCKET: socket },
  });
  const told = () => listener.output().split("\n").slice(1).filter(Boolean);
  await until("READY", () => told().length === 1, 30_000);
  assert.equal(told(), ["READY=1"]);
  proxy.kill(runtime === "deno" ? "SIGUSR2" : "SIGUSR1");
  await until("the end of the reload", () => told().length === 3, 30_000);
  assert.equal(told().slice(1), ["RELOADING=1", "READY=1"]);
  proxy.kill("SIGTERM");
  await until("STOPPING", () => told().length === 4, 30_000);
  assert.is(told()[3], "STOPPING=1");
  assert.is((await proxy.exited()).code, 0);
  await listener.stop();
});

notifying("the end is told even while systemd is still being told of something else", async () => {
  const socket = tempPath("notify");
  const listener = new Running("listener", "python3", ["-c", LISTENER, socket]);
  await until("the listener", () => listener.output().includes("listening"));
  // A machine so busy that every message lies a while before it is out of the house.
  const folder = tempPath("slow");
  fs.mkdirSync(folder);
  const slow = `#!/bin/sh\n${which("systemd-notify")} "$@"\nsleep 1\n`;
  fs.writeFileSync(`${folder}/systemd-notify`, slow, { mode: 0o755 });
  proxy = await startProxy({ pool: { redis: true, servers: [at(await freePort())] } }, {
    env: { NOTIFY_SOCKET: socket, PATH: `${folder}:${process.env.PATH}` },
  });
  await until("READY", () => listener.output().includes("READY=1"), 30_000);
  assert.is((await proxy.stop("SIGTERM")).code, 0);
  await until("STOPPING", () => listener.output().includes("STOPPING=1"));
  await listener.stop();
});

ours("without a socket to tell, or with one that is not there, it works all the same", async () => {
  for (const NOTIFY_SOCKET of ["", tempPath("nobody")]) {
    proxy = await startProxy({ pool: { redis: true, servers: [at(await freePort())] } }, {
      env: { NOTIFY_SOCKET },
    });
    assert.is((await proxy.stop("SIGTERM")).code, 0);
    assert.not.ok(fs.existsSync(NOTIFY_SOCKET));
  }
});

test.run();
