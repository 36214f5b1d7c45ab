// Replication of Redis and Valkey, as INFO tells of it, and the errors of replicas.
// https://redis.io/docs/latest/commands/info/

import { bytes, text } from "../../bytes.ts";
import {
  NO_REFUSAL,
  PRIMARYS,
  type Replication,
  type ReplicationView,
  UNABLE,
} from "../replication.ts";

const INFO = bytes("*2\r\n$4\r\nINFO\r\n$11\r\nreplication\r\n");
const LOADING = bytes("*2\r\n$4\r\nINFO\r\n$11\r\npersistence\r\n");
/** Valkey has `availability_zone` there (8.1 and newer). */
const ZONE = bytes("*2\r\n$4\r\nINFO\r\n$6\r\nserver\r\n");
const NODES = bytes("*2\r\n$7\r\nCLUSTER\r\n$5\r\nNODES\r\n");

/** Longest error that is looked at. */
const LONGEST = 512;

/** NOSCRIPT: scripts are not replicated. READONLY: EVAL_RO and its kind do not write, others might. */
const WORDS: ReadonlyMap<string, number> = new Map([
  ...["LOADING", "MASTERDOWN", "CLUSTERDOWN"].map((word) => [word, UNABLE] as const),
  ...["MOVED", "ASK", "TRYAGAIN", "NOSCRIPT", "READONLY"].map((word) => [word, PRIMARYS] as const),
]);

function field(all: string, name: string): string {
  return new RegExp(`(?:^|\n)${name}:([^\r\n]*)`).exec(all)?.[1] ?? "";
}

/** `[93-<-node]` and `[77->-node]` in the line of the node that was asked. */
function movingSlots(all: string): number[] {
  const line = /(?:^|\n)[^\n]* (?:[^ \n]*,)?myself[, ][^\n]*/.exec(all)?.[0] ?? "";
  return [...line.matchAll(/\[(\d+)-[<>]-/g)].map(([, slot]) => Number(slot));
}

function read(replies: readonly string[]): ReplicationView | null {
  const all = replies.join("\n");
  const role = field(all, "role");
  if (role === "") return null;
  const primary = role === "master";
  const offset = field(all, primary ? "master_repl_offset" : "slave_repl_offset");
  return {
    primary,
    linked: primary || field(all, "master_link_status") === "up",
    loading: field(all, "loading") === "1" || field(all, "master_sync_in_progress") === "1",
    history: field(all, "master_replid"),
    offset: /^\d+$/.test(offset) ? Number(offset) : -1,
    zone: field(all, "availability_zone"),
    moving: movingSlots(all),
  };
}

export const REPLICATION: Replication = {
  questions: (zones, slots) => [INFO, LOADING, ...(zones ? [ZONE] : []), ...(slots ? [NODES] : [])],
  read,
  readOnly: { bytes: bytes("*1\r\n$8\r\nREADONLY\r\n"), replies: 1 },
  refusal(buf, start, end) {
    if (end - start > LONGEST) return NO_REFUSAL;
    const word = text(buf, start + 1, end).split(/[ \r]/, 1)[0];
    return WORDS.get(word) ?? NO_REFUSAL;
  },
};
