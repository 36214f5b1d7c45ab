// Error replies of the Redis protocol that ringmux makes itself. Where Redis has a text for the
// case it is used to the byte (server.c, networking.c of Redis 7.0).

import { bytes, clipped, utf8 } from "../../bytes.ts";
import { REFUSE } from "../codec.ts";
import { COMMANDS } from "./commands.ts";

/** Longest piece of a client's input that is quoted back (as Redis does). */
const QUOTE = 128;

/** Longest piece of a key that is quoted. */
const KEY_QUOTE = 64;

/** As much of a key (or of another name) as an error needs. */
export function keyText(buf: Uint8Array, start: number, end: number): string {
  return clipped(buf, start, end, KEY_QUOTE + 1);
}

/** An argument (byte string), made fit for an error. */
export function quoted(argument: string): string {
  return oneLine(argument.slice(0, QUOTE));
}

/** An error reply; `message` begins with its code ("ERR ..."). Line breaks become spaces. */
export function errorReply(message: string): Uint8Array {
  return bytes(`-${utf8(message.replace(/[\r\n]/g, " "))}\r\n`);
}

/** twemproxy's text, and Redis's. */
export const NO_AUTH = errorReply("NOAUTH Authentication required");
export const NO_AUTH_USERS = errorReply("NOAUTH Authentication required.");
export const SYNTAX_ERROR = errorReply("ERR syntax error");
export const NOT_INTEGER = errorReply("ERR value is not an integer or out of range");
export const BAD_MULTIBULK = errorReply("ERR Protocol error: invalid multibulk length");
export const BAD_BULK = errorReply("ERR Protocol error: invalid bulk length");
export const BIG_MULTIBULK = errorReply("ERR Protocol error: too big mbulk count string");
export const BIG_INLINE = errorReply("ERR Protocol error: too big inline request");
export const UNBALANCED = errorReply("ERR Protocol error: unbalanced quotes in request");
export const HTTP = errorReply("ERR Protocol error: this is HTTP, not Redis");
export const TOO_LARGE = errorReply("ERR Protocol error: request too large for this proxy");
export const LONG_TOPIC = errorReply(
  "ERR a channel or pattern of more than 16384 bytes is not supported by ringmux",
);
export const INVALID_CURSOR = errorReply("ERR invalid cursor");
export const NO_CLUSTER = errorReply("ERR This instance has cluster support disabled");
/** The reply to a fragment is not what it should be. */
export const BAD_PART = errorReply(
  "ERR a server answered part of the request with a reply of another kind",
);
export const STREAMS_UNBALANCED = errorReply(
  "ERR Unbalanced XREAD list of streams: for each stream key an ID or '$' must be specified.",
);

/** What a client sent, made fit for an error: a NUL ends it, as it ends a string in C. */
function oneLine(input: string): string {
  return input.split("\0", 1)[0].replace(/[\r\n]/g, " ");
}

/** The reply to a byte that should have been '$'. */
export function expectedBulk(byte: number): Uint8Array {
  return bytes(
    `-ERR Protocol error: expected '$', got '${oneLine(String.fromCharCode(byte))}'\r\n`,
  );
}

export function wrongArity(name: string): Uint8Array {
  return errorReply(`ERR wrong number of arguments for '${name}' command`);
}

/** server.c rejectCommand: EXEC ends the transaction even when it is wrong itself. */
export const EXEC_ARITY = errorReply(
  "EXECABORT Transaction discarded because of: wrong number of arguments for 'exec' command",
);

/** As Redis: the name, then as much of the arguments as fits 128 characters. */
export function unknownCommand(
  buf: Uint8Array,
  start: number,
  args: Int32Array,
  nargs: number,
): Uint8Array {
  const arg = (i: number, most: number) => {
    const from = start + args[2 * i];
    const to = start + args[2 * i + 1];
    return oneLine(clipped(buf, from, to, most));
  };
  let list = "";
  for (let i = 1; i < nargs && list.length < QUOTE; i++) {
    list += `'${arg(i, QUOTE - list.length)}' `;
  }
  return bytes(`-ERR unknown command '${arg(0, QUOTE)}', with args beginning with: ${list}\r\n`);
}

export function unknownSubcommand(
  verb: number,
  buf: Uint8Array,
  start: number,
  end: number,
): Uint8Array {
  const sub = oneLine(clipped(buf, start, end, QUOTE));
  const name = COMMANDS[verb].name.toUpperCase();
  return bytes(`-ERR unknown subcommand '${sub}'. Try ${name} HELP.\r\n`);
}

const REASONS: Record<string, string> = {
  admin: "it administers servers: connect to them directly, or allow @admin (commands.allow)",
  stream: "what follows it is not one reply to each request: connect to the server directly",
  importing: "a server would take every client of the connection for a source of imports",
};

for (const { name, action, reason } of COMMANDS) {
  const known = reason === "cluster" || Object.hasOwn(REASONS, reason);
  if (action === REFUSE && !known) throw new Error(`redis/table.ts: ${name}: refuse:${reason}?`);
}

/** A command that changes the connection's own state, or asks about it, inside MULTI. */
export function notInTransaction(verb: number): Uint8Array {
  return errorReply(
    `ERR '${
      COMMANDS[verb].name.replace("|", " ")
    }' is not supported by ringmux inside a transaction`,
  );
}

const refusals: (Uint8Array | undefined)[] = [];

/** The error for a command that ringmux does not pass on. */
export function refusal(verb: number): Uint8Array {
  const { name, reason } = COMMANDS[verb];
  // Clients that try for a cluster know what this answer means.
  if (reason === "cluster") return NO_CLUSTER;
  return refusals[verb] ??= errorReply(
    `ERR '${name.replace("|", " ")}' is not supported by ringmux: ${REASONS[reason]}`,
  );
}

/** The error for what is open to clients, but only where there is one server. */
export function forOneServer(verb: number): Uint8Array {
  return errorReply(
    `ERR '${COMMANDS[verb].name.replace("|", " ")}' is not supported by ringmux for pools of ` +
      "several servers: it administers one of them, connect to that one directly",
  );
}

/** The error for a command that the configuration takes away, by which of its lists. */
export function switchedOff(name: string, list: "deny" | "allow"): Uint8Array {
  const shown = name.replace("|", " ");
  return errorReply(
    `ERR command '${shown}' is switched off by this proxy's configuration (commands.${list})`,
  );
}

/** Where a key is, and what could bring it together with another one. */
export interface Place {
  /** As a byte string. */
  readonly key: string;
  readonly server: string;
}

/** A command for every server, of a client that is in a transaction on one of several. */
export function forEveryServer(verb: number): Uint8Array {
  const name = (COMMANDS[verb]?.name ?? "this command").replace("|", " ");
  return errorReply(
    `CROSSSLOT '${name}' concerns every server of this pool and cannot be part of a transaction`,
  );
}

/** The error for a key that lives elsewhere than what the client watches or has queued. */
export function astray(held: string, { key, server }: Place, hashTag: string): Uint8Array {
  return bytes(
    `-CROSSSLOT Keys in request don't hash to the same server: the transaction or WATCH is on ` +
      `server ${utf8(held)}, '${quoteKey(key)}' is on server ${utf8(server)}; ` +
      `${together(hashTag, [key])}\r\n`,
  );
}

/** The error for a command whose keys live on two servers. */
export function crossServer(name: string, one: Place, other: Place, hashTag: string): Uint8Array {
  // Keys are bytes and names are text: both become bytes here, not by errorReply.
  const at = ({ key, server }: Place) => `'${quoteKey(key)}' is on server ${utf8(server)}`;
  return bytes(
    `-CROSSSLOT Keys in request don't hash to the same server: ${at(one)}, ${at(other)}, and ` +
      `'${name}' cannot be split; ${together(hashTag, [one.key, other.key])}\r\n`,
  );
}

/** What would bring keys together. */
function together(hashTag: string, keys: string[]): string {
  const [open, close] = hashTag === "" ? "{}" : hashTag;
  const hint = hashTag === "" ? `with hash_tag: "{}" in the configuration, ` : "";
  const tagged = keys.map((key) => `'${open}x${close}${quoteKey(key)}'`);
  return `${hint}keys with one hash tag are together: ${tagged.join(", ")}`;
}

function quoteKey(key: string): string {
  // deno-lint-ignore no-control-regex
  const plain = key.slice(0, KEY_QUOTE).replace(/[\0-\x1f\x7f]/g, "?");
  return key.length > KEY_QUOTE ? `${plain}...` : plain;
}
