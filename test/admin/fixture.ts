// Snapshots made by hand, and a Control that tells them.

import type { ClusterAnswer, Control, HotView, RingView } from "../../adapters/control/control.ts";
import { POOL_COUNTERS, SERVER_COUNTERS } from "../../core/stats/counters.ts";
import { Latency } from "../../core/stats/latency.ts";
import type { PoolSnapshot, ServerSnapshot, Snapshot } from "../../core/stats/snapshot.ts";

function zeros<K extends string>(rows: readonly { readonly name: K }[]): Record<K, number> {
  return Object.fromEntries(rows.map(({ name }) => [name, 0])) as Record<K, number>;
}

/** `requests` reads of 1 ms each, the rest zero but for what `counters` says. */
export function server(
  name: string,
  requests = 0,
  counters: Partial<ServerSnapshot["counters"]> = {},
): ServerSnapshot {
  const [read, write, other] = [new Latency(), new Latency(), new Latency()];
  read.record(1, requests);
  return {
    name,
    address: "127.0.0.1:1",
    weight: 1,
    live: true,
    counters: {
      ...zeros<keyof ServerSnapshot["counters"]>(SERVER_COUNTERS),
      server_connections: 1,
      requests,
      request_bytes: 10 * requests,
      responses: requests,
      response_bytes: 20 * requests,
      ...counters,
    },
    latency: [read.snapshot(0), write.snapshot(1), other.snapshot(2)],
  };
}

export function pool(
  name: string,
  servers: ServerSnapshot[],
  counters: Partial<PoolSnapshot["counters"]> = {},
): PoolSnapshot {
  return {
    name,
    listen: "127.0.0.1:22121",
    protocol: "redis",
    counters: {
      ...zeros<keyof PoolSnapshot["counters"]>(POOL_COUNTERS),
      ...counters,
    },
    servers,
  };
}

/** A pool of a Redis Cluster of two nodes. */
export function clusterPool(
  name: string,
  counters: Partial<PoolSnapshot["counters"]> = {},
): PoolSnapshot {
  const node = { id: "1", role: "primary", of: "", epoch: 3, slots: 16000, failed: false } as const;
  const replica = { ...node, name: "b:1", id: "2", role: "replica", of: "a:1", slots: 0 } as const;
  return {
    ...pool(name, [server("a:1")], counters),
    topology: {
      kind: "cluster",
      epoch: 3,
      slots: 16384,
      ownerless: 384,
      unreachable: 0,
      nodes: [{ ...node, name: "a:1" }, replica],
      look: { at: 1_800_000_000_000, why: "MOVED", from: "a:1", error: "" },
      failovers: [],
    },
  };
}

/** A pool whose servers Sentinels watch over. */
export function sentinelPool(name: string): PoolSnapshot {
  const look = { at: 1_800_000_000_000, why: "start", from: "s:1", error: "" };
  return {
    ...pool(name, [server("a:1")]),
    sentinel: { sentinels: [], shards: [], look, failovers: [] },
  };
}

/** A pool that reads from a replica. */
export function readingPool(name: string): PoolSnapshot {
  const known = { fit: true, why: "", lag: 5, rtt: 1, zone: "", reads: 1, connections: 1 };
  return {
    ...pool(name, [server("a:1")]),
    replicas: [{ name: "b:1", of: "a:1", ...known }],
  };
}

/** A pool whose keys are on their way. */
export function migratingPool(name: string): PoolSnapshot {
  const moved = { keys: 10, bytes: 1000, rate: 5, errors: 1, aside: 0, bigs: 2 };
  const left = { left: ["a:1"], seen: 50, of: 100, told: ["big: x"] };
  return {
    ...pool(name, [server("a:1")]),
    migration: {
      to: "b",
      phase: "move",
      paused: false,
      why: "",
      waiting: 3,
      added: 2.5,
      slowed: true,
      ...moved,
      ...left,
    },
  };
}

export function snapshot(pools: PoolSnapshot[], time = 1_800_000_000_000): Snapshot {
  return {
    source: "here",
    version: "0.0.0",
    runtime: "test 1.0",
    uptime: 5,
    time,
    workers: 1,
    memory: 1e6,
    cpu: 2,
    pools,
  };
}

/** Tells `now`, which a test may change, and what it was asked. */
export class FakeControl implements Control {
  migrations(): Promise<[]> {
    return Promise.resolve([]);
  }

  migrate(): Promise<string> {
    return Promise.resolve("");
  }

  now: Snapshot;
  isReady = true;
  mistakes: string[] = [];
  reloads = 0;
  readonly askedRings: (string | undefined)[][] = [];

  constructor(now: Snapshot) {
    this.now = now;
  }

  ready(): boolean {
    return this.isReady;
  }

  snapshot(): Promise<Snapshot> {
    return Promise.resolve(this.now);
  }

  rings(name?: string, key?: string): Promise<RingView[]> {
    this.askedRings.push([name, key]);
    const views = this.now.pools
      .filter((one) => name === undefined || one.name === name)
      .map((one) => ({
        pool: one.name,
        protocol: one.protocol,
        distribution: "ketama",
        hash: "fnv1a_64",
        servers: one.servers.map(({ name, weight, live }) => ({ name, weight, live, share: 1 })),
        owner: key === undefined ? null : one.servers[0].name,
      }));
    return Promise.resolve(views);
  }

  hot(name?: string): Promise<HotView[]> {
    const row = { key: "k\\x00", rate: 100, share: 0.5, bytes: 2000, server: "a" };
    const big = {
      ...{ key: "b", command: "set", way: "request", bytes: 2e6, count: 1 } as const,
      at: this.now.time,
    };
    return Promise.resolve(
      this.now.pools.filter((one) => name === undefined || one.name === name).map((one) => ({
        ...{ pool: one.name, rate: 200, limit: 1e6 },
        hot: [row],
        big: [big],
      })),
    );
  }

  cluster(name: string, what: string): Promise<ClusterAnswer> {
    const answer = what === "slots" ? [[0, 16383, ["a", 1, "id"]]] : `${what} of ${name}\n`;
    return what === "info"
      ? Promise.reject(new Error("a:1: no answer"))
      : Promise.resolve({ from: "a:1", answer });
  }

  reload(): Promise<string[]> {
    this.reloads++;
    return Promise.resolve(this.mistakes);
  }
}
