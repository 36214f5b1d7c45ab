// The memcached text protocol as the proxy meets it: ties the parts of this folder together. A
// client whose first byte is that of a binary request gets the other codec: binary_codec.ts.
// Format: memcached's doc/protocol.txt.

import { bytes, EMPTY, text } from "../../bytes.ts";
import type { OutBuffer } from "../../wire/out_buffer.ts";
import type { Pulling } from "../pulling.ts";
import type { NearWords } from "../near.ts";
import type { Stripping } from "../stripping.ts";
import type { Verdicts } from "../verdicts.ts";
import type { Warming } from "../warming.ts";
import { WARMING } from "./warming.ts";
import { LOCKED_BULK, renew, type Users } from "../access.ts";
import {
  type Codec,
  type CodecOptions,
  type Dialects,
  type Facts,
  type FanOut,
  FORWARD,
  type Keys,
  LOCAL,
  NOTHING,
  type Origin,
  type Quiet,
  QUIT,
  REFUSE,
  type ReplyScan,
  type Scan,
  type Session,
} from "../codec.ts";
import { BinaryCodec } from "./binary_codec.ts";
import { REQUEST_MAGIC } from "./binary_commands.ts";
import { selectKey } from "./classic.ts";
import { CLASSES, COMMANDS, INTENTS, MUTE_ALL, verbOf } from "./commands.ts";
import {
  AUTH_FAILED,
  AUTH_FORMAT,
  NO_KEY,
  noCommand,
  NOOP,
  serverError,
  STORED,
  UNAUTHENTICATED,
} from "./errors.ts";
import { add, begin, join, joinSlices } from "./fan_out.ts";
import { NEAR_WORDS } from "./near.ts";
import { RequestParser, TAG_VERSION } from "./parse.ts";
import { errorText, isError, muted, parseReply } from "./reply.ts";
import { PULLING } from "./pulling.ts";
import { denied, NO_RIGHT } from "./rights.ts";
import { newSession } from "./session.ts";
import { textStripping } from "./strip.ts";
import { TEXT_VERDICTS } from "./verdict.ts";

/** No error of memcached says that the server cannot work. */
const NOT_JUDGED = new Uint8Array(CLASSES.length);
const MN = verbOf("mn");
const VERSION = bytes("version\r\n");
const SET = verbOf("set");
const LF = 10;

const KEYS: Keys = { select: selectKey, begin, add, end: bytes("\r\n"), runs: null, joinSlices };
const QUIET: Quiet = { muted, unmute: null };

/**
 * No reply speaks of the server: SERVER_ERROR is about one item, as in twemproxy, and a server that
 * answers is well.
 */
export class MemcachedCodec implements Codec {
  readonly classes: Uint8Array;
  readonly judged: Uint8Array;
  readonly intents: Uint8Array;
  readonly verdicts: Verdicts;
  readonly stripping: Stripping;
  readonly near: NearWords;
  readonly probe: Uint8Array;
  readonly replyHead: number;
  readonly dialects: Dialects;
  readonly keys: Keys;
  readonly waits: null;
  readonly quiet: Quiet;
  readonly caching: null;
  readonly together: null;
  readonly walk: null;
  readonly transactions: null;
  readonly publishing: null;
  readonly scripts: null;
  readonly inquiries: null;
  readonly serverErrors: null;
  readonly greeting: null;
  readonly lanes: null;
  readonly clustering: null;
  readonly migrating: null;
  readonly warming: Warming;
  readonly pulling: Pulling;
  readonly sentinels: null;
  private readonly requests: RequestParser;
  private readonly facts: Facts;
  /** The last failure told: while a server is down every request of its keys asks for it. */
  private failureText: string;
  private failureLine: Uint8Array;
  private readonly users: Users | undefined;

  constructor(options: CodecOptions, facts: Facts) {
    this.users = options.users;
    this.classes = CLASSES;
    this.judged = NOT_JUDGED;
    this.intents = INTENTS;
    this.verdicts = TEXT_VERDICTS;
    this.stripping = textStripping(this);
    this.near = NEAR_WORDS;
    this.probe = VERSION;
    this.replyHead = 0;
    const binary = new BinaryCodec(options, facts);
    this.dialects = { of: (byte) => byte === REQUEST_MAGIC ? binary : this };
    this.keys = KEYS;
    this.waits = null;
    this.quiet = QUIET;
    this.caching = null;
    this.together = null;
    this.walk = null;
    this.transactions = null;
    this.publishing = null;
    this.scripts = null;
    this.inquiries = null;
    this.serverErrors = null;
    this.greeting = null;
    this.lanes = null;
    this.clustering = null;
    this.migrating = null;
    this.warming = WARMING;
    this.pulling = PULLING;
    this.sentinels = null;
    this.requests = new RequestParser(options.maxRequest);
    this.facts = facts;
    this.failureText = "";
    this.failureLine = EMPTY;
  }

  commandName(verb: number): string {
    return COMMANDS[verb]?.name ?? "";
  }

  /**
   * On MORE `length` is 0 while the line is incomplete. Once it is known, `length` is that of the
   * whole request with its data block, the keys are set, and `left` says how much is missing; but
   * `left` is 0 if the request will be rewritten (noreply, q, b) and so cannot be sent ahead. With
   * `action` REFUSE the rest is only to be thrown away.
   */
  parseRequest(scan: Scan, buf: Uint8Array, start: number, end: number): number {
    return this.requests.parse(scan, buf, start, end);
  }

  join(fanOut: FanOut, out: OutBuffer): void {
    join(fanOut, out);
  }

  parseReply(scan: ReplyScan, buf: Uint8Array, pos: number, end: number): number {
    return parseReply(scan, buf, pos, end);
  }

  isError(buf: Uint8Array, start: number): boolean {
    return isError(buf, start);
  }

  /** Clients ask for the version to see whom they talk to, which is known without any server. */
  failure(text: string, request?: Origin): Uint8Array {
    if (request?.tagLow === TAG_VERSION) return bytes(`VERSION ${this.facts.version}\r\n`);
    if (text !== this.failureText) {
      this.failureText = text;
      this.failureLine = serverError(text);
    }
    return this.failureLine;
  }

  newSession(id: number, remote: string, since: number): Session {
    return newSession(id, remote, since, this.users !== undefined);
  }

  /** A set that `guard` has made a request to come in; memcached lets nobody quit, we do. */
  openToAll(scan: Scan): boolean {
    return scan.action === QUIT || (scan.action === LOCAL && scan.verb === SET);
  }

  lockedError(): Uint8Array {
    return UNAUTHENTICATED;
  }

  renew(session: Session): string {
    renew(session, this.users, false);
    return "";
  }

  tooMuch(scan: Scan, _buf: Uint8Array, start: number, end: number): boolean {
    if (scan.length <= LOCKED_BULK && end - start <= LOCKED_BULK) return false;
    if (scan.length > 0 && scan.length <= LOCKED_BULK) return false; // what follows it is not of it
    scan.error = AUTH_FORMAT;
    scan.reset();
    return true;
  }

  /**
   * memcached -Y (proto_text.c try_read_command_asciiauth): the data of a set, whatever its key, is
   * "user password", and until it is right everything else is refused.
   */
  guard(scan: Scan, buf: Uint8Array, start: number, session: Session): void {
    if (session.locked) {
      if (scan.action === QUIT) return;
      if (scan.action === FORWARD && scan.verb === SET) {
        scan.action = LOCAL;
        return;
      }
      scan.action = REFUSE;
      scan.error = UNAUTHENTICATED;
      return;
    }
    if (session.user === null || scan.action === REFUSE) return;
    const right = denied(scan, buf, start, session.user);
    if (right === "") return;
    scan.action = scan.mute === MUTE_ALL ? NOTHING : REFUSE;
    scan.error = right === NO_RIGHT ? noCommand(COMMANDS[scan.verb].name) : NO_KEY;
  }

  answer(scan: Scan, buf: Uint8Array, start: number, session: Session): Uint8Array {
    if (scan.verb === SET) return this.logIn(scan, buf, start, session);
    return scan.verb === MN ? NOOP : EMPTY;
  }

  private logIn(scan: Scan, buf: Uint8Array, start: number, session: Session): Uint8Array {
    const end = start + (scan.scratch === null ? scan.length : scan.scratchLength) - 2;
    let data = start;
    while (buf[data++] !== LF);
    const token = text(buf, data, end);
    const blank = token.indexOf(" ");
    if (blank < 0) return AUTH_FORMAT;
    const [name, password] = [token.slice(0, blank), token.slice(blank + 1)];
    return this.users?.enter(session, name, password) ? STORED : AUTH_FAILED;
  }

  lane(): string {
    return "";
  }

  errorText(buf: Uint8Array, start: number, end: number): string {
    return errorText(buf, start, end);
  }
}
