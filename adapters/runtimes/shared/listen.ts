// What is the same in listening on every runtime: the file of a unix socket, and the host "*".

import { chmodSync, existsSync } from "node:fs";
import cluster from "node:cluster";
import { dirname } from "node:path";
import type { Address, Host, Listener, ListenOptions } from "../../../core/host.ts";
import { freeSocket } from "./free_socket.ts";

type Accept = Parameters<Host["listen"]>[2];
type Listen = (address: Address, options: ListenOptions, accept: Accept) => Promise<Listener>;

/** There is no IPv6 on this machine. */
const NO_IPV6 = ["EADDRNOTAVAIL", "EAFNOSUPPORT", "EINVAL", "EPROTONOSUPPORT"];

/** `Host.listen` of a runtime that can listen on one address, of a host or a unix socket. */
export function makeListen(one: Listen): Listen {
  return async (address, options, accept) => {
    const { host, path, mode } = address;
    if (path === "" && host === "*") return await loopback(one, address, options, accept);
    // Workers of a cluster share the socket: its file is not theirs to remove.
    if (path !== "" && !cluster.isWorker) await freeSocket(path);
    const listener = await one(address, options, accept).catch((error) => {
      // libuv calls it EACCES, as Windows does.
      const missing = path !== "" && !existsSync(dirname(path));
      throw missing ? Object.assign(new Error("no such folder"), { code: "ENOENT" }) : error;
    });
    if (path !== "" && mode >= 0) chmodSync(path, mode);
    return listener;
  };
}

/**
 * "*" is what getaddrinfo takes for no name at all, and nutcracker for the loopback addresses. Here
 * it is both of them on one port, or the one of IPv4 where there is no IPv6.
 */
async function loopback(
  one: Listen,
  address: Address,
  options: ListenOptions,
  accept: Accept,
): Promise<Listener> {
  let first: Listener | null = null;
  try {
    first = await one({ ...address, host: "::1" }, options, accept);
  } catch (error) {
    if (!NO_IPV6.includes((error as Error & { code?: string }).code ?? "")) throw error;
  }
  try {
    const { port } = first ?? address;
    const second = await one({ ...address, host: "127.0.0.1", port }, options, accept);
    return {
      port: second.port,
      close() {
        first?.close();
        second.close();
      },
    };
  } catch (error) {
    first?.close();
    throw error;
  }
}

/** The name to connect to: see `loopback`. */
export function nameOf(host: string): string {
  return host === "*" ? "localhost" : host;
}
