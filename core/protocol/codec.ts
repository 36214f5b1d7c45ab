// What the proxy asks of a protocol: requests, replies and sessions, which each has, and parts that
// one has and another has not (null). Knows nothing of sockets, rings or pools.

import type { OutBuffer } from "../wire/out_buffer.ts";
import type { Refused, Users } from "./access.ts";
import type { Clustering } from "./clustering.ts";
import type { Migrating } from "./migrating.ts";
import type { Pulling } from "./pulling.ts";
import type { Replication } from "./replication.ts";
import type { NearWords } from "./near.ts";
import type { Publishing } from "./publishing.ts";
import type { Scripts } from "./scripts.ts";
import type { Sentinels } from "./sentinels.ts";
import type { FanOut, ReplyScan } from "./replies.ts";
import type { Origin, Scan } from "./scan.ts";
import type { Session } from "./session.ts";
import type { Stripping } from "./stripping.ts";
import type { Verdicts } from "./verdicts.ts";
import type { Warming } from "./warming.ts";

export * from "./replies.ts";
export * from "./scan.ts";
export * from "./session.ts";

/** Options of a pool that a protocol needs. */
export interface CodecOptions {
  /** Password towards servers, and of clients where there are no `users`; "" for none. */
  readonly auth: string;
  /** User name that goes with it towards servers; "" or absent for none. */
  readonly user?: string;
  /** Who may come in; absent: everybody, or whoever knows `auth`. */
  readonly users?: Users;
  /** Told of every failed attempt to come in. */
  readonly refused?: Refused;
  /** Database chosen on every server connection. */
  readonly db: number;
  /** Most bytes one buffered request or request line may take. */
  readonly maxRequest: number;
  /** Two characters; "" or absent for none. Only errors speak of it. */
  readonly hashTag?: string;
  /** The servers are a cluster, which has one database. */
  readonly clustered?: boolean;
  /** Keys of the migration's own are on the servers: walks do not show them. */
  readonly migrating?: boolean;
  /** Clients see a cluster of one node: absent: they see a server. */
  readonly asNode?: AsNode;
  /** Which commands clients may use; absent: all. */
  readonly commands?: CommandPolicy;
}

/** How the proxy is the only node of a cluster. */
export interface AsNode {
  /** Where it is for clients, by where it finds itself (host:port): see `address_map`. */
  readonly addresses: Readonly<Record<string, { readonly host: string; readonly port: number }>>;
}

/** What a pool's configuration says about commands. Names are in lower case. */
export interface CommandPolicy {
  /**
   * Names ("get", "config", "config|get") and Redis's categories ("@write"), or "-" and such a one
   * for what is taken off the list again; the last that fits a command counts.
   */
  readonly deny: readonly string[];
  /** If not empty, only these. */
  readonly allow: readonly string[];
  /** New name -> command; the command's own name is then unknown. */
  readonly rename: Readonly<Record<string, string>>;
}

/** What a new server connection has to say before requests may follow. */
export interface Handshake {
  readonly bytes: Uint8Array;
  /** Number of replies; an error among them closes the connection. */
  readonly replies: number;
}

/** Requests of clients, and what is answered without a server. */
export interface Requests {
  /** By `Scan.verb` + 1 (ASKED comes first): the command's class, see stats/latency.ts. */
  readonly classes: Uint8Array;
  /**
   * In the same order: 1 if an error in the reply is the server's own, so that `isServerFailure` may
   * be asked about it; 0 if a client can make it say what it likes (a script).
   */
  readonly judged: Uint8Array;
  /** In the same order: what routes are told of the command, see route.ts (Intent). */
  readonly intents: Uint8Array;
  /** The name of a command, for people. */
  commandName(verb: number): string;
  /**
   * Parses the request that starts at `buf[start]`. Never reads at or beyond `end`, never throws.
   * After MORE it is called again with the same `scan` and the same request at another place
   * with more bytes behind it, or, after `scan.reset()`, from the beginning.
   */
  parseRequest(scan: Scan, buf: Uint8Array, start: number, end: number): number;
  /** Answers a LOCAL, QUIT or GATHER request; may change the session. */
  answer(scan: Scan, buf: Uint8Array, start: number, session: Session): Uint8Array;
  /** The error for a lost server: `text` is a strerror text. No `request`: nothing was asked yet. */
  failure(text: string, request?: Origin): Uint8Array;
}

/** Replies of servers. */
export interface Replies {
  /**
   * Bytes of the part of a reply that `parseReply` wants to see whole before it consumes anything;
   * 0 = it is a line.
   */
  readonly replyHead: number;
  /**
   * Consumes reply bytes from `buf[pos]`, at most up to the end of the current reply; returns the
   * new position and sets `scan.done` or `scan.bad`. When neither is set, the reply goes on: what
   * lies before the returned position belongs to it, and what is left (less than a line, or than
   * `replyHead`) must be presented again with more bytes behind it. At a reply's start nothing is
   * consumed before its first line, or head, is complete.
   */
  parseReply(scan: ReplyScan, buf: Uint8Array, pos: number, end: number): number;
  /** Whether the reply that starts at `buf[start]` is an error. */
  isError(buf: Uint8Array, start: number): boolean;
  /** A reply's text for log lines and errors, without its type mark: "WRONGPASS invalid ...". */
  errorText(buf: Uint8Array, start: number, end: number): string;
  /** Joins the replies of a SPLIT, ALL, APART, GATHER or WALK request into the one the client sees. */
  join(fanOut: FanOut, out: OutBuffer): void;
}

/** What is kept of a client, and what it may do. */
export interface Sessions {
  newSession(id: number, remote: string, since: number): Session;
  /**
   * The session was another codec's of the same pool, whose passwords and users may have changed;
   * `old` and `now` are what a new session was and is. Why it cannot go on; "" if it can.
   */
  renew(session: Session, old: Session, now: Session): string;
  /** Whether the request is allowed while `session.locked`. */
  openToAll(scan: Scan): boolean;
  /** The answer to everything else while `session.locked`. */
  lockedError(scan: Scan): Uint8Array;
  /**
   * Whether a request that `parseRequest` was just given, whole or not, is larger than one may be
   * while `session.locked`: as with BAD, `scan.error` is then the last answer.
   */
  tooMuch(scan: Scan, buf: Uint8Array, start: number, end: number): boolean;
  /**
   * Changes the action of a whole request that this session, which is locked or a user's, may not
   * make: to REFUSE, or to NOTHING if no error may be seen. Not called for a FORWARD of a user
   * without restrictions.
   */
  guard(scan: Scan, buf: Uint8Array, start: number, session: Session): void;
  /**
   * What sets the server connections apart that serve this session (the dialect; Redis: RESP version
   * and database): sessions with the same text share connections.
   */
  lane(session: Session): string;
}

/** Another dialect on the same port. */
export interface Dialects {
  /** The codec for a client whose first byte is `byte`. */
  of(byte: number): Codec;
}

/** Requests of several keys. */
export interface Keys {
  /** SPLIT, TOGETHER, PIN: sets `scan.keyStart` and `keyEnd` to key `i` (0-based). */
  select(scan: Scan, i: number): void;
  /** SPLIT: begins the fragment of one server, which will hold `nkeys` keys. */
  begin(scan: Scan, buf: Uint8Array, start: number, nkeys: number, out: OutBuffer): void;
  /** SPLIT: adds the keys `from` to `to - 1` (with their values, if the command has values). */
  add(
    scan: Scan,
    buf: Uint8Array,
    start: number,
    from: number,
    to: number,
    out: OutBuffer,
  ): void;
  /** SPLIT: what ends a fragment. */
  readonly end: Uint8Array;
  /** Null: servers take all keys together. */
  readonly runs: Runs | null;
  /** SPLIT: as `join`, of parts that are the joined replies to neighbouring keys each. */
  joinSlices(fanOut: FanOut, out: OutBuffer): void;
}

/** Fragments that are requests end to end, of few keys each: `join` finds their replies so, too. */
export interface Runs {
  /** Whether a request's fragments may be that. */
  fits(scan: Scan): boolean;
  /** To be called before `alone` with the keys of a request. */
  ready(scan: Scan, buf: Uint8Array, start: number): void;
  /** Adds a request of key `i` alone (with its value); returns its length. */
  alone(scan: Scan, buf: Uint8Array, start: number, i: number, out: OutBuffer): number;
  /** The request that begins at `buf[start]`: its length, how many keys, the first. */
  cut(scan: Scan, buf: Uint8Array, start: number, verb: number): void;
}

/** TOGETHER: keys that must live on one server. */
export interface Together {
  /** The error when they do not: the first lives on server `first`, the selected on `other`. */
  crossServer(
    scan: Scan,
    buf: Uint8Array,
    start: number,
    first: string,
    other: string,
  ): Uint8Array;
}

/** WALK: one server after the other. */
export interface Walk {
  /** The index of the server at which the cursor stands, among `servers`; or `servers`. */
  to(scan: Scan, buf: Uint8Array, start: number, servers: number): number;
  /** Whether the walk over that server has begun. */
  isAmid(scan: Scan, buf: Uint8Array, start: number, servers: number): boolean;
  /**
   * The request for server `index`, with that server's own cursor. If it is not the one at which
   * the cursor stands, that one was passed over.
   */
  request(
    scan: Scan,
    buf: Uint8Array,
    start: number,
    length: number,
    index: number,
    servers: number,
    out: OutBuffer,
  ): void;
  /** The answer when no server is left to go to. */
  readonly end: Uint8Array;
  /** An answer without keys that leads to `cursor`, or to where the request came from. */
  empty(cursor: number): Uint8Array;
  again(scan: Scan, buf: Uint8Array, start: number): Uint8Array;
}

/** What a protocol says about transactions: requests of the proxy's own, and answers. */
export interface Transactions {
  /** Requests that undo PIN_MULTI. */
  readonly discard: Uint8Array;
  readonly multi: Uint8Array;
  readonly exec: Uint8Array;
  /** The reply to PIN_EXEC of a transaction without requests. */
  readonly nothing: Uint8Array;
  /** Answers: to what needs none of a server's, to a request that is kept for PIN_EXEC. */
  readonly ok: Uint8Array;
  readonly queued: Uint8Array;
  /** PIN_MULTI in a transaction, PIN_WATCH in one, PIN_EXEC and PIN_DISCARD outside of one. */
  readonly nested: Uint8Array;
  readonly watchInside: Uint8Array;
  readonly execWithout: Uint8Array;
  readonly discardWithout: Uint8Array;
  /** PIN_EXEC after an error; of a transaction that would have to be sent again and is too large. */
  readonly aborted: Uint8Array;
  readonly tooLarge: Uint8Array;
  /** PIN_EXEC when what was watched has changed. */
  nil(session: Session): Uint8Array;
  /** The error that PIN_EXEC's at `buf[start, end)` gives as the reason of its own; null for none. */
  reason(buf: Uint8Array, start: number, end: number): Uint8Array | null;
  /** A LOCAL request that cannot be part of a transaction. */
  refused(scan: Scan): Uint8Array;
  /** A request for every server, of a client that holds on to one of several. */
  everyServer(scan: Scan): Uint8Array;
  /** A request whose selected key lives on server `other`; the client holds on to `held`. */
  astray(scan: Scan, buf: Uint8Array, start: number, held: string, other: string): Uint8Array;
}

/** Requests whose replies the client does not want to see, or not all of them (`Scan.mute`). */
export interface Quiet {
  /** Whether the client of a request with this `mute` must not see the reply that starts here. */
  muted(mute: number, buf: Uint8Array, start: number): boolean;
  /**
   * The client of a request with this `mute` is to see the reply that starts here: makes it, in
   * place, a reply to what the client has sent. Null: it is one already.
   */
  readonly unmute: ((mute: number, buf: Uint8Array, start: number) => void) | null;
}

/** A question to a server that no client sees: see `Inquiries`. */
export interface Inquiry {
  readonly request: Uint8Array;
  readonly name: Uint8Array;
}

/** Commands that only the servers know. */
export interface Inquiries {
  /**
   * A REFUSE because the command is not known: the request that asks a server about it, which
   * `join` takes the reply of (without output) before the command is parsed again. Null when there
   * is nothing to ask; if it was learned, `scan` says by now what is to be done. The FanOut of the
   * question has verb ASKED, and `held` the name.
   */
  inquire(scan: Scan, buf: Uint8Array, start: number): Inquiry | null;
}

/** Replies by which a server says that it cannot work (Redis: LOADING, BUSY, OOM). */
export interface ServerErrors {
  /** What the reply to a `probe` says is wrong with the server; "" when nothing is. */
  probeError(buf: Uint8Array, start: number, end: number): string;
  /** An error that counts as a failure of the server. */
  isServerFailure(buf: Uint8Array, start: number, end: number): boolean;
}

/** What a server connection has to say before requests may follow. */
export interface Greeting {
  /** Null when nothing. */
  handshake(session: Session): Handshake | null;
  /** The same for what concerns no database: says only who we are. */
  readonly who: Handshake | null;
}

/** Sessions that change the kind of connection they need (`Sessions.lane`). */
export interface Lanes {
  /** The session is again one of this lane, which was its own before. */
  goBack(session: Session, lane: string): void;
}

/** Waits of clients that others begin or end (Redis: CLIENT PAUSE, UNBLOCK). */
export interface Waits {
  /** Asks a server what it calls the connection; what it says, -1 if that is nothing. */
  readonly askId: Uint8Array;
  linkId(buf: Uint8Array, start: number, end: number): number;
  /** Asks it to end the wait of the connection of that number. */
  unblock(id: number, withError: boolean): Uint8Array;
  /** A request that waits, with less time (ms): the argument `[from, to)` says how many `unit` ms. */
  shorten(request: Uint8Array, from: number, to: number, unit: number, left: number): Uint8Array;
  /** Whether the request may change what servers hold, or reach their replicas. */
  mayWrite(scan: Scan): boolean;
}

/** Clients that keep values and are told by servers what has changed (Redis: CLIENT TRACKING). */
export interface Caching {
  /** What a cache of the proxy's own says and hears. */
  readonly near: NearWords;
  /** Tells a client that all it keeps may have changed. */
  readonly forgetAll: Uint8Array;
  /** A request that shows by its reply that the greeting before it was heard. */
  readonly confirm: Uint8Array;
  /** Whether nothing is to be said before the session's next command. */
  isUnsaid(session: Session): boolean;
  /** The request that goes before it, if something is; from now on nothing is to be said. */
  takeSaid(session: Session): Uint8Array;
  /** Whether what is to be said of the next command is not said of this one. */
  passesOver(scan: Scan): boolean;
}

/** One protocol, for one pool. Instances keep no per-client state. */
export interface Codec extends Requests, Replies, Sessions {
  /** What replies mean to a route with several ways. */
  readonly verdicts: Verdicts;
  /** Servers may know keys by shorter names. */
  readonly stripping: Stripping;
  /** A request by which a server shows that it is well; null in a dialect no server is asked in. */
  readonly probe: Uint8Array | null;
  /** Null: a client's first byte tells nothing. */
  readonly dialects: Dialects | null;
  /** Null: no request has more than one key. */
  readonly keys: Keys | null;
  /** Null: no request has the action TOGETHER. */
  readonly together: Together | null;
  /** Null: no request has the action WALK. */
  readonly walk: Walk | null;
  /** Null: no request has the action PIN. */
  readonly transactions: Transactions | null;
  /** Null: no request has the action TOPICS. */
  readonly publishing: Publishing | null;
  /** Null: servers keep no scripts. */
  readonly scripts: Scripts | null;
  /** Null: nobody but the client itself ends its waits. */
  readonly waits: Waits | null;
  /** Null: clients see every reply, `Scan.mute` is 0. */
  readonly quiet: Quiet | null;
  /** Null: servers tell clients nothing unasked. */
  readonly caching: Caching | null;
  /** What a near cache says to servers that tell of no changes (for others: `caching`). */
  readonly near?: NearWords;
  /** Null: what is in no table stays unknown. */
  readonly inquiries: Inquiries | null;
  /** Null: no reply speaks of the server. */
  readonly serverErrors: ServerErrors | null;
  /** Null: connections need no greeting. */
  readonly greeting: Greeting | null;
  /** Null: a session stays in its lane. */
  readonly lanes: Lanes | null;
  /** Null: servers share no keys among themselves. */
  readonly clustering: Clustering | null;
  /** Null: keys do not move to other servers. */
  readonly migrating: Migrating | null;
  /** The same of a protocol whose servers carry out single steps only. Absent: see `migrating`. */
  readonly pulling?: Pulling;
  /** Absent: no pool warms another one up. */
  readonly warming?: Warming;
  /** Servers copy each other's writes. Absent: the protocol knows of none that do. */
  readonly replication?: Replication;
  /** Null: nobody watches over servers. */
  readonly sentinels: Sentinels | null;
}
