// How SCAN walks over a ring and then a Redis Cluster that the ring's keys move to: the first round is
// over the ring's servers, the next ones are the cluster's own.

import type { NodeView } from "../protocol/clustering.ts";
import type { Parking, Server } from "../server/server.ts";
import type { ClusterTopology } from "../topology/cluster.ts";
import { type Round, Rounds } from "./rounds.ts";

export class MovingRounds extends Rounds {
  private readonly old: () => readonly Server[];

  constructor(
    topology: ClusterTopology,
    random: (n: number) => number,
    parking: Parking | null,
    old: () => readonly Server[],
  ) {
    super(topology, random, parking);
    this.old = old;
  }

  override begin(): number {
    return this.open(this.old(), new Map(), new Set());
  }

  override isThere(server: Server): boolean {
    return this.old().includes(server) || super.isThere(server);
  }

  override next(
    round: Round,
    told: readonly { from: Server; views: readonly NodeView[] }[],
  ): number {
    const isFirst = round.visits.some((server) => this.old().includes(server));
    return isFirst ? super.begin() : super.next(round, told);
  }
}
