// Asks one server of a shard every so often how it is and how far it has come, over a link of its
// own. What its answers mean is judged elsewhere: see replicas.ts.

import { text } from "../bytes.ts";
import type { Socket, SocketHandler } from "../host.ts";
import { Asking } from "../link/asking.ts";
import type { Attempt, Carrier } from "../link/attempt.ts";
import { Link } from "../link/link.ts";
import { Question } from "../link/question.ts";
import type { ServerContext } from "./context.ts";

/** Longest answer (bytes) that is taken: CLUSTER NODES of some 10,000 nodes. */
const LONGEST = 4 << 20;

/** The server that is asked. */
export interface Asked {
  readonly label: string;
  readonly fields: Readonly<Record<string, string>>;
  open(handler: SocketHandler): Socket;
}

/** Who hears what it says. Times are the host's (ms). */
export interface ProbeHearer {
  /** All replies to what was asked at `askedAt`. */
  told(replies: readonly string[], askedAt: number, now: number): void;
  untold(why: string): void;
}

export class ReplicaProbe extends Asking {
  private readonly context: ServerContext;
  private readonly server: Asked;
  private readonly hearer: ProbeHearer;
  /** Questions without an answer; the answers so far. */
  private awaiting: Question[];
  private replies: string[];
  private begun: string;
  private askedAt: number;
  private dueAt: number;

  constructor(context: ServerContext, server: Asked, hearer: ProbeHearer) {
    super(server.label, server.fields, "replica check");
    this.context = context;
    this.server = server;
    this.hearer = hearer;
    this.awaiting = [];
    this.replies = [];
    this.begun = "";
    this.askedAt = 0;
    this.dueAt = 0;
  }

  /** Called every tick. `patience` (ms) is for an answer; a tick that comes late leaves more time. */
  tick(questions: readonly Uint8Array[], interval: number, patience: number, late: number): void {
    const now = this.context.host.now();
    if (this.awaiting.length > 0) {
      if (late > 0) this.dueAt += late;
      else if (now - this.dueAt > patience) this.fail(`it does not answer in ${patience} ms`);
      return;
    }
    if (now - this.askedAt < interval && this.dueAt !== 0) return;
    this.askedAt = now;
    this.dueAt = now;
    this.why = "";
    this.replies = [];
    this.begun = "";
    this.link ??= new Link(this.context, this, this.context.lane);
    for (const question of questions) {
      const asked = new Question(this);
      this.awaiting.push(asked);
      this.link.send(asked, question, 0, question.length);
    }
    this.link.flush();
  }

  open(handler: SocketHandler): Socket {
    return this.server.open(handler);
  }

  override refused(why: string): void {
    this.why = `it refuses redis_auth: ${why}`;
  }

  override closed(_errno: string, what: string): void {
    if (this.why === "") this.why = what === "" ? "it has closed the connection" : what;
  }

  part(_attempt: Attempt, _link: Carrier, buf: Uint8Array, start: number, end: number): void {
    if (this.begun.length + end - start > LONGEST) return this.fail("its answer is too long");
    this.begun += text(buf, start, end);
  }

  reply(attempt: Attempt, _link: Carrier, buf: Uint8Array, start: number, end: number): void {
    if (attempt !== this.awaiting[0]) return;
    this.awaiting.shift();
    this.replies.push(this.begun + text(buf, start, end));
    this.begun = "";
    if (this.awaiting.length > 0) return;
    this.hearer.told(this.replies, this.askedAt, this.context.host.now());
  }

  lost(attempt: Attempt, _link: Carrier, what: string): void {
    if (attempt === this.awaiting[0]) this.fail(this.why === "" ? what : this.why);
  }

  private fail(why: string): void {
    this.stop();
    if (!this.context.stopped) this.hearer.untold(why);
  }

  /** It is somewhere else now: it is asked with the next tick. */
  renew(): void {
    this.stop();
    this.dueAt = 0;
  }

  /** It is asked again with the next tick that is due, over a new link. */
  stop(): void {
    this.awaiting = [];
    this.disconnect();
  }
}
