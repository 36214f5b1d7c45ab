# redis-py with default settings counts for as long as it is not told to stop: redis_py_counts.py PORT.
# Any error of the server's is an exception. What a failover has lost shows as a count that goes back.
import sys

import redis

r = redis.Redis(port=int(sys.argv[1]), decode_responses=True)
names = [f"pyn:{i}" for i in range(20)]
last = dict.fromkeys(names, 0)
rounds = 0
while r.get("pyn:stop") is None:
    for name in names:
        count = r.incr(name)
        assert count <= last[name] + 1, (name, count, last[name])
        last[name] = count
    pipe = r.pipeline(transaction=False)
    for name in names:
        pipe.get(name)
    assert all(int(value) <= last[name] for name, value in zip(names, pipe.execute()))
    with r.pipeline() as pipe:
        pipe.incr("{pyn}a").incr("{pyn}b")
        a, b = pipe.execute()
        assert a == b, (a, b)
    rounds += 1
    r.set("pyn:rounds", rounds)
print("done")
