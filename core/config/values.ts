// Builders of the schema's values, each with its message. Knows no key.

import * as v from "valibot";
import { nearest } from "./suggest.ts";

export const MAX_INT = 0x7fffffff;

// Every message below follows the key and its value: `backlog "x" has to be ...`.

export function text() {
  return v.string("has to be text");
}

/** A PEM text in the place of its file's name may be a key: the value is not to be shown then. */
export const NOT_A_PATH = "has to be the name of a file, not what is in it";

export function filePath() {
  return v.pipe(text(), v.regex(/^(?!.*-----BEGIN)[^\r\n]*$/, NOT_A_PATH));
}

export function integer(min: number, max: number, unit = "") {
  const message = `has to be a whole number${unit && ` of ${unit}`} from ${min} to ${max}`;
  return v.pipe(
    v.number(message),
    v.integer(message),
    v.minValue(min, message),
    v.maxValue(max, message),
  );
}

export function milliseconds() {
  return integer(0, MAX_INT, "milliseconds");
}

export function flag() {
  return v.boolean("has to be true or false");
}

export function oneOf<const T extends readonly string[]>(names: T) {
  return v.picklist(names, (issue: v.PicklistIssue): string => {
    const near = nearest(String(issue.input), names);
    return `is not known;${near && ` did you mean ${near}?`} (${names.join(", ")})`;
  });
}

/** Hands the text to a parser that returns what is wrong as a string. */
export function parsed<T extends object>(parse: (text: string) => T | string) {
  return v.rawTransform<string, T>(({ dataset, addIssue, NEVER }) => {
    const result = parse(dataset.value);
    if (typeof result !== "string") return result;
    addIssue({ message: result });
    return NEVER;
  });
}
