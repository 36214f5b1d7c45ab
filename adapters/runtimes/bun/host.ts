// Bun: sockets by Bun.listen and Bun.connect.

import { readFileSync } from "node:fs";
import { tuneCopy } from "../../../core/bytes.ts";
import type {
  Address,
  ConnectTls,
  Host,
  Listener,
  ListenOptions,
  Socket,
  SocketHandler,
} from "../../../core/host.ts";
import { clock } from "../shared/clock.ts";
import { makeListen } from "../shared/listen.ts";
import { connectTls, listenTls } from "../shared/tls_socket.ts";
import { setBacklog } from "./backlog.ts";
import { dial } from "./dial.ts";
import { BunSocket, connectOne, handlers, type Inner, UNWANTED } from "./socket.ts";

type Accept = Parameters<Host["listen"]>[2];

/**
 * Bun's loop calls accept over and over when there is no file descriptor left, and takes all of a
 * CPU for it. So a client that would take one of the last is closed: they are for connections to
 * servers and for files. (The kernel always gives the lowest free number.)
 */
const RESERVED = 12;

/** The first descriptor that clients may not have. */
function descriptorLimit(): number {
  try {
    const soft = /^Max open files\s+(\d+)/m.exec(readFileSync("/proc/self/limits", "utf8"));
    return soft === null ? Infinity : Number(soft[1]) - RESERVED;
  } catch {
    return Infinity; // not Linux
  }
}

/** The handlers of a listener's sockets. */
function acceptors(options: ListenOptions, accept: Accept): typeof handlers {
  const limit = descriptorLimit();
  return {
    ...handlers,
    open(inner: Inner): void {
      if ((inner as unknown as { fd: number }).fd >= limit) {
        inner.data = UNWANTED;
        inner.end();
        return;
      }
      const { remoteAddress, remotePort } = inner;
      const own = new BunSocket(remoteAddress ? `${remoteAddress}:${remotePort}` : "", null);
      own.inner = inner;
      inner.data = own;
      inner.setNoDelay(true);
      if (options.keepAlive) inner.setKeepAlive(true);
      own.handler = accept(own);
      if (own.handler === null) inner.end();
    },
  };
}

async function listen(
  address: Address,
  options: ListenOptions,
  accept: Accept,
): Promise<Listener> {
  const { backlog, reusePort, tls } = options;
  if (tls !== undefined) {
    const { fd, ...listener } = await listenTls(address, options, accept);
    await setBacklog(fd, backlog);
    return listener;
  }
  const { host, port, path } = address;
  const where = path !== "" ? { unix: path } : { hostname: host, port };
  const socket = acceptors(options, accept);
  const listener = Bun.listen(
    { ...where, allowHalfOpen: true, reusePort, socket } as unknown as Parameters<
      typeof Bun.listen
    >[0],
  ) as unknown as { port: number; fd: number; stop(force: boolean): void };
  await setBacklog(listener.fd, backlog);
  return { port: path !== "" ? 0 : listener.port, close: () => listener.stop(false) };
}

export const bunHost: Host = {
  ...clock,
  runtime: `bun ${Bun.version}`,
  listen: makeListen(listen),
  connect(address: Address, handler: SocketHandler, tls?: ConnectTls): Socket {
    if (tls !== undefined) return connectTls(address, handler, tls);
    const { host, port, path } = address;
    const socket = new BunSocket(path !== "" ? path : `${host}:${port}`, handler);
    if (path !== "") connectOne(socket, { unix: path }, (error) => socket.closed(error));
    else void dial(socket, host, port);
    return socket;
  },
};

tuneCopy(80, 192);
