// A ring whose shards Sentinels watch over: the ring chooses the shard by its name, and its primary is
// whoever it is now. What has none waits (exchange/park.ts); what was refused or lost goes to the next.

import type { Carrier } from "../link/attempt.ts";
import type { Keys, Scan } from "../protocol/codec.ts";
import type { Sentinels } from "../protocol/sentinels.ts";
import { Server, type Target, type Unavailable } from "../server/server.ts";
import type { SentinelTopology } from "../topology/sentinel.ts";
import { SERVED } from "../topology/sentinel_shard.ts";
import type { RingRoute } from "./ring.ts";
import { isOverdue, isRepeated, type Retry } from "./retry.ts";
import type { Intent, Redirects, Resendable, Route } from "./route.ts";

/** How often one request goes on to another primary. */
const MOST = 5;

export interface SentinelRouteContext {
  readonly host: { now(): number };
  readonly config: {
    readonly wait: number;
    readonly retry?: Retry;
  };
  readonly counters: { unfit: number };
}

export class SentinelRoute implements Route, Redirects {
  readonly redirects: Redirects;
  readonly tells: boolean;
  readonly mixed: boolean;
  readonly rounds: null;
  readonly most: number;
  readonly preface: null;
  readonly broadcasts: boolean;
  readonly apart: boolean;
  picked: number;
  place: number;
  private readonly context: SentinelRouteContext;
  private readonly ring: RingRoute;
  private readonly topology: SentinelTopology;
  private readonly words: Sentinels;
  /** Stands for a primary where there is none: what goes there waits. */
  private readonly nowhere: Unavailable;

  constructor(
    context: SentinelRouteContext,
    ring: RingRoute,
    topology: SentinelTopology,
    nowhere: Unavailable,
  ) {
    this.redirects = this;
    this.tells = false;
    this.mixed = false;
    this.rounds = null;
    this.most = MOST;
    this.preface = null;
    this.broadcasts = false;
    this.apart = false;
    this.picked = 0;
    this.place = -1;
    this.context = context;
    this.ring = ring;
    this.topology = topology;
    this.words = topology.words;
    this.nowhere = nowhere;
  }

  get epoch(): number {
    return this.topology.epoch;
  }

  get places(): number {
    return this.topology.shards.length;
  }

  pick(buf: Uint8Array, start: number, end: number): Target {
    const place = this.ring.placeOf(buf, start, end);
    this.place = place;
    this.picked = this.topology.epochs[place];
    return this.owner(place);
  }

  pickAll(scan: Scan, buf: Uint8Array, at: number, places: Uint16Array): Target | null {
    const { args, nkeys } = scan;
    const step = 2 * scan.step;
    let several = false;
    for (let i = 0, key = 2 * scan.first; i < nkeys; i++, key += step) {
      places[i] = this.ring.placeOf(buf, at + args[key], at + args[key + 1]);
      if (places[i] !== places[0]) several = true;
    }
    if (several) return null;
    this.place = places[0];
    this.picked = this.topology.epochs[this.place];
    return this.owner(this.place);
  }

  /** Who has a shard now; of none, any server. */
  target(place: number): Target {
    return place < 0 ? this.any() : this.owner(place);
  }

  owner(place: number): Target {
    const shard = this.topology.shards[place];
    return shard !== undefined && shard.state === SERVED ? shard.server : this.nowhere;
  }

  home(place: number): Server | null {
    return this.topology.shards[place]?.server ?? null;
  }

  isOnePlace(scan: Scan, buf: Uint8Array, at: number, keys: Keys): boolean {
    let first = -1;
    for (let i = 0; i < scan.nkeys; i++) {
      keys.select(scan, i);
      const place = this.ring.placeOf(buf, at + scan.keyStart, at + scan.keyEnd);
      if (i > 0 && place !== first) return false;
      first = place;
    }
    return true;
  }

  walkFrom(place: number): number {
    return place;
  }

  any(): Target {
    this.place = -1;
    this.picked = 0;
    return this.topology.shards.find(({ state }) => state === SERVED)?.server ?? this.nowhere;
  }

  all(): Server[] {
    return this.topology.shards.map(({ server }) => server);
  }

  // ---------------------------------------------------------------- requests that were refused

  refused(
    buf: Uint8Array,
    start: number,
    end: number,
    request: Resendable,
    link: Carrier,
  ): Target | null {
    const { words, context: { config: { wait }, host, counters } } = this;
    const word = words.readRefusal(buf, start, end);
    if (word === "") return null;
    // It may have run, and done something.
    if (!request.isJudged && !words.isServersOwn(buf, start, end)) return null;
    // Nobody else would do better: the client hears it when its time is over.
    if (word === words.scarce && isOverdue(wait, host.now(), request.parkedAt)) return null;
    counters.unfit++;
    return this.elsewhere(link, word, request);
  }

  lost(link: Carrier, request: Resendable): Target | null {
    return this.elsewhere(link, "a connection was lost", request);
  }

  /** Where to go instead: what an old primary says means nothing for the one that there is now. */
  private elsewhere({ owner, retired }: Carrier, why: string, request: Resendable): Target {
    const { topology } = this;
    const place = request.place >= 0
      ? request.place
      : topology.shards.findIndex(({ server }) => server === owner);
    if (retired) {
      if (request.place >= 0) topology.renew(request.place);
      return this.target(request.place);
    }
    if (owner instanceof Server) topology.doubt(place, why);
    if (request.place >= 0) topology.renew(request.place);
    return this.nowhere;
  }

  /** What a former primary has done since is undone: it takes over the data of the new one. */
  mayRepeat(intent: Intent, repeated: number, atFormer = false): boolean {
    return atFormer || isRepeated(this.context.config.retry, intent, repeated);
  }

  private nameOf(place: number): string {
    return this.topology.shards[place]?.name ?? "";
  }

  tooMany(request: Resendable): Uint8Array {
    return this.words.tooMany(this.nameOf(request.place));
  }

  held(request: Resendable): Uint8Array {
    return this.words.moved(this.nameOf(request.place));
  }

  forgotten(request: Resendable): Uint8Array {
    return this.words.forgotten(this.nameOf(request.place));
  }

  overdue(place: number): Uint8Array {
    return this.words.noPrimary(this.nameOf(place), this.context.config.wait);
  }
}
