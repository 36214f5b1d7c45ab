// Whether a client's request may be carried out now: what it names has to be where it will look for it.

import { WHOLE_FLUSH, WHOLE_NONE } from "../../protocol/migrating.ts";
import type { Keys, Scan } from "../../protocol/codec.ts";
import {
  ALL,
  ANY,
  APART,
  FORWARD,
  GATHER,
  PIN,
  SPLIT,
  TOGETHER,
  WALK,
} from "../../protocol/scan.ts";
import type { MigrateRoute } from "../../route/migrate.ts";
import type { Server } from "../../server/server.ts";
import type { Mover } from "./mover.ts";
import {
  DONE,
  type GateClient,
  GO,
  isBarrier,
  isMoving,
  type MigrationContext,
  type Phase,
  UNKNOWN,
  type Verdict,
  WAIT,
} from "./phases.ts";
import { askWhole, type WholeContext } from "./whole.ts";

/** How long (ms) a client's request may wait. */
const MOST_WAIT = 10_000;
const MINUS = 45;
/** What may be about all keys. */
const ABOUT_ALL: ReadonlySet<number> = new Set([ALL, APART, ANY, GATHER, WALK]);

export interface GateContext extends WholeContext {
  readonly phase: Phase;
  readonly isOn: boolean;
  readonly stopped: boolean;
  /** Old servers that have nothing left to go. */
  readonly empty: ReadonlySet<Server>;
}

export class Gate {
  private readonly context: GateContext;
  private readonly pool: MigrationContext;
  private readonly route: MigrateRoute;
  private readonly mover: Mover;
  /** Clients that wait for another phase, and since when. */
  private readonly parked: Map<GateClient, number>;
  /** What becomes of the request that a client has waited for. */
  private readonly verdicts: Map<GateClient, typeof GO | Uint8Array>;
  /** While no keys move servers are asked what clients ask. */
  private isPlain: boolean;

  constructor(context: GateContext, pool: MigrationContext, mover: Mover) {
    this.context = context;
    this.pool = pool;
    this.route = context.route;
    this.mover = mover;
    this.parked = new Map();
    this.verdicts = new Map();
    this.isPlain = false;
  }

  get waiting(): number {
    return this.parked.size;
  }

  /** The request at `buf[at...]`. WAIT: it is looked at again later. */
  ask(client: GateClient, scan: Scan, buf: Uint8Array, at: number): Verdict {
    const verdict = this.verdicts.get(client);
    if (verdict !== undefined) {
      this.verdicts.delete(client);
      return verdict;
    }
    const { phase, isOn, words } = this.context;
    if (!isOn || (isBarrier(phase) && client.holdsOn)) return GO;
    switch (scan.action) {
      case ALL:
      case APART:
      case ANY:
      case GATHER:
      case WALK:
        if (phase === UNKNOWN) return this.park(client);
        if (words.wholeOf(scan) !== WHOLE_NONE) return this.askWhole(client, scan, buf, at);
        return (isMoving(phase) ? words.refuses(scan, buf, at) : null) ?? GO;
      case FORWARD:
      case SPLIT:
      case TOGETHER:
      case PIN:
        break;
      default:
        return GO;
    }
    if (words.isKeyless(scan)) return GO;
    if (isMoving(phase)) {
      const refusal = words.refuses(scan, buf, at);
      if (refusal !== null) return refusal;
    }
    return this.askKeys(client, scan, buf, at);
  }

  /** As `ask`, while no keys move: who asks for all keys is told of nothing of the migration's own. */
  askStill(client: GateClient, scan: Scan, buf: Uint8Array, at: number): Verdict {
    const verdict = this.verdicts.get(client);
    if (verdict !== undefined) {
      this.verdicts.delete(client);
      return verdict;
    }
    const { isOn, words, isCluster, phase } = this.context;
    if (isOn || this.isPlain || !ABOUT_ALL.has(scan.action)) return GO;
    const whole = words.wholeOf(scan);
    if (client.session.locked || client.holdsOn) return GO;
    if (whole === WHOLE_NONE || whole === WHOLE_FLUSH) return GO;
    // A cluster's nodes have nothing of that.
    return isCluster && phase === DONE ? GO : this.askWhole(client, scan, buf, at);
  }

  private askWhole(client: GateClient, scan: Scan, buf: Uint8Array, at: number): Verdict {
    const { context } = this;
    if (client.holdsOn) return context.words.refusesWithin(scan);
    // It is not to overtake what the client has sent before.
    if (client.head !== null) return WAIT;
    client.stopForWork();
    void askWhole(context, scan, buf, at, client.session).then((reply) => {
      if (context.stopped) return;
      // Servers that take no scripts cannot have keys of a migration either.
      this.isPlain = !context.isOn && reply[0] === MINUS;
      this.release(client, this.isPlain ? null : reply);
    });
    return WAIT;
  }

  private askKeys(client: GateClient, scan: Scan, buf: Uint8Array, at: number): Verdict {
    const { route, context } = this;
    const { words, phase } = context;
    const keys = client.codec.keys as Keys;
    const db = words.dbOf(client.session);
    const isOne = scan.action === FORWARD;
    const count = isOne ? 1 : scan.nkeys;
    const toGo: { key: Uint8Array; from: Server }[] = [];
    let parks = false;
    let isOwn = false;
    for (let i = 0; i < count && !parks; i++) {
      if (!isOne) keys.select(scan, i);
      const start = at + scan.keyStart;
      const end = at + scan.keyEnd;
      if (buf[start] === 114) isOwn ||= words.isOwn(buf.subarray(start, end));
      const from = route.leaves(buf, start, end);
      if (from === null) continue;
      if (!isMoving(phase)) parks = true;
      else if (!context.empty.has(from) && !this.mover.isGone(db, buf, start, end)) {
        toGo.push({ key: buf.slice(start, end), from });
      }
    }
    if (!isOne && count > 0) keys.select(scan, 0);
    if (isOwn) return words.own();
    if (parks) return this.park(client);
    if (toGo.length === 0) return GO;
    client.stopForWork();
    let left = toGo.length;
    let failure = "";
    for (const { key, from } of toGo) {
      this.mover.move(db, key, from, true, (outcome) => {
        if (outcome.is === "failed") failure = outcome.why;
        if (--left > 0 || context.stopped) return;
        this.release(client, failure === "" ? GO : words.waited(MOST_WAIT, failure));
      });
    }
    return WAIT;
  }

  /** Whether a key of the request is at different servers by the two rings. */
  isLeaving(client: GateClient, scan: Scan, buf: Uint8Array, at: number): boolean {
    const keys = client.codec.keys as Keys;
    let leaves = false;
    for (let i = 0; i < scan.nkeys && !leaves; i++) {
      keys.select(scan, i);
      leaves = this.route.leaves(buf, at + scan.keyStart, at + scan.keyEnd) !== null;
    }
    if (scan.nkeys > 0) keys.select(scan, 0);
    return leaves;
  }

  private park(client: GateClient): typeof WAIT {
    this.parked.set(client, this.context.host.now());
    client.stopForWork();
    return WAIT;
  }

  /** Its request is looked at again; null: as if it had just come. */
  private release(client: GateClient, verdict: typeof GO | Uint8Array | null): void {
    this.parked.delete(client);
    if (client.isClosed) return;
    // Its keys are there, but from a barrier on that is not enough.
    const isLate = verdict === GO && !isMoving(this.context.phase);
    if (verdict !== null && !isLate) this.verdicts.set(client, verdict);
    this.pool.turn.enter();
    client.workDone();
  }

  /** There is another phase. */
  openAll(): void {
    for (const client of [...this.parked.keys()]) this.release(client, null);
  }

  /** Those that have waited too long are told so. */
  tick(): void {
    const { host, words } = this.context;
    const now = host.now();
    for (const [client, since] of this.parked) {
      if (now - since >= MOST_WAIT) this.release(client, words.unknown());
    }
  }

  /** The client is gone. */
  forget(client: GateClient): void {
    this.parked.delete(client);
    this.verdicts.delete(client);
  }
}
