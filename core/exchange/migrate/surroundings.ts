// What the parts of a migration know of their pool and of what its keys move to; and what they have told.
// Surroundings are those of both kinds (Redis, memcached), the others of Redis.

import type { Host } from "../../host.ts";
import type { Migrating } from "../../protocol/migrating.ts";
import type { MigrateRoute } from "../../route/migrate.ts";
import type { Server } from "../../server/server.ts";
import type { Outcome } from "./key_move.ts";
import type { MigrationContext, Target } from "./phases.ts";
import { Strain } from "./strain.ts";
import { shownKey, Tally } from "./tally.ts";

export abstract class Surroundings {
  readonly route: MigrateRoute;
  readonly strain: Strain;
  protected readonly context: MigrationContext;
  protected readonly target: Target;
  protected readonly tally: Tally;

  constructor(context: MigrationContext, route: MigrateRoute, target: Target) {
    this.context = context;
    this.route = route;
    this.target = target;
    this.strain = new Strain();
    this.tally = new Tally(() => context.host.now(), (line) => this.warn(line));
  }

  get host(): Host {
    return this.context.host;
  }

  get lane(): number {
    return this.context.lane;
  }

  get turn(): MigrationContext["turn"] {
    return this.context.turn;
  }

  get words(): Migrating {
    return this.context.codec.migrating as Migrating;
  }

  get rate(): number {
    return this.context.rate;
  }

  get latency(): number {
    return this.context.latency;
  }

  get bigKey(): number {
    return this.context.bigKey;
  }

  say(message: string, event: string): void {
    const { log, label } = this.context;
    log.notice(`${label}: migration to "${this.target.name}": ${message}`, { event });
  }

  protected warn(line: string): void {
    const { log, label } = this.context;
    log.warn(`${label}: migration to "${this.target.name}": ${line}`, { event: "migrate_key" });
  }
}

export abstract class RedisSurroundings extends Surroundings {
  get isCluster(): boolean {
    return this.target.isCluster;
  }

  get counts(): boolean {
    return !this.target.isCluster;
  }

  /** A key of the state may be another node's in a cluster. */
  keepers(): readonly Server[] {
    return this.target.isCluster ? this.route.old.all() : this.route.everyone();
  }

  failure(text: string): Uint8Array {
    return this.context.codec.failure(text);
  }

  passed(_server: Server, seen: number, of: number): void {
    this.tally.seen = seen;
    this.tally.of = of;
  }

  note(db: number, key: Uint8Array, outcome: Outcome): void {
    this.tally.note(key, outcome, db);
    if (outcome.is !== "gone" || !outcome.aside) return;
    this.tally.setAside(`set aside: ${shownKey(key, db)}: its new server had one already`);
  }
}
