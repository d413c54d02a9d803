"""What comes of async tasks, by their workers' events; and what is said when there are none."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
import uuid

import pytest

from mpcli.bus.naming import TaskName
from mpcli.errors import NoReply, RemoteError
from mpcli.verbs.follow import Follower
from mpcli.verbs.outcome import await_outcome
from mpcli.wire.handshake import connect
from mpcli.wire.message import Message
from mpcli.wire.methods import EXCHANGE_DECLARE, QUEUE_BIND, QUEUE_DECLARE

MAIL = TaskName.parse("mplogin.async.mail")

APP = """
import os, sys, time
from celery import Celery
from kombu import Exchange, Queue

app = Celery("plain", broker=os.environ["URL"])
app.conf.task_queues = [Queue("mplogin.async", Exchange("mplogin", type="topic"), routing_key="mplogin.async.#")]
app.conf.worker_send_task_events = os.environ["EVENTS"] == "yes"


@app.task(name="mplogin.async.mail", ignore_result=True)
def mail(seconds=0, fail=False):
    time.sleep(seconds)
    if fail:
        raise ValueError("bad \\x1b[31m thing")
    return {"sent": 1}
"""
MP = os.path.join(os.path.dirname(sys.executable), "mp")


def until(condition, seconds=30.0):
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return value


class Workers:
    """The events of a worker that the test is."""

    def __init__(self, url):
        self.connection = connect(url)
        self.connection.request(EXCHANGE_DECLARE, "celeryev", "topic", False, True, False, False, False, {})

    def tell(self, *events):
        told = [{"type": f"task-{what}", "uuid": one, "timestamp": time.time(), "hostname": "w@h", **fields}
                for what, one, fields in events]  # fmt: skip
        message = Message.build(
            "celeryev", "task.multi", {"content_type": "application/json"}, json.dumps(told).encode()
        )
        self.connection.send(message.publish_frames(1, self.connection.frame_max, mandatory=False))


def test_many_ids_over_one_tap_and_one_that_is_asked_for_late(broker):
    workers = Workers(broker.url)
    heard = []
    with Follower(broker.url) as follower:
        followed = {one: follower.follow(one, then=heard.append) for one in ("a", "b", "c")}
        workers.tell(
            ("received", "a", {}), ("started", "a", {}), ("succeeded", "late", {"result": "7", "runtime": 0.5})
        )
        workers.tell(("retried", "b", {"exception": "ValueError('x')"}), ("succeeded", "a", {"result": "1"}))
        workers.tell(
            ("rejected", "b", {"requeue": True}), ("failed", "b", {"exception": "E('y')", "traceback": "in y"})
        )
        assert followed["a"].wait(60).result == "1"
        ended = followed["b"].wait(60)
        assert (ended.what, ended.error, ended.traceback) == ("failed", "E('y')", "in y")
        assert [one.what for one in followed["b"].outcomes] == ["retried", "rejected", "failed"]
        late = follower.follow("late").wait(60)
        assert (late.what, late.seconds) == ("succeeded", 0.5)
        assert followed["c"].wait(0.01) is None
        assert [(one.id, one.what) for one in heard if one.id == "a"] == [
            ("a", "received"), ("a", "started"), ("a", "succeeded"),
        ]  # fmt: skip
        assert not followed["c"].missed
    until(lambda: broker.queues() == {})
    workers.connection.close()


def test_a_break_is_outlived_and_told(broker):
    with Follower(broker.url) as follower:
        followed = follower.follow("a")
        broker.close_connections()
        until(lambda: followed.missed)
        workers = Workers(broker.url)
        deadline = time.monotonic() + 30
        while followed.wait(0.2) is None:  # the tap looks for the exchange again every two seconds
            assert time.monotonic() < deadline
            workers.tell(("succeeded", "a", {}))
        workers.connection.close()


def declare(url):
    with connect(url) as connection:
        connection.request(EXCHANGE_DECLARE, "mplogin", "topic", False, True, False, False, False, {})
        connection.request(QUEUE_DECLARE, "mplogin.async", False, True, False, False, False, {})
        connection.request(QUEUE_BIND, "mplogin.async", "mplogin", "mplogin.async.#", False, {})


@pytest.fixture
def start_worker(broker, tmp_path):
    declare(broker.url)
    (tmp_path / "plain.py").write_text(APP)
    started = []

    def start(events):
        argv = [
            "-A",
            "plain",
            "worker",
            "-c",
            "1",
            "-n",
            f"w{uuid.uuid4().hex[:8]}@h",
            "-l",
            "INFO",
            "--without-mingle",
        ]
        with open(tmp_path / "worker.log", "ab") as log:
            worker = subprocess.Popen(
                [sys.executable, "-m", "celery", *argv, "--without-mingle"],
                start_new_session=True,
                cwd=tmp_path, env={**os.environ, "URL": broker.url, "EVENTS": events}, stdout=log, stderr=log,
            )  # fmt: skip
        started.append(worker)
        until(lambda: worker.poll() is not None or "ready." in (tmp_path / "worker.log").read_text(), 60)
        assert worker.poll() is None, (tmp_path / "worker.log").read_text()

    yield start
    for worker in started:
        os.killpg(worker.pid, signal.SIGKILL)
        worker.wait(20)


def mp(broker, folder, *words):
    return subprocess.run(
        [MP, "call", "mplogin.async.mail", *words, "--wait"],
        env={**os.environ, "MP_ASYNC_URL": broker.url}, cwd=folder,
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_call_wait_tells_how_it_ended(broker, start_worker, tmp_path):
    start_worker("yes")
    done = mp(broker, tmp_path, "--timeout", "30")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["outcome"], told["task"], told["result"]) == ("succeeded", "mplogin.async.mail", "{'sent': 1}")
    assert f"sent as {told['id']}" in done.stderr

    done = mp(broker, tmp_path, "fail:=true", "--timeout", "30")
    assert (done.returncode, done.stdout) == (3, "")
    assert "mplogin.async.mail raised ValueError" in done.stderr
    assert "in mail" in done.stderr
    assert "\x1b" not in done.stderr

    done = mp(broker, tmp_path, "seconds:=3", "--timeout", "1")
    assert done.returncode == 4
    assert "has been running it for" in done.stderr
    until(lambda: set(broker.queues()) >= {"mplogin.async"} and not any("mp." in one for one in broker.queues()))


def test_workers_without_events_are_told_before_the_patience_ends(broker, start_worker, tmp_path):
    begun = time.monotonic()
    done = mp(broker, tmp_path, "--timeout", "0.5")
    assert done.returncode == 4
    assert "nobody is listening on mplogin.async" in done.stderr
    start_worker("no")
    until(lambda: "succeeded" in (tmp_path / "worker.log").read_text())  # the one that waited
    begun = time.monotonic()
    done = mp(broker, tmp_path, "--timeout", "300")
    assert done.returncode == 4
    assert "send no events" in done.stderr
    assert "-E" in done.stderr
    assert time.monotonic() - begun < 100


def test_an_interrupted_wait_leaves_nothing(broker):
    declare(broker.url)
    with Follower(broker.url) as follower:
        followed = follower.follow("a")
        timer = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT))

        def await_and_press():
            timer.start()
            await_outcome(follower, followed, broker.url, MAIL, 60)

        with pytest.raises(KeyboardInterrupt):  # whenever it comes
            await_and_press()
        timer.join()
    until(lambda: broker.queues() == {"mplogin.async": 0})


def test_what_an_end_means(broker):
    workers = Workers(broker.url)
    with Follower(broker.url) as follower:
        workers.tell(("revoked", "r", {"expired": True}), ("rejected", "j", {"requeue": False}))
        with pytest.raises(NoReply, match="was revoked, or expired"):
            await_outcome(follower, follower.follow("r"), broker.url, MAIL, 30)
        with pytest.raises(RemoteError, match="Reject"):
            await_outcome(follower, follower.follow("j"), broker.url, MAIL, 30)
    workers.connection.close()


def test_a_failure_that_is_a_dead_letter_too_is_told_as_the_failure(broker):
    """With acks_late and acks_on_failure=False, as the bus has it, Celery says `rejected` first."""
    workers = Workers(broker.url)
    with Follower(broker.url) as follower:
        followed = follower.follow("f")
        workers.tell(("rejected", "f", {"requeue": False}))
        until(lambda: followed.ended is not None)
        workers.tell(("failed", "f", {"exception": "UnknownWallet('w')"}))
        with pytest.raises(RemoteError, match="UnknownWallet: 'w'"):
            await_outcome(follower, followed, broker.url, MAIL, 30)
    workers.connection.close()
