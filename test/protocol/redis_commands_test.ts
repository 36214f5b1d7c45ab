// The Redis command table and error texts beside a real redis-server, which is started for it:
// every command it knows, with arity and keys, and its answers to bad requests, byte by byte.

import { type ChildProcess, spawn } from "node:child_process";
import * as fs from "node:fs";
import * as net from "node:net";
import * as os from "node:os";
import * as path from "node:path";
import process from "node:process";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { bytes, text } from "../../core/bytes.ts";
import {
  BAD,
  DONE,
  type Facts,
  FORWARD,
  LOCAL,
  PIN,
  REFUSE,
  Scan,
  SPLIT,
  TOGETHER,
  TOPICS,
} from "../../core/protocol/codec.ts";
import { RedisCodec } from "../../core/protocol/redis/codec.ts";
import {
  ADMIN,
  BEFORE_AUTH,
  BLOCKING,
  CATEGORIES,
  CLASSES,
  type Command,
  COMMANDS,
  FAST,
  KEYS_FIXED,
  PUBSUB,
  READONLY,
  SUB,
  verbOf,
  WRITE,
} from "../../core/protocol/redis/commands.ts";
import { CLASS_OTHER, CLASS_READ, CLASS_WRITE } from "../../core/stats/latency.ts";

const codec = new RedisCodec(
  { auth: "", db: 0, maxRequest: 1 << 20 },
  { wallClock: () => 0 } as unknown as Facts,
);

type Reply = string | number | null | Reply[];

/** One RESP2 reply; null while it is not whole. */
function parse(data: string, pos: number): { value: Reply; end: number } | null {
  const line = data.indexOf("\r\n", pos);
  if (line < 0) return null;
  const rest = data.slice(pos + 1, line);
  if (data[pos] === "$") {
    const end = line + 2 + Number(rest);
    if (rest === "-1") return { value: null, end: line + 2 };
    return data.length < end + 2 ? null : { value: data.slice(line + 2, end), end: end + 2 };
  }
  if (data[pos] !== "*") {
    return { value: data[pos] === ":" ? Number(rest) : data.slice(pos, line), end: line + 2 };
  }
  const values: Reply[] = [];
  let end = line + 2;
  for (let i = Number(rest); i > 0; i--) {
    const item = parse(data, end);
    if (item === null) return null;
    values.push(item.value);
    end = item.end;
  }
  return { value: values, end };
}

/** A connection to the real server. */
class Link {
  private readonly socket: net.Socket;
  private got: string;
  private closed: boolean;
  private wake: () => void;

  private constructor(socket: net.Socket) {
    this.socket = socket;
    this.got = "";
    this.closed = false;
    this.wake = () => {};
    socket.on("data", (chunk) => {
      this.got += chunk.toString("latin1");
      this.wake();
    });
    for (const event of ["close", "error"]) {
      socket.on(event, () => {
        this.closed = true;
        this.wake();
      });
    }
  }

  static open(port: number): Promise<Link> {
    return new Promise((resolve, reject) => {
      const socket = net.connect({ port, host: "127.0.0.1" });
      socket.once("error", reject);
      socket.once("connect", () => resolve(new Link(socket)));
    });
  }

  /** The bytes of the reply to `request`, and its value. */
  async send(request: string): Promise<{ bytes: string; value: Reply }> {
    this.socket.write(bytes(request));
    for (;;) {
      const found = this.got === "" ? null : parse(this.got, 0);
      if (found !== null) {
        const reply = this.got.slice(0, found.end);
        this.got = this.got.slice(found.end);
        return { bytes: reply, value: found.value };
      }
      if (this.closed) throw new Error(`closed after ${JSON.stringify(this.got)}`);
      await new Promise<void>((resolve) => {
        this.wake = resolve;
      });
    }
  }

  close(): void {
    this.socket.destroy();
  }
}

const array = (...words: string[]): string =>
  `*${words.length}\r\n${words.map((w) => `$${w.length}\r\n${w}\r\n`).join("")}`;

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = net.createServer();
    server.on("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address() as net.AddressInfo;
      server.close(() => resolve(port));
    });
  });
}

let child: ChildProcess | null = null;
let folder = "";
let port = 0;

function cleanUp(): void {
  child?.kill("SIGKILL");
  child = null;
  if (folder !== "") fs.rmSync(folder, { recursive: true, force: true });
  folder = "";
}

async function startServer(): Promise<void> {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), "ringmux-redis-"));
  port = await freePort();
  const args = ["--port", String(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder];
  child = spawn("redis-server", args, { stdio: "ignore" });
  let failed = "";
  child.on("error", (error) => failed = String(error));
  child.on("exit", () => failed ||= "it has exited");
  process.on("exit", cleanUp);
  for (let i = 0; i < 400; i++) {
    if (failed !== "") throw new Error(`redis-server: ${failed}`);
    try {
      const link = await Link.open(port);
      await link.send(array("PING"));
      return link.close();
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
  }
  throw new Error("redis-server does not answer");
}

const found = (process.env.PATH ?? "").split(path.delimiter)
  .some((dir) => fs.existsSync(path.join(dir, "redis-server")));
if (!found) console.log("redis-server is not installed: the command table is not compared with it");
const real = found ? test : test.skip;

test.before(async () => {
  if (found) await startServer();
});
test.after(cleanUp);

interface Told {
  name: string;
  arity: number;
  flags: string[];
  first: number;
  last: number;
  step: number;
  categories: string[];
  subcommands: Told[];
}

function told(row: Reply): Told {
  const [name, arity, flags, first, last, step, categories, , , subcommands] = row as Reply[];
  return {
    name: String(name),
    arity: Number(arity),
    flags: (flags as string[]).map((flag) => flag.replace("+", "")),
    first: Number(first),
    last: Number(last),
    step: Number(step),
    categories: (categories as string[]).map((category) => category.replace("+@", "")),
    subcommands: (subcommands as Reply[]).map(told),
  };
}

async function commands(): Promise<Told[]> {
  const link = await Link.open(port);
  const { value } = await link.send(array("COMMAND"));
  link.close();
  return (value as Reply[]).map(told);
}

/** Every command and subcommand of the server. */
async function everything(): Promise<Told[]> {
  return (await commands()).flatMap((command) => [command, ...command.subcommands]);
}

/** The commands of newer servers, as their sources tell of them. */
const newer: Told[] = fs.readFileSync("test/golden/newer_commands.txt", "utf8").split("\n")
  .filter((line) => line !== "" && line[0] !== "#")
  .map((line) => {
    const [name, arity, flags, first, last, step] = line.split(" ");
    const places = { first: Number(first), last: Number(last), step: Number(step) };
    const told = { name, arity: Number(arity), flags: flags.split(","), ...places };
    return { ...told, categories: [], subcommands: [] };
  });

/** Longer known, but with more arguments since Redis 7.2. */
const LONGER = ["zrank", "zrevrank"];
const NEWER_ONLY = newer.map((command) => command.name).filter((name) => !LONGER.includes(name));

/** What the row says otherwise than the server: its arity and flags. */
function differences(row: Command | undefined, { name, arity, flags }: Told): string[] {
  if (row === undefined) return [`${name} is missing`];
  const wrong: string[] = [];
  if (row.arity !== arity) wrong.push(`${name}: arity ${row.arity}, not ${arity}`);
  const letters: [string, number][] = [
    ["readonly", READONLY],
    ["write", WRITE],
    ["fast", FAST],
    ["admin", ADMIN],
    ["blocking", BLOCKING],
    ["pubsub", PUBSUB],
    ["no_auth", BEFORE_AUTH],
  ];
  for (const [flag, bit] of letters) {
    if (flags.includes(flag) === ((row.flags & bit) === 0)) wrong.push(`${name}: ${flag}`);
  }
  return wrong;
}

real("every command of the server is in the table, with its arity and flags", async () => {
  const told = (await everything()).filter(({ name }) => !LONGER.includes(name));
  assert.ok(told.length > 350, `${told.length} commands`);
  assert.equal(told.flatMap((command) => differences(COMMANDS[verbOf(command.name)], command)), []);
});

test("commands of newer servers are in the table, with their arity, flags and keys", () => {
  assert.ok(newer.length > 50);
  for (const command of newer) {
    const row = COMMANDS[verbOf(command.name)];
    assert.equal(differences(row, command), []);
    if (row.keys !== KEYS_FIXED) continue;
    const { first, last, step } = command;
    const ours = [row.first, row.first && row.last, row.first && row.step];
    assert.equal(ours, [first, last, step], command.name);
  }
});

real("the table has no command that neither the server nor a newer one knows", async () => {
  const known = (await everything()).map((command) => command.name);
  for (const { name, since } of COMMANDS) {
    assert.ok(known.includes(name) !== NEWER_ONLY.includes(name), `${name} (${since})`);
  }
});

/** Versions in an order that texts have. */
const ordered = (version: string) =>
  version.split(".").map((part) => part.padStart(3, "0")).join(".");

real("the table says since when there is a command", async () => {
  const link = await Link.open(port);
  const seen: string[] = [];
  const walk = (docs: Reply): void => {
    const pairs = docs as Reply[];
    for (let i = 0; i < pairs.length; i += 2) {
      const name = String(pairs[i]);
      const fields = pairs[i + 1] as Reply[];
      const field = (key: string) => fields.find((_, at) => at % 2 === 1 && fields[at - 1] === key);
      assert.is(COMMANDS[verbOf(name)].since[0], field("since"), name);
      seen.push(name);
      walk(field("subcommands") ?? []);
    }
  };
  walk((await link.send(array("COMMAND", "DOCS"))).value);
  const info = await link.send(array("INFO", "server"));
  link.close();
  assert.ok(seen.length > 350);
  const version = /redis_version:([\d.]+)/.exec(info.bytes)?.[1] ?? "";
  for (const { name, since } of COMMANDS) {
    const isThere = since.some((v) => v[0] !== "v" && ordered(v) <= ordered(version));
    assert.is(isThere, seen.includes(name), `${name} ${since}`);
  }
});

real("ACL categories are the server's: by command, and by ACL CAT", async () => {
  for (const { name, categories } of await everything()) {
    assert.equal([...COMMANDS[verbOf(name)].categories].sort(), categories.sort(), name);
  }
  const link = await Link.open(port);
  const theirs = (await link.send(array("ACL", "CAT"))).value as string[];
  for (const category of theirs) {
    const { value } = await link.send(array("ACL", "CAT", category));
    // ACL CAT of 7.0 names a container once more without its subcommand, and leaves newer ones out.
    const listed = (value as string[]).filter((name) => verbOf(name) >= 0);
    const ours = COMMANDS.filter((c) =>
      c.categories.includes(category) && !NEWER_ONLY.includes(c.name)
    );
    assert.equal(ours.map((c) => c.name).sort(), listed.sort(), category);
  }
  link.close();
  assert.equal(theirs.filter((category) => !CATEGORIES.includes(category)), []);
});

test("the latency class is what the flags say, for every command", () => {
  assert.is(CLASSES.length, COMMANDS.length + 1);
  for (const [verb, { name, flags }] of COMMANDS.entries()) {
    const expected = flags & READONLY ? CLASS_READ : flags & WRITE ? CLASS_WRITE : CLASS_OTHER;
    assert.is(CLASSES[verb + 1], expected, name);
    assert.not((flags & READONLY) !== 0 && (flags & WRITE) !== 0, name);
    // What has keys and is carried out reads or writes them.
    const isKeyed = [FORWARD, SPLIT, TOGETHER].includes(COMMANDS[verb].action);
    const reaches = !/^(publish|spublish|eval|evalsha|fcall)$/.test(name) && isKeyed;
    if (reaches) assert.is.not(expected, CLASS_OTHER, name);
  }
  assert.is(CLASSES[1 + verbOf("hexpire")], CLASS_WRITE);
  assert.is(CLASSES[1 + verbOf("httl")], CLASS_READ);
});

real("keys at fixed places are where the server says", async () => {
  const wrong: string[] = [];
  {
    for (const { name, flags, first, last, step } of await everything()) {
      const row = COMMANDS[verbOf(name)];
      if (row === undefined || row.action === SUB || row.action === REFUSE) continue;
      const movable = flags.includes("movablekeys");
      if (row.keys === KEYS_FIXED) {
        // SORT_RO's patterns name keys that no proxy can know.
        if (name === "sort_ro") continue;
        // A channel goes where a key of its name would (PUBLISH), or may be on several servers.
        if (name === "publish" || row.action === TOPICS) continue;
        const ours = `${row.first} ${row.first && row.last} ${row.first && row.step}`;
        // What follows another key may hold keys of other servers only if it is refused.
        if (movable || ours !== `${first} ${last} ${step}`) {
          wrong.push(`${name}: ${ours}, not ${first} ${last} ${step}${movable ? " movable" : ""}`);
        }
      } else if (!movable && name !== "sintercard") {
        wrong.push(`${name}: has no movable keys`);
      }
      // A command with keys goes where its keys are.
      if (first > 0 && ![FORWARD, SPLIT, TOGETHER, PIN, TOPICS].includes(row.action)) {
        wrong.push(`${name}: has keys but is not routed by them`);
      }
    }
  }
  assert.equal(wrong, []);
});

// Calls of every command whose keys are not simply the first argument.
const CALLS = `
bitop and d a b|bitop not d a|copy a b|copy a b replace|del a b c|exists a|eval s 0|eval s 0 x
eval s 2 a b c|evalsha s 1 a b|eval_ro s 1 a|evalsha_ro s 2 a b x y|fcall f 1 a|fcall_ro f 2 a b c
georadius g 1 1 1 km|georadius g 1 1 1 km store d|georadius g 1 1 1 km asc storedist d
georadiusbymember g m 1 km store d|georadiusbymember g m 1 km|geosearchstore d s fromlonlat 1 1 byradius 1 m
lcs a b|lcs a b len|lmove a b left right|lmpop 1 a left|lmpop 2 a b left count 3|mget a b c|mset a 1 b 2
msetnx a 1|msetnx a 1 b 2|object encoding k|object freq k|memory usage k|pfcount a b|pfdebug encoding a
pfmerge d a b|rename a b|renamenx a b|rpoplpush a b|sdiff a b|sdiffstore d a|sinter a b
sintercard 2 a b|sintercard 1 a limit 3|sinterstore d a b|smove a b m|sort l|sort l by x store d
sort l limit 0 1 get # asc alpha store d|sort l store d store e|sort_ro l by x|sunion a|sunionstore d a b
touch a b|unlink a b|xread streams a 0|xread count 2 streams a b 0 0
xreadgroup group g c streams a >|xreadgroup group g c count 1 noack streams a b c > > >
xgroup create s g 0|xgroup destroy s g|xinfo stream s full|xinfo consumers s g|zdiff 2 a b|zdiff 1 a withscores
zdiffstore d 2 a b|zinter 2 a b weights 1 2|zintercard 2 a b limit 1|zinterstore d 1 a aggregate sum
zmpop 1 a min|zmpop 2 a b max count 2|zrangestore d s 0 1|zunion 2 a b|zunionstore d 3 a b c weights 1 2 3
watch a b c|blpop a b 0|brpop a 1.5|blmove a b left right 0|brpoplpush a b 0|blmpop 0 2 a b left|bzpopmin a b 1
bzpopmax a 0|bzmpop 1 2 a b min|xread block 0 streams a $|xread count 2 block 100 streams a b 0 0
xreadgroup group g c block 0 streams a >
get k|set k v ex 10|zrank z m|bitfield k get u8 0|getex k persist|setrange k 0 v|hset h f v|lpush l a b c|zadd z 1 m
xadd s * f v|xautoclaim s g c 0 0|spop s 3|geoadd g 1 1 m|restore k 0 v|append k v
`.trim().split(/[|\n]/);

function keysOf(words: string[]): string[] {
  const data = bytes(array(...words));
  const scan = new Scan();
  assert.is(codec.parseRequest(scan, data, 0, data.length), DONE, words.join(" "));
  const keys: string[] = [];
  if (scan.action === FORWARD) keys.push(text(data, scan.keyStart, scan.keyEnd));
  if ([SPLIT, TOGETHER, PIN].includes(scan.action)) {
    for (let i = 0; i < scan.nkeys; i++) {
      codec.keys.select(scan, i);
      keys.push(text(data, scan.keyStart, scan.keyEnd));
    }
  }
  return keys;
}

real("the keys of sample calls are those COMMAND GETKEYS finds", async () => {
  const link = await Link.open(port);
  const wrong: string[] = [];
  const seen = new Set<string>();
  for (const call of CALLS) {
    const words = call.split(" ");
    seen.add(words[0]);
    const { value } = await link.send(array("COMMAND", "GETKEYS", ...words));
    const theirs = Array.isArray(value) ? value.join(" ") : "";
    const ours = keysOf(words).join(" ");
    if (ours !== theirs) wrong.push(`${call}: ${ours}, not ${theirs || value}`);
  }
  link.close();
  assert.equal(wrong, []);
  const unseen = COMMANDS.filter(({ name, action, keys, first, last }) =>
    [SPLIT, TOGETHER, PIN].includes(action) && (keys !== KEYS_FIXED || last !== first) &&
    !seen.has(name) && !NEWER_ONLY.includes(name)
  );
  assert.equal(unseen.map((c) => c.name), [], "samples are missing");
});

test("keys of calls that newer servers know", () => {
  const calls: [string, string][] = [
    ["msetex 2 a 1 b 2 ex 10 nx", "a b"],
    ["msetex 1 a 1", "a"],
    ["msetex 2 a 1 b", ""],
    ["msetex 0 a 1", ""],
    ["xreadgroup group g c count 1 claim 500 noack streams a b > >", "a b"],
    ["xreadgroup group g c claim 500 block 0 streams a >", "a"],
    ["hgetex h ex 10 fields 1 f", "h"],
    ["zrank z m withscore", "z"],
    ["vsim v ele e count 3", "v"],
  ];
  for (const [call, keys] of calls) assert.is(keysOf(call.split(" ")).join(" "), keys, call);
});

test("a subcommand is not found by a name with a bar, and nobody is asked about it", () => {
  for (const { name } of COMMANDS.filter((c) => c.name.includes("|"))) {
    for (const words of [[name], [name, "a", "b"]]) {
      const data = bytes(array(...words));
      const scan = new Scan();
      assert.is(codec.parseRequest(scan, data, 0, data.length), DONE);
      assert.is(scan.action, REFUSE, name);
      assert.ok(text(scan.error, 0, scan.error.length).startsWith("-ERR unknown command"), name);
      assert.is(codec.inquiries?.inquire(scan, data, 0), null, name);
    }
  }
});

// Bad requests, as words (~ is an empty one) or as raw text.
const BAD_WORDS = `
get|exec x|watch|get a b|set k|mget|del|mset a|mset a 1 b|msetnx a 1 b|ping a b|echo|select|object|object encoding|object help x
acl whoami|acl users|acl nope|acl whoami x|cluster info|cluster nodes|cluster help|cluster keyslot a|cluster slots
scan x|scan|asking|config|config get|config nope|config resetstat x|latency nope|slowlog nope|slowlog len x
module nope|move a|object nope|object nope k|object encoding a b|xinfo|xinfo stream|xinfo what s|xgroup create s|memory usage|memory what
script|script load|script what|function|function load|function what|hset h|zadd z 1|sort|client|client setname
client setname a b|client getname x|client id x|client nope|auth|auth a b c|hello 1|hello x|hello 2 what|hello 2 auth x
client|client pause|client unblock|command nope|command info|command count x|command getkeys|cluster nope|cluster|cluster slots x
nope|nope a b c|NoPe ~ x|~|~ a b|GET|oBjEcT NoPe|object|encoding k|get|x k
eval s|eval s x|eval s -1 a|eval s 2 a|evalsha s 9|eval s 1.5 a|eval s 01 a|eval s +1 a|eval s 99999999999999999999
fcall f x|fcall f -1 a|fcall f 3 a|zunionstore d 0 a|zunionstore d x a|zunionstore d -1 a|zunionstore d 2 a
zinterstore d 0 a|zdiffstore d 0 a|zunion 0 a|zunion x a|zunion 2 a|zinter 0 a|zdiff 3 a|zintercard 0 a|zintercard 9 a
zintercard x a|sintercard 0 a|sintercard x a|sintercard 5 a|lmpop 0 a left|lmpop x a left|lmpop 5 a left|zmpop 0 a min
zmpop x a min|zmpop 3 a min|xread streams a|xread count 1 streams a b 0|xread streams a b 0|xread count 1 block
xreadgroup group g c streams a b >|xread count 2 count 3|xreadgroup group g c count 3 noack
copy a|rename a|lmove a b|bitop and d|post x
`.trim().split(/\n/).flatMap((line) => line.split("|"));

const BAD_RAW = [
  "get\r\n",
  "nope a 'b c' \"d\"\r\n",
  'get "a\r\n',
  "get 'a\r\n",
  'get "a"b\r\n',
  "*x\r\n",
  "*1x\r\n",
  "*1\r\nPING\r\n",
  "*1\r\n:4\r\n",
  "*2\r\n$3\r\nGET\r\n\r\n",
  "*1\r\n$-1\r\n",
  "*1\r\n$x\r\n",
  "*1\r\n$4x\r\n",
  "*1\r\n$99999999999\r\n",
  "*1\r\n$536870913\r\n",
  "*9999999999\r\n",
  `*${"1".repeat(70_000)}`,
  `*1\r\n$${"1".repeat(70_000)}`,
  "x".repeat(70_000),
  array("n".repeat(200), "a".repeat(200), "b"),
  array("nope", "a".repeat(60), "b".repeat(60), "c".repeat(60), "d"),
  array("nope", "a\r\nb", "\0c", "\xff"),
  array("no\r\npe", "a"),
  array("object", "n".repeat(200)),
  array("object", "a\r\nb"),
  array("xread", "streams", "a".repeat(10)),
];

/** What the codec answers to a request by itself; null if it passes it on. */
function ownAnswer(data: string): string | null {
  const buf = bytes(data);
  const scan = new Scan();
  const result = codec.parseRequest(scan, buf, 0, buf.length);
  if (result === BAD || (result === DONE && scan.action === REFUSE)) {
    return text(scan.error, 0, scan.error.length);
  }
  if (result !== DONE || scan.action !== LOCAL) return null;
  const from = scan.scratch ?? buf;
  const reply = codec.answer(scan, from, 0, codec.newSession(1, "", 0));
  return text(reply, 0, reply.length);
}

/** Requests which ringmux answers in its own way. */
const OTHERWISE = [
  "post x", // Redis hangs up on browsers without a word
  JSON.stringify(`*1\r\n$${"1".repeat(70_000)}`.slice(0, 60)), // need not be read to its end
];

real("errors are Redis's own, to the byte", async () => {
  const wrong: string[] = [];
  const requests: [string, string][] = [
    ...BAD_WORDS.map((line): [string, string] => [
      line,
      array(...line.split(" ").map((word) => word === "~" ? "" : word)),
    ]),
    ...BAD_RAW.map((raw): [string, string] => [JSON.stringify(raw.slice(0, 60)), raw]),
  ];
  for (const [what, request] of requests) {
    const ours = ownAnswer(request);
    if (ours === null || OTHERWISE.includes(what)) continue; // passed on: the server says it itself
    const link = await Link.open(port); // some close the connection
    const theirs = await link.send(request).then((reply) => reply.bytes, (error) => String(error));
    link.close();
    if (ours !== theirs) wrong.push(`${what}:\n  ours   ${show(ours)}\n  theirs ${show(theirs)}`);
  }
  assert.is(wrong.join("\n"), "");
});

const show = (reply: string): string => JSON.stringify(reply.slice(0, 300));

test.run();
