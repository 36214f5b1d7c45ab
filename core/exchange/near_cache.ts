// Values of chosen keys, kept in the proxy: GET of such a key costs no server anything.
//
//   GET ─▶ known ───────────────────────▶ answered
//      └─▶ on its way ─▶ joins it            ▲
//      └─▶ neither ────▶ NearLink: PTTL, GET ┘   what has changed comes over the same connection
//
// Why it is right: a server tells of a change, and answers, over one connection in the order in which
// it happened; so what was read is right until the news has come (near_link.ts). A client's own writes
// go other ways: from the moment one is sent until it is answered its key is not kept, and what was
// asked for before that is not kept when it comes. After what may have written anything (a script, a
// transaction) a client gets only what is read after the servers have said all they had to say.

import type { PoolConfig } from "../config/schema.ts";
import type { Carrier } from "../link/attempt.ts";
import type { LinkContext } from "../link/owner.ts";
import type { Log } from "../log.ts";
import type { Codec, Handshake, Scan } from "../protocol/codec.ts";
import type { NearWords } from "../protocol/near.ts";
import type { Route } from "../route/route.ts";
import type { Server } from "../server/server.ts";
import { fail, settle } from "./outcome.ts";
import { LARGEST, type NearFill } from "./near_fill.ts";
import { type KeysContext, NearKeys } from "./near_keys.ts";
import { NearLink, type NearOwner } from "./near_link.ts";
import { NearReads, type ReadCache, type Reader } from "./near_reads.ts";
import { NearTable } from "./near_table.ts";
import { type Entry, NearWrites, type Written } from "./near_writes.ts";
import { type Caller, type Request, WATCHED } from "./request.ts";

export { ANSWERED, ELSEWHERE } from "./near_reads.ts";

/** How long (ms), at least, a value is not asked for here that was too large. */
const LARGE = 1000;
/** A value may take so much of all there is. */
const PART = 8;

export interface NearContext extends LinkContext, KeysContext {
  readonly config: PoolConfig;
  readonly log: Log;
  readonly codec: Codec;
  readonly route: Route;
  readonly counters: NearCounters;
}

export interface NearCounters {
  near_hits: number;
  near_misses: number;
  near_joined: number;
  near_invalidations: number;
  near_flushes: number;
}

type Setting = NonNullable<PoolConfig["near_cache"]>;

export class NearCache implements NearOwner, ReadCache {
  readonly context: NearContext;
  readonly codec: Codec;
  readonly handshake: Handshake | null;
  readonly silence: number;
  readonly setting: Setting;
  readonly words: NearWords;
  readonly keysOf: NearKeys;
  readonly table: NearTable<NearFill, NearLink>;
  readonly links: Map<Server, NearLink>;
  readonly writes: NearWrites;
  private readonly reads: NearReads;
  /** The route's epoch when all that is kept was read. */
  private epoch: number;

  constructor(context: NearContext, setting: Setting) {
    this.context = context;
    this.codec = context.codec;
    this.setting = setting;
    this.silence = setting.silence;
    this.words = (context.codec.caching?.near ?? context.codec.near) as NearWords;
    // Which keys will be hot no server can be told in advance; of those that only pass it is to tell
    // once each.
    const { prefixes, auto, ttl } = setting;
    this.handshake = this.words.handshake(auto || ttl === 0 ? null : prefixes);
    this.keysOf = new NearKeys(context, setting, (key) => this.leave(key));
    this.table = new NearTable(setting.bytes);
    this.links = new Map();
    this.writes = new NearWrites(this);
    this.reads = new NearReads(this);
    this.epoch = context.route.epoch;
  }

  /** Bytes, and keys, in use. */
  get bytes(): number {
    return this.table.bytes;
  }

  get keys(): number {
    return this.table.all.length;
  }

  /** Whether the session of a client that may do all reads what is kept. */
  serves(client: Caller): boolean {
    return client.codec === this.codec && this.words.serves(client.session);
  }

  /** A key is kept no more. */
  private leave(key: Uint8Array): void {
    const entry = this.table.find(key, 0, key.length);
    if (entry === null) return;
    this.outdate(entry);
    this.table.drop(entry);
  }

  // ---------------------------------------------------------------- reading

  /** A request of a client that reads what is kept; `buf[at...]` is it. */
  read(client: Reader, scan: Scan, buf: Uint8Array, at: number): number {
    return this.reads.read(client, scan, buf, at);
  }

  linkTo(server: Server): NearLink {
    let link = this.links.get(server);
    if (link === undefined) {
      link = new NearLink(this, server);
      this.links.set(server, link);
      link.connect();
    }
    return link;
  }

  isRight(entry: Entry): boolean {
    if (entry.reply === null) return false;
    if (entry.expires > this.context.turn.clock && entry.link !== null && entry.link.usable) {
      return true;
    }
    this.table.unset(entry);
    return false;
  }

  filled(fill: NearFill, link: Carrier, buf: Uint8Array, start: number, end: number): void {
    const { entry, waiters } = fill;
    if (entry.fill === fill) entry.fill = null;
    const { words } = this;
    if (words.isValue(buf, start)) {
      this.store(fill, buf, start, end);
      for (const request of waiters) settle(request, link, buf, start, end);
    } else if (words.isNothing(buf, start)) {
      for (const request of waiters) {
        const nothing = words.nothing(request.sink.session);
        settle(request, link, nothing, 0, nothing.length);
      }
    } else {
      // An error: whoever has the key now, or what is wrong with it, is found out in the usual way.
      for (const request of waiters) this.sendElsewhere(request, entry.key);
    }
    if (entry.reply === null) this.table.drop(entry);
  }

  private store(fill: NearFill, buf: Uint8Array, start: number, end: number): void {
    const { entry, lifeBuf, askedAt } = fill;
    const life = this.words.life(lifeBuf, 0, lifeBuf.length);
    if (fill.isVoid || life === 0 || this.setting.ttl === 0) return;
    const ms = life < 0 ? this.setting.ttl : Math.min(life, this.setting.ttl);
    if (end - start > Math.min(LARGEST, this.setting.bytes / PART)) {
      entry.largeUntil = askedAt + this.setting.ttl;
      return;
    }
    entry.link = fill.link;
    this.table.set(entry, buf.slice(start, end), askedAt + ms);
  }

  failed(fill: NearFill, isLarge: boolean): void {
    const { entry } = fill;
    if (entry.fill === fill) entry.fill = null;
    if (isLarge) entry.largeUntil = this.context.turn.clock + Math.max(LARGE, this.setting.ttl);
    for (const request of fill.waiters) this.sendElsewhere(request, entry.key);
    if (!isLarge && entry.reply === null) this.table.drop(entry);
  }

  /** Over the links that all other requests take. */
  private sendElsewhere(request: Request, key: Uint8Array): void {
    const { sink } = request;
    const { route } = this.context;
    if (sink.isClosed) return sink.context.requests.give(request);
    const target = route.pick(key, 0, key.length, this.codec.intents[request.verb + 1]);
    if (route.redirects !== null) {
      request.kind = WATCHED;
      request.place = route.place;
    }
    const bytes = this.words.askValue(key);
    if (target.available) target.linkFor(sink).send(request, bytes, 0, bytes.length);
    else if (target.parking !== null) target.parking.parkSpan(request, bytes, 0, bytes.length);
    else fail(request, target.reason);
  }

  // ---------------------------------------------------------------- writing

  /** Whatever a client is about to send; what it writes is not kept. Null: nothing of the cache's. */
  write(client: Reader, scan: Scan, buf: Uint8Array, at: number): Written | null {
    return this.writes.note(client, scan, buf, at);
  }

  // ---------------------------------------------------------------- forgetting

  outdate(entry: Entry): void {
    this.table.unset(entry);
    if (entry.fill === null) return;
    entry.fill.isVoid = true;
    entry.fill = null;
  }

  changed(buf: Uint8Array, start: number, end: number): void {
    this.keysOf.changed(buf, start, end);
    const entry = this.table.find(buf, start, end);
    if (entry === null) return;
    this.context.counters.near_invalidations++;
    entry.largeUntil = -Infinity;
    this.outdate(entry);
    this.table.drop(entry);
  }

  forget(link: NearLink): void {
    this.forgetWhere((entry) => entry.link === link || entry.fill?.link === link);
  }

  /** The server is another one now, or elsewhere: whoever it was before tells of no more changes. */
  renew(server: Server): void {
    const link = this.links.get(server);
    if (link === undefined) return;
    this.links.delete(server);
    this.forget(link);
    link.stop();
  }

  keepUp(): void {
    if (this.context.route.epoch !== this.epoch) this.forgetAll();
  }

  /** Keys may be elsewhere now, or anything may have changed. */
  forgetAll(): void {
    this.epoch = this.context.route.epoch;
    this.forgetWhere(() => true);
  }

  private forgetWhere(is: (entry: Entry) => boolean): void {
    const found = this.table.all.filter((entry) =>
      (entry.reply ?? entry.fill) !== null && is(entry)
    );
    if (found.length === 0) return;
    this.context.counters.near_flushes++;
    for (const entry of found) {
      this.outdate(entry);
      this.table.drop(entry);
    }
  }

  // ---------------------------------------------------------------- life

  /** Called every tick. */
  tick(now: number, timeout: number, late: number): void {
    this.keysOf.tick(now);
    for (const [server, link] of this.links) {
      if (server.removed) {
        this.links.delete(server);
        link.stop();
      } else link.tick(now, timeout, late);
    }
  }

  stop(): void {
    const links = [...this.links.values()];
    this.links.clear();
    for (const link of links) link.stop();
    this.forgetAll();
  }
}
