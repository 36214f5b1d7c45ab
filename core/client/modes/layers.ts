// Which mode a client is in. Modes lie one on the other: the uppermost of those that are in force has
// each of its commands first, and may pass it on to the next one below.

import { CACHED_ONCE } from "./cached_once.ts";
import type { ModeClient } from "./hold.ts";
import { HOLDING } from "./holding.ts";
import { LISTENING } from "./listening.ts";
import { LOCKED } from "./locked.ts";
import { MIGRATING_CLIENT } from "./migrating.ts";
import type { Mode } from "./mode.ts";
import { BESIDE, NEAR } from "./near.ts";
import { PAUSED_CLIENT } from "./paused.ts";
import { RESTRICTED, SHARED } from "./shared.ts";
import { SILENT_CLIENT } from "./silent.ts";

/** The uppermost first. The last one always is in force. */
const LAYERS: readonly Mode[] = [
  PAUSED_CLIENT,
  MIGRATING_CLIENT,
  CACHED_ONCE,
  SILENT_CLIENT,
  LISTENING,
  LOCKED,
  HOLDING,
  RESTRICTED,
  NEAR,
  BESIDE,
  SHARED,
];

function from(first: number, client: ModeClient): Mode {
  let at = first;
  while (!LAYERS[at].isInForce(client)) at++;
  return LAYERS[at];
}

export function modeOf(client: ModeClient): Mode {
  return from(0, client);
}

/** The next one below `mode`. */
export function modeBelow(mode: Mode, client: ModeClient): Mode {
  return from(LAYERS.indexOf(mode) + 1, client);
}
