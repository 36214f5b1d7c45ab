// Patterns of channels, as Redis reads them (util.c stringmatchlen of 7.0): `*`, `?`, `[a-z]`, `[^x]`
// and `\`. On byte strings. Redis tries every way through several stars; only the last star has to
// be tried again, so this takes no more than pattern times name steps.

const STAR = 42;
const QUESTION = 63;
const OPEN = 91;
const CLOSE = 93;
const BACKSLASH = 92;
const CARET = 94;
const DASH = 45;

/** Where the element of `pattern` at `p` ends if it stands for the character `c`; -1 if it does not. */
function element(pattern: string, p: number, c: number): number {
  const code = pattern.charCodeAt(p);
  if (code === QUESTION) return p + 1;
  if (code === OPEN) return choice(pattern, p + 1, c);
  if (code === BACKSLASH && p + 1 < pattern.length) p++;
  return pattern.charCodeAt(p) === c ? p + 1 : -1;
}

/** The same for what stands behind a `[`. */
function choice(pattern: string, p: number, c: number): number {
  const end = pattern.length;
  const not = pattern.charCodeAt(p) === CARET;
  if (not) p++;
  let found = false;
  for (; p < end && pattern.charCodeAt(p) !== CLOSE; p++) {
    let low = pattern.charCodeAt(p);
    if (low === BACKSLASH && p + 1 < end) {
      if (pattern.charCodeAt(++p) === c) found = true;
    } else if (p + 2 < end && pattern.charCodeAt(p + 1) === DASH) {
      let high = pattern.charCodeAt(p + 2);
      if (low > high) [low, high] = [high, low];
      p += 2;
      if (c >= low && c <= high) found = true;
    } else if (low === c) {
      found = true;
    }
  }
  // A bracket that is never closed ends with the pattern.
  return found !== not ? Math.min(end, p + 1) : -1;
}

/** Whether a pattern stands for a name. */
export function globMatches(pattern: string, name: string): boolean {
  let p = 0;
  let n = 0;
  let star = -1;
  let tried = 0;
  while (n < name.length) {
    if (p < pattern.length && pattern.charCodeAt(p) === STAR) {
      star = ++p;
      tried = n;
      continue;
    }
    const next = p < pattern.length ? element(pattern, p, name.charCodeAt(n)) : -1;
    if (next >= 0) {
      p = next;
      n++;
    } else if (star >= 0) {
      p = star;
      n = ++tried;
    } else {
      return false;
    }
  }
  // Redis does not look at a pattern at all when the name is empty.
  if (name.length > 0) { while (pattern.charCodeAt(p) === STAR) p++; }
  return p === pattern.length;
}
