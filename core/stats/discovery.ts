// Servers that are found (`discovery`), as they are shown.

/** The state of a pool's discovery, as it is shown: plain data. */
export interface DiscoverySnapshot {
  readonly source: string;
  /** The last answer that counted (milliseconds since 1970); 0: there was none yet. */
  readonly at: number;
  /** How many servers the set has. */
  readonly size: number;
  readonly changes: number;
  /** Questions in vain, and answers that would have lost too many servers at once. */
  readonly failures: number;
  readonly refused: number;
  /** Why the last question was in vain; "" when it was not. */
  readonly error: string;
}
