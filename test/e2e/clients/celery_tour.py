# Celery with ringmux as broker and as result backend: celery_tour.py PORT PREFIX. A worker of its own
# runs beside it: celery_tour.py PORT PREFIX worker
import sys

from celery import Celery, chord, group
from celery.exceptions import TimeoutError

port, prefix = sys.argv[1], sys.argv[2]
url = f"redis://127.0.0.1:{port}/0"
app = Celery("tour", broker=url, backend=url)
options = {"global_keyprefix": prefix} if prefix else {}
app.conf.broker_transport_options = options
app.conf.result_backend_transport_options = options
app.conf.worker_hijack_root_logger = False


@app.task(name="add")
def add(x, y):
    return x + y


@app.task(name="total")
def total(numbers):
    return sum(numbers)


@app.task(name="fail", bind=True, max_retries=1, default_retry_delay=0)
def fail(self):
    raise self.retry(exc=ValueError("no"))


if len(sys.argv) > 3:
    app.worker_main(["worker", "--pool", "solo", "--loglevel", "WARNING"])
else:
    assert add.delay(2, 3).get(timeout=30) == 5
    assert group(add.s(i, i) for i in range(10))().get(timeout=30) == [2 * i for i in range(10)]
    assert chord([add.s(i, 1) for i in range(5)])(total.s()).get(timeout=30) == 15
    assert (add.s(1, 2) | add.s(4)).delay().get(timeout=30) == 7
    assert add.apply_async((1, 1), countdown=0.2).get(timeout=30) == 2
    result = fail.delay()
    try:
        result.get(timeout=30)
        raise SystemExit("it has not failed")
    except ValueError:
        pass
    assert app.control.inspect(timeout=2).ping()
    print("done")
    app.control.shutdown()
