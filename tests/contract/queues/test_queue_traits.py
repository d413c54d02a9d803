"""What a queue is, found out without the management API, and without making or changing one."""

import pytest

from mpcli.wire.codec import Typed
from mpcli.wire.handshake import connect
from mpcli.wire.methods import QUEUE_DECLARE
from mpcli.wire.queue_traits import _NO_QUEUE, CLASSIC, QUORUM, UNKNOWN, _Probe, queue_traits

FULL = {
    "x-dead-letter-exchange": "mplogin.dead",
    "x-dead-letter-routing-key": "it's 'x' of type 'y'",
    "x-expires": 3_600_000,
    "x-max-length": Typed("l", 7),
    "x-max-priority": Typed("b", 4),
    "x-message-ttl": 60_000,
    "x-overflow": "reject-publish",
    "x-single-active-consumer": True,
}


@pytest.fixture
def connection(broker):
    with connect(broker.url) as connection:
        yield connection


@pytest.mark.parametrize(
    ("arguments", "durable", "auto_delete", "kind", "limit"),
    [
        ({}, True, False, CLASSIC, None),
        ({"x-queue-type": "classic"}, True, False, CLASSIC, None),
        (FULL, True, False, CLASSIC, None),
        ({}, False, True, CLASSIC, None),
        ({"x-queue-type": "quorum"}, True, False, QUORUM, None),
        ({"x-queue-type": "quorum", "x-delivery-limit": 0}, True, False, QUORUM, 0),
        (
            {"x-queue-type": "quorum", "x-delivery-limit": Typed("l", 3), "x-dead-letter-exchange": "mplogin.dead"},
            *(True, False, QUORUM, 3),
        ),
    ],
)
def test_type_arguments_and_limit(broker, connection, arguments, durable, auto_delete, kind, limit) -> None:
    connection.request(QUEUE_DECLARE, "some", False, durable, False, auto_delete, False, arguments)
    for guess in (None, {"x-dead-letter-exchange": "mplogin.dead"}):
        traits = queue_traits(connection, "some", guess)
        assert (traits.type, traits.delivery_limit, traits.limit_set) == (kind, limit, limit is not None)
        assert traits.dead_letter_exchange == arguments.get("x-dead-letter-exchange")
    if arguments is FULL:
        assert traits.arguments == {key: getattr(value, "value", value) for key, value in FULL.items()}
    assert broker.queues() == {"some": 0}


def test_asking_for_a_queue_that_is_not_there_makes_none(broker, connection) -> None:
    assert queue_traits(connection, "nothere").type == UNKNOWN
    # Deleted between the two questions: the second one alone makes none either.
    assert _Probe(connection, "nothere", {"x-queue-type": QUORUM}).ask("x-delivery-limit", _NO_QUEUE) is None
    assert broker.queues() == {}


def test_an_exclusive_queue_of_somebody_else_is_classic(broker, connection) -> None:
    with connect(broker.url) as owner:
        owner.request(QUEUE_DECLARE, "mine", False, False, True, False, False, {})
        assert queue_traits(connection, "mine").type == CLASSIC
