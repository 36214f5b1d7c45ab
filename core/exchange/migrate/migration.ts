// A pool's migration to other servers: its phases (phases.ts), and what its parts do in them.
//
//   agreement.ts   which phase it is: what the servers have been told
//   barrier.ts     whether this process has nothing on its way that would be elsewhere
//   gate.ts        whether a client's request may go on, and whole.ts those about all keys
//   mover.ts       moves keys (key_move.ts: how one moves); copying.ts those nobody asks for
//   orders.ts      what `ringmux migrate` tells it to do

import type { Timer } from "../../host.ts";
import type { Scan } from "../../protocol/codec.ts";
import { BOTH, type MigrateRoute, NEW, OLD, partsOf, RETURN } from "../../route/migrate.ts";
import type { Server } from "../../server/server.ts";
import type { Estimate } from "../estimate.ts";
import { after } from "./after.ts";
import { Agreement, type AgreementContext } from "./agreement.ts";
import type { Asker } from "./asker.ts";
import { Barrier, LONGEST_BARRIER } from "./barrier.ts";
import { Copying, type CopyingContext } from "./copying.ts";
import { Gate, type GateContext } from "./gate.ts";
import { Mover } from "./mover.ts";
import type { Moves } from "./moves.ts";
import { Orders, type OrdersContext } from "./orders.ts";
import { Pace } from "./pace.ts";
import {
  BACK,
  BARRIER,
  DONE,
  type GateClient,
  GO,
  isBarrier,
  isMoving,
  type MigrationContext,
  type MigrationStatus,
  MOVE,
  PACE,
  type Phase,
  PREPARE,
  RETREAT,
  type Target,
  UNKNOWN,
  type Verdict,
} from "./phases.ts";
import { sampleKeys } from "./sample.ts";
import { RedisSurroundings } from "./surroundings.ts";

type Contexts = CopyingContext & GateContext & AgreementContext & OrdersContext;

export class Migration extends RedisSurroundings implements Moves, Contexts {
  phase: Phase;
  readonly empty: Set<Server>;
  readonly pace: Pace;
  stopped: boolean;
  private readonly mover: Mover;
  private readonly agreement: Agreement;
  private readonly barrier: Barrier;
  private readonly clients: Gate;
  private readonly copying: Copying;
  private readonly orders: Orders;
  private timer: Timer | null;
  /** Since when (ms) a barrier is announced. */
  private soonSince: number;
  /** The new servers have been told to get ready for it. */
  private isPrepared: boolean;
  /** What would move, as it was asked for last. */
  private estimate: Estimate | null;

  /** `id` is the same in all processes that move the same keys. */
  constructor(context: MigrationContext, route: MigrateRoute, id: string, target: Target) {
    super(context, route, target);
    this.phase = UNKNOWN;
    this.empty = new Set();
    this.pace = new Pace(this);
    this.stopped = false;
    this.mover = new Mover(this);
    this.agreement = new Agreement(this, id);
    this.barrier = new Barrier(context, route, this.mover);
    this.clients = new Gate(this, context, this.mover);
    this.copying = new Copying(this, this.mover, this.agreement);
    this.orders = new Orders(this, this.agreement, this.barrier, this.mover, target);
    this.timer = null;
    this.soonSince = 0;
    this.isPrepared = false;
    this.estimate = null;
  }

  asker(server: Server): Asker {
    return this.mover.asker(server);
  }

  get isPaused(): boolean {
    return this.agreement.isPaused;
  }

  /** Clients have to be asked what they want before it is done. */
  get isOn(): boolean {
    return this.phase !== PREPARE && this.phase !== DONE;
  }

  /** The ring may not become another one. */
  get isFixed(): boolean {
    return this.phase !== PREPARE || this.agreement.isAnnounced;
  }

  /** Topics are heard where the other ring has them too. */
  get isTwofold(): boolean {
    return (this.isOn && this.phase !== UNKNOWN) || this.agreement.isAnnounced;
  }

  // ---------------------------------------------------------------- phases

  begin(): void {
    if (this.timer === null && !this.stopped) void this.poll();
  }

  private next(): void {
    if (this.stopped) return;
    this.timer?.cancel();
    const pace = this.agreement.isAnnounced ? PACE.barrier : PACE[this.phase];
    this.timer = after(this.host, pace, () => void this.poll());
  }

  private async poll(): Promise<void> {
    const { agreement } = this;
    const isNew = this.phase === UNKNOWN;
    const text = isNew ? await agreement.learn() : await agreement.readArbiter();
    if (this.stopped) return;
    if (text !== null) this.follow(text);
    if (isBarrier(this.phase)) this.lookAround();
    else if (agreement.isAnnounced && this.host.now() - this.soonSince > LONGEST_BARRIER) {
      // Whoever has announced it is gone.
      void this.swap(agreement.saying(this.phase, this.isPaused));
    }
    this.clients.tick();
    this.next();
  }

  private follow(text: string): void {
    const { agreement, phase: before } = this;
    const isBegun = before !== UNKNOWN && before !== PREPARE && before !== BARRIER;
    // Nobody goes back from here but by the arbiter's word.
    if (isBegun && !agreement.isOurs(text)) return agreement.remind();
    const wasAnnounced = agreement.isAnnounced;
    agreement.text = text;
    if (!isBarrier(before)) agreement.why = "";
    const phase = this.stepTo(agreement.phaseOf(text));
    if (phase !== before) this.become(phase);
    if (agreement.isAnnounced !== wasAnnounced) this.announced();
  }

  /** A barrier that this process has missed comes first: what is on its way here is to be over. */
  private stepTo(phase: Phase): Phase {
    const { phase: before } = this;
    if (before === PREPARE) return phase === PREPARE ? phase : BARRIER;
    return before === MOVE && (phase === BACK || phase === PREPARE) ? RETREAT : phase;
  }

  /** A barrier is to come soon, or not any more: what takes time is done before. */
  private announced(): void {
    this.soonSince = this.host.now();
    if (this.phase === PREPARE) {
      if (this.agreement.isAnnounced) this.prepare();
      else this.isPrepared = false;
    }
    this.context.topicsChanged();
    this.next();
  }

  private prepare(): void {
    if (!this.isPrepared) this.context.barrierBegins();
    this.isPrepared = true;
  }

  private become(phase: Phase): void {
    const before = this.phase;
    const isThrough = (before === BARRIER && phase !== PREPARE) ||
      (before === RETREAT && phase !== MOVE);
    // What is on its way here goes first.
    if (isThrough && !this.barrier.isPassable) return;
    this.phase = phase;
    const { route } = this;
    const stage = route.stage;
    if (phase === BACK) route.stage = RETURN;
    else if (phase === DONE) route.stage = NEW;
    else route.stage = phase === MOVE || phase === RETREAT ? BOTH : OLD;
    const { agreement } = this;
    if (phase === BACK || (phase === PREPARE && agreement.isOurs(agreement.text))) {
      route.hasReturned = true;
    }
    agreement.why = "";
    this.say(`${phase}${before === UNKNOWN ? " (as the servers say)" : ""}`, `migrate_${phase}`);
    if (isMoving(phase) && stage !== route.stage) {
      this.empty.clear();
      this.mover.turnAround();
    }
    if (!isMoving(phase)) this.copying.stop();
    if (phase === BARRIER) this.prepare();
    else this.isPrepared = false;
    if (isBarrier(phase)) this.barrier.begin();
    else this.barrier.end();
    if (phase === MOVE && this.target.isCluster) this.leaveDatabases();
    for (const client of this.context.clients) client.settleMode();
    if (stage !== route.stage) this.context.routeChanged();
    else this.context.topicsChanged();
    this.clients.phaseChanged(!isBarrier(phase));
    if (isMoving(phase)) void this.copying.run(phase);
  }

  /** A cluster has one. */
  private leaveDatabases(): void {
    for (const client of [...this.context.clients]) {
      const db = this.words.dbOf(client.session);
      if (db !== 0) client.cutOff(`it has selected database ${db}; a Redis Cluster has only 0`);
    }
  }

  private lookAround(): void {
    const { agreement, barrier, phase } = this;
    const isAgreed = agreement.phaseOf(agreement.text) !== phase;
    if (barrier.age > LONGEST_BARRIER && !isAgreed) {
      void this.swap(agreement.saying(phase === BARRIER ? PREPARE : MOVE, this.isPaused));
      return;
    }
    barrier.look(isAgreed);
    if (barrier.isPassable && isAgreed) this.follow(agreement.text);
  }

  async swap(to: string): Promise<string> {
    const wrong = await this.agreement.swap(this.agreement.text, to);
    if (wrong === "" && !this.stopped) this.follow(to);
    return wrong;
  }

  // ---------------------------------------------------------------- orders

  /** Carries out an order of the command's; what is wrong, "" if nothing is. */
  order(what: string): Promise<string> {
    return this.orders.carryOut(what);
  }

  async sample(): Promise<string> {
    if (this.phase === UNKNOWN) return `the phase is ${this.phase}`;
    const estimate = await sampleKeys(this);
    if (typeof estimate === "string") return estimate;
    this.estimate = estimate;
    return "";
  }

  status(): MigrationStatus {
    const { phase, tally, route, barrier } = this;
    const { keys, bytes, rate, errors, aside, bigs, seen, of, told } = tally;
    const isOver = phase === DONE || phase === PREPARE;
    const left = isOver ? [] : route.sources().filter((server) => !this.empty.has(server));
    return {
      pool: this.context.name,
      to: this.target.name,
      phase,
      parked: barrier.isPassable,
      paused: this.isPaused,
      why: isBarrier(phase) ? barrier.why : this.agreement.why,
      ...{ keys, bytes, rate, errors, aside, bigs, seen, of, told },
      waiting: this.clients.waiting,
      copying: this.copying.isOn,
      added: this.copying.isOn ? this.strain.shown(this.host.now()) : 0,
      slowed: this.copying.isOn && this.pace.isSlowed,
      left: left.map(({ name }) => name),
      id: this.agreement.id,
      plan: partsOf(route, this.target.parts()),
      estimate: this.estimate,
      servers: this.context.lines,
      addresses: this.keepers().map(({ address: { path, host, port } }) =>
        path !== "" ? path : `${host}:${port}`
      ),
    };
  }

  // ---------------------------------------------------------------- requests of clients

  /** Whether the request at `buf[at...]` may be carried out now. WAIT: its client is told later. */
  gate(client: GateClient, scan: Scan, buf: Uint8Array, at: number): Verdict {
    if (client.session.locked) return GO;
    if (client.head === null) this.barrier.forget(client);
    return this.clients.ask(client, scan, buf, at);
  }

  still(client: GateClient, scan: Scan, buf: Uint8Array, at: number): Verdict {
    return this.clients.askStill(client, scan, buf, at);
  }

  isLeaving(client: GateClient, scan: Scan, buf: Uint8Array, at: number): boolean {
    return this.clients.isLeaving(client, scan, buf, at);
  }

  /** The client is gone. */
  forget(client: GateClient): void {
    this.barrier.forget(client);
    this.clients.forget(client);
  }

  stop(): void {
    this.stopped = true;
    this.timer?.cancel();
    this.copying.stop();
    this.mover.stop();
    this.clients.stop();
  }
}
