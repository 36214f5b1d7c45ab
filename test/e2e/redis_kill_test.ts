// SCRIPT KILL and FUNCTION KILL reach servers that run a script without end, whose connections
// nobody reads any more, whatever database and RESP version the client has.
// Needs: redis-server

import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  at,
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

let servers: ServerProcess[];
let proxy: ProxyProcess;

test.before(async () => {
  if (isNutcracker) return;
  servers = await several(2, () => startRedis({ args: ["--busy-reply-threshold", "50"] }));
  proxy = await startProxy({
    one: { redis: true, servers: [at(servers[0], 1, "a")] },
    two: { redis: true, servers: servers.map((server, i) => at(server, 1, "ab"[i])) },
    db: { redis: true, redis_db: 3, servers: [at(servers[0], 1, "a")] },
    ejecting: {
      redis: true,
      auto_eject_hosts: true,
      server_failure_limit: 1,
      server_retry_timeout: 600_000,
      servers: servers.map((server, i) => at(server, 1, "ab"[i])),
    },
  });
});

const LIBRARY = "#!lua name=endless\nredis.register_function('endless', function() " +
  "while true do end end)";

for (const pool of ["one", "two"]) {
  for (const kind of ["SCRIPT", "FUNCTION"]) {
    ours(`${kind} KILL ends what runs, in a pool of ${pool}`, async () => {
      const port = proxy.ports[pool];
      const [runs, kills] = [await Wire.open(port), await Wire.open(port)];
      for (const first of [[], ["HELLO", "3"], ["SELECT", "1"]]) {
        if (first.length > 0) assert.not.match(await kills.ask(...first), /^-/);
        // On a link that is shared with the one that kills.
        assert.match(await kills.ask("GET", "k"), /^(\$-1|_)\r\n$/);
        assert.match(await kills.ask(kind, "KILL"), /^-NOTBUSY /);
        if (kind === "SCRIPT") runs.send(cmd("EVAL", "while true do end", "1", "k"));
        else {
          await runs.ask("FUNCTION", "LOAD", "REPLACE", LIBRARY);
          runs.send(cmd("FCALL", "endless", "1", "k"));
        }
        await until(
          "the script to be killed",
          async () => (await kills.ask(kind, "KILL")) === "+OK\r\n",
        );
        assert.match(await runs.reply(), /^-ERR .*[Kk]illed by user/);
        assert.match(await kills.ask("GET", "k"), /^(\$-1|_)\r\n$/);
      }
      assert.is(await kills.ask("MULTI"), "+OK\r\n");
      const queued = await kills.ask(kind, "KILL");
      assert.match(queued, pool === "one" ? /^\+QUEUED/ : /^-CROSSSLOT .* every server/);
      runs.close();
      kills.close();
    });
  }
}

ours(
  "SCRIPT KILL where redis_db would have to be selected first, which a busy server refuses",
  async () => {
    const [runs, kills] = await several(2, () => Wire.open(proxy.ports.db));
    for (const first of [[], ["SELECT", "1"]]) {
      if (first.length > 0) await kills.ask(...first);
      runs.send(cmd("EVAL", "while true do end", "1", "k"));
      await until(
        "the script to be killed",
        async () => (await kills.ask("SCRIPT", "KILL")) === "+OK\r\n",
      );
      assert.match(await runs.reply(), /^-ERR .*[Kk]illed by user/);
    }
    runs.close();
    kills.close();
  },
);

ours("SCRIPT KILL reaches a server that was ejected because it said BUSY", async () => {
  const port = proxy.ports.ejecting;
  const [runs, asks, kills] = await several(3, () => Wire.open(port));
  // On a link of its own: behind the script on the other one nothing is read.
  await asks.ask("SELECT", "1");
  await asks.ask("GET", "k");
  runs.send(cmd("EVAL", "while true do end", "1", "k"));
  await until("BUSY", async () => (await asks.ask("GET", "k")).startsWith("-BUSY"));
  assert.match(await asks.ask("GET", "k"), /^\$-1\r\n$/, "the other server has it now");
  await until("the kill", async () => (await kills.ask("SCRIPT", "KILL")) === "+OK\r\n");
  assert.match(await runs.reply(), /^-ERR .*[Kk]illed by user/);
  for (const wire of [runs, asks, kills]) wire.close();
});

test.run();
