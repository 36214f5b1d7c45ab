// Commands that ringmux answers itself: what client libraries send when they connect, and what
// asks about the proxy. Texts are Redis 7.0's where Redis has them.

import { bytes, decimal, isWord, text } from "../../bytes.ts";
import type { CodecOptions, Facts, Scan, Session } from "../codec.ts";
import { auth, forget, helloLocked, OK, userName } from "./auth.ts";
import { CHANNEL, SHARD } from "../publishing.ts";
import { COMMANDS, verbOf } from "./commands.ts";
import { errorReply, NOT_INTEGER, unknownSubcommand, wrongArity } from "./errors.ts";

const PONG = bytes("+PONG\r\n");
const NIL = bytes("$-1\r\n");
const NULL = bytes("_\r\n");
const RESET = bytes("+RESET\r\n");
const ROLE = bytes("*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n");
const NOT_A_VERSION = errorReply("ERR Protocol version is not an integer or out of range");
const DB_RANGE = errorReply("ERR DB index is out of range");
const NO_PROTO = errorReply("NOPROTO unsupported protocol version");

/** Arguments of a request as byte strings. */
type Args = readonly string[];

export function answer(
  scan: Scan,
  buf: Uint8Array,
  start: number,
  session: Session,
  options: CodecOptions,
  facts: Facts,
): Uint8Array {
  const args: string[] = [];
  for (let i = 0; i < scan.nargs; i++) {
    args.push(text(buf, start + scan.args[2 * i], start + scan.args[2 * i + 1]));
  }
  switch (COMMANDS[scan.verb].name) {
    case "ping":
      if (args.length > 2) return wrongArity("ping");
      return args.length === 2 ? bulk(args[1]) : PONG;
    case "echo":
      return bulk(args[1]);
    case "auth":
      return auth(args, session, options);
    case "select":
      return select(args, session, options);
    case "hello":
      return hello(args, session, options);
    case "client":
      return client(args, session, facts);
    case "info":
      return verbatim(info(args, facts), session);
    case "time": {
      const now = facts.wallClock();
      return array([String(Math.floor(now / 1000)), String((now % 1000) * 1000)]);
    }
    case "acl|whoami":
      return bulk(userName(session));
    case "acl|users":
      return array(options.users?.names().sort() ?? ["default"]);
    case "pubsub|numsub":
      return ownSubscribers(CHANNEL, args, facts);
    case "pubsub|shardnumsub":
      return ownSubscribers(SHARD, args, facts);
    case "lolwut":
      return verbatim(`${ART}ringmux ver. ${facts.version}\n`, session);
    case "role":
      return ROLE;
    case "reset":
      session.name = "";
      session.resp = 2;
      session.db = options.db;
      forget(session, options);
      return RESET;
    default: // quit, readonly, readwrite
      return OK;
  }
}

/** What is to be added to the servers' numbers of subscribers: pairs of name and number. */
function ownSubscribers(kind: number, args: Args, facts: Facts): Uint8Array {
  const pairs = args.slice(2).map((name) =>
    `$${name.length}\r\n${name}\r\n:${facts.hidden(kind, name)}\r\n`
  );
  return bytes(`*${2 * pairs.length}\r\n${pairs.join("")}`);
}

const ART = `
        o---o
     o'       'o      one ring,
    o     *     o     many keys
     o.       .o
        o---o

`;

function bulk(value: string): Uint8Array {
  return bytes(`$${value.length}\r\n${value}\r\n`);
}

/** Text for people: RESP3 has a type of its own for it. */
function verbatim(value: string, session: Session): Uint8Array {
  return session.resp === 3 ? bytes(`=${value.length + 4}\r\ntxt:${value}\r\n`) : bulk(value);
}

function array(values: readonly string[]): Uint8Array {
  return bytes(
    `*${values.length}\r\n` + values.map((v) => `$${v.length}\r\n${v}\r\n`).join(""),
  );
}

/** An array of simple strings. */
function lines(values: readonly string[]): Uint8Array {
  return bytes(`*${values.length}\r\n${values.map((v) => `+${v}\r\n`).join("")}`);
}

/** Highest database number taken: each in use costs connections to every server. */
const MAX_DB = 63;

function select(args: Args, session: Session, options: CodecOptions): Uint8Array {
  const db = bytes(args[1]);
  const n = decimal(db, 0, db.length, 0x7fffffff);
  if (n < 0) return NOT_INTEGER;
  if (n > MAX_DB) return DB_RANGE;
  // 0 is what every client selects by default: it means the pool's own database.
  session.db = n === 0 ? options.db : n;
  return OK;
}

/** HELLO [2|3 [AUTH user password] [SETNAME name]]. */
function hello(args: Args, session: Session, options: CodecOptions): Uint8Array {
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
      return errorReply(`ERR Syntax error in HELLO option '${args[i]}'`);
    }
  }
  if (session.locked) return helloLocked(options);
  if (args.length > 1) session.resp = Number(args[1]);
  const b = (v: string) => `$${v.length}\r\n${v}\r\n`;
  return bytes(
    `${session.resp === 3 ? "%7" : "*14"}\r\n${b("server")}${b("redis")}${b("version")}${
      b(REDIS_VERSION)
    }${b("proto")}:${session.resp}\r\n` +
      `${b("id")}:${session.id}\r\n${b("mode")}${b("standalone")}${b("role")}${b("master")}` +
      `${b("modules")}*0\r\n`,
  );
}

/** The Redis whose commands ringmux speaks; clients look at it to decide what they may send. */
export const REDIS_VERSION = "7.0.15";

function setName(name: string, session: Session): Uint8Array {
  for (let i = 0; i < name.length; i++) {
    const c = name.charCodeAt(i);
    if (c < 33 || c > 126) {
      return errorReply(
        "ERR Client names cannot contain spaces, newlines or special characters.",
      );
    }
  }
  session.name = name;
  return OK;
}

const CLIENT = verbOf("client");

/** Arities of CLIENT's subcommands as COMMAND reports them (setinfo, no-touch: Redis 7.2). */
const CLIENT_ARITY: Record<string, number> = {
  ...{ caching: 3, getname: 2, getredir: 2, help: 2, id: 2, info: 2, kill: -3, list: -2 },
  ...{ "no-evict": 3, "no-touch": 3, pause: -3, reply: 3, setinfo: 4, setname: 3, tracking: -3 },
  ...{ trackinginfo: 2, unblock: -3, unpause: 2 },
};

/** What `CLIENT HELP` lists, in Redis's form. */
const CLIENT_HELP = lines([
  "CLIENT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
  ...["GETNAME", "    Return the name of the current connection."],
  ...["ID", "    Return the ID of the current connection."],
  ...["INFO", "    Return information about the current client connection."],
  ...["LIST", "    Return information about the clients of this pool."],
  ...["NO-EVICT (ON|OFF)", "    Accepted, without effect."],
  ...["NO-TOUCH (ON|OFF)", "    Accepted, without effect."],
  ...["REPLY ON", "    Accepted; OFF and SKIP are not supported by ringmux."],
  ...["SETINFO <lib-name|lib-ver> <value>", "    Set what CLIENT LIST shows of the library."],
  ...["SETNAME <name>", "    Assign the name <name> to the current connection."],
  ...["HELP", "    Print this help."],
]);
const NOBODY = bytes(":-1\r\n");
/** Client-side caching is off. */
const TRACKING_OFF = "$8\r\nredirect\r\n:-1\r\n$8\r\nprefixes\r\n*0\r\n";
const NO_TRACKING = bytes(`*6\r\n$5\r\nflags\r\n*1\r\n$3\r\noff\r\n${TRACKING_OFF}`);
const NO_TRACKING_RESP3 = bytes(`%3\r\n$5\r\nflags\r\n~1\r\n$3\r\noff\r\n${TRACKING_OFF}`);

function client(args: Args, session: Session, facts: Facts): Uint8Array {
  const sub = args[1].toLowerCase();
  const arity = Object.hasOwn(CLIENT_ARITY, sub) ? CLIENT_ARITY[sub] : 0;
  if (arity === 0) {
    const name = bytes(args[1]);
    return unknownSubcommand(CLIENT, name, 0, name.length);
  }
  if (arity > 0 ? args.length !== arity : args.length < -arity) return wrongArity(`client|${sub}`);
  switch (sub) {
    case "setname":
      return setName(args[2], session);
    case "getname":
      if (session.name !== "") return bulk(session.name);
      return session.resp === 3 ? NULL : NIL;
    case "id":
      return bytes(`:${session.id}\r\n`);
    case "setinfo": {
      const what = bytes(args[2]);
      if (isWord(what, 0, what.length, "lib-name")) session.libName = args[3];
      else if (isWord(what, 0, what.length, "lib-ver")) session.libVersion = args[3];
      else return errorReply(`ERR Unrecognized option '${args[2]}'`);
      return OK;
    }
    case "info":
      return verbatim(`${clientLine(session, facts)}\n`, session);
    case "list": {
      let lines = "";
      // Who has a part of the keys sees a part of the clients: those of the same user.
      const own = (session.user?.prefixes.length ?? 0) > 0;
      for (const one of facts.sessions()) {
        if (!own || one.user === session.user) lines += `${clientLine(one, facts)}\n`;
      }
      return verbatim(lines, session);
    }
    case "no-evict":
    case "no-touch":
      return OK;
    case "reply":
      return args[2]?.toLowerCase() === "on"
        ? OK
        : errorReply("ERR CLIENT REPLY OFF and SKIP are not supported by ringmux");
    case "help":
      return CLIENT_HELP;
    case "getredir":
      return NOBODY;
    case "trackinginfo":
      return session.resp === 3 ? NO_TRACKING_RESP3 : NO_TRACKING;
    case "caching":
    case "tracking":
      if (sub === "tracking" && args[2].toLowerCase() === "off") return OK;
      return errorReply("ERR client-side caching (CLIENT TRACKING) is not supported by ringmux");
    default:
      return errorReply(
        `ERR CLIENT ${
          args[1].slice(0, 64)
        } is not supported by ringmux (SETNAME, GETNAME, ID, SETINFO, INFO and LIST are)`,
      );
  }
}

function clientLine(session: Session, facts: Facts): string {
  const age = Math.max(0, Math.floor((facts.wallClock() - session.since) / 1000));
  const [sub, psub, ssub] = session.subscribed ?? [0, 0, 0];
  return `id=${session.id} addr=${session.remote} laddr= fd=-1 name=${session.name} age=${age} ` +
    `idle=0 flags=${sub + psub + ssub > 0 ? "P" : "N"} db=${session.db} sub=${sub} psub=${psub} ` +
    `ssub=${ssub} multi=-1 ` +
    `user=${userName(session)} resp=${session.resp} ` +
    `lib-name=${session.libName} lib-ver=${session.libVersion}`;
}

/** INFO [section ...]: the proxy's own figures, in Redis's shape. */
function info(args: Args, facts: Facts): string {
  const wanted = args.slice(1).map((a) => a.toLowerCase());
  const all = wanted.length === 0 ||
    wanted.some((w) => w === "all" || w === "default" || w === "everything");
  const sections: [string, [string, number | string][]][] = [
    ["Server", [
      ["redis_version", REDIS_VERSION],
      ["redis_mode", "standalone"],
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
  let out = "";
  for (const [title, fields] of sections) {
    if (!all && !wanted.includes(title.toLowerCase())) continue;
    if (out !== "") out += "\r\n";
    out += `# ${title}\r\n`;
    for (const [name, value] of fields) out += `${name}:${value}\r\n`;
  }
  return out;
}
