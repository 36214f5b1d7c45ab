// How often a request is carried out again though a server may have seen to it: `retry`.

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
