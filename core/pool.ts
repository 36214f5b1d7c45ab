// One pool: a listener, the servers behind it and the ring that says which of them owns a key.

import { codecChanges, connectionsChange, tickChanges } from "./config/keys.ts";
import { type PoolConfig, protocolOf } from "./config/schema.ts";
import { type Hash, HASHES, hashKey, hashRange } from "./hash/mod.ts";
import type { Address, Host, Socket, Timer } from "./host.ts";
import { LimitedLog } from "./limit.ts";
import type { Log } from "./log.ts";
import { BufferPool } from "./wire/out_buffer.ts";
import {
  type Codec,
  type Facts,
  type Handshake,
  OWN,
  Scan,
  type Session,
} from "./protocol/codec.ts";
import { newCodec } from "./protocol/mod.ts";
import { CHANNEL, PATTERN, SHARD } from "./protocol/publishing.ts";
import { buildRing, type Ring } from "./ring/mod.ts";
import { infoFields, newPoolCounters, type PoolCounters } from "./stats/counters.ts";
import type { PoolSnapshot } from "./stats/snapshot.ts";
import { Client } from "./client/client.ts";
import { Door } from "./door.ts";
import { clientConnected, clientFailsAtTls, clientRefused, serverReadmitted } from "./journal.ts";
import { type Request, RequestPool } from "./exchange/request.ts";
import { keepServers, Retired } from "./link/retire.ts";
import { Server } from "./server/server.ts";
import type { ServerConnection } from "./link/server_connection.ts";
import { SlowLog } from "./exchange/slow.ts";
import { Throttle } from "./throttle.ts";
import type { Hearings } from "./exchange/census.ts";
import { Topics } from "./exchange/topics.ts";
import { type Flushable, Turn } from "./wire/turn.ts";
import { logRefused, usersOf } from "./users.ts";

/** Bounds on memory, in bytes. */
export interface Limits {
  /** One request, or unfinished request, of a client. */
  readonly request: number;
  /** Replies a client has not read; beyond it the client is cut off. */
  readonly clientOutput: number;
  /** Output that is gathered in one piece before it is written. */
  readonly segment: number;
}

/** What a pool is given by the proxy it is part of. */
export interface PoolContext {
  readonly host: Host;
  readonly log: Log;
  readonly limits: Limits;
  readonly version: string;
  readonly startedAt: number;
  readonly reusePort: boolean;
  /** Unix sockets are listened on too; false in all workers but one (see docs/operations.md). */
  readonly unixSockets: boolean;
  /** Tells other processes that share the pools of subscribed clients; null if there are none. */
  readonly hearings: ((hearings: Hearings) => void) | null;
}

/** `pickAll`: the keys live on more than one server. */
export const SEVERAL = -2;

/** Most and least of a pool's tick (ms): see `tickOf`. */
const TICK = 100;
const SHORTEST_TICK = 5;

/** How often (ms) a pool looks after its timeouts: a tenth of them late is early enough. */
function tickOf({ timeout, health_check }: PoolConfig): number {
  const times = [TICK * 10];
  if (timeout > 0) times.push(timeout);
  if (health_check !== undefined) times.push(health_check.interval, health_check.timeout);
  return Math.max(SHORTEST_TICK, Math.min(...times) / 10);
}

export class Pool {
  readonly name: string;
  readonly label: string;
  config: PoolConfig;
  readonly host: Host;
  /** Repeated lines are held back. */
  readonly log: LimitedLog;
  readonly slow: SlowLog;
  readonly limits: Limits;
  /** The one every client starts with: see `Codec.dialect`. */
  codec: Codec;
  /** The lane every client starts with. */
  lane: number;
  readonly buffers: BufferPool;
  readonly requests: RequestPool;
  readonly turn: Turn<Flushable, Client>;
  servers: readonly Server[];
  readonly topics: Topics;
  readonly clients: Set<Client>;
  /** Clients that were told all and have not closed yet. */
  readonly lingering: Set<Client>;
  readonly counters: PoolCounters;
  autoEject: boolean;
  /** Connections are closed by us: no server has failed. */
  stopped: boolean;
  /** Coarse monotonic time (ms), renewed every tick: no clock is read on the data path. */
  now: number;
  /** The parser state that clients without a half-parsed long request share. */
  scan: Scan;
  private hash: Hash;
  private tagOpen: number;
  private tagClose: number;
  private ring: Ring;
  /** One server that is alive needs no hashing (twemproxy does none either). */
  private only: number;
  /** When the first ejected server is due to be tried again; 0 = none is ejected. */
  private retryAt: number;
  /** Lanes by the codec's text for them, their codecs, and what their connections say first. */
  private readonly lanes: Map<string, number>;
  private readonly codecs: Codec[];
  private readonly handshakes: (Handshake | null)[];
  private nextId: number;
  /** Where it listens; null when it does not. */
  door: Door | null;
  /** Connections that take no more requests: see retire.ts. */
  private readonly retired: Retired;
  private timer: Timer | null;
  private readonly context: PoolContext;
  /** Of clients and servers that fail at TLS. */
  readonly complaints: Throttle;

  constructor(config: PoolConfig, context: PoolContext) {
    const { host, log, limits } = context;
    this.context = context;
    this.complaints = new Throttle();
    this.config = config;
    this.name = config.name;
    this.label = `pool "${config.name}"`;
    this.host = host;
    this.log = new LimitedLog(log, () => host.now());
    this.slow = new SlowLog(this.label, log);
    this.slow.tick(0, config.slowlog_ms);
    this.limits = limits;
    this.buffers = new BufferPool(limits.segment);
    this.requests = new RequestPool();
    this.turn = new Turn(host, () => this.inFlight());
    this.codec = this.makeCodec();
    this.lanes = new Map();
    this.codecs = [];
    this.handshakes = [];
    this.lane = this.laneOf(this.codec.newSession(0, "", 0), this.codec);
    this.topics = new Topics(this, context.hearings);
    this.clients = new Set();
    this.lingering = new Set();
    this.counters = newPoolCounters();
    this.autoEject = false;
    this.stopped = false;
    this.now = host.now();
    this.scan = new Scan();
    this.hash = HASHES[config.hash];
    this.tagOpen = -1;
    this.tagClose = -1;
    this.configure();
    this.servers = config.servers.map((server, i) => new Server(this, server, i));
    this.ring = buildRing(config.distribution, [], (n) => host.random(n));
    this.only = -1;
    this.retryAt = 0;
    this.nextId = 1;
    this.door = null;
    this.retired = new Retired();
    this.timer = null;
    this.rebuild();
  }

  private makeCodec(): Codec {
    const { config, host, label, log } = this;
    const refused = logRefused(label, log, () => host.now());
    return newCodec(protocolOf(config), {
      auth: config.redis_auth,
      user: config.redis_user,
      users: usersOf(config, label, refused),
      refused,
      db: config.redis_db,
      maxRequest: this.limits.request,
      hashTag: config.hash_tag,
      commands: config.commands,
    }, this.facts());
  }

  /** What is kept of the configuration apart from it, because the data path asks for it. */
  private configure(): void {
    const { auto_eject_hosts, hash, hash_tag } = this.config;
    this.autoEject = auto_eject_hosts;
    this.hash = HASHES[hash];
    this.tagOpen = hash_tag === "" ? -1 : hash_tag.charCodeAt(0);
    this.tagClose = hash_tag === "" ? -1 : hash_tag.charCodeAt(1);
  }

  /** Listens, and connects to the servers if the pool is to do so in advance. */
  async start(): Promise<void> {
    this.keepTime();
    if (this.listens) this.door = await Door.open(this.host, this, this.context.reusePort);
    this.connectAhead();
  }

  /** Begins to keep time, and connects in advance if it is to do so; a reload has given it a door. */
  begin(): void {
    this.keepTime();
    this.connectAhead();
  }

  private connectAhead(): void {
    if (!this.config.preconnect) return;
    for (const server of this.servers) {
      for (const connection of server.connections) connection.connect();
    }
  }

  private keepTime(): void {
    this.timer?.cancel();
    this.timer = this.host.every(tickOf(this.config), () => this.tick());
  }

  /** Whether this process listens for it. */
  get listens(): boolean {
    return this.listensOn(this.config.listen);
  }

  listensOn(address: Address): boolean {
    return this.context.unixSockets || address.path === "";
  }

  /** Stops accepting; what is connected lives on. */
  stopListening(): void {
    this.door?.close();
    this.door = null;
  }

  /**
   * Goes on with another configuration of the same name. Clients stay, and so do the connections,
   * counters and health of servers that stay; nothing in flight is lost. Where it listens is seen
   * to by Proxy.reload.
   */
  change(config: PoolConfig, keys: ReadonlySet<string>, patience: number): void {
    const before = this.config;
    this.config = config;
    this.configure();
    this.now = this.host.now();
    if (this.timer !== null && tickChanges(keys)) this.keepTime();
    const reconnect = connectionsChange(keys);
    if (codecChanges(keys) || reconnect) {
      this.changeCodec(protocolOf(before) === protocolOf(config), reconnect);
    }
    const deadline = this.now + patience;
    const { servers, removed } = keepServers(this, before.servers, config.servers);
    this.servers = servers;
    for (const server of removed) this.retired.add(server.retire(), deadline);
    for (const server of servers) {
      if (reconnect) this.retired.add(server.renew(), deadline);
      if (!this.autoEject && config.health_check === undefined) server.live = true;
      if (config.preconnect) server.connect();
    }
    for (const client of this.clients) client.poolChanged();
    this.rebuild();
    if (reconnect) this.topics.renew();
  }

  /** New clients get the new codec at once; those that are there too, if they can. */
  private changeCodec(sameProtocol: boolean, reconnect: boolean): void {
    const before = this.codec;
    this.codec = this.makeCodec();
    const session = this.codec.newSession(0, "", 0);
    if (reconnect) {
      this.lanes.clear();
      this.lane = this.laneOf(session, this.codec);
    }
    const old = before.newSession(0, "", 0);
    for (const client of this.clients) {
      if (sameProtocol) client.changeCodec(old, session, reconnect);
      else client.finish(); // it speaks what nobody here understands any more
    }
  }

  /** Asks all clients to leave: see Client.leave. True when none is left. */
  dismiss(): boolean {
    this.now = this.host.now();
    for (const client of [...this.clients]) client.leave();
    return this.clients.size === 0;
  }

  /** Drops every connection. */
  stop(): void {
    this.stopListening();
    this.stopped = true;
    this.timer?.cancel();
    for (const client of [...this.clients]) client.cutOffQuietly("the proxy stops");
    for (const server of this.servers) {
      server.endChecks();
      for (const connection of server.connections) connection.abort("");
    }
    this.topics.stop();
    this.retired.drop();
  }

  /** Requests that wait for replies, without those that may wait long. */
  inFlight(): number {
    let sum = 0;
    for (const server of this.servers) {
      for (const connection of server.connections) {
        if (connection.patience === 0) sum += connection.inFlight;
      }
    }
    return sum;
  }

  /** The port listened on; 0 for a unix socket. */
  get port(): number {
    return this.door?.port || this.config.listen.port;
  }

  accept(socket: Socket): Client | null {
    const most = this.config.client_connections;
    if (most > 0 && this.clients.size >= most) {
      clientRefused(this, socket.remote, most);
      const why = this.codec.failure("max number of clients reached");
      socket.write(why, 0, why.length);
      return null;
    }
    const client = new Client(this, socket, this.nextId++);
    this.clients.add(client);
    this.counters.client_connections++;
    this.counters.accepted++;
    clientConnected(client);
    return client;
  }

  /** A client is turned away because of TLS. */
  handshakeFailed(remote: string, why: string): void {
    if (this.complaints.allow(this.host.now())) {
      clientFailsAtTls(this, remote, why, this.complaints.more);
    }
  }

  clientClosed(client: Client): void {
    this.clients.delete(client);
    this.lingering.delete(client);
    this.counters.client_connections--;
  }

  /** The connection takes no more requests. */
  closeWhenAnswered(connection: ServerConnection): void {
    connection.retired = true;
    this.retired.add([connection], Infinity);
  }

  private tick(): void {
    const now = this.host.now();
    this.now = now;
    for (const server of this.servers) server.tick(now);
    this.topics.tick(now, this.config.timeout);
    for (const client of this.lingering) client.tick(now);
    this.retired.tick(now, this.config.timeout);
    this.slow.tick(now, this.config.slowlog_ms);
    this.log.tick(now);
  }

  /** The index of the server that owns the key `buf[start, end)`; -1 when none is alive. */
  pick(buf: Uint8Array, start: number, end: number): number {
    if (this.retryAt !== 0 && this.now > this.retryAt) this.rebuild();
    if (this.only >= 0) return this.only;
    return this.ring.pick(hashKey(this.hash, buf, start, end, this.tagOpen, this.tagClose));
  }

  /**
   * The server of every key of a SPLIT request, into `picks`. Returns the server's index if it is
   * one for all, SEVERAL if not, -1 when none is alive.
   */
  pickAll(scan: Scan, buf: Uint8Array, at: number, picks: Uint16Array): number {
    this.readmit();
    if (this.only >= 0) return this.only;
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
      const server = ring.pick(value);
      if (server < 0) return -1; // no server is alive: the same for every key
      if (i === 0) first = server;
      else if (server !== first) several = true;
      picks[i] = server;
    }
    return several ? SEVERAL : first;
  }

  /** The connection for a client's request on the key `buf[start, end)`; null when none is alive. */
  route(buf: Uint8Array, start: number, end: number, client: Client): ServerConnection | null {
    const index = this.pick(buf, start, end);
    return index < 0 ? null : this.servers[index].connectionFor(client);
  }

  /** The index of the server for a request without a key: the first one alive; -1 when none is. */
  pickAny(): number {
    this.readmit();
    return this.servers.findIndex((server) => server.live);
  }

  /** A connection for a request without a key. */
  anyConnection(client: Client): ServerConnection | null {
    return this.servers[this.pickAny()]?.connectionFor(client) ?? null;
  }

  /**
   * The lane of a session: sessions of one lane share server connections, which are set up alike
   * (dialect, RESP version, database).
   */
  laneOf(session: Session, codec: Codec): number {
    const key = codec.lane(session);
    let lane = this.lanes.get(key);
    if (lane === undefined) {
      lane = this.handshakes.length;
      this.lanes.set(key, lane);
      this.codecs.push(codec);
      this.handshakes.push(codec.greeting?.handshake(session) ?? null);
    }
    return lane;
  }

  codecOf(lane: number): Codec {
    return this.codecs[lane];
  }

  handshakeOf(lane: number): Handshake | null {
    return this.handshakes[lane];
  }

  /** Takes back ejected servers that are due to be tried again. */
  readmit(): void {
    if (this.retryAt !== 0 && this.now > this.retryAt) this.rebuild();
  }

  /** Makes the ring of the servers that are alive or due to be tried again (nc_ketama.c update). */
  rebuild(): void {
    this.retryAt = 0;
    const members = [];
    for (const server of this.servers) {
      if (!server.live) {
        if (server.retryAt > this.now) {
          if (this.retryAt === 0 || server.retryAt < this.retryAt) this.retryAt = server.retryAt;
          continue;
        }
        server.live = true;
        serverReadmitted(server, "tried again");
      }
      members.push({ name: server.name, weight: server.weight, index: server.index });
    }
    this.ring = buildRing(this.config.distribution, members, (n) => this.host.random(n));
    this.only = this.servers.length === 1 && members.length === 1 ? 0 : -1;
    this.topics.rebalance();
  }

  /** The reply of `request` will not come: it is answered with an error, or dropped. */
  fail(request: Request, text: string): void {
    const { client, parent } = request;
    if (client.closed) return this.abandon(request);
    request.release();
    request.ready = true;
    request.failure = text;
    if (parent !== null) return this.fragmentDone(parent);
    this.counters.forward_error++;
    const { codec } = client;
    const error = codec.failure(text, request);
    if (request.mute === OWN) {
      // Nobody waits for it.
    } else if (request.mute === 0 || !codec.quiet?.muted(request.mute, error, 0)) {
      request.held = error;
      request.heldEnd = error.length;
    }
    if (client.head === request) client.advance();
  }

  /** A fragment has its reply, or will have none. */
  fragmentDone(parent: Request): void {
    if (--parent.awaiting > 0) return;
    const { client } = parent;
    if (client.closed) return this.requests.give(parent);
    if (parent.parts.some((part) => part.failure !== "")) this.counters.forward_error++;
    parent.ready = true;
    if (client.head === parent) client.advance();
  }

  /** The reply of a request whose client is gone has come, or will not come. */
  abandon(request: Request): void {
    if (request.parent !== null) this.fragmentDone(request.parent);
    else this.requests.give(request);
  }

  /** The part of all keys (0 to 1) that each server has now. */
  shares(): Float64Array {
    this.readmit();
    return this.ring.shares(this.servers.length, hashRange(this.config.hash));
  }

  snapshot(): PoolSnapshot {
    return {
      name: this.name,
      listen: this.config.listen_text,
      protocol: protocolOf(this.config),
      counters: { ...this.counters },
      servers: this.servers.map((server) => server.snapshot()),
    };
  }

  private facts(): Facts {
    const { host, version, startedAt } = this.context;
    return {
      pool: this.name,
      version,
      runtime: host.runtime,
      wallClock: () => host.wallClock(),
      uptime: () => Math.floor((host.now() - startedAt) / 1000),
      port: () => this.port,
      listen: () => this.config.listen_text,
      peers: () => [...this.clients],
      servers: () => this.servers.length,
      hidden: (kind, name) => this.topics.census.hidden(kind, name),
      counters: () => this.infoSections(),
    };
  }

  private infoSections(): [string, [string, number | string][]][] {
    const counters = this.servers.map((server) => server.counters);
    return [
      ["Clients", infoFields("Clients", this.counters, counters)],
      ["Stats", [
        ...infoFields("Stats", this.counters, counters),
        ["pubsub_channels", this.topics.count(CHANNEL)],
        ["pubsub_patterns", this.topics.count(PATTERN)],
        ["pubsubshard_channels", this.topics.count(SHARD)],
        ["pubsub_messages", this.topics.messages],
      ]],
      ["Servers", this.servers.map((s) => [s.name, s.live ? "live" : "ejected"])],
    ];
  }
}
