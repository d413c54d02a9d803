"""Holding messages of a queue: what is taken is removed or back at its place, whatever happens to the holder."""

import random
import re
import subprocess
import sys
import time
from itertools import count

import pytest
from counting import await_count, await_total, waiting

from mpcli.errors import BrokerRefused, NotFound
from mpcli.wire.codec import Table
from mpcli.wire.connection import Connection
from mpcli.wire.handshake import connect
from mpcli.wire.holding import hold
from mpcli.wire.message import Message
from mpcli.wire.methods import BASIC_CONSUME, BASIC_DELIVER, BASIC_QOS, QUEUE_DECLARE, QUEUE_DELETE
from mpcli.wire.publisher import Publisher

DEADLINE = 60.0
TYPES: dict[str, Table] = {
    "classic": {},
    "priority": {"x-max-priority": 3},
    "quorum": {"x-queue-type": "quorum"},
    "limited": {"x-queue-type": "quorum", "x-delivery-limit": 2, "x-dead-letter-exchange": ""},
}


@pytest.fixture
def connection(broker):
    with connect(broker.url) as connection:
        yield connection


def numbered(queue: str, numbers) -> list[Message]:
    return [Message.build("", queue, {"delivery_mode": 2, "headers": {"n": n}}, b"body") for n in numbers]


def fill(broker, queue: str, numbers=range(100), **arguments) -> None:
    with connect(broker.url) as connection:
        declared = {key.replace("_", "-"): value for key, value in arguments.items()}
        connection.request(QUEUE_DECLARE, queue, False, True, False, False, False, declared)
        list(Publisher(connection).publish(numbered(queue, numbers)))


def number(message: Message) -> int:
    return int(message.headers["n"])


def left_in(broker, queue: str) -> list[Message]:
    with hold(broker.url, queue) as holding:
        found = list(holding.take(100_000))
        holding.ack(found)
    return found


@pytest.mark.parametrize("kind", TYPES)
def test_what_is_not_acknowledged_is_back_at_its_place(broker, connection, kind) -> None:
    fill(broker, kind, **{key.replace("-", "_"): value for key, value in TYPES[kind].items()})
    with hold(broker.url, kind) as holding:
        assert (holding.ready, holding.consumers) == (100, 0)
        taken = list(holding.take(60))
        assert [number(message) for message in taken] == list(range(60))
        assert holding.count().ready == 40  # exactly those that were asked for are out
        holding.ack(taken[::3])
    await_count(connection, kind, 80)
    rest = left_in(broker, kind)
    assert [number(message) for message in rest] == [n for n in range(100) if n >= 60 or n % 3]
    assert [message.redelivered for message in rest] == [True] * 40 + [False] * 40
    counts = [message.headers.get("x-delivery-count") for message in rest]
    quorum = kind in ("quorum", "limited")
    assert [None if count is None else int(getattr(count, "value", count)) for count in counts] == (
        [1 if quorum else None] * 40 + [None] * 40
    )
    await_total(broker, kind, 0)


@pytest.mark.parametrize("kind", ["classic", "quorum"])
def test_each_acknowledgement_counts_also_right_before_the_end(broker, connection, kind) -> None:
    arguments = {key.replace("-", "_"): value for key, value in TYPES[kind].items()}
    fill(broker, kind, range(2000), **arguments)

    def work() -> None:
        with hold(broker.url, kind) as holding:
            taken = list(holding.take(2000))
            holding.ack(taken[:1000:2])
            for message in taken[1000::2]:
                holding.ack([message])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        work()
    await_total(broker, kind, 1000)
    await_count(connection, kind, 1000)
    assert [number(message) for message in left_in(broker, kind)] == list(range(1, 2000, 2))


@pytest.mark.parametrize("kind", ["classic", "quorum"])
def test_places_are_kept_also_among_those_that_were_given_back_before(broker, connection, kind) -> None:
    arguments = {key.replace("-", "_"): value for key, value in TYPES[kind].items()}
    fill(broker, kind, range(1000), **arguments)
    given_back = 300
    for most in (300, 2, 50, 2):
        with hold(broker.url, kind) as holding:
            assert [number(message) for message in holding.take(most)] == list(range(most))
            holding.take_returned()
            assert holding.taken <= given_back * 4 / 3 + 16
            given_back = holding.taken
        await_count(connection, kind, 1000)
    left = left_in(broker, kind)
    assert [number(message) for message in left] == list(range(1000))
    assert left[-1].redelivered is False


def test_over_the_delivery_limit_it_becomes_a_dead_letter(broker, connection) -> None:
    fill(broker, "dead", [])
    arguments = {**TYPES["limited"], "x-dead-letter-routing-key": "dead"}
    fill(broker, "limited", range(5), **{key.replace("-", "_"): value for key, value in arguments.items()})
    for _ in range(2):
        with hold(broker.url, "limited") as holding:
            assert len(list(holding.take(5))) == 5
        await_count(connection, "limited", 5)
    with hold(broker.url, "limited") as holding:
        assert len(list(holding.take(3))) == 3
        holding.release(dying=3)
    await_count(connection, "dead", 3)
    assert waiting(connection, "limited") == 2


def test_it_ends_also_when_everything_comes_back_at_the_other_end(broker, connection) -> None:
    fill(broker, "loop", range(50), x_queue_type="quorum")
    fresh = count(50)
    publisher = Publisher(connection)
    with hold(broker.url, "loop") as holding:
        while batch := list(holding.take(7)):
            list(publisher.publish(numbered("loop", [next(fresh) for _ in batch])))
            holding.ack(batch)
        assert (holding.taken, holding.left) == (50, 0)
    await_count(connection, "loop", 50)
    assert [number(message) for message in left_in(broker, "loop")] == list(range(50, 100))


def test_a_worker_that_is_quicker_ends_it(broker, connection) -> None:
    fill(broker, "shared", range(50))
    with hold(broker.url, "shared") as holding:
        first = list(holding.take(10))
        left_in(broker, "shared")
        assert list(holding.take(40)) == []
        assert [number(message) for message in first] == list(range(10))
    await_count(connection, "shared", 10)


def worker(connection: Connection, queue: str, exclusive: bool) -> None:
    """A consumer that is busy with one message."""
    connection.request(BASIC_QOS, 0, 1, False)
    connection.request(BASIC_CONSUME, queue, "worker", False, False, exclusive, False, {})
    while connection.receive(time.monotonic() + DEADLINE).method is not BASIC_DELIVER:
        pass


@pytest.mark.parametrize(("exclusive", "arguments"), [(True, {}), (False, {"x_single_active_consumer": True})])
def test_a_queue_with_a_consumer_that_wants_to_be_alone(broker, connection, exclusive, arguments) -> None:
    fill(broker, "mine", range(500), **arguments)
    worker(connection, "mine", exclusive)
    with hold(broker.url, "mine") as holding:
        assert [number(message) for message in holding.take(300)] == list(range(1, 301))
        assert holding.count().ready == 199
    await_count(connection, "mine", 499)


def test_a_quorum_queue_whose_consumer_wants_to_be_alone_says_no(broker, connection) -> None:
    fill(broker, "mine", range(5), x_queue_type="quorum", x_single_active_consumer=True)
    worker(connection, "mine", exclusive=False)
    with pytest.raises(BrokerRefused) as caught, hold(broker.url, "mine") as holding:
        list(holding.take(3))
    assert caught.value.code == 405
    assert "single active consumer" in caught.value.hint
    assert waiting(connection, "mine") == 4


def test_no_such_queue_an_empty_one_and_one_that_is_deleted(broker, connection) -> None:
    with pytest.raises(NotFound, match="no queue nothere"):
        hold(broker.url, "nothere")
    fill(broker, "empty", [])
    with hold(broker.url, "empty") as holding:
        assert list(holding.take(10)) == []
    fill(broker, "doomed", range(10))
    with hold(broker.url, "doomed") as holding:
        assert len(list(holding.take(5))) == 5
        connection.request(QUEUE_DELETE, "doomed", False, False, False)
        with pytest.raises(NotFound):
            list(holding.take(5))


HOLDER = """
import sys
from mpcli.wire.holding import hold
with hold(sys.argv[1], "victim") as holding:
    print("holding", flush=True)
    while batch := list(holding.take(20)):
        for message in batch:
            print("done", message.headers["n"], flush=True)  # what a real one saves before it acknowledges
        holding.ack(batch)
    print("end", flush=True)  # also where the one killed before still had all of it
sys.stdin.read()
"""


@pytest.mark.parametrize("kind", ["classic", "quorum"])
def test_killed_at_any_moment_nothing_is_lost(broker, kind) -> None:
    arguments = {key.replace("-", "_"): value for key, value in TYPES[kind].items()}
    fill(broker, "victim", range(2000), **arguments)
    saved: set[int] = set()
    for killed in range(4):
        process = subprocess.Popen(
            [sys.executable, "-c", HOLDER, broker.url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert process.stdout.readline() == "holding\n"
        out = process.stdout.readline() if killed else ""  # some are to be killed when they have begun
        time.sleep(random.uniform(0, 0.03))
        process.kill()
        out += process.stdout.read()
        saved |= {int(line.split()[1]) for line in re.findall(r"done \d+\n", out)}
        process.stdin.close()
        process.stdout.close()
        process.wait(DEADLINE)
    left: set[int] = set()
    deadline = time.monotonic() + DEADLINE
    while broker.queues()["victim"]:  # some may still be out to the last one killed: the broker notices in a moment
        assert time.monotonic() < deadline
        left |= {number(message) for message in left_in(broker, "victim")}
    assert saved
    assert left | saved == set(range(2000))
