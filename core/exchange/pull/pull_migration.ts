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

import type { Host, Timer } from "../../host.ts";
import type { Keys } from "../../protocol/codec.ts";
import { INTENT_DELETE } from "../../protocol/intents.ts";
import type { Migrating } from "../../protocol/migrating.ts";
import type { Pulling } from "../../protocol/pulling.ts";
import { ALL, FORWARD, type Scan, SPLIT } from "../../protocol/scan.ts";
import { BOTH, type MigrateRoute, NEW, OLD, partsOf } from "../../route/migrate.ts";
import type { Server } from "../../server/server.ts";
import type { Estimate } from "../estimate.ts";
import { LONGEST_BARRIER, SHORTEST_BARRIER } from "../migrate/barrier.ts";
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
  WAIT,
} from "../migrate/phases.ts";
import { after } from "../migrate/after.ts";
import type { Moves } from "../migrate/moves.ts";
import { Pace } from "../migrate/pace.ts";
import { Strain } from "../migrate/strain.ts";
import { shownKey } from "../migrate/tally.ts";
import { Agreed, NOTHING, type State } from "./agreed.ts";
import { checkServers } from "./check.ts";
import type { Pulled } from "./key_pull.ts";
import { Puller } from "./puller.ts";
import { sampleItems } from "./sample.ts";
import { Settling } from "./settling.ts";
import { Walker } from "./walker.ts";

/** How often (ms) the state is read. */
const PACE: Readonly<Partial<Record<Phase, number>>> = {
  unknown: 100,
  prepare: 250,
  barrier: 20,
  pull: 500,
  drain: 500,
  done: 2000,
};
/** All processes leave the phase before meanwhile (ms). */
const SHORTEST_DRAIN = 1500;
/** How long (ms) a client's request may wait. */
const MOST_WAIT = 10_000;
/** How long (s) a process that copies may say nothing. */
const LOCK = 5;
/** Big keys and errors that are told by name. */
const MOST_TOLD = 20;

/** What is agreed, in the phase's words. */
const AGREED: readonly Phase[] = [BARRIER, PULL, DRAIN, DONE];

export class PullMigration implements Moves {
  phase: Phase;
  readonly route: MigrateRoute;
  readonly strain: Strain;
  readonly pace: Pace;
  readonly puller: Puller;
  readonly walker: Walker;
  private readonly context: MigrationContext;
  private readonly id: string;
  private readonly to: string;
  private readonly target: Target;
  private readonly agreed: Agreed;
  private timer: Timer | null;
  private stopped: boolean;
  isPaused: boolean;
  /** What this process acts by. */
  private state: State;
  private why: string;
  /** A start has been ordered, and is not at the barrier yet. */
  private preparing: boolean;
  private copying: boolean;
  /** Since when (ms) the phase is what it is. */
  private since: number;
  private settling: Settling | null;
  private isParked: boolean;
  /** Clients that wait for another phase, and since when. */
  private readonly parked: Map<GateClient, number>;
  /** What has gone wrong with the request that a client has waited for; "" for nothing. */
  private readonly verdicts: Map<GateClient, string>;
  private readonly empty: Set<Server>;
  private keys: number;
  private bytes: number;
  private errors: number;
  private lost: number;
  private seen: number;
  private of: number;
  private told: string[];
  /** What would move, as it was asked for last. */
  private estimate: Estimate | null;

  /** `id` is the same in all processes that move the same keys. */
  constructor(context: MigrationContext, route: MigrateRoute, id: string, target: Target) {
    this.context = context;
    this.route = route;
    this.id = id;
    this.to = target.name;
    this.target = target;
    this.phase = UNKNOWN;
    this.strain = new Strain();
    this.pace = new Pace(this);
    this.puller = new Puller(this);
    this.walker = new Walker(this);
    this.agreed = new Agreed(this, route.everyone());
    this.timer = null;
    this.stopped = false;
    this.isPaused = false;
    this.state = NOTHING;
    this.why = "no server has been asked yet";
    this.preparing = false;
    this.copying = false;
    this.since = 0;
    this.settling = null;
    this.isParked = false;
    this.parked = new Map();
    this.verdicts = new Map();
    this.empty = new Set();
    this.keys = 0;
    this.bytes = 0;
    this.errors = 0;
    this.lost = 0;
    this.seen = 0;
    this.of = 0;
    this.told = [];
    this.estimate = null;
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

  get pulling(): Pulling {
    return this.context.codec.pulling as Pulling;
  }

  /** Redis's: nobody asks for it. */
  get words(): Migrating {
    return this.context.codec.migrating as Migrating;
  }

  get rate(): number {
    return this.context.rate;
  }

  get latency(): number {
    return this.context.latency;
  }

  get bigKey(): number {
    return this.context.bigKey;
  }

  get isOn(): boolean {
    return this.phase !== PREPARE && this.phase !== DONE;
  }

  get isTwofold(): boolean {
    return false;
  }

  get isFixed(): boolean {
    return this.phase !== PREPARE || this.preparing;
  }

  /** Whether keys go on being copied. */
  get goesOn(): boolean {
    return this.phase === PULL && !this.stopped;
  }

  asker = (server: Server): ReturnType<Puller["asker"]> => this.puller.asker(server);

  private say(message: string, event: string): void {
    this.context.log.notice(`${this.context.label}: migration to "${this.to}": ${message}`, {
      event,
    });
  }

  // ---------------------------------------------------------------- the state

  begin(): void {
    if (this.timer === null && !this.stopped) void this.poll();
  }

  private async poll(): Promise<void> {
    const { newest, why } = await this.agreed.look(this.state);
    if (this.stopped) return;
    const isMine = newest.id === this.id;
    if (this.phase === UNKNOWN) {
      // One server that knows of keys on their way is enough, else all have to say no.
      this.why = why;
      if (!isMine && isUnderWay(newest)) this.why = othersText(newest);
      if (isMine && newest.phase !== "none" || this.why === "") this.follow(newest);
    } else if (newest.change > this.state.change) this.follow(newest);
    if (this.phase === BARRIER) this.lookAround(newest);
    const now = this.host.now();
    for (const [client, since] of this.parked) {
      if (now - since >= MOST_WAIT) this.release(client, `it has waited ${MOST_WAIT} ms`);
    }
    this.timer?.cancel();
    this.timer = after(this.host, PACE[this.phase] ?? 500, () => void this.poll());
  }

  private phaseOf({ id, phase }: State): Phase {
    return id === this.id ? AGREED.find((one) => one === phase) ?? PREPARE : PREPARE;
  }

  private follow(state: State): void {
    const next = this.phaseOf(state);
    const { phase } = this;
    if (next === PREPARE && phase !== UNKNOWN && phase !== PREPARE && phase !== BARRIER) return;
    // What is on its way here goes first, also where the barrier has been missed.
    if (phase === PREPARE && next !== PREPARE && next !== BARRIER) return this.become(BARRIER);
    if (phase === BARRIER && next !== BARRIER && next !== PREPARE && !this.isParked) return;
    this.state = state;
    this.isPaused = state.paused;
    if (next !== BARRIER || phase !== BARRIER) this.why = "";
    if (next !== phase) this.become(next);
  }

  private become(phase: Phase): void {
    const before = this.phase;
    this.phase = phase;
    this.since = this.host.now();
    this.route.stage = phase === PULL ? BOTH : phase === DRAIN || phase === DONE ? NEW : OLD;
    this.say(`${phase}${before === UNKNOWN ? " (as the servers say)" : ""}`, `migrate_${phase}`);
    this.isParked = false;
    this.settling = phase === BARRIER
      ? new Settling(this.context, this.route.old.all(), this.pulling.binaryFence)
      : null;
    for (const client of this.context.clients) client.settleMode();
    if (phase === PULL || phase === DONE || phase === DRAIN) this.context.routeChanged();
    if (phase !== BARRIER) {
      for (const client of [...this.parked.keys()]) this.release(client, null);
    }
    if (phase === PULL || (phase === DRAIN && before !== PULL)) void this.work();
  }

  private async swap(phase: string, paused = false): Promise<string> {
    const { state, id } = this;
    const to = { change: state.change + 1, phase, id, paused };
    const wrong = await this.agreed.swap(state, to);
    if (wrong === "" && !this.stopped) this.follow(to);
    return wrong;
  }

  /** Whether all that was on its way is answered. */
  private lookAround(newest: State): void {
    const age = this.host.now() - this.since;
    const isAgreed = this.phaseOf(newest) !== BARRIER && newest.change > this.state.change;
    if (age > LONGEST_BARRIER) {
      // The others go on already: who still keeps this process from it has had its time.
      if (isAgreed) this.settling?.cutOff();
      else if (this.state.phase === BARRIER) return void this.swap("none");
    }
    this.why = this.settling?.obstacle() ?? "";
    this.isParked = this.why === "";
    if (this.isParked && isAgreed) this.follow(newest);
  }

  // ---------------------------------------------------------------- orders

  async order(what: string): Promise<string> {
    const { phase } = this;
    switch (what) {
      case "check":
        return phase === PREPARE ? await this.check() : `the phase is ${phase}, not prepare`;
      case "estimate":
        return await this.sample();
      case "start":
        if (phase !== PREPARE) return `the phase is ${phase}, not prepare`;
        if (this.preparing) return "it is being started";
        return await this.check() || this.start();
      case "commit":
      case "commit-paused":
        if (phase !== BARRIER) return `the phase is ${phase}, not barrier`;
        if (!this.isParked) return `not parked yet: ${this.why}`;
        if (this.host.now() - this.since < SHORTEST_BARRIER) return "too early";
        return await this.swap(PULL, what === "commit-paused");
      case "abort":
        if (phase === BARRIER) return await this.swap("none");
        if (phase === PREPARE && this.preparing) {
          this.preparing = false;
          return "";
        }
        if (phase === PREPARE) return "nothing has begun";
        return `the phase is ${phase}: keys have moved already, and new ones are on the new servers; ` +
          "let it come to its end, then move them back by another migration";
      case "pause":
      case "resume":
        if (phase !== PULL) return `the phase is ${phase}, not pull`;
        return await this.swap(PULL, what === "pause");
      default:
        return `"${what}" is not known (check, estimate, start, commit, commit-paused, abort, pause, resume)`;
    }
  }

  private async sample(): Promise<string> {
    const estimate = await sampleItems(this);
    if (typeof estimate === "string") return estimate;
    this.estimate = estimate;
    return "";
  }

  private async check(): Promise<string> {
    const { newest, why } = await this.agreed.look(this.state);
    if (why !== "") return why;
    if (newest.id !== this.id && isUnderWay(newest)) return othersText(newest);
    return await checkServers(this, this.route);
  }

  /** Goes on by itself: the barrier comes when nothing is left over on the new servers. */
  private start(): string {
    this.preparing = true;
    this.why = "what is left over on the new servers is looked for";
    void this.walker.sweep(() => this.preparing && !this.stopped).then(async (wrong) => {
      if (!this.preparing || this.stopped) return;
      this.why = wrong || await this.swap(BARRIER);
      this.preparing = false;
    });
    return "";
  }

  status(): MigrationStatus {
    const left = this.phase === DONE || this.phase === DRAIN
      ? []
      : this.route.old.all().filter((server) => !this.empty.has(server)).map(({ name }) => name);
    return {
      pool: this.context.name,
      to: this.to,
      phase: this.phase,
      parked: this.isParked,
      paused: this.isPaused,
      why: this.why,
      preparing: this.preparing,
      keys: this.keys,
      bytes: this.bytes,
      errors: this.errors,
      aside: this.lost,
      waiting: this.parked.size,
      copying: this.copying,
      added: this.copying ? Math.round(this.strain.added(this.host.now()) * 10) / 10 : 0,
      slowed: this.copying && this.pace.isSlowed,
      left,
      seen: this.seen,
      of: this.of,
      told: this.told,
      id: this.id,
      plan: partsOf(this.route, this.target.parts()),
      estimate: this.estimate,
      rate: 0,
      bigs: 0,
      servers: this.context.lines,
      addresses: this.route.everyone().map(({ address: { path, host, port } }) =>
        path !== "" ? path : `${host}:${port}`
      ),
      memcached: true,
    };
  }

  // ---------------------------------------------------------------- requests of clients

  gate(
    client: GateClient,
    scan: Scan,
    buf: Uint8Array,
    at: number,
  ): typeof GO | typeof WAIT | Uint8Array {
    if (client.session.locked) return GO;
    this.settling?.forget(client);
    const verdict = this.verdicts.get(client);
    if (verdict !== undefined) {
      this.verdicts.delete(client);
      return verdict === "" ? GO : client.codec.failure(verdict, scan);
    }
    if (!this.isOn) return GO;
    if (scan.action === FORWARD || scan.action === SPLIT) {
      return this.gateKeys(client, scan, buf, at);
    }
    if (scan.action !== ALL || !this.isFlush(client, scan)) return GO;
    if (this.phase !== PULL) return this.phase === DRAIN ? GO : this.park(client);
    return this.flush(client, scan, buf, at);
  }

  private isFlush(client: GateClient, { verb }: Scan): boolean {
    return this.pulling.flushes.includes(client.codec.commandName(verb));
  }

  /**
   * A key amid its move could be read at an old server before that is flushed, and filled in at the new
   * one after that was. So all are flushed, and then all again.
   */
  private flush(
    client: GateClient,
    scan: Scan,
    buf: Uint8Array,
    at: number,
  ): typeof WAIT | Uint8Array {
    if (this.pulling.isDelayed(scan, buf, at)) {
      return client.codec.failure("flush_all with a delay is not possible while keys move", scan);
    }
    const { flush } = this.pulling;
    client.stopForWork();
    void Promise.all(this.route.everyone().map((server) => this.asker(server).tell(flush)))
      .then((answers) => {
        const wrong = answers.find((answer) => !(answer instanceof Uint8Array));
        const why = wrong === undefined || wrong instanceof Uint8Array ? "" : wrong.why;
        this.release(client, why);
      });
    return WAIT;
  }

  private gateKeys(
    client: GateClient,
    scan: Scan,
    buf: Uint8Array,
    at: number,
  ): typeof GO | typeof WAIT | Uint8Array {
    const { route, phase, pulling } = this;
    const isOne = scan.action === FORWARD;
    const keys = client.codec.keys as Keys;
    const count = isOne ? 1 : scan.nkeys;
    const toGo: { key: Uint8Array; from: Server }[] = [];
    let parks = false;
    let isOwn = false;
    for (let i = 0; i < count && !parks; i++) {
      if (!isOne) keys.select(scan, i);
      const start = at + scan.keyStart;
      const end = at + scan.keyEnd;
      isOwn ||= pulling.isOwn(buf, start, end);
      const from = route.leaves(buf, start, end);
      if (from === null) continue;
      if (phase !== PULL && phase !== DRAIN) parks = true;
      else if (
        phase === DRAIN ? this.isDelete(client, scan) : this.isToPull(from, buf, start, end)
      ) {
        toGo.push({ key: buf.slice(start, end), from });
      }
    }
    if (!isOne && count > 0) keys.select(scan, 0);
    if (isOwn) return client.codec.failure("this key is the proxy's own", scan);
    if (parks) return this.park(client);
    if (toGo.length === 0) return GO;
    client.stopForWork();
    if (phase === DRAIN) this.deleteAtOld(client, toGo);
    else this.pullFor(client, toGo);
    return WAIT;
  }

  private isToPull(from: Server, buf: Uint8Array, start: number, end: number): boolean {
    return !this.empty.has(from) && !this.puller.isGone(buf, start, end);
  }

  private isDelete(client: GateClient, { verb }: Scan): boolean {
    return client.codec.intents[verb + 1] === INTENT_DELETE;
  }

  private pullFor(client: GateClient, toGo: readonly { key: Uint8Array; from: Server }[]): void {
    let left = toGo.length;
    let failure = "";
    for (const { key, from } of toGo) {
      const to = this.route.goal(key, 0, key.length) as Server;
      this.puller.pull(key, from, to, true, (pulled) => {
        if (pulled.is === "failed") failure = pulled.why;
        if (--left === 0) this.release(client, failure);
      });
    }
  }

  /** Nothing is there any more, as far as anybody knows: the answers do not matter. */
  private deleteAtOld(
    client: GateClient,
    toGo: readonly { key: Uint8Array; from: Server }[],
  ): void {
    let left = toGo.length;
    for (const { key, from } of toGo) {
      this.asker(from).ask(this.pulling.drop(key, ""), () => {
        if (--left === 0) this.release(client, "");
      });
    }
  }

  still(): typeof GO {
    return GO;
  }

  isLeaving(): boolean {
    return false;
  }

  private park(client: GateClient): typeof WAIT {
    this.parked.set(client, this.host.now());
    client.stopForWork();
    return WAIT;
  }

  /** Its request goes on, or has failed; null: it is looked at again. */
  private release(client: GateClient, failure: string | null): void {
    this.parked.delete(client);
    if (client.isClosed || this.stopped) return;
    if (failure !== null) {
      this.verdicts.set(client, failure === "" ? "" : `keys move between servers: ${failure}`);
    }
    this.turn.enter();
    client.workDone();
  }

  forget(client: GateClient): void {
    this.parked.delete(client);
    this.verdicts.delete(client);
    this.settling?.forget(client);
  }

  // ---------------------------------------------------------------- copying

  /** Copies, if this process has the lock, until nothing is left; then ends it. */
  private async work(): Promise<void> {
    const who = `${this.id}.${this.host.random(0x7fffffff).toString(36)}`;
    const isAtIt = (): boolean => !this.stopped && (this.phase === PULL || this.phase === DRAIN);
    while (isAtIt()) {
      this.copying = await this.agreed.lock(who, LOCK);
      if (!this.copying || !isAtIt()) {
        await this.walker.rest(1000);
        continue;
      }
      const keep = this.host.every(1000, () => void this.agreed.lock(who, LOCK));
      if (this.phase === PULL) await this.copy();
      else if (this.host.now() - this.since > SHORTEST_DRAIN) await this.swap(DONE);
      keep.cancel();
      await this.walker.rest(100);
    }
    this.copying = false;
  }

  private async copy(): Promise<void> {
    const servers = this.route.old.all();
    for (const server of servers) {
      if (this.empty.has(server) || !await this.walker.pass(server)) continue;
      this.empty.add(server);
      this.say(`server "${server.name}" has nothing left to go`, "migrate_emptied");
    }
    if (this.goesOn && servers.every((one) => this.empty.has(one))) await this.swap(DRAIN);
  }

  passed(seen: number, of: number): void {
    this.seen = seen;
    this.of = of;
  }

  note(key: Uint8Array, pulled: Pulled): void {
    const shown = shownKey(key);
    if (pulled.is === "big") this.tell(`big: ${shown}, ${pulled.size} bytes`);
    if (pulled.is === "failed") {
      this.errors++;
      this.tell(`error: ${shown}: ${pulled.why}`);
    }
    if (pulled.is !== "gone") return;
    if (pulled.moved) this.keys++;
    this.bytes += pulled.bytes;
    if (pulled.lost === "") return;
    this.lost++;
    this.tell(`dropped: ${shown}: ${pulled.lost}`);
  }

  tell(line: string): void {
    if (this.told.includes(line)) return;
    this.told.push(line);
    if (this.told.length > MOST_TOLD) this.told.shift();
    this.context.log.warn(`${this.context.label}: migration to "${this.to}": ${line}`, {
      event: "migrate_key",
    });
  }

  stop(): void {
    this.stopped = true;
    this.timer?.cancel();
    this.walker.stop();
    this.puller.stop();
  }
}

function isUnderWay({ phase }: State): boolean {
  return phase === BARRIER || phase === PULL || phase === DRAIN;
}

function othersText({ phase, id }: State): string {
  return `another migration has not come to its end here: "${phase} ${id}"`;
}
