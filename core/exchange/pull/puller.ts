// Moves keys of memcached, each once at a time however many ask for it. Remembers some that are gone:
// a key that has left its old server does not come back (key_pull.ts).

import { text } from "../../bytes.ts";
import type { Host } from "../../host.ts";
import type { Pulling, Reply } from "../../protocol/pulling.ts";
import type { Server } from "../../server/server.ts";
import { type AskContext, Asker } from "../migrate/asker.ts";
import { after, MOST_MOVING } from "../migrate/mover.ts";
import { KeyPull, type Pulled, type PullEnds } from "./key_pull.ts";

/** Keys that are remembered to be gone, none longer (bytes) than the other. */
const MOST_KNOWN = 50_000;
/** How long (s) one process may take to move a key before another one does; and a token lasts. */
const HOLD = 5;
const TOKEN = 30;

export interface PullerContext extends AskContext {
  readonly host: Pick<Host, "now" | "every" | "wallClock">;
  readonly pulling: Pulling;
  /** Bytes above which a key is big: moved one at a time, and told. */
  readonly bigKey: number;
  note(key: Uint8Array, pulled: Pulled): void;
}

interface Wish {
  readonly key: Uint8Array;
  readonly from: Server;
  readonly to: Server;
  /** Somebody wants it however big it is. */
  whatever: boolean;
  readonly done: ((pulled: Pulled) => void)[];
}

export class Puller {
  private readonly context: PullerContext;
  private readonly askers: Map<Server, Asker>;
  private readonly wishes: Map<string, Wish>;
  /** Wishes that wait for room, and big ones that wait for each other. */
  private waiting: Wish[];
  private bigs: Wish[];
  private moving: number;
  private isBigMoving: boolean;
  private readonly known: Set<string>;
  private stopped: boolean;

  constructor(context: PullerContext) {
    this.context = context;
    this.askers = new Map();
    this.wishes = new Map();
    this.waiting = [];
    this.bigs = [];
    this.moving = 0;
    this.isBigMoving = false;
    this.known = new Set();
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
  isGone(buf: Uint8Array, start: number, end: number): boolean {
    return this.known.has(text(buf, start, end));
  }

  /** `key` is kept. */
  pull(
    key: Uint8Array,
    from: Server,
    to: Server,
    whatever: boolean,
    done: (pulled: Pulled) => void,
  ): void {
    const id = text(key, 0, key.length);
    const there = this.wishes.get(id);
    if (there !== undefined) {
      there.whatever ||= whatever;
      there.done.push(done);
      return;
    }
    const wish = { key, from, to, whatever, done: [done] };
    this.wishes.set(id, wish);
    if (this.moving >= MOST_MOVING) this.waiting.push(wish);
    else this.begin(wish);
  }

  private begin(wish: Wish): void {
    this.moving++;
    new KeyPull(this.endsOf(wish), this.context.bigKey, (pulled) => {
      this.moving--;
      if (pulled.is === "big" && wish.whatever) this.bigs.push(wish);
      else this.end(wish, pulled);
      this.goOn();
    }).begin();
  }

  private end(wish: Wish, pulled: Pulled): void {
    const { key, done } = wish;
    const id = text(key, 0, key.length);
    this.wishes.delete(id);
    if (pulled.is === "gone") {
      if (this.known.size >= MOST_KNOWN) this.known.clear();
      this.known.add(id);
    }
    this.context.note(key, pulled);
    for (const one of done) one(pulled);
  }

  private goOn(): void {
    if (this.stopped) return;
    if (!this.isBigMoving && this.bigs.length > 0) this.beginBig(this.bigs.shift() as Wish);
    while (this.moving < MOST_MOVING && this.waiting.length > 0) {
      this.begin(this.waiting.shift() as Wish);
    }
  }

  private beginBig(wish: Wish): void {
    this.isBigMoving = true;
    new KeyPull(this.endsOf(wish), 0, (pulled) => {
      this.isBigMoving = false;
      this.end(wish, pulled);
      this.goOn();
    }).begin();
  }

  private endsOf({ key, from, to }: Wish): PullEnds {
    const { pulling, host } = this.context;
    const ask = <T>(
      server: Server,
      request: Uint8Array,
      read: (reply: Uint8Array) => Reply<T>,
      done: (one: Reply<T>) => void,
    ): void => {
      this.asker(server).ask(request, (answer) => {
        if (!this.stopped) done(answer instanceof Uint8Array ? read(answer) : answer);
      });
    };
    return {
      now: () => host.now(),
      later: (ms, fn) => void after(host, ms, () => this.stopped || fn()),
      has: (done) => ask(from, pulling.has(key), pulling.readHad, done),
      hold: (done) => ask(from, pulling.hold(key, HOLD), pulling.readHeld, done),
      letGo: () => this.asker(from).ask(pulling.letGo(key), () => {}),
      token: (done) => ask(to, pulling.token(key, TOKEN), pulling.readToken, done),
      value: (done) => ask(from, pulling.value(key), pulling.readValue, done),
      fill: (token, value, done) => {
        const now = Math.floor(host.wallClock() / 1000);
        ask(to, pulling.fill(key, token, value, now), pulling.readFilled, done);
      },
      unplace: (token, done) => ask(to, pulling.drop(key, token), pulling.readDropped, done),
      drop: (cas, done) => ask(from, pulling.drop(key, cas), pulling.readDropped, done),
    };
  }

  stop(): void {
    this.stopped = true;
    for (const asker of this.askers.values()) asker.stop();
  }
}
