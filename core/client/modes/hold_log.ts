// What has been sent over a client's own link since the transaction (or the wait) began, to be sent
// again elsewhere: see moving.ts. Knows neither client nor server.

import { BOUND } from "../../exchange/request.ts";
import { FIELDS, KeptCommands } from "./kept_commands.ts";

/** Most bytes of a transaction that are kept to be sent again. */
const MOST = 1 << 20;
/** `Request.resent` of the first request in the log; the next one's is one more. */
export const LOGGED = BOUND + 1;

export class HoldLog {
  /** EXEC is the last one. */
  ends: boolean;
  /** It was too much: not all of it is there. */
  isFull: boolean;
  /** Where the argument is that says how long it waits, in ms or 1000s of them, and until when. */
  wait: { readonly from: number; readonly to: number; readonly unit: number } | null;
  until: number;
  private readonly kept: KeptCommands;
  private noted: number;

  constructor() {
    this.ends = false;
    this.isFull = false;
    this.wait = null;
    this.until = Infinity;
    this.kept = new KeptCommands();
    this.noted = 0;
  }

  get count(): number {
    return this.noted;
  }

  get size(): number {
    return this.kept.size;
  }

  /** Notes one request; returns its `Request.resent`. */
  add(buf: Uint8Array, at: number, length: number): number {
    const { kept } = this;
    if (kept.size + length > MOST) this.isFull = true;
    if (!this.isFull) kept.add(buf, at, length, -1, -1);
    return LOGGED + this.noted++;
  }

  /** Request `i`. */
  bytes(i: number): Uint8Array {
    const { buf, spans } = this.kept;
    return buf.subarray(spans[FIELDS * i], spans[FIELDS * i + 1]);
  }

  /** Whether `resent` is that of the last one. */
  isLast(resent: number): boolean {
    return resent === LOGGED + this.noted - 1;
  }
}
