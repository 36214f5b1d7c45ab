// Time and chance for a Host, the same on every runtime.

import { clearInterval, setImmediate, setInterval } from "node:timers";
import type { Host, Timer } from "../../../core/host.ts";

/** Nobody ever wakes who waits on it. */
const napCell = new Int32Array(new SharedArrayBuffer(4));

export const clock: Pick<
  Host,
  "now" | "wallClock" | "every" | "endOfTurn" | "nap" | "random"
> = {
  now: () => performance.now(),
  wallClock: () => Date.now(),
  every(ms: number, fn: () => void): Timer {
    const timer = setInterval(fn, ms);
    timer.unref();
    return { cancel: () => clearInterval(timer) };
  },
  endOfTurn: (fn) => void setImmediate(fn),
  nap: (ms) => void Atomics.wait(napCell, 0, 0, ms),
  random: (n) => Math.floor(Math.random() * n),
};
