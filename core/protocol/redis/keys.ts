// Requests of several keys: which argument is a key, the parts for several servers, and what is said
// when the keys must live on one server and do not.

import { EMPTY } from "../../bytes.ts";
import { ASKED, type Keys, type Scan, type Together } from "../codec.ts";
import { COMMANDS } from "./commands.ts";
import { crossServer, keyText } from "./errors.ts";
import { add, alone, begin, cut, fits, joinSlices, ready } from "./fan_out.ts";
import { keyArgument, selectKey } from "./parse.ts";

/** See `Keys.select`; of a command that was learned the scan says where its keys are. */
export function select(scan: Scan, i: number): void {
  if (scan.verb !== ASKED) return selectKey(scan, i);
  const at = 2 * (scan.first + i * scan.step);
  scan.keyStart = scan.args[at];
  scan.keyEnd = scan.args[at + 1];
}

const runs = { fits, ready, alone, cut };

export const KEYS: Keys = { select, begin, add, end: EMPTY, runs, joinSlices };

export const together = (hashTag: string): Together => ({
  crossServer(scan, buf, start, first, other) {
    const isKnown = scan.verb !== ASKED;
    const at = 2 * (isKnown ? keyArgument(scan, 0) : scan.first);
    const one = keyText(buf, start + scan.args[at], start + scan.args[at + 1]);
    const name = isKnown
      ? COMMANDS[scan.verb].name
      : keyText(buf, start + scan.args[0], start + scan.args[1]);
    const two = keyText(buf, start + scan.keyStart, start + scan.keyEnd);
    return crossServer(name, { key: one, server: first }, { key: two, server: other }, hashTag);
  },
});
