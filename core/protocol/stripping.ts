// Requests whose keys reach servers without the prefix of their route (`strip: true`).

import type { OutBuffer } from "../wire/out_buffer.ts";

export interface Stripping {
  /**
   * Appends the request `buf[start, end)` with the first `n` bytes of each of its keys cut off.
   * Returns the key that its reply may name, empty if it names none; or why it cannot be done,
   * nothing being appended then.
   */
  cut(
    verb: number,
    buf: Uint8Array,
    start: number,
    end: number,
    n: number,
    out: OutBuffer,
  ): Uint8Array | string;
  /** Replies name keys: appends one, whole, with the `key` that `cut` has given instead. */
  readonly restore:
    | ((
      buf: Uint8Array,
      start: number,
      end: number,
      key: Uint8Array,
      n: number,
      out: OutBuffer,
    ) => void)
    | null;
}
