// The interface of a route: which server a key's command goes to. Knows no client and no protocol; a
// ring today, slots, prefixes, failover and mirrors are routes too.

import type { Keys, Scan } from "../protocol/codec.ts";
import type { Rounds, Walking } from "./rounds.ts";
import type { Carrier } from "../link/attempt.ts";
import type { Standing } from "../server/replicas.ts";
import { type Server, type Target, Unavailable } from "../server/server.ts";

/** What a command is to do, see protocol/intents.ts. */
export type Intent = number;

/** No server is alive; twemproxy's words. */
export const NOBODY: Unavailable = new Unavailable("Connection refused");

/**
 * A *place* is what keys share an owner by: a shard of a ring, a slot of a cluster. Its owner may
 * change; a managed route counts such changes in epochs.
 */
export interface Route {
  /**
   * Not null: its places change owners while clients use them. A client with unanswered requests
   * must not send to a place that is newer than its last empty queue (`picked` > what `epoch` was
   * then), and requests may be sent again.
   */
  readonly redirects: Redirects | null;
  /** `pick` is to be told what commands are to do, even on the shortest way. */
  readonly tells: boolean;
  /** Some targets are no servers and carry requests out by themselves: see prefix.ts. */
  readonly mixed: boolean;
  /** Raised whenever a place changes its owner. */
  readonly epoch: number;
  /** The epoch of the place that `pick` gave last. */
  readonly picked: number;
  /** Of a managed route: the place that `pick` gave last; -1 for none. */
  readonly place: number;
  /** How many places there are. */
  readonly places: number;
  /** `by`: whose command it is; else it is no command, or one for the place's own server. */
  /** The server for a command on the key `buf[start, end)`. */
  pick(buf: Uint8Array, start: number, end: number, intent: Intent, by?: Asker): Target;
  /**
   * The place of every key of a SPLIT request at `buf[at...]`, into `places`. The server, if it is
   * one for all keys (or there is none); null when they are several.
   */
  pickAll(
    scan: Scan,
    buf: Uint8Array,
    at: number,
    places: Uint16Array,
    intent?: Intent,
    by?: Asker,
  ): Target | null;
  /** Whose a place is, also while it may not be asked. Absent: nobody knows that of any. */
  home?(place: number): Server | null;
  /** Who has a place that `pickAll` gave. */
  owner(place: number, intent?: Intent, by?: Asker): Target;
  /**
   * The first place, from this one on, whose server is to be walked over there; `places` if there is
   * none. `again`: the walk over the server of `place` has begun.
   */
  walkFrom(place: number, again: boolean): number;
  /** What is walked over in rounds behind the last place: see tree_rounds.ts. Absent: nothing. */
  readonly behind?: Walking<unknown> | null;
  /** Whether the keys of a request are in one place, where that matters more than the server. */
  isOnePlace(scan: Scan, buf: Uint8Array, at: number, keys: Keys): boolean;
  /** For a command without a key: any server. */
  any(): Target;
  /** Every server that takes part now in a command without a key. */
  all(intent: Intent, by?: Asker): Server[];
}

/** A client, as far as a route has to know it that reads from replicas. */
export interface Asker {
  /** Unique in the pool. */
  readonly id: number;
  /** Requests it has sent so far, counted, and how many of them are answered. */
  readonly sent: number;
  readonly answered: number;
  /** It has a connection to itself, or is told of changes of what it reads. */
  readonly isBound: boolean;
  /** The route's notes, by shard; null until there are some. */
  standings: (Standing | undefined)[] | null;
  /**
   * Whether one of its unanswered requests for `place` (-1: for any), of those before `whole` (null: of
   * all), has waited, or was sent again another way than `way` (NO_WAY: whatever way). What comes
   * behind such a one waits, or it would overtake it.
   */
  isAstray(place: number, whole: unknown, way: number): boolean;
}

/** No request has taken it. */
export const NO_WAY = -1;

/** A request, as far as a route has to know it. */
export interface Resendable {
  /** Whose it is and what it is to do; absent: it is one of a client's own connection. */
  readonly by?: Asker;
  /** What stands for it in its client's queue. */
  readonly whole?: unknown;
  readonly intent?: Intent;
  readonly place: number;
  /** How often it was sent again. The route sets it to 0 if that is not to be counted. */
  resent: number;
  /** Which way it was sent again last: the route's own number, set when it says where the request goes. */
  way?: number;
  /** Since when (ms) it waits; -1 if it does not. */
  readonly parkedAt: number;
  readonly isJudged: boolean;
}

/** Where requests are to go that a server has refused or lost: see exchange/resend.ts. */
export interface Redirects {
  /** How all servers are walked over while keys move among them; null: in their order. */
  readonly rounds: Rounds | null;
  /** How often one request is sent again, those times not counted when it had to wait. */
  readonly most: number;
  /** Servers tell each other what is published: a channel is heard at any of them. */
  readonly broadcasts: boolean;
  /** What goes before the request, to the server that `refused` has given. Its reply is no one's. */
  readonly preface: Uint8Array | null;
  /** What was refused last is refused for its having several keys. */
  readonly apart: boolean;
  /** `link` has answered the error in `buf[start, end)`; null: it is for the client. */
  refused(
    buf: Uint8Array,
    start: number,
    end: number,
    request: Resendable,
    link: Carrier,
  ): Target | null;
  /** Instead of a link that was lost; null: the client is to be told. */
  lost(link: Carrier, request: Resendable): Target | null;
  /** Errors for clients: it was sent too often; it goes over the client's own link; it is not kept. */
  tooMany(request: Resendable): Uint8Array | null;
  held(request: Resendable): Uint8Array | null;
  forgotten(request: Resendable): Uint8Array | null;
  /** Such a command has to wait until all earlier ones of `by` are answered. Absent: none has. */
  overtakes?(intent: Intent, by: Asker): boolean;
  /** What `by` did over a connection to itself is done. */
  released?(by: Asker): void;
  /** The place has had nobody for too long; of -1, all have not. */
  overdue(place: number): Uint8Array;
  /**
   * Whether a command of this class that may have been carried out may be sent again, after it was
   * `repeated` times; `atFormer`: it waited (BLPOP) at a server that has the place no more.
   */
  mayRepeat(intent: Intent, repeated: number, atFormer?: boolean): boolean;
}
