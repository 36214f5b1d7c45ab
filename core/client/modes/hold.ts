// A client's hold on a link of its own: for what it watches, for a transaction, for a request that
// blocks. Its life here; at which server it is to be is said by claim.ts, what its states do by
// watching.ts, transaction.ts and blocked.ts, and which of them a request meets by holding.ts. What
// requests are called and what the answers say is the codec's: see Scan.pin.

import type { Request } from "../../exchange/request.ts";
import type { GateClient } from "../../exchange/migrate/phases.ts";
import type { Link } from "../../link/link.ts";
import { Question, UNHEARD } from "../../link/question.ts";
import type { Scan, Transactions } from "../../protocol/codec.ts";
import type { Server, Target } from "../../server/server.ts";
import type { ClientContext } from "../context.ts";
import type { SubscribedClient } from "../subscriptions.ts";
import type { Again } from "./again.ts";
import type { HoldLog } from "./hold_log.ts";
import type { KeptCommands } from "./kept_commands.ts";
import { sendOwn } from "./own.ts";
import { LATER, TAKEN } from "./taken.ts";
import { endWait, endWaitSurely } from "./unblock.ts";

/** A mode: see mode.ts, which knows holds. */
interface Named {
  readonly name: string;
}

/** A client, as its modes see it. */
export interface ModeClient extends SubscribedClient, GateClient {
  readonly context: ClientContext;
  /** Its hold on a link of its own; null for none. */
  readonly hold: Hold | null;
  beginHold(hold: Hold): void;
  endHold(): void;
  /** Answers, and is TAKEN. */
  replied(bytes: Uint8Array): number;
  /** What a command may do by the mode that is next below `from`. */
  passOn(from: Named, scan: Scan, buf: Uint8Array, at: number, length: number): number;
  /** What is done with a command of which no mode has anything to say. TAKEN or LATER. */
  carryOut(scan: Scan, buf: Uint8Array, at: number, length: number): number;
  /** Nothing is answered to the command that is carried out now. */
  hushed: boolean;
  /** Takes nothing until the pool's pause is over. */
  pauseReading(): void;
  /** Sends one whole request over `link`. */
  sendOver(link: Link, scan: Scan, buf: Uint8Array, at: number, length: number): Request;
  /** The request that was just parsed waits in the queue, and is not sent yet. */
  hang(scan: Scan, buf: Uint8Array, at: number): Request;
}

/** What was sent over its link has to be sent again elsewhere: see moving.ts. */
export interface HoldMove {
  /** Requests without an answer, in their order. */
  readonly pended: Request[];
}

export const WATCHING = 0;
export const TRANSACTION = 1;
export const BLOCKED = 2;
/** It ends when all is answered. */
export const ENDING = 3;

export class Hold {
  state: number;
  /** BLOCKED: the state when it is answered. */
  after: number;
  /** Where the link goes; null until that is known. */
  server: Server | null;
  link: Link | null;
  /** The server keeps nothing of the client's when the hold ends. */
  clean: boolean;
  /** TRANSACTION: requests that it has by now. */
  queued: number;
  /** TRANSACTION: it cannot be carried out any more. */
  doomed: boolean;
  /** TRANSACTION: its beginning, while it has had no key and no server. */
  kept: Uint8Array[];
  keptBytes: number;
  /** How many of those the server may not refuse. */
  vital: number;
  /** TRANSACTION of a pool with `multi: split`: all its commands; null for any other. */
  commands: KeptCommands | null;
  readonly client: ModeClient;
  readonly words: Transactions;
  /** `link.losses` when it was taken, and for which user. */
  private losses: number;
  protected user: string;
  /** The client's latest requests went over other links. */
  elsewhere: boolean;
  /** When it was last seen in use (pool time): see ClientLife.tickHold. */
  usedAt: number;
  /** What it watched has left the server: the transaction finds that it has changed. */
  moved: boolean;
  /** BLOCKED: how the request is made again elsewhere; null if it is not. */
  again: Again | null;
  /** BLOCKED: its server has been asked to end the wait, which is to go on at another one. */
  private leaves: boolean;
  /** What was sent last over the link. */
  sent: Request | null;
  /** Of pools whose places change their owners: see moving.ts. What may be sent again; null: nothing. */
  log: HoldLog | null;
  move: HoldMove | null;
  /** How often it was, and since when (ms) it waits for a server; -1 if it does not. */
  moves: number;
  parkedAt: number;
  /** The place, and the route's epoch when the server was chosen. */
  place: number;
  epoch: number;
  /** The place is not the server's own: this goes before what begins something there. */
  guest: Uint8Array | null;
  /** Keys are watched: WATCH was answered, or a transaction was begun behind it. */
  watched: boolean;
  /** What EXEC is answered with, whatever servers say; null: it is for them to say. */
  verdict: Uint8Array | null;

  constructor(client: ModeClient) {
    this.state = WATCHING;
    this.after = WATCHING;
    this.server = null;
    this.link = null;
    this.clean = false;
    this.queued = 0;
    this.doomed = false;
    this.kept = [];
    this.keptBytes = 0;
    this.vital = 1;
    this.commands = null;
    this.client = client;
    this.words = client.context.codec.transactions as Transactions;
    this.losses = 0;
    this.user = "";
    this.elsewhere = false;
    this.usedAt = 0;
    this.moved = false;
    this.again = null;
    this.leaves = false;
    this.sent = null;
    this.log = null;
    this.move = null;
    this.moves = 0;
    this.parkedAt = -1;
    this.place = -1;
    this.epoch = 0;
    this.guest = null;
    this.watched = false;
    this.verdict = null;
  }

  /** What is sent from now on is sent again if the server is none any more. */
  record(log: HoldLog): void {
    this.log = log;
    this.moves = 0;
    this.parkedAt = -1;
  }

  /** The server still knows what it was told over the link, and it is the one to use. */
  isAlive(): boolean {
    const { link } = this;
    return link !== null && link.losses === this.losses && !link.retired && !this.moved &&
      link.lane === this.client.lane;
  }

  /** Takes a link to a server; returns what is wrong, "" if nothing is. */
  acquire(target: Target): string {
    if (!target.available) return target.reason;
    const { client } = this;
    const user = client.session.user?.name ?? "";
    const taken = target.takePinned(client.lane, user);
    if (typeof taken === "string") return taken;
    this.user = user;
    this.server = target;
    this.link = taken;
    this.losses = taken.losses;
    this.epoch = client.context.route.epoch;
    client.beginHold(this);
    return "";
  }

  /** Sends a request over the link, which is alive. TAKEN or LATER. */
  send(scan: Scan, buf: Uint8Array, at: number, length: number): number {
    const { client } = this;
    if (this.elsewhere && client.head !== null) return LATER;
    this.elsewhere = false;
    this.sent = client.sendOver(this.link as Link, scan, buf, at, length);
    return TAKEN;
  }

  /** As `send`, and it is sent again if it has to be, if the pool has such places. */
  sendLogged(scan: Scan, buf: Uint8Array, at: number, length: number): number {
    const { client, log, guest } = this;
    const link = this.link as Link;
    if (this.elsewhere && client.head !== null) return LATER;
    this.elsewhere = false;
    if (guest !== null && this.state !== TRANSACTION) {
      link.send(new Question(UNHEARD), guest, 0, guest.length);
    }
    const request = client.sendOver(link, scan, buf, at, length);
    this.sent = request;
    if (log !== null) request.resent = log.add(buf, at, length);
    return TAKEN;
  }

  /** As `sendLogged`, without a link: it is for `moveWith`. */
  hang(scan: Scan, buf: Uint8Array, at: number, length: number): Request {
    const request = this.client.hang(scan, buf, at);
    request.resent = (this.log as HoldLog).add(buf, at, length);
    return request;
  }

  /** Its server has changed hands with the place, as far as the route knows now. */
  hasMoved(): boolean {
    const { route } = this.client.context;
    if (this.log === null) return false;
    return route.place === this.place || (this.watched && route.picked > this.epoch);
  }

  /** The place is another server's, and the hold is at this one because of that one's word (ASK). */
  isGuest(): boolean {
    return this.guest !== null && this.client.context.route.place === this.place;
  }

  /** Sends a request of the proxy's own; if a `vital` one is refused the link is of no more use. */
  sendOwn(bytes: Uint8Array, vital: boolean): void {
    sendOwn(this.client, this.link as Link, bytes, vital);
  }

  /** A transaction, if it is one, is not carried out. */
  doom(): void {
    if (this.state === TRANSACTION) this.doomed = true;
  }

  /** BLOCKED: the server is asked to end it. False: it waits for nothing, or nobody knows how. */
  unblock(withError: boolean): boolean {
    const { link, server } = this;
    if (this.state !== BLOCKED || link === null || server === null) return false;
    this.again = null; // its end is the client's
    return endWait(server, link, withError);
  }

  /** It is to come to its end: what its client has begun with WATCH or MULTI. */
  get goesOn(): boolean {
    if (this.doomed || this.moved) return false;
    if (this.commands !== null) return this.commands.count > 0;
    return this.link !== null && (this.state === WATCHING || this.state === TRANSACTION);
  }

  /** BLOCKED, and its key leaves the server. */
  get waitsForMoved(): boolean {
    if (this.state !== BLOCKED) return false;
    // What waits at all servers (WAIT) stays.
    return this.again === null ? this.sent !== null : this.again.moves;
  }

  /** BLOCKED, and its key leaves the server: the wait is to end. False: nobody knows how. */
  freeWait(now: number): boolean {
    const { again, link, server } = this;
    if (again === null || link === null || server === null) return false;
    return !again.mayAsk(now) || endWait(server, link, true);
  }

  /** The server lets go of what it was told: see exchange/migrate/migration.ts. */
  lose(): void {
    if (this.state !== TRANSACTION) this.moved = true;
    else if (!this.doomed) {
      this.doomed = true;
      // As if somebody had changed what it watches: EXEC says nil, and its client begins again.
      this.moved = this.watched;
    }
  }

  /**
   * The pool is about to have other servers, perhaps the same ones by another name: what waits is to wait
   * there. What a server has given to it by then must not be lost.
   */
  leaveServer(): void {
    const { client, link, server, again, state } = this;
    if (state !== BLOCKED || again === null || link === null || server === null) return;
    const waits = (): boolean => this.link === link && this.again === again;
    const failed = (): void => link.discard();
    this.leaves = endWaitSurely(link, server.linkFor(client), client.codec, waits, failed);
  }

  /** The pool has other servers, by another route: what waits there is to wait elsewhere. */
  moveOver(): void {
    const { link, state, log } = this;
    if (state === TRANSACTION || state === WATCHING) {
      if (link !== null || log !== null) this.lose();
      if (state === TRANSACTION) this.log = null;
    } else if (state === BLOCKED && log !== null && link !== null && !this.leaves) link.discard();
  }

  /** It ends when all is answered. `clean`: see the field. */
  end(clean: boolean): void {
    this.state = ENDING;
    this.clean = clean;
    if (this.client.head === null) this.drop();
    else this.client.emptyListening();
  }

  /** The client was waiting for its replies and has them all. */
  answered(): void {
    if (this.state === BLOCKED) {
      this.state = this.after;
      this.again = null;
      this.leaves = false;
      if (this.link !== null) this.link.patience = 0;
    }
    if (this.state === WATCHING) this.watched = true;
    if (this.state === ENDING) this.drop();
  }

  /** The hold ends. */
  drop(): void {
    const { client, move } = this;
    client.endHold();
    this.move = null;
    if (move !== null && client.isClosed) {
      for (const request of move.pended) client.context.requests.give(request);
    }
    this.giveBack();
  }

  /** Nothing of the client's is at the server any more: the link is not needed. */
  letGo(): void {
    const { clean } = this;
    // After UNBLOCKED the server closes it (blocked.c, disconnectAllBlockedClients).
    this.clean = this.state !== BLOCKED;
    this.giveBack();
    this.clean = clean; // of the next one
  }

  private giveBack(): void {
    const { link, server } = this;
    this.link = null;
    if (link === null || server === null) return;
    // A link that was lost is as good as new.
    server.givePinned(link, this.clean || link.losses !== this.losses, this.user);
  }
}
