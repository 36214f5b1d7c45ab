// A pool's migration to other servers: its phases (phases.ts), and what its parts do in them.
//
//   agreement.ts   which phase it is: what the servers have been told
//   barrier.ts     whether this process has nothing on its way that would be elsewhere
//   gate.ts        whether a client's request may go on, and whole.ts those about all keys
//   mover.ts       moves keys (key_move.ts: how one moves); copier.ts those nobody asks for

import type { Host, Timer } from "../../host.ts";
import type { Scan } from "../../protocol/codec.ts";
import type { Migrating } from "../../protocol/migrating.ts";
import { BOTH, type MigrateRoute, NEW, OLD, partsOf, RETURN } from "../../route/migrate.ts";
import type { Server } from "../../server/server.ts";
import { Agreement, type AgreementContext } from "./agreement.ts";
import type { Asker } from "./asker.ts";
import { Barrier, LONGEST_BARRIER, SHORTEST_BARRIER } from "./barrier.ts";
import { check } from "./check.ts";
import { Copier, type CopierContext } from "./copier.ts";
import { Gate, type GateContext } from "./gate.ts";
import { finishHeld } from "./held.ts";
import type { Outcome } from "./key_move.ts";
import { after, Mover } from "./mover.ts";
import type { Moves } from "./moves.ts";
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
import { shownKey, Tally } from "./tally.ts";

/** For how long (ms) one process has the right to copy. */
const LOCK = 5000;

export class Migration implements Moves, CopierContext, GateContext, AgreementContext {
  phase: Phase;
  readonly route: MigrateRoute;
  readonly empty: Set<Server>;
  stopped: boolean;
  private readonly context: MigrationContext;
  private readonly target: Target;
  private readonly mover: Mover;
  private readonly agreement: Agreement;
  private readonly barrier: Barrier;
  private readonly clients: Gate;
  private readonly tally: Tally;
  private copier: Copier | null;
  private timer: Timer | null;

  /** `id` is the same in all processes that move the same keys. */
  constructor(context: MigrationContext, route: MigrateRoute, id: string, target: Target) {
    this.context = context;
    this.route = route;
    this.target = target;
    this.phase = UNKNOWN;
    this.empty = new Set();
    this.stopped = false;
    this.mover = new Mover(this);
    this.agreement = new Agreement(this, id);
    this.barrier = new Barrier(context, route, this.mover);
    this.clients = new Gate(this, context, this.mover);
    this.tally = new Tally(() => context.host.now(), (line) => this.warn(line));
    this.copier = null;
    this.timer = null;
  }

  // ---------------------------------------------------------------- what its parts are told

  get host(): Host {
    return this.context.host;
  }

  get lane(): number {
    return this.context.lane;
  }

  get turn(): MigrationContext["turn"] {
    return this.context.turn;
  }

  get words(): Migrating {
    return this.context.codec.migrating as Migrating;
  }

  get rate(): number {
    return this.context.rate;
  }

  get bigKey(): number {
    return this.context.bigKey;
  }

  get isPaused(): boolean {
    return this.agreement.isPaused;
  }

  get isCluster(): boolean {
    return this.target.isCluster;
  }

  get counts(): boolean {
    return !this.target.isCluster;
  }

  asker(server: Server): Asker {
    return this.mover.asker(server);
  }

  /** A key of the state may be another node's in a cluster. */
  keepers(): readonly Server[] {
    return this.target.isCluster ? this.route.old.all() : this.route.everyone();
  }

  failure(text: string): Uint8Array {
    return this.context.codec.failure(text);
  }

  /** Clients have to be asked what they want before it is done. */
  get isOn(): boolean {
    return this.phase !== PREPARE && this.phase !== DONE;
  }

  /** The ring may not become another one. */
  get isFixed(): boolean {
    return this.phase !== PREPARE;
  }

  /** Topics are heard where the other ring has them too. */
  get isTwofold(): boolean {
    return this.isOn && this.phase !== UNKNOWN;
  }

  private say(message: string, event: string): void {
    const { log, label } = this.context;
    log.notice(`${label}: migration to "${this.target.name}": ${message}`, { event });
  }

  private warn(line: string): void {
    const { log, label } = this.context;
    log.warn(`${label}: migration to "${this.target.name}": ${line}`, { event: "migrate_key" });
  }

  // ---------------------------------------------------------------- phases

  begin(): void {
    if (this.timer === null && !this.stopped) void this.poll();
  }

  private next(): void {
    if (this.stopped) return;
    this.timer?.cancel();
    this.timer = after(this.host, PACE[this.phase], () => void this.poll());
  }

  private async poll(): Promise<void> {
    const { agreement } = this;
    const isNew = this.phase === UNKNOWN;
    const text = isNew ? await agreement.learn() : await agreement.readArbiter();
    if (this.stopped) return;
    if (text !== null) this.follow(text);
    if (isBarrier(this.phase)) this.lookAround();
    this.clients.tick();
    this.next();
  }

  private follow(text: string): void {
    const { agreement, phase: before } = this;
    const isBegun = before !== UNKNOWN && before !== PREPARE && before !== BARRIER;
    // Nobody goes back from here but by the arbiter's word.
    if (isBegun && !agreement.isOurs(text)) return agreement.remind();
    agreement.text = text;
    if (!isBarrier(before)) agreement.why = "";
    const phase = agreement.phaseOf(text);
    if (phase !== before) this.become(phase);
  }

  private become(phase: Phase): void {
    const before = this.phase;
    const isThrough = (phase === MOVE && before === BARRIER) ||
      (phase === BACK && before === RETREAT);
    // What is on its way here goes first.
    if (isThrough && !this.barrier.isPassable) return;
    this.phase = phase;
    const { route } = this;
    const stage = route.stage;
    if (phase === BACK) route.stage = RETURN;
    else if (phase === DONE) route.stage = NEW;
    else route.stage = phase === MOVE || phase === RETREAT ? BOTH : OLD;
    if (phase === BACK || this.agreement.text === this.agreement.saying(PREPARE)) {
      route.hasReturned = true;
    }
    this.agreement.why = "";
    this.say(`${phase}${before === UNKNOWN ? " (as the servers say)" : ""}`, `migrate_${phase}`);
    if (isMoving(phase) && stage !== route.stage) {
      this.empty.clear();
      this.mover.turnAround();
    }
    if (phase !== MOVE && phase !== BACK) this.copier?.stop();
    if (phase === BARRIER) this.context.barrierBegins();
    if (isBarrier(phase)) this.barrier.begin();
    else this.barrier.end();
    if (phase === MOVE && this.target.isCluster) this.leaveDatabases();
    for (const client of this.context.clients) client.settleMode();
    if (stage !== route.stage) this.context.routeChanged();
    else this.context.topicsChanged();
    this.clients.phaseChanged(!isBarrier(phase));
    if (isMoving(phase)) void this.copy(phase);
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
      void this.swap(agreement.saying(phase === BARRIER ? PREPARE : MOVE));
      return;
    }
    barrier.look(isAgreed);
    if (barrier.isPassable && isAgreed) this.follow(agreement.text);
  }

  private async swap(to: string): Promise<string> {
    const wrong = await this.agreement.swap(this.agreement.text, to);
    if (wrong === "" && !this.stopped) this.follow(to);
    return wrong;
  }

  // ---------------------------------------------------------------- orders

  /** Carries out an order of the command's; what is wrong, "" if nothing is. */
  async order(what: string): Promise<string> {
    const { phase, agreement } = this;
    switch (what) {
      case "check":
        return phase === PREPARE ? await this.check() : `the phase is ${phase}, not prepare`;
      case "start":
        if (phase !== PREPARE) return `the phase is ${phase}, not prepare`;
        return await this.check() || await this.swap(agreement.saying(BARRIER));
      case "commit":
      case "commit-paused":
        return await this.commit(what === "commit-paused");
      case "abort":
        return await this.abort();
      case "pause":
      case "resume":
        if (phase === RETREAT && what === "resume") return await this.swap(agreement.saying(MOVE));
        if (!isMoving(phase)) return `the phase is ${phase}: no keys move`;
        return await this.swap(agreement.saying(phase, what === "pause"));
      default:
        return `"${what}" is not known (check, start, commit, commit-paused, abort, pause, resume)`;
    }
  }

  private async commit(paused: boolean): Promise<string> {
    const { phase, agreement, barrier } = this;
    if (!isBarrier(phase)) return `the phase is ${phase}, not barrier`;
    if (!barrier.isPassable) return `not parked yet: ${barrier.why}`;
    if (barrier.age < SHORTEST_BARRIER) return "too early";
    const unknowing = await agreement.isNotedBy(agreement.text);
    if (unknowing !== "") return unknowing;
    if (phase === RETREAT) {
      const left = await finishHeld(this.mover, this.words, this.route.old.all());
      if (left !== "") return left;
    }
    return await this.swap(agreement.saying(phase === BARRIER ? MOVE : BACK, paused));
  }

  private async abort(): Promise<string> {
    const { phase, agreement, target } = this;
    if (phase === BARRIER) return await this.swap(agreement.saying(PREPARE));
    if (phase === PREPARE) return "nothing has begun";
    if (phase === MOVE && target.noReturn === "") {
      return await this.swap(agreement.saying(RETREAT, agreement.isPaused));
    }
    const hint = "let it come to its end, then move them back by another migration";
    if (phase === MOVE) {
      return "keys have moved already, and they cannot be taken from their new servers: " +
        `${target.noReturn}; ${hint}`;
    }
    if (phase === DONE) {
      return "all keys have moved, and other proxies may serve the new servers alone by now; move " +
        "them back by another migration";
    }
    return `the phase is ${phase}: it goes back already`;
  }

  private check(): Promise<string> {
    const { words, route, mover, agreement, target } = this;
    const { isCluster, notReady } = target;
    return check({ words, route, mover, agreement, isCluster, notReady });
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
      copying: this.copier !== null,
      left: left.map(({ name }) => name),
      id: this.agreement.id,
      plan: partsOf(route, this.target.parts()),
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

  isLeaving(client: GateClient, scan: Scan, buf: Uint8Array, at: number): boolean {
    return this.clients.isLeaving(client, scan, buf, at);
  }

  /** The client is gone. */
  forget(client: GateClient): void {
    this.barrier.forget(client);
    this.clients.forget(client);
  }

  // ---------------------------------------------------------------- copying

  private async copy(phase: Phase): Promise<void> {
    const { words, route, agreement } = this;
    const who = `${agreement.id}.${this.host.random(0x7fffffff).toString(36)}`;
    const lock = async (): Promise<boolean> => {
      const answer = await this.asker(this.keepers()[0]).tell(words.lock(who, LOCK));
      return answer instanceof Uint8Array && words.readLock(answer);
    };
    this.copier?.stop();
    const copier = new Copier(this, this.mover, route);
    const isOver = (): boolean => this.phase !== phase || this.stopped || copier.stopped;
    while (!isOver()) {
      if (!await lock()) {
        if (this.copier === copier) this.copier = null;
        await copier.rest();
        continue;
      }
      if (isOver()) break;
      this.copier = copier;
      const keep = this.host.every(LOCK / 5, () => void lock());
      const servers = route.sources();
      for (const server of servers) {
        if (!this.empty.has(server) && await copier.pass(server)) this.emptied(server);
      }
      keep.cancel();
      if (isOver()) break;
      const all = phase === MOVE ? route.old.places : route.next.places;
      if (servers.length < all || servers.some((one) => !this.empty.has(one))) {
        await copier.rest(50);
        continue;
      }
      await this.swap(agreement.saying(phase === MOVE ? DONE : PREPARE));
      await copier.rest();
    }
    if (this.copier === copier) this.copier = null;
  }

  emptied(server: Server): void {
    this.empty.add(server);
    this.say(`server "${server.name}" has nothing left to go`, "migrate_emptied");
  }

  passed(_server: Server, seen: number, of: number): void {
    this.tally.seen = seen;
    this.tally.of = of;
  }

  note(db: number, key: Uint8Array, outcome: Outcome): void {
    this.tally.note(key, outcome, db);
    if (outcome.is !== "gone" || !outcome.aside) return;
    this.tally.setAside(`set aside: ${shownKey(key, db)}: its new server had one already`);
  }

  stop(): void {
    this.stopped = true;
    this.timer?.cancel();
    this.copier?.stop();
    this.mover.stop();
    this.clients.stop();
  }
}
