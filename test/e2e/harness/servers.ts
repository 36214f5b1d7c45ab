// Real servers, and fake ones that do what a test says.

import * as net from "node:net";
import * as path from "node:path";
import process from "node:process";
import { canConnect, freePort } from "./ports.ts";
import { closers, Running, tempPath, until, which } from "./processes.ts";

export interface ServerProcess extends Running {
  port: number;
}

async function startServer(
  name: string,
  port: number | undefined,
  command: string,
  args: (port: number) => string[],
): Promise<ServerProcess> {
  for (let tries = 0; tries < 5; tries++) {
    const at = port ?? await freePort();
    const running = new Running(name, command, args(at)) as ServerProcess;
    running.port = at;
    await until(`${name} to listen`, async () => running.gone || await canConnect(at));
    if (!running.gone) return running;
    if (port !== undefined) break;
  }
  throw new Error(`${name} does not start`);
}

/** A redis-server that keeps nothing on disk; `config`: a file that it may rewrite. */
export function startRedis(
  opts: { port?: number; args?: string[]; config?: string } = {},
): Promise<ServerProcess> {
  return startServer("redis-server", opts.port, which("redis-server"), (port) => [
    ...(opts.config === undefined ? [] : [opts.config]),
    ...["--port", String(port), "--bind", "127.0.0.1", "::1", "--save", "", "--appendonly", "no"],
    ...["--daemonize", "no", "--dir", path.dirname(tempPath("dir"))],
    ...(opts.args ?? []),
  ]);
}

export function startMemcached(
  opts: { port?: number; args?: string[] } = {},
): Promise<ServerProcess> {
  return startServer("memcached", opts.port, which("memcached"), (port) => [
    ...["-p", String(port), "-U", "0", "-l", "127.0.0.1,::1", "-t", "1", "-m", "64"],
    ...(process.getuid?.() === 0 ? ["-u", "root"] : []),
    ...(opts.args ?? []),
  ]);
}

/** `n` servers of one kind, started together. */
export function several<T>(n: number, start: () => Promise<T>): Promise<T[]> {
  return Promise.all(Array.from({ length: n }, () => start()));
}

/** A server in this process that does what the test says. */
export interface Fake {
  port: number;
  /** Connections ever accepted. */
  accepted: number;
  /** Everything received, all connections together. */
  received: () => string;
  close(): void;
}

export async function startFake(
  onConnection: (socket: net.Socket, fake: Fake) => void,
  port?: number,
): Promise<Fake> {
  const sockets = new Set<net.Socket>();
  const chunks: Buffer[] = [];
  const server = net.createServer((socket) => {
    fake.accepted++;
    sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => sockets.delete(socket));
    socket.on("data", (chunk) => chunks.push(chunk as Buffer));
    onConnection(socket, fake);
  });
  const fake: Fake = {
    port: port ?? await freePort(),
    accepted: 0,
    received: () => Buffer.concat(chunks).toString("latin1"),
    close() {
      server.close();
      for (const socket of sockets) socket.destroy();
      closers.delete(fake.close);
    },
  };
  closers.add(fake.close);
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(fake.port, "127.0.0.1", resolve);
  });
  return fake;
}
