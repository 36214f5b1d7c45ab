// A pool's migration to another ring: its phases, who waits in which, and what is told of it.
//
//   | phase   | event                                                    | next    |
//   | UNKNOWN | the servers have said what was agreed before             | any     |
//   | PREPARE | `start`: the state is "barrier"                          | BARRIER |
//   | BARRIER | all processes have parked: `commit`: the state is "move" | MOVE    |
//   | BARRIER | `abort`, or nobody commits in time                       | PREPARE |
//   | MOVE    | no old server has a key that is to go: "done"            | DONE    |
//
// What is agreed is a text at a server (the first of the old ring: the arbiter), changed by compare
// and swap, and copied to all others. Every process reads it again and again; nobody has to be told.
// So a process that starts, at whatever moment, knows where it is, and no two ever differ on more
// than a barrier: in it those commands wait that the two rings would send to different servers.

import type { Host, Timer } from "../../host.ts";
import type { Log } from "../../log.ts";
import type { Codec, Keys, Scan, Session } from "../../protocol/codec.ts";
import type { Migrating, Value } from "../../protocol/migrating.ts";
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
import { BOTH, type MigrateRoute, NEW, OLD } from "../../route/migrate.ts";
import type { RingRoute } from "../../route/ring.ts";
import type { Server } from "../../server/server.ts";
import { Question, Unheard } from "../../link/question.ts";
import type { Request } from "../request.ts";
import { Copier, type CopierContext, shownKey } from "./copier.ts";
import type { Outcome } from "./key_move.ts";
import type { Answer } from "./asker.ts";
import { after, Mover } from "./mover.ts";

export const UNKNOWN = "unknown";
export const PREPARE = "prepare";
export const BARRIER = "barrier";
export const MOVE = "move";
export const DONE = "done";
/** Of memcached: see ../pull/pull_migration.ts. */
export const PULL = "pull";
export const DRAIN = "drain";
export type Phase =
  | typeof UNKNOWN
  | typeof PREPARE
  | typeof BARRIER
  | typeof MOVE
  | typeof PULL
  | typeof DRAIN
  | typeof DONE;

/** What `gate` says of a request: it may go on; it waits (and its client is not read). */
export const GO = "go";
export const WAIT = "wait";

/** How often (ms) the state is read. */
const PACE: Readonly<Record<Phase, number>> = {
  unknown: 100,
  prepare: 250,
  barrier: 20,
  move: 500,
  pull: 500,
  drain: 500,
  done: 2000,
};
/** A barrier lasts so long (ms) at least: processes that nobody knows of read the state meanwhile. */
const SHORTEST_BARRIER = 600;
/** Nobody commits: it ends by itself. */
const LONGEST_BARRIER = 10_000;
/** How long (ms) transactions and watched keys may go on in a barrier. */
const GRACE = 1000;
/** And what waits at a server, if nobody can free it. */
const CUT_OFF = 4000;
/** How long (ms) a client's request may wait. */
const MOST_WAIT = 10_000;
/** How long (ms) a server may take to tell the state. */
const MOST_READ = 2000;
const LOCK = 5000;
/** Big keys, errors and conflicts that are told by name. */
const MOST_TOLD = 20;

/** A client, as a migration sees it. */
export interface GateClient {
  readonly session: Session;
  readonly codec: Codec;
  readonly isClosed: boolean;
  readonly head: Request | null;
  /** It is about to end what it has begun with a server of its own: WATCH, MULTI. */
  readonly holdsOn: boolean;
  readonly isBlocked: boolean;
  /** It waits at a server that its key is to leave. */
  readonly isBlockedAway: boolean;
  stopForWork(): void;
  workDone(): void;
  emptyListening(): void;
  settleMode(): void;
  /** What it watches, or has begun, is lost. */
  loseHold(): void;
  /** Asks the server to end its wait, which is begun again; false: it cannot be. */
  freeWait(): boolean;
  cutOff(why: string): void;
}

export interface MigrationContext {
  readonly label: string;
  readonly name: string;
  readonly log: Log;
  readonly host: Host;
  readonly lane: number;
  readonly codec: Codec;
  readonly turn: { enter(): void };
  readonly clients: Iterable<GateClient>;
  readonly rate: number;
  /** The new ring's servers, as a configuration has them. */
  readonly lines: readonly string[];
  readonly bigKey: number;
  /** Topics are heard at both servers from a barrier on. */
  topicsChanged(): void;
  topicsSettled(): boolean;
  /** Commands go elsewhere now. */
  routeChanged(): void;
  /** Of links in that lane. */
  codecOf(lane: number): Codec;
}

/** For people and programs. */
export interface MigrationStatus {
  readonly pool: string;
  readonly to: string;
  readonly phase: Phase;
  /** In a barrier: nothing is on its way here that the new ring would send elsewhere. */
  readonly parked: boolean;
  readonly paused: boolean;
  /** Of memcached: a start goes on by itself to the barrier. */
  readonly preparing?: boolean;
  readonly memcached?: boolean;
  /** Why the phase is not known, or the barrier is not passed. */
  readonly why: string;
  readonly keys: number;
  readonly bytes: number;
  readonly errors: number;
  readonly aside: number;
  readonly waiting: number;
  readonly copying: boolean;
  /** Old servers that may have keys to go, and how far the copier is with the first of them. */
  readonly left: readonly string[];
  readonly seen: number;
  readonly of: number;
  readonly told: readonly string[];
  /** The same for the same two rings, in whatever process. */
  readonly id: string;
  /** Each server's part of the keys (0 to 1), by the old ring and by the new one. */
  readonly plan: readonly { server: string; before: number; after: number }[];
  /** The new ring's servers, as lines of a configuration. */
  readonly servers: readonly string[];
  /** Of all servers: where the state is. */
  readonly addresses: readonly string[];
}

export class Migration implements CopierContext {
  phase: Phase;
  readonly route: MigrateRoute;
  private readonly context: MigrationContext;
  private readonly id: string;
  private readonly to: string;
  private readonly mover: Mover;
  private copier: Copier | null;
  private timer: Timer | null;
  private stopped: boolean;
  isPaused: boolean;
  /** The arbiter's text, as last read. */
  private text: string;
  private why: string;
  /** Of a barrier: since when, who is still to be answered, whether all is parked. */
  private since: number;
  private draining: Set<GateClient>;
  private fencing: number;
  private isFenced: boolean;
  private isParked: boolean;
  /** Clients that wait for another phase, and since when. */
  private readonly parked: Map<GateClient, number>;
  /** What becomes of the request that a client has waited for. */
  private readonly verdicts: Map<GateClient, typeof GO | Uint8Array>;
  private readonly empty: Set<Server>;
  private keys: number;
  private bytes: number;
  private errors: number;
  private aside: number;
  private seen: number;
  private of: number;
  private told: string[];

  /** `id` is the same in all processes that move the same keys. */
  constructor(context: MigrationContext, route: MigrateRoute, id: string, to: string) {
    this.context = context;
    this.route = route;
    this.id = id;
    this.to = to;
    this.phase = UNKNOWN;
    this.mover = new Mover(this);
    this.copier = null;
    this.timer = null;
    this.stopped = false;
    this.isPaused = false;
    this.text = "";
    this.why = "no server has been asked yet";
    this.since = 0;
    this.draining = new Set();
    this.fencing = 0;
    this.isFenced = false;
    this.isParked = false;
    this.parked = new Map();
    this.verdicts = new Map();
    this.empty = new Set();
    this.keys = 0;
    this.bytes = 0;
    this.errors = 0;
    this.aside = 0;
    this.seen = 0;
    this.of = 0;
    this.told = [];
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

  /** Clients have to be asked what they want before it is done. */
  get isOn(): boolean {
    return this.phase !== PREPARE && this.phase !== DONE;
  }

  /** The ring may not become another one. */
  get isFixed(): boolean {
    return this.phase !== PREPARE;
  }

  private say(message: string, event: string): void {
    this.context.log.notice(`${this.context.label}: migration to "${this.to}": ${message}`, {
      event,
    });
  }

  // ---------------------------------------------------------------- the state

  begin(): void {
    if (this.timer === null && !this.stopped) void this.poll();
  }

  private next(): void {
    if (this.stopped) return;
    this.timer?.cancel();
    this.timer = after(this.host, PACE[this.phase], () => void this.poll());
  }

  private get arbiter(): Server {
    return this.route.old.owner(0);
  }

  private async poll(): Promise<void> {
    if (this.phase === UNKNOWN) await this.learn();
    else {
      const text = await this.read(this.arbiter);
      if (text !== null) this.follow(text);
    }
    if (this.stopped) return;
    if (this.phase === BARRIER) this.lookAround();
    const now = this.host.now();
    for (const [client, since] of this.parked) {
      if (now - since >= MOST_WAIT) this.release(client, this.words.unknown());
    }
    this.next();
  }

  /** What a server has; null: it does not say. */
  private async read(server: Server): Promise<string | null> {
    const answer = await this.inTime(this.mover.asker(server).tell(this.words.state));
    if (!(answer instanceof Uint8Array)) {
      this.why = `server "${server.name}": ${answer.why}`;
      return null;
    }
    const state = this.words.readState(answer);
    if (typeof state === "string") return state;
    this.why = `server "${server.name}": ${state.why}`;
    return null;
  }

  /** A server that hangs must not keep us from looking after those who wait. */
  private inTime(answer: Promise<Answer>): Promise<Answer> {
    const why = `no answer within ${MOST_READ} ms`;
    const late = new Promise<Answer>((resolve) => {
      after(this.host, MOST_READ, () => resolve({ is: "lost", unsent: false, why }));
    });
    return Promise.race([answer, late]);
  }

  /** Of a start: one server that knows of keys on their way is enough, else all have to say no. */
  private async learn(): Promise<void> {
    const { route } = this;
    const states = await Promise.all(route.everyone().map((server) => this.read(server)));
    if (this.stopped) return;
    const own = states.find((one) => this.phaseOf(one ?? "") !== PREPARE);
    const first = states[route.everyone().indexOf(this.arbiter)];
    if (own !== undefined && this.phaseOf(own ?? "") !== BARRIER) return this.follow(own as string);
    if (states.includes(null)) return;
    const other = states.find((one) => one !== null && this.isOthers(one));
    if (other !== undefined) {
      this.why = `another migration has not come to its end here: "${other}"`;
      return;
    }
    this.follow(first ?? "");
  }

  /** "move 1a2b3c paused": the phase, of which migration, and whether it pauses. */
  private phaseOf(text: string): Phase {
    const [phase, id] = text.split(" ");
    if (id !== this.id) return PREPARE;
    return phase === BARRIER || phase === MOVE || phase === DONE ? phase : PREPARE;
  }

  private isOthers(text: string): boolean {
    const [phase, id] = text.split(" ");
    return id !== this.id && (phase === BARRIER || phase === MOVE);
  }

  private follow(text: string): void {
    const phase = this.phaseOf(text);
    if ((this.phase === MOVE || this.phase === DONE) && phase !== MOVE && phase !== DONE) {
      // The arbiter has lost its memory; nobody goes back from here.
      this.mover.asker(this.arbiter).ask(this.words.put(this.text), () => {});
      return;
    }
    this.text = text;
    this.isPaused = text.endsWith(" paused");
    if (phase !== BARRIER || this.phase === BARRIER) this.why = "";
    if (phase !== this.phase) this.become(phase);
  }

  private become(phase: Phase): void {
    const before = this.phase;
    // What is on its way here goes first.
    if (phase === MOVE && before === BARRIER && !this.isParked) return;
    this.phase = phase;
    this.route.stage = phase === MOVE ? BOTH : phase === DONE ? NEW : OLD;
    this.say(`${phase}${before === UNKNOWN ? " (as the servers say)" : ""}`, `migrate_${phase}`);
    if (phase === BARRIER) this.beginBarrier();
    else this.isParked = false;
    for (const client of this.context.clients) client.settleMode();
    if (phase === MOVE || phase === DONE) this.context.routeChanged();
    else this.context.topicsChanged();
    if (phase !== BARRIER) {
      for (const client of [...this.parked.keys()]) this.release(client, null);
    }
    if (phase === MOVE) void this.copy();
    if (phase === DONE) this.copier?.stop();
  }

  /** `from` becomes `to` at the arbiter, then everywhere; what is wrong, "" if nothing is. */
  private async swap(from: string, to: string): Promise<string> {
    const { words } = this;
    const answer = await this.mover.asker(this.arbiter).tell(words.swap(from, to));
    if (!(answer instanceof Uint8Array)) return `server "${this.arbiter.name}": ${answer.why}`;
    const state = words.readState(answer);
    if (typeof state !== "string") return `server "${this.arbiter.name}": ${state.why}`;
    if (state !== to) return `the state is "${state}" by now`;
    const others = this.route.everyone().filter((server) => server !== this.arbiter);
    await Promise.all(others.map((server) => this.mover.asker(server).tell(words.put(to))));
    this.follow(to);
    return "";
  }

  // ---------------------------------------------------------------- orders

  /** Carries out an order of the command's; what is wrong, "" if nothing is. */
  async order(what: string): Promise<string> {
    const { phase, text } = this;
    const moving = `${MOVE} ${this.id}`;
    switch (what) {
      case "check":
        return phase === PREPARE ? await this.check() : `the phase is ${phase}, not prepare`;
      case "start":
        if (phase !== PREPARE) return `the phase is ${phase}, not prepare`;
        return await this.check() || await this.swap(text, `${BARRIER} ${this.id}`);
      case "commit":
      case "commit-paused":
        if (phase !== BARRIER) return `the phase is ${phase}, not barrier`;
        if (!this.isParked) return `not parked yet: ${this.why}`;
        if (this.host.now() - this.since < SHORTEST_BARRIER) return "too early";
        return await this.swap(text, what === "commit" ? moving : `${moving} paused`);
      case "abort":
        if (phase === BARRIER) return await this.swap(text, `none ${this.id}`);
        if (phase === PREPARE) return "nothing has begun";
        return `the phase is ${phase}: keys have moved already, and new ones are on the new servers; ` +
          "let it come to its end, then move them back by another migration";
      case "pause":
      case "resume":
        if (phase !== MOVE) return `the phase is ${phase}, not move`;
        return await this.swap(text, what === "pause" ? `${moving} paused` : moving);
      default:
        return `"${what}" is not known (check, start, commit, commit-paused, abort, pause, resume)`;
    }
  }

  /** Whether the servers can do what is wanted of them, and the new ones are empty. */
  private async check(): Promise<string> {
    const { words, route } = this;
    const old = new Set(route.old.all());
    if (old.size < route.old.places) return "not all old servers are live";
    const values: [Server, Value][] = [];
    for (const server of route.everyone()) {
      const where = `server "${server.name}"`;
      const state = await this.read(server);
      if (state === null) return this.why;
      if (this.isOthers(state)) return `${where}: another migration is not at its end: "${state}"`;
      const answer = await this.mover.asker(server).tell(words.trial);
      if (!(answer instanceof Uint8Array)) return `${where}: ${answer.why}`;
      const value = words.readTrial(answer);
      if ("is" in value) {
        return `${where} refuses what a migration does (EVAL, Redis 7): ${value.why}`;
      }
      values.push([server, value]);
      if (old.has(server)) continue;
      const wrong = await this.notEmpty(server);
      if (wrong !== "") return `${where} ${wrong}`;
    }
    const [first] = route.old.all();
    const library = await this.mover.asker(first).tell(words.library);
    for (const server of route.next.all()) {
      const own = await this.mover.asker(server).tell(words.library);
      if (!old.has(server) && !isEqual(own, library)) {
        return `server "${server.name}" has not the functions of "${first.name}" (FUNCTION LOAD)`;
      }
      for (const [from, value] of values) {
        const answer = await this.mover.asker(server).tell(words.tryValue(value));
        const why = answer instanceof Uint8Array ? words.errorOf(answer) : answer.why;
        if (why !== "") return `server "${server.name}" takes no values of "${from.name}": ${why}`;
      }
    }
    return "";
  }

  private async notEmpty(server: Server): Promise<string> {
    const { words } = this;
    const answer = await this.mover.asker(server).tell(words.keyspace);
    const dbs = answer instanceof Uint8Array ? words.readKeyspace(answer) : null;
    if (dbs === null || "is" in dbs) return "does not say what it has";
    for (const { db, keys } of dbs) {
      const first = await this.mover.asker(server).tell(words.scan(db, "0", 1000));
      const page = first instanceof Uint8Array ? words.readPage(first) : null;
      const own = page === null || "is" in page
        ? 0
        : page.keys.filter((k) => words.isOwn(k)).length;
      if (keys > own) {
        return `has ${keys - own} keys in database ${db} already; new servers have to be empty`;
      }
    }
    return "";
  }

  status(): MigrationStatus {
    const left = this.phase === DONE
      ? []
      : this.route.old.all().filter((server) => !this.empty.has(server)).map(({ name }) => name);
    return {
      pool: this.context.name,
      to: this.to,
      phase: this.phase,
      parked: this.isParked,
      paused: this.isPaused,
      why: this.why,
      keys: this.keys,
      bytes: this.bytes,
      errors: this.errors,
      aside: this.aside,
      waiting: this.parked.size,
      copying: this.copier !== null,
      left,
      seen: this.seen,
      of: this.of,
      told: this.told,
      id: this.id,
      plan: this.plan(),
      servers: this.context.lines,
      addresses: this.route.everyone().map(({ address: { path, host, port } }) =>
        path !== "" ? path : `${host}:${port}`
      ),
    };
  }

  private plan(): MigrationStatus["plan"] {
    const { old, next } = this.route;
    const [before, after] = [old.shares(), next.shares()];
    const part = (ring: RingRoute, shares: Float64Array, server: Server): number => {
      let sum = 0;
      for (let i = 0; i < ring.places; i++) if (ring.owner(i) === server) sum += shares[i];
      return sum;
    };
    return this.route.everyone().map((server) => ({
      server: server.name,
      before: part(old, before, server),
      after: part(next, after, server),
    }));
  }

  // ---------------------------------------------------------------- the barrier

  private beginBarrier(): void {
    this.since = this.host.now();
    this.isFenced = false;
    this.fencing = -1;
    this.draining = new Set();
    for (const client of this.context.clients) {
      if (client.head === null || client.isBlocked) continue;
      this.draining.add(client);
      client.emptyListening();
    }
  }

  /** Whether all that was on its way is answered, and nobody holds on to anything any more. */
  private lookAround(): void {
    const age = this.host.now() - this.since;
    const isAgreed = this.phaseOf(this.text) === MOVE;
    if (age > LONGEST_BARRIER && !isAgreed) {
      void this.swap(this.text, `none ${this.id}`);
      return;
    }
    if (this.isParked) return;
    // The others move already: who still keeps this process from it has had its time.
    if (isAgreed && age > LONGEST_BARRIER) {
      for (const client of this.draining) client.cutOff("it is still busy (migrate)");
    }
    this.why = this.obstacle(age);
    if (this.why === "" && !this.isFenced) {
      if (this.fencing < 0) this.fence();
      this.why = "servers have not answered all that was sent to them";
      if (this.fencing === 0) this.isFenced = true;
    }
    if (!this.isFenced || this.why !== "" && this.fencing > 0) return;
    this.why = "";
    this.isParked = true;
  }

  private obstacle(age: number): string {
    for (const client of this.draining) {
      if (client.head === null || client.isClosed || client.isBlocked) this.draining.delete(client);
    }
    let holding = 0;
    let blocked = 0;
    for (const client of [...this.context.clients]) {
      if (client.isClosed) continue;
      if (client.isBlockedAway) {
        blocked++;
        if (!client.freeWait() && age > CUT_OFF) {
          client.cutOff("it waits at a server that its key is to leave (migrate)");
        }
      } else if (client.holdsOn) {
        if (age > GRACE) client.loseHold();
        else holding++;
      }
    }
    if (this.draining.size > 0) return `${this.draining.size} clients wait for replies`;
    if (holding > 0) return `${holding} clients are amid transactions`;
    if (blocked > 0) return `${blocked} clients wait at servers`;
    return this.context.topicsSettled() ? "" : "topics are being subscribed";
  }

  /** What clients have left behind that are gone: each link is asked something behind it. */
  private fence(): void {
    this.fencing = 0;
    const probe = this.context.codec.probe as Uint8Array;
    const over = (): void => void this.fencing--;
    for (const server of this.route.old.all()) {
      for (const link of server.connections) {
        if (link.head === null || link.patience > 0) continue;
        this.fencing++;
        this.turn.enter();
        link.send(new Question(new Fence(over)), probe, 0, probe.length);
      }
    }
  }

  // ---------------------------------------------------------------- requests of clients

  /** Whether the request at `buf[at...]` may be carried out now. WAIT: its client is told later. */
  gate(
    client: GateClient,
    scan: Scan,
    buf: Uint8Array,
    at: number,
  ): typeof GO | typeof WAIT | Uint8Array {
    if (client.session.locked) return GO;
    this.draining.delete(client);
    const verdict = this.verdicts.get(client);
    if (verdict !== undefined) {
      this.verdicts.delete(client);
      return verdict;
    }
    const { phase, words } = this;
    if (!this.isOn || (phase === BARRIER && client.holdsOn)) return GO;
    switch (scan.action) {
      case ALL:
      case APART:
      case ANY:
      case GATHER:
      case WALK:
        if (phase === UNKNOWN) return this.park(client);
        return (phase === MOVE ? words.refuses(scan, buf, at) : null) ?? GO;
      case FORWARD:
      case SPLIT:
      case TOGETHER:
      case PIN:
        break;
      default:
        return GO;
    }
    if (words.isKeyless(scan)) return GO;
    if (phase === MOVE) {
      const refusal = words.refuses(scan, buf, at);
      if (refusal !== null) return refusal;
    }
    return this.gateKeys(client, scan, buf, at);
  }

  private gateKeys(
    client: GateClient,
    scan: Scan,
    buf: Uint8Array,
    at: number,
  ): typeof GO | typeof WAIT | Uint8Array {
    const { route } = this;
    const keys = client.codec.keys as Keys;
    const db = this.words.dbOf(client.session);
    const isOne = scan.action === FORWARD;
    const count = isOne ? 1 : scan.nkeys;
    const toGo: { key: Uint8Array; from: Server; to: Server }[] = [];
    let parks = false;
    let isOwn = false;
    for (let i = 0; i < count && !parks; i++) {
      if (!isOne) keys.select(scan, i);
      const start = at + scan.keyStart;
      const end = at + scan.keyEnd;
      if (buf[start] === 114) isOwn ||= this.words.isOwn(buf.subarray(start, end));
      const from = route.leaves(buf, start, end);
      if (from === null) continue;
      if (this.phase !== MOVE) parks = true;
      else if (!this.empty.has(from) && !this.mover.isGone(db, buf, start, end)) {
        const to = route.next.pick(buf, start, end) as Server;
        toGo.push({ key: buf.slice(start, end), from, to });
      }
    }
    if (!isOne && count > 0) keys.select(scan, 0);
    if (isOwn) return this.words.own();
    if (parks) return this.park(client);
    if (toGo.length === 0) return GO;
    client.stopForWork();
    let left = toGo.length;
    let failure = "";
    for (const { key, from, to } of toGo) {
      this.mover.move(db, key, from, to, true, (outcome) => {
        if (outcome.is === "failed") failure = outcome.why;
        if (--left > 0 || this.stopped) return;
        this.release(client, failure === "" ? GO : this.words.waited(MOST_WAIT, failure));
      });
    }
    return WAIT;
  }

  /** Whether a key of the request is to leave its server. */
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
    this.parked.set(client, this.host.now());
    client.stopForWork();
    return WAIT;
  }

  /** Its request is looked at again; null: as if it had just come. */
  private release(client: GateClient, verdict: typeof GO | Uint8Array | null): void {
    this.parked.delete(client);
    if (client.isClosed) return;
    if (verdict !== null) this.verdicts.set(client, verdict);
    this.turn.enter();
    client.workDone();
  }

  /** The client is gone. */
  forget(client: GateClient): void {
    this.parked.delete(client);
    this.verdicts.delete(client);
    this.draining.delete(client);
  }

  // ---------------------------------------------------------------- copying

  private async copy(): Promise<void> {
    const { words, route } = this;
    const who = `${this.id}.${this.host.random(0x7fffffff).toString(36)}`;
    const lock = async (): Promise<boolean> => {
      const answer = await this.mover.asker(this.arbiter).tell(words.lock(who, LOCK));
      return answer instanceof Uint8Array && words.readLock(answer);
    };
    const copier = new Copier(this, this.mover, route);
    while (this.phase === MOVE && !this.stopped) {
      if (!await lock()) {
        this.copier = null;
        await copier.rest();
        continue;
      }
      this.copier = copier;
      const keep = this.host.every(LOCK / 5, () => void lock());
      const servers = route.old.all();
      for (const server of servers) {
        if (!this.empty.has(server) && await copier.pass(server)) this.emptied(server);
      }
      keep.cancel();
      if (servers.length < route.old.places || servers.some((one) => !this.empty.has(one))) {
        await copier.rest(50);
        continue;
      }
      await this.swap(this.text, `${DONE} ${this.id}`);
      await copier.rest();
    }
    this.copier = null;
  }

  emptied(server: Server): void {
    this.empty.add(server);
    this.say(`server "${server.name}" has nothing left to go`, "migrate_emptied");
  }

  passed(_server: Server, seen: number, of: number): void {
    this.seen = seen;
    this.of = of;
  }

  note(db: number, key: Uint8Array, outcome: Outcome): void {
    const shown = `${shownKey(key)}${db === 0 ? "" : ` (database ${db})`}`;
    if (outcome.is === "big") this.tell(`big: ${shown}, ${outcome.size} bytes`);
    if (outcome.is === "failed") {
      this.errors++;
      this.tell(`error: ${shown}: ${outcome.why}`);
    }
    if (outcome.is !== "gone" || !outcome.moved && !outcome.aside) return;
    if (outcome.moved) this.keys++;
    this.bytes += outcome.bytes;
    if (!outcome.aside) return;
    this.aside++;
    this.tell(`set aside: ${shown}: its new server had one already`);
  }

  private tell(line: string): void {
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
    this.copier?.stop();
    this.mover.stop();
  }
}

function isEqual(a: Answer, b: Answer): boolean {
  if (!(a instanceof Uint8Array) || !(b instanceof Uint8Array)) return false;
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

class Fence extends Unheard {
  private readonly over: () => void;

  constructor(over: () => void) {
    super();
    this.over = over;
  }

  override reply(): void {
    this.over();
  }

  override lost(): void {
    this.over();
  }
}

/** The same for the same two rings, in whatever process. */
export function fingerprint(text: string): string {
  let hash = 0x811c9dc5;
  let other = 0x1234567;
  for (let i = 0; i < text.length; i++) {
    hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
    other = Math.imul(other, 31) + text.charCodeAt(i) | 0;
  }
  return (hash >>> 0).toString(36) + (other >>> 0).toString(36);
}
