"""Sending: confirmed or an error; and where a task that cannot be done ends up."""

from __future__ import annotations

import asyncio
import json
import time
from datetime import UTC, datetime, timedelta

import amqp
import pytest

from mpcli.bus.connecting import connect
from mpcli.bus.naming import Mode
from mpcli.errors import UnknownService, UsageError


def take(url: str, queue: str) -> amqp.Message | None:
    connection = connect(url)
    try:
        return connection.channel().basic_get(queue, no_ack=True)
    finally:
        connection.close()


def publish(url: str, exchange: str, key: str, body: object, **properties: object) -> None:
    connection = connect(url)
    channel = connection.channel()
    channel.confirm_select()
    channel.basic_publish_confirm(amqp.Message(body, **properties), exchange, key, mandatory=True)
    connection.close()


def dead(platform, until_true) -> amqp.Message:
    until_true(lambda: platform.queues(Mode.ASYNC).get("mpalpha.dead"), "a dead letter")
    return take(platform.urls[Mode.ASYNC], "mpalpha.dead")


def test_a_sent_task_runs(served, until_true):
    task_id = served.caller.send("mpalpha.async.note", "sent")
    assert len(task_id) == 36
    until_true(lambda: "sent" in served.notes(), "the note")
    asyncio.run(served.caller.asend("mpalpha.async.note", "sent by a loop"))
    until_true(lambda: "sent by a loop" in served.notes(), "the note")


@pytest.mark.parametrize("name", ["fail", "not_registered", "kill_worker"])
def test_a_task_that_cannot_be_done_is_a_dead_letter(served, until_true, name):
    task_id = served.caller.send(f"mpalpha.async.{name}")
    letter = dead(served, until_true)
    assert letter.properties["correlation_id"] == task_id
    assert letter.headers["task"] == f"mpalpha.async.{name}"
    assert letter.headers["x-death"][0]["queue"] == "mpalpha.async"
    served.caller.send("mpalpha.async.note", f"after {name}")
    until_true(lambda: f"after {name}" in served.notes(), "the worker goes on")


@pytest.mark.parametrize(
    ("content_type", "body"),
    [("application/x-python-serialize", b"\x80\x04N."), ("application/json", b"{not json"), ("text/plain", b"hello")],
)
def test_a_message_that_cannot_be_read_is_a_dead_letter(served, until_true, content_type, body):
    headers = {"task": "mpalpha.async.note", "id": "an-id", "lang": "py"}
    publish(
        served.urls[Mode.ASYNC],
        "mpalpha",
        "mpalpha.async.note",
        body,
        content_type=content_type,
        content_encoding="binary" if "python" in content_type else "utf-8",
        application_headers=headers,
        correlation_id="an-id",
        delivery_mode=2,
    )
    assert dead(served, until_true).properties["content_type"] == content_type


@pytest.mark.parametrize(
    ("content_type", "body"), [("application/x-python-serialize", b"\x80\x04N."), ("application/json", b"{not json")]
)
def test_whoever_waits_for_a_message_that_cannot_be_read_is_told(served, content_type, body):
    connection = connect(served.urls[Mode.SYNC])
    channel = connection.channel()
    queue = channel.queue_declare("", exclusive=True).queue
    replies: list[amqp.Message] = []
    channel.basic_consume(queue, no_ack=True, callback=replies.append)
    message = amqp.Message(
        body,
        content_type=content_type,
        content_encoding="binary" if "python" in content_type else "utf-8",
        application_headers={"task": "mpalpha.sync.add", "id": "an-id", "lang": "py"},
        correlation_id="an-id",
        reply_to=queue,
    )
    channel.basic_publish(message, "mpalpha", "mpalpha.sync.add")
    deadline = time.monotonic() + 30
    while not replies:
        assert time.monotonic() < deadline
        connection.drain_events(timeout=30)
    connection.close()
    reply = json.loads(replies[0].body)
    assert reply["status"] == "FAILURE"
    assert reply["result"]["exc_type"] in ("ContentDisallowed", "DecodeError")


def test_pickle_is_read_by_the_service_that_asked_for_it(platform, until_true):
    import pickle

    platform.start("services:pickled_async", processes=1)
    publish(
        platform.urls[Mode.ASYNC],
        "mppickled",
        "mppickled.async.unknown",
        pickle.dumps(((), {}, {})),
        content_type="application/x-python-serialize",
        content_encoding="binary",
        application_headers={"task": "mppickled.async.unknown", "id": "an-id", "lang": "py"},
        correlation_id="an-id",
        delivery_mode=2,
    )
    until_true(lambda: platform.queues(Mode.ASYNC).get("mppickled.dead"), "a dead letter")
    assert "unregistered task" in platform.logs()
    assert "ContentDisallowed" not in platform.logs()


def test_a_delay_is_kept_and_blocks_nobody(served, until_true):
    """More delayed tasks than the worker has slots: those without a delay overtake them."""
    for number in range(6):
        served.caller.with_options(countdown=3600).send("mpalpha.async.note", f"delayed {number}")
    served.caller.send("mpalpha.async.note", "at once")
    until_true(lambda: "at once" in served.notes(), "the one without a delay")
    assert not [note for note in served.notes() if note.startswith("delayed")]
    begun = time.monotonic()
    served.caller.with_options(countdown=2).send("mpalpha.async.note", "in a while")
    until_true(lambda: "in a while" in served.notes(), "the one with a countdown")
    assert time.monotonic() - begun > 1
    begun = time.monotonic()
    in_two = datetime.now(UTC) + timedelta(seconds=2)
    served.caller.with_options(eta=in_two).send("mpalpha.async.note", "at a time")
    until_true(lambda: "at a time" in served.notes(), "the one with an eta")
    assert time.monotonic() - begun > 1


def test_a_delay_shorter_than_a_second(served, until_true):
    served.caller.with_options(countdown=0.4).send("mpalpha.async.note", "soon")
    until_true(lambda: "soon" in served.notes(), "the note")


def test_a_task_that_expired_does_not_run(platform, until_true):
    platform.declare("mpalpha")
    platform.caller.with_options(expires=0.2).send("mpalpha.async.note", "too late")
    platform.caller.with_options(expires=60).send("mpalpha.async.note", "in time")
    time.sleep(0.3)  # the clock is what is tested
    platform.start("services:alpha_async", processes=1)
    until_true(platform.notes, "a note")
    assert platform.notes() == ["in time"]


def test_a_delayed_task_for_nobody_is_told(platform):
    with pytest.raises(UnknownService):
        platform.caller.with_options(countdown=5).send("mpalpha.async.note", "x")
    with pytest.raises(UnknownService):
        platform.caller.send("mpalpha.async.note", "x")
    platform.declare("mpbeta")  # the delays are there now, the service is not
    with pytest.raises(UnknownService):
        platform.caller.with_options(countdown=5).send("mpalpha.async.note", "x")


def test_options_that_make_no_sense(served):
    for options in ({"countdown": 1, "eta": datetime.now(UTC)}, {"countdown": -1}, {"countdown": 5, "expires": 2}):
        with pytest.raises(UsageError):
            served.caller.with_options(**options).send("mpalpha.async.note", "x")
    with pytest.raises(UsageError, match="called, not sent"):
        served.caller.with_options(countdown=1).call("mpalpha.sync.add", 1)


def test_a_service_sends_through_celery_as_well(served, until_true):
    """`task.delay` of the service's own application; what has no destination is told there too."""
    assert served.run("through_celery.py").split() == ["NotFound", "NotFound", "UsageError", "2"]
    until_true(lambda: "by celery" in served.notes(), "the note")
