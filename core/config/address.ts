// The two address forms of a configuration file: `listen:` and the lines under `servers:`.
// Format: nc_conf.c conf_set_listen and conf_add_server. Names are not resolved here.

import { utf8 } from "../bytes.ts";
import type { Address } from "../host.ts";
import { parseIp } from "../networks.ts";

export interface ServerConfig {
  /** What the ring hashes and the stats show; never holds the weight. */
  readonly name: string;
  readonly address: Address;
  readonly weight: number;
  /** The line as it stands in the file. */
  readonly text: string;
  /** Copies of it that may be read from; absent: none are named. */
  readonly replicas?: readonly ServerConfig[];
}

const MAX_INT = 0x7fffffff;
/** sun_path of Linux holds 108 bytes, its NUL included. */
const MAX_PATH = 107;

/** `host:port` or `/path [octal mode]`. Returns what is wrong as a string. */
export function parseListen(text: string): Address | string {
  if (text.startsWith("/")) {
    const space = text.lastIndexOf(" ");
    if (space < 0) return unixAddress(text, -1);
    const digits = text.slice(space + 1);
    if (!/^[0-7]{1,4}$/.test(digits) || parseInt(digits, 8) > 0o777) {
      return `has an invalid file permission "${digits}" (octal, 0 to 0777)`;
    }
    // nutcracker does not chmod to 0.
    return unixAddress(text.slice(0, space), parseInt(digits, 8) || -1);
  }
  const colon = text.lastIndexOf(":");
  if (colon < 0) return 'has to be "host:port" or "/path [octal mode]"';
  return tcpAddress(text.slice(0, colon), text.slice(colon + 1));
}

/** `host:port`. Returns what is wrong as a string. */
export function parseHostPort(text: string): Address | string {
  if (!/^[^/].*:/.test(text)) return "has to be host:port";
  const address = parseListen(text);
  if (typeof address === "string") return address;
  return isHost(address.host) ? address : "has to be host:port";
}

/** A colon is in addresses of IPv6 only (where `%` and a zone may follow): else it is one part too many. */
function isHost(host: string): boolean {
  return !host.includes(":") || parseIp(host.replace(/%.*$/, "")) !== null;
}

/** `host:port` of a replica, which is named by that. */
export function parseReplica(text: string): ServerConfig | string {
  const address = parseHostPort(text);
  if (typeof address === "string") return address;
  return { name: `${address.host}:${address.port}`, address, weight: 1, text };
}

/**
 * `host:port:weight [name]` or `/path:weight [name]`, read from the right as nutcracker does, so
 * that an IPv6 address needs no brackets (and may have them).
 */
export function parseServer(text: string): ServerConfig | string {
  const unix = text.startsWith("/");
  const space = text.lastIndexOf(" ");
  const where = space < 0 ? text : text.slice(0, space);
  const given = space < 0 ? "" : text.slice(space + 1);
  if (space >= 0 && given === "") return "ends with a space";
  const weightAt = where.lastIndexOf(":");
  const portAt = unix ? weightAt : where.lastIndexOf(":", weightAt - 1);
  if (weightAt < 0 || portAt < 0 || (!unix && portAt === weightAt)) {
    return 'has to be "host:port:weight [name]" or "/path:weight [name]"';
  }

  const weight = parseNumber(where.slice(weightAt + 1), 1, MAX_INT);
  if (weight < 0) {
    return `has an invalid weight "${where.slice(weightAt + 1)}" (1 to ${MAX_INT})`;
  }
  // nutcracker would take part of the path for a port.
  if (unix && where.indexOf(":") < weightAt) return 'has a ":" in its path';
  const address = unix
    ? unixAddress(where.slice(0, weightAt), -1)
    : tcpAddress(where.slice(0, portAt), where.slice(portAt + 1, weightAt));
  if (typeof address === "string") return address;
  return { name: given || ringName(address), address, weight, text };
}

/** `host:port:weight` of a Sentinel; the weight may be left out. */
export function parseSentinel(text: string): ServerConfig | string {
  const parts = text.split(":");
  if (text.startsWith("/") || parts.length < 2) return "has to be host:port:weight";
  const isBare = !text.includes("]") && parts.length === 2;
  const server = parseServer(isBare ? `${text}:1` : text);
  if (typeof server === "string") return server;
  if (!isHost(server.address.host)) return "has to be host:port:weight";
  return text.includes(" ") ? "has to be host:port:weight, without a name" : server;
}

/** The name of a server that is given none (nc_conf.c:1653). Keys move if this changes. */
function ringName(address: Address): string {
  // nutcracker copies one byte too many here: the ":" before the weight. Its ring depends on it.
  if (address.path !== "") return `${address.path}:`;
  // libmemcached leaves the default port out.
  return address.port === 11211 ? address.host : `${address.host}:${address.port}`;
}

function tcpAddress(host: string, port: string): Address | string {
  const number = parseNumber(port, 1, 65535);
  if (number < 0) return `has an invalid port "${port}" (1 to 65535)`;
  const bare = host.startsWith("[") && host.endsWith("]") ? host.slice(1, -1) : host;
  if (bare === "") return "has no host before the port";
  if (/[\s/[\]]/.test(bare)) return `has an invalid host "${host}"`;
  return { host: bare, port: number, path: "", mode: -1 };
}

function unixAddress(path: string, mode: number): Address | string {
  if (path.includes(" ")) return "has a space in its path";
  if (utf8(path).length > MAX_PATH) return `has a path of more than ${MAX_PATH} bytes`;
  return { host: "", port: 0, path, mode };
}

/** Digits only, as nc_atoi; -1 when `text` is no number between `min` and `max`. */
function parseNumber(text: string, min: number, max: number): number {
  if (!/^[0-9]+$/.test(text)) return -1;
  const n = Number(text);
  return n < min || n > max ? -1 : n;
}

/**
 * Order of pools and of the servers in a pool: by length, then by bytes (nc_string.c
 * string_compare). It decides the slots of `modula` and the order of the stats.
 */
export function compareNames(a: string, b: string): number {
  const left = utf8(a);
  const right = utf8(b);
  if (left.length !== right.length) return left.length - right.length;
  return left < right ? -1 : left > right ? 1 : 0;
}
