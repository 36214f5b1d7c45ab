// What may be asked of a running ringmux, however many processes it is: the admin address, the
// stats port and the signals stand on this one interface. Everything is plain data, so that a
// supervisor can pass it on to its workers.

import type { ClusterAnswer } from "../../core/topology/cluster_answer.ts";
import type { HotView } from "../../core/hot_view.ts";
import type { RingView } from "../../core/ring_view.ts";
import type { Snapshot } from "../../core/stats/snapshot.ts";

import type { MigrationStatus } from "../../core/exchange/migrate/phases.ts";

export type { ClusterAnswer } from "../../core/topology/cluster_answer.ts";
export type { HotView } from "../../core/hot_view.ts";
export type { MigrationStatus } from "../../core/exchange/migrate/phases.ts";
export type { RingView, Way } from "../../core/ring_view.ts";
export type { Step } from "../../core/route/prefix.ts";

export interface Control {
  /** Clients are served. */
  ready(): boolean;
  /** Counters of all workers together. */
  snapshot(): Promise<Snapshot>;
  /** The rings, of all pools or of one; with a key (a byte string), who owns it. */
  rings(pool?: string, key?: string): Promise<RingView[]>;
  /** How pools stand whose keys may move, by process; null: one that does not answer now. */
  migrations(): Promise<(MigrationStatus[] | null)[]>;
  /** Gives an order to such a pool; what is wrong, "" if nothing is. */
  migrate(pool: string, order: string): Promise<string>;
  /** The keys that are asked for most, and what is large, of all pools or of one. */
  hot(pool?: string): Promise<HotView[]>;
  /** What a node of a pool's Redis Cluster says to CLUSTER INFO (NODES, ...); rejects when none does. */
  cluster(pool: string, what: string): Promise<ClusterAnswer>;
  /** Reads the configuration again; what is wrong with it, if it was not taken over. */
  reload(): Promise<string[]>;
}
