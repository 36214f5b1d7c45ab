// Redis commands and replies as byte strings.

/** A Redis command as an array of bulk strings. */
export function cmd(...args: (string | number)[]): string {
  let bytes = `*${args.length}\r\n`;
  for (const arg of args) {
    const text = String(arg);
    bytes += `$${text.length}\r\n${text}\r\n`;
  }
  return bytes;
}

/** A bulk string reply; null is the null bulk string. */
export function bulk(text: string | null): string {
  return text === null ? "$-1\r\n" : `$${text.length}\r\n${text}\r\n`;
}

export function array(...items: (string | null)[]): string {
  return `*${items.length}\r\n${items.map(bulk).join("")}`;
}

/** Where the Redis reply (RESP2 or RESP3) that begins at `pos` ends; -1 if it is not all there. */
export function respEnd(buf: Buffer, pos: number): number {
  let left = 1;
  while (left > 0) {
    const eol = buf.indexOf("\r\n", pos, "latin1");
    if (eol < 0) return -1;
    const type = String.fromCharCode(buf[pos]);
    const n = Number(buf.toString("latin1", pos + 1, eol));
    pos = eol + 2;
    left--;
    if ("$!=".includes(type)) {
      if (n >= 0) pos += n + 2;
      if (pos > buf.length) return -1;
    } else if ("*~>".includes(type)) {
      if (n > 0) left += n;
    } else if (type === "%") {
      left += 2 * n;
    }
  }
  return pos;
}
