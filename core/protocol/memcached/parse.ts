// Requests of the memcached text protocol, found in place: a byte scan for the common ones, words
// for the rest. Knows nothing of servers. Format: memcached's doc/protocol.txt; what an unusual
// line means was measured on memcached 1.6.18.
//
// One rule stands above the others: what is forwarded must draw exactly one reply from any
// memcached, or replies shift and reach the wrong client. So a line that some server would answer
// twice (the data block of a refused set is read as commands) or not at all (noreply, the q flag,
// a NUL byte that ends the line early) is never passed on as it is.

import { bytes, decimal, EMPTY } from "../../bytes.ts";
import { BAD, DONE, FORWARD, MORE, NOTHING, REFUSE, type Scan, SPLIT } from "../codec.ts";
import { decodeBase64 } from "./base64.ts";
import { REQUEST_MAGIC } from "./binary_commands.ts";
import * as table from "./commands.ts";
import { COMMANDS, findCommand, findStats, isBytes, MUTE_ALL, MUTE_NONE } from "./commands.ts";
import * as errors from "./errors.ts";
import { Scratch } from "./scratch.ts";

const GET = table.verbOf("get");
const GETS = table.verbOf("gets");
const SET = table.verbOf("set");
const ADD = table.verbOf("add");
const CAS = table.verbOf("cas");
const MG = table.verbOf("mg");
const ME = table.verbOf("me");
const VERSION = table.verbOf("version");
const NOREPLY = bytes("noreply");
const HTTP = bytes("HTTP/");

const MAX_KEY = 250;
/** memcached hangs up on a longer line, unless it begins with "get " or "gets ". */
const MAX_LINE = 2048;
/** ... and then only if no more blanks than this come first. */
const MAX_BLANKS = 100;
/** memcached refuses a meta command of more words, its name included. */
const MAX_META_WORDS = 19;
/** `Scan.tagLow` of a request that ringmux answers itself when no server does. */
export const TAG_VERSION = 1;
/** Longest data block: INT_MAX less its end mark. */
const MAX_BYTES = 0x7fffffff - 2;
const MAX_FLAGS = 0xffffffff;
/** As many digits as a 64-bit strtol takes, whatever they are. */
const MAX_EXPTIME_DIGITS = 18;
const MAX_CAS = bytes("18446744073709551615");

const CR = 13;
const LF = 10;
const BLANK = 32;
const PLUS = 43;
const MINUS = 45;
const LETTER_B = 98;
const LETTER_K = 107;
const LETTER_Q = 113;

const SMALL_ARGS = 32;
const LARGE_ARGS = 8192;

/**
 * Parses requests of all clients of a pool. What is kept between two calls for one request is in
 * the scan: `pos` 0 nothing; above 0 the line is read up to there, `args` holds its words; below 0
 * the line is known and -pos is the length of the request, data block included.
 */
export class RequestParser {
  private readonly maxRequest: number;
  /** Holds the request rewritten last, whoever sent it. */
  private readonly scratch: Scratch;

  constructor(maxRequest: number) {
    this.maxRequest = maxRequest;
    this.scratch = new Scratch();
  }

  parse(scan: Scan, buf: Uint8Array, start: number, end: number): number {
    const pos = scan.pos;
    if (pos < 0) {
      if (end - start < -pos) {
        if (scan.left > 0) scan.left = -pos - (end - start);
        return MORE;
      }
      scan.pos = 0;
      scan.left = 0;
    }
    if (pos <= 0 && end - start >= 6) {
      const first = buf[start];
      if (first === 103) { // g
        if (buf[start + 1] === 101 && buf[start + 2] === 116) { // et
          if (buf[start + 3] === BLANK) {
            if (oneKey(scan, buf, start, end, 4, GET)) return DONE;
          } else if (buf[start + 3] === 115 && buf[start + 4] === BLANK) { // s
            if (oneKey(scan, buf, start, end, 5, GETS)) return DONE;
          }
        }
      } else if (first === 115) { // s
        if (buf[start + 1] === 101 && buf[start + 2] === 116 && buf[start + 3] === BLANK) { // et
          const result = this.simpleStore(scan, buf, start, end, SET);
          if (result !== UNUSUAL) return result;
        }
      } else if (first === 97) { // a
        if (buf[start + 1] === 100 && buf[start + 2] === 100 && buf[start + 3] === BLANK) { // dd
          const result = this.simpleStore(scan, buf, start, end, ADD);
          if (result !== UNUSUAL) return result;
        }
      }
    }
    return this.words(scan, buf, start, end);
  }

  /** `set k f e n\r\n<data>\r\n` (or add) as clients write it; UNUSUAL is for `words` to judge. */
  private simpleStore(
    scan: Scan,
    buf: Uint8Array,
    start: number,
    end: number,
    verb: number,
  ): number {
    let p = start + 4;
    const stop = end < p + MAX_KEY + 1 ? end : p + MAX_KEY + 1;
    while (p < stop && buf[p] > BLANK) p++;
    if (p === stop || p === start + 4 || buf[p] !== BLANK) return UNUSUAL;
    const keyEnd = p - start;

    let from = ++p;
    while (p < end && buf[p] >= 48 && buf[p] <= 57) p++;
    if (p >= end || buf[p] !== BLANK || p === from || p - from > 9) return UNUSUAL;

    from = ++p;
    if (p < end && buf[p] === MINUS) from = ++p;
    while (p < end && buf[p] >= 48 && buf[p] <= 57) p++;
    if (p >= end || buf[p] !== BLANK || p === from || p - from > MAX_EXPTIME_DIGITS) return UNUSUAL;

    from = ++p;
    let size = 0;
    while (p < end && buf[p] >= 48 && buf[p] <= 57) size = size * 10 + buf[p++] - 48;
    if (p + 1 >= end || buf[p] !== CR || buf[p + 1] !== LF) return UNUSUAL;
    if (p === from || p - from > 9 || size > this.maxRequest) return UNUSUAL;

    const total = p - start + size + 4;
    scan.action = FORWARD;
    scan.verb = verb;
    scan.tagLow = 0;
    scan.keyStart = 4;
    scan.keyEnd = keyEnd;
    scan.nkeys = 1;
    scan.mute = MUTE_NONE;
    scan.scratch = null;
    scan.length = total;
    if (end - start < total) {
      scan.pos = -total;
      scan.left = total - (end - start);
      return MORE;
    }
    scan.pos = 0;
    scan.left = 0;
    p = start + total;
    if (buf[p - 2] !== CR || buf[p - 1] !== LF) return refuse(scan, errors.BAD_CHUNK, total);
    return DONE;
  }

  /** Cuts the line into words (memcached knows only the blank as a separator), then judges it. */
  private words(scan: Scan, buf: Uint8Array, start: number, end: number): number {
    let p = start;
    let n = 0;
    let open = -1; // where the word being read starts
    let limit = MAX_LINE;
    if (scan.pos > 0) {
      p += scan.pos;
      n = scan.nargs;
      open = scan.args[2 * n];
      if (scan.pos >= MAX_LINE) limit = this.maxRequest;
    } else {
      if (end > start && buf[start] === REQUEST_MAGIC) return bad(scan, errors.BINARY);
      if (scan.args.length > LARGE_ARGS) scan.args = new Int32Array(SMALL_ARGS);
    }
    let args = scan.args;
    for (;; p++) {
      if (p - start >= limit) {
        if (limit !== MAX_LINE || !mayBeLong(scan, buf, start, n)) {
          return bad(scan, errors.LONG_LINE);
        }
        limit = this.maxRequest;
        if (p - start >= limit) return bad(scan, errors.LONG_LINE);
      }
      if (p >= end) {
        scan.pos = p - start;
        scan.nargs = n;
        args[2 * n] = open;
        scan.length = 0;
        scan.left = 0;
        return MORE;
      }
      const c = buf[p];
      if (c > BLANK) {
        if (open < 0) open = p - start;
      } else if (c === BLANK) {
        if (open >= 0) {
          args[2 * n] = open;
          args[2 * n + 1] = p - start;
          open = -1;
          n++;
          if (2 * n + 2 > args.length) args = moreArgs(scan);
        }
      } else if (c === LF) {
        break;
      } else if (c === 0) {
        return bad(scan, errors.BAD_LINE);
      } else if (open < 0) {
        open = p - start;
      }
    }
    let last = p - start;
    if (last > 1 && buf[p - 1] === CR) last--;
    if (open >= 0 && open < last) {
      args[2 * n] = open;
      args[2 * n + 1] = last;
      n++;
    }
    scan.pos = 0;
    scan.left = 0;
    scan.nargs = n;
    scan.length = p - start + 1;
    scan.mute = MUTE_NONE;
    scan.scratch = null;
    scan.nkeys = 0;
    return this.judge(scan, buf, start, end, n);
  }

  private judge(scan: Scan, buf: Uint8Array, start: number, end: number, n: number): number {
    const args = scan.args;
    const line = scan.length;
    if (n === 0) return refuse(scan, errors.ERROR, line);
    const verb = findCommand(buf, start + args[0], start + args[1]);
    if (verb < 0) {
      // What follows an HTTP request line is not to be taken for commands (as in proto_text.c).
      return isHttp(buf, start + args[2 * n - 2], start + args[2 * n - 1])
        ? bad(scan, errors.ERROR)
        : refuse(scan, errors.ERROR, line);
    }
    const command = COMMANDS[verb];
    scan.verb = verb;
    scan.tagLow = verb === VERSION ? TAG_VERSION : 0;
    scan.action = command.action;
    switch (command.shape) {
      case table.GET:
        return keys(scan, n, 1);
      case table.GAT:
        if (n < 2) return refuse(scan, errors.ERROR, line);
        if (!isExptime(buf, start + args[2], start + args[3])) {
          return refuse(scan, errors.BAD_EXPTIME, line);
        }
        return keys(scan, n, 2);
      case table.STORE:
        return this.store(scan, buf, start, end, n);
      case table.LINE:
        return this.line(scan, buf, start, n);
      case table.META:
        return this.meta(scan, buf, start, n);
      case table.META_SET:
        return this.metaSet(scan, buf, start, end, n);
      case table.STATS:
        if (n > 1) {
          scan.verb = findStats(buf, start + args[2], start + args[3]);
          if (scan.verb < 0) return refuse(scan, errors.ERROR, line);
          scan.action = COMMANDS[scan.verb].action;
        }
        return DONE;
      default:
        if (scan.action === REFUSE) return refuse(scan, command.error, line);
        return DONE;
    }
  }

  /** set, add, replace, append, prepend, cas. */
  private store(scan: Scan, buf: Uint8Array, start: number, end: number, n: number): number {
    const args = scan.args;
    const line = scan.length;
    const { min, max } = COMMANDS[scan.verb];
    const given = n - 1;
    // With words too few or too many the length of the data block that follows is anyone's guess,
    // and a wrong guess runs data as commands: an empty key does that to memcached. Below three
    // words there was nothing like a length, and somebody is typing.
    if (given < 3) return refuse(scan, errors.ERROR, line);
    if (given < min || given > max) return bad(scan, errors.ERROR);
    const size = decimal(buf, start + args[8], start + args[9], MAX_BYTES);
    if (size < 0) return bad(scan, errors.BAD_LINE);
    if (size > this.maxRequest) return bad(scan, errors.TOO_LARGE);

    const quiet = given > min && isNoreply(scan, buf, start, n - 1);
    const valid = decimal(buf, start + args[4], start + args[5], MAX_FLAGS) >= 0 &&
      isExptime(buf, start + args[6], start + args[7]) &&
      (scan.verb !== CAS || isUint64(buf, start + args[10], start + args[11]));
    // A key with a blank in it looks like this, and its length is not where we took it from.
    if (!valid && given > min && !quiet) return bad(scan, errors.BAD_LINE);
    const total = line + size + 2;
    if (!valid || args[3] - args[2] > MAX_KEY) {
      return refuseBlock(scan, quiet ? EMPTY : errors.BAD_LINE, total, end - start);
    }
    oneKeyAt(scan, args[2], args[3]);
    scan.mute = quiet ? MUTE_ALL : MUTE_NONE;
    const result = block(scan, buf, start, end, total, !quiet, quiet ? EMPTY : errors.BAD_CHUNK);
    if (result === DONE && quiet && scan.action === FORWARD) {
      this.cut(scan, buf, start, args[2 * n - 2] - 1, args[2 * n - 1]);
    }
    return result;
  }

  /** Commands of one line that may end in noreply. */
  private line(scan: Scan, buf: Uint8Array, start: number, n: number): number {
    const args = scan.args;
    const { min, max } = COMMANDS[scan.verb];
    const given = n - 1;
    if (given < min || given > max) return refuse(scan, errors.ERROR, scan.length);
    const keyed = scan.action === FORWARD;
    const quiet = isNoreply(scan, buf, start, n - 1) && !(keyed && given === 1);
    if (keyed) {
      if (args[3] - args[2] > MAX_KEY) {
        return refuse(scan, quiet ? EMPTY : errors.BAD_LINE, scan.length);
      }
      oneKeyAt(scan, args[2], args[3]);
    }
    if (!quiet) return DONE;
    // The word stands where a number should (`incr k noreply`), before or after we cut one away:
    // memcached says nothing to that, and neither do we.
    if (given === min || (isNoreply(scan, buf, start, n - 2) && !(keyed && given === 2))) {
      return refuse(scan, EMPTY, scan.length);
    }
    scan.mute = MUTE_ALL;
    this.cut(scan, buf, start, args[2 * n - 2] - 1, args[2 * n - 1]);
    return DONE;
  }

  /** mg, md, ma, me. */
  private meta(scan: Scan, buf: Uint8Array, start: number, n: number): number {
    const args = scan.args;
    const line = scan.length;
    if (n < 2) return refuse(scan, scan.verb === ME ? errors.BAD_LINE : errors.ERROR, line);
    if (args[3] - args[2] > MAX_KEY) return refuse(scan, errors.BAD_LINE, line);
    oneKeyAt(scan, args[2], args[3]);
    const isGet = scan.verb === MG;
    if (scan.verb !== ME && n > MAX_META_WORDS) {
      return refuse(scan, isGet ? errors.MANY_FLAGS_MG : errors.MANY_FLAGS, line);
    }
    const q = flag(scan, buf, start, 2, n, LETTER_Q);
    const b = flag(scan, buf, start, 2, n, LETTER_B);
    if (q === TWICE || b === TWICE) {
      return refuse(scan, isGet ? errors.DUPLICATE_FLAG : errors.BAD_FLAG, line);
    }
    const shown = scan.verb === ME || flag(scan, buf, start, 2, n, LETTER_K) !== 0;
    if (b > 0 && shown && !this.mayBeShown(scan, buf, start)) {
      return refuse(scan, errors.KEY_WITH_LF, line);
    }
    if (scan.verb === ME) {
      if (b > 0) this.binaryKey(scan, buf, start, 0);
      return DONE;
    }
    scan.mute = q > 0 ? COMMANDS[scan.verb].quiet : MUTE_NONE;
    if (b > 0) this.binaryKey(scan, buf, start, q);
    else if (q > 0) this.cut(scan, buf, start, args[2 * q] - 1, args[2 * q + 1]);
    return DONE;
  }

  private metaSet(scan: Scan, buf: Uint8Array, start: number, end: number, n: number): number {
    const args = scan.args;
    if (n < 2) return refuse(scan, errors.ERROR, scan.length);
    const size = n > 2 ? decimal(buf, start + args[4], start + args[5], MAX_BYTES) : -1;
    if (size < 0) return bad(scan, errors.BAD_LINE);
    if (size > this.maxRequest) return bad(scan, errors.TOO_LARGE);
    const total = scan.length + size + 2;
    const have = end - start;
    if (args[3] - args[2] > MAX_KEY) return refuseBlock(scan, errors.BAD_LINE, total, have);
    // The only error after which memcached does not skip the data block of an ms.
    if (n > MAX_META_WORDS) return refuseBlock(scan, errors.MANY_FLAGS, total, have);
    const q = flag(scan, buf, start, 3, n, LETTER_Q);
    const b = flag(scan, buf, start, 3, n, LETTER_B);
    if (q === TWICE || b === TWICE) {
      return refuseBlock(scan, errors.DUPLICATE_FLAG, total, have);
    }
    oneKeyAt(scan, args[2], args[3]);
    const shown = flag(scan, buf, start, 3, n, LETTER_K) !== 0;
    if (b > 0 && shown && !this.mayBeShown(scan, buf, start)) {
      return refuseBlock(scan, errors.KEY_WITH_LF, total, have);
    }
    scan.mute = q > 0 ? COMMANDS[scan.verb].quiet : MUTE_NONE;
    const result = block(scan, buf, start, end, total, q + b === 0, errors.BAD_CHUNK);
    if (result === DONE && scan.action === FORWARD) {
      if (b > 0) this.binaryKey(scan, buf, start, q);
      else if (q > 0) this.cut(scan, buf, start, args[2 * q] - 1, args[2 * q + 1]);
    }
    return result;
  }

  /** Rewrites the request without its bytes `[from, to)`. */
  private cut(scan: Scan, buf: Uint8Array, start: number, from: number, to: number): void {
    const length = scan.length;
    const scratch = this.scratch.room(length + MAX_KEY);
    copy(scratch, 0, buf, start, start + from);
    copy(scratch, from, buf, start + to, start + length);
    scan.scratch = scratch;
    scan.scratchLength = length - (to - from);
  }

  /**
   * Whether a reply may have the key in it that stands here in base64: memcached writes it as it is
   * if it was not stored in base64 (the binary protocol's, mg and ma with N), and a line break in
   * it would be taken for the end of the reply.
   */
  private mayBeShown(scan: Scan, buf: Uint8Array, start: number): boolean {
    const key = this.scratch.room(MAX_KEY);
    const end = decodeBase64(buf, start + scan.keyStart, start + scan.keyEnd, key, 0);
    // memcached makes something even of what is no base64.
    if (end < 0) return false;
    for (let i = 0; i < end; i++) if (key[i] === LF) return false;
    return true;
  }

  /**
   * The key is in base64, but its place is that of the key it stands for, which other commands
   * may write plainly: the decoded key goes behind the request, where it is hashed but not sent.
   * Word `q` is dropped if it is not 0.
   */
  private binaryKey(scan: Scan, buf: Uint8Array, start: number, q: number): void {
    const args = scan.args;
    if (q > 0) this.cut(scan, buf, start, args[2 * q] - 1, args[2 * q + 1]);
    else this.cut(scan, buf, start, 0, 0);
    const scratch = this.scratch.buf;
    const at = scan.scratchLength;
    const keyEnd = decodeBase64(scratch, scan.keyStart, scan.keyEnd, scratch, at);
    // What is no base64 is forwarded as it is, and the server says so.
    if (keyEnd > at) {
      scan.keyStart = at;
      scan.keyEnd = keyEnd;
    }
  }
}

const UNUSUAL = -2;
const TWICE = -1;

/** `get k\r\n` as clients write it; false is for `words` to judge. `at` is where the key starts. */
function oneKey(
  scan: Scan,
  buf: Uint8Array,
  start: number,
  end: number,
  at: number,
  verb: number,
): boolean {
  let p = start + at;
  const stop = end < p + MAX_KEY + 1 ? end : p + MAX_KEY + 1;
  while (p < stop && buf[p] > BLANK) p++;
  if (p === stop || p + 1 >= end || p === start + at) return false;
  if (buf[p] !== CR || buf[p + 1] !== LF) return false;
  scan.action = FORWARD;
  scan.verb = verb;
  scan.tagLow = 0;
  scan.keyStart = at;
  scan.keyEnd = p - start;
  scan.nkeys = 1;
  scan.mute = MUTE_NONE;
  scan.scratch = null;
  scan.length = p - start + 2;
  scan.pos = 0;
  scan.left = 0;
  return true;
}

/** The keys of a retrieval command are the words from `first` on. */
function keys(scan: Scan, n: number, first: number): number {
  const args = scan.args;
  const count = n - first;
  // `gat 10` without keys is answered so by memcached, `get` is not.
  if (count === 0) return refuse(scan, first === 2 ? errors.END : errors.ERROR, scan.length);
  for (let i = 2 * first; i < 2 * n; i += 2) {
    if (args[i + 1] - args[i] > MAX_KEY) return refuse(scan, errors.BAD_LINE, scan.length);
  }
  oneKeyAt(scan, args[2 * first], args[2 * first + 1]);
  scan.nkeys = count;
  scan.first = first;
  scan.step = 1;
  if (count > 1) {
    scan.action = SPLIT;
  } else {
    scan.action = FORWARD;
    if (scan.length > MAX_LINE) return refuse(scan, errors.LONG_LINE, scan.length);
  }
  return DONE;
}

/**
 * The data block of a storage command that is to be forwarded. While it is incomplete the key and
 * the length are told, and `left` if what is there may be sent ahead (`asIs`).
 */
function block(
  scan: Scan,
  buf: Uint8Array,
  start: number,
  end: number,
  total: number,
  asIs: boolean,
  error: Uint8Array,
): number {
  scan.length = total;
  if (end - start < total) {
    scan.pos = -total;
    scan.left = asIs ? total - (end - start) : 0;
    return MORE;
  }
  const p = start + total;
  if (buf[p - 2] !== CR || buf[p - 1] !== LF) return refuse(scan, error, total);
  return DONE;
}

/** A refused storage command takes its data block with it, so that no data is read as commands. */
function refuseBlock(scan: Scan, error: Uint8Array, total: number, have: number): number {
  refuse(scan, error, total);
  if (have >= total) return DONE;
  scan.pos = -total;
  scan.left = total - have;
  return MORE;
}

/** An empty error: the client asked for no reply, and gets none. */
function refuse(scan: Scan, error: Uint8Array, length: number): number {
  scan.action = error === EMPTY ? NOTHING : REFUSE;
  scan.error = error;
  scan.length = length;
  scan.mute = MUTE_NONE;
  return DONE;
}

function bad(scan: Scan, error: Uint8Array): number {
  scan.reset();
  scan.error = error;
  scan.mute = MUTE_NONE;
  scan.scratch = null;
  scan.length = 0;
  return BAD;
}

function oneKeyAt(scan: Scan, keyStart: number, keyEnd: number): void {
  scan.keyStart = keyStart;
  scan.keyEnd = keyEnd;
  scan.nkeys = 1;
}

/** Whether a line that is MAX_LINE long already may go on: multi-gets may. */
function mayBeLong(scan: Scan, buf: Uint8Array, start: number, n: number): boolean {
  const args = scan.args;
  if (n === 0 || args[0] > MAX_BLANKS) return false;
  const verb = findCommand(buf, start + args[0], start + args[1]);
  return verb === GET || verb === GETS;
}

function moreArgs(scan: Scan): Int32Array {
  const args = new Int32Array(scan.args.length * 2);
  args.set(scan.args);
  scan.args = args;
  return args;
}

/** Whether the word begins with "HTTP/". */
const isHttp = (buf: Uint8Array, start: number, end: number): boolean =>
  end - start > 5 && isBytes(buf, start, start + 5, HTTP);

const isNoreply = (scan: Scan, buf: Uint8Array, start: number, word: number): boolean =>
  word > 0 && isBytes(buf, start + scan.args[2 * word], start + scan.args[2 * word + 1], NOREPLY);

/** Which word from `first` on is the meta flag `letter`: 0 if none is, TWICE if several are. */
function flag(
  scan: Scan,
  buf: Uint8Array,
  start: number,
  first: number,
  n: number,
  letter: number,
): number {
  let found = 0;
  for (let i = first; i < n; i++) {
    if (buf[start + scan.args[2 * i]] !== letter) continue;
    if (found > 0) return TWICE;
    found = i;
  }
  return found;
}

function isExptime(buf: Uint8Array, start: number, end: number): boolean {
  const from = buf[start] === MINUS || buf[start] === PLUS ? start + 1 : start;
  if (from >= end || end - from > MAX_EXPTIME_DIGITS) return false;
  for (let i = from; i < end; i++) if (buf[i] < 48 || buf[i] > 57) return false;
  return true;
}

function isUint64(buf: Uint8Array, start: number, end: number): boolean {
  if (start >= end || end - start > MAX_CAS.length) return false;
  for (let i = start; i < end; i++) if (buf[i] < 48 || buf[i] > 57) return false;
  if (end - start < MAX_CAS.length) return true;
  for (let i = 0; i < MAX_CAS.length; i++) {
    const c = buf[start + i];
    if (c !== MAX_CAS[i]) return c < MAX_CAS[i];
  }
  return true;
}

function copy(to: Uint8Array, at: number, buf: Uint8Array, start: number, end: number): void {
  if (end - start > 64) {
    to.set(buf.subarray(start, end), at);
  } else {
    for (let i = start; i < end; i++) to[at++] = buf[i];
  }
}

/** The word that is the first key of a retrieval command. */
const firstKey = (verb: number): number => COMMANDS[verb].shape === table.GAT ? 2 : 1;

/** Sets `keyStart` and `keyEnd` to key `i` of a SPLIT. */
export function selectKey(scan: Scan, i: number): void {
  const at = 2 * (firstKey(scan.verb) + i);
  scan.keyStart = scan.args[at];
  scan.keyEnd = scan.args[at + 1];
}
