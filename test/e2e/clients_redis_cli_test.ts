// A tour of redis-cli over three servers: a session typed into it, in RESP2 and RESP3, and the modes
// that test/e2e/redis_tools_test.ts has not.
// Needs: redis-server redis-cli

import * as fs from "node:fs";
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  behindProxy,
  cmd,
  isNutcracker,
  ours,
  type ProxyProcess,
  type Ran,
  run,
  tempPath,
  which,
  Wire,
} from "./harness.ts";

let proxy: ProxyProcess;

test.before(async () => {
  if (isNutcracker) return;
  ({ proxy } = await behindProxy("redis", { hash_tag: '"{}"' }));
});

test.before.each(async () => {
  if (isNutcracker) return;
  const wire = await Wire.open(proxy.port);
  assert.is(await wire.ask("FLUSHALL"), "+OK\r\n");
  wire.close();
});

const cli = (args: string[], input = ""): Promise<Ran> =>
  run(which("redis-cli"), ["-p", String(proxy.port), ...args], input);

// What is typed, and what must be seen.
const SESSION: [string, string][] = [
  ["set a 1", "OK"],
  ["incr a", "(integer) 2"],
  ["mset b 1 c 2 d 3 e 4", "OK"],
  ["mget a b c d e none", '1) "2"\n2) "1"\n3) "2"\n4) "3"\n5) "4"\n6) (nil)'],
  ["get none", "(nil)"],
  ['set "with blank" "line\\nbreak"', "OK"],
  ['get "with blank"', '"line\\nbreak"'],
  ["lpush a 1", "(error) WRONGTYPE Operation against a key holding the wrong kind of value"],
  ["del a b c d e none", "(integer) 5"],
  ["rpush {l}1 x y", "(integer) 2"],
  ["lmove {l}1 {l}2 left right", '"x"'],
  ["blpop {l}2 1", '1) "{l}2"\n2) "x"'],
  ["multi", "OK"],
  ["set {t}a 1", "QUEUED"],
  ["incr {t}a", "QUEUED"],
  ["exec", "1) OK\n2) (integer) 2"],
  ["eval 'return {KEYS[1],ARGV[1]}' 1 k v", '1) "k"\n2) "v"'],
  ["xadd s 1-1 f v", '"1-1"'],
  ["xlen s", "(integer) 1"],
  ["select 2", "OK"],
  ["get {t}a", "(nil)"],
  ["select 0", "OK"],
  ["get {t}a", '"2"'],
  ["ping", "PONG"],
  ["echo hi", '"hi"'],
  ["config get databases", '"databases"'],
  ["client getname", "(nil)"],
  [
    "monitor",
    "(error) ERR 'monitor' is not supported by ringmux: it administers servers",
  ],
  ["nosuch a b", "(error) ERR unknown command 'nosuch', with args beginning with: 'a' 'b'"],
];

for (const [title, args] of [["RESP2", []], ["RESP3", ["-3"]]] as [string, string[]][]) {
  ours(`a typed session in ${title}`, async () => {
    const typed = SESSION.map(([line]) => line).join("\n");
    const { stdout, stderr, code } = await cli([...args, "--no-raw"], `${typed}\nquit\n`);
    assert.is(code, 0, stderr);
    let at = 0;
    for (const [line, seen] of SESSION) {
      const found = stdout.indexOf(seen, at);
      assert.ok(found >= 0, `${line}: ${seen} is not in ${stdout.slice(at, at + 300)}`);
      at = found + seen.length;
    }
  });
}

ours("RESP3's own types are shown as such", async () => {
  await cli(["hset", "h", "f", "v"]);
  assert.is((await cli(["-3", "--no-raw", "hgetall", "h"])).stdout, '1# "f" => "v"\n');
  await cli(["zadd", "z", "1.5", "m"]);
  assert.is((await cli(["-3", "--no-raw", "zscore", "z", "m"])).stdout, "(double) 1.5\n");
  assert.is((await cli(["--json", "hgetall", "h"])).stdout, '{"f":"v"}\n');
});

ours("-x, -r, -n, --csv, --eval and pipes", async () => {
  assert.is((await cli(["-x", "set", "typed"], "from a file")).stdout, "OK\n");
  assert.is((await cli(["get", "typed"])).stdout, "from a file\n");
  assert.is((await cli(["-r", "3", "-i", "0.01", "incr", "n"])).stdout, "1\n2\n3\n");
  assert.is((await cli(["-n", "3", "set", "elsewhere", "1"])).stdout, "OK\n");
  assert.is((await cli(["exists", "elsewhere"])).stdout, "0\n");
  await cli(["rpush", "l", "a", "b"]);
  assert.is((await cli(["--csv", "lrange", "l", "0", "-1"])).stdout, '"a","b"\n');
  const script = tempPath("script.lua");
  fs.writeFileSync(script, "return {KEYS[1], ARGV[1]}");
  assert.is((await cli(["--eval", script, "k", ",", "v"])).stdout, "k\nv\n");
  const input = Array.from({ length: 2000 }, (_, i) => cmd("SET", `${i * 7919}`, i)).join("");
  const piped = await cli(["--pipe"], input + cmd("LPUSH", "0", "x") + cmd("RENAME", "0", "7919"));
  assert.match(piped.stdout, /errors: 2, replies: 2002/, piped.stderr); // the keys of RENAME are apart
  const scanned = (await cli(["--scan"])).stdout.trim().split("\n");
  assert.is(new Set(scanned).size, 2003); // with typed, n and l
});

ours("--latency samples for its second, and --lru-test runs", async () => {
  assert.match((await cli(["--latency", "--raw"])).stdout, /^\d+ \d+ [\d.]+ \d+\n$/);
  const shown = await run("timeout", [
    ...["3", "stdbuf", "-oL", "redis-cli", "-p", String(proxy.port), "--lru-test", "100"],
  ]);
  assert.match(shown.stdout, /Gets\/sec \| Hits: \d+ /);
  assert.not.match(shown.stdout + shown.stderr, /error/i);
});

ours("what needs one server says so", async () => {
  for (
    const [args, said] of [
      [["--rdb", tempPath("dump.rdb")], /'(sync|replconf)' is not supported by ringmux/],
      [["--replica"], /'(sync|replconf)' is not supported by ringmux/],
      [["--cluster", "check", `127.0.0.1:${proxy.port}`], /is not configured as a cluster node/],
      [["cluster", "nodes"], /This instance has cluster support disabled/],
      [["debug", "jmap"], /'debug' is not supported by ringmux/],
      [["shutdown"], /'shutdown' is not supported by ringmux/],
      [["config", "set", "save", ""], /'config set' is not supported by ringmux/],
    ] as [string[], RegExp][]
  ) {
    const { stdout, stderr } = await cli(args);
    assert.match(stdout + stderr, said, args.join(" "));
  }
});

test.run();
