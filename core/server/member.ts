// One server of a shard whose replicas are read from: what it says of itself. Pure state.

import type { ReplicationView } from "../protocol/replication.ts";
import type { Server } from "./server.ts";

/** A new measurement's part in the smoothed one. */
const NEW = 0.2;

export class Member {
  readonly server: Server;
  /** What it said last; null: nothing yet. */
  view: ReplicationView | null;
  /** When it was asked what it answered last (host's time, ms). */
  heardAt: number;
  /** Why it cannot be asked now; "" if it can. */
  silent: string;
  /** Why it refuses reads, and until when it is not tried again. */
  refusal: string;
  refusedUntil: number;
  /** Smoothed time (ms) of its answers; Infinity until there is one. */
  rtt: number;
  zone: string;
  /** For people and for the policy: as judged last. */
  fit: boolean;
  why: string;
  lag: number;
  /** Among the nearest: see `Replicas`. */
  near: boolean;

  constructor(server: Server) {
    this.server = server;
    this.view = null;
    this.heardAt = -Infinity;
    this.silent = "";
    this.refusal = "";
    this.refusedUntil = -Infinity;
    this.rtt = Infinity;
    this.zone = "";
    this.fit = false;
    this.why = "it has not answered yet";
    this.lag = -1;
    this.near = false;
  }

  told(view: ReplicationView, askedAt: number, now: number): void {
    const ms = now - askedAt;
    this.view = view;
    this.heardAt = askedAt;
    this.silent = "";
    this.rtt = this.rtt === Infinity ? ms : this.rtt + (ms - this.rtt) * NEW;
    if (view.zone !== "") this.zone = view.zone;
  }
}
