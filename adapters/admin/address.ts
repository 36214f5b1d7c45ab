// Where the admin address is, and which names it may be called by. A page from elsewhere can make
// a browser send requests to a loopback address; what it cannot do is choose the Host header, which
// is the name in its own URL (DNS rebinding), nor keep the browser from telling that it is a page.

import { parseHostPort } from "../../core/config/address.ts";
import type { Address } from "../../core/host.ts";

export const DEFAULT_ADMIN = "127.0.0.1:22223";

export interface AdminAddress {
  readonly address: Address;
  /** Asked for by --admin or by global.admin. */
  readonly explicit: boolean;
}

/**
 * What `--admin` or else `global.admin` asks for; null for none. Both are "" when not given. Throws
 * when the text is no address: who reads the options has told that before.
 */
export function adminAddress(option: string, configured: string): AdminAddress | null {
  const given = option !== "" ? option : configured;
  if (given === "off") return null;
  const address = parseHostPort(given === "" ? DEFAULT_ADMIN : given);
  if (typeof address === "string") throw new Error(`admin "${given}" ${address}`);
  return { address, explicit: given !== "" };
}

export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127(\.\d{1,3}){3}$/.test(host);
}

/**
 * No name that somebody else can point at this machine: an IP address, localhost, or the host the
 * configuration names. `header` is a Host header; none comes from no browser.
 */
export function isTrustedHost(header: string | undefined, own: string): boolean {
  if (header === undefined || header === "") return true;
  const name = header.replace(/:\d*$/, "").toLowerCase();
  if (/^\[[0-9a-f:.]+\]$/.test(name) || /^\d{1,3}(\.\d{1,3}){3}$/.test(name)) return true;
  return name === "localhost" || name.endsWith(".localhost") || name === own.toLowerCase();
}
