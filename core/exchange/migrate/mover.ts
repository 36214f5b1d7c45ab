// Moves keys, each once at a time however many ask for it. Knows where each is to go, and remembers
// some that are gone: a key that has left its old server does not come back (key_move.ts).

import { text } from "../../bytes.ts";
import type { Host, Timer } from "../../host.ts";
import type { Carrier } from "../../link/attempt.ts";
import type { Migrating, Released, Restored, Taken, Value } from "../../protocol/migrating.ts";
import type { MigrateRoute } from "../../route/migrate.ts";
import type { Resendable } from "../../route/route.ts";
import type { Server } from "../../server/server.ts";
import { type Answer, type AskContext, Asker } from "./asker.ts";
import { KeyMove, type MoveEnds, type Outcome } from "./key_move.ts";

/** Keys on their way at a time; what else is asked for waits. */
export const MOST_MOVING = 32;
/** Keys that are remembered to be gone, none longer (bytes) than the other. */
const MOST_KNOWN = 50_000;
const LONGEST_KNOWN = 256;
/** How long (ms) a server's clock is taken to go on as ours does. */
const CLOCK_AGE = 2000;
const MINUS = 45;

export interface MoverContext extends AskContext {
  readonly host: Pick<Host, "now" | "every" | "random">;
  readonly words: Migrating;
  readonly route: MigrateRoute;
  /** Servers count what leaves them and comes to them: see protocol/migrating.ts. */
  readonly counts: boolean;
  /** Bytes above which a key is big: moved one at a time, and told. */
  readonly bigKey: number;
  note(db: number, key: Uint8Array, outcome: Outcome): void;
}

/** Calls `fn` once, after `ms`. */
export function after(host: Pick<Host, "every">, ms: number, fn: () => void): Timer {
  const timer = host.every(ms, () => {
    timer.cancel();
    fn();
  });
  return timer;
}

interface Wish {
  readonly db: number;
  readonly key: Uint8Array;
  readonly from: Server;
  /** Somebody wants it however big it is. */
  whatever: boolean;
  /** Whose clock was read: the value goes there. */
  to: Server | null;
  /** What that has shown. */
  since: number;
  /** A server that has the key only for now (ASK), and what has to be said to it first. */
  guest: { readonly server: Server; readonly preface: Uint8Array } | null;
  readonly done: ((outcome: Outcome) => void)[];
}

/** What a server's clock has shown, and when. */
interface Clock {
  readonly shown: number;
  readonly at: number;
}

export class Mover {
  private readonly context: MoverContext;
  private readonly askers: Map<Server, Asker>;
  private readonly clocks: Map<Server, Clock>;
  private readonly wishes: Map<string, Wish>;
  /** Wishes that wait for room, and big ones that wait for each other. */
  private waiting: Wish[];
  private bigs: Wish[];
  private moving: number;
  private isBigMoving: boolean;
  private readonly known: Set<string>;
  private readonly name: string;
  private tokens: number;
  private stopped: boolean;

  constructor(context: MoverContext) {
    this.context = context;
    this.askers = new Map();
    this.clocks = new Map();
    this.wishes = new Map();
    this.waiting = [];
    this.bigs = [];
    this.moving = 0;
    this.isBigMoving = false;
    this.known = new Set();
    const random = (): string => context.host.random(0x7fffffff).toString(36);
    this.name = random() + random() + random();
    this.tokens = 0;
    this.stopped = false;
  }

  asker(server: Server): Asker {
    let asker = this.askers.get(server);
    if (asker === undefined) {
      asker = new Asker(this.context, server);
      this.askers.set(server, asker);
    }
    return asker;
  }

  /** Nothing is on its way. */
  get isIdle(): boolean {
    return this.wishes.size === 0;
  }

  /** Keys go the other way from now on. */
  turnAround(): void {
    this.known.clear();
  }

  /** Whether the key is known not to be at its old server any more. */
  isGone(db: number, buf: Uint8Array, start: number, end: number): boolean {
    if (end - start > LONGEST_KNOWN) return false;
    return this.known.has(idOf(db, buf, start, end));
  }

  /** `key` is kept. */
  move(
    db: number,
    key: Uint8Array,
    from: Server,
    whatever: boolean,
    done: (outcome: Outcome) => void,
  ): void {
    const id = idOf(db, key, 0, key.length);
    const there = this.wishes.get(id);
    if (there !== undefined) {
      there.whatever ||= whatever;
      there.done.push(done);
      return;
    }
    const wish: Wish = { db, key, from, whatever, to: null, since: 0, guest: null, done: [done] };
    this.wishes.set(id, wish);
    if (this.moving >= MOST_MOVING) this.waiting.push(wish);
    else this.begin(wish, this.context.bigKey);
  }

  private begin(wish: Wish, most: number): void {
    this.moving++;
    new KeyMove(this.endsOf(wish, most), (outcome) => {
      this.moving--;
      if (outcome.is === "big" && wish.whatever) this.bigs.push(wish);
      else this.end(wish, outcome);
      this.goOn();
    }).begin();
  }

  private end(wish: Wish, outcome: Outcome): void {
    const { db, key, done } = wish;
    const id = idOf(db, key, 0, key.length);
    this.wishes.delete(id);
    if (outcome.is === "gone" && key.length <= LONGEST_KNOWN) {
      if (this.known.size >= MOST_KNOWN) this.known.clear();
      this.known.add(id);
    }
    this.context.note(db, key, outcome);
    for (const one of done) one(outcome);
  }

  private goOn(): void {
    if (this.stopped) return;
    if (!this.isBigMoving && this.bigs.length > 0) this.beginBig(this.bigs.shift() as Wish);
    while (this.moving < MOST_MOVING && this.waiting.length > 0) {
      this.begin(this.waiting.shift() as Wish, this.context.bigKey);
    }
  }

  private beginBig(wish: Wish): void {
    this.isBigMoving = true;
    new KeyMove(this.endsOf(wish, 0), (outcome) => {
      this.isBigMoving = false;
      this.end(wish, outcome);
      this.goOn();
    }).begin();
  }

  private endsOf(wish: Wish, most: number): MoveEnds {
    const { words, host, counts } = this.context;
    const { db, key, from } = wish;
    const ask = <T extends Taken | Released>(
      request: Uint8Array,
      read: (reply: Uint8Array) => T,
      done: (one: T) => void,
    ): void => {
      this.asker(from).ask(request, (answer) => {
        if (!this.stopped) done(answer instanceof Uint8Array ? read(answer) : answer as T);
      });
    };
    return {
      now: () => host.now(),
      later: (ms, fn) => void after(host, ms, () => this.stopped || fn()),
      newToken: () => `${this.name}.${++this.tokens}`,
      clock: (done) => this.clockFor(wish, done),
      take: (token, force, done) =>
        ask(words.take(db, key, token, force, most), words.readTaken, done),
      restore: (value, deadline, done) => this.restore(wish, value, deadline, done),
      release: (token, how, done) =>
        ask(words.release(db, key, token, how, counts), words.readReleased, done),
      giveBack: (token, done) => ask(words.giveBack(db, key, token), words.readReleased, done),
    };
  }

  /** The clock of whoever is to have the key now. */
  private clockFor(wish: Wish, done: (ms: number | null) => void): void {
    const { key } = wish;
    const goal = wish.guest?.server ?? this.context.route.goal(key, 0, key.length);
    if (!goal.available) return done(null);
    wish.to = goal;
    this.clock(goal, (ms) => {
      if (ms === null) this.lost(wish, goal);
      else wish.since = ms;
      done(ms);
    });
  }

  private restore(
    wish: Wish,
    value: Value,
    deadline: number,
    done: (restored: Restored) => void,
  ): void {
    const { words, counts } = this.context;
    const { db, key, since } = wish;
    const to = wish.to as Server;
    const asker = this.asker(to);
    if (wish.guest?.server === to) asker.ask(wish.guest.preface, () => {});
    wish.guest = null;
    asker.ask(words.restore(db, key, value, since, deadline, counts), (answer) => {
      if (this.stopped) return;
      if (!(answer instanceof Uint8Array)) {
        this.lost(wish, to);
        return done(answer);
      }
      if (answer[0] === MINUS && this.isRefused(wish, to, answer)) {
        // It goes elsewhere, or has to wait: the server has done nothing.
        return done({ is: "lost", unsent: true, why: words.errorOf(answer) });
      }
      done(words.readRestored(answer));
    });
  }

  /** Of servers that are followed: the one asked says that the key is another's, or not now. */
  private isRefused(wish: Wish, to: Server, answer: Uint8Array): boolean {
    const { goalRedirects: redirects } = this.context.route;
    if (redirects === null) return false;
    const request = this.request(wish);
    const target = redirects.refused(answer, 0, answer.length, request, carrierOf(to));
    if (target === null) return false;
    const { preface } = redirects;
    if (target.available && preface !== null) wish.guest = { server: target, preface };
    return true;
  }

  private lost(wish: Wish, to: Server): void {
    wish.guest = null;
    this.context.route.goalRedirects?.lost(carrierOf(to), this.request(wish));
  }

  private request({ key }: Wish): Resendable {
    const { route } = this.context;
    route.goal(key, 0, key.length);
    return { place: route.goalPlace, resent: 0, parkedAt: -1, isJudged: true };
  }

  private clock(server: Server, done: (ms: number | null) => void): void {
    const { host, words } = this.context;
    const known = this.clocks.get(server);
    const now = host.now();
    if (known !== undefined && now - known.at < CLOCK_AGE) {
      return done(known.shown + now - known.at);
    }
    this.asker(server).ask(words.time, (answer: Answer) => {
      if (this.stopped) return;
      const shown = answer instanceof Uint8Array ? words.readTime(answer) : NaN;
      // It has shown that before the answer was here: since then at least as much has passed.
      if (!Number.isNaN(shown)) this.clocks.set(server, { shown, at: host.now() });
      done(Number.isNaN(shown) ? null : shown);
    });
  }

  stop(): void {
    this.stopped = true;
    for (const asker of this.askers.values()) asker.stop();
  }
}

/** What a route is told of the link that an answer came by. */
function carrierOf(owner: Server): Carrier {
  return { owner, retired: false } as unknown as Carrier;
}

function idOf(db: number, buf: Uint8Array, start: number, end: number): string {
  return `${db} ${text(buf, start, end)}`;
}
