// The `commands:` key of a Redis pool: which commands clients may use, and under which names.
// Names are matched without case; `config get` and `config|get` are the same. Lists may have Redis's
// categories (`@write`) and its signs: `+x` is allowed and `-x` denied, whichever list it is in, and
// the last that fits counts. https://redis.io/docs/latest/operate/oss_and_stack/management/security/acl/

import * as v from "valibot";
import { CATEGORY_NAMES, COMMAND_NAMES } from "./command_names.ts";
import { nearest } from "./suggest.ts";
import type { Node, Place, Scalar } from "./yaml.ts";

/** In the lists a "-" takes a command, or a category's, off the list again. */
export interface CommandsConfig {
  readonly deny: readonly string[];
  /** If not empty, only these. */
  readonly allow: readonly string[];
  /** New name -> command. */
  readonly rename: Readonly<Record<string, string>>;
}

const Names = v.optional(v.array(v.string()), []);

/** For editors; `readCommands` has the last word. */
export const CommandsSchema = v.strictObject({
  deny: v.pipe(Names, v.description("Commands and @categories that are switched off.")),
  allow: v.pipe(
    Names,
    v.description(
      "If given, only these commands and @categories work (and AUTH, HELLO, QUIT and RESET). @all " +
        "stands for all but what administers servers, which works only where it or @admin is named.",
    ),
  ),
  rename: v.pipe(
    v.optional(v.record(v.string(), v.string()), {}),
    v.description("New name: command. The command's own name is then unknown."),
  ),
});

/** Tells one mistake, at its place. */
type Note = (place: Place, message: string) => void;

/** Reads the value of `commands`; what is wrong is told to `note`. */
export function readCommands(node: Node, note: Note): CommandsConfig | undefined {
  const policy = {
    deny: [] as string[],
    allow: [] as string[],
    rename: {} as Record<string, string>,
  };
  if (node.kind !== "mapping") {
    note(node, "commands has to be a mapping with deny, allow or rename");
    return undefined;
  }
  const seen = new Map<string, Place>();
  for (const { key, value } of node.entries) {
    const first = seen.get(key.text);
    seen.set(key.text, key);
    if (first !== undefined) {
      note(key, `commands.${key.text} is given twice (first on line ${first.line})`);
    } else if (key.text === "deny" || key.text === "allow") {
      policy[key.text] = readNames(key.text, value, note);
    } else if (key.text === "rename") {
      policy.rename = readRename(value, note);
    } else {
      const near = nearest(key.text, ["deny", "allow", "rename"]);
      const hint = near !== "" ? `did you mean ${near}?` : "known: deny, allow, rename";
      note(key, `key "commands.${key.text}" is not known; ${hint}`);
    }
  }
  return policy;
}

function readNames(key: string, node: Node, note: Note): string[] {
  if (node.kind !== "list" || node.items.length === 0) {
    note(node, `commands.${key} has to be a list of commands`);
    return [];
  }
  return node.items.flatMap((item) => readEntry(`commands.${key}`, item, note) ?? []);
}

/** An entry of a list: a name or a category, with a "-" before it if it is taken off the list. */
function readEntry(what: string, node: Node, note: Note): string | undefined {
  const [, sign, text] = /^([+-]?)(.*)$/s.exec(node.kind === "scalar" ? node.text : "") ?? [];
  const named = node.kind === "scalar" ? { ...node, text } : node;
  const known = text.startsWith("@")
    ? readCategory(what, named as Scalar, note)
    : readName(what, named, note);
  const isOff = sign === (what === "commands.deny" ? "+" : "-");
  return known !== undefined && isOff ? `-${known}` : known;
}

function readCategory(what: string, node: Scalar, note: Note): string | undefined {
  const name = node.text.slice(1).toLowerCase();
  if (CATEGORY_NAMES.includes(name) || name === "all") return `@${name}`;
  const near = nearest(name, CATEGORY_NAMES);
  const hint = near !== ""
    ? `did you mean @${near}?`
    : `known: @all, @${CATEGORY_NAMES.join(", @")}`;
  note(node, `${what} "${node.text}" is no category; ${hint}`);
  return undefined;
}

/** The name of a command as the protocol has it; undefined if there is none. */
function readName(what: string, node: Node, note: Note): string | undefined {
  if (node.kind !== "scalar" || node.text === "") {
    note(node, `${what} has to name a command`);
    return undefined;
  }
  const name = node.text.toLowerCase().replace(/ +/g, "|");
  if (COMMAND_NAMES.includes(name)) return name;
  const near = nearest(name, COMMAND_NAMES).replace("|", " ");
  note(node, `${what} "${node.text}" is not known${near && `; did you mean ${near}?`}`);
  return undefined;
}

function readRename(node: Node, note: Note): Record<string, string> {
  if (node.kind !== "mapping") {
    note(node, "commands.rename has to be a mapping of new names to commands");
    return {};
  }
  const rename: Record<string, string> = {};
  for (const { key, value } of node.entries) {
    const old = readName("commands.rename", value, note);
    const wrong = judgeNewName(key, rename, old);
    if (wrong !== "") note(key, `commands.rename "${key.text}" ${wrong}`);
    else if (old !== undefined) rename[key.text.toLowerCase()] = old;
  }
  return rename;
}

function judgeNewName(key: Scalar, rename: Record<string, string>, old = ""): string {
  const name = key.text.toLowerCase();
  if (!/^[!-~]{1,64}$/.test(name)) return "has to be 1 to 64 ASCII characters without spaces";
  if (COMMAND_NAMES.includes(name)) return "is the name of another command";
  if (Object.hasOwn(rename, name)) return "is given twice";
  if (old.includes("|")) return "cannot stand for a subcommand; rename the whole command";
  return "";
}
