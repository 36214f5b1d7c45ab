// What is kept per memcached client, whichever protocol it speaks: nothing, so far, but who it is.

import type { Session } from "../codec.ts";

export function newSession(id: number, remote: string, since: number): Session {
  const session = { locked: false, id, remote, since, name: "", resp: 0, db: 0 };
  return { ...session, libName: "", libVersion: "" };
}
