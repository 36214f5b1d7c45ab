// The memcached codec under random streams: cuts do not change what is found, bytes outside of
// what was given are never looked at, and nothing that is forwarded could leave a server without
// exactly one reply to send.

import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { bytes, text } from "../../core/bytes.ts";
import { BufferPool, OutBuffer } from "../../core/wire/out_buffer.ts";
import {
  BAD,
  DONE,
  type Facts,
  FORWARD,
  MORE,
  type Part,
  ReplyScan,
  Scan,
  SPLIT,
} from "../../core/protocol/codec.ts";
import { MemcachedCodec } from "../../core/protocol/memcached/codec.ts";
import { verbOf } from "../../core/protocol/memcached/commands.ts";

const codec = new MemcachedCodec(
  { auth: "", db: 0, maxRequest: 10_000 },
  {} as unknown as Facts,
);

/** Requests found in a stream, and what was left of it. */
interface Found {
  requests: string[];
  rest: string;
}

function describe(scan: Scan, buf: Uint8Array, start: number): string {
  const from = scan.scratch ?? buf;
  const at = scan.scratch === null ? start : 0;
  const keys: string[] = [];
  if (scan.action === FORWARD) keys.push(text(from, at + scan.keyStart, at + scan.keyEnd));
  if (scan.action === SPLIT) {
    for (let i = 0; i < scan.nkeys; i++) {
      codec.keys.select(scan, i);
      keys.push(text(from, at + scan.keyStart, at + scan.keyEnd));
    }
  }
  const sent = text(from, at, at + (scan.scratch === null ? scan.length : scan.scratchLength));
  const error = scan.action >= 6 ? text(scan.error, 0, scan.error.length) : "";
  return JSON.stringify([scan.action, scan.length, keys, scan.mute, sent, error]);
}

/** Reads a stream as a client connection does: what is unfinished is kept for the next piece. */
function read(pieces: string[], fill: number, keepScan: boolean): Found {
  const scan = new Scan();
  const found: Found = { requests: [], rest: "" };
  let carry = "";
  for (const piece of pieces) {
    carry += piece;
    const buf = new Uint8Array(carry.length + 40).fill(fill);
    buf.set(bytes(carry), 20);
    const end = 20 + carry.length;
    let pos = 20;
    while (pos < end) {
      const result = codec.parseRequest(scan, buf, pos, end);
      if (result === BAD) {
        found.requests.push(`bad ${text(scan.error, 0, scan.error.length)}`);
        return found;
      }
      if (result === MORE) {
        if (!keepScan) scan.reset();
        break;
      }
      assert.is(result, DONE);
      assert.ok(scan.length > 0 && pos + scan.length <= end, "takes bytes, and only given ones");
      found.requests.push(describe(scan, buf, pos));
      pos += scan.length;
    }
    carry = text(buf, pos, end);
  }
  found.rest = carry;
  return found;
}

function cut(data: string, at: number[]): string[] {
  const places = [...new Set(at.map((n) => n % (data.length + 1)))].sort((a, b) => a - b);
  return [...places, data.length].map((end, i) => data.slice(i === 0 ? 0 : places[i - 1], end));
}

const name = fc.constantFrom(
  ..."get gets gat gats set add replace append prepend cas delete incr decr touch mg ms md ma me mn"
    .split(" "),
  ..."version quit flush_all verbosity stats cache_memlimit shutdown foo".split(" "),
);
const word = fc.oneof(
  fc.constantFrom(
    ..."k key noreply 0 1 -1 3 12 q b v O1 T0 MS aGVsbG8= items 4294967296 99999".split(" "),
    "k".repeat(250),
    "k".repeat(251),
    "a\tb",
    "\xff\x80",
    "x\r",
  ),
  fc.string({ minLength: 1, maxLength: 6 }).map((s) => s.replace(/[^!-~]/g, "_")),
);
const blank = fc.constantFrom(" ", " ", "  ");
const line = fc.tuple(name, fc.array(fc.tuple(blank, word), { maxLength: 6 }), blank, fc.boolean())
  .map(([head, words, tail, lf]) => head + words.flat().join("") + tail + (lf ? "\n" : "\r\n"));
const data = fc.string({ maxLength: 20 }).map((s) => s.replace(/[^\r\n -~]/g, "?"));
const store = fc.tuple(
  fc.constantFrom("set", "add", "append", "cas", "ms"),
  data,
  fc.constantFrom("", " noreply", " junk", " q", " b", " T0"),
  fc.integer({ min: -1, max: 1 }),
).map(([verb, body, end, off]) => {
  const size = body.length + (off === -1 && body.length === 0 ? 0 : off);
  if (verb === "ms") return `ms aGk= ${size}${end}\r\n${body}\r\n`;
  return `${verb} key 5 -1 ${size}${verb === "cas" ? " 9" : ""}${end}\r\n${body}\r\n`;
});
const stream = fc.array(fc.oneof(line, store), { maxLength: 8 }).map((all) => all.join(""));
const cuts = fc.array(fc.nat(5000), { maxLength: 12 });
const noise = fc.uint8Array({ maxLength: 60 }).map((b) => text(b, 0, b.length));
const fills = [0x0a, 0x20, 0x31, 0xff];

test("a stream means the same however it is cut, and whatever lies around it", () => {
  fc.assert(
    fc.property(stream, cuts, (input, at) => {
      const whole = read([input], fills[0], true);
      for (const fill of fills) {
        assert.equal(read([input], fill, true), whole);
        assert.equal(read(cut(input, at), fill, true), whole);
        assert.equal(read(cut(input, at), fill, false), whole);
      }
    }),
    { numRuns: 1500 },
  );
});

test("random bytes are read to the end or given up, however they are cut", () => {
  fc.assert(
    fc.property(fc.array(fc.oneof(noise, line, store), { maxLength: 5 }), cuts, (parts, at) => {
      const input = parts.join("");
      const whole = read([input], fills[0], true);
      for (const fill of fills) {
        assert.equal(read([input], fill, true), whole);
        assert.equal(read(cut(input, at), fill, true), whole);
      }
    }),
    { numRuns: 1500 },
  );
});

test("no forwarded line ends in noreply, has a q flag or a NUL, or an unknown data block", () => {
  const scan = new Scan();
  fc.assert(
    fc.property(fc.oneof(line, store), (input) => {
      const buf = bytes(input);
      const result = codec.parseRequest(scan, buf, 0, buf.length);
      if (result !== DONE || scan.action >= 5) return scan.reset();
      const sent = scan.scratch === null
        ? input.slice(0, scan.length)
        : text(scan.scratch, 0, scan.scratchLength);
      const end = sent.indexOf("\n") + 1;
      const words = sent.slice(0, end).replace(/\r?\n$/, "").split(" ").filter((w) => w !== "");
      const verb = words[0];
      assert.not(sent.slice(0, end).includes("\0"));
      if (/^(get|gat)s?$/.test(verb)) return assert.is(end, sent.length);
      if (/^m[a-z]$/.test(verb)) {
        if (verb !== "me") assert.not(words.slice(verb === "ms" ? 3 : 2).some((w) => w[0] === "q"));
      } else if (!(verb === "delete" && words.length === 2) && !/^(version|stats)$/.test(verb)) {
        // version and stats answer whatever word follows.
        assert.is.not(words.at(-1), "noreply");
      }
      const size = verb === "ms" ? words[2] : /^(set|add|append|cas)$/.test(verb) ? words[4] : null;
      if (size === null) return assert.is(end, sent.length);
      assert.match(size, /^\d+$/);
      assert.is(sent.length, end + Number(size) + 2);
      assert.is(sent.slice(-2), "\r\n");
    }),
    { numRuns: 5000 },
  );
});

/** Replies found in a stream, as a server connection reads it. */
function readReplies(pieces: string[], fill: number): string[] {
  const scan = new ReplyScan();
  const found: string[] = [];
  let reply = "";
  let carry = "";
  for (const piece of pieces) {
    carry += piece;
    const buf = new Uint8Array(carry.length + 40).fill(fill);
    buf.set(bytes(carry), 20);
    const end = 20 + carry.length;
    let pos = 20;
    while (pos < end) {
      const next = codec.parseReply(scan, buf, pos, end);
      assert.ok(next >= pos && next <= end);
      if (scan.bad) return [...found, "bad"];
      reply += text(buf, pos, next);
      pos = next;
      if (!scan.done) break;
      found.push(reply);
      reply = "";
    }
    carry = text(buf, pos, end);
  }
  return [...found, `rest ${reply}${carry}`];
}

const key = fc.constantFrom("k", "a\tb", "x\r", "\xff", "k".repeat(250));
const value = fc.tuple(key, data, fc.constantFrom("", " 7")).map(([k, v, cas]) =>
  `VALUE ${k} 0 ${v.length}${cas}\r\n${v}\r\n`
);
const reply = fc.oneof(
  fc.constantFrom("STORED", "NOT_FOUND", "OK", "12", "HD c1", "EN", "MN", "ERROR", "SERVER_ERROR x")
    .map((s) => `${s}\r\n`),
  fc.array(value, { maxLength: 4 }).map((all) => `${all.join("")}END\r\n`),
  data.map((v) => `VA ${v.length} t1\r\n${v}\r\n`),
  fc.constant("STAT a 1\r\nSTAT b x y\r\nEND\r\n"),
);

test("replies are the same however their stream is cut", () => {
  fc.assert(
    fc.property(fc.array(reply, { maxLength: 6 }), cuts, (replies, at) => {
      const input = replies.join("");
      const expected = [...replies, "rest "];
      for (const fill of fills) {
        assert.equal(readReplies([input], fill), expected);
        assert.equal(readReplies(cut(input, at), fill), expected);
      }
    }),
    { numRuns: 1500 },
  );
});

test("random bytes are no reply, however they are cut", () => {
  fc.assert(
    fc.property(fc.array(fc.oneof(noise, reply), { maxLength: 5 }), cuts, (parts, at) => {
      const input = parts.join("");
      const whole = readReplies([input], fills[0]);
      // A reply that breaks off in its middle may be told to be bad before it is told to be cut.
      const verdict = (found: string[]): string[] => found.filter((s) => !s.startsWith("rest "));
      for (const fill of fills) {
        assert.equal(readReplies([input], fill), whole);
        assert.equal(verdict(readReplies(cut(input, at), fill)), verdict(whole));
      }
    }),
    { numRuns: 1500 },
  );
});

/** The plain way to join: a list of blocks per fragment. */
function joinPlainly(picks: number[], fragments: string[][]): string {
  const left = fragments.map((blocks) => [...blocks]);
  return picks.map((p) => left[p].shift() ?? "").join("") + "END\r\n";
}

test("joining gives what taking block by block from lists gives", () => {
  fc.assert(
    fc.property(
      fc.array(fc.array(value, { maxLength: 5 }), { minLength: 1, maxLength: 4 }),
      fc.array(fc.nat(3), { maxLength: 12 }),
      (fragments, wanted) => {
        const picks = wanted.map((n) => n % fragments.length);
        const parts = fragments.map((blocks): Part => {
          const held = bytes(`..${blocks.join("")}END\r\nVALUE`);
          return { held, heldStart: 2, heldEnd: held.length - 5, failure: "" };
        });
        const out = new OutBuffer(new BufferPool());
        const picked = Uint16Array.from(picks);
        codec.join({
          verb: verbOf("get"),
          nkeys: picks.length,
          picks: picked,
          parts,
          tagHigh: 0,
          tagLow: 0,
        }, out);
        assert.is(contents(out), joinPlainly(picks, fragments));
      },
    ),
    { numRuns: 1500 },
  );
});

function contents(out: OutBuffer): string {
  let sent = "";
  const write = (buf: Uint8Array, start: number, end: number): number => {
    sent += text(buf, start, end);
    return end - start;
  };
  out.flush({
    remote: "",
    copies: true,
    write,
    pause() {},
    resume() {},
    shutdown() {},
    close() {},
  });
  return sent;
}

test.run();
