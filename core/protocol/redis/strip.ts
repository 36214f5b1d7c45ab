// Keys without the prefix of their route: see ../stripping.ts. A request is parsed again to find them;
// replies are the server's own, so commands whose replies name keys are refused.

import { bytes, EMPTY } from "../../bytes.ts";
import { type Codec, FORWARD, type Keys, Scan } from "../codec.ts";
import type { Stripping } from "../stripping.ts";

/** Their replies name keys. */
const NAMING: ReadonlySet<string> = new Set(["xread", "xreadgroup", "lmpop", "zmpop"]);
const NAMES = "its reply names keys, which have another name where `strip` is on";
const DOLLAR = 36;
const CRLF = bytes("\r\n");

export function stripping(codec: Codec): Stripping {
  const scan = new Scan();
  return {
    /** `$<length>` before each of them changes too. */
    cut(verb, buf, start, end, n, out) {
      if (NAMING.has(codec.commandName(verb))) return NAMES;
      scan.reset();
      codec.parseRequest(scan, buf, start, end);
      const count = scan.action === FORWARD ? 1 : scan.nkeys;
      const spans: [number, number][] = [];
      for (let i = 0; i < count; i++) {
        if (scan.action !== FORWARD) (codec.keys as Keys).select(scan, i);
        spans.push([start + scan.keyStart, start + scan.keyEnd]);
      }
      spans.sort((a, b) => a[0] - b[0]);
      let done = start;
      for (const [from, to] of spans) {
        let head = from - 2;
        while (buf[head] !== DOLLAR) head--;
        out.append(buf, done, head + 1);
        out.int(to - from - n);
        out.append(CRLF, 0, 2);
        out.append(buf, from + n, to);
        done = to;
      }
      out.append(buf, done, end);
      scan.reset();
      return EMPTY;
    },
    restore: null,
  };
}
