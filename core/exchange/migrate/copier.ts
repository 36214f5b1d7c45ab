// Moves what nobody asks for: walks over each old server again and again until it has none of the
// keys that are to go. Big keys come last. One process at a time copies (a lock at a server).

import type { Page } from "../../protocol/migrating.ts";
import type { MigrateRoute } from "../../route/migrate.ts";
import type { Server } from "../../server/server.ts";
import { after } from "./after.ts";
import type { Outcome } from "./key_move.ts";
import type { Mover, MoverContext } from "./mover.ts";
import type { Pace } from "./pace.ts";
import { MOST_MOVING } from "./wishes.ts";

const PAGE = 100;
/** Pace (ms) between two looks when there is nothing to do, and after errors. */
const REST = 500;
/** Of all that may move at a time, so many at most for nobody. */
const MOST_AT_ONCE = MOST_MOVING >> 1;
/** Big keys that are left for the end; more of them are moved as they come. */
const MOST_LEFT = 10_000;

export interface CopierContext extends MoverContext {
  readonly pace: Pace;
  /** A pass has seen so many keys of so many. */
  passed(server: Server, seen: number, of: number): void;
}

/** A big key that a pass has come upon. */
interface Big {
  readonly db: number;
  readonly key: Uint8Array;
}

export class Copier {
  private readonly context: CopierContext;
  private readonly mover: Mover;
  private readonly route: MigrateRoute;
  stopped: boolean;
  private moving: number;
  private wake: (() => void) | null;
  private failed: boolean;
  private found: number;

  constructor(context: CopierContext, mover: Mover, route: MigrateRoute) {
    this.context = context;
    this.mover = mover;
    this.route = route;
    this.stopped = false;
    this.moving = 0;
    this.wake = null;
    this.failed = false;
    this.found = 0;
  }

  stop(): void {
    this.stopped = true;
    this.wake?.();
  }

  rest(ms: number = REST): Promise<void> {
    return new Promise((resolve) => void after(this.context.host, ms, resolve));
  }

  /** One pass over a server; true when it had nothing (left) to go. */
  async pass(server: Server): Promise<boolean> {
    const { words } = this.context;
    this.failed = false;
    this.found = 0;
    const asker = this.mover.asker(server);
    const answer = await asker.tell(words.keyspace);
    const dbs = answer instanceof Uint8Array ? words.readKeyspace(answer) : null;
    if (dbs === null || "is" in dbs) return false;
    const total = dbs.reduce((sum, { keys }) => sum + keys, 0);
    const bigs: Big[] = [];
    let seen = 0;
    for (const { db } of dbs) {
      // What somebody has taken and left is found by what is held.
      const held = await this.page(server, db, words.holds(db), bigs);
      if (held === null) return false;
      let cursor = "0";
      do {
        if (this.stopped) return false;
        const page: Page | null = await this.page(server, db, words.scan(db, cursor, PAGE), bigs);
        if (page === null) return false;
        cursor = page.cursor;
        seen += page.keys.length;
        this.context.passed(server, seen, Math.max(total, seen));
      } while (cursor !== "0");
      // A key that was held meanwhile and given back may not have been seen.
      const heldNow = await this.page(server, db, words.holds(db), bigs);
      if (heldNow === null || heldNow.cursor !== held.cursor) this.found++;
    }
    return await this.passBigs(server, bigs);
  }

  private async passBigs(server: Server, bigs: Big[]): Promise<boolean> {
    await this.room(1);
    for (const { db, key } of bigs) {
      if (!await this.turn()) return false;
      await this.go(server, db, key, true, bigs);
      await this.room(1);
    }
    if (this.failed) await this.rest();
    return this.found === 0 && !this.stopped;
  }

  private turn(): Promise<boolean> {
    return this.context.pace.turn(() => !this.stopped);
  }

  private async page(
    server: Server,
    db: number,
    request: Uint8Array,
    bigs: Big[],
  ): Promise<Page | null> {
    const { words } = this.context;
    const answer = await this.mover.asker(server).tell(request);
    const page = answer instanceof Uint8Array ? words.readPage(answer) : null;
    if (page === null || "is" in page) return null;
    for (const key of page.keys) {
      if (words.isOwn(key) || this.route.leaves(key, 0, key.length) !== server) continue;
      this.found++;
      if (!await this.turn()) return null;
      await this.go(server, db, key.slice(), bigs.length >= MOST_LEFT, bigs);
    }
    return page;
  }

  /** Begins to move a key; waits while too many are moving. */
  private go(
    server: Server,
    db: number,
    key: Uint8Array,
    whatever: boolean,
    bigs: Big[],
  ): Promise<void> {
    this.moving++;
    this.mover.move(db, key, server, whatever, (outcome: Outcome) => {
      this.moving--;
      if (outcome.is === "big") bigs.push({ db, key });
      if (outcome.is === "failed") this.failed = true;
      this.wake?.();
    });
    return this.room(MOST_AT_ONCE);
  }

  /** Until fewer than `most` are moving. */
  private async room(most: number): Promise<void> {
    while (this.moving >= most && !this.stopped) {
      await new Promise<void>((resolve) => this.wake = resolve);
      this.wake = null;
    }
  }
}
