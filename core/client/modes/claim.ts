// The hold that a request needs: on the server that has its keys.

import {
  crossServerError,
  NO_KEY,
  serverOf,
  SEVERAL,
  type Whereabouts,
} from "../../exchange/place.ts";
import type { Scan, Transactions } from "../../protocol/codec.ts";
import type { Server } from "../../server/server.ts";
import { Hold, type ModeClient } from "./hold.ts";
import { LATER } from "./taken.ts";

export const LOST = "the connection that was kept for this client is lost";

/**
 * The client's hold on the server of a request's keys, a new one if it has none. TAKEN when the
 * client was answered with an error, LATER when earlier requests are to be answered first.
 */
export function claim(client: ModeClient, scan: Scan, buf: Uint8Array, at: number): Hold | number {
  const { codec, route } = client.context;
  let server = serverOf(client, scan, buf, at);
  if (server === NO_KEY) server = route.any(); // a wrong count: for a server to refuse
  let { hold } = client;
  if (hold !== null && !hold.isAlive()) {
    // What it watched is watched no more, and it has to be told.
    hold.drop();
    return client.replied(codec.failure(LOST));
  }
  if (server === SEVERAL || (hold !== null && server !== hold.server && !hold.isGuest())) {
    return client.replied(misplaced(client, scan, buf, at, server, hold?.server ?? null));
  }
  if (hold !== null) return hold;
  if (client.head !== null) return LATER;
  hold = new Hold(client);
  hold.place = client.context.route.place;
  if (!server.available && server.waits) {
    client.beginHold(hold);
    return hold; // its server will come
  }
  const error = hold.acquire(server);
  return error === "" ? hold : client.replied(codec.failure(error));
}

/**
 * The error for keys that are not all on one server, or not on the one that the client holds on to
 * (`held`). `server` is what `serverOf` has said.
 */
export function misplaced(
  client: ModeClient,
  scan: Scan,
  buf: Uint8Array,
  at: number,
  server: Whereabouts,
  held: Server | null,
): Uint8Array {
  const { codec } = client.context;
  if (server === SEVERAL || server === NO_KEY) return crossServerError(client, scan, buf, at);
  if (!server.available) return codec.failure(server.reason);
  const words = codec.transactions as Transactions;
  return words.astray(scan, buf, at, held?.name ?? server.name, server.name);
}
