"""Messages and consumers of many queues, asked in one round trip.

A passive declaration tells both, and closes its channel when there is no such queue: so each queue has a channel of
its own, and all questions go out in one write.
"""

from __future__ import annotations

from time import monotonic

from mpcli.errors import BrokerRefused
from mpcli.wire.connection import Connection
from mpcli.wire.methods import CHANNEL_OPEN, QUEUE_DECLARE
from mpcli.wire.refusal import NOT_FOUND

# Below the limit of 64 channels that is agreed on, with room for others.
_FIRST, _AT_ONCE = 16, 40
_ASK: tuple[object, ...] = (True, False, False, False, False, {})


class Counts:
    """Messages that wait in a queue, those out for delivery not among them, and its consumers."""

    __slots__ = ("consumers", "ready")

    def __init__(self, ready: int, consumers: int) -> None:
        self.ready = ready
        self.consumers = consumers


class QueueCounter:
    """Counts the same queues again and again on an open connection, channels 16 to 55 of which it uses."""

    def __init__(self, connection: Connection, wait: float = 5.0) -> None:
        """`wait` is for each round trip, in seconds."""
        self._connection = connection
        self._wait = wait
        self._open: set[int] = set()

    def count(self, queues: list[str]) -> dict[str, Counts | BrokerRefused | None]:
        """The counts by name: None where there is no such queue, the refusal where the broker tells nothing.

        Raises `BrokerError` when the connection ends.
        """
        found: dict[str, Counts | BrokerRefused | None] = {}
        for start in range(0, len(queues), _AT_ONCE):
            found |= self._round(queues[start : start + _AT_ONCE])
        return found

    def _round(self, queues: list[str]) -> dict[str, Counts | BrokerRefused | None]:
        channels = range(_FIRST, _FIRST + len(queues))
        fresh = [channel for channel in channels if channel not in self._open]
        frames = [CHANNEL_OPEN.frame(channel) for channel in fresh]
        frames += [QUEUE_DECLARE.frame(channel, queue, *_ASK) for channel, queue in zip(channels, queues, strict=True)]
        self._connection.send(b"".join(frames), self._wait)
        deadline = monotonic() + self._wait
        for channel in fresh:
            self._connection.answer(CHANNEL_OPEN, channel=channel, deadline=deadline)
        self._open.update(fresh)
        return {queue: self._answer(channel, deadline) for channel, queue in zip(channels, queues, strict=True)}

    def _answer(self, channel: int, deadline: float) -> Counts | BrokerRefused | None:
        try:
            _, ready, consumers = self._connection.answer(QUEUE_DECLARE, channel=channel, deadline=deadline).values
        except BrokerRefused as error:
            self._open.discard(channel)
            return None if error.code == NOT_FOUND else error
        return Counts(int(str(ready)), int(str(consumers)))
