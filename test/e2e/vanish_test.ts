// Clients that vanish leave nothing behind, whatever they were in the middle of.
// Needs: redis-server

import type * as net from "node:net";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { behindProxy, cmd, ours, type ProxyProcess, until, Wire } from "./harness.ts";

const SIZE = 8 << 20;
const CLIENTS = 10;

let proxy: ProxyProcess;

test.before(async () => {
  ({ proxy } = await behindProxy("redis", {}, { n: 1 }));
  const wire = await Wire.open(proxy.port);
  wire.send(`*3\r\n$3\r\nSET\r\n$3\r\nbig\r\n$${SIZE}\r\n${"x".repeat(SIZE)}\r\n`);
  assert.is(await wire.reply(), "+OK\r\n");
  wire.close();
});

const ways: Record<string, (socket: net.Socket) => void> = {
  "close their socket": (socket) => socket.destroy(),
  "send FIN and close their socket": (socket) => socket.end(() => socket.destroy()),
  "reset the connection": (socket) => socket.resetAndDestroy(),
};

/** A client that has asked for a large value, and reads no more than its beginning. */
async function startReading(commands: string): Promise<net.Socket> {
  const { socket } = await Wire.open(proxy.port);
  socket.write(commands);
  await new Promise((resolve) => socket.once("data", resolve));
  socket.pause();
  return socket;
}

for (const [what, vanish] of Object.entries(ways)) {
  for (
    const [how, commands] of [["one", cmd("GET", "big")], ["many", cmd("GET", "big").repeat(3)]]
  ) {
    ours(`clients that ${what} during ${how} of large replies are gone`, async () => {
      for (let i = 0; i < CLIENTS; i++) vanish(await startReading(commands));
      await until("all to be gone", async () => {
        const { pool } = await proxy.stats();
        return pool.client_connections === 0;
      }, 30_000);
      const wire = await Wire.open(proxy.port);
      assert.is(await wire.ask("GET", "none"), "$-1\r\n");
      wire.close();
    });
  }
}

test.run();
