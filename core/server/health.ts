// Health checks of one server: now and then it is asked something simple on a link of its own. So a
// dead server is ejected without spending a client's request on it, and readmitted only when it
// answers again. Driven by the pool's tick; what is asked is the codec's.

import { Asking } from "../link/asking.ts";
import type { Attempt, Carrier } from "../link/attempt.ts";
import { Backoff } from "../link/backoff.ts";
import { Link } from "../link/link.ts";
import { Question } from "../link/question.ts";
import type { Socket, SocketHandler } from "../host.ts";
import type { ServerContext } from "./context.ts";
import { checkFailed } from "./journal.ts";

/** The server that is checked. */
export interface Checked {
  readonly label: string;
  readonly fields: Readonly<Record<string, string>>;
  readonly context: ServerContext;
  readonly live: boolean;
  /** Pool time (ms) of the last ejection. */
  readonly ejectedAt: number;
  open(handler: SocketHandler): Socket;
  eject(reason: string): void;
  readmit(): void;
}

export class HealthCheck extends Asking {
  private readonly server: Checked;
  private readonly context: ServerContext;
  private readonly backoff: Backoff;
  /** A check goes on. */
  private asking: boolean;
  private startedAt: number;
  private dueAt: number;
  /** Checks that failed in a row. */
  private failures: number;

  constructor(context: ServerContext, server: Checked) {
    super(server.label, server.fields, "health check");
    this.server = server;
    this.context = context;
    this.backoff = new Backoff((n) => context.host.random(n));
    this.asking = false;
    this.startedAt = 0;
    this.dueAt = 0;
    this.failures = 0;
  }

  /** Called every tick; one that comes late leaves the server time to be heard. */
  tick(now: number, timeout: number, late: number): void {
    if (this.asking) {
      this.startedAt += late;
      if (late === 0 && now - this.startedAt > timeout) this.fail(`no answer in ${timeout} ms`);
    } else if (now >= this.dueAt) {
      this.begin(now);
    }
  }

  private begin(now: number): void {
    const { context } = this;
    this.asking = true;
    this.startedAt = now;
    this.link ??= new Link(context, this, context.lane);
    const probe = context.codec.probe as Uint8Array;
    this.link.send(new Question(this), probe, 0, probe.length);
    this.link.flush();
  }

  open(handler: SocketHandler): Socket {
    return this.server.open(handler);
  }

  override refused(why: string): void {
    this.why = `refused redis_auth or redis_db: ${why}`;
  }

  override closed(errno: string, text: string): void {
    if (this.asking) {
      if (this.why === "") this.why = errno === "" ? "connection closed" : text;
      return; // and see `lost`
    }
    // An idle connection may be closed for many reasons: whether it means something shows at once.
    this.why = "";
    this.dueAt = this.context.now;
  }

  /** Answers are short; what is long is looked at when it is whole. */
  part(): void {}

  reply(_attempt: Attempt, _link: Carrier, buf: Uint8Array, start: number, end: number): void {
    const wrong = this.context.codec.serverErrors?.probeError(buf, start, end) ?? "";
    if (wrong !== "") return this.fail(wrong);
    const { server, context } = this;
    const { health_check } = context.config;
    this.asking = false;
    this.failures = 0;
    this.backoff.reset();
    this.dueAt = this.startedAt + (health_check?.interval ?? 0);
    // What was asked before it was ejected proves nothing.
    if (!server.live && this.startedAt >= server.ejectedAt) server.readmit();
  }

  lost(_attempt: Attempt, _link: Carrier, text: string): void {
    if (this.asking) this.fail(this.why === "" ? text : this.why);
  }

  private fail(why: string): void {
    const { context, server } = this;
    const { health_check, server_failure_limit } = context.config;
    this.asking = false;
    this.close();
    // Soon again, to be sure; then at longer intervals, but never longer than the checks' own.
    this.dueAt = context.now + this.backoff.next(health_check?.interval);
    this.failures++;
    checkFailed(server, why, this.failures);
    if (server.live && this.failures >= server_failure_limit) {
      server.eject(`health check failed: ${why}`);
    }
  }

  private close(): void {
    this.why = "";
    this.disconnect();
  }

  /** No more checks, until the next tick. */
  stop(): void {
    this.asking = false;
    this.failures = 0;
    this.dueAt = 0;
    this.backoff.reset();
    this.close();
  }
}
