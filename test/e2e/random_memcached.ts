// Random memcached requests, text, meta and binary, whose replies are the same on every memcached
// that got the same ones: nothing that tells the time, nothing a server hangs up on.

import fc from "fast-check";
import { ask, big } from "../protocol/packets.ts";

const key = fc.oneof(
  { weight: 12, arbitrary: fc.constantFrom("a", "b", "c", "n", "key:1", "key:2", "noreply") },
  { weight: 1, arbitrary: fc.constantFrom("k".repeat(250), "\xe4\xf6\xfc", "a\tb") },
);
const tooLong = fc.constant("k".repeat(251));
const value = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom("", "1", "99", "x", "END", "a\r\nb", "VALUE a 0 1") },
  {
    weight: 2,
    arbitrary: fc.uint8Array({ maxLength: 60 }).map((b) => String.fromCharCode(...b)),
  },
  { weight: 1, arbitrary: fc.integer({ min: 100, max: 30000 }).map((n) => "v".repeat(n)) },
);
const flags = fc.constantFrom("0", "1", "65535", "4294967295");
const exptime = fc.constantFrom("0", "0", "0", "1000", "-1");
const delta = fc.constantFrom("0", "1", "7", "18446744073709551615", "x", "-1");
const noreply = fc.constantFrom("", "", "", " noreply");

type Text = fc.Arbitrary<string>;
const line = (strings: TemplateStringsArray, ...parts: Text[]): Text =>
  fc.tuple(...parts).map((words) =>
    strings.map((text, i) => text + (words[i] ?? "")).join("") + "\r\n"
  );
const withBlock = (head: (size: number) => Text): Text =>
  value.chain((block) => head(block.length).map((first) => `${first}${block}\r\n`));
const oneOf = (...words: string[]): Text => fc.constantFrom(...words);
const keys = fc.array(key, { minLength: 1, maxLength: 8 }).map((all) => all.join(" "));

const store = withBlock((size) =>
  line`${
    oneOf("set", "set", "set", "add", "replace", "append", "prepend")
  } ${key} ${flags} ${exptime} ${fc.constant(String(size))}${noreply}`
);
const cas = withBlock((size) =>
  line`cas ${key} ${flags} ${exptime} ${fc.constant(String(size))} ${
    fc.nat(60).map(String)
  }${noreply}`
);

/** Everything in any order; a flag twice or one that is not known is for the server to refuse. */
const some = (words: Text): Text =>
  fc.array(words, { maxLength: 5 }).map((all) => all.map((word) => ` ${word}`).join(""));
const opaque = fc.constantFrom("O1", "Oabc", "O12345678901234567890");
const mgFlags = some(fc.oneof(
  oneOf("v", "k", "f", "s", "c", "q", "h", "N0", "R30", "T1000", "T0", "v"),
  opaque,
));
const msFlags = some(fc.oneof(
  oneOf("k", "q", "c", "I", "F7", "T0", "T1000", "C1", "ME", "MA", "MP", "MR", "MS", "Mx"),
  opaque,
));
const mdFlags = some(fc.oneof(oneOf("k", "q", "I", "T30", "C1"), opaque));
// memcached 1.6.18 answers a quiet ma that makes its item; the proxy cannot tell it from others.
const maFlags = some(fc.oneof(
  oneOf("k", "q", "N0", "J5", "D7", "T0", "MI", "MD", "Mx", "v", "c", "v"),
  opaque,
)).filter((words) => !(words.includes(" q") && words.includes(" N0")));
const binaryKey = fc.uint8Array({ minLength: 1, maxLength: 9 })
  .map((bytes) => btoa(String.fromCharCode(...bytes)));
const metaKey: fc.Arbitrary<[string, string]> = fc.oneof(
  { weight: 4, arbitrary: key.map((k): [string, string] => [k, ""]) },
  { weight: 1, arbitrary: binaryKey.map((k): [string, string] => [k, " b"]) },
);
const meta = (name: string, more: Text): Text =>
  fc.tuple(metaKey, more).map(([[k, b], rest]) => `${name} ${k}${b}${rest}\r\n`);
const metaSet = fc.tuple(metaKey, value, msFlags)
  .map(([[k, b], block, rest]) => `ms ${k} ${block.length}${b}${rest}\r\n${block}\r\n`);

export const textRequest: Text = fc.oneof(
  { weight: 8, arbitrary: store },
  { weight: 2, arbitrary: cas },
  { weight: 6, arbitrary: line`${oneOf("get", "get", "gets")} ${keys}` },
  {
    weight: 2,
    arbitrary: line`${oneOf("gat", "gats")} ${oneOf("0", "1000", "x", "-1")} ${keys}`,
  },
  { weight: 3, arbitrary: line`${oneOf("incr", "decr")} ${key} ${delta}${noreply}` },
  { weight: 2, arbitrary: line`delete ${key}${oneOf("", "", " 0", " 1", " noreply")}` },
  { weight: 2, arbitrary: line`touch ${key} ${oneOf("0", "1000", "x")}${noreply}` },
  { weight: 5, arbitrary: meta("mg", mgFlags) },
  { weight: 5, arbitrary: metaSet },
  { weight: 2, arbitrary: meta("md", mdFlags) },
  { weight: 3, arbitrary: meta("ma", maFlags) },
  { weight: 1, arbitrary: fc.constant("mn\r\n") },
  {
    weight: 2,
    arbitrary: oneOf(
      ...["version", "verbosity 1", "verbosity", "nosuch a b", "", "get", "set a", "incr a"],
      ...["flush_all 0", "flush_all", "flush_all noreply", "touch a", "delete", "GET a", "mg"],
      ...[
        "cache_memlimit 64",
        "cache_memlimit",
        "me nothing",
        "mg  a  v ",
        "  get a",
        "stats reset",
      ],
    ).map((words) => `${words}\r\n`),
  },
  // Not get: memcached then forgets the answers to what came in one read with it.
  { weight: 1, arbitrary: line`${oneOf("touch", "mg", "delete", "incr")} ${tooLong}` },
  { weight: 1, arbitrary: fc.constant("get a\n") },
);

/**
 * Requests that have the same reply on one server and on several: without cas values, which each
 * server counts by itself, and keys whose values could change places.
 */
const CAS = /^(cas|gets|gats|stats) |^get .* |^gat \S+ .* |^m[a-z] .* (c|I|C\d+|E\d+)[ \r]/;
export const spreadRequest: Text = textRequest.filter((request) => !CAS.test(request));

// ------------------------------------------------------------------------------------- binary

const opaques = fc.nat(0xffffffff);
const stored = fc.tuple(flags, fc.constantFrom(0, 1000)).map(([f, e]) =>
  big(Number(f), 4) + big(e, 4)
);
const counted = fc.tuple(fc.constantFrom(0, 1, 9), fc.constantFrom(0, 50), fc.boolean())
  .map(([by, first, make]) => big(by, 8) + big(first, 8) + big(make ? 0 : 0xffffffff, 4));
const binKey = fc.oneof(
  { weight: 12, arbitrary: fc.constantFrom("a", "b", "c", "n", "key:1", "noreply") },
  { weight: 1, arbitrary: fc.constantFrom("k".repeat(250), "\x80\xff~", "!") },
);
const none = fc.constant("");

const packets = (
  opcodes: number[],
  extras: Text,
  of: { key?: Text; value?: Text; cas?: fc.Arbitrary<number> } = {},
): Text =>
  fc.tuple(
    fc.constantFrom(...opcodes),
    extras,
    of.key ?? binKey,
    of.value ?? none,
    opaques,
    of.cas ?? fc.constant(0),
  ).map(([opcode, e, k, v, o, c]) =>
    ask(opcode, { key: k, extras: e, value: v, opaque: o, cas: c })
  );

const binary = (cas: fc.Arbitrary<number>): Text =>
  fc.oneof(
    { weight: 6, arbitrary: packets([0x00, 0x09, 0x0c, 0x0d], none) },
    {
      weight: 6,
      arbitrary: packets([0x01, 0x02, 0x03, 0x11, 0x12, 0x13], stored, { value, cas }),
    },
    { weight: 3, arbitrary: packets([0x0e, 0x0f, 0x19, 0x1a], none, { value }) },
    { weight: 3, arbitrary: packets([0x05, 0x06, 0x15, 0x16], counted) },
    { weight: 2, arbitrary: packets([0x04, 0x14], none, { cas }) },
    { weight: 3, arbitrary: packets([0x1c, 0x1d, 0x1e, 0x23, 0x24], fc.constant(big(1000, 4))) },
    { weight: 1, arbitrary: packets([0x0a, 0x0b, 0x08, 0x18], none, { key: none }) },
    { weight: 1, arbitrary: packets([0x08, 0x18], fc.constant(big(0, 4)), { key: none }) },
    { weight: 1, arbitrary: packets([0x77, 0x30, 0x41], none, { key: none }) },
  );

export const binaryRequest = binary(
  fc.oneof({ weight: 4, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.nat(40) }),
);
/** As `spreadRequest`. */
export const spreadBinary = binary(fc.constant(0));
