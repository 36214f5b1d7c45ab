// What the nodes of a cluster say themselves, for people: CLUSTER INFO, NODES, SLOTS and SHARDS.

import { text } from "../bytes.ts";
import type { Clustering } from "../protocol/clustering.ts";
import type { ClusterTopology } from "./cluster.ts";

export interface ClusterAnswer {
  /** host:port of the node that says it. */
  readonly from: string;
  /** A text, or lists of texts and numbers. */
  readonly answer: unknown;
}

/** Rejects when nobody knows the question, or no node answers it. */
export async function askCluster(
  topology: ClusterTopology,
  { questions, readAnswer }: Clustering,
  what: string,
): Promise<ClusterAnswer> {
  const known = Object.keys(questions);
  if (!known.includes(what)) throw new Error(`what "${what}" is not known (${known.join(", ")})`);
  const { from, reply } = await topology.inquire(questions[what]);
  const answer = readAnswer(reply);
  if (answer !== undefined) return { from, answer };
  throw new Error(`${from}: ${text(reply, 0, Math.min(reply.length, 200)).trim()}`);
}
