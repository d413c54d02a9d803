"""Publishing many messages, each one accounted for: confirmed, returned as unroutable, or refused by the broker.

Messages go out in windows, so that a round trip is paid for hundreds and not for each; their property bytes are copied
as they are. With `mandatory` a message that no queue takes comes back, and RabbitMQ sends that `basic.return` before
the confirm of the same message (https://www.rabbitmq.com/confirms.html), which says nothing of the queue.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from time import monotonic

from mpcli.errors import BrokerUnreachable, MpError
from mpcli.wire.connection import Connection, Incoming
from mpcli.wire.message import Message
from mpcli.wire.methods import BASIC_ACK, BASIC_NACK, BASIC_RETURN, CHANNEL_CLOSE, CONFIRM_SELECT

WINDOW = 500
CONFIRMED, RETURNED, NACKED = "confirmed", "returned", "nacked"


class Settled:
    """What became of a message; `number` counts from 0 in the order of publishing, `reason` is the broker's text."""

    __slots__ = ("message", "number", "reason", "what")

    def __init__(self, number: int, message: Message, what: str, reason: str = "") -> None:
        self.number = number
        self.message = message
        self.what = what
        self.reason = reason


class Publisher:
    """Publishes on channel 1 of a connection that nothing else uses meanwhile.

    `pending` holds, by number, the messages of which the broker has not spoken yet: after an error those may or may
    not have arrived.
    """

    def __init__(self, connection: Connection, window: int = WINDOW, patience: float = 30.0) -> None:
        """`patience` is in seconds without any answer. Raises `BrokerError`."""
        self.pending: dict[int, Message] = {}
        self._connection = connection
        self._window = window
        self._patience = patience
        self._returned: dict[int, str] = {}
        self._next = 0
        connection.request(CONFIRM_SELECT, False)

    def publish(self, messages: Iterable[Message]) -> Iterator[Settled]:
        """Send all, and tell of each what became of it, as soon as it is known; the order may differ.

        `messages` is read no further than a window ahead. Raises `BrokerRefused` (an exchange that does not exist),
        `BrokerUnreachable` when the broker is silent or gone.
        """
        source = iter(messages)
        more = True
        while more or self.pending:
            room = self._window - len(self.pending)
            if more and room >= min(self._window, max(self._window // 2, 1)):
                more = self._send(list(islice(source, room)), room)
            if self.pending:
                yield from self._settle()

    def _send(self, batch: list[Message], room: int) -> bool:
        frame_max = self._connection.frame_max
        data = [message.publish_frames(1, frame_max) for message in batch]
        for message in batch:
            self.pending[self._next] = message
            self._next += 1
        if data:
            self._connection.send(b"".join(data), self._patience)
        return len(batch) == room

    def _settle(self) -> list[Settled]:
        try:
            incoming = self._connection.receive(monotonic() + self._patience)
        except TimeoutError:
            raise self._silent() from None
        if incoming.method is BASIC_RETURN:
            self._take_back(incoming)
        elif incoming.method in (BASIC_ACK, BASIC_NACK):
            return self._answered(incoming)
        elif incoming.method is CHANNEL_CLOSE:
            raise self._connection.refusal(incoming)
        return []

    def _take_back(self, incoming: Incoming) -> None:
        """A return names no number: it belongs to the first message of that content which has none yet."""
        _, text, exchange, routing_key = incoming.values
        for number, message in self.pending.items():
            same = (message.exchange, message.routing_key, message.body) == (exchange, routing_key, incoming.body)
            if same and number not in self._returned:
                self._returned[number] = str(text)
                return

    def _answered(self, incoming: Incoming) -> list[Settled]:
        number = int(str(incoming.values[0])) - 1  # tags count from 1
        numbers = [number]
        if incoming.values[1]:
            numbers = [waiting for waiting in self.pending if waiting <= number]
        refused = incoming.method is BASIC_NACK
        return [self._done(number, refused) for number in numbers if number in self.pending]

    def _done(self, number: int, refused: bool) -> Settled:
        message = self.pending.pop(number)
        reason = self._returned.pop(number, None)
        if reason is not None:
            return Settled(number, message, RETURNED, reason)
        return Settled(number, message, NACKED if refused else CONFIRMED)

    def _silent(self) -> MpError:
        blocked = self._connection.blocked
        why = f"it blocks publishers: {blocked}" if blocked else f"no answer for {self._patience:g} s"
        return BrokerUnreachable(
            f"{len(self.pending)} messages are not confirmed: {why}", "they may or may not have arrived"
        )
