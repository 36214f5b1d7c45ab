// Questions of a migration to one server, over a link that no client uses. Each answer is gathered
// whole.

import { EMPTY } from "../../bytes.ts";
import type { Attempt, Carrier } from "../../link/attempt.ts";
import type { Host } from "../../host.ts";
import type { Link } from "../../link/link.ts";
import { Question, Unheard } from "../../link/question.ts";
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

class Ask extends Unheard {
  private gathered: Uint8Array[];
  private readonly host: Pick<Host, "now">;
  private readonly gauge: Gauge;
  private readonly askedAt: number;
  private readonly done: (answer: Answer) => void;

  constructor(host: Pick<Host, "now">, gauge: Gauge, done: (answer: Answer) => void) {
    super();
    this.gathered = [];
    this.host = host;
    this.gauge = gauge;
    this.askedAt = host.now();
    this.done = done;
  }

  override part(
    _attempt?: Attempt,
    _link?: Carrier,
    buf: Uint8Array = EMPTY,
    start = 0,
    end = 0,
  ): void {
    this.gathered.push(buf.slice(start, end));
  }

  override reply(_: Attempt, _link: Carrier, buf: Uint8Array, start: number, end: number): void {
    this.gathered.push(buf.slice(start, end));
    const now = this.host.now();
    this.gauge.heard(now, now - this.askedAt);
    this.done(joined(this.gathered));
  }

  override lost(_attempt?: Attempt, _link?: Carrier, why = "", unsent = false): void {
    this.done({ is: "lost", unsent, why: why === "" ? "the connection was closed" : why });
  }
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  if (parts.length === 1) return parts[0];
  const out = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

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
    this.link.send(new Question(new Ask(host, this.gauge, done)), request, 0, request.length);
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
