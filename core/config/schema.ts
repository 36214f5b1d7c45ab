// The schemas of a configuration file and what they give, made from the rows of keys.ts and
// groups.ts. Validation and the JSON Schema for editors come from here. Knows nothing of YAML.

import * as v from "valibot";
import type { ServerConfig } from "./address.ts";
import type { Address } from "../host.ts";
import type { CommandsConfig } from "./commands.ts";
import { GLOBAL_KEYS } from "./groups.ts";
import type {
  AuthConfig,
  GlobalConfig,
  HealthConfig,
  MigrateValues,
  ReadsConfig,
  ServerTlsConfig,
  TlsConfig,
} from "./groups.ts";
import { POOL_ROWS } from "./keys.ts";
import type { RoutesConfig } from "./routes.ts";
import { schemaOf, type ValuesOf } from "./rows.ts";

export type { ReadsConfig } from "./groups.ts";
export { NO_TIMEOUT } from "./keys.ts";

/** What may stand under the name of a pool. */
export const PoolSchema = schemaOf(POOL_ROWS);

/** A whole file: pools by name. `$schema` is what editors bind a JSON file to its schema by. */
export const FileSchema = v.objectWithRest(
  {
    $schema: v.optional(v.string()),
    global: v.optional(
      v.pipe(schemaOf(GLOBAL_KEYS), v.description("Settings of the whole program.")),
    ),
  },
  PoolSchema,
);

export type PoolKey = keyof typeof POOL_ROWS;

export const POOL_KEYS = Object.keys(POOL_ROWS) as PoolKey[];

type PoolValues = ValuesOf<typeof POOL_ROWS>;

/** Optional text that is "" when it is not given, and what is read in a way of its own. */
type Rewritten =
  | "listen"
  | "servers"
  | "routes"
  | "hash_tag"
  | "redis_auth"
  | "redis_auth_file"
  | "redis_auth_env"
  | "redis_user"
  | "reuseport"
  | "commands"
  | "auth"
  | "tls"
  | "server_tls"
  | "health_check"
  | "reads"
  | "migrate";

/** What keys may move to, as the configuration of its pool has it. */
export type RingConfig = Pick<
  PoolConfig,
  | ("servers" | "hash" | "hash_tag" | "distribution")
  | ("cluster" | "sentinels" | "sentinel" | "wait" | "park_bytes" | "retry")
>;

export interface MigrateConfig extends MigrateValues {
  /** The ring of pool `to`. */
  ring: RingConfig;
}

export interface PoolConfig extends Omit<PoolValues, Rewritten> {
  name: string;
  /** Without a host or path: nowhere, see `listensAnywhere`. */
  listen: Address;
  /** `listen` as it stands in the file; "" for nowhere. */
  listen_text: string;
  /** None where there are routes. */
  servers: ServerConfig[];
  /** Absent: keys go to the servers. */
  routes?: RoutesConfig;
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
  /** Absent: keys stay where they are. */
  migrate?: MigrateConfig;
  /** Absent: primaries are read from, and there are no replicas. */
  reads?: ReadsConfig;
  /** Absent: all commands, under their own names. */
  commands?: CommandsConfig;
}

/** The protocol that a pool speaks. */
export function protocolOf({ redis }: PoolConfig): "redis" | "memcached" {
  return redis ? "redis" : "memcached";
}

/** A checked configuration. */
export interface Config {
  /** In nutcracker's order: by length of the name, then by its bytes; servers likewise. */
  pools: PoolConfig[];
  /** Their names, as they stand in the file. */
  order: readonly string[];
  /** Settings of the whole program. */
  global: GlobalConfig;
}
