// A proxy with a pool of memcached whose keys are to move, and what is asked of it, for the tests.

import * as assert from "uvu/assert";
import { exchange, freePort, type ServerProcess, startProxy, until, Wire } from "./harness.ts";
import { migrate, order, type Ring, rings, type Site, statusOf } from "./migrate_site.ts";
import { Knowing } from "./pull_load.ts";

export { migrate, order, type Ring, rings, type Site, statusOf };

export interface Setting {
  old: Ring;
  next: Ring;
  rate?: number;
  workers?: number;
}

export async function startSite({ old, next, rate = 0, workers = 1 }: Setting): Promise<Site> {
  const admin = `127.0.0.1:${await freePort()}`;
  const proxy = await startProxy({
    alpha: { migrate: `{to: beta2, rate: ${rate}, latency: 0, big_key: 100000}`, ...old },
    beta2: { ...next },
  }, { admin, args: workers === 1 ? [] : ["--workers", String(workers)] });
  return { proxy, port: proxy.ports.alpha, admin };
}

/** Whether each process of each proxy says so of itself. */
export async function allAre(
  sites: Site[],
  // deno-lint-ignore no-explicit-any
  is: (status: any) => boolean,
): Promise<boolean> {
  const told = await Promise.all(sites.map(async ({ admin }) => {
    const { processes } = await (await fetch(`http://${admin}/migrate`)).json();
    return processes.every((one: unknown[] | null) => one !== null && is(one[0]));
  }));
  return told.every(Boolean);
}

/** `commit`, once all have agreed. */
export async function agree(sites: Site[], commit = "commit"): Promise<void> {
  await until(
    "all to agree",
    async () => await allAre(sites, ({ parked }) => parked) && await order(sites[0], commit) === "",
  );
}

/** What `ringmux migrate start` does, without a process of its own. */
export async function start(sites: Site[], commit = "commit"): Promise<void> {
  await untilPhase(sites, "prepare");
  assert.is(await order(sites[0], "start"), "");
  await agree(sites, commit);
}

/** In every process. */
export async function untilPhase(sites: Site[], phase: string): Promise<void> {
  await until(
    `the phase to be ${phase}`,
    () => allAre(sites, (status) => status?.phase === phase),
    60_000,
  );
}

/** The keys of a server that are clients'. */
export async function keysOf(server: ServerProcess): Promise<string[]> {
  const list = await exchange(server.port, "lru_crawler metadump hash\r\nquit\r\n");
  return [...list.matchAll(/^key=(\S+)/gm)].map(([, key]) => decodeURIComponent(key))
    .filter((key) => !key.startsWith("ringmux:migrate:"));
}

export function clients(sites: Site[], n: number): Knowing[] {
  const ports = (): number[] => sites.map(({ port }) => port);
  return Array.from({ length: n }, (_, i) => new Knowing(ports, `c${i}`, i % 3 === 2));
}

/** Until each client has been answered `n` commands more. */
export async function goOn(all: Knowing[], n = 60): Promise<void> {
  const before = all.map(({ answered }) => answered);
  await until(
    "all to go on",
    () => all.every(({ answered, wrong }, i) => answered >= before[i] + n || wrong.length > 0),
    60_000,
  );
}

export async function fill(port: number, n: number): Promise<void> {
  const wire = await Wire.open(port);
  for (let i = 0; i < n; i++) wire.send(`set ${i}:fill ${i} ${i % 2 * 5000} 5\r\nv${1000 + i}\r\n`);
  for (let i = 0; i < n; i++) assert.is(await wire.line(), "STORED\r\n");
  wire.close();
}

/** Every one of them is there, with its flags. */
export async function allThere(port: number, n: number): Promise<void> {
  const wire = await Wire.open(port);
  for (let i = 0; i < n; i++) {
    wire.send(`get ${i}:fill\r\n`);
    assert.is(await wire.line(), `VALUE ${i}:fill ${i} 5\r\n`);
    assert.is(await wire.readUntil("END\r\n"), `v${1000 + i}\r\nEND\r\n`);
  }
  wire.close();
}
