// A pool with one server, and administration allowed, is as good as a connection to that server:
// what is sent through ringmux gets the bytes that a twin of the server answers to the same.
// Needs: redis-server

import * as fs from "node:fs";
import * as path from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  array,
  at,
  isNutcracker,
  ours,
  type ProxyProcess,
  type ServerProcess,
  several,
  startProxy,
  startRedis,
  tempPath,
  until,
  Wire,
} from "./harness.ts";

/** The pool's server, its twin that is asked directly, and the servers of a pool of several. */
let servers: ServerProcess[];
let proxy: ProxyProcess;
let wire: Wire;
let twin: Wire;

test.before(async () => {
  if (isNutcracker) return;
  servers = await several(4, () => {
    const dir = tempPath("direct");
    fs.mkdirSync(dir);
    fs.writeFileSync(path.join(dir, "redis.conf"), "enable-debug-command yes\n");
    fs.writeFileSync(path.join(dir, "users.acl"), "");
    const config = path.join(dir, "redis.conf");
    return startRedis({
      args: [
        "--dir",
        dir,
        "--dbfilename",
        "dump.rdb",
        "--aclfile",
        path.join(dir, "users.acl"),
        "--slowlog-log-slower-than",
        "-1",
      ],
      config,
    });
  });
  const commands = '{allow: ["@all", "@admin"]}';
  proxy = await startProxy({
    pool: { redis: true, commands, servers: [at(servers[0], 1, "one")] },
    many: { redis: true, commands, servers: [at(servers[2], 1, "a"), at(servers[3], 1, "b")] },
    shut: { redis: true, commands: '{deny: ["@admin"]}', servers: [at(servers[0], 1, "one")] },
  });
});

test.before.each(async () => {
  if (isNutcracker) return;
  wire = await Wire.open(proxy.port);
  twin = await Wire.open(servers[1].port);
});

test.after.each(() => {
  wire?.close();
  twin?.close();
});

/** What differs from server to server, and from moment to moment. */
function plain(reply: string): string {
  return reply.replace(/[0-9a-f]{40}/g, "<id>").replace(/\$\d+\r\n(?=[^\r]*<id>)/g, "$n\r\n")
    .replace(/:\d{3,}\r\n/g, ":<n>\r\n").replace(/127\.0\.0\.1:\d+/g, "<address>");
}

/** Only the kind of the reply: its type, and that of every element. */
const kinds = (reply: string): string => reply.replace(/(^|\r\n)([^+\-:$*_%~,]).*?(?=\r\n)/g, "$1");

ours("administration goes to the pool's only server, and the replies are its own", async () => {
  const lines = [
    ...["CONFIG SET hz 13", "CONFIG GET hz", "CONFIG SET hz 10 nope 1", "CONFIG SET hz", "CONFIG"],
    ...["CONFIG SET maxmemory-policy what", "CONFIG RESETSTAT", "CONFIG REWRITE", "CONFIG NOPE"],
    ...["SET k v", "SELECT 1", "SET k w", "SWAPDB 0 1", "GET k", "SELECT 0", "GET k", "SWAPDB 0 x"],
    ...["SAVE", "DEBUG RELOAD", "GET k", "DEBUG JMAP", "DEBUG SLEEP 0", "DEBUG POPULATE 3 x"],
    ...["DBSIZE", "DEBUG DIGEST", "DEBUG DIGEST-VALUE k x:1", "DEBUG SET-ACTIVE-EXPIRE 1"],
    ...["DEBUG STRINGMATCH-LEN 10 a*", "DEBUG NOPE", "DEBUG", "DEBUG CHANGE-REPL-ID"],
    ...["ACL SETUSER ann on >pw ~a* +@read", "ACL GETUSER ann", "ACL LIST", "ACL USERS"],
    ...["ACL DRYRUN ann get a1", "ACL DRYRUN ann set a1 x", "ACL DRYRUN nobody get a", "ACL SAVE"],
    ...["ACL SETUSER ann what", "ACL LOAD", "ACL DELUSER ann nobody", "ACL GETUSER ann", "ACL LOG"],
    ...[
      "ACL LOG RESET",
      "ACL CAT",
      "ACL WHOAMI",
      "ACL NOPE",
      "ROLE",
      "SLOWLOG LEN",
      "SLOWLOG RESET",
    ],
    ...["LATENCY DOCTOR", "LATENCY GRAPH x", "LATENCY RESET", "LATENCY LATEST", "MEMORY DOCTOR"],
    ...["MEMORY PURGE", "MODULE LIST", "MODULE LOAD /nope", "MODULE UNLOAD nope", "CLUSTER INFO"],
    ...["CLUSTER NODES", "CLUSTER KEYSLOT a", "CLUSTER NOPE", "REPLICAOF NO ONE", "FAILOVER"],
    ...["FAILOVER ABORT", "SLAVEOF NO ONE", "SHUTDOWN ABORT", "SHUTDOWN what", "MIGRATE h 1 k 0"],
    ...[
      "MIGRATE 127.0.0.1 1 none 0 100",
      "LASTSAVE",
      "BGSAVE SCHEDULE x",
      "MULTI",
      "CONFIG SET hz 9",
    ],
    ...["ACL SETUSER ben", "DEBUG JMAP", "EXEC", "CONFIG GET hz", "ACL DELUSER ben", "FLUSHALL"],
  ];
  const wrong: string[] = [];
  for (const line of lines) {
    const words = line.split(" ");
    const [ours, theirs] = [plain(await wire.ask(...words)), plain(await twin.ask(...words))];
    if (ours !== theirs) wrong.push(`${line}: ${JSON.stringify([ours, theirs])}`);
  }
  assert.equal(wrong, []);
  for (const line of ["LATENCY HISTOGRAM get", "MEMORY STATS", "MEMORY MALLOC-STATS"]) {
    const words = line.split(" ");
    const [ours, theirs] = [await wire.ask(...words), await twin.ask(...words)];
    assert.is(kinds(ours)[0], kinds(theirs)[0], line);
    assert.is(ours[0] === "-", false, line);
  }
  assert.is(await twin.ask("GET", "hz"), "$-1\r\n");
});

ours("BGSAVE and BGREWRITEAOF are the server's", async () => {
  assert.is(await wire.ask("BGSAVE"), "+Background saving started\r\n");
  await until(
    "the save",
    async () => (await twinOf(0, "INFO", "persistence")).includes("rdb_bgsave_in_progress:0"),
  );
  assert.is(await wire.ask("BGREWRITEAOF"), "+Background append only file rewriting started\r\n");
});

/** What server `n` says, asked directly. */
async function twinOf(n: number, ...words: string[]): Promise<string> {
  const own = await Wire.open(servers[n].port);
  try {
    return await own.ask(...words);
  } finally {
    own.close();
  }
}

ours("with several servers all get what makes sense for all, the rest says why not", async () => {
  const many = await Wire.open(proxy.ports.many);
  assert.is(await many.ask("CONFIG", "SET", "hz", "17"), "+OK\r\n");
  for (const n of [2, 3]) assert.is(await twinOf(n, "CONFIG", "GET", "hz"), array("hz", "17"));
  assert.is(await many.ask("ACL", "SETUSER", "ann", "on"), "+OK\r\n");
  for (const n of [2, 3]) assert.match(await twinOf(n, "ACL", "USERS"), "ann");
  assert.is(await many.ask("SAVE"), "+OK\r\n");
  assert.is(await many.ask("CONFIG", "REWRITE"), "+OK\r\n");
  assert.is(await many.ask("BGSAVE"), "+Background saving started\r\n");
  assert.match(await many.ask("CONFIG", "SET", "hz", "x"), /^-ERR CONFIG SET failed/);
  for (const line of ["ACL LIST", "MEMORY STATS", "REPLICAOF NO ONE", "SHUTDOWN", "FAILOVER"]) {
    assert.is(
      await many.ask(...line.split(" ")),
      `-ERR '${
        line.toLowerCase().split(" ").slice(0, /^(ACL|MEM)/.test(line) ? 2 : 1).join(" ")
      }' ` +
        "is not supported by ringmux for pools of several servers: it administers one of them, " +
        "connect to that one directly\r\n",
    );
  }
  assert.match(await many.ask("CLUSTER", "INFO"), "cluster support disabled");
  many.close();
});

ours("a category that is denied is denied, and what is not opened stays refused", async () => {
  const shut = await Wire.open(proxy.ports.shut);
  for (const line of ["CONFIG GET hz", "CONFIG SET hz 10", "ACL LIST", "SLOWLOG GET", "SAVE"]) {
    assert.match(await shut.ask(...line.split(" ")), /switched off .* \(commands\.deny\)/, line);
  }
  assert.match(await shut.ask("SWAPDB", "0", "1"), /^-ERR 'swapdb' is not supported by ringmux/);
  assert.is(await shut.ask("SET", "k", "v"), "+OK\r\n");
  shut.close();
});

ours("SHUTDOWN ends the only server", async () => {
  assert.match(await wire.ask("SHUTDOWN", "NOSAVE"), /^-ERR /);
  await until("the server to end", () => servers[0].gone);
});

test.run();
