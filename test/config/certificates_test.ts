// Certificates named in a configuration: what takes the place of paths, and what is said of files
// that cannot be used. The files here are made of words.

import { test } from "uvu";
import * as assert from "uvu/assert";
import { type PemSource, resolveCertificates } from "../../core/config/certificates.ts";
import { diffConfigs } from "../../core/config/diff.ts";
import { loadConfig } from "../../core/config/load.ts";
import { Throttle } from "../../core/throttle.ts";

const TEXT = `cache:
  listen: 127.0.0.1:1
  tls:
    cert: a.pem
    key: a.key
  server_tls: { ca: ca.pem }
  servers:
    - 127.0.0.1:2:1
`;

function source(files: Record<string, string>): PemSource {
  return {
    file: (name) =>
      name in files
        ? Promise.resolve(files[name])
        : Promise.reject(new Error("no such file or directory")),
    certificateFault: (pem) => pem.includes("certificate") ? "" : "holds no certificate",
    keyFault: (key, cert) => key === `key of ${cert}` ? "" : "holds a key of another one",
    expiry: (pem) => pem.includes("old") ? "2020" : "",
  };
}

const FILES = {
  "a.pem": "certificate 1",
  "a.key": "key of certificate 1",
  "ca.pem": "certificate of ca",
};

function resolve(files: Record<string, string>) {
  return resolveCertificates(loadConfig(TEXT, "c.yml"), source(files), 0, TEXT, "c.yml");
}

test("texts take the place of paths", async () => {
  const { config, errors, warnings } = await resolve(FILES);
  assert.equal([...errors, ...warnings], []);
  const [{ tls, server_tls }] = config.pools;
  assert.is(tls?.cert, "certificate 1");
  assert.is(tls?.key, "key of certificate 1");
  assert.is(tls?.ca, "");
  assert.is(server_tls?.ca, "certificate of ca");
});

test("those for etcd too", async () => {
  const text = "p:\n  listen: 127.0.0.1:1\n  discovery:\n    etcd: ['https://a:1']\n" +
    "    prefix: /c/\n    tls: {ca: ca.pem}\n";
  const { config } = await resolveCertificates(
    loadConfig(text, "c.yml"),
    source(FILES),
    0,
    text,
    "c.yml",
  );
  assert.is(config.pools[0].discovery?.tls?.ca, "certificate of ca");
});

test("every file that cannot be used is told of with its line", async () => {
  const { errors } = await resolve({ "a.key": "key of certificate 1", "ca.pem": "nothing" });
  assert.equal(errors, [
    `c.yml:4: pool "cache": tls.cert: "a.pem" cannot be read: no such file or directory`,
    `c.yml:6: pool "cache": server_tls.ca: "ca.pem" holds no certificate`,
  ]);
  const other = await resolve({ ...FILES, "a.key": "key of certificate 2" });
  assert.equal(other.errors, [
    `c.yml:5: pool "cache": tls.key: "a.key" holds a key of another one`,
  ]);
});

test("an expired certificate is a warning", async () => {
  const files = { ...FILES, "a.pem": "old certificate", "a.key": "key of old certificate" };
  const { errors, warnings } = await resolve(files);
  assert.equal(errors, []);
  assert.equal(warnings, [`c.yml:4: pool "cache": tls.cert: "a.pem" has expired (2020)`]);
});

test("another text in the same file is a change, and its lines show no key", async () => {
  const before = await resolve(FILES);
  assert.equal(diffConfigs(before.config, (await resolve(FILES)).config).changed, []);
  const after = await resolve({
    ...FILES,
    "a.pem": "certificate 2",
    "a.key": "key of certificate 2",
  });
  const [{ keys, lines }] = diffConfigs(before.config, after.config).changed;
  assert.equal([...keys], ["tls"]);
  assert.equal(lines, [`pool "cache": tls changed`]);
});

test("five lines each second, and then how many were left out", () => {
  const throttle = new Throttle();
  const said = Array.from({ length: 8 }, () => throttle.allow(10));
  assert.equal(said, [true, true, true, true, true, false, false, false]);
  assert.ok(throttle.allow(1010));
  assert.is(throttle.more, " (and 3 more)");
  assert.ok(throttle.allow(1011));
  assert.is(throttle.more, "");
});

test.run();
