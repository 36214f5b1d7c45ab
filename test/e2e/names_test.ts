// Servers by their names: a name is looked up at every connect, and all its addresses count. The
// proxy sees a hosts file of the test's own, which takes a mount namespace: skipped where there is
// none to be had.

import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as net from "node:net";
import * as tls from "node:tls";
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  cmd,
  freePort,
  isNutcracker,
  ours,
  type PoolSpec,
  run,
  STAR,
  startProxy,
  tempPath,
  until,
  Wire,
} from "./harness.ts";

const canMount = spawnSync("unshare", ["-rm", "true"]).status === 0;
const named = canMount ? ours : test.skip;

const servers: net.Server[] = [];
test.after(() => servers.forEach((server) => server.close()));

/** Answers every command with its own address; `stop` ends it and its connections. */
async function serve(
  host: string,
  port: number,
  secure: tls.TlsOptions | null,
): Promise<{ stop(): void }> {
  const sockets = new Set<net.Socket>();
  const answer = (socket: net.Socket): void => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.on("data", () => socket.write(`+${host}\r\n`));
  };
  const server = secure === null ? net.createServer(answer) : tls.createServer(secure, answer);
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(port, host, resolve));
  return {
    stop() {
      server.close();
      sockets.forEach((socket) => socket.destroy());
    },
  };
}

async function certificate(): Promise<tls.TlsOptions> {
  const [key, cert] = [tempPath("key.pem"), tempPath("cert.pem")];
  await run("openssl", [
    ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"],
    ...["-keyout", key, "-out", cert, "-days", "2", "-subj", "/CN=moved.test"],
  ]);
  return { key: fs.readFileSync(key), cert: fs.readFileSync(cert) };
}

for (const how of ["TCP", "TLS"]) {
  const spec: PoolSpec = how === "TLS" ? { server_tls: "{insecure: true}" } : {};

  named(`${how}: a server that moves is found at its new address`, async () => {
    const secure = how === "TLS" ? await certificate() : null;
    const [port, hosts] = [await freePort(), tempPath("hosts")];
    const first = await serve("127.0.0.1", port, secure);
    fs.writeFileSync(hosts, "127.0.0.1 localhost\n127.0.0.1 moved.test\n");
    const proxy = await startProxy({
      pool: { redis: true, servers: [`moved.test:${port}:1`], ...spec },
    }, { hosts });
    const wire = await Wire.open(proxy.port);
    assert.is(await wire.ask("GET", "a"), "+127.0.0.1\r\n");
    await serve("127.0.0.2", port, secure);
    fs.writeFileSync(hosts, "127.0.0.1 localhost\n127.0.0.2 moved.test\n");
    first.stop();
    await until("the new address", async () => await wire.ask("GET", "a") === "+127.0.0.2\r\n");
  });

  named(`${how}: of several addresses the one that answers is used`, async () => {
    const secure = how === "TLS" ? await certificate() : null;
    const [port, hosts] = [await freePort(), tempPath("hosts")];
    await serve("127.0.0.3", port, secure);
    const lines = ["127.0.0.1 localhost", ...[1, 2, 3].map((n) => `127.0.0.${n} many.test`)];
    fs.writeFileSync(hosts, `${lines.join("\n")}\n`);
    const proxy = await startProxy({
      pool: { redis: true, servers: [`many.test:${port}:1`], ...spec },
    }, { hosts });
    const wire = await Wire.open(proxy.port);
    assert.is(await wire.ask("GET", "a"), "+127.0.0.3\r\n");
  });
}

test("* is the loopback address", async () => {
  const port = await freePort();
  await serve("127.0.0.1", port, null);
  const listen = `"*:${await freePort()}"`;
  const proxy = await startProxy({
    pool: { listen, redis: true, servers: [`127.0.0.1:${port}:1`] },
  });
  const both = isNutcracker ? [STAR] : [STAR, "127.0.0.1"];
  for (const host of both) {
    const wire = await Wire.open({ host, port: proxy.port });
    assert.is(await wire.send(cmd("GET", "a")).line(), "+127.0.0.1\r\n");
  }
});

test.run();
