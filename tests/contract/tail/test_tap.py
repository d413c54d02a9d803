"""The tap: it sees what passes, takes nothing, is bounded, counts its drops, comes back, leaves nothing behind."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import pytest

from mpcli.errors import BrokerUnreachable
from mpcli.wire.connection import Connection
from mpcli.wire.handshake import connect
from mpcli.wire.message import Message
from mpcli.wire.methods import EXCHANGE_DECLARE, EXCHANGE_DELETE, QUEUE_BIND, QUEUE_DECLARE
from mpcli.wire.tap import Tap, open_tap
from mpcli.wire.tap_events import Arrived, Dropped, Event, Exchange, Gap, Lost, Ready
from mpcli.wire.tap_queues import Source
from mpcli.wire.taps import Place, watch

DEADLINE = 60.0


def declare(connection: Connection, exchange: str, queue: str = "") -> None:
    connection.request(EXCHANGE_DECLARE, exchange, "topic", False, True, False, False, False, {})
    if queue:
        connection.request(QUEUE_DECLARE, queue, False, True, False, False, False, {})
        connection.request(QUEUE_BIND, queue, exchange, f"{queue}.#", False, {})


def message(key: str, number: int = 0, body: bytes = b"[[], {}, {}]") -> Message:
    return Message.build("mplogin", key, {"headers": {"n": number}, "content_type": "application/json"}, body)


def publish(connection: Connection, *messages: Message) -> None:
    connection.send(b"".join(m.publish_frames(1, connection.frame_max, mandatory=False) for m in messages))


@pytest.fixture
def publisher(broker) -> Iterator[Connection]:
    with connect(broker.url) as connection:
        declare(connection, "mplogin", "mplogin.sync")
        yield connection


def await_queues(broker, wanted: Callable[[dict[str, int]], bool]) -> dict[str, int]:
    deadline = time.monotonic() + DEADLINE
    while not wanted(queues := broker.queues()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return queues


def pump(tap: Tap, enough: Callable[[list[Message]], bool]) -> list[Message]:
    seen: list[Message] = []
    deadline = time.monotonic() + DEADLINE
    while not enough(seen):
        assert time.monotonic() < deadline, f"only {len(seen)}"
        seen += tap.read()
        tap.acknowledge()
        tap.tick(time.monotonic())
    return seen


def take(events: Iterator[Event], kind: type, count: int = 1) -> list[Event]:
    """Events up to the one that completes so many of `kind`, messages counted one by one."""
    found: list[Event] = []
    have = 0
    for event in events:
        found.append(event)
        if isinstance(event, kind):
            have += len(event.messages) if isinstance(event, Arrived) else 1
            if have >= count:
                return found
    raise AssertionError(f"only {have} of {count}")


def test_it_sees_each_message_as_it_was_and_takes_none(broker, publisher) -> None:
    sent = [
        message("mplogin.sync.register", 1),
        message("mplogin.sync.login", 2, b""),
        message("mplogin.sync.upload", 3, os.urandom(400_000)),
        message("mplogin.async.nobody_is_bound", 4),
    ]
    tap = open_tap(broker.url, [Source("mplogin")])
    publish(publisher, *sent)
    assert pump(tap, lambda seen: len(seen) == len(sent)) == sent
    tap.close()
    queues = await_queues(broker, lambda queues: queues == {"mplogin.sync": 3})
    assert queues == {"mplogin.sync": 3}


def test_patterns_bind_what_is_asked_for_and_what_was_delayed(broker, publisher) -> None:
    tap = open_tap(broker.url, [Source("mplogin", ("#.mplogin.sync.#",))])
    keys = ["mplogin.async.x", "mplogin.sync.a", "0.1.0.mplogin.sync.b", "mplogin.sync.end"]
    publish(publisher, *map(message, keys))
    seen = pump(tap, lambda seen: bool(seen) and seen[-1].routing_key == "mplogin.sync.end")
    assert [m.routing_key for m in seen] == keys[1:]
    tap.close()


def test_it_is_bounded_and_counts_what_it_dropped(broker, publisher) -> None:
    tap = open_tap(broker.url, [Source("mplogin")], max_messages=10)
    total = 3000  # of which the prefetch limit lets some out before the bound counts
    publish(publisher, *(message("mplogin.sync.x", n) for n in range(total)))
    await_queues(broker, lambda queues: queues.get("mplogin.sync") == total)
    # What waits is at most the bound, and what is out for delivery at most the prefetch limit.
    queues = await_queues(broker, lambda queues: queues[f"{tap.queue}.dropped"] >= total - 1010)
    assert queues[tap.queue] <= 1000 + 10
    seen: list[Message] = []
    tap.count()
    deadline = time.monotonic() + DEADLINE
    while len(seen) + tap.dropped < total and time.monotonic() < deadline:
        seen += tap.read()
        tap.acknowledge()
        tap.tick(time.monotonic())
    assert len(seen) + tap.dropped == total
    assert tap.dropped >= total - 1010
    assert not tap.uncounted
    order = [m.headers["n"] for m in seen]
    assert order == sorted(order)
    assert order[-1] == total - 1  # the oldest were dropped
    tap.close()


def test_when_even_the_count_overflows_it_says_so(broker, publisher) -> None:
    tap = open_tap(broker.url, [Source("mplogin")], max_messages=1)
    for _ in range(23):
        publish(publisher, *(message("mplogin.sync.x", n) for n in range(1000)))
    await_queues(broker, lambda queues: queues.get("mplogin.sync") == 23_000)
    await_queues(broker, lambda queues: queues[f"{tap.queue}.uncounted"] == 1)
    tap.count()
    deadline = time.monotonic() + DEADLINE
    while tap.counting and time.monotonic() < deadline:
        tap.read()
    assert tap.uncounted
    assert 0 < tap.dropped <= 20_000
    tap.close()


def test_killed_it_leaves_nothing_behind(broker, publisher) -> None:
    code = (
        "import sys, time; from mpcli.wire.tap import open_tap; from mpcli.wire.tap_queues import Source\n"
        "tap = open_tap(sys.argv[1], [Source('mplogin')]); print('ready', flush=True); time.sleep(60)\n"
    )
    child = subprocess.Popen([sys.executable, "-c", code, broker.url], stdout=subprocess.PIPE)
    try:
        assert child.stdout.readline() == b"ready\n"
        assert len(broker.queues()) == 4
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()
        child.stdout.close()
    assert await_queues(broker, lambda queues: len(queues) == 1) == {"mplogin.sync": 0}


def test_an_exchange_that_appears_later_is_found(broker, publisher) -> None:
    places = [Place("sync", broker.url, [Source("mplater"), Source("mplogin")])]
    with contextlib.closing(watch(places, seconds=DEADLINE)) as events:
        (ready,) = take(events, Ready)
        assert ready.missing == {"sync": {"mplater"}}
        declare(publisher, "mplater")
        found = take(events, Exchange)[-1]
        assert (found.name, found.there) == ("mplater", True)
        late = Message.build("mplater", "mplater.sync.x", {}, b"x")
        publish(publisher, late)
        assert take(events, Arrived)[-1].messages == [late]
        publisher.request(EXCHANGE_DELETE, "mplater", False, False)
        gone = take(events, Exchange)[-1]
        assert (gone.name, gone.there) == ("mplater", False)


def test_two_brokers_in_one_stream(brokers) -> None:
    with connect(brokers.sync.url) as sync, connect(brokers.async_.url) as async_:
        declare(sync, "mplogin")
        declare(async_, "mplogin")
        places = [
            Place(name, b.url, [Source("mplogin")]) for name, b in (("sync", brokers.sync), ("async", brokers.async_))
        ]
        with contextlib.closing(watch(places, seconds=DEADLINE)) as events:
            take(events, Ready)
            publish(sync, message("mplogin.sync.x"))
            publish(async_, message("mplogin.async.y"))
            arrived = [event for event in take(events, Arrived, 2) if isinstance(event, Arrived)]
    seen = {(event.broker, m.routing_key) for event in arrived for m in event.messages}
    assert seen == {("sync", "mplogin.sync.x"), ("async", "mplogin.async.y")}


def test_a_lost_connection_is_a_gap_and_not_the_end(broker, publisher) -> None:
    with contextlib.closing(watch([Place("sync", broker.url, [Source("mplogin")])], seconds=DEADLINE)) as events:
        take(events, Ready)
        before = time.time()
        broker.close_connections()
        found = take(events, Gap)
        assert [type(event) for event in found] == [Lost, Gap]
        assert before <= found[1].since <= found[1].at <= time.time()
        with connect(broker.url) as again:
            publish(again, message("mplogin.sync.x"))
            assert take(events, Arrived)[-1].messages == [message("mplogin.sync.x")]


def test_the_last_count_is_told_at_the_end(broker, publisher) -> None:
    for attempt, seconds in enumerate((1.5, 6.0, 24.0), 1):
        ends = time.monotonic() + seconds
        events = watch([Place("sync", broker.url, [Source("mplogin")])], seconds=seconds, max_messages=5)
        take(events, Ready)
        publish(publisher, *(message("mplogin.sync.x", n) for n in range(2000)))
        await_queues(broker, lambda queues, all_of_them=2000 * attempt: queues.get("mplogin.sync") == all_of_them)
        in_time = ends - time.monotonic() > 0.6 * seconds  # else a busy machine may not have let it read them all
        rest = list(events)
        if in_time:
            break
    seen = sum(len(event.messages) for event in rest if isinstance(event, Arrived))
    dropped = sum(event.count for event in rest if isinstance(event, Dropped))
    assert seen + dropped == 2000
    assert all(event.exact for event in rest if isinstance(event, Dropped))


def test_a_broker_that_is_not_there_is_an_error_at_the_start(broker) -> None:
    places = [Place("sync", broker.url, []), Place("async", "amqp://127.0.0.1:1/", [])]
    with pytest.raises(BrokerUnreachable):
        list(watch(places, seconds=1))
    assert await_queues(broker, lambda queues: not queues) == {}
