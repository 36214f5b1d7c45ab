// WAIT, and what CLIENT does to replies and to other clients (REPLY, UNBLOCK, PAUSE), through the
// proxy and beside real servers.
// Needs: redis-server

import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  array,
  at,
  bulk,
  cmd,
  isNutcracker,
  ours,
  type ProxyProcess,
  type ServerProcess,
  several,
  startProxy,
  startRedis,
  until,
  Wire,
} from "./harness.ts";

/** Two servers, the first with a replica. */
let servers: ServerProcess[];
let replica: ServerProcess;
let proxy: ProxyProcess;
/** Where a client may be: in a pool of one, of two, at a server itself. */
let places: [string, number][];

test.before(async () => {
  if (isNutcracker) return;
  servers = await several(2, () => startRedis({ args: ["--repl-diskless-sync-delay", "0"] }));
  replica = await startRedis({
    args: ["--replicaof", "127.0.0.1", String(servers[0].port)],
  });
  proxy = await startProxy({
    one: { redis: true, servers: [at(servers[0], 1, "a")] },
    two: { redis: true, servers: servers.map((server, i) => at(server, 1, "ab"[i])) },
    lone: { redis: true, servers: [at(servers[1], 1, "b")] },
  });
  places = [["one", proxy.ports.one], ["two", proxy.ports.two], ["direct", servers[0].port]];
  const wire = await Wire.open(servers[0].port);
  await until(
    "the replica to be there",
    async () => (await wire.ask("INFO", "replication")).includes("state=online"),
  );
  wire.close();
});

/** Clients of one place, closed afterwards. */
async function at_<T>(port: number, n: number, use: (wires: Wire[]) => Promise<T>): Promise<T> {
  const wires = await Promise.all(Array.from({ length: n }, () => Wire.open(port)));
  try {
    return await use(wires);
  } finally {
    for (const wire of wires) wire.close();
  }
}

ours("WAIT waits for what the client has written, over whichever link", async () => {
  for (const [place, port] of places) {
    // The second server of two has no replica: what all can say is said.
    const all = place === "two" ? ":0\r\n" : ":1\r\n";
    await at_(port, 1, async ([wire]) => {
      assert.is(await wire.ask("SET", "k", place), "+OK\r\n");
      assert.is(await wire.ask("WAIT", "1", place === "two" ? "50" : "0"), all, place);
      assert.match(await wire.ask("WAIT", "0", "0"), /^:[01]\r\n$/, place);
      // Its commands after it are carried out after it.
      wire.send(cmd("SET", "k", "v") + cmd("WAIT", "1", "50") + cmd("GET", "k"));
      assert.equal(await wire.replies(3), ["+OK\r\n", all, bulk("v")]);
      const wrong = ["WAIT 1", "WAIT x 0", "WAIT 1 x", "WAIT 1 -1", "WAITAOF 0 0 0"];
      for (const line of wrong) {
        const direct = await at_(servers[0].port, 1, ([own]) => own.ask(...line.split(" ")));
        assert.is(await wire.ask(...line.split(" ")), direct, `${place} ${line}`);
      }
      // In a transaction it does not wait.
      await wire.ask("MULTI");
      await wire.ask("SET", "k", "x");
      assert.is(await wire.ask("WAIT", "5", "0"), "+QUEUED\r\n");
      assert.match(await wire.ask("EXEC"), /^\*2\r\n\+OK\r\n:[01]\r\n$/);
      assert.is(await wire.ask("GET", "k"), bulk("x"));
    });
  }
});

ours("WAIT does not count a replica that has not got the write", async () => {
  for (const [place, port] of places) {
    if (place === "two") continue;
    await at_(port, 1, async ([wire]) => {
      assert.is(await wire.ask("SET", "k", "1"), "+OK\r\n");
      assert.is(await wire.ask("WAIT", "1", "0"), ":1\r\n");
      replica.child.kill("SIGSTOP");
      try {
        assert.is(await wire.ask("SET", "k", "2"), "+OK\r\n");
        assert.is(await wire.ask("WAIT", "1", "20"), ":0\r\n", place);
        assert.is(await wire.ask("SET", "k", "3"), "+OK\r\n");
        wire.send(cmd("WAIT", "1", "0"));
        await wire.flushed();
      } finally {
        replica.child.kill("SIGCONT");
      }
      assert.is(await wire.reply(), ":1\r\n", place);
    });
  }
});

ours("who leaves while it waits is forgotten by the servers", async () => {
  const own = await Wire.open(servers[1].port);
  const blocked = async () => /blocked_clients:(\d+)/.exec(await own.ask("INFO", "clients"))![1];
  await at_(proxy.ports.two, 1, async ([wire]) => {
    wire.send(cmd("WAIT", "1", "0"));
    await until("it to wait", async () => (await blocked()) === "1");
  });
  await until("it to be forgotten", async () => (await blocked()) === "0");
  own.close();
});

ours("CLIENT REPLY OFF, SKIP and ON hide what a server hides", async () => {
  const lines = [
    ...["SET k 1", "CLIENT REPLY OFF", "SET k 2", "GET k", "GETX", "PING", "ECHO x", "MGET k k2"],
    ...["GET", "MULTI", "SET k 3", "EXEC", "DBSIZE", "CLIENT REPLY what", "CLIENT ID", "SCAN 0"],
    ...["CLIENT REPLY SKIP", "GET k", "GET k", "CLIENT REPLY ON", "GET k", "CLIENT REPLY SKIP"],
    ...["GET k", "GET k", "CLIENT REPLY SKIP", "PING", "PING", "CLIENT REPLY SKIP"],
    ...["CLIENT REPLY SKIP", "PING", "PING", "CLIENT REPLY SKIP", "CLIENT REPLY ON", "PING"],
    ...[
      "CLIENT REPLY SKIP",
      "MGET k k2",
      "MGET k k2",
      "CLIENT REPLY SKIP",
      "NOPE",
      "DBSIZE",
    ],
    ...["CLIENT REPLY SKIP", "MULTI", "SET k 5", "CLIENT REPLY ON", "EXEC"].slice(0, 3),
    ...["DISCARD", "CLIENT REPLY OFF", "BLPOP none 0.01", "SUBSCRIBE ch", "UNSUBSCRIBE ch"],
    ...["CLIENT REPLY ON", "GET k", "CLIENT REPLY OFF", "RESET", "PING", "CLIENT REPLY ON", "PING"],
  ];
  const all = lines.map((line) => cmd(...line.split(" "))).join("");
  const hear = (port: number, cut: number) =>
    at_(port, 1, async ([wire]) => {
      await wire.ask("FLUSHALL");
      if (cut === 0) wire.send(all);
      else for (const line of lines) await wire.send(cmd(...line.split(" "))).flushed();
      wire.send(cmd("ECHO", "end"));
      return await wire.readUntil(bulk("end"));
    });
  const theirs = await hear(servers[1].port, 0);
  assert.ok(theirs.length > 100);
  for (const pool of ["lone", "two"]) {
    for (const cut of [0, 1]) {
      assert.is(await hear(proxy.ports[pool], cut), theirs, `${pool} ${cut}`);
    }
  }
});

ours("CLIENT UNBLOCK ends another client's wait, at its server", async () => {
  for (const [place, port] of places) {
    await at_(port, 2, async ([waits, other]) => {
      const id = (await waits.ask("CLIENT", "ID")).slice(1, -2);
      const unblock = (...how: string[]) => other.ask("CLIENT", "UNBLOCK", id, ...how);
      assert.is(await unblock(), ":0\r\n");
      for (
        const [how, line, reply] of [
          ["TIMEOUT", "BLPOP none 0", "*-1\r\n"],
          ["TIMEOUT", "BLMOVE none none LEFT LEFT 0", "*-1\r\n"],
          ["ERROR", "BLPOP none 0", "-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n"],
          ["TIMEOUT", "XREAD BLOCK 0 STREAMS none $", "*-1\r\n"],
        ] as const
      ) {
        waits.send(cmd(...line.split(" ")));
        await until("it to be unblocked", async () => (await unblock(how)) === ":1\r\n");
        assert.is(await waits.reply(), reply, `${place} ${line}`);
        assert.is(await waits.ask("PING"), "+PONG\r\n");
      }
      assert.is(await unblock("ERROR"), ":0\r\n");
      for (const line of ["UNBLOCK x", "UNBLOCK 1 what", "UNBLOCK 99999999", "UNBLOCK"]) {
        const words = ["CLIENT", ...line.split(" ")];
        const direct = await at_(servers[0].port, 1, ([own]) => own.ask(...words));
        assert.is(await other.ask(...words), direct, line);
      }
    });
  }
});

ours("CLIENT PAUSE holds back commands, UNPAUSE lets them go on", async () => {
  for (const [place, port] of places) {
    await at_(port, 3, async ([pauses, reads, writes]) => {
      for (const line of ["PAUSE x", "PAUSE -1", "PAUSE 1 what", "PAUSE 1.5", "PAUSE", "UNPAUSE"]) {
        const words = ["CLIENT", ...line.split(" ")];
        const direct = await at_(servers[0].port, 1, ([own]) => own.ask(...words));
        assert.is(await pauses.ask(...words), direct, `${place} ${line}`);
      }
      await writes.ask("SET", "k", "old");
      assert.is(await pauses.ask("CLIENT", "PAUSE", "100000", "WRITE"), "+OK\r\n");
      writes.send(cmd("SET", "k", "new") + cmd("GET", "k"));
      assert.is(await reads.ask("GET", "k"), bulk("old"));
      assert.is(await reads.ask("PING"), "+PONG\r\n");
      const late = await Wire.open(port);
      late.send(cmd("INCR", "n"));
      assert.is(await reads.ask("EXISTS", "n"), ":0\r\n");
      assert.is(await pauses.ask("CLIENT", "UNPAUSE"), "+OK\r\n");
      assert.equal(await writes.replies(2), ["+OK\r\n", bulk("new")]);
      assert.is(await late.reply(), ":1\r\n");
      assert.is(await late.ask("DEL", "n"), ":1\r\n");
      late.close();
      // All: it ends by itself.
      assert.is(await pauses.ask("CLIENT", "PAUSE", "30"), "+OK\r\n");
      assert.is(await reads.ask("GET", "k"), bulk("new"));
      assert.is(await writes.ask("MGET", "k", "n"), array("new", null));
    });
  }
});

test.run();
