// A client that has said of its next command whether what it reads is to be tracked (CLIENT CACHING):
// the server is told right before it, over the same link. Here too what else sets clients apart that
// have links of their own because servers tell them what changes.
//
//   | event                            | next                          |
//   | a command, but for CLIENT's      | the mode that was before      |
//   | CLIENT TRACKING OFF, RESET       | the mode that was before      |

import type { PoolConfig } from "../../config/schema.ts";
import { broadcast } from "../../exchange/broadcast.ts";
import { VITAL } from "../../exchange/outcome.ts";
import { SPECIAL } from "../../exchange/request.ts";
import type { Link } from "../../link/link.ts";
import {
  ASKED,
  type Caching,
  FORWARD,
  type Keys,
  OWN,
  PIN,
  PIN_MULTI,
  PIN_RESET,
  PIN_TRACK,
  type Scan,
  type Session,
  SPLIT,
  TOGETHER,
} from "../../protocol/codec.ts";
import { mainOf, type Server } from "../../server/server.ts";
import type { Hold, ModeClient } from "./hold.ts";
import type { Mode } from "./mode.ts";
import { isSplit } from "./split_transaction.ts";
import { LATER, TAKEN } from "./taken.ts";

const IN_SPLIT = "CLIENT CACHING before MULTI is not supported by ringmux with multi: split";

/** Every server takes part in what the client has asked for before it is told so. */
export function confirm(client: ModeClient, scan: Scan): void {
  const { confirm: request } = client.codec.caching as Caching;
  broadcast(client, scan, request, 0, request.length);
}

/** It was told what changes, and may not be told any more; it has not asked for that. */
export function isToldNoMore(session: Session, { pin }: Scan): boolean {
  return !session.ownLinks && pin !== PIN_TRACK && pin !== PIN_RESET;
}

/** Why a session cannot have the links it wants. */
export function tooManyLanes(
  { ownLinks }: Session,
  config: Pick<PoolConfig, "auth" | "server_lanes" | "pinned_connections" | "pinned_share">,
): string {
  const { auth, pinned_connections, pinned_share } = config;
  return ownLinks
    ? "too many clients with CLIENT TRACKING, which have connections of their own: " +
      `pinned_connections is ${pinned_connections}` +
      (auth === undefined ? "" : `, pinned_share ${pinned_share}`)
    : "clients use too many combinations of SELECT and HELLO: server_lanes is " +
      `${config.server_lanes}`;
}

export const CACHED_ONCE: Mode = {
  name: "cached once",
  take(client: ModeClient, scan: Scan, buf: Uint8Array, at: number, length: number): number {
    const { session, codec, hold } = client;
    const caching = codec.caching as Caching;
    const { action } = scan;
    if (caching.passesOver(scan)) return client.takeUnsaid(scan, buf, at, length);
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
    return client.takeUnsaid(scan, buf, at, length);
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
  const how = client.takeUnsaid(scan, buf, at, length);
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
  const request = client.context.requests.take(client);
  request.mute = OWN;
  request.verb = ASKED;
  request.kind = SPECIAL;
  request.tagHigh = VITAL;
  request.noted = 0;
  client.push(request);
  link.send(request, said, 0, said.length);
}
