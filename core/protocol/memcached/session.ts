// What is kept per memcached client, whichever protocol it speaks: who it is.

import { ALOUD, type Session } from "../session.ts";

export function newSession(id: number, remote: string, since: number, locked: boolean): Session {
  // A plain literal: see the one of Redis.
  return {
    locked,
    user: null,
    restricted: false,
    id,
    remote,
    since,
    silence: ALOUD,
    isKnown: false,
    ownLinks: false,
  };
}
