// A channel or pattern that clients of a pool are subscribed to.

import { EMPTY } from "../bytes.ts";
import { HEARD, type Subscriber } from "../server/subscriber.ts";

/** A client that hears topics. */
export interface Hearer {
  /** A message of `topic`, as its server has sent it; the buffer is borrowed. */
  hear(topic: Topic, buf: Uint8Array, start: number, end: number): void;
}

/** Somebody who waits until a topic is confirmed by all servers concerned. */
export interface TopicWaiter {
  /** `error` is empty when it is heard somewhere. */
  settled(topic: Topic, error: Uint8Array): void;
}

export class Topic {
  readonly kind: number;
  /** A byte string. */
  readonly name: string;
  readonly clients: Set<Hearer>;
  /** How it stands at each server concerned: see subscriber.ts. */
  readonly states: Map<Subscriber<Topic>, number>;
  /** How many servers are to confirm it. */
  awaiting: number;
  /** Of the last server that did not. */
  error: Uint8Array;
  /** Since when (pool time) it is asked for in vain; -1 if it is not. */
  triedSince: number;
  /** Clients that are told when it is settled. */
  waiting: TopicWaiter[];

  constructor(kind: number, name: string) {
    this.kind = kind;
    this.name = name;
    this.clients = new Set();
    this.states = new Map();
    this.awaiting = 0;
    this.error = EMPTY;
    this.triedSince = -1;
    this.waiting = [];
  }

  isHeard(): boolean {
    for (const state of this.states.values()) if (state === HEARD) return true;
    return false;
  }

  /** How many servers have it. */
  get known(): number {
    let n = 0;
    for (const state of this.states.values()) if (state === HEARD) n++;
    return n;
  }
}
