// One request on its way through a warm route: see warm.ts. It looks at the cold pool, has keys brought
// or forgotten by the steps that the protocol writes down, and is carried out at the cold pool then.

import { EMPTY } from "../bytes.ts";
import type { Carrier } from "../link/attempt.ts";
import { Hearing, Question } from "../link/question.ts";
import { DONE, FORWARD, type Keys, Scan } from "../protocol/codec.ts";
import { INTENT_DELETE } from "../protocol/intents.ts";
import { FAILED, MISS } from "../protocol/verdicts.ts";
import { ABSENT, type Brought, type Steps, type Warming } from "../protocol/warming.ts";
import type { Branching } from "./branching.ts";
import { Course, type CourseOf } from "./course.ts";
import { send } from "./errand.ts";
import { Ghost, Unseen } from "./ghost.ts";
import { type Said, SILENCE, tell } from "./judge.ts";
import { inDoubt } from "./outcome.ts";
import type { Party, Tree } from "./plan.ts";
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

/** The branch that it goes through. */
export interface WarmBranch extends Branching {
  readonly context: WarmContext;
  /** Nobody else has it. */
  newToken(): string;
  /** A client's read begins, which may come back to the cold pool later. */
  reads(client: Party): void;
  /** It writes: what it has sent before goes first, and what it sends next waits. */
  writes(client: Party, begin: () => void): void;
  over(client: Party, wrote: boolean): void;
}

const COLD = 0;
const WARM = 1;
const CANNOT = "a warm route cannot carry this out now";
const REFUSED = "Connection refused";
const GONE = "the client is gone";
const NO_TAGS = { tagHigh: 0, tagLow: 0 };

export class WarmCourse extends Course<WarmBranch> {
  private readonly context: WarmContext;
  private readonly warming: Warming | undefined;
  private readonly token: string;
  private keys: Uint8Array[];
  /** What the cold pool has said when it did not have it. */
  private missed: Said;
  /** Its keys have been brought, as far as they are to be. */
  private tried: boolean;
  /** Of a write: carries it out when the client has gone, since what was is deleted by then. */
  private ghost: Ghost | null;

  constructor(...of: CourseOf<WarmBranch>) {
    super(...of);
    const { branch, want } = this;
    this.context = branch.context;
    this.warming = want.caller.codec.warming;
    this.token = branch.newToken();
    this.keys = [];
    this.missed = SILENCE;
    this.tried = false;
    this.ghost = null;
  }

  begin(buf: Uint8Array, start: number, end: number): void {
    const { want, warming, branch, index } = this;
    if (warming === undefined || !this.keeps(buf, start, end)) {
      return this.judge.lost(index, CANNOT, true);
    }
    const { caller, verb, reads } = want;
    const { codec } = caller;
    const scan = new Scan();
    if (codec.parseRequest(scan, this.kept, 0, this.length) !== DONE) {
      this.letGo();
      return this.judge.lost(index, CANNOT, true);
    }
    branch.tallies[COLD].requests++;
    this.keys = keysOf(codec.keys, scan, scan.scratch ?? this.kept);
    const name = codec.commandName(verb);
    if (reads && !this.changes(name)) {
      branch.reads(caller);
      // Of several keys one may be there, and what another one has be missing in the reply.
      return this.keys.length > 1 ? this.bringFirst() : this.goTo(COLD);
    }
    this.ghost = new Ghost(this.tree, caller, "a write whose client has gone");
    const overwrites = warming.overwrites(name, scan.nargs);
    branch.writes(caller, () => this.write(overwrites));
  }

  /** mg may change an item: N, R, T. */
  private changes(name: string): boolean {
    if (name !== "mg") return false;
    const { kept, length } = this;
    for (let i = 5; i < length && kept[i] !== 10; i++) {
      if (kept[i - 1] !== 32) continue;
      if (kept[i] === 78 || kept[i] === 82 || kept[i] === 84) return true;
    }
    return false;
  }

  private write(overwrites: boolean): void {
    if (overwrites) return this.forgetAll();
    // A delete as well: its reply says whether the key was there.
    this.bringAll((brought) => {
      if (brought.is === "unfit" && this.want.intent !== INTENT_DELETE) return this.refuse(brought);
      this.forgetAll();
    });
  }

  private refuse({ why }: Brought): void {
    this.fail(`it cannot be warmed up: ${why}`);
  }

  private toCold(): void {
    this.tried = true;
    const { ghost, want: { caller, verb } } = this;
    if (ghost === null || !caller.isClosed) return this.goTo(COLD);
    const orphan = new Orphan(ghost, verb, false, NO_TAGS, EMPTY);
    send(this.targets[COLD], orphan, this.kept, 0, this.length, orphan, 0);
    this.fail("");
  }

  // ---------------------------------------------------------------- replies

  reply(index: number, link: Carrier, buf: Uint8Array, start: number, end: number): void {
    const { want } = this;
    const verdict = want.verdict(buf, start, end);
    const isDone = index === WARM || this.tried || verdict === FAILED ||
      (verdict !== MISS && this.warming?.isSure(buf, start, end) === true);
    if (isDone) {
      this.end();
      return this.judge.reply(this.index, link, buf, start, end);
    }
    this.missed = { verdict, bytes: buf.slice(start, end), text: "", unsent: true };
    if (this.context.onlyReads === true && this.targets[WARM].available) return this.goTo(WARM);
    this.bringAll((brought) => {
      if (brought.is === "there") return this.toCold();
      if (brought.is === "unfit" && this.targets[WARM].available) return this.goTo(WARM);
      this.tellMissed();
    });
  }

  private tellMissed(): void {
    this.end();
    tell(this.judge, this.index, this.tree.paper, this.missed);
  }

  lost(index: number, text: string, unsent: boolean): void {
    if (index === WARM) return this.tellMissed();
    this.end();
    this.judge.lost(this.index, inDoubt(text, unsent, this.want.reads), unsent);
  }

  /** One value is that long: it is there. */
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
    if (this.length === 0) return;
    this.letGo();
    this.branch.over(this.want.caller, this.ghost !== null);
  }

  // ---------------------------------------------------------------- steps

  private bringFirst(): void {
    this.bringAll((brought) => {
      if (brought.is === "unfit") this.refuse(brought);
      else this.toCold();
    });
  }

  /** there: one of the keys has been brought, or is there by now. */
  private bringAll(then: (brought: Brought) => void): void {
    const warming = this.warming as Warming;
    this.branch.tallies[WARM].requests++;
    let left = this.keys.length;
    let all = ABSENT;
    if (left === 0) return then(all);
    for (const key of this.keys) {
      this.walk(warming.bring(key, this.token, this.context.seconds), (brought) => {
        if (typeof brought === "string") {
          if (!this.hasForgotten(brought)) all = { is: "unfit", why: brought };
        } else if (brought.is === "unfit" || all.is === "absent") all = brought;
        if (--left === 0) then(all);
      });
    }
  }

  /** And the request is carried out then. */
  private forgetAll(): void {
    const warming = this.warming as Warming;
    let left = this.keys.length;
    let wrong = "";
    if (left === 0) return this.toCold();
    for (const key of this.keys) {
      this.walk(warming.forget(key), (why) => {
        if (why !== "" && !this.hasForgotten(why)) wrong = why;
        if (--left > 0) return;
        if (wrong === "") this.toCold();
        else this.fail(`it cannot be deleted where it is warmed up from: ${wrong}`);
      });
    }
  }

  /** Whether a server that says so has nothing (any more): see Warming.forgets. */
  private hasForgotten(why: string): boolean {
    return this.warming?.forgets === true && why === REFUSED;
  }

  /** One step after the other; a text says what is wrong. */
  private walk<T>(steps: Steps<T>, done: (result: T | string) => void, reply?: Uint8Array): void {
    const next = reply === undefined ? steps.next() : steps.next(reply);
    if (next.done) return done(next.value);
    const { at, request } = next.value;
    const target = this.targets[at === "cold" ? COLD : WARM];
    // Not that it has refused anything.
    if (!target.available) return done(`no server takes requests now (${target.reason})`);
    const { caller } = this.want;
    if ((this.ghost ?? caller).isClosed) return done(GONE);
    const { context } = this;
    const lane = this.warming?.inFirstLane === true ? context.lane : caller.lane;
    const sink = new Hearing((answer) => {
      if (answer instanceof Uint8Array) this.walk(steps, done, answer);
      else done(answer.why);
    });
    context.turn.enter();
    target.linkFor({ id: caller.id, lane }).send(new Question(sink), request, 0, request.length);
  }
}

/** What a client that has gone wanted. */
class Orphan extends Unseen {
  reply(): void {}

  lost(): void {}
}

function keysOf(keys: Keys | null, scan: Scan, buf: Uint8Array): Uint8Array[] {
  if (scan.action === FORWARD || keys === null) return [buf.slice(scan.keyStart, scan.keyEnd)];
  return Array.from({ length: scan.nkeys }, (_, i) => {
    keys.select(scan, i);
    return buf.slice(scan.keyStart, scan.keyEnd);
  });
}
