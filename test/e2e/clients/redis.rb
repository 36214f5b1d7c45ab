# A tour of redis-rb with default settings: redis.rb PORT SERVERS
require "redis"

def check(what) = yield || abort("not so: #{what}")

port, servers = ARGV.map(&:to_i)
Redis.silence_deprecations = true if Redis.respond_to?(:silence_deprecations=)
r = Redis.new(host: "127.0.0.1", port: port)
check("ping") { r.ping == "PONG" }
names = (0...50).map { |i| "rb:#{i}" }
check("mset") { r.mapped_mset(names.to_h { |name| [name, name] }) == "OK" }
check("mget") { r.mget(*names, "rb:absent") == names + [nil] }
check("scan") { r.scan_each(match: "rb:*", count: 7).to_a.uniq.sort == names.sort }
check("del") { r.del(*names) == 50 }
check("hash") { r.hset("rb:h", "a", 1, "b", 2) == 2 && r.hgetall("rb:h") == { "a" => "1", "b" => "2" } }
check("list") { r.rpush("rb:l", [1, 2]) == 2 && r.lrange("rb:l", 0, -1) == %w[1 2] }
check("sorted set") { r.zadd("rb:z", 1.5, "m") && r.zscore("rb:z", "m") == 1.5 }
check("set nx") { r.set("rb:nx", 1, nx: true, ex: 100) && !r.set("rb:nx", 2, nx: true) }
said = r.pipelined { |p| 50.times { |i| p.set("rb:p#{i}", i); p.incr("rb:p#{i}") } }
check("pipeline") { said == (0...50).flat_map { |i| ["OK", i + 1] } }
check("transaction") { r.multi { |m| m.set("{rb}a", 1); m.incr("{rb}b") } == ["OK", 1] }
begin
  said = r.multi { |m| 20.times { |i| m.set("#{i}:rb:m", i) } }
  check("transaction") { servers == 1 && said == ["OK"] * 20 }
rescue Redis::CommandError => error
  check("transaction on several servers: #{error}") { servers > 1 && error.message =~ /CROSSSLOT|EXECABORT/ }
end
other = Redis.new(host: "127.0.0.1", port: port)
said = r.watch("{rb}w") do
  other.set("{rb}w", "theirs")
  r.multi { |m| m.set("{rb}w", "mine") }
end
check("watch") { said.nil? && r.get("{rb}w") == "theirs" }
check("eval") { r.eval("return redis.call('incrby', KEYS[1], ARGV[1])", ["rb:n"], [5]) == 5 }
Thread.new { sleep 0.05; other.rpush("rb:wait", "job") }
check("blpop") { r.blpop("rb:wait", timeout: 5) == ["rb:wait", "job"] }
heard = []
listener = Redis.new(host: "127.0.0.1", port: port)
listener.subscribe_with_timeout(10, "rb:c1", "rb:c2") do |on|
  on.subscribe { |_, total| other.publish("rb:c2", "hi") if total == 2 }
  on.message { |channel, message| heard << [channel, message]; listener.unsubscribe }
end
check("subscribe") { heard == [["rb:c2", "hi"]] }
check("select") { r.select(1) && r.set("rb:db", 1) && r.select(0) && r.get("rb:db").nil? }
check("flushdb") { r.flushdb == "OK" }
puts "done"
