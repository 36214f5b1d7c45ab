// The one SASL mechanism that memcached's clients use, PLAIN (RFC 4616).

/** Who the client says it is, and how it proves it (byte strings). */
export interface Claim {
  readonly user: string;
  readonly password: string;
}

/** `[authzid] NUL authcid NUL password`; null when it is not of that form. */
export function saslPlain(message: string): Claim | null {
  const parts = message.split("\0");
  if (parts.length !== 3) return null;
  const [authorize, user, password] = parts;
  // Nobody acts for another user here.
  if (user === "" || (authorize !== "" && authorize !== user)) return null;
  return { user, password };
}
