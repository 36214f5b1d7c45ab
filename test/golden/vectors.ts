// The form of vectors.json: where a real nutcracker sends the keys of keys.ts. Written by make.ts,
// read by the tests of hashes and rings.

export interface Server {
  /** The name its points are made of. */
  readonly name: string;
  readonly weight: number;
  /** The line in the configuration, for servers without a name of their own. */
  readonly line?: string;
}

export interface Placement {
  readonly hash: string;
  readonly distribution: string;
  /** "" for none. */
  readonly hashTag: string;
  /** Which of `Vectors.servers`. */
  readonly servers: string;
  /** Ejected servers: places in that list. */
  readonly dead: readonly number[];
  /** One character per key: DIGITS.indexOf(character) is the place in that list. */
  readonly picks: string;
}

export interface Vectors {
  readonly source: string;
  /** Lists of servers in configuration order (which is not ring order: see `inRingOrder`). */
  readonly servers: Readonly<Record<string, readonly Server[]>>;
  /** Per hash function, the hash of every key: base 36, separated by spaces. */
  readonly hashes: Readonly<Record<string, string>>;
  readonly placements: readonly Placement[];
}

export const DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_";

const encoder = new TextEncoder();

/** Places in `servers`, by length of the name in bytes, then by its bytes (nc_string.c). */
export function inRingOrder(servers: readonly Server[]): number[] {
  const names = servers.map((server) => encoder.encode(server.name));
  return servers.map((_, i) => i).sort((i, j) => {
    const a = names[i];
    const b = names[j];
    if (a.length !== b.length) return a.length - b.length;
    const at = a.findIndex((byte, k) => byte !== b[k]);
    return at < 0 ? 0 : a[at] - b[at];
  });
}
