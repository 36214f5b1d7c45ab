// What becomes of what a client has open when its pool's users are others than before. As in Redis
// (acl.c) a user that is gone loses its connections, and who hears what it may not hear any more
// loses its own. What a client may do less than before is not done later either: who waits at
// a server is closed, and a transaction is not carried out.

import { widens } from "../protocol/access.ts";
import type { User } from "../protocol/user.ts";
import type { Codec, Session } from "../protocol/codec.ts";
import type { Hold } from "./modes/hold.ts";
import type { Subscriptions } from "./subscriptions.ts";

/** A client, with what it has open. */
interface Renewed {
  readonly session: Session;
  readonly codec: Codec;
  readonly subscriptions: Subscriptions | null;
  readonly hold: Hold | null;
  readonly isBlocked: boolean;
  readonly isMonitoring: boolean;
}

/** Who a client was. */
interface Before {
  readonly user: User | null;
  readonly locked: boolean;
}

/**
 * The client's session is renewed; `old` and `now` are what a new session was and is. Why the client
 * has to go; "" if it may stay.
 */
export function renew(client: Renewed, old: Session, now: Session): string {
  const { session, codec } = client;
  const { user, locked, ownLinks } = session;
  const why = codec.renew(session, old, now) || outOfPlace(client, { user, locked });
  if (why !== "") return why;
  if (client.isMonitoring) return "monitored servers that are reached otherwise now";
  return ownLinks && !session.ownLinks ? "its user may not hear all it is told" : "";
}

/** `client.session` is what it is now. */
function outOfPlace(client: Renewed, before: Before): string {
  const { session, subscriptions } = client;
  const listens = subscriptions !== null && subscriptions.total > 0;
  if (session.locked) {
    if (before.locked) return "";
    if (before.user !== null) return "its user is removed";
    return listens || client.hold !== null ? "it has to say who it is" : "";
  }
  const { user } = session;
  if (user === null || (before.user !== null && widens(before.user, user))) return "";
  if (listens && !subscriptions.allowedTo(user)) return "its user may not hear all it hears";
  if (client.isBlocked) return "its user may do less than when it began to wait";
  client.hold?.doom();
  return "";
}
