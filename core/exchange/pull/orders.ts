// What `ringmux migrate` orders, of one process: it is told to the servers, and all others read it there.

import type { MigrateRoute } from "../../route/migrate.ts";
import { BARRIER, type Phase, PREPARE, PULL } from "../migrate/phases.ts";
import { checkServers } from "./check.ts";
import type { PullBarrier } from "./pull_barrier.ts";
import type { Puller, PullerContext } from "./puller.ts";
import type { Walker } from "./walker.ts";

export interface OrdersContext extends PullerContext {
  readonly phase: Phase;
  readonly stopped: boolean;
  readonly route: MigrateRoute;
  readonly puller: Puller;
  readonly walker: Walker;
  readonly barrier: PullBarrier;
  /** Why another migration cannot begin now; "" if it can. */
  isFree(): Promise<string>;
  /** Looks at some keys, to tell what would move; what is wrong, "" if nothing is. */
  sample(): Promise<string>;
  /** Tells all of another phase; what is wrong, "" if nothing is. */
  swap(phase: string, paused?: boolean): Promise<string>;
}

export class Orders {
  /** A start has been ordered, and is not at the barrier yet. */
  preparing: boolean;
  /** What a start does, or why it has come to nothing; "" for nothing. */
  why: string;
  private readonly context: OrdersContext;
  /** One that comes behind an abort is another one. */
  private starts: number;

  constructor(context: OrdersContext) {
    this.preparing = false;
    this.why = "";
    this.context = context;
    this.starts = 0;
  }

  /** What is wrong, "" if nothing is. */
  async carryOut(what: string): Promise<string> {
    const { phase, barrier } = this.context;
    switch (what) {
      case "check":
        return phase === PREPARE ? await this.check() : `the phase is ${phase}, not prepare`;
      case "estimate":
        return await this.context.sample();
      case "start":
        if (phase !== PREPARE) return `the phase is ${phase}, not prepare`;
        if (this.preparing) return "it is being started";
        return await this.check() || this.start();
      case "commit":
      case "commit-paused":
        if (phase !== BARRIER) return `the phase is ${phase}, not barrier`;
        if (!barrier.isPassable) return `not parked yet: ${barrier.why}`;
        if (barrier.isYoung) return "too early";
        return await this.context.swap(PULL, what === "commit-paused");
      case "abort":
        return await this.abort();
      case "pause":
      case "resume":
        if (phase !== PULL) return `the phase is ${phase}, not pull`;
        return await this.context.swap(PULL, what === "pause");
      default:
        return `"${what}" is not known (check, estimate, start, commit, commit-paused, abort, pause, resume)`;
    }
  }

  private async check(): Promise<string> {
    return await this.context.isFree() || await checkServers(this.context, this.context.route);
  }

  /** Goes on by itself: the barrier comes when nothing is left over on the new servers. */
  private start(): string {
    const { context } = this;
    const number = ++this.starts;
    const goesOn = (): boolean => this.preparing && this.starts === number && !context.stopped;
    this.preparing = true;
    this.why = "what is left over on the new servers is looked for";
    void context.walker.sweep(goesOn).then(async (wrong) => {
      if (!goesOn()) return;
      const why = wrong || await context.swap(BARRIER);
      if (!goesOn()) return;
      this.preparing = false;
      this.why = why;
    });
    return "";
  }

  private async abort(): Promise<string> {
    const { phase } = this.context;
    if (phase === BARRIER) return await this.context.swap("none");
    if (phase !== PREPARE) {
      return `the phase is ${phase}: keys have moved already, and new ones are on the new servers; ` +
        "let it come to its end, then move them back by another migration";
    }
    if (!this.preparing) return "nothing has begun";
    this.preparing = false;
    this.why = "";
    return "";
  }
}
