# A tour of dalli in both of its protocols: dalli.rb PORT
require "dalli"

def check(what) = yield || abort("not so: #{what}")

names = (0...60).map { |i| "rb#{i}" }
%i[binary meta].each do |protocol|
  mc = Dalli::Client.new("127.0.0.1:#{ARGV[0]}", protocol: protocol)
  check("set") { mc.set("a", { "deep" => [1, 2] }) && mc.get("a") == { "deep" => [1, 2] } }
  check("incr") { mc.incr("n", 4, 100, 1) == 1 && mc.incr("n", 4) == 5 && mc.decr("n", 2) == 3 }
  check("add, replace") { !mc.add("a", 1) && mc.replace("a", 2) && mc.get("a") == 2 }
  mc.multi { names.each { |name| mc.set(name, name) } }
  check("get_multi") { mc.get_multi(*names, "absent") == names.to_h { |name| [name, name] } }
  check("get_multi_cas") { mc.get_multi_cas("a").keys == ["a"] } if protocol == :binary
  check("cas") { mc.cas("a") { |value| value + 1 } && mc.get("a") == 3 }
  check("fetch") { mc.fetch("f", 100) { "made" } == "made" && mc.fetch("f") { abort "made again" } == "made" }
  check("touch, gat") { mc.touch("a", 100) && mc.gat("a", 100) == 3 }
  check("delete") { mc.delete("a") && mc.get("a").nil? }
  check("large") { mc.set("big", "v" * 900_000, 0, raw: true) && mc.get("big", raw: true).size == 900_000 }
  check("quiet") { names.each { |name| mc.delete(name) } && mc.get_multi(*names) == {} }
  check("stats, version") { mc.stats.size == 1 && mc.version.size == 1 }
  check("flush") { mc.flush == [true] }
  mc.close
end
puts "done"
