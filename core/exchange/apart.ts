// Requests that go to every server over connections of their own, which are closed once they have
// answered. Either their replies list keys as they are, and what a key has in it can be taken for the
// end of the list: what comes behind a false end is nobody else's. Or they are to stop what others
// wait for (SCRIPT KILL): behind it they would never be read.

import type { Scan } from "../protocol/codec.ts";
import type { Client } from "../client/client.ts";
import { addPart, setOrigin } from "./fan_out.ts";

/** APART. Nothing of the client's is in flight: it has one such request at a time. */
export function fanOutApart(
  client: Client,
  scan: Scan,
  buf: Uint8Array,
  at: number,
  length: number,
): void {
  const { pool } = client;
  pool.readmit();
  const live = pool.servers.filter((server) => server.live);
  if (live.length === 0) return client.send(null, scan, buf, at, length);
  // What does not depend on the client's database does not wait for SELECT either, which a server
  // that runs a script for too long refuses.
  const lane = client.codec === pool.codec ? pool.lane : client.lane;
  const parent = pool.requests.takeParent(client, 0);
  setOrigin(parent, scan);
  parent.verb = scan.verb;
  parent.mute = scan.mute;
  client.push(parent);
  for (const server of live) {
    const connection = server.takeExtra(lane);
    connection.out.append(buf, at, at + length);
    addPart(parent, connection, length);
    pool.closeWhenAnswered(connection);
  }
}
