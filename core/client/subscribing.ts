// A request to subscribe, until it is confirmed: every topic is to be settled before.

import type { Request } from "../exchange/request.ts";
import type { Topic, TopicWaiter } from "../exchange/topic.ts";

/** One confirmation. */
interface Line {
  readonly topic: Topic;
  readonly count: number;
}

/** Whose request it is. */
interface Owner {
  /** Confirms: every topic is settled. */
  answer(subscribing: Subscribing): void;
}

export class Subscribing implements TopicWaiter {
  /** Its place in the client's queue; null while it needs none. */
  request: Request | null;
  readonly topics: Set<Topic>;
  readonly lines: Line[];
  /** What is wrong with topics. */
  readonly errors: Map<Topic, Uint8Array>;
  /** How many of them are not settled, and one more while not all are asked for. */
  private left: number;
  private readonly owner: Owner;

  constructor(owner: Owner) {
    this.owner = owner;
    this.request = null;
    this.topics = new Set();
    this.lines = [];
    this.errors = new Map();
    this.left = 1;
  }

  add(topic: Topic): void {
    if (this.topics.has(topic)) return;
    this.topics.add(topic);
    if (topic.awaiting === 0) return;
    this.left++;
    topic.waiting.push(this);
  }

  /** Told once of each topic. */
  settled(topic: Topic, error: Uint8Array): void {
    if (!this.topics.has(topic)) return;
    if (error.length > 0) this.errors.set(topic, error);
    this.oneLess();
  }

  /** Every topic is asked for. */
  allAsked(): void {
    this.oneLess();
  }

  get isSettled(): boolean {
    return this.left === 0;
  }

  private oneLess(): void {
    if (--this.left === 0) this.owner.answer(this);
  }
}
