// Reads from replicas: over a ring or a cluster's slots, which say where a key is written, this says
// where it is read. What a client has written it reads back: while a write of its own is not
// answered, and for `after_write` ms, it reads at the primary; and a write waits until what the client
// reads at a replica is answered, so that no read sees what comes behind it.
//
//   read  ─▶ inner route ─▶ primary ─▶ its replicas ─▶ the client's one ─ refused, lost ─▶ next ─▶ primary
//   write ─▶ inner route ─▶ primary

import { EMPTY } from "../bytes.ts";
import type { Carrier } from "../link/attempt.ts";
import { reads } from "../protocol/intents.ts";
import type { Keys, Scan } from "../protocol/codec.ts";
import { NO_REFUSAL, type Replication, UNABLE } from "../protocol/replication.ts";
import { partOf, type Replicas, shardOf, Standing } from "../server/replicas.ts";
import { Server, type Target } from "../server/server.ts";
import { CLASS_READ } from "../stats/latency.ts";
import type { Rounds } from "./rounds.ts";
import type { Asker, Intent, Redirects, Resendable, Route } from "./route.ts";

/** What the route is told about its surroundings. */
export interface ReadsContext {
  readonly host: { now(): number };
  readonly turn: { readonly clock: number };
  readonly codec: { readonly replication?: Replication };
  readonly config: { readonly reads?: { readonly after_write: number } };
  readonly counters: { replica_retries: number; replica_fallbacks: number };
  /** By number, see `Replicas.number`. */
  readonly reading: { readonly shards: readonly (Replicas | null)[] } | null;
}

export class ReplicaRoute implements Route, Redirects {
  readonly redirects: Redirects;
  readonly tells: boolean;
  readonly mixed: boolean;
  picked: number;
  place: number;
  preface: Uint8Array | null;
  /** It was the inner route that judged the last refusal. */
  private isInner: boolean;
  private readonly inner: Route;
  private readonly context: ReadsContext;
  /** The inner route's places are hash slots. */
  private readonly slotted: boolean;

  constructor(inner: Route, context: ReadsContext) {
    this.redirects = this;
    this.tells = false; // it is managed, and told anyway
    this.mixed = inner.mixed;
    this.picked = 0;
    this.place = -1;
    this.preface = null;
    this.isInner = false;
    this.inner = inner;
    this.context = context;
    this.slotted = inner.redirects !== null;
  }

  get apart(): boolean {
    return this.isInner && (this.inner.redirects?.apart ?? false);
  }

  get broadcasts(): Redirects["broadcasts"] {
    return this.inner.redirects?.broadcasts ?? false;
  }

  get rounds(): Rounds | null {
    return this.inner.redirects?.rounds ?? null;
  }

  get epoch(): number {
    return this.inner.epoch;
  }

  get places(): number {
    return this.inner.places;
  }

  pick(buf: Uint8Array, start: number, end: number, intent: Intent, by?: Asker): Target {
    const target = this.inner.pick(buf, start, end, intent);
    this.take(target);
    return by === undefined ? target : this.choose(target, intent, by);
  }

  pickAll(
    scan: Scan,
    buf: Uint8Array,
    at: number,
    places: Uint16Array,
    intent: Intent = CLASS_READ,
    by?: Asker,
  ): Target | null {
    const target = this.inner.pickAll(scan, buf, at, places);
    if (target === null) return null;
    this.take(target);
    return by === undefined ? target : this.choose(target, intent, by);
  }

  owner(place: number, intent: Intent = CLASS_READ, by?: Asker): Target {
    const target = this.inner.owner(place);
    this.place = place;
    return by === undefined ? target : this.choose(target, intent, by);
  }

  /** The inner route has given a server: the place it is for. */
  private take(target: Target): void {
    const { inner } = this;
    this.picked = inner.picked;
    if (this.slotted) this.place = inner.place;
    else this.place = target.available ? shardOf(target)?.place ?? -1 : -1;
  }

  isOnePlace(scan: Scan, buf: Uint8Array, at: number, keys: Keys): boolean {
    return this.inner.isOnePlace(scan, buf, at, keys);
  }

  walkFrom(place: number, again: boolean): number {
    return this.inner.walkFrom(place, again);
  }

  any(): Target {
    this.place = -1;
    this.picked = 0;
    return this.inner.any();
  }

  all(intent: Intent, by?: Asker): Server[] {
    this.place = -1;
    this.picked = 0;
    if (by !== undefined && !reads(intent)) this.wroteEverywhere(by, by.sent + 1);
    return this.inner.all(intent);
  }

  // ---------------------------------------------------------------- what clients have done

  /** Where a command goes whose keys are written at `primary`. */
  private choose(primary: Target, intent: Intent, by: Asker): Target {
    // While a primary is sought its replicas are read from.
    const server = primary.available ? primary : this.inner.home?.(this.place) ?? null;
    const replicas = server === null ? null : shardOf(server);
    if (replicas === null) return primary;
    const standing = standingOf(by, replicas);
    if (intent === CLASS_READ) return this.reader(primary, replicas, standing, by);
    if (reads(intent)) return primary;
    standing.wrote = by.sent + 1;
    standing.wroteAt = this.context.turn.clock;
    // Not before that is answered: see client.ts, mustEmpty.
    if (standing.read > by.answered) this.picked = Infinity;
    return primary;
  }

  private reader(primary: Target, replicas: Replicas, standing: Standing, by: Asker): Target {
    if (by.isBound || !this.mayBeOld(standing, by)) return primary;
    // What is on its way from or to it only the primary knows: replicas say that it is not there.
    if (this.slotted && replicas.isMoving(this.place)) return primary;
    const server = replicas.serverFor(standing, by.id);
    if (server === null) {
      if (replicas.nobody !== null) return replicas.nobody;
      if (replicas.falls) this.context.counters.replica_fallbacks++;
      return primary;
    }
    if (!primary.available && server === replicas.primary.server) return primary;
    if (server !== primary) standing.read = by.sent + 1;
    return server;
  }

  /** Whether a client has nothing of its own in a shard that a replica may not know yet. */
  private mayBeOld(standing: Standing, by: Asker): boolean {
    if (standing.wrote > by.answered) return false;
    const { clock } = this.context.turn;
    const after = this.context.config.reads?.after_write ?? 0;
    return after === 0 || clock - standing.wroteAt > after;
  }

  private wroteEverywhere(by: Asker, request: number): void {
    const { reading, turn } = this.context;
    for (const replicas of reading?.shards ?? []) {
      if (replicas === null) continue;
      const standing = standingOf(by, replicas);
      standing.wrote = request;
      standing.wroteAt = turn.clock;
    }
  }

  overtakes(intent: Intent, by: Asker): boolean {
    if (reads(intent) || by.standings === null) return false;
    return by.standings.some((standing) => standing !== undefined && standing.read > by.answered);
  }

  released(by: Asker): void {
    this.wroteEverywhere(by, 0);
  }

  // ---------------------------------------------------------------- requests that come back

  get most(): number {
    const all = this.context.reading?.shards ?? [];
    const members = all.reduce((most, one) => Math.max(most, one?.members.length ?? 0), 0);
    return members + 1 + (this.inner.redirects?.most ?? 0);
  }

  refused(
    buf: Uint8Array,
    start: number,
    end: number,
    request: Resendable,
    link: Carrier,
  ): Target | null {
    const { owner } = link;
    this.preface = null;
    const part = owner instanceof Server ? partOf(owner) : null;
    this.isInner = part === null || part.member === part.shard.primary;
    if (part === null || this.isInner) {
      const { redirects } = this.inner;
      const target = redirects?.refused(buf, start, end, request, link) ?? null;
      this.preface = redirects?.preface ?? null;
      return target;
    }
    const { codec, counters, host } = this.context;
    const what = codec.replication?.refusal(buf, start, end) ?? NO_REFUSAL;
    if (what === NO_REFUSAL) return null;
    counters.replica_retries++;
    const { shard, member } = part;
    if (what !== UNABLE) return this.primaryOf(shard, request);
    shard.refused(member, "it refuses reads", host.now());
    return this.next(shard, request);
  }

  lost(link: Carrier, request: Resendable): Target | null {
    const { owner } = link;
    const { counters, host } = this.context;
    this.preface = null;
    const part = owner instanceof Server ? partOf(owner) : null;
    if (part !== null && part.member !== part.shard.primary) {
      counters.replica_retries++;
      part.shard.refused(part.member, "a connection was lost", host.now());
      return this.next(part.shard, request);
    }
    const target = this.inner.redirects?.lost(link, request) ?? null;
    if (part === null) return target;
    part.shard.primaryLost(host.now());
    const other = this.replica(part.shard, request);
    if (other === null || other === owner) return target;
    counters.replica_retries++;
    return other;
  }

  /** Another replica, or the primary where that may be. */
  private next(replicas: Replicas, request: Resendable): Target | null {
    return this.replica(replicas, request) ?? replicas.nobody ?? this.primaryOf(replicas, request);
  }

  private replica(replicas: Replicas, { by, intent, place }: Resendable): Server | null {
    if (by === undefined || intent !== CLASS_READ || by.isBound) return null;
    if (this.slotted && replicas.isMoving(place)) return null;
    const standing = standingOf(by, replicas);
    return this.mayBeOld(standing, by) ? replicas.serverFor(standing, by.id) : null;
  }

  /** Whoever has the keys now. */
  private primaryOf({ primary }: Replicas, { place }: Resendable): Target | null {
    if (this.slotted && place >= 0) return this.inner.owner(place);
    return primary.server.removed ? null : primary.server;
  }

  tooMany(request: Resendable): Uint8Array | null {
    return this.inner.redirects?.tooMany(request) ?? null;
  }

  overdue(place: number): Uint8Array {
    return this.inner.redirects?.overdue(place) ?? EMPTY;
  }

  held(request: Resendable): Uint8Array | null {
    return this.inner.redirects?.held(request) ?? null;
  }

  forgotten(request: Resendable): Uint8Array | null {
    return this.inner.redirects?.forgotten(request) ?? null;
  }

  /** A read may have to try each of the servers. */
  mayRepeat(intent: Intent, repeated: number, atFormer?: boolean): boolean {
    if (intent === CLASS_READ && repeated < this.most) return true;
    return this.inner.redirects?.mayRepeat(intent, repeated, atFormer) ?? false;
  }
}

function standingOf(by: Asker, { number }: Replicas): Standing {
  const standings = by.standings ??= [];
  return standings[number] ??= new Standing();
}
