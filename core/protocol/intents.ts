// What routes are told of a command. The first are the classes of stats/latency.ts: read, write, other.

/** A write that deletes. */
export const INTENT_DELETE = 3;
/** Reads a cas unique, or writes by one: both mean one server. */
export const INTENT_GETS = 4;
export const INTENT_CAS = 5;
/** Reads what only one server can tell: a cursor's next step, how its memory is, all its keys. */
export const INTENT_READ_HERE = 6;

/** Whether the command only reads. */
export function reads(intent: number): boolean {
  return intent === 0 || intent === INTENT_GETS || intent === INTENT_READ_HERE;
}
