// What a route says to its two pools where one warms the other up: see exchange/warm.ts. Each protocol
// writes it down as steps, one after the other.

/** A request of a step, and to whom; the answer to it is what the step is given. */
export interface Step {
  readonly at: "cold" | "warm";
  readonly request: Uint8Array;
}

/**
 * there: the cold pool has the key (now); absent: neither has it; unfit: the cold pool does not take
 * the value (`why`).
 */
export interface Brought {
  readonly is: "there" | "absent" | "unfit";
  readonly why: string;
}

export const THERE: Brought = { is: "there", why: "" };
export const ABSENT: Brought = { is: "absent", why: "" };

export type Steps<T> = Generator<Step, T, Uint8Array>;

export interface Warming {
  /** Steps go over links of the lane that every client starts with, whatever the client's own. */
  readonly inFirstLane: boolean;
  /** A server that refuses connections has nothing any more: its memory is gone with it. */
  readonly forgets: boolean;
  /** Fills a key of the cold pool. `token`: nobody else has it; `now`: seconds since 1970. */
  bring(key: Uint8Array, token: string, now: number): Steps<Brought>;
  /** Before a write of the key at the cold pool: nothing is to bring back what was; what is wrong. */
  forget(key: Uint8Array): Steps<string>;
  /** Whether a write leaves nothing of what was. */
  overwrites(name: string, nargs: number): boolean;
  /** Whether a reply to a read shows that the key is there. */
  isSure(buf: Uint8Array, start: number, end: number): boolean;
}
