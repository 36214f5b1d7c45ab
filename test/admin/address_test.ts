// Where the admin address is, and which Host headers it takes.

import { test } from "uvu";
import * as assert from "uvu/assert";
import { adminAddress, isLoopback, isTrustedHost } from "../../adapters/admin/address.ts";

test("the option goes before the configuration, which goes before the default", () => {
  const at = (option: string, configured: string) => {
    const found = adminAddress(option, configured);
    return found === null
      ? null
      : [found.address.host, String(found.address.port), String(found.explicit)].join(" ");
  };
  assert.is(at("", ""), "127.0.0.1 22223 false");
  assert.is(at("", "0.0.0.0:1"), "0.0.0.0 1 true");
  assert.is(at("[::1]:2", "0.0.0.0:1"), "::1 2 true");
  assert.is(at("off", "0.0.0.0:1"), null);
  assert.is(at("", "off"), null);
  assert.is(at("localhost:3", "off"), "localhost 3 true");
  assert.throws(() => at("/a/path", ""), 'admin "/a/path" has to be host:port');
  assert.throws(() => at("", "nowhere"), 'admin "nowhere" has to be');
});

test("loopback is loopback", () => {
  for (const host of ["127.0.0.1", "127.9.9.9", "::1", "localhost"]) assert.ok(isLoopback(host));
  for (const host of ["0.0.0.0", "::", "10.0.0.1", "127.0.0.1.evil.example", "proxy"]) {
    assert.not.ok(isLoopback(host), host);
  }
});

test("a name that anybody can point here is not trusted", () => {
  const trusted = ["", "127.0.0.1", "127.0.0.1:22223", "10.1.2.3:80", "[::1]:22223", "[fd00::1]"];
  trusted.push("localhost", "LOCALHOST:22223", "a.localhost:1", "proxy.internal:22223");
  for (const host of [undefined, ...trusted]) {
    assert.ok(isTrustedHost(host, "proxy.internal"), String(host));
  }
  const foreign = [
    "evil.example",
    "evil.example:22223",
    "127.0.0.1.evil.example",
    "localhost.evil",
  ];
  for (const host of [...foreign, "evil-localhost", "1.2.3.4.5", "[evil]", "x proxy.internal"]) {
    assert.not.ok(isTrustedHost(host, "proxy.internal"), host);
  }
});

test.run();
