// Finds a command by the bytes of its name: a caseless hash over all of them, then a comparison. No
// string is made.

import { COMMANDS } from "./commands.ts";

const LONGEST = Math.max(...COMMANDS.map((c) => c.name.length));
const SLOTS = 2048;
/** Open addressing, index of the command + 1; 0 is free. Subcommands are in a table of their own. */
const slots = new Int16Array(SLOTS);
const subSlots = new Int16Array(SLOTS);
/** Names, LONGEST bytes each. */
const names = new Uint8Array(COMMANDS.length * LONGEST);
const lengths = Uint8Array.from(COMMANDS, (c) => c.name.length);

for (let v = 0; v < COMMANDS.length; v++) {
  const name = COMMANDS[v].name;
  let h = name.length;
  for (let i = 0; i < name.length; i++) {
    names[v * LONGEST + i] = name.charCodeAt(i);
    h = Math.imul(h, 31) + (name.charCodeAt(i) | 32);
  }
  h &= SLOTS - 1;
  const table = name.includes("|") ? subSlots : slots;
  while (table[h] !== 0) h = (h + 1) & (SLOTS - 1);
  table[h] = v + 1;
}

/** The number of the command named `buf[start, end)`, in any case; -1 if it is not known. */
export function lookup(buf: Uint8Array, start: number, end: number): number {
  return find(slots, buf, start, end);
}

function find(slots: Int16Array, buf: Uint8Array, start: number, end: number): number {
  const n = end - start;
  if (n > LONGEST) return -1;
  let h = n;
  for (let i = start; i < end; i++) h = Math.imul(h, 31) + (buf[i] | 32);
  h &= SLOTS - 1;
  for (let v = slots[h]; v !== 0; v = slots[h]) {
    if (lengths[v - 1] === n && matches(v - 1, buf, start, n)) return v - 1;
    h = (h + 1) & (SLOTS - 1);
  }
  return -1;
}

function matches(verb: number, buf: Uint8Array, start: number, n: number): boolean {
  const at = verb * LONGEST;
  for (let i = 0; i < n; i++) {
    let c = buf[start + i];
    if (c >= 65 && c <= 90) c |= 32;
    if (names[at + i] !== c) return false;
  }
  return true;
}

const joined = new Uint8Array(LONGEST + 1);

/** The number of subcommand `buf[start, end)` of container `verb`; -1 if it is not known. */
export function lookupSub(verb: number, buf: Uint8Array, start: number, end: number): number {
  const container = lengths[verb];
  const n = container + 1 + end - start;
  if (n > LONGEST) return -1;
  joined.set(names.subarray(verb * LONGEST, verb * LONGEST + container));
  joined[container] = 124; // |
  for (let i = start; i < end; i++) joined[container + 1 + i - start] = buf[i];
  return find(subSlots, joined, 0, n);
}
