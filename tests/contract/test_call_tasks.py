"""`mp call` against a plain Celery application that keeps the names of the platform and never heard of mpcli."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest

from mpcli.bus.naming import TaskName
from mpcli.errors import BrokerRefused, BrokerUnreachable, NoReply, RemoteError, UnknownService, UnknownTask
from mpcli.verbs.call import call_task
from mpcli.wire.call import call, publish_frames
from mpcli.wire.celery_message import sync_message
from mpcli.wire.control import Control
from mpcli.wire.handshake import connect
from mpcli.wire.methods import EXCHANGE_DECLARE, QUEUE_BIND, QUEUE_DECLARE, QUEUE_UNBIND

APP = """
import os
from datetime import datetime
from pathlib import Path

from celery import Celery
from kombu import Exchange, Queue

app = Celery("plain", broker=os.environ["URL"], backend="rpc://")
exchange = Exchange("mplogin", type="topic", durable=True)
app.conf.update(
    task_queues=[Queue(f"mplogin.{mode}", exchange, routing_key=f"mplogin.{mode}.#") for mode in ("sync", "async")],
    task_track_started=True,
)


@app.task(name="mplogin.sync.register")
def register(user_obj, note="none"):
    return {"user": user_obj, "note": note}


@app.task(name="mplogin.sync.now")
def now():
    return [datetime(2026, 1, 2), b"x"]


@app.task(name="mplogin.sync.fail")
def fail():
    raise ValueError("bad \\x1b[31m thing")


@app.task(name="mplogin.sync.odd")
def odd():
    return object()


@app.task(name="mplogin.async.write", ignore_result=True)
def write(path, text):
    Path(path).write_text(text)
"""
MP = str(Path(sys.executable).parent / "mp")


def declare(broker, *modes):
    with connect(broker.url) as connection:
        connection.request(EXCHANGE_DECLARE, "mplogin", "topic", False, True, False, False, False, {})
        for mode in modes:
            queue = f"mplogin.{mode}"
            connection.request(QUEUE_DECLARE, queue, False, True, False, False, False, {})
            connection.request(QUEUE_BIND, queue, "mplogin", f"{queue}.#", False, {})


def until(condition, seconds=30.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def consumers(broker, queue):
    with connect(broker.url) as connection:
        return Control(connection).survey(queue, wait=0.1).consumers


def start_worker(broker, folder):
    (folder / "plain.py").write_text(APP)
    with open(folder / "worker.log", "wb") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "celery", "-A", "plain", "worker", "-P", "solo", "-n", f"p{uuid.uuid4().hex}@h",
             "-l", "INFO"],
            cwd=folder, env={**os.environ, "URL": broker.url}, stdout=log, stderr=log,
        )  # fmt: skip


@pytest.fixture
def worker(broker, tmp_path):
    declare(broker, "sync", "async")
    process = start_worker(broker, tmp_path)
    try:
        until(lambda: process.poll() is not None or consumers(broker, "mplogin.async"))
        assert process.poll() is None, (tmp_path / "worker.log").read_text()
        yield process
    finally:
        process.terminate()
        process.wait(20)


def mp(broker, folder, *words, stdin=""):
    environ = {**os.environ, "MP_SYNC_URL": broker.url, "MP_ASYNC_URL": broker.url}
    command = [MP, "call", *words]
    return subprocess.run(
        command, env=environ, cwd=folder, input=stdin, capture_output=True, text=True, timeout=60, check=False
    )


def ask(broker, task, folder, timeout=5.0, **kwargs):
    return call_task(task, [], kwargs, timeout=timeout, start=str(folder), url=broker.url)


def test_what_a_worker_can_answer(broker, worker, tmp_path):
    before = set(broker.queues())

    assert ask(broker, "mplogin.sync.register", tmp_path, user_obj={"a": [1, None]}).value == {
        "user": {"a": [1, None]}, "note": "none",
    }  # fmt: skip
    with pytest.raises(RemoteError) as raised:
        ask(broker, "mplogin.sync.fail", tmp_path)
    assert (raised.value.type_name, raised.value.text) == ("ValueError", "bad \x1b[31m thing")
    assert "in fail" in raised.value.traceback
    with pytest.raises(RemoteError, match=r"EncodeError|TypeError"):
        ask(broker, "mplogin.sync.odd", tmp_path)
    began = time.monotonic()
    with pytest.raises(UnknownTask) as unknown:
        ask(broker, "mplogin.sync.regster", tmp_path)
    assert time.monotonic() - began < 2
    assert unknown.value.hint == "did you mean mplogin.sync.register?"

    done = mp(broker, tmp_path, "mplogin.sync.register", "user_obj=a", "note:=[1]")
    assert (done.returncode, json.loads(done.stdout)) == (0, {"user": "a", "note": [1]}), done.stderr
    done = mp(broker, tmp_path, "mplogin.sync.register", stdin='{"user_obj": "piped"}')
    assert json.loads(done.stdout)["user"] == "piped"
    done = mp(broker, tmp_path, "mplogin.sync.now", "--json")
    assert json.loads(done.stdout) == ["2026-01-02T00:00:00", "x"]
    done = mp(broker, tmp_path, "mplogin.sync.fail")
    assert (done.returncode, done.stdout) == (3, "")
    assert "ValueError" in done.stderr
    assert "in fail" in done.stderr
    assert "\x1b" not in done.stderr
    assert mp(broker, tmp_path, "mplogin.sync.regster", "a=1").returncode == 5

    until(lambda: set(broker.queues()) == before)


def test_an_async_task_is_sent_and_a_typo_is_not(broker, worker, tmp_path):
    done = mp(broker, tmp_path, "mplogin.async.write", f"path={tmp_path}/out", "text=done")
    assert done.returncode == 0, done.stderr
    assert uuid.UUID(json.loads(done.stdout)).version == 4
    assert done.stderr == ""
    until((tmp_path / "out").exists)

    done = mp(broker, tmp_path, "mplogin.async.wrte", "text=x")
    assert (done.returncode, done.stdout) == (5, "")
    assert "mplogin.async.write" in done.stderr
    log = (tmp_path / "worker.log").read_text()
    assert "unregistered" not in log
    until(lambda: not [queue for queue in broker.queues() if queue.startswith("mp.answers")])


def test_no_service_no_queue_no_broker(broker, tmp_path):
    with pytest.raises(UnknownService, match="no service mpnothere"):
        ask(broker, "mpnothere.sync.x", tmp_path)
    with pytest.raises(UnknownService, match="no service mpnothere"):
        ask(broker, "mpnothere.async.x", tmp_path)
    declare(broker, "sync")
    with pytest.raises(UnknownService, match="takes no async tasks"):
        ask(broker, "mplogin.async.x", tmp_path)
    with pytest.raises(BrokerUnreachable):
        call_task("mplogin.sync.x", [], {}, start=str(tmp_path), url="amqp://127.0.0.1:1")
    assert broker.queues() == {"mplogin.sync": 0}


def test_a_queue_that_is_not_bound_is_told_from_one_that_is_not_there(broker, tmp_path):
    declare(broker, "sync")
    with connect(broker.url) as connection:
        connection.request(QUEUE_DECLARE, "mplogin.async", False, True, False, False, False, {})
        connection.request(QUEUE_UNBIND, "mplogin.sync", "mplogin", "mplogin.sync.#", {})
    for mode in ("sync", "async"):
        with pytest.raises(UnknownService, match=rf"the queue mplogin\.{mode} exists, but is not bound"):
            ask(broker, f"mplogin.{mode}.x", tmp_path)
    assert broker.queues() == {"mplogin.sync": 0, "mplogin.async": 0}


def test_nobody_listens_and_the_call_is_not_made_later(broker, tmp_path):
    declare(broker, "sync", "async")
    notes = []
    began = time.monotonic()
    with pytest.raises(NoReply, match=r"nobody is listening on mplogin\.sync"):
        call_task("mplogin.sync.x", [], {}, timeout=0.6, start=str(tmp_path), url=broker.url, note=notes.append)
    assert 0.6 <= time.monotonic() - began < 2
    assert len(notes) == 1
    until(lambda: broker.queues() == {"mplogin.sync": 0, "mplogin.async": 0})

    sent = call_task("mplogin.async.x", [], {}, start=str(tmp_path), url=broker.url, note=notes.append)
    assert sent.id
    assert "waits for a worker" in notes[-1]
    assert broker.queues()["mplogin.async"] == 1

    done = mp(broker, tmp_path, "mplogin.sync.x", "--timeout", "0.3")
    assert done.returncode == 4
    assert "nobody is listening" in done.stderr


def test_a_busy_service_is_told_from_an_absent_one(broker, tmp_path):
    from mpcli.wire.methods import BASIC_CONSUME

    declare(broker, "sync")
    with connect(broker.url) as busy:
        busy.request(BASIC_CONSUME, "mplogin.sync", "", False, False, False, False, {})
        with pytest.raises(NoReply, match=r"1 worker is listening on mplogin\.sync and does not answer"):
            ask(broker, "mplogin.sync.x", tmp_path, timeout=0.5)


class Peer:
    """A consumer of mplogin.sync that answers whatever a test wants."""

    def __init__(self, broker, answers):
        import threading

        self.broker, self.answers = broker, answers
        self.listening = threading.Event()
        self.thread = threading.Thread(target=self.run)

    def __enter__(self):
        self.thread.start()
        assert self.listening.wait(10)

    def __exit__(self, *exc_info):
        self.thread.join(10)

    def run(self):
        from mpcli.wire.codec import encode_content, encode_properties
        from mpcli.wire.methods import BASIC_CONSUME, BASIC_DELIVER, BASIC_PUBLISH

        with connect(self.broker.url) as connection:
            connection.request(BASIC_CONSUME, "mplogin.sync", "", False, True, False, False, {})
            self.listening.set()
            deadline = time.monotonic() + 10
            while (incoming := connection.receive(deadline)).method is not BASIC_DELIVER:
                pass
            asked = incoming.properties
            for properties, body in self.answers:
                sent = encode_properties({"correlation_id": asked["correlation_id"], **properties})
                connection.send(
                    BASIC_PUBLISH.frame(1, "", asked["reply_to"], False, False)
                    + encode_content(1, sent, body, connection.frame_max)
                )


def test_a_pickle_reply_is_refused_unread(broker, tmp_path):
    declare(broker, "sync")
    with Peer(broker, [({"content_type": "application/x-python-serialize"}, b"cos\nsystem\n(S'exit 1'\ntR.")]):  # noqa: SIM117
        with pytest.raises(NoReply, match="never loaded"):
            ask(broker, "mplogin.sync.x", tmp_path)


def test_interim_and_foreign_replies_are_passed_over_and_large_ones_arrive_whole(broker, tmp_path):
    declare(broker, "sync")
    json_type = {"content_type": "application/json"}
    large = json.dumps({"status": "SUCCESS", "result": "x" * 1_000_000}).encode()
    answers = [
        (json_type, b'{"status": "STARTED", "result": {"pid": 1}}'),
        ({**json_type, "correlation_id": "other"}, b'{"status": "SUCCESS", "result": "wrong"}'),
        (json_type, large),
    ]
    with Peer(broker, answers):
        assert ask(broker, "mplogin.sync.x", tmp_path, argument="y" * 400_000).value == "x" * 1_000_000


def test_a_message_of_ours_is_one_that_kombu_reads(broker):
    from kombu import Connection

    declare(broker, "sync")
    name = TaskName.parse("mplogin.sync.x")
    message = sync_message(str(name), [1], {"a": "b"}, "nowhere", 30)
    with connect(broker.url) as ours:
        ours.send(publish_frames(1, name, message, ours.frame_max))
        until(lambda: broker.queues()["mplogin.sync"] == 1)
    with Connection(broker.url.replace("amqp://", "pyamqp://")) as connection:
        got = connection.SimpleQueue("mplogin.sync", queue_opts={"no_declare": True}).get(timeout=5)
        assert got.payload[:2] == [[1], {"a": "b"}]
        assert got.headers["task"] == str(name)
        assert got.properties["expiration"] == "30000"
        got.ack()


def test_refusals_are_told_as_they_are(broker, tmp_path):
    base = f"{broker.host}:{broker.port}"
    name = TaskName.parse("mplogin.sync.x")
    for url, code in (
        (f"amqp://{broker.user}:wrong@{base}/{broker.vhost}", 403),
        (f"amqp://{broker.user}:{broker.password}@{base}/no-such-vhost", 530),
    ):
        began = time.monotonic()
        with pytest.raises(BrokerRefused) as refused:
            call(url, name, [], {}, timeout=5)
        assert time.monotonic() - began < 1
        assert refused.value.code == code
        if broker.password != broker.user:
            assert broker.password not in refused.value.message + refused.value.hint
        assert "wrong" not in refused.value.message
