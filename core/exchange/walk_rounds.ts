// WALK (SCAN) over servers among which keys move: see route/rounds.ts. A page of keys comes from one
// server, as always. When a round is over the servers are asked what has changed, and the client gets
// a page without keys, which leads on, or is the last one.

import type { Clustering, NodeView } from "../protocol/clustering.ts";
import type { Scan, Walk } from "../protocol/codec.ts";
import { STATES, type Walking } from "../route/rounds.ts";
import { NOBODY } from "../route/route.ts";
import { ask } from "../server/ask.ts";
import type { Server } from "../server/server.ts";
import { abandon, conclude } from "./outcome.ts";
import { type Caller, type Request, SPECIAL } from "./request.ts";
import { addPart, openParent } from "./part.ts";

/** Carries out a request for a page. */
export function walkRounds<R>(
  caller: Caller,
  rounds: Walking<R>,
  scan: Scan,
  buf: Uint8Array,
  at: number,
  length: number,
): void {
  const steps = caller.context.codec.walk as Walk;
  if (rounds.witnessesOf(null).length === 0) return caller.forward(NOBODY, scan, buf, at, length);
  let state = steps.to(scan, buf, at, STATES);
  let round = rounds.of(state);
  const isFresh = round === null;
  if (round === null) {
    state = rounds.begin();
    round = rounds.of(state) as R;
  }
  const visit = rounds.visit(round, state);
  if (visit === null) return goOn(caller, rounds, round, scan, state);
  const { server } = visit;
  if (server.counters.server_connections === 0) {
    // Not yet, or not any more: see whether it comes, or another one has its slots soon.
    server.connect();
    const page = state === visit.state ? steps.again(scan, buf, at) : steps.empty(visit.state);
    return later(rounds, placeholder(caller, scan), isFresh ? steps.empty(state) : page);
  }
  const parent = openParent(caller, scan, 2);
  parent.picks[0] = visit.state & 0xffff;
  parent.picks[1] = visit.state >>> 16;
  parent.nkeys = STATES;
  const link = server.linkFor(caller);
  const begin = link.out.size;
  steps.request(scan, buf, at, length, visit.state, STATES, link.out);
  addPart(parent, link, link.out.size - begin);
}

/** The proxy's own answer will have this place in the client's queue. */
function placeholder(caller: Caller, scan: Scan): Request {
  const request = caller.context.requests.take(caller);
  request.kind = SPECIAL;
  request.verb = scan.verb;
  request.noted = 0;
  caller.push(request);
  return request;
}

/** The client gets the page after a moment, so that it does not ask again and again at once. */
function later(rounds: Walking<unknown>, request: Request, page: Uint8Array): void {
  if (rounds.parking === null) return conclude(request, page);
  rounds.parking.wait({
    place: -1,
    parkedAt: -1,
    cost: 4096,
    get isGone(): boolean {
      return request.sink.isClosed;
    },
    go: () => conclude(request, page),
    giveUp: (error) => conclude(request, error),
    forget: () => abandon(request),
  });
}

/** The round is over: asks what has changed. */
function goOn<R>(
  caller: Caller,
  rounds: Walking<R>,
  round: R,
  scan: Scan,
  state: number,
): void {
  const { context } = caller;
  const steps = context.codec.walk as Walk;
  const words = context.codec.clustering as Clustering;
  const request = placeholder(caller, scan);
  const told: { from: Server; views: NodeView[] }[] = [];
  const servers = rounds.witnessesOf(round);
  let left = servers.length;
  for (const server of servers) {
    ask(server, context.lane, words.nodes, (reply) => {
      const views = reply === null ? null : words.readNodes(reply);
      if (reply !== null && views !== null) {
        told.push({ from: server, views });
        rounds.hear(server, reply);
      }
      if (--left > 0) return;
      // One says nothing: once more, when the others may know more.
      if (told.length < servers.length) return later(rounds, request, steps.empty(state));
      const next = rounds.next(round, told);
      conclude(request, next === 0 ? steps.end : steps.empty(next));
    });
  }
}
