// Where things listen.

import * as net from "node:net";

/** A port on 127.0.0.1, or host and port, or a unix socket. */
export type Target = number | { host: string; port: number } | { path: string };

export function toConnect(target: Target): net.NetConnectOpts {
  if (typeof target === "number") return { port: target, host: "127.0.0.1" };
  return target as net.NetConnectOpts;
}

function isFree(port: number, host: string): Promise<boolean> {
  return new Promise((resolve) => {
    const server = net.createServer();
    server.once("error", () => resolve(false));
    server.listen(port, host, () => server.close(() => resolve(true)));
  });
}

/** A port nobody listens on, outside the range the kernel gives to outgoing connections. */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < 1000; tries++) {
    const port = 10_000 + Math.floor(Math.random() * 20_000);
    if (await isFree(port, "0.0.0.0") && await isFree(port, "::")) return port;
  }
  throw new Error("no free port");
}

export function canConnect(target: Target): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect(toConnect(target));
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}
