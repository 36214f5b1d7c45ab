// Ruby: redis-rb, Sidekiq and dalli.
// Needs: redis-server memcached ruby ruby-redis ruby-redis-namespace ruby-sidekiq ruby-dalli
// Runtimes: node

import { test } from "uvu";
import type { ProxyProcess } from "./harness.ts";
import { memcachedTours, redisTours, script, splitTour, startPools, tour } from "./languages.ts";

const RUBY = "/usr/bin/ruby";
let proxy: ProxyProcess;

test.before(async () => {
  proxy = await startPools();
});

for (const tours of [redisTours, splitTour]) {
  tours("redis-rb", () => proxy, (port, servers) => {
    return tour(RUBY, script("redis.rb"), port, servers);
  });
}
redisTours("Sidekiq", () => proxy, (port, servers) => {
  return tour(RUBY, script("sidekiq_tour.rb"), port, servers === 1 ? "" : "{sidekiq}");
});
memcachedTours("dalli", () => proxy, (port) => tour(RUBY, script("dalli.rb"), port));

test.run();
