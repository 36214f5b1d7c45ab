// A Bench whose samples are long enough for the clock: it calls a task so often that one sample
// takes some 50 microseconds, and counts it as one call. Knows nothing of suites or reports.

import { Bench, type BenchOptions } from "tinybench";

const SAMPLE_MS = 0.05;
const MOST_CALLS = 100000;

type Task = Parameters<Bench["add"]>[1];

export class BatchBench extends Bench {
  override add(name: string, task: Task, options?: Parameters<Bench["add"]>[2]): this {
    return super.add(name, options === undefined ? batched(task) : task, options);
  }
}

function batched(task: Task): Task {
  const run = task as () => unknown;
  let calls = 1;
  return () => {
    const from = performance.now();
    for (let i = 0; i < calls; i++) run();
    const took = performance.now() - from;
    const each = took / calls;
    // Code gets faster while it is compiled: the number of calls follows.
    if (took < SAMPLE_MS / 2 && calls < MOST_CALLS) calls *= 2;
    return { overriddenDuration: each };
  };
}

/** `time`: milliseconds per task. */
export function newBench(time: number): Bench {
  const options: BenchOptions = {
    time,
    iterations: 1,
    warmup: time >= 10,
    warmupTime: time / 2,
    warmupIterations: 1,
    throws: true,
  };
  return new BatchBench(options);
}
