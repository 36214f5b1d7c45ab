// Clients that a migration lets wait: for another phase, or for what is done for them first; and what
// becomes of the request that each has waited with. It is looked at again then: see `take`.

import type { Host } from "../../host.ts";
import { type GateClient, WAIT } from "./phases.ts";

/** How long (ms) a client's request may wait for another phase. */
export const MOST_WAIT = 10_000;

export interface ParkingContext {
  readonly host: Pick<Host, "now">;
  readonly turn: { enter(): void };
  /** What was done for a client is not enough any more: its request is looked at as if it had just come. */
  readonly isLate: boolean;
}

/** `Refusal`: what a client is told instead of having its request carried out. */
export class Parking<Refusal> {
  private readonly context: ParkingContext;
  /** Clients that wait for another phase, and since when. */
  private readonly parked: Map<GateClient, number>;
  /** Clients for whom something is done. */
  private readonly served: Set<GateClient>;
  /** What becomes of the request that a client has waited with; null: it may go on. */
  private readonly verdicts: Map<GateClient, Refusal | null>;

  constructor(context: ParkingContext) {
    this.context = context;
    this.parked = new Map();
    this.served = new Set();
    this.verdicts = new Map();
  }

  /** Clients that wait for another phase. */
  get waiting(): number {
    return this.parked.size;
  }

  /** Of a request that is looked at: null: it has waited, and may go on; undefined: nothing is known. */
  take(client: GateClient): Refusal | null | undefined {
    const verdict = this.verdicts.get(client);
    if (verdict !== undefined) this.verdicts.delete(client);
    return verdict;
  }

  /** It waits for another phase. */
  park(client: GateClient): typeof WAIT {
    this.parked.set(client, this.context.host.now());
    client.stopForWork();
    return WAIT;
  }

  /** It waits until `served`. */
  serve(client: GateClient): typeof WAIT {
    this.served.add(client);
    client.stopForWork();
    return WAIT;
  }

  /** What was to be done for it is done (null), or is why its request is refused. */
  done(client: GateClient, refusal: Refusal | null): void {
    // It is gone, or goes on already.
    if (!this.served.delete(client)) return;
    if (refusal !== null || !this.context.isLate) this.verdicts.set(client, refusal);
    this.letGo(client);
  }

  private letGo(client: GateClient): void {
    if (client.isClosed) return this.forget(client);
    this.context.turn.enter();
    client.workDone();
  }

  /** There is another phase: what was enough before may not be. */
  doubt(): void {
    for (const [client, refusal] of this.verdicts) {
      if (refusal === null) this.verdicts.delete(client);
    }
  }

  /** Those that wait for another phase do so no more. */
  openAll(): void {
    for (const client of [...this.parked.keys()]) {
      this.parked.delete(client);
      this.letGo(client);
    }
  }

  /** Those that have waited too long are refused. */
  tick(refusal: () => Refusal): void {
    const now = this.context.host.now();
    for (const [client, since] of this.parked) {
      if (now - since < MOST_WAIT) continue;
      this.parked.delete(client);
      this.verdicts.set(client, refusal());
      this.letGo(client);
    }
  }

  /** The client is gone. */
  forget(client: GateClient): void {
    this.parked.delete(client);
    this.served.delete(client);
    this.verdicts.delete(client);
  }

  /** Nothing is done any more: all requests are looked at by whoever is there then. */
  stop(): void {
    this.verdicts.clear();
    this.openAll();
    for (const client of [...this.served]) {
      this.served.delete(client);
      this.letGo(client);
    }
  }
}
