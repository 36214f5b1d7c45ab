// The ways of requests that were refused for a slot: to one server each. A node's answers may change
// within a client's pipeline (MOVED to b, then to c): what it refused first is at b still, and what goes
// to c at once would overtake it. So ways have numbers, and a request knows which one it has taken.

import type { Server } from "../server/server.ts";

export interface Way {
  readonly number: number;
  readonly to: Server;
  /** There was another one before: requests may be on that. */
  readonly isTurned: boolean;
}

export class Ways {
  /** By slot, the present one. */
  private readonly ways: Map<number, Way>;
  private last: number;

  constructor() {
    this.ways = new Map();
    this.last = 0;
  }

  /** The way to a server, which is the present one from now on. */
  to(slot: number, to: Server): Way {
    const before = this.ways.get(slot);
    if (before !== undefined && before.to === to) return before;
    const way = { number: ++this.last, to, isTurned: before !== undefined };
    this.ways.set(slot, way);
    return way;
  }
}
