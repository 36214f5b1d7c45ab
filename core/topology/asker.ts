// Puts questions to one address after another, over a link of its own: some at a time, which go out in
// one write, and are answered or failed as a whole. Off the request path.

import { EMPTY } from "../bytes.ts";
import type { Address, ConnectTls, Host, Socket, SocketHandler } from "../host.ts";
import { type Attempt, type Carrier, HOLD, type Sink } from "../link/attempt.ts";
import { Link } from "../link/link.ts";
import {
  type LinkContext,
  type LinkCounters,
  type LinkOwner,
  newLinkCounters,
} from "../link/owner.ts";
import { Question } from "../link/question.ts";

/** How long (ms) somebody may take to answer all. */
export const PATIENCE = 1000;
/** Longest answers (bytes), together, that are taken. */
const LONGEST = 4 << 20;

/** What an asker is given. */
export interface AskerContext extends LinkContext {
  readonly host: Host;
  readonly name: string;
  readonly lane: number;
  /** Absent: no TLS. */
  readonly tls: ConnectTls | undefined;
}

/** Who hears what was answered. */
export interface AnswerHearer {
  answered(from: Address, answers: readonly Uint8Array[]): void;
  /** Not all of it was. */
  failed(from: Address, why: string): void;
}

export class Asker implements LinkOwner, Sink {
  readonly label: string;
  readonly fields: Readonly<Record<string, string>>;
  readonly counters: LinkCounters;
  readonly judges: boolean;
  readonly listener: null;
  readonly keeps: boolean;
  readonly remote: string;
  private readonly context: AskerContext;
  private readonly hearer: AnswerHearer;
  private link: Link | null;
  private address: Address | null;
  /** Questions that wait for their answers, in order. */
  private questions: Question[];
  private answers: Uint8Array[];
  private askedAt: number;
  /** Of the answer that is coming. */
  private gathered: Uint8Array;
  private total: number;
  private why: string;

  /** `what` is for people: "Sentinel". */
  constructor(context: AskerContext, hearer: AnswerHearer, what: string) {
    this.label = `pool "${context.name}": ${what}`;
    this.fields = { pool: context.name };
    this.counters = newLinkCounters();
    this.judges = false;
    this.listener = null;
    this.keeps = false;
    this.remote = what;
    this.context = context;
    this.hearer = hearer;
    this.link = null;
    this.address = null;
    this.questions = [];
    this.answers = [];
    this.askedAt = 0;
    this.gathered = EMPTY;
    this.total = 0;
    this.why = "";
  }

  get isAsking(): boolean {
    return this.questions.length > 0;
  }

  isAskingAt({ host, port }: Address): boolean {
    return this.isAsking && this.address?.host === host && this.address.port === port;
  }

  /** What is being asked is not asked any more. */
  ask(address: Address, requests: readonly Uint8Array[]): void {
    const { context } = this;
    const before = this.address;
    const isOther = before === null || before.host !== address.host || before.port !== address.port;
    if (isOther || this.isAsking) this.close();
    this.address = address;
    this.askedAt = context.host.now();
    this.answers = [];
    this.gathered = EMPTY;
    this.total = 0;
    this.why = "";
    this.questions = requests.map(() => new Question(this));
    this.link ??= new Link(context, this, context.lane);
    const { link } = this;
    for (const [i, request] of requests.entries()) {
      link.send(this.questions[i], request, 0, request.length);
    }
    link.flush();
  }

  /** Called every tick; one that comes late leaves time to be heard. */
  tick(now: number, late: number): void {
    if (!this.isAsking) return;
    this.askedAt += late;
    if (late === 0 && now - this.askedAt > PATIENCE) this.fail(`no answer in ${PATIENCE} ms`);
  }

  open(handler: SocketHandler): Socket {
    return this.context.host.connect(this.address as Address, handler, this.context.tls);
  }

  connecting(): void {}

  ready(): void {}

  replied(): void {}

  refused(why: string): void {
    this.why = `it refuses the password: ${why}`;
  }

  broken(why: string): void {
    this.why = why;
  }

  closed(): void {}

  accept(): number {
    return HOLD;
  }

  pass(): void {}

  advance(): void {}

  part(_attempt: Attempt, _link: Carrier, buf: Uint8Array, start: number, end: number): void {
    const { gathered } = this;
    this.total += end - start;
    if (this.total > LONGEST) return this.fail("the answer is too long");
    const more = new Uint8Array(gathered.length + end - start);
    more.set(gathered);
    more.set(buf.subarray(start, end), gathered.length);
    this.gathered = more;
  }

  reply(attempt: Attempt, link: Carrier, buf: Uint8Array, start: number, end: number): void {
    if (attempt !== this.questions[0]) return;
    this.part(attempt, link, buf, start, end);
    if (attempt !== this.questions[0]) return;
    this.questions.shift();
    this.answers.push(this.gathered);
    this.gathered = EMPTY;
    if (this.questions.length > 0) return;
    this.hearer.answered(this.address as Address, this.answers);
  }

  answered(): void {}

  lost(attempt: Attempt, _link: Carrier, text: string): void {
    if (attempt === this.questions[0]) this.fail(this.why === "" ? text : this.why);
  }

  private fail(why: string): void {
    this.close();
    this.hearer.failed(this.address as Address, why);
  }

  private close(): void {
    const { link } = this;
    this.questions = [];
    this.link = null;
    link?.dispose();
  }

  stop(): void {
    this.close();
  }
}
