// Puts questions to one address after another, over a link of its own: some at a time, which go out in
// one write, and are answered or failed as a whole. Off the request path.

import { EMPTY } from "../bytes.ts";
import type { Address, ConnectTls, Host, Socket, SocketHandler } from "../host.ts";
import { Asking } from "../link/asking.ts";
import type { Attempt, Carrier } from "../link/attempt.ts";
import { Link } from "../link/link.ts";
import type { LinkContext } from "../link/owner.ts";
import { Question } from "../link/question.ts";
import type { ServerContext } from "../server/context.ts";

/** How long (ms) somebody may take to answer all. */
export const PATIENCE = 1000;
/** Longest answers (bytes), together, that are taken: CLUSTER NODES of some 10,000 nodes. */
const LONGEST = 4 << 20;

/** What an asker is given. */
export interface AskerContext extends LinkContext {
  readonly host: Host;
  readonly name: string;
  readonly lane: number;
  /** Absent: no TLS. */
  readonly tls: ConnectTls | undefined;
}

/** For links to servers, which are spoken to as those of clients are. */
export function linksToServers(context: ServerContext): AskerContext {
  const { host, buffers, turn, slow, big, name } = context;
  return {
    ...{ host, buffers, turn, slow, big, name },
    get now() {
      return context.now;
    },
    get lane() {
      return context.lane;
    },
    get tls() {
      return context.config.server_tls;
    },
    codecOf: (lane) => context.codecOf(lane),
    handshakeOf: (lane) => context.handshakeOf(lane),
    pushesOf: () => null,
  };
}

/** Who hears what was answered. */
export interface AnswerHearer {
  answered(from: Address, answers: readonly Uint8Array[]): void;
  /** Not all of it was. */
  failed(from: Address, why: string): void;
}

export class Asker extends Asking {
  private readonly context: AskerContext;
  private readonly hearer: AnswerHearer;
  private address: Address | null;
  /** Questions that wait for their answers, in order. */
  private questions: Question[];
  private answers: Uint8Array[];
  private askedAt: number;
  /** Of the answer that is coming. */
  private gathered: Uint8Array;
  private total: number;

  /** `what` is for people: "Sentinel". */
  constructor(context: AskerContext, hearer: AnswerHearer, what: string) {
    super(`pool "${context.name}": ${what}`, { pool: context.name }, what);
    this.context = context;
    this.hearer = hearer;
    this.address = null;
    this.questions = [];
    this.answers = [];
    this.askedAt = 0;
    this.gathered = EMPTY;
    this.total = 0;
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
    if (isOther || this.isAsking) this.stop();
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

  lost(attempt: Attempt, _link: Carrier, text: string): void {
    if (attempt === this.questions[0]) this.fail(this.why === "" ? text : this.why);
  }

  private fail(why: string): void {
    this.stop();
    this.hearer.failed(this.address as Address, why);
  }

  stop(): void {
    this.questions = [];
    this.disconnect();
  }
}
