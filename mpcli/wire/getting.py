"""Messages taken one by one, by `basic.get`: for a queue that lets in no consumer of ours, or gives it nothing.

That is so where the consumer that a queue has is exclusive, or the single active one; of the second kind a quorum queue
refuses `basic.get` too. Many requests go out in one write, so a batch costs one round trip.
"""

from __future__ import annotations

from collections.abc import Iterator
from time import monotonic

from mpcli.errors import BrokerRefused
from mpcli.wire.connection import Connection
from mpcli.wire.incoming import Incoming
from mpcli.wire.methods import BASIC_GET, BASIC_GET_EMPTY
from mpcli.wire.refusal import RESOURCE_LOCKED

_AT_ONCE = 200
_WAIT = 30.0


def get_batches(connection: Connection, channel: int, queue: str, wanted: int) -> Iterator[list[Incoming]]:
    """The next messages, unacknowledged, until there are `wanted` or the queue is empty.

    Raises `BrokerRefused`, and then the channel is closed, and `BrokerError`.
    """
    while wanted > 0:
        batch = min(wanted, _AT_ONCE)
        connection.send(BASIC_GET.frame(channel, queue, False) * batch)
        answers = [_answer(connection, channel) for _ in range(batch)]
        found = [answer for answer in answers if answer.method is not BASIC_GET_EMPTY]
        yield found
        if len(found) < batch:
            return
        wanted -= batch


def _answer(connection: Connection, channel: int) -> Incoming:
    try:
        return connection.answer(BASIC_GET, channel=channel, deadline=monotonic() + _WAIT)
    except BrokerRefused as error:
        if error.code == RESOURCE_LOCKED:
            error.hint = "a quorum queue with a single active consumer gives messages to nobody else: stop it first"
        raise
