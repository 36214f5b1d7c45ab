// What clients and their pool know of keys that move to another ring, whatever the protocol: Redis's is
// migration.ts, memcached's ../pull/pull_migration.ts.

import type { Migrating } from "../../protocol/migrating.ts";
import type { Scan } from "../../protocol/scan.ts";
import type { MigrateRoute } from "../../route/migrate.ts";
import type { MigrationSnapshot } from "../../stats/migration.ts";
import type { GateClient, GO, MigrationStatus, Phase, WAIT } from "./phases.ts";

/** For those who look on: what of `status` is of use beside that of other processes. */
export function viewMigration(moves: Moves): MigrationSnapshot {
  const { to, phase, paused, why, keys, bytes, rate, errors, ...rest } = moves.status();
  const { aside, bigs, waiting, left, seen, of, told, added, slowed } = rest;
  return {
    ...{ to, phase, paused, why, keys, bytes, rate, errors },
    ...{ aside, bigs, waiting, left, seen, of, told, added, slowed },
  };
}

export interface Moves {
  readonly phase: Phase;
  readonly route: MigrateRoute;
  /** Clients have to be asked what they want before it is done. */
  readonly isOn: boolean;
  /** The ring may not become another one. */
  readonly isFixed: boolean;
  /** Topics are heard where the other ring has them too. */
  readonly isTwofold: boolean;
  readonly words: Migrating;
  begin(): void;
  stop(): void;
  /** Carries out an order of the command's; what is wrong, "" if nothing is. */
  order(what: string): Promise<string>;
  status(): MigrationStatus;
  /** Whether the request at `buf[at...]` may be carried out now. WAIT: its client is told later. */
  gate(
    client: GateClient,
    scan: Scan,
    buf: Uint8Array,
    at: number,
  ): typeof GO | typeof WAIT | Uint8Array;
  /** As `gate`, of a request about all keys, while none of them move. */
  still(
    client: GateClient,
    scan: Scan,
    buf: Uint8Array,
    at: number,
  ): typeof GO | typeof WAIT | Uint8Array;
  /** Whether a key of a request is to leave its server. */
  isLeaving(client: GateClient, scan: Scan, buf: Uint8Array, at: number): boolean;
  /** The client is gone. */
  forget(client: GateClient): void;
}
