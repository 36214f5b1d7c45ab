// The Redis protocol as the proxy meets it: ties the parts of this folder together.

import { bytes, text, utf8 } from "../../bytes.ts";
import type { OutBuffer } from "../../wire/out_buffer.ts";
import { LOCKED_BULK, renew } from "../access.ts";
import {
  ASKED,
  type Codec,
  type CodecOptions,
  type Facts,
  type FanOut,
  type Handshake,
  type Inquiry,
  PIN_EXEC,
  PIN_NONE,
  type Pinning,
  REFUSE,
  type ReplyScan,
  type Scan,
  type Session,
} from "../codec.ts";
import type { Publishing } from "../publishing.ts";
import { ALOUD } from "../session.ts";
import {
  BEFORE_AUTH,
  CHANNEL,
  CLASSES,
  COMMANDS,
  JUDGED,
  READONLY,
  SCRIPT,
  verbOf,
  WRITE,
} from "./commands.ts";
import { LAST_PAGE, walkRequest, walkTo } from "./cursor.ts";
import { crossServer, errorReply, keyText, NO_AUTH, NO_AUTH_USERS } from "./errors.ts";
import { fragmentHead, fragmentKeys, join } from "./fan_out.ts";
import { LearnedCommands, LONGEST_NAME } from "./learned.ts";
import { answer } from "./local.ts";
import { keyArgument, parseRequest, selectKey } from "./parse.ts";
import { publishing } from "./pubsub.ts";
import { parseReply } from "./reply.ts";
import { denied, type Judge, lockedInlineLimit, lockedLimit } from "./rights.ts";
import { transactions } from "./transaction.ts";

const RESET = verbOf("reset");
const MINUS = 45;
const STAR = 42;

const PING = bytes("*1\r\n$4\r\nPING\r\n");
/**
 * Errors by which a server says that it cannot work: it loads its data, runs a script for too long,
 * has lost its master or cannot save. Any other (-NOAUTH) shows that it answers.
 */
const UNWELL = /^(LOADING|BUSY|MASTERDOWN|MISCONF|OOM) /;

export class RedisCodec implements Codec, Judge {
  readonly classes: Uint8Array;
  readonly judged: Uint8Array;
  readonly probe: Uint8Array;
  readonly pinning: Pinning;
  readonly publishing: Publishing;
  private readonly options: CodecOptions;
  protected readonly facts: Facts;
  private readonly maxRequest: number;
  readonly replyHead: number;
  private readonly learned: LearnedCommands;

  constructor(options: CodecOptions, facts: Facts) {
    this.classes = CLASSES;
    this.judged = JUDGED;
    this.probe = PING;
    this.pinning = transactions(options.hashTag ?? "");
    this.publishing = publishing(options.db);
    this.options = options;
    this.facts = facts;
    this.maxRequest = options.maxRequest;
    this.replyHead = 0;
    this.learned = new LearnedCommands();
  }

  commandName(verb: number): string {
    return COMMANDS[verb]?.name ?? "";
  }

  probeError(buf: Uint8Array, start: number, end: number): string {
    if (buf[start] !== MINUS) return "";
    const error = this.errorText(buf, start, end);
    return UNWELL.test(error) ? error : "";
  }

  dialect(): Codec {
    return this;
  }

  parseRequest(scan: Scan, buf: Uint8Array, start: number, end: number): number {
    return parseRequest(scan, buf, start, end, this.maxRequest);
  }

  parseReply(scan: ReplyScan, buf: Uint8Array, pos: number, end: number): number {
    return parseReply(scan, buf, pos, end);
  }

  inquire(scan: Scan, buf: Uint8Array, start: number): Inquiry | null {
    if (scan.verb !== ASKED) return null;
    if (scan.args[1] - scan.args[0] > LONGEST_NAME) return null;
    const name = text(buf, start + scan.args[0], start + scan.args[1]).toLowerCase();
    if (!this.learned.isNew(name, this.facts.wallClock())) {
      this.learned.route(scan, name);
      return null;
    }
    const request = `*3\r\n$7\r\nCOMMAND\r\n$4\r\nINFO\r\n$${name.length}\r\n${name}\r\n`;
    return { request: bytes(request), name: bytes(name) };
  }

  /** The ACL categories of a command that was learned. */
  protected categoriesOf(name: string): readonly string[] {
    return this.learned.categoriesOf(name);
  }

  selectKey(scan: Scan, i: number): void {
    if (scan.verb !== ASKED) return selectKey(scan, i);
    const at = 2 * (scan.first + i * scan.step);
    scan.keyStart = scan.args[at];
    scan.keyEnd = scan.args[at + 1];
  }

  fragmentHead(scan: Scan, buf: Uint8Array, start: number, nkeys: number, out: OutBuffer): void {
    fragmentHead(scan, buf, start, nkeys, out);
  }

  fragmentKeys(
    scan: Scan,
    buf: Uint8Array,
    start: number,
    from: number,
    to: number,
    out: OutBuffer,
  ): void {
    fragmentKeys(scan, buf, start, from, to, out);
  }

  fragmentTail(): void {}

  walkTo(scan: Scan, buf: Uint8Array, start: number, servers: number): number {
    return walkTo(scan, buf, start, servers);
  }

  walkRequest(
    scan: Scan,
    buf: Uint8Array,
    start: number,
    length: number,
    index: number,
    servers: number,
    out: OutBuffer,
  ): void {
    walkRequest(scan, buf, start, length, index, servers, out);
  }

  walkEnd(): Uint8Array {
    return LAST_PAGE;
  }

  join(fanOut: FanOut, out: OutBuffer): void {
    const { verb, held, parts } = fanOut;
    if (verb !== ASKED || held === undefined) return join(fanOut, out);
    this.learned.learn(text(held, 0, held.length), parts[0], this.facts.wallClock());
  }

  /** CLIENT REPLY OFF and SKIP: see Session.silence. */
  muted(mute: number): boolean {
    return mute !== 0;
  }

  mayWrite(scan: Scan): boolean {
    if (scan.verb === ASKED) return true;
    const { flags, rights } = COMMANDS[scan.verb];
    if ((flags & READONLY) !== 0) return false;
    return (flags & WRITE) !== 0 || (rights & (SCRIPT | CHANNEL)) !== 0 || scan.pin === PIN_EXEC;
  }

  unmute(): void {}

  isError(buf: Uint8Array, start: number): boolean {
    return buf[start] === MINUS;
  }

  isServerFailure(buf: Uint8Array, start: number, end: number): boolean {
    // nc_redis.c redis_failure: -OOM, -BUSY (also -BUSYKEY's prefix, excluded here), -LOADING.
    if (buf[start] !== MINUS || end - start < 5) return false;
    const word = text(buf, start + 1, Math.min(end, start + 9));
    return word.startsWith("OOM ") || word.startsWith("BUSY ") || word.startsWith("LOADING ");
  }

  failure(message: string): Uint8Array {
    return errorReply(`ERR ${message}`);
  }

  crossServerError(
    scan: Scan,
    buf: Uint8Array,
    start: number,
    first: string,
    other: string,
  ): Uint8Array {
    const isKnown = scan.verb !== ASKED;
    const at = 2 * (isKnown ? keyArgument(scan, 0) : scan.first);
    const one = keyText(buf, start + scan.args[at], start + scan.args[at + 1]);
    const name = isKnown
      ? COMMANDS[scan.verb].name
      : keyText(buf, start + scan.args[0], start + scan.args[1]);
    const two = keyText(buf, start + scan.keyStart, start + scan.keyEnd);
    return crossServer(
      name,
      { key: one, server: first },
      { key: two, server: other },
      this.options.hashTag ?? "",
    );
  }

  newSession(id: number, remote: string, since: number): Session {
    const locked = this.options.users !== undefined || this.options.auth !== "";
    const { db } = this.options;
    const who = { locked, user: null, restricted: false, id, remote, since };
    return {
      ...who,
      name: "",
      resp: 2,
      db,
      libName: "",
      libVersion: "",
      silence: ALOUD,
      isKnown: false,
    };
  }

  openToAll(scan: Scan): boolean {
    const { verb } = scan;
    if (verb === ASKED || (COMMANDS[verb].flags & BEFORE_AUTH) === 0) return false;
    // twemproxy, whose password this is in a pool without users, knows no RESET.
    return verb !== RESET || this.options.users !== undefined;
  }

  lockedError(): Uint8Array {
    return this.options.users === undefined ? NO_AUTH : NO_AUTH_USERS;
  }

  renew(session: Session): void {
    renew(session, this.options.users, this.options.auth !== "");
  }

  tooMuch(scan: Scan, buf: Uint8Array, start: number, end: number): boolean {
    const error = buf[start] === STAR
      ? lockedLimit(buf, start, end, LOCKED_BULK)
      : lockedInlineLimit(scan, end - start, LOCKED_BULK);
    if (error === null) return false;
    scan.error = error;
    scan.reset();
    return true;
  }

  guard(scan: Scan, buf: Uint8Array, start: number, session: Session): void {
    if (session.user === null || session.locked) return;
    const error = denied(scan, buf, start, session.user, this);
    if (error === null) return;
    scan.action = REFUSE;
    scan.error = error;
    scan.pin = PIN_NONE;
  }

  isReadOnly(name: string): boolean {
    return this.learned.isReadOnly(name);
  }

  answer(scan: Scan, buf: Uint8Array, start: number, session: Session): Uint8Array {
    return answer(scan, buf, start, session, this.options, this.facts);
  }

  lane(session: Session): string {
    return `${session.resp} ${session.db}`;
  }

  handshake(session: Session): Handshake | null {
    const requests: string[][] = [];
    // AUTH before SELECT: twemproxy has them the other way round, and lands in database 0.
    const { auth, user = "" } = this.options;
    if (auth !== "") requests.push(["AUTH", ...(user === "" ? [] : [utf8(user)]), utf8(auth)]);
    if (session.resp === 3) requests.push(["HELLO", "3"]);
    if (session.db > 0) requests.push(["SELECT", String(session.db)]);
    if (requests.length === 0) return null;
    const out = requests.map((words) =>
      `*${words.length}\r\n` + words.map((w) => `$${w.length}\r\n${w}\r\n`).join("")
    );
    return { bytes: bytes(out.join("")), replies: requests.length };
  }

  errorText(buf: Uint8Array, start: number, end: number): string {
    return text(buf, start + 1, end - 2);
  }
}
