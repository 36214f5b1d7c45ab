// Text of a configuration file → Config, or everything that is wrong with it, each with its line.
// Does no I/O and resolves no names. Rules: nc_conf.c; the keys themselves: schema.ts.

import * as v from "valibot";
import { compareNames, type ServerConfig } from "./address.ts";
import { type CommandsConfig, readCommands } from "./commands.ts";
import { type AnySchema, fromText, readGroup } from "./group.ts";
import { type GlobalConfig, GlobalSchema } from "./groups.ts";
import { judgeGlobal, judgePool } from "./judge.ts";
import {
  type Config,
  type Group,
  GROUPS,
  POOL_KEYS,
  type PoolConfig,
  PoolSchema,
  ServerSchema,
} from "./schema.ts";
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
  if (mistakes.length === 0) return { config: { pools, global: check.global }, mistakes };
  mistakes.sort((a, b) => a.line - b.line || a.column - b.column);
  return { config: null, mistakes };
}

type Key = typeof POOL_KEYS[number];

const REDIS_ONLY = [
  ...["redis_auth", "redis_auth_file", "redis_auth_env", "redis_user", "commands"] as const,
] as const;

/** The settings of a file without `global`. */
export function defaultGlobal(): GlobalConfig {
  return v.parse(GlobalSchema, {});
}

function isGroup(key: Key): key is Group {
  return (GROUPS as readonly string[]).includes(key);
}

/** Values never shown in a message. */
const SECRET: ReadonlySet<string> = new Set(["redis_auth"]);

/** The walk through one file; collects mistakes as it goes. */
class Check {
  readonly mistakes: Mistake[];
  global: GlobalConfig;
  private readonly file: string;
  /** The pool being read. */
  private pool: string;

  constructor(file: string) {
    this.mistakes = [];
    this.global = defaultGlobal();
    this.file = file;
    this.pool = "";
  }

  note(place: Place, message: string, key = ""): void {
    const { line, column } = place;
    this.mistakes.push({ file: this.file, line, column, pool: this.pool, key, message });
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
      if (name.text === "global" && !hasKey(value, "listen") && !hasKey(value, "servers")) {
        this.pool = "";
        this.readGlobal(value);
        continue;
      }
      const pool = this.readPool(name, value);
      this.compareListen(value, listens);
      if (pool !== null) pools.push(pool);
    }
    return pools.sort((a, b) => compareNames(a.name, b.name));
  }

  private readGlobal(body: Mapping): void {
    const before = this.mistakes.length;
    const note = (place: Place, message: string) => this.note(place, message, "global");
    const values = readGroup(GlobalSchema as AnySchema, body, "global", note) as GlobalConfig;
    if (this.mistakes.length > before) return;
    judgeGlobal(values, (message) => note(body, message));
    this.global = values;
  }

  private readPool(name: Scalar, body: Mapping): PoolConfig | null {
    const before = this.mistakes.length;
    const nodes = this.collectKeys(body);
    for (const key of ["listen", "servers"] as const) {
      if (!nodes.has(key)) this.note(name, `${key} is missing`, key);
    }
    for (const key of REDIS_ONLY) {
      const node = nodes.get(key);
      if (node !== undefined && !isTrue(nodes.get("redis"))) {
        this.note(node, `${key} is only valid with redis: true`, key);
      }
    }
    const values: Partial<Record<Key, unknown>> = {};
    for (const key of POOL_KEYS) {
      if (key === "servers" || key === "commands" || isGroup(key)) continue;
      const node = nodes.get(key);
      if (node !== undefined) values[key] = this.readValue(key, node);
      // Parsed too, so that a default is transformed as a given value is.
      else if (key !== "listen") values[key] = v.parse(PoolSchema.entries[key], undefined);
    }
    const list = nodes.get("servers");
    values.servers = list === undefined ? [] : this.readServers(list);
    const commands = this.readCommands(nodes.get("commands"));
    const groups = this.readGroups(nodes);
    if (this.mistakes.length > before) return null;

    const { reuseport: _, commands: __, ...checked } = values as v.InferOutput<typeof PoolSchema>;
    const pool: PoolConfig = {
      ...checked,
      ...groups,
      ...(commands !== undefined && { commands }),
      name: name.text,
      listen_text: (nodes.get("listen") as Scalar).text,
      hash_tag: checked.hash_tag ?? "",
      redis_auth: checked.redis_auth ?? "",
      redis_auth_file: checked.redis_auth_file ?? "",
      redis_auth_env: checked.redis_auth_env ?? "",
      redis_user: checked.redis_user ?? "",
    };
    judgePool(pool, (key, message) => this.note(nodes.get(key) ?? name, message, key));
    return this.mistakes.length > before ? null : pool;
  }

  private readGroups(nodes: Map<Key, Node>): Pick<PoolConfig, Group> {
    const values: Partial<Record<Group, unknown>> = {};
    for (const key of GROUPS) {
      const node = nodes.get(key);
      if (node === undefined) continue;
      const note = (place: Place, message: string) => this.note(place, message, key);
      values[key] = readGroup(PoolSchema.entries[key] as AnySchema, node, key, note);
    }
    return values as Pick<PoolConfig, Group>;
  }

  /** The known keys of a pool; unknown, repeated and empty ones are noted and left out. */
  private collectKeys(body: Mapping): Map<Key, Node> {
    const nodes = new Map<Key, Node>();
    const places = new Map<string, Place>();
    for (const { key, value } of body.entries) {
      const first = places.get(key.text);
      if (first !== undefined) {
        this.note(key, `${key.text} is given twice (first on line ${first.line})`, key.text);
        continue;
      }
      places.set(key.text, key);
      if (!(POOL_KEYS as string[]).includes(key.text)) {
        const near = nearest(key.text, POOL_KEYS);
        const hint = near !== "" ? `did you mean ${near}?` : `known: ${POOL_KEYS.join(", ")}`;
        this.note(key, `key "${key.text}" is not known; ${hint}`, key.text);
        continue;
      }
      nodes.set(key.text as Key, value);
    }
    return nodes;
  }

  private readValue(key: Key, node: Node): unknown {
    if (node.kind !== "scalar") {
      const what = node.kind === "list" ? "a list" : "a mapping";
      const hint = key === "hash_tag" ? '; put it in quotes: hash_tag: "{}"' : "";
      this.note(node, `${key} has to be a single value, not ${what}${hint}`, key);
      return undefined;
    }
    if (node.text === "") {
      this.note(node, `${key} has no value`, key);
      return undefined;
    }
    const schema = PoolSchema.entries[key as Exclude<Key, Group>];
    const type = "wrapped" in schema ? schema.wrapped.type : schema.type;
    const result = v.safeParse(schema, fromText(type, node.text));
    if (result.success) return result.output;
    const shown = SECRET.has(key) ? "" : ` "${node.text}"`;
    this.note(node, `${key}${shown} ${result.issues[0].message}`, key);
    return undefined;
  }

  private readCommands(node: Node | undefined): CommandsConfig | undefined {
    if (node === undefined) return undefined;
    return readCommands(node, (place, message) => this.note(place, message, "commands"));
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
    for (const item of list.items) {
      if (item.kind !== "scalar") {
        this.note(item, "a server has to be a single line of text", "servers");
        continue;
      }
      const result = v.safeParse(ServerSchema, item.text);
      if (!result.success) {
        this.note(item, `server "${item.text}" ${result.issues[0].message}`, "servers");
        continue;
      }
      const server = result.output;
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

function hasKey(body: Mapping, name: string): boolean {
  return body.entries.some(({ key }) => key.text === name);
}

function isTrue(node: Node | undefined): boolean {
  return node !== undefined && node.kind === "scalar" && node.text === "true";
}
