// Moves keys that somebody wishes for (wishes.ts); knows where each is to go. How one moves: key_move.ts.

import { text } from "../../bytes.ts";
import type { Host } from "../../host.ts";
import type { Carrier } from "../../link/attempt.ts";
import type { Migrating, Released, Restored, Taken, Value } from "../../protocol/migrating.ts";
import type { MigrateRoute } from "../../route/migrate.ts";
import type { Resendable } from "../../route/route.ts";
import type { Server } from "../../server/server.ts";
import { after } from "./after.ts";
import { type Answer, type AskContext, type Asker, Askers } from "./asker.ts";
import { KeyMove, type MoveEnds, type Outcome } from "./key_move.ts";
import { LONGEST_KNOWN, type Wish, Wishes, type Worker } from "./wishes.ts";

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

interface MoveWish extends Wish<Outcome> {
  readonly db: number;
  readonly from: Server;
  /** Whose clock was read: the value goes there. */
  to: Server | null;
  /** What that has shown. */
  since: number;
  /** A server that has the key only for now (ASK), and what has to be said to it first. */
  guest: { readonly server: Server; readonly preface: Uint8Array } | null;
}

/** What a server's clock has shown, and when. */
interface Clock {
  readonly shown: number;
  readonly at: number;
}

export class Mover implements Worker<MoveWish, Outcome> {
  private readonly context: MoverContext;
  private readonly askers: Askers;
  private readonly clocks: Map<Server, Clock>;
  private readonly wishes: Wishes<MoveWish, Outcome>;
  private readonly name: string;
  private tokens: number;
  private stopped: boolean;

  constructor(context: MoverContext) {
    this.context = context;
    this.askers = new Askers(context);
    this.clocks = new Map();
    this.wishes = new Wishes(this);
    const random = (): string => context.host.random(0x7fffffff).toString(36);
    this.name = random() + random() + random();
    this.tokens = 0;
    this.stopped = false;
  }

  asker(server: Server): Asker {
    return this.askers.of(server);
  }

  /** Nothing is on its way. */
  get isIdle(): boolean {
    return this.wishes.isIdle;
  }

  /** Keys go the other way from now on. */
  turnAround(): void {
    this.wishes.forget();
  }

  /** Whether the key is known not to be at its old server any more. */
  isGone(db: number, buf: Uint8Array, start: number, end: number): boolean {
    if (end - start > LONGEST_KNOWN) return false;
    return this.wishes.isGone(idOf(db, buf, start, end));
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
    const wish = { id, db, key, from, whatever, to: null, since: 0, guest: null, done: [done] };
    this.wishes.add(wish);
  }

  begin(wish: MoveWish, isBig: boolean, over: (outcome: Outcome) => void): void {
    new KeyMove(this.endsOf(wish, isBig ? 0 : this.context.bigKey), over).begin();
  }

  ended({ db, key }: MoveWish, outcome: Outcome): void {
    this.context.note(db, key, outcome);
  }

  private endsOf(wish: MoveWish, most: number): MoveEnds {
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
  private clockFor(wish: MoveWish, done: (ms: number | null) => void): void {
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
    wish: MoveWish,
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
  private isRefused(wish: MoveWish, to: Server, answer: Uint8Array): boolean {
    const { goalRedirects: redirects } = this.context.route;
    if (redirects === null) return false;
    const request = this.request(wish);
    const target = redirects.refused(answer, 0, answer.length, request, carrierOf(to));
    if (target === null) return false;
    const { preface } = redirects;
    if (target.available && preface !== null) wish.guest = { server: target, preface };
    return true;
  }

  private lost(wish: MoveWish, to: Server): void {
    wish.guest = null;
    this.context.route.goalRedirects?.lost(carrierOf(to), this.request(wish));
  }

  private request({ key }: MoveWish): Resendable {
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
    this.wishes.stop();
    this.askers.stop();
  }
}

/** What a route is told of the link that an answer came by. */
function carrierOf(owner: Server): Carrier {
  return { owner, retired: false } as unknown as Carrier;
}

function idOf(db: number, buf: Uint8Array, start: number, end: number): string {
  return `${db} ${text(buf, start, end)}`;
}
