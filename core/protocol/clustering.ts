// What a protocol says about a cluster of servers that share the keys among themselves: how its map
// is asked for, and by which errors a server says that a key is not (or not now) its own.

/** A node of the cluster, as another one describes it. */
export interface NodeView {
  readonly id: string;
  /** "": the node that was asked. */
  readonly host: string;
  readonly port: number;
  /** What it wants to be called instead; "" for nothing. */
  readonly hostname: string;
  readonly primary: boolean;
  /** Of a replica: its primary's id; "" for none. */
  readonly of: string;
  /** The others have agreed that it is down. */
  readonly failed: boolean;
  /** Raised whenever slots change hands: the higher claim counts. */
  readonly epoch: number;
  /** Pairs: first and last slot of each range. */
  readonly slots: readonly number[];
  /** Of the node that was asked: slots that are on their way to it, and from whom. */
  readonly arriving: readonly { readonly slot: number; readonly from: string }[];
}

/** The key has another owner now, or is there already. */
export const MOVED = 1;
/** This one request is for another server. */
export const ASK = 2;
/** Not now: the keys are on their way. */
export const AGAIN = 3;
/** The server is none that may be asked now. */
export const UNFIT = 4;

/** It has not enough replicas for what is to be written. */
export const SCARCE = 5;

/** An error by which a server refuses a request that another one, or later it, would carry out. */
export interface Refusal {
  readonly what: number;
  /** The error's first word. */
  readonly word: string;
  /** MOVED, ASK; `host` "": that of the server which says so. */
  readonly slot: number;
  readonly host: string;
  readonly port: number;
}

export interface Clustering {
  /** The request for the map, and what the reply (to `buf`'s end) says; null: it is an error. */
  readonly nodes: Uint8Array;
  readNodes(buf: Uint8Array): NodeView[] | null;
  /** Questions of people, by name ("info"); and a reply to one as plain data, undefined: an error. */
  readonly questions: Readonly<Record<string, Uint8Array>>;
  readAnswer(reply: Uint8Array): unknown;
  /** What goes before a request that was answered with ASK. */
  readonly asking: Uint8Array;
  /** The error at `buf[start, end)`; null: it is for the client. */
  readRefusal(buf: Uint8Array, start: number, end: number): Refusal | null;
  /** Whether a refusal of a script's request was said before the script ran, and not by it. */
  isServersOwn(buf: Uint8Array, start: number, end: number): boolean;
  /** Errors for clients. `slot` < 0: of a request without a key. */
  noPrimary(slot: number, wait: number): Uint8Array;
  tooMany(slot: number): Uint8Array;
  /** What the client holds on to (a transaction, a request that waits) was at the slot's old owner. */
  moved(slot: number): Uint8Array;
  /** The request is not kept any more, and cannot be sent again. */
  forgotten(slot: number): Uint8Array;
}
