// The servers of one shard that reads may go to: its primary and its replicas, which of them are fit
// now, and which of those a client reads from. Knows no socket: see reading.ts for whom it asks.
//
// Fit is a replica that answers, is not loading, has its link to the primary, and whose data is at
// most `max_lag` old. While the primary itself does not answer nothing can be written, so that its
// link is not asked for, and its age is taken as of the moment the primary was heard last: else
// nobody could be read from when it is needed most.

import type { ReadsConfig } from "../config/schema.ts";
import { Member } from "./member.ts";
import { OffsetHistory } from "./offset_history.ts";
import { type Server, Unavailable } from "./server.ts";

/** How long (ms) a server that has refused a read is left alone. */
const REFUSED = 1000;
/** Least time (ms) that a server may take to say how it is. */
const PATIENCE = 500;
/** The nearest are those up to so much slower than the very nearest; one of them may be twice that. */
const NEAR = 1.25;
const NEAR_MS = 1;

/** How often (ms) a server is asked, so that its data's age is known well enough. */
export function intervalOf({ max_lag }: ReadsConfig): number {
  return Math.min(1000, Math.max(20, max_lag / 4));
}

/** How long (ms) it may take to answer. */
export function patienceOf(reads: ReadsConfig): number {
  return Math.max(PATIENCE, 3 * intervalOf(reads));
}

/** What is noted of one client and one shard. Numbers of requests are its own: see `Asker`. */
export class Standing {
  /** Its last write there, and when that was sent (ms). */
  wrote: number;
  wroteAt: number;
  /** Its last read from a replica. */
  read: number;
  /** Which replica it reads from, as long as `version` is the shard's. */
  server: Server | null;
  version: number;

  constructor() {
    this.wrote = 0;
    this.wroteAt = -Infinity;
    this.read = 0;
    this.server = null;
    this.version = -1;
  }
}

/** What a server is in its shard. */
export interface Part {
  readonly shard: Replicas;
  readonly member: Member;
}

/** Null: it is in none whose replicas are read from. */
export function partOf(server: Server): Part | null {
  return server.part as Part | null;
}

/** The shard whose primary it is; null for none. */
export function shardOf(server: Server): Replicas | null {
  const part = partOf(server);
  return part !== null && part.member === part.shard.primary ? part.shard : null;
}

/** Whom a change of a replica's state is told. */
export interface ReplicasHearer {
  /** The number of the next version; no two shards have the same. */
  nextVersion(): number;
  changed(member: Member, shard: Replicas): void;
}

export class Replicas {
  /** Its place among those of its pool, for what clients note of it. */
  readonly number: number;
  /** Its place in the ring. */
  place: number;
  name: string;
  readonly primary: Member;
  members: readonly Member[];
  reads: ReadsConfig;
  /** The primary answers. */
  isUp: boolean;
  /** Raised whenever clients may have to read elsewhere. */
  version: number;
  /** Those that are read from, by the policy; none: the primary. */
  candidates: readonly Server[];
  /** Stands for a replica where the policy has no place for the primary; null: it has. */
  nobody: Unavailable | null;
  private history: OffsetHistory;
  private readonly hearer: ReplicasHearer;

  constructor(
    number: number,
    name: string,
    primary: Server,
    reads: ReadsConfig,
    hearer: ReplicasHearer,
  ) {
    this.number = number;
    this.place = -1;
    this.name = name;
    this.primary = new Member(primary);
    this.members = [];
    this.reads = reads;
    this.isUp = true;
    this.version = hearer.nextVersion();
    this.candidates = [];
    this.nobody = null;
    this.history = new OffsetHistory();
    this.hearer = hearer;
    primary.part = { shard: this, member: this.primary } satisfies Part;
    this.change(reads);
  }

  /** Goes on by another policy. */
  change(reads: ReadsConfig): void {
    this.reads = reads;
    this.nobody = reads.from === "replica"
      ? new Unavailable(`no replica of "${this.name}" within max_lag`)
      : null;
    this.version = this.hearer.nextVersion();
  }

  /** Reads at the primary are so for want of a fit replica. */
  get falls(): boolean {
    const { from } = this.reads;
    return this.candidates.length === 0 && from !== "primary" && from !== "prefer_primary";
  }

  newMember(server: Server): Member {
    const member = new Member(server);
    server.part = { shard: this, member } satisfies Part;
    return member;
  }

  /** Hash slots whose keys only the primary knows now. */
  isMoving(slot: number): boolean {
    const { view } = this.primary;
    return view !== null && view.moving.length > 0 && view.moving.includes(slot);
  }

  /** A member has told of itself. */
  told(member: Member): void {
    const { view, heardAt } = member;
    if (member !== this.primary || view === null) return;
    this.isUp = true;
    if (view.primary && view.offset >= 0) this.history.add(view.history, heardAt, view.offset);
  }

  /** The primary does not answer, or a connection to it was lost: until it tells of itself again. */
  primaryLost(now: number): void {
    this.isUp = false;
    this.judge(now);
  }

  /** Another server is the primary: what replicas follow is known when that has told of itself. */
  primaryMoved(now: number): void {
    this.history = new OffsetHistory();
    this.primary.view = null;
    this.isUp = true;
    this.judge(now);
  }

  refused(member: Member, why: string, now: number): void {
    member.refusal = why;
    member.refusedUntil = now + REFUSED;
    this.judge(now);
  }

  /** Called every tick, and when something was heard: who is fit, and who is read from. */
  judge(now: number): void {
    for (const member of this.members) {
      const why = this.misfit(member, now);
      const fit = why === "";
      const changes = fit !== member.fit;
      member.fit = fit;
      member.why = why;
      if (changes) this.hearer.changed(member, this);
    }
    this.choose();
  }

  /** Why reads may not go to a replica; "" if they may. Renews its `lag`. */
  private misfit(member: Member, now: number): string {
    const { view } = member;
    member.lag = -1;
    if (member.silent !== "") return member.silent;
    if (view === null) return "it has not answered yet";
    if (view.primary) return "it is no replica";
    if (view.loading) return "it is loading";
    if (!this.history.isOf(view.history)) return "it follows another primary";
    const until = this.isUp ? now : this.history.last;
    if (until > -Infinity) {
      member.lag = Math.max(0, Math.round(until - this.history.knownAt(view.offset)));
    }
    if (this.isUp && !view.linked) return "it has lost its primary";
    if (member.refusedUntil > now) return member.refusal;
    if (this.isUp && this.history.last === -Infinity) return "the primary has not answered yet";
    if (member.lag > this.reads.max_lag) return "its data is older than max_lag";
    return "";
  }

  private choose(): void {
    const candidates = this.byPolicy();
    const before = this.candidates;
    if (candidates.length === before.length && candidates.every((one, i) => one === before[i])) {
      return;
    }
    this.candidates = candidates;
    this.version = this.hearer.nextVersion();
  }

  private byPolicy(): Server[] {
    const { from, zone } = this.reads;
    if (from === "primary" || (from === "prefer_primary" && this.isUp)) return [];
    const fit = this.members.filter((member) => member.fit);
    if (from === "nearest") return this.nearest(fit);
    if (from === "zone") {
      const here = fit.filter((member) => member.zone === zone);
      if (here.length > 0) return here.map(({ server }) => server);
      if (this.isUp && this.primary.zone === zone) return [];
    }
    return fit.map(({ server }) => server);
  }

  /** Who answers soonest, the primary too: as soon as the first one, or nearly. */
  private nearest(fit: readonly Member[]): Server[] {
    const all = this.isUp ? [this.primary, ...fit] : fit;
    const best = Math.min(...all.map(({ rtt }) => rtt));
    const near: Server[] = [];
    for (const member of all) {
      // Whoever is in stays in until it is clearly farther, so that clients do not go to and fro.
      const most = member.near ? best * NEAR * 2 + NEAR_MS * 2 : best * NEAR + NEAR_MS;
      member.near = member.rtt <= most;
      if (member.near) near.push(member.server);
    }
    return near;
  }

  /**
   * The server that a client reads from: the same one as long as nothing changes, and of those that
   * stay the same one when something does. Null: the primary, or nobody.
   */
  serverFor(standing: Standing, client: number): Server | null {
    if (standing.version === this.version) return standing.server;
    standing.version = this.version;
    standing.server = pick(this.candidates, client);
    return standing.server;
  }
}

/** Rendezvous hashing: whoever goes takes only its own clients along. */
function pick(candidates: readonly Server[], client: number): Server | null {
  let found: Server | null = null;
  let most = -1;
  for (const server of candidates) {
    const weight = mix(server.seed ^ Math.imul(client, 0x9e3779b1));
    if (weight <= most) continue;
    most = weight;
    found = server;
  }
  return found;
}

/** Murmur3's last step: every bit of the input changes half of the output's. */
function mix(h: number): number {
  h ^= h >>> 16;
  h = Math.imul(h, 0x85ebca6b);
  h ^= h >>> 13;
  h = Math.imul(h, 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
