<?php
// A tour of php-memcached, in text and in binary mode: memcached.php PORT
function check(bool $ok, string $what): void {
  if (!$ok) {
    fwrite(STDERR, "not so: $what\n");
    exit(1);
  }
}
$names = array_map(fn ($i) => "php$i", range(0, 59));
foreach ([false, true] as $binary) {
  $mc = new Memcached();
  $mc->setOption(Memcached::OPT_BINARY_PROTOCOL, $binary);
  $mc->addServer("127.0.0.1", (int) $argv[1]);
  check($mc->set("a", 1) && $mc->get("a") === 1 && $mc->increment("a", 4) === 5, "set, get, increment");
  check($mc->setMulti(array_combine($names, $names)), "setMulti");
  $got = $mc->getMulti([...$names, "absent"]);
  ksort($got);
  $expected = array_combine($names, $names);
  ksort($expected);
  check($got === $expected, "getMulti");
  check(array_keys($mc->getMulti($names, Memcached::GET_PRESERVE_ORDER)) === $names, "order");
  $cas = $mc->get("a", null, Memcached::GET_EXTENDED)["cas"];
  check($mc->cas($cas, "a", 7) && !$mc->cas($cas, "a", 8), "cas");
  check(!$mc->add("a", 1) && $mc->replace("a", ["deep" => [1]]) && $mc->get("a") === ["deep" => [1]], "add, replace");
  check($mc->touch("a", 100) && $mc->delete("a") && $mc->get("a") === false, "touch, delete");
  check(array_unique(array_values($mc->deleteMulti($names))) === [true], "deleteMulti");
  check($mc->set("big", str_repeat("v", 900000)) && strlen($mc->get("big")) === 900000, "large");
  check($mc->getDelayed(["big"]) && $mc->fetchAll()[0]["key"] === "big", "getDelayed");
  check(count($mc->getVersion()) === 1 && count($mc->getStats()) === 1, "version, stats");
}
check($mc->flush(), "flush");
echo "done\n";
