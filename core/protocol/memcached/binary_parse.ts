// Requests of the memcached binary protocol, found in place. Knows nothing of servers.
// Format: memcached's doc/protocol-binary.txt; what memcached takes: proto_bin.c.
//
// memcached hangs up on a request whose parts have not the lengths they should have, and takes what
// is too much in some for the next request: that would cost every client of a server connection
// its replies. So nothing is forwarded that is not exactly of the form in the table.

import { BAD, DONE, FORWARD, LOCAL, MORE, REFUSE, type Scan } from "../codec.ts";
import { copy } from "../../bytes.ts";
import {
  BINARY_COMMANDS,
  type BinaryCommand,
  HEADER,
  NO_KEY,
  ONE_KEY,
  opcodeOf,
  REQUEST_MAGIC,
} from "./binary_commands.ts";
import {
  bodyLengthAt,
  INVALID,
  keyLengthAt,
  NOT_FOUND,
  packet,
  tagHigh,
  tagLow,
  TOO_LARGE,
  UNKNOWN,
} from "./binary_packet.ts";
import { findStats, verbOf } from "./commands.ts";
import { Scratch } from "./scratch.ts";

const STAT = opcodeOf("stat");
const STATS = verbOf("stats");
/** `Scan.verb` of a stat request is this and the text protocol's verb, which has the same words. */
export const STAT_VERBS = 0x100;

const MAX_KEY = 250;
/** A refused request longer than this is not read to its end. */
const LONG_REFUSED = 1 << 20;
const BLANK = 32;
const DELETE = 127;

/**
 * Parses requests of all clients of a pool. A header is read anew on every call: nothing is kept
 * in the scan.
 */
export class BinaryParser {
  private readonly maxRequest: number;
  /** There are users: SASL requests are answered. */
  private readonly hasUsers: boolean;
  private readonly scratch: Scratch;

  constructor(maxRequest: number, hasUsers: boolean) {
    this.maxRequest = maxRequest;
    this.hasUsers = hasUsers;
    this.scratch = new Scratch();
  }

  parse(scan: Scan, buf: Uint8Array, start: number, end: number): number {
    const have = end - start;
    if (have > 0 && buf[start] !== REQUEST_MAGIC) {
      scan.tagHigh = scan.tagLow = 0;
      return bad(scan, INVALID);
    }
    scan.left = 0;
    if (have < HEADER) {
      scan.length = 0;
      return MORE;
    }
    const opcode = buf[start + 1];
    const keyLength = keyLengthAt(buf, start);
    const extras = buf[start + 4];
    const body = bodyLengthAt(buf, start);
    const total = HEADER + body;
    scan.tagHigh = tagHigh(buf, start);
    scan.tagLow = tagLow(buf, start);
    scan.length = total;
    scan.verb = opcode;
    scan.mute = 0;
    scan.scratch = null;
    scan.keyStart = HEADER + extras;
    scan.keyEnd = HEADER + extras + keyLength;
    if (keyLength + extras > body) return bad(scan, INVALID);
    if (body > this.maxRequest) return bad(scan, TOO_LARGE);
    const command = BINARY_COMMANDS[opcode];
    if (command === undefined || !isFit(command, extras, keyLength, body)) {
      return refuse(scan, command === undefined ? UNKNOWN : INVALID, have);
    }
    scan.action = command.sasl && this.hasUsers ? LOCAL : command.action;
    if (scan.action === REFUSE) return refuse(scan, UNKNOWN, have);
    scan.nkeys = command.key === NO_KEY ? 0 : 1;
    const hasKey = scan.action === FORWARD && have >= scan.keyEnd;
    if (hasKey && !isTextKey(buf, start + scan.keyStart, start + scan.keyEnd)) {
      return refuse(scan, INVALID, have);
    }
    if (have < total) {
      // What has to be rewritten cannot be sent ahead.
      if (command.action === FORWARD && command.loud === opcode) scan.left = total - have;
      return MORE;
    }
    if (opcode === STAT) return this.stat(scan, buf, start, keyLength);
    if (command.loud !== opcode) this.rewrite(scan, buf, start, command);
    return DONE;
  }

  /** The first word of the key says what is wanted. */
  private stat(scan: Scan, buf: Uint8Array, start: number, keyLength: number): number {
    let verb = STATS;
    if (keyLength > 0) {
      const from = start + scan.keyStart;
      let to = from;
      while (to < start + scan.keyEnd && buf[to] !== BLANK) to++;
      verb = findStats(buf, from, to);
      if (verb < 0) return refuse(scan, NOT_FOUND, scan.length);
    }
    scan.verb = STAT_VERBS + verb;
    return DONE;
  }

  private rewrite(scan: Scan, buf: Uint8Array, start: number, command: BinaryCommand): void {
    const scratch = this.scratch.room(scan.length);
    copy(buf, start, start + scan.length, scratch, 0);
    scratch[1] = command.loud;
    scan.mute = command.opcode;
    scan.scratch = scratch;
    scan.scratchLength = scan.length;
  }
}

/**
 * Whether the text protocol could have this key. Any other would be written as it is in the text
 * replies of whoever asks for it by other ways, and a line break in it is taken for their end.
 */
function isTextKey(buf: Uint8Array, start: number, end: number): boolean {
  for (let i = start; i < end; i++) if (buf[i] <= BLANK || buf[i] === DELETE) return false;
  return true;
}

function isFit(command: BinaryCommand, extras: number, keyLength: number, body: number): boolean {
  if (extras !== command.extras && extras !== command.otherExtras) return false;
  if (keyLength > MAX_KEY) return false;
  if (keyLength === 0 ? command.key === ONE_KEY : command.key === NO_KEY) return false;
  return command.value || body === keyLength + extras;
}

function refuse(scan: Scan, status: number, have: number): number {
  scan.action = REFUSE;
  if (have < scan.length) {
    if (scan.length > LONG_REFUSED) return bad(scan, status);
    scan.left = scan.length - have;
    return MORE;
  }
  scan.error = packet(scan, status);
  return DONE;
}

function bad(scan: Scan, status: number): number {
  scan.reset();
  scan.error = packet(scan, status);
  scan.mute = 0;
  scan.scratch = null;
  scan.length = 0;
  return BAD;
}
