// What a pool's configuration changes about Redis commands: those switched off, those by another
// name, and database 0, which is the pool's own. Requests are fed whole and cut at every byte.

import { test } from "uvu";
import * as assert from "uvu/assert";
import { bytes, text } from "../../core/bytes.ts";
import type { CommandPolicy } from "../../core/protocol/codec.ts";
import {
  ALL,
  ANY,
  DONE,
  FORWARD,
  MORE,
  NOTHING,
  REFUSE,
  Scan,
  TOGETHER,
} from "../../core/protocol/scan.ts";
import type { Facts } from "../../core/protocol/session.ts";
import { newCodec } from "../../core/protocol/mod.ts";
import { RedisCodec } from "../../core/protocol/redis/codec.ts";
import { COMMANDS, SUB } from "../../core/protocol/redis/commands.ts";
import { PolicedCodec } from "../../core/protocol/redis/policy.ts";

const factsOf = (servers: number) => ({ servers: () => servers }) as unknown as Facts;
const facts = factsOf(2);
const codecOf = (commands: Partial<CommandPolicy>, db = 0, servers = 2) =>
  newCodec("redis", {
    auth: "",
    db,
    maxRequest: 1 << 20,
    commands: { deny: [], allow: [], rename: {}, ...commands },
  }, factsOf(servers));

const array = (line: string): string => {
  const words = line.split(" ");
  return `*${words.length}\r\n${words.map((w) => `$${w.length}\r\n${w}\r\n`).join("")}`;
};

/** Whole and cut at every byte: the error, or the command's name and what the server gets. */
function judge(codec: ReturnType<typeof codecOf>, request: string): string {
  let verdict = "";
  for (let cut = 0; cut < request.length; cut++) {
    const buf = bytes(`..${request}..`);
    const end = 2 + request.length;
    const scan = new Scan();
    if (cut > 0) assert.is(codec.parseRequest(scan, buf, 2, 2 + cut), MORE);
    assert.is(codec.parseRequest(scan, buf, 2, end), DONE);
    assert.is(scan.length, request.length);
    const sent = scan.scratch === null
      ? text(buf, 2, end)
      : text(scan.scratch, 0, scan.scratchLength);
    const now = scan.action === REFUSE
      ? text(scan.error, 0, scan.error.length)
      : `${COMMANDS[scan.verb].name} ${sent}`;
    if (verdict === "") verdict = now;
    assert.is(now, verdict, `cut at ${cut}`);
  }
  return verdict;
}

const off = (name: string, list: string) =>
  `-ERR command '${name}' is switched off by this proxy's configuration (commands.${list})\r\n`;

test("a pool without rules has the plain codec", () => {
  assert.ok(codecOf({}) instanceof RedisCodec);
  assert.not.ok(codecOf({}) instanceof PolicedCodec);
  assert.not.ok(
    newCodec("redis", { auth: "x", db: 0, maxRequest: 1 }, facts) instanceof PolicedCodec,
  );
  assert.ok(codecOf({ deny: ["keys"] }) instanceof PolicedCodec);
});

test("a denied command is an error, the others work", () => {
  const codec = codecOf({ deny: ["keys", "config", "script|flush", "set", "sinter"] });
  assert.is(judge(codec, array("KEYS *")), off("keys", "deny"));
  assert.is(judge(codec, "keys *\r\n"), off("keys", "deny"));
  assert.is(judge(codec, array("SET a 1")), off("set", "deny"));
  assert.is(judge(codec, array("SINTER a b")), off("sinter", "deny"));
  assert.is(judge(codec, array("CONFIG GET save")), off("config get", "deny"));
  assert.is(judge(codec, array("CONFIG SET a b")), off("config set", "deny"));
  assert.is(judge(codec, array("SCRIPT FLUSH")), off("script flush", "deny"));
  assert.is(judge(codec, array("GET a")), `get ${array("GET a")}`);
  assert.is(judge(codec, array("SCRIPT LOAD x")), `script|load ${array("SCRIPT LOAD x")}`);
  assert.match(judge(codec, array("NOPE")), /^-ERR unknown command 'NOPE'/);
});

test("subcommands of CLIENT and COMMAND can be denied and allowed one by one", () => {
  const denied = codecOf({ deny: ["client|kill", "command|docs"] });
  assert.is(judge(denied, array("CLIENT KILL 1:2")), off("client kill", "deny"));
  assert.is(judge(denied, array("COMMAND DOCS get")), off("command docs", "deny"));
  assert.is(judge(denied, array("CLIENT ID")), `client|id ${array("CLIENT ID")}`);
  assert.is(judge(denied, array("COMMAND")), `command ${array("COMMAND")}`);
  const allowed = codecOf({ allow: ["client|id", "command|count"] });
  assert.is(judge(allowed, array("CLIENT ID")), `client|id ${array("CLIENT ID")}`);
  assert.is(judge(allowed, array("CLIENT LIST")), off("client list", "allow"));
  assert.is(judge(allowed, array("COMMAND COUNT")), `command|count ${array("COMMAND COUNT")}`);
  assert.is(judge(allowed, array("COMMAND")), off("command", "allow"));
  const all = codecOf({ deny: ["client", "cluster"] });
  assert.is(judge(all, array("CLIENT ID")), off("client id", "deny"));
  assert.is(judge(all, array("CLUSTER SLOTS")), off("cluster slots", "deny"));
});

test("with an allow list all others are errors, but what every client needs", () => {
  const codec = codecOf({ allow: ["get", "mget", "config|get"] });
  assert.is(judge(codec, array("get a")), `get ${array("get a")}`);
  assert.is(judge(codec, array("MGET a b")), `mget ${array("MGET a b")}`);
  assert.is(judge(codec, array("CONFIG GET x")), `config|get ${array("CONFIG GET x")}`);
  assert.is(judge(codec, array("HELLO 3")), `hello ${array("HELLO 3")}`);
  assert.is(judge(codec, "quit\r\n"), "quit *1\r\n$4\r\nquit\r\n");
  assert.is(judge(codec, array("SET a 1")), off("set", "allow"));
  assert.is(judge(codec, array("PING")), off("ping", "allow"));
  assert.is(judge(codec, array("CONFIG RESETSTAT")), off("config resetstat", "allow"));
  assert.is(
    judge(codecOf({ allow: ["get"], deny: ["hello"] }), array("HELLO")),
    off("hello", "deny"),
  );
});

test("a renamed command works by its new name only, and the server gets its own", () => {
  const codec = codecOf({ rename: { wipe: "flushall", g: "get", cfg: "config" } });
  assert.is(judge(codec, array("WIPE ASYNC")), `flushall ${array("flushall ASYNC")}`);
  assert.is(judge(codec, "wipe\r\n"), `flushall ${array("flushall")}`);
  assert.is(judge(codec, array("g \xff")), `get ${array("get \xff")}`);
  assert.is(judge(codec, array("CFG GET x")), `config|get ${array("config GET x")}`);
  assert.match(judge(codec, array("FLUSHALL")), /^-ERR unknown command 'FLUSHALL', with args/);
  assert.match(judge(codec, array("get a")), /^-ERR unknown command 'get', .*: 'a' \r\n$/);
  assert.match(judge(codec, array("CONFIG GET x")), /^-ERR unknown command 'CONFIG'/);
  assert.match(judge(codec, array("CONFIG SET x y")), /^-ERR unknown command 'CONFIG'/);
  assert.match(judge(codec, array("g")), /^-ERR wrong number of arguments for 'get' command/);
  assert.match(judge(codec, array("nope")), /^-ERR unknown command 'nope'/);
  const both = codecOf({ rename: { wipe: "flushall" }, allow: ["get"] });
  assert.is(judge(both, array("WIPE")), off("flushall", "allow"));
});

test("the first key of a renamed command is in what the server gets", () => {
  const codec = codecOf({ rename: { fetch: "get", both: "sinter" } });
  const scan = new Scan();
  const buf = bytes(array("fetch key"));
  assert.is(codec.parseRequest(scan, buf, 0, buf.length), DONE);
  assert.is(scan.action, FORWARD);
  assert.is(text(scan.scratch as Uint8Array, scan.keyStart, scan.keyEnd), "key");
  const two = bytes(array("both a key"));
  assert.is(codec.parseRequest(scan, two, 0, two.length), DONE);
  assert.is(scan.action, TOGETHER);
  codec.keys?.select(scan, 1);
  assert.is(text(scan.scratch as Uint8Array, scan.keyStart, scan.keyEnd), "key");
  const plain = bytes(array("DEBUG x"));
  assert.is(codec.parseRequest(scan, plain, 0, plain.length), DONE);
  assert.is(scan.scratch, null);
  const empty = bytes("\r\n");
  assert.is(codec.parseRequest(scan, empty, 0, empty.length), DONE);
  assert.is(scan.action, NOTHING);
  const any = bytes(array("COMMAND"));
  assert.is(codec.parseRequest(scan, any, 0, any.length), DONE);
  assert.is(scan.action, ANY);
});

test("a long value of a denied command is not passed on before it is judged", () => {
  for (const deny of [[], ["set"]]) {
    const codec = codecOf({ deny, allow: ["set", "get"] });
    const scan = new Scan();
    const begun = bytes("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$200000\r\nxxxx");
    assert.is(codec.parseRequest(scan, begun, 0, begun.length), MORE);
    assert.ok(scan.length > 200_000);
    assert.is(scan.action, deny.length > 0 ? REFUSE : FORWARD);
  }
});

test("DEBUG is refused unless allow names it, whatever else is allowed", () => {
  for (const codec of [codecOf({ deny: ["keys"] }), codecOf({ allow: ["@all"] })]) {
    assert.match(judge(codec, array("DEBUG SLEEP 0")), /^-ERR 'debug' is not supported by ringmux/);
    assert.match(judge(codec, array("GET a")), /^get /);
  }
  assert.is(judge(codecOf({ allow: ["get"] }), array("DEBUG SLEEP 0")), off("debug", "allow"));
  const both = codecOf({ allow: ["@all", "debug"], deny: ["debug"] });
  assert.is(judge(both, array("DEBUG SLEEP 0")), off("debug", "deny"));
});

test("DEBUG goes by its key, to every server or to any, or is refused with the reason", () => {
  for (const allow of [["debug"], ["@all", "debug"]]) {
    const codec = codecOf({ allow, rename: { bug: "debug" } });
    const plain = codecOf({ allow });
    const route = (line: string): string => {
      const scan = new Scan();
      const buf = bytes(array(line));
      assert.is(plain.parseRequest(scan, buf, 0, buf.length), DONE);
      if (scan.action === REFUSE) return text(scan.error, 0, scan.error.length);
      const key = (i: number) => {
        if (scan.action === TOGETHER) plain.keys?.select(scan, i);
        return text(buf, scan.keyStart, scan.keyEnd);
      };
      if (scan.action === FORWARD) return `key ${key(0)}`;
      if (scan.action === TOGETHER) return `keys ${key(0)} ${key(scan.nkeys - 1)}`;
      return scan.action === ALL ? "all" : scan.action === ANY ? "any" : "?";
    };
    assert.is(route("DEBUG OBJECT k"), "key k");
    assert.is(route("debug object k fast"), "key k");
    assert.is(route("DEBUG SDSLEN k"), "key k");
    assert.is(route("DEBUG DIGEST-VALUE k"), "key k");
    assert.is(route("DEBUG DIGEST-VALUE k l m"), "keys k m");
    for (const line of ["SLEEP 0", "JMAP", "RELOAD NOSAVE", "SET-ACTIVE-EXPIRE 0"]) {
      assert.is(route(`DEBUG ${line}`), "all");
    }
    for (const line of ["HELP", "OBJECT", "DIGEST-VALUE"]) assert.is(route(`DEBUG ${line}`), "any");
    for (
      const [line, why] of [
        ["SEGFAULT", "it would take servers down"],
        ["POPULATE 10", "it would make keys on servers that do not own them"],
        ["DIGEST", "the digests of servers do not add up"],
        ["toString", "ringmux does not know where it goes"],
      ]
    ) {
      const name = `debug ${line.split(" ")[0].toLowerCase()}`;
      assert.match(route(`DEBUG ${line}`), `-ERR '${name}' is not supported by ringmux: ${why}`);
    }
    assert.match(route("DEBUG"), /^-ERR wrong number of arguments for 'debug' command/);
    assert.is(judge(codec, array("BUG OBJECT k")), `debug ${array("debug OBJECT k")}`);
  }
});

test("a list takes categories, and what is taken off it again", () => {
  const codec = codecOf({ deny: ["@dangerous", "-info", "config|get", "@set", "-sadd"] });
  for (const line of ["KEYS *", "FLUSHALL", "SORT a", "CONFIG GET x", "SMEMBERS a", "DEBUG x"]) {
    const name = line.split(" ").slice(0, line.startsWith("CONFIG") ? 2 : 1).join(" ");
    assert.is(judge(codec, array(line)), off(name.toLowerCase(), "deny"));
  }
  for (const line of ["INFO", "SADD a b", "GET a"]) {
    assert.not.match(judge(codec, array(line)), "switched off");
  }
  const readers = codecOf({ allow: ["@read", "-@dangerous", "config", "-config|set"] });
  for (const line of ["GET a", "MGET a b", "CONFIG RESETSTAT", "AUTH x"]) {
    assert.not.match(judge(readers, array(line)), "switched off", line);
  }
  for (const line of ["SET a b", "KEYS *", "SORT_RO a", "CONFIG SET a b", "PING"]) {
    assert.match(judge(readers, array(line)), "switched off", line);
  }
  // The last that fits counts.
  assert.match(judge(codecOf({ allow: ["-get", "@all"] }), array("GET a")), /^get /);
  assert.is(judge(codecOf({ allow: ["@all", "-get"] }), array("GET a")), off("get", "allow"));
});

/** Where a request goes: a server's, all, refused (and what is said), or answered here. */
function goes(codec: ReturnType<typeof codecOf>, line: string): string {
  const scan = new Scan();
  const buf = bytes(array(line));
  assert.is(codec.parseRequest(scan, buf, 0, buf.length), DONE);
  if (scan.action === REFUSE) return text(scan.error, 0, scan.error.length).trim();
  return scan.action === ANY ? "any" : scan.action === ALL ? "all" : `${scan.action}`;
}

test("what administers servers goes to the only one, or to all, where it is open", () => {
  const opened = COMMANDS.filter((c) => c.opened !== SUB);
  assert.ok(opened.length > 60);
  for (const { name, arity, opened: to, reason } of opened) {
    if (name === "debug" || name === "monitor") continue; // see debug_test.ts, monitor_test.ts
    const words = name.split("|");
    while (words.length < Math.abs(arity)) words.push("1");
    const line = words.join(" ");
    for (const allow of [["@all"], ["@all", "@slow", "@fast"], []]) {
      assert.match(
        goes(codecOf({ allow }, 1, 1), line),
        reason === "cluster" ? "disabled" : "-ERR '",
      );
    }
    for (const allow of [["@all", "@admin"], ["@all", "@dangerous"], [name]]) {
      assert.is(goes(codecOf({ allow }, 0, 1), line), "any", line);
      const several = goes(codecOf({ allow }, 0, 2), line);
      if (to === ALL) assert.is(several, "all");
      else assert.match(several, reason === "cluster" ? "support disabled" : "of several servers");
    }
    const denied = codecOf({ allow: ["@all", "@admin"], deny: [name] }, 0, 1);
    assert.match(goes(denied, line), "switched off");
    const taken = codecOf({ allow: ["@all", "@admin", `-${name}`] }, 0, 1);
    assert.match(goes(taken, line), "switched off");
  }
  const one = codecOf({ allow: ["@all", "@admin"] }, 0, 1);
  for (const line of ["ROLE", "ACL USERS", "DEBUG POPULATE 1", "DEBUG SLEEP 0", "DEBUG OBJECT k"]) {
    assert.is(goes(one, line), "any");
  }
  assert.match(goes(one, "DEBUG PROTOCOL push"), "its replies are not those of one request");
  assert.match(goes(one, "CONFIG SET x"), "wrong number of arguments");
  for (const line of ["SYNC", "PSYNC ? -1", "REPLCONF x", "SCRIPT DEBUG yes", "ASKING"]) {
    assert.match(goes(one, line), /^-ERR/);
  }
  // Clients' database 0 is the pool's 3.
  assert.match(goes(codecOf({ allow: ["@all", "@admin"] }, 3, 1), "SWAPDB 0 1"), "administers");
  const renamed = codecOf({ allow: ["@all", "@admin"], rename: { halt: "shutdown" } }, 0, 1);
  assert.is(goes(renamed, "HALT NOSAVE"), "any");
});

test("database 0 of MOVE and COPY is the pool's own", () => {
  const codec = codecOf({}, 5);
  assert.is(judge(codec, array("MOVE k 0")), `move ${array("MOVE k 5")}`);
  assert.is(judge(codec, array("MOVE k 3")), `move ${array("MOVE k 3")}`);
  assert.is(judge(codec, array("COPY a b DB 0 REPLACE")), `copy ${array("COPY a b DB 5 REPLACE")}`);
  assert.is(judge(codec, array("COPY a b replace db 0")), `copy ${array("COPY a b replace db 5")}`);
  assert.is(judge(codec, array("COPY a b")), `copy ${array("COPY a b")}`);
  const renamed = codecOf({ rename: { mv: "move" } }, 5);
  assert.is(judge(renamed, array("mv k 0")), `move ${array("move k 5")}`);
  assert.is(judge(codec, array("GET 0")), `get ${array("GET 0")}`);
  assert.is(judge(codecOf({}, 0), array("MOVE k 0")), `move ${array("MOVE k 0")}`);
});

test.run();
