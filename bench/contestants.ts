// Who is measured: one row per contestant, with the files and the command line each needs.
// Every one of them listens on one port of 127.0.0.1 and runs in the foreground.

import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Protocol, Shape } from "./requests.ts";
import { executable } from "./packages.ts";

/** What a contestant is started with. */
export interface Setup {
  readonly protocol: Protocol;
  readonly port: number;
  /** For its statistics, if it has any. */
  readonly statsPort: number;
  readonly servers: readonly number[];
  /** For configuration files. */
  readonly folder: string;
  /** Most open files. */
  readonly files: number;
}

export interface Contestant {
  readonly name: string;
  readonly title: string;
  /** Kind of row: the proxy itself, its rivals, or control rows that only forward. */
  readonly kind: "ringmux" | "rival" | "control";
  /** Open files per client connection. */
  readonly filesPerClient: number;
  /** Whether it can do this kind of work; absent: any. */
  takes?(shape: Shape): boolean;
  /** Why it cannot take part; "" when it can. */
  missing(): string;
  /** The command; null: the load goes to the first server itself. */
  command(setup: Setup): string[] | null;
}

function need(...files: string[]): string {
  const gone = files.find((file) => !existsSync(file));
  return gone === undefined ? "" : `${gone} does not exist`;
}

/** The configuration that nutcracker and ringmux share. */
function twemproxyConf(setup: Setup, name: string): string {
  const file = join(setup.folder, `${name}-${setup.port}.yml`);
  const lines = [
    "bench:",
    `  listen: 127.0.0.1:${setup.port}`,
    "  hash: fnv1a_64",
    "  distribution: ketama",
    "  preconnect: true",
    "  backlog: 1024",
    ...(setup.protocol === "redis" ? ["  redis: true"] : []),
    "  servers:",
    ...setup.servers.map((port) => `   - 127.0.0.1:${port}:1`),
  ];
  writeFileSync(file, `${lines.join("\n")}\n`);
  return file;
}

/** Arguments are nutcracker's: its configuration file, its port of statistics. */
function ringmux(runtime: Runtime, folder = ""): Contestant {
  const { program, title, start, entry } = runtime;
  const name = folder === "" ? program : `base-${program}`;
  return {
    name,
    title: `ringmux on ${title}${folder === "" ? "" : ", base"}`,
    kind: "ringmux",
    filesPerClient: 1,
    missing: () => need(join(folder, entry)),
    command: (setup) => [
      executable(program),
      ...start,
      join(folder, entry),
      "-s",
      String(setup.statsPort),
      "-a",
      "127.0.0.1",
      // Its one sample a second is not what is measured. A base may be older than the option.
      ...(existsSync(join(folder, "adapters/admin")) ? ["--admin", "off"] : []),
      "-c",
      twemproxyConf(setup, name),
    ],
  };
}

function relay(name: string, runtime: string, start: string[]): Contestant {
  return {
    name: `relay-${name}`,
    title: `bare relay on ${runtime}`,
    kind: "control",
    filesPerClient: 2,
    missing: () => "",
    command: (setup) => [
      executable(name),
      ...start,
      String(setup.port),
      String(setup.servers[0]),
    ],
  };
}

/** Answers by itself: the load is on one core with no server, so only CPU per request compares. */
function answer(name: string, runtime: string, start: string[]): Contestant {
  return {
    name: `answer-${name}`,
    title: `answers from memory on ${runtime}`,
    kind: "control",
    filesPerClient: 1,
    missing: () => "",
    takes: ({ protocol, op, size, keys }) =>
      protocol === "redis" && op === "get" && size === 32 && keys === 1,
    command: (setup) => [executable(name), ...start, String(setup.port)],
  };
}

function haproxyConf(setup: Setup): string {
  const file = join(setup.folder, `haproxy-${setup.port}.cfg`);
  const most = Math.floor((setup.files - 100) / 2);
  const lines = [
    "global",
    "  nbthread 1",
    `  maxconn ${most}`,
    "defaults",
    "  mode tcp",
    "  timeout connect 5s",
    "  timeout client 1h",
    "  timeout server 1h",
    "listen bench",
    `  bind 127.0.0.1:${setup.port} backlog 1024`,
    `  maxconn ${most}`,
    `  server one 127.0.0.1:${setup.servers[0]}`,
  ];
  writeFileSync(file, `${lines.join("\n")}\n`);
  return file;
}

interface Runtime {
  readonly program: string;
  readonly title: string;
  readonly start: readonly string[];
  readonly entry: string;
}

const RUNTIMES: readonly Runtime[] = [
  {
    program: "deno",
    title: "Deno",
    start: ["run", "-A", "--no-lock", "--node-modules-dir=manual"],
    entry: "mod.ts",
  },
  { program: "bun", title: "Bun", start: ["run"], entry: "adapters/bun.ts" },
  { program: "node", title: "Node", start: [], entry: "dist/ringmux.js" },
];

/** ringmux as it stands in another checkout (built for Node), to measure a change against. */
export function baseContestants(folder: string): Contestant[] {
  return RUNTIMES.map((runtime) => ringmux(runtime, folder));
}

export const CONTESTANTS: readonly Contestant[] = [
  ...RUNTIMES.map((runtime) => ringmux(runtime)),
  {
    name: "nutcracker",
    title: "nutcracker",
    kind: "rival",
    filesPerClient: 1,
    missing: () => executable("nutcracker") === "" ? "nutcracker is not installed" : "",
    command: (setup) => [
      executable("nutcracker"),
      "-c",
      twemproxyConf(setup, "nutcracker"),
      "-s",
      String(setup.statsPort),
      "-p",
      join(setup.folder, "nutcracker.pid"),
    ],
  },
  {
    name: "haproxy",
    title: "HAProxy, TCP only",
    kind: "control",
    filesPerClient: 2,
    missing: () => executable("haproxy") === "" ? "haproxy is not installed" : "",
    command: (setup) => [executable("haproxy"), "-db", "-f", haproxyConf(setup)],
  },
  relay("deno", "Deno", ["run", "--no-config", "-A", "bench/relay/deno.ts"]),
  relay("bun", "Bun", ["run", "bench/relay/bun.ts"]),
  relay("node", "Node", ["bench/relay/node.mjs"]),
  answer("deno", "Deno", ["run", "--no-config", "-A", "bench/answer/deno.mjs"]),
  answer("bun", "Bun", ["run", "bench/answer/bun.mjs"]),
  answer("node", "Node", ["bench/answer/node.mjs"]),
  {
    name: "none",
    title: "no proxy",
    kind: "control",
    filesPerClient: 0,
    missing: () => "",
    command: () => null,
  },
];
