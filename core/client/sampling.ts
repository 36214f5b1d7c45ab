// Requests are looked at here and there: which keys are asked for most (stats/hot_keys.ts), and, where
// a large one may be, all of them (link/big_watch.ts).

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

/** A client whose requests are looked at. */
interface Sampled {
  readonly context: ClientContext;
  readonly codec: Codec;
  readonly session: { readonly locked: boolean };
  /** Requests that it has made. */
  readonly taken: number;
}

/** Which of one client's requests are looked at. */
export class Sampling {
  /** The next one of the sample: the `taken` of that time. */
  next: number;
  /** What it stands for: see HotKeys.note. */
  private unit: number;

  constructor(hot: HotKeys) {
    this.next = hot.gap();
    this.unit = hot.unit;
  }

  /**
   * The request at `buf[at...]` is one of the sample, or `all` are looked at. `request`: it was made
   * of it just now, and has one key. Returns which one is to be looked at next.
   */
  look(
    client: Sampled,
    scan: Scan,
    buf: Uint8Array,
    at: number,
    request: Request | null,
    all: boolean,
  ): number {
    const { codec, taken, context: { hot, big } } = client;
    if (client.session.locked) return taken + 1; // whatever it sends
    const whole = scan.scratch ?? buf;
    const from = scan.scratch === null ? at : 0;
    if (all && scan.length > big.bytes) big.request(codec, scan, whole, from, scan.length);
    if (taken >= this.next) {
      const { unit } = this;
      this.next = taken + hot.gap();
      this.unit = hot.unit;
      if (request === null) noteKeys(codec, hot, scan, whole, from, unit);
      else note(hot, request, scan, whole, from, unit);
    }
    return all ? 0 : this.next;
  }
}

/** A request of one key: its reply is counted too. */
function note(
  hot: HotKeys,
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
function noteKeys(
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
