// Deno: sockets by Deno.listen and Deno.connect.

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
import { codeOf, DenoSocket } from "./socket.ts";

type Accept = Parameters<Host["listen"]>[2];

function addressOf(conn: Deno.Conn): string {
  const { remoteAddr } = conn;
  return "hostname" in remoteAddr ? `${remoteAddr.hostname}:${remoteAddr.port}` : "";
}

const EXHAUSTED = ["EMFILE", "ENFILE", "ENOBUFS", "ENOMEM"];

async function acceptAll(
  listener: Deno.Listener,
  options: ListenOptions,
  accept: Accept,
): Promise<void> {
  for (;;) {
    let conn: Deno.Conn;
    try {
      conn = await listener.accept();
    } catch (error) {
      if (error instanceof Deno.errors.BadResource || error instanceof Deno.errors.Interrupted) {
        return; // the listener was closed
      }
      // Out of file descriptors: wait a moment, or this loop would take the whole CPU. All else
      // (ENOTCONN: the client has hung up already) concerns that one connection only.
      if (EXHAUSTED.includes(codeOf(error))) {
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
      continue;
    }
    if (options.keepAlive && "setKeepAlive" in conn) (conn as Deno.TcpConn).setKeepAlive(true);
    const socket = new DenoSocket(addressOf(conn), (own) => {
      own.attach(conn);
      return accept(own) ?? NOBODY;
    });
    if (socket.refused) socket.close();
    else socket.read();
  }
}

async function listen(
  address: Address,
  options: ListenOptions,
  accept: Accept,
): Promise<Listener> {
  if (options.tls !== undefined) return await listenTls(address, options, accept);
  const { host, port, path } = address;
  const { backlog: tcpBacklog, reusePort } = options;
  const listener = path !== ""
    ? Deno.listen({ transport: "unix", path })
    : Deno.listen({ hostname: host, port, reusePort, tcpBacklog } as Deno.TcpListenOptions);
  acceptAll(listener, options, accept);
  let open = true;
  return {
    port: "port" in listener.addr ? listener.addr.port : 0,
    close() {
      if (open) listener.close();
      open = false;
    },
  };
}

export const denoHost: Host = {
  ...clock,
  runtime: `deno ${Deno.version.deno}`,
  listen: makeListen(listen),
  connect(address: Address, handler: SocketHandler, tls?: ConnectTls): Socket {
    if (tls !== undefined) return connectTls(address, handler, tls);
    const { host, port, path } = address;
    const socket = new DenoSocket(path !== "" ? path : `${host}:${port}`, () => handler);
    socket.connecting = new AbortController();
    const { signal } = socket.connecting;
    const connecting: Promise<Deno.Conn> = path !== ""
      ? Deno.connect({ transport: "unix", path })
      : Deno.connect({ hostname: nameOf(host), port, signal });
    connecting.then((conn) => {
      socket.attach(conn);
      if (socket.isClosed) return;
      handler.open();
      socket.read();
    }, (error) => socket.failed(codeOf(error)));
    return socket;
  },
};

tuneCopy(44, 256);
