// Moves keys, each once at a time however many ask for it. Knows where each is to go, and remembers
// some that are gone: a key that has left its old server does not come back (key_move.ts).

import { text } from "../../bytes.ts";
import type { Host, Timer } from "../../host.ts";
import type { Migrating, Released, Restored, Taken } from "../../protocol/migrating.ts";
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

export interface MoverContext extends AskContext {
  readonly host: Pick<Host, "now" | "every" | "random">;
  readonly words: Migrating;
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
  readonly to: Server;
  /** Somebody wants it however big it is. */
  whatever: boolean;
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
    to: Server,
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
    const wish = { db, key, from, to, whatever, done: [done] };
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

  private endsOf({ db, key, from, to }: Wish, most: number): MoveEnds {
    const { words, host } = this.context;
    const ask = <T extends Taken | Restored | Released>(
      server: Server,
      request: Uint8Array,
      read: (reply: Uint8Array) => T,
      done: (one: T) => void,
    ): void => {
      this.asker(server).ask(request, (answer) => {
        if (!this.stopped) done(answer instanceof Uint8Array ? read(answer) : answer as T);
      });
    };
    return {
      now: () => host.now(),
      later: (ms, fn) => void after(host, ms, () => this.stopped || fn()),
      newToken: () => `${this.name}.${++this.tokens}`,
      clock: (done) => this.clock(to, done),
      take: (token, force, done) =>
        ask(from, words.take(db, key, token, force, most), words.readTaken, done),
      restore: (value, deadline, done) =>
        ask(to, words.restore(db, key, value, deadline), words.readRestored, done),
      release: (token, aside, done) =>
        ask(from, words.release(db, key, token, aside), words.readReleased, done),
      giveBack: (token, done) =>
        ask(from, words.giveBack(db, key, token), words.readReleased, done),
    };
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

function idOf(db: number, buf: Uint8Array, start: number, end: number): string {
  return `${db} ${text(buf, start, end)}`;
}
