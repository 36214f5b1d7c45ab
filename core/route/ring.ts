// The plain route: keys are hashed onto a ring of shards, as twemproxy does it (nc_server.c). Shards
// whose server is ejected are left out until they are due to be tried again.

import type { PoolConfig } from "../config/schema.ts";
import { type Hash, HASHES, hashKey, hashRange } from "../hash/mod.ts";
import type { Scan } from "../protocol/codec.ts";
import { buildRing, type Distribution, type Ring } from "../ring/mod.ts";
import type { Server, Target } from "../server/server.ts";
import type { Shard } from "../server/shard.ts";
import { NOBODY, type Route } from "./route.ts";

/** What a ring is told about its surroundings. */
export interface RingContext {
  /** Coarse monotonic time (ms). */
  readonly now: number;
  /** Random integer in [0, n). */
  random(n: number): number;
  /** The ring was made anew. */
  ringChanged(): void;
}

/** A cluster's pool has a ring without shards, which nobody asks: see slots.ts. */
function ringKind({ distribution }: PoolConfig): Distribution {
  return distribution === "cluster" ? "ketama" : distribution;
}

export class RingRoute implements Route {
  readonly redirects: null;
  readonly tells: boolean;
  readonly mixed: boolean;
  readonly epoch: number;
  readonly picked: number;
  readonly place: number;
  private readonly context: RingContext;
  private config: PoolConfig;
  private shards: readonly Shard[];
  /** By shard. */
  private servers: Server[];
  private hash: Hash;
  private tagOpen: number;
  private tagClose: number;
  private ring: Ring;
  /** One server that is alive needs no hashing (twemproxy does none either); null otherwise. */
  private only: Server | null;
  /** When the first ejected server is due to be tried again; 0 = none is ejected. */
  private retryAt: number;

  constructor(context: RingContext, config: PoolConfig, shards: readonly Shard[]) {
    this.redirects = null;
    this.tells = false;
    this.mixed = false;
    this.epoch = 0;
    this.picked = 0;
    this.place = -1;
    this.context = context;
    this.config = config;
    this.shards = shards;
    this.servers = [];
    this.hash = HASHES[config.hash];
    this.tagOpen = -1;
    this.tagClose = -1;
    this.ring = buildRing(ringKind(config), [], (n) => context.random(n));
    this.only = null;
    this.retryAt = 0;
    this.change(config, shards);
  }

  /** Goes on with another configuration. The ring is to be made anew then: see `rebuild`. */
  change(config: PoolConfig, shards: readonly Shard[]): void {
    const { hash, hash_tag } = config;
    this.config = config;
    this.shards = shards;
    this.hash = HASHES[hash];
    this.tagOpen = hash_tag === "" ? -1 : hash_tag.charCodeAt(0);
    this.tagClose = hash_tag === "" ? -1 : hash_tag.charCodeAt(1);
  }

  get places(): number {
    return this.servers.length;
  }

  pick(buf: Uint8Array, start: number, end: number): Target {
    if (this.retryAt !== 0 && this.context.now > this.retryAt) this.rebuild();
    if (this.only !== null) return this.only;
    const { hash, tagOpen, tagClose } = this;
    const place = this.ring.pick(hashKey(hash, buf, start, end, tagOpen, tagClose));
    return place < 0 ? NOBODY : this.servers[place];
  }

  /** The shard of a key, alive or not: of rings that eject nobody. */
  placeOf(buf: Uint8Array, start: number, end: number): number {
    if (this.only !== null) return 0;
    const { hash, tagOpen, tagClose } = this;
    return this.ring.pick(hashKey(hash, buf, start, end, tagOpen, tagClose));
  }

  pickAll(scan: Scan, buf: Uint8Array, at: number, places: Uint16Array): Target | null {
    this.readmit();
    if (this.only !== null) return this.only;
    const { hash, ring, tagOpen, tagClose } = this;
    const { args, nkeys } = scan;
    const step = 2 * scan.step;
    let first = -1;
    let several = false;
    for (let i = 0, key = 2 * scan.first; i < nkeys; i++, key += step) {
      const from = at + args[key];
      const to = at + args[key + 1];
      // The usual case is inline; a key or tag is empty as seldom as there are tags.
      const value = tagOpen < 0 && from < to
        ? hash(buf, from, to)
        : hashKey(hash, buf, from, to, tagOpen, tagClose);
      const place = ring.pick(value);
      if (place < 0) return NOBODY; // no server is alive: the same for every key
      if (i === 0) first = place;
      else if (place !== first) several = true;
      places[i] = place;
    }
    if (several) return null;
    return first < 0 ? NOBODY : this.servers[first];
  }

  owner(place: number): Server {
    return this.servers[place];
  }

  isOnePlace(): boolean {
    return true;
  }

  walkFrom(place: number): number {
    this.readmit();
    while (place < this.servers.length && !this.servers[place].live) place++;
    return place;
  }

  /** The first one alive. */
  any(): Target {
    this.readmit();
    return this.servers.find((server) => server.live) ?? NOBODY;
  }

  all(): Server[] {
    this.readmit();
    return this.servers.filter((server) => server.live);
  }

  /** Takes back ejected servers that are due to be tried again. */
  private readmit(): void {
    if (this.retryAt !== 0 && this.context.now > this.retryAt) this.rebuild();
  }

  /** Makes the ring of the servers that are alive or due to be tried again (nc_ketama.c update). */
  rebuild(): void {
    this.retryAt = 0;
    this.servers = this.shards.map(({ primary }) => primary);
    const members = [];
    for (const [index, { name, weight, primary }] of this.shards.entries()) {
      if (primary.tryAgain()) members.push({ name, weight, index });
      else if (this.retryAt === 0 || primary.retryAt < this.retryAt) {
        this.retryAt = primary.retryAt;
      }
    }
    const { context } = this;
    this.ring = buildRing(ringKind(this.config), members, (n) => context.random(n));
    this.only = this.servers.length === 1 && members.length === 1 ? this.servers[0] : null;
    context.ringChanged();
  }

  /** The part of all keys (0 to 1) that each shard has now. */
  shares(): Float64Array {
    this.readmit();
    return this.ring.shares(this.servers.length, hashRange(this.config.hash));
  }
}
