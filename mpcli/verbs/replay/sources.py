"""Where the messages of a replay come from: a recording, or a queue that gives them up only when they are confirmed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from hashlib import blake2b
from pathlib import Path
from time import monotonic, sleep
from typing import Protocol

from mpcli.errors import ProtocolError
from mpcli.recording.format import DEAD, EVENT, TASK
from mpcli.recording.reader import Reader
from mpcli.verbs.peek import spare_last_lives
from mpcli.verbs.queue_place import is_dead
from mpcli.verbs.seen import Seen
from mpcli.wire.codec import plain
from mpcli.wire.holding import MOST_AT_ONCE, Holding, hold
from mpcli.wire.message import Message

# A recording up to this size is kept in memory between the plan and the sending, a larger one is read twice.
_IN_MEMORY = 200 * 1024 * 1024
# Seconds that messages of a killed process take to be back in their queue, and between two looks.
_ON_THE_WAY, _GLANCE = 3.0, 0.1
# Headers that a queue adds when it delivers a message again (RabbitMQ's quorum queues; the second since version 4).
_OF_DELIVERY = frozenset({"x-delivery-count", "x-acquired-count"})


class Item:
    """A message with a number that is its own within the source, also in a later run."""

    __slots__ = ("number", "seen")

    def __init__(self, number: int, seen: Seen) -> None:
        self.number = number
        self.seen = seen


class Source(Protocol):
    """Gives the same items each time it is iterated.

    `queue` is empty for a recording. `fingerprint` tells it from another one of its name, `identities` name its
    messages where their numbers alone do not.
    """

    name: str
    queue: str
    fingerprint: str
    in_memory: bool

    @property
    def damage(self) -> str:
        """What could not be read, in words; empty otherwise."""
        ...

    def __iter__(self) -> Iterator[Item]: ...

    def events(self) -> Iterator[Seen]:
        """The recorded events of workers."""
        ...

    def done(self, items: Iterable[Item]) -> None:
        """These are confirmed elsewhere and need not be kept."""
        ...

    def beat(self) -> None:
        """Stay alive while nothing else is asked."""
        ...

    def close(self) -> None:
        """What was not done is as it was."""
        ...


class Recording:
    """The tasks and dead letters of a file, numbered by line, as far as the file went when it was opened."""

    queue = ""

    def __init__(self, path: Path) -> None:
        """Raises `NotARecording`, `OSError`."""
        self.name = str(path)
        self.reader = Reader(path)
        self.size = path.stat().st_size
        with path.open("rb") as file:
            self.fingerprint = blake2b(file.readline(4096), digest_size=8).hexdigest()
        self.in_memory = self.size <= _IN_MEMORY
        # A recorder may still append: what comes after this line is not part of a resumed replay.
        self.bound: int | None = None
        # The last line that was looked at, and the message in it.
        self.last_line = 0
        self._last: Message | None = None

    def __iter__(self) -> Iterator[Item]:
        for entry in self.reader:
            if self.bound is not None and entry.line > self.bound:
                return
            if entry.line >= self.last_line:
                self.last_line, self._last = entry.line, entry.message
            if entry.message is not None and entry.kind in (TASK, DEAD):
                yield Item(entry.line, Seen(entry.kind, entry.broker, entry.at, entry.message))

    @property
    def damage(self) -> str:
        """What could not be read of it, when it was gone through."""
        return self.reader.damage

    def mark(self) -> str:
        """A short text for the last line that was looked at: another one where lines before it were taken out."""
        return f"{self.last_line} {identity(self._last) if self._last else ''}"

    def events(self) -> Iterator[Seen]:
        """The recorded events of workers."""
        for entry in self.reader:
            if entry.kind == EVENT and entry.message is not None:
                yield Seen(entry.kind, entry.broker, entry.at, entry.message)

    def done(self, items: Iterable[Item]) -> None:
        """Nothing: a recording is kept as it is."""

    def beat(self) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


class Waiting:
    """The messages that a queue holds now, all held at once, numbered in their order.

    What comes into the queue later is not touched, so a message that fails again cannot come by twice. `more` are in
    the queue beyond what can be held at once.
    """

    in_memory = True
    damage = ""

    def __init__(
        self, url: str, queue: str, broker: str, at: float, expected: int = 0, limit: int | None = None
    ) -> None:
        """`at` is now, in seconds since 1970; up to `expected` messages are awaited for a moment. `limit` is how often
        the broker delivers one, where some may go back.

        Raises `NotFound`, `BrokerError`, `SafetyRefusal` when going back could be the end of them.
        """
        self._closed = False
        self.name = self.queue = queue
        self.broker = broker
        self._holding: Holding = hold(url, queue, name=f"mp replay {queue}")
        try:
            kind = DEAD if is_dead(queue) else TASK
            self._await(expected)
            messages = self._take(limit)
        except BaseException:
            self._holding.close()
            raise
        self.more = self._holding.left
        self._items = [Item(number, Seen(kind, broker, at, message)) for number, message in enumerate(messages)]
        self.fingerprint = queue

    def __iter__(self) -> Iterator[Item]:
        return iter(self._items)

    def _take(self, limit: int | None) -> list[Message]:
        first = list(self._holding.take(1)) if limit is not None else []
        if first and limit is not None:
            spare_last_lives(self.queue, first[0], limit)
        return first + list(self._holding.take(MOST_AT_ONCE - len(first)))

    def _await(self, expected: int) -> None:
        deadline = monotonic() + _ON_THE_WAY
        while self._holding.ready < expected and monotonic() < deadline:
            sleep(_GLANCE)
            self._holding.ready = self._holding.count().ready

    def identities(self) -> dict[int, str]:
        """By number, what tells each message from the others; the same when it is delivered again."""
        return {item.number: identity(item.seen.message) for item in self._items}

    def renumber(self, numbers: list[int | None]) -> None:
        """Give the messages the numbers of an earlier run; those with None are not part of it."""
        pairs = zip(numbers, self._items, strict=True)
        self._items = [Item(number, item.seen) for number, item in pairs if number is not None]
        self._items.sort(key=lambda item: item.number)

    def events(self) -> Iterator[Seen]:
        """None: a queue holds no events."""
        return iter(())

    def done(self, items: Iterable[Item]) -> None:
        """Take these from the queue."""
        self._holding.ack(item.seen.message for item in items)

    def beat(self) -> None:
        """Keep the connection."""
        self._holding.beat()

    def close(self) -> None:
        """Give back what was not taken; what was taken is gone when this has returned. Raises `BrokerError`."""
        if not self._closed:
            self._closed = True
            self._holding.close()


def identity(message: Message) -> str:
    """A short text for the content of a message, whatever a queue adds to it on the way."""
    try:
        headers = sorted((name, plain(value)) for name, value in message.headers.items() if name not in _OF_DELIVERY)
        others = sorted((name, value) for name, value in message.properties.items() if name != "headers")
        content = repr((message.exchange, message.routing_key, headers, others))
    except (ProtocolError, TypeError):
        content = repr((message.exchange, message.routing_key, message.raw_properties))
    data = content.encode("utf-8", "surrogateescape")
    return blake2b(data + b"\0" + message.body, digest_size=12).hexdigest()
