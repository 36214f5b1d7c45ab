// What `-t --ask-servers` says of a pool with `sentinels`: who the primaries are, which shards have none
// or a name that the Sentinels do not know, and which Sentinels do not answer.

import type { SentinelTopology } from "../../core/topology/sentinel.ts";
import { SERVED } from "../../core/topology/sentinel_shard.ts";

export interface Verdict {
  readonly ok: boolean;
  /** A line for each pool that follows its servers. */
  readonly lines: readonly string[];
}

/** Whether all that were asked have answered, or it is known why not. */
export function areAsked({ peers, shards }: SentinelTopology): boolean {
  return peers.every(({ answeredAt, error }) => answeredAt > 0 || error !== "") &&
    shards.every(({ state, trouble }) => state === SERVED || trouble !== "");
}

/** `label` names the pool. */
export function judgeSentinels(topology: SentinelTopology, label: string): Verdict {
  const { peers, shards } = topology;
  const well = peers.filter(({ answeredAt, isWell }) => answeredAt > 0 && isWell);
  const silent = peers.filter((peer) => !well.includes(peer));
  const faults: string[] = [];
  const notes: string[] = [];
  for (const { name, error, configured } of silent) {
    const text = `Sentinel ${name} does not answer: ${error || "nothing came in time"}`;
    // Sentinels remember for ever who has once been one of them.
    if (configured) faults.push(text);
    else notes.push(`${text} (others name it, the file does not)`);
  }
  const served: string[] = [];
  for (const { name, state, isDown, candidate, trouble } of shards) {
    const refusals = well.flatMap((peer) => {
      const view = peer.views.get(name);
      return typeof view === "string" ? [`Sentinel ${peer.name}: ${view}`] : [];
    });
    const primary = `${candidate.host}:${candidate.port}`;
    const why = trouble || (isDown ? "the Sentinels say it is down" : "it does not answer");
    if (refusals.length > 0) faults.push(`server "${name}": ${refusals.join(", ")}`);
    else if (state === SERVED && !isDown) served.push(`"${name}" by ${primary}`);
    else faults.push(`server "${name}" has no primary: ${primary}: ${why}`);
  }
  const lines = [...faults, ...notes].map((text) => `${label}: ${text}`);
  if (well.length === 0) {
    lines.push(`${label}: no Sentinel tells who the primaries are`);
  } else {
    const says = well.length === 1 ? "1 Sentinel says" : `${well.length} Sentinels say`;
    const who = served.length === 0 ? "" : `: ${served.join(", ")}`;
    const all = `${served.length} of ${shards.length} servers have a primary`;
    lines.push(`${label}: ${all}, as ${says}${who}`);
  }
  return { ok: faults.length === 0 && well.length > 0, lines };
}
