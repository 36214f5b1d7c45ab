// Whether a client's request may be carried out now: each key that it names has to be at its new server,
// or nowhere. Which phase does what is in pull_migration.ts.

import type { Host } from "../../host.ts";
import type { Keys } from "../../protocol/codec.ts";
import { INTENT_DELETE } from "../../protocol/intents.ts";
import type { Pulling } from "../../protocol/pulling.ts";
import { ALL, FORWARD, type Scan, SPLIT } from "../../protocol/scan.ts";
import type { MigrateRoute } from "../../route/migrate.ts";
import type { Server } from "../../server/server.ts";
import type { Asker } from "../migrate/asker.ts";
import { MOST_WAIT, Parking } from "../migrate/parking.ts";
import {
  DRAIN,
  type GateClient,
  GO,
  type Phase,
  PULL,
  UNKNOWN,
  type Verdict,
  WAIT,
} from "../migrate/phases.ts";
import type { Puller } from "./puller.ts";

export interface PullGateContext {
  readonly host: Pick<Host, "now">;
  readonly turn: { enter(): void };
  readonly phase: Phase;
  /** Why the phase is not known. */
  readonly why: string;
  readonly isOn: boolean;
  readonly route: Pick<MigrateRoute, "leaves" | "goal" | "everyone">;
  readonly pulling: Pulling;
  readonly puller: Pick<Puller, "pull" | "isGone">;
  /** Old servers that have nothing left to go. */
  readonly empty: ReadonlySet<Server>;
  asker(server: Server): Pick<Asker, "ask" | "tell">;
}

/** A key of a request, and the server that it leaves. */
interface Leaving {
  readonly key: Uint8Array;
  readonly from: Server;
}

export class PullGate {
  private readonly context: PullGateContext;
  /** Of what is refused: why. */
  private readonly parking: Parking<string>;

  constructor(context: PullGateContext) {
    const { host, turn } = context;
    this.context = context;
    // Keys go one way, and nothing comes between that would make a client wait again.
    this.parking = new Parking({ host, turn, isLate: false });
  }

  /** Clients that wait for another phase. */
  get waiting(): number {
    return this.parking.waiting;
  }

  /** The request at `buf[at...]`. WAIT: it is looked at again later. */
  ask(client: GateClient, scan: Scan, buf: Uint8Array, at: number): Verdict {
    const why = this.parking.take(client);
    if (why !== undefined) {
      if (why === null) return GO;
      return client.codec.failure(`keys move between servers: ${why}`, scan);
    }
    const { phase, isOn } = this.context;
    if (!isOn) return GO;
    if (scan.action === FORWARD || scan.action === SPLIT) {
      return this.askKeys(client, scan, buf, at);
    }
    if (scan.action !== ALL || !this.isFlush(client, scan) || phase === DRAIN) return GO;
    return phase === PULL ? this.flush(client, scan, buf, at) : this.parking.park(client);
  }

  private isFlush(client: GateClient, { verb }: Scan): boolean {
    return this.context.pulling.flushes.includes(client.codec.commandName(verb));
  }

  /**
   * A key amid its move could be read at an old server before that is flushed, and filled in at the new
   * one after that was. So all are flushed, and then all again.
   */
  private flush(client: GateClient, scan: Scan, buf: Uint8Array, at: number): Verdict {
    const { pulling, route } = this.context;
    if (pulling.isDelayed(scan, buf, at)) {
      return client.codec.failure("flush_all with a delay is not possible while keys move", scan);
    }
    const asked = route.everyone().map((one) => this.context.asker(one).tell(pulling.flush));
    void Promise.all(asked).then((answers) => {
      const lost = answers.find((answer) => !(answer instanceof Uint8Array));
      this.parking.done(client, lost === undefined || lost instanceof Uint8Array ? null : lost.why);
    });
    return this.parking.serve(client);
  }

  private askKeys(client: GateClient, scan: Scan, buf: Uint8Array, at: number): Verdict {
    const { route, phase, pulling } = this.context;
    const isOne = scan.action === FORWARD;
    const keys = client.codec.keys as Keys;
    const count = isOne ? 1 : scan.nkeys;
    const toGo: Leaving[] = [];
    let parks = false;
    let isOwn = false;
    for (let i = 0; i < count; i++) {
      if (!isOne) keys.select(scan, i);
      const start = at + scan.keyStart;
      const end = at + scan.keyEnd;
      isOwn ||= pulling.isOwn(buf, start, end);
      const from = route.leaves(buf, start, end);
      if (from === null) continue;
      if (phase !== PULL && phase !== DRAIN) parks = true;
      else if (this.concerns(client, scan, from, buf, start, end)) {
        toGo.push({ key: buf.slice(start, end), from });
      }
    }
    if (!isOne && count > 0) keys.select(scan, 0);
    if (isOwn) return client.codec.failure("this key is the proxy's own", scan);
    if (parks) return this.parking.park(client);
    if (toGo.length === 0) return GO;
    this.parking.serve(client);
    if (phase === DRAIN) this.deleteAtOld(client, toGo);
    else this.pullFor(client, toGo);
    return WAIT;
  }

  /** Whether something is to be done with a key before a request that names it. */
  private concerns(
    client: GateClient,
    { verb }: Scan,
    from: Server,
    buf: Uint8Array,
    start: number,
    end: number,
  ): boolean {
    const { phase, empty, puller } = this.context;
    return phase === DRAIN
      ? client.codec.intents[verb + 1] === INTENT_DELETE
      : !empty.has(from) && !puller.isGone(buf, start, end);
  }

  private pullFor(client: GateClient, toGo: readonly Leaving[]): void {
    const { route, puller } = this.context;
    let left = toGo.length;
    let failure: string | null = null;
    for (const { key, from } of toGo) {
      const to = route.goal(key, 0, key.length) as Server;
      puller.pull(key, from, to, true, (pulled) => {
        if (pulled.is === "failed") failure = pulled.why;
        if (--left === 0) this.parking.done(client, failure);
      });
    }
  }

  /** Nothing is there any more, as far as anybody knows: the answers do not matter. */
  private deleteAtOld(client: GateClient, toGo: readonly Leaving[]): void {
    const { pulling } = this.context;
    let left = toGo.length;
    for (const { key, from } of toGo) {
      this.context.asker(from).ask(pulling.drop(key, ""), () => {
        if (--left === 0) this.parking.done(client, null);
      });
    }
  }

  /** There is another phase; `opens`: nobody waits for one any more. */
  phaseChanged(opens: boolean): void {
    this.parking.doubt();
    if (opens) this.parking.openAll();
  }

  /** Those that have waited too long are told so. */
  tick(): void {
    this.parking.tick(() => {
      const { phase, why } = this.context;
      return phase === UNKNOWN
        ? `the state of the migration is not known (${why})`
        : `it has waited ${MOST_WAIT} ms`;
    });
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
