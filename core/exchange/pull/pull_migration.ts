// A pool of memcached's migration to another ring: its phases, who waits in which, what is told of it.
//
//   | phase   | event                                                    | next    |
//   | UNKNOWN | the servers have said what was agreed before             | any     |
//   | PREPARE | `start`; what is left over on new servers is swept away  | BARRIER |
//   | BARRIER | all processes have parked: `commit`                      | PULL    |
//   | BARRIER | `abort`, or nobody commits in time                       | PREPARE |
//   | PULL    | no old server has a key that is to go                    | DRAIN   |
//   | DRAIN   | every process has had the time to hear of it             | DONE    |
//
// In the barrier, which takes less than a second, commands wait whose keys are to go: so no process
// writes to an old server while another one writes to a new one, and add, cas and incr are as atomic
// as ever. (Two homes of a key at once, with the new one invalidated by whoever writes to the old one,
// would need no barrier, and would let two clients both be told STORED for one add.) From PULL on a
// key is pulled to its new server before the first command that names it: key_pull.ts. What is agreed
// is kept by the servers: agreed.ts.

import type { Timer } from "../../host.ts";
import type { Pulling } from "../../protocol/pulling.ts";
import type { Scan } from "../../protocol/scan.ts";
import { BOTH, type MigrateRoute, NEW, OLD, partsOf } from "../../route/migrate.ts";
import type { Server } from "../../server/server.ts";
import type { Estimate } from "../estimate.ts";
import { after } from "../migrate/after.ts";
import type { Asker } from "../migrate/asker.ts";
import type { Moves } from "../migrate/moves.ts";
import {
  BARRIER,
  DONE,
  DRAIN,
  type GateClient,
  GO,
  type MigrationContext,
  type MigrationStatus,
  type Phase,
  PREPARE,
  PULL,
  type Target,
  UNKNOWN,
  type Verdict,
} from "../migrate/phases.ts";
import { Pace } from "../migrate/pace.ts";
import { Surroundings } from "../migrate/surroundings.ts";
import { shownKey } from "../migrate/tally.ts";
import { Agreed, type State } from "./agreed.ts";
import { Copying } from "./copying.ts";
import type { Pulled } from "./key_pull.ts";
import { Orders } from "./orders.ts";
import { PullBarrier } from "./pull_barrier.ts";
import { PullGate } from "./pull_gate.ts";
import { Puller } from "./puller.ts";
import { sampleItems } from "./sample.ts";
import { CALM, Standing } from "./standing.ts";
import { Walker } from "./walker.ts";

/** How often (ms) the state is read. */
const PACE: Readonly<Partial<Record<Phase, number>>> = {
  unknown: 100,
  prepare: 250,
  barrier: 20,
};

export class PullMigration extends Surroundings implements Moves {
  phase: Phase;
  readonly pace: Pace;
  readonly puller: Puller;
  readonly walker: Walker;
  readonly agreed: Agreed;
  readonly barrier: PullBarrier;
  readonly empty: Set<Server>;
  stopped: boolean;
  private readonly standing: Standing;
  private readonly clients: PullGate;
  private readonly orders: Orders;
  private readonly copying: Copying;
  private timer: Timer | null;
  /** Since when (ms) the phase is what it is. */
  private since: number;
  /** What would move, as it was asked for last. */
  private estimate: Estimate | null;

  /** `id` is the same in all processes that move the same keys. */
  constructor(context: MigrationContext, route: MigrateRoute, id: string, target: Target) {
    super(context, route, target);
    this.phase = UNKNOWN;
    this.empty = new Set();
    this.stopped = false;
    this.pace = new Pace(this);
    this.puller = new Puller(this);
    this.walker = new Walker(this);
    this.agreed = new Agreed(this, route.everyone());
    this.standing = new Standing(id);
    this.clients = new PullGate(this);
    this.barrier = new PullBarrier(context, () => route.old.all());
    this.orders = new Orders(this);
    this.copying = new Copying(this, id);
    this.timer = null;
    this.since = 0;
    this.estimate = null;
  }

  // ---------------------------------------------------------------- what its parts are told

  get pulling(): Pulling {
    return this.context.codec.pulling as Pulling;
  }

  get isPaused(): boolean {
    return this.standing.state.paused;
  }

  get isOn(): boolean {
    return this.phase !== PREPARE && this.phase !== DONE;
  }

  get isTwofold(): boolean {
    return false;
  }

  get isFixed(): boolean {
    return this.phase !== PREPARE || this.orders.preparing;
  }

  /** Whether keys go on being copied. */
  get goesOn(): boolean {
    return this.phase === PULL && !this.stopped;
  }

  /** How long (ms) the phase is what it is. */
  get age(): number {
    return this.host.now() - this.since;
  }

  /** What keeps it from going on; "" for nothing. */
  get why(): string {
    if (this.phase === UNKNOWN) return this.standing.why;
    return this.phase === BARRIER ? this.barrier.why : this.orders.why || this.copying.why;
  }

  asker(server: Server): Asker {
    return this.puller.asker(server);
  }

  // ---------------------------------------------------------------- phases

  begin(): void {
    if (this.timer === null && !this.stopped) void this.poll();
  }

  private async poll(): Promise<void> {
    const { standing } = this;
    const { newest, why } = await this.agreed.look(standing.state);
    if (this.stopped) return;
    const isNews = this.phase === UNKNOWN
      ? standing.learns(newest, why, this.host.now())
      : standing.isNews(newest);
    if (isNews) this.follow(newest);
    if (this.phase === BARRIER) this.lookAround(newest);
    this.clients.tick();
    this.timer?.cancel();
    this.timer = after(this.host, PACE[this.phase] ?? CALM, () => void this.poll());
  }

  private follow(state: State): void {
    const { phase, standing } = this;
    const next = standing.phaseOf(state);
    const isBegun = next !== PREPARE && next !== BARRIER;
    if (next === PREPARE && phase !== UNKNOWN && phase !== PREPARE && phase !== BARRIER) return;
    // What is on its way here goes first, also where the barrier has been missed.
    if (isBegun && phase === PREPARE) return this.become(BARRIER);
    if (isBegun && phase === BARRIER && !this.barrier.isPassable) return;
    standing.state = state;
    if (!this.orders.preparing) this.orders.why = "";
    if (next !== phase) this.become(next);
  }

  private become(phase: Phase): void {
    const before = this.phase;
    this.phase = phase;
    this.since = this.host.now();
    this.route.stage = phase === PULL ? BOTH : phase === DRAIN || phase === DONE ? NEW : OLD;
    this.say(`${phase}${before === UNKNOWN ? " (as the servers say)" : ""}`, `migrate_${phase}`);
    if (phase === BARRIER) this.barrier.begin(this.pulling.binaryFence);
    else this.barrier.end();
    for (const client of this.context.clients) client.settleMode();
    if (phase === PULL || phase === DONE || phase === DRAIN) this.context.routeChanged();
    this.clients.phaseChanged(phase !== BARRIER);
    if (phase === PULL || (phase === DRAIN && before !== PULL)) void this.copying.run();
  }

  async swap(phase: string, paused = false): Promise<string> {
    const { standing } = this;
    const to = standing.after(phase, paused);
    const wrong = await this.agreed.swap(standing.state, to);
    if (wrong === "" && !this.stopped) this.follow(to);
    return wrong;
  }

  private lookAround(newest: State): void {
    const { barrier, standing } = this;
    const isAgreed = standing.phaseOf(newest) !== BARRIER && standing.isNews(newest);
    if (barrier.isOverdue && !isAgreed && standing.state.phase === BARRIER) {
      return void this.swap("none");
    }
    barrier.look(isAgreed);
    if (barrier.isPassable && isAgreed) this.follow(newest);
  }

  // ---------------------------------------------------------------- orders

  order(what: string): Promise<string> {
    return this.orders.carryOut(what);
  }

  async sample(): Promise<string> {
    const estimate = await sampleItems(this);
    if (typeof estimate === "string") return estimate;
    this.estimate = estimate;
    return "";
  }

  async isFree(): Promise<string> {
    const { newest, why } = await this.agreed.look(this.standing.state);
    return why || this.standing.hindrance(newest);
  }

  status(): MigrationStatus {
    const { phase, tally, route } = this;
    const { keys, bytes, rate, errors, aside, bigs, seen, of, told } = tally;
    const isOver = phase === DONE || phase === DRAIN;
    const left = isOver ? [] : route.old.all().filter((server) => !this.empty.has(server));
    return {
      pool: this.context.name,
      to: this.target.name,
      phase,
      parked: this.barrier.isPassable,
      paused: this.isPaused,
      why: this.why,
      preparing: this.orders.preparing,
      ...{ keys, bytes, rate, errors, aside, bigs, seen, of, told },
      waiting: this.clients.waiting,
      copying: this.copying.isOurs,
      added: this.copying.isOurs ? this.strain.shown(this.host.now()) : 0,
      slowed: this.copying.isOurs && this.pace.isSlowed,
      left: left.map(({ name }) => name),
      id: this.standing.id,
      plan: partsOf(route, this.target.parts()),
      estimate: this.estimate,
      servers: this.context.lines,
      addresses: route.everyone().map(({ address: { path, host, port } }) =>
        path !== "" ? path : `${host}:${port}`
      ),
      memcached: true,
    };
  }

  // ---------------------------------------------------------------- requests of clients

  gate(client: GateClient, scan: Scan, buf: Uint8Array, at: number): Verdict {
    if (client.session.locked) return GO;
    if (client.head === null) this.barrier.forget(client);
    return this.clients.ask(client, scan, buf, at);
  }

  still(): typeof GO {
    return GO;
  }

  isLeaving(): boolean {
    return false;
  }

  forget(client: GateClient): void {
    this.barrier.forget(client);
    this.clients.forget(client);
  }

  // ---------------------------------------------------------------- copying

  emptied(server: Server): void {
    this.empty.add(server);
    this.say(`server "${server.name}" has nothing left to go`, "migrate_emptied");
  }

  passed(seen: number, of: number): void {
    this.tally.seen = seen;
    this.tally.of = of;
  }

  note(key: Uint8Array, pulled: Pulled): void {
    this.tally.note(key, pulled);
    if (pulled.is !== "gone" || pulled.lost === "") return;
    this.tally.setAside(`dropped: ${shownKey(key)}: ${pulled.lost}`);
  }

  tell(line: string): void {
    this.tally.tell(line);
  }

  stop(): void {
    this.stopped = true;
    this.timer?.cancel();
    this.walker.stop();
    this.puller.stop();
    this.clients.stop();
  }
}
