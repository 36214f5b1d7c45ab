// Every command that a real server lists in COMMAND is sent through the proxy, with two servers
// behind it: a reply comes, and the servers that have got the command (by their own commandstats)
// are those which docs/commands.md says: the key's, all of them, one of them, none.
// Needs: redis-server

import * as fs from "node:fs";
import * as path from "node:path";
import { Redis } from "ioredis";
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  at,
  isNutcracker,
  ours,
  type ProxyProcess,
  root,
  type ServerProcess,
  several,
  startProxy,
  startRedis,
  Wire,
} from "./harness.ts";

let servers: ServerProcess[];
/** A connection to each of them. */
let direct: Wire[];
let proxy: ProxyProcess;
/** Two keys that live on different servers. */
let apart: [string, string];

test.before(async () => {
  if (isNutcracker) return;
  servers = await several(2, startRedis);
  direct = await Promise.all(servers.map((server) => Wire.open(server.port)));
  proxy = await startProxy({
    pool: { redis: true, hash_tag: '"{}"', servers: servers.map((s, i) => at(s, 1, `server${i}`)) },
  });
  const wire = await Wire.open(proxy.port);
  for (let i = 0;; i++) {
    const reply = await wire.ask("RENAME", "{0}", `{${i}}`);
    if (!reply.startsWith("-CROSSSLOT")) continue;
    apart = ["{0}", `{${i}}`];
    break;
  }
  wire.close();
});

// Calls whose arguments cannot be made from what COMMAND says. K is a key, the others are as sent.
const CALLS: Record<string, string> = Object.fromEntries(
  `
blpop K K 0.01|brpop K K 0.01|blmove K K left right 0.01|brpoplpush K K 0.01|blmpop 0.01 2 K K left
bzmpop 0.01 2 K K min|bzpopmin K K 0.01|bzpopmax K K 0.01|eval return(1) 2 K K|eval_ro return(1) 2 K K
evalsha ffffffffffffffffffffffffffffffffffffffff 2 K K|evalsha_ro ffffffffffffffffffffffffffffffffffffffff 2 K K
fcall f 2 K K|fcall_ro f 2 K K|georadius K 1 1 1 km store K|georadiusbymember K m 1 km store K
sort K store K|lmpop 2 K K left|zmpop 2 K K min|sintercard 2 K K|zdiff 2 K K|zinter 2 K K|zunion 2 K K
zintercard 2 K K|zdiffstore K 2 K K|zinterstore K 2 K K|zunionstore K 2 K K|xread streams K K 0 0
xreadgroup group g c streams K K > >|bitop and K K|scan 0|select 1|hello 2|auth x|client|id
object|encoding K|memory|usage K|script|load return|function|load x|config|get save|acl|cat
`.trim().split("\n").flatMap((line) => split(line)).map((call) => {
    const words = call.split(" ");
    return [words[0], call];
  }),
);

/** Calls stand between bars, but subcommands are written with one too: `client|id`. */
function split(line: string): string[] {
  return line.split(/\|(?=[a-z_]+ [^|]*)/).filter((call) => call.includes(" "));
}

interface Told {
  name: string;
  arity: number;
  first: number;
  last: number;
  step: number;
}

function told(rows: unknown): Told[] {
  return (rows as unknown[][]).flatMap((row) => {
    const [name, arity, , first, last, step, , , , subcommands] = row;
    const own = { name, arity, first, last, step } as Told;
    const below = told(subcommands);
    return below.length > 0 ? below : [own];
  });
}

/** Every command and subcommand of the server. */
async function commands(): Promise<Told[]> {
  const redis = new Redis({ port: servers[0].port, host: "127.0.0.1" });
  try {
    return told(await redis.call("COMMAND"));
  } finally {
    redis.disconnect();
  }
}

/** Words of a call; K stands for a key. */
function callOf({ name, arity, first, last, step }: Told): string[] {
  if (CALLS[name] !== undefined) return CALLS[name].split(" ");
  const words = name.split("|");
  while (words.length < Math.abs(arity)) words.push("1");
  if (first === 0) return words;
  // As many keys as two, where there may be many.
  const stop = last >= 0 ? last : Math.max(words.length + last, first + step);
  while (words.length < stop + step) words.push("1");
  if (arity > 0) words.length = arity;
  for (let i = first; i <= stop; i += step) words[i] = "K";
  return words;
}

function withKeys(words: string[], keys: readonly string[]): string[] {
  let i = 0;
  return words.map((word) => word === "K" ? keys[i++ % keys.length] : word);
}

interface Documented {
  section: string;
  /** What stands beside the command in its table. */
  about: string;
}

/** What docs/commands.md says of each command, by its name in lower case. */
function documented(): Map<string, Documented> {
  const text = fs.readFileSync(path.join(root, "docs/commands.md"), "utf8");
  const lists = text.slice(text.indexOf("<!-- redis:"), text.indexOf("<!-- end of redis -->"));
  const found = new Map<string, Documented>();
  for (const part of lists.split(/^### /m).slice(1)) {
    const [section] = part.split("\n", 1);
    for (const line of part.slice(section.length).split("\n")) {
      const [names, about] = line[0] === "|" ? line.slice(1).split("|") : [line, ""];
      for (const [, name] of (names ?? "").matchAll(/`([^`]+)`/g)) {
        found.set(name.toLowerCase().replace(" ", "|"), { section, about: (about ?? "").trim() });
      }
    }
  }
  return found;
}

/** How often each server has been asked for the command, since the statistics were reset. */
async function calls(name: string): Promise<number[]> {
  return await Promise.all(direct.map(async (wire) => {
    const info = await wire.ask("INFO", "commandstats");
    const line = info.split("\r\n").find((one) => one.startsWith(`cmdstat_${name}:`));
    if (line === undefined) return 0;
    const figure = (what: string) => Number(new RegExp(`[:,]${what}=(\\d+)`).exec(line)?.[1]);
    return figure("calls") + figure("rejected_calls");
  }));
}

async function reset(): Promise<void> {
  for (const wire of direct) assert.is(await wire.ask("CONFIG", "RESETSTAT"), "+OK\r\n");
}

async function sent(words: string[]): Promise<string> {
  const wire = await Wire.open(proxy.port);
  try {
    return await wire.ask(...words);
  } finally {
    wire.close();
  }
}

const OURS = /^-ERR .*not supported by ringmux|^-ERR This instance has cluster support disabled/;

/** Of CLIENT some subcommands are known and refused: docs/commands.md lists those which are not. */
const UNSUPPORTED = ["caching", "pause", "reply", "tracking", "unblock", "unpause"]
  .map((sub) => `client|${sub}`);

/** How many servers get a command of the section; undefined if that depends on more. */
function reached(section: string): number | undefined {
  if (/^(One key|No key: to (one|the first) server|Many keys that must|Blocking)/.test(section)) {
    return 1;
  }
  if (/^(Many keys: split|No key: to every server)/.test(section)) return 2;
  if (/^(Answered by ringmux|Refused)/.test(section)) return 0;
}

ours("every command of the server goes where the documentation says, and is answered", async () => {
  const known = documented();
  const wrong: string[] = [];
  const seen = new Map<string, number>();
  for (const command of await commands()) {
    const { name } = command;
    const entry = known.get(name) ?? known.get(name.split("|")[0]);
    if (entry === undefined) {
      wrong.push(`${name}: is not in docs/commands.md`);
      continue;
    }
    const { section, about } = entry;
    seen.set(section, (seen.get(section) ?? 0) + 1);
    const words = callOf(command);
    const servers = reached(section);
    const keys = servers === 2 ? apart : ["{0}a", "{0}b"];
    await reset();
    const reply = await sent(withKeys(words, keys)).catch((error: Error) => `! ${error.message}`);
    const shown = `${words.join(" ")} (${section}): ${JSON.stringify(reply.slice(0, 150))}`;
    if (!/^[-+:$*%~#,_>=(]/.test(reply)) wrong.push(shown);
    if (servers === undefined) continue;
    const counts = await calls(name);
    const hit = counts.filter((n) => n > 0).length;
    if (name === "config|resetstat") continue; // it forgets itself
    if (hit !== servers || counts.some((n) => n > 1)) wrong.push(`${shown}, calls ${counts}`);
    if (section === "Refused") {
      const reason = /`(-ERR [^`]*)`/.exec(about)?.[1] ?? about;
      if (!reply.startsWith("-ERR ") || !reply.includes(reason)) wrong.push(shown);
    } else if (OURS.test(reply) && !UNSUPPORTED.includes(name)) {
      wrong.push(shown);
    }
  }
  assert.is(wrong.join("\n"), "");
  const total = [...seen.values()].reduce((a, b) => a + b);
  assert.ok(total > 350 && seen.size > 8, JSON.stringify([...seen]));
});

ours("keys that must live together: one error names both servers and the hash tag", async () => {
  const known = documented();
  const wrong: string[] = [];
  let tried = 0;
  for (const command of await commands()) {
    const section = known.get(command.name)?.section ?? "";
    if (!/^(Many keys that must|Blocking|Transactions)/.test(section)) continue;
    const words = callOf(command);
    if (words.filter((word) => word === "K").length < 2) continue;
    tried++;
    await reset();
    const [one, other] = apart;
    const reply = await sent(withKeys(words, apart));
    const counts = await calls(command.name);
    const fine = reply.startsWith("-CROSSSLOT Keys in request don't hash to the same server") &&
      reply.includes(`'${one}' is on server server`) &&
      reply.includes(`'${other}' is on server server`) &&
      reply.includes(`keys with one hash tag are together: '{x}`) &&
      counts.every((n) => n === 0);
    if (!fine) wrong.push(`${words.join(" ")}: ${reply.slice(0, 200)}, calls ${counts}`);
  }
  assert.is(wrong.join("\n"), "");
  assert.ok(tried > 45, String(tried));
});

test.run();
