// Every client of a pool that is paused: see ../pause.ts.
//
//   | event             | next                                              |
//   | the pause is over | the mode that was before                          |

import type { Scan } from "../../protocol/scan.ts";
import type { ModeClient } from "./hold.ts";
import type { Mode } from "./mode.ts";
import { LATER } from "./taken.ts";

export const PAUSED_CLIENT: Mode = {
  name: "paused",
  isInForce: ({ context }) => context.pause.isOn,
  take(client: ModeClient, scan: Scan, buf: Uint8Array, at: number, length: number): number {
    if (!client.context.pause.stops(client.codec, scan)) {
      return client.passOn(PAUSED_CLIENT, scan, buf, at, length);
    }
    client.pauseReading();
    return LATER;
  },
};
