// The memcached binary protocol as the proxy meets it: ties the binary_*.ts of this folder
// together. Its clients have server connections of their own, which speak it too.
// Format: memcached's doc/protocol-binary.txt.

import { clipped, EMPTY, text } from "../../bytes.ts";
import type { OutBuffer } from "../../wire/out_buffer.ts";
import type { Stripping } from "../stripping.ts";
import type { Verdicts } from "../verdicts.ts";
import type { Warming } from "../warming.ts";
import { WARMING } from "./warming.ts";
import { leave, LOCKED_BULK, renew, type Users } from "../access.ts";
import {
  type Codec,
  type CodecOptions,
  type Facts,
  type FanOut,
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
import {
  BINARY_CLASSES,
  BINARY_COMMANDS,
  BINARY_INTENTS,
  HEADER,
  opcodeOf,
} from "./binary_commands.ts";
import { join } from "./binary_join.ts";
import {
  AUTH_CONTINUE,
  AUTH_ERROR,
  opcodeOfOrigin,
  packet,
  statusAt,
  SUCCESS,
  TEMPORARY,
  TOO_LARGE,
} from "./binary_packet.ts";
import { BinaryParser } from "./binary_parse.ts";
import { muted, parseReply } from "./binary_reply.ts";
import { deniedBinary } from "./rights.ts";
import { saslPlain } from "./sasl.ts";
import { newSession } from "./session.ts";
import { BINARY_STRIPPING } from "./strip.ts";
import { BINARY_VERDICTS } from "./verdict.ts";

const QUITQ = opcodeOf("quitq");
const VERSION = opcodeOf("version");
const SASL_LIST = opcodeOf("sasl_list");
const SASL_STEP = opcodeOf("sasl_step");
const isSasl = (verb: number): boolean => verb >= SASL_LIST && verb <= SASL_STEP;
/** Characters of a server's error that are shown. */
const LONGEST_ERROR = 1024;
const NOT_JUDGED = new Uint8Array(BINARY_CLASSES.length);
const NOBODY: Origin = { tagHigh: 0, tagLow: 0 };

/** memcached answers a quiet command with its own opcode. */
function unmute(mute: number, buf: Uint8Array, start: number): void {
  buf[start + 1] = mute;
}

const QUIET: Quiet = { muted, unmute };

export class BinaryCodec implements Codec {
  readonly classes: Uint8Array;
  readonly judged: Uint8Array;
  readonly intents: Uint8Array;
  readonly verdicts: Verdicts;
  readonly stripping: Stripping;
  /** Servers are asked in the text protocol. */
  readonly probe: null;
  readonly waits: null;
  readonly quiet: Quiet;
  readonly caching: null;
  readonly dialects: null;
  readonly keys: null;
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
  readonly sentinels: null;
  readonly replyHead: number;
  private readonly requests: BinaryParser;
  private readonly users: Users | undefined;
  private readonly facts: Facts;

  constructor(options: CodecOptions, facts: Facts) {
    this.users = options.users;
    this.classes = BINARY_CLASSES;
    this.judged = NOT_JUDGED;
    this.intents = BINARY_INTENTS;
    this.verdicts = BINARY_VERDICTS;
    this.stripping = BINARY_STRIPPING;
    this.probe = null;
    this.waits = null;
    this.quiet = QUIET;
    this.caching = null;
    this.dialects = null;
    this.keys = null;
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
    this.sentinels = null;
    this.replyHead = HEADER;
    this.requests = new BinaryParser(options.maxRequest, options.users !== undefined);
    this.facts = facts;
  }

  commandName(verb: number): string {
    // The numbers beyond the opcodes are those of stat: see STAT_VERBS in binary_parse.ts.
    return BINARY_COMMANDS[verb]?.name ?? "stat";
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

  join(fanOut: FanOut, out: OutBuffer): void {
    join(fanOut, out);
  }

  isError(buf: Uint8Array, start: number): boolean {
    return statusAt(buf, start) !== SUCCESS;
  }

  /** The version is known without any server, as with the text protocol. */
  failure(why: string, request: Origin = NOBODY): Uint8Array {
    if (opcodeOfOrigin(request) === VERSION) return packet(request, SUCCESS, this.facts.version);
    return packet(request, why === "request too large" ? TOO_LARGE : TEMPORARY, why);
  }

  newSession(id: number, remote: string, since: number): Session {
    return newSession(id, remote, since, this.users !== undefined);
  }

  /** proto_bin.c authenticated(); and whoever wants to go may go. */
  openToAll(scan: Scan): boolean {
    return isSasl(scan.verb) || scan.verb === VERSION || scan.action === QUIT;
  }

  lockedError(scan: Scan): Uint8Array {
    return packet(scan, AUTH_ERROR);
  }

  renew(session: Session): string {
    renew(session, this.users, false);
    return "";
  }

  tooMuch(scan: Scan, _buf: Uint8Array, _start: number, _end: number): boolean {
    if (scan.length <= LOCKED_BULK) return false;
    scan.error = packet(scan, AUTH_ERROR);
    scan.reset();
    return true;
  }

  guard(scan: Scan, buf: Uint8Array, start: number, session: Session): void {
    if (session.locked) {
      // Which opcodes there are is told to those who are in.
      if (scan.action === REFUSE) scan.error = packet(scan, AUTH_ERROR);
      return;
    }
    if (session.user === null || scan.action === REFUSE || scan.action === NOTHING) return;
    if (isSasl(scan.verb) || !deniedBinary(scan, buf, start, session.user)) return;
    scan.action = REFUSE;
    scan.error = packet(scan, AUTH_ERROR, "No permission");
  }

  /** noop, quit, quitq and SASL. */
  answer(scan: Scan, buf: Uint8Array, start: number, session: Session): Uint8Array {
    if (scan.action === LOCAL && isSasl(scan.verb)) return this.sasl(scan, buf, start, session);
    return scan.verb === QUITQ ? EMPTY : packet(scan, SUCCESS);
  }

  private sasl(scan: Scan, buf: Uint8Array, start: number, session: Session): Uint8Array {
    if (scan.verb === SASL_LIST) return packet(scan, SUCCESS, "PLAIN");
    // Each attempt begins anew, as in proto_bin.c (init_sasl_conn).
    leave(session);
    if (scan.length - scan.keyStart > LOCKED_BULK) return packet(scan, AUTH_ERROR);
    const mechanism = text(buf, start + scan.keyStart, start + scan.keyEnd);
    if (mechanism !== "PLAIN") return packet(scan, AUTH_ERROR);
    const message = text(buf, start + scan.keyEnd, start + scan.length);
    if (message === "") return packet(scan, AUTH_CONTINUE, "");
    const claim = saslPlain(message);
    const entered = claim !== null && this.users?.enter(session, claim.user, claim.password);
    return entered ? packet(scan, SUCCESS, "Authenticated") : packet(scan, AUTH_ERROR);
  }

  lane(): string {
    return "binary";
  }

  errorText(buf: Uint8Array, start: number, end: number): string {
    return clipped(buf, start + HEADER, end, LONGEST_ERROR);
  }
}
