"""The publisher: every message is accounted for, on both brokers."""

import time

import pytest

from mpcli.errors import BrokerRefused
from mpcli.wire.codec import Typed
from mpcli.wire.handshake import connect
from mpcli.wire.message import Message
from mpcli.wire.methods import BASIC_GET, EXCHANGE_DECLARE, QUEUE_BIND, QUEUE_DECLARE
from mpcli.wire.publisher import CONFIRMED, NACKED, RETURNED, Publisher


@pytest.fixture
def connection(broker):
    with connect(broker.url) as connection:
        connection.request(EXCHANGE_DECLARE, "mplogin", "topic", False, True, False, False, False, {})
        connection.request(QUEUE_DECLARE, "mplogin.sync", False, True, False, False, False, {})
        connection.request(QUEUE_BIND, "mplogin.sync", "mplogin", "mplogin.sync.#", False, {})
        yield connection


def message(number: int, key: str = "mplogin.sync.x", exchange: str = "mplogin") -> Message:
    return Message.build(exchange, key, {"headers": {"n": Typed("s", number)}}, b"body %d" % number)


@pytest.mark.parametrize("window", [1, 7, 500])
def test_each_message_is_settled_once_and_the_lost_ones_are_named(broker, connection, window) -> None:
    sent = [message(n, "mplogin.nobody.x" if n % 10 == 3 else "mplogin.sync.x") for n in range(1200)]
    publisher = Publisher(connection, window)
    settled = list(publisher.publish(iter(sent)))
    assert sorted(one.number for one in settled) == list(range(1200))
    assert all(one.message is sent[one.number] for one in settled)
    assert {one.number for one in settled if one.what == RETURNED} == set(range(3, 1200, 10))
    assert {one.reason for one in settled if one.what == RETURNED} == {"NO_ROUTE"}
    assert {one.what for one in settled} == {RETURNED, CONFIRMED}
    assert publisher.pending == {}
    deadline = time.monotonic() + 60
    while broker.queues() != {"mplogin.sync": 1080} and time.monotonic() < deadline:
        time.sleep(0.02)
    assert broker.queues() == {"mplogin.sync": 1080}


def test_what_arrives_is_what_was_sent(connection) -> None:
    assert [one.what for one in Publisher(connection).publish([message(1)])] == [CONFIRMED]
    connection.send(BASIC_GET.frame(1, "mplogin.sync", True))
    arrived = connection.answer(BASIC_GET, deadline=time.monotonic() + 60)
    assert (arrived.header, arrived.body) == (message(1).raw_properties, message(1).body)


def test_a_full_queue_that_refuses_is_told(connection) -> None:
    arguments = {"x-max-length": 2, "x-overflow": "reject-publish"}
    connection.request(QUEUE_DECLARE, "full", False, False, True, False, False, arguments)
    publisher = Publisher(connection)
    settled = [one.what for n in range(6) for one in publisher.publish([message(n, "full", "")])]
    assert settled[:2] == [CONFIRMED, CONFIRMED]
    assert NACKED in settled


def test_an_exchange_that_is_not_there_leaves_the_rest_unsettled(connection) -> None:
    publisher = Publisher(connection)
    with pytest.raises(BrokerRefused) as caught:
        list(publisher.publish([message(n, exchange="mpnothere") for n in range(10)]))
    assert caught.value.code == 404
    assert len(publisher.pending) == 10
