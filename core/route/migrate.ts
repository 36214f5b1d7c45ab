// The route of a pool whose keys move to another ring: the old ring until they begin to, the new one
// from then on. That a key is there when a command comes is exchange/migrate's to see to. Walks
// (SCAN) go over the old ring's servers and then the new one's: keys go one way only, so that none
// is missed; a place has the same number all the time, so that cursors stay good.

import type { Scan } from "../protocol/codec.ts";
import { Server, type Target } from "../server/server.ts";
import type { RingRoute } from "./ring.ts";
import type { Intent, Route } from "./route.ts";

/** Where commands go, and which servers are walked over. */
export const OLD = 0;
/** To the new ring; both may have keys. */
export const BOTH = 1;
export const NEW = 2;

export class MigrateRoute implements Route {
  readonly redirects: null;
  readonly tells: boolean;
  readonly mixed: boolean;
  readonly epoch: number;
  readonly picked: number;
  readonly place: number;
  readonly old: RingRoute;
  readonly next: RingRoute;
  stage: number;

  constructor(old: RingRoute, next: RingRoute) {
    this.redirects = null;
    this.tells = false;
    this.mixed = false;
    this.epoch = 0;
    this.picked = 0;
    this.place = -1;
    this.old = old;
    this.next = next;
    this.stage = OLD;
  }

  private get ring(): RingRoute {
    return this.stage === OLD ? this.old : this.next;
  }

  /** The ring that commands do not go to. */
  get other(): RingRoute {
    return this.stage === OLD ? this.next : this.old;
  }

  get places(): number {
    return this.old.places + this.next.places;
  }

  pick(buf: Uint8Array, start: number, end: number, _intent: Intent): Target {
    return this.stage === OLD ? this.old.pick(buf, start, end) : this.next.pick(buf, start, end);
  }

  /** The server that a key leaves; null if it stays where it is. */
  leaves(buf: Uint8Array, start: number, end: number): Server | null {
    const from = this.old.pick(buf, start, end);
    const to = this.next.pick(buf, start, end);
    return from === to || !(from instanceof Server) ? null : from;
  }

  pickAll(scan: Scan, buf: Uint8Array, at: number, places: Uint16Array): Target | null {
    const target = this.ring.pickAll(scan, buf, at, places);
    const offset = this.stage === OLD ? 0 : this.old.places;
    if (target === null && offset > 0) {
      for (let i = 0; i < scan.nkeys; i++) places[i] += offset;
    }
    return target;
  }

  owner(place: number): Target {
    const { old, next } = this;
    return place < old.places ? old.owner(place) : next.owner(place - old.places);
  }

  isOnePlace(): boolean {
    return true;
  }

  walkFrom(place: number): number {
    const { old, next, stage } = this;
    const first = old.places;
    if (place < first && stage !== NEW) {
      const found = old.walkFrom(place);
      if (found < first) return found;
    }
    return stage === OLD ? this.places : first + next.walkFrom(Math.max(0, place - first));
  }

  any(): Target {
    return this.ring.any();
  }

  all(): Server[] {
    return this.stage === BOTH ? this.everyone() : this.ring.all();
  }

  /** Every server of either ring, each once. */
  everyone(): Server[] {
    return [...new Set([...this.old.all(), ...this.next.all()])];
  }
}

/** Each server's part of the keys (0 to 1), by the old ring and by the new one. */
export function partsOf(
  route: MigrateRoute,
): { server: string; before: number; after: number }[] {
  const { old, next } = route;
  const [before, after] = [old.shares(), next.shares()];
  const part = (ring: RingRoute, shares: Float64Array, server: Server): number => {
    let sum = 0;
    for (let i = 0; i < ring.places; i++) if (ring.owner(i) === server) sum += shares[i];
    return sum;
  };
  return route.everyone().map((server) => ({
    server: server.name,
    before: part(old, before, server),
    after: part(next, after, server),
  }));
}
