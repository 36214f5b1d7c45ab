// Builders of the schema's values, each with its message. Knows no key.

import * as v from "valibot";
import { nearest } from "./suggest.ts";

export const MAX_INT = 0x7fffffff;

// Every message below follows the key and its value: `backlog "x" has to be ...`.

export function integer(min: number, max: number, description: string, unit = "") {
  const message = `has to be a whole number${unit && ` of ${unit}`} from ${min} to ${max}`;
  return v.pipe(
    v.number(message),
    v.integer(message),
    v.minValue(min, message),
    v.maxValue(max, message),
    v.description(description),
  );
}

export function milliseconds(description: string) {
  return integer(0, MAX_INT, description, "milliseconds");
}

export function flag(description: string) {
  return v.optional(
    v.pipe(v.boolean("has to be true or false"), v.description(description)),
    false,
  );
}

export function oneOf<const T extends readonly string[]>(names: T, description: string) {
  const message = (issue: v.PicklistIssue): string => {
    const near = nearest(String(issue.input), names);
    return `is not known;${near && ` did you mean ${near}?`} (${names.join(", ")})`;
  };
  return v.pipe(v.picklist(names, message), v.description(description));
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
