// What users with restrictions may do, over the whole Redis command table: nothing that writes for
// one, no key outside of its prefixes for the other. And patterns, SASL, sizes before AUTH.

import { test } from "uvu";
import * as assert from "uvu/assert";
import { bytes, text } from "../../core/bytes.ts";
import { isPatternWithin, isWithin, type User, Users } from "../../core/protocol/access.ts";
import { DONE, type Facts, REFUSE, Scan, type Session } from "../../core/protocol/codec.ts";
import { saslPlain } from "../../core/protocol/memcached/sasl.ts";
import { RedisCodec } from "../../core/protocol/redis/codec.ts";
import type { RedisSession } from "../../core/protocol/redis/session.ts";
import { PolicedCodec } from "../../core/protocol/redis/policy.ts";
import {
  CLASSES,
  COMMANDS,
  KEYS_COUNTED,
  KEYS_STREAMS,
  SUB,
} from "../../core/protocol/redis/commands.ts";
import { CLASS_WRITE } from "../../core/stats/latency.ts";

const user = (name: string, settings: Partial<User>): User => ({
  name,
  password: "p",
  readOnly: false,
  prefixes: [],
  scripts: false,
  ...settings,
});
const prefixes = (...texts: string[]) => texts.map((prefix) => bytes(prefix));
const users = new Users([
  user("reader", { readOnly: true }),
  user("part", { prefixes: prefixes("a:", "b:") }),
  user("free", {}),
  user("both", { readOnly: true, prefixes: prefixes("a:") }),
], () => {});
const codec = new RedisCodec(
  { auth: "", db: 0, maxRequest: 1 << 20, users },
  { wallClock: () => 0 } as unknown as Facts,
);

function sessionOf(name: string): Session {
  const session = codec.newSession(1, "", 0);
  assert.ok(session.locked);
  assert.ok(users.enter(session, name, "p"));
  assert.not.ok(session.locked);
  return session;
}

/** The error of a request that the user may not make; "" for one that it may. */
function judge(session: Session, words: string[], by: RedisCodec = codec): string {
  const request = bytes(
    `*${words.length}\r\n${words.map((word) => `$${word.length}\r\n${word}\r\n`).join("")}`,
  );
  const scan = new Scan();
  assert.is(by.parseRequest(scan, request, 0, request.length), DONE);
  by.guard(scan, request, 0, session);
  return scan.action === REFUSE ? text(scan.error, 0, scan.error.length - 2) : "";
}

test("what a pool opens of administration stays closed to users with restrictions", () => {
  const commands = { deny: [], allow: ["@all", "@admin"], rename: {} };
  const debug = [["DEBUG", "SLEEP", "0"], ["DEBUG", "OBJECT", "a:1"], ["DEBUG", "HELP"]];
  const opened = COMMANDS.filter((c) => c.opened !== SUB).map(({ name, arity }) => {
    const words = name.split("|");
    while (words.length < Math.abs(arity)) words.push("a:1");
    return words;
  });
  for (const servers of [1, 2]) {
    const open = new PolicedCodec(
      { auth: "", db: 0, maxRequest: 1 << 20, users, commands },
      { wallClock: () => 0, servers: () => servers } as unknown as Facts,
    );
    for (const words of [...debug, ...opened]) {
      const free = judge(sessionOf("free"), words, open);
      if (servers === 1) assert.not.match(free, "-", words.join(" "));
      for (const name of ["reader", "part", "both"]) {
        const error = judge(sessionOf(name), words, open);
        assert.match(error, free === "" ? /^-NOPERM / : /^-/, words.join(" "));
      }
    }
  }
});

/** A request of every command that is carried out, with `key` in every place of a key. */
function* requests(key: string): Iterable<{ name: string; words: string[]; verb: number }> {
  for (const [verb, command] of COMMANDS.entries()) {
    const { name, action, arity, keys, countAt } = command;
    if (action === REFUSE || action === SUB) continue;
    const words = name.split("|");
    const n = Math.max(Math.abs(arity), keys === KEYS_COUNTED ? countAt + 2 : 0);
    while (words.length < n) words.push(words.length === countAt && countAt > 0 ? "1" : key);
    if (keys === KEYS_STREAMS) words.splice(1, words.length, "streams", key, "0");
    if (name === "xreadgroup") {
      words.splice(1, words.length, "group", "g", "c", "streams", key, ">");
    }
    if (name === "scan") words.splice(1, words.length, "0", "match", key);
    yield { name, words, verb };
  }
}

test("a read-only user runs nothing that the servers call a write", () => {
  const session = sessionOf("reader");
  let seen = 0;
  for (const { name, words, verb } of requests("k")) {
    const error = judge(session, words);
    if (CLASSES[verb + 1] !== CLASS_WRITE) continue;
    seen++;
    assert.is(error, `-NOPERM this user has no permissions to run the '${name}' command`);
  }
  assert.ok(seen > 100);
});

/** What a user with prefixes may run although no key of its own is in it. */
const KEYLESS = "auth hello quit reset ping echo select info command time role lolwut " +
  "wait waitaof readonly readwrite multi exec discard unwatch acl|whoami acl|cat acl|genpass unsubscribe punsubscribe sunsubscribe";

test("a user with prefixes reaches no key outside of them by any command", () => {
  const session = sessionOf("part");
  const free = new Set(KEYLESS.split(" "));
  for (const { name, words } of requests("c:1")) {
    const error = judge(session, words);
    const isFree = free.has(name) || name.endsWith("|help") || name.startsWith("command|") ||
      (name.startsWith("client|") && !/kill|pause|unblock/.test(name));
    assert.is(error === "", isFree, `${words.join(" ")}: ${error}`);
    if (!isFree) assert.match(error, /^-NOPERM this user has no permissions to /, name);
  }
});

test("with keys of its own a user with prefixes runs all that has keys, but scripts", () => {
  const session = sessionOf("part");
  for (const { name, words } of requests("a:1")) {
    const { first, countAt } = COMMANDS.find((command) => command.name === name)!;
    if (first + countAt === 0 && !/^(scan|keys|xread|xreadgroup)$/.test(name)) continue;
    const isScript = /^(eval|fcall)/.test(name);
    assert.is(judge(session, words) === "", !isScript, words.join(" "));
  }
});

test("one key among many is enough", () => {
  const session = sessionOf("part");
  const lists = [
    ["mget", "a:1", "b:2", "a:3"],
    ["zunionstore", "a:d", "2", "a:1", "b:2"],
    ["sort", "a:1", "by", "nosort", "store", "b:2"],
    ["xread", "count", "1", "streams", "a:1", "b:2", "0", "0"],
    ["blmpop", "0", "2", "a:1", "b:2", "left"],
  ];
  for (const words of lists) {
    assert.is(judge(session, words), "", words.join(" "));
    for (let i = 1; i < words.length; i++) {
      if (!/^[ab]:/.test(words[i])) continue;
      const other = [...words];
      other[i] = "c:x";
      assert.match(judge(session, other), /^-NOPERM /, other.join(" "));
    }
  }
});

test("both restrictions together", () => {
  const session = sessionOf("both");
  assert.is(judge(session, ["get", "a:1"]), "");
  assert.match(judge(session, ["get", "b:1"]), /one of the keys/);
  assert.match(judge(session, ["set", "a:1", "x"]), /the 'set' command/);
  assert.match(judge(session, ["eval_ro", "x", "1", "a:1"]), /the 'eval_ro' command/);
});

test("a user without restrictions is not shown the servers' passwords", () => {
  const all = new Users([user("all", {})], () => {});
  const session = codec.newSession(1, "", 0);
  all.enter(session, "all", "p");
  const hidden = ["*", "requirepass", "RequirePass", "re*", "[a-z]*", "?equirepass", "master*"];
  for (const pattern of [...hidden, "\\requirepass", "masterauth", "tls-*"]) {
    assert.match(judge(session, ["config", "get", "save", pattern]), /^-NOPERM /, pattern);
  }
  for (const pattern of ["save", "maxmemory*", "appendonly", "require", "m"]) {
    assert.is(judge(session, ["config", "get", pattern]), "", pattern);
  }
});

test("prefixes and patterns", () => {
  const within = (who: User, key: string) => isWithin(who, bytes(key), 0, key.length);
  const pattern = (who: User, key: string) => isPatternWithin(who, bytes(key), 0, key.length);
  const part = user("x", { prefixes: prefixes("a:", "q*") });
  for (const key of ["a:", "a:b", "q*", "q*z"]) assert.ok(within(part, key), key);
  for (const key of ["", "a", "A:", "b:a:", "qz", " a:"]) assert.not.ok(within(part, key), key);
  for (const key of ["a:", "a:*", "a:[x]"]) assert.ok(pattern(part, key), key);
  // "q*z" as a pattern matches "qqz", which does not begin with "q*".
  for (const key of ["*", "a*", "?:x", "q*", "q*z"]) assert.not.ok(pattern(part, key), key);
  assert.ok(within(user("y", {}), "any"));
});

test("SASL PLAIN messages", () => {
  assert.equal(saslPlain("\0ann\0pw"), { user: "ann", password: "pw" });
  assert.equal(saslPlain("ann\0ann\0"), { user: "ann", password: "" });
  for (const bad of ["", "ann", "ann\0pw", "bob\0ann\0pw", "\0\0pw", "\0a\0b\0c"]) {
    assert.is(saslPlain(bad), null, JSON.stringify(bad));
  }
});

test("when a pool's users change, who is one of them still stays in, with the rights of now", () => {
  const now = new Users([user("reader", {}), user("new", {})], () => {});
  const renewed = (name: string, by: RedisCodec) => {
    const session = (name === "" ? codec.newSession(1, "", 0) : sessionOf(name)) as RedisSession;
    by.renew(session, codec.newSession(1, "", 0), by.newSession(1, "", 0));
    return [session.locked, session.user?.name ?? "", session.restricted];
  };
  const make = (auth: string, users?: Users) =>
    new RedisCodec({ auth, db: 0, maxRequest: 1, users }, {} as unknown as Facts);
  assert.equal(renewed("reader", make("", now)), [false, "reader", false]);
  assert.equal(renewed("part", make("", now)), [true, "", false]);
  assert.equal(renewed("", make("", now)), [true, "", false]);
  assert.equal(renewed("part", make("")), [false, "", false]);
  assert.equal(renewed("", make("")), [false, "", false]);
  assert.equal(renewed("part", make("secret")), [true, "", false]);
  const old = make("secret").newSession(1, "", 0);
  old.locked = false; // it knew the password
  const fresh = make("").newSession(1, "", 0);
  make("other").renew(old, fresh, fresh);
  assert.is(old.locked, false);
  make("other", now).renew(old, fresh, fresh);
  assert.is(old.locked, true);
});

test("a failed attempt changes nothing and is told of, a name that does not exist too", () => {
  const told: [string, boolean][] = [];
  const list = new Users([user("ann", { readOnly: true })], (_, name, known) => {
    told.push([name, known]);
  });
  const session = codec.newSession(1, "", 0);
  assert.not.ok(list.enter(session, "ann", "x"));
  assert.not.ok(list.enter(session, "bob", "?"));
  assert.ok(session.locked);
  assert.ok(list.enter(session, "ann", "p"));
  assert.not.ok(list.enter(session, "bob", "p"));
  assert.is(session.user!.name, "ann");
  assert.equal(
    told,
    [["ann", false], ["bob", false], ["bob", false]].map(([name]) => [name, name === "ann"]),
  );
});

test.run();
