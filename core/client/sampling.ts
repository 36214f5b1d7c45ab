// What is noted of a request that is one of the sample: see stats/hot_keys.ts.

import { MANAGED, type Request, SPECIAL, WATCHED } from "../exchange/request.ts";
import {
  ASKED,
  type Codec,
  FORWARD,
  type Keys,
  PIN,
  type Scan,
  SPLIT,
  TOGETHER,
} from "../protocol/codec.ts";
import type { HotKeys } from "../stats/hot_keys.ts";
import type { ClientContext } from "./context.ts";

/** A request of one key: its reply is counted too. */
export function sample(
  { hot }: ClientContext,
  request: Request,
  scan: Scan,
  buf: Uint8Array,
  at: number,
  unit: number,
): void {
  request.hot = hot.note(buf, at + scan.keyStart, at + scan.keyEnd, scan.length, unit);
  // It does not go straight through: it is to be seen.
  request.kind = request.kind === MANAGED ? WATCHED : SPECIAL;
}

/** Any request. */
export function noteKeys(
  codec: Codec,
  hot: HotKeys,
  scan: Scan,
  buf: Uint8Array,
  at: number,
  unit: number,
): void {
  const { action, length } = scan;
  if (action === FORWARD) {
    hot.note(buf, at + scan.keyStart, at + scan.keyEnd, length, unit);
  } else if ((action === SPLIT || action === TOGETHER || action === PIN) && scan.verb !== ASKED) {
    const { nkeys } = scan;
    for (let i = 0; i < nkeys; i++) {
      (codec.keys as Keys).select(scan, i);
      hot.note(buf, at + scan.keyStart, at + scan.keyEnd, length / nkeys, unit);
    }
    if (nkeys > 0) (codec.keys as Keys).select(scan, 0);
  }
}
