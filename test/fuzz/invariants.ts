// What must hold for every stream of bytes, whoever sent it. A parser is read as a connection reads
// it, in every way that could show that it looks at what it was not given, or that it matters how
// the stream was cut. Each check gives "" or what is wrong.

import { bytes, text } from "../../core/bytes.ts";
import { BufferPool, OutBuffer } from "../../core/wire/out_buffer.ts";
import {
  BAD,
  type Codec,
  DONE,
  FORWARD,
  type Keys,
  LOCAL,
  MORE,
  QUIT,
  REFUSE,
  ReplyScan,
  Scan,
  SPLIT,
  TOGETHER,
} from "../../core/protocol/codec.ts";
import type { Random } from "./streams.ts";

/** Bytes around the input: `input` means that its own continuation lies there. */
type Fill = number | "input";
const FILLS: readonly Fill[] = ["input", 0x0a, 0x0d, 0x20, 0x31, 0x80, 0xff];
const MARGIN = 64;
/** Longest error that one bad request may cause. */
const LONGEST_ERROR = 1000;

/** Of a scan that is used again: twice what the longest stream can have, in powers of two. */
const MOST_ARGS = 65_536;

/** What was found in a stream, one line per request or reply; the last one is what was left. */
export type Found = string[];
export type Reader = (pieces: string[], fill: Fill, keep: boolean) => Found;

/** A buffer in which the input stands at MARGIN, and what lies around it is `fill`. */
function surrounded(input: string, behind: string, fill: Fill): Uint8Array {
  const buf = new Uint8Array(input.length + Math.max(behind.length, MARGIN) + MARGIN);
  buf.fill(fill === "input" ? 0x20 : fill);
  buf.set(bytes(input), MARGIN);
  if (fill === "input") buf.set(bytes(behind), MARGIN + input.length);
  return buf;
}

export class Wrong extends Error {}

function demand(right: boolean, what: string): void {
  if (!right) throw new Wrong(what);
}

/** Reads requests as a client connection does: what is unfinished is kept for the next piece. */
export function requestReader(codec: Codec): Reader {
  return (pieces, fill, keep) => {
    const scan = new Scan();
    const found: Found = [];
    let carry = "";
    for (const [i, piece] of pieces.entries()) {
      carry += piece;
      const behind = fill === "input" ? pieces.slice(i + 1).join("") : "";
      const buf = surrounded(carry, behind, fill);
      const end = MARGIN + carry.length;
      let pos = MARGIN;
      while (pos < end) {
        const result = codec.parseRequest(scan, buf, pos, end);
        if (result === BAD) return [...found, `bad ${text(scan.error, 0, scan.error.length)}`];
        if (result === MORE) {
          if (!keep) scan.reset();
          break;
        }
        demand(result === DONE, `parseRequest returned ${result}`);
        demand(scan.length > 0 && pos + scan.length <= end, "takes bytes that it was not given");
        found.push(describeRequest(codec, scan, buf, pos));
        pos += scan.length;
      }
      carry = text(buf, pos, end);
    }
    return [...found, `rest ${carry}`];
  };
}

/** All that the proxy would do with a request: whatever it is, nothing of it may throw. */
function describeRequest(codec: Codec, scan: Scan, buf: Uint8Array, pos: number): string {
  const from = scan.scratch ?? buf;
  const at = scan.scratch === null ? pos : 0;
  const length = scan.scratch === null ? scan.length : scan.scratchLength;
  const { action, mute, verb } = scan;
  demand(scan.args.length <= MOST_ARGS, "the scan is larger than any request here");
  demand(scan.error.length <= LONGEST_ERROR, `an error of ${scan.error.length} bytes`);
  const lines: unknown[] = [action, scan.length, mute, scan.pin, verb, text(from, at, at + length)];
  const key = (): string => {
    const { keyStart, keyEnd } = scan;
    // A key that was made (base64) lies in the scratch, behind what is sent.
    const most = scan.scratch === null ? length : from.length;
    demand(keyStart >= 0 && keyStart <= keyEnd && keyEnd <= most, "a key outside of its request");
    return text(from, at + keyStart, at + keyEnd);
  };
  if (action === FORWARD) lines.push(key());
  if (action === SPLIT || action === TOGETHER) {
    // A script may have no key; a command that is split has one.
    const least = action === SPLIT ? 1 : 0;
    demand(scan.nkeys >= least && scan.nkeys <= length, `${scan.nkeys} keys in ${length} bytes`);
    for (let i = 0; i < scan.nkeys; i++) {
      codec.keys?.select(scan, i);
      lines.push(key());
    }
  }
  if (action === SPLIT) lines.push(fragments(codec, scan, from, at));
  if (action === TOGETHER && scan.nkeys > 1) {
    const error = codec.together?.crossServer(scan, from, at, "one:1", "other:2");
    lines.push(latin1(error as Uint8Array));
  }
  if (action === REFUSE) lines.push(latin1(scan.error));
  if (action === LOCAL || action === QUIT) {
    lines.push(latin1(codec.answer(scan, from, at, codec.newSession(1, "127.0.0.1:1", 0))));
  }
  if (action === FORWARD || action === TOGETHER) isOneRequest(codec, from, at, length);
  return JSON.stringify(lines);
}

function latin1(buf: Uint8Array): string {
  return text(buf, 0, buf.length);
}

/** What goes to a server must be one request to it too, or replies would go to the wrong clients. */
function isOneRequest(codec: Codec, buf: Uint8Array, at: number, length: number): void {
  const sent = buf.slice(at, at + length);
  const again = new Scan();
  const result = codec.parseRequest(again, sent, 0, length);
  const taken = again.scratch === null ? again.length : again.scratchLength;
  if (result === DONE && again.length === length && taken === length) return;
  throw new Wrong(`what is sent is not one request: ${JSON.stringify(latin1(sent))}`);
}

/** The fragments for two servers: half of the keys each, at once and one by one: the same bytes. */
function fragments(codec: Codec, scan: Scan, buf: Uint8Array, at: number): string[] {
  const keys = codec.keys as Keys;
  const all: string[] = [];
  const half = (scan.nkeys + 1) >> 1;
  for (const [from, to] of [[0, half], [half, scan.nkeys]]) {
    if (from === to) continue;
    const fragment = (step: number): string => {
      const out = new OutBuffer(new BufferPool());
      keys.begin(scan, buf, at, to - from, out);
      for (let i = from; i < to; i += step) keys.add(scan, buf, at, i, i + step, out);
      out.append(keys.end, 0, keys.end.length);
      return contents(out);
    };
    all.push(fragment(to - from));
    demand(fragment(1) === all.at(-1), "a run of keys is not the same as its keys one by one");
  }
  for (const fragment of all) {
    // With a scan of its own: the parser's scratch is the one that `scan` refers to.
    const own = bytes(fragment);
    const again = new Scan();
    if (scan.scratch !== null) continue; // parsing would overwrite it
    const result = codec.parseRequest(again, own, 0, own.length);
    demand(result === DONE && again.length === own.length, `a bad fragment: ${fragment}`);
  }
  return all;
}

function contents(out: OutBuffer): string {
  let sent = "";
  const write = (buf: Uint8Array, start: number, end: number): number => {
    sent += text(buf, start, end);
    return end - start;
  };
  const rest = { copies: false, pause() {}, resume() {}, shutdown() {}, close() {} };
  out.flush({ remote: "", write, ...rest });
  return sent;
}

/** Where the reply at `buf[pos]`, known to be whole, ends: what a protocol has to join replies. */
export type EndOf = (buf: Uint8Array, pos: number) => number;

/** Reads replies as a server connection does. */
export function replyReader(codec: Codec, endOf: EndOf | null = null): Reader {
  return (pieces, fill) => {
    const scan = new ReplyScan();
    const found: Found = [];
    let reply = "";
    let carry = "";
    for (const [i, piece] of pieces.entries()) {
      carry += piece;
      const behind = fill === "input" ? pieces.slice(i + 1).join("") : "";
      const buf = surrounded(carry, behind, fill);
      const end = MARGIN + carry.length;
      let pos = MARGIN;
      while (pos < end) {
        const next = codec.parseReply(scan, buf, pos, end);
        demand(next >= pos && next <= end, `parseReply went from ${pos} to ${next} of ${end}`);
        if (scan.bad) return [...found, "bad"];
        reply += text(buf, pos, next);
        pos = next;
        if (!scan.done) break;
        demand(reply.length > 0, "an empty reply");
        found.push(judged(codec, reply, endOf));
        reply = "";
      }
      carry = text(buf, pos, end);
    }
    return [...found, `rest ${reply}${carry}`];
  };
}

/** A reply with what the proxy asks about it; alone it must be one reply too. */
function judged(codec: Codec, reply: string, endOf: EndOf | null): string {
  const buf = surrounded(reply, "", 0x30);
  const [start, end] = [MARGIN, MARGIN + reply.length];
  const error = codec.isError(buf, start);
  const about = [error, error ? codec.errorText(buf, start, end) : ""];
  const failure = codec.serverErrors?.isServerFailure(buf, start, end) ?? false;
  const alone = new ReplyScan();
  const next = codec.parseReply(alone, buf, start, end);
  demand(
    !alone.bad && alone.done && next === end,
    `alone it is no reply: ${JSON.stringify(reply)}`,
  );
  demand(endOf === null || endOf(buf, start) === end, `joined it would end elsewhere: ${reply}`);
  return JSON.stringify([...about, failure, reply]);
}

/** A random way to cut the input: into some pieces, or (a short one) into single bytes. */
export function cut(rand: Random, input: string): string[] {
  const pieces: string[] = [];
  const longest = rand(4) === 0 ? 1 + (input.length >> 8) : 1 + rand(2 + input.length);
  for (let at = 0; at < input.length;) {
    const n = 1 + rand(longest);
    pieces.push(input.slice(at, at + n));
    at += n;
  }
  return pieces;
}

/**
 * Reads the input whole and cut, with all kinds of bytes around it. Throws Wrong, or whatever the
 * parser throws; returns what was found. `lenient`: a reply that breaks off may be found to be bad
 * before it is found to be incomplete.
 */
export function check(reader: Reader, rand: Random, input: string, lenient: boolean): Found {
  const whole = reader([input], FILLS[1], true);
  const verdict = (found: Found): string =>
    found.filter((line) => !lenient || !line.startsWith("rest ")).join("\n");
  for (const fill of FILLS) {
    const again = reader([input], fill, true);
    demand(again.join("\n") === whole.join("\n"), `it matters that ${fill} lies around the input`);
  }
  for (let n = 0; n < 3; n++) {
    const pieces = cut(rand, input);
    const fill = FILLS[rand(FILLS.length)];
    const found = reader(pieces, fill, rand(2) === 0);
    if (verdict(found) === verdict(whole)) continue;
    const sizes = pieces.map((piece) => piece.length).join(",");
    const at = whole.findIndex((line, i) => line !== found[i]);
    const shown = `number ${at} is ${found[at]?.slice(0, 300)}, not ${whole[at]?.slice(0, 300)}`;
    throw new Wrong(`cut into ${sizes.slice(0, 100)} with ${fill} around: ${shown}`);
  }
  return whole;
}
