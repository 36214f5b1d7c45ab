// `npm start -- --demo NAME`: real servers are started, what it says to type works, and nothing is
// left of them.
// Needs: redis-server redis-tools
// Runtimes: node
// The demonstrations run on Node only.

import * as fs from "node:fs";
import { spawn } from "node:child_process";
import process from "node:process";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { closers, root } from "./harness/processes.ts";
import { canConnect, run, startProxy, tempPath, until, Wire } from "./harness.ts";

interface Shown {
  config: string;
  text: string;
}

/** The servers of a demonstration; `end` is what the end of its parent is to it. */
async function startDemo(name: string, env: Record<string, string> = {}) {
  const child = spawn(process.execPath, ["dist/demo.js", "--demo", name], {
    cwd: root,
    env: { ...process.env, ...env },
  });
  const end = (): void => void child.stdin.end();
  closers.add(end);
  let said = "";
  let failed = "";
  child.stdout.setEncoding("utf8").on("data", (text) => said += text);
  child.stderr.setEncoding("utf8").on("data", (text) => failed += text);
  await until("the demo", () => said.includes("\n") || child.exitCode !== null, 60_000);
  if (said === "") await until("its words", () => child.stderr.closed);
  return { child, end, failed, shown: JSON.parse(said || "{}") as Shown };
}

/** The command behind a word of the text, its lines put together. */
function commandOf(text: string, word: string): string[] {
  const lines = text.replace(/\\\n/g, " ").split("\n");
  const line = lines.find((one) => one.trim().startsWith(word)) as string;
  return line.trim().slice(word.length).trim().split(/ +/);
}

test("--demo cluster: what it says to type works, and nothing is left", async () => {
  const { child, end, shown, failed } = await startDemo("cluster");
  assert.ok(shown.config, failed);
  const servers = fs.readFileSync(shown.config, "utf8").match(/127\.0\.0\.1:\d+:1/g) as string[];
  const proxy = await startProxy({
    pool: { redis: true, distribution: "cluster", servers },
  });
  const wire = await Wire.open(proxy.port);
  for (const word of ["some keys", "redis-cli -p 22121 mget"]) {
    assert.match(shown.text, word);
  }
  assert.is(await wire.ask("MSET", "a", "1", "b", "2", "c", "3"), "+OK\r\n");
  for (const word of ["a failover", "a resharding", "a crash"]) {
    const [program, ...args] = commandOf(shown.text, word);
    const { code, stdout, stderr } = await run(program, args);
    assert.is(code, 0, `${word}: ${stdout}${stderr}`);
    // A write that meets the crash itself may be in doubt, the next one is not.
    await until("it to be written", async () => {
      const reply = await wire.ask("MSET", "a", "1", "b", "2", "c", word);
      if (word !== "a crash") assert.is(reply, "+OK\r\n", word);
      else assert.match(reply, /^\+OK\r\n$|; it may have been carried out\r\n$/);
      return reply === "+OK\r\n";
    });
  }
  const folder = shown.config.replace(/\/[^/]*$/, "");
  assert.ok(fs.existsSync(folder));
  end();
  await until("it to end", () => child.exitCode !== null);
  assert.not.ok(fs.existsSync(folder));
  for (const place of servers) assert.not.ok(await canConnect(Number(place.split(":")[1])));
});

test("--demo sentinel: a failover as it says, and nobody notices", async () => {
  const { child, end, shown, failed } = await startDemo("sentinel");
  assert.ok(shown.config, failed);
  const text = fs.readFileSync(shown.config, "utf8");
  const places = (key: string): string[] =>
    new RegExp(`  ${key}:.*\\n((?:    - .*\\n?)+)`).exec(text)?.[1].trim().split(/\s*- /) ?? [];
  const proxy = await startProxy({
    pool: {
      redis: true,
      sentinels: places("sentinels").filter(Boolean),
      servers: places("servers").filter(Boolean),
    },
  });
  const wire = await Wire.open(proxy.port);
  for (const word of ["a failover", "who is it now"]) {
    assert.is(await wire.ask("MSET", "a", "1", "b", "2", "c", "3"), "+OK\r\n");
    const [program, ...args] = commandOf(shown.text, word);
    const { code, stdout, stderr } = await run(program, args);
    assert.is(code, 0, `${word}: ${stdout}${stderr}`);
  }
  await until("the failover", () => proxy.output().includes("has taken over"));
  assert.is(await wire.ask("MSET", "a", "4", "b", "5", "c", "6"), "+OK\r\n");
  end();
  await until("it to end", () => child.exitCode !== null);
});

test("--demo migrate: its configuration is right, and its third server is empty", async () => {
  const { child, end, shown, failed } = await startDemo("migrate");
  assert.ok(shown.config, failed);
  const { code, stderr } = await run(process.execPath, [
    "dist/ringmux.js",
    "-t",
    "-c",
    shown.config,
  ]);
  assert.is(code, 0, stderr);
  for (const word of ["begin", "watch", "the end"]) {
    assert.match(commandOf(shown.text, word).join(" "), "npm start -- migrate ");
  }
  const [program, ...args] = commandOf(shown.text, "what it holds");
  assert.is((await run(program, args)).stdout.trim(), "0");
  end();
  await until("it to end", () => child.exitCode !== null);
});

test("a demonstration that is not known, or whose programs are not there, is told", async () => {
  const unknown = await startDemo("clusters");
  assert.is(unknown.child.exitCode, 1);
  assert.match(unknown.failed, "--demo clusters is not known (cluster");
  const folder = tempPath("empty");
  fs.mkdirSync(folder);
  const bare = await startDemo("cluster", { PATH: folder });
  // The usual folders are looked into as well: it may be found there.
  if (bare.child.exitCode === null) return bare.end();
  assert.match(bare.failed, "--demo cluster needs redis-server, which is not installed");
});

test.run();
