// Reads the header of the PROXY protocol, by which a load balancer says whose connection it passes on.
// Specification: HAProxy's doc/proxy-protocol.txt. Both versions, cut anywhere. Knows no socket.

import { formatIp, parseIp } from "./networks.ts";

/** Answers of `HeaderReader.take`, where it is no offset. */
export const MORE = -1;
export const BAD = -2;

/** "PROXY " begins version 1. */
const WORD = [80, 82, 79, 88, 89, 32];
/** "\r\n\r\n\0\r\nQUIT\n" begins version 2. */
const SIGNATURE = [13, 10, 13, 10, 0, 13, 10, 81, 85, 73, 84, 10];
/** A line of version 1 at its longest, with its end. */
const LONGEST_LINE = 107;
/** What version 2 begins with: signature, version and command, family, length. */
const FIXED = 16;
/** The length of version 2 is 16 bits; what is longer than this has no use here. */
export const LONGEST = 16384;

const CR = 13;
const LF = 10;
/** Bytes of the addresses by family and transport; others have none that we could show. */
const TCP4 = 0x11;
const TCP6 = 0x21;
const FAMILIES: Readonly<Record<number, number>> = {
  ...{ 0x00: 0, [TCP4]: 12, 0x12: 12, [TCP6]: 36, 0x22: 36, 0x31: 216, 0x32: 216 },
};
/** The kind of a TLV that has the checksum. */
const CRC32C = 3;

/** Whether bytes begin as either version does: 1 if they do, 0 if that is not sure yet, -1 if not. */
export function looksLikeHeader(buf: Uint8Array, start: number, end: number): number {
  const begin = buf[start] === WORD[0] ? WORD : SIGNATURE;
  for (let i = 0; i < begin.length; i++) {
    if (start + i === end) return 0;
    if (buf[start + i] !== begin[i]) return -1;
  }
  return 1;
}

export class HeaderReader {
  /** Whom the header names ("host:port"); "": the peer itself. */
  source: string;
  /** What is wrong with it. */
  why: string;
  private bytes: Uint8Array;
  private size: number;

  constructor() {
    this.source = "";
    this.why = "";
    this.bytes = new Uint8Array(256);
    this.size = 0;
  }

  /** Some of a header has come. */
  get begun(): boolean {
    return this.size > 0;
  }

  /** Takes what belongs to the header. Where the rest begins, or MORE, or BAD (see `why`). */
  take(buf: Uint8Array, start: number, end: number): number {
    let at = start;
    while (at < end) {
      const wanted = this.wanted();
      if (wanted === BAD) return BAD;
      const n = Math.min(wanted - this.size, end - at);
      if (this.size + n > this.bytes.length) {
        const bytes = new Uint8Array(wanted);
        bytes.set(this.bytes.subarray(0, this.size));
        this.bytes = bytes;
      }
      this.bytes.set(buf.subarray(at, at + n), this.size);
      this.size += n;
      at += n;
      const state = this.judge();
      if (state === BAD) return BAD;
      if (state !== MORE) return at;
    }
    return MORE;
  }

  /** Up to which size the header may be read without reading more than it. */
  private wanted(): number {
    const { bytes, size } = this;
    // No header is shorter than "PROXY UNKNOWN\r\n", and one of version 1 ends with LF only.
    if (size < 6) return 6;
    if (bytes[0] === WORD[0]) return size + 1;
    return size < FIXED ? FIXED : FIXED + (bytes[14] << 8 | bytes[15]);
  }

  private bad(why: string): number {
    this.why = why;
    return BAD;
  }

  private judge(): number {
    const { bytes, size } = this;
    if (looksLikeHeader(bytes, 0, Math.min(size, SIGNATURE.length)) < 0) {
      return this.bad("there is no header of the PROXY protocol");
    }
    if (bytes[0] === WORD[0]) return this.judgeLine();
    if (size < FIXED) return MORE;
    const length = bytes[14] << 8 | bytes[15];
    if (bytes[12] >> 4 !== 2) return this.bad(`its version is ${bytes[12] >> 4}, not 2`);
    if ((bytes[12] & 15) > 1) return this.bad(`its command ${bytes[12] & 15} is not known`);
    if (FIXED + length > LONGEST) {
      return this.bad(`it is ${FIXED + length} bytes long (at most ${LONGEST})`);
    }
    return size < FIXED + length ? MORE : this.readBinary(FIXED + length);
  }

  private judgeLine(): number {
    const { bytes, size } = this;
    if (bytes[size - 1] === LF && bytes[size - 2] === CR) return this.readLine();
    return size < LONGEST_LINE ? MORE : this.bad(`its line is longer than ${LONGEST_LINE} bytes`);
  }

  private readLine(): number {
    const line = String.fromCharCode(...this.bytes.subarray(0, this.size - 2));
    const [, family, from, to, port, at, ...more] = line.split(" ");
    if (family === "UNKNOWN") return this.size;
    const length = family === "TCP4" ? 4 : family === "TCP6" ? 16 : 0;
    if (length === 0) return this.bad(`it has neither TCP4, TCP6 nor UNKNOWN`);
    const source = parseIp(from ?? "");
    const isWhole = source?.length === length && parseIp(to ?? "")?.length === length &&
      isPort(port) && isPort(at) && more.length === 0;
    if (!isWhole) return this.bad("it does not have two addresses and two ports");
    this.source = `${formatIp(source)}:${port}`;
    return this.size;
  }

  private readBinary(size: number): number {
    const { bytes } = this;
    // LOCAL: the load balancer itself, a health check of its own.
    if ((bytes[12] & 15) === 0) return size;
    const family = bytes[13];
    const length = FAMILIES[family];
    if (length === undefined) return this.bad(`its family ${family} is not known`);
    if (FIXED + length > size) return this.bad("it is too short for its addresses");
    if (!this.checkParts(FIXED + length, size)) return BAD;
    if (family === TCP4 || family === TCP6) {
      const bare = family === TCP4 ? 4 : 16;
      const port = bytes[FIXED + 2 * bare] << 8 | bytes[FIXED + 2 * bare + 1];
      this.source = `${formatIp(bytes.subarray(FIXED, FIXED + bare))}:${port}`;
    }
    return size;
  }

  /** Goes through the parts (TLV) that follow the addresses: only the checksum is of use. */
  private checkParts(start: number, end: number): boolean {
    const { bytes } = this;
    for (let at = start; at < end;) {
      const length = at + 3 > end ? end : bytes[at + 1] << 8 | bytes[at + 2];
      const value = at + 3;
      if (value + length > end) return this.bad("one of its parts is cut short") !== BAD;
      if (bytes[at] === CRC32C) {
        if (length !== 4) return this.bad("its checksum is not of 4 bytes") !== BAD;
        const said = new DataView(bytes.buffer).getUint32(value);
        bytes.fill(0, value, value + 4);
        if (crc32c(bytes, 0, end) !== said) return this.bad("its checksum is wrong") !== BAD;
      }
      at = value + length;
    }
    return true;
  }
}

function isPort(text: string | undefined): boolean {
  return text !== undefined && /^(0|[1-9][0-9]{0,4})$/.test(text) && Number(text) <= 65535;
}

/** The CRC-32 of Castagnoli (reflected 0x82f63b78): RFC 4960, appendix B. */
export function crc32c(buf: Uint8Array, start: number, end: number): number {
  let crc = -1;
  for (let i = start; i < end; i++) {
    crc ^= buf[i];
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  }
  return ~crc >>> 0;
}
