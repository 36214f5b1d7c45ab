// Questions of a migration to one server, over a link that no client uses. Each answer is gathered
// whole.

import type { Host } from "../../host.ts";
import type { Link } from "../../link/link.ts";
import { Hearing, Question } from "../../link/question.ts";
import type { Lost } from "../../protocol/migrating.ts";
import type { Server } from "../../server/server.ts";
import type { Gauge, Strain } from "./strain.ts";

/** How much longer (ms) than `timeout` a server may take: values are large now and then. */
const PATIENCE = 10_000;

export interface AskContext {
  readonly host: Pick<Host, "now">;
  readonly strain: Strain;
  readonly lane: number;
  readonly turn: { enter(): void };
}

export type Answer = Uint8Array | Lost;

export class Asker {
  readonly server: Server;
  private readonly context: AskContext;
  private readonly gauge: Gauge;
  private link: Link | null;

  constructor(context: AskContext, server: Server) {
    this.context = context;
    this.server = server;
    this.gauge = context.strain.gauge();
    this.link = null;
  }

  ask(request: Uint8Array, done: (answer: Answer) => void): void {
    const { turn, lane, host } = this.context;
    // Not left: this may be called amid a turn's end, which must not begin within itself.
    turn.enter();
    if (this.link === null || this.link.retired) {
      this.link = this.server.takeExtra(lane);
      this.link.patience = PATIENCE;
    }
    const askedAt = host.now();
    const hearing = new Hearing((answer) => {
      const now = host.now();
      if (answer instanceof Uint8Array) this.gauge.heard(now, now - askedAt);
      done(answer);
    });
    this.link.send(new Question(hearing), request, 0, request.length);
  }

  /** As `ask`, for what is not in a hurry. */
  tell(request: Uint8Array): Promise<Answer> {
    return new Promise((resolve) => this.ask(request, resolve));
  }

  stop(): void {
    if (this.link !== null && !this.link.retired) this.server.forget(this.link);
    this.link = null;
  }
}

/** One for each server that is asked. */
export class Askers {
  private readonly context: AskContext;
  private readonly askers: Map<Server, Asker>;

  constructor(context: AskContext) {
    this.context = context;
    this.askers = new Map();
  }

  of(server: Server): Asker {
    let asker = this.askers.get(server);
    if (asker === undefined) {
      asker = new Asker(this.context, server);
      this.askers.set(server, asker);
    }
    return asker;
  }

  stop(): void {
    for (const asker of this.askers.values()) asker.stop();
  }
}
