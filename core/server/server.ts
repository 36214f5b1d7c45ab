// One server of a pool: where it is, how it is, its connections and counters. The rules for
// ejecting and readmitting are twemproxy's (nc_server.c).

import type { Address, Socket, SocketHandler } from "../host.ts";
import type { ServerConfig } from "../config/address.ts";
import type { Fields } from "../log.ts";
import type { Client } from "../client/client.ts";
import { newServerCounters, type ServerCounters } from "../stats/counters.ts";
import { Latency, LATENCY_CLASSES } from "../stats/latency.ts";
import type { ServerSnapshot } from "../stats/snapshot.ts";
import { HealthCheck } from "./health.ts";
import { serverEjected, serverReadmitted } from "../journal.ts";
import type { Pool } from "../pool.ts";
import { ServerConnection } from "../link/server_connection.ts";

/** Connections kept that serve one client at a time, if no more of them may be pinned. */
const MOST_EXTRAS = 4;

export class Server {
  /** Place in the pool's sorted list: what rings return. */
  index: number;
  readonly name: string;
  weight: number;
  readonly address: Address;
  /** For log lines: `pool "cache": server "a" (127.0.0.1:6379)`. */
  readonly label: string;
  /** The same for programs: pool, server, address. */
  readonly fields: Fields;
  /** All connections, of whatever lane. */
  readonly connections: ServerConnection[];
  readonly counters: ServerCounters;
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
  /** Connections by lane (see Pool.laneOf); a lane's are made when it is first used. */
  private lanes: ServerConnection[][];
  /** Connections that serve one client at a time, while they serve none. */
  private extras: ServerConnection[];
  readonly pool: Pool;
  private failedAt: number;

  constructor(pool: Pool, config: ServerConfig, index: number) {
    this.pool = pool;
    this.index = index;
    this.name = config.name;
    this.weight = config.weight;
    this.address = config.address;
    const { path, host, port } = config.address;
    const where = path !== "" ? path : `${host}:${port}`;
    this.label = `pool "${pool.name}": server "${config.name}"` +
      (where === config.name ? "" : ` (${where})`);
    this.fields = { pool: pool.name, server: config.name, address: where };
    this.counters = newServerCounters();
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
    this.openLane(pool.lane);
  }

  /** The connection of a client: always the same one, so its commands stay in order. */
  connectionFor(client: Client): ServerConnection {
    const lane = this.lanes[client.lane] ?? this.openLane(client.lane);
    return lane.length === 1 ? lane[0] : lane[client.id % lane.length];
  }

  private openLane(index: number): ServerConnection[] {
    const lane: ServerConnection[] = [];
    for (let i = 0; i < this.pool.config.server_connections; i++) {
      lane.push(new ServerConnection(this.pool, this, index));
    }
    this.connections.push(...lane);
    this.lanes[index] = lane;
    return lane;
  }

  /** A new connection, of whatever kind: with TLS if that is wanted. */
  open(handler: SocketHandler): Socket {
    const { host, config } = this.pool;
    return host.connect(this.address, handler, config.server_tls);
  }

  /** Connects in advance. */
  connect(): void {
    for (const lane of this.lanes) for (const connection of lane ?? []) connection.connect();
  }

  /** It is no longer part of the pool. Returns its connections, which are to be closed. */
  retire(): ServerConnection[] {
    this.removed = true;
    this.live = false;
    this.health?.stop();
    return this.retireAll();
  }

  /** New connections take the place of all it has. Returns those, which are to be closed. */
  renew(): ServerConnection[] {
    const old = this.retireAll();
    this.health?.stop(); // what it says first may be something else now
    this.openLane(this.pool.lane);
    return old;
  }

  private retireAll(): ServerConnection[] {
    const old = this.connections.filter((connection) => !connection.retired);
    for (const connection of old) connection.retired = true;
    this.lanes = [];
    this.extras = [];
    return old;
  }

  /** A connection of this lane for one client alone, until `giveExtra`. */
  takeExtra(lane: number): ServerConnection {
    const at = this.extras.findIndex((connection) => connection.lane === lane);
    if (at >= 0) return this.extras.splice(at, 1)[0];
    const connection = new ServerConnection(this.pool, this, lane);
    this.connections.push(connection);
    return connection;
  }

  giveExtra(connection: ServerConnection): void {
    // One that still waits for a reply (its client has left) would hold up whoever gets it next.
    const { codec, config } = this.pool;
    const most = codec.transactions === null
      ? MOST_EXTRAS
      : Math.max(MOST_EXTRAS, config.pinned_connections);
    if (this.extras.length < most && connection.head === null && !connection.retired) {
      this.extras.push(connection);
      return;
    }
    this.dropExtra(connection);
  }

  private dropExtra(connection: ServerConnection): void {
    // One that is retired is closed when all is answered: see retire.ts.
    if (connection.retired) return;
    this.forget(connection);
  }

  /** A connection that is of no more use. */
  forget(connection: ServerConnection): void {
    connection.dispose();
    this.connections.splice(this.connections.indexOf(connection), 1);
  }

  /** As `takeExtra`, for as long as the client likes; null when too many have one. */
  takePinned(lane: number): ServerConnection | null {
    if (this.counters.pinned_connections >= this.pool.config.pinned_connections) return null;
    this.counters.pinned_connections++;
    return this.takeExtra(lane);
  }

  /** `clean`: the server keeps nothing of the client's for it. */
  givePinned(connection: ServerConnection, clean: boolean): void {
    this.counters.pinned_connections--;
    connection.patience = 0;
    if (clean) this.giveExtra(connection);
    else this.dropExtra(connection);
  }

  /** `n` requests of one class took `ms` each. */
  answered(cls: number, ms: number, n: number): void {
    this.latency[cls].record(ms, n);
    this.pool.turn.sample(ms);
  }

  snapshot(): ServerSnapshot {
    let unsent = 0;
    let unsentBytes = 0;
    let inFlight = 0;
    let inFlightBytes = 0;
    for (const connection of this.connections) {
      unsent += connection.unsent;
      unsentBytes += connection.out.size;
      inFlight += connection.inFlight;
      inFlightBytes += connection.inFlightBytes;
    }
    const { host, port, path } = this.address;
    return {
      name: this.name,
      address: path !== "" ? path : `${host}:${port}`,
      weight: this.weight,
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

  /** A connection is gone. Several that drop in the same moment are one failure (not so twemproxy). */
  closed(): void {
    if (this.failedAt !== this.pool.now || this.connections.length === 1) this.failed();
  }

  /** Counts a failure; at the limit the server leaves the ring for a while. */
  failed(): void {
    const { config } = this.pool;
    if (!config.auto_eject_hosts || !this.live || this.pool.stopped) return;
    this.failedAt = this.pool.now;
    this.failures++;
    if (this.failures < config.server_failure_limit) return;
    this.eject(`${this.failures} failures in a row`);
  }

  /** Takes it out of the ring: for a while, or, with health checks, until it passes one. */
  eject(reason: string): void {
    const { pool } = this;
    const { health_check, server_retry_timeout } = pool.config;
    const retry = health_check === undefined ? server_retry_timeout : Infinity;
    this.failures = 0;
    this.live = false;
    this.ejectedAt = pool.now;
    this.retryAt = pool.now + retry;
    this.counters.server_ejected_at = Math.round(pool.host.wallClock() * 1000);
    pool.counters.server_ejects++;
    serverEjected(this, reason, retry);
    pool.rebuild();
  }

  /** It has passed a check. */
  readmit(): void {
    this.live = true;
    serverReadmitted(this, "readmitted: it answers again");
    this.pool.rebuild();
  }

  /** Called every tick: its connections, and the checks if the pool wants any. */
  tick(now: number): void {
    const { health_check, timeout } = this.pool.config;
    for (const connection of this.connections) connection.tick(now, timeout);
    if (health_check === undefined) {
      if (this.health !== null) this.endChecks();
      return;
    }
    this.health ??= new HealthCheck(this.pool, this);
    this.health.tick(now, health_check.timeout);
  }

  /** No checks any more: what one of them has ejected is tried again with the next request. */
  endChecks(): void {
    this.health?.stop();
    this.health = null;
    if (this.live || this.retryAt !== Infinity || this.pool.stopped) return;
    this.retryAt = this.pool.now;
    this.pool.rebuild();
  }
}
