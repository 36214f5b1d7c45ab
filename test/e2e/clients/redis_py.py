# A tour of redis-py with default settings: redis_py.py PORT SERVERS [cluster]. Any failure is an exception.
import sys
import threading

import redis

port, servers = int(sys.argv[1]), int(sys.argv[2])
# A node of a cluster counts only those who listen at itself.
clustered = len(sys.argv) > 3
r = redis.Redis(port=port, decode_responses=True)
assert r.ping()

# Many keys, over all servers.
names = [f"py:{i}" for i in range(50)]
assert r.mset({name: name for name in names})
assert r.mget(names + ["py:absent"]) == names + [None]
assert sorted(r.scan_iter("py:*", count=7)) == sorted(names)
assert r.exists(*names) == 50
assert r.delete(*names) == 50

# All kinds of values.
assert r.hset("py:h", mapping={"a": 1, "b": 2}) == 2 and r.hgetall("py:h") == {"a": "1", "b": "2"}
assert r.rpush("py:l", 1, 2, 3) == 3 and r.lrange("py:l", 0, -1) == ["1", "2", "3"]
assert r.sadd("py:s", "x") == 1 and r.smembers("py:s") == {"x"}
assert r.zadd("py:z", {"m": 1.5}) == 1 and r.zrange("py:z", 0, -1, withscores=True) == [("m", 1.5)]
first = r.xadd("py:x", {"f": "v"})
assert r.xgroup_create("py:x", "g", id="0")
assert r.xreadgroup("g", "me", {"py:x": ">"}) == [["py:x", [(first, {"f": "v"})]]]
assert r.set("py:nx", "1", nx=True, ex=100) and r.set("py:nx", "2", nx=True) is None
assert r.set("py:big", "v" * 3_000_000) and len(r.get("py:big")) == 3_000_000

# A pipeline that is no transaction goes anywhere.
pipe = r.pipeline(transaction=False)
for i in range(100):
    pipe.set(f"py:p{i}", i).incr(f"py:p{i}")
assert pipe.execute() == [value for i in range(100) for value in (True, i + 1)]

# A pipeline is a transaction by default: it needs one server.
pipe = r.pipeline()
pipe.set("{py}a", 1).incr("{py}b")
assert pipe.execute() == [True, 1]
pipe = r.pipeline()
for i in range(20):
    pipe.set(f"{i}:py:m", i)
if servers == 1:
    assert pipe.execute() == [True] * 20
else:
    try:
        pipe.execute()
        raise SystemExit("a transaction over several servers was carried out")
    except redis.ResponseError as error:
        assert "CROSSSLOT" in str(error) or "servers" in str(error), error
    assert r.exists(*[f"{i}:py:m" for i in range(20)]) == 0
# The connection is as good as before.
assert r.get("py:nx") == "1"

# WATCH.
with r.pipeline() as pipe:
    pipe.watch("{py}w")
    pipe.multi()
    pipe.set("{py}w", "mine")
    r.set("{py}w", "theirs")
    try:
        pipe.execute()
        raise SystemExit("what was watched has changed, and nobody minds")
    except redis.WatchError:
        pass


def change(pipe):
    pipe.multi()
    pipe.set("{py}w", "now")


assert r.transaction(change, "{py}w") == [True]

# A lock and a script.
with r.lock("py:lock", timeout=5, blocking_timeout=1):
    assert not r.lock("py:lock", blocking_timeout=0.01).acquire()
script = r.register_script("return redis.call('incrby', KEYS[1], ARGV[1])")
assert script(keys=["py:n"], args=[5]) == 5 and script(keys=["py:n"], args=[5]) == 10

# Blocking.
threading.Timer(0.05, lambda: r.rpush("py:wait", "job")).start()
assert r.blpop(["py:wait"], timeout=5) == ("py:wait", "job")

# Publish and subscribe.
with r.pubsub() as one, r.pubsub() as two:
    one.subscribe("py:c1", "py:c2")
    one.psubscribe("py:*")
    two.subscribe("py:c1")
    for _ in range(3):
        assert "subscribe" in one.get_message(timeout=5)["type"]
    assert two.get_message(timeout=5)["type"] == "subscribe"
    assert r.publish("py:c1", "hi") == 3 or clustered
    assert r.pubsub_numsub("py:c1", "py:c2") == [("py:c1", 2), ("py:c2", 1)]
    heard = sorted(one.get_message(timeout=5)["type"] for _ in range(2))
    assert heard == ["message", "pmessage"], heard
    assert two.get_message(timeout=5)["data"] == "hi"

assert r.client_setname("tour") and r.client_getname() == "tour"
assert "redis_version" in r.info()
assert r.flushdb()
print("done")
