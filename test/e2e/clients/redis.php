<?php
// A tour of phpredis with default settings: redis.php PORT SERVERS
[, $port, $servers] = $argv;
function check(bool $ok, string $what): void {
  if (!$ok) {
    fwrite(STDERR, "not so: $what\n");
    exit(1);
  }
}
$r = new Redis();
$r->connect("127.0.0.1", (int) $port, 5);
check($r->ping() === true, "ping");
$names = array_map(fn ($i) => "php:$i", range(0, 49));
check($r->mset(array_combine($names, $names)), "mset");
check($r->mget([...$names, "php:absent"]) === [...$names, false], "mget");
check($r->del($names) === 50, "del");
check($r->hMSet("php:h", ["a" => 1, "b" => 2]) && $r->hGetAll("php:h") == ["a" => "1", "b" => "2"], "hash");
check($r->rPush("php:l", 1, 2) === 2 && $r->lRange("php:l", 0, -1) === ["1", "2"], "list");
check($r->zAdd("php:z", 1.5, "m") === 1 && $r->zScore("php:z", "m") === 1.5, "sorted set");
check($r->set("php:nx", 1, ["nx", "ex" => 100]) && !$r->set("php:nx", 2, ["nx"]), "set nx");
$r->setOption(Redis::OPT_SERIALIZER, Redis::SERIALIZER_PHP);
check($r->set("php:o", ["deep" => [1, 2]]) && $r->get("php:o") === ["deep" => [1, 2]], "serializer");
$r->setOption(Redis::OPT_SERIALIZER, Redis::SERIALIZER_NONE);

$pipe = $r->pipeline();
for ($i = 0; $i < 50; $i++) $pipe->set("php:p$i", $i)->incr("php:p$i");
check(count($pipe->exec()) === 100, "pipeline");
check($r->multi()->set("{php}a", 1)->incr("{php}b")->exec() === [true, 1], "transaction");
// A command that is refused in a transaction is an exception; the transaction stays open (see
// docs/clients.md), as is so with Laravel's putMany.
try {
  $multi = $r->multi();
  for ($i = 0; $i < 20; $i++) $multi->set("$i:php:m", $i);
  check($servers === "1" && $multi->exec() === array_fill(0, 20, true), "transaction");
} catch (RedisException $error) {
  check($servers !== "1" && str_contains($error->getMessage(), "CROSSSLOT"), $error->getMessage());
  check($r->getMode() === Redis::MULTI && $r->discard() && $r->get("php:nx") === "1", "after that");
}
$r->watch("{php}w");
$other = new Redis();
$other->connect("127.0.0.1", (int) $port);
$other->set("{php}w", "theirs");
check($r->multi()->set("{php}w", "mine")->exec() === false, "watch");
check($r->eval("return redis.call('incrby', KEYS[1], ARGV[1])", ["php:n", 5], 1) === 5, "eval");
check($r->blPop(["php:none"], 1) === [], "blpop");

$r->setOption(Redis::OPT_SCAN, Redis::SCAN_RETRY);
$found = [];
$cursor = null;
while (($some = $r->scan($cursor, "php:p*", 10)) !== false) array_push($found, ...$some);
check(count(array_unique($found)) === 50, "scan");

$heard = [];
$listener = new Redis();
$listener->connect("127.0.0.1", (int) $port);
$pid = pcntl_fork();
if ($pid === 0) {
  $speaker = new Redis();
  $speaker->connect("127.0.0.1", (int) $port);
  for ($i = 0; $i < 500 && $speaker->publish("php:c", "hi") === 0; $i++) usleep(10000);
  posix_kill(posix_getpid(), SIGKILL); // nothing of the parent's is to be closed
}
$listener->setOption(Redis::OPT_READ_TIMEOUT, 10);
try {
  $listener->subscribe(["php:c"], function ($redis, $channel, $message) use (&$heard) {
    $heard[] = "$channel $message";
    $redis->close(); // what ends it
  });
} catch (RedisException $end) {
  check($heard !== [], $end->getMessage());
}
pcntl_wait($status);
check($heard === ["php:c hi"], "subscribe");
check($r->select(1) && $r->set("php:db", 1) && $r->select(0) && !$r->get("php:db"), "select");
check($r->flushAll(), "flushall");
echo "done\n";
