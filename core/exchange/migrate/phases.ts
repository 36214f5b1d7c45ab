// The phases of a migration, and what its parts say to each other and to those outside.
//
//   | phase   | event                                                    | next    |
//   | UNKNOWN | the servers have said what was agreed before             | any     |
//   | PREPARE | `start`: "none soon", and then "barrier"                 | BARRIER |
//   | BARRIER | all processes have parked: `commit`: the state is "move" | MOVE    |
//   | BARRIER | `abort`, or nobody commits in time                       | PREPARE |
//   | MOVE    | no old server has a key that is to go: "done"            | DONE    |
//   | MOVE    | `abort`: "move soon", and then "retreat"                 | RETREAT |
//   | RETREAT | all have parked, no key is held: `commit`: "back"        | BACK    |
//   | RETREAT | nobody commits in time                                   | MOVE    |
//   | BACK    | no new server has a key that is to go back: "none"       | PREPARE |

import type { Host } from "../../host.ts";
import type { Log } from "../../log.ts";
import type { Codec, Session } from "../../protocol/codec.ts";
import type { Server } from "../../server/server.ts";
import type { Estimate } from "../estimate.ts";
import type { Request } from "../request.ts";

export const UNKNOWN = "unknown";
export const PREPARE = "prepare";
export const BARRIER = "barrier";
export const MOVE = "move";
export const DONE = "done";
export const RETREAT = "retreat";
export const BACK = "back";
/** Of memcached: see ../pull/pull_migration.ts. */
export const PULL = "pull";
export const DRAIN = "drain";
export type Phase =
  | typeof UNKNOWN
  | typeof PREPARE
  | typeof BARRIER
  | typeof MOVE
  | typeof DONE
  | typeof RETREAT
  | typeof BACK
  | typeof PULL
  | typeof DRAIN;

/** How often (ms) the state is read. */
export const PACE: Readonly<Record<Phase, number>> = {
  unknown: 100,
  prepare: 250,
  barrier: 10,
  move: 500,
  done: 2000,
  retreat: 10,
  back: 500,
  pull: 500,
  drain: 500,
};

/** Keys that move wait for what all processes are to agree on. */
export function isBarrier(phase: Phase): boolean {
  return phase === BARRIER || phase === RETREAT;
}

/** Keys are at both. */
export function isMoving(phase: Phase): boolean {
  return phase === MOVE || phase === BACK;
}

/** What a gate says of a request: it may go on; it waits (and its client is not read). */
export const GO = "go";
export const WAIT = "wait";
export type Verdict = typeof GO | typeof WAIT | Uint8Array;

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
  /** Keys a second, and by how much (ms) servers may answer later for it; 0: no limit. */
  readonly rate: number;
  readonly latency: number;
  /** The new ring's servers, as a configuration has them. */
  readonly lines: readonly string[];
  readonly bigKey: number;
  /** The new servers are to be ready. */
  barrierBegins(): void;
  /** Topics are heard at both servers from a barrier on. */
  topicsChanged(): void;
  topicsSettled(): boolean;
  /** Commands go elsewhere now. */
  routeChanged(): void;
  /** Of links in that lane. */
  codecOf(lane: number): Codec;
}

/** What keys are moved to, as far as a migration has to know it. */
export interface Target {
  /** The pool it is configured by. */
  readonly name: string;
  readonly isCluster: boolean;
  readonly notReady: string;
  readonly noReturn: string;
  /** The part of all keys (0 to 1) of each of its servers. */
  parts(): readonly { readonly server: Server; readonly part: number }[];
}

/** For people and programs. */
export interface MigrationStatus {
  readonly pool: string;
  readonly to: string;
  readonly phase: Phase;
  /** In a barrier: nothing is on its way here that the other ring would send elsewhere. */
  readonly parked: boolean;
  readonly paused: boolean;
  /** Of memcached: a start goes on by itself to the barrier. */
  readonly preparing?: boolean;
  readonly memcached?: boolean;
  /** Why the phase is not known, or the barrier is not passed. */
  readonly why: string;
  readonly keys: number;
  readonly bytes: number;
  /** Keys a second, lately. */
  readonly rate: number;
  readonly errors: number;
  readonly aside: number;
  readonly bigs: number;
  readonly waiting: number;
  readonly copying: boolean;
  /** How much (ms) longer servers take to answer, of the process that copies; whether that slows it. */
  readonly added: number;
  readonly slowed: boolean;
  /** Servers that may have keys to go, and how far the copier is with the first of them. */
  readonly left: readonly string[];
  readonly seen: number;
  readonly of: number;
  readonly told: readonly string[];
  /** The same for the same two rings, in whatever process. */
  readonly id: string;
  /** Each server's part of the keys (0 to 1), by the old ring and by the new one. */
  readonly plan: readonly { server: string; before: number; after: number }[];
  /** What would move, as it was asked for last. */
  readonly estimate: Estimate | null;
  /** The new ring's servers, as lines of a configuration. */
  readonly servers: readonly string[];
  /** Of all servers where the state is. */
  readonly addresses: readonly string[];
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
