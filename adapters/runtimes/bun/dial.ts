// Connecting to a host by its name. Bun remembers names for 30 s, and would find a server that has
// moved at its old place: a name is looked up here at every connect, as on Node and Deno.

import { isIP } from "node:net";
import { nameOf } from "../shared/listen.ts";
import { type BunSocket, codeOf, connectOne } from "./socket.ts";

/** Milliseconds after which the next address of a name is tried too (RFC 8305: 250). */
const NEXT = 250;

/** Connects `socket` to `host` and `port`, by the first of its addresses that answers. */
export async function dial(socket: BunSocket, host: string, port: number): Promise<void> {
  const name = nameOf(host);
  if (isIP(name) !== 0) return attempt(socket, [name], port);
  try {
    // As the C library finds it: files, DNS and what else /etc/nsswitch.conf has.
    const found = await Bun.dns.lookup(name, { backend: "libc", socketType: "tcp" });
    const addresses = [...new Set(found.map(({ address }) => address))];
    if (addresses.length === 0) socket.closed("ENOTFOUND");
    else attempt(socket, addresses, port);
  } catch (error) {
    socket.closed(codeOf(error as Error).replace(/^DNS_/, ""));
  }
}

/** Tries the addresses, the next one when one has failed or is slow; the first that opens has it. */
function attempt(socket: BunSocket, addresses: string[], port: number): void {
  let pending = 0;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const next = (): void => {
    clearTimeout(timer);
    const hostname = addresses.shift();
    if (hostname === undefined || !socket.connecting) return;
    pending++;
    connectOne(socket, { hostname, port }, (error) => {
      pending--;
      if (addresses.length > 0) next();
      else if (pending === 0) socket.closed(error);
    });
    if (addresses.length > 0) timer = setTimeout(next, NEXT);
  };
  next();
}
