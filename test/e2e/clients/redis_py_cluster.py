# redis-py's cluster client with default settings, through a proxy that acts as the only node of a
# cluster: redis_py_cluster.py PORT. Any failure is an exception.
import sys

from redis.cluster import RedisCluster

r = RedisCluster(host="127.0.0.1", port=int(sys.argv[1]), decode_responses=True)
assert r.ping()
nodes = r.get_nodes()
assert [(node.host, node.port) for node in nodes] == [("127.0.0.1", int(sys.argv[1]))], nodes
names = [f"pyc:{i}" for i in range(50)]
for name in names:
    assert r.set(name, name)
assert [r.get(name) for name in names] == names
assert r.mget_nonatomic(names) == names
assert sorted(set(r.scan_iter("pyc:*", count=7))) == sorted(names)
assert r.cluster_keyslot("foo") == 12182 == r.keyslot("foo")
assert r.cluster_info()["cluster_state"] == "ok"
with r.pipeline() as pipe:
    for name in names:
        pipe.incrby(f"{name}:n", 2).get(name)
    assert pipe.execute() == [value for name in names for value in (2, name)]
script = r.register_script("return redis.call('incrby', KEYS[1], ARGV[1])")
assert script(keys=["pyc:s"], args=[5]) == 5 and script(keys=["pyc:s"], args=[5]) == 10
with r.pubsub() as hearer:
    hearer.subscribe("pyc:c")
    assert hearer.get_message(timeout=5)["type"] == "subscribe"
    r.publish("pyc:c", "hi")
    assert hearer.get_message(timeout=5)["data"] == "hi"
assert r.delete(*names) == 50
print("done")
