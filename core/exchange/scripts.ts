// The scripts that clients have given to all servers (SCRIPT LOAD), kept for servers that come later
// or forget them: such a one says that it has no such script, is given it, and the request again. The
// libraries of functions are copied from server to server, since those keep them for good.

import { ask } from "../server/ask.ts";
import type { Server } from "../server/server.ts";
import { FLUSHES_SCRIPTS, LOADS_SCRIPT, NO_SCRIPTS, type Scripts } from "../protocol/scripts.ts";
import type { Scan } from "../protocol/scan.ts";

/** Most bytes of scripts that are kept; the oldest go first. */
const MOST = 4 << 20;

/** What a shelf asks its pool. */
export interface ShelfContext {
  readonly lane: number;
  /** Servers that have no keys now, and may get some. */
  idleServers(): Server[];
  /** Of a front: those of the pools behind it, whose servers get what its clients load. */
  readonly shelvesBehind: readonly ScriptShelf[];
}

export class ScriptShelf {
  readonly words: Scripts;
  /** By name, the oldest first. */
  private readonly bodies: Map<string, Uint8Array>;
  private size: number;
  /** How often scripts or functions were changed. */
  private changes: number;
  private readonly context: ShelfContext;

  constructor(words: Scripts, context: ShelfContext) {
    this.words = words;
    this.context = context;
    this.bodies = new Map();
    this.size = 0;
    this.changes = 0;
  }

  /** A request for every server that has keys; what it does to scripts is done by the others too. */
  note(scan: Scan, buf: Uint8Array, at: number, length: number): void {
    const { words, bodies, context } = this;
    const kind = words.kindOf(scan);
    if (kind === NO_SCRIPTS) return;
    this.changes++;
    for (const shelf of context.shelvesBehind) shelf.note(scan, buf, at, length);
    for (const server of context.idleServers()) {
      ask(server, context.lane, buf.slice(at, at + length), nothing);
    }
    if (kind === FLUSHES_SCRIPTS) {
      bodies.clear();
      this.size = 0;
    }
    if (kind !== LOADS_SCRIPT) return;
    const body = words.body(scan, buf, at);
    if (body.length > MOST) return;
    const name = words.nameOf(body);
    this.remove(name);
    bodies.set(name, body);
    this.size += body.length;
    while (this.size > MOST) this.remove(bodies.keys().next().value as string);
  }

  private remove(name: string): void {
    this.size -= this.bodies.get(name)?.length ?? 0;
    this.bodies.delete(name);
  }

  /** What gives a server the script that `request` wants to be run; null: it is not here. */
  loadFor(request: Uint8Array): Uint8Array | null {
    const body = this.bodies.get(this.words.wanted(request));
    return body === undefined ? null : this.words.load(body);
  }

  /** A server has come; `from` has the functions that it is to have, null: it has them. */
  prepare(server: Server, from: Server | null): void {
    const { words, context: { lane } } = this;
    for (const body of this.bodies.values()) ask(server, lane, words.load(body), nothing);
    if (from !== null) this.copyFunctions(server, from, false);
  }

  /**
   * A server that has some already was given them while these were on their way: what others have now
   * is newer than what was copied. So it is if a client has changed something meanwhile, which may have
   * come to the server before the older copy.
   */
  private copyFunctions(server: Server, from: Server, again: boolean): void {
    const { words, changes, context: { lane } } = this;
    ask(from, lane, words.dump, (dump) => {
      const request = dump === null ? null : words.restore(dump, again);
      if (request === null || server.removed) return;
      ask(server, lane, request, (reply) => {
        const isRefused = reply !== null && server.context.codec.isError(reply, 0);
        const isOld = (isRefused && !again) || this.changes !== changes;
        if (isOld && !from.removed) this.copyFunctions(server, from, true);
      });
    });
  }
}

const nothing = (): void => {};
