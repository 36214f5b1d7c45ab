// Text of a configuration file → Config, or everything that is wrong with it, each with its line.
// Does no I/O and resolves no names. Rules: nc_conf.c; the keys themselves: schema.ts.

import * as v from "valibot";
import { compareNames, type ServerConfig } from "./address.ts";
import { readCommands } from "./commands.ts";
import { judgeConditions, readKeys, readNothing, readRow, shownKey } from "./group.ts";
import { GLOBAL_KEYS, type GlobalConfig } from "./groups.ts";
import {
  judgeCluster,
  judgeDiscovery,
  judgeFront,
  judgeGlobal,
  judgePool,
  judgeReads,
  judgeSentinels,
} from "./judge.ts";
import { judgeMigrations } from "./judge_migrate.ts";
import { judgeRoutes, judgeTarget, type Naming } from "./judge_routes.ts";
import { POOL_ROWS, ReplicaSchema, ServerSchema } from "./keys.ts";
import type { RoutesConfig } from "./routes.ts";
import { ROUTES, RoutesReader } from "./routes_reader.ts";
import { type Row, schemaOf, type ValuesOf } from "./rows.ts";
import { type Config, POOL_KEYS, type PoolConfig, type PoolKey } from "./schema.ts";
import { nearest } from "./suggest.ts";
import { type Mapping, type Node, parseYaml, type Place, type Scalar } from "./yaml.ts";

/** One thing that is wrong. `pool` and `key` are "" where it belongs to none. */
export interface Mistake {
  readonly file: string;
  /** 1-based; 0 when it belongs to no line. */
  readonly line: number;
  readonly column: number;
  readonly pool: string;
  readonly key: string;
  readonly message: string;
}

/** `conf.yml:12: pool "cache": distribution "ketma" is not known; ...` */
export function formatMistake(mistake: Mistake): string {
  const line = mistake.line > 0 ? `:${mistake.line}` : "";
  const pool = mistake.pool !== "" ? ` pool "${mistake.pool}":` : "";
  return `${mistake.file}${line}:${pool} ${mistake.message}`;
}

/** Thrown by `loadConfig`; its message has one line for each mistake. */
export class ConfigError extends Error {
  readonly mistakes: readonly Mistake[];

  constructor(mistakes: readonly Mistake[]) {
    super(mistakes.map(formatMistake).join("\n"));
    this.name = "ConfigError";
    this.mistakes = mistakes;
  }
}

/** The configuration in `text`; throws a ConfigError. `file` is named in messages. */
export function loadConfig(text: string, file = "config"): Config {
  const { config, mistakes } = checkConfig(text, file);
  if (config === null) throw new ConfigError(mistakes);
  return config;
}

/** As `loadConfig`, but returns the mistakes, in file order. */
export function checkConfig(
  text: string,
  file: string,
): { config: Config | null; mistakes: Mistake[] } {
  const check = new Check(file);
  const { root, problems } = parseYaml(text);
  for (const problem of problems) check.note(problem, problem.message);
  // What a broken text parses to is a guess: its other mistakes would mislead.
  const pools = problems.length > 0 ? [] : check.pools(root);
  const mistakes = check.mistakes;
  const { order, global } = check;
  if (mistakes.length === 0) return { config: { pools, order, global }, mistakes };
  mistakes.sort((a, b) => a.line - b.line || a.column - b.column);
  return { config: null, mistakes };
}

/** The settings of a file without `global`. */
export function defaultGlobal(): GlobalConfig {
  return v.parse(schemaOf(GLOBAL_KEYS), {});
}

/** Where a pool listens that does not. */
const NOWHERE = { path: "", host: "", port: 0, mode: -1 };

/** The walk through one file; collects mistakes as it goes. */
class Check {
  readonly mistakes: Mistake[];
  global: GlobalConfig;
  /** Names of pools, as they stand in the file. */
  order: string[];
  private readonly file: string;
  /** The pool being read. */
  private pool: string;
  /** Replicas of the pool being read. */
  private readonly replicas: Set<string>;
  /** Where pools name others; pools that do not listen. */
  private readonly namings: Naming[];
  /** Pools that others name as where their keys are to move to. */
  private readonly migrated: Set<string>;
  private readonly silent: { readonly name: Scalar; readonly nodes: ReadonlyMap<PoolKey, Node> }[];

  constructor(file: string) {
    this.mistakes = [];
    this.global = defaultGlobal();
    this.order = [];
    this.file = file;
    this.pool = "";
    this.replicas = new Set();
    this.namings = [];
    this.migrated = new Set();
    this.silent = [];
  }

  note(place: Place, message: string, key = ""): void {
    const { line, column } = place;
    const shown = message.replace(/\/\/[^\s"@]*@/g, "//...@"); // a password in a URL
    this.mistakes.push({ file: this.file, line, column, pool: this.pool, key, message: shown });
  }

  pools(root: Node | null): PoolConfig[] {
    const pools: PoolConfig[] = [];
    if (root === null || (root.kind === "mapping" && root.entries.length === 0)) {
      this.note({ line: 0, column: 0 }, "is empty; at least one pool is needed");
      return pools;
    }
    if (root.kind !== "mapping") {
      this.note(root, "has to be a mapping of pool names to pools");
      return pools;
    }
    const names = new Map<string, Place>();
    const listens = new Map<string, { pool: string; line: number }>();
    for (const { key: name, value } of root.entries) {
      if (name.text === "$schema" && value.kind === "scalar") continue;
      this.pool = "";
      if (name.text === "") {
        this.note(name, "a pool has no name");
        continue;
      }
      this.pool = name.text;
      const first = names.get(name.text);
      if (first === undefined) names.set(name.text, name);
      else this.note(name, `another pool has this name (line ${first.line})`);

      if (value.kind !== "mapping") {
        this.note(name, "has to be a mapping with at least listen and servers");
        continue;
      }
      if (
        name.text === "global" && !hasKey(value, "listen") && !hasKey(value, "servers") &&
        !hasKey(value, "routes") && !hasKey(value, "discovery")
      ) {
        this.pool = "";
        this.readGlobal(value);
        continue;
      }
      const pool = this.readPool(name, value);
      this.compareListen(value, listens);
      if (pool !== null) pools.push(pool);
    }
    const targets = new Set(this.namings.map(({ name }) => name));
    judgeMigrations(pools, new Set(names.keys()), targets, (pool, message) => {
      this.pool = pool.name;
      const body = root.entries.find(({ key }) => key.text === pool.name)?.value as Mapping;
      const at = body.entries.find(({ key }) => key.text === "migrate")?.key ?? body;
      this.note(at, message, "migrate");
    });
    this.judgeSilent();
    judgeRoutes(pools, new Set(names.keys()), this.namings, (pool, place, message) => {
      this.pool = pool;
      this.note(place, message, "routes");
    });
    this.order = pools.map(({ name }) => name);
    return pools.sort((a, b) => compareNames(a.name, b.name));
  }

  private readGlobal(body: Mapping): void {
    const before = this.mistakes.length;
    const note = (place: Place, message: string) => this.note(place, message, "global");
    const values = readKeys(GLOBAL_KEYS, body, "global", note) as GlobalConfig;
    if (this.mistakes.length > before) return;
    judgeGlobal(values, (message) => note(body, message));
    this.global = values;
  }

  private readPool(name: Scalar, body: Mapping): PoolConfig | null {
    const before = this.mistakes.length;
    const nodes = this.collectKeys(body);
    if (!nodes.has("listen")) this.silent.push({ name, nodes });
    const migration = nodes.get("migrate");
    if (migration?.kind === "mapping") {
      const to = migration.entries.find(({ key }) => key.text === "to")?.value;
      if (to?.kind === "scalar") this.migrated.add(to.text);
    }
    if (!nodes.has("servers") && !nodes.has("routes") && !nodes.has("discovery")) {
      this.note(name, "servers is missing", "servers");
    }
    judgeConditions(POOL_ROWS, body, (place, message) => {
      this.note(place, message, message.split(/[ .]/, 1)[0]);
    });
    const values: Partial<Record<PoolKey, unknown>> = {};
    for (const key of POOL_KEYS) {
      const node = nodes.get(key);
      const value = node === undefined
        ? readNothing(POOL_ROWS[key], () => {}) // what is missing is told above
        : this.readValue(key, node);
      if (value !== undefined) values[key] = value;
    }
    if (this.mistakes.length > before) return null;

    const { reuseport: _, routes, migrate, ...checked } = values as ValuesOf<typeof POOL_ROWS>;
    const pool: PoolConfig = {
      ...checked,
      ...(routes !== undefined && { routes: routes as unknown as RoutesConfig }),
      name: name.text,
      listen: checked.listen ?? NOWHERE,
      listen_text: (nodes.get("listen") as Scalar | undefined)?.text ?? "",
      servers: checked.servers ?? [],
      hash_tag: checked.hash_tag ?? "",
      redis_auth: checked.redis_auth ?? "",
      redis_auth_file: checked.redis_auth_file ?? "",
      redis_auth_env: checked.redis_auth_env ?? "",
      redis_user: checked.redis_user ?? "",
    };
    // Its ring is looked up when all pools are known.
    if (migrate !== undefined) pool.migrate = { ...migrate, ring: pool };
    const given = (key: PoolKey) => nodes.has(key);
    judgeDiscovery(pool, given, (key, message) => this.note(nodes.get(key) ?? name, message, key));
    judgeCluster(pool, given, (key, message) => this.note(nodes.get(key) ?? name, message, key));
    judgeSentinels(pool, given, (key, message) => this.note(nodes.get(key) ?? name, message, key));
    judgeFront(pool, given, (key, message) => this.note(nodes.get(key) ?? name, message, key));
    const learned = pool.distribution === "cluster" || pool.sentinels.length > 0;
    judgeReads(pool, learned, (key, message) => this.note(nodes.get(key) ?? name, message, key));
    judgePool(pool, (key, message) => this.note(nodes.get(key) ?? name, message, key));
    return this.mistakes.length > before ? null : pool;
  }

  private readValue(key: PoolKey, node: Node): unknown {
    const note = (place: Place, message: string) => this.note(place, message, key);
    if (key === "servers") return this.readServers(node);
    if (key === "routes") {
      const by = this.pool;
      return new RoutesReader(note, (one) => this.namings.push({ ...one, by })).read(node);
    }
    return key === "commands" ? readCommands(node, note) : readRow(POOL_ROWS[key], node, key, note);
  }

  /** Pools without `listen` are of use only to those that name them. */
  private judgeSilent(): void {
    for (const { name, nodes } of this.silent) {
      this.pool = name.text;
      if (this.namings.some((naming) => naming.name === name.text)) {
        judgeTarget(
          (key) => nodes.has(key),
          (key, message) => this.note(nodes.get(key) ?? name, message, key),
        );
      } else if (!this.migrated.has(name.text)) {
        this.note(name, "listen is missing", "listen");
      }
    }
  }

  /** The known keys of a pool; unknown, repeated and empty ones are noted and left out. */
  private collectKeys(body: Mapping): Map<PoolKey, Node> {
    const nodes = new Map<PoolKey, Node>();
    const places = new Map<string, Place>();
    for (const { key, value } of body.entries) {
      const first = places.get(key.text);
      if (first !== undefined) {
        this.note(key, `${key.text} is given twice (first on line ${first.line})`, key.text);
        continue;
      }
      places.set(key.text, key);
      if (!(POOL_KEYS as string[]).includes(key.text)) {
        const near = whereIs(key.text) || nearest(key.text.split(":", 1)[0], POOL_KEYS);
        const hint = near !== "" ? `did you mean ${near}?` : `known: ${POOL_KEYS.join(", ")}`;
        const name = shownKey(key.text);
        this.note(key, `key "${name}" is not known; ${hint}`, name);
        continue;
      }
      nodes.set(key.text as PoolKey, value);
    }
    return nodes;
  }

  private readServers(list: Node): ServerConfig[] {
    const servers: ServerConfig[] = [];
    if (list.kind !== "list") {
      this.note(list, 'servers has to be a list of lines like "- 127.0.0.1:6379:1"', "servers");
      return servers;
    }
    if (list.items.length === 0) {
      this.note(list, "servers has to name at least one server", "servers");
    }
    const lines = new Map<string, number>();
    this.replicas.clear();
    for (const item of list.items) {
      const server = this.readServer(item);
      if (server === null) continue;
      const first = lines.get(server.name);
      if (first !== undefined) {
        const message = `another server has the name "${server.name}" (line ${first})`;
        this.note(item, message, "servers");
        continue;
      }
      lines.set(server.name, item.line);
      servers.push(server);
    }
    return servers.sort((a, b) => compareNames(a.name, b.name));
  }

  /** A line, or a mapping of one and its replicas. */
  private readServer(item: Node): ServerConfig | null {
    if (item.kind === "mapping" && (hasKey(item, "server") || hasKey(item, "replicas"))) {
      return this.readReplicated(item);
    }
    if (item.kind !== "scalar") {
      this.note(item, "a server has to be a single line of text", "servers");
      return null;
    }
    const result = v.safeParse(ServerSchema, item.text);
    if (result.success) return result.output;
    this.note(item, `server "${item.text}" ${result.issues[0].message}`, "servers");
    return null;
  }

  private readReplicated(item: Mapping): ServerConfig | null {
    const before = this.mistakes.length;
    const note = (place: Place, message: string) => this.note(place, message, "servers");
    let server: ServerConfig | null = null;
    const replicas = new Map<string, ServerConfig>();
    for (const { key, value } of item.entries) {
      if (key.text === "server") {
        if (value.kind === "scalar") server = this.readServer(value);
        else note(value, "server has to be a line: host:port:weight [name]");
      } else if (key.text !== "replicas") {
        note(key, `key "servers.${shownKey(key.text)}" is not known; known: server, replicas`);
      } else if (value.kind !== "list" || value.items.length === 0) {
        note(value, "replicas has to be a list of host:port, one at least");
      } else {
        for (const one of value.items) this.readReplica(one, replicas);
      }
    }
    if (this.mistakes.length > before) return null;
    if (server === null) note(item, "server is missing: host:port:weight [name]");
    else if (replicas.size === 0) note(item, "replicas is missing: a list of host:port");
    else if (replicas.has(`${server.address.host}:${server.address.port}`)) {
      note(item, `server "${server.text}" is named as its own replica`);
    } else return { ...server, replicas: [...replicas.values()] };
    return null;
  }

  private readReplica(node: Node, replicas: Map<string, ServerConfig>): void {
    const note = (message: string) => this.note(node, message, "servers");
    if (node.kind !== "scalar") return note("a replica has to be host:port");
    const result = v.safeParse(ReplicaSchema, node.text);
    if (!result.success) return note(`replica "${node.text}" ${result.issues[0].message}`);
    const { name } = result.output;
    if (this.replicas.has(name)) return note(`replica "${name}" is named twice in this pool`);
    this.replicas.add(name);
    replicas.set(name, result.output);
  }

  /** Two pools on one address; compared as text, as nutcracker does. */
  private compareListen(body: Mapping, seen: Map<string, { pool: string; line: number }>): void {
    const node = body.entries.find(({ key }) => key.text === "listen")?.value;
    if (node === undefined || node.kind !== "scalar" || node.text === "") return;
    const other = seen.get(node.text);
    if (other !== undefined) {
      const message = `pool "${other.pool}" listens there too (line ${other.line})`;
      this.note(node, `listen "${node.text}": ${message}`, "listen");
      return;
    }
    seen.set(node.text, { pool: this.pool, line: node.line });
  }
}

/** A key of a mapping that stands where the mapping should: with its path; "" if it is none. */
function whereIs(name: string): string {
  const groups = POOL_KEYS.filter((group) => {
    const row: Row = POOL_ROWS[group];
    return group === "routes"
      ? ROUTES.includes(name)
      : "keys" in row && Object.hasOwn(row.keys, name);
  });
  return groups.map((group) => `${group}.${name}`).join(" or ");
}

function hasKey(body: Mapping, name: string): boolean {
  return body.entries.some(({ key }) => key.text === name);
}
