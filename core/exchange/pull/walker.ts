// Walks over the keys of servers: moves those nobody asks for, again and again until there are none,
// the big ones last; and before all that deletes what is left over where keys are to come.

import { Server } from "../../server/server.ts";
import type { MigrateRoute } from "../../route/migrate.ts";
import { after } from "../migrate/after.ts";
import type { Pace } from "../migrate/pace.ts";
import { MOST_MOVING } from "../migrate/wishes.ts";
import { type Keys, listKeys } from "./key_list.ts";
import type { Puller, PullerContext } from "./puller.ts";

/** Pace (ms) between two looks when there is nothing to do, and after errors. */
const REST = 500;
/** Of all that may move at a time, so many at most for nobody. */
const MOST_AT_ONCE = MOST_MOVING >> 1;
/** Left-over keys that are deleted at a time. */
const MOST_DELETING = 100;
/** Big keys that are left for the end; more of them are moved as they come. */
const MOST_LEFT = 10_000;

export interface WalkerContext extends PullerContext {
  readonly puller: Puller;
  readonly route: MigrateRoute;
  readonly pace: Pace;
  readonly goesOn: boolean;
  passed(seen: number, of: number): void;
  tell(line: string): void;
}

export class Walker {
  private readonly context: WalkerContext;
  private stopped: boolean;
  private moving: number;
  private wake: (() => void) | null;
  /** What a pass has come upon. */
  private found: number;
  private failed: boolean;

  constructor(context: WalkerContext) {
    this.context = context;
    this.stopped = false;
    this.moving = 0;
    this.wake = null;
    this.found = 0;
    this.failed = false;
  }

  stop(): void {
    this.stopped = true;
    this.wake?.();
  }

  rest(ms: number = REST): Promise<void> {
    return new Promise((resolve) => void after(this.context.host, ms, resolve));
  }

  private list(server: Server, wants: (key: Uint8Array) => boolean): Promise<Keys | string> {
    const { host, pulling } = this.context;
    return listKeys(host, server, pulling, wants);
  }

  /** One pass over a server; true when it had nothing (left) to go. */
  async pass(server: Server): Promise<boolean> {
    const { context } = this;
    const { route, puller } = context;
    const listed = await this.list(
      server,
      (key) => route.leaves(key, 0, key.length) === server && !puller.isGone(key, 0, key.length),
    );
    if (typeof listed === "string") {
      context.tell(`error: server "${server.name}": ${listed}`);
      await this.rest();
      return false;
    }
    this.found = 0;
    this.failed = false;
    const bigs: Uint8Array[] = [];
    let seen = 0;
    for (const key of listed.keys) {
      if (!await this.turn()) return false;
      await this.go(server, key, bigs.length >= MOST_LEFT, bigs);
      context.passed(++seen, listed.keys.count);
    }
    await this.room(1);
    for (const key of bigs) {
      if (!await this.turn()) return false;
      await this.go(server, key, true, bigs);
      await this.room(1);
    }
    if (this.failed) await this.rest();
    return this.found === 0 && !listed.more && this.goesOn;
  }

  private turn(): Promise<boolean> {
    return this.context.pace.turn(() => this.goesOn);
  }

  private get goesOn(): boolean {
    return !this.stopped && this.context.goesOn;
  }

  /** Begins to move a key; waits while too many are moving. */
  private go(
    server: Server,
    key: Uint8Array,
    whatever: boolean,
    bigs: Uint8Array[],
  ): Promise<void> {
    const { puller, route } = this.context;
    const to = route.goal(key, 0, key.length);
    if (!(to instanceof Server)) {
      this.found++;
      return Promise.resolve();
    }
    this.moving++;
    puller.pull(key, server, to, whatever, (pulled) => {
      this.moving--;
      if (pulled.is === "big") bigs.push(key);
      if (pulled.is === "failed") this.failed = true;
      if (pulled.is !== "gone" || pulled.moved || pulled.lost !== "") this.found++;
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

  /**
   * Deletes what a server of both rings has of keys that are to come to it: left over from another ring
   * of earlier, or from when it stood in for another. Nobody reads or writes them there now. What went
   * wrong, "" if nothing did.
   */
  async sweep(goesOn: () => boolean): Promise<string> {
    const { route, puller, pulling } = this.context;
    const old = new Set(route.old.all());
    for (const server of route.next.all(0)) {
      if (!old.has(server)) continue;
      for (let more = true; more;) {
        const comes = (key: Uint8Array): boolean =>
          route.goal(key, 0, key.length) === server &&
          route.leaves(key, 0, key.length) !== null;
        const listed = await this.list(server, comes);
        if (typeof listed === "string") return `server "${server.name}": ${listed}`;
        more = listed.more;
        let wrong = "";
        for (const key of listed.keys) {
          if (!goesOn()) return "stopped";
          this.moving++;
          puller.asker(server).ask(pulling.drop(key, ""), (answer) => {
            this.moving--;
            if (!(answer instanceof Uint8Array)) wrong = answer.why;
            this.wake?.();
          });
          await this.room(MOST_DELETING);
        }
        await this.room(1);
        if (wrong !== "") return `server "${server.name}": ${wrong}`;
      }
    }
    return "";
  }
}
