// Packets of the memcached binary protocol as byte strings, for tests.

export interface PacketParts {
  key?: string;
  extras?: string;
  value?: string;
  opaque?: number;
  /** Reply: its status. Request: two reserved bytes. */
  status?: number;
  cas?: number;
}

/** `n` as a big-endian number of so many bytes. */
export function big(n: number, size: number): string {
  let out = "";
  for (let i = 0; i < size; i++) {
    out = String.fromCharCode(n % 256) + out;
    n = Math.floor(n / 256);
  }
  return out;
}

function packet(magic: number, opcode: number, parts: PacketParts): string {
  const { key = "", extras = "", value = "", opaque = 0, status = 0, cas = 0 } = parts;
  return big(magic, 1) + big(opcode, 1) + big(key.length, 2) + big(extras.length, 1) + "\0" +
    big(status, 2) + big(key.length + extras.length + value.length, 4) + big(opaque, 4) +
    big(cas, 8) + extras + key + value;
}

export const ask = (opcode: number, parts: PacketParts = {}): string => packet(0x80, opcode, parts);
export const tell = (opcode: number, parts: PacketParts = {}): string =>
  packet(0x81, opcode, parts);

/** Where the packet at `pos` ends; -1 if it is not whole. */
export function packetEnd(input: string, pos: number): number {
  if (input.length < pos + 24) return -1;
  const end = pos + 24 + number(input, pos + 8, 4);
  return end > input.length ? -1 : end;
}

export function number(input: string, pos: number, size: number): number {
  let n = 0;
  for (let i = 0; i < size; i++) n = n * 256 + input.charCodeAt(pos + i);
  return n;
}

export interface Packet extends Required<PacketParts> {
  magic: number;
  opcode: number;
}

/** The whole packets of `input`. */
export function readPackets(input: string): Packet[] {
  const found: Packet[] = [];
  let pos = 0;
  for (let end = packetEnd(input, 0); end > 0; end = packetEnd(input, pos)) {
    const key = pos + 24 + number(input, pos + 4, 1);
    const value = key + number(input, pos + 2, 2);
    found.push({
      magic: number(input, pos, 1),
      opcode: number(input, pos + 1, 1),
      status: number(input, pos + 6, 2),
      opaque: number(input, pos + 12, 4),
      cas: number(input, pos + 16, 8),
      extras: input.slice(pos + 24, key),
      key: input.slice(key, value),
      value: input.slice(value, end),
    });
    pos = end;
  }
  return found;
}

/** Extras of the storage commands: flags and expiry. */
export const FLAGS = "\0\0\0\x07\0\0\0\0";
/** Extras of increment and decrement: by 1, from 0, no expiry. */
export const BY_ONE = `${big(1, 8)}${big(0, 8)}${big(0, 4)}`;
export const SOON = big(100, 4);
