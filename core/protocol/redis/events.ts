// Channels of events (notify.c): `__keyspace@<db>__:<key>` and `__keyevent@<db>__:<event>`. A server
// puts its own number of the database there. Where `redis_db` is not 0, what clients call 0 is that
// database, and a server's database 0 is none of theirs.

import { text } from "../../bytes.ts";
import { type Frame, PATTERN } from "../publishing.ts";
import { globMatches } from "./glob.ts";
import { elementEnd } from "./reply.ts";
import { Room } from "./values.ts";

/** Each server publishes those of its own keys. */
export const EVENTS = /^__key(space|event)@/;
/** Also patterns that have a wildcard in the first word. */
export const ABOUT_EVENTS = /^__key/;

const bulk = (word: string) => `$${word.length}\r\n${word}\r\n`;

export class EventNames {
  private readonly own: string;

  /** `db` is the pool's `redis_db`. */
  constructor(db: number) {
    this.own = `@${db}__`;
  }

  /** What servers call a channel or pattern of clients. */
  toServer(name: string): string {
    return ABOUT_EVENTS.test(name) ? name.replace("@0__", this.own) : name;
  }

  /** Another name that clients may have for what servers call `name`; "" if there is none. */
  alias(name: string): string {
    if (!ABOUT_EVENTS.test(name)) return "";
    const alias = name.replace(this.own, "@0__");
    return alias !== name && this.toServer(alias) === name ? alias : "";
  }

  /**
   * A server's message `buf[start, end)`, read into `frame`, for clients whose topic is `name`:
   * null if it is for them as it is, nothing if it is not for them.
   */
  seen(
    frame: Frame,
    name: string,
    buf: Uint8Array,
    start: number,
    end: number,
  ): Uint8Array | null {
    // "*3" message channel, "*4" pmessage pattern channel: see readFrame.
    const word = elementEnd(buf, start + 4);
    let rest = elementEnd(buf, word);
    let subject = bulk(name);
    if (frame.kind === PATTERN) {
      const at = rest;
      rest = elementEnd(buf, at);
      const channel = content(buf, at, rest);
      const now = this.channelFor(name, channel);
      if (now === "") return NOTHING;
      if (now === channel && name === frame.name) return null;
      subject += bulk(now);
    } else if (name === frame.name) {
      return null;
    }
    const room = new Room(end - start + subject.length);
    room.span(buf, start, word);
    room.ascii(subject);
    room.span(buf, rest, end);
    return room.done();
  }

  /** What clients with this pattern are to take for a server's channel. */
  private channelFor(pattern: string, channel: string): string {
    if (!EVENTS.test(channel)) return channel;
    if (this.toServer(channel) !== channel) return ""; // a database of others
    const alias = this.alias(channel);
    // Who has asked for the server's number gets that.
    return alias !== "" && globMatches(pattern, alias) ? alias : channel;
  }
}

const NOTHING = new Uint8Array(0);

/** The content of the bulk string `buf[start, end)`. */
function content(buf: Uint8Array, start: number, end: number): string {
  let cr = start;
  while (buf[cr] !== 13) cr++;
  return text(buf, cr + 2, end - 2);
}
