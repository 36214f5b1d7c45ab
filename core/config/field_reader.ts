// Reads what stands in the mappings of `routes:`: texts, numbers, words, lists. What is wrong is noted,
// and the usual value given instead.

import * as v from "valibot";
import type { Note } from "./group.ts";
import { nearest } from "./suggest.ts";
import { integer } from "./values.ts";
import type { Mapping, Node } from "./yaml.ts";

export abstract class FieldReader {
  protected readonly note: Note;

  constructor(note: Note) {
    this.note = note;
  }

  /** "" if it is not there. */
  protected text(node: Node | undefined, path: string): string {
    if (node === undefined) return "";
    const text = node.kind === "scalar" ? node.text : "";
    if (text === "" || /[\r\n]/.test(text)) this.note(node, `${path} has to be a line of text`);
    return text;
  }

  /** The items of a list of mappings. */
  protected each<T>(
    node: Node | undefined,
    path: string,
    most: number,
    read: (item: Mapping, path: string) => T,
  ): T[] {
    if (node === undefined) return [];
    if (node.kind !== "list" || node.items.length > most) {
      this.note(node, `${path} has to be a list of up to ${most} mappings`);
      return [];
    }
    return node.items.flatMap((item, i) => {
      if (item.kind === "mapping") return [read(item, `${path}[${i}]`)];
      this.note(item, `${path}[${i}] has to be a mapping`);
      return [];
    });
  }

  /** More than 0, up to 100; 100 if it is not said. */
  protected percent(node: Node | undefined, path: string): number {
    if (node === undefined) return 100;
    const text = node.kind === "scalar" ? node.text : "";
    const value = /^\d+(\.\d+)?$/.test(text) ? Number(text) : 0;
    if (value > 0 && value <= 100) return value;
    this.note(node, `${path} "${text}" has to be a number above 0, up to 100`);
    return 100;
  }

  protected word<const T extends readonly string[]>(
    node: Node | undefined,
    path: string,
    known: T,
    usual: T[number],
  ): T[number] {
    if (node === undefined) return usual;
    const text = node.kind === "scalar" ? node.text : "";
    const word = known.find((one) => one === text);
    if (word !== undefined) return word;
    const near = nearest(text, known);
    this.note(
      node,
      `${path} "${text}" is not known;${near && ` did you mean ${near}?`} (${known.join(", ")})`,
    );
    return usual;
  }

  protected rate(node: Node | undefined, path: string): number {
    return this.number(node, path, 1, 1_000_000);
  }

  /** 0 if it is not there. */
  protected number(
    node: Node | undefined,
    path: string,
    least: number,
    most: number,
    unit = "",
  ): number {
    if (node === undefined) return 0;
    const text = node.kind === "scalar" ? node.text : "";
    const given = /^[0-9]+$/.test(text) ? Number(text) : text;
    const result = v.safeParse(integer(least, most, unit), given);
    if (result.success) return result.output;
    this.note(node, `${path} "${text}" ${result.issues[0].message}`);
    return 0;
  }

  /** The keys of a mapping; unknown and repeated ones are noted and left out. */
  protected keys(node: Mapping, path: string, known: readonly string[]): Map<string, Node> {
    const found = new Map<string, Node>();
    for (const { key, value } of node.entries) {
      if (found.has(key.text)) {
        this.note(key, `${path}.${key.text} is given twice`);
      } else if (known.includes(key.text)) {
        found.set(key.text, value);
      } else {
        const near = nearest(key.text, known);
        const hint = near !== "" ? `did you mean ${near}?` : `known: ${known.join(", ")}`;
        this.note(key, `key "${path}.${key.text}" is not known; ${hint}`);
      }
    }
    return found;
  }
}
