// The hash functions against a real nutcracker's hashes (golden/vectors.json), the output of
// twemproxy's C functions, and published vectors. hashKey against the rule for hash tags.

import { test } from "uvu";
import * as assert from "uvu/assert";
import { type Hash, HASH_NAMES, HASHES, hashKey } from "../../core/hash/mod.ts";
import { md5Words } from "../../core/hash/md5.ts";
import { goldenKeys } from "../golden/keys.ts";
import vectors from "../golden/vectors.json" with { type: "json" };

const encoder = new TextEncoder();

const SAMPLES: readonly Uint8Array[] = [
  ...["a", "foo", "foobar", "key:1", "apple"].map((text) => encoder.encode(text)),
  Uint8Array.of(0xc3, 0xa9),
  Uint8Array.of(0xff, 0x80, 0x7a),
  encoder.encode("hello world 12345"),
];

/** What twemproxy's C functions return for SAMPLES (x86-64, where char is signed). */
const FROM_C = `
one_at_a_time  3392050242 596015325 4182965735 2729841284 2297466611 26298542 2816916234 2550775301
md5            3111502092 3675831724 586569784 1018217594 3195025439 2546851174 289677374 1689065286
crc16          31879 205303702 2667556901 1880267265 3662830516 15296452 512887590 4000399168
crc32          26807 3187 7926 2927 10542 3588 19082 21557
crc32a         3904355907 2356372769 2666930069 191839212 2838417488 235179326 3398102422 1412790727
fnv1_64        2248259518 1805727027 2765990338 4257821445 473199127 3035330621 1813151706 2877235970
fnv1a_64       2248273036 4275688823 4147734504 2519685833 1488911807 3033280513 1912617008 1238071544
fnv1_32        84696446 1083137555 837857890 2305095589 67176023 376872957 817040666 60643394
fnv1a_32       3826002220 2851307223 3214735720 1477709737 280767167 1023043777 2547836304 1010891800
hsieh          2472816263 1993659431 128288300 2159826137 3738850110 3203012475 850028070 846019392
murmur         1262581116 3303027599 2884435735 3691594071 4142305122 2111574343 3709053664 2949163130
jenkins        3768813200 2583187353 266177376 2193389018 1442444624 934048990 1217046158 3067224287`;

function hashText(hash: Hash, text: string): number {
  const key = encoder.encode(text);
  return hash(key, 0, key.length);
}

function hex(text: string): string {
  const key = encoder.encode(text);
  const words = new Uint32Array(4);
  md5Words(key, 0, key.length, words);
  return [...new Uint8Array(words.buffer)].map((b) => b.toString(16).padStart(2, "0")).join("");
}

/** What hashKey hashes of `text`, found by a hash that spies. */
function hashed(text: string, tag: string): string {
  const key = encoder.encode(text);
  let seen = "(nothing)";
  const spy: Hash = (buf, start, end) => {
    seen = new TextDecoder().decode(buf.slice(start, end));
    return 7;
  };
  const open = tag === "" ? -1 : tag.charCodeAt(0);
  const result = hashKey(spy, key, 0, key.length, open, tag.charCodeAt(1));
  assert.is(result, seen === "(nothing)" ? 0 : 7);
  return seen;
}

test("every hash agrees with a real nutcracker on every golden key", () => {
  const golden: Record<string, string> = vectors.hashes;
  assert.equal(Object.keys(golden), [...HASH_NAMES]);
  for (const name of HASH_NAMES) {
    const expected = golden[name].split(" ").map((digits) => parseInt(digits, 36));
    const keys = goldenKeys(expected.length);
    const ours = keys.map((key) => hashKey(HASHES[name], key, 0, key.length, -1, -1));
    assert.equal(ours, expected, name);
  }
});

test("every hash agrees with twemproxy's C functions", () => {
  for (const line of FROM_C.trim().split("\n")) {
    const [name, ...values] = line.split(/ +/);
    const hash = HASHES[name as keyof typeof HASHES];
    assert.equal(SAMPLES.map((key) => hash(key, 0, key.length)), values.map(Number), name);
  }
});

test("a key hashes alike wherever it lies in a buffer", () => {
  for (const name of HASH_NAMES) {
    for (const key of SAMPLES) {
      const buf = new Uint8Array(key.length + 9).fill(0xa5);
      for (let at = 0; at < 9; at++) {
        buf.fill(0xa5);
        buf.set(key, at);
        const found = HASHES[name](buf, at, at + key.length);
        assert.is(found, HASHES[name](key, 0, key.length), `${name} at ${at}`);
      }
    }
  }
});

test("every hash is a uint32", () => {
  for (const name of HASH_NAMES) {
    for (const key of goldenKeys(300)) {
      const h = HASHES[name](key, 0, key.length);
      assert.is(h, h >>> 0, name);
    }
  }
});

test("md5 gives the digests of RFC 1321", () => {
  assert.is(hex(""), "d41d8cd98f00b204e9800998ecf8427e");
  assert.is(hex("a"), "0cc175b9c0f1b6a831c399e269772661");
  assert.is(hex("abc"), "900150983cd24fb0d6963f7d28e17f72");
  assert.is(hex("message digest"), "f96b697d7cb7938d525a2f31aaf161d0");
  assert.is(hex("abcdefghijklmnopqrstuvwxyz"), "c3fcd3d76192e4007dfb496cca67e13b");
  assert.is(
    hex("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"),
    "d174ab98d277d9f5a5611c2c9f419d9f",
  );
  assert.is(hex("1234567890".repeat(8)), "57edf4a22be3c955ac49da2e2107b67a");
});

test("crc32a is CRC-32, and the low half of crc16 is CRC-16/XMODEM (catalogue check values)", () => {
  assert.is(hashText(HASHES.crc32a, "123456789"), 0xcbf43926);
  assert.is(hashText(HASHES.crc16, "123456789") & 0xffff, 0x31c3);
});

test("for ASCII the FNV hashes are the published ones, those of 64 bits cut to their low half", () => {
  assert.is(hashText(HASHES.fnv1_32, "foobar"), 0x31f0b262);
  assert.is(hashText(HASHES.fnv1a_32, "foobar"), 0xbf9cf968);
  assert.is(hashText(HASHES.fnv1_64, "foobar"), Number(0x340d8765a4dda9c2n & 0xffffffffn));
  assert.is(hashText(HASHES.fnv1a_64, "foobar"), Number(0x85944171f73967e8n & 0xffffffffn));
});

test("one_at_a_time gives the published values for ASCII", () => {
  assert.is(hashText(HASHES.one_at_a_time, "a"), 0xca2e9442);
  assert.is(
    hashText(HASHES.one_at_a_time, "The quick brown fox jumps over the lazy dog"),
    0x519e91f5,
  );
});

test("without a hash tag the whole key is hashed, and the empty key not at all", () => {
  assert.is(hashed("a{b}c", ""), "a{b}c");
  assert.is(hashed("", ""), "(nothing)");
  assert.is(hashed("", "{}"), "(nothing)");
});

test("a hash tag lies between the first opening byte and the next closing one", () => {
  assert.is(hashed("user:{42}:name", "{}"), "42");
  assert.is(hashed("{a}{b}", "{}"), "a");
  assert.is(hashed("{{a}}", "{}"), "{a");
  assert.is(hashed("}x{a}", "{}"), "a");
  assert.is(hashed("a$b$c$", "$$"), "b");
});

test("a hash tag that is empty or not closed is no hash tag", () => {
  assert.is(hashed("a{}b{c}", "{}"), "a{}b{c}");
  assert.is(hashed("a{b", "{}"), "a{b");
  assert.is(hashed("a}b{", "{}"), "a}b{");
  assert.is(hashed("$$a$", "$$"), "$$a$");
  assert.is(hashed("{", "{}"), "{");
  assert.is(hashed("$", "$$"), "$");
});

test("a hash tag is looked for within the key only", () => {
  const buf = encoder.encode("{x}{ab}cd}");
  const key = [4, 6] as const; // "ab": the braces are its neighbours
  assert.is(hashKey(HASHES.crc32a, buf, ...key, 123, 125), hashText(HASHES.crc32a, "ab"));
  assert.is(hashKey(HASHES.crc32a, buf, 3, 6, 123, 125), hashText(HASHES.crc32a, "{ab"));
});

test.run();
