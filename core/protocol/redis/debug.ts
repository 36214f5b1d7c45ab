// DEBUG, for pools whose configuration opens it (commands.allow): where each form goes.
// The forms are those of debug.c of Redis 7.0 to 8.

import { clipped } from "../../bytes.ts";
import { ALL, ANY, ASKED, FORWARD, REFUSE, type Scan, TOGETHER } from "../codec.ts";
import { errorReply } from "./errors.ts";

/** Characters of a form that are looked at: no form is longer. */
const LONGEST = 64;

const words = (list: string): ReadonlySet<string> => new Set(list.split(" "));

/** The argument behind is a key. */
const KEYED = words("object sdslen listpack ziplist quicklist htstats-key");
/** Settings and deeds that concern a whole server: all of them get it. */
const EVERYWHERE = words(
  "sleep jmap reload loadaof log set-active-expire quicklist-packed-threshold " +
    "set-disable-deny-scripts aof-flush-sleep change-repl-id dict-resizing pause-cron",
);
/** The same on every server. */
const ANYWHERE = words("help structsize stringmatch-len");
const CRASH = "it would take servers down: connect to the server directly";
const ONE = "it tells about one server: connect to that server directly";
/** Why some are refused even where there is one server. */
const NEVER: Record<string, string> = {
  protocol: "its replies are not those of one request",
  error: "its reply would count as a failure of the server",
};
/** Why other forms are refused where there are several. */
const REASONS: Record<string, string> = {
  ...{ segfault: CRASH, panic: CRASH, assert: CRASH, oom: CRASH, restart: CRASH, leak: CRASH },
  "crash-and-recover": CRASH,
  populate: "it would make keys on servers that do not own them",
  ...NEVER,
  digest: "the digests of servers do not add up; use DEBUG DIGEST-VALUE key",
  htstats: ONE,
};

/** Says where a DEBUG request that may be made goes; `isOne`: the pool has one server. */
export function routeDebug(scan: Scan, buf: Uint8Array, start: number, isOne: boolean): void {
  const { args, nargs } = scan;
  const sub = clipped(buf, start + args[2], start + args[3], LONGEST).toLowerCase();
  if (isOne && !Object.hasOwn(NEVER, sub)) scan.action = ANY;
  else if (sub === "digest-value" && nargs > 2) {
    // Keys that no row of the table tells of: as with a command that was learned.
    scan.verb = ASKED;
    scan.action = nargs === 3 ? FORWARD : TOGETHER;
    scan.first = 2;
    scan.step = 1;
    scan.nkeys = nargs - 2;
  } else if (KEYED.has(sub) && nargs > 2) scan.action = FORWARD;
  else if (EVERYWHERE.has(sub)) scan.action = ALL;
  // With too few arguments a server has the words for it.
  else if (ANYWHERE.has(sub) || KEYED.has(sub) || sub === "digest-value") scan.action = ANY;
  else {
    const why = Object.hasOwn(REASONS, sub) ? REASONS[sub] : "ringmux does not know where it goes";
    scan.action = REFUSE;
    scan.error = errorReply(`ERR 'debug ${sub}' is not supported by ringmux: ${why}`);
  }
  if (scan.action === FORWARD) {
    scan.keyStart = args[4];
    scan.keyEnd = args[5];
  }
}
