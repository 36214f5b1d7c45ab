// What can only be judged of several values together. Each rule tells its mistake.

import { parseHostPort } from "./address.ts";
import { BINARY_COMMANDS } from "../protocol/memcached/binary_commands.ts";
import { COMMANDS as MEMCACHED_COMMANDS } from "../protocol/memcached/commands.ts";
import { COMMAND_NAMES } from "./command_names.ts";
import { nearest } from "./suggest.ts";
import { shownKey } from "./group.ts";
import type { AuthConfig, DiscoveryConfig, GlobalConfig, UserConfig } from "./groups.ts";
import type { PoolConfig, PoolKey } from "./schema.ts";

export function judgePool(pool: PoolConfig, note: (key: PoolKey, message: string) => void): void {
  const given = [pool.redis_auth, pool.redis_auth_file, pool.redis_auth_env];
  if (given.filter((value) => value !== "").length > 1) {
    note("redis_auth", "only one of redis_auth, redis_auth_file and redis_auth_env can be given");
  }
  if (pool.redis_user !== "" && given.every((value) => value === "")) {
    note("redis_user", "redis_user needs redis_auth, redis_auth_file or redis_auth_env");
  }
  if (pool.proxy_protocol !== undefined) {
    if (pool.proxy_protocol.from.length === 0) {
      note("proxy_protocol", "proxy_protocol.from has to name at least one network");
    }
    if (pool.listen.path !== "") {
      note(
        "proxy_protocol",
        "proxy_protocol is only valid where the pool listens on host:port: who comes to a unix " +
          "socket has no address that proxy_protocol.from could name",
      );
    }
  }
  if (pool.auth !== undefined) judgeAuth(pool.auth, (message) => note("auth", message));
  if (pool.near_cache !== undefined) {
    judgeNear(pool, pool.near_cache, (message) => note("near_cache", message));
  }
  const { tls, server_tls } = pool;
  if (tls !== undefined && tls.require_client_cert && tls.ca === "") {
    note("tls", "tls.require_client_cert needs tls.ca");
  }
  if (server_tls !== undefined && (server_tls.cert === "") !== (server_tls.key === "")) {
    note("server_tls", "server_tls.cert and server_tls.key go together");
  }
}

/** What a pool may not have whose replicas are read from, and why. */
const NO_READS: Readonly<Partial<Record<PoolKey, string>>> = {
  auto_eject_hosts: "keys of an ejected server would go to others, not to its replicas",
  health_check: "keys of an ejected server would go to others, not to its replicas",
};

/** `learned`: replicas are none of the file's business. */
export function judgeReads(
  pool: PoolConfig,
  learned: boolean,
  note: (key: PoolKey, message: string) => void,
): void {
  const { reads, servers } = pool;
  const named = servers.filter(({ replicas }) => replicas !== undefined);
  if (named.length > 0 && learned) {
    return note("servers", "replicas are not named here: they are learned from the servers");
  }
  if (reads === undefined) {
    if (named.length > 0) note("servers", "replicas need reads: nobody would read from them");
    return;
  }
  const { from, zone, zones } = reads;
  if (!learned && named.length === 0 && from !== "primary") {
    note("reads", "reads needs replicas: {server: ..., replicas: [host:port]} under servers");
  }
  if (from === "zone" && zone === "") note("reads", "reads.from zone needs reads.zone");
  if (from !== "zone" && from !== "primary" && (zone !== "" || Object.keys(zones).length > 0)) {
    note("reads", "reads.zone and reads.zones are only valid with reads.from zone or primary");
  }
  if (pool.near_cache !== undefined) {
    note("near_cache", "near_cache is not allowed with reads: a replica may know less than it");
  }
  if (pool.auto_eject_hosts) note("auto_eject_hosts", forbidden("auto_eject_hosts"));
  if (pool.health_check !== undefined) note("health_check", forbidden("health_check"));
}

function forbidden(key: PoolKey): string {
  return `${key} is not allowed with reads: ${NO_READS[key]}`;
}

function judgeNear(
  pool: PoolConfig,
  { prefixes, auto, ttl }: NonNullable<PoolConfig["near_cache"]>,
  note: (message: string) => void,
): void {
  if (prefixes.length === 0 && !auto && ttl > 0) {
    note("near_cache.prefixes has to name at least one prefix, or near_cache.auto to be true");
  }
  if (pool.routes !== undefined) {
    note(
      "near_cache is not allowed in a pool with routes, nor is it for clients that come by them",
    );
  }
  if (pool.distribution === "random") {
    note("near_cache is not allowed with distribution: random: a key is on no certain server");
  }
  for (const [i, one] of prefixes.entries()) {
    const other = prefixes.slice(i + 1).find((more) =>
      more.startsWith(one) || one.startsWith(more)
    );
    if (other !== undefined) {
      note(`near_cache.prefixes "${one}" and "${other}" overlap; the shorter one is enough`);
    }
  }
}

/** What a Redis Cluster sees to itself. */
const CLUSTERS_OWN: Readonly<Partial<Record<PoolKey, string>>> = {
  hash: "its hash is CRC16",
  hash_tag: "its hash tag is {}",
  auto_eject_hosts: "it replaces failed servers itself",
  health_check: "it watches over its servers itself",
};

export function judgeCluster(
  pool: PoolConfig,
  given: (key: PoolKey) => boolean,
  note: (key: PoolKey, message: string) => void,
): void {
  if (pool.distribution !== "cluster") return;
  if (!pool.redis) note("distribution", 'distribution "cluster" is only valid with redis: true');
  for (const [key, why] of Object.entries(CLUSTERS_OWN) as [PoolKey, string][]) {
    if (given(key)) note(key, `${key} is not allowed with distribution: cluster: ${why}`);
  }
  if (pool.cluster?.act_as_node && pool.listen.path !== "") {
    note(
      "cluster",
      "cluster.act_as_node is only valid where the pool listens on host:port: a cluster's nodes have " +
        "no other addresses",
    );
  }
  for (const key of Object.keys(pool.cluster?.address_map ?? {})) {
    const address = parseHostPort(key);
    const right = typeof address === "string" ? "" : `${address.host}:${address.port}`;
    if (right === key) continue;
    const how = right === "" ? "has to be host:port" : `has to be written "${right}"`;
    note("cluster", `cluster.address_map: "${key}" ${how}, as the node calls itself`);
  }
  if (pool.redis_db !== 0) {
    note(
      "redis_db",
      "redis_db has to be 0 with distribution: cluster, which has no other database",
    );
  }
}

/** What Sentinels see to. */
const SENTINELS_OWN: Readonly<Partial<Record<PoolKey, string>>> = {
  auto_eject_hosts: "they replace failed servers themselves",
  health_check: "they watch over the servers themselves",
};

export function judgeSentinels(
  pool: PoolConfig,
  given: (key: PoolKey) => boolean,
  note: (key: PoolKey, message: string) => void,
): void {
  const isCluster = pool.distribution === "cluster";
  for (const key of ["wait", "park_bytes", "retry"] as const) {
    if (given(key) && !isCluster && !given("sentinels")) {
      note(key, `${key} is only valid with distribution: cluster or sentinels`);
    }
  }
  if (!given("sentinels")) {
    if (given("sentinel")) note("sentinel", "sentinel is only valid with sentinels");
    return;
  }
  if (pool.sentinels.length === 0) note("sentinels", "sentinels has to name at least one");
  if (isCluster) {
    note("sentinels", "sentinels is not allowed with distribution: cluster, which needs none");
  }
  if (pool.distribution === "random") {
    note(
      "distribution",
      'distribution "random" is not allowed with sentinels: a key has to have a shard (ketama, modula)',
    );
  }
  for (const [key, why] of Object.entries(SENTINELS_OWN) as [PoolKey, string][]) {
    if (given(key)) note(key, `${key} is not allowed with sentinels: ${why}`);
  }
  for (const { text, address } of pool.servers) {
    if (address.path !== "") {
      note("servers", `server "${text}" has to be host:port:weight name with sentinels`);
    } else if (!text.includes(" ")) {
      note("servers", `server "${text}" needs a name, the one that the sentinels know it by`);
    }
  }
  const { auth = "", auth_file = "", auth_env = "", user = "", tls } = pool.sentinel ?? {};
  const secrets = [auth, auth_file, auth_env].filter((value) => value !== "");
  if (secrets.length > 1) {
    note("sentinel", "sentinel: only one of auth, auth_file and auth_env can be given");
  }
  if (user !== "" && secrets.length === 0) {
    note("sentinel", "sentinel.user needs auth, auth_file or auth_env");
  }
  if (tls !== undefined && (tls.cert === "") !== (tls.key === "")) {
    note("sentinel", "sentinel.tls.cert and sentinel.tls.key go together");
  }
}

/** Where servers are found: one place, with what belongs to it. */
export function judgeDiscovery(
  { discovery, distribution, sentinels, redis }: PoolConfig,
  given: (key: PoolKey) => boolean,
  note: (key: PoolKey, message: string) => void,
): void {
  if (discovery === undefined) return;
  const tell = (message: string): void => note("discovery", message);
  const { srv, dns, port, file, etcd, prefix, resolver } = discovery;
  if (discovery.migrate === "auto" && redis) {
    tell(
      "discovery.migrate: auto is for memcached; of Redis keys move by migrate and ringmux migrate",
    );
  }
  if (discovery.migrate === "auto" && !["ketama", "modula"].includes(distribution)) {
    tell(`discovery.migrate: auto needs distribution ketama or modula, not ${distribution}`);
  }
  const ways = [srv !== "", dns !== "", file !== "", etcd.length > 0];
  if (ways.filter(Boolean).length !== 1) tell("discovery needs one of srv, dns, file and etcd");
  if ((dns !== "") !== (port !== 0)) tell("discovery.dns and discovery.port go together");
  if ((etcd.length > 0) !== (prefix !== "")) {
    tell("discovery.etcd and discovery.prefix go together");
  }
  if (resolver !== "" && srv === "" && dns === "") {
    tell("discovery.resolver is only valid with discovery.srv or discovery.dns");
  }
  judgeEtcd(discovery, tell);
  if (given("servers")) note("servers", "servers is not allowed with discovery, which finds them");
  if ((sentinels ?? []).length > 0) {
    tell("discovery is not allowed with sentinels, which know the servers");
  }
  if (distribution === "cluster") {
    tell("discovery is not allowed with distribution: cluster, whose nodes tell of one another");
  }
}

/** What is only for etcd, and goes together there. */
function judgeEtcd(
  { etcd, user, auth, auth_file, auth_env, tls }: DiscoveryConfig,
  tell: (message: string) => void,
): void {
  const secrets = [auth, auth_file, auth_env].filter((value) => value !== "");
  if (secrets.length > 1) {
    tell("discovery: only one of auth, auth_file and auth_env can be given");
  }
  if ((user !== "") !== (secrets.length > 0)) {
    tell("discovery.user and discovery.auth (or auth_file, auth_env) go together");
  }
  if (etcd.length === 0 && (user !== "" || secrets.length > 0 || tls !== undefined)) {
    tell("discovery.user, discovery.auth and discovery.tls are only valid with discovery.etcd");
  } else if (tls !== undefined && !etcd.some((url) => url.startsWith("https:"))) {
    tell("discovery.tls needs a URL with https:// in discovery.etcd");
  }
  if (tls !== undefined && (tls.cert === "") !== (tls.key === "")) {
    tell("discovery.tls.cert and discovery.tls.key go together");
  }
}

const MEMCACHED_NAMES = [
  ...MEMCACHED_COMMANDS.map(({ name }) => name),
  ...BINARY_COMMANDS.flatMap((command) => command?.name ?? []),
];

/** What concerns servers of its own, of which a pool with routes has none. */
const SERVERS_OWN: readonly string[] = [
  ...["sentinels", "sentinel", "reads", "discovery", "migrate"],
  ...["servers", "hash", "hash_tag", "distribution", "cluster", "wait", "park_bytes"],
  ...["retry"],
  ...["preconnect", "redis_auth", "redis_auth_file", "redis_auth_env", "redis_user"],
  ...["server_tls", "server_connections", "auto_eject_hosts", "server_retry_timeout"],
  ...["server_failure_limit", "health_check", "timeout", "slowlog_ms"],
];

/** A pool with routes. */
export function judgeFront(
  { routes, redis, auth, commands }: PoolConfig,
  given: (key: PoolKey) => boolean,
  note: (key: PoolKey, message: string) => void,
): void {
  if (routes === undefined) return;
  const strips = routes.prefixes.some(({ strip }) => strip);
  if (strips && Object.keys(commands?.rename ?? {}).length > 0) {
    note("routes", "routes: strip and commands.rename cannot be in one pool");
  }
  const known = redis ? COMMAND_NAMES : MEMCACHED_NAMES;
  for (const name of [...routes.limits, ...routes.faults].flatMap((rule) => rule.commands)) {
    if (known.includes(name)) continue;
    const near = nearest(name, known);
    note("routes", `routes: command "${name}" is not known${near && `; did you mean ${near}?`}`);
  }
  const users = ["default", ...Object.keys(auth?.users ?? {})];
  for (const { user } of [...routes.limits, ...routes.faults]) {
    if (user === "" || users.includes(user)) continue;
    note("routes", `routes: user "${user}" is not in auth.users (${users.join(", ")})`);
  }
  for (const key of SERVERS_OWN) {
    if (!given(key as PoolKey)) continue;
    note(
      key as PoolKey,
      `${key} is not allowed with routes: it belongs to the pools that are its targets`,
    );
  }
}

function judgeAuth(auth: AuthConfig, note: (message: string) => void): void {
  const names = Object.keys(auth.users);
  const own = secrets(auth);
  if (own > 1) note("auth: only one of password, password_file and password_env can be given");
  if (own === 0 && names.length === 0) note("auth needs a password or users");
  if (own > 0 && names.includes("default")) {
    note("auth.password is that of the user default: give it in one place");
  }
  for (const name of names) {
    if (!/^[!-~]+$/.test(name)) {
      note(`auth.users "${shownKey(name)}": names are ASCII without spaces`);
    }
    if (secrets(auth.users[name]) !== 1) {
      note(`auth.users.${name} needs one of password, password_file and password_env`);
    }
  }
}

function secrets(of: AuthConfig | UserConfig): number {
  const { password, password_file, password_env } = of;
  return [password, password_file, password_env].filter((value) => value !== "").length;
}

export function judgeGlobal(values: GlobalConfig, note: (message: string) => void): void {
  const { admin, statsd } = values;
  if (admin !== "" && admin !== "off" && typeof parseHostPort(admin) === "string") {
    note(`global.admin "${admin}" has to be host:port or off`);
  }
  if (statsd !== "" && typeof parseHostPort(statsd) === "string") {
    note(`global.statsd "${statsd}" has to be host:port`);
  }
}
