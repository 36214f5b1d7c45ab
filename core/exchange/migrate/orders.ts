// What `ringmux migrate` tells a process to do, and why it may not. What comes of it is agreed by the
// servers (agreement.ts): others follow as they read it.

import type { Host } from "../../host.ts";
import type { Migrating } from "../../protocol/migrating.ts";
import type { MigrateRoute } from "../../route/migrate.ts";
import type { Agreement } from "./agreement.ts";
import { after } from "./after.ts";
import { type Barrier, LEAST_PARKED, SHORTEST_BARRIER } from "./barrier.ts";
import { check } from "./check.ts";
import { finishHeld } from "./held.ts";
import type { Mover } from "./mover.ts";
import {
  BACK,
  BARRIER,
  DONE,
  isBarrier,
  isMoving,
  MOVE,
  type Phase,
  PREPARE,
  RETREAT,
  type Target,
} from "./phases.ts";

const ORDERS = [
  "check",
  "estimate",
  "start",
  "commit",
  "commit-paused",
  "abort",
  "pause",
  "resume",
];

export interface OrdersContext {
  readonly host: Pick<Host, "every">;
  readonly words: Migrating;
  readonly route: MigrateRoute;
  readonly phase: Phase;
  readonly stopped: boolean;
  /** The state becomes another one; what is wrong, "" if nothing is. */
  swap(to: string): Promise<string>;
  /** Looks at some keys, to tell what would move; what is wrong, "" if nothing is. */
  sample(): Promise<string>;
}

export class Orders {
  private readonly context: OrdersContext;
  private readonly agreement: Agreement;
  private readonly barrier: Barrier;
  private readonly mover: Mover;
  private readonly target: Target;

  constructor(
    context: OrdersContext,
    agreement: Agreement,
    barrier: Barrier,
    mover: Mover,
    target: Target,
  ) {
    this.context = context;
    this.agreement = agreement;
    this.barrier = barrier;
    this.mover = mover;
    this.target = target;
  }

  /** Carries out an order; what is wrong, "" if nothing is. */
  async carryOut(what: string): Promise<string> {
    const { phase } = this.context;
    switch (what) {
      case "check":
        return phase === PREPARE ? await this.check() : `the phase is ${phase}, not prepare`;
      case "estimate":
        return await this.context.sample();
      case "start":
        if (phase !== PREPARE) return `the phase is ${phase}, not prepare`;
        return await this.check() || await this.announce(BARRIER);
      case "commit":
      case "commit-paused":
        return await this.commit(what === "commit-paused");
      case "abort":
        return await this.abort();
      case "pause":
      case "resume":
        return await this.pause(what === "pause");
      default:
        return `"${what}" is not known (${ORDERS.join(", ")})`;
    }
  }

  private check(): Promise<string> {
    const { words, route } = this.context;
    const { mover, agreement } = this;
    const { isCluster, notReady } = this.target;
    return check({ words, route, mover, agreement, isCluster, notReady });
  }

  /** All look out for the barrier before it comes: so it is over soon. */
  private async announce(next: Phase): Promise<string> {
    const { context, agreement } = this;
    if (agreement.isAnnounced) return `${next} has been announced already`;
    const soon = agreement.saying(context.phase, agreement.isPaused, true);
    const wrong = await context.swap(soon);
    if (wrong !== "") return wrong;
    await new Promise<void>((resolve) => void after(context.host, SHORTEST_BARRIER, resolve));
    if (context.stopped || agreement.text !== soon) return "it was taken back meanwhile";
    return await context.swap(agreement.saying(next, agreement.isPaused));
  }

  private async commit(paused: boolean): Promise<string> {
    const { agreement, barrier } = this;
    const { phase, words, route } = this.context;
    if (!isBarrier(phase)) return `the phase is ${phase}, not barrier`;
    if (!barrier.isPassable) return `not parked yet: ${barrier.why}`;
    if (barrier.age < LEAST_PARKED) return "too early";
    const unknowing = await agreement.isNotedBy(agreement.text);
    if (unknowing !== "") return unknowing;
    if (phase === RETREAT) {
      const left = await finishHeld(this.mover, words, route.old.all());
      if (left !== "") return left;
    }
    return await this.context.swap(agreement.saying(phase === BARRIER ? MOVE : BACK, paused));
  }

  private async pause(isPaused: boolean): Promise<string> {
    const { agreement } = this;
    const { phase } = this.context;
    if (phase === RETREAT && !isPaused) return await this.context.swap(agreement.saying(MOVE));
    if (!isMoving(phase)) return `the phase is ${phase}: no keys move`;
    return await this.context.swap(agreement.saying(phase, isPaused));
  }

  private async abort(): Promise<string> {
    const { agreement, target } = this;
    const { phase } = this.context;
    const isSoon = phase === PREPARE && agreement.isAnnounced;
    if (phase === BARRIER || isSoon) return await this.context.swap(agreement.saying(PREPARE));
    if (phase === PREPARE) return "nothing has begun";
    if (phase === MOVE && target.noReturn === "") return await this.announce(RETREAT);
    const hint = "let it come to its end, then move them back by another migration";
    if (phase === MOVE) {
      return "keys have moved already, and they cannot be taken from their new servers: " +
        `${target.noReturn}; ${hint}`;
    }
    if (phase === DONE) {
      return "all keys have moved, and other proxies may serve the new servers alone by now; move " +
        "them back by another migration";
    }
    return `the phase is ${phase}: it goes back already`;
  }
}
