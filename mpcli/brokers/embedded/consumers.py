"""Who consumes a queue, and whose turn it is."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING

from mpcli.brokers.embedded.refusal import inner
from mpcli.wire.codec import Table, encode_shortstr
from mpcli.wire.methods import BASIC_DELIVER

if TYPE_CHECKING:
    from mpcli.brokers.embedded.channel import Channel
    from mpcli.brokers.embedded.queue import Queue


class Consumer:
    """A subscription of a channel to a queue. `limit` is its prefetch count, 0 for none."""

    __slots__ = ("channel", "exclusive", "limit", "no_ack", "prefix", "priority", "queue", "tag", "unacked")

    def __init__(
        self, channel: Channel, queue: Queue, tag: str, *, no_ack: bool, exclusive: bool, limit: int, arguments: Table
    ) -> None:
        self.channel = channel
        self.queue = queue
        self.tag = tag
        self.no_ack = no_ack
        self.exclusive = exclusive
        self.limit = limit
        self.unacked = 0
        priority = inner(arguments.get("x-priority"))
        self.priority = priority if isinstance(priority, int) else 0
        # The start of each of its deliver methods, encoded once.
        self.prefix = BASIC_DELIVER.prefix + encode_shortstr(tag)

    def ready(self) -> bool:
        """Whether it may be given a message now."""
        channel = self.channel
        if channel.connection.paused:
            return False
        # As in RabbitMQ, the channel's limit holds up those too that do not acknowledge, and do not count for it.
        if channel.global_limit and channel.global_unacked >= channel.global_limit:
            return False
        return self.no_ack or not self.limit or self.unacked < self.limit


class Consumers:
    """The consumers of one queue: the highest priority first, within it in turns.

    As in RabbitMQ, one that is not ready when its turn comes leaves the row, and is at its end when it is ready again.
    """

    __slots__ = ("_blocked", "_rows", "_single_active", "active", "count", "exclusive")

    def __init__(self, single_active: bool) -> None:
        self._rows: list[tuple[int, deque[Consumer]]] = []
        self._blocked: list[Consumer] = []
        self._single_active = single_active
        self.active: Consumer | None = None
        self.exclusive = False
        self.count = 0

    def __iter__(self) -> Iterator[Consumer]:
        for _, row in self._rows:
            yield from row
        yield from self._blocked

    def add(self, consumer: Consumer) -> None:
        """Take it in."""
        self.count += 1
        self.exclusive = consumer.exclusive
        if self._single_active and self.active is None:
            self.active = consumer
        self._line_up(consumer)

    def _line_up(self, consumer: Consumer) -> None:
        for index, (priority, row) in enumerate(self._rows):
            if priority == consumer.priority:
                row.append(consumer)
                return
            if priority < consumer.priority:
                self._rows.insert(index, (consumer.priority, deque([consumer])))
                return
        self._rows.append((consumer.priority, deque([consumer])))

    def remove(self, consumer: Consumer) -> None:
        """Let it go; with a single active consumer the next one takes over."""
        for members in (self._blocked, *(row for _, row in self._rows)):
            if consumer in members:
                members.remove(consumer)
                self.count -= 1
                self.exclusive = False
                break
        self._rows = [(priority, row) for priority, row in self._rows if row]
        if self.active is consumer:
            self.active = next(iter(self), None)

    def next_ready(self) -> Consumer | None:
        """The one whose turn it is, or None when nobody can take a message."""
        if self._single_active:
            return self.active if self.active is not None and self.active.ready() else None
        if self._blocked:
            self._line_up_ready()
        for _, row in self._rows:
            while row:
                consumer = row[0]
                if consumer.ready():
                    row.rotate(-1)
                    return consumer
                self._blocked.append(row.popleft())
        return None

    def _line_up_ready(self) -> None:
        blocked, self._blocked = self._blocked, []
        for consumer in blocked:
            if consumer.ready():
                self._line_up(consumer)
            else:
                self._blocked.append(consumer)
