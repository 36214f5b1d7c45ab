// A client that watches keys (WATCH): a link is its own until it has made its transaction.
//
//   | event                 | next                                  |
//   | WATCH                 | WATCHING                              |
//   | MULTI                 | TRANSACTION                           |
//   | a command that blocks | BLOCKED, then WATCHING again          |
//   | UNWATCH               | ENDING                                |
//   | RESET                 | (none)                                |

import {
  ALL,
  ANY,
  APART,
  FORWARD,
  GATHER,
  LOCAL,
  PIN_RESET,
  RESCUE,
  type Scan,
  SPLIT,
  TOGETHER,
  WALK,
} from "../../protocol/codec.ts";
import { serverOf } from "../../exchange/place.ts";
import { claim } from "./claim.ts";
import type { Hold, ModeClient } from "./hold.ts";
import { HoldLog } from "./hold_log.ts";
import { moveWith, setVerdict } from "./moving.ts";
import { LATER, ORDINARY, TAKEN } from "./taken.ts";

export function watch(
  client: ModeClient,
  scan: Scan,
  buf: Uint8Array,
  at: number,
  length: number,
): number {
  const { route } = client.context;
  if (route.redirects !== null) return watchPlace(client, scan, buf, at, length);
  const hold = claim(client, scan, buf, at);
  return typeof hold === "number" ? hold : hold.send(scan, buf, at, length);
}

/** In a pool whose places change their owners. */
function watchPlace(
  client: ModeClient,
  scan: Scan,
  buf: Uint8Array,
  at: number,
  length: number,
): number {
  const { route } = client.context;
  const before = client.hold;
  if (before !== null && before.watched) {
    // What it watched may have changed: nobody knows that any more.
    const server = serverOf(client, scan, buf, at);
    const isElsewhere = typeof server !== "string" && server !== before.server && before.hasMoved();
    if (!before.isAlive() || isElsewhere) setVerdict(before);
    if (before.verdict !== null) return client.replied(before.words.ok);
  }
  const hold = claim(client, scan, buf, at);
  if (typeof hold === "number") return hold;
  hold.record(new HoldLog());
  if (hold.link === null) {
    moveWith(hold, hold.hang(scan, buf, at, length), route.owner(hold.place));
    return TAKEN;
  }
  const how = hold.sendLogged(scan, buf, at, length);
  // What follows depends on whether it is answered here.
  if (how === TAKEN) client.emptyListening();
  return how;
}

export function unwatch(
  hold: Hold,
  scan: Scan,
  buf: Uint8Array,
  at: number,
  length: number,
): number {
  if (!hold.isAlive()) {
    hold.drop();
    return hold.client.replied(hold.words.ok);
  }
  const how = hold.send(scan, buf, at, length);
  if (how === TAKEN) hold.end(true);
  return how;
}

/** A request of a client that watches keys: over its own link, if it goes to that server. */
export function beside(
  hold: Hold,
  scan: Scan,
  buf: Uint8Array,
  at: number,
  length: number,
): number {
  const { client } = hold;
  switch (scan.action) {
    case LOCAL:
      return scan.pin === PIN_RESET ? reset(hold) : ORDINARY;
    case FORWARD:
    case SPLIT:
    case TOGETHER:
      if (hold.isAlive() && serverOf(client, scan, buf, at) === hold.server) {
        return hold.send(scan, buf, at, length);
      }
      break;
    case ALL:
    case APART:
    case RESCUE:
    case ANY:
    case GATHER:
    case WALK:
      break;
    default:
      return ORDINARY;
  }
  if (!hold.elsewhere && client.head !== null) return LATER;
  hold.elsewhere = true;
  return ORDINARY;
}

/** The client wants to start afresh; the request itself is answered as always. */
export function reset(hold: Hold): number {
  if (hold.client.head !== null) return LATER;
  hold.drop();
  return ORDINARY;
}
