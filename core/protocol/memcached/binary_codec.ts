// The memcached binary protocol as the proxy meets it: ties the binary_*.ts of this folder
// together. Its clients have server connections of their own, which speak it too.
// Format: memcached's doc/protocol-binary.txt.

import { EMPTY, text } from "../../bytes.ts";
import type { OutBuffer } from "../../out_buffer.ts";
import type {
  Codec,
  CodecOptions,
  FanOut,
  Handshake,
  Inquiry,
  Origin,
  ReplyScan,
  Scan,
  Session,
} from "../codec.ts";
import { BINARY_CLASSES, HEADER, opcodeOf } from "./binary_commands.ts";
import { join } from "./binary_join.ts";
import {
  AUTH_ERROR,
  INVALID,
  packet,
  statusAt,
  SUCCESS,
  TEMPORARY,
  TOO_LARGE,
} from "./binary_packet.ts";
import { BinaryParser } from "./binary_parse.ts";
import { muted, parseReply } from "./binary_reply.ts";
import { newSession } from "./session.ts";

const QUITQ = opcodeOf("quitq");
const NOBODY: Origin = { tagHigh: 0, tagLow: 0 };

export class BinaryCodec implements Codec {
  readonly classes: Uint8Array;
  readonly pinning: null;
  readonly replyHead: number;
  private readonly requests: BinaryParser;

  constructor(options: CodecOptions) {
    this.classes = BINARY_CLASSES;
    this.pinning = null;
    this.replyHead = HEADER;
    this.requests = new BinaryParser(options.maxRequest);
  }

  dialect(): Codec {
    return this;
  }

  inquire(): Inquiry | null {
    return null;
  }

  walkTo(): number {
    return 0;
  }

  walkRequest(): void {}

  walkEnd(): Uint8Array {
    return EMPTY;
  }

  /**
   * On MORE `length` is 0 while the header is incomplete. Once it is known, `length` is that of
   * the whole request, the key is set, and `left` says how much is missing; but `left` is 0 if the
   * request will be rewritten (a quiet one) and so cannot be sent ahead. With `action` REFUSE the
   * rest is only to be thrown away.
   */
  parseRequest(scan: Scan, buf: Uint8Array, start: number, end: number): number {
    return this.requests.parse(scan, buf, start, end);
  }

  parseReply(scan: ReplyScan, buf: Uint8Array, pos: number, end: number): number {
    return parseReply(scan, buf, pos, end);
  }

  /** No binary request has more than one key. */
  selectKey(): void {}
  fragmentHead(): void {}
  fragmentKeys(): void {}
  fragmentTail(): void {}

  join(fanOut: FanOut, out: OutBuffer): void {
    join(fanOut, out);
  }

  muted(mute: number, buf: Uint8Array, start: number): boolean {
    return muted(mute, buf, start);
  }

  /** memcached answers a quiet command with its own opcode. */
  unmute(mute: number, buf: Uint8Array, start: number): void {
    buf[start + 1] = mute;
  }

  isError(buf: Uint8Array, start: number): boolean {
    return statusAt(buf, start) !== SUCCESS;
  }

  /** Never, as with the text protocol. */
  isServerFailure(): boolean {
    return false;
  }

  failure(why: string, request: Origin = NOBODY): Uint8Array {
    return packet(request, why === "request too large" ? TOO_LARGE : TEMPORARY, why);
  }

  crossServerError(scan: Scan): Uint8Array {
    return packet(scan, INVALID);
  }

  newSession(id: number, remote: string, since: number): Session {
    return newSession(id, remote, since);
  }

  openToAll(): boolean {
    return true;
  }

  lockedError(): Uint8Array {
    return packet(NOBODY, AUTH_ERROR);
  }

  /** noop, quit and quitq. */
  answer(scan: Scan): Uint8Array {
    return scan.verb === QUITQ ? EMPTY : packet(scan, SUCCESS);
  }

  lane(): string {
    return "binary";
  }

  handshake(): Handshake | null {
    return null;
  }

  errorText(buf: Uint8Array, start: number, end: number): string {
    return text(buf, start + HEADER, end);
  }
}
