"""The queues of a tap, and what they are bound to.

Three exclusive ones of our own: the tap itself, bound to the exchanges, of limited length, where the oldest message is
dropped first; a second one that the dropped messages are dead-lettered to, and that is emptied every moment because
`queue.purge-ok` tells how many there were, without sending them; a third behind the second one, bounded to one
message, which tells that even the count was too much and so is a lower bound. RabbitMQ tells a consumer of no drop.
"""

from __future__ import annotations

from mpcli.errors import BrokerRefused
from mpcli.wire.codec import Table
from mpcli.wire.connection import Connection
from mpcli.wire.methods import QUEUE_BIND, QUEUE_DECLARE
from mpcli.wire.refusal import NOT_FOUND

MAX_MESSAGES = 50_000
MAX_BYTES = 64 * 1024 * 1024
_COUNTED = 20_000
# Messages come on channel 1; the others may be closed by the broker without hurting them.
MESSAGES, COUNTS, BINDINGS = 1, 2, 3


class Source:
    """An exchange and the topic patterns under which the tap is bound to it."""

    __slots__ = ("exchange", "patterns")

    def __init__(self, exchange: str, patterns: tuple[str, ...] = ("#",)) -> None:
        self.exchange = exchange
        self.patterns = patterns


def counter_of(queue: str) -> str:
    """The queue of what the tap's queue dropped."""
    return f"{queue}.dropped"


def witness_of(queue: str) -> str:
    """The queue that tells of what that one dropped."""
    return f"{queue}.uncounted"


def declare(connection: Connection, queue: str, max_messages: int, max_bytes: int) -> None:
    """Make the three, and open the channels that are for them. Raises `BrokerError`."""
    connection.open_channel(COUNTS)
    connection.open_channel(BINDINGS)
    witness: Table = {"x-max-length": 1}
    counter: Table = _bounded(_COUNTED, MAX_BYTES // 2, witness_of(queue))
    tap: Table = _bounded(max_messages, max_bytes, counter_of(queue))
    for name, arguments in ((witness_of(queue), witness), (counter_of(queue), counter), (queue, tap)):
        # passive, durable, exclusive, auto-delete, no-wait: without a consumer auto-delete would never happen.
        connection.request(QUEUE_DECLARE, name, False, False, True, name == queue, False, arguments)


def _bounded(messages: int, size: int, overflow: str) -> Table:
    return {
        "x-max-length": messages,
        "x-max-length-bytes": size,
        "x-overflow": "drop-head",
        "x-dead-letter-exchange": "",
        "x-dead-letter-routing-key": overflow,
    }


def bind(connection: Connection, queue: str, sources: list[Source]) -> set[str]:
    """Bind the tap's queue; the exchanges that do not exist. Raises `BrokerError`."""
    missing: set[str] = set()
    for source in sources:
        try:
            for pattern in source.patterns:
                connection.request(QUEUE_BIND, queue, source.exchange, pattern, False, {}, channel=BINDINGS)
        except BrokerRefused as error:
            if error.code != NOT_FOUND:
                raise
            missing.add(source.exchange)
            connection.open_channel(BINDINGS)
    return missing
