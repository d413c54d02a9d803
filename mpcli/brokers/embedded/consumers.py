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
    """The consumers of one queue: the highest priority first, within it in turns."""

    __slots__ = ("_groups", "_single_active", "active", "count", "exclusive")

    def __init__(self, single_active: bool) -> None:
        self._groups: list[tuple[int, deque[Consumer]]] = []
        self._single_active = single_active
        self.active: Consumer | None = None
        self.exclusive = False
        self.count = 0

    def __iter__(self) -> Iterator[Consumer]:
        for _, group in self._groups:
            yield from group

    def add(self, consumer: Consumer) -> None:
        """Take it in."""
        self.count += 1
        self.exclusive = consumer.exclusive
        if self._single_active and self.active is None:
            self.active = consumer
        for index, (priority, group) in enumerate(self._groups):
            if priority == consumer.priority:
                group.append(consumer)
                return
            if priority < consumer.priority:
                self._groups.insert(index, (consumer.priority, deque([consumer])))
                return
        self._groups.append((consumer.priority, deque([consumer])))

    def remove(self, consumer: Consumer) -> None:
        """Let it go; with a single active consumer the next one takes over."""
        for index, (priority, group) in enumerate(self._groups):
            if priority == consumer.priority and consumer in group:
                group.remove(consumer)
                if not group:
                    del self._groups[index]
                self.count -= 1
                self.exclusive = False
                break
        if self.active is consumer:
            self.active = next(iter(self), None)

    def next_ready(self) -> Consumer | None:
        """The one whose turn it is, or None when nobody can take a message."""
        if self._single_active:
            return self.active if self.active is not None and self.active.ready() else None
        for _, group in self._groups:
            if len(group) == 1:
                if group[0].ready():
                    return group[0]
                continue
            for _ in range(len(group)):
                consumer = group[0]
                group.rotate(-1)
                if consumer.ready():
                    return consumer
        return None
