"""The messages of a queue that wait: by priority, then in the order in which they came."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from operator import attrgetter

from mpcli.brokers.embedded.message import Entry

_by_position = attrgetter("position")


class Backlog:
    """Waiting entries. One that comes back takes its old place."""

    __slots__ = ("_levels", "count", "size")

    def __init__(self, max_priority: int = 0) -> None:
        # Highest priority first.
        self._levels: list[deque[Entry]] = [deque() for _ in range(max_priority + 1)]
        self.count = 0
        self.size = 0

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[Entry]:
        for level in self._levels:
            yield from level

    def _level_of(self, entry: Entry) -> deque[Entry]:
        top = len(self._levels) - 1
        return self._levels[top - min(entry.message.priority, top)] if top else self._levels[0]

    def append(self, entry: Entry) -> None:
        """A new one, behind all of its priority."""
        self._level_of(entry).append(entry)
        self.count += 1
        self.size += len(entry.message.body)

    def restore(self, entries: list[Entry]) -> None:
        """Entries that were handed out come back, each to its place."""
        for entry in sorted(entries, key=_by_position, reverse=True):
            level = self._level_of(entry)
            self.count += 1
            self.size += len(entry.message.body)
            if not level or entry.position < level[0].position:
                level.appendleft(entry)
            else:
                _insert(level, entry)

    def head(self) -> Entry | None:
        """The next one, or None: only this one can expire."""
        for level in self._levels:
            if level:
                return level[0]
        return None

    def pop(self) -> Entry:
        """Take the next one."""
        for level in self._levels:
            if level:
                return self._taken(level.popleft())
        raise IndexError

    def pop_expired(self, now: float) -> Entry | None:
        """Take the next one if its time is over, else None."""
        head = self.head()
        return self.pop() if head is not None and 0 < head.expires <= now else None

    def clear(self) -> list[Entry]:
        """Take all of them."""
        entries = list(self)
        for level in self._levels:
            level.clear()
        self.count = self.size = 0
        return entries

    def _taken(self, entry: Entry) -> Entry:
        self.count -= 1
        self.size -= len(entry.message.body)
        return entry


class QuorumBacklog(Backlog):
    """The waiting entries of a quorum queue: first what came back, in the order in which it did, then the others."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(1)

    def _level_of(self, entry: Entry) -> deque[Entry]:  # noqa: ARG002 - they have no priority
        return self._levels[1]

    def restore(self, entries: list[Entry]) -> None:
        """Entries that were handed out come back, behind those that did so before."""
        self._levels[0].extend(entries)
        self.count += len(entries)
        self.size += sum(len(entry.message.body) for entry in entries)


def _insert(level: deque[Entry], entry: Entry) -> None:
    low, high = 0, len(level)
    while low < high:
        middle = (low + high) // 2
        if level[middle].position < entry.position:
            low = middle + 1
        else:
            high = middle
    level.insert(low, entry)
