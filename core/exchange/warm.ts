// `warm`: a cold pool that another one warms up. A read goes to the cold pool; what it does not have
// is brought there from the warm one, unless it is changed meanwhile, and read then. A write deletes
// the key at the warm pool first; one that depends on what was (incr, HSET, add) has it brought before.
// So nothing that was overwritten or deleted comes back (mcrouter's WarmUpRoute lets it).

import { EMPTY } from "../bytes.ts";
import type { Attempt, Carrier } from "../link/attempt.ts";
import { Question, Unheard } from "../link/question.ts";
import { DONE, FORWARD, type Keys, Scan } from "../protocol/codec.ts";
import { INTENT_DELETE } from "../protocol/intents.ts";
import { FAILED, MISS } from "../protocol/verdicts.ts";
import type { Brought, Steps, Warming } from "../protocol/warming.ts";
import type { Branch, Step } from "../route/prefix.ts";
import type { Intent } from "../route/route.ts";
import type { Target } from "../server/server.ts";
import type { RouteTally } from "../stats/routes.ts";
import { OutBuffer } from "../wire/out_buffer.ts";
import { Branching } from "./branching.ts";
import { inDoubt } from "./outcome.ts";
import { MOST_KEPT } from "./failover.ts";
import { send } from "./errand.ts";
import { type Judge, type Said, SILENCE, tell } from "./judge.ts";
import type { Party, Tree, Want } from "./plan.ts";
import type { Request } from "./request.ts";

/** What a warm route knows of its surroundings. */
export interface WarmContext extends Tree {
  /** The lane that every client starts with. */
  readonly lane: number;
  /** Seconds since 1970. */
  readonly seconds: number;
  readonly turn: { enter(): void };
  random(n: number): number;
  /** What a read does not find is read where it was, and not brought: see warm_ring.ts. */
  readonly onlyReads?: boolean;
}

const COLD = 0;
const WARM = 1;

/** A client's requests here, and writes that wait until its reads are over. */
interface Uses {
  reads: number;
  writes: number;
  waiting: (() => void)[];
}

export class Warm extends Branching {
  private readonly context: WarmContext;
  private tokens: number;
  /** Clients with requests here. */
  private readonly uses: Map<Party, Uses>;

  constructor(
    context: WarmContext,
    children: readonly [cold: Branch, warm: Branch],
    tallies: readonly RouteTally[],
  ) {
    super(context, children, tallies, "a warm one");
    this.context = context;
    this.tokens = 0;
    this.uses = new Map();
  }

  /** A cas unique is the cold pool's: what has one is brought there first. */
  protected override ties(): boolean {
    return false;
  }

  run(
    want: Want,
    targets: readonly Target[],
    buf: Uint8Array,
    start: number,
    end: number,
    judge: Judge,
    index: number,
  ): void {
    const { warming } = want.caller.codec;
    if (warming === undefined || end - start + this.context.kept > MOST_KEPT) {
      return judge.lost(index, "a warm route cannot carry this out now", true);
    }
    new Run(this, this.context, this.newToken(), warming, want, targets, judge, index)
      .begin(buf, start, end);
  }

  private usesOf(client: Party): Uses {
    let uses = this.uses.get(client);
    if (uses === undefined) {
      uses = { reads: 0, writes: 0, waiting: [] };
      this.uses.set(client, uses);
    }
    return uses;
  }

  /** A client's read begins, which may come back to the cold pool later. */
  reads(client: Party): void {
    this.usesOf(client).reads++;
  }

  /** It writes: what it has sent before goes first, and what it sends next waits. */
  writes(client: Party, begin: () => void): void {
    const uses = this.usesOf(client);
    uses.writes++;
    client.stopForWork?.();
    if (uses.reads === 0) begin();
    else uses.waiting.push(begin);
  }

  over(client: Party, wrote: boolean): void {
    const uses = this.usesOf(client);
    if (wrote) uses.writes--;
    else uses.reads--;
    this.context.turn.enter();
    if (uses.reads === 0) { for (const begin of uses.waiting.splice(0)) begin(); }
    if (uses.writes === 0 && wrote) client.workDone?.();
    if (uses.writes + uses.reads === 0) this.uses.delete(client);
  }

  private newToken(): string {
    const { context } = this;
    return `${context.random(0x7fffffff).toString(36)}.${++this.tokens}.${context.seconds}`;
  }

  trace(buf: Uint8Array, start: number, end: number, intent: Intent): Step {
    const [cold, warm] = this.children.map((child) => child.trace(buf, start, end, intent));
    return {
      what: "warm",
      to: [
        { what: "cold: reads first, and all writes", to: [cold] },
        { what: "warm: what the cold one does not have; writes delete the key there", to: [warm] },
      ],
    };
  }
}

class Run implements Judge {
  private readonly branch: Warm;
  private readonly context: WarmContext;
  private readonly token: string;
  private readonly warming: Warming;
  private readonly want: Want;
  private readonly targets: readonly Target[];
  private readonly judge: Judge;
  private readonly index: number;
  /** The request: buf[0, length). */
  private buf: Uint8Array;
  private length: number;
  private keys: Uint8Array[];
  /** The cold pool has been looked at, and says so. */
  private missed: Said;
  private tried: boolean;
  private writes: boolean;

  constructor(
    branch: Warm,
    context: WarmContext,
    token: string,
    warming: Warming,
    want: Want,
    targets: readonly Target[],
    judge: Judge,
    index: number,
  ) {
    this.branch = branch;
    this.context = context;
    this.token = token;
    this.warming = warming;
    this.want = want;
    this.targets = targets;
    this.judge = judge;
    this.index = index;
    this.buf = EMPTY;
    this.length = 0;
    this.keys = [];
    this.missed = SILENCE;
    this.tried = false;
    this.writes = false;
  }

  begin(buf: Uint8Array, start: number, end: number): void {
    const { context, want } = this;
    const length = end - start;
    context.kept += length;
    this.length = length;
    this.buf = context.buffers.take(length);
    this.buf.set(buf.subarray(start, end));
    const scan = new Scan();
    const { codec } = want.caller;
    if (codec.parseRequest(scan, this.buf, 0, length) !== DONE) return this.fail("bad request");
    this.branch.tallies[COLD].requests++;
    this.keys = keysOf(codec.keys, scan, scan.scratch ?? this.buf);
    const name = codec.commandName(want.verb);
    if (want.reads && !this.isWriting(name)) {
      this.branch.reads(want.caller);
      return send(this.cold, want, this.buf, 0, length, this, COLD);
    }
    this.writes = true;
    const overwrites = this.warming.overwrites(name, scan.nargs);
    this.branch.writes(want.caller, () => this.write(overwrites));
  }

  private write(overwrites: boolean): void {
    const { want } = this;
    const last = (): void => this.forgetAll(() => this.toCold());
    if (overwrites) return last();
    // A delete as well: its reply says whether the key was there.
    this.bringAll((brought) => {
      if (brought.is === "unfit" && want.intent !== INTENT_DELETE) {
        return this.fail(`it cannot be warmed up: ${brought.why}`);
      }
      last();
    });
  }

  /** mg may change an item: N, R, T. */
  private isWriting(name: string): boolean {
    if (name !== "mg") return false;
    for (let i = 3; i < this.length && this.buf[i] !== 10; i++) {
      if (
        this.buf[i - 1] === 32 && i > 4 &&
        (this.buf[i] === 78 || this.buf[i] === 82 || this.buf[i] === 84)
      ) {
        return true;
      }
    }
    return false;
  }

  private get cold(): Target {
    return this.targets[COLD];
  }

  private toCold(): void {
    this.tried = true;
    send(this.cold, this.want, this.buf, 0, this.length, this, COLD);
  }

  // ---------------------------------------------------------------- replies

  reply(index: number, link: Carrier, buf: Uint8Array, start: number, end: number): void {
    const { want } = this;
    const verdict = want.verdict(buf, start, end);
    const isDone = index === WARM || this.tried || verdict === FAILED ||
      (verdict !== MISS && this.warming.isSure(buf, start, end));
    if (isDone) {
      this.end();
      return this.judge.reply(this.index, link, buf, start, end);
    }
    this.missed = { verdict, bytes: buf.slice(start, end), text: "", unsent: true };
    const [, from] = this.targets;
    if (this.context.onlyReads === true && from.available) {
      return send(from, want, this.buf, 0, this.length, this, WARM);
    }
    this.bringAll((brought) => {
      if (brought.is === "there") return this.toCold();
      const warm = this.targets[WARM];
      if (brought.is === "unfit" && warm.available) {
        return send(warm, want, this.buf, 0, this.length, this, WARM);
      }
      this.end();
      tell(this.judge, this.index, this.context.paper, this.missed);
    });
  }

  lost(index: number, text: string, unsent: boolean): void {
    this.end();
    if (index === WARM) return tell(this.judge, this.index, this.context.paper, this.missed);
    this.judge.lost(this.index, inDoubt(text, unsent, this.want.reads), unsent);
  }

  /** Whether it is a hit is seen by its beginning. */
  streams(): Request | null {
    return this.judge.streams(this.index);
  }

  streamed(): void {
    this.end();
    this.judge.streamed(this.index);
  }

  private fail(why: string): void {
    this.end();
    this.judge.lost(this.index, why, true);
  }

  private end(): void {
    const { context, buf, length } = this;
    if (length === 0) return;
    this.length = 0;
    context.kept -= length;
    context.buffers.give(buf);
    this.branch.over(this.want.caller, this.writes);
  }

  // ---------------------------------------------------------------- steps

  /** there: one of the keys has been brought, or is there by now. */
  private bringAll(then: (brought: Brought) => void): void {
    this.branch.tallies[WARM].requests++;
    let left = this.keys.length;
    let all: Brought = { is: "absent", why: "" };
    if (left === 0) return then(all);
    for (const key of this.keys) {
      this.walk(this.warming.bring(key, this.token, this.context.seconds), (brought) => {
        if (typeof brought === "string") all = { is: "unfit", why: brought };
        else if (brought.is === "unfit" || all.is === "absent") all = brought;
        if (--left === 0) then(all);
      });
    }
  }

  private forgetAll(then: () => void): void {
    let left = this.keys.length;
    let wrong = "";
    if (left === 0) return then();
    for (const key of this.keys) {
      this.walk(this.warming.forget(key), (why) => {
        if (why !== "" && !(this.warming.forgets && why === REFUSED)) wrong = why as string;
        if (--left > 0) return;
        if (wrong === "") then();
        else this.fail(`it cannot be deleted where it is warmed up from: ${wrong}`);
      });
    }
  }

  /** One step after the other; a text says what is wrong. */
  private walk<T>(steps: Steps<T>, done: (result: T | string) => void, reply?: Uint8Array): void {
    const next = reply === undefined ? steps.next() : steps.next(reply);
    if (next.done) return done(next.value);
    const { at, request } = next.value;
    const target = this.targets[at === "cold" ? COLD : WARM];
    if (!target.available) return done(target.reason);
    const { caller } = this.want;
    const { context, warming } = this;
    const lane = warming.inFirstLane ? context.lane : caller.lane;
    const sink = new Hearing(context, (answer) => {
      if (answer instanceof Uint8Array) this.walk(steps, done, answer);
      else done(answer);
    });
    context.turn.enter();
    target.linkFor({ id: caller.id, lane }).send(new Question(sink), request, 0, request.length);
  }
}

const REFUSED = "Connection refused";

/** Hears the answer to one step, gathered whole. */
class Hearing extends Unheard {
  private readonly done: (answer: Uint8Array | string) => void;
  private readonly context: WarmContext;
  private gathered: OutBuffer | null;

  constructor(context: WarmContext, done: (answer: Uint8Array | string) => void) {
    super();
    this.context = context;
    this.done = done;
    this.gathered = null;
  }

  override part(
    _attempt?: Attempt,
    _link?: Carrier,
    buf: Uint8Array = EMPTY,
    start = 0,
    end = 0,
  ): void {
    this.gathered ??= new OutBuffer(this.context.buffers);
    this.gathered.append(buf, start, end);
  }

  override reply(_: Attempt, _link: Carrier, buf: Uint8Array, start: number, end: number): void {
    const { gathered } = this;
    if (gathered === null) return this.done(buf.slice(start, end));
    gathered.append(buf, start, end);
    const whole = new Uint8Array(gathered.size);
    gathered.moveInto(whole);
    this.done(whole);
  }

  override lost(_attempt?: Attempt, _link?: Carrier, text = ""): void {
    this.gathered?.clear();
    this.done(text === "" ? "the connection was closed" : text);
  }
}

function keysOf(keys: Keys | null, scan: Scan, buf: Uint8Array): Uint8Array[] {
  if (scan.action === FORWARD || keys === null) return [buf.slice(scan.keyStart, scan.keyEnd)];
  return Array.from({ length: scan.nkeys }, (_, i) => {
    keys.select(scan, i);
    return buf.slice(scan.keyStart, scan.keyEnd);
  });
}
