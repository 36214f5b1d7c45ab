// What a supervisor and its workers say to each other: orders down, answers and log lines up, each
// a line of JSON in a pipe (or a message of Node's cluster). Plain data only.

import process from "node:process";
import type { Readable, Writable } from "node:stream";
import type { Config } from "../../core/config/schema.ts";
import type { Hearings } from "../../core/exchange/census.ts";
import type { Fields } from "../../core/log.ts";
import type { MapNews } from "../../core/topology/cluster.ts";
import { printable } from "../log/printable.ts";

/** How a worker is to run what it is given. */
export interface WorkerSetup {
  readonly source: string;
  readonly segment: number;
  readonly reusePort: boolean;
  readonly unixSockets: boolean;
  readonly level: number;
  /** The others do and say the same: its news of starts and reloads is left out. */
  readonly quiet: boolean;
}

export type Order =
  | { readonly do: "start"; readonly config: Config; readonly setup: WorkerSetup }
  | { readonly do: "reload"; readonly config: Config }
  | { readonly do: "snapshot" }
  | { readonly do: "rings"; readonly pool?: string; readonly key?: string }
  | { readonly do: "migrations" }
  | { readonly do: "migrate"; readonly pool: string; readonly what: string }
  | { readonly do: "hot"; readonly pool?: string }
  | { readonly do: "cluster"; readonly pool: string; readonly what: string }
  | { readonly do: "level"; readonly level: number }
  /** Another worker has begun: all that others are told of subscribed clients is told again. */
  | { readonly do: "hearings" }
  | { readonly do: "drain" };

export const LOG_METHODS = ["error", "warn", "notice", "info", "debug"] as const;
export type LogMethod = typeof LOG_METHODS[number];

interface Message {
  /** Of an order and of its answer. */
  id?: number;
  order?: Order;
  value?: unknown;
  error?: string;
  log?: LogMethod;
  text?: string;
  fields?: Fields;
  /** What worker number `from` tells the others of subscribed clients. */
  hearings?: Hearings;
  /** What it was told of a cluster. */
  map?: MapNews;
  from?: number;
}

/** Carries messages both ways. */
export interface Channel {
  /** `done` when it has left, or cannot. */
  send(message: unknown, done?: () => void): void;
  /** Is given every message, and told once that no more will come. */
  listen(message: (message: unknown) => void, closed: () => void): void;
}

/** Messages as lines in two pipes. */
export function lineChannel(input: Readable, output: Writable): Channel {
  output.on("error", () => {}); // the other side is gone, which `input` tells too
  return {
    send: (message, done) => void output.write(`${JSON.stringify(message)}\n`, () => done?.()),
    listen(message, closed) {
      let rest = "";
      let open = true;
      input.setEncoding("utf8");
      input.on("data", (text: string) => {
        const lines = (rest + text).split("\n");
        rest = lines.pop() as string;
        for (const line of lines) {
          const one = parsed(line);
          if (one !== undefined) message(one);
        }
      });
      const close = (): void => {
        if (open) closed();
        open = false;
      };
      for (const event of ["end", "close", "error"]) input.on(event, close);
    },
  };
}

/** A line that is no message, which a runtime may print to the same pipe, is for people to read. */
function parsed(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    process.stderr.write(`${printable(line)}\n`);
    return undefined;
  }
}

interface IpcEnd {
  send?(message: unknown, done: (error: Error | null) => void): unknown;
  on(event: "message", fn: (message: unknown) => void): unknown;
  on(event: "disconnect", fn: () => void): unknown;
}

/**
 * Messages of Node's cluster. What is sent before the worker listens would be lost: the worker says
 * when it does, and until then the supervisor keeps its messages.
 */
export function ipcChannel(end: IpcEnd, isWorker: boolean): Channel {
  let early: unknown[] | null = isWorker ? null : [];
  const send = (message: unknown, done?: () => void): void =>
    void end.send?.(message, () => done?.());
  return {
    send(message, done) {
      if (early === null) return send(message, done);
      early.push(message);
      done?.();
    },
    listen(message, closed) {
      end.on("message", (one) => {
        const kept = early ?? [];
        early = null;
        for (const each of kept) send(each);
        message(one);
      });
      end.on("disconnect", closed);
      if (isWorker) send({});
    },
  };
}

export interface PeerEvents {
  /** Carries out an order; what it resolves to is the answer. */
  order?(order: Order): unknown;
  log?(method: LogMethod, text: string, fields: Fields): void;
  hearings?(hearings: Hearings, from: number): void;
  map?(news: MapNews): void;
  closed(): void;
}

/** Most characters of log lines that wait for the supervisor to read them. */
const MOST_LOG = 128 * 1024;
/** What a line takes besides its text and its fields. */
const LOG_LINE = 100;

/** One end of a channel. */
export class Peer {
  private readonly channel: Channel;
  private readonly waiting: Map<number, { resolve(v: unknown): void; reject(e: Error): void }>;
  private lastId: number;
  /** Characters of log lines that have not left yet. */
  private logWaiting: number;
  /** Lines that found no room. */
  private logDropped: number;

  constructor(channel: Channel, events: PeerEvents) {
    this.channel = channel;
    this.waiting = new Map();
    this.lastId = 0;
    this.logWaiting = 0;
    this.logDropped = 0;
    channel.listen((message) => this.received(message as Message, events), () => {
      for (const { reject } of this.waiting.values()) reject(new Error("the worker has ended"));
      this.waiting.clear();
      events.closed();
    });
  }

  /** Gives an order; resolves to the answer, rejects when that is an error or none comes. */
  ask(order: Order, ms = 30_000): Promise<unknown> {
    const id = ++this.lastId;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.waiting.delete(id);
        reject(new Error(`a worker has not answered for ${ms} ms`));
      }, ms);
      const over = <T>(fn: (value: T) => void) => (value: T): void => {
        clearTimeout(timer);
        fn(value);
      };
      this.waiting.set(id, { resolve: over(resolve), reject: over(reject) });
      this.channel.send({ id, order });
    });
  }

  log(method: LogMethod, text: string, fields?: Fields): void {
    const size = LOG_LINE + text.length + (fields === undefined ? 0 : sizeOf(fields));
    // A supervisor that is stopped or busy must not cost a worker its memory.
    if (this.logWaiting + size > MOST_LOG) return void this.logDropped++;
    this.logWaiting += size;
    this.channel.send({ log: method, text, fields }, () => {
      this.logWaiting -= size;
      this.tellDropped();
    });
  }

  /** Once half of the room is free again: one line for all. */
  private tellDropped(): void {
    const lines = this.logDropped;
    if (lines === 0 || this.logWaiting > MOST_LOG / 2) return;
    this.logDropped = 0;
    const text = `log: ${lines} lines dropped: the supervisor was too slow`;
    this.log("warn", text, { event: "log_dropped", lines });
  }

  tellHearings(hearings: Hearings, from = 0): void {
    this.channel.send({ hearings, from });
  }

  tellMap(map: MapNews): void {
    this.channel.send({ map });
  }

  private received(message: Message, events: PeerEvents): void {
    const { id, order, log, text, fields, hearings, map, from } = message;
    if (log !== undefined) return events.log?.(log, text ?? "", fields ?? {});
    if (hearings !== undefined) return events.hearings?.(hearings, from ?? 0);
    if (map !== undefined) return events.map?.(map);
    if (id === undefined) return;
    if (order !== undefined) {
      Promise.resolve(order).then((one) => events.order?.(one)).then(
        (value) => this.channel.send({ id, value: value ?? null }),
        (error) => this.channel.send({ id, error: String(error?.message ?? error) }),
      );
      return;
    }
    const waiting = this.waiting.get(id);
    this.waiting.delete(id);
    if (message.error !== undefined) waiting?.reject(new Error(message.error));
    else waiting?.resolve(message.value);
  }
}

function sizeOf(fields: Fields): number {
  let size = 0;
  for (const name in fields) size += name.length + String(fields[name]).length;
  return size;
}
