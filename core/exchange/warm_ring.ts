// A ring of discovered servers that has just changed (`discovery.migrate: auto`): keys that have
// another server now are read at the one they had, and brought from there (warm.ts), for a while.
// Proxies hear of a change one after the other. Until all have, those that are behind write to the
// old servers: so at first values are read there and not brought.

import type { Scan } from "../protocol/codec.ts";
import type { Branch, Step } from "../route/prefix.ts";
import type { RingRoute } from "../route/ring.ts";
import type { Intent, Route } from "../route/route.ts";
import type { Server, Target } from "../server/server.ts";
import { RouteTally } from "../stats/routes.ts";
import { Warm } from "./warm.ts";
import type { WarmContext } from "./warm_course.ts";

/** How long proxies may take, one after the other, to hear of a change: so many times `min`. */
export const SKEW = 10;

export class WarmRing implements Route {
  readonly redirects: null;
  readonly tells: boolean;
  readonly mixed: boolean;
  readonly epoch: number;
  readonly picked: number;
  readonly place: number;
  private readonly ring: RingRoute;
  private readonly old: RingRoute;
  private readonly warm: Warm;
  /** Targets of the request that `pickAll` was asked for last. */
  private targets: Target[];

  constructor(context: WarmContext, ring: RingRoute, old: RingRoute) {
    this.redirects = null;
    this.tells = true;
    this.mixed = true;
    this.epoch = 0;
    this.picked = 0;
    this.place = -1;
    this.ring = ring;
    this.old = old;
    const tally = (what: string): RouteTally => new RouteTally("", what, false);
    this.warm = new Warm(context, [branchOf(ring), branchOf(old)], [tally("new"), tally("old")]);
    this.targets = [];
  }

  /** Servers are ejected, or taken back. */
  rebuild(): void {
    this.old.rebuild();
  }

  pick(buf: Uint8Array, start: number, end: number, intent: Intent): Target {
    const target = this.ring.pick(buf, start, end);
    const before = this.old.pick(buf, start, end);
    if (!target.available || !before.available || target === before || before.removed) {
      return target;
    }
    return this.warm.pick(buf, start, end, intent);
  }

  get places(): number {
    return this.ring.places;
  }

  pickAll(
    scan: Scan,
    buf: Uint8Array,
    at: number,
    places: Uint16Array,
    intent: Intent = 0,
  ): Target | null {
    const { args, nkeys, first, step } = scan;
    const targets: Target[] = [];
    let one: Target | null = null;
    for (let i = 0; i < nkeys; i++) {
      const key = 2 * (first + i * step);
      const target = this.pick(buf, at + args[key], at + args[key + 1], intent);
      // What is no server takes its keys one by one.
      const known = target.available ? targets.indexOf(target) : -1;
      places[i] = known >= 0 ? known : targets.push(target) - 1;
      if (i === 0) one = target;
    }
    this.targets = targets;
    return targets.length === 1 ? one : null;
  }

  owner(place: number): Target {
    return this.targets[place];
  }

  isOnePlace(): boolean {
    return true;
  }

  walkFrom(place: number): number {
    return this.ring.walkFrom(place);
  }

  any(): Target {
    return this.ring.any();
  }

  all(): Server[] {
    return this.ring.all();
  }
}

/** A ring, as a branch of a route. */
function branchOf(ring: RingRoute): Branch {
  return {
    pick: (buf, start, end) => ring.pick(buf, start, end),
    any: () => ring.any(),
    all: () => ring.all(),
    members: () => ring.all(),
    rounds: () => [],
    trace: (): Step => ({ what: "ring", to: [] }),
  };
}
