// Whether all that was on its way to servers at some moment is over: requests of the clients that were
// there, and those that clients have left behind that are gone.

import type { Codec } from "../../protocol/codec.ts";
import type { Server } from "../../server/server.ts";
import { fence } from "../migrate/fence.ts";
import type { GateClient } from "../migrate/phases.ts";

export interface SettlingContext {
  readonly clients: Iterable<GateClient>;
  readonly turn: { enter(): void };
  codecOf(lane: number): Codec;
}

export class Settling {
  private readonly context: SettlingContext;
  private readonly busy: Set<GateClient>;
  private fences: number;

  /** `servers` are asked something behind all that they were sent; `binary`: in that dialect. */
  constructor(context: SettlingContext, servers: readonly Server[], binary: Uint8Array) {
    this.context = context;
    this.busy = new Set();
    this.fences = 0;
    for (const client of context.clients) {
      if (client.head === null) continue;
      this.busy.add(client);
      client.emptyListening();
    }
    for (const server of servers) this.fence(server, binary);
  }

  private fence(server: Server, binary: Uint8Array): void {
    const { context } = this;
    for (const link of server.connections) {
      if (link.head === null) continue;
      const probe = context.codecOf(link.lane).probe ?? binary;
      this.fences++;
      fence(context.turn, link, probe, () => void this.fences--);
    }
  }

  /** The client has been answered all, or is gone. */
  forget(client: GateClient): void {
    this.busy.delete(client);
  }

  /** What is still waited for; "" for nothing. */
  obstacle(): string {
    for (const client of this.busy) {
      if (client.head === null || client.isClosed) this.busy.delete(client);
    }
    if (this.busy.size > 0) return `${this.busy.size} clients wait for replies`;
    return this.fences > 0 ? "servers have not answered all that was sent to them" : "";
  }

  /** Those who still wait have had their time. */
  cutOff(): void {
    for (const client of this.busy) client.cutOff("it is still busy (migrate)");
  }
}
