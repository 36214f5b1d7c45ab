// A client that has not said who it is.
//
//   | event                     | next                                        |
//   | AUTH, HELLO: right        | SHARED, RESTRICTED for a user with few rights |
//   | RESET                     | LOCKED, without what it held on to          |
//   | anything else             | refused                                     |

import { NOTHING, PIN_RESET, REFUSE, type Scan } from "../../protocol/codec.ts";
import type { Mode } from "./mode.ts";
import { ORDINARY, TAKEN } from "./taken.ts";
import { reset } from "./watching.ts";
import type { ModeClient } from "./hold.ts";

export const LOCKED: Mode = {
  name: "locked",
  isInForce: ({ session }) => session.locked,
  take(client: ModeClient, scan: Scan): number {
    const { codec, hold } = client;
    if (scan.pin === PIN_RESET && hold !== null) return reset(hold);
    if (scan.action === REFUSE || scan.action === NOTHING || codec.openToAll(scan)) return ORDINARY;
    client.answer(codec.lockedError(scan));
    return TAKEN;
  },
};
