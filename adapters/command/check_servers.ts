// `ringmux -t --ask-servers`: asks the servers that pools are to follow (a Redis Cluster's, or Sentinels)
// whether all keys are served, without listening for clients.

import type { Config } from "../../core/config/schema.ts";
import type { Host } from "../../core/host.ts";
import type { Pool } from "../../core/pool.ts";
import { Proxy } from "../../core/proxy.ts";
import { slotRanges, viewCluster } from "../../core/topology/cluster_view.ts";
import { areAsked, judgeSentinels, type Verdict } from "./check_sentinels.ts";

/** How long (ms) somebody may take to tell. */
const PATIENCE = 5000;
const PAUSE = 20;

const SILENT = { error() {}, warn() {}, notice() {}, info() {}, debug() {} };

export async function checkServers(host: Host, config: Config): Promise<Verdict> {
  const proxy = new Proxy(host, config, { log: SILENT, stats: null, source: "" });
  try {
    const verdicts = await Promise.all(proxy.pools.map(judge));
    return {
      ok: verdicts.every(({ ok }) => ok),
      lines: verdicts.flatMap(({ lines }) => lines),
    };
  } finally {
    proxy.stop();
  }
}

/** Resolves when the pool has asked whom it follows, or has done so for too long. */
async function begun(pool: Pool, isDone: () => boolean): Promise<void> {
  const deadline = performance.now() + PATIENCE;
  pool.begin();
  while (!isDone() && performance.now() < deadline) {
    await new Promise((resolve) => setTimeout(resolve, PAUSE));
  }
}

async function judge(pool: Pool): Promise<Verdict> {
  const { cluster, watched, label } = pool;
  if (watched !== null) {
    const { topology } = watched;
    await begun(pool, () => areAsked(topology));
    return judgeSentinels(topology, label);
  }
  if (cluster === null) return { ok: true, lines: [] };
  const { topology } = cluster;
  await begun(pool, () => topology.known);
  const { slots, ownerless, unreachable, nodes, look } = viewCluster(topology);
  const say = (ok: boolean, text: string): Verdict => ({ ok, lines: [`${label}: ${text}`] });
  if (look.at === 0) {
    return say(false, `no node tells who has the slots: ${look.error || `none answers`}`);
  }
  const primaries = nodes.filter((node) => node.role === "primary" && node.slots > 0);
  const down = primaries.filter(({ failed }) => failed).map(({ name }) => name);
  const wrong = [
    ownerless > 0
      ? `${ownerless} ha${ownerless === 1 ? "s" : "ve"} no owner (${slotRanges(topology).get("")})`
      : "",
    unreachable > 0 ? `of ${unreachable} the owner is down (${down.join(", ")})` : "",
  ].filter((text) => text !== "");
  const plural = primaries.length === 1 ? "primary" : "primaries";
  const who = `${primaries.length} ${plural}, as ${look.from} says`;
  if (wrong.length === 0) return say(true, `all ${slots} slots are served by ${who}`);
  const served = slots - ownerless - unreachable;
  return say(false, `${served} of ${slots} slots are served by ${who}: ${wrong.join(", ")}`);
}
