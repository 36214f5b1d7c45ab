// The users of a pool, from its configuration; failed attempts to come in are logged here, without
// passwords and not more often than somebody can read.

import { bytes, utf8 } from "./bytes.ts";
import type { AuthConfig, UserConfig } from "./config/groups.ts";
import type { PoolConfig } from "./config/schema.ts";
import { Limit } from "./limit.ts";
import type { Log } from "./log.ts";
import { type Refused, type User, Users } from "./protocol/access.ts";

/** Lines a second about failed attempts. */
const MOST = 1;

/**
 * The users of `config.auth`; undefined without one. Throws when a password is still in a file or a
 * variable: nobody may come in because it was not looked for.
 */
export function usersOf(config: PoolConfig, label: string, refused: Refused): Users | undefined {
  const { auth } = config;
  if (config.redis_auth === "" && (config.redis_auth_file !== "" || config.redis_auth_env !== "")) {
    throw new Error(`${label}: the secret of redis_auth is not resolved (resolveSecrets does it)`);
  }
  if (auth === undefined) return undefined;
  const users = Object.entries(auth.users).map(([name, user]) => userOf(name, user));
  if (hasSecret(auth)) users.push(userOf("default", auth));
  const open = users.find((user) => user.password === "");
  if (open !== undefined) {
    const name = JSON.stringify(open.name);
    throw new Error(
      `${label}: the secret of user ${name} is not resolved (resolveSecrets does it)`,
    );
  }
  return new Users(users, refused);
}

function hasSecret(auth: AuthConfig): boolean {
  return auth.password !== "" || auth.password_file !== "" || auth.password_env !== "";
}

function userOf(name: string, config: AuthConfig | UserConfig): User {
  const { access, prefixes, scripts } = "access" in config
    ? config
    : { access: "read-write", prefixes: [], scripts: false };
  return {
    name,
    password: utf8(config.password),
    readOnly: access === "read-only",
    prefixes: prefixes.map((prefix) => bytes(utf8(prefix))),
    scripts,
  };
}

/** Logs failed attempts. */
export function logRefused(label: string, log: Log, now: () => number): Refused {
  const limit = new Limit(MOST);
  return ({ remote }, name, known) => {
    if (!limit.admit(now())) return;
    // A name that is not known may be a password in the wrong place: it is not shown.
    const who = known ? `user "${name}"` : "a user that does not exist";
    const unsaid = limit.suppressed;
    const more = unsaid > 0 ? `; ${unsaid} more since the last such line` : "";
    limit.suppressed = 0;
    log.warn(`${label}: client ${remote}: authentication as ${who} failed${more}`);
  };
}
