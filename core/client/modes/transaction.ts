// A transaction (MULTI). Where it goes is known with its first key; until then it is kept back.
//
//   | state of the transaction | event                          | next               |
//   | unplaced (no link)       | its first key                  | placed             |
//   | unplaced, placed         | a command that cannot be in it | doomed             |
//   | unplaced, placed         | EXEC, DISCARD                  | ENDING             |
//   | doomed                   | EXEC: EXECABORT; DISCARD       | ENDING             |
//   | any                      | RESET                          | (none)             |

import { NO_KEY, serverOf, SEVERAL } from "../../exchange/place.ts";
import {
  ALL,
  ANY,
  APART,
  FORWARD,
  GATHER,
  LOCAL,
  PIN,
  PIN_DISCARD,
  PIN_EXEC,
  PIN_MULTI,
  PIN_QUEUE,
  PIN_RESET,
  PIN_UNWATCH,
  PIN_WATCH,
  REFUSE,
  RESCUE,
  type Scan,
  SPLIT,
  TOGETHER,
  TOPICS,
  WALK,
} from "../../protocol/codec.ts";
import type { Target } from "../../server/server.ts";
import { LOST, misplaced } from "./claim.ts";
import { type Hold, TRANSACTION } from "./hold.ts";
import { HoldLog } from "./hold_log.ts";
import { KeptCommands } from "./kept_commands.ts";
import { isDoneFor, moveWith, setVerdict } from "./moving.ts";
import { execSplit, isSplit, keepCommand } from "./split_transaction.ts";
import { LATER, ORDINARY, TAKEN } from "./taken.ts";
import { reset } from "./watching.ts";

/** One with more than this (bytes) before its first key goes to any server. */
const MOST_KEPT = 65536;

/** A transaction begins. */
export function begin(
  hold: Hold,
  scan: Scan,
  buf: Uint8Array,
  at: number,
  length: number,
): number {
  const { client } = hold;
  const managed = client.context.route.redirects !== null;
  if (managed && hold.link !== null && !hold.isAlive()) setVerdict(hold);
  if (hold.verdict === null && hold.isAlive()) {
    if (managed) hold.record(new HoldLog());
    const how = hold.sendLogged(scan, buf, at, length);
    if (how !== TAKEN) return how;
    hold.state = TRANSACTION;
    hold.watched = true; // only WATCH, answered or not, gives it a link before MULTI
    return how;
  }
  hold.state = TRANSACTION;
  if (hold.verdict !== null) return client.replied(hold.words.ok);
  if (hold.link !== null) hold.doomed = true; // it has lost what it watched
  else if (isSplit(client)) hold.commands = new KeptCommands();
  else keep(hold, buf, at, length);
  client.beginHold(hold);
  return client.replied(hold.words.ok);
}

function keep(hold: Hold, buf: Uint8Array, at: number, length: number): void {
  hold.kept.push(buf.slice(at, at + length));
  hold.keptBytes += length;
}

/** A request in a transaction. */
export function inside(
  hold: Hold,
  scan: Scan,
  buf: Uint8Array,
  at: number,
  length: number,
): number {
  const { client, words } = hold;
  switch (scan.action) {
    case REFUSE:
      return scan.pin === PIN_EXEC ? abort(hold, scan.error) : doom(hold, scan.error);
    case LOCAL:
      if (scan.pin === PIN_RESET) return reset(hold);
      if (scan.pin !== PIN_QUEUE) return doom(hold, words.refused(scan));
      return queueKeyless(hold, scan, buf, at, length);
    case ANY:
      return queueKeyless(hold, scan, buf, at, length);
    case ALL:
    case APART:
    case RESCUE:
    case GATHER:
    case WALK:
      if (client.context.route.places > 1) return doom(hold, words.everyServer(scan));
      return queueKeyless(hold, scan, buf, at, length);
    case PIN:
      switch (scan.pin) {
        case PIN_MULTI:
          return client.replied(words.nested);
        case PIN_WATCH:
          return client.replied(words.watchInside);
        case PIN_UNWATCH:
          return queueKeyless(hold, scan, buf, at, length);
        case PIN_EXEC:
          return exec(hold, scan, buf, at, length);
        case PIN_DISCARD:
          return discard(hold, scan, buf, at, length);
      }
      return queue(hold, scan, buf, at, length);
    case TOPICS:
      return doom(hold, words.refused(scan));
    case FORWARD:
    case SPLIT:
    case TOGETHER:
      return queue(hold, scan, buf, at, length);
    default:
      return ORDINARY;
  }
}

/** The answer to a request that cannot be part of the transaction, which is thereby lost. */
function doom(hold: Hold, error: Uint8Array): number {
  hold.doomed = true;
  return hold.client.replied(error);
}

function isUnplaced(hold: Hold): boolean {
  return hold.link === null && !hold.doomed;
}

function queue(hold: Hold, scan: Scan, buf: Uint8Array, at: number, length: number): number {
  const { client } = hold;
  if (hold.verdict !== null) return client.replied(hold.words.queued);
  const server = serverOf(client, scan, buf, at);
  if (server === NO_KEY) return queueKeyless(hold, scan, buf, at, length);
  const elsewhere = hold.link !== null && server !== hold.server && hold.isAlive();
  if (elsewhere && server !== SEVERAL && hold.hasMoved()) {
    if (!hold.isGuest()) return queueElsewhere(hold, server, scan, buf, at, length);
  } else if (server === SEVERAL || elsewhere) {
    return doom(hold, misplaced(client, scan, buf, at, server, hold.server));
  }
  if (isUnplaced(hold)) {
    if (!server.available && !server.waits) {
      return doom(hold, client.codec.failure(server.reason));
    }
    if (hold.commands !== null) {
      return client.replied(keepCommand(hold, scan, buf, at, length, true));
    }
    hold.place = client.context.route.place;
    const how = place(hold, server);
    if (how !== ORDINARY) return how;
  }
  return queueThere(hold, scan, buf, at, length);
}

/** The place has gone to another server since the transaction was begun. */
function queueElsewhere(
  hold: Hold,
  target: Target,
  scan: Scan,
  buf: Uint8Array,
  at: number,
  length: number,
): number {
  const { client, words } = hold;
  if (hold.doomed) return client.replied(words.queued);
  if (isDoneFor(hold)) {
    setVerdict(hold);
    return client.replied(words.queued);
  }
  hold.queued++;
  moveWith(hold, hold.hang(scan, buf, at, length), target);
  return TAKEN;
}

function queueKeyless(hold: Hold, scan: Scan, buf: Uint8Array, at: number, length: number): number {
  const { client } = hold;
  if (hold.verdict !== null) return client.replied(hold.words.queued);
  if (isUnplaced(hold)) {
    if (hold.commands !== null) {
      return client.replied(keepCommand(hold, scan, buf, at, length, false));
    }
    if (hold.keptBytes < MOST_KEPT) {
      keep(hold, buf, at, length);
      hold.queued++;
      return client.replied(hold.words.queued);
    }
    const how = place(hold, client.context.route.any());
    if (how !== ORDINARY) return how;
  }
  return queueThere(hold, scan, buf, at, length);
}

function queueThere(hold: Hold, scan: Scan, buf: Uint8Array, at: number, length: number): number {
  const { client } = hold;
  // Redis too says so, and queues nothing.
  if (hold.doomed) return client.replied(hold.words.queued);
  if (!hold.isAlive()) {
    if (hold.log === null) return doom(hold, client.context.codec.failure(LOST));
    const target = client.context.route.owner(hold.place);
    return queueElsewhere(hold, target, scan, buf, at, length);
  }
  const how = hold.sendLogged(scan, buf, at, length);
  if (how === TAKEN) hold.queued++;
  return how;
}

/** The server is known: it gets what was kept back. ORDINARY when all is well. */
function place(hold: Hold, target: Target): number {
  const { client } = hold;
  if (client.head !== null) return LATER;
  if (client.context.route.redirects !== null) {
    hold.record(new HoldLog());
    for (const bytes of hold.kept) (hold.log as HoldLog).add(bytes, 0, bytes.length);
    // With its first request all of it waits for a server.
    if (!target.available && target.waits) {
      hold.kept = [];
      hold.keptBytes = 0;
      return ORDINARY;
    }
  }
  const error = hold.acquire(target);
  if (error !== "") return doom(hold, client.context.codec.failure(error));
  // If MULTI is refused the rest would be carried out at once. What is refused behind it makes EXEC
  // say so.
  for (const [i, bytes] of hold.kept.entries()) hold.sendOwn(bytes, i < hold.vital);
  hold.kept = [];
  hold.keptBytes = 0;
  return ORDINARY;
}

function exec(hold: Hold, scan: Scan, buf: Uint8Array, at: number, length: number): number {
  const { client, words } = hold;
  if (hold.verdict !== null) {
    client.answer(hold.verdict);
    hold.end(false);
    return TAKEN;
  }
  if (isUnplaced(hold)) {
    if (hold.commands !== null) return execSplit(hold, scan);
    const how = place(hold, hold.client.context.route.any());
    if (how === LATER) return LATER;
    if (how === TAKEN) {
      hold.end(false);
      return TAKEN;
    }
  }
  const { log } = hold;
  if (hold.moved) return abort(hold, words.nil(client.session));
  if (hold.doomed || (log === null && !hold.isAlive())) return abort(hold, words.aborted);
  if (!hold.isAlive()) {
    if (isDoneFor(hold)) {
      setVerdict(hold);
      return abort(hold, hold.verdict ?? words.aborted);
    }
    const request = hold.hang(scan, buf, at, length);
    (log as HoldLog).ends = true;
    hold.end(true);
    moveWith(hold, request, client.context.route.owner(hold.place));
    return TAKEN;
  }
  const how = hold.sendLogged(scan, buf, at, length);
  if (how !== TAKEN) return how;
  if (log !== null) log.ends = true;
  hold.end(true);
  return TAKEN;
}

/** The transaction ends and is not carried out. */
function abort(hold: Hold, error: Uint8Array): number {
  const alive = hold.isAlive();
  if (alive) hold.sendOwn(hold.words.discard, true);
  hold.client.answer(error);
  hold.end(alive);
  return TAKEN;
}

function discard(hold: Hold, scan: Scan, buf: Uint8Array, at: number, length: number): number {
  const alive = hold.isAlive() && hold.verdict === null;
  if (alive) hold.send(scan, buf, at, length);
  else hold.client.answer(hold.words.ok);
  hold.end(alive);
  return TAKEN;
}
