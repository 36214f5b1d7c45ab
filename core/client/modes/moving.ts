// A hold whose server refuses what it was sent, or is lost, in a pool whose places change their
// owners: what it holds on for is done again at the place's new server, and its client sees nothing
// of that. Nothing is done twice: a server that refuses a command of a transaction carries out none
// of it (multi.c, flagTransaction), and what waits (BLPOP) has done nothing when it is refused.
//
//   | state of the move | event                                         | next                   |
//   | (none)            | a command is refused, the link is lost        | DRAINING               |
//   | DRAINING          | everything that was sent is answered or lost  | WAITING, or sent again |
//   | WAITING           | the place has a server                        | sent again: (none)     |
//   | WAITING           | `wait` ms are over                            | failed: (none)         |
//
// Where it cannot be done again EXEC gets a *verdict*: nil if keys were watched, since nobody can
// tell whether they are what they were; EXECABORT if the transaction is too large to be kept.

import { conclude, fail, inDoubt, settle } from "../../exchange/outcome.ts";
import { type Request, WATCHED } from "../../exchange/request.ts";
import type { Carrier } from "../../link/attempt.ts";
import type { Link } from "../../link/link.ts";
import { Question, UNHEARD, Unheard } from "../../link/question.ts";
import { ASKED, OWN, type Waits } from "../../protocol/codec.ts";
import type { Redirects, Resendable } from "../../route/route.ts";
import type { Parked, Server, Target } from "../../server/server.ts";
import { BLOCKED, ENDING, type Hold, type HoldMove, TRANSACTION, WATCHING } from "./hold.ts";
import { type HoldLog, LOGGED } from "./hold_log.ts";
import { identify } from "./unblock.ts";

const MINUS = 45;

export class Move implements HoldMove, Parked {
  readonly pended: Request[];
  readonly hold: Hold;
  readonly target: Target;
  /** What goes before it, at a server that has the place only for now (ASK); null for nothing. */
  readonly preface: Uint8Array | null;
  /** It began with a lost link: what was sent may have been carried out. */
  readonly byLoss: boolean;
  /** Everything that was sent is answered or lost. */
  drained: boolean;

  constructor(hold: Hold, target: Target, preface: Uint8Array | null, byLoss: boolean) {
    this.pended = [];
    this.hold = hold;
    this.target = target;
    this.preface = preface;
    this.byLoss = byLoss;
    this.drained = false;
  }

  get place(): number {
    return this.hold.place;
  }

  set place(place: number) {
    this.hold.place = place;
  }

  /** A transaction's keys may be at several servers by another route. */
  said(): Uint8Array | null {
    const { state, log } = this.hold;
    return state === BLOCKED && log !== null ? log.bytes(0) : null;
  }

  get parkedAt(): number {
    return this.hold.parkedAt;
  }

  set parkedAt(now: number) {
    this.hold.parkedAt = now;
  }

  get cost(): number {
    return 4096 + (this.hold.log as HoldLog).size;
  }

  get isGone(): boolean {
    return this.hold.move !== this;
  }

  go(server: Server): void {
    sendAgain(this, server);
  }

  giveUp(error: Uint8Array): void {
    failed(this, error);
  }

  forget(): void {}
}

/**
 * A reply to a request that went over the hold's link. True when it is seen to. False when it is the
 * client's; or the request goes elsewhere by itself: then its `resent` is 0.
 */
export function heldReply(
  hold: Hold,
  request: Request,
  redirects: Redirects,
  link: Carrier,
  buf: Uint8Array,
  start: number,
  end: number,
): boolean {
  const { log, move } = hold;
  if (link !== hold.link || log === null) return false;
  const isError = buf[start] === MINUS;
  const isExec = log.ends && log.isLast(request.resent);
  if (move !== null) {
    const isDead = isExec || (isError && refusal(hold, redirects, link, buf, start, end) !== null);
    if (isDead) move.pended.push(request);
    else settle(request, link, buf, start, end);
    if ((link as Link).inFlight === 0) drained(move as Move);
    return true;
  }
  if (!isError) return false;
  const target = refusal(hold, redirects, link, buf, start, end);
  const isPart = request.resent >= LOGGED && hold.state !== BLOCKED;
  if (hold.verdict !== null && isPart && (isExec || target !== null)) {
    concludeByVerdict(hold, request);
    return true;
  }
  if (target === null) return false;
  if (request.resent < LOGGED) return setFree(hold, request);
  if (isOver(hold)) {
    conclude(request, accepted(hold, request));
    return true;
  }
  if (isDoneFor(hold)) {
    setVerdict(hold);
    concludeByVerdict(hold, request);
    return true;
  }
  const begun = begin(hold, target, redirects.preface, false);
  begun.pended.push(request);
  if ((link as Link).inFlight === 0) drained(begun);
  return true;
}

/** As `heldReply`, of a request that gets no reply. */
export function heldLoss(
  hold: Hold,
  request: Request,
  redirects: Redirects,
  link: Carrier,
  text: string,
  unsent: boolean,
): boolean {
  const { log, words, state } = hold;
  if (link !== hold.link || log === null) return false;
  if (request.resent < LOGGED) {
    if (state !== ENDING) return setFree(hold, request);
    conclude(request, words.ok); // DISCARD, UNWATCH: the server has forgotten all
    return true;
  }
  if (isOver(hold)) {
    conclude(request, accepted(hold, request));
    return true;
  }
  const held = asked(hold);
  const target = redirects.lost(link, held);
  hold.moves = held.resent;
  if (target === null) return false;
  if (hold.move === null && state === BLOCKED && !unsent) {
    const intent = hold.client.codec.classes[request.verb + 1];
    if (!redirects.mayRepeat(intent, request.repeated, link.retired)) return false;
  }
  if (!unsent) request.repeated++;
  const move = (hold.move ?? begin(hold, target, null, true)) as Move;
  move.pended.push(request);
  if (!log.isLast(request.resent)) return true; // what to do depends on what comes behind it
  if (move.byLoss && log.ends && !unsent) {
    hold.move = null;
    const told = inDoubt(text, unsent, false);
    for (const one of move.pended) fail(one, told);
  } else if (isDoneFor(hold)) {
    hold.move = null;
    setVerdict(hold);
    for (const one of move.pended) concludeByVerdict(hold, one);
  } else {
    drained(move);
  }
  return true;
}

/**
 * A request that was just parsed is part of what the hold does, and its server is none any more, or
 * there is none yet: all goes to `target` as soon as it can.
 */
export function moveWith(hold: Hold, request: Request, target: Target): void {
  const move = begin(hold, target, null, false);
  move.pended.push(request);
  if (!hold.isAlive() || (hold.link as Link).inFlight === 0) drained(move);
}

/** What a hold would be resent as. */
function asked({ place, moves, parkedAt }: Hold): Resendable {
  return { place, resent: moves, parkedAt, isJudged: true };
}

/** Where the route sends what was refused so; null: it is no refusal. */
function refusal(
  hold: Hold,
  redirects: Redirects,
  link: Carrier,
  buf: Uint8Array,
  start: number,
  end: number,
): Target | null {
  const reason = hold.words.reason(buf, start, end);
  const request = asked(hold);
  const target = reason === null
    ? redirects.refused(buf, start, end, request, link)
    : redirects.refused(reason, 0, reason.length, request, link);
  hold.moves = request.resent;
  return target;
}

/** EXEC is answered so, whatever servers say. */
export function setVerdict(hold: Hold): void {
  const { words, client } = hold;
  hold.verdict ??= hold.watched ? words.nil(client.session) : words.tooLarge;
}

/** Whether it cannot be done again. */
export function isDoneFor({ watched, log, state }: Hold): boolean {
  return state !== BLOCKED && (watched || log === null || log.isFull);
}

/** DISCARD is on its way, the client's or our own: nothing of it is to be carried out. */
function isOver({ state, log }: Hold): boolean {
  return state === ENDING && log !== null && !log.ends;
}

/** A part of what has a verdict. */
function concludeByVerdict(hold: Hold, request: Request): void {
  const { log, verdict } = hold;
  const isExec = log !== null && log.ends && log.isLast(request.resent);
  conclude(request, isExec ? verdict as Uint8Array : accepted(hold, request));
}

/** What is answered to a part of it that is no more than taken in: MULTI is the first one. */
function accepted({ words, state }: Hold, { resent }: Request): Uint8Array {
  return state === WATCHING || resent === LOGGED ? words.ok : words.queued;
}

/** A request beside what the client watches may go elsewhere; EXEC will say that all has changed. */
function setFree(hold: Hold, request: Request): boolean {
  if (hold.state !== WATCHING) return false;
  if (hold.watched) setVerdict(hold);
  request.resent = 0;
  return false;
}

function begin(hold: Hold, target: Target, preface: Uint8Array | null, byLoss: boolean): Move {
  const move = new Move(hold, target, preface, byLoss);
  hold.move = move;
  const { link, log } = hold;
  if (hold.state === BLOCKED && hold.after === WATCHING) setVerdict(hold);
  if (hold.state === TRANSACTION && !(log as HoldLog).ends && !byLoss && hold.isAlive()) {
    const { discard } = hold.words;
    (link as Link).send(new Question(new Discarded(move)), discard, 0, discard.length);
  }
  hold.client.emptyListening();
  return move;
}

/** Hears that the old server has forgotten the transaction. */
class Discarded extends Unheard {
  private readonly move: Move;

  constructor(move: Move) {
    super();
    this.move = move;
  }

  override reply(): void {
    drained(this.move);
  }

  override lost(): void {
    drained(this.move);
  }
}

/** Nothing of it is at the old server any more. */
function drained(move: Move): void {
  const { hold, target } = move;
  if (move.drained || hold.move !== move) return;
  move.drained = true;
  hold.letGo();
  if (!target.available) {
    if (target.parking !== null) return target.parking.wait(move);
    return failed(move, hold.client.codec.failure(target.reason));
  }
  const redirects = hold.client.context.route.redirects as Redirects;
  if (hold.moves >= redirects.most) {
    const error = redirects.tooMany(asked(hold));
    return failed(move, error ?? hold.client.codec.failure(target.name));
  }
  hold.moves++;
  sendAgain(move, target);
}

function sendAgain(move: Move, server: Server): void {
  const { hold, preface, pended } = move;
  const { client } = hold;
  const log = hold.log as HoldLog;
  const error = hold.acquire(server);
  if (error !== "") return failed(move, client.codec.failure(error));
  hold.move = null;
  hold.guest = preface;
  const link = hold.link as Link;
  if (preface !== null) link.send(new Question(UNHEARD), preface, 0, preface.length);
  if (hold.state === BLOCKED) return blockAgain(hold, log, link, pended[0]);
  let next = 0;
  for (let i = 0; i < log.count; i++) {
    const bytes = log.bytes(i);
    const isPended = next < pended.length && pended[next].resent === LOGGED + i;
    const request = isPended ? pended[next++] : swallowed(hold, i);
    link.send(request, bytes, 0, bytes.length);
  }
  if (link.congested) client.waitForLink(link);
}

/** The answer to this one has been given already. */
function swallowed({ client, place }: Hold, i: number): Request {
  const request = client.context.requests.take(client);
  request.mute = OWN;
  request.verb = ASKED;
  request.kind = WATCHED;
  request.tagHigh = 0;
  request.noted = 0;
  request.place = place;
  request.resent = LOGGED + i;
  client.push(request);
  return request;
}

/** It waits for the time that is left. */
function blockAgain(hold: Hold, log: HoldLog, link: Link, request: Request): void {
  const { context, session } = hold.client;
  const { wait } = log;
  const left = Math.max(1, log.until - context.turn.clock);
  if (session.isKnown) identify(link, context.codec);
  let bytes = log.bytes(0);
  if (wait !== null && left < Infinity) {
    bytes = (context.codec.waits as Waits).shorten(bytes, wait.from, wait.to, wait.unit, left);
  }
  link.patience = left;
  link.send(request, bytes, 0, bytes.length);
}

/** It cannot go on. */
function failed(move: Move, error: Uint8Array): void {
  const { hold, pended } = move;
  const { words, client } = hold;
  const log = hold.log as HoldLog;
  hold.move = null;
  let told = false;
  for (const request of pended) {
    const isExec = log.ends && log.isLast(request.resent);
    const isMulti = hold.state === TRANSACTION && request.resent === LOGGED;
    if (!told && !isMulti) conclude(request, error);
    else conclude(request, isExec ? words.aborted : accepted(hold, request));
    told ||= request.mute !== OWN && !isMulti;
  }
  client.context.counters.forward_error++;
  if (hold.state === TRANSACTION) hold.doomed = true;
  else if (hold.state === WATCHING) hold.state = ENDING;
}
