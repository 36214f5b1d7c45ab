// A transaction in a pool with `multi: split`: its commands are kept until EXEC, which sends each
// server that has some of them a transaction of its own, and puts the replies in the commands' order.
// What is watched (WATCH) has a link and is no business of this: see transaction.ts.

import { addPart } from "../../exchange/part.ts";
import type { Request } from "../../exchange/request.ts";
import type { Scan, Transactions } from "../../protocol/codec.ts";
import { mainOf, type Server } from "../../server/server.ts";
import { CLASS_WRITE } from "../../stats/latency.ts";
import type { Hold, ModeClient } from "./hold.ts";
import { FIELDS, type KeptCommands, MOST_BYTES, MOST_COMMANDS } from "./kept_commands.ts";
import { TAKEN } from "./taken.ts";

/** Whether a transaction that begins now is such a one: it has nothing to watch, and several places. */
export function isSplit(client: ModeClient): boolean {
  const { config, route } = client.context;
  return config.multi === "split" && route.places > 1;
}

/** Keeps a command whose keys are on one server, or that has none; its answer. */
export function keepCommand(
  hold: Hold,
  scan: Scan,
  buf: Uint8Array,
  at: number,
  length: number,
  hasKey: boolean,
): Uint8Array {
  const { client, words } = hold;
  const kept = hold.commands as KeptCommands;
  if (!kept.hasRoomFor(length)) {
    hold.doomed = true;
    return client.codec.failure(
      `a transaction may have ${MOST_COMMANDS} commands and ${MOST_BYTES >> 20} MB (multi: split)`,
    );
  }
  // `serverOf` has left the last of several keys; all are on one server.
  if (hasKey) kept.add(buf, at, length, scan.keyStart, scan.keyEnd);
  else kept.add(buf, at, length, -1, -1);
  hold.queued++;
  return words.queued;
}

/** EXEC: each server gets its part. */
export function execSplit(hold: Hold, scan: Scan): number {
  const { client, words } = hold;
  const { context } = client;
  const kept = hold.commands as KeptCommands;
  const { count } = kept;
  const parent = context.requests.takeParent(client, count);
  const servers: Server[] = [];
  const error = count === 0 ? words.nothing : place(client, kept, parent.picks, servers);
  if (error !== null) {
    context.requests.give(parent);
    client.answer(error);
  } else {
    parent.verb = scan.verb;
    client.push(parent);
    for (const [i, server] of servers.entries()) {
      sendPart(parent, kept, i, server, words);
    }
  }
  hold.drop();
  return TAKEN;
}

/** The server of each command, as an index into `servers`; what is wrong, null if nothing is. */
function place(
  client: ModeClient,
  { buf, spans, count }: KeptCommands,
  picks: Uint16Array,
  servers: Server[],
): Uint8Array | null {
  const { route } = client.context;
  const numbers = new Map<Server, number>();
  const numberOf = (server: Server): number => {
    let number = numbers.get(server);
    if (number === undefined) {
      number = servers.push(server) - 1;
      numbers.set(server, number);
    }
    return number;
  };
  for (let k = 0; k < count; k++) {
    const key = spans[FIELDS * k + 2];
    if (key < 0) continue;
    const server = mainOf(route.pick(buf, key, spans[FIELDS * k + 3], CLASS_WRITE));
    if (!server.available) return client.codec.failure(server.reason);
    picks[k] = numberOf(server);
  }
  if (servers.length === 0) {
    const server = route.any();
    if (!server.available) return client.codec.failure(server.reason);
    numberOf(server);
  }
  // What has no key goes with what has.
  for (let k = 0; k < count; k++) if (spans[FIELDS * k + 2] < 0) picks[k] = 0;
  return null;
}

/** Nobody else's request can come in between: all of it is in the link's output at once. */
function sendPart(
  parent: Request,
  { buf, spans, count }: KeptCommands,
  number: number,
  server: Server,
  { multi, exec }: Transactions,
): void {
  const link = server.linkFor(parent.sink);
  link.out.append(multi, 0, multi.length);
  addPart(parent, link, multi.length);
  for (let k = 0; k < count; k++) {
    if (parent.picks[k] !== number) continue;
    const start = spans[FIELDS * k];
    const end = spans[FIELDS * k + 1];
    link.out.append(buf, start, end);
    addPart(parent, link, end - start);
  }
  link.out.append(exec, 0, exec.length);
  addPart(parent, link, exec.length);
}
