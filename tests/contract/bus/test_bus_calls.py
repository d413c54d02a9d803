"""Calls between real processes: results, errors that tell causes apart, deadlines, and nothing left behind."""

from __future__ import annotations

import asyncio
import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import count
from uuid import UUID

import pytest

from mpcli.bus import Caller
from mpcli.bus.connecting import connect
from mpcli.bus.naming import Mode
from mpcli.errors import EncodingFailed, MpError, NoReply, RemoteError, UnknownService, UnknownTask, UsageError
from tests.contract.bus.conftest import told_in_time


def test_a_call_returns_the_result(served):
    assert served.caller.call("mpalpha.sync.add", 2, b=3) == 5
    assert served.caller.call("mpalpha.sync.add", a=1) == 2


def test_values_survive(served):
    value = [datetime(2026, 1, 2, 3, 4, tzinfo=UTC), date(2026, 1, 2), Decimal("1.20"), UUID(int=7), b"\xff", None, "é"]
    assert served.caller.call("mpalpha.sync.echo", value) == value


def test_any_name_of_a_parameter_is_the_tasks_own(served):
    named = {"timeout": 1, "countdown": 2, "name": 3, "args": 4, "kwargs": 5}
    assert served.caller.call("mpalpha.sync.echo", 0, **named) == [0, named]


def test_await_the_result(served):
    async def both() -> list[int]:
        calls = [served.caller.acall("mpalpha.sync.add", number, b=1) for number in range(20)]
        return list(await asyncio.gather(*calls))

    assert asyncio.run(both()) == list(range(1, 21))
    assert asyncio.run(served.caller.acall("mpalpha.sync.add", 5)) == 6  # another loop, the same connection


def test_an_awaited_call_does_not_block_the_loop(served):
    async def released_by_the_loop() -> None:
        call = asyncio.ensure_future(served.caller.acall("mpalpha.sync.hold", "awaited"))
        while "awaited" not in served.notes() and not call.done():  # noqa: ASYNC110 - another process writes it
            await asyncio.sleep(0.01)
        served.note("awaited is released")
        await call

    asyncio.run(released_by_the_loop())


def test_a_remote_exception_is_told_as_text(served):
    with pytest.raises(RemoteError) as caught:
        served.caller.call("mpalpha.sync.odd")
    assert caught.value.type_name == "OddError"
    assert "just so" in caught.value.text
    assert "def odd" in caught.value.traceback or "in odd" in caught.value.traceback


def test_a_result_without_a_json_form_is_told(served):
    with pytest.raises(RemoteError, match="set is not JSON serializable"):
        served.caller.call("mpalpha.sync.unserialisable")


def test_an_unknown_task_is_told_at_once(served):
    started = time.monotonic()
    with pytest.raises(UnknownTask, match=r"mpalpha has no task mpalpha\.sync\.ad"):
        served.caller.call("mpalpha.sync.ad", 1)
    assert time.monotonic() - started < 20  # the patience is a minute


@pytest.mark.parametrize("name", ["mpnothere.sync.add", "mpalphaa.sync.add"])
def test_an_unknown_service_is_told_at_once(served, name):
    started = time.monotonic()
    with pytest.raises(UnknownService, match="no service"):
        served.caller.call(name, 1)
    with pytest.raises(UnknownService, match="no service"):
        served.caller.send(name.replace("sync", "async"), 1)
    assert time.monotonic() - started < 20  # the patience is a minute
    assert served.caller.call("mpalpha.sync.add", 1) == 2
    assert not [queue for queue in served.queues(Mode.SYNC) if "nothere" in queue or "alphaa" in queue]


def test_an_argument_that_cannot_be_sent_is_named(served):
    with pytest.raises(EncodingFailed, match=r"user\['tags'\]\[1\] \(set\)"):
        served.caller.call("mpalpha.sync.echo", user={"tags": [1, {2}]})
    with pytest.raises(EncodingFailed, match="argument 2"):
        served.caller.call("mpalpha.sync.echo", 1, object())


def test_sync_is_called_and_async_is_sent(served):
    with pytest.raises(UsageError, match="async task: send it"):
        served.caller.call("mpalpha.async.note", "x")
    with pytest.raises(UsageError, match="sync task"):
        served.caller.send("mpalpha.sync.add", 1)


def test_a_worker_that_is_slow_is_diagnosed(served):
    error = _given_up(served, "slow")
    assert isinstance(error, NoReply)
    assert "may still be running" in error.message


def _given_up(served, note: str) -> MpError:
    """What a call says that a worker has taken and that waits too short for it. The task ends afterwards."""
    numbers = count()

    def give_up() -> None:
        try:
            served.caller.with_options(timeout=0.5).call("mpalpha.sync.hold", one := f"{note} {next(numbers)}")
        finally:
            served.note(f"{one} is released")

    return told_in_time(give_up, "busy")


def test_threads_share_the_connection(served):
    def fifty(thread: int) -> list[int]:
        return [
            served.caller.with_options(timeout=60).call("mpalpha.sync.add", thread, b=number) for number in range(50)
        ]

    with ThreadPoolExecutor(40) as pool:
        results = list(pool.map(fifty, range(40)))
    assert results == [[thread + number for number in range(50)] for thread in range(40)]


def test_short_lived_threads_lose_no_reply(served):
    for number in range(30):
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(served.caller.call, "mpalpha.sync.add", number).result() == number + 1


def test_nested_calls_share_a_deadline_and_a_trace(served):
    hops = served.caller.with_options(timeout=40).call("mpalpha.sync.nest", 2)
    remaining = [hop["remaining"] for hop in hops]
    assert len(hops) == 3
    assert 40 > remaining[0] > remaining[1] > remaining[2] > 0  # each of them would wait for a minute
    assert {hop["root"] for hop in hops} == {hops[0]["id"]}
    assert [hop["parent"] for hop in hops] == [None, hops[0]["id"], hops[1]["id"]]


def test_a_caller_in_a_prefork_child(served):
    """Each child of the pool makes a connection of its own the first time that it calls."""
    with ThreadPoolExecutor(4) as pool:
        hops = list(pool.map(lambda _: served.caller.call("mpalpha.sync.nest", 1), range(12)))
    assert all(len(hop) == 2 for hop in hops)


def test_a_caller_in_a_child_sends(served, until_true):
    served.caller.call("mpalpha.sync.send_note", "from a child")
    until_true(lambda: "from a child" in served.notes(), "the note")


def test_no_reply_queue_is_left_behind(served, until_true):
    def own() -> set[str]:
        return {name for name in served.queues(Mode.SYNC) if f".{os.getpid()}." in name}

    with Caller(served.urls[Mode.SYNC], served.urls[Mode.ASYNC]) as caller:
        assert caller.call("mpalpha.sync.add", 1) == 2
        assert len(own()) == 1
    served.caller.close()
    until_true(lambda: not own(), "the reply queue is gone")


def test_a_late_reply_is_no_other_calls_reply(served, until_true):
    assert isinstance(_given_up(served, "late"), NoReply)
    # A worker answers before it acknowledges: the reply to the next call comes behind the late one.
    until_true(lambda: served.queues(Mode.SYNC)["mpalpha.sync"] == 0, "the late reply is sent")
    assert served.caller.call("mpalpha.sync.add", 40, b=2) == 42


def test_outcomes_are_events(served):
    """What `mp tail` and `mp trace` listen to."""
    with closing(connect(served.urls[Mode.SYNC])) as connection:
        channel = connection.channel()
        queue = channel.queue_declare("", exclusive=True).queue
        channel.queue_bind(queue, "celeryev", "task.#")
        events: list[dict] = []
        channel.basic_consume(queue, no_ack=True, callback=lambda message: events.extend(_events(message.body)))
        served.caller.call("mpalpha.sync.add", 1)
        # Those of a call just before this one may still come.
        wanted = {"task-received", "task-started", "task-succeeded"}
        deadline = time.monotonic() + 30
        while missing := wanted - {event["type"] for event in events}:
            assert time.monotonic() < deadline, missing
            connection.drain_events(timeout=30)


def _events(body: str) -> list[dict]:
    told = json.loads(body)
    return told if isinstance(told, list) else [told]
