// A barrier, in one process: whether all that was on its way is answered, and nobody holds on to anything
// any more that the two rings would keep at different servers.

import type { MigrateRoute } from "../../route/migrate.ts";
import { fence } from "./fence.ts";
import type { Mover } from "./mover.ts";
import type { GateClient, MigrationContext } from "./phases.ts";

/**
 * So long (ms) before a barrier it is announced, so that all look out for it: also processes that nobody
 * knows of have read that by then. (Nothing is announced of memcached: its barrier lasts so long.)
 */
export const SHORTEST_BARRIER = 600;
/** And so long (ms) it lasts at least. */
export const LEAST_PARKED = 60;
/** Nobody commits: it ends by itself. */
export const LONGEST_BARRIER = 10_000;
/** How long (ms) transactions and watched keys may go on in a barrier. */
const GRACE = 1000;
/** And what waits at a server, if nobody can free it. */
const CUT_OFF = 4000;

export class Barrier {
  /** Nothing is on its way here that the other ring would send elsewhere. */
  isPassable: boolean;
  /** Why it is not. */
  why: string;
  private readonly context: MigrationContext;
  private readonly route: MigrateRoute;
  private readonly mover: Mover;
  private since: number;
  /** Clients that are to be answered first. */
  private draining: Set<GateClient>;
  /** Links that have not answered all that was sent; -1: they have not been asked yet. */
  private fencing: number;

  constructor(context: MigrationContext, route: MigrateRoute, mover: Mover) {
    this.isPassable = false;
    this.why = "";
    this.context = context;
    this.route = route;
    this.mover = mover;
    this.since = 0;
    this.draining = new Set();
    this.fencing = -1;
  }

  get age(): number {
    return this.context.host.now() - this.since;
  }

  begin(): void {
    this.since = this.context.host.now();
    this.isPassable = false;
    this.fencing = -1;
    this.draining = new Set();
    for (const client of this.context.clients) {
      if (client.head === null || client.isBlocked) continue;
      this.draining.add(client);
      client.emptyListening();
    }
  }

  end(): void {
    this.isPassable = false;
    this.why = "";
    this.draining.clear();
  }

  /** All it had on its way is answered, or it is gone. */
  forget(client: GateClient): void {
    this.draining.delete(client);
  }

  /** `isAgreed`: all others have passed it already; who still keeps this process has had its time. */
  look(isAgreed: boolean): void {
    if (this.isPassable) return;
    const { age } = this;
    if (isAgreed && age > LONGEST_BARRIER) {
      for (const client of this.draining) client.cutOff("it is still busy (migrate)");
    }
    this.why = this.obstacle(age);
    if (this.why !== "") return;
    if (this.fencing < 0) this.fence();
    if (this.fencing > 0) this.why = "servers have not answered all that was sent to them";
    else this.isPassable = true;
  }

  private obstacle(age: number): string {
    for (const client of this.draining) {
      if (client.head === null || client.isClosed || client.isBlocked) this.draining.delete(client);
    }
    let holding = 0;
    let blocked = 0;
    for (const client of [...this.context.clients]) {
      if (client.isClosed) continue;
      if (client.isBlockedAway) {
        blocked++;
        if (!client.freeWait() && age > CUT_OFF) {
          client.cutOff("it waits at a server that its key is to leave (migrate)");
        }
      } else if (client.holdsOn) {
        if (age > GRACE) client.loseHold();
        else holding++;
      }
    }
    if (this.draining.size > 0) return `${this.draining.size} clients wait for replies`;
    if (holding > 0) return `${holding} clients are amid transactions`;
    if (blocked > 0) return `${blocked} clients wait at servers`;
    if (!this.mover.isIdle) return "keys are on their way";
    return this.context.topicsSettled() ? "" : "topics are being subscribed";
  }

  /** What clients have left behind that are gone: each link is asked something behind it. */
  private fence(): void {
    this.fencing = 0;
    const probe = this.context.codec.probe as Uint8Array;
    const over = (): void => void this.fencing--;
    for (const server of this.route.everyone()) {
      for (const link of server.connections) {
        if (link.head === null || link.patience > 0) continue;
        this.fencing++;
        fence(this.context.turn, link, probe, over);
      }
    }
  }
}
