// The configuration file: every key, default, range and mistake with its line; and a table of
// files on which the real nutcracker, where it is installed, has to agree.

import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import process from "node:process";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { parse } from "yaml";
import { DOCS_FILE, generate, SCHEMA_FILE } from "../../conf/make_schema.ts";
import { compareNames, parseListen, parseServer } from "../../core/config/address.ts";
import { diffConfigs } from "../../core/config/diff.ts";
import { GLOBAL_KEYS } from "../../core/config/groups.ts";
import {
  bindChanges,
  codecChanges,
  connectionsChange,
  needsNewStart,
  POOL_ROWS,
  tickChanges,
} from "../../core/config/keys.ts";
import { checkConfig, ConfigError, formatMistake, loadConfig } from "../../core/config/load.ts";
import { POOL_KEYS, type PoolConfig } from "../../core/config/schema.ts";
import { hasSecret, type Row } from "../../core/config/rows.ts";
import { nearest } from "../../core/config/suggest.ts";
import { HASH_NAMES } from "../../core/hash/mod.ts";

const root = process.env.RINGMUX_ROOT ?? process.cwd();
const read = (file: string): string => fs.readFileSync(path.join(root, file), "utf8");

/** A file with one pool `p`; `lines` are more of its keys, from line 3 on. */
function file(...lines: string[]): string {
  const own = lines.map((line) => `  ${line}\n`).join("");
  return `p:\n  listen: 127.0.0.1:1\n${own}  servers:\n   - 127.0.0.1:11211:1\n`;
}

function pool(...lines: string[]): PoolConfig {
  return loadConfig(file(...lines)).pools[0];
}

function mistakes(text: string): string[] {
  return checkConfig(text, "c.yml").mistakes.map(formatMistake);
}

// ------------------------------------------------------------------------------ keys and defaults

test("a pool with listen and servers only has nutcracker's defaults", () => {
  assert.equal(pool(), {
    name: "p",
    listen: { host: "127.0.0.1", port: 1, path: "", mode: -1 },
    listen_text: "127.0.0.1:1",
    hash: "fnv1a_64",
    hash_tag: "",
    distribution: "ketama",
    timeout: -1,
    backlog: 512,
    client_connections: 0,
    tcpkeepalive: false,
    preconnect: false,
    redis: false,
    redis_auth: "",
    redis_auth_file: "",
    redis_auth_env: "",
    redis_user: "",
    slowlog_ms: 0,
    redis_db: 0,
    server_connections: 1,
    auto_eject_hosts: false,
    server_retry_timeout: 30000,
    server_failure_limit: 2,
    pinned_connections: 64,
    pinned_share: 50,
    pinned_idle_timeout: 60000,
    server_lanes: 32,
    lane_idle_timeout: 60000,
    multi: "together",
    pubsub_output_limit: 33554432,
    wait: 10000,
    park_bytes: 67108864,
    sentinels: [],
    big_key: 1048576,
    servers: [{
      name: "127.0.0.1",
      address: { host: "127.0.0.1", port: 11211, path: "", mode: -1 },
      weight: 1,
      text: "127.0.0.1:11211:1",
    }],
  });
});

test("every key is taken over", () => {
  const p = pool(
    "hash: murmur",
    'hash_tag: "{}"',
    "distribution: random",
    "timeout: 400",
    "backlog: 1024",
    "client_connections: 10",
    "tcpkeepalive: true",
    "reuseport: true",
    "preconnect: true",
    "redis: true",
    "redis_auth: secret",
    "redis_user: ann",
    "slowlog_ms: 20",
    "redis_db: 3",
    "server_connections: 4",
    "auto_eject_hosts: true",
    "server_retry_timeout: 2000",
    "server_failure_limit: 5",
    "pinned_connections: 7",
    "pinned_share: 100",
    "pinned_idle_timeout: 0",
    "server_lanes: 8",
    "lane_idle_timeout: 1000",
    "multi: split",
    "pubsub_output_limit: 1000",
  );
  const { name: _n, listen: _l, listen_text: _t, servers: _s, ...rest } = p;
  assert.equal(rest, {
    hash: "murmur",
    hash_tag: "{}",
    distribution: "random",
    timeout: 400,
    backlog: 1024,
    client_connections: 10,
    tcpkeepalive: true,
    preconnect: true,
    redis: true,
    redis_auth: "secret",
    redis_auth_file: "",
    redis_auth_env: "",
    redis_user: "ann",
    slowlog_ms: 20,
    redis_db: 3,
    server_connections: 4,
    auto_eject_hosts: true,
    server_retry_timeout: 2000,
    server_failure_limit: 5,
    pinned_connections: 7,
    pinned_share: 100,
    pinned_idle_timeout: 0,
    server_lanes: 8,
    lane_idle_timeout: 1000,
    multi: "split",
    pubsub_output_limit: 1000,
    wait: 10000,
    park_bytes: 67108864,
    sentinels: [],
    big_key: 1048576,
  });
});

test("every hash and every distribution is known", () => {
  for (const name of HASH_NAMES) assert.is(pool(`hash: ${name}`).hash, name);
  for (const name of ["ketama", "modula", "random"]) {
    assert.is(pool(`distribution: ${name}`).distribution, name);
  }
});

test("commands are known in any case, subcommands by a space or a bar", () => {
  const { commands } = pool(
    ...["redis: true", "commands:", "  deny: [KEYS, Config Set, script|flush]", "  allow:"],
    ...["   - get", "  rename:", "    Wipe: FLUSHALL"],
  );
  assert.equal(commands, {
    deny: ["keys", "config|set", "script|flush"],
    allow: ["get"],
    rename: { wipe: "flushall" },
  });
  assert.is(pool("redis: true").commands, undefined);
});

test("lists of commands have categories and signs", () => {
  const { commands } = pool(
    ...["redis: true", "commands:", '  allow: ["@ALL", -@dangerous, +Config Set, "-config|get"]'],
    '  deny: ["@write", "+set", "-@all", "+@Slow"]',
  );
  assert.equal(commands, {
    allow: ["@all", "-@dangerous", "config|set", "-config|get"],
    deny: ["@write", "-set", "@all", "-@slow"],
    rename: {},
  });
});

test("a timeout of 0 is no timeout", () => {
  assert.is(pool("timeout: 0").timeout, -1);
});

test("values are text: quotes change nothing, leading zeros are digits", () => {
  const p = pool('redis: "true"', "timeout: '400'", "backlog: 007", "redis_auth: 0123");
  assert.is(p.redis, true);
  assert.is(p.timeout, 400);
  assert.is(p.backlog, 7);
  assert.is(p.redis_auth, "0123");
});

test("a JSON file is read", () => {
  const text = JSON.stringify(
    {
      $schema: "x",
      p: { listen: "127.0.0.1:1", redis: true, timeout: 5, servers: ["127.0.0.1:6379:1 a"] },
    },
    null,
    "\t",
  );
  const p = loadConfig(text).pools[0];
  assert.is(p.redis, true);
  assert.is(p.timeout, 5);
  assert.is(p.servers[0].name, "a");
});

test("a byte order mark and Windows line ends are read", () => {
  assert.is(loadConfig("\ufeff" + file("timeout: 9").replace(/\n/g, "\r\n")).pools[0].timeout, 9);
});

// ------------------------------------------------------------------------------- names and order

test("servers are sorted by length of the name, then by bytes", () => {
  const lines = ["s10", "s2", "s1", "z", "s\u00e9", "S2"].map((n) =>
    `   - 127.0.0.1:6379:1 ${n}\n`
  );
  const text = `p:\n  listen: 127.0.0.1:1\n  servers:\n${lines.join("")}`;
  const names = loadConfig(text).pools[0].servers.map((s) => s.name);
  // "s\u00e9" has three bytes.
  assert.equal(names, ["z", "S2", "s1", "s2", "s10", "s\u00e9"]);
});

test("pools are sorted by length of the name, then by bytes", () => {
  const text = ["rauth", "rp", "mp"].map((name, i) =>
    file().replace("p:", `${name}:`).replace("127.0.0.1:1\n", `127.0.0.1:${i + 1}\n`)
  ).join("");
  assert.equal(loadConfig(text).pools.map((p) => p.name), ["mp", "rp", "rauth"]);
});

test("names beyond the first plane sort as their bytes do", () => {
  assert.ok(compareNames("\uffff\u00e9\u00e9\u00e9", "\u{10000}abcde") < 0);
  assert.ok(compareNames("\uffee1", "\u{10000}") < 0);
  assert.is(compareNames("a", "a"), 0);
});

test("the ring name leaves out port 11211, and keeps the colon of a socket", () => {
  const name = (text: string): string => {
    const server = parseServer(text);
    return typeof server === "string" ? `! ${server}` : server.name;
  };
  assert.is(name("10.0.0.1:11211:1"), "10.0.0.1");
  assert.is(name("10.0.0.1:11212:1"), "10.0.0.1:11212");
  assert.is(name("10.0.0.1:11212:1 a"), "a");
  assert.is(name("10.0.0.1:11212:1 a:b"), "a:b");
  assert.is(name("/tmp/x.sock:1"), "/tmp/x.sock:");
  assert.is(name("/tmp/x.sock:1 a"), "a");
  assert.is(name("::1:11211:1"), "::1");
  assert.is(name("[::1]:6379:1"), "::1:6379");
});

test("server lines are read from the right", () => {
  const of = (text: string) => {
    const s = parseServer(text);
    return typeof s === "string" ? s : [s.address.host, s.address.port, s.address.path, s.weight];
  };
  assert.equal(of("cache.example.net:6379:10"), ["cache.example.net", 6379, "", 10]);
  assert.equal(of("fd00::7:6379:2 x"), ["fd00::7", 6379, "", 2]);
  assert.equal(of("[fd00::7]:6379:2 x"), ["fd00::7", 6379, "", 2]);
  assert.equal(of("/tmp/x.sock:3"), ["", 0, "/tmp/x.sock", 3]);
  assert.equal(of("a:1:2147483647"), ["a", 1, "", 2147483647]);
});

test("listen is host:port or a path with an octal mode", () => {
  assert.equal(parseListen("0.0.0.0:22121"), { host: "0.0.0.0", port: 22121, path: "", mode: -1 });
  assert.equal(parseListen("::1:22"), { host: "::1", port: 22, path: "", mode: -1 });
  assert.equal(parseListen("[::1]:22"), { host: "::1", port: 22, path: "", mode: -1 });
  assert.equal(parseListen("/tmp/a"), { host: "", port: 0, path: "/tmp/a", mode: -1 });
  assert.equal(parseListen("/tmp/a 0660"), { host: "", port: 0, path: "/tmp/a", mode: 0o660 });
  assert.equal(parseListen("/tmp/a 777"), { host: "", port: 0, path: "/tmp/a", mode: 0o777 });
  assert.equal(parseListen("/tmp/a 0"), { host: "", port: 0, path: "/tmp/a", mode: -1 });
  assert.equal(parseListen("/tmp/a:1"), { host: "", port: 0, path: "/tmp/a:1", mode: -1 });
});

// ---------------------------------------------------------------------------------------- mistakes

const MAX = 2147483647;
const known = POOL_KEYS.join(", ");
const listForm = '"host:port:weight [name]" or "/path:weight [name]"';
const dup = "127.0.0.1:11211";

/** [file, every line that is expected] */
const WRONG: [string, string[]][] = [
  [file("distribution: ketma"), [
    'c.yml:3: pool "p": distribution "ketma" is not known; did you mean ketama? (ketama, modula, random, cluster)',
  ]],
  [file("hash: xxx"), [`c.yml:3: pool "p": hash "xxx" is not known; (${HASH_NAMES.join(", ")})`]],
  [file("hash: MD5"), [
    `c.yml:3: pool "p": hash "MD5" is not known; did you mean md5? (${HASH_NAMES.join(", ")})`,
  ]],
  [file("timeout: -1"), [
    `c.yml:3: pool "p": timeout "-1" has to be a whole number of milliseconds from 0 to ${MAX}`,
  ]],
  [file("timeout: 1.5"), [
    `c.yml:3: pool "p": timeout "1.5" has to be a whole number of milliseconds from 0 to ${MAX}`,
  ]],
  [file("backlog: 0x10"), [
    `c.yml:3: pool "p": backlog "0x10" has to be a whole number from 0 to ${MAX}`,
  ]],
  [file("client_connections: 1e3"), [
    `c.yml:3: pool "p": client_connections "1e3" has to be a whole number from 0 to ${MAX}`,
  ]],
  [file("redis_db: x"), [
    `c.yml:3: pool "p": redis_db "x" has to be a whole number from 0 to ${MAX}`,
  ]],
  [file("server_connections: 0"), [
    `c.yml:3: pool "p": server_connections "0" has to be a whole number from 1 to ${MAX}`,
  ]],
  [file("server_retry_timeout: 2147483648"), [
    `c.yml:3: pool "p": server_retry_timeout "2147483648" has to be a whole number of milliseconds from 0 to ${MAX}`,
  ]],
  [file("server_failure_limit: two"), [
    `c.yml:3: pool "p": server_failure_limit "two" has to be a whole number from 0 to ${MAX}`,
  ]],
  ...["tcpkeepalive", "reuseport", "preconnect", "redis", "auto_eject_hosts"].map((
    key,
  ): [string, string[]] => [file(`${key}: yes`), [
    `c.yml:3: pool "p": ${key} "yes" has to be true or false`,
  ]]),
  [file("redis: True"), ['c.yml:3: pool "p": redis "True" has to be true or false']],
  [file('hash_tag: "{"'), [
    'c.yml:3: pool "p": hash_tag "{" has to be exactly two ASCII characters',
  ]],
  [file("hash_tag: {}"), [
    'c.yml:3: pool "p": hash_tag has to be a single value, not a mapping; put it in quotes: hash_tag: "{}"',
  ]],
  [file("hash:"), ['c.yml:3: pool "p": hash has no value']],
  [file('redis_auth: ""', "redis: true"), ['c.yml:3: pool "p": redis_auth has no value']],
  [file("redis_auth: hunter2"), ['c.yml:3: pool "p": redis_auth is only valid with redis: true']],
  [file("commands: {deny: [keys]}"), [
    'c.yml:3: pool "p": commands is only valid with redis: true',
  ]],
  [file("redis: true", "commands: [keys]"), [
    'c.yml:4: pool "p": commands has to be a mapping with deny, allow or rename',
  ]],
  [file("redis: true", "commands:", "  deny:", "   - keys", "   - flushal", "   - config gat"), [
    'c.yml:7: pool "p": commands.deny "flushal" is not known; did you mean flushall?',
    'c.yml:8: pool "p": commands.deny "config gat" is not known; did you mean config get?',
  ]],
  [file("redis: true", "commands:", "  dney: [keys]", "  allow: get", "  allow: []"), [
    'c.yml:5: pool "p": key "commands.dney" is not known; did you mean deny?',
    'c.yml:6: pool "p": commands.allow has to be a list of commands',
    'c.yml:7: pool "p": commands.allow is given twice (first on line 6)',
  ]],
  [file("redis: true", "commands:", "  allow: []", "  deny: [[a], {}]"), [
    'c.yml:5: pool "p": commands.allow has to be a list of commands',
    'c.yml:6: pool "p": commands.deny has to name a command',
    'c.yml:6: pool "p": commands.deny has to name a command',
  ]],
  [file("redis: true", "commands:", '  allow: ["@reed"]', "  deny: [-get, +kyes, '-@']"), [
    'c.yml:5: pool "p": commands.allow "@reed" is no category; did you mean @read?',
    'c.yml:6: pool "p": commands.deny "kyes" is not known; did you mean keys?',
    'c.yml:6: pool "p": commands.deny "@" is no category; known: @all, @keyspace, @read, @write, ' +
    "@set, @sortedset, @list, @hash, @string, @bitmap, @hyperloglog, @geo, @stream, @pubsub, " +
    "@admin, @fast, @slow, @blocking, @dangerous, @connection, @transaction, @scripting, @vectorset",
  ]],
  [file("redis: true", "commands: {rename: ['@read']}"), [
    'c.yml:4: pool "p": commands.rename has to be a mapping of new names to commands',
  ]],
  [file("redis: true", "commands: {rename: [a]}"), [
    'c.yml:4: pool "p": commands.rename has to be a mapping of new names to commands',
  ]],
  [file("redis: true", "commands:", "  rename:", "    a b: keys", "    get: set", "    x: kyes"), [
    'c.yml:6: pool "p": commands.rename "a b" has to be 1 to 64 ASCII characters without spaces',
    'c.yml:7: pool "p": commands.rename "get" is the name of another command',
    'c.yml:8: pool "p": commands.rename "kyes" is not known; did you mean keys?',
  ]],
  [
    file("redis: true", "commands:", "  rename:", "    x: keys", "    X: get", "    y: config get"),
    [
      'c.yml:7: pool "p": commands.rename "X" is given twice',
      'c.yml:8: pool "p": commands.rename "y" cannot stand for a subcommand; rename the whole command',
    ],
  ],
  [file("timeout: [1]"), ['c.yml:3: pool "p": timeout has to be a single value, not a list']],
  [file("timeout: 1", "hash: md5", "timeout: 2"), [
    'c.yml:5: pool "p": timeout is given twice (first on line 3)',
  ]],
  [file("listen: 127.0.0.1:2"), ['c.yml:3: pool "p": listen is given twice (first on line 2)']],
  [file("server_conections: 1"), [
    'c.yml:3: pool "p": key "server_conections" is not known; did you mean server_connections?',
  ]],
  [file("redis-auth: hunter2"), [
    'c.yml:3: pool "p": key "redis-auth" is not known; did you mean redis_auth?',
  ]],
  [file("banana: hunter2"), [`c.yml:3: pool "p": key "banana" is not known; known: ${known}`]],

  // Listening addresses.
  [file().replace("127.0.0.1:1\n", "localhost\n"), [
    'c.yml:2: pool "p": listen "localhost" has to be "host:port" or "/path [octal mode]"',
  ]],
  [file().replace("127.0.0.1:1\n", "127.0.0.1:0\n"), [
    'c.yml:2: pool "p": listen "127.0.0.1:0" has an invalid port "0" (1 to 65535)',
  ]],
  [file().replace("127.0.0.1:1\n", "127.0.0.1:65536\n"), [
    'c.yml:2: pool "p": listen "127.0.0.1:65536" has an invalid port "65536" (1 to 65535)',
  ]],
  [file().replace("127.0.0.1:1\n", ":1\n"), [
    'c.yml:2: pool "p": listen ":1" has no host before the port',
  ]],
  [file().replace("127.0.0.1:1\n", "redis://a:1\n"), [
    'c.yml:2: pool "p": listen "redis://a:1" has an invalid host "redis://a"',
  ]],
  [file().replace("127.0.0.1:1\n", "/tmp/a 1777\n"), [
    'c.yml:2: pool "p": listen "/tmp/a 1777" has an invalid file permission "1777" (octal, 0 to 0777)',
  ]],
  [file().replace("127.0.0.1:1\n", `/${"a".repeat(107)}\n`), [
    `c.yml:2: pool "p": listen "/${"a".repeat(107)}" has a path of more than 107 bytes`,
  ]],
  [file().replace("127.0.0.1:1\n", "[::1]:22121\n"), [
    'c.yml:2: an address that begins with "[" has to be in quotes',
  ]],

  // Servers.
  [file().replace(dup, "a"), [`c.yml:4: pool "p": server "a:1" has to be ${listForm}`]],
  [file().replace(`${dup}:1`, "a"), [`c.yml:4: pool "p": server "a" has to be ${listForm}`]],
  [file().replace(`${dup}:1`, "/tmp/a"), [
    `c.yml:4: pool "p": server "/tmp/a" has to be ${listForm}`,
  ]],
  [file().replace(`${dup}:1`, "/tmp/a:b:1"), [
    'c.yml:4: pool "p": server "/tmp/a:b:1" has a ":" in its path',
  ]],
  [file().replace(`${dup}:1`, "a:0:1"), [
    'c.yml:4: pool "p": server "a:0:1" has an invalid port "0" (1 to 65535)',
  ]],
  [file().replace(`${dup}:1`, "a:b:1"), [
    'c.yml:4: pool "p": server "a:b:1" has an invalid port "b" (1 to 65535)',
  ]],
  [file().replace(`${dup}:1`, "a:1:0"), [
    `c.yml:4: pool "p": server "a:1:0" has an invalid weight "0" (1 to ${MAX})`,
  ]],
  [file().replace(`${dup}:1`, "a:1:1 b c"), [
    `c.yml:4: pool "p": server "a:1:1 b c" has an invalid weight "1 b" (1 to ${MAX})`,
  ]],
  [file().replace(`${dup}:1`, '"a:1:1 "'), [
    'c.yml:4: pool "p": server "a:1:1 " ends with a space',
  ]],
  [file().replace(`${dup}:1`, ":11211:1"), [
    'c.yml:4: pool "p": server ":11211:1" has no host before the port',
  ]],
  [file().replace(`${dup}:1`, "a: b"), [
    'c.yml:4: pool "p": a server has to be a single line of text',
  ]],
  [file() + "   - b:1:1 x\n   - c:1:1 x\n", [
    'c.yml:6: pool "p": another server has the name "x" (line 5)',
  ]],
  [file() + `   - ${dup}:9\n`, [
    'c.yml:5: pool "p": another server has the name "127.0.0.1" (line 4)',
  ]],
  ["p:\n  listen: a:1\n  servers: []\n", [
    'c.yml:3: pool "p": servers has to name at least one server',
  ]],
  ["p:\n  listen: a:1\n  servers: b:1:1\n", [
    'c.yml:3: pool "p": servers has to be a list of lines like "- 127.0.0.1:6379:1"',
  ]],
  ["# x\np:\n  listen: a:1\n", ['c.yml:2: pool "p": servers is missing']],
  ["p:\n  servers:\n  - a:1:1\n", ['c.yml:1: pool "p": listen is missing']],

  // Pools.
  [file() + file().replace("127.0.0.1:1\n", "a:2\n"), [
    'c.yml:5: pool "p": another pool has this name (line 1)',
  ]],
  [file() + file().replace("p:", "q:"), [
    'c.yml:6: pool "q": listen "127.0.0.1:1": pool "p" listens there too (line 2)',
  ]],
  ["p:\n  listen: a:1\n  max_lag: 5\n  prefixes: {}\n  servers:\n  - a:1:1\n", [
    'c.yml:3: pool "p": key "max_lag" is not known; did you mean reads.max_lag?',
    'c.yml:4: pool "p": key "prefixes" is not known; did you mean near_cache.prefixes or routes.prefixes?',
  ]],
  ["p: x\n", ['c.yml:1: pool "p": has to be a mapping with at least listen and servers']],
  ["p:\n", ['c.yml:1: pool "p": has to be a mapping with at least listen and servers']],
  ["global:\n  wrokers: 2\n  admin: 127.0.0.1\n  log_level: loud\n" + file(), [
    'c.yml:2: key "global.wrokers" is not known; did you mean workers?',
    'c.yml:4: global.log_level "loud" is not known; (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, emerg, ' +
    "alert, crit, error, warn, notice, info, debug, verbose)",
  ]],
  ["global:\n  admin: nowhere\n" + file(), [
    'c.yml:2: global.admin "nowhere" has to be host:port or off',
  ]],
  ["global: 3\n" + file(), [
    'c.yml:1: pool "global": has to be a mapping with at least listen and servers',
  ]],

  // Keys that hold others.
  [file("tls:\n    cert: a.pem\n    certs: b.pem"), [
    'c.yml:4: pool "p": tls.key is missing',
    'c.yml:5: pool "p": key "tls.certs" is not known; did you mean cert?',
  ]],
  [file("tls: a.pem"), [
    'c.yml:3: pool "p": tls has to be a mapping with cert, key, ca, require_client_cert, handshake_timeout',
  ]],
  [file("tls: {cert: a, key: b, require_client_cert: true}"), [
    'c.yml:3: pool "p": tls.require_client_cert needs tls.ca',
  ]],
  [file("auth: {users: {ann: {access: read}}}"), [
    'c.yml:3: pool "p": auth.users.ann.access "read" is not known; (read-write, read-only)',
  ]],
  [file("auth: {users: {ann: {password: a, password_env: B}, bob: {}}}"), [
    'c.yml:3: pool "p": auth.users.ann needs one of password, password_file and password_env',
    'c.yml:3: pool "p": auth.users.bob needs one of password, password_file and password_env',
  ]],
  [file("health_check: {interval: 1s}"), [
    'c.yml:3: pool "p": health_check.interval "1s" has to be a whole number of milliseconds from 10 to 2147483647',
  ]],
  ["- a\n", ["c.yml:1: has to be a mapping of pool names to pools"]],
  ["just text\n", ["c.yml:1: has to be a mapping of pool names to pools"]],
  ["", ["c.yml: is empty; at least one pool is needed"]],
  ["# nothing\n\n", ["c.yml: is empty; at least one pool is needed"]],
  ["{}", ["c.yml: is empty; at least one pool is needed"]],

  // YAML.
  ["p:\n\tlisten: a:1\n", ["c.yml:2: a tab is used for indentation; YAML allows spaces only"]],
  [file() + "---\n" + file(), [
    'c.yml:5: a second document begins here; only one is allowed (no "---" but on the first line)',
  ]],
  [file('redis_auth: "hunter2'), ["c.yml:3: a quote is opened and never closed"]],
  [file("timeout 400", "hash: md5"), [
    'c.yml:3: is not valid YAML: a ":" is missing, or the indentation is wrong',
  ]],
  [file("redis_auth: @hunter2"), [
    "c.yml:3: a value that begins with a special character has to be in quotes",
  ]],
  [file("hash: &h md5"), ["c.yml:3: anchors (&name) are not supported"]],
  [file("hash: *h"), ["c.yml:3: aliases (*name) are not supported"]],
  [file("hash: !!str md5"), ["c.yml:3: tags (!name) are not supported"]],
  [file("? [a]", ": b"), ["c.yml:3: a key has to be plain text"]],
  [file('redis_auth: "\\ud800hunter2"'), ["c.yml:3: half of a surrogate pair is no character"]],
];

test("every mistake is named with its line, pool, key and what is allowed", () => {
  for (const [text, expected] of WRONG) {
    assert.equal(mistakes(text), expected, text);
    assert.is(checkConfig(text, "c.yml").config, null, text);
  }
});

test("a password never shows in a message", () => {
  for (const [text] of WRONG) {
    assert.not.ok(mistakes(text).join("\n").includes("hunter2"), text);
  }
});

/** A value that each key takes, if its default is none; groups are written in one line. */
const VALUES: Record<string, string> = {
  redis_auth: "x",
  redis_auth_file: "x",
  redis_auth_env: "x",
  redis_user: "x",
  commands: "{deny: [keys]}",
  cluster: "{refresh: 1000}",
  migrate: "{to: q}",
  reads: "{from: primary}",
  near_cache: "{prefixes: [a]}",
  sentinels: '["10.0.0.1:26379:1"]',
  sentinel: "{user: a, auth: x}",
  retry: "{reads: 2, writes: true}",
};

/** A file whose one server has a name that Sentinels may know it by. */
const named = (text: string): string => text.replace(`${dup}:1`, `${dup}:1 shard1`);

test("a key of one protocol's pools is refused in another pool, whichever key it is", () => {
  const own = POOL_KEYS.filter((key) => (POOL_ROWS[key] as Row).only === "redis");
  assert.ok(own.includes("pinned_connections") && own.includes("pubsub_output_limit"));
  for (const key of own) {
    const { default: usual } = POOL_ROWS[key] as { default?: unknown };
    const line = `${key}: ${VALUES[key] ?? usual}`;
    const expected = [`c.yml:3: pool "p": ${key} is only valid with redis: true`];
    assert.equal(mistakes(file(line)), expected);
    assert.equal(mistakes(file(line, "redis: false")), expected);
    const more = key === "redis_user" ? ["redis_auth: y"] : [];
    if (["cluster", "wait", "park_bytes", "retry"].includes(key)) {
      more.push("distribution: cluster");
    }
    if (key === "sentinel") more.push(`sentinels: ${VALUES.sentinels}`);
    // That the other pool is there is a question of its own.
    if (key === "migrate") continue;
    assert.equal(mistakes(named(file(line, "redis: true", ...more))), []);
  }
});

test("keys move between two plain rings that are spoken to alike", () => {
  const ring = (name: string, ...lines: string[]) =>
    [`${name}:`, "redis: true", ...lines, "servers: [127.0.0.1:1:1 a]"].join("\n  ") + "\n";
  const old = (...lines: string[]) =>
    ring("p", "listen: 127.0.0.1:2", "migrate: {to: q}", ...lines);
  const told = (text: string) => mistakes(text).map((line) => line.replace(/^.*pool "p": /, ""));
  assert.equal(told(old() + ring("q")), [], "which need not listen");
  assert.equal(told(old() + ring("r", "listen: 127.0.0.1:3")), [
    'migrate.to "q" has to be another pool (r)',
  ]);
  assert.match(told(old("redis_auth: x") + ring("q"))[0], 'pool "q" has another redis_auth');
  assert.match(told(old() + ring("q", "auto_eject_hosts: true"))[0], "has auto_eject_hosts");
  assert.match(told(old("health_check: {}") + ring("q"))[0], "has health_check");
  assert.match(told(old() + ring("q", "distribution: random"))[0], "distribution random");
  assert.match(told(old() + ring("q").replace(":1:1 a", ":4:1 a"))[0], "another address; rename");
});

test("keys within others are refused in pools of the other protocol likewise", () => {
  const users = "auth: {users: {ann: {password: x, scripts: true}}}";
  assert.equal(mistakes(file(users)), [
    'c.yml:3: pool "p": auth.users.ann.scripts is only valid with redis: true',
  ]);
  assert.equal(mistakes(file(users, "redis: true")), []);
});

/** For every secret below a row a line of YAML that gives it a value. */
function* secrets(key: string, row: Row): Generator<(value: string) => string> {
  if (row.secret) yield (value) => `${key}: ${value}`;
  const inside: [string, Row][] = "keys" in row
    ? Object.entries(row.keys)
    : "each" in row
    ? [["ann", row.each]]
    : [];
  for (const [name, inner] of inside) {
    for (const line of secrets(name, inner)) yield (value) => `${key}: {${line(value)}}`;
  }
}

test("the value of a secret key shows in no message and in no line of a reload", () => {
  let seen = 0;
  for (const line of POOL_KEYS.flatMap((key) => [...secrets(key, POOL_ROWS[key])])) {
    seen++;
    const more = line("").startsWith("sentinel:") ? [`sentinels: ${VALUES.sentinels}`] : [];
    const etcd = `{etcd: ['https://a:1'], prefix: c, ${
      line("").includes("auth") ? "user: u, " : ""
    }`;
    const whole = (value: string) => {
      // They go together.
      const given = line(value).replace("tls: {", "tls: {cert: a, ");
      if (!given.startsWith("discovery:")) return named(file("redis: true", ...more, given));
      return `p:\n  listen: 127.0.0.1:1\n  ${given.replace("{", etcd)}\n`;
    };
    const [before, after] = [whole("hunter2"), whole("hunter3")].map((text) => loadConfig(text));
    const lines = diffConfigs(before, after).changed.flatMap((pool) => pool.lines);
    assert.is(lines.length, 1, line(""));
    assert.not.match(lines[0], /hunter/);
    for (const wrong of ["[hunter2, a]", "{hunter2: hunter2}", '"hunter2\\nhunter2"']) {
      const told = mistakes(whole(wrong)).join("\n");
      assert.not.match(told, /hunter/);
    }
  }
  // redis_auth, auth.password, auth.users.*.password, tls.key, server_tls.key, and auth and tls.key
  // of sentinel and discovery
  assert.is(seen, 9);
});

test("a value that follows its key without a space is not shown", () => {
  assert.equal(mistakes("{p: {listen: '127.0.0.1:1', redis_auth:hunter2, servers: ['a:1:1']}}"), [
    'c.yml:1: pool "p": key "redis_auth:..." is not known; did you mean redis_auth?',
  ]);
  assert.equal(mistakes(file("auth: {password:hunter2}")), [
    'c.yml:3: pool "p": key "auth.password:..." is not known; did you mean password?',
  ]);
  assert.equal(mistakes(file("auth: {users: {'ann :hunter2': {password: x}}}")), [
    'c.yml:3: pool "p": auth.users "ann :...": names are ASCII without spaces',
  ]);
});

test("a key that stands in the place of its file's name is not shown", () => {
  const pem = '"-----BEGIN PRIVATE KEY-----\\nhunter2\\n-----END PRIVATE KEY-----"';
  for (const group of ["tls", "server_tls"]) {
    for (const key of ["key", "cert", "ca"]) {
      const others = ["key", "cert"].filter((one) => one !== key).map((one) => `${one}: a, `);
      assert.equal(mistakes(file(`${group}: {${others.join("")}${key}: ${pem}}`)), [
        `c.yml:3: pool "p": ${group}.${key} has to be the name of a file, not what is in it`,
      ]);
    }
  }
});

test("a password in the URL of a server is not shown", () => {
  const text = file().replace(`${dup}:1`, '"redis://ann:hunter2@a:6379:1"');
  assert.equal(mistakes(text), [
    'c.yml:4: pool "p": server "redis://...@a:6379:1" has an invalid host "redis://...@a"',
  ]);
});

test("what a reload does is said by the rows", () => {
  const having = (changed: (keys: ReadonlySet<string>) => boolean) =>
    POOL_KEYS.filter((key) => changed(new Set([key, "name"])));
  assert.equal(having(codecChanges), [
    ...["hash_tag", "cluster", "redis", "redis_auth", "redis_user", "auth", "redis_db", "commands"],
    "migrate",
  ]);
  assert.equal(having(connectionsChange), [
    ...["redis", "redis_auth", "redis_user", "server_tls", "redis_db", "server_connections"],
  ]);
  assert.equal(having(tickChanges), ["timeout", "health_check", "reads"]);
  assert.equal(POOL_KEYS.filter(bindChanges), ["backlog"]);
  assert.equal(Object.keys(GLOBAL_KEYS).filter(needsNewStart), [
    ...["workers", "admin", "statsd", "reuse_port"],
  ]);
  assert.equal(POOL_KEYS.filter((key) => hasSecret(POOL_ROWS[key])), [
    ...["sentinel", "redis_auth", "auth", "tls", "server_tls", "discovery"],
  ]);
});

test("all mistakes are told, in file order", () => {
  const text = "a:\n  lisen: 127.0.0.1:1\n  redis: yes\n  servers:\n   - x:1:0\n   - y:1:1\n" +
    "b:\n  listen: 127.0.0.1:99999\n  hash: md55\n  servers:\n   - x\n";
  assert.equal(mistakes(text).map((line) => line.split(" ")[0]), [
    "c.yml:1:",
    "c.yml:2:",
    "c.yml:3:",
    "c.yml:5:",
    "c.yml:8:",
    "c.yml:9:",
    "c.yml:11:",
  ]);
});

test("a mistake says file, line, column, pool and key", () => {
  const { mistakes: [mistake] } = checkConfig(file("timeout: x"), "dir/c.yml");
  const { message: _, ...where } = mistake;
  assert.equal(where, { file: "dir/c.yml", line: 3, column: 12, pool: "p", key: "timeout" });
});

test("loadConfig throws a ConfigError that holds the mistakes", () => {
  try {
    loadConfig(file("hash: x", "redis: y"), "c.yml");
    assert.unreachable();
  } catch (error) {
    assert.instance(error, ConfigError);
    assert.is((error as ConfigError).mistakes.length, 2);
    assert.is((error as Error).message.split("\n").length, 2);
  }
});

test("groups have their defaults, and users their rights", () => {
  const p = pool(
    "tls: {cert: a.pem, key: b.pem}",
    "server_tls: {insecure: true}",
    "health_check: {}",
    "auth: {password: x, users: {ann: {password: '1', access: read-only, prefixes: ['a:', 'b:']}}}",
  );
  assert.equal(p.tls, {
    cert: "a.pem",
    key: "b.pem",
    ca: "",
    require_client_cert: false,
    handshake_timeout: 3000,
  });
  assert.equal(p.server_tls, { ca: "", cert: "", key: "", server_name: "", insecure: true });
  assert.equal(p.health_check, { interval: 1000, timeout: 500 });
  const { ann } = p.auth!.users;
  assert.equal([ann.password, ann.access, ann.prefixes], ["1", "read-only", ["a:", "b:"]]);
});

test("global settings are read, and have defaults", () => {
  const { global } = loadConfig("global: {workers: auto, statsd: 'a:1'}\n" + file());
  assert.equal(global, {
    workers: "auto",
    admin: "",
    statsd: "a:1",
    watch: false,
    reuse_port: false,
    drain_timeout: 10000,
    log_format: "text",
    log_level: "notice",
  });
  assert.is(loadConfig(file()).global.workers, "1");
});

test("a pool may be called global", () => {
  assert.is(loadConfig(file().replace("p:", "global:")).pools[0].name, "global");
});

test("the nearest name is suggested, and none for a far one", () => {
  assert.is(nearest("tiemout", POOL_KEYS), "timeout");
  assert.is(nearest("time-out", POOL_KEYS), "timeout");
  assert.is(nearest("LISTEN", POOL_KEYS), "listen");
  assert.is(nearest("server", POOL_KEYS), "servers");
  assert.is(nearest("autoejecthosts", POOL_KEYS), "auto_eject_hosts");
  assert.is(nearest("zzzzzz", POOL_KEYS), "");
  assert.is(nearest("", POOL_KEYS), "");
});

// --------------------------------------------------------------------------- schema and examples

test("the JSON Schema and the table of keys are what the schema generates", () => {
  const docs = read(DOCS_FILE);
  const made = generate(docs);
  const hint = "run conf/make_schema.ts";
  assert.is(read(SCHEMA_FILE), made.schema, hint);
  assert.is(docs, made.docs, hint);
});

test("the JSON Schema knows every key and no other", () => {
  const schema = JSON.parse(read(SCHEMA_FILE));
  assert.equal(Object.keys(schema.additionalProperties.properties), POOL_KEYS);
  assert.is(schema.additionalProperties.additionalProperties, false);
  assert.is(
    schema.additionalProperties.required?.length ?? 0,
    0,
    "targets have no listen, fronts no servers",
  );
  for (const key of POOL_KEYS) {
    assert.ok(schema.additionalProperties.properties[key].description, key);
  }
});

test("the patterns of the JSON Schema take the addresses that are valid", () => {
  const { properties } = JSON.parse(read(SCHEMA_FILE)).additionalProperties;
  const listen = new RegExp(properties.listen.pattern);
  for (const text of ["a:1", "::1:22", "[::1]:22", "/tmp/a", "/tmp/a 0666", "/tmp/a:1"]) {
    assert.ok(listen.test(text), text);
    assert.type(parseListen(text), "object");
  }
  const server = new RegExp(properties.servers.items.anyOf[0].pattern);
  for (const text of ["a:1:1", "a:1:1 b:c", "::1:1:1", "[::1]:1:1 x", "/tmp/a:1", "/tmp/a:1 x"]) {
    assert.ok(server.test(text), text);
    assert.type(parseServer(text), "object");
  }
  for (const text of ["a", "a:1", "/tmp/a", "/tmp/a:b:1", "a:1:1 b c", "a:1:1 "]) {
    assert.not.ok(server.test(text), text);
    assert.type(parseServer(text), "string");
  }
});

/** What an editor does: the few words of JSON Schema that ours uses; "" or the path of an error. */
function invalid(schema: Record<string, unknown>, value: unknown, at = "file"): string {
  if (schema.type === undefined) {
    const choice = (schema.anyOf ?? [{}]) as Record<string, unknown>[];
    const fits = (one: Record<string, unknown>) =>
      Object.keys(one).length === 0 || invalid(one, value, at) === "";
    return choice.some(fits) ? "" : at;
  }
  const types = [schema.type ?? []].flat() as string[];
  const kind = Array.isArray(value) ? "array" : Number.isInteger(value) ? "integer" : typeof value;
  if (!types.includes(kind) && !(kind === "integer" && types.includes("number"))) return at;
  if (schema.enum !== undefined && !(schema.enum as unknown[]).includes(value)) return at;
  if (typeof value === "string" && schema.pattern !== undefined) {
    if (!new RegExp(schema.pattern as string, "u").test(value)) return at;
  }
  if (typeof value === "number" && value < (schema.minimum as number ?? -Infinity)) return at;
  if (typeof value === "number" && value > (schema.maximum as number ?? Infinity)) return at;
  if (Array.isArray(value)) {
    if (value.length < (schema.minItems as number ?? 0)) return at;
    const items = schema.items as Record<string, unknown>;
    return value.map((item, i) => invalid(items, item, `${at}[${i}]`)).find((e) => e) ?? "";
  }
  if (kind !== "object") return "";
  const entries = Object.entries(value as Record<string, unknown>);
  for (const key of (schema.required ?? []) as string[]) {
    if (!entries.some(([name]) => name === key)) return `${at}.${key}`;
  }
  const ways = (schema.anyOf ?? []) as { required: string[] }[];
  const names = entries.map(([name]) => name);
  if (
    ways.length > 0 && !ways.some(({ required }) => required.every((key) => names.includes(key)))
  ) {
    return `${at}.${ways[0].required[0]}`;
  }
  for (const [key, then] of Object.entries(schema.dependencies ?? {})) {
    if (!entries.some(([name]) => name === key)) continue;
    const { required = [], properties } = then as {
      required?: string[];
      properties: Record<string, { enum: unknown[] }>;
    };
    const settings = value as Record<string, unknown>;
    const unmet = Object.entries(properties).some(([other, { enum: values }]) =>
      Object.hasOwn(settings, other) ? !values.includes(settings[other]) : required.includes(other)
    );
    if (unmet) return `${at}.${key}`;
  }
  const known = (schema.properties ?? {}) as Record<string, Record<string, unknown>>;
  for (const [name, inner] of entries) {
    const found = known[name] ?? (schema.additionalProperties || null);
    const wrong = found === null ? `${at}.${name}` : invalid(found, inner, `${at}.${name}`);
    if (wrong !== "") return wrong;
  }
  return "";
}

test("discovery: one place, and what belongs to it", () => {
  const of = (value: string, ...more: string[]) => {
    const lines = [`  discovery: ${value}`, ...more.map((line) => `  ${line}`)].join("\n");
    return mistakes(`p:\n  listen: 127.0.0.1:1\n${lines}\n`).join("\n");
  };
  const said = (message: string) => `c.yml:3: pool "p": ${message}`;
  assert.is(of("{srv: _mc._tcp.cache.example, min: 1000, max_loss: 0.5}"), "");
  assert.is(of("{dns: cache.example, port: 11211, resolver: '127.0.0.1:53'}"), "");
  assert.is(of("{file: servers.yml, max_loss: 1}"), "");
  assert.is(of("{etcd: ['http://127.0.0.1:2379'], prefix: /caches/}"), "");
  assert.is(of("{}"), said("discovery needs one of srv, dns, file and etcd"));
  assert.is(of("{srv: a, file: b}"), said("discovery needs one of srv, dns, file and etcd"));
  assert.is(of("{dns: a}"), said("discovery.dns and discovery.port go together"));
  assert.is(of("{srv: a, port: 1}"), said("discovery.dns and discovery.port go together"));
  assert.is(
    of("{etcd: ['http://127.0.0.1:2379']}"),
    said("discovery.etcd and discovery.prefix go together"),
  );
  assert.is(
    of("{etcd: [127.0.0.1:2379], prefix: a}"),
    said('discovery.etcd "127.0.0.1:2379" has to be a URL such as http://127.0.0.1:2379'),
  );
  assert.is(
    of("{file: a, resolver: '1.2.3.4:53'}"),
    said("discovery.resolver is only valid with discovery.srv or discovery.dns"),
  );
  assert.is(
    of("{srv: a, max_loss: 1.5}"),
    said('discovery.max_loss "1.5" has to be a number from 0 to 1'),
  );
  assert.is(
    of("{srv: a}", "servers: [1.2.3.4:1:1]"),
    'c.yml:4: pool "p": servers is not allowed with discovery, which finds them',
  );
  assert.match(
    of("{srv: a}", "redis: true", "distribution: cluster"),
    /discovery is not allowed with distribution: cluster/,
  );
  assert.match(of("{srv: a}", "routes: {default: p}"), /discovery is not allowed with routes/);
  const etcd = (more: string, url = "https://a:2379") =>
    of(`{etcd: ['${url}'], prefix: /c/, ${more}}`);
  assert.is(etcd("user: u, auth_file: f, tls: {ca: a.pem}"), "");
  assert.is(etcd("user: u, auth_env: E", "http://a:2379"), "");
  const pair = "discovery.user and discovery.auth (or auth_file, auth_env) go together";
  assert.is(etcd("user: u"), said(pair));
  assert.is(etcd("auth: x"), said(pair));
  assert.is(
    etcd("user: u, auth: x, auth_env: E"),
    said("discovery: only one of auth, auth_file and auth_env can be given"),
  );
  assert.is(
    etcd("tls: {insecure: true}", "http://a:2379"),
    said("discovery.tls needs a URL with https:// in discovery.etcd"),
  );
  assert.is(
    etcd("tls: {cert: a.pem}"),
    said("discovery.tls.cert and discovery.tls.key go together"),
  );
  assert.is(
    of("{srv: a, user: u, auth: x}"),
    said("discovery.user, discovery.auth and discovery.tls are only valid with discovery.etcd"),
  );
});

test("proxy_protocol: networks, no unix socket", () => {
  const only = (value: string) => mistakes(file(`proxy_protocol: ${value}`)).join("\n");
  assert.is(only("{from: [10.0.0.0/8, '::1']}"), "");
  assert.equal(pool("proxy_protocol: {from: [10.0.0.0/8]}").proxy_protocol, {
    from: ["10.0.0.0/8"],
    timeout: 3000,
  });
  assert.is(
    only("{from: []}"),
    'c.yml:3: pool "p": proxy_protocol.from has to name at least one network',
  );
  assert.is(
    only("{from: [balancer]}"),
    'c.yml:3: pool "p": proxy_protocol.from "balancer" has to be an address or a network, such as ' +
      "10.0.0.0/8 or fd00::/8",
  );
  assert.match(only("{from: [10.0.0.0/33]}"), /has 33 for a number of bits \(0 to 32\)/);
  assert.match(only("{from: [10.0.0.0/8], timeout: 0}"), /timeout "0" has to be a whole number/);
  const unix = "p:\n  listen: /tmp/s\n  proxy_protocol: {from: [::1]}\n  servers: [1.2.3.4:1:1]\n";
  assert.match(mistakes(unix).join("\n"), /only valid where the pool listens on host:port/);
});

test("the JSON Schema takes the examples and refuses what is misspelt or out of range", () => {
  const schema = JSON.parse(read(SCHEMA_FILE));
  const judge = (text: string): string => invalid(schema, parse(text));
  for (
    const name of [
      "conf/demo.yml",
      "conf/nutcracker.yml",
      "conf/behind-haproxy.yml",
      "conf/discovery.yml",
      "conf/replicas.yml",
    ]
  ) {
    assert.is(judge(read(name)), "");
  }
  assert.is(judge(file("redis: true", "redis_auth: 123", "timeout: 0")), "");
  const commands = ["commands:", "  deny: [keys]", "  rename: {wipe: flushall}"];
  assert.is(judge(file("redis: true", ...commands)), "");
  const wrongCommands = (line: string) => judge(file("redis: true", line));
  assert.is(wrongCommands("commands: {denied: [keys]}"), "file.p.commands.denied");
  assert.is(wrongCommands("commands: {deny: keys}"), "file.p.commands.deny");
  assert.is(judge(file("pinned_connections: 3")), "file.p.pinned_connections");
  assert.is(judge(file("pinned_connections: 3", "redis: false")), "file.p.pinned_connections");
  assert.is(judge(file("pinned_connections: 3", "redis: true")), "");
  assert.is(judge(file("tiemout: 4")), "file.p.tiemout");
  assert.is(judge(file("timeout: -1")), "file.p.timeout");
  assert.is(judge(file("timeout: soon")), "file.p.timeout");
  assert.is(judge(file("redis: maybe")), "file.p.redis");
  assert.is(judge(file("distribution: ketma")), "file.p.distribution");
  assert.is(judge(file("server_connections: 0")), "file.p.server_connections");
  assert.is(judge(file() + "   - a:1\n"), "file.p.servers[1]");
  assert.is(judge("p:\n  listen: a:1\n"), "file.p.servers");
  assert.is(judge("p: 1\n"), "file.p");
});

test("the example files load", () => {
  const demo = loadConfig(read("conf/demo.yml")).pools;
  assert.equal(demo.map((p) => [p.name, p.listen.port, p.redis, p.servers.length, p.timeout]), [
    ["redis", 22121, true, 3, 400],
    ["memcached", 22122, false, 3, 400],
  ]);
  const names = loadConfig(read("conf/nutcracker.yml")).pools.map((p) => p.name);
  assert.equal(names, ["beta", "alpha", "delta", "gamma", "omega"]);
  const routes = ["two_data_centres", "replicated_cache", "shadow", "prefixes"];
  const listed = fs.readdirSync("conf").filter((name) => name.startsWith("routes_"));
  assert.equal(listed.sort(), routes.map((name) => `routes_${name}.yml`).sort());
  const schema = JSON.parse(read(SCHEMA_FILE));
  for (const name of listed) {
    assert.ok(loadConfig(read(`conf/${name}`)).pools.some((pool) => pool.routes), name);
    assert.is(invalid(schema, parse(read(`conf/${name}`))), "", name);
  }
});

test("the examples in docs/configuration.md load, and all pools that other documents show whole", () => {
  const blocksOf = (file: string): string[] =>
    [...read(file).matchAll(/```yaml\n(.*?)```/gs)].map(([, text]) => text);
  assert.ok(blocksOf(DOCS_FILE).length > 0);
  for (const text of blocksOf(DOCS_FILE)) loadConfig(text);
  const others = fs.readdirSync(path.join(root, "docs")).filter((name) => name.endsWith(".md"));
  for (const file of ["README.md", ...others.map((name) => `docs/${name}`)]) {
    for (const text of blocksOf(file)) {
      if (/^ {2}listen:/m.test(text)) loadConfig(text, file);
    }
  }
});

// -------------------------------------------------------------------------- the same as nutcracker

/** Where the two differ on purpose: docs/configuration.md, "Differences from twemproxy". */
const DIFFERENT = "differs";

const swap = (from: string, to: string): string => file().replace(from, to);

const TABLE: [text: string, verdict: "ok" | "bad", note?: typeof DIFFERENT][] = [
  [file(), "ok"],
  [file("hash: md5", "distribution: modula"), "ok"],
  [file("hash: MD5"), "bad"],
  [file("hash: fnv1a_64 # the default"), "ok"],
  [file("distribution: ring"), "bad"],
  [file("hash:"), "bad"],
  [file("redis: true"), "ok"],
  [file('redis: "true"'), "ok"],
  [file("redis: 'false'"), "ok"],
  [file("redis: yes"), "bad"],
  [file("redis: True"), "bad"],
  [file("redis: 1"), "bad"],
  [file("timeout: 0"), "ok"],
  [file("timeout: -1"), "bad"],
  [file("timeout: 1.5"), "bad"],
  [file("timeout: 1e3"), "bad"],
  [file("timeout: 0x10"), "bad"],
  [file("timeout: 007"), "ok"],
  [file('timeout: "400"'), "ok"],
  [file("timeout: 2147483647"), "ok"],
  [file("timeout: 2147483648"), "bad"],
  [file("timeout: 99999999999"), "bad", DIFFERENT],
  [file("backlog: 0"), "ok"],
  [file("client_connections: 5"), "ok"],
  [file("server_connections: 0"), "bad"],
  [file("server_failure_limit: 0"), "ok"],
  [file("server_retry_timeout: 0"), "ok"],
  [file("redis_db: 3"), "ok"],
  [file("redis_auth: x"), "bad"],
  [file("redis_auth: x", "redis: false"), "bad"],
  [file("redis_auth: x", "redis: true"), "ok"],
  [file('redis_auth: ""', "redis: true"), "bad"],
  [file("reuseport: true"), "ok", DIFFERENT],
  [file('hash_tag: "{}"'), "ok"],
  [file('hash_tag: "$$"'), "ok"],
  [file("hash_tag: <>"), "ok"],
  [file('hash_tag: "{"'), "bad"],
  [file('hash_tag: "{}}"'), "bad"],
  [file('hash_tag: "\u00e9"'), "bad", DIFFERENT],
  [file("hash_tag: {}"), "bad"],
  [file("lisen: a"), "bad"],
  [file("timeout: 1", "timeout: 1"), "bad"],
  [file("listen: 127.0.0.1:2"), "bad"],
  [file("redis:", "  x: true"), "bad"],
  [file("hash: &a md5"), "bad"],
  [file("hash: !!str md5"), "bad"],
  [swap("127.0.0.1:1\n", "::1:22\n"), "ok"],
  [swap("127.0.0.1:1\n", '"[::1]:22"\n'), "ok", DIFFERENT],
  [swap("127.0.0.1:1\n", "127.0.0.1:0\n"), "bad"],
  [swap("127.0.0.1:1\n", "127.0.0.1:65536\n"), "bad"],
  [swap("127.0.0.1:1\n", "127.0.0.1\n"), "bad"],
  [swap("127.0.0.1:1\n", ":1\n"), "bad"],
  [swap("127.0.0.1:1\n", "/tmp/x.sock\n"), "ok"],
  [swap("127.0.0.1:1\n", "/tmp/x.sock:1\n"), "ok"],
  [swap("127.0.0.1:1\n", "/tmp/x.sock 0777\n"), "ok"],
  [swap("127.0.0.1:1\n", "/tmp/x.sock 666\n"), "ok"],
  [swap("127.0.0.1:1\n", "/tmp/x.sock 0\n"), "ok"],
  [swap("127.0.0.1:1\n", "/tmp/x.sock 1777\n"), "bad"],
  [swap("127.0.0.1:1\n", "/tmp/x.sock 0999\n"), "bad", DIFFERENT],
  [swap("127.0.0.1:1\n", `/${"a".repeat(106)}\n`), "ok"],
  [swap("127.0.0.1:1\n", `/${"a".repeat(107)}\n`), "bad"],
  [swap(`${dup}:1`, "::1:11211:1"), "ok"],
  [swap(`${dup}:1`, '"[::1]:11211:1"'), "ok"],
  [swap(`${dup}:1`, "[::1]:11211:1"), "bad"],
  [swap(`${dup}:1`, "127.0.0.1:11211:1 a"), "ok"],
  [swap(`${dup}:1`, "127.0.0.1:11211:1 a:1"), "ok"],
  [swap(`${dup}:1`, "127.0.0.1:11211:1  a"), "bad"],
  [swap(`${dup}:1`, "127.0.0.1:11211:1 a b"), "bad"],
  [swap(`${dup}:1`, '"127.0.0.1:11211:1 "'), "bad", DIFFERENT],
  [swap(`${dup}:1`, "127.0.0.1:11211"), "bad"],
  [swap(`${dup}:1`, "127.0.0.1:11211:0"), "bad"],
  [swap(`${dup}:1`, "127.0.0.1:11211:-1"), "bad"],
  [swap(`${dup}:1`, "127.0.0.1:11211:4294967297"), "bad", DIFFERENT],
  [swap(`${dup}:1`, "127.0.0.1:0:1"), "bad"],
  [swap(`${dup}:1`, ":11211:1"), "bad", DIFFERENT],
  [swap(`${dup}:1`, "/tmp/a:1"), "ok"],
  [swap(`${dup}:1`, "/tmp/a:1 n:1"), "ok"],
  [swap(`${dup}:1`, "/tmp/a:b:1"), "bad"],
  [swap(`${dup}:1`, "/tmp/a"), "bad"],
  [swap(`${dup}:1`, "/tmp/a b:1"), "bad"],
  [swap(`${dup}:1`, `/${"a".repeat(107)}:1`), "bad", DIFFERENT],
  [swap(`${dup}:1`, "no-such-host.invalid:11211:1"), "ok"],
  [file() + `   - ${dup}:2\n`, "bad"],
  [file() + `   - ${dup}:2 other\n`, "ok"],
  [file() + "   - k: v\n", "bad"],
  ["p:\n  servers:\n  - 127.0.0.1:1:1\n  listen: 127.0.0.1:1\n", "ok"],
  ["p:\n  listen: 127.0.0.1:1\n", "bad"],
  ["p:\n  listen: 127.0.0.1:1\n  servers:\n", "bad"],
  ["p:\n  listen: 127.0.0.1:1\n  servers: []\n", "bad"],
  ["p:\n  listen: 127.0.0.1:1\n  servers: 127.0.0.1:1:1\n", "bad"],
  ['p:\n  listen: 127.0.0.1:1\n  servers: ["127.0.0.1:1:1"]\n', "ok", DIFFERENT],
  ['{"p": {"listen": "127.0.0.1:1", "servers": ["127.0.0.1:1:1"]}}\n', "ok", DIFFERENT],
  [file() + file().replace("p:", "q:"), "bad"],
  [file() + swap("p:", "q:").replace("127.0.0.1:1\n", "127.0.0.1:2\n"), "ok"],
  [file() + swap("127.0.0.1:1\n", "127.0.0.1:2\n"), "bad"],
  [swap("p:", "a b:"), "ok"],
  [swap("p:", '"a,b":'), "ok"],
  ["# comment\n\n" + file(), "ok"],
  ["---\n" + file(), "ok", DIFFERENT],
  [file() + "---\n" + swap("p:", "q:"), "bad"],
  [file("redis_auth: |", "  x", "redis: true"), "ok"],
  ["p: x\n", "bad"],
  ["- a\n", "bad"],
  ["", "bad"],
  ["# only a comment\n", "bad"],
  ["p:\n\tlisten: 127.0.0.1:1\n", "bad"],
];

test("each file of the table is judged as it says", () => {
  for (const [text, verdict] of TABLE) {
    const found = checkConfig(text, "c.yml").config === null ? "bad" : "ok";
    assert.is(found, verdict, `${text}\n${mistakes(text).join("\n")}`);
  }
});

function nutcracker(args: string[]): number | null {
  for (const program of ["nutcracker", "/usr/sbin/nutcracker"]) {
    const done = spawnSync(program, args, { encoding: "utf8" });
    if (done.error === undefined) return done.status;
  }
  return null;
}

const installed = nutcracker(["-V"]) === 0;
if (!installed) console.log("nutcracker is not installed: comparison with it skipped");

(installed ? test : test.skip)(
  "nutcracker judges the table the same, but for the noted rows",
  () => {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), "ringmux-config-"));
    try {
      const conf = path.join(folder, "c.yml");
      for (const [text, verdict, note] of TABLE) {
        fs.writeFileSync(conf, text);
        const found = nutcracker(["-t", "-c", conf]) === 0 ? "ok" : "bad";
        const expected = note === DIFFERENT ? (verdict === "ok" ? "bad" : "ok") : verdict;
        assert.is(found, expected, text);
      }
      for (const example of ["conf/demo.yml", "conf/nutcracker.yml"]) {
        assert.is(nutcracker(["-t", "-c", path.join(root, example)]), 0, example);
      }
    } finally {
      fs.rmSync(folder, { recursive: true });
    }
  },
);

test("a near cache needs prefixes that do not overlap, and keys that are on a certain server", () => {
  const of = (near: string, ...more: string[]) =>
    mistakes(file("redis: true", `near_cache: ${near}`, ...more));
  assert.equal(of("{prefixes: ['a:', 'b:'], bytes: 65536, ttl: 1, silence: 10}"), []);
  assert.equal(of("{ttl: 5}"), [
    'c.yml:4: pool "p": near_cache.prefixes has to name at least one prefix, or near_cache.auto to be true',
  ]);
  assert.equal(of("{auto: true}"), []);
  assert.equal(of("{ttl: 0}"), []);
  assert.equal(of("{prefixes: [ab, b, a]}"), [
    'c.yml:4: pool "p": near_cache.prefixes "ab" and "a" overlap; the shorter one is enough',
  ]);
  assert.equal(of("{prefixes: [a]}", "distribution: random"), [
    'c.yml:4: pool "p": near_cache is not allowed with distribution: random: a key is on no certain server',
  ]);
  assert.match(of("{prefixes: [a], bytes: 1}")[0], /near_cache.bytes "1" has to be/);
  assert.match(of("{prefix: [a]}")[0], /"near_cache.prefix" is not known; did you mean prefixes\?/);
});

test("the sample configuration of a near cache is right", () => {
  const [pool] = loadConfig(read("conf/near-cache.yml")).pools;
  assert.equal(pool.near_cache?.prefixes, ["cfg:", "flag:"]);
  assert.is(pool.near_cache?.silence, 5000);
});

test("with sentinels the servers have the names that those know, and nobody else watches", () => {
  const own = ['sentinels: ["10.0.0.1:26379:1", "[::1]:26379:1", "s.example:26379"]'];
  const { sentinels, sentinel } = loadConfig(named(file("redis: true", ...own))).pools[0];
  assert.equal(sentinels.map(({ address: { host, port } }) => `${host} ${port}`), [
    ...["10.0.0.1 26379", "::1 26379", "s.example 26379"],
  ]);
  assert.is(sentinel, undefined);
  const told = (...lines: string[]) => mistakes(named(file("redis: true", ...own, ...lines)));
  const first = (text: string): string => `c.yml:5: pool "p": ${text}`;
  assert.equal(mistakes(file("redis: true", ...own)), [
    'c.yml:6: pool "p": server "127.0.0.1:11211:1" needs a name, the one that the sentinels know it by',
  ]);
  assert.equal(told("auto_eject_hosts: true"), [
    first("auto_eject_hosts is not allowed with sentinels: they replace failed servers themselves"),
  ]);
  assert.equal(told("health_check: {interval: 100}"), [
    first("health_check is not allowed with sentinels: they watch over the servers themselves"),
  ]);
  assert.equal(told("distribution: cluster"), [
    'c.yml:4: pool "p": sentinels is not allowed with distribution: cluster, which needs none',
  ]);
  assert.match(told("distribution: random")[0], first('distribution "random" is not allowed with'));
  assert.equal(told("sentinel: {auth: a, auth_env: B}"), [
    first("sentinel: only one of auth, auth_file and auth_env can be given"),
  ]);
  assert.equal(told("sentinel: {user: a}"), [
    first("sentinel.user needs auth, auth_file or auth_env"),
  ]);
  assert.equal(told("sentinel: {usr: a}"), [
    first('key "sentinel.usr" is not known; did you mean user?'),
  ]);
  assert.equal(told("sentinel: {tls: {cert: a}}"), [
    first("sentinel.tls.cert and sentinel.tls.key go together"),
  ]);
  assert.equal(told("wait: 0", "park_bytes: 0"), []);
  assert.equal(mistakes(file("redis: true", "wait: 0")), [
    'c.yml:4: pool "p": wait is only valid with distribution: cluster or sentinels',
  ]);
  assert.equal(mistakes(file("redis: true", "sentinel: {auth: a}")), [
    'c.yml:4: pool "p": sentinel is only valid with sentinels',
  ]);
  const wrong = (one: string) => mistakes(named(file("redis: true", `sentinels: ["${one}"]`)))[0];
  assert.match(wrong("10.0.0.1:26379:1 a"), "has to be host:port:weight, without a name");
  assert.match(wrong("10.0.0.1"), "has to be host:port:weight");
  assert.match(wrong("10.0.0.1:26379:1:1"), "has to be host:port:weight");
  assert.match(wrong("/tmp/a:1"), "has to be host:port:weight");
  assert.equal(mistakes(named(file("redis: true", "sentinels: []"))), [
    'c.yml:4: pool "p": sentinels has to name at least one',
  ]);
});

test("what a Redis Cluster sees to itself is not for the configuration", () => {
  const lines = ["redis: true", "distribution: cluster"];
  assert.equal(mistakes(file(...lines, "wait: 0", "park_bytes: 0")), []);
  assert.equal(
    mistakes(file(...lines, "cluster: {redirects: 3, address_map: {'a:1': 'b:2'}}")),
    [],
  );
  assert.match(mistakes(file("distribution: cluster"))[0], "is only valid with redis: true");
  for (
    const line of [
      "hash: crc16",
      'hash_tag: "{}"',
      "auto_eject_hosts: false",
      "redis_db: 1",
      "health_check: {interval: 1000}",
      "cluster: {refresh: 1}",
      "cluster: {address_map: {'a:1': 'b'}}",
    ]
  ) {
    const found = mistakes(file(...lines, line));
    assert.is(found.length, 1, line);
    assert.match(found[0], `c.yml:5: pool "p": ${line.split(":", 1)[0]}`);
  }
  const mapped = (key: string): string[] =>
    mistakes(file(...lines, `cluster: {address_map: {"${key}": "b:2"}}`));
  for (const key of ["a:1", "fd00::2:6379", "node-1.example.net:6379"]) {
    assert.equal(mapped(key), [], key);
  }
  const map = 'c.yml:5: pool "p": cluster.address_map:';
  const itself = ", as the node calls itself";
  assert.equal(mapped("172.17.0.2"), [`${map} "172.17.0.2" has to be host:port${itself}`]);
  assert.equal(mapped("[fd00::2]:6379"), [
    `${map} "[fd00::2]:6379" has to be written "fd00::2:6379"${itself}`,
  ]);
  const node = file(...lines, "cluster: {act_as_node: true}");
  assert.equal(mistakes(node), []);
  assert.equal(mistakes(node.replace("127.0.0.1:1\n", "/tmp/p.sock\n")), [
    'c.yml:5: pool "p": cluster.act_as_node is only valid where the pool listens on host:port: a ' +
    "cluster's nodes have no other addresses",
  ]);
});

test.run();
