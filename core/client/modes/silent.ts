// A client that wants no replies (CLIENT REPLY OFF), or none to its next command (SKIP). Commands are
// carried out as always. What is published goes to it all the same, as in Redis.
//
//   | event                   | next                          |
//   | CLIENT REPLY ON, RESET  | the mode that was before      |
//   | SKIP: the next command  | the mode that was before      |

import { LOCAL, type Scan, TOPICS } from "../../protocol/scan.ts";
import { ALOUD, SILENT_ONCE, SKIPPING } from "../../protocol/session.ts";
import type { ModeClient } from "./hold.ts";
import type { Mode } from "./mode.ts";
import { LATER, ORDINARY } from "./taken.ts";

/** `Scan.mute` of a request whose reply is not wanted, whatever it is. */
const UNWANTED = 1;

export const SILENT_CLIENT: Mode = {
  name: "silent",
  isInForce: ({ session }) => session.silence !== ALOUD,
  take(client: ModeClient, scan: Scan, buf: Uint8Array, at: number, length: number): number {
    const { session } = client;
    if (session.silence === SILENT_ONCE) session.silence = SKIPPING;
    const heard = scan.action === TOPICS;
    client.hushed = !heard;
    scan.mute = heard || scan.action === LOCAL ? 0 : UNWANTED;
    let how = client.passOn(SILENT_CLIENT, scan, buf, at, length);
    if (how === ORDINARY) how = client.carryOut(scan, buf, at, length);
    scan.mute = 0;
    client.hushed = false;
    if (session.silence === SKIPPING) session.silence = how === LATER ? SILENT_ONCE : ALOUD;
    client.settleMode();
    return how;
  },
};
