// One server: where it is, how it is, its links and counters. The rules for ejecting and
// readmitting are twemproxy's (nc_server.c), but for what is no fault of the server's.

import type { ServerConfig } from "../config/address.ts";
import type { Address, Socket, SocketHandler } from "../host.ts";
import { Link } from "../link/link.ts";
import type { Attempt } from "../link/attempt.ts";
import type { LinkOwner } from "../link/owner.ts";
import type { Codec, Handshake } from "../protocol/codec.ts";
import { newServerCounters, type ServerCounters } from "../stats/counters.ts";
import { Latency, LATENCY_CLASSES } from "../stats/latency.ts";
import type { ServerSnapshot } from "../stats/snapshot.ts";
import type { OutBuffer } from "../wire/out_buffer.ts";
import type { ServerContext } from "./context.ts";
import { HealthCheck } from "./health.ts";
import {
  serverBroken,
  serverClosed,
  serverConnected,
  serverConnecting,
  serverEjected,
  serverReadmitted,
  serverRefuses,
} from "./journal.ts";
import { MonitorLink, type MonitorListener } from "./monitor_link.ts";
import { shareOf, Shares } from "./shares.ts";

/** Links kept that serve one client at a time, if no more of them may be pinned. */
const MOST_EXTRAS = 4;

/** A client, as far as it chooses among a server's links. */
export interface Origin {
  /** Unique in the pool. */
  readonly id: number;
  /** See pool/lanes.ts. */
  readonly lane: number;
}

/** What a route gives: a server, or why there is none. */
export type Target = Server | Unavailable;

/** Whatever waits until a place has a server. */
export interface Parked {
  place: number;
  /** Since when (ms) it waits, all its times together; -1 until it does. */
  parkedAt: number;
  /** What it takes (bytes). */
  readonly cost: number;
  /** Nobody wants it any more. */
  readonly isGone: boolean;
  /** What was asked for, by which its place is found by another route; null: that cannot be. */
  said?(): Uint8Array | null;
  /** There is a server. */
  go(server: Server): void;
  /** It has waited too long, or too much waits. */
  giveUp(error: Uint8Array): void;
  /** It `isGone`, and is let go of. */
  forget(): void;
}

/** Keeps what waits until there is a server for it. */
export interface Parking {
  park(attempt: Attempt, bytes: OutBuffer, size: number): void;
  parkSpan(attempt: Attempt, buf: Uint8Array, start: number, end: number): void;
  /** What is no request, or is more than one. */
  wait(one: Parked): void;
}

/** Stands for a server where there is none. */
export class Unavailable {
  readonly available: false;
  /** For the client. */
  readonly reason: string;
  /** Where requests wait for a server; null: they are answered with the reason. */
  readonly parking: Parking | null;
  /** There will be a server. Not so with `parking`: it carries requests out by itself (exchange/plan.ts). */
  readonly waits: boolean;
  /** Where what needs one server goes instead; null: nowhere. */
  readonly main: Target | null;

  constructor(
    reason: string,
    parking: Parking | null = null,
    waits = parking !== null,
    main: Target | null = null,
  ) {
    this.available = false;
    this.reason = reason;
    this.parking = parking;
    this.waits = waits;
    this.main = main;
  }
}

/** The target of what needs one server. */
export function mainOf(target: Target): Target {
  return target.available || target.main === null ? target : target.main;
}

export class Server implements LinkOwner {
  readonly available: true;
  readonly context: ServerContext;
  readonly name: string;
  /** Where its next link goes. */
  address: Address;
  label: string;
  fields: Readonly<Record<string, string>>;
  /** All links, of whatever lane. */
  readonly connections: Link[];
  readonly counters: ServerCounters;
  readonly listener: null;
  readonly keeps: boolean;
  /** Said behind every greeting; null for nothing. */
  greets: Handshake | null;
  /** In a shard whose replicas are read from, for those who know of that: see replicas.ts, partOf. */
  part: unknown;
  /** Null: the pool's route is its own. Else the one it had before a reload: see route/former.ts. */
  former: unknown;
  /** For choosing among servers by chance, but always alike. */
  readonly seed: number;
  /** By class of command. */
  readonly latency: readonly Latency[];
  /** Failures in a row. */
  failures: number;
  live: boolean;
  /** Not in the pool any more: its last requests are being answered. */
  removed: boolean;
  /** Pool time (ms) from which an ejected server is tried again; Infinity = a check decides. */
  retryAt: number;
  /** Pool time of the last ejection. */
  ejectedAt: number;
  /** Asks now and then how it is; null when the pool wants no checks. */
  private health: HealthCheck | null;
  /** Links by lane (see pool/lanes.ts); a lane's are made when it is first used. */
  private lanes: (Link[] | undefined)[];
  /** Links that serve one client at a time, while they serve none. */
  private extras: Link[];
  /** Pinned links, by user. */
  private readonly shares: Shares;
  private failedAt: number;

  constructor(context: ServerContext, config: ServerConfig) {
    this.available = true;
    this.context = context;
    this.name = config.name;
    this.address = config.address;
    const where = placeOf(config.address);
    this.label = labelOf(context.name, config.name, where);
    this.fields = { pool: context.name, server: config.name, address: where };
    this.counters = newServerCounters();
    this.listener = null;
    this.keeps = context.keeps;
    this.greets = null;
    this.part = null;
    this.former = null;
    this.seed = seedOf(config.name);
    this.latency = LATENCY_CLASSES.map(() => new Latency());
    this.failures = 0;
    this.live = true;
    this.removed = false;
    this.retryAt = 0;
    this.ejectedAt = -Infinity;
    this.health = null;
    this.failedAt = -1;
    this.connections = [];
    this.lanes = [];
    this.extras = [];
    this.shares = new Shares();
    this.openLane(context.lane);
  }

  /** The link of a client: always the same one, so its commands stay in order. */
  linkFor(client: Origin): Link {
    const lane = this.lanes[client.lane] ?? this.openLane(client.lane);
    return lane.length === 1 ? lane[0] : lane[client.id % lane.length];
  }

  private openLane(index: number): Link[] {
    const lane: Link[] = [];
    for (let i = 0; i < this.context.config.server_connections; i++) {
      lane.push(new Link(this.context, this, index));
    }
    this.connections.push(...lane);
    this.lanes[index] = lane;
    return lane;
  }

  /** A new socket, of whatever kind: with TLS if that is wanted. */
  open(handler: SocketHandler): Socket {
    const { host, config } = this.context;
    return host.connect(this.address, handler, config.server_tls);
  }

  /** Connects in advance. */
  connect(): void {
    for (const lane of this.lanes) for (const link of lane ?? []) link.connect();
  }

  /** It is no longer part of the pool. Returns its links, which are to be closed. */
  retire(): Link[] {
    this.removed = true;
    this.live = false;
    this.health?.stop();
    return this.retireAll();
  }

  /** New links take the place of all it has. Returns those, which are to be closed. */
  renew(): Link[] {
    const old = this.retireAll();
    this.health?.stop(); // what it says first may be something else now
    this.openLane(this.context.lane);
    return old;
  }

  /** It is somewhere else now: as `renew`. */
  move(address: Address): Link[] {
    const where = placeOf(address);
    this.address = address;
    this.label = labelOf(this.context.name, this.name, where);
    this.fields = { ...this.fields, address: where };
    return this.renew();
  }

  private retireAll(): Link[] {
    const old = this.connections.filter((link) => !link.retired);
    for (const link of old) link.retired = true;
    this.lanes = [];
    this.extras = [];
    return old;
  }

  /** A link of this lane for one client alone, until `giveExtra`. */
  takeExtra(lane: number): Link {
    const at = this.extras.findIndex((link) => link.lane === lane);
    if (at >= 0) return this.extras.splice(at, 1)[0];
    const link = new Link(this.context, this, lane);
    this.connections.push(link);
    return link;
  }

  giveExtra(link: Link): void {
    // One that still waits for a reply (its client has left) would hold up whoever gets it next.
    const { codec, config } = this.context;
    const most = codec.transactions === null
      ? MOST_EXTRAS
      : Math.max(MOST_EXTRAS, config.pinned_connections);
    if (this.extras.length < most && link.head === null && !link.retired) {
      this.extras.push(link);
      return;
    }
    this.dropExtra(link);
  }

  private dropExtra(link: Link): void {
    // One that is retired is closed when all is answered: see link/retired.ts.
    if (link.retired) return;
    this.forget(link);
  }

  /** A link that is of no more use. */
  forget(link: Link): void {
    link.dispose();
    this.connections.splice(this.connections.indexOf(link), 1);
  }

  /** An extra link that gets no more requests, and goes when it has answered. */
  closeWhenAnswered(link: Link): void {
    link.retired = true;
    const gone = (): void => this.forget(link);
    this.context.retired.add({ link, deadline: Infinity, why: "", alone: false, gone });
  }

  /** As `takeExtra`, for as long as a client of `user` likes; or why it may not have one. */
  takePinned(lane: number, user: string): Link | string {
    const why = this.reserve(user);
    return why === "" ? this.takeExtra(lane) : why;
  }

  /** One more pinned link for `user`; or why there may not be one, else "". */
  reserve(user: string): string {
    const { pinned_connections: most, pinned_share, auth } = this.context.config;
    if (this.counters.pinned_connections >= most) {
      return `too many transactions and blocking commands: all ${most} pinned_connections of the ` +
        "server are in use";
    }
    const share = auth === undefined ? most : shareOf(most, pinned_share);
    if (!this.shares.take(user, share)) {
      return `too many transactions and blocking commands of user "${user}": ${share} of the ` +
        `${most} pinned_connections of the server are in use (pinned_share: ${pinned_share})`;
    }
    this.counters.pinned_connections++;
    return "";
  }

  /** A link over which `hearer` is told all that it is asked; `request` asks for that. */
  monitor(request: Uint8Array, hearer: MonitorListener): MonitorLink {
    return new MonitorLink(this.context, this, request, hearer);
  }

  release(user: string): void {
    this.counters.pinned_connections--;
    this.shares.give(user);
  }

  /** `clean`: the server keeps nothing of the client's for it. */
  givePinned(link: Link, clean: boolean, user: string): void {
    this.release(user);
    link.patience = 0;
    if (clean) this.giveExtra(link);
    else this.dropExtra(link);
  }

  /** Links of a lane that no client uses any more. */
  closeLane(lane: number): void {
    const links = this.lanes[lane] ?? [];
    this.lanes[lane] = undefined;
    for (const link of links) {
      if (link.head === null) this.forget(link);
      else this.closeWhenAnswered(link);
    }
    for (const link of this.extras.filter((extra) => extra.lane === lane)) this.forget(link);
    this.extras = this.extras.filter((extra) => extra.lane !== lane);
    // Those a client still holds on to among them: the lane's number may be another's soon.
    for (const link of this.connections.filter((one) => one.lane === lane && !one.retired)) {
      this.closeWhenAnswered(link);
    }
  }

  connecting(): void {
    serverConnecting(this);
  }

  ready(): void {
    serverConnected(this);
  }

  refused(why: string): void {
    serverRefuses(this, why);
  }

  broken(why: string): void {
    serverBroken(this, why);
  }

  /** `n` requests of one class took `ms` each. */
  answered(cls: number, ms: number, n: number): void {
    this.latency[cls].record(ms, n);
    this.context.turn.sample(ms);
  }

  get judges(): boolean {
    return this.context.autoEject;
  }

  /** The first reply of a read shows that the server is well, or says itself that it is not. */
  replied(codec: Codec, verb: number, buf: Uint8Array, start: number, end: number): void {
    if (!codec.serverErrors?.isServerFailure(buf, start, end)) this.failures = 0;
    else if (codec.judged[verb + 1] === 1) this.failed();
  }

  /**
   * A link is gone. Idle ones may be closed for many reasons: only if somebody waited it is a
   * failure. Several that drop in the same moment are one failure (not so twemproxy).
   */
  closed(errno: string, text: string, lost: number): void {
    const { counters } = this;
    if (errno === "ETIMEDOUT") counters.server_timedout++;
    else if (errno === "") counters.server_eof++;
    else counters.server_err++;
    if (!text.startsWith("TLS: ") || this.context.mayComplain()) {
      serverClosed(this, errno, text, lost);
    }
    if (lost === 0) return;
    if (this.failedAt !== this.context.now || this.connections.length === 1) this.failed();
  }

  /** Counts a failure; at the limit the server leaves the ring for a while. */
  private failed(): void {
    const { config, stopped, now } = this.context;
    if (!config.auto_eject_hosts || !this.live || stopped) return;
    this.failedAt = now;
    this.failures++;
    if (this.failures < config.server_failure_limit) return;
    this.eject(`${this.failures} failures in a row`);
  }

  /** Takes it out of the ring: for a while, or, with health checks, until it passes one. */
  eject(reason: string): void {
    const { context } = this;
    const { health_check, server_retry_timeout } = context.config;
    const retry = health_check === undefined ? server_retry_timeout : Infinity;
    this.failures = 0;
    this.live = false;
    this.ejectedAt = context.now;
    this.retryAt = context.now + retry;
    this.counters.server_ejected_at = Math.round(context.host.wallClock() * 1000);
    context.counters.server_ejects++;
    serverEjected(this, reason, retry);
    context.serversChanged();
  }

  /** It has passed a check. */
  readmit(): void {
    this.live = true;
    serverReadmitted(this, "readmitted: it answers again");
    this.context.serversChanged();
  }

  /** It is tried again, if it was ejected and its time has come; false while it has not. */
  tryAgain(): boolean {
    if (this.live) return true;
    if (this.retryAt > this.context.now) return false;
    this.live = true;
    serverReadmitted(this, "tried again");
    return true;
  }

  /** Called every tick: its links, and the checks if the pool wants any. See Link.tick for `late`. */
  tick(now: number, late: number): void {
    const { health_check, timeout } = this.context.config;
    for (const link of this.connections) link.tick(now, timeout, late);
    if (health_check === undefined) {
      if (this.health !== null) this.endChecks();
      return;
    }
    this.health ??= new HealthCheck(this.context, this);
    this.health.tick(now, health_check.timeout, late);
  }

  /** No checks any more: what one of them has ejected is tried again with the next request. */
  endChecks(): void {
    this.health?.stop();
    this.health = null;
    if (this.live || this.retryAt !== Infinity || this.context.stopped) return;
    this.retryAt = this.context.now;
    this.context.serversChanged();
  }

  /** Closes all links at once. */
  stop(): void {
    this.health?.stop();
    this.health = null;
    for (const link of this.connections) link.abort("");
  }

  snapshot(weight: number): ServerSnapshot {
    let unsent = 0;
    let unsentBytes = 0;
    let inFlight = 0;
    let inFlightBytes = 0;
    for (const link of this.connections) {
      unsent += link.unsent;
      unsentBytes += link.out.size;
      inFlight += link.inFlight;
      inFlightBytes += link.inFlightBytes;
    }
    return {
      name: this.name,
      address: placeOf(this.address),
      weight,
      live: this.live,
      counters: {
        ...this.counters,
        in_queue: unsent,
        in_queue_bytes: unsentBytes,
        out_queue: inFlight - unsent,
        out_queue_bytes: Math.max(0, inFlightBytes - unsentBytes),
      },
      latency: this.latency.map((latency, i) => latency.snapshot(i)),
    };
  }
}

/** FNV-1a of a name. */
function seedOf(name: string): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < name.length; i++) h = Math.imul(h ^ name.charCodeAt(i), 0x01000193);
  return h;
}

function labelOf(pool: string, name: string, where: string): string {
  return `pool "${pool}": server "${name}"` + (where === name ? "" : ` (${where})`);
}

function placeOf({ path, host, port }: Address): string {
  return path !== "" ? path : `${host}:${port}`;
}
