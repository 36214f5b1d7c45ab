// Keys without the prefix of their route, in both protocols: see ../stripping.ts. Replies name keys
// after VALUE and ME, by the meta flag k, and in the packets of getk and gatk: they get the client's
// names back. Formats: memcached's doc/protocol.txt and doc/protocol-binary.txt.

import { bytes } from "../../bytes.ts";
import type { OutBuffer } from "../../wire/out_buffer.ts";
import { type Codec, Scan } from "../codec.ts";
import type { Stripping } from "../stripping.ts";
import { encodeBase64 } from "./base64.ts";
import { HEADER } from "./binary_commands.ts";
import { COMMANDS, META, META_SET } from "./commands.ts";
import { bodyLengthAt, keyLengthAt } from "./binary_packet.ts";

const CR = 13;
const BLANK = 32;
const LETTER_k = 107;
/** How replies begin that name a key: VALUE, VA, HD, EX, NF, NS, EN, ME. */
const NAMING = ["VALUE ", "VA ", "HD ", "EX ", "NF ", "NS ", "EN ", "ME "].map(bytes);
const NOTHING_LEFT = "its key is nothing but the prefix that `strip` cuts off";

export function textStripping(codec: Codec): Stripping {
  const scan = new Scan();
  return {
    cut(verb, buf, start, end, n, out) {
      const { shape } = COMMANDS[verb];
      // It may stand where the parser writes keys that it has decoded.
      if (shape === META || shape === META_SET) {
        buf = buf.slice(start, end);
        end -= start;
        start = 0;
      }
      scan.reset();
      codec.parseRequest(scan, buf, start, end);
      const { scratch, args } = scan;
      // In base64: the key it stands for is behind the request, see rewrite.ts.
      const key = scratch === null
        ? buf.slice(start + scan.keyStart, start + scan.keyEnd)
        : scratch.slice(scan.keyStart, scan.keyEnd);
      scan.reset();
      if (key.length <= n) return NOTHING_LEFT;
      const from = start + (scratch === null ? scan.keyStart : args[2]);
      out.append(buf, start, from);
      if (scratch === null) out.append(buf, from + n, end);
      else {
        const shorter = bytes(encodeBase64(key.subarray(n)));
        out.append(shorter, 0, shorter.length);
        out.append(buf, start + args[3], end);
      }
      return key;
    },
    restore(buf, start, end, key, n, out) {
      let line = start;
      while (line < end && buf[line] !== CR) line++;
      if (NAMING.some((word) => begins(buf, start, line, word))) {
        const shorter = key.subarray(n);
        // A server says a key in base64 if it has got it so.
        const coded = bytes(encodeBase64(shorter));
        const isMeta = buf[start + 2] === BLANK && buf[start] !== 77; // not ME
        let done = start;
        for (let at = start; at < line; at++) {
          if (buf[at] !== BLANK) continue;
          const from = at + (isMeta ? 2 : 1);
          if (isMeta && buf[at + 1] !== LETTER_k) continue;
          const to = wordEnd(buf, from, line);
          const found = isSame(buf, from, to, shorter)
            ? key
            : isSame(buf, from, to, coded)
            ? bytes(encodeBase64(key))
            : null;
          if (found !== null) {
            out.append(buf, done, from);
            out.append(found, 0, found.length);
            done = to;
          }
          if (!isMeta) break; // it is the first word
        }
        start = done;
      }
      out.append(buf, start, end);
    },
  };
}

export const BINARY_STRIPPING: Stripping = {
  cut(_verb, buf, start, end, n, out) {
    const extras = buf[start + 4];
    const from = start + HEADER + extras;
    const key = buf.slice(from, from + keyLengthAt(buf, start));
    if (key.length <= n) return NOTHING_LEFT;
    resized(buf, start, -n, out);
    out.append(buf, start + HEADER, from);
    out.append(buf, from + n, end);
    return key;
  },
  restore(buf, start, end, key, n, out) {
    if (keyLengthAt(buf, start) === 0) return out.append(buf, start, end);
    const from = start + HEADER + buf[start + 4];
    resized(buf, start, n, out);
    out.append(buf, start + HEADER, from);
    out.append(key, 0, n);
    out.append(buf, from, end);
  },
};

/** The header of a packet whose key is so much longer. */
function resized(buf: Uint8Array, start: number, by: number, out: OutBuffer): void {
  const header = buf.slice(start, start + HEADER);
  const view = new DataView(header.buffer);
  view.setUint16(2, keyLengthAt(buf, start) + by);
  view.setUint32(8, bodyLengthAt(buf, start) + by);
  out.append(header, 0, HEADER);
}

function wordEnd(buf: Uint8Array, start: number, end: number): number {
  while (start < end && buf[start] !== BLANK) start++;
  return start;
}

function begins(buf: Uint8Array, start: number, end: number, word: Uint8Array): boolean {
  return end - start >= word.length && isSame(buf, start, start + word.length, word);
}

function isSame(buf: Uint8Array, start: number, end: number, word: Uint8Array): boolean {
  if (end - start !== word.length) return false;
  for (let i = 0; i < word.length; i++) if (buf[start + i] !== word[i]) return false;
  return true;
}
