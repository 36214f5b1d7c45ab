// Writes the lists of docs/commands.md, and the names that a configuration may use, from the
// command tables in core/protocol/. Run from the project's root after every change of a table: deno run -A docs/make_commands.ts (or bun
// docs/make_commands.ts). A test compares.

import * as fs from "node:fs";
import process from "node:process";
import * as codec from "../core/protocol/codec.ts";
import * as binary from "../core/protocol/memcached/binary_commands.ts";
import * as memcached from "../core/protocol/memcached/commands.ts";
import * as redis from "../core/protocol/redis/commands.ts";
import { refusal } from "../core/protocol/redis/errors.ts";

export const COMMANDS_FILE = "docs/commands.md";
export const NAMES_FILE = "core/config/command_names.ts";

/** Words in lines of the width that code has. */
function wrapped(words: readonly string[]): string {
  const lines: string[] = [""];
  for (const word of words) {
    const last = lines[lines.length - 1];
    if (last.length + word.length > 98) lines.push(word);
    else lines[lines.length - 1] = last === "" ? word : `${last} ${word}`;
  }
  return lines.join("\n");
}

/** The text of NAMES_FILE: a configuration is checked without knowing any protocol. */
export function generateNames(): string {
  const names = redis.COMMANDS.map(({ name }) => name);
  return "// The names of Redis commands, and their categories, that `commands:` may speak of.\n" +
    '// Those of subcommands have a "|". Written by docs/make_commands.ts from core/protocol/redis/table.ts.\n\n' +
    `const NAMES = \`\n${wrapped(names)}\n\`;\n\n` +
    "export const COMMAND_NAMES: readonly string[] = NAMES.trim().split(/\\s/);\n\n" +
    `const CATEGORIES = \`\n${wrapped(redis.CATEGORIES)}\n\`;\n\n` +
    `/** Redis's ACL categories, without the "@". */\n` +
    "export const CATEGORY_NAMES: readonly string[] = CATEGORIES.trim().split(/\\s/);\n";
}

/** A list as it stands in the file, between its two marks. */
interface Section {
  readonly name: string;
  readonly text: string;
}

/** docs/commands.md with fresh lists; `docs` is its present text. */
export function generate(docs: string): string {
  let made = docs;
  for (const { name, text } of [redisSection(), memcachedSection(), binarySection()]) {
    const begin = `<!-- ${name}: written by docs/make_commands.ts -->`;
    const start = made.indexOf(begin);
    const end = made.indexOf(`<!-- end of ${name} -->`);
    if (start < 0 || end < start) throw new Error(`${COMMANDS_FILE} has lost the marks of ${name}`);
    made = `${made.slice(0, start + begin.length)}\n\n${text}\n${made.slice(end)}`;
  }
  return made;
}

const REDIS_JOINS: Record<number, string> = {
  [redis.JOIN_ARRAY]: "one array, in the order of the keys",
  [redis.JOIN_SUM]: "the sum",
  [redis.JOIN_OK]: "`OK` when all of them say so, else the first error",
  [redis.JOIN_FIRST]: "the first server's",
  [redis.JOIN_CONCAT]: "one array after the other",
  [redis.JOIN_LEAST]: "element by element the least",
  [redis.JOIN_OLDEST]: "the oldest",
  [redis.JOIN_SOME]: "one that is not nil",
  [redis.JOIN_ANY_OK]: "`OK` when one of them says so, else the first error",
  [redis.JOIN_UNION]: "all elements, each once",
  [redis.JOIN_MOST]: "the greatest",
  [redis.JOIN_NUMSUB]: "the sums, this proxy's clients counted one by one",
  [redis.JOIN_INFO]: "ringmux's own figures, and the sums of the servers'",
};

function redisSection(): Section {
  const rows = redis.COMMANDS;
  const by = (action: number) => rows.filter((c) => c.action === action || c.alone === action);
  const upper = (c: redis.Command) => `\`${c.name.replace("|", " ").toUpperCase()}\``;
  const join = (c: redis.Command) => REDIS_JOINS[c.join];
  const publishes = (c: redis.Command) => c.join === redis.JOIN_PUBLISH;
  const why = (c: redis.Command) => reason(refusal(redis.COMMANDS.indexOf(c)));
  const all = [codec.ALL, codec.RESCUE, codec.GATHER].flatMap(by);
  const opened = rows.filter((c) => c.opened !== redis.SUB);
  const atOne = (c: redis.Command) => c.name === "debug" ? "to it, [most](#debug)" : "to it";
  const atSeveral = (c: redis.Command) =>
    c.name === "debug"
      ? "[by form](#debug)"
      : c.opened === codec.LOCAL
      ? "to every server, whose lines come as they come"
      : c.opened === codec.ANY
      ? "refused"
      : `to every server: ${join(c)}`;
  const text = [
    "### One key: to the key's server\n",
    list(by(codec.FORWARD).map(upper)),
    "### Many keys: split by server, the replies joined\n",
    table(["commands", "the joined reply"], by(codec.SPLIT), upper, join),
    "### Many keys that must live on one server\n",
    list(by(codec.TOGETHER).filter((c) => !publishes(c)).map(upper)),
    "### Transactions: on a connection of the client's own\n",
    list(by(codec.PIN).filter((c) => c.pin !== codec.PIN_BLOCK).map(upper)),
    "### Blocking: on a connection of the client's own\n",
    list(by(codec.PIN).filter((c) => c.pin === codec.PIN_BLOCK).map(upper)),
    "### Publish and subscribe: to a channel's server, or to all of them for a pattern\n",
    list(rows.filter((c) => c.action === codec.TOPICS || publishes(c)).map(upper)),
    "### No key: to every server, the replies joined\n",
    table(["commands", "the joined reply"], all, upper, join),
    "### No key: to one server after the other, by the cursor\n",
    list(by(codec.WALK).map(upper)),
    "### No key: to the first server that is alive\n",
    list(by(codec.ANY).map(upper)),
    "### Answered by ringmux\n",
    list([...by(codec.LOCAL), ...by(codec.QUIT)].map(upper)),
    "### Administration: refused unless `commands.allow` opens it\n",
    table(["commands", "then, with one server", "with several"], opened, upper, atOne, atSeveral),
    "### Refused\n",
    table(["commands", "why"], by(codec.REFUSE).filter((c) => !opened.includes(c)), upper, why),
  ].join("\n");
  return { name: "redis", text };
}

const MEMCACHED_JOINS: Record<number, string> = {
  [memcached.JOIN_SAME]: "one reply, unless one of them is an error",
  [memcached.JOIN_SUM]: "the sums",
  [memcached.JOIN_FIRST]: "the first server's",
  [memcached.JOIN_CONCAT]: "one after the other",
  [memcached.JOIN_KEYS]: "one after the other, over connections of their own",
};

function memcachedSection(): Section {
  const rows = memcached.COMMANDS;
  const by = (action: number) => rows.filter((c) => c.action === action);
  const name = (c: memcached.Command) => {
    const isStats = c.shape === memcached.STATS && c.name !== "stats";
    return isStats ? `\`stats ${c.name}\`` : `\`${c.name}\``;
  };
  const all = [...by(codec.ALL), ...by(codec.APART)];
  const text = [
    "### One key: to the key's server\n",
    list(by(codec.FORWARD).map(name)),
    "### Many keys: split by server, the values joined\n",
    list(by(codec.SPLIT).map(name)),
    "### No key: to every server, the replies joined\n",
    table(["commands", "the joined reply"], all, name, (c) => MEMCACHED_JOINS[c.join]),
    "### No key: to the first server that is alive\n",
    list(by(codec.ANY).map(name)),
    "### Answered by ringmux\n",
    list([...by(codec.LOCAL), ...by(codec.QUIT)].map(name)),
    "### Refused\n",
    list(by(codec.REFUSE).map(name)),
  ].join("\n");
  return { name: "memcached", text };
}

function binarySection(): Section {
  const rows = binary.BINARY_COMMANDS.filter((c) => c !== undefined);
  const loud = rows.filter((c) => c.hides === binary.HIDES_NOTHING);
  const by = (action: number) => loud.filter((c) => c.action === action);
  const name = (c: binary.BinaryCommand) =>
    `\`${c.name}\` (0x${c.opcode.toString(16).padStart(2, "0")})`;
  const quiet = rows.filter((c) => c.hides !== binary.HIDES_NOTHING);
  const hidden = (c: binary.BinaryCommand) =>
    c.hides === binary.HIDES_MISS ? "that there is no such key" : "success";
  const text = [
    "### Opcodes with one key: to the key's server\n",
    list(by(codec.FORWARD).map(name)),
    "### Opcodes without a key: to every server, the replies joined\n",
    list(by(codec.ALL).map(name)),
    "### Opcodes without a key: to the first server that is alive\n",
    list(by(codec.ANY).map(name)),
    "### Opcodes answered by ringmux\n",
    list([...by(codec.LOCAL), ...by(codec.QUIT)].map(name)),
    "### Quiet opcodes\n",
    table(["opcodes", "what is not answered"], quiet, name, hidden),
    "### Opcodes answered with `Unknown command`\n",
    list(by(codec.REFUSE).map(name)),
  ].join("\n");
  return { name: "memcached binary", text };
}

/** The part of a refusal behind "is not supported by ringmux: ". */
function reason(error: Uint8Array): string {
  const text = String.fromCharCode(...error).trim();
  // What Redis itself would say is quoted.
  return text.includes(": ") ? text.slice(text.indexOf(": ") + 2) : `the answer is \`${text}\``;
}

function list(names: readonly string[]): string {
  return names.join(" ") + "\n";
}

/** Commands with the same explanation share a row; rows stand in the order of their first. */
function table<C>(
  head: readonly string[],
  commands: readonly C[],
  name: (command: C) => string,
  ...explain: ((command: C) => string)[]
): string {
  const rows = new Map<string, string[]>();
  for (const command of commands) {
    const key = explain.map((cell) => cell(command)).join(" | ");
    rows.set(key, [...(rows.get(key) ?? []), name(command)]);
  }
  const lines = [...rows].map(([why, names]) => `| ${names.join(" ")} | ${why} |\n`);
  return `| ${head.join(" | ")} |\n|${"---|".repeat(head.length)}\n${lines.join("")}`;
}

if (/make_commands\.(ts|m?js)$/.test(process.argv[1] ?? "")) {
  fs.writeFileSync(NAMES_FILE, generateNames());
  fs.writeFileSync(COMMANDS_FILE, generate(fs.readFileSync(COMMANDS_FILE, "utf8")));
}
