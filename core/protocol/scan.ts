// A parsed request: what is to be done with it, and where its parts are. Everything on the data path
// is (buffer, offset) integers; results land in reused objects.

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
/** Several keys that must live on one server: forwarded whole, or `Together.crossServer`. */
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
/** Waits at every server, until it has done what the client sent before. */
export const PIN_WAIT = 9;
/** LOCAL, and if the client's links are others afterwards, they are to be there before the answer. */
export const PIN_TRACK = 10;
/** Hears what servers are asked. */
export const PIN_MONITOR = 11;

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
/** One server after the other: a cursor in the request tells which (`Walk.to`). */
export const WALK = 10;
/** Every live server gets it; `Codec.join` makes one reply of theirs and `Codec.answer`'s. */
export const GATHER = 11;

/**
 * As ALL, for replies whose end cannot be told for sure: each server gets it over a connection that
 * is closed afterwards.
 */
export const APART = 13;

/**
 * As APART, to servers that are ejected too, and that do nothing but this now: nothing is said to them
 * before but who we are.
 */
export const RESCUE = 14;

/** About topics of publish and subscribe: see publishing.ts. */
export const TOPICS = 12;

/** The reused result of `parseRequest`. All offsets are relative to the request's first byte. */
export class Scan implements Origin {
  action: number;
  /** Bytes of input the request takes, its end mark included. */
  length: number;
  /** Codec's own number of the command: an index into its command table. */
  verb: number;
  /** The first key (FORWARD: the only one), or the one chosen by `Keys.select`. */
  keyStart: number;
  keyEnd: number;
  /** How many keys (SPLIT, TOGETHER and PIN). */
  nkeys: number;
  /** SPLIT: key i is the span number `first + i * step` of `args`. */
  first: number;
  step: number;
  /**
   * Which replies the client does not want to see; 0 = it sees all. Codec's own numbers, see
   * `Quiet.muted`. (memcached's noreply, the meta commands' q flag.)
   */
  mute: number;
  /** Set for PIN, LOCAL and REFUSE: see PIN_NONE. PIN_EXEC ends a transaction even if refused. */
  pin: number;
  /** PIN_BLOCK: how long (ms) the server may take to answer; Infinity = for ever. */
  wait: number;
  /** PIN_BLOCK: which argument says so, in how many ms. */
  waitAt: number;
  waitUnit: number;
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
    this.waitAt = 0;
    this.waitUnit = 1;
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

  /** Takes a whole SPLIT request over from another scan, which has none then. */
  adopt(from: Scan): void {
    this.action = from.action;
    this.length = from.length;
    this.verb = from.verb;
    this.nkeys = from.nkeys;
    this.first = from.first;
    this.step = from.step;
    this.args = from.args;
    this.nargs = from.nargs;
    from.args = new Int32Array(32);
    from.reset();
  }

  /** Forgets a half-parsed request: the next parse starts at the request's first byte. */
  reset(): void {
    this.pos = 0;
    this.left = 0;
    this.nargs = 0;
  }
}

const NONE: Uint8Array = new Uint8Array(0);

/** `verb` of a request that is an Inquiry, and of commands that are in no table. */
export const ASKED = -1;
