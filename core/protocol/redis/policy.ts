// What a pool's configuration changes about its commands: those that are switched off or go by
// another name (commands: in the configuration), and database 0, which means redis_db. A codec of
// its own, so that pools without such settings pay nothing for them.

import { bytes, text } from "../../bytes.ts";
import {
  type CodecOptions,
  type CommandPolicy,
  DONE,
  type Facts,
  FORWARD,
  NOTHING,
  REFUSE,
  type Scan,
} from "../codec.ts";
import { RedisCodec } from "./codec.ts";
import { BEFORE_AUTH, COMMANDS, NAMES_DB, verbOf } from "./commands.ts";
import { routeDebug } from "./debug.ts";
import { switchedOff, unknownCommand } from "./errors.ts";
import { lookup } from "./lookup.ts";

/** What may be done with a command, by its number. */
const FREE = 0;
/** Its name is given to nobody (it was renamed). */
const HIDDEN = 1;
/** Named under deny. */
const DENIED = 2;
/** Not named under allow. */
const NOT_ALLOWED = 3;
/** It names a database, which may be the pool's. */
const MOVES = 4;

/** In `allow`: every command that is not refused anyway. */
const EVERYTHING = "@all";
const DEBUG = verbOf("debug");
const MOVE = verbOf("move");
/** Longest new name that a configuration may give. */
const LONGEST_NAME = 64;
const CRLF = bytes("\r\n");

const NO_POLICY: CommandPolicy = { deny: [], allow: [], rename: {} };

/** Whether a pool with these options needs this codec. */
export function isPoliced(options: CodecOptions): boolean {
  const { deny, allow, rename } = options.commands ?? NO_POLICY;
  return options.db > 0 || deny.length > 0 || allow.length > 0 || Object.keys(rename).length > 0;
}

export class PolicedCodec extends RedisCodec {
  private readonly rules: Uint8Array;
  /** New name in lower case -> the command's. */
  private readonly renamed: Map<string, Uint8Array>;
  private readonly db: string;
  /** DEBUG is carried out; else it is refused, as it is without any rules. */
  private readonly opensDebug: boolean;

  constructor(options: CodecOptions, facts: Facts) {
    super(options, facts);
    const { deny, allow, rename } = options.commands ?? NO_POLICY;
    const hidden = Object.values(rename);
    this.db = String(options.db);
    const everything = allow.length === 0 || allow.includes(EVERYTHING);
    // What is on no list of allowed commands stays unknown.
    if (!everything) this.inquiries = null;
    this.opensDebug = allow.includes("debug");
    this.renamed = new Map(Object.entries(rename).map(([name, old]) => [name, bytes(old)]));
    this.rules = Uint8Array.from(COMMANDS, ({ name, flags }) => {
      const container = name.split("|")[0];
      const among = (names: readonly string[]) => names.includes(name) || names.includes(container);
      if (among(deny)) return DENIED;
      // Without what is BEFORE_AUTH no client gets anywhere; `allow` need not name it (`deny` can).
      if (!everything && !among(allow) && (flags & BEFORE_AUTH) === 0) return NOT_ALLOWED;
      if (hidden.includes(container)) return HIDDEN;
      return options.db > 0 && (flags & NAMES_DB) !== 0 ? MOVES : FREE;
    });
  }

  override parseRequest(scan: Scan, buf: Uint8Array, start: number, end: number): number {
    const result = super.parseRequest(scan, buf, start, end);
    if (result !== DONE) {
      // A long request whose first part would be passed on already: it is gathered, then judged.
      const judged = scan.length > 0 && scan.action === FORWARD && this.rules[scan.verb] !== FREE;
      if (judged) scan.action = REFUSE;
      return result;
    }
    if (scan.action === NOTHING) return DONE;
    const { scratch } = scan;
    if (scratch === null) this.judge(scan, buf, start);
    else this.judge(scan, scratch, 0);
    return DONE;
  }

  private judge(scan: Scan, buf: Uint8Array, start: number): void {
    let { verb } = scan;
    if (scan.action === REFUSE) {
      verb = lookup(buf, start + scan.args[0], start + scan.args[1]);
      if (verb < 0) return this.translate(scan, buf, start);
    }
    const rule = this.rules[verb];
    if (rule !== FREE) this.apply(rule, verb, scan, buf, start);
    else if (verb === DEBUG) this.debug(scan, buf, start);
  }

  private debug(scan: Scan, buf: Uint8Array, start: number): void {
    if (this.opensDebug && scan.nargs > 1) routeDebug(scan, buf, start);
  }

  private apply(rule: number, verb: number, scan: Scan, buf: Uint8Array, start: number): void {
    if (rule === MOVES) return this.mapDatabase(scan, buf, start);
    scan.action = REFUSE;
    scan.error = rule === HIDDEN
      ? unknownCommand(buf, start, scan.args, scan.nargs)
      : switchedOff(COMMANDS[verb].name, rule === DENIED ? "deny" : "allow");
  }

  /** A command by its new name: the server gets it by its own. */
  private translate(scan: Scan, buf: Uint8Array, start: number): void {
    const { args } = scan;
    if (this.renamed.size === 0 || args[1] - args[0] > LONGEST_NAME) return;
    const old = this.renamed.get(text(buf, start + args[0], start + args[1]).toLowerCase());
    if (old === undefined) return;
    this.rewrite(scan, buf, start, 0, old);
    const verb = scan.action === REFUSE ? lookup(old, 0, old.length) : scan.verb;
    const rule = this.rules[verb];
    const request = scan.scratch as Uint8Array;
    if (rule !== FREE && rule !== HIDDEN) this.apply(rule, verb, scan, request, 0);
    else if (verb === DEBUG) this.debug(scan, request, 0);
    else if (this.db !== "0" && ((COMMANDS[verb]?.flags ?? 0) & NAMES_DB) !== 0) {
      this.mapDatabase(scan, request, 0);
    }
  }

  /** Clients know the pool's database as 0 (see SELECT). */
  private mapDatabase(scan: Scan, buf: Uint8Array, start: number): void {
    if (scan.action === REFUSE) return;
    const { args } = scan;
    const word = (i: number) => text(buf, start + args[2 * i], start + args[2 * i + 1]);
    let at = scan.verb === MOVE ? 2 : -1;
    for (let i = 3; at < 0 && i < scan.nargs - 1; i++) {
      if (word(i).toLowerCase() === "db") at = i + 1;
    }
    if (at > 0 && word(at) === "0") this.rewrite(scan, buf, start, at, bytes(this.db));
  }

  /** Replaces one argument: the request is then `scan.scratch`. */
  private rewrite(scan: Scan, buf: Uint8Array, start: number, arg: number, by: Uint8Array): void {
    const { length, nargs, args } = scan;
    const words: Uint8Array[] = [bytes(`*${nargs}`), CRLF];
    for (let i = 0; i < nargs; i++) {
      const word = i === arg ? by : buf.subarray(start + args[2 * i], start + args[2 * i + 1]);
      words.push(bytes(`$${word.length}`), CRLF, word, CRLF);
    }
    const request = new Uint8Array(words.reduce((sum, word) => sum + word.length, 0));
    let at = 0;
    for (const word of words) {
      request.set(word, at);
      at += word.length;
    }
    scan.reset();
    super.parseRequest(scan, request, 0, request.length);
    scan.scratch = request;
    scan.scratchLength = request.length;
    scan.length = length;
  }
}
