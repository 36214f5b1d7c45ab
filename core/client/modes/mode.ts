// A client's mode says what a command may do now. Each mode is a file of its own, with what leads
// out of it in a table at its top; which of them is in force is said by layers.ts.
//
//   LOCKED ─ says who it is ─▶ SHARED or RESTRICTED (a user with few rights)
//   SHARED ─ WATCH, MULTI, a command that blocks ─▶ Hold: a link of its own (hold.ts)
//   SHARED ─ SUBSCRIBE in RESP2 ─▶ LISTENING
//   SHARED ─ a huge request ─▶ uploading (upload.ts), which takes no commands at all

import type { Scan } from "../../protocol/codec.ts";
import type { ModeClient } from "./hold.ts";

export interface Mode {
  readonly name: string;
  /** Whether it is in force, unless one above it is: see layers.ts. */
  isInForce(client: ModeClient): boolean;
  /** `buf[at, at + length)` is the request as a server is to get it. TAKEN, LATER or ORDINARY. */
  take(client: ModeClient, scan: Scan, buf: Uint8Array, at: number, length: number): number;
}
