"""`mp call` against plain Celery applications that keep the names of the platform and never heard of mpcli."""

from __future__ import annotations

import json
import time
import uuid

import pytest

from mpcli.bus.naming import TaskName
from mpcli.errors import NoReply, RemoteError
from mpcli.verbs.call import call_task
from mpcli.wire.call import publish_frames
from mpcli.wire.celery_message import sync_message
from mpcli.wire.handshake import connect
from mpcli.wire.methods import EXCHANGE_DECLARE, QUEUE_BIND, QUEUE_DECLARE
from tests.contract.call.conftest import until


def declare(broker, *modes):
    with connect(broker.url) as connection:
        connection.request(EXCHANGE_DECLARE, "mplogin", "topic", False, True, False, False, False, {})
        for mode in modes:
            queue = f"mplogin.{mode}"
            connection.request(QUEUE_DECLARE, queue, False, True, False, False, False, {})
            connection.request(QUEUE_BIND, queue, "mplogin", f"{queue}.#", False, {})


def ask(broker, task, folder, timeout=60.0, **kwargs):
    return call_task(task, [], kwargs, timeout=timeout, start=str(folder), url=broker.url)


def test_what_a_worker_can_answer(place, tmp_path):
    url = place.broker.url
    user = {"a": [1, None]}
    told = call_task("mpready.sync.register", [], {"user_obj": user}, timeout=60, start=str(tmp_path), url=url)
    assert told.value == {"user": user, "note": "none"}
    with pytest.raises(RemoteError) as raised:
        call_task("mpready.sync.fail", [], {}, timeout=60, start=str(tmp_path), url=url)
    assert (raised.value.type_name, raised.value.text) == ("ValueError", "bad \x1b[31m thing")
    assert "in fail" in raised.value.traceback

    assert place.result("mpready.sync.register user_obj=a note:=[1]") == {"user": "a", "note": [1]}
    (tmp_path / "in").write_text('{"user_obj": "piped"}')
    with open(tmp_path / "in") as arguments:
        assert place.result("mpready.sync.register", stdin=arguments)["user"] == "piped"
    assert place.result("mpready.sync.now --json") == ["2026-01-02T00:00:00", "x"]


def test_an_async_task_is_sent_and_a_typo_is_not(place, tmp_path):
    told = place.result(f"mpmute.async.write path={tmp_path}/out text=done")
    assert uuid.UUID(told).version == 4
    until((tmp_path / "out").exists)

    assert place.ended("mpmute.async.wrote text=x").code == 5
    until(place.is_idle)
    assert "mpmute.async.wrote" not in (place.folder / "workers.log").read_text()


def test_nobody_listens_and_the_call_is_not_made_later(broker, tmp_path):
    declare(broker, "sync", "async")
    notes = []
    began = time.monotonic()
    with pytest.raises(NoReply, match=r"nobody is listening on mplogin\.sync"):
        call_task("mplogin.sync.x", [], {}, timeout=2, start=str(tmp_path), url=broker.url, note=notes.append)
    assert time.monotonic() - began >= 2
    assert len(notes) == 1
    until(lambda: broker.queues() == {"mplogin.sync": 0, "mplogin.async": 0})

    sent = call_task("mplogin.async.x", [], {}, start=str(tmp_path), url=broker.url, note=notes.append)
    assert sent.id
    assert "waits for a worker" in notes[-1]
    assert broker.queues()["mplogin.async"] == 1


class Peer:
    """A consumer of mplogin.sync that answers whatever a test wants."""

    def __init__(self, broker, answers):
        import threading

        self.broker, self.answers = broker, answers
        self.listening = threading.Event()
        self.thread = threading.Thread(target=self.run)

    def __enter__(self):
        self.thread.start()
        assert self.listening.wait(30)

    def __exit__(self, *exc_info):
        self.thread.join(60)

    def run(self):
        from mpcli.wire.frames import encode_content
        from mpcli.wire.methods import BASIC_CONSUME, BASIC_DELIVER, BASIC_PUBLISH
        from mpcli.wire.properties import encode_properties

        with connect(self.broker.url) as connection:
            connection.request(BASIC_CONSUME, "mplogin.sync", "", False, True, False, False, {})
            self.listening.set()
            deadline = time.monotonic() + 60
            while (incoming := connection.receive(deadline)).method is not BASIC_DELIVER:
                pass
            asked = incoming.properties
            for properties, body in self.answers:
                sent = encode_properties({"correlation_id": asked["correlation_id"], **properties})
                connection.send(
                    BASIC_PUBLISH.frame(1, "", asked["reply_to"], False, False)
                    + encode_content(1, sent, body, connection.frame_max)
                )


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
        got = connection.SimpleQueue("mplogin.sync", queue_opts={"no_declare": True}).get(timeout=30)
        assert got.payload[:2] == [[1], {"a": "b"}]
        assert got.headers["task"] == str(name)
        assert got.properties["expiration"] == "30000"
        got.ack()
