// What every distribution is to the rest of the proxy: hash in, index of a server out. Knows
// nothing of keys, protocols or sockets, nor of which servers are alive: whoever builds a ring
// names its members, and builds another one when they change.

export interface Ring {
  /** The index of the member that owns `hash` (a uint32); -1 when the ring has no members. */
  pick(hash: number): number;
  /**
   * What part (0 to 1) of all hashes in [0, range) each of `count` servers owns, by index. For
   * people, not for the data path.
   */
  shares(count: number, range: number): Float64Array;
}

/** A server as a ring sees it. */
export interface Member {
  /** The name ketama hashes; the caller applies the rules for servers without one. */
  readonly name: string;
  /** At least 1. */
  readonly weight: number;
  /** What `pick` returns: the place in the caller's full list, whether or not all are members. */
  readonly index: number;
}
