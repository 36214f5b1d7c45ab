// A proxy with a pool whose keys are to move, its command, and clients of every kind for the tests.

import * as assert from "uvu/assert";
import { knowingClients } from "./cluster_load.ts";
import { actors, goOn } from "./migrate_load.ts";
import {
  at,
  command,
  freePort,
  type ProxyProcess,
  run,
  type ServerProcess,
  startProxy,
  until,
  Wire,
} from "./harness.ts";

export interface Ring {
  servers: string[];
  [key: string]: string | string[];
}

export interface Setting {
  old: Ring;
  next: Ring;
  rate?: number;
  /** None if not said: where many tests run at once all answers come late. */
  latency?: number;
  bigKey?: number;
  workers?: number;
}

export interface Site {
  proxy: ProxyProcess;
  port: number;
  admin: string;
}

export async function startSite(
  { old, next, rate = 0, latency = 0, bigKey, workers = 1 }: Setting,
): Promise<Site> {
  const admin = `127.0.0.1:${await freePort()}`;
  const big = bigKey === undefined ? "" : `, big_key: ${bigKey}`;
  const proxy = await startProxy({
    alpha: {
      redis: true,
      migrate: `{to: beta2, rate: ${rate}, latency: ${latency}${big}}`,
      ...old,
    },
    beta2: { redis: true, ...next },
  }, { admin, args: workers === 1 ? [] : ["--workers", String(workers)] });
  return { proxy, port: proxy.ports.alpha, admin };
}

/** `ringmux migrate ...`; what it said, and its status. */
export async function migrate(
  sites: Site[],
  ...args: string[]
): Promise<{ said: string; status: number }> {
  const [program, first] = command();
  const admins = sites.flatMap(({ admin }) => ["--admin", admin]);
  const { code, stdout, stderr } = await run(program, [...first, "migrate", ...args, ...admins]);
  return { said: stdout + stderr, status: code };
}

// deno-lint-ignore no-explicit-any
export async function statusOf({ admin }: Site): Promise<any> {
  const reply = await fetch(`http://${admin}/migrate`);
  return (await reply.json()).processes[0]?.[0] ?? {};
}

/** Gives an order to a process; what is wrong with it. */
export async function order({ admin }: Site, what: string): Promise<string> {
  const url = `http://${admin}/migrate?pool=alpha&do=${what}`;
  return (await (await fetch(url, { method: "POST" })).json()).error;
}

export async function start(sites: Site[], ...more: string[]): Promise<void> {
  const { said, status } = await migrate(sites, "start", ...more);
  assert.is(status, 0, said);
}

export async function untilDone(sites: Site[]): Promise<void> {
  for (const site of sites) {
    await until(
      "the migration to be done",
      async () => (await statusOf(site)).phase === "done",
      60_000,
    );
  }
}

/** The keys of a server that are clients', in all databases. */
export async function keysOf(server: ServerProcess): Promise<string[]> {
  const wire = await Wire.open(server.port);
  const reply = await wire.ask("KEYS", "*");
  wire.close();
  return [...reply.matchAll(/\r\n([^$*\r\n][^\r\n]*)/g)].map(([, key]) => key)
    .filter((key) => !key.startsWith("ringmux:migrate:"));
}

export const rings = (servers: ServerProcess[], n: number): Ring => ({
  servers: servers.slice(0, n).map((server, i) => at(server, 1, `s${i}`)),
});

/** Clients of every kind while `meanwhile` happens; nothing wrong may be told to any of them. */
export async function underLoad(
  site: Site,
  meanwhile: () => Promise<void>,
  { db = 3 } = {},
): Promise<void> {
  const knowing = await knowingClients(site.port, 2);
  const others = await actors(site.port, db);
  for (const one of [...knowing, ...others]) one.begin();
  await goOn(others, 2);
  await meanwhile();
  await goOn(others, 2);
  await Promise.all([...knowing, ...others].map((one) => one.stop()));
  assert.equal(knowing.flatMap(({ wrong }) => wrong).slice(0, 3), []);
  assert.equal(others.flatMap(({ wrong }) => wrong).slice(0, 3), []);
}

export async function nothingAside(site: Site): Promise<void> {
  const status = await statusOf(site);
  assert.is(status.errors, 0, JSON.stringify(status));
  assert.is(status.aside, 0, JSON.stringify(status));
}
