# Tours of pymemcache and pylibmc: memcached_py.py PORT
import sys

import pylibmc
from pymemcache.client.base import Client
from pymemcache.client.hash import HashClient

port = int(sys.argv[1])
names = [f"py{i}" for i in range(60)]

for client in (
    Client(("127.0.0.1", port), default_noreply=False),
    HashClient([("127.0.0.1", port)], default_noreply=False, use_pooling=True),
):
    assert client.set("a", "1") and client.get("a") == b"1"
    assert client.incr("a", 4) == 5 and client.decr("a", 1) == 4
    assert not client.add("a", "2") and client.replace("a", "3") and client.append("a", "4")
    value, cas = client.gets("a")
    assert value == b"34" and client.cas("a", "5", cas) and not client.cas("a", "6", cas)
    assert client.set_many({name: name for name in names}) == []
    assert client.get_many(names + ["absent"]) == {name: name.encode() for name in names}
    assert client.delete_many(names) and client.get_many(names) == {}
    assert client.touch("a", 100) and client.delete("a") and client.get("a") is None
    assert client.set("big", "v" * 900_000) and len(client.get("big")) == 900_000
# Without replies, which is its default.
client = Client(("127.0.0.1", port))
client.set_many({name: name for name in names})
assert len(client.get_many(names)) == 60
client.flush_all(noreply=False)
assert client.version().count(b".") >= 1

for binary in (False, True):
    mc = pylibmc.Client([f"127.0.0.1:{port}"], binary=binary, behaviors={"cas": True})
    assert mc.set("a", 1) and mc.get("a") == 1 and mc.incr("a", 4) == 5
    assert mc.set_multi({name: name for name in names}) == []
    assert mc.get_multi(names + ["absent"]) == {name: name for name in names}
    value, cas = mc.gets("a")
    assert mc.cas("a", 7, cas) and not mc.cas("a", 8, cas)
    assert mc.delete_multi(names) and mc.get_multi(names) == {}
    assert mc.set("o", {"deep": [1, 2]}) and mc.get("o") == {"deep": [1, 2]}
    assert mc.delete("a") and mc.get("a") is None
    assert mc.get_stats()
print("done")
