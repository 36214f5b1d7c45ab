// Keys that are to move, each once at a time however many ask for it. Remembers some that are gone: a
// key that has left its old server does not come back.

/** Keys on their way at a time; what else is asked for waits. */
export const MOST_MOVING = 32;
/** Keys that are remembered to be gone, none longer (bytes) than the other. */
const MOST_KNOWN = 50_000;
export const LONGEST_KNOWN = 256;

/** A key that somebody wants to have moved; `Result`: what becomes of it. */
export interface Wish<Result> {
  /** Of the key and its database. */
  readonly id: string;
  readonly key: Uint8Array;
  /** Somebody wants it however big it is. */
  whatever: boolean;
  readonly done: ((result: Result) => void)[];
}

/** Who moves them. */
export interface Worker<W, Result> {
  /** `isBig`: it is to be moved however big it is. `over` is called once, or not at all after `stop`. */
  begin(wish: W, isBig: boolean, over: (result: Result) => void): void;
  /** It is no wish any more; those who wait hear of it next. */
  ended(wish: W, result: Result): void;
}

export class Wishes<W extends Wish<Result>, Result extends { readonly is: string }> {
  private readonly worker: Worker<W, Result>;
  private readonly all: Map<string, W>;
  /** Wishes that wait for room, and big ones that wait for each other. */
  private readonly waiting: W[];
  private readonly bigs: W[];
  private moving: number;
  private isBigMoving: boolean;
  private readonly known: Set<string>;
  private stopped: boolean;

  constructor(worker: Worker<W, Result>) {
    this.worker = worker;
    this.all = new Map();
    this.waiting = [];
    this.bigs = [];
    this.moving = 0;
    this.isBigMoving = false;
    this.known = new Set();
    this.stopped = false;
  }

  /** Nothing is on its way. */
  get isIdle(): boolean {
    return this.all.size === 0;
  }

  /** Whether the key is known not to be at its old server any more. */
  isGone(id: string): boolean {
    return this.known.has(id);
  }

  /** Nothing is known of any key. */
  forget(): void {
    this.known.clear();
  }

  add(wish: W): void {
    const there = this.all.get(wish.id);
    if (there !== undefined) {
      there.whatever ||= wish.whatever;
      there.done.push(...wish.done);
      return;
    }
    this.all.set(wish.id, wish);
    if (this.moving >= MOST_MOVING) this.waiting.push(wish);
    else this.begin(wish);
  }

  private begin(wish: W): void {
    this.moving++;
    this.worker.begin(wish, false, (result) => {
      this.moving--;
      if (result.is === "big" && wish.whatever) this.bigs.push(wish);
      else this.end(wish, result);
      this.goOn();
    });
  }

  private beginBig(wish: W): void {
    this.isBigMoving = true;
    this.worker.begin(wish, true, (result) => {
      this.isBigMoving = false;
      this.end(wish, result);
      this.goOn();
    });
  }

  private end(wish: W, result: Result): void {
    this.all.delete(wish.id);
    if (result.is === "gone" && wish.key.length <= LONGEST_KNOWN) {
      if (this.known.size >= MOST_KNOWN) this.known.clear();
      this.known.add(wish.id);
    }
    this.worker.ended(wish, result);
    for (const one of wish.done) one(result);
  }

  private goOn(): void {
    if (this.stopped) return;
    if (!this.isBigMoving && this.bigs.length > 0) this.beginBig(this.bigs.shift() as W);
    while (this.moving < MOST_MOVING && this.waiting.length > 0) {
      this.begin(this.waiting.shift() as W);
    }
  }

  stop(): void {
    this.stopped = true;
  }
}
