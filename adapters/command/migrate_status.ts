// What `ringmux migrate status` shows: what all processes of all proxies tell, added up.

import type { MigrationStatus } from "../control/control.ts";

/** The state of one process of one proxy. */
export interface Told {
  readonly admin: string;
  readonly status: MigrationStatus;
}

/** What is told of processes in several phases, the first that any is in. */
const MIXED = ["unknown", "barrier", "retreat", "prepare", "back", "move", "pull"] as const;

/** Alike in all of them, and of no use here. */
type Few = "plan" | "estimate" | "servers" | "addresses";

export interface Total extends Omit<MigrationStatus, Few> {
  readonly processes: number;
}

export function sum(all: readonly Told[]): Total {
  const copying = all.find(({ status }) => status.copying) ?? all[0];
  const { plan: _, estimate: _e, servers: _s, addresses: _a, ...status } = copying.status;
  const add = (of: (status: MigrationStatus) => number): number =>
    all.reduce((total, one) => total + of(one.status), 0);
  const phases = new Set(all.map((one) => one.status.phase));
  return {
    ...status,
    phase: phases.size === 1 ? status.phase : MIXED.find((one) => phases.has(one)) ?? "move",
    parked: all.every((one) => one.status.parked),
    keys: add(({ keys }) => keys),
    bytes: add(({ bytes }) => bytes),
    rate: Math.round(add(({ rate }) => rate)),
    errors: add(({ errors }) => errors),
    aside: add(({ aside }) => aside),
    waiting: add(({ waiting }) => waiting),
    told: [...new Set(all.flatMap((one) => one.status.told))],
    processes: all.length,
  };
}

export function shown(total: Total): string {
  const { rate } = total;
  const done = total.phase === "done" ? 1 : total.of === 0 ? 0 : total.seen / total.of;
  const full = Math.round(done * 30);
  const bar = "#".repeat(full) + "-".repeat(30 - full);
  const where = total.left.length === 0 ? "" : `, still on ${total.left.join(", ")}`;
  const moves = ["move", "back", "pull"].includes(total.phase);
  const left = rate > 0 && moves && done < 1
    ? `, about ${Math.ceil((total.of - total.seen) / rate)} s for this server`
    : "";
  return `[${bar}] ${total.phase}${total.paused ? " (paused)" : ""}: ${total.keys} keys, ` +
    `${(total.bytes / 1048576).toFixed(1)} MB, ${rate} keys/s${left}${where}\n` +
    (total.slowed ? `  slowed: it delays servers' answers by ${total.added} ms\n` : "") +
    (total.why === "" ? "" : `  ${total.why}\n`) +
    (total.errors === 0 ? "" : `  ${total.errors} errors\n`) +
    total.told.map((line) => `  ${line}\n`).join("");
}
