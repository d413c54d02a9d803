"""Publishing many messages, each one accounted for: confirmed, returned as unroutable, or refused by the broker.

Messages go out in windows, so that a round trip is paid for hundreds and not for each; their property bytes are copied
as they are. With `mandatory` a message that no queue takes comes back, and RabbitMQ sends that `basic.return` before
the confirm of the same message (https://www.rabbitmq.com/confirms.html), which says nothing of the queue.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice, takewhile
from time import monotonic

from mpcli.errors import BrokerUnreachable, MpError
from mpcli.wire.connection import Connection
from mpcli.wire.incoming import Incoming
from mpcli.wire.message import Message
from mpcli.wire.methods import BASIC_ACK, BASIC_DELIVER, BASIC_NACK, BASIC_RETURN, CHANNEL_CLOSE, CONFIRM_SELECT
from mpcli.words import counted

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
    not have arrived. `deliveries` collects what a consumer of the same channel gets (direct reply-to); its owner takes
    them out.
    """

    def __init__(self, connection: Connection, window: int = WINDOW, patience: float = 30.0) -> None:
        """`patience` is in seconds without any answer. Raises `BrokerError`."""
        self.pending: dict[int, Message] = {}
        self.deliveries: list[Incoming] = []
        self.window = window
        self._connection = connection
        self._patience = patience
        self._returned: dict[int, str] = {}
        self._next = 0
        self._heard = monotonic()
        connection.request(CONFIRM_SELECT, False)

    @property
    def room(self) -> int:
        """How many messages may be sent before the broker has to speak."""
        return self.window - len(self.pending)

    def publish(self, messages: Iterable[Message]) -> Iterator[Settled]:
        """Send all, and tell of each what became of it, as soon as it is known; the order may differ.

        `messages` is read no further than a window ahead. Raises `BrokerRefused` (an exchange that does not exist),
        `BrokerUnreachable` when the broker is silent or gone.
        """
        source = iter(messages)
        more = True
        while more or self.pending:
            room = self.room
            if more and room >= max(self.window // 2, 1):
                batch = list(islice(source, room))
                more = len(batch) == room
                self.send(batch)
            if self.pending:
                yield from self.settle(monotonic() + self._patience)

    def send(self, batch: Sequence[Message]) -> int:
        """Publish these, `room` at most; the number of the first. Raises as `publish` does."""
        first, frame_max = self._next, self._connection.frame_max
        data = [message.publish_frames(1, frame_max) for message in batch]
        if not self.pending:
            self._heard = monotonic()
        self.pending.update(enumerate(batch, first))
        self._next += len(batch)
        if data:
            self._connection.send(b"".join(data), self._patience)
        return first

    def settle(self, deadline: float) -> list[Settled]:
        """What the broker has said of pending messages, as soon as it says anything; none at the deadline, which is on
        the clock of `time.monotonic`. Raises as `publish` does."""
        settled: list[Settled] = []
        try:
            while True:
                settled += self._take(self._connection.receive(0.0 if settled else deadline))
        except TimeoutError:
            now = monotonic()
            if settled or not self.pending:
                self._heard = now
            elif now - self._heard > self._patience:
                raise self._silent() from None
        return settled

    def _take(self, incoming: Incoming) -> list[Settled]:
        if incoming.method is BASIC_RETURN:
            self._take_back(incoming)
        elif incoming.method in (BASIC_ACK, BASIC_NACK):
            return self._answered(incoming)
        elif incoming.method is BASIC_DELIVER:
            self.deliveries.append(incoming)
        elif incoming.method is CHANNEL_CLOSE and incoming.channel == 1:
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
            numbers = list(takewhile(number.__ge__, self.pending))  # it is in the order of the numbers
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
            f"{counted(len(self.pending), 'message')} not confirmed: {why}", "they may or may not have arrived"
        )
