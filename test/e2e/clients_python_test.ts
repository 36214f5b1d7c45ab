// Python: redis-py, RQ, Celery, pymemcache and pylibmc.
// Needs: redis-server memcached python3-redis python3-rq python3-celery
// Needs: python3-pymemcache python3-pylibmc
// Runtimes: node

import { test } from "uvu";
import { type ProxyProcess, Running } from "./harness.ts";
import { memcachedTours, redisTours, script, splitTour, startPools, tour } from "./languages.ts";

/** Debian's, which has the packages, whatever else is in the PATH. */
const PYTHON = "/usr/bin/python3";
let proxy: ProxyProcess;

test.before(async () => {
  // All keys of RQ begin with "rq:": between these two characters it is always a "q".
  proxy = await startPools({ rq: { hash_tag: '"r:"' } });
});

for (const tours of [redisTours, splitTour]) {
  tours("redis-py", () => proxy, (port, servers) => {
    return tour(PYTHON, script("redis_py.py"), port, servers);
  });
}

memcachedTours("pymemcache and pylibmc", () => proxy, (port) => {
  return tour(PYTHON, script("memcached_py.py"), port);
});

test("RQ, one server", () => tour(PYTHON, script("rq_tour.py"), proxy.ports.one));
test("RQ, three servers", () => tour(PYTHON, script("rq_tour.py"), proxy.ports.rq));

for (const [pool, prefix] of [["one", ""], ["many", "{celery}"]]) {
  test(`Celery, ${pool} server(s)`, async () => {
    const args = [script("celery_tour.py"), String(proxy.ports[pool]), prefix];
    const worker = new Running("celery", PYTHON, [...args, "worker"]);
    await tour(PYTHON, ...args);
    await worker.exited();
  });
}

test.run();
