// Tours of client libraries of other languages: scripts in test/e2e/clients, which check for
// themselves what they get and end with "done". The proxy does the same for them whatever it runs
// on, which the tests of its bytes show; so one runtime is enough here.

import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  at,
  type Pools,
  type ProxyProcess,
  root,
  run,
  type ServerProcess,
  several,
  startMemcached,
  startProxy,
  startRedis,
} from "./harness.ts";

/** The pools: one server and three, for Redis and for memcached. */
export async function startPools(more: Pools = {}): Promise<ProxyProcess> {
  const redis = await several(4, startRedis);
  const memcached = await several(3, startMemcached);
  const lines = (servers: ServerProcess[]) => servers.map((server) => at(server));
  const pool = { redis: true, hash_tag: '"{}"' };
  const three = lines(redis.slice(0, 3));
  const others = Object.entries(more).map(([name, spec]) => [
    name,
    { ...pool, servers: three, ...spec },
  ]);
  return await startProxy({
    one: { ...pool, servers: [at(redis[3])] },
    many: { ...pool, servers: three },
    split: { ...pool, multi: "split", servers: three },
    memcached_one: { servers: lines(memcached.slice(0, 1)) },
    memcached_many: { servers: lines(memcached) },
    ...Object.fromEntries(others),
  });
}

/** Path of a script. */
export function script(name: string): string {
  return `${root}/test/e2e/clients/${name}`;
}

/** Runs a tour; what it says when something is not as it should be is the message. */
export async function tour(command: string, ...args: (string | number)[]): Promise<void> {
  const { code, stdout, stderr } = await run(command, args.map(String));
  if (code === 0 && stdout.endsWith("done\n")) return;
  assert.unreachable(`exit code ${code}\n${stdout}${stderr}`);
}

/** A tour of Redis with one server behind the proxy, and with three. */
export function redisTours(
  what: string,
  proxy: () => ProxyProcess,
  go: (port: number, servers: number) => Promise<void>,
): void {
  for (const [pool, servers] of [["one", 1], ["many", 3]] as const) {
    test(`${what}, ${servers === 1 ? "one server" : "three servers"}`, () => {
      return go(proxy().ports[pool], servers);
    });
  }
}

/** With `multi: split` a pipeline that is a transaction works as with one server. */
export function splitTour(
  what: string,
  proxy: () => ProxyProcess,
  go: (port: number, servers: number) => Promise<void>,
): void {
  test(`${what}, three servers, multi: split`, () => go(proxy().ports.split, 1));
}

export function memcachedTours(
  what: string,
  proxy: () => ProxyProcess,
  go: (port: number) => Promise<void>,
): void {
  test(`${what}, one server`, () => go(proxy().ports.memcached_one));
  test(`${what}, three servers`, () => go(proxy().ports.memcached_many));
}
