// Reads targets: a pool, or several of them and what is done with them. They nest. See routes.ts.

import { FieldReader } from "./field_reader.ts";
import type { Note } from "./group.ts";
import { type Cause, CAUSES, type Reference, type TargetConfig, WAITS } from "./routes.ts";
import { nearest } from "./suggest.ts";
import type { Node, Scalar } from "./yaml.ts";

/** How deep targets may nest, and how many children one may have. */
const DEEPEST = 8;
const MOST_CHILDREN = 32;
export const NO_POOL: TargetConfig = { kind: "pool", pool: "" };

const KINDS = ["pool", "failover", "all", "read", "warm"] as const;
type Kind = typeof KINDS[number];
const KEYS: Readonly<Record<Kind, readonly string[]>> = {
  pool: ["pool"],
  failover: ["failover", "on", "rate"],
  all: ["all", "wait"],
  read: ["read", "write", "delete"],
  warm: ["warm"],
};

const HOW =
  'the name of a pool, or a mapping with "pool", "failover", "all", "warm", or "read" and "write"';

export abstract class TargetReader extends FieldReader {
  private readonly refer: (reference: Reference) => void;

  constructor(note: Note, refer: (reference: Reference) => void) {
    super(note);
    this.refer = refer;
  }

  protected target(node: Node, path: string, depth: number): TargetConfig {
    if (node.kind === "scalar" && node.text !== "") return this.pool(node);
    if (node.kind !== "mapping") {
      this.note(node, `${path} has to be ${HOW}`);
      return NO_POOL;
    }
    if (depth > DEEPEST) {
      this.note(node, `${path}: targets may nest ${DEEPEST} deep`);
      return NO_POOL;
    }
    const names = node.entries.map(({ key }) => key.text);
    const kind = KINDS.find((one) => names.includes(one)) ??
      (names.includes("write") || names.includes("delete") ? "read" : undefined);
    if (kind === undefined) {
      const known = [...new Set(Object.values(KEYS).flat())];
      const near = names.map((name) => nearest(name, known)).find((name) => name !== "");
      this.note(node, `${path} has to be ${HOW}${near ? `; did you mean ${near}?` : ""}`);
      return NO_POOL;
    }
    const keys = this.keys(node, path, KEYS[kind]);
    const child = (name: string): TargetConfig => {
      const value = keys.get(name);
      if (value !== undefined) return this.target(value, `${path}.${name}`, depth + 1);
      this.note(node, `${path}.${name} is missing`);
      return NO_POOL;
    };
    switch (kind) {
      case "pool":
        return child("pool");
      case "failover": {
        const of = this.children(keys.get("failover"), node, `${path}.failover`, depth);
        const on = this.causes(keys.get("on"), `${path}.on`);
        return { kind, of, on, rate: this.rate(keys.get("rate"), `${path}.rate`) };
      }
      case "all": {
        const of = this.children(keys.get("all"), node, `${path}.all`, depth);
        return { kind, of, wait: this.word(keys.get("wait"), `${path}.wait`, WAITS, "all") };
      }
      case "warm":
        return this.warm(keys.get("warm") as Node, `${path}.warm`);
      default: {
        const write = child("write");
        const rest = { read: child("read"), write };
        return { kind: "split", ...rest, delete: keys.has("delete") ? child("delete") : write };
      }
    }
  }

  /** Two pools, by their names. */
  private warm(node: Node, path: string): TargetConfig {
    const both = node.kind === "mapping"
      ? this.keys(node, path, ["cold", "warm"])
      : new Map<string, Node>();
    const named = (as: "cold" | "warm"): TargetConfig => {
      const value = both.get(as);
      if (value?.kind === "scalar" && value.text !== "") {
        this.refer({ name: value.text, place: value, as });
        return { kind: "pool", pool: value.text };
      }
      this.note(value ?? node, `${path}.${as} has to be the name of a pool`);
      return NO_POOL;
    };
    const [cold, warm] = [named("cold"), named("warm")];
    if (cold.kind === "pool" && warm.kind === "pool" && cold.pool === warm.pool) {
      this.note(node, `${path}: cold and warm have to be two pools`);
    }
    return { kind: "warm", cold, warm };
  }

  protected pool(node: Scalar): TargetConfig {
    this.refer({ name: node.text, place: node });
    return { kind: "pool", pool: node.text };
  }

  private children(
    node: Node | undefined,
    around: Node,
    path: string,
    depth: number,
  ): TargetConfig[] {
    const items = node?.kind === "list" ? node.items : [];
    if (items.length < 2 || items.length > MOST_CHILDREN) {
      this.note(node ?? around, `${path} has to be a list of 2 to ${MOST_CHILDREN} targets`);
    }
    return items.map((item, i) => this.target(item, `${path}[${i}]`, depth + 1));
  }

  private causes(node: Node | undefined, path: string): Cause[] {
    if (node === undefined) return ["error"];
    const items = node.kind === "list" ? node.items : [node];
    const found = new Set<Cause>();
    for (const item of items) {
      const cause = CAUSES.find((one) => item.kind === "scalar" && item.text === one);
      if (cause !== undefined) found.add(cause);
      else this.note(item, `${path} has to be a list of ${CAUSES.join(" and ")}`);
    }
    if (items.length === 0) this.note(node, `${path} has to be a list of ${CAUSES.join(" and ")}`);
    return [...found];
  }
}
