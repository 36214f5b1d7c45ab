// Reads the `routes:` key of a pool: what a tree may look like is said here and, of its targets, in
// target_reader.ts. What it is made of is in routes.ts, whether the pools are there and fit is judged
// in judge_routes.ts.

import { type AboutConfig, MIRRORED, type PrefixConfig, type RoutesConfig } from "./routes.ts";
import { NO_POOL, TargetReader } from "./target_reader.ts";
import type { Node, Place } from "./yaml.ts";

const MOST_PREFIXES = 10_000;
const LONGEST_PREFIX = 250;
const MOST_MIRRORS = 8;
const MOST_RULES = 64;
const ABOUT = ["commands", "prefix", "user"];

/** The keys of `routes`. */
export const ROUTES: readonly string[] = ["default", "prefixes", "mirror", "limits", "faults"];

/** Reads one `routes:`; what is wrong goes to `note`, the pools it names to `refer`. */
export class RoutesReader extends TargetReader {
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
}
