// The PROXY protocol: its header whole and cut at every byte, with and without what follows; broken
// ones; and who may and has to send one.

import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { bytes } from "../../core/bytes.ts";
import { formatIp, hostOf, Network, parseIp } from "../../core/networks.ts";
import { BAD, crc32c, HeaderReader, LONGEST, MORE } from "../../core/proxy_header.ts";
import { Fixture } from "../fake/fixture.ts";
import { seeds } from "../fake/rounds.ts";

// ------------------------------------------------------------------------------- networks

test("addresses are read and written as RFC 4291 and RFC 5952 have them", () => {
  for (const text of ["1.2.3.4", "::", "::1", "2001:db8::1", "1:0:0:2::3", "::ffff:1.2.3.4"]) {
    assert.is(formatIp(parseIp(text) as Uint8Array), text);
  }
  assert.is(formatIp(parseIp("2001:DB8:0:0:1:0:0:1") as Uint8Array), "2001:db8::1:0:0:1");
  for (const text of ["", "1.2.3", "1.2.3.256", "01.2.3.4", "1::2::3", ":::", "1:2", "g::", "a"]) {
    assert.is(parseIp(text), null, text);
  }
});

test("a network has the addresses that begin with its bits, mapped ones too", () => {
  const has = (network: string, ip: string) =>
    (Network.parse(network) as Network).has(parseIp(ip) as Uint8Array);
  assert.ok(has("10.0.0.0/8", "10.255.1.2"));
  assert.ok(has("10.0.0.0/8", "::ffff:10.1.2.3"));
  assert.not(has("10.0.0.0/8", "11.0.0.0"));
  assert.ok(has("10.128.0.0/9", "10.200.0.1"));
  assert.not(has("10.128.0.0/9", "10.127.0.1"));
  assert.ok(has("fd00::/8", "fd12::1"));
  assert.not(has("fd00::/8", "10.0.0.1"));
  assert.ok(has("0.0.0.0/0", "9.9.9.9"));
  assert.ok(has("::1", "::1"));
  assert.not(has("::1", "::2"));
  assert.is(hostOf("::1:6379"), "::1");
});

// --------------------------------------------------------------------------------- header

const SIGNATURE = [13, 10, 13, 10, 0, 13, 10, 81, 85, 73, 84, 10];

function version2(command: number, family: number, body: number[]): Uint8Array {
  const head = [...SIGNATURE, 0x20 | command, family, body.length >> 8, body.length & 255];
  return Uint8Array.from([...head, ...body]);
}

const ADDRESSES4 = [1, 2, 3, 4, 5, 6, 7, 8, 0x10, 0x01, 0x18, 0xeb];
const ADDRESSES6 = [
  ...[0x20, 1, 0xd, 0xb8, ...new Array(11).fill(0), 7],
  ...[...new Array(15).fill(0), 1, 0, 80, 1, 187],
];
const tlv = (
  type: number,
  value: number[],
) => [type, value.length >> 8, value.length & 255, ...value];

/** A header with a checksum, as the specification has it made. */
function withChecksum(wrong = false): Uint8Array {
  const parts = [...tlv(4, [0, 0, 0]), ...tlv(3, [0, 0, 0, 0]), ...tlv(2, [...bytes("host")])];
  const header = version2(1, 0x11, [...ADDRESSES4, ...parts]);
  const at = 16 + 12 + 6 + 3;
  const crc = crc32c(header, 0, header.length) ^ (wrong ? 1 : 0);
  new DataView(header.buffer).setUint32(at, crc >>> 0);
  return header;
}

const GOOD: [Uint8Array, string][] = [
  [bytes("PROXY TCP4 1.2.3.4 5.6.7.8 4097 6379\r\n"), "1.2.3.4:4097"],
  [bytes("PROXY TCP6 2001:db8::7 ::1 80 443\r\n"), "2001:db8::7:80"],
  [bytes("PROXY UNKNOWN\r\n"), ""],
  [bytes(`PROXY UNKNOWN ${"f".repeat(91)}\r\n`), ""], // 107 bytes
  [version2(1, 0x11, ADDRESSES4), "1.2.3.4:4097"],
  [version2(1, 0x21, ADDRESSES6), "2001:db8::7:80"],
  [version2(1, 0x11, [...ADDRESSES4, ...tlv(5, [1, 2, 3]), ...tlv(0x20, [])]), "1.2.3.4:4097"],
  [version2(1, 0x00, []), ""],
  [version2(1, 0x31, new Array(216).fill(1)), ""],
  [version2(0, 0x00, []), ""],
  [version2(0, 0x11, ADDRESSES4), ""],
  [withChecksum(), "1.2.3.4:4097"],
];

/** Reads pieces; where in the last one the rest begins, or what came before that. */
function read(reader: HeaderReader, ...pieces: Uint8Array[]): number {
  let at = MORE;
  for (const piece of pieces) {
    const padded = new Uint8Array(piece.length + 6).fill(0x23);
    padded.set(piece, 3);
    at = reader.take(padded, 3, 3 + piece.length);
    padded.fill(0x21);
    if (at >= 0) at -= 3;
    if (at === BAD) return at;
  }
  return at;
}

test("every header is understood, cut at every byte, with and without what follows", () => {
  for (const [header, source] of GOOD) {
    for (const rest of ["", "PING\r\n", "PROXY TCP4 9.9.9.9 9.9.9.9 9 9\r\n"]) {
      const all = Uint8Array.from([...header, ...bytes(rest)]);
      for (let cut = 0; cut <= header.length; cut++) {
        const reader = new HeaderReader();
        const first = read(reader, all.subarray(0, cut));
        assert.is(first, cut === header.length ? cut : MORE);
        if (first === MORE) assert.is(read(reader, all.subarray(cut)), header.length - cut);
        assert.is(reader.source, source);
      }
    }
    const reader = new HeaderReader();
    const last = read(reader, ...[...header].map((byte) => Uint8Array.of(byte)));
    assert.is(last, 1);
    assert.is(reader.source, source);
  }
});

test("what is no header, or a broken one, is told so", () => {
  const cases: [Uint8Array, RegExp][] = [
    [bytes("PING\r\n"), /there is no header/],
    [bytes("*1\r\n$4\r\nPING\r\n"), /there is no header/],
    [bytes("\r\n\r\n\r\n"), /there is no header/],
    [bytes(`PROXY UNKNOWN ${"f".repeat(92)}\r\n`), /longer than 107/],
    [bytes(`PROXY ${"x".repeat(200)}`), /longer than 107/],
    [bytes("PROXY UDP4 1.2.3.4 5.6.7.8 1 2\r\n"), /neither TCP4, TCP6 nor UNKNOWN/],
    [bytes("PROXY TCP4 1.2.3.4 5.6.7.8 1\r\n"), /two addresses and two ports/],
    [bytes("PROXY TCP4 1.2.3.4 5.6.7.8 1 65536\r\n"), /two addresses/],
    [bytes("PROXY TCP4 1.2.3.4 5.6.7.8 1 2 3\r\n"), /two addresses/],
    [bytes("PROXY TCP6 1.2.3.4 5.6.7.8 1 2\r\n"), /two addresses/],
    [bytes("PROXY TCP4 1.2.3.4  5.6.7.8 1 2\r\n"), /two addresses/],
    [Uint8Array.from([...SIGNATURE, 0x11, 0x11, 0, 0]), /version is 1/],
    [Uint8Array.from([...SIGNATURE, 0x22, 0x11, 0, 0]), /command 2/],
    [Uint8Array.from([...SIGNATURE, 0x21, 0x11, 0xff, 0xff]), new RegExp(`at most ${LONGEST}`)],
    [version2(1, 0x41, []), /family 65/],
    [version2(1, 0x21, ADDRESSES4), /too short for its addresses/],
    [version2(1, 0x11, [...ADDRESSES4, 5, 0]), /cut short/],
    [version2(1, 0x11, [...ADDRESSES4, 5, 0, 9, 1]), /cut short/],
    [version2(1, 0x11, [...ADDRESSES4, ...tlv(3, [1])]), /checksum is not of 4/],
    [withChecksum(true), /checksum is wrong/],
  ];
  for (const [header, why] of cases) {
    const whole = new HeaderReader();
    assert.is(read(whole, header), BAD, String(why));
    assert.match(whole.why, why);
    const cut = new HeaderReader();
    assert.is(read(cut, ...[...header].map((byte) => Uint8Array.of(byte))), BAD);
    assert.is(cut.why, whole.why);
  }
});

test("CRC32C is Castagnoli's", () => {
  assert.is(crc32c(bytes("123456789"), 0, 9), 0xe3069283);
});

test("random bytes and broken headers: cuts change nothing, no more is kept than may be", () => {
  const header = fc.oneof(
    fc.uint8Array({ maxLength: 300 }),
    fc.tuple(fc.constantFrom(...GOOD), fc.nat(), fc.integer({ min: 0, max: 255 })).map(
      ([[good], at, byte]) => {
        const broken = good.slice();
        broken[at % broken.length] = byte;
        return broken;
      },
    ),
  );
  const runs = 300 * [...seeds(0, 1)].length;
  fc.assert(
    fc.property(header, fc.nat(), (all, cut) => {
      const whole = new HeaderReader();
      const at = read(whole, all);
      const split = new HeaderReader();
      const middle = all.length === 0 ? 0 : cut % all.length;
      const first = read(split, all.subarray(0, middle));
      const then = first === MORE ? read(split, all.subarray(middle)) : first;
      assert.is(first === MORE && then >= 0 ? then + middle : then, at);
      assert.equal([split.source, split.why], [whole.source, whole.why]);
    }),
    { numRuns: runs, seed: 2014 },
  );
});

// ------------------------------------------------------------------------- who, and in time

/** Clients of the fake host come from 10.9.0.1. */
const pool = (from: string, more: string[] = []) => ({
  config: [`proxy_protocol: {from: [${from}], timeout: 3000}`, ...more],
});

const HEADER = "PROXY TCP4 1.2.3.4 5.6.7.8 4097 6379\r\n";

test("the address of the header is the client's, everywhere", async () => {
  const f = await Fixture.start(pool("10.0.0.0/8"));
  const client = f.client();
  f.say(client, HEADER.slice(0, 9));
  assert.is(f.pool.clients.size, 0);
  f.say(client, HEADER.slice(9) + "CLIENT LIST\r\n");
  assert.match(client.received(), / addr=1\.2\.3\.4:4097 /);
  assert.ok(f.logged.includes('info pool "p": client 1.2.3.4:4097: connected; 1 clients'));
  f.say(client, "PING\r\n");
  assert.is(client.received(), "+PONG\r\n");
  client.fail("");
  f.settle();
  assert.is(f.pool.clients.size, 0);
  f.proxy.stop();
});

test("a load balancer without a header, too late or with a broken one is turned away", async () => {
  const f = await Fixture.start(pool("10.9.0.1"));
  const tries: [string, RegExp][] = [
    ["PING\r\n", /10\.9\.0\.1:1 refused: PROXY protocol: there is no header/],
    [`PROXY ${"x".repeat(101)}`, /:2 refused: PROXY protocol: its line is longer than 107 bytes/],
    ["PROXY TCP4 1", /:3 refused: PROXY protocol: its header was not complete within 3000 ms/],
    ["", /:4 refused: PROXY protocol: it sent no header within 3000 ms/],
  ];
  for (const [what, why] of tries) {
    const client = f.client();
    if (what !== "") f.say(client, what);
    if (!client.gone) f.host.pass(3000);
    f.settle();
    assert.ok(client.gone, what);
    assert.match(f.logged.join("\n"), why);
    assert.is(client.received(), "");
  }
  assert.is(f.pool.counters.header_errors, 4);
  assert.is(f.pool.counters.accepted, 0);
  f.proxy.stop();
});

test("a check that only connects is turned away without a word", async () => {
  const f = await Fixture.start(pool("10.9.0.1"));
  const client = f.client();
  client.end();
  f.settle();
  assert.ok(client.gone);
  assert.is(f.pool.counters.header_errors, 0);
  f.proxy.stop();
});

test("who is not in from may not send a header, and is served at once without one", async () => {
  const f = await Fixture.start(pool("192.168.0.0/16"));
  for (const header of [HEADER, String.fromCharCode(...version2(1, 0x11, ADDRESSES4))]) {
    for (let cut = 0; cut < 12; cut++) {
      const client = f.client();
      assert.is(f.pool.clients.size, 1);
      if (cut > 0) f.say(client, header.slice(0, cut));
      f.say(client, header.slice(cut) + "PING\r\n");
      assert.ok(client.gone);
      assert.is(client.received(), "");
      f.settle();
    }
  }
  assert.is(f.pool.counters.header_errors, 24);
  const client = f.client();
  f.say(client, "P");
  f.say(client, "ING\r\n");
  f.say(client, "PING\r\n");
  assert.is(client.received(), "+PONG\r\n+PONG\r\n");
  f.say(client, "CLIENT LIST\r\n");
  assert.match(client.received(), / addr=10\.9\.0\.1:/);
  f.proxy.stop();
});

test("those whose header is awaited count as clients", async () => {
  const f = await Fixture.start(pool("10.9.0.1", ["client_connections: 2"]));
  const [a, b] = [f.client(), f.client()];
  assert.ok(f.client().gone);
  f.say(a, `${HEADER}PING\r\n`);
  assert.is(a.received(), "+PONG\r\n");
  assert.ok(f.client().gone);
  b.fail("");
  f.settle();
  const c = f.client();
  f.say(c, `${HEADER}PING\r\n`);
  assert.is(c.received(), "+PONG\r\n");
  f.proxy.stop();
  assert.ok(a.gone && c.gone);
});

test("a reload changes who has to send a header", async () => {
  const f = await Fixture.start();
  const before = f.client();
  f.say(before, "PING\r\n");
  const lines = await f.reload(pool("10.9.0.1"));
  assert.match(lines.join("\n"), /proxy_protocol is now {"from":\["10\.9\.0\.1"\],"timeout":3000}/);
  f.say(before, "PING\r\n");
  assert.is(before.received(), "+PONG\r\n+PONG\r\n");
  const after = f.client();
  f.say(after, `${HEADER}PING\r\n`);
  assert.is(after.received(), "+PONG\r\n");
  f.proxy.stop();
});

test.run();
