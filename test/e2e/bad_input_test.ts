// Whatever a client sends, it gets the protocol's own error or is cut off, the proxy lives on, and
// a bystander on the same proxy and the same server connections notices nothing.
// nutcracker closes the connection without a word for each of these.
// Needs: redis-server memcached

import * as fs from "node:fs";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { ask, FLAGS } from "../protocol/packets.ts";
import {
  at,
  bulk,
  cmd,
  isNutcracker,
  ours,
  type ProxyProcess,
  random,
  type ServerProcess,
  startMemcached,
  startProxy,
  startRedis,
  until,
  Wire,
} from "./harness.ts";

let redis: ServerProcess;
let memcached: ServerProcess;
let proxy: ProxyProcess;
let redisBystander: Wire;
let mcBystander: Wire;
let turn = 0;

test.before(async () => {
  redis = await startRedis();
  memcached = await startMemcached();
  proxy = await startProxy({
    redis: { redis: true, servers: [at(redis)] },
    memcached: { servers: [at(memcached)] },
  });
  redisBystander = await Wire.open(proxy.ports.redis);
  mcBystander = await Wire.open(proxy.ports.memcached);
});

/** The bystanders, connected since the beginning, work as if nothing were. */
async function unharmed(): Promise<void> {
  const v = `value ${++turn}`;
  assert.is(await redisBystander.ask("SET", "by", v), "+OK\r\n");
  assert.is(await redisBystander.ask("GET", "by"), bulk(v));
  mcBystander.send(`set by 0 0 ${v.length}\r\n${v}\r\nget by\r\n`);
  const expected = `STORED\r\nVALUE by 0 ${v.length}\r\n${v}\r\nEND\r\n`;
  assert.is(await mcBystander.read(expected.length), expected);
  assert.not.ok(proxy.gone, "the proxy has died");
}

/** A test at whose end the bystanders are asked. (A hook that throws would end the whole file.) */
function harmless(kind: typeof ours, name: string, body: () => Promise<void>): void {
  kind(name, async () => {
    await body();
    await unharmed();
  });
}

/** Sends bad bytes; with nutcracker it is enough that the connection ends and nobody is harmed. */
async function offend(port: number, input: string): Promise<Wire> {
  const wire = await Wire.open(port);
  wire.socket.on("error", () => {});
  return wire.send(input);
}

const STAYS = true;
const ENDS = false;

function redisRow(title: string, input: string, error: RegExp | string, stays: boolean): void {
  harmless(ours, `Redis: ${title}`, async () => {
    const wire = await offend(proxy.ports.redis, input);
    const line = await wire.line();
    if (typeof error === "string") assert.is(line, `-ERR ${error}\r\n`);
    else assert.match(line, error);
    if (stays) {
      assert.is(await wire.ask("PING"), "+PONG\r\n");
      wire.close();
    } else {
      assert.is(await wire.rest(), "", "the connection ends behind the error");
    }
  });
}

const BULK = "Protocol error: invalid bulk length";
const MULTIBULK = "Protocol error: invalid multibulk length";
redisRow("an unknown command", cmd("NOSUCH", "a"), /^-ERR unknown command 'NOSUCH'/, STAYS);
redisRow("an unknown inline command", "nosuch a\r\n", /^-ERR unknown command 'nosuch'/, STAYS);
redisRow("an empty command name", cmd(""), /^-ERR unknown command/, STAYS);
redisRow("a bulk length of 2 GB", "*1\r\n$2147483648\r\n", BULK, ENDS);
redisRow("a key length of 2 GB", "*2\r\n$3\r\nGET\r\n$2147483647\r\n", BULK, ENDS);
redisRow("a length beyond 2^32", "*2\r\n$3\r\nGET\r\n$4294967297\r\n", BULK, ENDS);
redisRow("a length beyond 2^64", "*2\r\n$3\r\nGET\r\n$18446744073709551617\r\n", BULK, ENDS);
redisRow("a negative bulk length", "*1\r\n$-1\r\n", BULK, ENDS);
redisRow("an empty bulk length", "*1\r\n$\r\n\r\n", BULK, ENDS);
redisRow("a bulk length that is no number", "*1\r\n$4x\r\nPING\r\n", BULK, ENDS);
redisRow("no bulk string", "*1\r\n:5\r\n", "Protocol error: expected '$', got ':'", ENDS);
redisRow("a count that is no number", "*x\r\n", MULTIBULK, ENDS);
redisRow("no count", "*\r\n", MULTIBULK, ENDS);
redisRow("a count beyond 2^64", "*99999999999999999999\r\n", MULTIBULK, ENDS);
redisRow("a count beyond 2^31", "*2147483648\r\n", MULTIBULK, ENDS);
redisRow(
  "an inline line without end",
  "a".repeat(70_000),
  "Protocol error: too big inline request",
  ENDS,
);
redisRow("a count without end", `*${"1".repeat(70_000)}`, /^-ERR Protocol error/, ENDS);
redisRow("a length without end", `*1\r\n$${"1".repeat(70_000)}`, /^-ERR Protocol error/, ENDS);
redisRow(
  "quotes that do not close",
  'GET "a\r\n',
  "Protocol error: unbalanced quotes in request",
  ENDS,
);
redisRow(
  "too few arguments",
  cmd("GET"),
  "wrong number of arguments for 'get' command",
  STAYS,
);
redisRow(
  "too many arguments",
  cmd("GET", "a", "b"),
  "wrong number of arguments for 'get' command",
  STAYS,
);
redisRow(
  "an odd MSET",
  cmd("MSET", "a", "1", "b"),
  "wrong number of arguments for 'mset' command",
  STAYS,
);
redisRow("an EVAL without keys count", cmd("EVAL", "return 1", "x", "k"), /^-ERR /, STAYS);
redisRow("an EVAL with too many keys", cmd("EVAL", "return 1", "5", "k"), /^-ERR /, STAYS);

harmless(ours, "Redis: empty and negative commands are skipped, as Redis does", async () => {
  const wire = await offend(proxy.ports.redis, "\r\n*0\r\n*-5\r\n\r\n*-1\r\n" + cmd("PING"));
  assert.is(await wire.reply(), "+PONG\r\n");
});

harmless(ours, "Redis: a billion arguments are refused or awaited, never allocated", async () => {
  const before = residentKB();
  const wires = await Promise.all(
    Array.from({ length: 20 }, () => offend(proxy.ports.redis, `*1000000000\r\n${bulk("MGET")}`)),
  );
  await unharmed();
  for (const wire of wires) {
    if (wire.peek().length > 0) assert.match(await wire.line(), /^-ERR Protocol error/);
    wire.close();
  }
  assert.ok(residentKB() - before < 100_000, "memory has grown by more than 100 MB");
});

harmless(ours, "Redis: an announced value of 500 MB takes no memory before it comes", async () => {
  const before = residentKB();
  const wires = await Promise.all(
    Array.from(
      { length: 20 },
      () => offend(proxy.ports.redis, `*3\r\n${bulk("SET")}${bulk("k")}$500000000\r\nabc`),
    ),
  );
  for (const wire of wires) await wire.flushed();
  await unharmed();
  assert.ok(residentKB() - before < 100_000, "memory has grown by more than 100 MB");
  for (const wire of wires) wire.close();
  await unharmed();
  assert.is(await redisBystander.ask("GET", "k"), "$-1\r\n", "half a command has no effect");
});

harmless(ours, "Redis: an HTTP request does not become a command", async () => {
  const wire = await offend(
    proxy.ports.redis,
    "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 20\r\n\r\nSET smuggled yes\r\n",
  );
  await wire.rest();
  assert.is(await redisBystander.ask("GET", "smuggled"), "$-1\r\n");
});

function mcRow(title: string, input: string, error: RegExp | string, stays = STAYS): void {
  harmless(ours, `memcached: ${title}`, async () => {
    const wire = await offend(proxy.ports.memcached, input);
    const line = await wire.line();
    if (typeof error === "string") assert.is(line, `${error}\r\n`);
    else assert.match(line, error);
    if (stays) {
      wire.send("delete none\r\n");
      await wire.readUntil("NOT_FOUND\r\n");
      wire.close();
    } else {
      assert.is(await wire.rest(), "", "the connection ends behind the error");
      assert.is(await mcBystander.send("get smuggled\r\n").line(), "END\r\n");
    }
  });
}

const k251 = "k".repeat(251);
const LINE = /^CLIENT_ERROR /;
mcRow("an unknown command", "nosuch a b\r\n", "ERROR");
mcRow("an empty line", "\r\n", "ERROR");
mcRow("upper case", "GET a\r\n", "ERROR");
mcRow("get without a key", "get\r\n", "ERROR");
mcRow("incr without a number", "incr a\r\n", "ERROR");
mcRow("touch without a time", "touch a\r\n", "ERROR");
mcRow("delete without a key", "delete\r\n", "ERROR");
mcRow("an over-long key to get", `get ${k251}\r\n`, LINE);
mcRow("an over-long key among good ones", `get a ${k251} b\r\n`, LINE);
mcRow("an over-long key to set, its value is skipped", `set ${k251} 0 0 1\r\nx\r\n`, LINE);
mcRow("an over-long key to delete", `delete ${k251}\r\n`, LINE);
mcRow("an over-long key to mg", `mg ${k251} v\r\n`, LINE);
// Where the length of a value cannot be known its bytes could be taken for commands: the end.
const smuggled = "set smuggled 0 0 1\r\nx\r\n";
mcRow("set with too few words", `set a 0 0\r\n${smuggled}`, "ERROR", ENDS);
mcRow("a length that is no number", `set a 0 0 x\r\n${smuggled}`, LINE, ENDS);
mcRow("a negative length", `set a 0 0 -1\r\n${smuggled}`, LINE, ENDS);
mcRow("flags that are no number", "set a x 0 1\r\nx\r\n", LINE);
mcRow("a delta that is no number", "incr a x\r\n", LINE);
mcRow("a value longer than it says", "set a 0 0 3\r\nabcdef\r\n", "CLIENT_ERROR bad data chunk");

for (const size of ["2147483648", "2147483647", "4294967297", "99999999999999999999"]) {
  harmless(ours, `memcached: a length of ${size} bytes`, async () => {
    const before = residentKB();
    const wire = await offend(proxy.ports.memcached, `set a 0 0 ${size}\r\n`);
    assert.match(await wire.line(), /^(CLIENT|SERVER)_ERROR /);
    assert.ok(residentKB() - before < 100_000, "memory has grown by more than 100 MB");
    wire.close();
  });
}

const TEXT_ERRORS = /^((CLIENT_|SERVER_)?ERROR[^\r\n]*\r\n)*$/;
/** Packets with the status "Invalid arguments". */
// deno-lint-ignore no-control-regex
const BINARY_ERRORS = /^(\x81[^]{5}\0\x04\0\0\0\x11[^]{12}Invalid arguments)+$/;

for (
  const [title, input, errors] of [
    ["a line without end", "x".repeat(3 << 20), TEXT_ERRORS],
    ["a damaged binary request", `\x80${"\0".repeat(40)}`, BINARY_ERRORS],
    ["text among binary requests", `\x80\x0a${"\0".repeat(22)}set smuggled 0 0 1\r\nx\r\n`, null],
    ["a binary request among text commands", `mn\r\n\x80${"\0".repeat(40)}`, null],
    [
      "an HTTP request",
      "POST / HTTP/1.1\r\nHost: x\r\n\r\nset smuggled 0 0 1\r\nx\r\n",
      TEXT_ERRORS,
    ],
  ] as const
) {
  harmless(ours, `memcached: ${title} is cut off`, async () => {
    const wire = await offend(proxy.ports.memcached, input);
    await until("the end", () => wire.ended);
    const got = wire.peek().toString("latin1");
    if (errors !== null) assert.match(got, errors);
    mcBystander.send("get smuggled\r\n");
    assert.is(await mcBystander.line(), "END\r\n");
  });
}

// With nutcracker the bystander is harmed too: a damaged key goes to the server, whose answer costs
// everybody the connection.
harmless(ours, "thousands of damaged requests harm nobody but their senders", async () => {
  const rand = random(99);
  const good = [
    cmd("SET", "fuzz", "value") + cmd("GET", "fuzz") + cmd("MGET", "fuzz", "b", "c"),
    cmd("DEL", "fuzz", "b") + cmd("EVAL", "return 1", 1, "fuzz") + cmd("PING"),
    "set fuzz 0 0 5\r\nvalue\r\nget fuzz b c\r\ngets fuzz\r\nincr fuzz 1\r\n",
    "delete fuzz noreply\r\ntouch fuzz 1\r\ncas fuzz 0 0 1 5\r\nx\r\nversion\r\n",
    "mg fuzz v k O1\r\nms fuzz 2 T0\r\nhi\r\nmd fuzz q\r\nmn\r\n",
    ask(1, { key: "fuzz", extras: FLAGS, value: "value" }) + ask(9, { key: "fuzz" }) + ask(10),
    ask(0x0d, { key: "fuzz" }) + ask(0x11, { key: "b", extras: FLAGS, value: "v" }) + ask(0x10),
  ];
  const alphabet = "*$:+-\r\n 0123456789gGsSxX\x00\x80\xff\"'";
  for (let round = 0; round < 100; round++) {
    const wires: Wire[] = [];
    for (let i = 0; i < 20; i++) {
      const port = rand(2) === 0 ? proxy.ports.redis : proxy.ports.memcached;
      let bytes = good[rand(good.length)];
      for (let n = 1 + rand(4); n > 0; n--) {
        const pos = rand(bytes.length + 1);
        const what = rand(4);
        const junk = alphabet[rand(alphabet.length)];
        if (what === 0) bytes = bytes.slice(0, pos) + junk + bytes.slice(pos + 1);
        else if (what === 1) bytes = bytes.slice(0, pos) + junk + bytes.slice(pos);
        else if (what === 2) bytes = bytes.slice(0, pos) + bytes.slice(pos + 1 + rand(3));
        else bytes = bytes.slice(0, pos) + bytes.slice(rand(bytes.length + 1));
      }
      wires.push(await offend(port, bytes));
    }
    for (const wire of wires) await wire.flushed().catch(() => {});
    // A few keys of the fuzz may hit the bystander's: it does not use any of them.
    await unharmed();
    for (const wire of wires) wire.close();
  }
});

harmless(
  test,
  "hundreds of clients that stop in mid-command cost little and harm nobody",
  async () => {
    const before = residentKB();
    const wires: Wire[] = [];
    for (let i = 0; i < 150; i++) {
      wires.push(await offend(proxy.ports.redis, "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1000\r\nabc"));
      wires.push(await offend(proxy.ports.memcached, "set k 0 0 1000\r\nabc"));
    }
    for (const wire of wires) await wire.flushed();
    await unharmed();
    assert.ok(residentKB() - before < 60_000, "more than 200 KB for each stopped client");
    for (const wire of wires) wire.close();
  },
);

if (isNutcracker) {
  test("nutcracker cuts each offender off without a byte", async () => {
    for (const bad of ["nosuch\r\n", "*1\r\n$-1\r\n", cmd("NOSUCH"), "*x\r\n"]) {
      assert.is(await (await offend(proxy.ports.redis, bad)).rest(), "");
    }
  });
}

/** Memory the proxy holds, in KB; 0 where /proc is not there. */
function residentKB(): number {
  try {
    const status = fs.readFileSync(`/proc/${proxy.pid}/status`, "utf8");
    return Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1] ?? 0);
  } catch {
    return 0;
  }
}

test.run();
