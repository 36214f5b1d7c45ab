// What replies of memcached mean to routes: see ../verdicts.ts. Formats: memcached's doc/protocol.txt
// and doc/protocol-binary.txt.

import { bytes, text } from "../../bytes.ts";
import { INTENT_DELETE, INTENT_GETS, reads } from "../intents.ts";
import type { Verdicts } from "../verdicts.ts";
import { DENIED, FAILED, HIT, MISS } from "../verdicts.ts";
import { BINARY_COMMANDS, BINARY_INTENTS } from "./binary_commands.ts";
import { NOT_FOUND, packet, statusAt, SUCCESS, TEMPORARY } from "./binary_packet.ts";
import { serverError } from "./errors.ts";
import { COMMANDS, INTENTS, META, META_SET, STORE } from "./commands.ts";

const LF = 10;
const BLANK = 32;
const LETTER_C = 67;
const LETTER_c = 99;

const END = bytes("END\r\n");
const NOT_THERE = bytes("NOT_FOUND\r\n");
const NOT_STORED = bytes("NOT_STORED\r\n");
/** protocol_binary.h; from here on a server cannot do what it is asked for. */
const STATUS_NOT_STORED = 0x05;
const OUT_OF_MEMORY = 0x82;

/** The words of a request's first line that follow its key. */
function flags(buf: Uint8Array, start: number, end: number): string[] {
  let to = start;
  while (to < end && buf[to] !== LF) to++;
  return text(buf, start, to).trimEnd().split(" ").filter((word) => word !== "").slice(2);
}

export const TEXT_VERDICTS: Verdicts = {
  verdict(_verb, buf, start, end) {
    const word = text(buf, start, Math.min(end, start + 12));
    if (word.startsWith("SERVER_ERROR")) return FAILED;
    if (word.startsWith("ERROR") || word.startsWith("CLIENT_ERROR")) return DENIED;
    if (word.startsWith("END\r") || word.startsWith("EN\r")) return MISS;
    if (word.startsWith("NF") || word.startsWith("NOT_FOUND")) return MISS;
    if (word.startsWith("NS") || word.startsWith("NOT_STORED")) return DENIED;
    return word.startsWith("EX") ? DENIED : HIT;
  },
  isTied(verb, buf, start, end) {
    if (INTENTS[verb + 1] >= INTENT_GETS) return true;
    const shape = COMMANDS[verb]?.shape;
    if (shape !== META && shape !== META_SET) return false;
    let at = start;
    while (at < end && buf[at] !== BLANK) at++; // the name
    at++;
    while (at < end && buf[at] !== BLANK && buf[at] !== LF) at++; // the key
    for (; at < end && buf[at] !== LF; at++) {
      const next = buf[at + 1];
      if (buf[at] === BLANK && (next === LETTER_C || next === LETTER_c)) return true;
    }
    return false;
  },
  nothing(verb, buf, start, end) {
    const { shape } = COMMANDS[verb];
    if (shape === META || shape === META_SET) {
      if (reads(INTENTS[verb + 1])) return bytes("EN\r\n");
      const shown = flags(buf, start, end).filter((word) => word[0] === "O");
      return bytes([shape === META_SET ? "NS" : "NF", ...shown].join(" ") + "\r\n");
    }
    if (shape === STORE) return NOT_STORED;
    return reads(INTENTS[verb + 1]) ? END : NOT_THERE;
  },
  fault: (text) => serverError(text.replace(/^ERR /, "")),
  isUsual: () => true,
};

export const BINARY_VERDICTS: Verdicts = {
  verdict(_verb, buf, start) {
    const status = statusAt(buf, start);
    if (status === SUCCESS) return HIT;
    if (status === NOT_FOUND) return MISS;
    return status >= OUT_OF_MEMORY ? FAILED : DENIED;
  },
  /** The last eight bytes of the header. */
  isTied(_verb, buf, start) {
    for (let i = 16; i < 24; i++) if (buf[start + i] !== 0) return true;
    return false;
  },
  nothing(verb, _buf, _start, _end, origin) {
    const intent = BINARY_INTENTS[verb + 1];
    const stores = BINARY_COMMANDS[verb]?.value === true;
    const missing = reads(intent) || intent === INTENT_DELETE || !stores;
    return packet(
      origin,
      missing ? NOT_FOUND : STATUS_NOT_STORED,
      missing ? undefined : "Not stored.",
    );
  },
  fault: (text, origin) => packet(origin, TEMPORARY, text.replace(/^ERR /, "")),
  isUsual: () => false,
};
