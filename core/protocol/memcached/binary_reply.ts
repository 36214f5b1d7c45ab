// Replies of memcached servers in the binary protocol, found in place by the lengths in their
// headers. A reply is one packet, but for stat: packets up to one without a body.
// Format: memcached's doc/protocol-binary.txt.

import type { ReplyScan } from "../codec.ts";
import { BINARY_COMMANDS, HEADER, HIDES_MISS, opcodeOf, REPLY_MAGIC } from "./binary_commands.ts";
import { bodyLengthAt, keyLengthAt, NOT_FOUND, statusAt, SUCCESS } from "./binary_packet.ts";

const STAT = opcodeOf("stat");

/** See `Codec.parseReply`. */
export function parseReply(scan: ReplyScan, buf: Uint8Array, pos: number, end: number): number {
  scan.done = false;
  for (;;) {
    if (scan.skip > 0) {
      const have = end - pos;
      if (have < scan.skip) {
        scan.skip -= have;
        return end;
      }
      pos += scan.skip;
      scan.skip = 0;
      if (scan.pending === 0) {
        scan.done = true;
        return pos;
      }
    }
    if (pos >= end) return pos;
    if (buf[pos] !== REPLY_MAGIC) {
      scan.bad = true;
      return pos;
    }
    if (end - pos < HEADER) return pos;
    const body = bodyLengthAt(buf, pos);
    if (keyLengthAt(buf, pos) + buf[pos + 4] > body) {
      scan.bad = true;
      return pos;
    }
    // An error ends a list of statistics as well.
    scan.pending = buf[pos + 1] === STAT && body > 0 && statusAt(buf, pos) === SUCCESS ? 1 : 0;
    scan.skip = body;
    pos += HEADER;
    if (body === 0) {
      scan.done = true;
      return pos;
    }
  }
}

/** See `Quiet.muted`; `mute` is the opcode of the quiet command. */
export function muted(mute: number, buf: Uint8Array, start: number): boolean {
  const status = statusAt(buf, start);
  return BINARY_COMMANDS[mute]?.hides === HIDES_MISS ? status === NOT_FOUND : status === SUCCESS;
}
