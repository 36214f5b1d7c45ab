// One user of a pool, and the restrictions it has. What they mean to a command is each protocol's
// knowledge: redis/rights.ts, memcached/rights.ts.

/** One user. Texts are byte strings. */
export interface User {
  readonly name: string;
  readonly password: string;
  /** Only commands that change nothing. */
  readonly readOnly: boolean;
  /** If not empty, keys and channels have to begin with one of these. */
  readonly prefixes: readonly Uint8Array[];
  /** May run scripts although it has prefixes, which bind only the keys a script declares. */
  readonly scripts: boolean;
}
