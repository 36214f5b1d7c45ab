# RQ: jobs, a failed one and a scheduled one, through a worker that ends when nothing is left.
# rq_tour.py PORT
import datetime
import operator
import sys

import redis
import rq

r = redis.Redis(port=int(sys.argv[1]))
queue = rq.Queue("tour", connection=r)
jobs = [queue.enqueue(pow, 2, n) for n in range(5)]
last = queue.enqueue(pow, 3, 3, depends_on=jobs)
bad = queue.enqueue(operator.truediv, 1, 0)
later = queue.enqueue_in(datetime.timedelta(hours=1), pow, 1, 1)
worker = rq.SimpleWorker([queue], connection=r)
assert worker.work(burst=True, logging_level="CRITICAL")
for n, job in enumerate(jobs):
    assert job.get_status(refresh=True) == "finished" and job.result == 2**n
assert last.get_status(refresh=True) == "finished" and last.result == 27
assert bad.get_status(refresh=True) == "failed"
assert rq.registry.FailedJobRegistry(queue=queue).get_job_ids() == [bad.id]
assert later.get_status(refresh=True) == "scheduled"
assert rq.Worker.all(connection=r) == []
print("done")
