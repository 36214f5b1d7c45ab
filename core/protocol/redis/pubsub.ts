// Publish and subscribe in the bytes of Redis (pubsub.c, server.c of Redis 7.0). Servers are spoken
// to in RESP2: its messages differ from RESP3's in the first byte only.

import { bytes, clipped, decimal, text } from "../../bytes.ts";
import { ASKED, LOCAL, NOTHING, QUIT, REFUSE, type Scan, TOPICS } from "../codec.ts";
import {
  ALIVE,
  CHANNEL,
  CONFIRMED,
  type Frame,
  MESSAGE,
  NONSENSE,
  PATTERN,
  type Publishing,
  REFUSED,
  SHARD,
} from "../publishing.ts";
import { COMMANDS, SUB, verbOf } from "./commands.ts";
import { errorReply } from "./errors.ts";
import { ABOUT_EVENTS, EventNames, EVENTS } from "./events.ts";
import { globMatches } from "./glob.ts";
import { LONGEST_NAME } from "./learned.ts";
import { lookup, lookupSub } from "./lookup.ts";
import { LONGEST_TOPIC } from "./parse.ts";
import { mayHear } from "./rights.ts";
import type { RedisSession } from "./session.ts";
import { Room } from "./values.ts";

/** Words by kind. */
const ON = ["subscribe", "psubscribe", "ssubscribe"];
const OFF = ["unsubscribe", "punsubscribe", "sunsubscribe"];
const MESSAGES = ["message", "pmessage", "smessage"];
const KIND_OF = new Int8Array(COMMANDS.length).fill(-1);
const SUBSCRIBES = new Uint8Array(COMMANDS.length);
for (let kind = 0; kind < ON.length; kind++) {
  KIND_OF[verbOf(ON[kind])] = KIND_OF[verbOf(OFF[kind])] = kind;
  SUBSCRIBES[verbOf(ON[kind])] = 1;
}
const PUBLISH = verbOf("publish");
const SPUBLISH = verbOf("spublish");
const PING = verbOf("ping");
const RESET = verbOf("reset");
const STAR = 42;
const DOLLAR = 36;

const bulk = (word: string) => `$${word.length}\r\n${word}\r\n`;
const request = (...words: string[]) => bytes(`*${words.length}\r\n${words.map(bulk).join("")}`);

/** What a pool with this `redis_db` has to know of it. */
export function publishing(db: number): Publishing {
  const renaming = db > 0 ? new EventNames(db) : null;
  const toServer = (name: string) => renaming === null ? name : renaming.toServer(name);
  return {
    kindOf: (scan) => KIND_OF[scan.verb],
    subscribes: (scan) => SUBSCRIBES[scan.verb] === 1,
    names(scan, buf, at) {
      const names: string[] = [];
      for (let i = 1; i < scan.nargs; i++) names.push(argument(scan, buf, at, i));
      return names;
    },
    mayHear,
    publishes: ({ verb }) => verb === PUBLISH ? CHANNEL : verb === SPUBLISH ? SHARD : -1,
    topic: (scan, buf, at) => argument(scan, buf, at, 1),
    renamed(scan, buf, at) {
      if (renaming === null || scan.verb !== PUBLISH) return null;
      // "__key" begins what servers may have another name for.
      if (buf[at + scan.args[2]] !== 95 || buf[at + scan.args[2] + 1] !== 95) return null;
      const { args } = scan;
      if (args[3] - args[2] > LONGEST_TOPIC) return null; // no name of theirs
      const name = argument(scan, buf, at, 1);
      const there = toServer(name);
      if (there === name) return null;
      const room = new Room(args[5] - args[4] + there.length + 64);
      room.ascii(`*3\r\n${bulk("PUBLISH")}${bulk(there)}`);
      room.bulk(buf, at + args[4], at + args[5]);
      return room.done();
    },
    matches: globMatches,
    more: (clients) => bytes(`:${clients}\r\n`),
    // Nodes of a cluster tell each other what is published, but not what becomes of their keys.
    isEverywhere: (kind, name, broadcasts) =>
      kind === PATTERN
        ? !broadcasts || ABOUT_EVENTS.test(name)
        : kind === CHANNEL && EVENTS.test(name),
    subscribe: (kind, name) => request(ON[kind].toUpperCase(), toServer(name)),
    unsubscribe: (kind, name) => request(OFF[kind].toUpperCase(), toServer(name)),
    ping: request("PING"),
    monitor: request("MONITOR"),
    readFrame,
    renaming,
    mark: ({ resp }: RedisSession) => resp === 3 ? 62 : STAR,
    isExclusive: ({ resp }: RedisSession) => resp === 2,
    confirm(kind, on, name, count, { resp }: RedisSession) {
      const head = resp === 3 ? ">3" : "*3";
      const subject = name !== null ? bulk(name) : resp === 3 ? "_\r\n" : "$-1\r\n";
      return bytes(`${head}\r\n${bulk((on ? ON : OFF)[kind])}${subject}:${count}\r\n`);
    },
    answerInstead,
  };
}

function argument({ args }: Scan, buf: Uint8Array, at: number, i: number): string {
  return text(buf, at + args[2 * i], at + args[2 * i + 1]);
}

/** Where the word of a bulk string at `buf[p]` starts; `wordEnd` is then where it ends. */
let wordEnd = 0;
function word(buf: Uint8Array, p: number, end: number): number {
  if (buf[p] !== DOLLAR) return -1;
  let cr = p + 1;
  while (cr < end && buf[cr] !== 13) cr++;
  const n = decimal(buf, p + 1, cr, 0x7fffffff);
  wordEnd = cr + 2 + n;
  return n < 0 || wordEnd + 2 > end ? -1 : cr + 2;
}

function readFrame(frame: Frame, buf: Uint8Array, start: number, end: number): void {
  frame.what = NONSENSE;
  if (buf[start] === 45) {
    frame.what = REFUSED;
    return;
  }
  if (buf[start] === 43) {
    frame.what = ALIVE;
    return;
  }
  if (buf[start] !== STAR) return;
  // "*3\r\n" or "*4\r\n"; what comes first says what it is.
  const first = word(buf, start + 4, end);
  if (first < 0) return;
  const what = text(buf, first, wordEnd);
  if (what === "pong") {
    frame.what = ALIVE;
    return;
  }
  const kind = MESSAGES.indexOf(what);
  const name = word(buf, wordEnd + 2, end);
  if (kind < 0) {
    frame.off = OFF.includes(what);
    if (!frame.off && !ON.includes(what)) return;
    frame.what = CONFIRMED;
    frame.kind = (frame.off ? OFF : ON).indexOf(what);
    frame.name = name < 0 ? "" : text(buf, name, wordEnd);
    return;
  }
  if (name < 0) return;
  frame.what = MESSAGE;
  frame.kind = kind;
  frame.name = text(buf, name, wordEnd);
}

/** server.c processCommand: what a subscribed client may say in RESP2, after the arity is checked. */
function answerInstead(scan: Scan, buf: Uint8Array, at: number): Uint8Array | null {
  const { action, args } = scan;
  if (action === TOPICS || action === QUIT || action === NOTHING) return null;
  if (action === LOCAL && scan.verb === RESET) return null;
  if (action === LOCAL && scan.verb === PING) {
    if (scan.nargs > 2) return null;
    const [from, to] = scan.nargs === 2 ? [at + args[2], at + args[3]] : [at, at];
    const room = new Room(to - from + 64);
    room.ascii(`*2\r\n${bulk("pong")}`);
    room.bulk(buf, from, to);
    return room.done();
  }
  let name = clipped(buf, at + args[0], at + args[1], LONGEST_NAME).toLowerCase();
  if (scan.verb !== ASKED) {
    let verb = lookup(buf, at + args[0], at + args[1]);
    if (verb >= 0 && COMMANDS[verb].action === SUB && scan.nargs > 1) {
      verb = lookupSub(verb, buf, at + args[2], at + args[3]);
    }
    // What Redis refuses before it looks at this: an unknown command, a wrong number of arguments.
    if (verb < 0 || !fits(COMMANDS[verb].arity, scan.nargs)) return null;
    name = COMMANDS[verb].name;
  } else if (action === REFUSE) return null;
  const code = name === "exec" ? "EXECABORT Transaction discarded because of:" : "ERR";
  return errorReply(
    `${code} Can't execute '${name}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET ` +
      "are allowed in this context",
  );
}

function fits(arity: number, n: number): boolean {
  return arity >= 0 ? n === arity : n >= -arity;
}
