// CLIENT UNBLOCK of a client that waits at a server: the server is asked to end the wait, so that
// nothing is taken from a list for nobody. It knows the client by the number that it has given the
// link, which has been asked for before: behind a command that blocks no question is read.

import type { Attempt, Carrier } from "../../link/attempt.ts";
import type { Link } from "../../link/link.ts";
import { Question, Unheard } from "../../link/question.ts";
import type { Codec } from "../../protocol/codec.ts";
import type { Server } from "../../server/server.ts";

/** What a server calls a link, and the link's losses when it said so. */
interface Name {
  readonly id: number;
  readonly losses: number;
}

const names: WeakMap<Link, Name> = new WeakMap();

/** `heard` gets the whole reply, a line; it is not called when there is none. */
class Heard extends Unheard {
  private readonly heard: (buf: Uint8Array, start: number, end: number) => void;
  private readonly over: () => void;

  constructor(heard: (buf: Uint8Array, start: number, end: number) => void, over: () => void) {
    super();
    this.heard = heard;
    this.over = over;
  }

  override reply(_: Attempt, _link: Carrier, buf: Uint8Array, start: number, end: number): void {
    this.heard(buf, start, end);
    this.over();
  }

  override lost(): void {
    this.over();
  }
}

const nothing = (): void => {};

/** What the server calls a link that it has not lost since; 0: it has not said. */
function idOf(link: Link): number {
  const name = names.get(link);
  return name?.losses === link.losses ? name.id : 0;
}

/** Asks the server what it calls the link, unless that is known. */
export function identify(link: Link, { waits }: Codec): void {
  if (waits === null || idOf(link) > 0) return;
  const heard = (buf: Uint8Array, start: number, end: number): void => {
    const id = waits.linkId(buf, start, end);
    // The first question opens the socket: what was lost before does not count.
    if (id > 0) names.set(link, { id, losses: link.losses });
  };
  link.send(new Question(new Heard(heard, nothing)), waits.askId, 0, waits.askId.length);
}

/** How often a server is asked to end a wait that may not have begun. */
const MOST_TRIES = 1000;
const ZERO = 48;

/**
 * Asks the server, over `asking`, to end what the link waits for with an error, and again as long as it
 * `waits` there and has not begun to. False when it is not known by what name; `failed` is called when
 * it cannot be ended.
 */
export function endWaitSurely(
  link: Link,
  asking: Link,
  { waits: words }: Codec,
  waits: () => boolean,
  failed: () => void,
): boolean {
  const id = idOf(link);
  if (words === null || id === 0) return false;
  const request = words.unblock(id, true);
  let said = "";
  let left = MOST_TRIES;
  const heard = (buf: Uint8Array, start: number): void => {
    said = buf[start + 1] === ZERO ? "not yet" : "done";
  };
  const ask = (): void => {
    said = "";
    asking.send(new Question(new Heard(heard, over)), request, 0, request.length);
  };
  const over = (): void => {
    if (!waits() || said === "done") return;
    if (said === "not yet" && --left > 0) ask();
    else failed();
  };
  ask();
  return true;
}

/** Asks the server to end what the link waits for. False when it is not known by what name. */
export function endWait(server: Server, link: Link, withError: boolean): boolean {
  const { waits } = server.context.codec;
  const id = idOf(link);
  if (waits === null || id === 0) return false;
  const asking = server.takeExtra(link.lane);
  const request = waits.unblock(id, withError);
  const question = new Question(new Heard(nothing, () => server.giveExtra(asking)));
  asking.send(question, request, 0, request.length);
  return true;
}
