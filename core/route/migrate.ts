// The route of a pool whose keys move to other servers: the old ring until they begin to, then
// whatever is to serve them (another ring, a Redis Cluster's slots, shards under Sentinels). That a key
// is there when a command comes is exchange/migrate's to see to.
//
// Walks (SCAN) go over the servers that keys leave and then those that they come to: keys go one way
// only, so that none is missed. A place has the same number all the time, so that cursors stay good:
//     [ the old ring | the new one | the old ring again, for keys that have come back ]

import type { Carrier } from "../link/attempt.ts";
import type { Keys, Scan } from "../protocol/codec.ts";
import { Server, type Target } from "../server/server.ts";
import type { RingRoute } from "./ring.ts";
import type { Rounds } from "./rounds.ts";
import type { Intent, Redirects, Resendable, Route } from "./route.ts";

/** Where commands go, and which servers are walked over. */
export const OLD = 0;
/** To the new ring; both may have keys. */
export const BOTH = 1;
export const NEW = 2;
/** To the old ring again; both may have keys. */
export const RETURN = 3;

/** What keys are to move to. */
export interface Destination {
  readonly route: Route;
  /** How its servers are walked over, behind those of the old ring; null: in their order. */
  readonly rounds: Rounds | null;
  /** Who has a key, whether it can be reached or not; null: nobody knows. */
  holder(buf: Uint8Array, start: number, end: number): Server | null;
}

export class MigrateRoute implements Route {
  readonly tells: boolean;
  readonly mixed: boolean;
  readonly old: RingRoute;
  readonly next: Route;
  stage: number;
  /** Keys have come back to the old ring: walks that began before may have missed them there. */
  hasReturned: boolean;
  private readonly destination: Destination;
  private readonly onward: Onward | null;

  constructor(old: RingRoute, destination: Destination) {
    this.tells = false;
    this.mixed = false;
    this.old = old;
    this.next = destination.route;
    this.stage = OLD;
    this.hasReturned = false;
    this.destination = destination;
    const { redirects } = destination.route;
    this.onward = redirects === null ? null : new Onward(redirects, destination.rounds, old);
  }

  /** Commands go to the new servers. */
  private get isOnward(): boolean {
    return this.stage === BOTH || this.stage === NEW;
  }

  private get ring(): Route {
    return this.isOnward ? this.next : this.old;
  }

  /** The one that commands do not go to. */
  get other(): Route {
    return this.isOnward ? this.old : this.next;
  }

  get redirects(): Redirects | null {
    return this.isOnward ? this.onward : null;
  }

  get epoch(): number {
    return this.ring.epoch;
  }

  get picked(): number {
    return this.ring.picked;
  }

  get place(): number {
    const { place } = this.ring;
    return place < 0 || !this.isOnward ? place : place + this.old.places;
  }

  get places(): number {
    return 2 * this.old.places + this.next.places;
  }

  pick(buf: Uint8Array, start: number, end: number, intent: Intent): Target {
    return this.isOnward ? this.next.pick(buf, start, end, intent) : this.old.pick(buf, start, end);
  }

  /** Who has a place that requests went to; of none, any server. */
  target(place: number): Target {
    return place < 0 ? this.any() : this.owner(place);
  }

  overdue(place: number): Uint8Array {
    return (this.onward as Onward).overdue(place);
  }

  /** The server that a key leaves; null if it stays where it is. */
  leaves(buf: Uint8Array, start: number, end: number): Server | null {
    const home = this.old.pick(buf, start, end);
    if (this.stage === RETURN) {
      const from = this.destination.holder(buf, start, end);
      return from === home ? null : from;
    }
    const to = this.next.pick(buf, start, end, 0);
    return home === to || !(home instanceof Server) ? null : home;
  }

  /** Where a key goes that leaves. */
  goal(buf: Uint8Array, start: number, end: number): Target {
    return this.stage === RETURN
      ? this.old.pick(buf, start, end)
      : this.next.pick(buf, start, end, 0);
  }

  /** What those who have keys that come say is judged by; null: it is as it is. */
  get goalRedirects(): Redirects | null {
    return this.stage === RETURN ? null : this.next.redirects;
  }

  /** The place that `goal` gave last, as `goalRedirects` counts them. */
  get goalPlace(): number {
    return this.stage === RETURN ? -1 : this.next.place;
  }

  /** Servers that keys leave. */
  sources(): Server[] {
    return this.stage === RETURN ? this.next.all(0) : this.old.all();
  }

  /** And those that they come to. */
  goals(): Server[] {
    return this.stage === RETURN ? this.old.all() : this.next.all(0);
  }

  pickAll(scan: Scan, buf: Uint8Array, at: number, places: Uint16Array): Target | null {
    const target = this.ring.pickAll(scan, buf, at, places);
    if (target === null && this.isOnward) {
      for (let i = 0; i < scan.nkeys; i++) places[i] += this.old.places;
    }
    return target;
  }

  owner(place: number): Target {
    const { old, next } = this;
    const first = old.places;
    if (place < first) return old.owner(place);
    const second = first + next.places;
    return place < second ? next.owner(place - first) : old.owner(place - second);
  }

  isOnePlace(scan: Scan, buf: Uint8Array, at: number, keys: Keys): boolean {
    return this.ring.isOnePlace(scan, buf, at, keys);
  }

  walkFrom(place: number, again: boolean): number {
    const { old, next, stage } = this;
    const first = old.places;
    const second = first + next.places;
    if (place < first) {
      const found = stage === NEW || stage === RETURN ? first : old.walkFrom(place);
      if (found < first) return found;
      place = first;
    }
    if (place < second) {
      const found = stage === OLD ? second : first + next.walkFrom(place - first, again);
      if (found < second) return found;
      place = second;
    }
    const isBack = stage === RETURN || (stage === OLD && this.hasReturned);
    return isBack ? second + old.walkFrom(place - second) : this.places;
  }

  any(): Target {
    return this.ring.any();
  }

  /** Keys may be at the servers of either ring. */
  get isBoth(): boolean {
    return this.stage === BOTH || this.stage === RETURN;
  }

  all(intent: Intent): Server[] {
    return this.isBoth ? this.everyone() : this.ring.all(intent);
  }

  /** Every server of either ring, each once. */
  everyone(): Server[] {
    return [...new Set([...this.old.all(), ...this.next.all(0)])];
  }
}

/** What the new servers refuse goes where their own route says; its places have other numbers. */
class Onward implements Redirects {
  readonly rounds: Rounds | null;
  readonly broadcasts: boolean;
  private readonly inner: Redirects;
  private readonly old: RingRoute;

  constructor(inner: Redirects, rounds: Rounds | null, old: RingRoute) {
    this.rounds = rounds;
    this.broadcasts = inner.broadcasts;
    this.inner = inner;
    this.old = old;
  }

  get most(): number {
    return this.inner.most;
  }

  get preface(): Uint8Array | null {
    return this.inner.preface;
  }

  get apart(): boolean {
    return this.inner.apart;
  }

  private of(place: number): number {
    return place < 0 ? place : place - this.old.places;
  }

  private request({ by, whole, place, resent, way, parkedAt, isJudged }: Resendable): Resendable {
    const request = { place: this.of(place), resent, way, parkedAt, isJudged };
    return by === undefined ? request : { ...request, by, whole };
  }

  refused(
    buf: Uint8Array,
    start: number,
    end: number,
    request: Resendable,
    link: Carrier,
  ): Target | null {
    const own = this.request(request);
    const target = this.inner.refused(buf, start, end, own, link);
    request.resent = own.resent;
    request.way = own.way;
    return target;
  }

  lost(link: Carrier, request: Resendable): Target | null {
    const own = this.request(request);
    const target = this.inner.lost(link, own);
    request.resent = own.resent;
    return target;
  }

  tooMany(request: Resendable): Uint8Array | null {
    return this.inner.tooMany(this.request(request));
  }

  held(request: Resendable): Uint8Array | null {
    return this.inner.held(this.request(request));
  }

  forgotten(request: Resendable): Uint8Array | null {
    return this.inner.forgotten(this.request(request));
  }

  overdue(place: number): Uint8Array {
    return this.inner.overdue(this.of(place));
  }

  mayRepeat(intent: Intent, repeated: number, atFormer?: boolean): boolean {
    return this.inner.mayRepeat(intent, repeated, atFormer);
  }
}

/** Each server's part of the keys (0 to 1), by the old ring and by what they are to move to (`parts`). */
export function partsOf(
  route: MigrateRoute,
  parts: readonly { readonly server: Server; readonly part: number }[],
): { server: string; before: number; after: number }[] {
  const { old } = route;
  const shares = old.shares();
  return route.everyone().map((server) => {
    let before = 0;
    for (let i = 0; i < old.places; i++) if (old.owner(i) === server) before += shares[i];
    let after = 0;
    for (const one of parts) if (one.server === server) after += one.part;
    return { server: server.name, before, after };
  });
}
