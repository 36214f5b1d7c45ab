// Requests of the Redis protocol: arrays of bulk strings, and inline commands. Walks the bytes in
// place and leaves offsets in a Scan. Knows nothing of sockets or servers.
// https://redis.io/docs/latest/develop/reference/protocol-spec/

import { decimal, isWord, text } from "../../bytes.ts";
import {
  ASKED,
  BAD,
  DONE,
  FORWARD,
  LOCAL,
  MORE,
  NOTHING,
  PIN,
  PIN_BLOCK,
  PIN_EXEC,
  PIN_NONE,
  PIN_WAIT,
  REFUSE,
  type Scan,
  SPLIT,
  TOGETHER,
  TOPICS,
  WALK,
} from "../codec.ts";
import {
  ACTION,
  ARITY,
  COMMANDS,
  FIRST_KEY,
  KEYS_COUNTED,
  KEYS_FIXED,
  KEYS_STORE,
  SUB,
} from "./commands.ts";
import { readCursor } from "./cursor.ts";
import {
  BAD_BULK,
  BAD_MULTIBULK,
  BIG_INLINE,
  BIG_MULTIBULK,
  EXEC_ARITY,
  expectedBulk,
  HTTP,
  INVALID_CURSOR,
  LONG_TOPIC,
  refusal,
  STREAMS_UNBALANCED,
  SYNTAX_ERROR,
  TOO_LARGE,
  UNBALANCED,
  unknownCommand,
  unknownSubcommand,
  wrongArity,
} from "./errors.ts";
import { splitInline } from "./inline.ts";
import { lookup, lookupSub } from "./lookup.ts";

const CR = 13;
const LF = 10;
const STAR = 42;
const DOLLAR = 36;

/** Redis's own limits: PROTO_INLINE_MAX_SIZE, 1024*1024 arguments, proto-max-bulk-len. */
const MAX_INLINE = 65536;
const MAX_ARGS = 1024 * 1024;
const MAX_BULK = 512 * 1024 * 1024;
/** Longest number that Redis reads (util.h MAX_LONG_DOUBLE_CHARS). */
const LONGEST_NUMBER = 5 * 1024;
/** Longest count of keys that can be one: Redis takes no leading zeros. */
const LONGEST_COUNT = 20;
/** Longest name of a channel, or pattern: each is kept for as long as somebody listens. */
export const LONGEST_TOPIC = 16384;
/** Longest line with the number of arguments. */
const MAX_LENGTH_LINE = 32;

/**
 * Parses the request that starts at `buf[start]`; see `Codec.parseRequest`. After MORE,
 * `scan.length` is the request's whole length if it is known already (its last argument is on
 * the way), `scan.action` and the first key are then set too; else 0.
 */
export function parseRequest(
  scan: Scan,
  buf: Uint8Array,
  start: number,
  end: number,
  maxRequest: number,
): number {
  let p = start;
  let left: number;
  let n = 0;
  if (scan.pos !== 0) {
    if (scan.pos < 0) return parseInline(scan, buf, start, end, maxRequest);
    p = start + scan.pos;
    left = scan.left;
    n = scan.nargs;
  } else {
    scan.length = 0;
    scan.nargs = 0;
    scan.scratch = null;
    if (p >= end) return MORE;
    if (buf[p] !== STAR) return parseInline(scan, buf, start, end, maxRequest);
    // "*<count>\r\n", with a short cut for one digit.
    if (p + 4 <= end && buf[p + 2] === CR && buf[p + 1] > 48 && buf[p + 1] <= 57) {
      left = buf[p + 1] - 48;
      if (buf[p + 3] !== LF) return bad(scan, BAD_MULTIBULK);
      p += 4;
    } else {
      const q = lineEnd(buf, p + 1, end);
      // One byte more: the CR may be there, and its LF not yet.
      if (q < 0) return end - p > MAX_LENGTH_LINE + 1 ? bad(scan, BIG_MULTIBULK) : MORE;
      if (buf[p + 1] === 45 && decimal(buf, p + 2, q, MAX_ARGS) > 0) {
        left = 0; // a negative count: Redis passes over it
      } else {
        left = decimal(buf, p + 1, q, MAX_ARGS);
        // Redis hangs up on a leading zero (util.c string2ll), which would cost every client of the
        // connection its replies.
        if (left < 0 || (buf[p + 1] === 48 && q > p + 2)) return bad(scan, BAD_MULTIBULK);
      }
      p = q + 2;
      if (left === 0) {
        scan.action = NOTHING;
        scan.length = p - start;
        return DONE;
      }
    }
  }

  let args = scan.args;
  while (left > 0) {
    const mark = p; // where this argument's "$" stands
    if (p + 4 > end) {
      if (p < end && buf[p] !== DOLLAR) return bad(scan, expectedBulk(buf[p]));
      return more(scan, mark - start, left, n);
    }
    if (buf[p] !== DOLLAR) return bad(scan, expectedBulk(buf[p]));
    // "$<length>\r\n": one and two digits by hand, the rest by a loop.
    let length = buf[p + 1] - 48;
    let c = buf[p + 2];
    if (length < 0 || length > 9) return bad(scan, BAD_BULK);
    if (c === CR) {
      p += 4;
    } else {
      length = length * 10 + c - 48;
      if (c < 48 || c > 57 || length < 10) return bad(scan, BAD_BULK); // no leading zero either
      c = buf[p + 3];
      p += 3;
      while (c !== CR) {
        if (c < 48 || c > 57) return bad(scan, BAD_BULK);
        length = length * 10 + c - 48;
        if (length > MAX_BULK) return bad(scan, BAD_BULK);
        if (++p >= end) return more(scan, mark - start, left, n);
        c = buf[p];
      }
      p += 2;
    }
    if (p > end) return more(scan, mark - start, left, n);
    if (buf[p - 1] !== LF) return bad(scan, BAD_BULK);
    if (2 * n + 2 > args.length) args = growArgs(scan);
    args[2 * n] = p - start;
    p += length;
    args[2 * n + 1] = p - start;
    p += 2;
    if (p > end) {
      if (p - start > maxRequest) return bad(scan, TOO_LARGE);
      more(scan, mark - start, left, n);
      if (left === 1 && n > 0) {
        scan.length = p - start;
        if (!forward(scan, buf, start, n + 1)) scan.action = REFUSE;
      }
      return MORE;
    }
    // Redis skips the two bytes unseen; a wrong length would put the stream out of step unnoticed.
    if (buf[p - 2] !== CR) return bad(scan, BAD_BULK);
    n++;
    left--;
  }
  scan.nargs = n;
  scan.pos = 0;
  scan.length = p - start;

  if (!forward(scan, buf, start, n)) resolve(scan, buf, start);
  return DONE;
}

/** The short way for the common case: a command of one key with a right number of arguments. */
function forward(scan: Scan, buf: Uint8Array, start: number, nargs: number): boolean {
  const args = scan.args;
  const verb = lookup(buf, start + args[0], start + args[1]);
  if (verb < 0 || ACTION[verb] !== FORWARD) return false;
  const arity = ARITY[verb];
  if (arity >= 0 ? nargs !== arity : nargs < -arity) return false;
  const key = FIRST_KEY[verb] << 1;
  scan.action = FORWARD;
  scan.verb = verb;
  scan.keyStart = args[key];
  scan.keyEnd = args[key + 1];
  return true;
}

/** Offset of the CR of the line that begins at `p`; -1 while CRLF is not there. */
function lineEnd(buf: Uint8Array, p: number, end: number): number {
  const limit = Math.min(end, p + MAX_LENGTH_LINE);
  for (let i = p; i < limit; i++) {
    if (buf[i] === CR) return i + 1 < end ? i : -1;
  }
  return -1;
}

function bad(scan: Scan, error: Uint8Array): number {
  scan.error = error;
  scan.pos = 0;
  return BAD;
}

function more(scan: Scan, pos: number, left: number, nargs: number): number {
  scan.length = 0;
  scan.pos = pos;
  scan.left = left;
  scan.nargs = nargs;
  return MORE;
}

function growArgs(scan: Scan): Int32Array {
  const args = new Int32Array(scan.args.length * 2);
  args.set(scan.args);
  scan.args = args;
  return args;
}

function refuse(scan: Scan, error: Uint8Array): void {
  scan.action = REFUSE;
  scan.error = error;
}

/** Sets action, verb and the first key from the arguments, which are all there. */
function resolve(scan: Scan, buf: Uint8Array, start: number): void {
  const args = scan.args;
  scan.pin = PIN_NONE;
  let verb = lookup(buf, start + args[0], start + args[1]);
  if (verb < 0) {
    scan.verb = ASKED;
    return refuse(scan, unknownCommand(buf, start, args, scan.nargs));
  }
  if (ACTION[verb] === SUB) {
    scan.verb = verb;
    if (scan.nargs < 2) {
      scan.action = COMMANDS[verb].alone;
      return scan.action === SUB ? refuse(scan, wrongArity(COMMANDS[verb].name)) : undefined;
    }
    const sub = lookupSub(verb, buf, start + args[2], start + args[3]);
    if (sub < 0) {
      return refuse(scan, unknownSubcommand(verb, buf, start + args[2], start + args[3]));
    }
    verb = sub;
  }
  scan.verb = verb;
  const command = COMMANDS[verb];
  const arity = command.arity;
  if (arity >= 0 ? scan.nargs !== arity : scan.nargs < -arity) {
    scan.pin = command.pin;
    return refuse(scan, command.pin === PIN_EXEC ? EXEC_ARITY : wrongArity(command.name));
  }
  scan.action = command.action;
  switch (command.action) {
    case FORWARD:
      scan.keyStart = args[2 * command.first];
      scan.keyEnd = args[2 * command.first + 1];
      return;
    case REFUSE:
      scan.error = refusal(verb);
      return;
    case LOCAL:
      scan.pin = command.pin;
      return;
    case PIN:
      scan.pin = command.pin;
      scan.nkeys = 0;
      // The timeout in seconds is the first argument of BLMPOP and BZMPOP, else the last.
      if (scan.pin === PIN_BLOCK) {
        setWait(scan, buf, start, command.keys === KEYS_COUNTED ? 1 : scan.nargs - 1, 1000);
      }
      if (scan.pin === PIN_WAIT) setWait(scan, buf, start, scan.nargs - 1, 1);
      if (command.first > 0 || command.keys === KEYS_COUNTED) findKeys(scan, buf, start);
      return;
    case WALK:
      if (readCursor(buf, start + args[2], start + args[3]) === null) refuse(scan, INVALID_CURSOR);
      return;
    case TOPICS:
      for (let i = 1; i < scan.nargs; i++) {
        if (args[2 * i + 1] - args[2 * i] > LONGEST_TOPIC) return refuse(scan, LONG_TOPIC);
      }
      return;
    case SPLIT:
    case TOGETHER:
      return findKeys(scan, buf, start);
  }
}

/** How long a blocking command may wait, by argument `at`; the server refuses what is no number. */
function setWait(scan: Scan, buf: Uint8Array, start: number, at: number, unit: number): void {
  const [from, to] = [start + scan.args[2 * at], start + scan.args[2 * at + 1]];
  scan.waitAt = at;
  scan.waitUnit = unit;
  const value = to - from > LONGEST_NUMBER ? NaN : Number(text(buf, from, to));
  scan.wait = value === 0 ? Infinity : value > 0 ? value * unit : 0;
}

/** Counts the keys of a SPLIT, TOGETHER or PIN command and selects the first; `scan.left`, free once a
 * request is complete, keeps where the keys that are found by a word begin. */
function findKeys(scan: Scan, buf: Uint8Array, start: number): void {
  const command = COMMANDS[scan.verb];
  const args = scan.args;
  const n = scan.nargs;
  if (command.keys === KEYS_FIXED) {
    const last = command.last < 0 ? n + command.last : command.last;
    scan.first = command.first;
    scan.step = command.step;
    scan.nkeys = Math.floor((last - command.first) / command.step) + 1;
    // MSET k v k: the arguments do not come in pairs.
    if (command.step > 1 && (n - command.first) % command.step !== 0) {
      return refuse(scan, wrongArity(command.name));
    }
    return selectKey(scan, 0);
  }
  if (command.keys === KEYS_COUNTED) {
    const at = command.countAt;
    const from = start + args[2 * at];
    const to = start + args[2 * at + 1];
    const count = to - from > LONGEST_COUNT ? -1 : decimal(buf, from, to, MAX_ARGS);
    // A script may have no key. A number that cannot be right is for a server to refuse: any one,
    // in the words it has for this command.
    const fits = count >= 0 && count * command.step <= n - at - 1;
    scan.nkeys = command.first + (fits ? count : 0);
    if (scan.nkeys > 0) selectKey(scan, 0);
    return;
  }
  if (command.keys === KEYS_STORE) {
    scan.nkeys = 1;
    scan.left = 0;
    // Options follow the arguments that have to be there.
    for (let i = -command.arity; i < n - 1; i++) {
      const from = start + args[2 * i];
      const to = start + args[2 * i + 1];
      if (isWord(buf, from, to, "store") || isWord(buf, from, to, "storedist")) {
        scan.nkeys = 2;
        scan.left = ++i;
      } else if (isWord(buf, from, to, "by") || isWord(buf, from, to, "get")) {
        i++; // a pattern, whatever it is
      }
    }
    return selectKey(scan, 0);
  }
  // KEYS_STREAMS: XREADGROUP GROUP g c [COUNT n] [BLOCK ms] [CLAIM ms] [NOACK] STREAMS key ... id ...
  for (let i = 1; i < n - 1; i++) {
    const from = start + args[2 * i];
    const to = start + args[2 * i + 1];
    if (isWord(buf, from, to, "block")) {
      scan.action = PIN;
      scan.pin = PIN_BLOCK;
      setWait(scan, buf, start, ++i, 1);
    } else if (isWord(buf, from, to, "count") || isWord(buf, from, to, "claim")) i++;
    else if (isWord(buf, from, to, "group")) i += 2;
    else if (isWord(buf, from, to, "streams")) {
      const rest = n - i - 1;
      if (rest % 2 !== 0) return refuse(scan, STREAMS_UNBALANCED);
      scan.nkeys = rest / 2;
      scan.left = i + 1;
      return selectKey(scan, 0);
    } else if (!isWord(buf, from, to, "noack")) break;
  }
  refuse(scan, SYNTAX_ERROR);
}

/** The argument that is key `i` of a SPLIT, TOGETHER or PIN command. */
export function keyArgument(scan: Scan, i: number): number {
  const command = COMMANDS[scan.verb];
  switch (command.keys) {
    case KEYS_FIXED:
      return command.first + i * command.step;
    case KEYS_COUNTED:
      return i < command.first ? 1 : command.countAt + 1 + (i - command.first) * command.step;
    case KEYS_STORE:
      return i === 0 ? 1 : scan.left;
    default:
      return scan.left + i;
  }
}

export function selectKey(scan: Scan, i: number): void {
  const arg = keyArgument(scan, i);
  scan.keyStart = scan.args[2 * arg];
  scan.keyEnd = scan.args[2 * arg + 1];
}

/** Whether the command is what browsers send (Redis hangs up on these two as well). */
function isHttp(buf: Uint8Array, args: Int32Array): boolean {
  return isWord(buf, args[0], args[1], "post") || isWord(buf, args[0], args[1], "host:");
}

/**
 * A line of words: rewritten as an array of bulk strings, then parsed as one. `-scan.pos` bytes are
 * known to have no line feed.
 */
function parseInline(
  scan: Scan,
  buf: Uint8Array,
  start: number,
  end: number,
  maxRequest: number,
): number {
  const limit = Math.min(end, start + MAX_INLINE);
  let lf = start - scan.pos;
  while (lf < limit && buf[lf] !== LF) lf++;
  if (lf === limit) {
    if (end - start >= MAX_INLINE) return bad(scan, BIG_INLINE);
    scan.pos = start - lf;
    return MORE;
  }
  scan.pos = 0;
  const stop = lf > start && buf[lf - 1] === CR ? lf - 1 : lf;
  const request = splitInline(buf, start, stop);
  if (request === null) return bad(scan, UNBALANCED);
  if (request.length === 0) {
    scan.action = NOTHING;
  } else {
    parseRequest(scan, request, 0, request.length, maxRequest);
    scan.scratch = request;
    scan.scratchLength = request.length;
    if (scan.action === REFUSE && isHttp(request, scan.args)) return bad(scan, HTTP);
  }
  scan.length = lf + 1 - start;
  return DONE;
}
