// What the runtime or the system will do otherwise than the configuration says.

import { test } from "uvu";
import * as assert from "uvu/assert";
import { runtimeNotes } from "../../adapters/command/runtime_notes.ts";
import { loadConfig } from "../../core/config/load.ts";

function notes(pool: string, runtime = "node 24.0.0", most = 4096): string[] {
  const text = `a:\n  servers:\n  - 127.0.0.1:1:1\n${pool}`;
  return runtimeNotes(loadConfig(text, "conf.yml"), { runtime, most }, text, "conf.yml");
}

const tcp = "  listen: 127.0.0.1:22121\n";
const unix = "  listen: /tmp/sock\n";

test("what is as it is asked for needs no word", () => {
  for (const runtime of ["node 24.0.0", "deno 2.9.6", "bun 1.4.5"]) {
    assert.equal(notes(tcp, runtime), []);
    assert.equal(notes(unix, runtime), []);
    assert.equal(notes(`${tcp}  backlog: 4096\n`, runtime), []);
  }
  assert.equal(notes(tcp, "node 24.0.0", 128), []); // nobody has asked for 512
});

test("a backlog on a unix socket on Deno", () => {
  const pool = `${unix}  backlog: 16\n`;
  assert.equal(notes(pool), []);
  assert.equal(notes(pool, "deno 2.9.6"), [
    'conf.yml:5: pool "a": backlog: 16 has no effect on unix sockets on Deno, which uses 1024',
  ]);
});

test("a backlog that the kernel cuts", () => {
  assert.equal(notes(`${tcp}  backlog: 5000\n`), [
    'conf.yml:5: pool "a": backlog: 5000 is more than the system allows: net.core.somaxconn is 4096',
  ]);
});

test("* is not all addresses", () => {
  assert.equal(notes('  listen: "*:22121"\n'), [
    'conf.yml:4: pool "a": listen: * is the loopback address, as to nutcracker; ' +
    "all addresses are 0.0.0.0 or ::",
  ]);
});

test.run();
