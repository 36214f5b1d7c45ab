// Metrics to a StatsD server, by UDP: counters as what they grew by, gauges as they are, latencies
// as gauges of percentiles (single durations are not kept). The protocol is a line a value:
// https://github.com/statsd/statsd/blob/master/docs/metric_types.md

import { createSocket } from "node:dgram";
import { isIP } from "node:net";
import type { Log } from "../../core/log.ts";
import { having } from "../../core/stats/counters.ts";
import { quantile } from "../../core/stats/latency.ts";
import {
  type Metric,
  POOL_METRICS,
  PROCESS_METRICS,
  REPLICA_METRICS,
  SERVER_METRICS,
} from "../../core/stats/metrics.ts";
import { kindsOf, type ServerSnapshot, type Snapshot } from "../../core/stats/snapshot.ts";
import type { Control } from "../control/control.ts";
import { parseHostPort } from "../../core/config/address.ts";
import { buckets, differences } from "./history.ts";

export interface Push {
  /** Sends now. Workers that have ended tell no counts any more, so this is for before that. */
  send(): Promise<void>;
  /** Sends what has come since the last time. */
  close(): Promise<void>;
}

/** Milliseconds between two sendings: StatsD's own flush interval. */
const INTERVAL = 10_000;
/** Longest time (ms) one sending may take: a name that nobody resolves holds up nothing, not even the end. */
const PATIENCE = 2000;
/** Most bytes of a datagram: what an Ethernet frame carries, less the headers (StatsD's advice). */
const MOST = 1432;
const PERCENTILES = [["p50", 0.5], ["p99", 0.99], ["p999", 0.999]] as const;

/** `where` is "host:port"; `interval` and `patience` in milliseconds. */
export function startStatsd(
  where: string,
  control: Control,
  log: Log,
  interval: number = INTERVAL,
  patience: number = PATIENCE,
): Push {
  const address = parseHostPort(where);
  if (typeof address === "string") throw new Error(`statsd "${where}" ${address}`);
  const { host, port } = address;
  const socket = createSocket(isIP(host) === 6 ? "udp6" : "udp4");
  let failing = "";
  const result = (error: Error | null): void => {
    const why = error?.message ?? "";
    // Told when it begins, not every time.
    if (why !== "" && why !== failing) log.warn(`statsd ${where}: ${why}`);
    failing = why;
  };
  socket.on("error", result);
  socket.unref();

  let last: Snapshot | null = null;
  const send = async (): Promise<void> => {
    const now = await control.snapshot();
    const sent = datagrams(statsdLines(now, last)).map((text) =>
      new Promise<void>((resolve) => {
        socket.send(text, port, host, (error) => {
          result(error);
          resolve();
        });
      })
    );
    last = now;
    await Promise.all(sent);
  };
  let sending: Promise<void> | null = null;
  const quietly = async (): Promise<void> => {
    sending ??= send().catch((error) => result(error as Error)).finally(() => sending = null);
    await inTime(sending, patience);
  };
  /** What has come since, even if a sending is under way. */
  const rest = async (): Promise<void> => {
    if (sending !== null) await inTime(sending, patience);
    await quietly();
  };
  void quietly();
  const timer = setInterval(quietly, interval);
  log.notice(`metrics to StatsD at ${where} every ${interval / 1000} s`);
  return {
    send: rest,
    async close() {
      clearInterval(timer);
      await rest();
      socket.close();
    },
  };
}

/** Resolves with `work`, or after `ms`. */
async function inTime(work: Promise<void>, ms: number): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<void>((resolve) => timer = setTimeout(resolve, ms));
  await Promise.race([work, late]);
  clearTimeout(timer);
}

/** The lines of one sending. Without a snapshot before, counters are sent from zero. */
export function statsdLines(now: Snapshot, last: Snapshot | null): string[] {
  const lines: string[] = [];
  add(lines, "ringmux", PROCESS_METRICS, { ...now, ready: true }, undefined);
  for (const pool of now.pools) {
    const before = last?.pools.find(({ name }) => name === pool.name);
    const prefix = `ringmux.${part(pool.name)}`;
    add(lines, prefix, having(POOL_METRICS, kindsOf(pool)), pool, before);
    for (const server of pool.servers) {
      const then = before?.servers.find(({ name }) => name === server.name);
      const own = `${prefix}.${part(server.name)}`;
      add(lines, own, having(SERVER_METRICS, kindsOf(pool)), server, then);
      addLatencies(lines, own, server, then);
    }
    for (const replica of pool.replicas ?? []) {
      const { name, of } = replica;
      const then = before?.replicas?.find((one) => one.name === name && one.of === of);
      add(lines, `${prefix}.${part(of)}.${part(name)}`, REPLICA_METRICS, replica, then);
    }
  }
  return lines;
}

function add<T>(
  lines: string[],
  prefix: string,
  metrics: readonly Metric<T>[],
  now: T,
  before: T | undefined,
): void {
  for (const { statsd, kind, value } of metrics) {
    const known = value(now);
    if (statsd === undefined || known === undefined) continue;
    const then = before === undefined ? 0 : value(before);
    lines.push(
      kind === "gauge"
        ? `${prefix}.${statsd}:${known}|g`
        : `${prefix}.${statsd}:${grown(known, then)}|c`,
    );
  }
}

function addLatencies(
  lines: string[],
  prefix: string,
  server: ServerSnapshot,
  then: ServerSnapshot | undefined,
): void {
  const counts = differences(buckets([server]), buckets(then === undefined ? [] : [then]));
  for (const [name, q] of PERCENTILES) {
    const ms = Number((quantile(counts, q) * 1000).toPrecision(6));
    lines.push(`${prefix}.latency_${name}_ms:${ms}|g`);
  }
}

function grown(now: number, then = 0): number {
  return Math.max(0, now - then);
}

/** A name as one part of a metric's name: dots part, and ":", "|", "@" and "/" mean something. */
function part(name: string): string {
  return name.replace(/[^A-Za-z0-9_-]/g, "_") || "_";
}

/** The lines in as few datagrams as may be. */
export function datagrams(lines: readonly string[]): string[] {
  const all: string[] = [];
  let text = "";
  for (const line of lines) {
    if (text !== "" && text.length + 1 + line.length > MOST) {
      all.push(text);
      text = "";
    }
    text += text === "" ? line : `\n${line}`;
  }
  return text === "" ? all : [...all, text];
}
