// Requests of the memcached text protocol, found in place: a byte scan for the common ones, words
// for the rest. Knows nothing of servers. Format: memcached's doc/protocol.txt; what an unusual
// line means was measured on memcached 1.6.18.
//
// One rule stands above the others: what is forwarded must draw exactly one reply from any
// memcached, or replies shift and reach the wrong client. So a line that some server would answer
// twice (the data block of a refused set is read as commands) or not at all (noreply, the q flag,
// a NUL byte that ends the line early) is never passed on as it is.

import { DONE, FORWARD, MORE, REFUSE, type Scan } from "../codec.ts";
import { REQUEST_MAGIC } from "./binary_commands.ts";
import { keys, line, store } from "./classic.ts";
import * as table from "./commands.ts";
import { COMMANDS, findCommand, findStats, MUTE_NONE } from "./commands.ts";
import * as errors from "./errors.ts";
import { meta, metaSet } from "./meta.ts";
import { bad, refuse } from "./outcome.ts";
import { Scratch } from "./scratch.ts";
import { isExptime, isHttp, MAX_EXPTIME_DIGITS, MAX_KEY, MAX_LINE } from "./words.ts";

const GET = table.verbOf("get");
const GETS = table.verbOf("gets");
const SET = table.verbOf("set");
const ADD = table.verbOf("add");
const VERSION = table.verbOf("version");
/** A line longer than MAX_LINE may begin with no more blanks. */
const MAX_BLANKS = 100;
/** `Scan.tagLow` of a request that ringmux answers itself when no server does. */
export const TAG_VERSION = 1;

const CR = 13;
const LF = 10;
const BLANK = 32;
const MINUS = 45;

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
    const length = scan.length;
    if (n === 0) return refuse(scan, errors.ERROR, length);
    const verb = findCommand(buf, start + args[0], start + args[1]);
    if (verb < 0) {
      // What follows an HTTP request line is not to be taken for commands (as in proto_text.c).
      return isHttp(buf, start + args[2 * n - 2], start + args[2 * n - 1])
        ? bad(scan, errors.ERROR)
        : refuse(scan, errors.ERROR, length);
    }
    const command = COMMANDS[verb];
    scan.verb = verb;
    scan.tagLow = verb === VERSION ? TAG_VERSION : 0;
    scan.action = command.action;
    switch (command.shape) {
      case table.GET:
        return keys(scan, n, 1);
      case table.GAT:
        if (n < 2) return refuse(scan, errors.ERROR, length);
        if (!isExptime(buf, start + args[2], start + args[3])) {
          return refuse(scan, errors.BAD_EXPTIME, length);
        }
        return keys(scan, n, 2);
      case table.STORE:
        return store(this.maxRequest, this.scratch, scan, buf, start, end, n);
      case table.LINE:
        return line(this.scratch, scan, buf, start, n);
      case table.META:
        return meta(this.scratch, scan, buf, start, n);
      case table.META_SET:
        return metaSet(this.maxRequest, this.scratch, scan, buf, start, end, n);
      case table.STATS:
        if (n > 1) {
          scan.verb = findStats(buf, start + args[2], start + args[3]);
          if (scan.verb < 0) return refuse(scan, errors.ERROR, length);
          scan.action = COMMANDS[scan.verb].action;
        }
        return DONE;
      default:
        if (scan.action === REFUSE) return refuse(scan, command.error, length);
        return DONE;
    }
  }
}

const UNUSUAL = -2;

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
