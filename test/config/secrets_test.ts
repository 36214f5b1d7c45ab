// Secrets from files and environment variables: how they come into a configuration, and what is said
// when they do not. And users made of it.

import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import process from "node:process";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { secretsBeside } from "../../adapters/system/secrets.ts";
import { loadConfig } from "../../core/config/load.ts";
import { type Resolved, resolveSecrets, type SecretSource } from "../../core/config/secrets.ts";
import { sameSecret } from "../../core/protocol/access.ts";
import { usersOf } from "../../core/users.ts";

const folder = fs.mkdtempSync(path.join(os.tmpdir(), "ringmux-secrets-"));
test.after(() => fs.rmSync(folder, { recursive: true, force: true }));

const file = (...lines: string[]): string =>
  ["p:", "  listen: 127.0.0.1:1", "  redis: true", ...lines, "  servers: ['127.0.0.1:2:1']", ""]
    .join("\n");

/** Files by path, and variables. */
function source(files: Record<string, string>, variables: Record<string, string> = {}) {
  const from: SecretSource = {
    file: (path) =>
      Object.hasOwn(files, path)
        ? Promise.resolve({ text: files[path], mode: 0o100600 })
        : Promise.reject(new Error("no such file or directory")),
    variable: (name) => variables[name],
  };
  return from;
}

function resolve(text: string, from: SecretSource): Promise<Resolved> {
  return resolveSecrets(loadConfig(text, "c.yml"), from, text, "c.yml");
}

test("secrets come from the first line of a file, or a variable", async () => {
  const text = file(
    "  redis_auth_file: server",
    "  auth:",
    "    password_env: MAIN",
    "    users: {ann: {password_file: ann}, bob: {password: '3'}}",
  );
  const from = source(
    { server: "over there\nnot this\n", ann: "gl\u00fcck\r\n" },
    { MAIN: " blanks stay " },
  );
  const { config, errors, warnings } = await resolve(text, from);
  assert.equal([errors, warnings], [[], []]);
  const [pool] = config.pools;
  assert.is(pool.redis_auth, "over there");
  assert.is(pool.auth!.password, " blanks stay ");
  assert.is(pool.auth!.users.ann.password, "gl\u00fcck");
  assert.is(pool.auth!.users.bob.password, "3");
});

test("etcd's password comes from a file or a variable as well", async () => {
  const text = "p:\n  listen: 127.0.0.1:1\n  discovery:\n    etcd: ['http://a:1']\n" +
    "    prefix: /c/\n    user: u\n    auth_file: gone\n";
  const { config } = await resolve(text, source({ gone: "of etcd\n" }));
  assert.is(config.pools[0].discovery!.auth, "of etcd");
  assert.equal((await resolve(text, source({}))).errors, [
    'c.yml:7: pool "p": discovery.auth_file: file "gone" cannot be read: no such file or directory',
  ]);
});

test("what is wrong with a secret is told with its place", async () => {
  const text = file(
    "  redis_auth_env: NOT_SET",
    "  auth:",
    "    password_file: gone",
    "    users:",
    "      ann: {password_file: empty}",
    "      bob:",
    "        password_env: EMPTY",
    "      cat: {password_file: blank}",
  );
  const { errors } = await resolve(text, source({ empty: "", blank: "\nx\n" }, { EMPTY: "" }));
  assert.equal(errors, [
    'c.yml:4: pool "p": redis_auth_env: environment variable "NOT_SET" is not set',
    'c.yml:6: pool "p": auth.password_file: file "gone" cannot be read: no such file or directory',
    'c.yml:8: pool "p": auth.users.ann.password_file: file "empty" is empty; its first line has ' +
    "to be the secret",
    'c.yml:10: pool "p": auth.users.bob.password_env: environment variable "EMPTY" is empty',
    'c.yml:11: pool "p": auth.users.cat.password_file: file "blank" has an empty first line; its ' +
    "first line has to be the secret",
  ]);
});

test("paths are relative to the configuration file, and a file for everybody is warned of", async () => {
  fs.writeFileSync(path.join(folder, "open"), "one\n");
  fs.chmodSync(path.join(folder, "open"), 0o644);
  fs.writeFileSync(path.join(folder, "shut"), "two");
  fs.chmodSync(path.join(folder, "shut"), 0o640);
  process.env.RINGMUX_TEST_SECRET = "three";
  const text = file(
    "  redis_auth_file: open",
    "  auth:",
    `    password_file: ${path.join(folder, "shut")}`,
    "    users: {ann: {password_env: RINGMUX_TEST_SECRET}}",
  );
  const { config, errors, warnings } = await resolve(
    text,
    secretsBeside(path.join(folder, "c.yml")),
  );
  assert.equal(errors, []);
  if (process.platform !== "win32") {
    assert.equal(warnings, [
      'c.yml:4: pool "p": redis_auth_file: file "open" can be read by everybody (mode 644); ' +
      "chmod 600 or 640",
    ]);
  }
  const { redis_auth, auth } = config.pools[0];
  assert.equal([redis_auth, auth!.password, auth!.users.ann.password], ["one", "two", "three"]);
});

test("a folder or a file that is not there is no secret", async () => {
  const text = file("  auth: {password_file: '.', users: {a: {password_file: none}}}");
  const { errors } = await resolve(text, secretsBeside(path.join(folder, "c.yml")));
  assert.is(errors.length, 2);
  assert.match(errors[0], /^c\.yml:4: .*file "\." cannot be read: .*directory/);
  assert.match(errors[1], /file "none" cannot be read: no such file/);
});

test("a pool whose secrets were not looked for does not start", () => {
  const users = (...lines: string[]) => {
    const [pool] = loadConfig(file(...lines)).pools;
    return () => usersOf(pool, 'pool "p"', () => {});
  };
  assert.throws(
    users("  redis_auth_file: x"),
    /pool "p": the secret of redis_auth is not resolved/,
  );
  assert.throws(users("  redis_auth_env: x"), /not resolved/);
  assert.throws(users("  auth: {password_env: x}"), /user "default" is not resolved/);
  assert.throws(users("  auth: {users: {ann: {password_file: x}}}"), /user "ann" is not resolved/);
  assert.is(users("  redis_auth: x")(), undefined);
  assert.equal(users("  auth: {password: x, users: {ann: {password: y}}}")()!.names(), [
    "ann",
    "default",
  ]);
});

test("secrets are compared whole", () => {
  assert.ok(sameSecret("abc", "abc"));
  for (const wrong of ["", "a", "ab", "abcd", "abd", "Abc", "abcabc", "bca"]) {
    assert.not.ok(sameSecret(wrong, "abc"), wrong);
  }
  assert.ok(sameSecret("x", "x"));
  assert.not.ok(sameSecret("xx", "x"));
  assert.not.ok(sameSecret("\0", "x"));
});

test("a secret in the place of a file's or a variable's name is not shown", async () => {
  const secrets = [
    "hunter2",
    "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj/x",
    "s3cret!",
  ];
  for (const secret of secrets) {
    for (const key of ["redis_auth_file", "redis_auth_env"]) {
      const text = `p:\n  listen: 127.0.0.1:1\n  redis: true\n  ${key}: "${secret}"\n` +
        "  servers:\n   - 127.0.0.1:2:1\n";
      const source = {
        file: (path: string) => Promise.reject(new Error(`ENOENT: open '${path}'`)),
        variable: () => undefined,
      };
      const { errors } = await resolveSecrets(loadConfig(text), source, text, "c.yml");
      assert.is(errors.length, 1);
      assert.not.ok(errors[0].includes(secret), errors[0]);
      assert.match(errors[0], /^c\.yml:4: pool "p": redis_auth_(file|env): /);
    }
  }
});

test.run();
