// Asks one node of a cluster after another for the map, over a link of its own: one question at a
// time, off the request path.

import { EMPTY } from "../bytes.ts";
import type { Address, Socket, SocketHandler } from "../host.ts";
import { type Attempt, type Carrier, HOLD, type Sink } from "../link/attempt.ts";
import { Link } from "../link/link.ts";
import { type LinkCounters, type LinkOwner, newLinkCounters } from "../link/owner.ts";
import { Question } from "../link/question.ts";
import type { ServerContext } from "../server/context.ts";

/** How long (ms) a node may take. */
const PATIENCE = 1000;
/** Longest answer (bytes) that is taken: some 10,000 nodes. */
const LONGEST = 4 << 20;

/** Who hears what a node says. */
export interface MapHearer {
  answered(from: Address, reply: Uint8Array): void;
  /** It says nothing, or what nobody understands. */
  failed(from: Address, why: string): void;
}

export class MapAsker implements LinkOwner, Sink {
  readonly label: string;
  readonly fields: Readonly<Record<string, string>>;
  readonly counters: LinkCounters;
  readonly judges: boolean;
  readonly listener: null;
  readonly keeps: boolean;
  readonly remote: string;
  private readonly context: ServerContext;
  private readonly hearer: MapHearer;
  private link: Link | null;
  private address: Address | null;
  /** The question that waits for its answer; null for none. */
  private question: Question | null;
  private askedAt: number;
  private gathered: Uint8Array;
  private why: string;

  constructor(context: ServerContext, hearer: MapHearer) {
    this.label = `pool "${context.name}": cluster map`;
    this.fields = { pool: context.name };
    this.counters = newLinkCounters();
    this.judges = false;
    this.listener = null;
    this.keeps = false;
    this.remote = "cluster map";
    this.context = context;
    this.hearer = hearer;
    this.link = null;
    this.address = null;
    this.question = null;
    this.askedAt = 0;
    this.gathered = EMPTY;
    this.why = "";
  }

  get isAsking(): boolean {
    return this.question !== null;
  }

  ask(address: Address, request: Uint8Array): void {
    const { context } = this;
    const before = this.address;
    if (before === null || before.host !== address.host || before.port !== address.port) {
      this.close();
    }
    this.address = address;
    this.askedAt = context.now;
    this.gathered = EMPTY;
    this.why = "";
    this.question = new Question(this);
    this.link ??= new Link(context, this, context.lane);
    this.link.send(this.question, request, 0, request.length);
    this.link.flush();
  }

  /** Called every tick; one that comes late leaves the node time to be heard. */
  tick(now: number, late: number): void {
    if (this.question === null) return;
    this.askedAt += late;
    if (late === 0 && now - this.askedAt > PATIENCE) this.fail(`no answer in ${PATIENCE} ms`);
  }

  open(handler: SocketHandler): Socket {
    const { host, config } = this.context;
    return host.connect(this.address as Address, handler, config.server_tls);
  }

  connecting(): void {}

  ready(): void {}

  answered(): void {}

  replied(): void {}

  refused(why: string): void {
    this.why = `refused redis_auth: ${why}`;
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
    if (gathered.length + end - start > LONGEST) return this.fail("the answer is too long");
    const more = new Uint8Array(gathered.length + end - start);
    more.set(gathered);
    more.set(buf.subarray(start, end), gathered.length);
    this.gathered = more;
  }

  reply(attempt: Attempt, link: Carrier, buf: Uint8Array, start: number, end: number): void {
    if (attempt !== this.question) return;
    this.part(attempt, link, buf, start, end);
    if (this.question === null) return;
    const { gathered } = this;
    this.question = null;
    this.gathered = EMPTY;
    this.hearer.answered(this.address as Address, gathered);
  }

  lost(attempt: Attempt, _link: Carrier, text: string): void {
    if (attempt === this.question) this.fail(this.why === "" ? text : this.why);
  }

  private fail(why: string): void {
    this.question = null;
    this.close();
    this.hearer.failed(this.address as Address, why);
  }

  private close(): void {
    const { link } = this;
    this.link = null;
    link?.dispose();
  }

  stop(): void {
    this.question = null;
    this.close();
  }
}
