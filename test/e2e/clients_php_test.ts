// PHP: phpredis and php-memcached.
// Needs: redis-server memcached php-cli php-redis php-memcached
// Runtimes: node

import { test } from "uvu";
import type { ProxyProcess } from "./harness.ts";
import { memcachedTours, redisTours, script, splitTour, startPools, tour } from "./languages.ts";

let proxy: ProxyProcess;

test.before(async () => {
  proxy = await startPools();
});

for (const tours of [redisTours, splitTour]) {
  tours("phpredis", () => proxy, (port, servers) => {
    return tour("/usr/bin/php", script("redis.php"), port, servers);
  });
}
memcachedTours("php-memcached", () => proxy, (port) => {
  return tour("/usr/bin/php", script("memcached.php"), port);
});

test.run();
