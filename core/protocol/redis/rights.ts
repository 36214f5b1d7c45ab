// What users with restrictions may do in the Redis protocol, by the rights in table.ts, and what
// Redis 7.0 says to what they may not (acl.c, server.c). What has no right is refused, so that a new
// command is open to them only when somebody has thought about it.

import { bytes, clipped, decimal, isWord } from "../../bytes.ts";
import { isPatternWithin, isWithin, type User } from "../access.ts";
import {
  ASKED,
  FORWARD,
  NOTHING,
  PIN,
  QUIT,
  REFUSE,
  type Scan,
  SPLIT,
  TOGETHER,
} from "../codec.ts";
import {
  CHANNEL,
  CHANNELS,
  COMMANDS,
  KEYLESS,
  PATTERNS,
  READS,
  RIGHTS,
  SCANS,
  SCRIPT,
  SORTS,
  verbOf,
} from "./commands.ts";
import { PATTERN } from "../publishing.ts";
import { BIG_INLINE, errorReply } from "./errors.ts";
import { select } from "./keys.ts";

const KEY_DENIED = errorReply(
  "NOPERM this user has no permissions to access one of the keys used as arguments",
);
const CHANNEL_DENIED = errorReply(
  "NOPERM this user has no permissions to access one of the channels used as arguments",
);
const SORT_BY = errorReply("ERR BY option of SORT denied due to insufficient ACL permissions.");
const SORT_GET = errorReply("ERR GET option of SORT denied due to insufficient ACL permissions.");

const DEBUG = verbOf("debug");
const CONFIG_GET = verbOf("config|get");
const KEYS = verbOf("keys");
const STAR = 42;
/** More than any subcommand, parameter or command that is known has. */
const LONGEST_WORD = 128;

const denials: (Uint8Array | undefined)[] = [];

function commandDenied(name: string): Uint8Array {
  return errorReply(`NOPERM this user has no permissions to run the '${name}' command`);
}

/** Parameters of a server that are passwords: of those ringmux gives to the servers, perhaps. */
const SECRETS = [
  ...["requirepass", "masterauth", "masteruser", "tls-key-file-pass"],
  "tls-client-key-file-pass",
];
const SECRET_DENIED = errorReply(
  "NOPERM the servers' passwords are not shown to users of this proxy; name other parameters",
);

/** CONFIG GET pattern ...: whether one of them may stand for a password. */
function asksForSecret(scan: Scan, buf: Uint8Array, start: number): boolean {
  for (let i = 2; i < scan.nargs; i++) {
    const pattern = argument(scan, buf, start, i).toLowerCase();
    const plain = pattern.split(/[*?[\\]/, 1)[0];
    const isGlob = plain.length < pattern.length;
    if (SECRETS.some((name) => isGlob ? name.startsWith(plain) : name === pattern)) return true;
  }
  return false;
}

/** What else is needed to judge a request. */
interface Learned {
  /** Whether a command that is in no table changes nothing. */
  isReadOnly(name: string): boolean;
}

/** The answer to a request that `user` may not make; null if it may. */
export function denied(
  scan: Scan,
  buf: Uint8Array,
  start: number,
  user: User,
  learned: Learned,
): Uint8Array | null {
  const { action, verb } = scan;
  if (action === REFUSE || action === NOTHING || action === QUIT) return null;
  if (!user.readOnly && user.prefixes.length === 0) {
    return verb === CONFIG_GET && asksForSecret(scan, buf, start) ? SECRET_DENIED : null;
  }
  if (verb === ASKED) return deniedModule(scan, buf, start, user, learned);
  const rights = RIGHTS[verb];
  const no = (): Uint8Array => denials[verb] ??= commandDenied(COMMANDS[verb].name);
  if (user.readOnly && (rights & READS) === 0) return no();
  // What it opens is for administrators, also where it has a key.
  if (verb === DEBUG) return no();
  if (user.prefixes.length === 0) return null;
  if ((rights & SCRIPT) !== 0 && !user.scripts) return no();
  if ((rights & CHANNEL) !== 0) {
    return allWithin(scan, buf, start, user, 1, 2) ? null : CHANNEL_DENIED;
  }
  if ((rights & CHANNELS) !== 0) {
    return allWithin(scan, buf, start, user, 1, scan.nargs) ? null : CHANNEL_DENIED;
  }
  if ((rights & PATTERNS) !== 0) {
    if (patternsWithin(scan, buf, start, user)) return null;
    return verb === KEYS ? KEY_DENIED : CHANNEL_DENIED;
  }
  if ((rights & SCANS) !== 0) return scanWithin(scan, buf, start, user) ? null : KEY_DENIED;
  if (!keysWithin(scan, buf, start, user)) {
    // Without any key it is a command for one, with a number of keys that is none.
    return isKeyed(scan) ? KEY_DENIED : (rights & KEYLESS) !== 0 ? null : no();
  }
  return (rights & SORTS) !== 0 ? deniedSort(scan, buf, start) : null;
}

/** Whether the user may be subscribed to a channel or pattern, whose name is a byte string. */
export function mayHear(user: User, kind: number, name: string): boolean {
  const bits = bytes(name);
  return kind === PATTERN
    ? isPatternWithin(user, bits, 0, bits.length)
    : isWithin(user, bits, 0, bits.length);
}

/** A command of a module goes by what its server said of it. */
function deniedModule(
  scan: Scan,
  buf: Uint8Array,
  start: number,
  user: User,
  learned: Learned,
): Uint8Array | null {
  const name = argument(scan, buf, start, 0).toLowerCase();
  if (name === "debug") return commandDenied(name);
  if (user.readOnly && !learned.isReadOnly(name)) return commandDenied(name);
  if (user.prefixes.length === 0) return null;
  if (!isKeyed(scan)) return commandDenied(name);
  return keysWithin(scan, buf, start, user) ? null : KEY_DENIED;
}

function isKeyed({ action, verb }: Scan): boolean {
  return action === FORWARD || action === SPLIT || action === TOGETHER ||
    (action === PIN && COMMANDS[verb].first + COMMANDS[verb].countAt > 0);
}

/** Whether there are keys, and every one of them is the user's. A script may have none. */
function keysWithin(
  scan: Scan,
  buf: Uint8Array,
  start: number,
  user: User,
): boolean {
  if (!isKeyed(scan)) return false;
  if (scan.action === FORWARD) {
    return isWithin(user, buf, start + scan.keyStart, start + scan.keyEnd);
  }
  if (scan.nkeys === 0) return scan.verb !== ASKED && (RIGHTS[scan.verb] & SCRIPT) !== 0;
  let all = true;
  for (let i = 0; i < scan.nkeys && all; i++) {
    select(scan, i);
    all = isWithin(user, buf, start + scan.keyStart, start + scan.keyEnd);
  }
  select(scan, 0);
  return all;
}

function allWithin(
  scan: Scan,
  buf: Uint8Array,
  start: number,
  user: User,
  from: number,
  to: number,
): boolean {
  const { args } = scan;
  for (let i = from; i < to; i++) {
    if (!isWithin(user, buf, start + args[2 * i], start + args[2 * i + 1])) return false;
  }
  return true;
}

function patternsWithin(scan: Scan, buf: Uint8Array, start: number, user: User): boolean {
  const { args, nargs } = scan;
  for (let i = 1; i < nargs; i++) {
    if (!isPatternWithin(user, buf, start + args[2 * i], start + args[2 * i + 1])) return false;
  }
  return true;
}

/** SCAN cursor [MATCH pattern] [COUNT n] [TYPE t]: with a pattern that shows the user's keys only. */
function scanWithin(scan: Scan, buf: Uint8Array, start: number, user: User): boolean {
  const { args, nargs } = scan;
  let found = false;
  for (let i = 2; i + 1 < nargs; i += 2) {
    if (!isWord(buf, start + args[2 * i], start + args[2 * i + 1], "match")) continue;
    const at = 2 * i + 2;
    if (!isPatternWithin(user, buf, start + args[at], start + args[at + 1])) return false;
    found = true;
  }
  return found;
}

/** sort.c sortCommandGeneric: BY and GET read keys that nobody checks; BY without a "*" reads none. */
function deniedSort(scan: Scan, buf: Uint8Array, start: number): Uint8Array | null {
  const { args, nargs } = scan;
  const is = (i: number, word: string) =>
    isWord(buf, start + args[2 * i], start + args[2 * i + 1], word);
  for (let i = 2; i + 1 < nargs; i++) {
    if (is(i, "limit")) i += 2;
    else if (is(i, "store")) i++;
    else if (is(i, "get")) return SORT_GET;
    else if (is(i, "by") && has(buf, start + args[2 * ++i], start + args[2 * i + 1], STAR)) {
      return SORT_BY;
    }
  }
  return null;
}

function has(buf: Uint8Array, start: number, end: number, byte: number): boolean {
  for (let i = start; i < end; i++) if (buf[i] === byte) return true;
  return false;
}

/** An argument, of which no more is taken than any word has that it is compared with. */
function argument({ args, nargs }: Scan, buf: Uint8Array, start: number, i: number): string {
  return i < nargs ? clipped(buf, start + args[2 * i], start + args[2 * i + 1], LONGEST_WORD) : "";
}

/** networking.c processMultibulkBuffer: the most arguments before authentication. */
const LOCKED_ARGS = 10;
const TOO_MANY = errorReply("ERR Protocol error: unauthenticated multibulk length");
const TOO_LONG = errorReply("ERR Protocol error: unauthenticated bulk length");

/** The same of an inline command, of which `have` bytes are there. */
export function lockedInlineLimit(
  scan: Scan,
  have: number,
  mostBytes: number,
): Uint8Array | null {
  if ((scan.length > 0 ? scan.length : have) > mostBytes) return BIG_INLINE;
  return scan.nargs > LOCKED_ARGS ? TOO_MANY : null;
}

/** What is wrong with the size of a request, whole or not, of a client that is not authenticated. */
export function lockedLimit(
  buf: Uint8Array,
  start: number,
  end: number,
  mostBytes: number,
): Uint8Array | null {
  let line = lineEnd(buf, start, end);
  if (line < 0) return null;
  const count = decimal(buf, start + 1, line, 0x7fffffff);
  if (count > LOCKED_ARGS) return TOO_MANY;
  let p = line + 2;
  for (let i = 0; i < count && p < end; i++) {
    line = lineEnd(buf, p, end);
    if (line < 0) return null;
    const length = decimal(buf, p + 1, line, 0x7fffffff);
    if (length > mostBytes) return TOO_LONG;
    p = line + 2 + length + 2;
  }
  return null;
}

function lineEnd(buf: Uint8Array, p: number, end: number): number {
  while (p < end && buf[p] !== 13) p++;
  return p < end ? p : -1;
}
