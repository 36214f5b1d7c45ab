// The pauses of a garbage collector, read from what the runtimes say of it (`--gc`): V8's --trace-gc
// (Node, Deno) and JavaScriptCore's log (Bun). Knows nothing of processes.

/** `Scavenge 4.1 (4.2) -> 3.7 (5.2) MB, [pooled: 0.0 MB,] 6.30 / 0.00 ms`: the first is the pause. */
const V8 = /(?:Scavenge|Mark-Compact)[^\n]*?MB, (?:pooled: [^,\n]*, )?([\d.]+) \/ [\d.]+ ms/g;
/** `... p=4.215330ms (max 14.063434)`: a stop of the program; a collection may have several. */
const JSC = /\bp=([\d.]+)ms/g;

export class Pauses {
  private text: string;

  constructor() {
    this.text = "";
  }

  hear(text: string): void {
    this.text += text;
  }

  /** Of what was heard since the last time: how many, the longest and the sum in milliseconds. */
  take(): { count: number; longest: number; sum: number } {
    const all = [V8, JSC].flatMap((pattern) =>
      [...this.text.matchAll(pattern)].map((found) => Number(found[1]))
    );
    this.text = "";
    return {
      count: all.length,
      longest: Math.max(0, ...all),
      sum: all.reduce((sum, ms) => sum + ms, 0),
    };
  }
}
