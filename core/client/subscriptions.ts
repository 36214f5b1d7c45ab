// What one client is subscribed to, and the messages for it. A message goes between replies, never
// into one, and not before the client has been told that it is subscribed.

import { bytes } from "../bytes.ts";
import { mainOf } from "../server/server.ts";
import { CLASS_READ } from "../stats/latency.ts";
import { OutBuffer } from "../wire/out_buffer.ts";
import type { User } from "../protocol/user.ts";
import type { Scan } from "../protocol/codec.ts";
import { KINDS, PATTERN, type Publishing, SHARD } from "../protocol/publishing.ts";
import type { ClientContext } from "./context.ts";
import { LATER, TAKEN } from "./modes/taken.ts";
import { type Caller, SPECIAL } from "../exchange/request.ts";
import { inSlices, SLICE } from "../exchange/in_slices.ts";
import type { Hearer, Topic } from "../exchange/topic.ts";
import { Subscribing } from "./subscribing.ts";

/** Of `pubsub_output_limit`: who has more than this unread for so long (ms) is cut off, as in Redis. */
const SOFT_SHARE = 0.25;
const SOFT_TIME = 60_000;

/** A client, as far as it hears topics. */
export interface SubscribedClient extends Caller, Hearer {
  readonly context: ClientContext;
  /** What it is subscribed to; null until it first is. */
  subscriptions: Subscriptions | null;
  /** A reply has gone to it in part. */
  readonly isAmidReply: boolean;
  /** Takes no further requests until all earlier ones are answered, but sees it when it leaves. */
  emptyListening(): void;
  /** The session, the hold or the subscriptions are others now. */
  settleMode(): void;
  /** Gives on every reply that is ready at the head of its queue. */
  advance(): void;
}

/** A request about topics. */
export function subscribed(
  client: SubscribedClient,
  scan: Scan,
  buf: Uint8Array,
  at: number,
): number {
  const words = client.context.codec.publishing as Publishing;
  const subscriptions = client.subscriptions ??= new Subscriptions(client);
  const kind = words.kindOf(scan);
  const names = words.names(scan, buf, at);
  const refusal = words.subscribes(scan) ? refusalOf(client, kind, names) : "";
  if (refusal !== "") {
    client.answer(client.codec.failure(refusal));
  } else if (!words.subscribes(scan)) {
    subscriptions.unsubscribe(kind, names);
  } else {
    // The requests that follow wait until it is confirmed, and it for those before it.
    if (client.head !== null) return LATER;
    subscriptions.subscribe(kind, names, scan.verb);
  }
  client.settleMode();
  return TAKEN;
}

/** Why a channel cannot be heard whose route is no server; "" if all can. */
function refusalOf(client: SubscribedClient, kind: number, names: readonly string[]): string {
  const { route, codec } = client.context;
  if (!route.tells) return "";
  const words = codec.publishing as Publishing;
  const broadcasts = route.redirects?.broadcasts ?? false;
  for (const name of names) {
    if (words.isEverywhere(kind, name, broadcasts)) continue;
    const key = bytes(name);
    const target = mainOf(route.pick(key, 0, key.length, CLASS_READ));
    if (!target.available && target.parking !== null) return target.reason;
  }
  return "";
}

export class Subscriptions {
  private readonly client: SubscribedClient;
  private readonly words: Publishing;
  /** By kind: topics by name. */
  private readonly topics: Map<string, Topic>[];
  /** The request that is not confirmed yet. */
  private subscribing: Subscribing | null;
  /** Topics it does not hear any more, which are still to be told so. */
  private leaving: number;
  /** Messages that have to wait; null while there are none. */
  private held: OutBuffer | null;
  /** Since when (pool time) more is unread than may be for long; -1 when it is not. */
  private slowSince: number;

  constructor(client: SubscribedClient) {
    this.client = client;
    this.words = client.context.codec.publishing as Publishing;
    this.topics = [];
    for (let kind = 0; kind < KINDS; kind++) this.topics.push(new Map());
    this.subscribing = null;
    this.leaving = 0;
    this.held = null;
    this.slowSince = -1;
  }

  get total(): number {
    let sum = 0;
    for (let kind = 0; kind < KINDS; kind++) sum += this.topics[kind].size;
    return sum;
  }

  /** Whether the user may hear all of it. */
  allowedTo(user: User): boolean {
    return this.topics.every((table, kind) =>
      [...table.keys()].every((name) => this.words.mayHear(user, kind, name))
    );
  }

  get heldBytes(): number {
    return this.held === null ? 0 : this.held.size;
  }

  /** How the client's `bytes` unread are too many; "" if they are not. */
  tooSlow(bytes: number, most: number, now: number): string {
    if (bytes > most) return " in time";
    if (bytes <= most * SOFT_SHARE) this.slowSince = -1;
    else if (this.slowSince < 0) this.slowSince = now;
    else if (now - this.slowSince >= SOFT_TIME) return ` for ${SOFT_TIME / 1000} s`;
    return "";
  }

  /** Nothing is unread any more. */
  allRead(): void {
    this.slowSince = -1;
  }

  /** Redis counts channels and patterns together, and channels of shards by themselves. */
  private count(kind: number): number {
    const { topics } = this;
    return kind === SHARD ? topics[SHARD].size : topics[0].size + topics[PATTERN].size;
  }

  subscribe(kind: number, names: readonly string[], verb: number): void {
    const { client } = this;
    const { context } = client;
    this.release();
    const table = this.topics[kind];
    const subscribing = this.subscribing = new Subscribing(this);
    const { lines, errors } = subscribing;
    const ask = (i: number): void => {
      if (client.isFinishing) return;
      const name = names[i];
      let topic = table.get(name);
      if (topic === undefined) {
        topic = context.topics.join(client, kind, name);
        table.set(name, topic);
        subscribing.add(topic);
      } else if (topic.awaiting > 0) subscribing.add(topic);
      lines.push({ topic, count: this.count(kind) });
      if (topic.awaiting === 0 && topic.states.size === 0) {
        errors.set(topic, context.codec.failure("Connection refused"));
      }
    };
    this.work(names.length, ask, () => {
      if (client.isFinishing) return;
      this.tell();
      subscribing.allAsked();
      if (subscribing.isSettled) return;
      const request = context.requests.take(client);
      request.kind = SPECIAL;
      request.verb = verb;
      client.push(request);
      subscribing.request = request;
      client.emptyListening();
    });
  }

  /** Does `step` for each of `n`; the client is not read until `done`. */
  private work(n: number, step: (i: number) => void, done: () => void): void {
    const { client } = this;
    if (n > SLICE) client.stopForWork();
    inSlices(client.context, n, step, () => {
      done();
      if (n > SLICE) client.workDone();
    });
  }

  /** Confirms. */
  answer({ request, lines, errors }: Subscribing): void {
    const { client, words } = this;
    const { session } = client;
    const out: Uint8Array[] = [];
    this.work(lines.length, (i) => {
      const { topic, count } = lines[i];
      const error = errors.get(topic);
      if (error !== undefined) this.remove(topic);
      out.push(error ?? words.confirm(topic.kind, true, topic.name, count, session));
    }, () => {
      if (this.subscribing === null) return; // the client has left
      this.subscribing = null;
      this.tell();
      client.settleMode();
      const all = joined(out);
      if (request === null) return client.answer(all);
      request.held = all;
      request.heldEnd = all.length;
      request.ready = true;
      client.advance();
      this.release();
    });
  }

  unsubscribe(kind: number, names: readonly string[]): void {
    const { client, words } = this;
    const { session } = client;
    const table = this.topics[kind];
    const out: Uint8Array[] = [];
    if (names.length === 0) {
      names = [...table.keys()];
      if (names.length === 0) out.push(words.confirm(kind, false, null, this.count(kind), session));
    }
    this.work(names.length, (i) => {
      const topic = table.get(names[i]);
      if (topic !== undefined) this.remove(topic);
      out.push(words.confirm(kind, false, names[i], this.count(kind), session));
    }, () => {
      this.tell();
      client.settleMode();
      if (!client.isClosed) client.answer(joined(out));
    });
  }

  /** To be followed by `tell`. */
  private remove(topic: Topic): void {
    if (!this.topics[topic.kind].delete(topic.name)) return;
    this.client.context.topics.leave(this.client, topic);
  }

  /** CLIENT LIST shows the numbers. */
  private tell(): void {
    const { session } = this.client;
    session.subscribed = this.topics.map((table) => table.size);
  }

  /** Nothing is subscribed to any more, and nobody is told. */
  drop(): void {
    const { client } = this;
    const { context } = client;
    if (this.subscribing !== null && client.isClosed) {
      if (this.subscribing.request !== null) context.requests.give(this.subscribing.request);
      this.subscribing.topics.clear();
      this.subscribing = null;
    }
    const topics = this.topics.flatMap((table) => [...table.values()]);
    for (const table of this.topics) table.clear();
    this.tell();
    this.held?.clear();
    this.held = null;
    this.leaving = topics.length;
    const leave = (i: number): void => {
      this.leaving--;
      context.topics.leave(client, topics[i]);
    };
    if (client.isFinishing) inSlices(context, topics.length, leave, () => {});
    else this.work(topics.length, leave, () => {});
  }

  /** Whether the client may say little else now. */
  isExclusive(): boolean {
    return this.words.isExclusive(this.client.session);
  }

  deliver(topic: Topic, buf: Uint8Array, start: number, end: number): void {
    const { client } = this;
    let { out } = client;
    if (this.leaving > 0 && this.topics[topic.kind].get(topic.name) !== topic) return;
    if (this.subscribing?.topics.has(topic) || client.isAmidReply) {
      out = this.held ??= new OutBuffer(client.context.buffers);
    } else if (this.subscribing === null) {
      this.release();
    }
    out.byte(this.words.mark(client.session));
    out.append(buf, start + 1, end);
    client.touch();
  }

  /** Messages that had to wait go out, if nothing speaks against it any more. */
  release(): void {
    const { held, client } = this;
    if (held === null || this.subscribing !== null || client.isAmidReply) return;
    this.held = null;
    held.moveTo(client.out);
    client.touch();
  }
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  if (parts.length === 1) return parts[0];
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
