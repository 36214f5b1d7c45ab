// Where core's news for the operator goes. Imports nothing.

/** What a line says, once more for programs: names as in docs/logs.md. */
export type Fields = Readonly<Record<string, string | number | boolean>>;

/**
 * One line per call, without time or line end; no key or value contents. The text says all by
 * itself; `fields` repeat its parts for logs that programs read.
 */
export interface Log {
  /** Nobody sees lines of `info` and `debug`: those that are frequent need not be made. */
  readonly isTerse?: boolean;
  error(text: string, fields?: Fields): void;
  warn(text: string, fields?: Fields): void;
  notice(text: string, fields?: Fields): void;
  info(text: string, fields?: Fields): void;
  debug(text: string, fields?: Fields): void;
}
