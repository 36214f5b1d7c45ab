// Commands that ringmux answers itself: what client libraries send when they connect, and what
// asks about the proxy. Texts are Redis 7.0's where Redis has them.

import { bytes, clipped, decimal, text } from "../../bytes.ts";
import { LOCKED_BULK } from "../access.ts";
import type { CodecOptions, Facts, Scan } from "../codec.ts";
import { ALOUD } from "../session.ts";
import { answerAsNode, keySlot } from "./as_node.ts";
import { auth, forget, helloLocked, OK, userName } from "./auth.ts";
import { CHANNEL, SHARD } from "../publishing.ts";
import { client, setName } from "./client_command.ts";
import { COMMANDS } from "./commands.ts";
import { LONGEST_TOPIC } from "./parse.ts";
import { errorReply, NOT_INTEGER, quoted, wrongArity } from "./errors.ts";
import type { RedisSession } from "./session.ts";
import { retrack, setTracking } from "./tracking.ts";
import { AROUND, array, bulk, bulkOf, Room, verbatim } from "./values.ts";

/** What the names of CLIENT's subcommands begin with in the table. */
const CLIENT = "client|";
const CLUSTER = "cluster|";
const PONG = bytes("+PONG\r\n");
const RESET = bytes("+RESET\r\n");
const ROLE = bytes("*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n");
const NOT_A_VERSION = errorReply("ERR Protocol version is not an integer or out of range");
const DB_RANGE = errorReply("ERR DB index is out of range");
const NO_PROTO = errorReply("NOPROTO unsupported protocol version");

/** Arguments of a request as byte strings, of each no more than LONGEST. */
type Args = readonly string[];

/** One more than the longest password and the longest name may have. */
const LONGEST = LOCKED_BULK + 1;

export function answer(
  scan: Scan,
  buf: Uint8Array,
  start: number,
  session: RedisSession,
  options: CodecOptions,
  facts: Facts,
): Uint8Array {
  const { name } = COMMANDS[scan.verb];
  switch (name) {
    case "ping":
      if (scan.nargs > 2) return wrongArity("ping");
      return scan.nargs === 2 ? said(scan, buf, start) : PONG;
    case "echo":
      return said(scan, buf, start);
    case "cluster|keyslot":
      return keySlot(scan, buf, start);
    case "pubsub|numsub":
      return ownSubscribers(CHANNEL, scan, buf, start, facts);
    case "pubsub|shardnumsub":
      return ownSubscribers(SHARD, scan, buf, start, facts);
  }
  const args: string[] = [];
  for (let i = 0; i < scan.nargs; i++) {
    const [from, to] = [start + scan.args[2 * i], start + scan.args[2 * i + 1]];
    args.push(clipped(buf, from, to, LONGEST));
  }
  if (name.startsWith(CLIENT)) {
    return client(name.slice(CLIENT.length), args, session, facts, usersOf(options));
  }
  if (name.startsWith(CLUSTER)) {
    return answerAsNode(name.slice(CLUSTER.length), args, session, options, facts);
  }
  switch (name) {
    case "auth":
      return retracked(auth(args, session, options), session);
    case "select":
      return select(args, session, options);
    case "hello":
      return retracked(hello(args, session, options), session);
    case "info":
      return verbatim(info(args, options, facts), session);
    case "time": {
      const now = facts.wallClock();
      return array([String(Math.floor(now / 1000)), String((now % 1000) * 1000)]);
    }
    case "acl|whoami":
      return bulk(userName(session));
    case "acl|users":
      return array(usersOf(options));
    case "lolwut":
      return verbatim(`${ART}ringmux ver. ${facts.version}\n`, session);
    case "role":
      return ROLE;
    case "reset":
      session.name = "";
      session.silence = ALOUD;
      session.resp = 2;
      session.db = options.db;
      forget(session, options);
      setTracking(session, null);
      return RESET;
    default: // quit, readonly, readwrite, asking
      return OK;
  }
}

/** The answer of what may change who the client is, or how it speaks. */
function retracked(reply: Uint8Array, session: RedisSession): Uint8Array {
  retrack(session);
  return reply;
}

function usersOf(options: CodecOptions): string[] {
  return options.users?.names().sort() ?? ["default"];
}

/** What is to be added to the servers' numbers of subscribers: pairs of name and number. */
function ownSubscribers(
  kind: number,
  { args, nargs }: Scan,
  buf: Uint8Array,
  start: number,
  facts: Facts,
): Uint8Array {
  const first = 2;
  const most = args[2 * nargs - 1] - args[2 * first - 1] + 64 + (2 * AROUND) * nargs;
  const room = new Room(most);
  room.ascii(`*${2 * (nargs - first)}\r\n`);
  for (let i = first; i < nargs; i++) {
    const [from, to] = [start + args[2 * i], start + args[2 * i + 1]];
    room.bulk(buf, from, to);
    // Nobody listens to what is longer than a name can be.
    const hidden = to - from > LONGEST_TOPIC ? 0 : facts.hidden(kind, text(buf, from, to));
    room.ascii(`:${hidden}\r\n`);
  }
  return room.done();
}

/** The argument of PING and ECHO. */
function said({ args }: Scan, buf: Uint8Array, start: number): Uint8Array {
  return bulkOf(buf, start + args[2], start + args[3]);
}

const ART = `
        o---o
     o'       'o      one ring,
    o     *     o     many keys
     o.       .o
        o---o

`;

/** Longer than any number of a database. */
const LONGEST_NUMBER = 20;
/** Highest database number taken: each in use costs connections to every server. */
const MAX_DB = 63;

/** cluster.c's words (db.c selectCommand). */
const NO_DATABASES = errorReply("ERR SELECT is not allowed in cluster mode");

function select(args: Args, session: RedisSession, options: CodecOptions): Uint8Array {
  const db = bytes(args[1].slice(0, LONGEST_NUMBER));
  const n = decimal(db, 0, db.length, 0x7fffffff);
  if (n < 0) return NOT_INTEGER;
  if (n > 0 && options.clustered) return NO_DATABASES;
  if (n > MAX_DB) return DB_RANGE;
  // 0 is what every client selects by default: it means the pool's own database.
  session.db = n === 0 ? options.db : n;
  return OK;
}

/** HELLO [2|3 [AUTH user password] [SETNAME name]]. */
function hello(args: Args, session: RedisSession, options: CodecOptions): Uint8Array {
  if (args.length > 1 && args[1] !== "2" && args[1] !== "3") {
    return /^-?[0-9]+$/.test(args[1]) ? NO_PROTO : NOT_A_VERSION;
  }
  for (let i = 2; i < args.length;) {
    const word = args[i].toLowerCase();
    if (word === "auth" && i + 2 < args.length) {
      const reply = auth(["auth", args[i + 1], args[i + 2]], session, options);
      if (reply !== OK) return reply;
      i += 3;
    } else if (word === "setname" && i + 1 < args.length) {
      const reply = setName(args[i + 1], session);
      if (reply !== OK) return reply;
      i += 2;
    } else {
      return errorReply(`ERR Syntax error in HELLO option '${quoted(args[i])}'`);
    }
  }
  if (session.locked) return helloLocked(options);
  if (args.length > 1) session.resp = Number(args[1]);
  session.isKnown = true;
  const b = (v: string) => `$${v.length}\r\n${v}\r\n`;
  return bytes(
    `${session.resp === 3 ? "%7" : "*14"}\r\n${b("server")}${b("redis")}${b("version")}${
      b(REDIS_VERSION)
    }${b("proto")}:${session.resp}\r\n` +
      `${b("id")}:${session.id}\r\n${b("mode")}${b(modeOf(options))}${b("role")}${b("master")}` +
      `${b("modules")}*0\r\n`,
  );
}

function modeOf({ asNode }: CodecOptions): string {
  return asNode === undefined ? "standalone" : "cluster";
}

/** The Redis whose commands ringmux speaks; clients look at it to decide what they may send. */
export const REDIS_VERSION = "7.0.15";

/** INFO [section ...]: the proxy's own figures, in Redis's shape. */
function info(args: Args, options: CodecOptions, facts: Facts): string {
  const wanted = args.slice(1).map((a) => a.toLowerCase());
  const all = wanted.length === 0 ||
    wanted.some((w) => w === "all" || w === "default" || w === "everything");
  const sections: [string, [string, number | string][]][] = [
    ["Server", [
      ["redis_version", REDIS_VERSION],
      ["redis_mode", modeOf(options)],
      ["ringmux_version", facts.version],
      ["ringmux_runtime", facts.runtime],
      ["ringmux_pool", facts.pool],
      ["tcp_port", facts.port()],
      ["uptime_in_seconds", facts.uptime()],
      ["uptime_in_days", Math.floor(facts.uptime() / 86400)],
    ]],
    ...facts.counters(),
  ];
  // Clients (ioredis) read `loading:0` to know that the server is ready.
  sections.push(["Persistence", [["loading", 0]]]);
  sections.push(["Replication", [["role", "master"], ["connected_slaves", 0]]]);
  if (options.asNode !== undefined) sections.push(["Cluster", [["cluster_enabled", 1]]]);
  let out = "";
  for (const [title, fields] of sections) {
    if (!all && !wanted.includes(title.toLowerCase())) continue;
    if (out !== "") out += "\r\n";
    out += `# ${title}\r\n`;
    for (const [name, value] of fields) out += `${name}:${value}\r\n`;
  }
  return out;
}
