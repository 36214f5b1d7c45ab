// Requests of a route that is the pool's no more (a ring has become a cluster, say): those that were
// not carried out go to whoever has their keys by the route that there is now. What has several keys
// that are at several servers now, or is a part of what all servers were to do, gets an error.

import type { Attempt } from "../link/attempt.ts";
import { ANY, type Codec, DONE, FORWARD, type Keys, Scan } from "../protocol/codec.ts";
import type { Route } from "../route/route.ts";
import { mainOf, type Parked, type Parking, type Target } from "../server/server.ts";
import { type BufferPool, OutBuffer } from "../wire/out_buffer.ts";
import { ParkedRequest } from "./park.ts";
import type { Request } from "./request.ts";

/** Told to those whose request cannot be carried out any more. */
export const OTHERS = "the pool has other servers now";

/** What it asks its pool: what that has now. */
export interface TransferContext {
  readonly route: Route;
  readonly codec: Codec;
  readonly buffers: BufferPool;
}

export class Transfer implements Parking {
  private readonly context: TransferContext;

  constructor(context: TransferContext) {
    this.context = context;
  }

  park(attempt: Attempt, bytes: OutBuffer, size: number): void {
    this.wait(new ParkedRequest(attempt as Request, bytes, size));
  }

  parkSpan(attempt: Attempt, buf: Uint8Array, start: number, end: number): void {
    const bytes = new OutBuffer(this.context.buffers);
    bytes.append(buf, start, end);
    this.park(attempt, bytes, end - start);
  }

  wait(one: Parked): void {
    if (one.isGone) return one.forget();
    const { codec, route } = this.context;
    const target = this.targetOf(one);
    if (target === null) return one.giveUp(codec.failure(OTHERS));
    one.place = route.place;
    if (target.available) return one.go(target);
    if (target.waits && target.parking !== null) return target.parking.wait(one);
    one.giveUp(codec.failure(target.reason));
  }

  /** Null: it is for no one server. */
  private targetOf(one: Parked): Target | null {
    const { route, codec } = this.context;
    const bytes = one.said?.() ?? null;
    if (bytes === null) return one.place < 0 ? route.any() : null;
    const scan = new Scan();
    if (codec.parseRequest(scan, bytes, 0, bytes.length) !== DONE || scan.scratch !== null) {
      return null;
    }
    const pick = (): Target =>
      mainOf(route.pick(bytes, scan.keyStart, scan.keyEnd, codec.intents[scan.verb + 1]));
    if (scan.action === FORWARD) return pick();
    if (scan.nkeys === 0) return scan.action === ANY ? route.any() : null;
    const keys = codec.keys as Keys;
    if (route.redirects !== null && !route.isOnePlace(scan, bytes, 0, keys)) return null;
    let first: Target | null = null;
    for (let i = 0; i < scan.nkeys; i++) {
      keys.select(scan, i);
      const target = pick();
      if (first !== null && target !== first) return null;
      first = target;
    }
    return first;
  }
}
