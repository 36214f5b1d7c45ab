// Go: redigo.
// Needs: redis-server memcached golang-go golang-github-gomodule-redigo-dev
// Runtimes: node

import { test } from "uvu";
import * as assert from "uvu/assert";
import { type ProxyProcess, run, tempPath } from "./harness.ts";
import { redisTours, script, splitTour, startPools, tour } from "./languages.ts";

let proxy: ProxyProcess;
const program = tempPath("redigo");

test.before(async () => {
  // Debian's packages are sources in a GOPATH.
  const settings = ["GO111MODULE=off", "GOPATH=/usr/share/gocode", `GOCACHE=${tempPath("cache")}`];
  const build = ["/usr/bin/go", "build", "-o", program, script("redigo.go")];
  const { code, stderr } = await run("env", [...settings, ...build]);
  assert.is(code, 0, stderr);
  proxy = await startPools();
});

for (const tours of [redisTours, splitTour]) {
  tours("redigo", () => proxy, (port, servers) => tour(program, port, servers));
}

test.run();
