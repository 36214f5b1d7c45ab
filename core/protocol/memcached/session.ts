// What is kept per memcached client, whichever protocol it speaks: who it is.

import { ALOUD, type Session } from "../session.ts";

export function newSession(id: number, remote: string, since: number, locked: boolean): Session {
  const session = {
    locked,
    user: null,
    restricted: false,
    id,
    remote,
    since,
    name: "",
    resp: 0,
    db: 0,
  };
  return { ...session, libName: "", libVersion: "", silence: ALOUD, isKnown: false };
}
