// The commands that look into a running ringmux: what they say of answers, and of what they are told to do.

import * as http from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { runMigrate } from "../../adapters/command/migrate.ts";
import { runRoute } from "../../adapters/command/route.ts";

interface Said {
  status: number;
  out: string;
  err: string;
}

type Run = typeof runRoute;

async function say(run: Run, ...argv: string[]): Promise<Said> {
  const said = { out: "", err: "" };
  const status = await run(argv, {
    out: (text) => said.out += text,
    err: (text) => said.err += text,
  });
  return { status, ...said };
}

/** Runs `fn` beside an admin address that answers everything with this text. */
async function beside(
  text: string | (() => string),
  fn: (admin: string) => Promise<void>,
): Promise<void> {
  const server = http.createServer((_, reply) =>
    void reply.end(typeof text === "string" ? text : text())
  );
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    await fn(`--admin=127.0.0.1:${(server.address() as AddressInfo).port}`);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

function front(pool: string, protocol: string): object {
  const step = { what: `way of ${pool}`, to: [] };
  const ways = { read: step, write: step, delete: step, gets: step, cas: step };
  return { pool, protocol, servers: [], ways };
}

test("route tells of the pools whose protocol has the command", async () => {
  const rings = [front("r", "redis"), front("m", "memcached"), { pool: "p", protocol: "redis" }];
  await beside(JSON.stringify(rings), async (admin) => {
    assert.is((await say(runRoute, "k", "del", admin)).out, 'pool "r", del:\n  way of r\n');
    assert.is((await say(runRoute, "k", "delete", admin)).out, 'pool "m", delete:\n  way of m\n');
    const both = await say(runRoute, "k", "get", admin);
    assert.is(both.out, 'pool "r", get:\n  way of r\npool "m", get:\n  way of m\n');
    const none = await say(runRoute, "k", "nope", admin);
    assert.equal([none.status, none.out], [1, ""]);
    assert.is(none.err, 'ringmux: route: command "nope" is not known\n');
  });
});

test("a command that a pool without routes does not have is not known either", async () => {
  const ring = { pool: "p", protocol: "redis", owner: "a", servers: [] };
  await beside(JSON.stringify([ring]), async (admin) => {
    assert.is((await say(runRoute, "k", "get", admin)).out, 'pool "p": a\n');
    assert.match((await say(runRoute, "k", "gett", admin)).err, 'command "gett" is not known');
  });
});

test("migrate says what is missing, and who answers that is no ringmux", async () => {
  const first = ({ err }: Said): string => err.split("\n", 1)[0];
  assert.match(first(await say(runMigrate)), /what to do is missing \(plan, start, status/);
  assert.match(first(await say(runMigrate, "strat")), /"strat" is not known \(plan, start/);
  assert.match(first(await say(runMigrate, "status")), "--admin host:port is missing");
  const help = await say(runMigrate, "--help");
  assert.equal([help.status, help.err], [0, ""]);
  assert.match(help.out, "Usage: ringmux migrate");
  await beside("<html>", async (admin) => {
    assert.match(first(await say(runMigrate, "status", admin)), "no ringmux answers there");
  });
});

/** What an admin address tells of a migration. */
function migration(phase: string, rate: number): object {
  return {
    ...{ pool: "p", to: "q", phase, parked: false, paused: false, why: "", keys: 50, bytes: 0 },
    ...{ rate, errors: 0, aside: 0, bigs: 0, waiting: 0, copying: true, left: ["a"], seen: 50 },
    ...{ of: 100, told: [], id: "x", plan: [], servers: [], addresses: [] },
  };
}

test("status tells the rate at its first look, of all processes together", async () => {
  const processes = [[migration("move", 10.4)], [migration("move", 14)]];
  await beside(JSON.stringify({ processes }), async (admin) => {
    assert.match(
      (await say(runMigrate, "status", admin)).out,
      "100 keys, 0.0 MB, 24 keys/s, about 3 s",
    );
    const json = JSON.parse((await say(runMigrate, "status", "--json", admin)).out);
    assert.equal([json.rate, json.processes], [24, 2]);
  });
});

test("a watch goes on when one look is in vain", async () => {
  const answers = ["move", "<", "done"];
  const next = (): string => {
    const phase = answers.shift();
    return phase === "<" ? phase : JSON.stringify({ processes: [[migration(phase ?? "done", 0)]] });
  };
  await beside(next, async (admin) => {
    const { status, out, err } = await say(runMigrate, "status", "--watch", admin);
    assert.is(status, 0);
    assert.match(out, /move.*\n.*done/);
    assert.match(err, "no ringmux answers there");
  });
});

test.run();
