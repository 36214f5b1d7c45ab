// Clients that begin, break off and finish transactions at random, over servers that keep
// transactions as Redis does, are cut anywhere, and are lost now and then. Whatever happens: a
// reply belongs to its request, EXEC answers for the requests of its own client only, nothing is
// carried out twice or outside of its transaction, and at the end nothing is left over.

import { test } from "uvu";
import * as assert from "uvu/assert";
import { bulk, command, Fixture } from "../fake/fixture.ts";
import { seeds } from "../fake/rounds.ts";
import type { FakeSocket } from "../fake/fake_host.ts";
import { type Dice, dice } from "../fake/models.ts";

const OK = "+OK\r\n";
const QUEUED = "+QUEUED\r\n";

/** One connection of a server that knows ECHO-like GET, SET, MULTI, EXEC, DISCARD, WATCH, BLPOP. */
class Keeper {
  private rest = "";
  private queue: string[] | null = null;
  private watching = false;

  /** The replies to the whole requests in `data`. */
  serve(data: string): string {
    this.rest += data;
    let out = "";
    for (;;) {
      const words = this.next();
      if (words === null) return out;
      out += this.answer(words);
    }
  }

  /** Nothing of a client's is kept. */
  get clean(): boolean {
    return this.queue === null && !this.watching && this.rest === "";
  }

  private next(): string[] | null {
    const head = /^\*(\d+)\r\n/.exec(this.rest);
    if (head === null) return null;
    let pos = head[0].length;
    const words: string[] = [];
    for (let i = 0; i < Number(head[1]); i++) {
      const size = /^\$(\d+)\r\n/.exec(this.rest.slice(pos));
      if (size === null) return null;
      pos += size[0].length;
      if (this.rest.length < pos + Number(size[1]) + 2) return null;
      words.push(this.rest.slice(pos, pos + Number(size[1])));
      pos += Number(size[1]) + 2;
    }
    this.rest = this.rest.slice(pos);
    return words;
  }

  private answer(words: string[]): string {
    const name = words[0];
    if (name === "MULTI") {
      assert.is(this.queue, null, "MULTI in a transaction of somebody else's");
      this.queue = [];
      return OK;
    }
    if (name === "DISCARD" || name === "EXEC") {
      assert.ok(this.queue !== null, `${name} without MULTI`);
      const replies = this.queue!;
      this.queue = null;
      this.watching = false;
      return name === "EXEC" ? `*${replies.length}\r\n${replies.join("")}` : OK;
    }
    const reply = name === "PING" ? "+PONG\r\n" : name === "WATCH" ? OK : bulk(words.join(" "));
    if (name === "WATCH") this.watching = true;
    if (name === "UNWATCH") {
      this.watching = false;
      return OK;
    }
    if (this.queue === null) {
      assert.not.match(words.join(" "), / tx/, "carried out outside of its transaction");
      return reply;
    }
    this.queue.push(reply);
    return QUEUED;
  }
}

/** What a client asks next, and what it may be answered: an error may always stand for it. */
interface Turn {
  request: string;
  replies: RegExp[];
}

const esc = (text: string): string => text.replace(/[$*+|()[\]\\.?^]/g, "\\$&");
const error = "-[A-Z]+ [^\\r]*\\r\\n";
const one = (...of: string[]): RegExp => new RegExp(`^(${[...of, error].join("|")})`);

function turn(f: Fixture, roll: Dice, client: number, n: number): Turn {
  const name = "ab"[roll(2)];
  const other = roll(6) === 0 ? "ab"[roll(2)] : name;
  const key = () => f.key(roll(8) === 0 ? other : name, roll(3));
  const get = (mark: string): [string, string] => {
    const words = ["SET", key(), `${client}:${n}:${roll(1000)}${mark}`];
    return [command(...words), bulk(words.join(" "))];
  };
  const kind = roll(10);
  if (kind < 3) {
    const [request, reply] = get("");
    return { request, replies: [one(esc(reply))] };
  }
  if (kind === 3) {
    const words = ["BLPOP", key(), "0"];
    return { request: command(...words), replies: [one(esc(bulk(words.join(" "))))] };
  }
  if (kind === 4) {
    return {
      request: command("WATCH", key()) + command("UNWATCH"),
      replies: [one("\\+OK\r\n"), one("\\+OK\r\n")],
    };
  }
  const made: Turn = { request: "", replies: [] };
  const add = (request: string, reply: RegExp) => {
    made.request += request;
    made.replies.push(reply);
  };
  if (kind === 5) {
    add(command("WATCH", f.key(name)), one("\\+OK\r\n"));
    const [request, reply] = get("");
    add(request, one(esc(reply)));
  }
  add(command("MULTI"), one("\\+OK\r\n"));
  const results: string[] = [];
  for (let i = roll(4); i > 0; i--) {
    const what = roll(12);
    if (what === 0) add(command("NOPE"), one());
    else if (what === 1) {
      add(command("PING"), one("\\+QUEUED\r\n"));
      results.push("+PONG\r\n");
    } else {
      const [request, reply] = get(" tx");
      add(request, one("\\+QUEUED\r\n"));
      results.push(reply);
    }
  }
  if (roll(5) === 0) add(command("DISCARD"), one("\\+OK\r\n"));
  else add(command("EXEC"), one(esc(`*${results.length}\r\n${results.join("")}`)));
  return made;
}

function run(seed: number): Promise<void> {
  return Fixture.start({ servers: ["a", "b"], config: ["timeout: 1000", "pinned_connections: 3"] })
    .then((f) => play(f, dice(seed)));
}

function play(f: Fixture, roll: Dice): void {
  const keepers = new Map<FakeSocket, Keeper>();
  const talk = (): boolean => {
    let busy = false;
    for (const socket of f.host.outgoing) {
      const data = socket.received();
      if (data === "" || socket.gone) continue;
      if (!keepers.has(socket)) keepers.set(socket, new Keeper());
      const reply = keepers.get(socket)!.serve(data);
      if (reply !== "") socket.send(reply);
      busy = true;
    }
    return busy;
  };
  interface One {
    socket: FakeSocket;
    expected: RegExp[];
    got: string;
  }
  let clients: One[] = [];
  let n = 0;
  const check = (client: One): void => {
    client.got += client.socket.received();
    while (client.got !== "") {
      const found = client.expected[0]?.exec(client.got);
      if (!found) throw new Error(`${JSON.stringify(client.got)} for ${client.expected[0]}`);
      client.got = client.got.slice(found[0].length);
      client.expected.shift();
    }
  };
  for (let step = 0; step < 300; step++) {
    if (clients.length < 6) clients.push({ socket: f.client(), expected: [], got: "" });
    const client = clients[roll(clients.length)];
    switch (roll(12)) {
      case 0: {
        const open = f.host.outgoing.filter((socket) => !socket.gone && socket.opened);
        if (open.length > 0 && roll(3) === 0) open[roll(open.length)].fail("ECONNRESET");
        break;
      }
      case 1:
        if (roll(3) > 0) break;
        if (roll(2) === 0) client.socket.fail("ECONNRESET");
        else client.socket.end();
        clients = clients.filter((other) => other !== client);
        break;
      case 2:
      case 3:
      case 4: {
        const next = turn(f, roll, step, n++);
        for (let at = 0; at < next.request.length;) {
          const to = at + 1 + roll(80);
          client.socket.send(next.request.slice(at, to));
          at = to;
        }
        client.expected.push(...next.replies);
        break;
      }
      case 5:
        f.host.turn();
        break;
      case 6:
        talk();
        break;
      default:
        f.host.event();
        client.socket.deliver(1 + roll(60));
        for (const socket of f.host.outgoing) if (roll(2) === 0) socket.deliver(1 + roll(40));
    }
  }
  for (let round = 0; round < 10_000; round++) {
    f.settle();
    if (!talk()) break;
  }
  // A line of a reply that is cut short cannot be told from another: replies are compared whole.
  for (const client of clients) {
    check(client);
    assert.is(client.expected.length, 0, "replies are missing");
  }
  for (const socket of f.connections("a").concat(f.connections("b"))) {
    assert.ok(keepers.get(socket)?.clean ?? true, "a connection is left dirty");
  }
  for (const client of clients) client.socket.fail("");
  f.settle();
  for (const server of f.pool.servers) assert.is(server.counters.pinned_connections, 0);
  assert.is(f.watch.requests.size, 0);
  assert.equal(f.logged.filter((line) => / nobody waits for|no reply/.test(line)), []);
}

for (let block = 0; block < 10; block++) {
  test(`random transactions, block ${block}`, async () => {
    for (const seed of seeds(block * 1000, 20)) {
      await run(seed).catch((error) => {
        throw new Error(`seed ${seed}: ${error.stack}`);
      });
    }
  });
}

test.run();
