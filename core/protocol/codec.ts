// The interface both protocols meet: parse a request, parse a reply, split, join, make an error,
// answer locally. Knows nothing of sockets, rings or pools. Everything on the data path is
// (buffer, offset) integers; results land in reused Scan objects.

import type { OutBuffer } from "../wire/out_buffer.ts";
import type { Publishing } from "./publishing.ts";
import type { Refused, User, Users } from "./access.ts";

/** Results of `Codec.parseRequest`. */
export const DONE = 1;
/** The request is not complete: call again with more bytes behind the same ones. */
export const MORE = 0;
/** The stream can no longer be trusted: answer `scan.error`, then close the client. */
export const BAD = -1;

/** What is to be done with a parsed request (`Scan.action`). */
/** One key: the bytes go unchanged to the key's server. */
export const FORWARD = 0;
/** Several keys: one fragment per server concerned, replies joined. */
export const SPLIT = 1;
/** Several keys that must live on one server: forwarded whole, or `crossServerError`. */
export const TOGETHER = 2;
/** No key: any live server answers. */
export const ANY = 3;
/** Every server gets it unchanged; replies joined. */
export const ALL = 4;
/** Answered by `Codec.answer` in the request's place. */
export const LOCAL = 5;
/** `scan.error` is the answer; the connection stays. */
export const REFUSE = 6;
/** `Codec.answer`'s bytes (may be empty) are the last ones; then the connection closes. */
export const QUIT = 7;
/** Nothing to do and nothing to answer (an empty line). */
export const NOTHING = 8;
/** Begins, keeps up or ends the client's hold on a server connection of its own: see `Scan.pin`. */
export const PIN = 9;

/** What a PIN request does, or what another one means to a client in a transaction (`Scan.pin`). */
export const PIN_NONE = 0;
/** Waits at the server, which answers nobody else on that connection meanwhile. */
export const PIN_BLOCK = 1;
/** What follows depends on the keys' not changing; not allowed in a transaction. */
export const PIN_WATCH = 2;
export const PIN_UNWATCH = 3;
/** The server keeps the requests that follow, until PIN_EXEC or PIN_DISCARD. */
export const PIN_MULTI = 4;
export const PIN_EXEC = 5;
export const PIN_DISCARD = 6;
/** LOCAL, but in a transaction a server answers it. */
export const PIN_QUEUE = 7;
/** LOCAL, and it ends whatever holds the connection. */
export const PIN_RESET = 8;

/** `Scan.mute` of a request that the proxy makes itself: nobody sees the reply. */
export const OWN = -1;

/**
 * What an error made for a request has to repeat of it, in numbers of the codec's own (small
 * integers: larger ones may not be stored without an allocation).
 */
export interface Origin {
  readonly tagHigh: number;
  readonly tagLow: number;
}
/** One server after the other: a cursor in the request tells which (`Codec.walkTo`). */
export const WALK = 10;
/** Every live server gets it; `Codec.join` makes one reply of theirs and `Codec.answer`'s. */
export const GATHER = 11;

/**
 * As ALL, for replies whose end cannot be told for sure: each server gets it over a connection that
 * is closed afterwards.
 */
export const APART = 13;

/** About topics of publish and subscribe: see publishing.ts. */
export const TOPICS = 12;

/** The reused result of `parseRequest`. All offsets are relative to the request's first byte. */
export class Scan implements Origin {
  action: number;
  /** Bytes of input the request takes, its end mark included. */
  length: number;
  /** Codec's own number of the command: an index into its command table. */
  verb: number;
  /** The first key (FORWARD: the only one), or the one chosen by `Codec.selectKey`. */
  keyStart: number;
  keyEnd: number;
  /** How many keys (SPLIT, TOGETHER and PIN). */
  nkeys: number;
  /** SPLIT: key i is the span number `first + i * step` of `args`. */
  first: number;
  step: number;
  /**
   * Which replies the client does not want to see; 0 = it sees all. Codec's own numbers, see
   * `Codec.muted`. (memcached's noreply, the meta commands' q flag.)
   */
  mute: number;
  /** Set for PIN, LOCAL and REFUSE: see PIN_NONE. PIN_EXEC ends a transaction even if refused. */
  pin: number;
  /** PIN_BLOCK: how long (ms) the server may take to answer; Infinity = for ever. */
  wait: number;
  /** The answer for BAD and REFUSE. */
  error: Uint8Array;
  /**
   * If not null the request was rewritten: everything (keys, args) refers to this buffer from
   * offset 0, and `scratchLength` bytes of it are what goes to the server.
   */
  scratch: Uint8Array | null;
  scratchLength: number;
  /** Argument spans, as pairs (start, end). */
  args: Int32Array;
  nargs: number;
  /** Codec's own resume state; a fresh Scan has pos 0. */
  pos: number;
  left: number;
  /** See `Origin`. */
  tagHigh: number;
  tagLow: number;

  constructor() {
    this.action = FORWARD;
    this.length = 0;
    this.verb = 0;
    this.keyStart = 0;
    this.keyEnd = 0;
    this.nkeys = 0;
    this.first = 0;
    this.step = 1;
    this.mute = 0;
    this.pin = PIN_NONE;
    this.wait = 0;
    this.error = NONE;
    this.scratch = null;
    this.scratchLength = 0;
    this.args = new Int32Array(32);
    this.nargs = 0;
    this.pos = 0;
    this.left = 0;
    this.tagHigh = 0;
    this.tagLow = 0;
  }

  /** Forgets a half-parsed request: the next parse starts at the request's first byte. */
  reset(): void {
    this.pos = 0;
    this.left = 0;
    this.nargs = 0;
  }
}

const NONE: Uint8Array = new Uint8Array(0);

/** Where a server connection's reply parser stands; survives from one read to the next. */
export class ReplyScan {
  /** The last `parseReply` stopped at the end of a whole reply. */
  done: boolean;
  /** The server sent what is no reply. */
  bad: boolean;
  /** Elements (Redis) or lines (memcached) still to come before the reply ends. */
  pending: number;
  /** Bytes of a bulk body still to be skipped, its end mark included. */
  skip: number;

  constructor() {
    this.done = true;
    this.bad = false;
    this.pending = 0;
    this.skip = 0;
  }

  reset(): void {
    this.done = true;
    this.bad = false;
    this.pending = 0;
    this.skip = 0;
  }
}

/** One fragment's reply, as `Codec.join` sees it. */
export interface Part {
  /** The whole reply: `held[heldStart, heldEnd)`. Undefined when `failure` is set. */
  readonly held: Uint8Array;
  readonly heldStart: number;
  readonly heldEnd: number;
  /** strerror text when the server's reply was lost ("Connection refused"); "" otherwise. */
  readonly failure: string;
}

/** A request that went to several servers and has all its replies. */
export interface FanOut extends Origin {
  readonly verb: number;
  /** Number of keys (SPLIT) or of the pool's servers (WALK); 0 for the others. */
  readonly nkeys: number;
  /** SPLIT: index into `parts` for each key. WALK: picks[0] is the server that was asked. */
  readonly picks: Uint16Array;
  readonly parts: readonly Part[];
  /** GATHER: the proxy's own answer. */
  readonly held?: Uint8Array;
}

/** What a protocol keeps per client; `Codec.newSession` makes it. */
export interface Session {
  /** Not authenticated: only what `Codec.openToAll` allows is answered. */
  locked: boolean;
  /** Who it is; null while that is not known, and in pools without users. */
  user: User | null;
  /** Not every request is allowed: see `Codec.guard`. */
  restricted: boolean;
  readonly id: number;
  readonly remote: string;
  /** Milliseconds since 1970. */
  readonly since: number;
  /** Name given by the client (CLIENT SETNAME). */
  name: string;
  /** Redis: the RESP version the client speaks (2 or 3) and the database it has selected. */
  resp: number;
  db: number;
  libName: string;
  libVersion: string;
  /** Redis: numbers of channels, patterns and shard channels; absent: none. */
  subscribed?: readonly number[];
}

/** A client of the pool, as local answers see it. */
export interface Peer {
  readonly session: Session;
  /** Requests queued in its transaction; -1 outside of one. */
  readonly queuedInMulti: number;
  /** It waits at a server. */
  readonly isBlocked: boolean;
  /** Milliseconds since it was last heard of. */
  readonly idle: number;
  /** Closes it: at once, or, if it is the one that asks, when it has its reply. */
  kill(asks: boolean): void;
}

/** What local answers (INFO, CLIENT LIST, TIME) may ask about the rest of the proxy. */
export interface Facts {
  readonly pool: string;
  readonly version: string;
  readonly runtime: string;
  /** Milliseconds since 1970. */
  wallClock(): number;
  /** Seconds since start. */
  uptime(): number;
  port(): number;
  /** Where it listens, as the configuration has it. */
  listen(): string;
  /** How many servers the pool has, live or not. */
  servers(): number;
  peers(): Iterable<Peer>;
  /** Subscribed clients (by kind and name of the topic) that the servers do not know of. */
  hidden(kind: number, name: string): number;
  /** Counters for INFO, in the order they are to be shown: [section, [name, value][]][]. */
  counters(): [string, [string, number | string][]][];
}

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
  /** Which commands clients may use; absent: all. */
  readonly commands?: CommandPolicy;
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

/** What a protocol says about transactions: requests of the proxy's own, and answers. */
export interface Pinning {
  /** Requests that undo PIN_MULTI. */
  readonly discard: Uint8Array;
  /** Answers: to what needs none of a server's, to a request that is kept for PIN_EXEC. */
  readonly ok: Uint8Array;
  readonly queued: Uint8Array;
  /** PIN_MULTI in a transaction, PIN_WATCH in one, PIN_EXEC and PIN_DISCARD outside of one. */
  readonly nested: Uint8Array;
  readonly watchInside: Uint8Array;
  readonly execWithout: Uint8Array;
  readonly discardWithout: Uint8Array;
  /** PIN_EXEC after an error. */
  readonly aborted: Uint8Array;
  /** A LOCAL request that cannot be part of a transaction. */
  refused(scan: Scan): Uint8Array;
  /** A request for every server, of a client that holds on to one of several. */
  everyServer(scan: Scan): Uint8Array;
  /** A request whose selected key lives on server `other`; the client holds on to `held`. */
  astray(scan: Scan, buf: Uint8Array, start: number, held: string, other: string): Uint8Array;
}

/** A question to a server that no client sees: see `Codec.inquire`. */
export interface Inquiry {
  readonly request: Uint8Array;
  readonly name: Uint8Array;
}

/** `verb` of a request that is an Inquiry, and of commands that are in no table. */
export const ASKED = -1;

/** One protocol, for one pool. Instances keep no per-client state. */
export interface Codec {
  /** By `Scan.verb` + 1 (ASKED comes first): the command's class, see stats/latency.ts. */
  readonly classes: Uint8Array;
  /** The name of a command, for people. */
  commandName(verb: number): string;
  /** A request by which a server shows that it is well. */
  readonly probe: Uint8Array;
  /** What the reply to it says is wrong with the server; "" when nothing is. */
  probeError(buf: Uint8Array, start: number, end: number): string;
  /** Null when no request has the action PIN. */
  readonly pinning: Pinning | null;
  /** Null when no request has the action TOPICS. */
  readonly publishing: Publishing | null;
  /**
   * The codec for a client whose first byte is `byte`: this one, or that of another dialect on the
   * same port.
   */
  dialect(byte: number): Codec;
  /**
   * Bytes of the part of a reply that `parseReply` wants to see whole before it consumes anything;
   * 0 = it is a line.
   */
  readonly replyHead: number;
  /**
   * Parses the request that starts at `buf[start]`. Never reads at or beyond `end`, never throws.
   * After MORE it is called again with the same `scan` and the same request at another place
   * with more bytes behind it, or, after `scan.reset()`, from the beginning.
   */
  parseRequest(scan: Scan, buf: Uint8Array, start: number, end: number): number;
  /**
   * A REFUSE because the command is not known: the request that asks a server about it, which
   * `join` takes the reply of (without output) before the command is parsed again. Null when there
   * is nothing to ask; if it was learned, `scan` says by now what is to be done. The FanOut of the
   * question has verb ASKED, and `held` the name.
   */
  inquire(scan: Scan, buf: Uint8Array, start: number): Inquiry | null;
  /** SPLIT, TOGETHER, PIN: sets `scan.keyStart` and `keyEnd` to key `i` (0-based). */
  selectKey(scan: Scan, i: number): void;
  /** SPLIT: begins the fragment of one server, which will hold `nkeys` keys. */
  fragmentHead(scan: Scan, buf: Uint8Array, start: number, nkeys: number, out: OutBuffer): void;
  /** SPLIT: adds the keys `from` to `to - 1` (with their values, if the command has values). */
  fragmentKeys(
    scan: Scan,
    buf: Uint8Array,
    start: number,
    from: number,
    to: number,
    out: OutBuffer,
  ): void;
  fragmentTail(scan: Scan, buf: Uint8Array, start: number, out: OutBuffer): void;
  /** WALK: the index of the server at which the cursor stands, among `servers`; or `servers`. */
  walkTo(scan: Scan, buf: Uint8Array, start: number, servers: number): number;
  /**
   * WALK: the request for server `index`, with that server's own cursor. If it is not the one at
   * which the cursor stands, that one was passed over.
   */
  walkRequest(
    scan: Scan,
    buf: Uint8Array,
    start: number,
    length: number,
    index: number,
    servers: number,
    out: OutBuffer,
  ): void;
  /** WALK: the answer when no server is left to go to. */
  walkEnd(): Uint8Array;
  /** Joins the replies of a SPLIT, ALL, APART, GATHER or WALK request into the one the client sees. */
  join(fanOut: FanOut, out: OutBuffer): void;

  /**
   * Consumes reply bytes from `buf[pos]`, at most up to the end of the current reply; returns the
   * new position and sets `scan.done` or `scan.bad`. When neither is set, the reply goes on: what
   * lies before the returned position belongs to it, and what is left (less than a line, or than
   * `replyHead`) must be presented again with more bytes behind it. At a reply's start nothing is
   * consumed before its first line, or head, is complete.
   */
  parseReply(scan: ReplyScan, buf: Uint8Array, pos: number, end: number): number;
  /** Whether the client of a request with this `mute` must not see the reply that starts here. */
  muted(mute: number, buf: Uint8Array, start: number): boolean;
  /**
   * The client of a request with this `mute` is to see the reply that starts here: makes it, in
   * place, a reply to what the client has sent.
   */
  unmute(mute: number, buf: Uint8Array, start: number): void;
  /** Whether the reply that starts at `buf[start]` is an error. */
  isError(buf: Uint8Array, start: number): boolean;
  /** An error that says the server itself cannot work now (LOADING, BUSY, OOM): it counts as a failure of the server. */
  isServerFailure(buf: Uint8Array, start: number, end: number): boolean;

  /** The error for a lost server: `text` is a strerror text. No `request`: nothing was asked yet. */
  failure(text: string, request?: Origin): Uint8Array;
  /** What needs its keys on one server: the first lives on server `first`, the selected on `other`. */
  crossServerError(
    scan: Scan,
    buf: Uint8Array,
    start: number,
    first: string,
    other: string,
  ): Uint8Array;

  newSession(id: number, remote: string, since: number): Session;
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
  /** The session was another codec's of the same pool, whose passwords and users may have changed. */
  renew(session: Session): void;
  /** Answers a LOCAL, QUIT or GATHER request; may change the session. */
  answer(scan: Scan, buf: Uint8Array, start: number, session: Session): Uint8Array;

  /**
   * What sets the server connections apart that serve this session (Redis: RESP version and
   * database): sessions with the same text share connections.
   */
  lane(session: Session): string;
  /** What such a connection has to say first; null when nothing. */
  handshake(session: Session): Handshake | null;
  /** A reply's text for log lines and errors, without its type mark: "WRONGPASS invalid ...". */
  errorText(buf: Uint8Array, start: number, end: number): string;
}
