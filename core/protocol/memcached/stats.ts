// One `stats` reply out of those of all servers: counters are added up, and what cannot be added
// up follows the table. Not a hot path: it works on strings. Names: memcached's doc/protocol.txt.

import { text } from "../../bytes.ts";
import type { OutBuffer } from "../../wire/out_buffer.ts";
import type { Part } from "../codec.ts";
import { END } from "./errors.ts";

// What is not a number is shown as the first server has it. In `stats items` and `stats slabs` the
// name is what follows the last colon: "items:1:age" is an "age".
const RULES: Record<string, readonly string[]> = {
  first: [
    "pid",
    "time",
    "version",
    "libevent",
    "pointer_size",
    "chunk_size",
    "chunks_per_page",
  ],
  most: [
    "uptime",
    "age",
    "age_hot",
    "age_warm",
    "evicted_time",
    "hash_power_level",
    "hash_is_expanding",
    "slab_reassign_running",
    "lru_crawler_running",
    "active_slabs",
  ],
  least: ["accepting_conns"],
};

const ruleOf = new Map<string, string>();
for (const rule in RULES) for (const name of RULES[rule]) ruleOf.set(name, rule);

const INTEGER = /^\d+$/;
const DECIMAL = /^\d+\.(\d+)$/;

/** Statistics of several servers, added up by name. */
export class Totals {
  private readonly values: Map<string, string>;

  constructor() {
    this.values = new Map();
  }

  add(name: string, value: string): void {
    const total = this.values.get(name);
    this.values.set(name, total === undefined ? value : combine(name, total, value));
  }

  /** In the order of the first server. */
  entries(): Iterable<[string, string]> {
    return this.values;
  }
}

/** Every part is a whole reply that ends with END. */
export function joinStats(parts: readonly Part[], out: OutBuffer): void {
  const totals = new Totals();
  for (const part of parts) {
    for (const line of text(part.held, part.heldStart, part.heldEnd).split("\r\n")) {
      const [mark, name] = line.split(" ", 2);
      if (mark !== "STAT" || name === undefined) continue;
      totals.add(name, line.slice(mark.length + name.length + 2));
    }
  }
  for (const [name, value] of totals.entries()) out.ascii(`STAT ${name} ${value}\r\n`);
  out.append(END, 0, END.length);
}

function combine(name: string, a: string, b: string): string {
  const rule = ruleOf.get(name.slice(name.lastIndexOf(":") + 1)) ?? "sum";
  if (rule === "first") return a;
  if (INTEGER.test(a) && INTEGER.test(b)) {
    // Counters are 64 bits wide.
    const [x, y] = [BigInt(a), BigInt(b)];
    if (rule === "sum") return String(x + y);
    return String((rule === "most") === (x > y) ? x : y);
  }
  const digits = DECIMAL.exec(a)?.[1].length;
  if (digits !== undefined && DECIMAL.test(b)) return (Number(a) + Number(b)).toFixed(digits);
  return a;
}
