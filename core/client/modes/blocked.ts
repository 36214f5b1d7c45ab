// A client whose request waits at the server (BLPOP): nothing more of it is read until it is
// answered, but it is seen when it leaves.
//
//   | event                     | next                                       |
//   | a command that blocks     | BLOCKED                                    |
//   | answered                  | (none); WATCHING, if it was that before    |
//   | the client leaves         | closed: the server lets go of it           |

import { MANAGED, PLAIN, SPECIAL, WATCHED } from "../../exchange/request.ts";
import type { Scan } from "../../protocol/codec.ts";
import { Again } from "./again.ts";
import { claim } from "./claim.ts";
import { BLOCKED, ENDING, type Hold, type ModeClient, WATCHING } from "./hold.ts";
import { HoldLog } from "./hold_log.ts";
import { moveWith } from "./moving.ts";
import { TAKEN } from "./taken.ts";
import { identify } from "./unblock.ts";

export function block(
  client: ModeClient,
  scan: Scan,
  buf: Uint8Array,
  at: number,
  length: number,
): number {
  const fresh = client.hold === null;
  const hold = claim(client, scan, buf, at);
  if (typeof hold === "number") return hold;
  if (fresh) hold.clean = true; // nothing is left on the link of a request that only waits
  // Who knows its own number may have told others, who may want to end its wait.
  const { migration, codec } = client.context;
  if ((client.session.isKnown || migration !== null) && hold.link !== null) {
    identify(hold.link, codec);
  }
  // On a ring too, whose servers a reload may replace by a cluster's.
  if (client.context.route.redirects !== null || fresh) recordWait(hold, scan);
  const after = fresh ? ENDING : WATCHING;
  if (hold.link === null) {
    hold.after = after;
    hold.state = BLOCKED;
    moveWith(hold, hold.hang(scan, buf, at, length), client.context.route.owner(hold.place));
    return TAKEN;
  }
  const how = hold.sendLogged(scan, buf, at, length);
  if (how !== TAKEN) return how;
  hold.after = after;
  hold.state = BLOCKED;
  hold.link.patience = scan.wait;
  if (hold.sent !== null && hold.sent.kind === PLAIN) hold.sent.kind = MANAGED;
  if (migration !== null && hold.sent !== null) {
    const { sent: request } = hold;
    // Its reply may be no one's.
    request.kind = client.context.route.redirects === null ? SPECIAL : WATCHED;
    const moves = migration.isLeaving(client, scan, buf, at);
    const { words } = migration;
    const waiting = words.waiting(scan, buf, at, length);
    const now = client.context.host.now();
    hold.again = new Again(request, moves, waiting, now, scan.wait, words.isUnblocked);
  }
  client.emptyListening();
  return TAKEN;
}

/** It is sent again, with less time, if its place goes to another server. */
function recordWait(hold: Hold, scan: Scan): void {
  const log = new HoldLog();
  const { args, waitAt, waitUnit: unit } = scan;
  log.wait = { from: args[2 * waitAt], to: args[2 * waitAt + 1], unit };
  log.until = hold.client.context.turn.clock + scan.wait;
  hold.record(log);
}
