// What is done with a command that its client's mode has nothing to say about.

import { broadcast, broadcastApart, gather, rescue } from "../exchange/broadcast.ts";
import { together } from "../exchange/place.ts";
import { publish } from "../exchange/publish.ts";
import { split } from "../exchange/split.ts";
import { walk } from "../exchange/walk.ts";
import {
  ALL,
  ANY,
  APART,
  FORWARD,
  GATHER,
  LOCAL,
  NOTHING,
  QUIT,
  REFUSE,
  RESCUE,
  type Scan,
  SPLIT,
  WALK,
} from "../protocol/codec.ts";
import { type GateClient, GO, WAIT } from "../exchange/migrate/phases.ts";
import { answerLocally, type LocalClient } from "./local.ts";
import { LATER, TAKEN } from "./modes/taken.ts";

/** A client whose command is carried out. */
interface DispatchClient extends LocalClient, GateClient {
  /** Answers with `bytes`; TAKEN. */
  replied(bytes: Uint8Array): number;
  /** `bytes` are its last ones. */
  sayGoodbye(bytes: Uint8Array): void;
}

/** `buf[at, at + length)` is the request as a server is to get it. TAKEN or LATER. */
export function carryOut(
  client: DispatchClient,
  scan: Scan,
  buf: Uint8Array,
  at: number,
  length: number,
): number {
  const { action } = scan;
  const { migration } = client.context;
  if (migration !== null && action !== FORWARD) {
    const verdict = migration.still(client, scan, buf, at);
    if (verdict === WAIT) return LATER;
    if (verdict !== GO) return client.replied(verdict);
  }
  if ((action === APART || action === RESCUE) && client.head !== null) return LATER;
  run(client, scan, buf, at, length);
  return TAKEN;
}

function run(
  client: DispatchClient,
  scan: Scan,
  buf: Uint8Array,
  at: number,
  length: number,
): void {
  const { codec, context } = client;
  const { route } = context;
  switch (scan.action) {
    case REFUSE:
      return client.answer(scan.error);
    case NOTHING:
      return;
    case LOCAL:
      return answerLocally(client, scan, buf, at);
    case QUIT:
      return client.sayGoodbye(codec.answer(scan, buf, at, client.session));
    case SPLIT:
      return split(client, scan, buf, at, length);
    case ALL:
      context.scripts?.note(scan, buf, at, length);
      return broadcast(client, scan, buf, at, length);
    case APART:
      return broadcastApart(client, scan, buf, at, length);
    case RESCUE:
      return rescue(client, scan, buf, at, length);
    case GATHER:
      return gather(client, scan, buf, at, length);
    case WALK:
      return walk(client, scan, buf, at, length);
    case ANY:
      return client.forward(route.any(), scan, buf, at, length);
    case FORWARD: {
      const intent = codec.intents[scan.verb + 1];
      const server = route.pick(buf, at + scan.keyStart, at + scan.keyEnd, intent, client);
      return client.forward(server, scan, buf, at, length);
    }
    default:
      if (codec.publishing !== null && publish(client, context.topics, scan, buf, at, length)) {
        return;
      }
      return together(client, scan, buf, at, length);
  }
}
