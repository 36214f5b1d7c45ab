// Who is the primary of one shard, as Sentinels say, and whether it says so itself.
//
//   | state     | event                                                 | next                     |
//   | SEEKING   | the one that Sentinels name says it is a primary      | SERVED                   |
//   | SERVED    | a request is refused, a connection is lost            | SEEKING                  |
//   | SERVED    | Sentinels name another one, with a higher epoch       | SEEKING                  |
//   | SERVED    | a replica is about to be promoted                     | HELD                     |
//   | HELD      | it is; another one is named                           | SEEKING, of that one     |
//   | HELD      | that is called off, or takes too long                 | SEEKING                  |
//
// What is asked for while it is not SERVED waits (exchange/park.ts). No Sentinel: the last one stays.

import type { Address } from "../host.ts";
import type { Place, ReplicaView, Sentinels, SentinelView } from "../protocol/sentinels.ts";
import type { Server } from "../server/server.ts";
import { type AnswerHearer, Asker, type AskerContext } from "./asker.ts";

export const SEEKING = 0;
export const SERVED = 1;
export const HELD = 2;

/** How long (ms) a promotion may take. */
const PROMOTION = 5000;
/** A lower epoch counts when all say so, so many times: somebody has begun anew. */
const AGREED = 3;

export interface ShardHearer {
  /** `address` says that it is the primary. */
  found(shard: SentinelShard, address: Address): void;
  /** It says it is not, or nothing. `isNews`: not what was said last. */
  refused(shard: SentinelShard, address: Address, why: string, isNews: boolean): void;
}

export class SentinelShard implements AnswerHearer {
  readonly name: string;
  readonly server: Server;
  state: number;
  /** Of what the Sentinels have agreed on, as far as we have followed. */
  epoch: number;
  /** Who is to be asked whether it is the primary. */
  candidate: Address;
  /** The Sentinels agree that it is down. */
  isDown: boolean;
  /** It was never SERVED. */
  isNew: boolean;
  replicas: readonly ReplicaView[];
  /** What Sentinels, or the candidate, said last that does not help; "" for nothing. */
  trouble: string;
  /** Who has refused last since there was a primary, and why. */
  private told: string;
  private readonly words: Sentinels;
  private readonly hearer: ShardHearer;
  private readonly asker: Asker;
  private heldSince: number;
  private lower: number;

  constructor(context: AskerContext, words: Sentinels, hearer: ShardHearer, server: Server) {
    this.name = server.name;
    this.server = server;
    this.state = SEEKING;
    this.epoch = -1;
    this.candidate = server.address;
    this.isDown = false;
    this.isNew = true;
    this.replicas = [];
    this.trouble = "";
    this.told = "";
    this.words = words;
    this.hearer = hearer;
    this.asker = new Asker(context, this, `server "${server.name}": role`);
    this.heldSince = 0;
    this.lower = 0;
  }

  /** What all reachable Sentinels say, one view of each. */
  judge(views: readonly SentinelView[]): void {
    const best = bestOf(views);
    if (best !== null) this.hear(best, views);
    if (this.state === SEEKING) this.check();
  }

  private hear(best: SentinelView, views: readonly SentinelView[]): void {
    this.replicas = best.replicas;
    const isOther = !isAt(this.candidate, best.primary);
    if (best.epoch < this.epoch) {
      const alike = views.every(({ primary }) => samePlace(primary, best.primary));
      this.lower = alike ? this.lower + 1 : 0;
      if (this.lower < AGREED) return;
    } else if (best.epoch === this.epoch) {
      // One server under two names, perhaps: only if the one that we know is no primary.
      this.lower = 0;
      if (isOther && this.state === SEEKING && this.trouble !== "") this.seek(best.primary);
      return;
    }
    this.lower = 0;
    this.epoch = best.epoch;
    if (isOther) this.seek(best.primary);
  }

  /** Other Sentinels are asked from now on: what they say counts, whatever its epoch. */
  beginAnew(): void {
    this.epoch = -1;
    this.lower = 0;
  }

  /** Another one is said to be the primary. */
  private seek(primary: Place): void {
    this.state = SEEKING;
    this.trouble = "";
    this.candidate = addressOf(primary);
  }

  /** What the old primary takes from now on may be lost. */
  hold(now: number): void {
    if (this.state !== SERVED) return;
    this.state = HELD;
    this.heldSince = now;
  }

  /** There is no promotion after all. */
  release(): void {
    if (this.state !== HELD) return;
    this.state = SEEKING;
    this.check();
  }

  /** It may be none any more. */
  doubt(): void {
    if (this.state === SERVED) this.state = SEEKING;
  }

  tick(now: number, late: number): void {
    this.asker.tick(now, late);
    if (this.state === HELD && now - this.heldSince > PROMOTION) this.release();
  }

  private check(): void {
    if (!this.asker.isAskingAt(this.candidate)) {
      this.asker.ask(this.candidate, [this.words.role]);
    }
  }

  answered(from: Address, [answer]: readonly Uint8Array[]): void {
    const why = this.words.readRole(answer);
    if (why !== "") return this.failed(from, why);
    if (this.state !== SEEKING) return;
    this.trouble = "";
    this.told = "";
    this.hearer.found(this, from);
  }

  failed(from: Address, why: string): void {
    if (this.state !== SEEKING) return;
    this.trouble = why;
    const said = `${from.host}:${from.port} ${why}`;
    const isNews = said !== this.told;
    this.told = said;
    this.hearer.refused(this, from, why, isNews);
  }

  stop(): void {
    this.asker.stop();
  }
}

/** The view with the highest epoch, whoever answered first (redis#13335). */
export function bestOf(views: readonly SentinelView[]): SentinelView | null {
  let best: SentinelView | null = null;
  for (const view of views) if (best === null || view.epoch > best.epoch) best = view;
  return best;
}

export function addressOf({ host, port }: Place): Address {
  return { host, port, path: "", mode: -1 };
}

function samePlace(a: Place, b: Place): boolean {
  return a.host === b.host && a.port === b.port;
}

function isAt({ host, port }: Address, place: Place): boolean {
  return samePlace({ host, port }, place);
}
