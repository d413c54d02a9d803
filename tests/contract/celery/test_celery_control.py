"""Events, inspect and control: the fanouts and reply queues of Celery's own traffic."""

from __future__ import annotations

import contextlib
import signal
import time

import pytest
from celery.exceptions import TaskRevokedError


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_a_receiver_sees_the_events_of_a_task(plain, mode):
    app = getattr(plain.apps, f"{mode}_app")
    task = plain.apps.add if mode == "sync" else plain.apps.later_add
    seen: list[tuple[str, str]] = []
    expected = {f"task-{what}" for what in ("sent", "received", "started", "succeeded")}
    with app.connection_for_read() as connection:
        receiver = app.events.Receiver(connection)

        def remember(event: dict) -> None:
            seen.append((event["type"], event.get("uuid", "")))
            mine = {what for what, of in seen if of == result.id}
            receiver.should_stop = mine >= expected and "worker-heartbeat" in {what for what, _ in seen}

        receiver.handlers["*"] = remember
        with receiver.consumer_context(wakeup=False) as consuming:
            result = task.delay(2, 3)
            deadline = time.monotonic() + 60
            while not receiver.should_stop:
                assert time.monotonic() < deadline, seen
                with contextlib.suppress(TimeoutError):
                    consuming[0].drain_events(timeout=1)
    assert result.get(timeout=60) == 5


def test_workers_answer_questions(plain, until_true):
    for app, worker, task in (
        (plain.apps.sync_app, plain.sync_worker, "plain.sync.add"),
        (plain.apps.async_app, plain.async_worker, "plain.async.add"),
    ):
        inspect = app.control.inspect([worker.node], timeout=30, limit=1)
        assert inspect.ping() == {worker.node: {"ok": "pong"}}
        assert task in inspect.registered()[worker.node]
        (queue,) = inspect.active_queues()[worker.node]
        assert queue["name"] == app.conf.task_default_queue
        assert inspect.stats()[worker.node]["pool"]["max-concurrency"] == 2


def test_who_asks_everybody_gets_the_answer_of_each_worker_of_that_broker(plain, until_true):
    for app, worker in ((plain.apps.sync_app, plain.sync_worker), (plain.apps.async_app, plain.async_worker)):
        answers = until_true(lambda everybody=app.control: everybody.ping(timeout=1), "an answer within a second")
        assert answers == [{worker.node: {"ok": "pong"}}]


def test_what_runs_is_seen_and_can_be_terminated(plain, until_true):
    inspect = plain.apps.sync_app.control.inspect([plain.sync_worker.node], timeout=30, limit=1)
    result = plain.apps.sleep.delay(60)
    until_true(lambda: result.id in [task["id"] for task in inspect.active()[plain.sync_worker.node]], "it runs")
    result.revoke(terminate=True, signal=signal.SIGKILL)
    with pytest.raises(TaskRevokedError):
        result.get(timeout=60)


def test_what_waits_can_be_revoked(plain, until_true):
    inspect = plain.apps.sync_app.control.inspect([plain.sync_worker.node], timeout=30, limit=1)
    result = plain.apps.add.apply_async((1, 1), countdown=5)
    until_true(lambda: inspect.scheduled()[plain.sync_worker.node], "it waits in the worker")
    assert plain.apps.sync_app.control.revoke(result.id, reply=True, timeout=30, limit=1)
    with pytest.raises(TaskRevokedError):
        result.get(timeout=60)


def test_limits_and_consumers_change_at_run_time(plain, until_true):
    control, node = plain.apps.sync_app.control, plain.sync_worker.node
    options = {"destination": [node], "reply": True, "timeout": 30, "limit": 1}
    assert control.rate_limit("plain.sync.sleep", "100/s", **options) == [
        {node: {"ok": "new rate limit set successfully"}}
    ]
    assert "error" in control.rate_limit("plain.sync.nothing", "1/s", **options)[0][node]
    assert "ok" in control.add_consumer("plain.more", **options)[0][node]
    result = plain.apps.add.apply_async((1, 2), queue="plain.more")
    assert result.get(timeout=60) == 3
    assert "ok" in control.cancel_consumer("plain.more", **options)[0][node]
    assert plain.apps.add.delay(2, 2).get(timeout=60) == 4


def test_a_worker_is_shut_down_from_afar_and_the_others_stay(plain):
    worker, control = plain.start("sync"), plain.apps.sync_app.control
    control.shutdown(destination=[worker.node])
    assert worker.wait(60) == 0, plain.logs()
    assert control.ping([plain.sync_worker.node], timeout=30, limit=1) == [{plain.sync_worker.node: {"ok": "pong"}}]
