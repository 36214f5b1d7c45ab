// Log lines as text and as JSON, levels by name, and the limit on lines that repeat themselves.

import { test } from "uvu";
import * as assert from "uvu/assert";
import { levelOf, type Sink, TextLog } from "../../adapters/log/log.ts";
import { LOG_LEVELS } from "../../core/config/groups.ts";
import { LimitedLog } from "../../core/limit.ts";
import type { Fields } from "../../core/log.ts";

function collect(): { sink: Sink; lines: string[] } {
  const lines: string[] = [];
  return { lines, sink: { write: (line) => void lines.push(line), reopen() {}, close() {} } };
}

test("a level is a number or a name; all of the configuration's are known", () => {
  assert.is(levelOf("6"), 6);
  assert.is(levelOf("99"), 11);
  for (const [name, level] of [["emerg", 0], ["error", 3], ["Warn", 4], ["INFO", 6]] as const) {
    assert.is(levelOf(name), level, name);
  }
  assert.is(levelOf("loud"), -1);
  assert.is(levelOf("-1"), -1);
  for (const name of LOG_LEVELS) assert.ok(levelOf(name) >= 0, name);
});

test("a JSON line has time with zone, level, message and fields, in one write", () => {
  const { sink, lines } = collect();
  const log = new TextLog(sink, 7, () => new Date(Date.UTC(2026, 10, 3, 4, 5, 6, 78)));
  log.format = "json";
  log.common = { pid: 42 };
  log.warn('a "quoted" {thing}\n', { event: "x", pool: "p", ms: 1.5 });
  log.info("i");
  log.debug("d");
  log.always("started");
  assert.equal(lines.map((line) => JSON.parse(line)), [
    {
      time: "2026-11-03T04:05:06.078Z",
      level: "warn",
      msg: 'a "quoted" {thing}\n',
      pid: 42,
      event: "x",
      pool: "p",
      ms: 1.5,
    },
    ...[["info", "i"], ["debug", "d"], ["notice", "started"]].map(([level, msg]) => ({
      time: "2026-11-03T04:05:06.078Z",
      level,
      msg,
      pid: 42,
    })),
  ]);
  for (const line of lines) assert.is(line.indexOf("\n"), line.length - 1);
});

test("what comes from outside can neither forge a line nor command a terminal", () => {
  const { sink, lines } = collect();
  const log = new TextLog(sink, 5, () => new Date(2026, 10, 3, 4, 5, 6, 78));
  const nasty = "ERR a\n[2026] forged\r\t\x1b[31m\x00\x7f\x9b\u2028\u202e\u00e9";
  log.error(nasty, { reason: nasty });
  const safe = "ERR a\\n[2026] forged\\r\\t\\x1b[31m\\x00\\x7f\\x9b\\u2028\\u202e\u00e9";
  assert.equal(lines, [`[2026-11-03 04:05:06.078] ${safe}\n`]);
  log.format = "json";
  log.error(nasty, { reason: nasty });
  assert.is(JSON.parse(lines[1]).reason, nasty);
  // deno-lint-ignore no-control-regex
  assert.not.match(lines[1].slice(0, -1), /[\x00-\x1f\x7f-\x9f\u2028\u202e]/);
});

test("text lines show nothing of the fields, and braces as they are", () => {
  const { sink, lines } = collect();
  const log = new TextLog(sink, 5, () => new Date(2026, 10, 3, 4, 5, 6, 78));
  log.notice("hash_tag {} of {pool}", { pool: "p" });
  assert.equal(lines, ["[2026-11-03 04:05:06.078] hash_tag {} of {pool}\n"]);
});

/** A limited log, its clock, and what it lets through. */
function limited() {
  const lines: string[] = [];
  const note = (level: string) => (text: string, fields?: Fields) =>
    void lines.push(`${level} ${text}${fields?.suppressed === undefined ? "" : " +"}`);
  const clock = { now: 0 };
  const log = new LimitedLog(
    {
      error: note("error"),
      warn: note("warn"),
      notice: note("notice"),
      info: note("info"),
      debug: note("debug"),
    },
    () => clock.now,
  );
  return { lines, clock, log };
}

test("of lines that differ in numbers only, ten a second are written, then how many more", () => {
  const { lines, clock, log } = limited();
  for (let i = 0; i < 25; i++) log.warn(`client 10.0.0.${i} refused`);
  assert.is(lines.length, 10);
  clock.now = 500;
  log.tick(500);
  assert.is(lines.length, 10);
  clock.now = 1000;
  log.tick(1000);
  assert.is(lines.length, 11);
  assert.is(lines[10], "warn client 10.0.0.24 refused; 14 more suppressed +");
  log.warn("client 10.0.0.99 refused");
  assert.is(lines[11], "warn client 10.0.0.99 refused");
  clock.now = 5000;
  log.tick(5000);
  assert.is(lines.length, 12);
});

test("kinds are told apart by event and server; info is not limited", () => {
  const { lines, log } = limited();
  for (let i = 0; i < 20; i++) {
    log.notice(`closed ${i}`, { event: "server_closed", server: "a", lost: i });
    log.notice(`closed ${i}`, { event: "server_closed", server: "b", lost: i });
    log.info(`connected ${i}`, { event: "client_connected" });
  }
  assert.is(lines.filter((line) => line.startsWith("notice")).length, 20);
  assert.is(lines.filter((line) => line.startsWith("info")).length, 20);
});

test("one line that was held back is written as it is", () => {
  const { lines, clock, log } = limited();
  for (let i = 0; i < 11; i++) log.error("no");
  clock.now = 1500;
  log.error("yet no");
  log.error("no");
  assert.equal(lines.slice(10), ["error yet no", "error no", "error no"]);
});

test.run();
