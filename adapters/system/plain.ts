// Errors of the node: modules, as people are told them.

/** The system's own words: "no such file or directory" for "ENOENT: no such ..., open 'x'". */
export function plain(error: unknown): Error {
  const text = error instanceof Error ? error.message : String(error);
  const found = /^[A-Z0-9]+: (.*?)(?:, [a-z]+(?: '.*')?)?$/.exec(text);
  return new Error(found === null ? text : found[1]);
}
