// One Sentinel: what it has said last of every shard, when, and whether its events are heard.

import type { Address } from "../host.ts";
import type { SentinelEvent, Sentinels, SentinelView } from "../protocol/sentinels.ts";
import { type AnswerHearer, Asker, type AskerContext } from "./asker.ts";
import { EventEar } from "./event_ear.ts";

/** How long (ms) until it is asked again: while its events are heard, and while they are not. */
const HEARD = 10_000;
const UNHEARD = 1000;

/** Who hears what a Sentinel says. */
export interface PeerHearer {
  readonly names: readonly string[];
  said(peer: SentinelPeer): void;
  /** It does not answer; `isNews`: or not for the same reason as before. */
  silent(peer: SentinelPeer, why: string, isNews: boolean): void;
  happened(peer: SentinelPeer, event: SentinelEvent): void;
}

export class SentinelPeer implements AnswerHearer {
  readonly address: Address;
  /** host:port */
  readonly name: string;
  /** It stands in the configuration. */
  configured: boolean;
  /** What it calls itself; "" until it has told. */
  id: string;
  isTilted: boolean;
  /** It has answered the last question, or was never asked. */
  isWell: boolean;
  /** Wall clock (ms) of its last answer; 0: none yet. */
  answeredAt: number;
  /** Why the last question was in vain; "" when it was not. */
  error: string;
  /** By shard: what it says, or why it does not. */
  readonly views: Map<string, SentinelView | string>;
  /** How many rounds in a row nobody has named it. */
  missing: number;
  dueAt: number;
  askedAt: number;
  private readonly context: AskerContext;
  private readonly words: Sentinels;
  private readonly hearer: PeerHearer;
  private readonly asker: Asker;
  private readonly ear: EventEar;
  /** Of whom was asked. */
  private asked: readonly string[];

  constructor(
    context: AskerContext,
    words: Sentinels,
    hearer: PeerHearer,
    address: Address,
    configured: boolean,
  ) {
    this.address = address;
    this.name = `${address.host}:${address.port}`;
    this.configured = configured;
    this.id = "";
    this.isTilted = false;
    this.isWell = true;
    this.answeredAt = 0;
    this.error = "";
    this.views = new Map();
    this.missing = 0;
    this.dueAt = 0;
    this.askedAt = -Infinity;
    this.context = context;
    this.words = words;
    this.hearer = hearer;
    this.asker = new Asker(context, this, `Sentinel ${this.name}`);
    this.ear = new EventEar(context, words, address, (event) => hearer.happened(this, event));
    this.asked = [];
  }

  get isAsking(): boolean {
    return this.asker.isAsking;
  }

  get isSubscribed(): boolean {
    return this.ear.hears;
  }

  /** `soonest`: while there is a shard without a primary. */
  tick(now: number, late: number, soonest: number): void {
    this.asker.tick(now, late);
    this.ear.tick(now, late);
    const pause = Math.min(soonest, this.ear.hears ? HEARD : UNHEARD);
    if (!this.isAsking && (now >= this.dueAt || now >= this.askedAt + pause)) this.ask();
  }

  ask(): void {
    const { words, hearer, context } = this;
    this.askedAt = context.host.now();
    this.dueAt = Infinity;
    this.asked = hearer.names;
    const questions = this.asked.flatMap((name) => words.questions(name));
    this.asker.ask(this.address, [...words.selfQuestions, ...questions]);
  }

  answered(_from: Address, answers: readonly Uint8Array[]): void {
    const { words, asked } = this;
    const about = words.selfQuestions.length;
    const each = (answers.length - about) / asked.length;
    const { id, isTilted } = words.readSelf(answers.slice(0, about));
    this.id = id;
    this.isTilted = isTilted;
    this.views.clear();
    for (const [i, name] of asked.entries()) {
      const from = about + i * each;
      this.views.set(name, words.readView(answers.slice(from, from + each)));
    }
    this.isWell = true;
    this.answeredAt = this.context.host.wallClock();
    this.error = "";
    this.hearer.said(this);
  }

  failed(_from: Address, why: string): void {
    const isNews = why !== this.error;
    this.isWell = false;
    this.error = why;
    this.hearer.silent(this, why, isNews);
  }

  stop(): void {
    this.asker.stop();
    this.ear.stop();
  }
}
