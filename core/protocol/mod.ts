// The table of protocols. Adding one adds a folder and a line.

import type { Codec, CodecOptions, Facts } from "./codec.ts";
import { MemcachedCodec } from "./memcached/codec.ts";
import { RedisCodec } from "./redis/codec.ts";

export type ProtocolName = "memcached" | "redis";

/** The codec of one pool. */
export function newCodec(name: ProtocolName, options: CodecOptions, facts: Facts): Codec {
  return name === "redis" ? new RedisCodec(options, facts) : new MemcachedCodec(options, facts);
}
