// Output that is kept until it is answered: what was appended can be had again, as long as it is
// not answered, wherever it is by then; and every buffer goes back to the pool once.

import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { bytes, text } from "../../core/bytes.ts";
import { KeptOutBuffer } from "../../core/wire/kept_out_buffer.ts";
import { BufferPool, OutBuffer } from "../../core/wire/out_buffer.ts";
import {
  FakeHost,
  FakeSocket,
  lend,
  takeAll,
  takeNone,
  type Taker,
  takeSome,
} from "../fake/fake_host.ts";

function socketThat(taker: Taker): FakeSocket {
  const socket = new FakeSocket(new FakeHost(), "peer");
  socket.opened = true;
  socket.taker = taker;
  return socket;
}

/** A pool that knows who has what: a buffer given back twice, or a strange one, is an error. */
class Watched extends BufferPool {
  readonly lentOut = new Set<Uint8Array>();

  override take(size: number): Uint8Array {
    const buf = super.take(size);
    assert.not(this.lentOut.has(buf), "a buffer is given out twice");
    this.lentOut.add(buf);
    return buf.fill(0x23);
  }

  override give(buf: Uint8Array): void {
    assert.ok(this.lentOut.delete(buf), "a buffer is given back twice");
    buf.fill(0x21);
    super.give(buf);
  }
}

/** What copyKept, or Kept.copy, gives. */
function copied(copy: (to: OutBuffer) => boolean): string | null {
  const to = new OutBuffer(new BufferPool());
  if (!copy(to)) {
    assert.is(to.size, 0, "half of it");
    return null;
  }
  const socket = socketThat(takeAll);
  to.flush(socket);
  return socket.received();
}

test("what was written is had again until it is answered", () => {
  const pool = new Watched();
  const out = new KeptOutBuffer(pool);
  const socket = socketThat(takeAll);
  out.ascii("onetwo");
  assert.ok(out.flush(socket));
  out.ascii("three");
  assert.is(copied((to) => out.copyKept(11, 3, to)), "one");
  assert.is(copied((to) => out.copyKept(8, 3, to)), "two");
  assert.is(copied((to) => out.copyKept(8, 8, to)), "twothree");
  out.keepLast(8);
  assert.is(copied((to) => out.copyKept(11, 3, to)), null);
  assert.is(copied((to) => out.copyKept(8, 3, to)), "two");
  assert.ok(out.flush(socket));
  assert.is(socket.received(), "onetwothree");
  out.keepLast(0);
  assert.is(pool.lentOut.size, 0);
});

test("an adopted buffer does not take the place of one that is kept", () => {
  const pool = new Watched();
  const out = new KeptOutBuffer(pool);
  const socket = socketThat(takeAll);
  out.ascii("kept");
  out.flush(socket);
  const own = pool.take(100);
  own.set(bytes("adopted"), 3);
  out.adopt(own, 3, 10);
  assert.is(copied((to) => out.copyKept(11, 11, to)), "keptadopted");
  out.flush(socket);
  assert.is(copied((to) => out.copyKept(11, 11, to)), "keptadopted");
  out.keepLast(0);
  assert.is(pool.lentOut.size, 0);
});

test("a long span is kept though its socket would take it straight", () => {
  const out = new KeptOutBuffer(new Watched());
  const socket = socketThat(takeAll);
  socket.copies = true;
  out.pass(socket, new Uint8Array(40_000).fill(120), 0, 40_000);
  out.flush(socket);
  assert.is(copied((to) => out.copyKept(40_000, 40_000, to))?.length, 40_000);
});

test("it appends to itself what it has kept", () => {
  const pool = new Watched();
  const out = new KeptOutBuffer(pool);
  const socket = socketThat(takeAll);
  const long = "abcdefg".repeat(700);
  out.ascii(long);
  out.flush(socket);
  assert.ok(out.copyKept(long.length, long.length, out));
  out.flush(socket);
  assert.is(socket.received(), long + long);
  out.clear();
  assert.is(pool.lentOut.size, 0);
});

test("no more than 16 MB are kept, and the younger ones", () => {
  const pool = new Watched();
  const out = new KeptOutBuffer(pool);
  const socket = socketThat(takeAll);
  const piece = new Uint8Array(1 << 20);
  for (let i = 0; i < 40; i++) {
    piece.fill(65 + i);
    out.append(piece, 0, piece.length);
    out.flush(socket);
  }
  const held = [...pool.lentOut].reduce((sum, buf) => sum + buf.length, 0);
  assert.ok(held <= 18 << 20, `${held} bytes are held`);
  const mega = 1 << 20;
  assert.is(copied((to) => out.copyKept(17 * mega, mega, to)), null);
  assert.is(copied((to) => out.copyKept(16 * mega, mega, to))?.[5], String.fromCharCode(65 + 24));
  const kept = out.takeKept();
  assert.is(copied((to) => kept.copy(mega, mega, to))?.[5], String.fromCharCode(65 + 39));
  kept.release();
  assert.is(pool.lentOut.size, 0);
});

test("what a lost link had can be had, but for the buffer that its socket holds", () => {
  const pool = new Watched();
  const out = new KeptOutBuffer(pool);
  const socket = socketThat(takeAll);
  out.ascii("written");
  out.flush(socket);
  socket.taker = lend;
  out.ascii("lent");
  assert.not(out.flush(socket));
  out.ascii("new");
  const kept = out.takeKept();
  assert.is(out.size, 0);
  assert.is(copied((to) => kept.copy(14, 14, to)), "writtenlentnew");
  assert.is(copied((to) => kept.copy(15, 1, to)), null);
  kept.release();
  assert.is(pool.lentOut.size, 1, "it is left to the garbage collector");
});

const action = fc.oneof(
  fc.record({ append: fc.oneof(fc.nat(100), fc.nat(9000), fc.nat(150_000)) }),
  fc.record({ append: fc.nat(50) }),
  fc.record({ adopt: fc.integer({ min: 1, max: 30_000 }) }),
  fc.record({
    flush: fc.constantFrom(takeAll, takeAll, takeNone, lend, takeSome(1), takeSome(5000)),
  }),
  fc.constant("drain" as const),
  fc.record({ answer: fc.nat(1000) }),
  fc.record({ again: fc.nat(1000) }),
  fc.constantFrom("lose" as const, "clear" as const),
);

test("whatever happens, what is not answered can be had again, and no buffer is lost", () => {
  fc.assert(
    fc.property(fc.array(action, { maxLength: 80 }), (actions) => {
      const pool = new Watched();
      const out = new KeptOutBuffer(pool);
      let socket = socketThat(takeAll);
      /** Everything since the last loss, and how much of it is answered or has arrived. */
      let all = "";
      let answered = 0;
      let arrived = "";
      let gone = 0;
      let next = 0;
      const fill = (buf: Uint8Array, n: number): string => {
        for (let i = 0; i < n; i++) buf[i] = 97 + next++ % 23 + (next % 9973 === 0 ? 1 : 0);
        return text(buf, 0, n);
      };
      const lose = (): void => {
        if (out.busy) gone++;
        socket = socketThat(takeAll);
        all = "";
        answered = 0;
        arrived = "";
      };
      for (const what of actions) {
        if (what === "drain") {
          if (socket.blocked) {
            socket.drain();
            out.drained(socket);
          }
        } else if (what === "clear") {
          lose();
          out.clear();
        } else if (what === "lose") {
          const before = all.slice(answered);
          lose();
          const kept = out.takeKept();
          assert.is(copied((to) => kept.copy(before.length, before.length, to)), before);
          assert.is(out.size, 0);
          out.append(bytes(before), 0, before.length);
          all = before;
          kept.release();
        } else if ("append" in what) {
          const source = new Uint8Array(what.append);
          all += fill(source, what.append);
          out.append(source, 0, what.append);
        } else if ("adopt" in what) {
          const buf = pool.take(what.adopt);
          all += fill(buf, what.adopt);
          out.adopt(buf, 0, what.adopt);
        } else if ("flush" in what) {
          socket.taker = what.flush;
          out.flush(socket);
        } else if ("answer" in what) {
          answered += Math.floor((arrived.length - answered) * what.answer / 1000);
          out.keepLast(all.length - answered);
        } else {
          const at = answered + Math.floor((all.length - answered) * what.again / 1000);
          const n = Math.floor((all.length - at) * (what.again % 7) / 6);
          assert.is(copied((to) => out.copyKept(all.length - at, n, to)), all.slice(at, at + n));
        }
        arrived += socket.received();
        assert.ok(all.startsWith(arrived), "other bytes arrive");
      }
      socket.taker = takeAll;
      out.flush(socket);
      for (let i = 0; i < 3; i++) {
        socket.drain();
        out.drained(socket);
      }
      arrived += socket.received();
      assert.is(arrived, all);
      out.keepLast(0);
      assert.is(pool.lentOut.size, gone, "buffers are left");
    }),
    { numRuns: 400, seed: 11211 },
  );
});

test.run();
