// AUTH, and the AUTH in HELLO. Pools with users answer as Redis 7.0 does (acl.c); those that only
// have a password (redis_auth) as twemproxy does (nc_redis.c), whose texts differ.

import { bytes, utf8 } from "../../bytes.ts";
import { leave, sameSecret } from "../access.ts";
import type { CodecOptions, Session } from "../codec.ts";
import { errorReply, SYNTAX_ERROR } from "./errors.ts";

export const OK = bytes("+OK\r\n");
const INVALID_PASSWORD = errorReply("ERR invalid password");
const NO_PASSWORD = errorReply("ERR Client sent AUTH, but no password is set");
const WRONG_PASS = errorReply(
  "WRONGPASS invalid username-password pair or user is disabled.",
);

/** `AUTH [user] password`; `args` are byte strings, the command's name among them. */
export function auth(
  args: readonly string[],
  session: Session,
  options: CodecOptions,
): Uint8Array {
  if (args.length > 3) return SYNTAX_ERROR;
  const name = args.length === 3 ? args[1] : "default";
  const password = args[args.length - 1];
  const { users } = options;
  // As in Redis, a failed attempt leaves the client as it was.
  if (users !== undefined) return users.enter(session, name, password) ? OK : WRONG_PASS;
  if (options.auth === "") return NO_PASSWORD;
  const isName = name === "default" || (name !== "" && name === utf8(options.user ?? ""));
  const ok = sameSecret(password, utf8(options.auth)) && isName;
  session.locked = !ok; // a wrong password takes an earlier right one back, as in twemproxy
  if (ok) return OK;
  options.refused?.(session, name, isName);
  return args.length === 3 ? WRONG_PASS : INVALID_PASSWORD;
}

/** The client is as it was when it came. */
export function forget(session: Session, options: CodecOptions): void {
  if (options.users !== undefined) leave(session);
  else session.locked = options.auth !== "";
}

/** ACL WHOAMI: a pool without users has one, `default`, as Redis has. */
export function userName(session: Session): string {
  return session.user?.name ?? "default";
}

/** HELLO of a client that is not authenticated: 7.0's words, and those of ringmux's own password. */
export function helloLocked(options: CodecOptions): Uint8Array {
  return options.users !== undefined ? HELLO_LOCKED : HELLO_LOCKED_OLD;
}

const HELLO_LOCKED = errorReply(
  "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol version at the same time",
);
const HELLO_LOCKED_OLD = errorReply(
  "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol version at the same time",
);
