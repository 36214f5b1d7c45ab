// The rows of a pool's keys, in the order of the documentation. A new key is a row here, and
// `npm run docs`. Meaning and defaults of twemproxy's keys are nutcracker's (nc_conf.h).

import * as v from "valibot";
import { HASH_NAMES } from "../hash/mod.ts";
import type { Address } from "../host.ts";
import { DISTRIBUTION_NAMES } from "../ring/mod.ts";
import {
  parseListen,
  parseReplica,
  parseSentinel,
  parseServer,
  type ServerConfig,
} from "./address.ts";
import { CommandsSchema } from "./commands.ts";
import {
  AUTH_KEYS,
  CLUSTER_KEYS,
  DISCOVERY_KEYS,
  GLOBAL_KEYS,
  HEALTH_KEYS,
  MIGRATE_KEYS,
  NEAR_KEYS,
  PROXY_KEYS,
  READS_KEYS,
  RETRY_KEYS,
  SENTINEL_KEYS,
  SERVER_TLS_KEYS,
  TLS_KEYS,
} from "./groups.ts";
import { RoutesSchema } from "./routes.ts";
import { changes, type Rows } from "./rows.ts";
import { flag, integer, MAX_INT, milliseconds, oneOf, parsed, text } from "./values.ts";

/** Milliseconds of `timeout` that mean "wait for ever". */
export const NO_TIMEOUT = -1;

/** One line under `servers:`. `pattern` is for editors; parseServer has the last word. */
export const ServerSchema = v.pipe(
  text(),
  v.description("host:port:weight [name] or /path:weight [name]"),
  v.metadata({ pattern: "^([^/ ][^ ]*:[0-9]+|/[^: ]+):[0-9]+( [^ ]+)?$" }),
  parsed<ServerConfig>(parseServer),
);

/** A replica's line under `replicas`. */
export const ReplicaSchema = v.pipe(
  text(),
  v.description("host:port"),
  v.metadata({ pattern: "^[^/ ][^ ]*:[0-9]+$" }),
  parsed<ServerConfig>(parseReplica),
);

/** A server, alone or with its replicas. */
const ServersItem = v.union([
  ServerSchema,
  v.pipe(
    v.strictObject({
      server: ServerSchema,
      replicas: v.pipe(
        v.array(ReplicaSchema),
        v.minLength(1),
        v.description("Its replicas (host:port), for `reads`."),
      ),
    }),
    v.transform(({ server, replicas }): ServerConfig => ({ ...server, replicas })),
  ),
]);

/** One line under `sentinels:`. The weight is twemproxy's, and means nothing. */
export const SentinelSchema = v.pipe(
  text(),
  v.description("host:port:weight"),
  v.metadata({ pattern: "^[^/ ][^ ]*:[0-9]+:[0-9]+$" }),
  parsed<ServerConfig>(parseSentinel),
);

/** The keys of a pool. */
export const POOL_ROWS = {
  listen: {
    type: v.pipe(
      text(),
      v.metadata({ pattern: "^([^/ ][^ ]*:[0-9]+|/[^ ]+( [0-7]{1,4})?)$" }),
      parsed<Address>(parseListen),
    ),
    optional: true,
    reload: ["listener"],
    text:
      "Where clients connect: host:port, or /path [octal mode] for a unix socket. A pool that " +
      "others name as a target (`routes`) may do without.",
  },
  hash: {
    type: oneOf(HASH_NAMES),
    default: "fnv1a_64",
    reload: ["ring"],
    text: "The function that hashes keys.",
  },
  hash_tag: {
    type: v.pipe(
      text(),
      v.regex(/^[ -~]{2}$/, "has to be exactly two ASCII characters"),
    ),
    optional: true,
    reload: ["codec", "ring"],
    hint: 'put it in quotes: hash_tag: "{}"',
    text: 'Two characters such as "{}": only the part of a key between them is hashed, so that ' +
      "keys with the same part live on the same server. Quote it.",
  },
  distribution: {
    type: oneOf([...DISTRIBUTION_NAMES, "cluster"]),
    default: "ketama",
    reload: ["ring"],
    text: "How a hash chooses a server: ketama (consistent hashing), modula (hash modulo the " +
      "sum of the weights), random (keys ignored) or cluster (a Redis Cluster's own hash slots: " +
      "`servers` are some of its nodes, the others are learned).",
  },
  cluster: {
    keys: CLUSTER_KEYS,
    optional: true,
    only: "redis",
    with: ["distribution", "cluster"],
    reload: ["codec"],
    text: "How a Redis Cluster is followed.",
  },
  sentinels: {
    items: { type: SentinelSchema, text: "" },
    only: "redis",
    reload: ["ring"],
    text: "Redis Sentinels, host:port:weight, one a line: they tell who the primaries are. The " +
      "name of each of `servers` is then the one that they know it by, and its address a first " +
      "guess. See [sentinel.md](sentinel.md).",
  },
  sentinel: {
    keys: SENTINEL_KEYS,
    optional: true,
    only: "redis",
    text: "How the Sentinels are spoken to.",
  },
  wait: {
    type: milliseconds(),
    default: 10000,
    only: "redis",
    text:
      "Of a Redis Cluster or with sentinels: milliseconds that a request may wait while nobody " +
      "has its slot or shard, or its owner is down. 0: it gets an error at once.",
  },
  park_bytes: {
    type: integer(0, MAX_INT),
    default: 67108864,
    only: "redis",
    text:
      "Of a Redis Cluster or with sentinels: bytes of requests that may wait at a time (each counts as 4096 at least); what comes " +
      "beyond gets an error.",
  },
  retry: {
    keys: RETRY_KEYS,
    optional: true,
    only: "redis",
    text:
      "Of a Redis Cluster or with sentinels: what becomes of a request that may have been carried out, its connection being lost.",
  },
  timeout: {
    type: v.pipe(milliseconds(), v.transform((ms) => ms === 0 ? NO_TIMEOUT : ms)),
    default: 0,
    reload: ["tick"],
    text: "Milliseconds to wait for a server to connect or to answer. 0: wait for ever.",
  },
  backlog: {
    type: integer(0, MAX_INT),
    default: 512,
    reload: ["bind"],
    text: "Length of the kernel's queue of connections not yet accepted.",
  },
  client_connections: {
    type: integer(0, MAX_INT),
    default: 0,
    text: "Most clients of this pool at a time. 0: no limit.",
  },
  tcpkeepalive: { type: flag(), default: false, text: "TCP keepalive on client connections." },
  reuseport: {
    type: flag(),
    default: false,
    text: "Accepted so that newer twemproxy files load; has no effect.",
  },
  preconnect: {
    type: flag(),
    default: false,
    text: "Connect to all servers at start instead of on the first request.",
  },
  redis: {
    type: flag(),
    default: false,
    reload: ["codec", "connections"],
    text: "The pool speaks the Redis protocol; without it, memcached.",
  },
  redis_auth: {
    type: text(),
    optional: true,
    only: "redis",
    secret: true,
    reload: ["codec", "connections"],
    text: "Password that clients have to give and that is given to the servers.",
  },
  // Where a password comes from changes nothing; what it is counts as `redis_auth`.
  redis_auth_file: {
    type: text(),
    optional: true,
    only: "redis",
    text: "File whose first line is the password: instead of redis_auth.",
  },
  redis_auth_env: {
    type: text(),
    optional: true,
    only: "redis",
    text: "Environment variable that holds the password: instead of redis_auth.",
  },
  redis_user: {
    type: text(),
    optional: true,
    only: "redis",
    reload: ["codec", "connections"],
    text: "User name that goes with redis_auth towards the servers (Redis 6 ACL).",
  },
  auth: {
    keys: AUTH_KEYS,
    optional: true,
    reload: ["codec"],
    text: "Who may come in: one password (of the user `default`), or users. Apart " +
      "from redis_auth, which then is given to the servers only.",
  },
  tls: {
    keys: TLS_KEYS,
    optional: true,
    reload: ["listener"],
    text: "TLS towards clients.",
  },
  proxy_protocol: {
    keys: PROXY_KEYS,
    optional: true,
    text:
      "Load balancers in front say by the PROXY protocol (versions 1 and 2, before TLS) whose " +
      "connections they pass on.",
  },
  server_tls: {
    keys: SERVER_TLS_KEYS,
    optional: true,
    reload: ["connections"],
    text: "TLS towards the servers.",
  },
  // twemproxy takes it in a memcached pool too, where it does nothing.
  redis_db: {
    type: integer(0, MAX_INT),
    default: 0,
    reload: ["codec", "connections"],
    text: "Database selected on the servers. Clients always see 0.",
  },
  commands: {
    type: CommandsSchema,
    optional: true,
    only: "redis",
    reload: ["codec"],
    text: "Commands that clients may use: deny (a list) switches commands off, allow (a list) " +
      "all others, rename (new name: command) gives one another name.",
  },
  server_connections: {
    type: integer(1, MAX_INT),
    default: 1,
    reload: ["connections"],
    text: "Connections opened to each server.",
  },
  pinned_connections: {
    type: integer(0, MAX_INT),
    default: 64,
    only: "redis",
    text: "Most further connections to each server that one client has to itself, for a " +
      "transaction or a blocking command.",
  },
  pinned_share: {
    type: integer(1, 100, "percent"),
    default: 50,
    only: "redis",
    text: "Percent of pinned_connections that one of several users (auth.users) may have at a " +
      "time, at least 1.",
  },
  pinned_idle_timeout: {
    type: milliseconds(),
    default: 60000,
    only: "redis",
    text: "Milliseconds after which a client that has a connection to itself and sends nothing " +
      "(a WATCH or MULTI without EXEC) loses it and is closed. 0: never.",
  },
  server_lanes: {
    type: integer(1, MAX_INT),
    default: 32,
    only: "redis",
    text: "Most combinations of database (SELECT) and protocol version (HELLO) that clients may " +
      "use at a time. Each has server_connections connections to each server.",
  },
  lane_idle_timeout: {
    type: milliseconds(),
    default: 60000,
    only: "redis",
    text: "Milliseconds after which the connections of a combination that no client uses are " +
      "closed. 0: never.",
  },
  multi: {
    type: oneOf(["together", "split"]),
    default: "together",
    only: "redis",
    text:
      "What a transaction (MULTI) is whose keys are on several servers: together (it is refused) " +
      "or split (each server gets a transaction with its part; they are not atomic as a whole).",
  },
  pubsub_output_limit: {
    type: integer(0, MAX_INT),
    default: 33554432,
    only: "redis",
    text: "A subscribed client that leaves more bytes than this unread, or more than a quarter " +
      "of it for 60 s, is cut off. 0: no limit.",
  },
  auto_eject_hosts: {
    type: flag(),
    default: false,
    text: "Take a server out of the ring when it fails server_failure_limit times in a row.",
  },
  server_retry_timeout: {
    type: milliseconds(),
    default: 30000,
    text: "Milliseconds before an ejected server is tried again.",
  },
  server_failure_limit: {
    type: integer(0, MAX_INT),
    default: 2,
    text: "Failures in a row that eject a server. 0 counts as 1.",
  },
  health_check: {
    keys: HEALTH_KEYS,
    optional: true,
    reload: ["tick"],
    text: "Checks the servers with PING or version on connections of their own; one that does " +
      "not answer leaves the ring, and comes back when it answers again.",
  },
  migrate: {
    keys: MIGRATE_KEYS,
    optional: true,
    reload: ["codec", "ring"],
    text: "Another ring that all keys can move to while clients use them: see migration.md.",
  },
  slowlog_ms: {
    type: milliseconds(),
    default: 0,
    text: "Requests that take longer are logged, with command, key and server. 0: none.",
  },
  near_cache: {
    keys: NEAR_KEYS,
    optional: true,
    text:
      "Values that are kept in the proxy, so that GET of such a key costs no server anything. Redis " +
      "servers (6 or newer) tell what has changed, memcached's do not.",
  },
  big_key: {
    type: integer(0, MAX_INT, "bytes"),
    default: 1048576,
    text: "Requests and replies of more bytes are counted and shown with their keys. 0: none.",
  },
  servers: {
    type: v.pipe(
      v.array(ServersItem, "has to be a list"),
      v.minLength(1, "has to name at least one server"),
    ),
    optional: true,
    reload: ["ring"],
    text: "The servers: host:port:weight [name] or /path:weight [name], one a line; with " +
      "replicas, {server: the same, replicas: [host:port, ...]}, see `reads`. `discovery` or `routes` " +
      "may stand in their place.",
  },
  reads: {
    keys: READS_KEYS,
    optional: true,
    only: "redis",
    reload: ["tick"],
    text: "Where commands that only read go: to replicas too. See [replicas.md](replicas.md).",
  },
  discovery: {
    keys: DISCOVERY_KEYS,
    optional: true,
    text: "Instead of `servers`: where they are found, and followed. " +
      "See [discovery.md](discovery.md).",
  },
  routes: {
    type: RoutesSchema,
    optional: true,
    reload: ["ring"],
    text: "Instead of `servers`: the pools that keys go to, by prefix or by default. " +
      "See [routes.md](routes.md).",
  },
} as const satisfies Rows;

/** Whether clients are to be understood in another way when these keys of a pool change. */
export function codecChanges(keys: ReadonlySet<string>): boolean {
  return changes(POOL_ROWS, keys, "codec");
}

/** Whether connections to the servers are to be replaced when these keys of a pool change. */
export function connectionsChange(keys: ReadonlySet<string>): boolean {
  return changes(POOL_ROWS, keys, "connections");
}

/** Whether timeouts are to be looked after at another pace when these keys of a pool change. */
export function tickChanges(keys: ReadonlySet<string>): boolean {
  return changes(POOL_ROWS, keys, "tick");
}

/** Whether a change of this key has to wait for another address of the pool, or for a new start. */
export function bindChanges(key: string): boolean {
  return changes(POOL_ROWS, new Set([key]), "bind");
}

/** Whether a change of this key of `global` has to wait for a new start. */
export function needsNewStart(key: string): boolean {
  return changes(GLOBAL_KEYS, new Set([key]), "start");
}
