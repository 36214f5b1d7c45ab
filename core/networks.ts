// IP addresses and networks (10.0.0.0/8, fd00::/8) as bytes: what they are written as, and whether one
// is in another. Text forms: RFC 4291 section 2.2, RFC 5952. Resolves no names.

/** The bytes of an address: 4 or 16; null when `text` is none. */
export function parseIp(text: string): Uint8Array | null {
  return text.includes(":") ? parseIp6(text) : parseIp4(text);
}

function parseIp4(text: string): Uint8Array | null {
  const parts = text.split(".");
  if (parts.length !== 4) return null;
  const bytes = new Uint8Array(4);
  for (let i = 0; i < 4; i++) {
    if (!/^(0|[1-9][0-9]{0,2})$/.test(parts[i]) || Number(parts[i]) > 255) return null;
    bytes[i] = Number(parts[i]);
  }
  return bytes;
}

function parseIp6(text: string): Uint8Array | null {
  const halves = text.split("::");
  if (halves.length > 2) return null;
  const sides = halves.map((half, i) => groupsOf(half, i === halves.length - 1));
  const [head, tail = []] = sides;
  if (head === null || tail === null) return null;
  const gap = 8 - head.length - tail.length;
  if (halves.length === 2 ? gap < 1 : gap !== 0) return null;
  const bytes = new Uint8Array(16);
  [...head, ...new Array(gap).fill(0), ...tail].forEach((group, i) => {
    bytes[2 * i] = group >> 8;
    bytes[2 * i + 1] = group & 255;
  });
  return bytes;
}

/** Groups of 16 bits; the last ones may be an IPv4 address. */
function groupsOf(half: string, isLast: boolean): number[] | null {
  if (half === "") return [];
  const groups: number[] = [];
  const parts = half.split(":");
  for (const [i, part] of parts.entries()) {
    const four = isLast && i === parts.length - 1 ? parseIp4(part) : null;
    if (four !== null) groups.push((four[0] << 8) | four[1], (four[2] << 8) | four[3]);
    else if (/^[0-9a-f]{1,4}$/i.test(part)) groups.push(parseInt(part, 16));
    else return null;
  }
  return groups;
}

/** As the runtimes write it: RFC 5952. */
export function formatIp(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join(".");
  if (isMapped(bytes)) return `::ffff:${bytes.subarray(12).join(".")}`;
  const groups = Array.from({ length: 8 }, (_, i) => (bytes[2 * i] << 8) | bytes[2 * i + 1]);
  let [at, length] = [0, 0];
  for (let i = 0; i < 8; i++) {
    let end = i;
    while (end < 8 && groups[end] === 0) end++;
    if (end - i > length) [at, length] = [i, end - i];
  }
  const hex = (some: number[]) => some.map((group) => group.toString(16)).join(":");
  if (length < 2) return hex(groups);
  return `${hex(groups.slice(0, at))}::${hex(groups.slice(at + length))}`;
}

/** An IPv4 address in the clothes of IPv6, as sockets of both kinds show them. */
function isMapped(bytes: Uint8Array): boolean {
  return bytes.length === 16 && bytes[10] === 255 && bytes[11] === 255 &&
    bytes.subarray(0, 10).every((byte) => byte === 0);
}

export class Network {
  private readonly bytes: Uint8Array;
  private readonly bits: number;

  private constructor(bytes: Uint8Array, bits: number) {
    this.bytes = bytes;
    this.bits = bits;
  }

  /** Of `address` or `address/bits`; what is wrong as a string. */
  static parse(text: string): Network | string {
    const [address, bits, ...more] = text.split("/");
    const bytes = parseIp(address);
    if (bytes === null || more.length > 0) {
      return "has to be an address or a network, such as 10.0.0.0/8 or fd00::/8";
    }
    const most = bytes.length * 8;
    if (bits === undefined) return new Network(bytes, most);
    if (!/^[0-9]{1,3}$/.test(bits) || Number(bits) > most) {
      return `has ${bits} for a number of bits (0 to ${most})`;
    }
    return new Network(bytes, Number(bits));
  }

  has(address: Uint8Array): boolean {
    const all = this.bytes.length === 4 && isMapped(address) ? address.subarray(12) : address;
    if (all.length !== this.bytes.length) return false;
    for (let bit = 0; bit < this.bits; bit += 8) {
      const mask = this.bits - bit >= 8 ? 255 : (255 << (8 - this.bits + bit)) & 255;
      if (((all[bit >> 3] ^ this.bytes[bit >> 3]) & mask) !== 0) return false;
    }
    return true;
  }
}

/** The host of "host:port". */
export function hostOf(remote: string): string {
  return remote.slice(0, Math.max(0, remote.lastIndexOf(":"))).replace(/^\[|\]$/g, "");
}
