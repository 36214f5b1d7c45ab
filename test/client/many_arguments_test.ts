// A request of many arguments that comes in pieces is copied in proportion to its length, whether its
// length is known from the start (the last argument is under way) or not.

import { test } from "uvu";
import * as assert from "uvu/assert";
import { bytes } from "../../core/bytes.ts";
import { bulk, Fixture } from "../fake/fixture.ts";

const PIECE = 65536;

/** Bytes of the buffers that are taken while a request arrives. */
async function taken(request: string, memcached = false): Promise<number> {
  const f = await Fixture.start({ memcached, servers: ["a", "b"] });
  const { buffers } = f.pool;
  const take = buffers.take.bind(buffers);
  let sum = 0;
  buffers.take = (size) => {
    const buf = take(size);
    sum += buf.length;
    return buf;
  };
  const client = f.client();
  f.settle();
  client.send(bytes(request));
  // All but the last piece: what becomes of the request is not looked at.
  for (let left = request.length; left > PIECE; left -= PIECE) client.deliver(PIECE);
  return sum;
}

/** As a spread of so many arguments is more than an engine takes. */
function command(...first: string[]): (more: readonly string[]) => string {
  return (more) => `*${first.length + more.length}\r\n${[...first, ...more].map(bulk).join("")}`;
}

const keys = (n: number): string[] => Array.from({ length: n }, (_, i) => `key:${i}`);
const values = (size: number): string[] => ["k1", "v".repeat(size), "k2", "v".repeat(size)];

for (
  const [what, make, memcached] of [
    ["MGET", (n) => command("MGET")(keys(n)), false],
    ["EVAL", (n) => command("EVAL", "s", String(n))(keys(n)), false],
    ["an unknown command", (n) => command("NOSUCH")(keys(n)), false],
    ["MSET of two long values", (n) => command("MSET")(values(6 * n)), false],
    ["memcached's get", (n) => `get ${keys(n).join(" ")}\r\n`, true],
  ] as [string, (n: number) => string, boolean][]
) {
  test(`${what}: four times the length is not much more than four times the copies`, async () => {
    const short = make(60_000);
    const long = make(240_000);
    const [one, four] = [await taken(short, memcached), await taken(long, memcached)];
    assert.ok(one < 8 * short.length, `${one} bytes for ${short.length}`);
    assert.ok(four < 8 * long.length, `${four} bytes for ${long.length}`);
  });
}

test.run();
