// Client-side caching: CLIENT TRACKING, CACHING, GETREDIR and TRACKINGINFO, in the words of Redis 7.0
// (networking.c, tracking.c). A client that asks for it has links of its own, whose greeting says the
// same to the servers; so a link that is made again tracks again.

import { bytes } from "../../bytes.ts";
import { isWithin } from "../access.ts";
import { ASKED, type Caching } from "../codec.ts";
import { OK } from "./auth.ts";
import { COMMANDS } from "./commands.ts";
import { errorReply, quoted, SYNTAX_ERROR } from "./errors.ts";
import type { RedisSession, Tracking } from "./session.ts";

/** `RedisSession.nextCached`: what CLIENT CACHING has said of the next command. */
export const UNSAID = 0;
export const CACHED = 1;
export const NOT_CACHED = 2;

/** Most bytes of one client's prefixes: they are kept, and sent with every new link. */
const MOST_PREFIX_BYTES = 65536;

const error = (text: string): Uint8Array => errorReply(`ERR ${text}`);
const NO_RESP3 = error(
  "CLIENT TRACKING needs RESP3 (HELLO 3) with ringmux: invalidations come as pushes",
);
const NO_REDIRECT = error(
  "CLIENT TRACKING with REDIRECT is not supported by ringmux: use RESP3 (HELLO 3) without it",
);
const LONG_PREFIXES = error("CLIENT TRACKING takes at most 65536 bytes of prefixes with ringmux");
const FOREIGN = errorReply(
  "NOPERM CLIENT TRACKING BCAST of this user needs a PREFIX, each of them within the user's own",
);
const NO_CACHING = error(
  "CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode enabled",
);
const switching = (what: string): Uint8Array =>
  error(
    `You can't switch ${what} before disabling tracking for this client, and then re-enabling it with a different mode.`,
  );

const request = (words: readonly string[]): string =>
  `*${words.length}\r\n${words.map((word) => `$${word.length}\r\n${word}\r\n`).join("")}`;

/** CLIENT TRACKING ON|OFF [...]; `args` are byte strings. */
export function track(args: readonly string[], session: RedisSession): Uint8Array {
  const wanted = { broadcast: false, optIn: false, optOut: false, noLoop: false };
  const prefixes: string[] = [];
  let redirects = false;
  for (let i = 3; i < args.length; i++) {
    const word = args[i].toLowerCase();
    const isLast = i + 1 === args.length;
    if (word === "redirect" && !isLast) {
      redirects = Number(args[++i]) !== 0;
    } else if (word === "bcast") wanted.broadcast = true;
    else if (word === "optin") wanted.optIn = true;
    else if (word === "optout") wanted.optOut = true;
    else if (word === "noloop") wanted.noLoop = true;
    else if (word === "prefix" && !isLast) prefixes.push(args[++i]);
    else return SYNTAX_ERROR;
  }
  const how = args[2].toLowerCase();
  if (how === "off") {
    setTracking(session, null);
    return OK;
  }
  if (how !== "on") return SYNTAX_ERROR;
  const before = session.tracking;
  const all = [...before?.prefixes ?? [], ...prefixes];
  const fault = incompatible({ ...wanted, prefixes }, before) ?? overlapping(prefixes, before);
  if (fault !== null) return fault;
  if (redirects) return NO_REDIRECT;
  if (session.resp !== 3) return NO_RESP3;
  if (all.reduce((sum, prefix) => sum + prefix.length, 0) > MOST_PREFIX_BYTES) return LONG_PREFIXES;
  const tracking = { ...wanted, prefixes: all };
  if (!mayTrack(tracking, session)) return FOREIGN;
  setTracking(session, tracking);
  return OK;
}

/** Who has a part of the keys hears of no other ones. */
function mayTrack({ broadcast, prefixes }: Tracking, { user }: RedisSession): boolean {
  if (!broadcast || user === null || user.prefixes.length === 0) return true;
  return prefixes.length > 0 && prefixes.every((prefix) => {
    const bits = bytes(prefix);
    return isWithin(user, bits, 0, bits.length);
  });
}

function incompatible(wanted: Tracking, before: Tracking | null): Uint8Array | null {
  const { broadcast, optIn, optOut, prefixes } = wanted;
  if (!broadcast && prefixes.length > 0) {
    return error("PREFIX option requires BCAST mode to be enabled");
  }
  if (before !== null && before.broadcast !== broadcast) return switching("BCAST mode on/off");
  if (broadcast && (optIn || optOut)) {
    return error("OPTIN and OPTOUT are not compatible with BCAST");
  }
  if (optIn && optOut) return error("You can't specify both OPTIN mode and OPTOUT mode");
  if (before !== null && ((optIn && before.optOut) || (optOut && before.optIn))) {
    return switching("OPTIN/OPTOUT mode");
  }
  return null;
}

function overlapping(prefixes: readonly string[], before: Tracking | null): Uint8Array | null {
  const overlap = (one: string, other: string) => one.startsWith(other) || other.startsWith(one);
  const end = "Prefixes for a single client must not overlap.";
  for (const [i, prefix] of prefixes.entries()) {
    const old = before?.prefixes.find((other) => overlap(other, prefix));
    if (old !== undefined) {
      return error(
        `Prefix '${quoted(prefix)}' overlaps with an existing prefix '${quoted(old)}'. ${end}`,
      );
    }
    const other = prefixes.slice(i + 1).find((one) => overlap(one, prefix));
    if (other !== undefined) {
      return error(
        `Prefix '${quoted(prefix)}' overlaps with another provided prefix '${
          quoted(other)
        }'. ${end}`,
      );
    }
  }
  return null;
}

export function setTracking(session: RedisSession, tracking: Tracking | null): void {
  session.trackedBefore = session.tracking;
  session.tracking = tracking;
  session.ownLinks = tracking !== null;
  session.nextCached = UNSAID;
}

/** The session's rights or RESP version may be others now: it goes on as far as it may. */
export function retrack(session: RedisSession): void {
  const { tracking } = session;
  if (tracking === null) return;
  if (session.resp !== 3 || session.locked || !mayTrack(tracking, session)) {
    setTracking(session, null);
  }
}

/** CLIENT CACHING YES|NO. */
export function cacheNext(how: string, session: RedisSession): Uint8Array {
  const { tracking } = session;
  if (tracking === null) return NO_CACHING;
  if (how === "yes") {
    if (!tracking.optIn) {
      return error("CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode.");
    }
    session.nextCached = CACHED;
  } else if (how === "no") {
    if (!tracking.optOut) {
      return error("CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode.");
    }
    session.nextCached = NOT_CACHED;
  } else return SYNTAX_ERROR;
  return OK;
}

export function redirection({ tracking }: RedisSession): Uint8Array {
  return bytes(tracking === null ? ":-1\r\n" : ":0\r\n");
}

export function trackingInfo({ tracking, resp, nextCached }: RedisSession): Uint8Array {
  const flags = tracking === null ? ["off"] : [
    "on",
    ...(tracking.broadcast ? ["bcast"] : []),
    ...(tracking.optIn ? ["optin", ...(nextCached === CACHED ? ["caching-yes"] : [])] : []),
    ...(tracking.optOut ? ["optout", ...(nextCached === NOT_CACHED ? ["caching-no"] : [])] : []),
    ...(tracking.noLoop ? ["noloop"] : []),
  ];
  const bulk = (word: string) => `$${word.length}\r\n${word}\r\n`;
  const [map, set] = resp === 3 ? ["%3", "~"] : ["*6", "*"];
  const prefixes = [...tracking?.prefixes ?? []].sort();
  return bytes(
    `${map}\r\n${bulk("flags")}${set}${flags.length}\r\n${flags.map(bulk).join("")}` +
      `${bulk("redirect")}:${tracking === null ? -1 : 0}\r\n` +
      `${bulk("prefixes")}*${prefixes.length}\r\n${prefixes.map(bulk).join("")}`,
  );
}

/** What sets the links of a client that tracks apart; "" for others. */
export function ownLane({ tracking, id }: RedisSession): string {
  return tracking === null ? "" : ` ${id} ${JSON.stringify(tracking)}`;
}

/** What its links say after all else; null for others. */
export function trackingRequest({ tracking }: RedisSession): string | null {
  if (tracking === null) return null;
  const { broadcast, optIn, optOut, noLoop, prefixes } = tracking;
  return request([
    ...["CLIENT", "TRACKING", "ON"],
    ...(broadcast ? ["BCAST"] : []),
    ...(optIn ? ["OPTIN"] : []),
    ...(optOut ? ["OPTOUT"] : []),
    ...(noLoop ? ["NOLOOP"] : []),
    ...prefixes.flatMap((prefix) => ["PREFIX", prefix]),
  ]);
}

const CACHE_NEXT = bytes(request(["CLIENT", "CACHING", "YES"]));
const DO_NOT = bytes(request(["CLIENT", "CACHING", "NO"]));

export const CACHING: Omit<Caching, "near"> = {
  forgetAll: bytes(">2\r\n$10\r\ninvalidate\r\n_\r\n"),
  // Changes nothing and says OK.
  confirm: bytes(request(["CLIENT", "REPLY", "ON"])),
  isUnsaid: ({ nextCached }: RedisSession) => nextCached === UNSAID,
  takeSaid(session: RedisSession) {
    const said = session.nextCached === CACHED ? CACHE_NEXT : DO_NOT;
    session.nextCached = UNSAID;
    return said;
  },
  // networking.c resetClient
  passesOver: ({ verb }) => verb !== ASKED && COMMANDS[verb].name.startsWith("client|"),
};
