// Writes the table of metrics in docs/monitoring.md from core/stats/metrics.ts and the rows of
// core/stats/counters.ts. Run from the project's root after every change there: deno run -A
// docs/make_metrics.ts (or bun docs/make_metrics.ts). A test compares.

import * as fs from "node:fs";
import process from "node:process";
import {
  LATENCY_METRIC,
  type Metric,
  POOL_METRICS,
  PREFIX,
  PROCESS_METRICS,
  REPLICA_METRICS,
  ROUTE_METRICS,
  SERVER_METRICS,
} from "../core/stats/metrics.ts";

export const METRICS_FILE = "docs/monitoring.md";
const BEGIN = "<!-- metrics: written by docs/make_metrics.ts -->";
const END = "<!-- end of metrics -->";

/** docs/monitoring.md with a fresh table; `docs` is its present text. */
export function generateMetrics(docs: string): string {
  const start = docs.indexOf(BEGIN);
  const end = docs.indexOf(END);
  if (start < 0 || end < start) throw new Error(`${METRICS_FILE} has lost its marks`);
  const usual = [
    ...PROCESS_METRICS.map((metric) => line(metric, "ringmux", "")),
    ...POOL_METRICS.map((metric) => line(metric, "ringmux.POOL", "`pool`")),
    ...SERVER_METRICS.map((metric) => line(metric, "ringmux.POOL.SERVER", "`pool` `server`")),
    ...REPLICA_METRICS.map((metric) =>
      line(metric, "ringmux.POOL.SERVER.REPLICA", "`pool` `server` `replica`")
    ),
    ...ROUTE_METRICS.map((metric) => line(metric, "", "`pool` `route` `target`")),
    line(LATENCY_METRIC, "", "`pool` `server` `class`"),
  ];
  const table = "| metric | type | labels | StatsD | meaning |\n|---|---|---|---|---|\n" +
    usual.join("");
  return `${docs.slice(0, start + BEGIN.length)}\n\n${table}\n${docs.slice(end)}`;
}

const WHOSE = {
  redis: "Redis pools",
  memcached: "memcached pools",
  followed: "Pools before a Redis Cluster or with `sentinels`",
  cluster: "Pools before a Redis Cluster",
  reading: "Pools that read from replicas",
  watched: "Pools with `sentinels`",
  discovered: "Pools with `discovery`",
  front: "Pools with `routes`",
  near: "Pools with `near_cache`",
  migrating: "Pools with `migrate`",
} as const;

/** The more labels of an info metric are told by its help. */
function line(
  { name, kind, help, statsd, only }:
    | Partial<Metric<never>>
    | typeof LATENCY_METRIC & {
      readonly statsd?: string;
      readonly only?: undefined;
    },
  of: string,
  labels: string,
): string {
  const sent = statsd === undefined ? "" : `\`${of}.${statsd}\``;
  const whose = only === undefined ? "" : ` ${WHOSE[only]} only.`;
  return `| \`${PREFIX}${name}\` | ${kind} | ${labels} | ${sent} | ${help}${whose} |\n`;
}

if (/make_metrics\.(ts|m?js)$/.test(process.argv[1] ?? "")) {
  fs.writeFileSync(METRICS_FILE, generateMetrics(fs.readFileSync(METRICS_FILE, "utf8")));
}
