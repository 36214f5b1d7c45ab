// The mode of a client with a hold on a link of its own: which of its states a request meets.
//
//   | state       | event                            | next                          |
//   | (none)      | WATCH                            | WATCHING                      |
//   | (none), WATCHING | WAIT, WAITAOF               | BLOCKED                       |
//   | (none), WATCHING | a command that blocks       | BLOCKED                       |
//   | (none), WATCHING | MULTI                       | TRANSACTION                   |
//   | WATCHING    | UNWATCH                          | ENDING                        |
//   | TRANSACTION | EXEC, DISCARD                    | ENDING                        |
//   | BLOCKED     | answered                         | (none), WATCHING              |
//   | ENDING      | all is answered                  | (none)                        |
//   | any         | RESET; the client is gone        | (none)                        |

import {
  PIN,
  PIN_DISCARD,
  PIN_EXEC,
  PIN_MULTI,
  PIN_UNWATCH,
  PIN_WAIT,
  PIN_WATCH,
  type Scan,
  TOPICS,
  type Transactions,
} from "../../protocol/codec.ts";
import { subscribed } from "../subscriptions.ts";
import { block } from "./blocked.ts";
import { Hold, type ModeClient, TRANSACTION } from "./hold.ts";
import type { Mode } from "./mode.ts";
import { ORDINARY } from "./taken.ts";
import { begin, inside } from "./transaction.ts";
import { wait } from "./waiting.ts";
import { beside, unwatch, watch } from "./watching.ts";

/** A PIN request outside of a transaction. */
export function pinned(
  client: ModeClient,
  scan: Scan,
  buf: Uint8Array,
  at: number,
  length: number,
): number {
  const words = client.context.codec.transactions as Transactions;
  const { hold } = client;
  switch (scan.pin) {
    case PIN_EXEC:
      return client.replied(words.execWithout);
    case PIN_DISCARD:
      return client.replied(words.discardWithout);
    case PIN_UNWATCH:
      return hold === null ? client.replied(words.ok) : unwatch(hold, scan, buf, at, length);
    case PIN_MULTI:
      return begin(hold ?? new Hold(client), scan, buf, at, length);
    case PIN_WAIT:
      return wait(client, scan, buf, at, length);
    case PIN_WATCH:
      return watch(client, scan, buf, at, length);
    default:
      return block(client, scan, buf, at, length);
  }
}

export const HOLDING: Mode = {
  name: "holding",
  isInForce: ({ hold }) => hold !== null,
  take(client: ModeClient, scan: Scan, buf: Uint8Array, at: number, length: number): number {
    const hold = client.hold as Hold;
    if (hold.state === TRANSACTION) return inside(hold, scan, buf, at, length);
    if (scan.action === PIN) return pinned(client, scan, buf, at, length);
    const how = beside(hold, scan, buf, at, length);
    if (how === ORDINARY && scan.action === TOPICS) return subscribed(client, scan, buf, at);
    return how;
  },
};
