// The one description of a configuration file: every key with its type, range, default and text.
// Validation, the JSON Schema for editors and the table in docs/configuration.md all come from
// here. Knows nothing of YAML. Meaning and defaults are nutcracker's (nc_conf.h).

import * as v from "valibot";
import { HASH_NAMES } from "../hash/mod.ts";
import type { Address } from "../host.ts";
import { DISTRIBUTION_NAMES } from "../ring/mod.ts";
import { parseListen, parseServer, type ServerConfig } from "./address.ts";
import { type CommandsConfig, CommandsSchema } from "./commands.ts";
import { AuthSchema, GlobalSchema, HealthSchema, ServerTlsSchema, TlsSchema } from "./groups.ts";
import type {
  AuthConfig,
  GlobalConfig,
  HealthConfig,
  ServerTlsConfig,
  TlsConfig,
} from "./groups.ts";
import { flag, integer, MAX_INT, milliseconds, oneOf, parsed } from "./values.ts";

/** Milliseconds of `timeout` that mean "wait for ever". */
export const NO_TIMEOUT = -1;

/** One line under `servers:`. `pattern` is for editors; parseServer has the last word. */
export const ServerSchema = v.pipe(
  v.string("has to be text"),
  v.description("host:port:weight [name] or /path:weight [name]"),
  v.metadata({ pattern: "^([^/ ][^ ]*:[0-9]+|/[^: ]+):[0-9]+( [^ ]+)?$" }),
  parsed<ServerConfig>(parseServer),
);

/** What may stand under the name of a pool. */
export const PoolSchema = v.strictObject({
  listen: v.pipe(
    v.string("has to be text"),
    v.description(
      "Where clients connect: host:port, or /path [octal mode] for a unix socket.",
    ),
    v.metadata({ pattern: "^([^/ ][^ ]*:[0-9]+|/[^ ]+( [0-7]{1,4})?)$" }),
    parsed<Address>(parseListen),
  ),
  hash: v.optional(oneOf(HASH_NAMES, "The function that hashes keys."), "fnv1a_64"),
  hash_tag: v.optional(v.pipe(
    v.string("has to be text"),
    v.regex(/^[ -~]{2}$/, "has to be exactly two ASCII characters"),
    v.description(
      'Two characters such as "{}": only the part of a key between them is hashed, so that ' +
        "keys with the same part live on the same server. Quote it.",
    ),
  )),
  distribution: v.optional(
    oneOf(
      DISTRIBUTION_NAMES,
      "How a hash chooses a server: ketama (consistent hashing), modula (hash modulo the sum of " +
        "the weights) or random (keys ignored).",
    ),
    "ketama",
  ),
  timeout: v.optional(
    v.pipe(
      milliseconds(
        "Milliseconds to wait for a server to connect or to answer. 0: wait for ever.",
      ),
      v.transform((ms) => ms === 0 ? NO_TIMEOUT : ms),
    ),
    0,
  ),
  backlog: v.optional(
    integer(0, MAX_INT, "Length of the kernel's queue of connections not yet accepted."),
    512,
  ),
  client_connections: v.optional(
    integer(0, MAX_INT, "Most clients of this pool at a time. 0: no limit."),
    0,
  ),
  tcpkeepalive: flag("TCP keepalive on client connections."),
  reuseport: flag("Accepted so that newer twemproxy files load; has no effect."),
  preconnect: flag("Connect to all servers at start instead of on the first request."),
  redis: flag("The pool speaks the Redis protocol; without it, memcached."),
  redis_auth: v.optional(v.pipe(
    v.string("has to be text"),
    v.description(
      "Password that clients have to give and that is given to the servers. Redis pools only.",
    ),
  )),
  redis_auth_file: v.optional(v.pipe(
    v.string("has to be text"),
    v.description("File whose first line is the password: instead of redis_auth."),
  )),
  redis_auth_env: v.optional(v.pipe(
    v.string("has to be text"),
    v.description("Environment variable that holds the password: instead of redis_auth."),
  )),
  redis_user: v.optional(v.pipe(
    v.string("has to be text"),
    v.description("User name that goes with redis_auth towards the servers (Redis 6 ACL)."),
  )),
  auth: v.optional(AuthSchema),
  tls: v.optional(TlsSchema),
  server_tls: v.optional(ServerTlsSchema),
  redis_db: v.optional(
    integer(0, MAX_INT, "Database selected on the servers. Clients always see 0."),
    0,
  ),
  commands: v.optional(CommandsSchema),
  server_connections: v.optional(
    integer(1, MAX_INT, "Connections opened to each server."),
    1,
  ),
  pinned_connections: v.optional(
    integer(
      0,
      MAX_INT,
      "Most further connections to each server that one client has to itself, for a transaction " +
        "or a blocking command. Redis pools only.",
    ),
    64,
  ),
  pubsub_output_limit: v.optional(
    integer(
      0,
      MAX_INT,
      "A subscribed client that leaves more bytes than this unread, or more than a quarter of it for " +
        "60 s, is cut off. 0: no limit. Redis pools only.",
    ),
    33554432,
  ),
  auto_eject_hosts: flag(
    "Take a server out of the ring when it fails server_failure_limit times in a row.",
  ),
  server_retry_timeout: v.optional(
    milliseconds("Milliseconds before an ejected server is tried again."),
    30000,
  ),
  server_failure_limit: v.optional(
    integer(0, MAX_INT, "Failures in a row that eject a server. 0 counts as 1."),
    2,
  ),
  health_check: v.optional(HealthSchema),
  slowlog_ms: v.optional(
    milliseconds("Requests that take longer are logged, with command, key and server. 0: none."),
    0,
  ),
  servers: v.pipe(
    v.array(ServerSchema, "has to be a list"),
    v.minLength(1, "has to name at least one server"),
    v.description(
      "The servers: host:port:weight [name] or /path:weight [name], one a line.",
    ),
  ),
});

/** A whole file: pools by name. `$schema` is what editors bind a JSON file to its schema by. */
export const FileSchema = v.objectWithRest(
  { $schema: v.optional(v.string()), global: v.optional(GlobalSchema) },
  PoolSchema,
);

export const POOL_KEYS = Object.keys(PoolSchema.entries) as (keyof typeof PoolSchema.entries)[];

/** Keys whose values are mappings, read by group.ts. */
export const GROUPS = ["auth", "tls", "server_tls", "health_check"] as const;
export type Group = typeof GROUPS[number];

type PoolValues = v.InferOutput<typeof PoolSchema>;

type Rewritten =
  | "hash_tag"
  | "redis_auth"
  | "redis_auth_file"
  | "redis_auth_env"
  | "redis_user"
  | "reuseport"
  | "commands"
  | Group;

export interface PoolConfig extends Omit<PoolValues, Rewritten> {
  name: string;
  /** `listen` as it stands in the file. */
  listen_text: string;
  /** Two ASCII characters; "" for none. */
  hash_tag: string;
  /** "" for none. Of the file or variable below once secrets are resolved (adapters/system/secrets.ts). */
  redis_auth: string;
  /** "" for none: where the password comes from. */
  redis_auth_file: string;
  redis_auth_env: string;
  /** "" for none. */
  redis_user: string;
  auth?: AuthConfig;
  /** Absent: no TLS. */
  tls?: TlsConfig;
  server_tls?: ServerTlsConfig;
  /** Absent: servers are judged by requests only, as twemproxy does. */
  health_check?: HealthConfig;
  /** Absent: all commands, under their own names. */
  commands?: CommandsConfig;
}

/** A checked configuration. */
export interface Config {
  /** In nutcracker's order: by length of the name, then by its bytes; servers likewise. */
  pools: PoolConfig[];
  /** Settings of the whole program. */
  global: GlobalConfig;
}
