// What the proxy asks a protocol about publish and subscribe: requests to servers, what comes of
// them, and what clients are told. Who is subscribed to what is core/exchange/topics.ts.

import type { Scan } from "./scan.ts";
import type { Session } from "./session.ts";
import type { User } from "./user.ts";

/** Kinds of topics. */
export const CHANNEL = 0;
export const PATTERN = 1;
export const SHARD = 2;
export const KINDS = 3;

/** What a server sends to a subscriber (`Frame.what`). */
export const MESSAGE = 0;
/** The answer to a request of `subscribe` or `unsubscribe`, in their order. */
export const CONFIRMED = 1;
export const REFUSED = 2;
export const ALIVE = 3;
export const NONSENSE = 4;

/** The reused result of `Publishing.readFrame`. */
export interface Frame {
  what: number;
  kind: number;
  /** The topic, as a byte string. */
  name: string;
  /** CONFIRMED: it is not heard from now on. */
  off: boolean;
}

/** Topics that servers have another name for than clients. */
export interface Renaming {
  toServer(name: string): string;
  /** Another name that clients may have for a server's `name`; "" if there is none. */
  alias(name: string): string;
  /** A message as clients of topic `name` are to see it: null as it is, empty not at all. */
  seen(frame: Frame, name: string, buf: Uint8Array, start: number, end: number): Uint8Array | null;
}

export interface Publishing {
  /** What a request with the action TOPICS is about. */
  kindOf(scan: Scan): number;
  /** Whether it is to subscribe, not to unsubscribe. */
  subscribes(scan: Scan): boolean;
  /** Its topics, as byte strings. */
  names(scan: Scan, buf: Uint8Array, at: number): string[];
  /** Whether the user may be subscribed to it. */
  mayHear(user: User, kind: number, name: string): boolean;
  /** The kind of topic that a request publishes to; -1: it publishes nothing. */
  publishes(scan: Scan): number;
  /** Its topic, as a byte string. */
  topic(scan: Scan, buf: Uint8Array, at: number): string;
  /** The same request with what servers call its topic; null: they call it what it is called. */
  renamed(scan: Scan, buf: Uint8Array, at: number): Uint8Array | null;
  /** Whether the pattern hears what is published to a channel. */
  matches(pattern: string, channel: string): boolean;
  /** How many clients the servers do not know of, for `Codec.join` to add. */
  more(clients: number): Uint8Array;
  /** The topic has to be heard at all servers; `broadcasts`: those tell each other what is published. */
  isEverywhere(kind: number, name: string, broadcasts: boolean): boolean;
  subscribe(kind: number, name: string): Uint8Array;
  unsubscribe(kind: number, name: string): Uint8Array;
  /** A question to the server whether it is still there: ALIVE is the answer. */
  readonly ping: Uint8Array;
  /** Asks a server to tell all that it is asked from now on. */
  readonly monitor: Uint8Array;
  readFrame(frame: Frame, buf: Uint8Array, start: number, end: number): void;
  /** Names that servers know under others: null when there are none. */
  readonly renaming: Renaming | null;
  /** First byte of a message for such a client; the rest is as the server sent it. */
  mark(session: Session): number;
  /** What the client is told; no `name`: it was subscribed to nothing of that kind. */
  confirm(
    kind: number,
    on: boolean,
    name: string | null,
    count: number,
    session: Session,
  ): Uint8Array;
  /** Whether such a client, when subscribed, may say nothing else: see `answerInstead`. */
  isExclusive(session: Session): boolean;
  /** The answer to a request of such a subscribed client; null: it is answered as always. */
  answerInstead(scan: Scan, buf: Uint8Array, at: number): Uint8Array | null;
}
