// What changes from one configuration to the next: pools are told apart by their names, servers by
// name and address. Plain data; who carries it out is Proxy.reload.

import type { ServerConfig } from "./address.ts";
import { bindChanges, POOL_ROWS } from "./keys.ts";
import { hasSecret, type Rows } from "./rows.ts";
import { type Config, NO_TIMEOUT, type PoolConfig } from "./schema.ts";

export interface PoolDiff {
  readonly before: PoolConfig;
  readonly after: PoolConfig;
  /** Keys whose values differ, `servers` and `listen` among them. */
  readonly keys: ReadonlySet<string>;
  /** A line for every change, for the log. */
  readonly lines: readonly string[];
}

export interface ConfigDiff {
  readonly added: readonly PoolConfig[];
  readonly removed: readonly PoolConfig[];
  readonly changed: readonly PoolDiff[];
  /** Keys of `global` whose values differ. */
  readonly global: readonly string[];
}

/** Told in a way of their own, or by another key. */
const QUIET: ReadonlySet<string> = new Set(["servers", "listen"]);

export function diffConfigs(before: Config, after: Config): ConfigDiff {
  const old = new Map(before.pools.map((pool) => [pool.name, pool]));
  const names = new Set(after.pools.map((pool) => pool.name));
  const changed: PoolDiff[] = [];
  for (const pool of after.pools) {
    const other = old.get(pool.name);
    if (other === undefined) continue;
    const diff = diffPools(other, pool);
    if (diff.keys.size > 0) changed.push(diff);
  }
  return {
    added: after.pools.filter((pool) => !old.has(pool.name)),
    removed: before.pools.filter((pool) => !names.has(pool.name)),
    changed,
    global: differing(before.global, after.global),
  };
}

/** Whether two lines under `servers` mean one and the same server. */
export function sameServer(a: ServerConfig, b: ServerConfig): boolean {
  return a.name === b.name && equal(a.address, b.address);
}

function diffPools(before: PoolConfig, after: PoolConfig): PoolDiff {
  const label = `pool "${after.name}"`;
  const keys = differing(before, after);
  const lines = serverLines(before.servers, after.servers).map((line) => `${label}: ${line}`);
  for (const key of keys) {
    if (QUIET.has(key)) continue;
    const value = (after as unknown as Record<string, unknown>)[key];
    const shown = isSecret(key) ? "changed" : `is now ${show(value)}`;
    const later = isLater(key, before, after) ? " (after a new start)" : "";
    lines.push(`${label}: ${key === "listen_text" ? "listen" : key} ${shown}${later}`);
  }
  return { before, after, keys: new Set(keys), lines };
}

function serverLines(before: readonly ServerConfig[], after: readonly ServerConfig[]): string[] {
  const lines: string[] = [];
  for (const server of after) {
    const old = before.find((one) => sameServer(one, server));
    if (old === undefined) lines.push(`server "${server.name}" (${where(server)}) added`);
    else if (!equal(old.replicas, server.replicas)) {
      const names = (server.replicas ?? []).map(({ name }) => name).join(", ");
      lines.push(`server "${server.name}" has replicas ${names === "" ? "no more" : names}`);
    } else if (old.weight !== server.weight) {
      lines.push(`server "${server.name}" has weight ${server.weight} now, not ${old.weight}`);
    }
  }
  for (const server of before) {
    if (after.some((one) => sameServer(one, server))) continue;
    lines.push(`server "${server.name}" (${where(server)}) removed`);
  }
  return lines;
}

function isSecret(key: string): boolean {
  const rows: Rows = POOL_ROWS;
  return Object.hasOwn(rows, key) && hasSecret(rows[key]);
}

/** What the kernel was told when it was asked to listen on an address that stays. */
function isLater(key: string, before: PoolConfig, after: PoolConfig): boolean {
  if (bindChanges(key)) return before.listen_text === after.listen_text;
  return key === "listen_text" && after.listen.path !== "" &&
    before.listen.path === after.listen.path;
}

function where({ address: { path, host, port } }: ServerConfig): string {
  return path !== "" ? path : `${host}:${port}`;
}

function show(value: unknown): string {
  if (value === undefined || value === "") return "not set";
  if (value === NO_TIMEOUT) return "0";
  return typeof value === "object" ? JSON.stringify(value, shownPart) : String(value);
}

/** What belongs to another pool is told there. */
function shownPart(key: string, value: unknown): unknown {
  return key === "ring" ? undefined : value;
}

function differing(before: object, after: object): string[] {
  const [old, now] = [before, after] as Record<string, unknown>[];
  const keys = new Set([...Object.keys(now), ...Object.keys(old)]);
  return [...keys].filter((key) => !equal(old[key], now[key]));
}

/** Values of a configuration are plain data, made by one parser in one order. */
function equal(a: unknown, b: unknown): boolean {
  return a === b || JSON.stringify(a) === JSON.stringify(b);
}
