// The primaries of a ring's shards, learned from Sentinels and followed over failovers: the ring hashes
// the shard's name, so that no key moves. All Sentinels are asked, and what the highest epoch says
// counts; their events only say that it is time to ask. Requests never wait for that, but while there
// is no primary.

import { utf8 } from "../bytes.ts";
import type { SentinelConfig } from "../config/groups.ts";
import type { Address } from "../host.ts";
import type { Link } from "../link/link.ts";
import {
  ABORTED,
  HEARING,
  PROMOTED,
  PROMOTING,
  type ReplicaView,
  type SentinelEvent,
  type Sentinels,
  type SentinelView,
  SWITCHED,
} from "../protocol/sentinels.ts";
import type { ServerContext } from "../server/context.ts";
import type { Server } from "../server/server.ts";
import { type AskerContext, linksToServers } from "./asker.ts";
import { Chronicle, type ChronicleContext } from "./chronicle.ts";
import { type PeerHearer, SentinelPeer } from "./sentinel_peer.ts";
import { HELD, SEEKING, SentinelShard, SERVED, type ShardHearer } from "./sentinel_shard.ts";

/** Least time (ms) between two questions. */
const DEBOUNCE = 100;
/** How often (ms) is asked while a shard has no primary. */
const SOON = 250;
/** A Sentinel that nobody has named so many times in a row, and that does not answer, is none. */
const MISSING = 3;
/** Most Sentinels. */
const MOST = 32;

/** Who hears that a shard has another primary. */
export interface SentinelChange {
  /** `links` are those to the old one; null: the shard is served (again) by the same one. */
  primaryFound(server: Server, links: readonly Link[] | null, wasDown: boolean): void;
  /** Its replicas are others. */
  replicasFound(server: Server): void;
}

export type SentinelContext =
  & ServerContext
  & ChronicleContext
  & { readonly servers: readonly Server[] };

/** What links to Sentinels are given, apart from those to servers. */
function linksToSentinels(context: SentinelContext, words: Sentinels): AskerContext {
  const { host, buffers, turn, slow, big, name } = context;
  const config = (): SentinelConfig | undefined => context.config.sentinel;
  return {
    ...{ host, buffers, turn, slow, big, name },
    get now() {
      return context.now;
    },
    get lane() {
      return context.lane;
    },
    get tls() {
      return config()?.tls;
    },
    codecOf: () => context.codec,
    handshakeOf: () => words.greeting(config()?.user ?? "", config()?.auth ?? ""),
    pushesOf: () => null,
  };
}

export class SentinelTopology implements PeerHearer, ShardHearer {
  peers: SentinelPeer[];
  /** In the order of the pool's servers. */
  shards: readonly SentinelShard[];
  /** Raised whenever a shard changes its primary; by shard: its last one. */
  epoch: number;
  epochs: number[];
  /** How often Sentinels were asked and told, and how often that was in vain. */
  refreshes: number;
  failures: number;
  readonly chronicle: Chronicle;
  readonly words: Sentinels;
  private readonly context: SentinelContext;
  private readonly hearer: SentinelChange;
  private readonly toSentinels: AskerContext;
  private readonly toServers: AskerContext;
  private askedAt: number;
  private dueAt: number;
  private waiting: (() => void)[];

  constructor(context: SentinelContext, hearer: SentinelChange) {
    this.peers = [];
    this.shards = [];
    this.epoch = 0;
    this.epochs = [];
    this.refreshes = 0;
    this.failures = 0;
    this.chronicle = new Chronicle(context);
    this.words = context.codec.sentinels as Sentinels;
    this.context = context;
    this.hearer = hearer;
    this.toSentinels = linksToSentinels(context, this.words);
    this.toServers = linksToServers(context);
    this.askedAt = -Infinity;
    this.dueAt = Infinity;
    this.waiting = [];
    this.change();
  }

  /** The configuration names other servers, or other Sentinels. */
  change(): void {
    const { context, shards, peers } = this;
    this.shards = context.servers.map((server) =>
      shards.find((shard) => shard.server === server) ??
        new SentinelShard(this.toServers, this.words, this, server)
    );
    for (const shard of shards) if (!this.shards.includes(shard)) shard.stop();
    this.epochs = this.shards.map(() => ++this.epoch);
    const configured = context.config.sentinels.map(({ address }) => address);
    for (const peer of peers) {
      peer.configured = configured.some((address) => isSame(peer.address, address));
    }
    for (const address of configured) this.meet(address, true);
  }

  get names(): readonly string[] {
    return this.shards.map(({ name }) => name);
  }

  /** Whether every shard has a primary. */
  get isWhole(): boolean {
    return this.shards.every(({ state }) => state !== SEEKING);
  }

  /** The replicas of a shard that are well, as Sentinels say. */
  replicasOf(server: Server): readonly ReplicaView[] {
    const shard = this.shards.find((one) => one.server === server);
    return shard === undefined ? [] : shard.replicas.filter(({ isWell }) => isWell);
  }

  /** Begins to ask; resolves when all shards have primaries, or all was asked in vain. */
  start(): Promise<void> {
    this.refresh("start", true);
    return this.isWhole ? Promise.resolve() : new Promise((resolve) => this.waiting.push(resolve));
  }

  private begin(): void {
    for (const resolve of this.waiting.splice(0)) resolve();
  }

  /** It is time to ask all; `why` is for people. */
  refresh(why: string, now = false): void {
    const time = this.context.host.now();
    if (!now && time < this.askedAt + DEBOUNCE) {
      this.dueAt = Math.min(this.dueAt, this.askedAt + DEBOUNCE);
      return;
    }
    this.chronicle.asks(why);
    this.askedAt = time;
    this.dueAt = Infinity;
    for (const peer of this.peers) {
      if (peer.isAsking) peer.dueAt = 0;
      else peer.ask();
    }
  }

  /** A request was refused, or a connection lost: it may be the primary no more. */
  doubt(place: number, why: string): void {
    const shard = this.shards[place];
    if (shard === undefined || shard.state === HELD) return;
    this.chronicle.trouble(shard.name);
    if (shard.state !== SERVED) return;
    shard.doubt();
    this.refresh(why);
  }

  /** The order of a client's commands is at stake: its next one waits for the others. */
  renew(place: number): void {
    this.epochs[place] = ++this.epoch;
  }

  /** Called every tick. */
  tick(now: number, late: number): void {
    if (now >= this.dueAt) this.refresh("a primary is in doubt");
    const soonest = this.isWhole ? Infinity : SOON;
    for (const peer of [...this.peers]) peer.tick(now, late, soonest);
    for (const shard of this.shards) shard.tick(now, late);
  }

  said(peer: SentinelPeer): void {
    this.refreshes++;
    this.chronicle.told(peer.name);
    for (const view of peer.views.values()) {
      if (typeof view === "string") continue;
      for (const { host, port } of view.others) {
        this.meet({ host, port, path: "", mode: -1 }, false);
      }
    }
    // One that is known by another address already (a name, perhaps).
    const isTwin = (one: SentinelPeer): boolean =>
      one !== peer && one.id !== "" && one.id === peer.id;
    const twin = this.peers.find(isTwin);
    if (twin !== undefined) this.part(twin.configured ? peer : twin);
    this.forgetVanished();
    this.judge();
  }

  silent(peer: SentinelPeer, why: string, isNews: boolean): void {
    this.failures++;
    this.chronicle.inVain(peer.name, why);
    if (isNews) {
      const { log, name } = this.context;
      log.warn(`pool "${name}": Sentinel ${peer.name}: ${why}`, {
        ...{ event: "sentinel_failed", pool: name, sentinel: peer.name, reason: why },
      });
    }
    this.judge();
    if (this.peers.every((one) => !one.isAsking) && !this.peers.some((one) => one.isWell)) {
      // Nobody to wait for but the servers themselves.
      for (const shard of this.shards) if (shard.trouble !== "") this.begin();
    }
  }

  happened(peer: SentinelPeer, { what, name, word }: SentinelEvent): void {
    const { log, name: pool } = this.context;
    if (what === HEARING) {
      log.info(`pool "${pool}": Sentinel ${peer.name}: subscribed`);
      return;
    }
    const shard = this.shards.find((one) => utf8(one.name) === name);
    if (shard === undefined && name !== "") return;
    log.info(`pool "${pool}": Sentinel ${peer.name}: ${word} ${name}`, {
      ...{ event: "sentinel_event", pool, sentinel: peer.name, what: word, server: name },
    });
    if (shard !== undefined && what === PROMOTING && this.context.config.wait > 0) {
      this.chronicle.trouble(shard.name);
      shard.hold(this.context.host.now());
    }
    if (what === ABORTED) shard?.release();
    const isUrgent = what === SWITCHED || what === PROMOTED;
    this.refresh(word, isUrgent);
  }

  /** Waits for those that usually answer: the first answer is not the best. */
  private judge(): void {
    if (this.peers.some((peer) => peer.isWell && peer.isAsking)) return;
    for (const shard of this.shards) {
      const views: SentinelView[] = [];
      let isDown = false;
      for (const peer of this.peers) {
        const view = peer.views.get(shard.name);
        if (!peer.isWell || view === undefined) continue;
        if (typeof view === "string") {
          shard.trouble = `${peer.name}: ${view}`;
          continue;
        }
        views.push(view);
        if (view.isDown && !peer.isTilted) isDown = true;
      }
      const before = shard.replicas;
      if (isDown && !shard.isDown) this.chronicle.trouble(shard.name);
      shard.isDown = isDown;
      if (isDown) shard.doubt();
      shard.judge(views);
      if (!sameReplicas(before, shard.replicas)) this.hearer.replicasFound(shard.server);
    }
  }

  found(shard: SentinelShard, address: Address): void {
    const { server, isNew, isDown } = shard;
    const before = server.address;
    shard.state = SERVED;
    shard.isNew = false;
    const isOther = !isSame(before, address);
    let links: readonly Link[] | null = null;
    // Clients that have something waiting for it send nothing past that.
    this.renew(this.shards.indexOf(shard));
    if (isOther) {
      links = server.move(address);
      if (!isNew) {
        const what = `shard "${shard.name}"`;
        const [from, to] = [before, address].map(({ host, port }) => `${host}:${port}`);
        this.chronicle.failover(from, to, what, shard.name);
      }
    }
    this.chronicle.calm(shard.name);
    if (isNew) {
      const { log, name } = this.context;
      log.notice(
        `pool "${name}": the primary of "${shard.name}" is ${address.host}:${address.port}`,
        {
          ...{ event: "primary_found", pool: name, server: shard.name },
          address: `${address.host}:${address.port}`,
        },
      );
    }
    this.hearer.primaryFound(server, links, isDown);
    if (this.isWhole) this.begin();
  }

  refused(shard: SentinelShard, { host, port }: Address, why: string, isNews: boolean): void {
    const { log, name } = this.context;
    const line = `pool "${name}": ${host}:${port} is not the primary of "${shard.name}": ${why}`;
    const fields = {
      ...{ event: "primary_refused", pool: name, server: shard.name },
      ...{ address: `${host}:${port}`, reason: why },
    };
    if (isNews) log.notice(line, fields);
    else log.info(line, fields);
    if (this.shards.every(({ state, trouble }) => state !== SEEKING || trouble !== "")) {
      this.begin();
    }
  }

  private meet(address: Address, configured: boolean): void {
    const known = this.peers.find((peer) => isSame(peer.address, address));
    if (known !== undefined) {
      known.missing = 0;
      return;
    }
    if (this.peers.length >= MOST) return;
    const { toSentinels, words } = this;
    this.peers.push(new SentinelPeer(toSentinels, words, this, address, configured));
  }

  private forgetVanished(): void {
    const named = new Set<string>();
    for (const { views, isWell } of this.peers) {
      for (const view of views.values()) {
        if (typeof view === "string" || !isWell) continue;
        for (const { host, port } of view.others) named.add(`${host}:${port}`);
      }
    }
    for (const peer of [...this.peers]) {
      if (peer.configured || peer.isWell || named.has(peer.name)) peer.missing = 0;
      else if (++peer.missing >= MISSING) this.part(peer);
    }
  }

  private part(peer: SentinelPeer): void {
    peer.stop();
    this.peers = this.peers.filter((one) => one !== peer);
  }

  /** Sentinels are to be spoken to in another way. */
  changeSentinels(): void {
    const before = this.peers;
    for (const peer of before) peer.stop();
    this.peers = [];
    this.change();
    const isKnown = ({ address }: SentinelPeer): boolean =>
      before.some((one) => isSame(one.address, address));
    // Epochs of others say nothing about those of the ones before.
    if (!this.peers.some(isKnown)) { for (const shard of this.shards) shard.beginAnew(); }
    this.refresh("the configuration has changed", true);
  }

  stop(): void {
    for (const peer of this.peers) peer.stop();
    for (const shard of this.shards) shard.stop();
    this.begin();
  }
}

function isSame(a: Address, b: Address): boolean {
  return a.host === b.host && a.port === b.port && a.path === b.path;
}

function sameReplicas(a: readonly ReplicaView[], b: readonly ReplicaView[]): boolean {
  return a.length === b.length &&
    a.every(({ host, port, isWell }, i) =>
      host === b[i].host && port === b[i].port && isWell === b[i].isWell
    );
}
