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
import { MOST_WAIT, Parking } from "./parking.ts";
import { askWhole, type WholeContext } from "./whole.ts";

const MINUS = 45;
/** What may be about all keys. */
const ABOUT_ALL: ReadonlySet<number> = new Set([ALL, APART, ANY, GATHER, WALK]);

export interface GateContext extends WholeContext {
  readonly phase: Phase;
  readonly isOn: boolean;
  /** Old servers that have nothing left to go. */
  readonly empty: ReadonlySet<Server>;
}

export class Gate {
  private readonly context: GateContext;
  private readonly route: MigrateRoute;
  private readonly mover: Mover;
  private readonly parking: Parking<Uint8Array>;
  /** While no keys move servers are asked what clients ask. */
  private isPlain: boolean;

  constructor(context: GateContext, pool: Pick<MigrationContext, "turn">, mover: Mover) {
    this.context = context;
    this.route = context.route;
    this.mover = mover;
    this.parking = new Parking({
      host: context.host,
      turn: pool.turn,
      // Its keys are there, but from a barrier on that is not enough.
      get isLate() {
        return !isMoving(context.phase);
      },
    });
    this.isPlain = false;
  }

  get waiting(): number {
    return this.parking.waiting;
  }

  /** The request at `buf[at...]`. WAIT: it is looked at again later. */
  ask(client: GateClient, scan: Scan, buf: Uint8Array, at: number): Verdict {
    const verdict = this.parking.take(client);
    if (verdict !== undefined) return verdict ?? GO;
    const { phase, isOn, words } = this.context;
    if (!isOn || (isBarrier(phase) && client.holdsOn)) return GO;
    switch (scan.action) {
      case ALL:
      case APART:
      case ANY:
      case GATHER:
      case WALK:
        if (phase === UNKNOWN) return this.parking.park(client);
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
    const verdict = this.parking.take(client);
    if (verdict !== undefined) return verdict ?? GO;
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
    void askWhole(context, scan, buf, at, client.session).then((reply) => {
      // Servers that take no scripts cannot have keys of a migration either.
      this.isPlain = !context.isOn && reply[0] === MINUS;
      this.parking.done(client, this.isPlain ? null : reply);
    });
    return this.parking.serve(client);
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
    if (parks) return this.parking.park(client);
    if (toGo.length === 0) return GO;
    this.parking.serve(client);
    let left = toGo.length;
    let failure = "";
    for (const { key, from } of toGo) {
      this.mover.move(db, key, from, true, (outcome) => {
        if (outcome.is === "failed") failure = outcome.why;
        if (--left > 0) return;
        this.parking.done(client, failure === "" ? null : words.waited(MOST_WAIT, failure));
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

  /** There is another phase; `opens`: nobody waits for one any more. */
  phaseChanged(opens: boolean): void {
    this.parking.doubt();
    if (opens) this.parking.openAll();
  }

  /** Those that have waited too long are told so. */
  tick(): void {
    this.parking.tick(() => this.context.words.unknown());
  }

  /** The client is gone. */
  forget(client: GateClient): void {
    this.parking.forget(client);
  }

  /** No key moves any more. */
  stop(): void {
    this.parking.stop();
  }
}
