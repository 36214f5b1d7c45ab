// The open loop as the load generator uses it: the schedule and all requests are made beforehand, C
// (open_loop.c) sends and times them, and what it noted becomes latencies.

import type { Batches } from "./requests.ts";
import { Schedule } from "./schedule.ts";

/** What Bun's compiler makes of open_loop.c. */
interface Loop {
  loop_job(requests: Uint8Array, count: number, of: number, replies: Uint8Array, by: number): void;
  loop_open(port: number, clients: number): number;
  loop_start(due: Float64Array, count: number, took: Float32Array, late: Float32Array): void;
  loop_run(untilMs: number, patienceMs: number): number;
  loop_close(): void;
}

const WRONG: Readonly<Record<number, string>> = {
  [-1]: "a connection was closed",
  [-2]: "no reply",
  [-3]: "wrong reply",
  [-4]: "the reply is an error",
  [-5]: "a request was not taken whole by the kernel",
  [-6]: "more bytes than the reply should have",
};

let compiled: Loop | null = null;

/** What C has pointers into: not to be collected while it works. */
const lent = new Set<ArrayBufferView>();

async function compile(): Promise<Loop> {
  if (compiled !== null) return compiled;
  const { cc } = await import("bun:ffi" as string);
  const { symbols } = cc({
    source: new URL("./open_loop.c", import.meta.url).pathname,
    symbols: {
      loop_job: { args: ["ptr", "i32", "i32", "ptr", "i32"], returns: "void" },
      loop_open: { args: ["i32", "i32"], returns: "i32" },
      loop_start: { args: ["ptr", "i32", "ptr", "ptr"], returns: "void" },
      loop_run: { args: ["f64", "f64"], returns: "i32" },
      loop_close: { args: [], returns: "void" },
    },
  });
  compiled = symbols as Loop;
  return compiled;
}

/** Throws what went wrong; else gives the number back. */
function checked(code: number): number {
  if (code >= 0) return code;
  throw new Error(WRONG[code] ?? `the kernel says error ${-1000 - code}`);
}

/** Times are milliseconds. */
export interface OpenJob {
  readonly port: number;
  readonly clients: number;
  /** Batches a second. */
  readonly rate: number;
  /** Load before the window, and the window. */
  readonly rampMs: number;
  readonly windowMs: number;
  readonly patienceMs: number;
}

export interface OpenOutcome<Sample> {
  /** Batches that were answered within the window, and from the start to the end. */
  readonly answered: number;
  readonly allAnswered: number;
  /** Of the batches that were due within the window: from then to their replies. */
  readonly latencies: Float32Array;
  /** Of the same: how long after they were due this program saw it. */
  readonly lateness: Float32Array;
  readonly before: Sample;
  readonly after: Sample;
}

/** All requests one behind the other, and the first reply that each client must get. */
function prepared(batches: Batches, clients: number): [Uint8Array, Uint8Array] {
  const length = batches.request(0).length;
  const requests = new Uint8Array(length * batches.count);
  for (let i = 0; i < batches.count; i++) requests.set(batches.request(i), i * length);
  const replies = new Uint8Array(batches.replyLength * clients);
  for (let i = 0; i < clients; i++) {
    replies.set(batches.expected(i % batches.count), i * batches.replyLength);
  }
  return [requests, replies];
}

function dueTimes(rate: number, untilMs: number): Float64Array {
  const due: number[] = [];
  const schedule = new Schedule(rate, 0);
  for (; schedule.next < untilMs; schedule.advance()) due.push(schedule.next);
  return Float64Array.from(due);
}

/** Puts the load on 127.0.0.1; `sample` is called where the window begins and where it ends. */
export async function openLoop<Sample>(
  job: OpenJob,
  batches: Batches,
  sample: () => Sample,
): Promise<OpenOutcome<Sample>> {
  const loop = await compile();
  const { port, clients, rate, rampMs, patienceMs } = job;
  const endMs = rampMs + job.windowMs;
  const [requests, replies] = prepared(batches, clients);
  const due = dueTimes(rate, endMs);
  // Written once, so that the kernel does not find pages for them while it is measured.
  const took = new Float32Array(due.length).fill(-1);
  const late = new Float32Array(due.length).fill(-1);
  for (const array of [requests, replies, due, took, late]) lent.add(array);
  loop.loop_job(requests, batches.count, batches.request(0).length, replies, batches.replyLength);
  try {
    checked(loop.loop_open(port, clients));
    loop.loop_start(due, due.length, took, late);
    const atFirst = checked(loop.loop_run(rampMs, patienceMs));
    const before = sample();
    const atLast = checked(loop.loop_run(endMs, patienceMs));
    const after = sample();
    const allAnswered = checked(loop.loop_run(-1, patienceMs));
    const inRamp = due.filter((at) => at < rampMs).length;
    return {
      answered: atLast - atFirst,
      allAnswered,
      latencies: took.subarray(inRamp),
      lateness: late.subarray(inRamp),
      before,
      after,
    };
  } finally {
    loop.loop_close();
    lent.clear();
  }
}
