// The clients of a pool: which of them are to be looked after at every tick, and how much of their
// replies they have not read.

import type { Client } from "../client/client.ts";
import type { ClientRegister, Ticking } from "../client/context.ts";
import type { PoolConfig } from "../config/schema.ts";

export class Clients implements ClientRegister, Iterable<Client> {
  private readonly all: Set<Client>;
  /** Those that were told all and have not closed yet. */
  readonly lingering: Set<Client>;
  /** Those that have a link of their own. */
  private readonly holding: Set<Client>;
  private readonly monitorings: Set<Ticking>;
  /** Bytes of replies that they have not read. */
  private unreadBytes: number;
  /** And how many they may leave unread together. */
  private readonly mostUnread: number;

  constructor(mostUnread: number) {
    this.all = new Set();
    this.lingering = new Set();
    this.holding = new Set();
    this.monitorings = new Set();
    this.unreadBytes = 0;
    this.mostUnread = mostUnread;
  }

  [Symbol.iterator](): Iterator<Client> {
    return this.all.values();
  }

  get size(): number {
    return this.all.size;
  }

  add(client: Client): void {
    this.all.add(client);
  }

  remove(client: Client): void {
    this.all.delete(client);
    this.lingering.delete(client);
  }

  lingers(client: Client): void {
    this.lingering.add(client);
  }

  holds(client: Client, on: boolean): void {
    if (on) this.holding.add(client);
    else this.holding.delete(client);
  }

  monitors(monitoring: Ticking, on: boolean): void {
    if (on) this.monitorings.add(monitoring);
    else this.monitorings.delete(monitoring);
  }

  unread(bytes: number): void {
    this.unreadBytes += bytes;
    const most = this.mostUnread;
    if (bytes < 0 || this.unreadBytes <= most) return;
    let worst: Client | null = null;
    for (const client of this.all) {
      if (worst === null || client.out.size > worst.out.size) worst = client;
    }
    const size = worst?.out.size ?? 0;
    worst?.cutOff(`did not read ${size} bytes of replies, and all clients more than ${most}`);
  }

  tick(now: number, { timeout, pinned_idle_timeout }: PoolConfig, late: number): void {
    for (const monitoring of this.monitorings) monitoring.tick(now, timeout, late);
    for (const client of this.lingering) client.tick(now, late);
    if (pinned_idle_timeout === 0) return;
    for (const client of this.holding) client.tickHold(now, pinned_idle_timeout, late);
  }
}
