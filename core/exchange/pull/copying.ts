// What is moved though nobody asks for it, by one process at a time (who has the lock), until no old
// server has anything left; then the migration is brought to its end.

import type { Host } from "../../host.ts";
import type { MigrateRoute } from "../../route/migrate.ts";
import type { Server } from "../../server/server.ts";
import { DONE, DRAIN, type Phase, PULL } from "../migrate/phases.ts";
import type { Agreed } from "./agreed.ts";
import type { Walker } from "./walker.ts";

/** How long (s) a process that copies may say nothing. */
const LOCK = 5;
/** All processes leave the phase before meanwhile (ms). */
const SHORTEST_DRAIN = 1500;
/** Between two attempts (ms): of who has the lock, and of who has not. */
const AGAIN = 100;
const LATER = 1000;

export interface CopyingContext {
  readonly host: Host;
  readonly phase: Phase;
  /** How long (ms) it has been that. */
  readonly age: number;
  readonly stopped: boolean;
  /** Keys go on being copied. */
  readonly goesOn: boolean;
  readonly route: MigrateRoute;
  readonly walker: Walker;
  readonly agreed: Agreed;
  /** Old servers that have nothing left to go. */
  readonly empty: Set<Server>;
  /** Goes over to another phase; what is wrong, "" if nothing is. */
  swap(phase: Phase): Promise<string>;
  emptied(server: Server): void;
}

export class Copying {
  /** This process copies. */
  isOurs: boolean;
  /** Why nobody copies, or it does not come to its end; "" for nothing. */
  why: string;
  private readonly context: CopyingContext;
  private readonly who: string;

  /** `id`: of the migration. */
  constructor(context: CopyingContext, id: string) {
    this.isOurs = false;
    this.why = "";
    this.context = context;
    this.who = `${id}.${context.host.random(0x7fffffff).toString(36)}`;
  }

  /** From the moment keys may move. */
  async run(): Promise<void> {
    const { context, who } = this;
    const { agreed, walker, host } = context;
    while (this.isNeeded) {
      const { isOurs, why } = await agreed.lock(who, LOCK);
      this.isOurs = isOurs;
      this.why = why;
      if (!isOurs || !this.isNeeded) {
        await walker.rest(LATER);
        continue;
      }
      const keep = host.every(1000, () => void agreed.lock(who, LOCK));
      if (context.phase === PULL) await this.copy();
      else if (context.age > SHORTEST_DRAIN) this.why = await context.swap(DONE);
      keep.cancel();
      await walker.rest(AGAIN);
    }
    this.isOurs = false;
    this.why = "";
  }

  private get isNeeded(): boolean {
    const { stopped, phase } = this.context;
    return !stopped && (phase === PULL || phase === DRAIN);
  }

  private async copy(): Promise<void> {
    const { context } = this;
    const { route, walker, empty } = context;
    const servers = route.old.all();
    for (const server of servers) {
      if (!empty.has(server) && await walker.pass(server)) context.emptied(server);
    }
    if (!context.goesOn || servers.some((one) => !empty.has(one))) return;
    this.why = await context.swap(DRAIN);
  }
}
