// Reads from replicas, as far as a pool sees to it: the replicas of its shards, the questions that
// all servers are asked, and what is shown of it.

import type { ServerConfig } from "../config/address.ts";
import type { ReadsConfig } from "../config/schema.ts";
import { CLOSED } from "../link/link.ts";
import type { Replication } from "../protocol/replication.ts";
import type { ReplicaSnapshot } from "../stats/snapshot.ts";
import type { ServerContext } from "./context.ts";
import { replicaChanged } from "./journal.ts";
import type { Member } from "./member.ts";
import { ReplicaProbe } from "./replica_probe.ts";
import {
  intervalOf,
  partOf,
  patienceOf,
  Replicas,
  type ReplicasHearer,
  shardOf,
} from "./replicas.ts";
import { Server } from "./server.ts";
import type { Shard } from "./shard.ts";

interface Watched {
  readonly member: Member;
  readonly probe: ReplicaProbe;
}

export class Reading implements ReplicasHearer {
  /** By number; null: the number is free. */
  readonly shards: (Replicas | null)[];
  private readonly context: ServerContext;
  /** Servers are a Redis Cluster's. */
  private readonly clustered: boolean;
  private readonly watched: Map<Member, Watched>;
  private version: number;

  constructor(context: ServerContext, clustered: boolean) {
    this.shards = [];
    this.context = context;
    this.clustered = clustered;
    this.watched = new Map();
    this.version = 0;
  }

  private get reads(): ReadsConfig {
    return this.context.config.reads as ReadsConfig;
  }

  private get words(): Replication {
    return this.context.codec.replication as Replication;
  }

  /** All replicas' servers. */
  get servers(): Server[] {
    return this.all.flatMap(({ members }) => members.map(({ server }) => server));
  }

  private get all(): Replicas[] {
    return this.shards.filter((shard) => shard !== null);
  }

  /** The pool has other shards, primaries or replicas, or another policy. Returns whose time is over. */
  change(shards: readonly Shard[]): Server[] {
    const gone: Server[] = [];
    const before = this.all;
    // Servers that are replicas of another shard now stay what they are.
    const known = new Map(
      before.flatMap(({ members }) => members.map((one) => [one.server.name, one] as const)),
    );
    for (const old of before) {
      if (shards.some(({ primary }) => primary === old.primary.server)) continue;
      this.shards[old.number] = null;
      old.primary.server.part = null;
      this.forget(old.primary);
      old.members = [];
    }
    for (const [place, shard] of shards.entries()) {
      const replicas = shardOf(shard.primary) ?? this.add(shard);
      replicas.place = place;
      replicas.name = shard.name;
      replicas.change(this.reads);
      replicas.members = shard.replicas.map((config) => {
        const old = known.get(config.name);
        known.delete(config.name);
        const server = old?.server ?? this.connect(config);
        if (old !== undefined && partOf(server)?.shard === replicas) return old;
        if (old !== undefined) this.forget(old);
        return this.watch(replicas, server);
      });
      for (const member of [replicas.primary, ...replicas.members]) this.locate(member);
      replicas.judge(this.context.host.now());
    }
    for (const member of known.values()) {
      this.forget(member);
      gone.push(member.server);
    }
    return gone;
  }

  /** A shard's primary is another server, by the same name. */
  primaryMoved(primary: Server): void {
    const replicas = shardOf(primary);
    if (replicas === null) return;
    this.watched.get(replicas.primary)?.probe.renew();
    replicas.primaryMoved(this.context.host.now());
  }

  private add({ name, primary }: Shard): Replicas {
    const free = this.shards.indexOf(null);
    const number = free < 0 ? this.shards.length : free;
    const replicas = new Replicas(number, name, primary, this.reads, this);
    this.shards[number] = replicas;
    this.watchMember(replicas, replicas.primary);
    return replicas;
  }

  private connect(config: ServerConfig): Server {
    const server = new Server(this.context, config);
    if (this.clustered) server.greets = this.words.readOnly;
    server.connect();
    return server;
  }

  private watch(replicas: Replicas, server: Server): Member {
    const member = replicas.newMember(server);
    this.watchMember(replicas, member);
    return member;
  }

  private watchMember(replicas: Replicas, member: Member): void {
    const now = () => this.context.host.now();
    const probe = new ReplicaProbe(this.context, member.server, {
      told: (replies, askedAt, at) => {
        const view = this.words.read(replies);
        if (view === null) return this.silent(replicas, member, "it does not answer INFO");
        member.told(view, askedAt, at);
        replicas.told(member);
        replicas.judge(at);
      },
      untold: (why) => {
        this.silent(replicas, member, why);
        // Whoever waits for it goes elsewhere: only reads were sent there.
        if (member === replicas.primary) return;
        for (const link of [...member.server.connections]) {
          if (link.state !== CLOSED) link.abort("ETIMEDOUT");
        }
        replicas.judge(now());
      },
    });
    this.watched.set(member, { member, probe });
  }

  private silent(replicas: Replicas, member: Member, why: string): void {
    if (member === replicas.primary) return replicas.primaryLost(this.context.host.now());
    member.silent = why;
    replicas.judge(this.context.host.now());
  }

  /** The zone of a server that does not tell itself. */
  private locate(member: Member): void {
    if (member.view !== null && member.view.zone !== "") return;
    const { host } = member.server.address;
    let longest = -1;
    member.zone = "";
    for (const [prefix, zone] of Object.entries(this.reads.zones)) {
      if (!host.startsWith(prefix) || prefix.length <= longest) continue;
      longest = prefix.length;
      member.zone = zone;
    }
  }

  private forget(member: Member): void {
    this.watched.get(member)?.probe.stop();
    this.watched.delete(member);
  }

  /** Called every tick. */
  tick(late: number): void {
    const { reads, words } = this;
    const questions = words.questions(reads.from === "zone", this.clustered);
    const interval = intervalOf(reads);
    const patience = patienceOf(reads);
    for (const { probe } of this.watched.values()) {
      probe.tick(questions, interval, patience, late);
    }
    const now = this.context.host.now();
    for (const shard of this.all) shard.judge(now);
  }

  nextVersion(): number {
    return ++this.version;
  }

  changed(member: Member, shard: Replicas): void {
    if (!this.context.stopped) replicaChanged(member, shard, this.context.log);
  }

  /** Servers are to be spoken to in another way. */
  renew(): void {
    for (const { probe } of this.watched.values()) probe.stop();
  }

  stop(): void {
    this.renew();
    this.watched.clear();
  }

  /** Requests that replicas were sent. */
  get count(): number {
    return this.servers.reduce((sum, { counters }) => sum + counters.requests, 0);
  }

  snapshot(): ReplicaSnapshot[] {
    return this.all.flatMap((shard) =>
      shard.members.map(({ server, fit, why, lag, rtt, zone }) => ({
        name: server.name,
        of: shard.name,
        fit,
        why,
        lag: Number.isFinite(lag) ? lag : -1,
        rtt: Number.isFinite(rtt) ? Math.round(rtt * 1000) / 1000 : -1,
        zone,
        reads: server.counters.requests,
        connections: server.counters.server_connections,
      }))
    );
  }
}
