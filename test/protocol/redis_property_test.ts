// The Redis codec under random streams: cuts do not change what is found, bytes outside of what
// was given are never looked at, and joining gives what taking element by element would.

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
  REFUSE,
  ReplyScan,
  Scan,
  SPLIT,
  TOGETHER,
} from "../../core/protocol/codec.ts";
import { RedisCodec } from "../../core/protocol/redis/codec.ts";
import { COMMANDS, verbOf } from "../../core/protocol/redis/commands.ts";

const SEED = 6379;
const codec = new RedisCodec({ auth: "", db: 0, maxRequest: 10_000 }, {} as unknown as Facts);

function describe(scan: Scan, buf: Uint8Array, start: number): string {
  const from = scan.scratch ?? buf;
  const at = scan.scratch === null ? start : 0;
  const keys: string[] = [];
  if (scan.action === FORWARD) keys.push(text(from, at + scan.keyStart, at + scan.keyEnd));
  if (scan.action === SPLIT || scan.action === TOGETHER) {
    for (let i = 0; i < scan.nkeys; i++) {
      codec.keys.select(scan, i);
      keys.push(text(from, at + scan.keyStart, at + scan.keyEnd));
    }
  }
  const sent = text(from, at, at + (scan.scratch === null ? scan.length : scan.scratchLength));
  const error = scan.action === REFUSE ? text(scan.error, 0, scan.error.length) : "";
  return JSON.stringify([scan.action, scan.length, keys, sent, error]);
}

/** Reads a stream as a client connection does: what is unfinished is kept for the next piece. */
function read(pieces: string[], fill: number, keepScan: boolean): string[] {
  const scan = new Scan();
  const found: string[] = [];
  let carry = "";
  for (const piece of pieces) {
    carry += piece;
    const buf = new Uint8Array(carry.length + 40).fill(fill);
    buf.set(bytes(carry), 20);
    const end = 20 + carry.length;
    let pos = 20;
    while (pos < end) {
      const result = codec.parseRequest(scan, buf, pos, end);
      if (result === BAD) return [...found, `bad ${text(scan.error, 0, scan.error.length)}`];
      if (result === MORE) {
        if (!keepScan) scan.reset();
        break;
      }
      assert.is(result, DONE);
      assert.ok(scan.length > 0 && pos + scan.length <= end, "takes bytes, and only given ones");
      found.push(describe(scan, buf, pos));
      pos += scan.length;
    }
    carry = text(buf, pos, end);
  }
  return [...found, `rest ${carry}`];
}

function cut(data: string, at: number[]): string[] {
  const places = [...new Set(at.map((n) => n % (data.length + 1)))].sort((a, b) => a - b);
  return [...places, data.length].map((end, i) => data.slice(i === 0 ? 0 : places[i - 1], end));
}

const bulk = (value: string): string => `$${value.length}\r\n${value}\r\n`;
const array = (words: string[]): string => `*${words.length}\r\n${words.map(bulk).join("")}`;

const raw = fc.uint8Array({ maxLength: 40 }).map((b) => text(b, 0, b.length));
const name = fc.oneof(
  fc.constantFrom(...COMMANDS.map((c) => c.name)).map((n) => n.split("|")),
  fc.constantFrom("GET", "set", "mget", "MSET", "del", "eval", "xread", "nope", "", "*1").map((
    n,
  ) => [n]),
);
const word = fc.oneof(
  raw,
  fc.constantFrom("k", "", "0", "1", "2", "-1", "store", "STREAMS", "by", "count", "group", "\r\n"),
  fc.integer({ min: 0, max: 300 }).map((n) => "v".repeat(n)),
);
const request = fc.tuple(name, fc.array(word, { maxLength: 8 })).map(([head, words]) =>
  array([...head, ...words])
);
const inline = fc.tuple(
  fc.array(
    fc.constantFrom("get", "mget", "k", '"a b"', "'c\\'d'", '"\\x41\\n"', " ", "\t", '"open', "x'"),
    { maxLength: 6 },
  ),
  fc.constantFrom("\r\n", "\n"),
).map(([words, end]) => words.join(" ") + end);
const empty = fc.constantFrom("*0\r\n", "*-1\r\n", "\r\n");
const valid = fc.array(fc.oneof({ weight: 6, arbitrary: request }, inline, empty), {
  maxLength: 8,
});
const stream = valid.map((all) => all.join(""));
const cuts = fc.array(fc.nat(5000), { maxLength: 12 });
const fills = [0x0a, 0x0d, 0x24, 0x31];

const run = (numRuns: number) => ({ numRuns, seed: SEED });

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
    run(600),
  );
});

test("every array is found with its words, one after the other", () => {
  fc.assert(
    fc.property(fc.array(request, { maxLength: 8 }), (requests) => {
      const found = read([requests.join("")], 0x0a, true);
      assert.is(found.length, requests.length + 1);
      for (const [i, one] of requests.entries()) assert.is(JSON.parse(found[i])[3], one);
      assert.is(found.at(-1), "rest ");
    }),
    run(600),
  );
});

/** A stream with a few bytes changed, left out, doubled or put in. */
const mutated = fc.tuple(
  stream,
  fc.array(fc.tuple(fc.nat(5000), fc.nat(255), fc.nat(3)), { minLength: 1, maxLength: 4 }),
).map(([input, changes]) => {
  for (const [place, byte, kind] of changes) {
    const at = place % (input.length + 1);
    const put = kind === 0 ? "" : String.fromCharCode(byte);
    const skip = kind === 2 ? 0 : 1;
    const twice = kind === 3 ? input.slice(at, at + 20) : "";
    input = input.slice(0, at) + put + twice + input.slice(at + skip);
  }
  return input;
});

test("what is spoilt is read to the end or given up, however it is cut", () => {
  fc.assert(
    fc.property(
      fc.oneof(mutated, mutated, raw, fc.tuple(stream, raw).map((p) => p.join(""))),
      cuts,
      (input, at) => {
        const whole = read([input], fills[0], true);
        for (const fill of fills) {
          assert.equal(read([input], fill, true), whole);
          assert.equal(read(cut(input, at), fill, true), whole);
          assert.equal(read(cut(input, at), fill, false), whole);
        }
      },
    ),
    run(1200),
  );
});

// ---------------------------------------------------------------------------------------- replies

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

const line = fc.string({ maxLength: 12 }).map((s) => s.replace(/[^ -~]/g, "?"));
const { tree } = fc.letrec<{ tree: string }>((tie) => ({
  tree: fc.oneof(
    { depthSize: "small" },
    raw.map(bulk),
    fc.constantFrom("$-1\r\n", "*-1\r\n", "*0\r\n", "_\r\n", "#t\r\n", ",-1.5e9\r\n", "(-12\r\n"),
    fc.integer().map((n) => `:${n}\r\n`),
    line.map((s) => `+${s}\r\n`),
    line.map((s) => `-${s}\r\n`),
    raw.map((s) => `=${s.length + 4}\r\ntxt:${s}\r\n`),
    raw.map((s) => `!${s.length}\r\n${s}\r\n`),
    fc.tuple(fc.constantFrom("*", "~", ">"), fc.array(tie("tree"), { maxLength: 4 })).map(
      ([type, items]) => `${type}${items.length}\r\n${items.join("")}`,
    ),
    fc.array(fc.tuple(tie("tree"), tie("tree")), { maxLength: 3 }).map((pairs) =>
      `%${pairs.length}\r\n${pairs.flat().join("")}`
    ),
    fc.tuple(fc.array(fc.tuple(tie("tree"), tie("tree")), { maxLength: 2 }), tie("tree")).map(
      ([pairs, about]) => `|${pairs.length}\r\n${pairs.flat().join("")}${about}`,
    ),
  ),
}));

test("replies are the same however their stream is cut", () => {
  fc.assert(
    fc.property(fc.array(tree, { maxLength: 6 }), cuts, (replies, at) => {
      const input = replies.join("");
      const expected = [...replies, "rest "];
      for (const fill of fills) {
        assert.equal(readReplies([input], fill), expected);
        assert.equal(readReplies(cut(input, at), fill), expected);
      }
    }),
    run(800),
  );
});

test("spoilt replies are read to the end or given up, however they are cut", () => {
  const parts = fc.array(fc.oneof(tree, raw, raw.map((s) => `*2\r\n${s}`)), { maxLength: 5 });
  fc.assert(
    fc.property(parts, cuts, (all, at) => {
      const input = all.join("");
      const whole = readReplies([input], fills[0]);
      for (const fill of fills) {
        assert.equal(readReplies([input], fill), whole);
        assert.equal(readReplies(cut(input, at), fill), whole);
      }
    }),
    run(1200),
  );
});

test("joined arrays hold what taking element by element gives", () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(4), tree), { minLength: 1, maxLength: 20 }),
      (wanted) => {
        const used = [...new Set(wanted.map(([server]) => server))];
        const picks = wanted.map(([server]) => used.indexOf(server));
        const parts = used.map((_, i): Part => {
          const mine = wanted.filter((_, k) => picks[k] === i).map(([, element]) => element);
          const held = bytes(`:1\r\n*${mine.length}\r\n${mine.join("")}$5\r\n`);
          return { held, heldStart: 4, heldEnd: held.length - 4, failure: "" };
        });
        const out = new OutBuffer(new BufferPool());
        const fanOut = {
          verb: verbOf("mget"),
          nkeys: picks.length,
          picks: Uint16Array.from(picks),
          parts,
          tagHigh: 0,
          tagLow: 0,
        };
        codec.join(fanOut, out);
        assert.is(contents(out), `*${wanted.length}\r\n${wanted.map(([, e]) => e).join("")}`);
      },
    ),
    run(800),
  );
});

test("the fragments of a command hold each key once, in order, on its server", () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(3), raw, raw), { minLength: 1, maxLength: 30 }),
      (items) => {
        const data = bytes(array(["MSET", ...items.flatMap(([, k, v]) => [k, v])]));
        const scan = new Scan();
        assert.is(codec.parseRequest(scan, data, 0, data.length), DONE);
        assert.is(scan.nkeys, items.length);
        for (let server = 0; server < 4; server++) {
          const mine = items.filter(([s]) => s === server);
          const out = new OutBuffer(new BufferPool());
          codec.keys.begin(scan, data, 0, mine.length, out);
          for (const [i, [s]] of items.entries()) {
            if (s === server) codec.keys.add(scan, data, 0, i, i + 1, out);
          }
          assert.is(contents(out), array(["MSET", ...mine.flatMap(([, k, v]) => [k, v])]));
        }
      },
    ),
    run(500),
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
    copies: false,
    write,
    pause() {},
    resume() {},
    shutdown() {},
    close() {},
  });
  return sent;
}

test.run();
