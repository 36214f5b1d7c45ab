// Keys that move to other servers (`migrate`), as they are shown.

export interface MigrationSnapshot {
  /** The pool whose servers they move to. */
  readonly to: string;
  readonly phase: string;
  readonly paused: boolean;
  /** Why it does not go on; "" if it does. */
  readonly why: string;
  /** What was moved, in all processes that were added up, and keys a second, lately. */
  readonly keys: number;
  readonly bytes: number;
  readonly rate: number;
  readonly errors: number;
  /** Values that were set aside, since their new server had one already. */
  readonly aside: number;
  /** Keys that were too big to go with the others. */
  readonly bigs: number;
  /** Clients that wait for another phase. */
  readonly waiting: number;
  /** Servers that may have keys to go, and how far the copier is with one of them. */
  readonly left: readonly string[];
  readonly seen: number;
  readonly of: number;
  /** How much (ms) longer servers take to answer for it, and whether that slows it. */
  readonly added: number;
  readonly slowed: boolean;
  /** Big keys, errors, what was set aside: the last ones. */
  readonly told: readonly string[];
}

/** Of processes in several phases, the first one that any is in is told. */
const ORDER = [
  ...["unknown", "barrier", "retreat", "prepare", "back", "move", "pull", "drain", "done"],
];

export function mergeMigrations(a: MigrationSnapshot, b?: MigrationSnapshot): MigrationSnapshot {
  if (b === undefined) return a;
  const first = ORDER.indexOf(b.phase) < ORDER.indexOf(a.phase) ? b : a;
  // One process copies; it knows what is left.
  const copying = b.of > a.of ? b : a;
  return {
    ...copying,
    phase: first.phase,
    paused: first.paused,
    why: a.why || b.why,
    keys: a.keys + b.keys,
    bytes: a.bytes + b.bytes,
    rate: a.rate + b.rate,
    added: Math.max(a.added, b.added),
    slowed: a.slowed || b.slowed,
    errors: a.errors + b.errors,
    aside: a.aside + b.aside,
    bigs: a.bigs + b.bigs,
    waiting: a.waiting + b.waiting,
    left: a.left.filter((name) => b.left.includes(name)),
    told: [...new Set([...a.told, ...b.told])],
  };
}

/** Seconds until the server that is copied has nothing left; undefined: nobody knows. */
export function secondsLeft({ phase, seen, of, rate }: MigrationSnapshot): number | undefined {
  const moves = phase === "move" || phase === "back" || phase === "pull";
  return moves && rate > 0 && of > seen ? (of - seen) / rate : undefined;
}
