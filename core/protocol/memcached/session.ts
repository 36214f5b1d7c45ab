// What is kept per memcached client, whichever protocol it speaks: who it is.

import type { Session } from "../codec.ts";

export function newSession(id: number, remote: string, since: number, locked: boolean): Session {
  return { locked, user: null, restricted: false, id, remote, since };
}
