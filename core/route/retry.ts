// How often a request is carried out again though a server may have seen to it (`retry`), and how long it
// may wait (`wait`).

import { CLASS_READ } from "../stats/latency.ts";
import type { Intent } from "./route.ts";

export interface Retry {
  readonly reads: number;
  readonly writes: boolean;
}

/** Where the configuration has none. */
const RETRY: Retry = { reads: 1, writes: false };

/** Whether it is, having been `repeated` so often. */
export function isRepeated(
  { reads, writes }: Retry = RETRY,
  intent: Intent,
  repeated: number,
): boolean {
  return repeated < reads && (writes || intent === CLASS_READ);
}

/** Whether a request has waited as long as it may (`wait`). */
export function isOverdue(wait: number, now: number, parkedAt: number): boolean {
  return wait === 0 || (parkedAt >= 0 && now - parkedAt >= wait);
}
