// Reads the `routes:` key of a pool: what a tree may look like is said here. What it is made of is in
// routes.ts, whether the pools are there and fit is judged in judge_routes.ts.

import * as v from "valibot";
import type { Note } from "./group.ts";
import {
  type AboutConfig,
  type Cause,
  CAUSES,
  MIRRORED,
  type PrefixConfig,
  type Reference,
  type RoutesConfig,
  type TargetConfig,
  WAITS,
} from "./routes.ts";
import { nearest } from "./suggest.ts";
import { integer } from "./values.ts";
import type { Mapping, Node, Place, Scalar } from "./yaml.ts";

/** How deep targets may nest, and how many children one may have. */
const DEEPEST = 8;
const MOST_CHILDREN = 32;
const MOST_PREFIXES = 10_000;
const LONGEST_PREFIX = 250;
const MOST_MIRRORS = 8;
const MOST_RULES = 64;
const ABOUT = ["commands", "prefix", "user"];
const NO_POOL: TargetConfig = { kind: "pool", pool: "" };

/** The keys of `routes`. */
export const ROUTES: readonly string[] = ["default", "prefixes", "mirror", "limits", "faults"];
const KINDS = ["pool", "failover", "all", "read", "warm"] as const;
const KEYS: Readonly<Record<typeof KINDS[number], readonly string[]>> = {
  pool: ["pool"],
  failover: ["failover", "on", "rate"],
  all: ["all", "wait"],
  read: ["read", "write", "delete"],
  warm: ["warm"],
};

const HOW =
  'the name of a pool, or a mapping with "pool", "failover", "all", "warm", or "read" and "write"';

/** Reads one `routes:`; what is wrong goes to `note`, the pools it names to `refer`. */
export class RoutesReader {
  private readonly note: Note;
  private readonly refer: (reference: Reference) => void;

  constructor(note: Note, refer: (reference: Reference) => void) {
    this.note = note;
    this.refer = refer;
  }

  read(node: Node): RoutesConfig | undefined {
    if (node.kind !== "mapping") {
      this.note(node, `routes has to be a mapping with ${ROUTES.join(" or ")}`);
      return undefined;
    }
    const keys = this.keys(node, "routes", ROUTES);
    const fallback = keys.get("default");
    const prefixes = keys.get("prefixes");
    if (fallback === undefined && prefixes === undefined) {
      this.note(node, "routes needs a default or prefixes");
    }
    return {
      ...(fallback !== undefined && { default: this.target(fallback, "routes.default", 1) }),
      prefixes: prefixes === undefined ? [] : this.prefixes(prefixes),
      mirror: this.each(keys.get("mirror"), "routes.mirror", MOST_MIRRORS, (item, path) => {
        const own = this.keys(item, path, ["pool", "percent", "of"]);
        const pool = own.get("pool");
        if (pool?.kind !== "scalar") this.note(pool ?? item, `${path}.pool has to name a pool`);
        return {
          pool: pool?.kind === "scalar" ? this.pool(pool) : NO_POOL,
          percent: this.percent(own.get("percent"), `${path}.percent`),
          of: this.word(own.get("of"), `${path}.of`, MIRRORED, "all"),
        };
      }),
      limits: this.each(keys.get("limits"), "routes.limits", MOST_RULES, (item, path) => {
        const own = this.keys(item, path, ["rate", ...ABOUT]);
        if (!own.has("rate")) this.note(item, `${path}.rate is missing`);
        return { ...this.about(own, path), rate: this.rate(own.get("rate"), `${path}.rate`) };
      }),
      faults: this.each(keys.get("faults"), "routes.faults", MOST_RULES, (item, path) => {
        const own = this.keys(item, path, ["percent", "delay", "error", ...ABOUT]);
        if (own.has("delay") === own.has("error")) {
          this.note(item, `${path} needs either delay or error`);
        }
        return {
          ...this.about(own, path),
          percent: this.percent(own.get("percent"), `${path}.percent`),
          delay: this.number(own.get("delay"), `${path}.delay`, 1, 60_000, "milliseconds"),
          error: this.text(own.get("error"), `${path}.error`),
        };
      }),
    };
  }

  private about(keys: ReadonlyMap<string, Node>, path: string): AboutConfig {
    const node = keys.get("commands");
    const items = node === undefined ? [] : node.kind === "list" ? node.items : [node];
    const commands = items.map((item, i) =>
      this.text(item, `${path}.commands[${i}]`).toLowerCase().replace(" ", "|")
    );
    return {
      commands,
      prefix: this.text(keys.get("prefix"), `${path}.prefix`),
      user: this.text(keys.get("user"), `${path}.user`),
    };
  }

  /** "" if it is not there. */
  private text(node: Node | undefined, path: string): string {
    if (node === undefined) return "";
    const text = node.kind === "scalar" ? node.text : "";
    if (text === "" || /[\r\n]/.test(text)) this.note(node, `${path} has to be a line of text`);
    return text;
  }

  /** The items of a list of mappings. */
  private each<T>(
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
  private percent(node: Node | undefined, path: string): number {
    if (node === undefined) return 100;
    const text = node.kind === "scalar" ? node.text : "";
    const value = /^\d+(\.\d+)?$/.test(text) ? Number(text) : 0;
    if (value > 0 && value <= 100) return value;
    this.note(node, `${path} "${text}" has to be a number above 0, up to 100`);
    return 100;
  }

  private word<const T extends readonly string[]>(
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

  private prefixes(node: Node): PrefixConfig[] {
    if (node.kind !== "mapping") {
      this.note(node, "routes.prefixes has to be a mapping of prefixes to targets");
      return [];
    }
    if (node.entries.length > MOST_PREFIXES) {
      this.note(node, `routes.prefixes may have ${MOST_PREFIXES} entries`);
      return [];
    }
    const seen = new Map<string, Place>();
    const found: PrefixConfig[] = [];
    for (const { key, value } of node.entries) {
      const path = `routes.prefixes."${key.text}"`;
      const first = seen.get(key.text);
      if (first !== undefined) {
        this.note(key, `${path} is given twice (first on line ${first.line})`);
        continue;
      }
      seen.set(key.text, key);
      if (key.text === "") this.note(key, `${path}: what fits every key is called default`);
      if (key.text.length > LONGEST_PREFIX) {
        this.note(key, `${path} has more than ${LONGEST_PREFIX} characters`);
      }
      found.push({ prefix: key.text, ...this.stripped(value, path) });
    }
    return found;
  }

  /** A target that may say `strip` beside what it is. */
  private stripped(node: Node, path: string): Omit<PrefixConfig, "prefix"> {
    if (node.kind !== "mapping") return { target: this.target(node, path, 1), strip: false };
    const at = node.entries.findIndex(({ key }) => key.text === "strip");
    if (at < 0) return { target: this.target(node, path, 1), strip: false };
    const rest = { ...node, entries: node.entries.filter((_, i) => i !== at) };
    const { value } = node.entries[at];
    const text = value.kind === "scalar" ? value.text : "";
    if (text !== "true" && text !== "false") {
      this.note(value, `${path}.strip has to be true or false`);
    }
    return { target: this.target(rest, path, 1), strip: text === "true" };
  }

  private target(node: Node, path: string, depth: number): TargetConfig {
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
      case "warm": {
        const node = keys.get("warm") as Node;
        const both = node.kind === "mapping"
          ? this.keys(node, `${path}.warm`, ["cold", "warm"])
          : new Map<string, Node>();
        const named = (name: string): TargetConfig => {
          const value = both.get(name);
          if (value?.kind === "scalar" && value.text !== "") {
            this.refer({ name: value.text, place: value, isRing: true });
            return { kind: "pool", pool: value.text };
          }
          this.note(value ?? node, `${path}.warm.${name} has to be the name of a pool`);
          return NO_POOL;
        };
        const [cold, warm] = [named("cold"), named("warm")];
        if (cold.kind === "pool" && warm.kind === "pool" && cold.pool === warm.pool) {
          this.note(node, `${path}.warm: cold and warm have to be two pools`);
        }
        return { kind, cold, warm };
      }
      default: {
        const write = child("write");
        const rest = { read: child("read"), write };
        return { kind: "split", ...rest, delete: keys.has("delete") ? child("delete") : write };
      }
    }
  }

  private pool(node: Scalar): TargetConfig {
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

  private rate(node: Node | undefined, path: string): number {
    return this.number(node, path, 1, 1_000_000);
  }

  /** 0 if it is not there. */
  private number(
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
  private keys(node: Mapping, path: string, known: readonly string[]): Map<string, Node> {
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
