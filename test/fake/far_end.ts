// The servers of a pool on a FakeHost, in the test's hands, but for the questions that the proxy puts on
// its own: those a subclass answers.

import * as assert from "uvu/assert";
import { FakeHost, type FakeSocket } from "./fake_host.ts";
import { Fixture, type Setting } from "./fixture.ts";

const NAMES = "abcdef";
const FIRST_PORT = 7101;

/** Server a has the first port. */
export function portOf(name: string): number {
  return FIRST_PORT + NAMES.indexOf(name);
}

export function nameAt(port: number): string {
  return NAMES[port - FIRST_PORT];
}

export abstract class FarEnd {
  readonly host = new FakeHost();
  f!: Fixture;
  /** By socket: what the server was sent and the test has not taken. */
  private readonly heard = new Map<FakeSocket, string>();

  protected constructor() {
    const settle = this.host.settle.bind(this.host);
    this.host.settle = () => {
      do settle(); while (this.answerQuestions());
    };
  }

  protected async begin(setting: Setting): Promise<this> {
    const { host } = this;
    const starting = Fixture.start({ ...setting, host });
    let isStarted = false;
    void starting.then(() => isStarted = true);
    while (!isStarted) {
      await Promise.resolve();
      host.pass(10);
      host.settle();
    }
    this.f = await starting;
    return this;
  }

  /** The answer to a question of the proxy's own; null: it is a client's. */
  protected abstract answerTo(words: readonly string[], socket: FakeSocket): string | null;

  private answerQuestions(): boolean {
    let answered = false;
    for (const socket of this.host.outgoing) {
      const fresh = socket.received();
      if (fresh === "") continue;
      const { rest, answers } = this.sort((this.heard.get(socket) ?? "") + fresh, socket);
      this.heard.set(socket, rest);
      if (answers === "" || socket.gone) continue;
      socket.send(answers);
      answered = true;
    }
    return answered;
  }

  private sort(input: string, socket: FakeSocket): { rest: string; answers: string } {
    let rest = "";
    let answers = "";
    let at = 0;
    for (let next = wordsAt(input, 0); next !== null; next = wordsAt(input, at)) {
      const answer = this.answerTo(next.words, socket);
      if (answer === null) rest += input.slice(at, next.end);
      else answers += answer;
      at = next.end;
    }
    return { rest: rest + input.slice(at), answers };
  }

  /** What a server was sent since the last time, over whichever connection. */
  take(name: string): string {
    let all = "";
    for (const socket of this.sockets(name)) {
      all += this.heard.get(socket) ?? "";
      this.heard.set(socket, "");
    }
    return all;
  }

  private sockets(name: string): FakeSocket[] {
    return this.host.outgoing.filter(({ remote }) => remote.endsWith(`:${portOf(name)}`));
  }

  /** The connection over which the server was asked last (or is to be asked). */
  link(name: string): FakeSocket {
    const waiting = this.sockets(name).filter((socket) =>
      !socket.gone && (this.heard.get(socket) ?? "") !== ""
    );
    assert.is(waiting.length, 1, `connections of ${name} with something to answer`);
    return waiting[0];
  }

  /** Whether the server has something to answer. */
  isAsked(name: string): boolean {
    return this.sockets(name).some((socket) =>
      !socket.gone && (this.heard.get(socket) ?? "") !== ""
    );
  }

  /** The server answers what it was asked; returns that. */
  answer(name: string, reply: string): string {
    const socket = this.link(name);
    const asked = this.heard.get(socket) as string;
    this.heard.set(socket, "");
    socket.send(reply);
    this.host.settle();
    return asked;
  }

  /** The connection with what it was asked is lost; returns that. */
  lose(name: string): string {
    const socket = this.link(name);
    const asked = this.heard.get(socket) as string;
    this.heard.set(socket, "");
    socket.fail("ECONNRESET");
    this.host.settle();
    return asked;
  }

  /** Time goes by; what server a is asked meanwhile it refuses. */
  later(refusal = ""): void {
    for (let ms = 0; ms < 300; ms += 10) {
      this.host.pass(10);
      if (refusal !== "" && this.take("a") !== "") {
        for (const socket of this.sockets("a")) if (!socket.gone) socket.send(refusal);
        this.host.settle();
      }
    }
  }
}

/** The array of bulk strings at `input[at...]`; null: it is not whole. */
function wordsAt(input: string, at: number): { words: string[]; end: number } | null {
  let line = input.indexOf("\r\n", at);
  if (line < 0) return null;
  const words: string[] = [];
  const count = Number(input.slice(at + 1, line));
  at = line + 2;
  while (words.length < count) {
    line = input.indexOf("\r\n", at);
    if (line < 0) return null;
    const end = line + 2 + Number(input.slice(at + 1, line));
    if (end + 2 > input.length) return null;
    words.push(input.slice(line + 2, end));
    at = end + 2;
  }
  return { words, end: at };
}
