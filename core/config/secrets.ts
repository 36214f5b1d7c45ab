// Passwords that a configuration does not hold itself, but names the file or the environment
// variable of. Where they are read from enters by argument. No message shows a secret.

import type { AuthConfig, UserConfig } from "./groups.ts";
import { ringOf } from "./judge_migrate.ts";
import { formatMistake, type Mistake } from "./load.ts";
import type { Config, PoolConfig } from "./schema.ts";
import { fileShown, reasonShown, variableShown } from "./shown.ts";
import { type Node, parseYaml } from "./yaml.ts";

/** Where secrets are. */
export interface SecretSource {
  /**
   * The text of a file, and its mode (-1 where there is none). A relative path is taken from the
   * configuration file's folder. Rejects with an Error whose message says why.
   */
  file(path: string): Promise<{ text: string; mode: number }>;
  /** An environment variable; undefined when it is not set. */
  variable(name: string): string | undefined;
}

/** Lines like those of a configuration's mistakes. With `errors` the configuration is not usable. */
export interface Resolved {
  readonly config: Config;
  readonly errors: string[];
  readonly warnings: string[];
}

/** `config`, which was read from `text` of `file`, with every secret in its place. */
export async function resolveSecrets(
  config: Config,
  source: SecretSource,
  text: string,
  file: string,
): Promise<Resolved> {
  const resolver = new Resolver(source, text, file);
  const pools: PoolConfig[] = [];
  for (const pool of config.pools) pools.push(await resolver.pool(pool));
  for (const [i, pool] of pools.entries()) {
    const to = pools.find(({ name }) => name === pool.migrate?.to);
    if (pool.migrate === undefined || to === undefined) continue;
    pools[i] = { ...pool, migrate: { ...pool.migrate, ring: ringOf(to) } };
  }
  const told = (mistakes: Mistake[]) => mistakes.sort(inFileOrder).map(formatMistake);
  const [errors, warnings] = [told(resolver.errors), told(resolver.warnings)];
  return { config: { ...config, pools }, errors, warnings };
}

class Resolver {
  readonly errors: Mistake[];
  readonly warnings: Mistake[];
  private readonly source: SecretSource;
  private readonly text: string;
  private readonly file: string;

  constructor(source: SecretSource, text: string, file: string) {
    this.errors = [];
    this.warnings = [];
    this.source = source;
    this.text = text;
    this.file = file;
  }

  async pool(pool: PoolConfig): Promise<PoolConfig> {
    const { redis_auth, redis_auth_file, redis_auth_env, auth, sentinel, discovery } = pool;
    const at = [pool.name];
    const own = await this.secret(redis_auth, redis_auth_file, redis_auth_env, at, "redis_auth");
    const resolved = { ...pool, redis_auth: own };
    if (sentinel !== undefined) {
      const { auth: given, auth_file, auth_env } = sentinel;
      const theirs = await this.secret(given, auth_file, auth_env, [...at, "sentinel"], "auth");
      resolved.sentinel = { ...sentinel, auth: theirs };
    }
    if (discovery !== undefined) {
      const { auth: given, auth_file, auth_env } = discovery;
      const found = await this.secret(given, auth_file, auth_env, [...at, "discovery"], "auth");
      resolved.discovery = { ...discovery, auth: found };
    }
    return auth === undefined ? resolved : { ...resolved, auth: await this.auth(auth, pool.name) };
  }

  private async auth(auth: AuthConfig, pool: string): Promise<AuthConfig> {
    const users: Record<string, UserConfig> = Object.create(null);
    for (const [name, user] of Object.entries(auth.users)) {
      users[name] = { ...user, password: await this.password(user, [pool, "auth", "users", name]) };
    }
    return { ...auth, password: await this.password(auth, [pool, "auth"]), users };
  }

  private password(of: AuthConfig | UserConfig, at: string[]): Promise<string> {
    return this.secret(of.password, of.password_file, of.password_env, at, "password");
  }

  /** The secret that stands in `value`, in a file or in a variable; "" when none is given. */
  private async secret(
    value: string,
    file: string,
    variable: string,
    at: readonly string[],
    key: string,
  ): Promise<string> {
    if (file !== "") return await this.fromFile(file, [...at, `${key}_file`]);
    if (variable !== "") return this.fromVariable(variable, [...at, `${key}_env`]);
    return value;
  }

  private async fromFile(path: string, at: readonly string[]): Promise<string> {
    try {
      const { text, mode } = await this.source.file(path);
      if (mode >= 0 && (mode & 0o004) !== 0) {
        const octal = (mode & 0o777).toString(8);
        const message = `can be read by everybody (mode ${octal}); chmod 600 or 640`;
        this.warnings.push(this.mistake(at, `${fileShown(path)} ${message}`));
      }
      const secret = text.split(/\r?\n/, 1)[0];
      if (secret === "") {
        const why = text === "" ? "is empty" : "has an empty first line";
        this.errors.push(
          this.mistake(at, `${fileShown(path)} ${why}; its first line has to be the secret`),
        );
      }
      return secret;
    } catch (error) {
      const why = reasonShown(error, path);
      this.errors.push(this.mistake(at, `${fileShown(path)} cannot be read: ${why}`));
      return "";
    }
  }

  private fromVariable(name: string, at: readonly string[]): string {
    const secret = this.source.variable(name);
    if (secret === undefined || secret === "") {
      const why = secret === undefined ? "is not set" : "is empty";
      this.errors.push(this.mistake(at, `${variableShown(name)} ${why}`));
    }
    return secret ?? "";
  }

  private mistake(at: readonly string[], message: string): Mistake {
    return mistakeAt(this.text, this.file, at, message);
  }
}

/** What is wrong with the value at a path, pool first, of the configuration `text`. */
export function mistakeAt(
  text: string,
  file: string,
  at: readonly string[],
  message: string,
): Mistake {
  const [pool, ...path] = at;
  const { line, column } = placeOf(parseYaml(text).root, at);
  const key = path.join(".");
  return { file, line, column, pool, key: path[0], message: `${key}: ${message}` };
}

/** Where the value at `path` stands; line 0 when it does not. */
function placeOf(root: Node | null, path: readonly string[]): { line: number; column: number } {
  let node = root;
  for (const name of path) {
    const entry = node?.kind === "mapping"
      ? node.entries.find(({ key }) => key.text === name)
      : undefined;
    if (entry === undefined) return { line: 0, column: 0 };
    node = entry.value;
  }
  return node ?? { line: 0, column: 0 };
}

function inFileOrder(a: Mistake, b: Mistake): number {
  return a.line - b.line || a.column - b.column;
}
