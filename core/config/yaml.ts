// YAML text → a plain tree in which every key and value knows its line. The only file that knows
// the YAML library. Values are raw text, as nutcracker has them (nc_conf.c): no value is turned
// into a number, boolean or date here. Flow style is allowed, so JSON is read too.

import { isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument } from "yaml";

export interface Place {
  /** 1-based. */
  readonly line: number;
  readonly column: number;
}

export interface Scalar extends Place {
  readonly kind: "scalar";
  /** The value without its quotes; "" when there is none. */
  readonly text: string;
}

export interface Entry {
  readonly key: Scalar;
  readonly value: Node;
}

export interface Mapping extends Place {
  readonly kind: "mapping";
  /** In file order; the same key may occur twice. */
  readonly entries: readonly Entry[];
}

export interface List extends Place {
  readonly kind: "list";
  readonly items: readonly Node[];
}

export type Node = Scalar | Mapping | List;

export interface Problem extends Place {
  readonly message: string;
}

export interface Tree {
  /** null when the text holds nothing but comments. */
  readonly root: Node | null;
  /** What is not valid YAML, or a feature that has no use here. */
  readonly problems: readonly Problem[];
}

/** Reads one YAML (or JSON) document. */
export function parseYaml(text: string): Tree {
  const lines = new LineCounter();
  const doc = parseDocument(text, {
    schema: "failsafe",
    lineCounter: lines,
    prettyErrors: false,
    uniqueKeys: false,
  });
  const reader = new Reader(lines);
  const root = doc.contents === null ? null : reader.node(doc.contents);
  if (doc.errors.length === 0) return { root, problems: reader.problems };

  const problems: Problem[] = [];
  for (const error of doc.errors) {
    const unclosed = error.code === "MISSING_CHAR" ? reader.quoteAt : -1;
    const place = reader.place(unclosed >= 0 ? unclosed : error.pos[0]);
    // One cause makes several errors on its line; only the first one helps.
    if (problems.some((problem) => problem.line === place.line)) continue;
    const source = text.split("\n", place.line)[place.line - 1] ?? "";
    problems.push({ ...place, message: explain(error.code, error.message, source) });
  }
  return { root, problems };
}

/** The library's node, whose type differs from kind to kind. */
interface Raw {
  readonly range?: readonly [number, number, number] | null;
  readonly anchor?: string;
  readonly tag?: string;
}

class Reader {
  readonly problems: Problem[];
  /** Where the last quoted value begins; -1 when there is none. */
  quoteAt: number;
  private readonly lines: LineCounter;

  constructor(lines: LineCounter) {
    this.problems = [];
    this.quoteAt = -1;
    this.lines = lines;
  }

  place(offset: number): Place {
    const { line, col } = this.lines.linePos(offset);
    return { line, column: col };
  }

  node(from: unknown): Node {
    const raw = from as Raw;
    const start = raw?.range?.[0] ?? 0;
    const place = this.place(start);
    if (isAlias(from)) {
      this.refuse(place, "aliases (*name) are not supported");
      return { kind: "scalar", text: "", ...place };
    }
    if (raw?.anchor) this.refuse(place, "anchors (&name) are not supported");
    if (raw?.tag) this.refuse(place, "tags (!name) are not supported");
    if (isMap(from)) {
      const entries = from.items.map((pair) => {
        const key = this.key(pair.key, place);
        // `? key` without a value has no node to take a place from.
        const value: Node = pair.value === null ? { ...key, text: "" } : this.node(pair.value);
        return { key, value };
      });
      return { kind: "mapping", entries, ...place };
    }
    if (isSeq(from)) {
      return { kind: "list", items: from.items.map((item) => this.node(item)), ...place };
    }
    if (!isScalar(from)) return { kind: "scalar", text: "", ...place };
    if (from.type === "QUOTE_DOUBLE" || from.type === "QUOTE_SINGLE") this.quoteAt = start;
    const text = from.source ?? "";
    if (/\p{Surrogate}/u.test(text)) this.refuse(place, "half of a surrogate pair is no character");
    return { kind: "scalar", text, ...place };
  }

  private key(from: unknown, around: Place): Scalar {
    const node = from === null ? null : this.node(from);
    if (node !== null && node.kind === "scalar") return node;
    const { line, column } = node ?? around;
    this.refuse({ line, column }, "a key has to be plain text");
    return { kind: "scalar", text: "", line, column };
  }

  private refuse(place: Place, message: string): void {
    this.problems.push({ ...place, message });
  }
}

/** Says a YAML error in the words of somebody who writes a configuration file. */
function explain(code: string, message: string, source: string): string {
  if (/\[[0-9a-fA-F:.]*\]:/.test(source)) {
    return 'an address that begins with "[" has to be in quotes';
  }
  switch (code) {
    case "TAB_AS_INDENT":
      return "a tab is used for indentation; YAML allows spaces only";
    case "MULTIPLE_DOCS":
      return 'a second document begins here; only one is allowed (no "---" but on the first line)';
    case "MISSING_CHAR":
      return /quote/.test(message) ? "a quote is opened and never closed" : message;
    case "MULTILINE_IMPLICIT_KEY":
    case "BLOCK_AS_IMPLICIT_KEY":
      return 'is not valid YAML: a ":" is missing, or the indentation is wrong';
    case "BAD_SCALAR_START":
      return "a value that begins with a special character has to be in quotes";
  }
  // Some messages end with the text found, which may be a password.
  const text = message.replace(/: ".*$/s, "");
  return `is not valid YAML: ${text.charAt(0).toLowerCase()}${text.slice(1)}`;
}
