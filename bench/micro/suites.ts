// The table of micro-benchmarks: a new suite is a file beside this one and a line here.

import type { Bench } from "tinybench";
import * as hash from "./hash.ts";
import * as memcached from "./memcached.ts";
import * as outBuffer from "./out_buffer.ts";
import * as path from "./path.ts";
import * as redis from "./redis.ts";
import * as ring from "./ring.ts";

/** Adds its tasks; everything they need is prepared before. */
export type Suite = (bench: Bench) => void | Promise<void>;

export const SUITES: Readonly<Record<string, Suite>> = {
  hash: hash.suite,
  ring: ring.suite,
  redis: redis.suite,
  memcached: memcached.suite,
  out_buffer: outBuffer.suite,
  path: path.suite,
};
