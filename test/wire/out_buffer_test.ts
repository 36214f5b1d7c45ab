// Output on its way to a socket: what goes in comes out once and in order, however little the
// socket takes; and buffers that a socket still holds are not written to.

import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { bytes } from "../../core/bytes.ts";
import { BufferPool, OutBuffer } from "../../core/wire/out_buffer.ts";
import { FakeHost, FakeSocket, lend, takeAll, takeNone, takeSome } from "../fake/fake_host.ts";

function socketThat(taker: (n: number) => number): FakeSocket {
  const socket = new FakeSocket(new FakeHost(), "peer");
  socket.opened = true;
  socket.taker = taker;
  return socket;
}

/** Everything that is in `out`. */
function contents(out: OutBuffer): string {
  const socket = socketThat(takeAll);
  assert.ok(out.flush(socket));
  assert.is(out.size, 0);
  return socket.received();
}

test("numbers, bytes, texts and spans are appended in order", () => {
  const out = new OutBuffer(new BufferPool());
  out.ascii("*");
  out.int(0);
  out.byte(10);
  out.append(bytes("..abc.."), 2, 5);
  for (const n of [9, 10, 99, 100, 2147483647, 2147483648, 9007199254740991]) {
    out.byte(32);
    out.int(n);
  }
  assert.is(contents(out), "*0\nabc 9 10 99 100 2147483647 2147483648 9007199254740991");
});

test("every power of ten and its neighbours are written as they should be", () => {
  const out = new OutBuffer(new BufferPool());
  for (let n = 1; n <= 1e15; n *= 10) {
    for (const m of [n - 1, n, n + 1]) {
      out.int(m);
      assert.is(contents(out), String(m));
    }
  }
});

test("spans of every length around the limits arrive whole", () => {
  const out = new OutBuffer(new BufferPool());
  const source = new Uint8Array(200_000);
  for (let i = 0; i < source.length; i++) source[i] = 97 + i % 26;
  for (const n of [0, 1, 63, 64, 65, 4095, 4096, 4097, 65535, 65536, 65537, 131072, 200_000]) {
    for (const before of [0, 1, 4000, 65536]) {
      out.append(source, 0, before);
      out.append(source, source.length - n, source.length);
      const socket = socketThat(takeAll);
      assert.is(out.size, before + n);
      out.flush(socket);
      const got = socket.receivedBytes();
      assert.is(got.length, before + n);
      for (let i = 0; i < n; i += 997) assert.is(got[before + i], source[source.length - n + i]);
    }
  }
});

test("an idle output holds no buffer, and the pool gives the same ones again", () => {
  const pool = new BufferPool();
  const out = new OutBuffer(pool);
  out.ascii("x");
  contents(out);
  const [one] = [pool.take(100)];
  pool.give(one);
  out.ascii("y");
  contents(out);
  assert.is(pool.take(4096), one);
});

test("a pool keeps a bounded number of buffers, and only those of its sizes", () => {
  const pool = new BufferPool();
  const large = Array.from({ length: 40 }, () => pool.take(1 << 20));
  for (const buf of large) pool.give(buf);
  const again = Array.from({ length: 40 }, () => pool.take(1 << 20));
  const kept = again.filter((buf) => large.includes(buf)).length;
  assert.ok(kept >= 4 && kept <= 16, `${kept} MB kept`);
  const odd = new Uint8Array(5000);
  pool.give(odd);
  pool.give(new Uint8Array(0));
  assert.is.not(pool.take(5000), odd);
  assert.is(pool.take(5000).length, 8192);
  assert.is(pool.take(3 << 20).length, 3 << 20);
});

test("what a socket does not take is written after its drain", () => {
  const out = new OutBuffer(new BufferPool());
  const socket = socketThat(takeSome(3));
  out.ascii("abcdefgh");
  assert.not(out.flush(socket));
  assert.is(out.size, 5);
  out.ascii("ij");
  let drains = 0;
  for (let clean = false; !clean; drains++) {
    socket.drain();
    clean = out.drained(socket);
  }
  assert.is(drains, 3);
  assert.is(socket.received(), "abcdefghij");
});

test("a lent buffer is not touched, and nothing else is written, until the drain", () => {
  const out = new OutBuffer(new BufferPool());
  const socket = socketThat(lend);
  out.ascii("first");
  assert.not(out.flush(socket));
  assert.ok(out.busy);
  out.ascii("second");
  assert.not(out.flush(socket));
  assert.is(out.size, 11);
  socket.drain();
  assert.is(socket.received(), "first");
  assert.not(out.drained(socket));
  socket.drain();
  assert.ok(out.drained(socket));
  assert.is(socket.received(), "second");
  assert.not(out.busy);
});

test("clear drops everything, but a lent buffer does not go back to the pool", () => {
  const pool = new BufferPool();
  const out = new OutBuffer(pool);
  const socket = socketThat(lend);
  const given: Uint8Array[] = [];
  const give = pool.give.bind(pool);
  pool.give = (buf) => {
    given.push(buf);
    give(buf);
  };
  out.append(new Uint8Array(70_000), 0, 70_000);
  out.append(new Uint8Array(70_000), 0, 70_000);
  out.append(new Uint8Array(70_000), 0, 70_000);
  out.flush(socket);
  out.clear();
  assert.is(out.size, 0);
  assert.is(given.length, 2);
  assert.not(out.busy);
});

test("an adopted buffer goes out in its place", () => {
  const pool = new BufferPool();
  const out = new OutBuffer(pool);
  const own = (text: string): Uint8Array => {
    const buf = pool.take(20_000);
    buf.set(bytes(text), 5);
    return buf;
  };
  out.adopt(own("one"), 5, 8);
  out.ascii("-");
  out.adopt(own("two"), 5, 8);
  out.adopt(own("three"), 5, 10);
  out.ascii("-four");
  assert.is(out.size, 17);
  assert.is(contents(out), "one-twothree-four");
});

test("a long span passes without being gathered where the socket keeps no hold of it", () => {
  const span = new Uint8Array(40_000).fill(120);
  const pool = new BufferPool();
  const out = new OutBuffer(pool);
  const socket = socketThat(takeSome(30_000));
  out.pass(socket, span, 0, 40_000);
  assert.is(out.size, 40_000, "it might be held");
  out.clear();
  out.pass(null, span, 0, 40_000);
  assert.is(out.size, 40_000, "there is no socket");
  out.clear();
  socket.copies = true;
  out.pass(socket, span, 0, 100);
  assert.is(out.size, 100, "it is short");
  out.pass(socket, span, 0, 40_000);
  assert.is(out.size, 40_100, "something stands before it");
  out.clear();
  assert.is(socket.received().length, 0);
  out.pass(socket, span, 0, 20_000);
  assert.is(out.size, 0);
  out.pass(socket, span, 0, 40_000);
  assert.is(out.size, 10_000);
  socket.drain();
  assert.ok(out.drained(socket));
  assert.is(socket.received().length, 60_000);
});

test("whatever is appended, and whatever the socket takes, arrives once and in order", () => {
  const action = fc.oneof(
    fc.record({ append: fc.oneof(fc.nat(100), fc.nat(9000), fc.nat(150_000)) }),
    fc.record({ pass: fc.nat(40_000) }),
    fc.record({ adopt: fc.integer({ min: 1, max: 30_000 }) }),
    fc.record({ flush: fc.constantFrom(takeAll, takeNone, lend, takeSome(1), takeSome(5000)) }),
    fc.constant("drain" as const),
  );
  fc.assert(
    fc.property(fc.array(action, { maxLength: 60 }), (actions) => {
      const pool = new BufferPool();
      const give = pool.give.bind(pool);
      pool.give = (buf) => {
        buf.fill(0);
        give(buf);
      };
      const out = new OutBuffer(pool);
      const socket = socketThat(takeAll);
      let next = 0;
      const fill = (buf: Uint8Array, n: number) => {
        for (let i = 0; i < n; i++) buf[i] = 1 + next++ % 251;
      };
      let arrived = 0;
      const collect = () => {
        for (const byte of socket.receivedBytes()) {
          if (byte !== 1 + arrived++ % 251) throw new Error(`byte ${arrived} is wrong`);
        }
      };
      const drain = () => {
        if (!socket.blocked) return;
        socket.drain();
        out.drained(socket);
      };
      for (const what of actions) {
        if (what === "drain") {
          drain();
        } else if ("append" in what) {
          const source = new Uint8Array(what.append);
          fill(source, what.append);
          out.append(source, 0, what.append);
        } else if ("pass" in what) {
          const source = new Uint8Array(what.pass);
          fill(source, what.pass);
          socket.copies = socket.taker !== lend && !out.busy;
          out.pass(socket, source, 0, what.pass);
          socket.copies = false;
          source.fill(0);
        } else if ("adopt" in what) {
          const buf = pool.take(what.adopt);
          fill(buf, what.adopt);
          out.adopt(buf, 0, what.adopt);
        } else {
          socket.taker = what.flush;
          out.flush(socket);
        }
        collect();
        if (out.size !== next - arrived) throw new Error(`size ${out.size}`);
      }
      socket.taker = takeAll;
      out.flush(socket);
      for (let i = 0; i < 3; i++) drain();
      collect();
      assert.is(arrived, next);
    }),
    { numRuns: 300, seed: 11211 },
  );
});

test.run();
