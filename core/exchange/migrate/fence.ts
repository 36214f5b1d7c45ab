// Behind all that a link was sent something is asked: its answer shows that the rest is over.

import type { Link } from "../../link/link.ts";
import { Question, Unheard } from "../../link/question.ts";

class Fence extends Unheard {
  private readonly over: () => void;

  constructor(over: () => void) {
    super();
    this.over = over;
  }

  override reply(): void {
    this.over();
  }

  override lost(): void {
    this.over();
  }
}

/** Asks `probe`; `over` hears that it is answered, or lost. */
export function fence(
  turn: { enter(): void },
  link: Link,
  probe: Uint8Array,
  over: () => void,
): void {
  turn.enter();
  link.send(new Question(new Fence(over)), probe, 0, probe.length);
}
