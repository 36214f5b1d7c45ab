// The usual mode: commands go over links that are shared with others.
//
//   | event                              | next                       |
//   | WATCH, MULTI, a command that blocks | Hold                      |
//   | SUBSCRIBE                          | LISTENING if it speaks RESP2 |
//   | RESET, AUTH                        | LOCKED, SHARED, RESTRICTED |

import { PIN, type Scan, TOPICS } from "../../protocol/codec.ts";
import { subscribed } from "../subscriptions.ts";
import { pinned } from "./holding.ts";
import type { Mode } from "./mode.ts";
import { ORDINARY } from "./taken.ts";
import type { ModeClient } from "./hold.ts";

function take(client: ModeClient, scan: Scan, buf: Uint8Array, at: number, length: number): number {
  if (scan.action === PIN) return pinned(client, scan, buf, at, length);
  if (scan.action === TOPICS) return subscribed(client, scan, buf, at);
  return ORDINARY;
}

/** A request of one key needs no second look. */
export const SHARED: Mode = { name: "shared", isInForce: () => true, take };

/** A user who may not do all: what each request does is asked for before (`Codec.guard`). */
export const RESTRICTED: Mode = {
  name: "restricted",
  isInForce: ({ session }) => session.restricted,
  take,
};
