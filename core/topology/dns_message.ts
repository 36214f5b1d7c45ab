// Questions to a DNS server and its answers, as bytes: RFC 1035, SRV: RFC 2782, AAAA: RFC 3596. Only
// what finding servers takes. Knows no socket.

import { utf8 } from "../bytes.ts";
import { formatIp } from "../networks.ts";

export const A = 1;
export const CNAME = 5;
export const AAAA = 28;
export const SRV = 33;

export const NOERROR = 0;
export const NXDOMAIN = 3;

/** One record; which fields count is said by its type. */
export interface DnsRecord {
  /** In lower case, without the last dot. */
  readonly name: string;
  readonly type: number;
  /** Seconds. */
  readonly ttl: number;
  /** A, AAAA: the address; SRV, CNAME: the name. */
  readonly value: string;
  readonly port: number;
  readonly priority: number;
  readonly weight: number;
}

export interface DnsReply {
  readonly code: number;
  readonly answers: readonly DnsRecord[];
  readonly additional: readonly DnsRecord[];
}

/** A question as it goes over TCP, its length before it; null when `name` is no name. */
export function encodeQuestion(id: number, name: string, type: number): Uint8Array | null {
  const labels = name.replace(/\.$/, "").split(".").map(utf8);
  if (labels.some(({ length }) => length === 0 || length > 63)) return null;
  const size = labels.reduce((sum, { length }) => sum + length + 1, 1);
  if (size > 255) return null;
  const message = new Uint8Array(2 + 12 + size + 4);
  const view = new DataView(message.buffer);
  view.setUint16(0, message.length - 2);
  view.setUint16(2, id);
  view.setUint16(4, 0x0100); // recursion is desired
  view.setUint16(6, 1);
  let at = 14;
  for (const label of labels) {
    message[at++] = label.length;
    for (let i = 0; i < label.length; i++) message[at++] = label.charCodeAt(i);
  }
  view.setUint16(at + 1, type);
  view.setUint16(at + 3, 1);
  return message;
}

/** Reads a message (without the length); null when it is broken, or no reply to question `id`. */
export function decodeReply(message: Uint8Array, id: number): DnsReply | null {
  try {
    return new Reader(message).reply(id);
  } catch (error) {
    if (error instanceof RangeError) return null;
    throw error;
  }
}

class Reader {
  private readonly message: Uint8Array;
  private readonly view: DataView;
  private at: number;

  constructor(message: Uint8Array) {
    this.message = message;
    this.view = new DataView(message.buffer, message.byteOffset, message.length);
    this.at = 12;
  }

  reply(id: number): DnsReply | null {
    const { view } = this;
    const flags = view.getUint16(2);
    if (view.getUint16(0) !== id || (flags & 0x8000) === 0) return null;
    const counts = [4, 6, 8, 10].map((at) => view.getUint16(at));
    for (let i = 0; i < counts[0]; i++) {
      this.name();
      this.at += 4;
    }
    const answers = this.records(counts[1]);
    this.records(counts[2]);
    return { code: flags & 15, answers, additional: this.records(counts[3]) };
  }

  private records(count: number): DnsRecord[] {
    const records: DnsRecord[] = [];
    for (let i = 0; i < count; i++) {
      const record = this.record();
      if (record !== null) records.push(record);
    }
    return records;
  }

  /** Null for a kind that is of no use here. */
  private record(): DnsRecord | null {
    const { view } = this;
    const name = this.name();
    const type = view.getUint16(this.at);
    // RFC 2181: a TTL with its highest bit set is 0.
    const ttl = Math.max(0, view.getInt32(this.at + 4));
    const length = view.getUint16(this.at + 8);
    const start = this.at + 10;
    const end = start + length;
    if (end > this.message.length) throw new RangeError("cut short");
    const of = (value: string, port = 0, priority = 0, weight = 0): DnsRecord => ({
      ...{ name, type, ttl, value, port, priority, weight },
    });
    this.at = start;
    let record: DnsRecord | null = null;
    if ((type === A && length === 4) || (type === AAAA && length === 16)) {
      record = of(formatIp(this.message.subarray(start, end)));
    } else if (type === CNAME) {
      record = of(this.name());
    } else if (type === SRV) {
      const [priority, weight, port] = [0, 2, 4].map((at) => view.getUint16(start + at));
      this.at = start + 6;
      record = of(this.name(), port, priority, weight);
    }
    this.at = end;
    return record;
  }

  private name(): string {
    const { message } = this;
    const labels: string[] = [];
    let { at } = this;
    let end = -1;
    // Each pointer goes back; one that does not would lead in a circle.
    for (let lowest = message.length, size = 0;;) {
      if (at >= message.length) throw new RangeError("cut short");
      const length = message[at];
      if (length === 0) break;
      if (length >= 0xc0) {
        if (end < 0) end = at + 2;
        const to = this.view.getUint16(at) & 0x3fff;
        if (to >= lowest) throw new RangeError("a circle");
        lowest = at = to;
        continue;
      }
      if ((size += length + 1) > 255 || length > 63 || at + 1 + length > message.length) {
        throw new RangeError("a name that is too long");
      }
      labels.push(String.fromCharCode(...message.subarray(at + 1, at + 1 + length)));
      at += length + 1;
    }
    this.at = end < 0 ? at + 1 : end;
    return labels.join(".").toLowerCase();
  }
}
