// What `ringmux migrate plan` shows: each server's part of the keys before and after, and, told from a
// sample, how many keys and bytes go from where to where.

import type { Estimate } from "../../core/exchange/estimate.ts";
import type { MigrationStatus } from "../control/control.ts";

/** Where keys are and where they go, for programs. */
export interface Plan {
  readonly pool: string;
  readonly to: string;
  readonly phase: string;
  readonly servers: readonly PlannedServer[];
  readonly flows: Estimate["flows"];
  readonly bigs: Estimate["bigs"];
  /** Why the servers cannot do it; "" if they can, or if it has begun already. */
  readonly wrong: string;
}

interface PlannedServer {
  readonly server: string;
  /** Its part of the keys (0 to 1), by the old ring and by the new one. */
  readonly before: number;
  readonly after: number;
  /** What it has now, as far as keys may leave it, and how many of them were looked at. */
  readonly keys: number;
  readonly bytes: number;
  readonly sampled: number;
  readonly loses: number;
  readonly gains: number;
}

export function planOf(status: MigrationStatus, wrong: string): Plan {
  const { pool, to, phase, plan, estimate } = status;
  const { servers = [], flows = [], bigs = [] } = estimate ?? {};
  const sum = (end: "from" | "to", name: string): number =>
    flows.reduce((keys, flow) => flow[end] === name ? keys + flow.keys : keys, 0);
  const all = plan.map(({ server, before, after }) => {
    const stock = servers.find((one) => one.server === server);
    const { keys = 0, bytes = 0, sampled = 0 } = stock ?? {};
    const [loses, gains] = [sum("from", server), sum("to", server)];
    return { server, before, after, keys, bytes, sampled, loses, gains };
  });
  return { pool, to, phase, servers: all, flows, bigs, wrong };
}

/** For people. */
export function shownPlan({ pool, to, phase, servers, flows, bigs, wrong }: Plan): string {
  const lines = [`pool "${pool}" to "${to}": phase ${phase}`];
  for (const { server, before, after, keys, loses, gains } of servers) {
    const parts = `${percent(before)} of the keys, then ${percent(after)}`;
    const way = loses > 0 ? `; loses ${count(loses)}` : gains > 0 ? `; gains ${count(gains)}` : "";
    lines.push(`  ${server}: ${parts}; has ${count(keys)} keys${way}`);
  }
  let [keys, bytes] = [0, 0];
  for (const flow of flows) {
    keys += flow.keys;
    bytes += flow.bytes;
    lines.push(
      `  ${flow.from} -> ${flow.to}: ${give(flow.keys, flow.keysError)} keys, ` +
        `${megabytes(flow.bytes)}${flow.bytesError > 0 ? ` ± ${megabytes(flow.bytesError)}` : ""}`,
    );
  }
  lines.push(`to move: about ${count(keys)} keys, ${megabytes(bytes)} as the servers count them`);
  const seen = servers.filter((one) => one.sampled > 0 && one.sampled < one.keys);
  for (const { server, sampled, keys: all } of seen) {
    lines.push(
      `  told from ${count(sampled)} of the ${count(all)} keys of ${server}; ± holds in 95 %`,
    );
  }
  for (const { server, key, bytes: size } of bigs) {
    lines.push(`  big: ${key} on ${server}, ${megabytes(size)}: goes last`);
  }
  if (phase === "prepare") lines.push(wrong === "" ? "the servers can do it" : wrong);
  return lines.map((line) => `${line}\n`).join("");
}

function give(keys: number, error: number): string {
  return error > 0 ? `${count(keys)} ± ${count(error)}` : count(keys);
}

/** With a comma after each three figures. */
function count(n: number): string {
  return String(n).replace(/\B(?=(\d{3})+$)/g, ",");
}

function megabytes(bytes: number): string {
  return `${(bytes / 1048576).toFixed(1)} MB`;
}

function percent(part: number): string {
  return `${(100 * part).toFixed(1)} %`;
}
