// One question of the proxy's own to a server, over a link that no client has meanwhile.

import { type Attempt, type Carrier, HOLD, type Sink } from "../link/attempt.ts";
import { Question } from "../link/question.ts";
import type { Server } from "./server.ts";

/** Longest answer (bytes) that is taken. */
const LONGEST = 4 << 20;

class Answer implements Sink {
  readonly remote: string;
  private readonly parts: Uint8Array[];
  private size: number;
  private readonly heard: (reply: Uint8Array | null) => void;

  constructor(heard: (reply: Uint8Array | null) => void) {
    this.remote = "the proxy's own question";
    this.parts = [];
    this.size = 0;
    this.heard = heard;
  }

  accept(): number {
    return HOLD;
  }

  pass(): void {}

  advance(): void {}

  part(_attempt: Attempt, _link: Carrier, buf: Uint8Array, start: number, end: number): void {
    this.size += end - start;
    if (this.size <= LONGEST) this.parts.push(buf.slice(start, end));
  }

  reply(
    attempt: Attempt,
    link: Carrier,
    buf: Uint8Array,
    start: number,
    end: number,
  ): void {
    this.part(attempt, link, buf, start, end);
    if (this.size > LONGEST) return this.heard(null);
    const whole = new Uint8Array(this.size);
    let at = 0;
    for (const part of this.parts) {
      whole.set(part, at);
      at += part.length;
    }
    this.heard(whole);
  }

  lost(): void {
    this.heard(null);
  }
}

/** `heard` gets the whole answer; null if there is none, or one that is too long. */
export function ask(
  server: Server,
  lane: number,
  request: Uint8Array,
  heard: (reply: Uint8Array | null) => void,
): void {
  const link = server.takeExtra(lane);
  const answer = new Answer((reply) => {
    server.giveExtra(link);
    heard(reply);
  });
  link.send(new Question(answer), request, 0, request.length);
}
