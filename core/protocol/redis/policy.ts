// What a pool's configuration changes about its commands: those that are switched off, opened or go
// by another name (commands: in the configuration), and database 0, which means redis_db. A codec of
// its own, so that pools without such settings pay nothing for them.

import { bytes, isWord, text } from "../../bytes.ts";
import type { CodecOptions, CommandPolicy, Inquiry } from "../codec.ts";
import {
  ALL,
  ANY,
  ASKED,
  DONE,
  FORWARD,
  LOCAL,
  NOTHING,
  PIN_MONITOR,
  REFUSE,
  type Scan,
} from "../scan.ts";
import type { Facts, Session } from "../session.ts";
import { AS_NODE, notAsNode, wrongSlot } from "./as_node.ts";
import { RedisCodec } from "./codec.ts";
import { BEFORE_AUTH, COMMANDS, NAMES_DB, SUB, verbOf } from "./commands.ts";
import { routeDebug } from "./debug.ts";
import { forOneServer, switchedOff, unknownCommand } from "./errors.ts";

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

const DEBUG = verbOf("debug");
const MOVE = verbOf("move");
const SWAPDB = verbOf("swapdb");
/** Longest new name that a configuration may give. */
const LONGEST_NAME = 64;
const CRLF = bytes("\r\n");

/** Answered by ringmux, unless administration is open: then by a pool's only server. */
const AT_THE_SERVER = ["acl|users", "role"];

/** Refused as a server without clusters does, which is what clients ask for. */
const CLUSTER = "cluster";

const NO_POLICY: CommandPolicy = { deny: [], allow: [], rename: {} };

/** Whether a pool with these options needs this codec. */
export function isPoliced(options: CodecOptions): boolean {
  const { deny, allow, rename } = options.commands ?? NO_POLICY;
  return options.db > 0 || options.asNode !== undefined || deny.length > 0 || allow.length > 0 ||
    Object.keys(rename).length > 0;
}

function containerOf(name: string): string {
  return name.split("|", 1)[0];
}

function refuse(scan: Scan, error: Uint8Array): void {
  scan.action = REFUSE;
  scan.error = error;
}

/** Whether an entry of a list, its "-" taken off, means this command. */
function means(entry: string, name: string, categories: readonly string[]): boolean {
  if (entry[0] !== "@") return entry === name || entry === containerOf(name);
  return entry === "@all" || categories.includes(entry.slice(1));
}

/** As in Redis's rules the last entry counts that means the command. */
function isListed(list: readonly string[], name: string, categories: readonly string[]): boolean {
  const last = list.filter((entry) => means(entry.replace(/^-/, ""), name, categories)).at(-1);
  return last !== undefined && last[0] !== "-";
}

/** In `allow`: these open what is refused elsewhere because it administers servers. */
const OPENING = ["@admin", "@dangerous"];

/** Whether such a command is open: by its name, or with all of its kind; @all is not enough. */
function opensAdmin(
  allow: readonly string[],
  name: string,
  categories: readonly string[],
): boolean {
  const last = allow.filter((entry) =>
    entry[0] === "-"
      ? means(entry.slice(1), name, categories)
      : OPENING.includes(entry) || (entry[0] !== "@" && means(entry, name, categories))
  ).at(-1);
  return last !== undefined && last[0] !== "-";
}

export class PolicedCodec extends RedisCodec {
  private readonly rules: Uint8Array;
  /** By a command's number: 1 if it is refused elsewhere, and open here. */
  private readonly opens: Uint8Array;
  /** New name in lower case -> the command's. */
  private readonly renamed: Map<string, Uint8Array>;
  private readonly deny: readonly string[];
  private readonly allow: readonly string[];
  private readonly db: string;
  private readonly isNode: boolean;

  constructor(options: CodecOptions, facts: Facts) {
    super(options, facts);
    const { deny, allow, rename } = options.commands ?? NO_POLICY;
    const hidden = Object.values(rename);
    this.db = String(options.db);
    this.isNode = options.asNode !== undefined;
    this.deny = deny;
    this.allow = allow;
    // Where allow names commands only there is nothing to learn: what is in no table stays unknown.
    const learns = allow.length === 0 || allow.some((entry) => entry[0] === "@");
    const inquire = (scan: Scan, buf: Uint8Array, start: number) => this.ask(scan, buf, start);
    this.inquiries = learns ? { inquire } : null;
    this.renamed = new Map(Object.entries(rename).map(([name, old]) => [name, bytes(old)]));
    this.rules = Uint8Array.from(COMMANDS, ({ name, categories, flags }) => {
      // Without what is BEFORE_AUTH no client gets anywhere; `allow` need not name it (`deny` can).
      const rule = this.ruleFor(name, categories, (flags & BEFORE_AUTH) !== 0);
      if (rule !== FREE) return rule;
      if (hidden.includes(containerOf(name))) return HIDDEN;
      return options.db > 0 && (flags & NAMES_DB) !== 0 ? MOVES : FREE;
    });
    this.opens = Uint8Array.from(
      COMMANDS,
      ({ name, opened, categories }, verb) =>
        (opened !== SUB || AT_THE_SERVER.includes(name)) && opensAdmin(allow, name, categories) &&
          // It would have to know which of its numbers are meant as clients see databases.
          !(verb === SWAPDB && options.db > 0)
          ? 1
          : 0,
    );
  }

  private ruleFor(name: string, categories: readonly string[], always: boolean): number {
    const { deny, allow } = this;
    if (isListed(deny, name, categories)) return DENIED;
    return always || allow.length === 0 || isListed(allow, name, categories) ? FREE : NOT_ALLOWED;
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

  /** What the proxy says of itself as a node is for everybody. */
  override guard(scan: Scan, buf: Uint8Array, start: number, session: Session): void {
    const isOwn = this.isNode && scan.action === LOCAL && AS_NODE[scan.verb] === LOCAL;
    if (!isOwn) super.guard(scan, buf, start, session);
  }

  /** A command that is in no table goes by the categories that its server gives it. */
  private ask(scan: Scan, buf: Uint8Array, start: number): Inquiry | null {
    const inquiry = this.learned.inquire(scan, buf, start);
    if (inquiry !== null || scan.verb !== ASKED || scan.action === REFUSE) return inquiry;
    const name = text(buf, start + scan.args[0], start + scan.args[1]).toLowerCase();
    const rule = this.ruleFor(name, this.learned.categoriesOf(name), false);
    if (rule !== FREE) refuse(scan, switchedOff(name, rule === DENIED ? "deny" : "allow"));
    return null;
  }

  private judge(scan: Scan, buf: Uint8Array, start: number): void {
    if (scan.verb === ASKED) this.translate(scan, buf, start);
    else if (this.rules[scan.verb] === HIDDEN) {
      refuse(scan, unknownCommand(buf, start, scan.args, scan.nargs));
    } else this.apply(scan, buf, start);
  }

  /** A command by its new name: the server gets it by its own. */
  private translate(scan: Scan, buf: Uint8Array, start: number): void {
    const { args } = scan;
    if (this.renamed.size === 0 || args[1] - args[0] > LONGEST_NAME) return;
    const old = this.renamed.get(text(buf, start + args[0], start + args[1]).toLowerCase());
    if (old === undefined) return;
    this.rewrite(scan, buf, start, 0, old);
    this.apply(scan, scan.scratch as Uint8Array, 0);
  }

  /** A command by a name that it has here. */
  private apply(scan: Scan, buf: Uint8Array, start: number): void {
    const { verb } = scan;
    const rule = this.rules[verb];
    if (rule === DENIED || rule === NOT_ALLOWED) {
      const list = rule === DENIED ? "deny" : "allow";
      refuse(scan, switchedOff(COMMANDS[verb].name, list));
    } else if (this.isNode && COMMANDS[verb].reason === CLUSTER) this.actAsNode(scan, buf, start);
    else if (this.opens[verb] === 1) this.open(scan, buf, start);
    else if (rule !== FREE && this.db !== "0" && (COMMANDS[verb].flags & NAMES_DB) !== 0) {
      this.mapDatabase(scan, buf, start);
    }
  }

  /** What is refused where there is no cluster, by a proxy that is one. */
  private actAsNode(scan: Scan, buf: Uint8Array, start: number): void {
    const { arity } = COMMANDS[scan.verb];
    if (arity >= 0 ? scan.nargs !== arity : scan.nargs < -arity) return;
    const action = AS_NODE[scan.verb];
    const error = action === SUB ? notAsNode(scan.verb) : wrongSlot(scan, buf, start);
    if (error === null) scan.action = action;
    else refuse(scan, error);
  }

  /** What administers servers goes to a pool's only one, or to all of them. */
  private open(scan: Scan, buf: Uint8Array, start: number): void {
    const { arity, opened, reason } = COMMANDS[scan.verb];
    if (arity >= 0 ? scan.nargs !== arity : scan.nargs < -arity) return;
    const isOne = this.facts.servers() === 1;
    if (opened === LOCAL) {
      scan.action = LOCAL;
      scan.pin = PIN_MONITOR;
    } else if (scan.verb === DEBUG) routeDebug(scan, buf, start, isOne);
    else if (isOne) scan.action = ANY;
    else if (opened === ALL) scan.action = ALL;
    else if (opened === ANY && reason !== CLUSTER) refuse(scan, forOneServer(scan.verb));
  }

  /** Clients know the pool's database as 0 (see SELECT). */
  private mapDatabase(scan: Scan, buf: Uint8Array, start: number): void {
    if (scan.action === REFUSE) return;
    const { args } = scan;
    const is = (i: number, word: string) =>
      isWord(buf, start + args[2 * i], start + args[2 * i + 1], word);
    let at = scan.verb === MOVE ? 2 : -1;
    for (let i = 3; at < 0 && i < scan.nargs - 1; i++) {
      if (is(i, "db")) at = i + 1;
    }
    if (at > 0 && is(at, "0")) this.rewrite(scan, buf, start, at, bytes(this.db));
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
