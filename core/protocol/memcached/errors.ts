// The lines ringmux itself answers with, as memcached 1.6.18 words them (proto_text.c); those it
// has no words for say CLIENT_ERROR, so that a client takes them for its own fault.

import { bytes } from "../../bytes.ts";

const line = (text: string): Uint8Array => bytes(`${text}\r\n`);

/** Unknown command, or not as many words as it takes. */
export const ERROR = line("ERROR");
export const BAD_LINE = line("CLIENT_ERROR bad command line format");
export const BAD_CHUNK = line("CLIENT_ERROR bad data chunk");
export const BAD_EXPTIME = line("CLIENT_ERROR invalid exptime argument");
export const TOO_LARGE = line("SERVER_ERROR object too large for cache");
export const MANY_FLAGS_MG = line("CLIENT_ERROR options flags are too long");
export const MANY_FLAGS = line("CLIENT_ERROR options flags too long");
export const BAD_FLAG = line("CLIENT_ERROR invalid or duplicate flag");
export const DUPLICATE_FLAG = line("CLIENT_ERROR duplicate flag");
export const LONG_LINE = line("CLIENT_ERROR line too long");
export const BINARY = line("CLIENT_ERROR a binary request among text commands");
export const KEY_WITH_LF = line(
  "CLIENT_ERROR the key is no base64, or has a line break: no text reply can have it (leave out k)",
);
export const UNAUTHENTICATED = line("CLIENT_ERROR unauthenticated");
export const AUTH_FAILED = line("CLIENT_ERROR authentication failure");
export const AUTH_FORMAT = line("CLIENT_ERROR bad authentication token format");
export const NO_KEY = line("CLIENT_ERROR this user has no permissions to access one of the keys");

export const END = line("END");
export const STORED = line("STORED");
export const NOOP = line("MN");

export const notAllowed = (command: string): Uint8Array =>
  line(`CLIENT_ERROR ${command} is not allowed through a proxy`);

export const noCommand = (command: string): Uint8Array =>
  line(`CLIENT_ERROR this user has no permissions to run the '${command}' command`);

export const serverError = (text: string): Uint8Array => line(`SERVER_ERROR ${text}`);
