"""Questions after queues on a channel of an open connection: how many consumers listen."""

from __future__ import annotations

from collections.abc import Callable

from mpcli.errors import MpError
from mpcli.wire.connection import Connection
from mpcli.wire.incoming import Incoming
from mpcli.wire.methods import CHANNEL_CLOSE, CHANNEL_OPEN, QUEUE_DECLARE, QUEUE_DECLARE_OK
from mpcli.wire.refusal import channel_refusal

_PASSIVE: tuple[object, ...] = (True, False, False, False, False, {})


class Look:
    """How many `consumers` a queue has, or the `error` that the broker gave."""

    __slots__ = ("consumers", "error")

    def __init__(self, consumers: int = 0, error: MpError | None = None) -> None:
        self.consumers = consumers
        self.error = error


class Looks:
    """Asks on `channel`, which is open; one question for each queue at a time, whoever wants to know."""

    def __init__(self, channel: int) -> None:
        self.channel = channel
        self._asked: dict[str, list[Callable[[Look], None]]] = {}

    def ask(self, queue: str, then: Callable[[Look], None]) -> bytes:
        """The frames that ask; none when the question is on its way. `then` is called by `take`."""
        if queue in self._asked:
            self._asked[queue].append(then)
            return b""
        self._asked[queue] = [then]
        return QUEUE_DECLARE.frame(self.channel, queue, *_PASSIVE)

    def take(self, connection: Connection, incoming: Incoming) -> bytes:
        """Pass on what the broker answers; frames to send, when it closed the channel for a queue that is not there."""
        if incoming.method is QUEUE_DECLARE_OK:
            queue, _, consumers = incoming.values
            self._answer(str(queue), Look(int(str(consumers))))
        elif incoming.method is CHANNEL_CLOSE and self._asked:
            # The broker answers in order and drops what is behind the question that it refused.
            queue = next(iter(self._asked))
            error = channel_refusal(connection.url, int(str(incoming.values[0])), str(incoming.values[1]))
            self._answer(queue, Look(error=error))
            again = [QUEUE_DECLARE.frame(self.channel, queue, *_PASSIVE) for queue in self._asked]
            return CHANNEL_OPEN.frame(self.channel) + b"".join(again)
        return b""

    def _answer(self, queue: str, look: Look) -> None:
        for then in self._asked.pop(queue, []):
            then(look)
