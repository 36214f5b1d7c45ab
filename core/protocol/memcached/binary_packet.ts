// Packets of the memcached binary protocol that ringmux makes itself. Statuses and their texts are
// memcached's (proto_bin.c write_bin_error). Format: memcached's doc/protocol-binary.txt.

import type { Origin } from "../codec.ts";
import { HEADER, REPLY_MAGIC } from "./binary_commands.ts";

export const SUCCESS = 0x00;
export const NOT_FOUND = 0x01;
export const TOO_LARGE = 0x03;
export const INVALID = 0x04;
export const AUTH_ERROR = 0x20;
export const AUTH_CONTINUE = 0x21;
export const UNKNOWN = 0x81;
/** The server cannot be asked now. */
export const TEMPORARY = 0x86;

const TEXTS: Record<number, string> = {
  [SUCCESS]: "",
  [NOT_FOUND]: "Not found",
  [TOO_LARGE]: "Too large.",
  [INVALID]: "Invalid arguments",
  [AUTH_ERROR]: "Auth failure.",
  [UNKNOWN]: "Unknown command",
};

/** A request's tags (see `Origin`): opcode and opaque. */
export const tagHigh = (buf: Uint8Array, start: number): number =>
  (buf[start + 1] << 16) | (buf[start + 12] << 8) | buf[start + 13];
export const tagLow = (buf: Uint8Array, start: number): number =>
  (buf[start + 14] << 8) | buf[start + 15];

export const opcodeOfOrigin = (origin: Origin): number => origin.tagHigh >> 16;

/** The reply to a request, its body a key and a value (byte strings). */
export function packet(
  origin: Origin,
  status: number,
  value: string = TEXTS[status] ?? "",
  key: string = "",
): Uint8Array {
  const body = key + value;
  const out = new Uint8Array(HEADER + body.length);
  out[0] = REPLY_MAGIC;
  out[1] = opcodeOfOrigin(origin);
  out[2] = key.length >> 8;
  out[3] = key.length;
  out[6] = status >> 8;
  out[7] = status;
  out[8] = body.length >>> 24;
  out[9] = body.length >> 16;
  out[10] = body.length >> 8;
  out[11] = body.length;
  out[12] = origin.tagHigh >> 8;
  out[13] = origin.tagHigh;
  out[14] = origin.tagLow >> 8;
  out[15] = origin.tagLow;
  for (let i = 0; i < body.length; i++) out[HEADER + i] = body.charCodeAt(i);
  return out;
}

export const keyLengthAt = (buf: Uint8Array, start: number): number =>
  (buf[start + 2] << 8) | buf[start + 3];
export const bodyLengthAt = (buf: Uint8Array, start: number): number =>
  ((buf[start + 8] << 24) | (buf[start + 9] << 16) | (buf[start + 10] << 8) | buf[start + 11]) >>>
  0;
export const statusAt = (buf: Uint8Array, start: number): number =>
  (buf[start + 6] << 8) | buf[start + 7];
