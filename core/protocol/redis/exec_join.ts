// One reply of EXEC from those of several servers, each of which had a transaction with a part of the
// commands: see core/client/modes/split_transaction.ts.

import { decimal } from "../../bytes.ts";
import type { OutBuffer } from "../../wire/out_buffer.ts";
import type { FanOut, Part } from "../codec.ts";
import { BAD_PART } from "./errors.ts";
import { elementEnd } from "./reply.ts";

const MINUS = 45;
const STAR = 42;

const isError = ({ failure, held, heldStart }: Part): boolean =>
  failure !== "" || held[heldStart] === MINUS;

function writeError({ failure, held, heldStart, heldEnd }: Part, out: OutBuffer): void {
  if (failure !== "") out.ascii(`-ERR ${failure}\r\n`);
  else out.append(held, heldStart, heldEnd);
}

/** Where the elements of an array of `n` begin; -1 if it is none. */
function elements({ failure, held, heldStart, heldEnd }: Part, n: number): number {
  if (failure !== "" || held[heldStart] !== STAR) return -1;
  let cr = heldStart + 1;
  while (cr < heldEnd && held[cr] !== 13) cr++;
  return decimal(held, heldStart + 1, cr, 0x7fffffff) === n ? cr + 2 : -1;
}

/**
 * `parts` are, of one server after the other, the replies to MULTI, to its commands, and to EXEC;
 * `picks` has the number of each command's server. A server that has refused its part, or was lost,
 * has errors in the places of its commands.
 */
export function joinExec({ nkeys, picks, parts }: FanOut, out: OutBuffer): void {
  /** Of each server: its commands, the next one's reply, its EXEC's reply, and where that goes on. */
  const counts: number[] = [];
  for (let k = 0; k < nkeys; k++) counts[picks[k]] = (counts[picks[k]] ?? 0) + 1;
  const queued: number[] = [];
  const results: Part[] = [];
  const cursors: number[] = [];
  let base = 0;
  for (const [server, n] of counts.entries()) {
    queued[server] = base + 1;
    results[server] = parts[base + 1 + n];
    cursors[server] = elements(results[server], n);
    base += n + 2;
  }
  if (counts.length === 1) {
    // As if there were no others.
    const [result] = results;
    if (isError(result)) return writeError(result, out);
    return out.append(result.held, result.heldStart, result.heldEnd);
  }
  out.ascii(`*${nkeys}\r\n`);
  for (let k = 0; k < nkeys; k++) {
    const server = picks[k];
    const result = results[server];
    const answer = parts[queued[server]++];
    const from = cursors[server];
    if (from >= 0) {
      cursors[server] = elementEnd(result.held, from);
      out.append(result.held, from, cursors[server]);
    } else if (isError(answer)) {
      writeError(answer, out);
    } else if (isError(result)) {
      writeError(result, out);
    } else {
      out.append(BAD_PART, 0, BAD_PART.length);
    }
  }
}
