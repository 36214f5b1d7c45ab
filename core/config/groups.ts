// The rows of the keys that stand in a mapping of their own: tls, server_tls, auth and health_check
// of a pool, and `global` at the top of a file. What a row is: rows.ts.

import * as v from "valibot";
import type { Address } from "../host.ts";
import { Network } from "../networks.ts";
import { parseHostPort } from "./address.ts";
import type { Rows, ValuesOf } from "./rows.ts";
import { filePath, flag, integer, milliseconds, oneOf, parsed, text } from "./values.ts";

const MAX_INT = 0x7fffffff;
const KEY_FILE = "PEM file with the certificate's key.";

export const TLS_KEYS = {
  cert: {
    type: filePath(),
    text: "PEM file with the certificate, followed by its intermediate ones.",
  },
  key: { type: filePath(), secret: true, text: KEY_FILE },
  ca: {
    type: filePath(),
    default: "",
    text: "PEM file with the authorities that clients' certificates are checked against.",
  },
  require_client_cert: {
    type: flag(),
    default: false,
    text: "Only clients with a certificate signed by ca are let in.",
  },
  handshake_timeout: {
    type: integer(1, MAX_INT, "milliseconds"),
    default: 3000,
    text: "Milliseconds a client may take for the TLS handshake.",
  },
} as const satisfies Rows;

export const SERVER_TLS_KEYS = {
  ca: {
    type: filePath(),
    default: "",
    text: "PEM file with the authorities that sign the servers' certificates; else the system's.",
  },
  cert: {
    type: filePath(),
    default: "",
    text: "PEM file with a certificate to show to the servers.",
  },
  key: { type: filePath(), default: "", secret: true, text: KEY_FILE },
  server_name: {
    type: text(),
    default: "",
    text: "Name the certificates are issued to; else each server's host.",
  },
  insecure: {
    type: flag(),
    default: false,
    text: "Certificates are not checked. Only for tests.",
  },
} as const satisfies Rows;

const network = v.pipe(
  text(),
  v.rawTransform<string, string>(({ dataset, addIssue, NEVER }) => {
    const result = Network.parse(dataset.value);
    if (typeof result !== "string") return dataset.value;
    addIssue({ message: result });
    return NEVER;
  }),
);

export const PROXY_KEYS = {
  from: {
    items: { type: network, text: "" },
    text:
      "Networks (10.0.0.0/8) or addresses of the load balancers: they have to send the header, " +
      "all others may not.",
  },
  timeout: {
    type: integer(1, MAX_INT, "milliseconds"),
    default: 3000,
    text: "Milliseconds that the header may take.",
  },
} as const satisfies Rows;

const PASSWORD_KEYS = {
  password: { type: text(), default: "", secret: true, text: "The password." },
  password_file: {
    type: text(),
    default: "",
    text: "File whose first line is the password.",
  },
  password_env: {
    type: text(),
    default: "",
    text: "Environment variable that holds the password.",
  },
} as const satisfies Rows;

export const ACCESS = ["read-write", "read-only"] as const;

export const USER_KEYS = {
  ...PASSWORD_KEYS,
  access: {
    type: oneOf(ACCESS),
    default: "read-write",
    text: "read-only: only commands that change nothing.",
  },
  prefixes: {
    items: { type: text(), text: "" },
    text: "If given, only keys (and channels) that begin with one of these.",
  },
  scripts: {
    type: flag(),
    default: false,
    only: "redis",
    text: "A user with prefixes may run scripts: only the keys they declare are checked.",
  },
} as const satisfies Rows;

export const AUTH_KEYS = {
  ...PASSWORD_KEYS,
  users: { each: { keys: USER_KEYS, text: "" }, text: "Users by name." },
} as const satisfies Rows;

export const HEALTH_KEYS = {
  interval: {
    type: integer(10, MAX_INT, "milliseconds"),
    default: 1000,
    text: "Milliseconds between two checks of a server.",
  },
  timeout: {
    type: integer(1, MAX_INT, "milliseconds"),
    default: 500,
    text: "Milliseconds a server may take to answer one.",
  },
} as const satisfies Rows;

export const SENTINEL_KEYS = {
  user: {
    type: text(),
    default: "",
    text: "User name that goes with auth towards the Sentinels (ACL).",
  },
  auth: {
    type: text(),
    default: "",
    secret: true,
    text: "Password that is given to the Sentinels; redis_auth is for the servers only.",
  },
  auth_file: {
    type: text(),
    default: "",
    text: "File whose first line is the password: instead of auth.",
  },
  auth_env: {
    type: text(),
    default: "",
    text: "Environment variable that holds the password: instead of auth.",
  },
  tls: {
    keys: SERVER_TLS_KEYS,
    optional: true,
    text: "TLS towards the Sentinels; server_tls is for the servers only.",
  },
} as const satisfies Rows;

export const CLUSTER_KEYS = {
  refresh: {
    type: integer(100, MAX_INT, "milliseconds"),
    default: 5000,
    text: "Milliseconds between two looks at the map of slots when nothing seems to change.",
  },
  redirects: {
    type: integer(1, 100),
    default: 5,
    text: "How often one request follows a redirection.",
  },
  act_as_node: {
    type: flag(),
    default: false,
    text:
      "Clients see a cluster of one node, the proxy itself, instead of one server: for clients " +
      "that want a cluster. Where they find it, address_map may change.",
  },
  address_map: {
    each: {
      type: v.pipe(text(), parsed<Address>(parseHostPort)),
      text: "",
    },
    text:
      "Where nodes are (host:port), by what they call themselves (host:port): for nodes behind " +
      "NAT or in containers.",
  },
} as const satisfies Rows;

export const MIGRATE_KEYS = {
  to: {
    type: text(),
    text:
      "The pool whose servers, weights, hash, hash_tag and distribution the keys are to have; it may be a " +
      "Redis Cluster's, or have sentinels.",
  },
  rate: {
    type: integer(0, MAX_INT),
    default: 2000,
    text: "Keys a second that are moved before anybody asks for them. 0: no limit.",
  },
  latency: {
    type: milliseconds(),
    default: 20,
    text:
      "By how many milliseconds moving may delay the servers' answers, smoothed: beyond that keys that " +
      "nobody asks for go more slowly. 0: no limit.",
  },
  big_key: {
    type: integer(0, MAX_INT),
    default: 8388608,
    text: "Bytes above which a key is moved last, one at a time, and told by name. 0: none is.",
  },
} as const satisfies Rows;

export const NEAR_KEYS = {
  prefixes: {
    items: { type: text(), text: "" },
    text: "Values of keys that begin with one of these are kept.",
  },
  auto: {
    type: flag(),
    default: false,
    text: "Values of hot keys are kept: those that one of 100 requests or more is for.",
  },
  bytes: {
    type: integer(65536, MAX_INT, "bytes"),
    default: 33554432,
    text: "Most bytes of keys and values that are kept, in each worker.",
  },
  ttl: {
    type: integer(0, MAX_INT, "milliseconds"),
    default: 5000,
    text:
      "Milliseconds after which a value is read anew whatever happens; with memcached the only " +
      "thing that bounds its age. 0: values are not kept, only questions in flight shared.",
  },
  silence: {
    type: integer(10, MAX_INT, "milliseconds"),
    default: 5000,
    text: "Milliseconds without a word of a server after which its values are forgotten.",
  },
} as const satisfies Rows;

export const RETRY_KEYS = {
  reads: {
    type: integer(0, 100),
    default: 1,
    text: "How often a read is sent again whose answer was lost with the connection.",
  },
  writes: {
    type: flag(),
    default: false,
    text:
      "Whether everything else is, too, as often: then it may be carried out twice. Not so EXEC.",
  },
} as const satisfies Rows;

export const READ_FROM = [
  ...["primary", "prefer_primary", "replica", "prefer_replica", "nearest", "zone"] as const,
] as const;

export const READS_KEYS = {
  from: {
    type: oneOf(READ_FROM),
    text: "Where reads go: primary, prefer_primary (replicas while it is down), replica, " +
      "prefer_replica (the primary while none is fit), nearest (whoever answers soonest, the " +
      "primary too) or zone (replicas in `zone` first).",
  },
  max_lag: {
    type: integer(50, MAX_INT, "milliseconds"),
    default: 1000,
    text: "Milliseconds that a replica's data may be old.",
  },
  after_write: {
    type: milliseconds(),
    default: 0,
    text: "Milliseconds after a client's write in which it reads at that shard's primary.",
  },
  zone: { type: text(), default: "", text: "With `from: zone`: where this ringmux stands." },
  zones: {
    each: { type: text(), text: "" },
    text: "Zones of servers, by how their addresses begin: of those that do not tell themselves " +
      "(Valkey's availability_zone).",
  },
} as const satisfies Rows;

const dnsName = v.pipe(text(), v.regex(/^[^\s:/]*$/, "has to be a name in DNS"));

export const DISCOVERY_KEYS = {
  srv: {
    type: dnsName,
    default: "",
    text: "Name of SRV records: their targets are the servers, and their names in the ring.",
  },
  dns: {
    type: dnsName,
    default: "",
    text: "Name whose addresses (A, AAAA) are the servers, on `port`. They are named by address.",
  },
  port: { type: integer(0, 65535), default: 0, text: "Port of the servers, with dns." },
  file: {
    type: filePath(),
    default: "",
    text: "File with a list of servers as under `servers`; it is read again when it changes.",
  },
  etcd: {
    items: {
      type: v.pipe(
        text(),
        v.regex(/^https?:\/\/[^/?#\s@]+\/?$/, "has to be a URL such as http://127.0.0.1:2379"),
      ),
      text: "",
    },
    text: "URLs of etcd's nodes: under prefix + name is host:port or host:port:weight of a server.",
  },
  prefix: { type: text(), default: "", text: "What the keys begin with, with etcd." },
  user: { type: text(), default: "", text: "User name that goes with auth towards etcd." },
  auth: {
    type: text(),
    default: "",
    secret: true,
    text: "Password that is given to etcd; redis_auth is for the servers only.",
  },
  auth_file: {
    type: text(),
    default: "",
    text: "File whose first line is the password: instead of auth.",
  },
  auth_env: {
    type: text(),
    default: "",
    text: "Environment variable that holds the password: instead of auth.",
  },
  tls: {
    keys: SERVER_TLS_KEYS,
    optional: true,
    text:
      "TLS towards etcd (https), if the system's authorities do not do; server_tls is for the servers.",
  },
  resolver: {
    type: v.pipe(
      text(),
      v.regex(/^$|^.+:[0-9]+$/, "has to be host:port"),
      v.rawTransform<string, string>(({ dataset, addIssue, NEVER }) => {
        const { value } = dataset;
        const wrong = value === "" ? null : parseHostPort(value);
        if (typeof wrong !== "string") return value;
        addIssue({ message: wrong });
        return NEVER;
      }),
    ),
    default: "",
    text: "host:port of the DNS server, with srv or dns; else those of /etc/resolv.conf.",
  },
  min: {
    type: integer(100, MAX_INT, "milliseconds"),
    default: 1000,
    text: "Least milliseconds between two questions, whatever the TTL is.",
  },
  max_loss: {
    type: v.pipe(
      v.number("has to be a number from 0 to 1"),
      v.minValue(0, "has to be a number from 0 to 1"),
      v.maxValue(1, "has to be a number from 0 to 1"),
    ),
    default: 0.5,
    text:
      "An answer that loses more than this part of the servers counts only when three in a row " +
      "are equal.",
  },
  migrate: {
    type: v.picklist(["off", "auto"] as const, "has to be off or auto"),
    default: "off",
    text:
      "auto (memcached): after a change, keys that have another server now are brought from the " +
      "one they had, instead of missing.",
  },
  migrate_for: {
    type: integer(1000, MAX_INT, "milliseconds"),
    default: 600000,
    text: "With migrate: auto, for so many milliseconds after a change.",
  },
} as const satisfies Rows;

export const LOG_LEVELS = [
  ...["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11"],
  ...["emerg", "alert", "crit", "error", "warn", "notice", "info", "debug", "verbose"],
] as const;

export const GLOBAL_KEYS = {
  workers: {
    type: v.pipe(
      text(),
      v.regex(/^(auto|[1-9][0-9]{0,3})$/, "has to be auto or a number from 1 to 9999"),
    ),
    default: "1",
    reload: ["start"],
    text: "Processes that share the work: a number, or auto: one a core.",
  },
  admin: {
    type: text(),
    default: "",
    reload: ["start"],
    text: "host:port of the admin address (metrics, health, the live page); off: none. " +
      "Without this key 127.0.0.1:22223, if it is free.",
  },
  statsd: {
    type: text(),
    default: "",
    reload: ["start"],
    text: "host:port of a StatsD server that metrics are sent to.",
  },
  watch: { type: flag(), default: false, text: "Reload this file when it changes." },
  reuse_port: {
    type: flag(),
    default: false,
    reload: ["start"],
    text: "Listen with SO_REUSEPORT, so that another ringmux can take over with --takeover. " +
      "Needless with several workers.",
  },
  drain_timeout: {
    type: milliseconds(),
    default: 10000,
    text: "Milliseconds that requests in flight get to finish at the end.",
  },
  log_format: {
    type: oneOf(["text", "json"]),
    default: "text",
    text: "Lines of text, or of JSON.",
  },
  log_level: {
    type: oneOf(LOG_LEVELS),
    default: "notice",
    text: "How much is logged; --verbose goes before it.",
  },
} as const satisfies Rows;

export type TlsConfig = ValuesOf<typeof TLS_KEYS>;
export type ServerTlsConfig = ValuesOf<typeof SERVER_TLS_KEYS>;
export type SentinelConfig = ValuesOf<typeof SENTINEL_KEYS>;
export type UserConfig = ValuesOf<typeof USER_KEYS>;
export type AuthConfig = ValuesOf<typeof AUTH_KEYS>;
export type ReadsConfig = ValuesOf<typeof READS_KEYS>;
export type HealthConfig = ValuesOf<typeof HEALTH_KEYS>;
export type MigrateValues = ValuesOf<typeof MIGRATE_KEYS>;
export type DiscoveryConfig = ValuesOf<typeof DISCOVERY_KEYS>;
export type GlobalConfig = ValuesOf<typeof GLOBAL_KEYS>;
