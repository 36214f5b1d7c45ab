// A whole reply of RESP2 as plain data, for people: texts, numbers and lists.

import { text } from "../../bytes.ts";

export type Plain = string | number | null | Plain[];

/** The reply that is `buf`; undefined: it is an error, or none. */
export function plainReply(buf: Uint8Array): Plain | undefined {
  let at = 0;
  const line = (): string => {
    const from = at;
    while (at < buf.length && buf[at] !== 13) at++;
    at += 2;
    return text(buf, from, Math.min(at - 2, buf.length));
  };
  const value = (): Plain | undefined => {
    const type = String.fromCharCode(buf[at++]);
    const head = line();
    switch (type) {
      case "+":
        return head;
      case ":":
        return Number(head);
      case "$": {
        const length = Number(head);
        if (length < 0) return null;
        at += length + 2;
        return text(buf, at - length - 2, Math.min(at - 2, buf.length));
      }
      case "*": {
        const list: Plain[] = [];
        for (let left = Number(head); left > 0; left--) {
          const one = at < buf.length ? value() : undefined;
          if (one === undefined) return undefined;
          list.push(one);
        }
        return list;
      }
      default:
        return undefined;
    }
  };
  return value();
}
