// Values of the Redis protocol that ringmux makes itself, of byte strings.

import { bytes } from "../../bytes.ts";
import type { RedisSession } from "./session.ts";

export function bulk(value: string): Uint8Array {
  return bytes(`$${value.length}\r\n${value}\r\n`);
}

/** Text for people: RESP3 has a type of its own for it. */
export function verbatim(value: string, session: RedisSession): Uint8Array {
  return session.resp === 3 ? bytes(`=${value.length + 4}\r\ntxt:${value}\r\n`) : bulk(value);
}

export function array(values: readonly string[]): Uint8Array {
  return bytes(
    `*${values.length}\r\n` + values.map((v) => `$${v.length}\r\n${v}\r\n`).join(""),
  );
}
