// One request at a pool whose keys change their servers by themselves: at its servers one after the
// other, until one does it. What of it is the client's order is in managed.ts.
//
//   begin ─▶ sent ─ refused, lost ─▶ sent again, or waits (park.ts) ─ go ─▶ sent ...
//            └─ answered, in vain ─▶ end: the judge is told

import type { Attempt, Carrier } from "../link/attempt.ts";
import { Question, UNHEARD } from "../link/question.ts";
import { redirectsOf } from "../route/former.ts";
import type { Asker, Intent, Redirects, Resendable, Route } from "../route/route.ts";
import { type Parking, Server, type Target } from "../server/server.ts";
import { CLASS_READ } from "../stats/latency.ts";
import { OutBuffer } from "../wire/out_buffer.ts";
import { Errand } from "./errand.ts";
import type { Judge } from "./judge.ts";
import { inDoubt } from "./outcome.ts";
import type { ParkedInOrder } from "./park.ts";
import type { Tree, Want } from "./plan.ts";
import type { ScriptShelf } from "./scripts.ts";

const MINUS = 45;
/** What a request that waits costs at least (bytes): the smallest buffer. */
export const LEAST = 4096;
const ERR = "ERR ";

/** Whose request it is, as the pool's route sees it. */
export interface DetourOwner extends Asker {
  readonly branch: {
    readonly tree: Tree;
    readonly route: Route;
    readonly pool: { readonly scripts: ScriptShelf | null };
  };
  readonly isClosed: boolean;
  /** It has its reply, or will have none. */
  done(detour: Detour): void;
}

export class Detour extends Errand implements Resendable, ParkedInOrder {
  /** Which of its client's it is, and what is behind it. */
  number: number;
  after: Detour | null;
  isOver: boolean;
  parkedAt: number;
  place: number;
  readonly where: { readonly number: number; readonly picked: number };
  readonly by: DetourOwner;
  resent: number;
  way: number;
  /** How often it was sent again though a server may have seen to it. */
  private repeated: number;
  /** Its bytes, while it waits for a server. */
  private kept: OutBuffer;
  private size: number;

  constructor(
    by: DetourOwner,
    where: Detour["where"],
    want: Want,
    judge: Judge,
    index: number,
  ) {
    super(want, judge, index);
    this.number = 0;
    this.after = null;
    this.isOver = false;
    this.parkedAt = -1;
    this.place = where.number;
    this.where = where;
    this.by = by;
    this.resent = 0;
    this.way = 0;
    this.repeated = 0;
    this.kept = new OutBuffer(want.caller.context.buffers);
    this.size = 0;
  }

  get intent(): Intent {
    return this.want.intent;
  }

  get isJudged(): boolean {
    return this.want.caller.codec.judged[this.verb + 1] === 1;
  }

  get whole(): Detour {
    return this;
  }

  isBefore({ number }: Detour): boolean {
    return this.number < number;
  }

  /** See `Asker.isAstray`. */
  isAstray(place: number, way: number): boolean {
    if (this.isOver || (place >= 0 && this.place !== place)) return false;
    return this.parkedAt >= 0 || (this.resent > 0 && this.way !== way);
  }

  private get class(): Intent {
    return this.want.caller.codec.classes[this.verb + 1];
  }

  /** What it asks for, while it waits. */
  said(): Uint8Array {
    const bytes = new Uint8Array(this.size);
    this.kept.moveInto(bytes);
    this.kept.append(bytes, 0, bytes.length);
    return bytes;
  }

  begin(target: Target, buf: Uint8Array, start: number, end: number): void {
    const { caller } = this.want;
    if (target.available) {
      const link = target.linkFor(caller);
      link.send(this, buf, start, end);
      if (link.congested) caller.waitForLink(link);
    } else if (target.parking === null) {
      this.end(() => this.judge.lost(this.index, target.reason, true));
    } else {
      this.kept.append(buf, start, end);
      this.size = end - start;
      target.parking.wait(this);
    }
  }

  /** Its judge is told, and its client may go on. */
  private end(tell: () => void): void {
    tell();
    this.by.done(this);
  }

  /** It was not sent at all. */
  giveUpWith(reason: string): void {
    this.judge.lost(this.index, reason, true);
  }

  // ---------------------------------------------------------------- replies

  override reply(
    attempt: Attempt,
    link: Carrier,
    buf: Uint8Array,
    start: number,
    end: number,
  ): void {
    // An error is one line: a reply that was kept in part is none that a route looks for.
    const isError = buf[start] === MINUS && this.isUnanswered;
    if (isError && this.goesOn(link, buf, start, end)) return;
    this.end(() => super.reply(attempt, link, buf, start, end));
  }

  override lost(attempt: Attempt, link: Carrier, text: string, unsent: boolean): void {
    if (this.isUnanswered && this.recovers(link, unsent)) return;
    const told = inDoubt(text, unsent, this.class === CLASS_READ);
    this.end(() => super.lost(attempt, link, told, unsent));
  }

  private redirectsAt(link: Carrier): Redirects | null {
    const { redirects } = this.by.branch.route;
    return this.want.caller.isClosed ? null : redirectsOf(link, redirects);
  }

  /** Whether the error at `buf[start, end)` is no answer yet. */
  private goesOn(link: Carrier, buf: Uint8Array, start: number, end: number): boolean {
    const redirects = this.redirectsAt(link);
    if (redirects === null) return false;
    const { scripts } = this.by.branch.pool;
    if (scripts !== null && scripts.words.isMissing(buf, start, end)) {
      if (this.goesWithScript(scripts, link)) return true;
    }
    const target = redirects.refused(buf, start, end, this, link);
    if (target === null) return false;
    if (!target.available && target.parking === null) {
      this.end(() => this.judge.lost(this.index, target.reason, true));
      return true;
    }
    if (target.available && this.resent >= redirects.most) {
      return this.answers(redirects.tooMany(this));
    }
    return this.goesTo(target, redirects.preface, link) ||
      this.answers(redirects.forgotten(this));
  }

  /** The server has no such script: it gets it, and the request again; once. */
  private goesWithScript(scripts: ScriptShelf, link: Carrier): boolean {
    const { owner } = link;
    if (!(owner instanceof Server) || this.repeated > 0) return false;
    const bytes = new OutBuffer(this.want.caller.context.buffers);
    if (!link.sent(this, bytes)) return false;
    const sent = new Uint8Array(this.bytes);
    bytes.moveInto(sent);
    const load = scripts.loadFor(sent);
    if (load === null) return false;
    this.repeated++;
    return this.goesTo(owner, load, link);
  }

  private recovers(link: Carrier, unsent: boolean): boolean {
    const redirects = this.redirectsAt(link);
    if (redirects === null) return false;
    const target = redirects.lost(link, this);
    if (!unsent && !redirects.mayRepeat(this.class, this.repeated)) return false;
    if (target === null) return false;
    if (!target.available && target.parking === null) {
      this.end(() => this.judge.lost(this.index, target.reason, unsent));
      return true;
    }
    if (target.available && this.resent >= redirects.most) return false;
    if (!unsent) this.repeated++;
    return this.goesTo(target, null, link);
  }

  /** False: what was sent is not kept any more. */
  private goesTo(target: Target, preface: Uint8Array | null, from: Carrier): boolean {
    if (!from.sent(this, this.kept)) return false;
    this.size = this.bytes;
    if (!target.available) {
      (target.parking as Parking).wait(this);
      return true;
    }
    const link = target.linkFor(this.want.caller);
    if (preface !== null) link.send(new Question(UNHEARD), preface, 0, preface.length);
    this.resent++;
    this.go(target);
    return true;
  }

  /** The proxy's own words are the answer, if there are any. */
  private answers(error: Uint8Array | null): boolean {
    if (error === null) return false;
    const { judge, index, by, want } = this;
    const text = want.caller.codec.errorText(error, 0, error.length);
    // No server has said it, and none has carried anything out.
    if (text.startsWith(ERR)) {
      this.end(() => judge.lost(index, text.slice(ERR.length), true));
    } else this.end(() => judge.reply(index, by.branch.tree.paper, error, 0, error.length));
    return true;
  }

  // ---------------------------------------------------------------- while it waits for a server

  get cost(): number {
    return Math.max(this.size, LEAST);
  }

  get isGone(): boolean {
    return this.want.caller.isClosed;
  }

  go(server: Server): void {
    const { caller } = this.want;
    const link = server.linkFor(caller);
    link.enqueue(this, this.size);
    this.kept.moveTo(link.out);
    if (link.congested) caller.waitForLink(link);
  }

  giveUp(error: Uint8Array): void {
    this.kept.clear();
    this.answers(error);
  }

  forget(): void {
    this.kept.clear();
    this.end(() => this.judge.lost(this.index, "", true));
  }
}
