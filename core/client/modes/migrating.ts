// Every client of a pool whose keys move to another ring: see exchange/migrate/phases.ts.
//
//   | event                 | next                              |
//   | its keys may be used  | what the mode beneath says        |
//   | the migration is done | the mode that was before          |

import { GO, WAIT } from "../../exchange/migrate/phases.ts";
import type { Scan } from "../../protocol/scan.ts";
import type { ModeClient } from "./hold.ts";
import type { Mode } from "./mode.ts";
import { LATER, TAKEN } from "./taken.ts";

export const MIGRATING_CLIENT: Mode = {
  name: "migrating",
  isInForce({ context: { migration } }: ModeClient): boolean {
    return migration !== null && migration.isOn;
  },
  take(client: ModeClient, scan: Scan, buf: Uint8Array, at: number, length: number): number {
    const verdict = client.context.migration?.gate(client, scan, buf, at) ?? GO;
    if (verdict === WAIT) return LATER;
    if (verdict === GO) return client.passOn(MIGRATING_CLIENT, scan, buf, at, length);
    if (scan.mute !== 0 && client.codec.quiet?.muted(scan.mute, verdict, 0)) return TAKEN;
    return client.replied(verdict);
  },
};
