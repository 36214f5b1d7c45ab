// What clients read of a near cache: the value that is known, the one that is on its way, or one that is
// sent for. When a client's request has to wait, or goes another way, so that it sees its own writes and
// nothing goes back, is said here: see near_cache.ts.

import type { PoolConfig } from "../config/schema.ts";
import { type Codec, FORWARD, type Keys, type Scan, SPLIT } from "../protocol/codec.ts";
import type { NearWords } from "../protocol/near.ts";
import type { Route } from "../route/route.ts";
import type { Server } from "../server/server.ts";
import { type FillOwner, NearFill } from "./near_fill.ts";
import type { NearKeys } from "./near_keys.ts";
import type { NearLink } from "./near_link.ts";
import type { NearTable } from "./near_table.ts";
import type { Entry, NearWrites } from "./near_writes.ts";
import { type Caller, SPECIAL } from "./request.ts";

/** Answers of `read`. */
/** It is no business of the cache. */
export const ELSEWHERE = 0;
export const ANSWERED = 1;
/** Its turn comes when the client's earlier requests are answered. */
export const NOT_YET = 2;

/** What is kept of a client. */
export interface Reader extends Caller {
  /** Requests ever put into its queue, and those of them that have left it. */
  readonly pushes: number;
  readonly gone: number;
  /** `pushes` at its last write, and at its last read of such a key that went another way. */
  nearWrote: number;
  nearRead: number;
  /** 0: it sees what is kept; -1: not before the servers have said all; else the number of that. */
  nearBlind: number;
}

export interface ReadContext {
  readonly route: Route;
  readonly turn: { readonly clock: number };
  readonly counters: { near_hits: number; near_misses: number; near_joined: number };
}

/** The cache that is read. */
export interface ReadCache extends FillOwner {
  readonly context: ReadContext;
  readonly codec: Codec;
  readonly words: NearWords;
  readonly setting: NonNullable<PoolConfig["near_cache"]>;
  readonly keysOf: NearKeys;
  readonly table: NearTable<NearFill, NearLink>;
  readonly links: ReadonlyMap<Server, NearLink>;
  readonly writes: NearWrites;
  /** A server's link, which is made when it is first of use. */
  linkTo(server: Server): NearLink;
  /** Forgets all if keys may be elsewhere now. */
  keepUp(): void;
  /** Whether an entry has a value that may be given. */
  isRight(entry: Entry): boolean;
}

export class NearReads {
  private readonly near: ReadCache;
  /** Times that servers were asked to say all, and the last of them that is over. */
  private asked: number;
  private said: number;

  constructor(near: ReadCache) {
    this.near = near;
    this.asked = 0;
    this.said = 0;
  }

  /** A request of a client that reads what is kept; `buf[at...]` is it. */
  read(client: Reader, scan: Scan, buf: Uint8Array, at: number): number {
    const { near } = this;
    const { verb, action } = scan;
    if (verb === near.words.readOne && action === FORWARD) {
      return this.readOne(client, scan, buf, at + scan.keyStart, at + scan.keyEnd);
    }
    if (verb === near.words.readMany && action === SPLIT) {
      return this.readMany(client, scan, buf, at);
    }
    return ELSEWHERE;
  }

  private readOne(
    client: Reader,
    scan: Scan,
    buf: Uint8Array,
    start: number,
    end: number,
  ): number {
    const { near } = this;
    if (!near.keysOf.reads(buf, start, end)) return ELSEWHERE;
    const { route, counters } = near.context;
    near.keepUp();
    const mustWait = client.head !== null;
    const isAmidWrites = mustWait && client.gone < client.nearWrote;
    // What went another way comes first, or what it has read could be newer than this.
    if (mustWait && client.gone < client.nearRead && this.isServed(scan, buf, start, end)) {
      return NOT_YET;
    }
    if (client.nearBlind < 0 && isAmidWrites) return NOT_YET;
    const isBlind = client.nearBlind !== 0 && !this.sees(client);
    const entry = near.table.find(buf, start, end);
    if (entry !== null) {
      if (!isBlind && near.isRight(entry)) {
        entry.used = true;
        counters.near_hits++;
        client.answer(entry.reply as Uint8Array);
        return ANSWERED;
      }
      if (entry.writes > 0 && isAmidWrites) return NOT_YET;
    }
    const server = route.pick(buf, start, end, near.codec.intents[scan.verb + 1]);
    const link = server.available ? near.linkTo(server) : null;
    counters.near_misses++;
    const { clock } = near.context.turn;
    if (entry !== null && entry.largeUntil > clock) return ELSEWHERE;
    if (link === null || !link.usable) {
      client.nearRead = client.pushes + 1;
      if (entry !== null) near.table.drop(entry);
      return ELSEWHERE;
    }
    this.bring(client, scan, near.table.take(buf, start, end), link, isBlind);
    return ANSWERED;
  }

  /** Whether there is a link over which the key can be read: else it goes the other way again. */
  private isServed({ verb }: Scan, buf: Uint8Array, start: number, end: number): boolean {
    const { context, codec } = this.near;
    const server = context.route.pick(buf, start, end, codec.intents[verb + 1]);
    return server.available && this.near.linkTo(server).usable;
  }

  /** Whether the servers have said all since the client wrote what nobody knows. */
  private sees(client: Reader): boolean {
    if (client.nearBlind < 0) client.nearBlind = this.sync();
    if (this.said < client.nearBlind) return false;
    client.nearBlind = 0;
    return true;
  }

  private sync(): number {
    const number = ++this.asked;
    let left = 1;
    const done = (): void => {
      if (--left === 0) this.said = Math.max(this.said, number);
    };
    for (const link of this.near.links.values()) {
      if (!link.usable) continue;
      left++;
      link.ping(done);
    }
    done();
    return number;
  }

  /** Sends for a value, or joins whoever waits for it. */
  private bring(
    client: Reader,
    scan: Scan,
    entry: Entry,
    link: NearLink,
    isBlind: boolean,
  ): void {
    const { near } = this;
    const { requests, slow } = client.context;
    const { counters, turn } = near.context;
    const request = requests.take(client);
    request.kind = SPECIAL;
    request.verb = scan.verb;
    if (slow.on) slow.note(request, entry.key, 0, entry.key.length);
    client.push(request);
    let { fill } = entry;
    if (fill !== null && fill.link === link && !isBlind) {
      counters.near_joined++;
    } else {
      fill = new NearFill(near, entry, link, turn.clock);
      // What is in flight may be carried out after it.
      fill.isVoid = entry.writes > 0 || near.writes.everything > 0;
      if (!fill.isVoid) {
        if (entry.fill !== null) entry.fill.isVoid = true;
        entry.fill = fill;
      }
      const { words, setting } = near;
      const life = setting.ttl === 0 ? null : words.askLife(entry.key);
      fill.ask(life, words.askValue(entry.key));
    }
    fill.waiters.push(request);
  }

  /** Several keys: answered when all of their values are known. */
  private readMany(client: Reader, scan: Scan, buf: Uint8Array, at: number): number {
    const { near } = this;
    const keys = near.codec.keys as Keys;
    const { nkeys } = scan;
    const { counters } = near.context;
    near.keepUp();
    let known = client.head === null || client.gone >= client.nearRead;
    if (client.nearBlind !== 0) {
      known = known && (client.head === null || client.gone >= client.nearWrote) &&
        this.sees(client);
    }
    const replies: Uint8Array[] = [];
    let covered = 0;
    for (let i = 0; i < nkeys; i++) {
      keys.select(scan, i);
      const [start, end] = [at + scan.keyStart, at + scan.keyEnd];
      if (!near.keysOf.reads(buf, start, end)) known = false;
      else covered++;
      if (!known) continue;
      const entry = near.table.find(buf, start, end);
      known = entry !== null && near.isRight(entry);
      if (!known) continue;
      (entry as Entry).used = true;
      replies.push((entry as Entry).reply as Uint8Array);
    }
    keys.select(scan, 0);
    if (covered === 0) return ELSEWHERE;
    if (!known) {
      counters.near_misses += covered;
      client.nearRead = client.pushes + 1;
      return ELSEWHERE;
    }
    counters.near_hits += nkeys;
    client.answer(near.words.joined(replies));
    return ANSWERED;
  }
}
