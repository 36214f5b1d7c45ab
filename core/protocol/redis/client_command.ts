// CLIENT: what a client may say and ask of its own connection, and of the other clients of the
// pool (LIST, KILL). Texts are Redis 7.0's (networking.c) where Redis has them.

import { bytes, decimal } from "../../bytes.ts";
import { ALOUD, type Facts, type Peer, type Session, SILENT, SILENT_ONCE } from "../session.ts";
import { OK, userName } from "./auth.ts";
import { errorReply, NOT_INTEGER, quoted, SYNTAX_ERROR, wrongArity } from "./errors.ts";
import type { RedisSession } from "./session.ts";
import { cacheNext, redirection, track, trackingInfo } from "./tracking.ts";
import { bulk, verbatim } from "./values.ts";

/** Arguments of a request as byte strings. */
type Args = readonly string[];

const NIL = bytes("$-1\r\n");
const NULL = bytes("_\r\n");

/** An array of simple strings. */
function lines(values: readonly string[]): Uint8Array {
  return bytes(`*${values.length}\r\n${values.map((v) => `+${v}\r\n`).join("")}`);
}

/** What `CLIENT HELP` lists, in Redis's form. */
const HELP = lines([
  "CLIENT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
  ...["CAPA <option> [options...]", "    Accepted, without effect."],
  ...["GETNAME", "    Return the name of the current connection."],
  ...[
    "CACHING (YES|NO)",
    "    Enable/disable tracking of the keys for next command in OPTIN/OPTOUT modes.",
  ],
  ...["GETREDIR", "    Return 0 if client-side caching is on, else -1."],
  ...["ID", "    Return the ID of the current connection."],
  ...["INFO", "    Return information about the current client connection."],
  ...["KILL <ip:port>", "    Kill connection made from <ip:port>."],
  "KILL <option> <value> [<option> <value> [...]]",
  ...["    Kill connections of this pool. Options are:"],
  ...["    * ADDR (<ip:port>|<unixsocket>:0)", "      Kill connections made from the address."],
  ...["    * LADDR (<ip:port>|<unixsocket>:0)", "      Kill connections made to the address."],
  ...["    * TYPE (NORMAL|MASTER|REPLICA|PUBSUB)", "      Kill connections by type."],
  ...["    * USER <username>", "      Kill connections authenticated by <username>."],
  ...["    * SKIPME (YES|NO)", "      Skip killing current connection (default: yes)."],
  ...["    * ID <client-id>", "      Kill connections by client id."],
  ...["    * MAXAGE <maxage>", "      Kill connections older than the specified age."],
  ...["LIST [options ...]", "    Return information about the clients of this pool. Options:"],
  ...["    * TYPE (NORMAL|MASTER|REPLICA|PUBSUB)", "      Return clients of specified type."],
  ...["    * ID <client-id> [<client-id> ...]", "      Return clients of specified IDs."],
  ...["NO-EVICT (ON|OFF)", "    Accepted, without effect."],
  ...["NO-TOUCH (ON|OFF)", "    Accepted, without effect."],
  ...[
    "PAUSE <timeout> [WRITE|ALL]",
    "    Suspend all, or just write, clients of this pool for <timeout> milliseconds.",
  ],
  ...["REPLY (ON|OFF|SKIP)", "    Control the replies sent to the current connection."],
  ...["SETINFO <lib-name|lib-ver> <value>", "    Set what CLIENT LIST shows of the library."],
  ...["SETNAME <name>", "    Assign the name <name> to the current connection."],
  ...[
    "TRACKING (ON|OFF) [BCAST] [PREFIX <prefix> [PREFIX <prefix> ...]]",
    "         [OPTIN] [OPTOUT] [NOLOOP]",
    "    Control server assisted client side caching (RESP3, without REDIRECT).",
  ],
  ...["TRACKINGINFO", "    Report tracking status for the current connection."],
  ...["UNBLOCK <clientid> [TIMEOUT|ERROR]", "    Unblock the specified blocked client."],
  ...["UNPAUSE", "    Stop the current client pause, resuming traffic."],
  ...["HELP", "    Print this help."],
]);

/** Answers CLIENT `sub`. */
export function client(
  sub: string,
  args: Args,
  session: RedisSession,
  facts: Facts,
  users: readonly string[],
): Uint8Array {
  switch (sub) {
    case "setname":
      return setName(args[2], session);
    case "getname":
      if (session.name !== "") return bulk(session.name);
      return session.resp === 3 ? NULL : NIL;
    case "id":
      session.isKnown = true;
      return bytes(`:${session.id}\r\n`);
    case "setinfo":
      return setInfo(args, session);
    case "info":
      return verbatim(ownLine(session, facts), session);
    case "list":
      return list(args, session, facts);
    case "kill":
      return kill(args, session, facts, users);
    case "no-evict":
    case "no-touch":
      return /^(on|off)$/i.test(args[2]) ? OK : SYNTAX_ERROR;
    case "reply":
      return reply(args[2].toLowerCase(), session);
    case "pause":
      return pause(args, facts);
    case "unpause":
      facts.pause(0, false);
      return OK;
    case "unblock":
      return unblock(args, session, facts);
    case "help":
      return HELP;
    case "getredir":
      return redirection(session);
    case "trackinginfo":
      return trackingInfo(session);
    case "caching":
      return cacheNext(args[2].toLowerCase(), session);
    case "tracking":
      return track(args, session);
    default: // capa: a server would redirect such a client, ringmux never does
      return OK;
  }
}

/** Longest name of a client, of its library and of that one's version: they are kept. */
const LONGEST_NAME = 1024;
const LONG_NAME = errorReply(
  "ERR Client names of more than 1024 bytes are not supported by ringmux",
);

/** Names end up in CLIENT LIST, whose lines and words they must not break. */
function isPlain(name: string): boolean {
  return /^[!-~]*$/.test(name);
}

export function setName(name: string, session: RedisSession): Uint8Array {
  if (name.length > LONGEST_NAME) return LONG_NAME;
  if (!isPlain(name)) {
    return errorReply("ERR Client names cannot contain spaces, newlines or special characters.");
  }
  session.name = name;
  return OK;
}

function setInfo(args: Args, session: RedisSession): Uint8Array {
  const what = args[2].toLowerCase();
  if (what !== "lib-name" && what !== "lib-ver") {
    return errorReply(`ERR Unrecognized option '${quoted(args[2])}'`);
  }
  if (args[3].length > LONGEST_NAME) return LONG_NAME;
  if (!isPlain(args[3])) {
    return errorReply(`ERR ${what} cannot contain spaces, newlines or special characters.`);
  }
  if (what === "lib-name") session.libName = args[3];
  else session.libVersion = args[3];
  return OK;
}

const NOTHING = new Uint8Array(0);

/** Who wants no replies gets none to this either. */
function reply(how: string, session: RedisSession): Uint8Array {
  if (how === "on") {
    session.silence = ALOUD;
    return OK;
  }
  if (how !== "off" && how !== "skip") return SYNTAX_ERROR;
  if (how === "off") session.silence = SILENT;
  else if (session.silence !== SILENT) session.silence = SILENT_ONCE;
  return NOTHING;
}

/** A whole number as Redis reads it; NaN if it is none, or out of the range of 64 bits. */
function integer(word: string): number {
  if (!/^(0|-?[1-9]\d{0,18})$/.test(word)) return NaN;
  const n = BigInt(word);
  return BigInt.asIntN(64, n) === n ? Number(n) : NaN;
}

/** CLIENT PAUSE ms [WRITE|ALL]. */
function pause(args: Args, facts: Facts): Uint8Array {
  if (args.length > 4) return wrongArity("client|pause");
  const mode = args[3]?.toLowerCase() ?? "all";
  if (mode !== "write" && mode !== "all") {
    return errorReply("ERR CLIENT PAUSE mode must be WRITE or ALL");
  }
  const ms = integer(args[2]);
  if (Number.isNaN(ms)) return errorReply("ERR timeout is not an integer or out of range");
  if (ms < 0) return errorReply("ERR timeout is negative");
  facts.pause(ms, mode === "write");
  return OK;
}

/** CLIENT UNBLOCK id [TIMEOUT|ERROR]. */
function unblock(args: Args, session: RedisSession, facts: Facts): Uint8Array {
  if (args.length > 4) return wrongArity("client|unblock");
  const how = args[3]?.toLowerCase() ?? "timeout";
  if (how !== "timeout" && how !== "error") {
    return errorReply("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR");
  }
  const id = integer(args[2]);
  if (Number.isNaN(id)) return NOT_INTEGER;
  for (const peer of visible(session, facts)) {
    if (peer.session.id === id) return bytes(`:${peer.unblock(how === "error") ? 1 : 0}\r\n`);
  }
  return bytes(":0\r\n");
}

const TYPES: Record<string, string> = {
  ...{ normal: "normal", slave: "replica", replica: "replica", pubsub: "pubsub", master: "master" },
};

/** The type by its name; "" when there is none of that name. */
function typeOf(name: string): string {
  const word = name.toLowerCase();
  return Object.hasOwn(TYPES, word) ? TYPES[word] : "";
}

/** What a client is: servers and replicas are not among the clients of a proxy. */
function isOfType({ session }: Peer, type: string): boolean {
  return type === (isListening(session) ? "pubsub" : "normal");
}

function isListening({ subscribed }: Session): boolean {
  return (subscribed ?? []).some((n) => n > 0);
}

const unknownType = (name: string) => errorReply(`ERR Unknown client type '${quoted(name)}'`);

/** Who has a part of the keys sees a part of the clients: those of the same user. */
function* visible(session: RedisSession, facts: Facts): Iterable<Peer> {
  const own = (session.user?.prefixes.length ?? 0) > 0;
  for (const peer of facts.peers()) if (!own || peer.session.user === session.user) yield peer;
}

function list(args: Args, session: RedisSession, facts: Facts): Uint8Array {
  const how = args[2]?.toLowerCase() ?? "";
  let peers = [...visible(session, facts)];
  if (args.length === 4 && how === "type") {
    const type = typeOf(args[3]);
    if (type === "") return unknownType(args[3]);
    peers = peers.filter((peer) => isOfType(peer, type));
  } else if (args.length > 3 && how === "id") {
    const ids = args.slice(3);
    if (!ids.every((id) => /^(0|-?[1-9]\d{0,18})$/.test(id))) {
      return errorReply("ERR Invalid client ID");
    }
    const byId = new Map(peers.map((peer) => [String(peer.session.id), peer]));
    peers = ids.flatMap((id) => byId.get(id) ?? []);
  } else if (args.length !== 2) {
    return SYNTAX_ERROR;
  }
  return verbatim(peers.map((peer) => `${clientLine(peer, facts)}\n`).join(""), session);
}

/** Which clients CLIENT KILL is to end; "" and -1 stand for any. */
interface Marked {
  id: number;
  addr: string;
  laddr: string;
  type: string;
  user: string | null;
  skipMe: boolean;
  /** Milliseconds that it is old, at least. */
  age: number;
}

function kill(
  args: Args,
  session: RedisSession,
  facts: Facts,
  users: readonly string[],
): Uint8Array {
  const old = args.length === 3;
  const marked: Marked = {
    id: -1,
    addr: "",
    laddr: "",
    type: "",
    user: null,
    skipMe: !old,
    age: 0,
  };
  if (old) marked.addr = args[2];
  for (let i = 2; !old && i < args.length; i += 2) {
    const error = i + 1 < args.length
      ? readMark(args[i], args[i + 1], marked, users)
      : SYNTAX_ERROR;
    if (error !== null) return error;
  }
  let killed = 0;
  // Restricted users are kept from this by rights.ts.
  for (const peer of facts.peers()) {
    const asks = peer.session === session;
    if (!isMarked(peer, marked, facts) || (asks && marked.skipMe)) continue;
    peer.kill(asks);
    killed++;
  }
  if (!old) return bytes(`:${killed}\r\n`);
  return killed > 0 ? OK : errorReply("ERR No such client");
}

function isMarked(peer: Peer, marked: Marked, facts: Facts): boolean {
  const { session } = peer;
  return (marked.addr === "" || addressOf(session, facts) === marked.addr) &&
    (marked.laddr === "" || localAddress(facts) === marked.laddr) &&
    (marked.type === "" || isOfType(peer, marked.type)) &&
    (marked.id < 0 || session.id === marked.id) &&
    facts.wallClock() - session.since >= marked.age &&
    (marked.user === null || userName(session) === marked.user);
}

/** Reads one pair of CLIENT KILL's options; the error if it is wrong. */
function readMark(
  option: string,
  value: string,
  marked: Marked,
  users: readonly string[],
): Uint8Array | null {
  switch (option.toLowerCase()) {
    case "id": {
      const digits = bytes(value);
      marked.id = decimal(digits, 0, digits.length, Number.MAX_SAFE_INTEGER);
      return marked.id > 0 ? null : errorReply("ERR client-id should be greater than 0");
    }
    case "type":
      marked.type = typeOf(value);
      return marked.type === "" ? unknownType(value) : null;
    case "addr":
      marked.addr = value;
      return null;
    case "laddr":
      marked.laddr = value;
      return null;
    case "user":
      marked.user = value;
      return users.includes(value) ? null : errorReply(`ERR No such user '${quoted(value)}'`);
    case "maxage": { // since Redis 7.4; in seconds
      marked.age = 1000 * integer(value);
      if (marked.age > 0) return null;
      const isNumber = !Number.isNaN(marked.age);
      const fault = isNumber ? "should be greater than 0" : "is not an integer or out of range";
      return errorReply(`ERR maxage ${fault}`);
    }
    case "skipme":
      if (!/^(yes|no)$/i.test(value)) return SYNTAX_ERROR;
      marked.skipMe = value.toLowerCase() === "yes";
      return null;
    default:
      return SYNTAX_ERROR;
  }
}

/** Clients of a unix socket have its path for an address, as in Redis. */
function addressOf({ remote }: Session, facts: Facts): string {
  return facts.listen().startsWith("/") ? localAddress(facts) : remote;
}

/** Where the pool listens: the address that a client has connected to, unless that is "any". */
function localAddress(facts: Facts): string {
  const listen = facts.listen();
  return listen.startsWith("/") ? `${listen.split(" ")[0]}:0` : listen;
}

function trackingFlags({ tracking }: RedisSession): string {
  return tracking === null ? "" : tracking.broadcast ? "tB" : "t";
}

function ownLine(session: RedisSession, facts: Facts): string {
  for (const peer of facts.peers()) {
    if (peer.session === session) return `${clientLine(peer, facts)}\n`;
  }
  return "";
}

function clientLine(peer: Peer, facts: Facts): string {
  const { queuedInMulti, isBlocked, isMonitoring, idle } = peer;
  // Clients of a pool speak its protocol.
  const session = peer.session as RedisSession;
  session.isKnown = true;
  const age = Math.max(0, Math.floor((facts.wallClock() - session.since) / 1000));
  const [sub, psub, ssub] = session.subscribed ?? [0, 0, 0];
  const flags = (isListening(session) ? "P" : "") + (queuedInMulti >= 0 ? "x" : "") +
    (isBlocked ? "b" : "") + (isMonitoring ? "O" : "") + trackingFlags(session);
  return `id=${session.id} addr=${addressOf(session, facts)} laddr=${localAddress(facts)} fd=-1 ` +
    `name=${session.name} age=${age} idle=${Math.max(0, Math.floor(idle / 1000))} ` +
    `flags=${flags || "N"} db=${session.db} sub=${sub} psub=${psub} ssub=${ssub} ` +
    `multi=${queuedInMulti} user=${userName(session)} resp=${session.resp} ` +
    `lib-name=${session.libName} lib-ver=${session.libVersion}`;
}
