// The servers of a Redis Cluster, learned from its nodes: the configuration names some to begin with.
// The map is asked for anew every so often, and soon when a server says that it has changed or does
// not answer. Requests never wait for that: a MOVED patches the map at once.

import { bytes, text } from "../bytes.ts";
import type { ServerConfig } from "../config/address.ts";
import type { Address } from "../host.ts";
import type { Clustering, NodeView } from "../protocol/clustering.ts";
import type { ServerContext } from "../server/context.ts";
import { READY } from "../link/link.ts";
import { Server } from "../server/server.ts";
import { type AnswerHearer, Asker, linksToServers } from "./asker.ts";
import { Chronicle, type ChronicleContext } from "./chronicle.ts";
import { ClusterSight } from "./cluster_sight.ts";
import { Inquiry, type Told } from "./inquiry.ts";
import { APPOINTED, MapSources, OURS } from "./map_sources.ts";
import { type Node, SlotMap } from "./slot_map.ts";

/** Least time (ms) between two questions. */
const DEBOUNCE = 100;
/** A node that is in none of so many views in a row is none. */
const MISSING = 2;

/** Least time (ms) between two times that a node is connected to anew because of what it says. */
const SUSPICION = 1000;

/** How much later (ms) a map is asked for of which another process was told: that one goes on asking. */
const ASIDE = 250;

/** Why the map is asked for. */
const START = "start";
const REGULARLY = "the time had come";
const AGAIN_ASKED = "the node asked before did not tell";

/** What one of several processes with the same pools was told of the map: the others need not ask. */
export interface MapNews {
  readonly pool: string;
  readonly from: Address;
  /** CLUSTER NODES, as it came. */
  readonly reply: string;
}

/** Who hears that the servers are others. */
export interface ClusterChange {
  /** Slots have moved, servers have come; these have gone. */
  clusterChanged(gone: readonly Server[]): void;
  /** A node has told us the map. */
  mapTold(news: MapNews): void;
  /** Its links are to be made anew: somebody else answers over them. */
  reconnect(server: Server): void;
  /** `from`, which a reload has named, is of another cluster: that is to be followed from now on. */
  clusterReplaced(from: Address): void;
}

export class ClusterTopology implements AnswerHearer {
  readonly map: SlotMap;
  /** How often the map was asked for and told, and how often that failed. */
  refreshes: number;
  failures: number;
  /** For people: what has happened, and the nodes as they were told of last. */
  readonly chronicle: Chronicle;
  readonly sight: ClusterSight;
  private readonly context: ServerContext;
  private readonly hearer: ClusterChange;
  private readonly asker: Asker;
  private readonly inquiry: Inquiry;
  /** The whole question may be put again from then on; it is to be put then. */
  private askedAt: number;
  private dueAt: number;
  /** Whom to ask first; null: the next in turn. */
  private first: Address | null;
  /** Why it is to be asked next. */
  private why: string;
  private readonly sources: MapSources;
  /** Whether the map was ever told. */
  known: boolean;
  private waiting: (() => void)[];
  /** When (ms) nodes were connected to anew last. */
  private readonly suspected: WeakMap<Server, number>;

  constructor(context: ServerContext & ChronicleContext, hearer: ClusterChange) {
    this.map = new SlotMap();
    this.refreshes = 0;
    this.failures = 0;
    this.chronicle = new Chronicle(context);
    this.sight = new ClusterSight(this.chronicle);
    this.context = context;
    this.hearer = hearer;
    this.asker = new Asker(linksToServers(context), this, "cluster map");
    this.inquiry = new Inquiry(context);
    this.askedAt = -Infinity;
    this.dueAt = 0;
    this.first = null;
    this.why = START;
    this.sources = new MapSources(context, this.map, this.sight);
    this.known = false;
    this.waiting = [];
    this.suspected = new WeakMap();
  }

  private get words(): Clustering {
    return this.context.codec.clustering as Clustering;
  }

  /** Servers that have keys, or may get some. */
  get servers(): Server[] {
    return this.map.nodes.flatMap((node) => node === null ? [] : [node.server]);
  }

  /** Who copies whom, to be compared. */
  private followers(): string {
    return this.sight.nodes.filter(({ primary, failed }) => !primary && !failed)
      .map(({ name, of }) => `${of} ${name}`).sort().join();
  }

  /** Replicas of a node, as they were told of last. */
  replicasOf({ name }: Server): ServerConfig[] {
    const id = this.sight.nodes.find((node) => node.name === name)?.id;
    return this.sight.nodes.flatMap((node) =>
      node.primary || node.failed || id === undefined || node.of !== id
        ? []
        : [configAt(node.address)]
    );
  }

  /** Begins to ask; resolves when the map is known, or the first node has been asked in vain. */
  start(): Promise<void> {
    this.ask();
    return new Promise((resolve) => this.waiting.push(resolve));
  }

  /**
   * The map is old: it is asked for soon, of `address` if that is known to know. `why` is for people;
   * of several reasons the first is told.
   */
  refresh(address: Address | null = null, why = ""): void {
    if (address !== null) this.first = address;
    if (this.why === "") this.why = why;
    this.dueAt = Math.min(this.dueAt, Math.max(this.context.now, this.askedAt + DEBOUNCE));
  }

  /** Called every tick. */
  tick(now: number, late: number): void {
    this.asker.tick(now, late);
    this.inquiry.tick(now, late);
    if (!this.asker.isAsking && now >= this.dueAt) this.ask();
  }

  /** What a node that is well says to a question of people. */
  inquire(request: Uint8Array): Promise<Told> {
    return this.inquiry.ask(this.sources.all()[0], request);
  }

  private ask(): void {
    const { context } = this;
    const address = this.first ?? this.sources.next();
    this.first = null;
    this.chronicle.asks(this.why === "" ? REGULARLY : this.why);
    this.why = "";
    this.askedAt = context.now;
    this.dueAt = context.now + (context.config.cluster?.refresh ?? 5000);
    this.asker.ask(address, [this.words.nodes]);
  }

  failed(from: Address, why: string): void {
    const { host, port } = from;
    this.failures++;
    this.sources.failed(from);
    this.chronicle.inVain(`${host}:${port}`, why);
    this.why = AGAIN_ASKED;
    this.context.log.warn(`pool "${this.context.name}": cluster map of ${host}:${port}: ${why}`, {
      ...{ event: "cluster_map_failed", pool: this.context.name, server: `${host}:${port}` },
      reason: why,
    });
    this.dueAt = this.context.now; // the next one, with the next tick
    if (this.sources.wereAsked) this.begin();
  }

  answered(from: Address, [reply]: readonly Uint8Array[]): void {
    if (!this.told(from, reply)) return;
    this.refreshes++;
    const news = { pool: this.context.name, from, reply: text(reply, 0, reply.length) };
    this.hearer.mapTold(news);
  }

  /** Another process was told. What has a reason of its own to be asked is asked all the same. */
  heard({ from, reply }: MapNews): void {
    const { now, config } = this.context;
    const isOurs = this.find("", from) > 0 || this.sources.isConfigured(from);
    if (!isOurs || this.asker.isAsking) return;
    this.chronicle.asks("another worker has asked");
    if (!this.told(from, bytes(reply))) return;
    if (this.why === "") this.dueAt = now + (config.cluster?.refresh ?? 5000) + ASIDE;
  }

  /** A node tells the map. False if it does not. */
  told(from: Address, reply: Uint8Array): boolean {
    const views = this.words.readNodes(reply);
    if (views === null) {
      this.failed(from, text(reply, 1, Math.min(reply.length, 200)).trimEnd());
      return false;
    }
    // A node that was reset, or is not in yet, knows of nothing.
    if (!views.some(({ slots }) => slots.length > 0)) {
      this.failed(from, "it knows of no slots");
      return false;
    }
    const what = this.sources.judge(from, views);
    if (what === APPOINTED) this.replaced(from);
    else if (what !== OURS) this.failed(from, "it is a node of another cluster");
    if (what !== OURS) return false;
    this.chronicle.told(`${from.host}:${from.port}`);
    this.apply(from, views);
    this.known = true;
    this.begin();
    return true;
  }

  private replaced(from: Address): void {
    const { log, name } = this.context;
    log.notice(`pool "${name}": ${from.host}:${from.port} is of another cluster than before`, {
      ...{ event: "cluster_replaced", pool: name, server: `${from.host}:${from.port}` },
    });
    this.hearer.clusterReplaced(from);
  }

  private begin(): void {
    for (const resolve of this.waiting.splice(0)) resolve();
  }

  private apply(from: Address, views: readonly NodeView[]): void {
    const { map } = this;
    const followers = this.followers();
    this.sight.saw(views.map((view) => {
      const address = this.addressOf(from, view);
      return { ...view, name: `${address.host}:${address.port}`, address };
    }));
    const before = map.epoch;
    const gone: Server[] = [];
    const seen = new Set<Node>();
    const others: Address[] = [];
    let came = false;
    const numbers = views.map((view) => {
      const address = this.addressOf(from, view);
      const known = this.find(view.id, address);
      if (view.primary && (known > 0 || !view.failed)) {
        const number = known > 0 ? known : this.add(view.id, address);
        if (known === 0) came = true;
        const node = map.nodes[number] as Node;
        node.id = view.id;
        node.missing = 0;
        this.judge(node, view.failed);
        seen.add(node);
        return number;
      }
      if (!view.failed) others.push(address);
      return 0;
    });
    for (const [i, view] of views.entries()) {
      if (numbers[i] === 0) continue;
      for (let r = 0; r < view.slots.length; r += 2) {
        for (let slot = view.slots[r]; slot <= view.slots[r + 1]; slot++) {
          map.claim(slot, numbers[i], view.epoch);
        }
      }
    }
    this.sources.others = others;
    for (const [number, node] of map.nodes.entries()) {
      if (node === null || seen.has(node) || ++node.missing < MISSING) continue;
      map.remove(number);
      this.chronicle.calm(node.server.name);
      gone.push(node.server);
    }
    // What those had may have been claimed in vain while they had it: the next view tells again.
    if (gone.length > 0) this.refresh(null, "a node has gone");
    if (map.epoch !== before || gone.length > 0 || came) this.changed(gone);
    else if (followers !== this.followers()) this.hearer.clusterChanged(gone);
  }

  private changed(gone: readonly Server[]): void {
    const { context, map } = this;
    const owned = map.counts();
    context.log.notice(
      `pool "${context.name}": the cluster has ${this.servers.length} primaries; ` +
        `${owned[0]} of ${map.owners.length} slots have none`,
      { event: "cluster_changed", pool: context.name, servers: this.servers.length },
    );
    this.hearer.clusterChanged(gone);
  }

  /** The others have agreed that it is down: nobody is to wait for it any more. */
  private judge(node: Node, failed: boolean): void {
    const { server } = node;
    if (failed) this.chronicle.trouble(server.name);
    else if (server.connections.some(({ state }) => state === READY)) {
      this.chronicle.calm(server.name);
    }
    if (failed && !node.failed) {
      for (const link of [...server.connections]) link.abort("ETIMEDOUT");
    }
    node.failed = failed;
    server.live = !failed;
  }

  /** Where a node is that another one (or itself) has described. */
  private addressOf(from: Address, { host, port, hostname }: NodeView): Address {
    if (host === "") return from;
    const mapped = this.mapped(host, port) ?? this.mapped(hostname, port);
    const { server_tls: tls } = this.context.config;
    // Certificates are issued to names.
    const isNamed = hostname !== "" && tls !== undefined && tls.server_name === "" && !tls.insecure;
    return mapped ?? addressAt(isNamed ? hostname : host, port);
  }

  private mapped(host: string, port: number): Address | undefined {
    return this.context.config.cluster?.address_map[`${host}:${port}`];
  }

  /** The number of a node by its name, if its address is still the same, or by its address; 0 = none. */
  private find(id: string, { host, port }: Address): number {
    const found = this.map.nodes.findIndex((node) =>
      node !== null && node.server.address.host === host && node.server.address.port === port &&
      (id === "" || node.id === "" || node.id === id)
    );
    return Math.max(0, found);
  }

  private add(id: string, address: Address): number {
    const server = new Server(this.context, configAt(address));
    server.connect();
    return this.map.add({ id, server, missing: 0, failed: false });
  }

  /**
   * The node at an address that a server has named; 0 when it is none that is known and `strange`
   * ones are not to be trusted.
   */
  numberAt(from: Address, host: string, port: number, strange: boolean): number {
    const place = host === "" ? from.host : host;
    // It may be called by a name there, and by its address here; or the other way round.
    const seen = this.sight.nodes.find((node) =>
      node.port === port && (node.host === place || node.hostname === place)
    );
    const address = seen?.address ?? this.mapped(place, port) ?? addressAt(place, port);
    const known = this.find("", address);
    if (known > 0) return known;
    if (!strange) return 0;
    const number = this.add("", address);
    this.hearer.clusterChanged([]);
    return number;
  }

  /** The configuration has other servers: they may be of another cluster. */
  serversChanged(): void {
    if (this.known) this.sources.changed();
  }

  /**
   * A node sends those who ask for its own slot to itself: its name, or address, may mean another
   * machine by now, and the old one answers still.
   */
  suspect(server: Server): void {
    const { now } = this.context;
    if (now - (this.suspected.get(server) ?? -Infinity) < SUSPICION) return;
    this.suspected.set(server, now);
    this.hearer.reconnect(server);
  }

  /** Nodes are to be spoken to in another way. */
  renew(): void {
    this.asker.stop();
    this.dueAt = this.context.now;
  }

  stop(): void {
    this.asker.stop();
    this.inquiry.stop();
    this.begin();
  }
}

function addressAt(host: string, port: number): Address {
  return { host, port, path: "", mode: -1 };
}

function configAt(address: Address): ServerConfig {
  const name = `${address.host}:${address.port}`;
  return { name, address, weight: 1, text: `${name}:1` };
}
