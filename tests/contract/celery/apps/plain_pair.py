"""Two plain Celery applications, as one finds them anywhere: nothing of mpcli in them.

The sync one has a classic queue and rpc replies; the async one a quorum queue, late acknowledgements, results in files.
"""

import os
import time
from pathlib import Path

from celery import Celery

FOLDER = Path(os.environ["TEST_FOLDER"])
COMMON = {
    "broker_connection_retry_on_startup": True,
    "broker_connection_max_retries": 3,  # a worker whose test run was killed ends too
    "broker_heartbeat": 10,
    "worker_prefetch_multiplier": 1,
    "worker_send_task_events": True,
    "task_send_sent_event": True,
    "task_default_exchange_type": "topic",
}

sync_app = Celery("sync", broker=os.environ["TEST_SYNC_URL"], backend="rpc://", set_as_current=False)
sync_app.conf.update(COMMON, task_default_queue="plain.sync", task_track_started=True)

async_app = Celery(
    "async", broker=os.environ["TEST_ASYNC_URL"], backend=f"file://{FOLDER}/results", set_as_current=False
)
async_app.conf.update(
    COMMON,
    task_default_queue="plain.async",
    task_default_queue_type="quorum",
    task_acks_late=True,
    worker_enable_remote_control=True,
)


def note(text):
    with (FOLDER / "notes").open("a") as notes:
        notes.write(f"{text}\n")


@sync_app.task(name="plain.sync.add", shared=False)
def add(left, right):
    return left + right


@sync_app.task(name="plain.sync.sleep", shared=False)
def sleep(seconds):
    time.sleep(seconds)
    return seconds


@sync_app.task(name="plain.sync.flaky", bind=True, shared=False, max_retries=5)
def flaky(self, failures):
    if self.request.retries < failures:
        raise self.retry(countdown=0.2, exc=RuntimeError("not yet"))
    return self.request.retries


@async_app.task(name="plain.async.add", shared=False)
def later_add(left, right):
    return left + right


@async_app.task(name="plain.async.total", shared=False)
def total(numbers):
    return sum(numbers)


@async_app.task(name="plain.async.fail", shared=False)
def fail():
    raise ValueError("as asked")


@async_app.task(name="plain.async.stamp", shared=False)
def stamp():
    return time.time()


@async_app.task(name="plain.async.flaky", bind=True, shared=False, max_retries=5)
def later_flaky(self, failures):
    if self.request.retries < failures:
        raise self.retry(countdown=1, exc=RuntimeError("not yet"))
    return self.request.retries


@async_app.task(name="plain.async.hold", bind=True, shared=False)
def hold(self):
    """Run until the test says so; and say whether the broker had given this message to somebody before."""
    again = bool(self.request.delivery_info["redelivered"])
    note(f"started {again}")
    while not (FOLDER / "release").exists():
        time.sleep(0.02)
    note(f"done {again}")
