// Where core's news for the operator goes. Imports nothing.

/** One line per call, without time or line end; no key or value contents. */
export interface Log {
  error(text: string): void;
  warn(text: string): void;
  notice(text: string): void;
  info(text: string): void;
  debug(text: string): void;
}
