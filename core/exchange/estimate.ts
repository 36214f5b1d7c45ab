// How many keys and bytes would move, and from where to where, told from a sample of each server's keys.
// Every part of the keys (a server's, or those of one of its databases) is sampled by itself: of `keys`
// keys some were looked at, and what is found among them is taken to be so among all. The error is that
// of simple random sampling without replacement, at 95 %; of a part that was seen whole there is none.

/** Normal distribution: 95 % are within so many standard deviations. */
const SURE = 1.96;
/** Big keys that are told by name. */
const MOST_BIGS = 20;

interface Amount {
  readonly keys: number;
  /** So much more or less. */
  readonly keysError: number;
  readonly bytes: number;
  readonly bytesError: number;
}

export interface Flow extends Amount {
  readonly from: string;
  readonly to: string;
}

/** What a server has now. */
export interface Stock {
  readonly server: string;
  readonly keys: number;
  readonly bytes: number;
  readonly bytesError: number;
  /** Keys that were looked at. */
  readonly sampled: number;
}

export interface BigKey {
  readonly server: string;
  readonly key: string;
  readonly bytes: number;
}

export interface Estimate {
  /** When (ms since 1970). */
  readonly at: number;
  readonly servers: readonly Stock[];
  readonly flows: readonly Flow[];
  /** The largest of the sample that are above `migrate.big_key`. */
  readonly bigs: readonly BigKey[];
}

/** Of keys that go one way: how many of the sample do, and what sizes they have. */
class Sizes {
  count = 0;
  sum = 0;
  squares = 0;

  add(bytes: number): void {
    this.count++;
    this.sum += bytes;
    this.squares += bytes * bytes;
  }
}

/** A part of a server's keys, of which some were looked at. */
export class Part {
  readonly server: string;
  /** How many there are. */
  keys: number;
  private readonly all: Sizes;
  private readonly leaving: Map<string, Sizes>;

  constructor(server: string, keys: number) {
    this.server = server;
    this.keys = keys;
    this.all = new Sizes();
    this.leaving = new Map();
  }

  get sampled(): number {
    return this.all.count;
  }

  /** A key of so many bytes; `to`: the server that it goes to, "" if it stays. */
  add(bytes: number, to: string): void {
    this.all.add(bytes);
    if (to === "") return;
    let sizes = this.leaving.get(to);
    if (sizes === undefined) {
      sizes = new Sizes();
      this.leaving.set(to, sizes);
    }
    sizes.add(bytes);
  }

  /** There are no more than those that were looked at. */
  isWhole(): void {
    this.keys = this.all.count;
  }

  ways(): Iterable<string> {
    return this.leaving.keys();
  }

  /** Keys that go there, bytes, and the variances of both; "": all that there are. */
  guess(to: string): [keys: number, bytes: number, keysVar: number, bytesVar: number] {
    const { count: n } = this.all;
    const of = to === "" ? this.all : this.leaving.get(to);
    if (of === undefined || n === 0) return [to === "" ? this.keys : 0, 0, 0, 0];
    const scale = this.keys / n;
    const part = of.count / n;
    const mean = of.sum / n;
    const variance = (squares: number, middle: number): number =>
      n < 2 ? 0 : Math.max(0, (squares - n * middle * middle) / (n - 1));
    const factor = this.keys * this.keys / n * Math.max(0, 1 - n / Math.max(n, this.keys));
    return [
      of.count * scale,
      of.sum * scale,
      factor * variance(of.count, part),
      factor * variance(of.squares, mean),
    ];
  }
}

/** Adds up what parts have; `to`: what goes there. */
function total(parts: readonly Part[], to: string): Amount {
  let [keys, bytes, keysVar, bytesVar] = [0, 0, 0, 0];
  for (const part of parts) {
    const [k, b, kv, bv] = part.guess(to);
    keys += k;
    bytes += b;
    keysVar += kv;
    bytesVar += bv;
  }
  return {
    keys: Math.round(keys),
    keysError: Math.round(SURE * Math.sqrt(keysVar)),
    bytes: Math.round(bytes),
    bytesError: Math.round(SURE * Math.sqrt(bytesVar)),
  };
}

/** `bigs`: in whatever order, and how many. */
export function estimateOf(
  parts: readonly Part[],
  bigs: readonly BigKey[],
  at: number,
): Estimate {
  const servers = [...new Set(parts.map(({ server }) => server))];
  const of = (server: string): Part[] => parts.filter((part) => part.server === server);
  return {
    at,
    servers: servers.map((server) => {
      const { keys, bytes, bytesError } = total(of(server), "");
      const sampled = of(server).reduce((sum, part) => sum + part.sampled, 0);
      return { server, keys, bytes, bytesError, sampled };
    }),
    flows: servers.flatMap((from) => {
      const ways = new Set(of(from).flatMap((part) => [...part.ways()]));
      return [...ways].sort().map((to) => ({ from, to, ...total(of(from), to) }));
    }),
    bigs: [...bigs].sort((a, b) => b.bytes - a.bytes).slice(0, MOST_BIGS),
  };
}
