// What a protocol says about Sentinels: processes that watch over primaries and their replicas, agree
// on who is the primary of a name, and tell when another one has become it.

/** Somebody's place. `host` may be a name. */
export interface Place {
  readonly host: string;
  readonly port: number;
}

/** A replica, as a Sentinel sees it. */
export interface ReplicaView extends Place {
  /** It follows its primary, and the Sentinel reaches it. */
  readonly isWell: boolean;
}

/** What one Sentinel says of one name. */
export interface SentinelView {
  readonly primary: Place;
  /** Raised by every failover: the highest counts, whoever says it. */
  readonly epoch: number;
  /** Enough Sentinels agree that the primary is down. */
  readonly isDown: boolean;
  readonly replicas: readonly ReplicaView[];
  /** The other Sentinels. */
  readonly others: readonly Place[];
}

/** What a Sentinel says of itself. */
export interface SentinelSelf {
  /** Its own name; "" when it does not tell. */
  readonly id: string;
  /** Its clock is not to be trusted: what it says of who is down does not count. */
  readonly isTilted: boolean;
}

/** Another one is primary. */
export const SWITCHED = 1;
/** A replica is about to become primary: what the old one still takes may be lost. */
export const PROMOTING = 2;
/** A replica has become primary. */
export const PROMOTED = 3;
/** There will be no other primary after all. */
export const ABORTED = 4;
/** Something else that makes it worth to ask. */
export const NEWS = 5;
/** Subscribed: no news. */
export const HEARING = 6;

export interface SentinelEvent {
  readonly what: number;
  /** Whose; "" of none. */
  readonly name: string;
  /** SWITCHED, PROMOTED: who it is now. */
  readonly primary: Place | null;
  /** As the Sentinels call it. */
  readonly word: string;
}

export interface Sentinels {
  /** What a connection to a Sentinel begins with; null for nothing. */
  greeting(user: string, password: string): { bytes: Uint8Array; replies: number } | null;
  /** The questions about one name, and what the answers to them say; a text is the Sentinel's error. */
  questions(name: string): readonly Uint8Array[];
  readView(answers: readonly Uint8Array[]): SentinelView | string;
  /** The questions about itself, and what the answers say. */
  readonly selfQuestions: readonly Uint8Array[];
  readSelf(answers: readonly Uint8Array[]): SentinelSelf;
  /** Subscribes to what may happen. */
  readonly subscribe: Uint8Array;
  /** Asks whether a connection that hears events is alive. */
  readonly ping: Uint8Array;
  /** A frame of such a connection; null: it is none of those. */
  readEvent(frame: Uint8Array): SentinelEvent | null;
  /** Asks a server what it is; "" for a primary, else what it says instead. */
  readonly role: Uint8Array;
  readRole(answer: Uint8Array): string;
  /** The first word of the error at `buf[start, end)`, if another server would carry it out; else "". */
  readRefusal(buf: Uint8Array, start: number, end: number): string;
  /** Whether the server itself has said that, not a script: nothing was carried out. */
  isServersOwn(buf: Uint8Array, start: number, end: number): boolean;
  /** The one that no other server would do better: too few replicas follow. */
  readonly scarce: string;
  /** Errors for clients; "" is nobody's name. */
  noPrimary(name: string, wait: number): Uint8Array;
  tooMany(name: string): Uint8Array;
  moved(name: string): Uint8Array;
  forgotten(name: string): Uint8Array;
}
