// The route of a Redis Cluster: a key belongs to a hash slot, the slot to a server. What has no owner
// now waits (see exchange/park.ts); what a server refuses goes where it says.
// https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/#key-distribution-model

import { slotOf } from "../hash/slot.ts";
import type { Carrier } from "../link/attempt.ts";
import { AGAIN, ASK, type Clustering, SCARCE } from "../protocol/clustering.ts";
import type { Keys, Scan } from "../protocol/codec.ts";
import { Server, type Target, type Unavailable } from "../server/server.ts";
import type { ClusterTopology } from "../topology/cluster.ts";
import { type SlotMap, SLOTS } from "../topology/slot_map.ts";
import { Rounds } from "./rounds.ts";
import { isOverdue, isRepeated, type Retry } from "./retry.ts";
import type { Intent, Redirects, Resendable, Route } from "./route.ts";
import { type Way, Ways } from "./ways.ts";

export { slotOf };

/** What the route is told about its surroundings. */
export interface SlotContext {
  readonly host: { now(): number };
  random(n: number): number;
  readonly words: Clustering;
  readonly config: {
    readonly cluster?: { readonly redirects: number };
    readonly wait: number;
    readonly retry?: Retry;
  };
  readonly counters: { moved: number; ask: number; tryagain: number; unfit: number };
}

/** Knows what waits for an owner of its slot. */
export interface Waiting {
  /** Whether an earlier request of its client's for its place waits, or is on another way. */
  isBehind(request: Resendable, way: Way | null): boolean;
}

export class SlotRoute implements Route, Redirects {
  readonly redirects: Redirects;
  readonly tells: boolean;
  readonly mixed: boolean;
  readonly broadcasts: boolean;
  readonly rounds: Rounds;
  readonly places: number;
  picked: number;
  place: number;
  apart: boolean;
  /** What goes before the request that was refused last; null for nothing. */
  preface: Uint8Array | null;
  private readonly context: SlotContext;
  private readonly topology: ClusterTopology;
  private readonly map: SlotMap;
  /** Stands for an owner where there is none: what goes there waits. */
  private readonly nowhere: Unavailable;
  private readonly lot: Waiting;
  private readonly ways: Ways;

  constructor(
    context: SlotContext,
    topology: ClusterTopology,
    nowhere: Unavailable,
    lot: Waiting,
  ) {
    this.redirects = this;
    this.tells = false;
    this.mixed = false;
    this.broadcasts = true;
    this.rounds = new Rounds(topology, (n) => context.random(n), nowhere.parking);
    this.places = SLOTS;
    this.picked = 0;
    this.place = -1;
    this.apart = false;
    this.preface = null;
    this.context = context;
    this.topology = topology;
    this.map = topology.map;
    this.nowhere = nowhere;
    this.lot = lot;
    this.ways = new Ways();
  }

  get epoch(): number {
    return this.map.epoch;
  }

  pick(buf: Uint8Array, start: number, end: number): Target {
    const slot = slotOf(buf, start, end);
    this.place = slot;
    this.picked = this.map.epochs[slot];
    return this.map.owner(slot) ?? this.nowhere;
  }

  pickAll(scan: Scan, buf: Uint8Array, at: number, places: Uint16Array): Target | null {
    const { args, nkeys } = scan;
    const step = 2 * scan.step;
    let several = false;
    for (let i = 0, key = 2 * scan.first; i < nkeys; i++, key += step) {
      places[i] = slotOf(buf, at + args[key], at + args[key + 1]);
      if (places[i] !== places[0]) several = true;
    }
    if (several) return null;
    this.place = places[0];
    this.picked = this.map.epochs[this.place];
    return this.target(this.place);
  }

  /** Whether all keys of a request are in one slot, as the servers want it. */
  isOnePlace(scan: Scan, buf: Uint8Array, at: number, keys: Keys): boolean {
    let first = -1;
    for (let i = 0; i < scan.nkeys; i++) {
      keys.select(scan, i);
      const slot = slotOf(buf, at + scan.keyStart, at + scan.keyEnd);
      if (i > 0 && slot !== first) return false;
      first = slot;
    }
    return true;
  }

  /** Who has a slot now; of none, any server. */
  target(slot: number): Target {
    if (slot < 0) return this.any();
    return this.map.owner(slot) ?? this.nowhere;
  }

  owner(slot: number): Target {
    return this.map.owner(slot) ?? this.nowhere;
  }

  any(): Target {
    this.place = -1;
    this.picked = 0;
    const { nodes, owners } = this.map;
    for (let slot = 0; slot < SLOTS; slot++) {
      const node = nodes[owners[slot]];
      if (node !== null && !node.failed) return node.server;
    }
    return this.nowhere;
  }

  /** Those that have slots. */
  all(): Server[] {
    const { map } = this;
    const counts = map.counts();
    return map.nodes.flatMap((node, number) =>
      node !== null && counts[number] > 0 ? [node.server] : []
    );
  }

  /** SCAN goes its own way: see rounds.ts. */
  walkFrom(): number {
    return SLOTS;
  }

  /** The part of all slots that each of `servers` has. */
  shares(servers: readonly Server[]): Float64Array {
    const counts = this.map.counts();
    return Float64Array.from(servers, (server) => {
      const number = this.map.nodes.findIndex((node) => node?.server === server);
      return number < 0 ? 0 : counts[number] / SLOTS;
    });
  }

  // ---------------------------------------------------------------- requests that were refused

  get most(): number {
    return this.context.config.cluster?.redirects ?? 5;
  }

  refused(
    buf: Uint8Array,
    start: number,
    end: number,
    request: Resendable,
    link: Carrier,
  ): Target | null {
    const { topology, map, context } = this;
    const refusal = context.words.readRefusal(buf, start, end);
    if (refusal === null) return null;
    // It may have run, and done something.
    if (!request.isJudged && !context.words.isServersOwn(buf, start, end)) return null;
    // Nobody else would do better: the client hears it when its time is over.
    const { config: { wait }, host } = context;
    if (refusal.what === SCARCE && isOverdue(wait, host.now(), request.parkedAt)) return null;
    this.preface = null;
    const { counters } = context;
    this.apart = false;
    if (refusal.what === AGAIN) {
      counters.tryagain++;
      // Key by key it would overtake what waits.
      this.apart = !this.lot.isBehind(request, null);
      return this.waitAnew(request);
    }
    const sender = link.owner instanceof Server ? link.owner : null;
    if (sender === null || refusal.slot < 0) {
      counters.unfit++;
      if (sender !== null) topology.chronicle.trouble(sender.name);
      topology.refresh(null, refusal.word);
      return this.waitAnew(request);
    }
    if (refusal.what === ASK) counters.ask++;
    else counters.moved++;
    // What a script says may be anything: it leads to no stranger.
    const strange = request.isJudged;
    const number = topology.numberAt(sender.address, refusal.host, refusal.port, strange);
    const node = map.nodes[number];
    if (node === null) {
      topology.refresh(null, refusal.word);
      return this.wait(request);
    }
    const isAsk = refusal.what === ASK;
    if (!isAsk) {
      if (strange) map.patch(refusal.slot, number);
      topology.refresh(node.server.address, refusal.word);
      // Whoever has answered is another one by now, or the slot is about to be its.
      if (node.server === sender && !link.retired) topology.suspect(sender);
      // Back and forth, or to the one that says it is another's: not at once (redis#7116).
      if (request.resent >= 2 || node.server === sender) return this.wait(request);
    }
    const way = this.ways.to(request.place, node.server);
    if (this.lot.isBehind(request, way)) return this.wait(request);
    if (isAsk) this.preface = context.words.asking;
    request.way = way.number;
    return node.server;
  }

  lost({ owner }: Carrier, request: Resendable): Target | null {
    this.preface = null;
    if (owner instanceof Server) this.topology.chronicle.trouble(owner.name);
    this.topology.refresh(null, "a connection was lost");
    return this.waitAnew(request);
  }

  mayRepeat(intent: Intent, repeated: number): boolean {
    return isRepeated(this.context.config.retry, intent, repeated);
  }

  /** It was where it belongs, as far as anybody knows: how it came there does not count. */
  private waitAnew(request: Resendable): Target {
    request.resent = 0;
    return this.wait(request);
  }

  private wait(request: Resendable): Target {
    if (request.place >= 0) this.map.renew(request.place);
    return this.nowhere;
  }

  tooMany(request: Resendable): Uint8Array {
    return this.context.words.tooMany(request.place);
  }

  held(request: Resendable): Uint8Array {
    return this.context.words.moved(request.place);
  }

  forgotten(request: Resendable): Uint8Array {
    return this.context.words.forgotten(request.place);
  }

  overdue(place: number): Uint8Array {
    this.topology.refresh(null, "nobody has had a slot for too long");
    return this.context.words.noPrimary(place, this.context.config.wait);
  }
}
