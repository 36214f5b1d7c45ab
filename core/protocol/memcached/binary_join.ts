// Binary requests that went to every server, flush and stat: the one reply made of all replies.
// Format: memcached's doc/protocol-binary.txt.

import { text } from "../../bytes.ts";
import type { OutBuffer } from "../../wire/out_buffer.ts";
import type { FanOut, Part } from "../codec.ts";
import { HEADER } from "./binary_commands.ts";
import {
  bodyLengthAt,
  keyLengthAt,
  opcodeOfOrigin,
  packet,
  statusAt,
  SUCCESS,
  TEMPORARY,
} from "./binary_packet.ts";
import { STAT_VERBS } from "./binary_parse.ts";
import { COMMANDS, JOIN_CONCAT, JOIN_KEYS, JOIN_SAME, JOIN_SUM } from "./commands.ts";
import { Totals } from "./stats.ts";

/** See `Codec.join`. */
export function join(fanOut: FanOut, out: OutBuffer): void {
  const { verb, parts } = fanOut;
  const how = verb < STAT_VERBS ? JOIN_SAME : COMMANDS[verb - STAT_VERBS].join;
  const live = parts.filter((part) => part.failure === "");
  // Statistics are what the servers that answer have to say; whatever else concerns them all.
  const failed = how === JOIN_SAME || live.length === 0
    ? parts.find((part) => part.failure !== "")
    : undefined;
  if (failed !== undefined) return write(packet(fanOut, TEMPORARY, failed.failure), out);
  const wrong = live.find((part) => statusAt(part.held, part.heldStart) !== SUCCESS);
  if (wrong !== undefined) return append(fanOut, wrong, out);
  if (how === JOIN_SUM) sum(fanOut, live, out);
  else if (how === JOIN_CONCAT || how === JOIN_KEYS) concat(fanOut, live, out);
  else append(fanOut, live[0], out);
}

function write(bytes: Uint8Array, out: OutBuffer): void {
  out.append(bytes, 0, bytes.length);
}

/** A part as the whole reply, with the opcode that the client has sent. */
function append(fanOut: FanOut, part: Part, out: OutBuffer): void {
  out.append(part.held, part.heldStart, part.heldStart + 1);
  out.byte(opcodeOfOrigin(fanOut));
  out.append(part.held, part.heldStart + 2, part.heldEnd);
}

function sum(fanOut: FanOut, parts: readonly Part[], out: OutBuffer): void {
  const totals = new Totals();
  for (const { held, heldStart, heldEnd } of parts) {
    let pos = heldStart;
    while (pos < heldEnd) {
      const key = pos + HEADER + held[pos + 4];
      const value = key + keyLengthAt(held, pos);
      const end = pos + HEADER + bodyLengthAt(held, pos);
      if (end > pos + HEADER) totals.add(text(held, key, value), text(held, value, end));
      pos = end;
    }
  }
  for (const [name, value] of totals.entries()) write(packet(fanOut, SUCCESS, value, name), out);
  write(packet(fanOut, SUCCESS), out);
}

/** One list after the other, without the packets that end them but for the last. */
function concat(fanOut: FanOut, parts: readonly Part[], out: OutBuffer): void {
  for (const { held, heldStart, heldEnd } of parts) out.append(held, heldStart, heldEnd - HEADER);
  write(packet(fanOut, SUCCESS), out);
}
