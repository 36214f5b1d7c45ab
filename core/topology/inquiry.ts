// Questions of people to a cluster's nodes (what CLUSTER INFO says): over a link of their own, one at a
// time, beside requests and the map.

import type { Address } from "../host.ts";
import type { ServerContext } from "../server/context.ts";
import { type AnswerHearer, Asker, linksToServers } from "./asker.ts";

/** Most questions that wait for their turn. */
const MOST = 16;

export interface Told {
  /** host:port of the node. */
  readonly from: string;
  readonly reply: Uint8Array;
}

interface Waiting {
  readonly address: Address;
  readonly request: Uint8Array;
  resolve(told: Told): void;
  reject(error: Error): void;
}

export class Inquiry implements AnswerHearer {
  private readonly asker: Asker;
  /** The first is being asked. */
  private waiting: Waiting[];

  constructor(context: ServerContext) {
    this.asker = new Asker(linksToServers(context), this, "cluster question");
    this.waiting = [];
  }

  ask(address: Address, request: Uint8Array): Promise<Told> {
    if (this.waiting.length >= MOST) {
      return Promise.reject(new Error(`${MOST} questions to the cluster wait already`));
    }
    return new Promise((resolve, reject) => {
      this.waiting.push({ address, request, resolve, reject });
      if (this.waiting.length === 1) this.asker.ask(address, [request]);
    });
  }

  tick(now: number, late: number): void {
    this.asker.tick(now, late);
  }

  answered({ host, port }: Address, [reply]: readonly Uint8Array[]): void {
    this.next()?.resolve({ from: `${host}:${port}`, reply });
  }

  failed({ host, port }: Address, why: string): void {
    this.next()?.reject(new Error(`${host}:${port}: ${why}`));
  }

  /** The one that was asked is done with. */
  private next(): Waiting | undefined {
    const [done, next] = this.waiting.splice(0, 1).concat(this.waiting.slice(0, 1));
    if (next !== undefined) this.asker.ask(next.address, [next.request]);
    return done;
  }

  stop(): void {
    this.asker.stop();
    for (const { reject } of this.waiting.splice(0)) reject(new Error("the pool stops"));
  }
}
