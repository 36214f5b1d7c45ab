// Texts that come from outside, as a line may show them to people: nothing in them ends the line or
// commands a terminal. Imports nothing.

/**
 * Control characters, and those that part lines or turn the direction of writing (Unicode 16,
 * categories Cc, Zl, Zp and the bidirectional formats).
 */
// deno-lint-ignore no-control-regex
const UNSAFE = /[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g;
const UNSAFE_IN_JSON = /[\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g;

const SHORT: Readonly<Record<string, string>> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };

/** `text` in one line; what cannot be printed as `\n`, `\x1b`, `\u202e`. */
export function printable(text: string): string {
  return text.replace(UNSAFE, (one) => {
    const code = one.charCodeAt(0);
    return SHORT[one] ?? (code < 0x100 ? `\\x${hex(code, 2)}` : `\\u${hex(code, 4)}`);
  });
}

/** `json` with everything escaped that JSON.stringify leaves and a terminal may obey. */
export function printableJson(json: string): string {
  return json.replace(UNSAFE_IN_JSON, (one) => `\\u${hex(one.charCodeAt(0), 4)}`);
}

function hex(code: number, digits: number): string {
  return code.toString(16).padStart(digits, "0");
}
