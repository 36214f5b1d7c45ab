// What may be asked of a running ringmux, however many processes it is: the admin address, the
// stats port and the signals stand on this one interface. Everything is plain data, so that a
// supervisor can pass it on to its workers.

import type { RingView } from "../../core/ring_view.ts";
import type { Snapshot } from "../../core/stats/snapshot.ts";

import type { MigrationStatus } from "../../core/exchange/migrate/migration.ts";

export type { MigrationStatus } from "../../core/exchange/migrate/migration.ts";
export type { RingView } from "../../core/ring_view.ts";

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
  /** Reads the configuration again; what is wrong with it, if it was not taken over. */
  reload(): Promise<string[]>;
}
