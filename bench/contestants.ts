// Who is measured: one row per contestant, with the files and the command line each needs.
// Every one of them listens on one port of 127.0.0.1 and runs in the foreground.

import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
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
  /** Clients come with TLS. */
  readonly tls: boolean;
  /** The servers are a Redis Cluster. */
  readonly cluster: boolean;
  /** See Workload. */
  readonly special: "" | "route" | "near";
  /** Where a contestant of two processes has the second one listen. */
  readonly innerPort: number;
  /** A runtime is to say when it collects garbage. */
  readonly gc: boolean;
}

export interface Contestant {
  readonly name: string;
  readonly title: string;
  /** Kind of row: the proxy itself, its rivals, or control rows that only forward. */
  readonly kind: "ringmux" | "rival" | "control";
  /** Open files per client connection. */
  readonly filesPerClient: number;
  /** Whether clients come without TLS, with it, or either way. */
  readonly clients: "plain" | "tls" | "either";
  /** Whether it can do this kind of work; absent: any. */
  takes?(shape: Shape): boolean;
  /** Why it cannot take part; "" when it can. */
  missing(): string;
  /** The command; null: the load goes to the first server itself. */
  command(setup: Setup): string[] | null;
  /** A second process behind it, which is started first. */
  behind?(setup: Setup): string[];
}

/** A certificate for TLS that nobody has to trust, with its key. Made once, by openssl. */
function certificate(folder: string): { cert: string; key: string } {
  const [cert, key] = [join(folder, "cert.pem"), join(folder, "key.pem")];
  if (!existsSync(cert)) {
    const args = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
    const rest = ["-subj", "/CN=localhost", "-days", "30", "-keyout", key, "-out", cert];
    const { status, stderr } = spawnSync("openssl", ["req", "-x509", ...args, ...rest]);
    if (status !== 0) throw new Error(`openssl cannot make a certificate: ${stderr}`);
  }
  return { cert, key };
}

function need(...files: string[]): string {
  const gone = files.find((file) => !existsSync(file));
  return gone === undefined ? "" : `${gone} does not exist`;
}

/** The configuration that nutcracker and ringmux share. */
function twemproxyConf(setup: Setup, name: string): string {
  const file = join(setup.folder, `${name}-${setup.port}.yml`);
  const { cert, key } = setup.tls ? certificate(setup.folder) : { cert: "", key: "" };
  const redis = setup.protocol === "redis" ? ["  redis: true"] : [];
  const isBehind = setup.special === "route";
  const listen = [`  listen: 127.0.0.1:${setup.port}`];
  const lines = [
    ...(isBehind ? ["front:", ...listen, ...redis, "  routes: {default: bench}"] : []),
    "bench:",
    ...(isBehind ? [] : listen),
    ...(setup.special === "near" ? ["  near_cache: {prefixes: [key], ttl: 600000}"] : []),
    ...(setup.cluster
      ? ["  distribution: cluster"]
      : ["  hash: fnv1a_64", "  distribution: ketama"]),
    "  preconnect: true",
    "  backlog: 1024",
    ...redis,
    ...(setup.tls ? [`  tls: {cert: ${cert}, key: ${key}}`] : []),
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
    clients: "either",
    filesPerClient: 1,
    missing: () => need(join(folder, entry)),
    command: (setup) => [
      ...(setup.gc ? tracing(runtime) : [executable(program), ...start]),
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
    clients: "plain",
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
    clients: "plain",
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
    `  bind 127.0.0.1:${setup.port} backlog 1024${bindTls(setup)}`,
    `  maxconn ${most}`,
    `  server one 127.0.0.1:${setup.tls ? setup.innerPort : setup.servers[0]}`,
  ];
  writeFileSync(file, `${lines.join("\n")}\n`);
  return file;
}

/** HAProxy wants certificate and key in one file. */
function bindTls({ tls, folder }: Setup): string {
  if (!tls) return "";
  const { cert, key } = certificate(folder);
  const both = join(folder, "both.pem");
  writeFileSync(both, readFileSync(cert, "utf8") + readFileSync(key, "utf8"));
  return ` ssl crt ${both}`;
}

function stunnelConf(setup: Setup): string {
  const file = join(setup.folder, `stunnel-${setup.port}.conf`);
  const { cert, key } = certificate(setup.folder);
  const lines = [
    "foreground = yes",
    "pid =",
    `cert = ${cert}`,
    `key = ${key}`,
    "socket = l:TCP_NODELAY=1",
    "socket = r:TCP_NODELAY=1",
    "[bench]",
    `accept = 127.0.0.1:${setup.port}`,
    `connect = 127.0.0.1:${setup.innerPort}`,
  ];
  writeFileSync(file, `${lines.join("\n")}\n`);
  return file;
}

function nutcracker(setup: Setup): string[] {
  const file = twemproxyConf(setup, "nutcracker");
  const pid = join(setup.folder, `nutcracker-${setup.port}.pid`);
  return [executable("nutcracker"), "-c", file, "-s", String(setup.statsPort), "-p", pid];
}

/** nutcracker behind something that ends TLS for it. */
function behind(setup: Setup): string[] {
  return nutcracker({ ...setup, tls: false, port: setup.innerPort });
}

const missingPrograms = (...names: string[]): string => {
  const missing = names.filter((name) => executable(name) === "");
  return missing.length === 0 ? "" : `${missing.join(", ")}: not installed`;
};

/** The program, told to say when it collects garbage: see pauses.ts. */
function tracing({ program, start, trace }: Runtime): string[] {
  if (!trace.startsWith("--")) return ["env", trace, executable(program), ...start];
  return [executable(program), ...start, trace];
}

interface Runtime {
  readonly program: string;
  readonly title: string;
  readonly start: readonly string[];
  readonly entry: string;
  /** The option, or the variable of the environment, that makes it tell of its garbage collector. */
  readonly trace: string;
}

const RUNTIMES: readonly Runtime[] = [
  {
    program: "deno",
    title: "Deno",
    start: [
      ...["run", "-A", "--no-lock", "--node-modules-dir=manual"],
      "--v8-flags=--no-incremental-marking", // docs/operations.md, "Deno's garbage collector"
    ],
    entry: "mod.ts",
    trace: "DENO_V8_FLAGS=--trace-gc",
  },
  {
    program: "bun",
    title: "Bun",
    start: ["run"],
    entry: "adapters/bun.ts",
    trace: "BUN_JSC_logGC=1",
  },
  { program: "node", title: "Node", start: [], entry: "dist/ringmux.js", trace: "--trace-gc" },
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
    clients: "plain",
    filesPerClient: 1,
    missing: () => missingPrograms("nutcracker"),
    command: nutcracker,
  },
  {
    name: "haproxy-tls",
    title: "HAProxy with TLS, nutcracker",
    kind: "rival",
    clients: "tls",
    filesPerClient: 2,
    missing: () => missingPrograms("haproxy", "nutcracker", "openssl"),
    command: (setup) => [executable("haproxy"), "-db", "-f", haproxyConf(setup)],
    behind,
  },
  {
    name: "stunnel-tls",
    title: "stunnel, nutcracker",
    kind: "rival",
    clients: "tls",
    filesPerClient: 2,
    missing: () => missingPrograms("stunnel", "nutcracker", "openssl"),
    command: (setup) => [executable("stunnel"), stunnelConf(setup)],
    behind,
  },
  {
    name: "haproxy",
    title: "HAProxy, TCP only",
    kind: "control",
    clients: "plain",
    filesPerClient: 2,
    missing: () => missingPrograms("haproxy"),
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
    clients: "plain",
    filesPerClient: 0,
    missing: () => "",
    command: () => null,
  },
];
