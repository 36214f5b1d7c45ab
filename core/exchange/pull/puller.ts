// Moves keys of memcached that somebody wishes for (migrate/wishes.ts). How one moves: key_pull.ts.

import { text } from "../../bytes.ts";
import type { Host } from "../../host.ts";
import type { Pulling, Reply } from "../../protocol/pulling.ts";
import type { Server } from "../../server/server.ts";
import { type AskContext, type Asker, Askers } from "../migrate/asker.ts";
import { after } from "../migrate/after.ts";
import { type Wish, Wishes, type Worker } from "../migrate/wishes.ts";
import { KeyPull, type Pulled, type PullEnds } from "./key_pull.ts";

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

interface PullWish extends Wish<Pulled> {
  readonly from: Server;
  readonly to: Server;
}

export class Puller implements Worker<PullWish, Pulled> {
  private readonly context: PullerContext;
  private readonly askers: Askers;
  private readonly wishes: Wishes<PullWish, Pulled>;
  private stopped: boolean;

  constructor(context: PullerContext) {
    this.context = context;
    this.askers = new Askers(context);
    this.wishes = new Wishes(this);
    this.stopped = false;
  }

  asker(server: Server): Asker {
    return this.askers.of(server);
  }

  /** Whether the key is known not to be at its old server any more. */
  isGone(buf: Uint8Array, start: number, end: number): boolean {
    return this.wishes.isGone(text(buf, start, end));
  }

  /** `key` is kept. */
  pull(
    key: Uint8Array,
    from: Server,
    to: Server,
    whatever: boolean,
    done: (pulled: Pulled) => void,
  ): void {
    this.wishes.add({ id: text(key, 0, key.length), key, from, to, whatever, done: [done] });
  }

  begin(wish: PullWish, isBig: boolean, over: (pulled: Pulled) => void): void {
    new KeyPull(this.endsOf(wish), isBig ? 0 : this.context.bigKey, over).begin();
  }

  ended({ key }: PullWish, pulled: Pulled): void {
    this.context.note(key, pulled);
  }

  private endsOf({ key, from, to }: PullWish): PullEnds {
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
    this.wishes.stop();
    this.askers.stop();
  }
}
