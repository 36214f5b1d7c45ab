// A client that has said of its next command whether what it reads is to be tracked (CLIENT CACHING):
// the server is told right before it, over the same link.
//
//   | event                            | next                          |
//   | a command, but for CLIENT's      | the mode that was before      |
//   | CLIENT TRACKING OFF, RESET       | the mode that was before      |

import type { Link } from "../../link/link.ts";
import {
  type Caching,
  FORWARD,
  type Keys,
  PIN,
  PIN_MULTI,
  type Scan,
  SPLIT,
  TOGETHER,
} from "../../protocol/codec.ts";
import { mainOf, type Server } from "../../server/server.ts";
import type { Hold, ModeClient } from "./hold.ts";
import type { Mode } from "./mode.ts";
import { sendOwn } from "./own.ts";
import { isSplit } from "./split_transaction.ts";
import { LATER, TAKEN } from "./taken.ts";

const IN_SPLIT = "CLIENT CACHING before MULTI is not supported by ringmux with multi: split";

export const CACHED_ONCE: Mode = {
  name: "cached once",
  isInForce({ codec: { caching }, session }: ModeClient): boolean {
    return caching !== null && !caching.isUnsaid(session);
  },
  take(client: ModeClient, scan: Scan, buf: Uint8Array, at: number, length: number): number {
    const { session, codec, hold } = client;
    const caching = codec.caching as Caching;
    const { action } = scan;
    if (caching.passesOver(scan)) return client.passOn(CACHED_ONCE, scan, buf, at, length);
    if ((hold !== null || action === PIN) && client.head !== null) return LATER;
    const said = caching.takeSaid(session);
    client.settleMode();
    if (action === PIN && scan.pin === PIN_MULTI) {
      return sayBeforeMulti(client, said, scan, buf, at, length);
    }
    if (action === FORWARD || action === SPLIT || action === TOGETHER) {
      for (const server of serversOf(client, scan, buf, at)) {
        const isHeld = hold !== null && hold.isAlive() && hold.server === server;
        say(client, isHeld ? hold.link as Link : server.linkFor(client), said);
      }
    }
    return client.passOn(CACHED_ONCE, scan, buf, at, length);
  },
};

/** It is said of all commands of the transaction. */
function sayBeforeMulti(
  client: ModeClient,
  said: Uint8Array,
  scan: Scan,
  buf: Uint8Array,
  at: number,
  length: number,
): number {
  const before = client.hold;
  if (before === null && isSplit(client)) {
    return client.replied(client.codec.failure(IN_SPLIT));
  }
  const isPlaced = before !== null && before.isAlive();
  if (isPlaced) say(client, before.link as Link, said);
  const how = client.passOn(CACHED_ONCE, scan, buf, at, length);
  const hold = client.hold as Hold | null;
  if (how !== TAKEN || isPlaced || hold === null || hold.kept.length === 0) return how;
  hold.kept.unshift(said);
  hold.keptBytes += said.length;
  hold.vital = 2;
  return how;
}

/** The servers that have the keys of a request. */
function serversOf(client: ModeClient, scan: Scan, buf: Uint8Array, at: number): Set<Server> {
  const { codec, context: { route } } = client;
  const intent = codec.intents[scan.verb + 1];
  const servers = new Set<Server>();
  const n = scan.action === FORWARD ? 1 : scan.nkeys;
  for (let i = 0; i < n; i++) {
    if (scan.action !== FORWARD) (codec.keys as Keys).select(scan, i);
    const server = mainOf(route.pick(buf, at + scan.keyStart, at + scan.keyEnd, intent));
    if (server.available) servers.add(server);
  }
  return servers;
}

/** If the server refuses it, what is behind it is not carried out either. */
function say(client: ModeClient, link: Link, said: Uint8Array): void {
  sendOwn(client, link, said, true);
}
