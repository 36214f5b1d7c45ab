// The table of protocols. Adding one adds a folder and a line.

import type { Codec, CodecOptions, Facts } from "./codec.ts";
import { MemcachedCodec } from "./memcached/codec.ts";
import { RedisCodec } from "./redis/codec.ts";
import { isPoliced, PolicedCodec } from "./redis/policy.ts";

export type ProtocolName = "memcached" | "redis";

/** The codec of one pool. */
export function newCodec(name: ProtocolName, options: CodecOptions, facts: Facts): Codec {
  if (name === "memcached") return new MemcachedCodec(options, facts);
  return isPoliced(options) ? new PolicedCodec(options, facts) : new RedisCodec(options, facts);
}
