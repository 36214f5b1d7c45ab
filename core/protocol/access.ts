// Who a client is and what it may do: users, their passwords, and the prefixes that their keys are
// bound to. What a command does is the protocols' knowledge: redis/rights.ts, memcached/rights.ts.

import type { Session } from "./session.ts";
import type { User } from "./user.ts";

export type { User } from "./user.ts";

/** Most bytes that one part of a request may have before its sender has said who it is (Redis's). */
export const LOCKED_BULK = 16384;

/** Hears of a failed attempt to come in; `known` is false for a user that does not exist. */
export type Refused = (session: Session, name: string, known: boolean) => void;

const NO_USER: User = { name: "", password: "?", readOnly: true, prefixes: [], scripts: false };

/** The users of a pool. */
export class Users {
  private readonly byName: ReadonlyMap<string, User>;
  private readonly refused: Refused;

  constructor(users: readonly User[], refused: Refused) {
    this.byName = new Map(users.map((user) => [user.name, user]));
    this.refused = refused;
  }

  names(): string[] {
    return [...this.byName.keys()];
  }

  /** Lets a client in as `name`. False, and the session is as it was, if it is not who it says. */
  enter(session: Session, name: string, password: string): boolean {
    const user = this.byName.get(name);
    // A name that does not exist takes as long as one that does.
    const same = sameSecret(password, (user ?? NO_USER).password);
    if (user === undefined || !same) {
      this.refused(session, name, user !== undefined);
      return false;
    }
    become(session, user);
    return true;
  }

  /** These users have taken the place of others: who is no user any more has to come in again. */
  renew(session: Session): void {
    const user = session.user === null ? undefined : this.byName.get(session.user.name);
    // As in Redis a new password asks nobody to give it who is in.
    if (user === undefined) leave(session);
    else become(session, user);
  }
}

function become(session: Session, user: User): void {
  session.user = user;
  session.locked = false;
  session.restricted = user.readOnly || user.prefixes.length > 0;
}

/** The pool has these users now, or none; then whoever was in without being one of them stays. */
export function renew(session: Session, users: Users | undefined, hasPassword: boolean): void {
  if (users !== undefined) return users.renew(session);
  const locked = hasPassword && (session.locked || session.user !== null);
  leave(session);
  session.locked = locked;
}

/** Whether `now` may do all that `before` may. */
export function widens(before: User, now: User): boolean {
  if (now.readOnly && !before.readOnly) return false;
  if (now.prefixes.length === 0) return true;
  if (before.prefixes.length === 0 || (before.scripts && !now.scripts)) return false;
  return before.prefixes.every((prefix) => isWithin(now, prefix, 0, prefix.length));
}

/** The client has to say (again) who it is. */
export function leave(session: Session): void {
  session.user = null;
  session.locked = true;
  session.restricted = false;
}

/**
 * Whether `given` is the `secret` (which is not empty). The time it takes depends on the length of
 * what was given, which its sender knows, and on nothing of the secret: every character of `given`
 * is looked at, whatever the ones before it said and however long the secret is.
 */
export function sameSecret(given: string, secret: string): boolean {
  let difference = given.length ^ secret.length;
  for (let i = 0; i < given.length; i++) {
    difference |= given.charCodeAt(i) ^ secret.charCodeAt(i % secret.length);
  }
  return difference === 0;
}

/** Whether `buf[start, end)` begins with one of the user's prefixes, or it has none. */
export function isWithin(user: User, buf: Uint8Array, start: number, end: number): boolean {
  const { prefixes } = user;
  if (prefixes.length === 0) return true;
  for (const prefix of prefixes) if (begins(prefix, buf, start, end)) return true;
  return false;
}

/**
 * Whether a glob pattern matches nothing but what begins with one of the user's prefixes: if it
 * begins with one itself, in which every character stands for itself.
 */
export function isPatternWithin(
  user: User,
  buf: Uint8Array,
  start: number,
  end: number,
): boolean {
  const { prefixes } = user;
  if (prefixes.length === 0) return true;
  return prefixes.some((prefix) => !hasGlob(prefix) && begins(prefix, buf, start, end));
}

function begins(prefix: Uint8Array, buf: Uint8Array, start: number, end: number): boolean {
  if (end - start < prefix.length) return false;
  for (let i = 0; i < prefix.length; i++) if (buf[start + i] !== prefix[i]) return false;
  return true;
}

const GLOB = new Set([..."*?[\\"].map((c) => c.charCodeAt(0)));

function hasGlob(prefix: Uint8Array): boolean {
  return prefix.some((byte) => GLOB.has(byte));
}
