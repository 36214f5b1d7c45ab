// A subscribed client that speaks RESP2: it may say little else, for replies could not be told from
// messages.
//
//   | event                           | next                          |
//   | UNSUBSCRIBE from the last topic | the mode that was before      |
//   | HELLO 3                         | the mode that was before      |
//   | RESET                           | LOCKED, SHARED or RESTRICTED  |

import type { Scan } from "../../protocol/codec.ts";
import type { Publishing } from "../../protocol/publishing.ts";
import type { Mode } from "./mode.ts";
import { TAKEN } from "./taken.ts";
import type { ModeClient } from "./hold.ts";

export const LISTENING: Mode = {
  name: "listening",
  isInForce({ subscriptions, session }: ModeClient): boolean {
    return subscriptions !== null && !session.locked && subscriptions.total > 0 &&
      subscriptions.isExclusive();
  },
  take(client: ModeClient, scan: Scan, buf: Uint8Array, at: number, length: number): number {
    const { codec } = client.context;
    const instead = (codec.publishing as Publishing).answerInstead(scan, buf, at);
    if (instead === null) return client.passOn(LISTENING, scan, buf, at, length);
    client.answer(instead);
    return TAKEN;
  },
};
