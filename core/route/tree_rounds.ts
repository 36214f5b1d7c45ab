// SCAN over a front with pools whose keys move among their servers (rounds.ts): when the servers of its
// other pools have been walked over, all those pools are, each in rounds of its own that go on side by
// side. A pool's walk is over when nothing has changed in it since its last round.

import type { NodeView } from "../protocol/clustering.ts";
import type { Parking, Server } from "../server/server.ts";
import { type Round, type Rounds, RoundTable, VISITS, type Walking } from "./rounds.ts";

/** A round of each pool whose walk is not over. */
export interface TreeRound {
  readonly visits: readonly Server[];
  readonly parts: ReadonlyMap<Rounds, Round>;
}

export class TreeRounds implements Walking<TreeRound> {
  /** Those of the pools. */
  private readonly pools: () => readonly Rounds[];
  private readonly rounds: RoundTable<TreeRound>;

  constructor(pools: () => readonly Rounds[], random: (n: number) => number) {
    this.pools = pools;
    this.rounds = new RoundTable(random);
  }

  get parking(): Parking | null {
    return this.pools()[0]?.parking ?? null;
  }

  begin(): number {
    return this.open(new Map(this.pools().map((pool) => [pool, pool.begin()])));
  }

  /** `states`: where each pool's round begins. */
  private open(states: ReadonlyMap<Rounds, number>): number {
    const parts = new Map([...states].map(([pool, state]) => [pool, pool.of(state) as Round]));
    const visits = [...parts.values()].flatMap((round) => round.visits);
    return this.rounds.open(() => ({ visits, parts }));
  }

  of(state: number): TreeRound | null {
    return this.rounds.of(state);
  }

  visit(
    { visits, parts }: TreeRound,
    state: number,
  ): { readonly server: Server; readonly state: number } | null {
    for (let i = state % VISITS; i < visits.length; i++) {
      const server = visits[i];
      for (const pool of parts.keys()) {
        if (pool.isThere(server)) return { server, state: state - state % VISITS + i };
      }
    }
    return null;
  }

  witnessesOf(round: TreeRound | null): Server[] {
    const all = [...(round?.parts.keys() ?? this.pools())].map(({ witnesses }) => witnesses);
    // Without a word of one pool its keys would be missed.
    return all.some(({ length }) => length === 0) ? [] : all.flat();
  }

  hear(server: Server, reply: Uint8Array): void {
    for (const pool of this.pools()) if (pool.witnesses.includes(server)) pool.hear(server, reply);
  }

  next(
    { parts }: TreeRound,
    told: readonly { readonly from: Server; readonly views: readonly NodeView[] }[],
  ): number {
    const states = new Map<Rounds, number>();
    for (const [pool, round] of parts) {
      const { witnesses } = pool;
      const state = pool.next(round, told.filter(({ from }) => witnesses.includes(from)));
      if (state !== 0) states.set(pool, state);
    }
    return states.size === 0 ? 0 : this.open(states);
  }
}
