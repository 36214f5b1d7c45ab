// What the proxy answers itself: HELLO, SELECT, RESET, CLIENT and the like. They may change the
// client's session; where its links are to be set up otherwise then, it goes over to another lane.

import type { PoolConfig } from "../config/schema.ts";
import { broadcast } from "../exchange/broadcast.ts";
import {
  type Caching,
  PIN_MONITOR,
  PIN_RESET,
  PIN_TRACK,
  type Scan,
  type Session,
} from "../protocol/codec.ts";
import { NO_LANE } from "../server/lanes.ts";
import type { ClientContext } from "./context.ts";
import { monitor, type MonitoringClient } from "./monitoring.ts";
import type { Subscriptions } from "./subscriptions.ts";

/** A client whose command the proxy answers. */
export interface LocalClient extends MonitoringClient {
  readonly context: ClientContext;
  lane: number;
  readonly subscriptions: Subscriptions | null;
  /** It has asked for its own end. */
  readonly isDoomed: boolean;
  /** Takes no further requests until all earlier ones are answered. */
  emptyFirst(): void;
  /** The session is another now. */
  settleMode(): void;
  /** Takes no more requests; closes when all replies are written. */
  finish(): void;
}

export function answerLocally(
  client: LocalClient,
  scan: Scan,
  buf: Uint8Array,
  at: number,
): void {
  const { session, codec, context } = client;
  if (scan.pin === PIN_MONITOR) return monitor(client, scan.verb);
  const kind = codec.lane(session);
  const wasTold = session.ownLinks;
  const reply = codec.answer(scan, buf, at, session);
  if (scan.pin === PIN_RESET) {
    client.subscriptions?.drop();
    client.monitoring?.drop();
  }
  const moves = codec.lane(session) !== kind;
  if (moves) {
    const lane = context.enterLane(session, codec, client);
    if (lane === NO_LANE) {
      const why = tooManyLanes(session, context.config);
      codec.lanes?.goBack(session, kind);
      return client.answer(codec.failure(why));
    }
    context.leaveLane(client.lane);
    client.lane = lane;
    // Later requests take other links: they must not overtake the earlier ones.
    if (client.head !== null) client.emptyFirst();
  }
  client.settleMode();
  if (scan.pin === PIN_TRACK && session.ownLinks && moves) confirm(client, scan);
  else client.answer(reply);
  // It was told what changes, and may not be told any more, though it has not asked for that.
  const mayNotHear = wasTold && !session.ownLinks && scan.pin !== PIN_TRACK &&
    scan.pin !== PIN_RESET;
  if (mayNotHear || client.isDoomed) client.finish();
}

/** Every server takes part in what the client has asked for before it is told so. */
function confirm(client: LocalClient, scan: Scan): void {
  const { confirm: request } = client.codec.caching as Caching;
  broadcast(client, scan, request, 0, request.length);
}

/** Why a session cannot have the links it wants. */
function tooManyLanes(
  { ownLinks }: Session,
  config: Pick<PoolConfig, "auth" | "server_lanes" | "pinned_connections" | "pinned_share">,
): string {
  const { auth, pinned_connections, pinned_share } = config;
  return ownLinks
    ? "too many clients with CLIENT TRACKING, which have connections of their own: " +
      `pinned_connections is ${pinned_connections}` +
      (auth === undefined ? "" : `, pinned_share ${pinned_share}`)
    : "clients use too many combinations of SELECT and HELLO: server_lanes is " +
      `${config.server_lanes}`;
}
