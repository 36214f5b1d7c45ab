// Values that a message may repeat. Where a file or a variable is to be named, somebody may have put
// the secret itself: what does not look like a name is not shown. Its line is told anyway.

/** Longest value that is shown. */
const MOST = 255;
/** A path without a dot that is longer than this may be a key in base64, which has slashes too. */
const LONG = 64;

/** `file "PATH"`, or `the file named there` if it may be something else than a path. */
export function fileShown(path: string): string {
  const isPath = /^[!-~]+$/.test(path) && path.length <= MOST && !path.includes("-----") &&
    (/^([a-z]{1,32}|[a-z0-9]{0,16}[-_][a-z0-9_-]{1,16})$/.test(path) || path.includes(".") ||
      (path.includes("/") && path.length <= LONG));
  return isPath ? `file "${path}"` : "the file named there";
}

/** `environment variable "NAME"`, or, if it may be something else, without its name. */
export function variableShown(name: string): string {
  const isName = /^[A-Z_][A-Z0-9_]*$/.test(name) && name.length <= LONG;
  return isName ? `environment variable "${name}"` : "the environment variable named there";
}

/** What went wrong with `path`, which an error of the system repeats. */
export function reasonShown(error: unknown, path: string): string {
  const why = error instanceof Error ? error.message : String(error);
  return fileShown(path).includes(path) ? why : why.replaceAll(path, "...");
}
