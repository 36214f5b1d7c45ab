// What routes are told of a command. The first are the classes of stats/latency.ts: read, write, other.

/** A write that deletes. */
export const INTENT_DELETE = 3;
/** Reads a cas unique, or writes by one: both mean one server. */
export const INTENT_GETS = 4;
export const INTENT_CAS = 5;

/** Whether the command only reads. */
export function reads(intent: number): boolean {
  return intent === 0 || intent === INTENT_GETS;
}
