// Node: sockets by node:net.

import net from "node:net";
import process from "node:process";
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
import { makeListen, nameOf } from "../shared/listen.ts";
import { NOBODY } from "../shared/nobody.ts";
import { connectTls, listenTls } from "../shared/tls_socket.ts";
import { NodeSocket } from "./socket.ts";

type Accept = Parameters<Host["listen"]>[2];

function remoteOf(socket: net.Socket): string {
  return socket.remoteAddress === undefined ? "" : `${socket.remoteAddress}:${socket.remotePort}`;
}

/**
 * Takes over the connection of an accepted socket with one that reads by `onread`: net.Server
 * offers that for connecting sockets only.
 */
function takeOver(accepted: net.Socket, socket: NodeSocket): net.Socket {
  const inner = accepted as unknown as { _handle: unknown };
  const handle = inner._handle;
  inner._handle = null;
  const options = { handle, allowHalfOpen: true, onread: socket.onread };
  return new net.Socket(options as net.SocketConstructorOpts);
}

function listen(address: Address, options: ListenOptions, accept: Accept): Promise<Listener> {
  if (options.tls !== undefined) return listenTls(address, options, accept);
  return new Promise((resolve, reject) => {
    const server = net.createServer({ allowHalfOpen: true, pauseOnConnect: true }, (accepted) => {
      const remote = remoteOf(accepted);
      const socket = new NodeSocket(remote);
      const own = takeOver(accepted, socket);
      own.setNoDelay(true);
      if (options.keepAlive) own.setKeepAlive(true);
      socket.attach(own, NOBODY);
      const handler = accept(socket);
      if (handler === null) return own.destroySoon();
      socket.handler = handler;
      socket.begin();
    });
    server.once("error", reject);
    const { host, port, path } = address;
    const where = path !== "" ? { path } : { host, port };
    server.listen({ ...where, backlog: options.backlog, reusePort: options.reusePort }, () => {
      server.off("error", reject);
      server.on("error", () => {}); // of one connection that could not be accepted
      const bound = server.address();
      resolve({
        port: typeof bound === "object" && bound !== null ? bound.port : 0,
        close: () => server.close(),
      });
    });
  });
}

export const nodeHost: Host = {
  ...clock,
  runtime: `node ${process.versions.node}`,
  listen: makeListen(listen),
  connect(address: Address, handler: SocketHandler, tls?: ConnectTls): Socket {
    if (tls !== undefined) return connectTls(address, handler, tls);
    const { host, port, path } = address;
    const socket = new NodeSocket(path !== "" ? path : `${host}:${port}`);
    const where = path !== "" ? { path } : { host: nameOf(host), port };
    const inner = net.connect({
      ...where,
      allowHalfOpen: true,
      noDelay: true,
      onread: socket.onread,
    });
    socket.attach(inner, handler);
    inner.once("connect", () => socket.handler?.open());
    return socket;
  },
};

tuneCopy(28, 256);
