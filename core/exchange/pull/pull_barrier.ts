// The barrier of memcached, in one process: whether all that was on its way to servers when it began is
// over: requests of the clients that were there, and those that clients have left behind that are gone.

import type { Host } from "../../host.ts";
import type { Codec } from "../../protocol/codec.ts";
import type { Server } from "../../server/server.ts";
import { LONGEST_BARRIER, SHORTEST_BARRIER } from "../migrate/barrier.ts";
import { fence } from "../migrate/fence.ts";
import type { GateClient } from "../migrate/phases.ts";

export interface PullBarrierContext {
  readonly host: Pick<Host, "now">;
  readonly clients: Iterable<GateClient>;
  readonly turn: { enter(): void };
  codecOf(lane: number): Pick<Codec, "probe">;
}

export class PullBarrier {
  /** Nothing is on its way here that the other ring would send elsewhere. */
  isPassable: boolean;
  /** Why it is not; "" for nothing, or where there is no barrier. */
  why: string;
  private readonly context: PullBarrierContext;
  private readonly servers: () => readonly Server[];
  private since: number;
  private readonly busy: Set<GateClient>;
  /** Links that have not answered all that was sent; each barrier has its own count. */
  private fences: { left: number };

  /** `servers`: that requests go to before it. */
  constructor(context: PullBarrierContext, servers: () => readonly Server[]) {
    this.isPassable = false;
    this.why = "";
    this.context = context;
    this.servers = servers;
    this.since = 0;
    this.busy = new Set();
    this.fences = { left: 0 };
  }

  private get age(): number {
    return this.context.host.now() - this.since;
  }

  /** Processes that nobody knows of read the state meanwhile. */
  get isYoung(): boolean {
    return this.age < SHORTEST_BARRIER;
  }

  /** Nobody commits: it ends by itself. */
  get isOverdue(): boolean {
    return this.age > LONGEST_BARRIER;
  }

  /** Servers are asked something behind all that they were sent; `binary`: in that dialect. */
  begin(binary: Uint8Array): void {
    const { context, busy } = this;
    this.end();
    this.since = context.host.now();
    for (const client of context.clients) {
      if (client.head === null) continue;
      busy.add(client);
      client.emptyListening();
    }
    const fences = { left: 0 };
    this.fences = fences;
    for (const link of this.servers().flatMap(({ connections }) => connections)) {
      if (link.head === null) continue;
      fences.left++;
      const probe = context.codecOf(link.lane).probe ?? binary;
      fence(context.turn, link, probe, () => void fences.left--);
    }
  }

  end(): void {
    this.isPassable = false;
    this.why = "";
    this.busy.clear();
  }

  /** The client has been answered all, or is gone. */
  forget(client: GateClient): void {
    this.busy.delete(client);
  }

  /** `isAgreed`: the others go on already; who still keeps this process has had its time. */
  look(isAgreed: boolean): void {
    if (isAgreed && this.isOverdue) {
      for (const client of this.busy) client.cutOff("it is still busy (migrate)");
    }
    this.why = this.obstacle();
    this.isPassable = this.why === "";
  }

  private obstacle(): string {
    for (const client of this.busy) {
      if (client.head === null || client.isClosed) this.busy.delete(client);
    }
    if (this.busy.size > 0) return `${this.busy.size} clients wait for replies`;
    return this.fences.left > 0 ? "servers have not answered all that was sent to them" : "";
  }
}
