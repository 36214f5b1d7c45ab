// Keys that proxies have taken and left so, being gone: they are moved on to their new servers before
// anything goes back.

import type { Migrating } from "../../protocol/migrating.ts";
import type { Server } from "../../server/server.ts";
import type { Mover } from "./mover.ts";

/** What is in the way, "" if nothing is. What is held is being finished then. */
export async function finishHeld(
  mover: Mover,
  words: Migrating,
  servers: readonly Server[],
): Promise<string> {
  let held = 0;
  for (const server of servers) {
    const answer = await mover.asker(server).tell(words.keyspace);
    const dbs = answer instanceof Uint8Array ? words.readKeyspace(answer) : null;
    if (dbs === null || "is" in dbs) return `server "${server.name}" does not say what it has`;
    for (const { db } of dbs) {
      const reply = await mover.asker(server).tell(words.holds(db));
      const page = reply instanceof Uint8Array ? words.readPage(reply) : null;
      if (page === null || "is" in page) return `server "${server.name}" does not say what is held`;
      for (const key of page.keys) mover.move(db, key.slice(), server, true, () => {});
      held += page.keys.length;
    }
  }
  return held === 0 ? "" : `${held} keys are on their way: a proxy has left them so`;
}
