// A timer that goes off once, of a runtime's that go off again and again.

import type { Host, Timer } from "../../host.ts";

/** Calls `fn` once, after `ms`. */
export function after(host: Pick<Host, "every">, ms: number, fn: () => void): Timer {
  const timer = host.every(ms, () => {
    timer.cancel();
    fn();
  });
  return timer;
}
