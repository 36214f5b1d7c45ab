// The last minutes, for the live page's graphs: one sample a second of every pool and server, in
// rings of a fixed size. A sample is the difference of two snapshots.

import { quantile } from "../../core/stats/latency.ts";
import type { PoolSnapshot, ServerSnapshot, Snapshot } from "../../core/stats/snapshot.ts";

/** A quarter of an hour at one sample a second. */
const LENGTH = 900;
/** Samples that a percentile is taken over: of one alone it would jump about. */
const WINDOW = 10;

const POOL_SERIES = ["requests", "errors", "ejects", "clients", "p50", "p99", "p999"];
const SERVER_SERIES = ["requests", "errors", "p99"];

/** Numbers by what they are; requests and errors a second, seconds, or counts. */
type Values = Readonly<Record<string, number>>;
export type Series = Record<string, number[]>;

/** All samples after some time, oldest first; times in milliseconds since 1970. */
export interface HistoryView {
  readonly times: number[];
  readonly pools: {
    readonly name: string;
    readonly series: Series;
    readonly servers: { readonly name: string; readonly series: Series }[];
  }[];
}

/** The values of one pool or server; the place in the ring is the same for all. */
class Track {
  private readonly names: readonly string[];
  private readonly values: readonly Float32Array[];

  constructor(names: readonly string[]) {
    this.names = names;
    this.values = names.map(() => new Float32Array(LENGTH));
  }

  put(slot: number, values: Values): void {
    this.names.forEach((name, i) => this.values[i][slot] = values[name]);
  }

  read(slots: readonly number[]): Series {
    const series: Series = {};
    this.names.forEach((name, i) => {
      // Six digits are what a Float32 holds and more than a graph shows.
      series[name] = slots.map((slot) => Number(this.values[i][slot].toPrecision(6)));
    });
    return series;
  }
}

export class History {
  /** The newest WINDOW + 1 snapshots. */
  private readonly recent: Snapshot[];
  private readonly times: Float64Array;
  /** Samples ever taken. */
  private taken: number;
  /** By names of pool and server. */
  private tracks: Map<string, Track>;

  constructor() {
    this.recent = [];
    this.times = new Float64Array(LENGTH);
    this.taken = 0;
    this.tracks = new Map();
  }

  /** Takes a sample; the first snapshot only begins the count. */
  add(snapshot: Snapshot): void {
    const { recent } = this;
    const last = recent[recent.length - 1];
    // Of two that were asked for one after the other the second may come first.
    if (last !== undefined && snapshot.time <= last.time) return;
    recent.push(snapshot);
    if (last === undefined) return;
    if (recent.length > WINDOW + 1) recent.shift();
    const slot = this.taken++ % LENGTH;
    this.times[slot] = snapshot.time;
    const seconds = (snapshot.time - last.time) / 1000;
    // What is not there any more is forgotten, so that nothing grows over many reloads.
    const tracks = new Map<string, Track>();
    const track = (names: readonly string[], ...path: string[]): Track => {
      const found = this.tracks.get(keyOf(path)) ?? new Track(names);
      tracks.set(keyOf(path), found);
      return found;
    };
    for (const pool of snapshot.pools) {
      const before = byName(last.pools, pool.name);
      const oldest = byName(recent[0].pools, pool.name);
      track(POOL_SERIES, pool.name).put(slot, samplePool(pool, before, oldest, seconds));
      for (const server of pool.servers) {
        const { name } = server;
        track(SERVER_SERIES, pool.name, name).put(
          slot,
          sampleServer(
            server,
            byName(before?.servers, name),
            byName(oldest?.servers, name),
            seconds,
          ),
        );
      }
    }
    this.tracks = tracks;
  }

  since(time: number): HistoryView {
    const slots: number[] = [];
    for (let i = Math.max(0, this.taken - LENGTH); i < this.taken; i++) {
      if (this.times[i % LENGTH] > time) slots.push(i % LENGTH);
    }
    const read = (...path: string[]): Series => this.tracks.get(keyOf(path))?.read(slots) ?? {};
    const now = this.taken === 0 ? [] : this.recent[this.recent.length - 1].pools;
    return {
      times: slots.map((slot) => this.times[slot]),
      pools: now.map(({ name, servers }) => ({
        name,
        series: read(name),
        servers: servers.map((server) => ({
          name: server.name,
          series: read(name, server.name),
        })),
      })),
    };
  }
}

function keyOf(path: readonly string[]): string {
  return JSON.stringify(path);
}

function byName<T extends { readonly name: string }>(
  list: readonly T[] | undefined,
  name: string,
): T | undefined {
  return list?.find((one) => one.name === name);
}

function samplePool(
  pool: PoolSnapshot,
  before: PoolSnapshot | undefined,
  oldest: PoolSnapshot | undefined,
  seconds: number,
): Values {
  const rate = (count: (of: PoolSnapshot) => number): number =>
    before === undefined ? 0 : grown(count(pool), count(before)) / seconds;
  const counts = differences(buckets(pool.servers), buckets(oldest?.servers ?? []));
  return {
    requests: rate((of) => of.servers.reduce((sum, { counters }) => sum + counters.requests, 0)),
    errors: rate((of) => of.counters.forward_error),
    ejects: before === undefined
      ? 0
      : grown(pool.counters.server_ejects, before.counters.server_ejects),
    clients: pool.counters.client_connections,
    p50: quantile(counts, 0.5),
    p99: quantile(counts, 0.99),
    p999: quantile(counts, 0.999),
  };
}

function sampleServer(
  server: ServerSnapshot,
  before: ServerSnapshot | undefined,
  oldest: ServerSnapshot | undefined,
  seconds: number,
): Values {
  const counts = differences(buckets([server]), buckets(oldest === undefined ? [] : [oldest]));
  const rate = (now: number, then: number): number =>
    before === undefined ? 0 : grown(now, then) / seconds;
  return {
    requests: rate(server.counters.requests, before?.counters.requests ?? 0),
    errors: rate(errors(server), before === undefined ? 0 : errors(before)),
    p99: quantile(counts, 0.99),
  };
}

function errors({ counters }: ServerSnapshot): number {
  return counters.server_err + counters.server_timedout;
}

/** A worker that was replaced takes its counts with it: that is no growth. */
function grown(now: number, then: number): number {
  return Math.max(0, now - then);
}

/** Requests by bucket, all servers and classes together. */
export function buckets(servers: readonly ServerSnapshot[]): number[] {
  const sum: number[] = [];
  for (const { latency } of servers) {
    for (const { counts } of latency) {
      for (let i = 0; i < counts.length; i++) sum[i] = (sum[i] ?? 0) + counts[i];
    }
  }
  return sum;
}

export function differences(now: readonly number[], then: readonly number[]): number[] {
  return now.map((n, i) => grown(n, then[i] ?? 0));
}
