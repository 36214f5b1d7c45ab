// Where a runtime gives a new buffer for every read: a buffer of ours with a view, which makes the many
// short copies from it faster than one more copy costs.

import { viewed } from "../../../core/bytes.ts";

/** Reads (bytes) that are worth it. */
const LEAST = 128;
const MOST = 65536;

/** One for all sockets: a read is handled before the next one begins. */
const buffer = viewed(new Uint8Array(MOST));

/** The bytes of `chunk`, in it or in a buffer that is theirs until the next call. */
export function reread(chunk: Uint8Array): Uint8Array {
  if (chunk.length < LEAST || chunk.length > MOST) return chunk;
  buffer.set(chunk);
  return buffer;
}
