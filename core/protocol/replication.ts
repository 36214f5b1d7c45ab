// What a protocol says of servers that copy another one's writes: how they are asked how they are,
// and by which errors a replica says that another server is to be read from.

/** What a server says of its part in replication. */
export interface ReplicationView {
  readonly primary: boolean;
  /** Of a replica: it is connected to its primary, and has its data. */
  readonly linked: boolean;
  /** It has no data yet, or takes them all anew. */
  readonly loading: boolean;
  /** Which history of writes it has; servers that follow one primary have the same. */
  readonly history: string;
  /** How much of it (bytes); -1: it does not say. */
  readonly offset: number;
  /** Where it stands, if it says so; else "". */
  readonly zone: string;
  /** Hash slots that are on their way from it or to it. */
  readonly moving: readonly number[];
}

/** Answers of `Replication.refusal`. */
export const NO_REFUSAL = 0;
/** The server is not to be read from now. */
export const UNABLE = 1;
/** It is well; this one request is the primary's. */
export const PRIMARYS = 2;

export interface Replication {
  /** The questions, each with one reply; `zones` and `slots`: whether those are of interest. */
  questions(zones: boolean, slots: boolean): Uint8Array[];
  /** What their replies say together; null: they are errors. */
  read(replies: readonly string[]): ReplicationView | null;
  /** What a replica in a cluster is told before it is read from. */
  readonly readOnly: { readonly bytes: Uint8Array; readonly replies: number };
  /** What the error at `buf[start, end)` of a replica means. */
  refusal(buf: Uint8Array, start: number, end: number): number;
}
