// SCAN over servers among which keys move: which servers are still to be walked over, so that every
// key that is there throughout is seen at least once. A walk goes in *rounds*. The first goes over all
// servers. Then they are asked what has changed since it began, and the next round goes over those
// that have got keys meanwhile; until nothing has changed.
//
// A slot that is on its way has keys at two servers. A key that goes from one to the other is seen if
// the one it leaves is walked over before the one it goes to: then nothing of that slot is to be done
// again, as long as it stays on its way. Knows no client; exchange/walk_rounds.ts asks and answers.

import type { NodeView } from "../protocol/clustering.ts";
import type { Parking, Server } from "../server/server.ts";
import type { ClusterTopology } from "../topology/cluster.ts";
import { type Node, SLOTS } from "../topology/slot_map.ts";

/**
 * A round's number, and which of its servers, are a number below this. Those below FIRST are of no round:
 * 0 is the beginning, the others are places of plain pools (tree_rounds.ts).
 */
export const STATES = 1 << 24;
export const FIRST = 1 << 16;
/** Most servers of a round. */
export const VISITS = 256;
/** Rounds that are remembered in a pool; one that is forgotten begins anew. */
const MOST_ROUNDS = 1024;

/** How servers are walked over in rounds; R: one of them. */
export interface Walking<R> {
  /** Where a request waits whose server is not there. */
  readonly parking: Parking | null;
  begin(): number;
  of(state: number): R | null;
  visit(round: R, state: number): { readonly server: Server; readonly state: number } | null;
  /** Whom to ask when a round is over; of null, before one begins. None: nobody knows of any server. */
  witnessesOf(round: R | null): readonly Server[];
  hear(server: Server, reply: Uint8Array): void;
  next(
    round: R,
    told: readonly { readonly from: Server; readonly views: readonly NodeView[] }[],
  ): number;
}

export interface Round {
  readonly number: number;
  readonly visits: readonly Server[];
  /** What was known when it began: how many moves, the nodes' epochs, slots on their way. */
  readonly moves: number;
  readonly epochs: ReadonlyMap<string, number>;
  readonly arriving: ReadonlySet<string>;
  /** How many connections each server had lost: one that was started anew has other cursors. */
  readonly losses: ReadonlyMap<Server, number>;
}

function lossesOf({ counters }: Server): number {
  return counters.server_eof + counters.server_err + counters.server_timedout;
}

/** Rounds by their numbers, those that were asked for last: of others nobody knows any more. */
export class RoundTable<R> {
  /** The one that was used last at the end. */
  private readonly rounds: Map<number, R>;
  private readonly random: (n: number) => number;

  constructor(random: (n: number) => number) {
    this.rounds = new Map();
    this.random = random;
  }

  /** Takes one in; returns the state at which it begins. `make` is given its number. */
  open(make: (number: number) => R): number {
    const { rounds } = this;
    const first = FIRST / VISITS;
    const count = STATES / VISITS - first;
    let nth = this.random(count);
    while (rounds.has(first + nth)) nth = (nth + 1) % count;
    const number = first + nth;
    rounds.set(number, make(number));
    if (rounds.size > MOST_ROUNDS) rounds.delete(rounds.keys().next().value as number);
    return number * VISITS;
  }

  /** The round of a state; null: nobody knows it (any more). */
  of(state: number): R | null {
    const number = Math.floor(state / VISITS);
    const round = this.rounds.get(number) ?? null;
    if (round === null) return null;
    this.rounds.delete(number);
    this.rounds.set(number, round);
    return round;
  }
}

/** A slot that is on its way. */
interface Arrival {
  readonly key: string;
  readonly from: Node | null;
  readonly to: Node;
}

export class Rounds implements Walking<Round> {
  private readonly topology: ClusterTopology;
  /** Where a request waits whose server is not there. */
  readonly parking: Parking | null;
  private readonly rounds: RoundTable<Round>;

  constructor(
    topology: ClusterTopology,
    random: (n: number) => number,
    parking: Parking | null,
  ) {
    this.parking = parking;
    this.topology = topology;
    this.rounds = new RoundTable(random);
  }

  /** The state at which a walk begins. */
  begin(): number {
    const { map, sight } = this.topology;
    const counts = map.counts();
    const servers = map.nodes.flatMap((node, number) =>
      node !== null && counts[number] > 0 ? [node.server] : []
    );
    return this.open(servers, sight.highest, new Set());
  }

  protected open(
    visits: readonly Server[],
    epochs: ReadonlyMap<string, number>,
    arriving: ReadonlySet<string>,
  ): number {
    const { moves } = this.topology.map;
    const losses = new Map(this.witnesses.map((server) => [server, lossesOf(server)]));
    return this.rounds.open((number) => ({ number, visits, moves, epochs, arriving, losses }));
  }

  /** The round of a state; null: nobody knows it (any more). */
  of(state: number): Round | null {
    return this.rounds.of(state);
  }

  /** The server to walk over; null: the round is over. Those that have gone are passed over. */
  visit(
    { visits }: Round,
    state: number,
  ): { readonly server: Server; readonly state: number } | null {
    for (let i = state % VISITS; i < visits.length; i++) {
      const server = visits[i];
      if (this.isThere(server)) return { server, state: state - state % VISITS + i };
    }
    return null;
  }

  isThere(server: Server): boolean {
    return this.topology.map.nodes.some((node) => node?.server === server && !node.failed);
  }

  witnessesOf(): Server[] {
    return this.witnesses;
  }

  get witnesses(): Server[] {
    return this.topology.map.nodes.flatMap((node) =>
      node === null || node.failed ? [] : [node.server]
    );
  }

  /** A server has told what it knows of all. */
  hear({ address }: Server, reply: Uint8Array): void {
    this.topology.told(address, reply);
  }

  /** All have told what they know: the state at which it goes on; 0: the walk is over. */
  next(round: Round, told: readonly { from: Server; views: readonly NodeView[] }[]): number {
    const epochs = new Map<string, number>();
    for (const { views } of told) {
      for (const { id, epoch } of views) epochs.set(id, Math.max(epoch, epochs.get(id) ?? -1));
    }
    const arrivals = told.flatMap(({ from, views }) => this.arrivals(from, views));
    const first = new Set<Server>();
    const then = new Set<Server>();
    const { map } = this.topology;
    for (let slot = 0; slot < SLOTS; slot++) {
      const node = map.moved[slot] > round.moves ? map.nodes[map.owners[slot]] : null;
      if (node !== null) then.add(node.server);
    }
    for (const node of map.nodes) {
      if (node === null) continue;
      const { id, server } = node;
      const isOther = (epochs.get(id) ?? 0) > (round.epochs.get(id) ?? -1);
      if (isOther || lossesOf(server) > (round.losses.get(server) ?? 0)) then.add(server);
    }
    for (const arrival of arrivals) {
      if (this.isSeen(round, arrival)) continue;
      if (arrival.from !== null) first.add(arrival.from.server);
      then.add(arrival.to.server);
    }
    if (then.size === 0) return 0;
    const arriving = new Set(arrivals.map(({ key }) => key));
    return this.open([...first, ...then], epochs, arriving);
  }

  /** Whether a key that has gone that way in the round was seen here or there. */
  private isSeen({ visits, arriving }: Round, { key, from, to }: Arrival): boolean {
    if (!arriving.has(key) || from === null) return false;
    const at = visits.indexOf(from.server);
    return at >= 0 && visits.lastIndexOf(to.server) > at;
  }

  private arrivals(from: Server, views: readonly NodeView[]): Arrival[] {
    const { nodes } = this.topology.map;
    const to = nodes.find((node) => node?.server === from) ?? null;
    if (to === null) return [];
    return views.flatMap(({ arriving }) => arriving).map(({ slot, from: id }) => {
      const source = nodes.find((node) => node?.id === id) ?? null;
      return { key: `${slot} ${id} ${to.id}`, from: source, to };
    });
  }
}
