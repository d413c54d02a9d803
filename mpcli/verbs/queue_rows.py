"""What one broker tells of its queues: counts by AMQP, the rest by the management API where there is one."""

from __future__ import annotations

from time import monotonic, time

from mpcli.bus.naming import Mode
from mpcli.errors import BrokerError, BrokerRefused
from mpcli.platform.contexts import Context
from mpcli.verbs.queue_place import is_dead, told
from mpcli.wire.connection import Connection
from mpcli.wire.handshake import connect
from mpcli.wire.management import OFF, Management, NoManagement, QueueFacts
from mpcli.wire.queue_counts import Counts, QueueCounter
from mpcli.wire.url import BrokerUrl


class QueueRow:
    """A queue as it is now. None is what is not known here.

    `there` is false for a queue of a known service that does not exist (yet). `ready` messages wait, `unacked` are out
    to consumers. Rates are messages per second: `in_rate` and `out_rate` as the broker tells them, `change` what
    `ready` grew by since the look before. `oldest` is the age of the first message in seconds. `problem` says why the
    broker tells nothing.
    """

    __slots__ = (
        *("broker", "change", "consumers", "in_rate", "name", "oldest", "out_rate", "problem", "ready", "there"),
        *("type", "unacked"),
    )

    def __init__(self, name: str, broker: str) -> None:
        self.name = name
        self.broker = broker
        self.there = True
        self.type = self.problem = ""
        self.ready: int | None = None
        self.consumers: int | None = None
        self.unacked: int | None = None
        self.in_rate: float | None = None
        self.out_rate: float | None = None
        self.change: float | None = None
        self.oldest: float | None = None

    @property
    def dead(self) -> bool:
        """Whether it is a queue of dead letters."""
        return is_dead(self.name)

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        names = ("name", "broker", "there", "type", "dead", "ready", "unacked", "consumers")
        rates = ("in_rate", "out_rate", "change", "oldest")
        found = {name: getattr(self, name) for name in names}
        found |= {name: None if (value := getattr(self, name)) is None else round(value, 3) for name in rates}
        return found | ({"problem": self.problem} if self.problem else {})


class QueueWatch:
    """The queues of one broker, asked for again and again over one connection. `no_management` says why what only the
    management API tells is not known."""

    def __init__(self, around: Context, mode: Mode) -> None:
        self.mode = mode
        self.no_management = ""
        self._around = around
        self._connection: Connection | None = None
        self._counter: QueueCounter | None = None
        self._management: Management | None = None
        self._before: dict[str, tuple[int, float]] = {}

    @property
    def address(self) -> str:
        """What it is connected to; the two of a platform may be one."""
        return str(self._connection.url) if self._connection is not None else ""

    def look(self, names: list[str]) -> list[QueueRow]:
        """These queues and all that the management API lists. Raises as `Context.endpoint`, and `BrokerError`."""
        endpoint = self._around.endpoint(self.mode)  # anew: the platform may have been started on another port
        try:
            with told(endpoint):
                counter = self._open(endpoint.url)
                facts = self._facts()
                counts = counter.count([*names, *(name for name in facts if name not in names)])
        except BrokerError:
            self.close()
            raise
        now = monotonic()
        return [self._row(name, counts[name], facts.get(name), now) for name in counts]

    def _open(self, url: str) -> QueueCounter:
        if self._connection is None or self._counter is None:
            self._connection = connect(url, name="mp queues")
            self._counter = QueueCounter(self._connection)
            self._find_management(self._connection.url)
        return self._counter

    def _find_management(self, url: BrokerUrl) -> None:
        address, self._management = self._around.management(self.mode), None
        if address == OFF:
            self.no_management = "switched off"
            return
        try:
            self._management = Management(url, address)
        except NoManagement as reason:
            self.no_management = str(reason)

    def _facts(self) -> dict[str, QueueFacts]:
        if self._management is None:
            return {}
        try:
            found = {fact.name: fact for fact in self._management.queues()}
        except NoManagement as reason:
            self.no_management, self._management = str(reason), None
            return {}
        self.no_management = ""
        return found

    def _row(self, name: str, counts: Counts | BrokerRefused | None, facts: QueueFacts | None, now: float) -> QueueRow:
        row = QueueRow(name, self.mode)
        if facts is not None:
            row.type, row.unacked, row.in_rate, row.out_rate = facts.type, facts.unacked, facts.in_rate, facts.out_rate
            row.ready, row.consumers = facts.ready, facts.consumers
            row.oldest = max(time() - facts.oldest, 0.0) if facts.oldest else None
        if isinstance(counts, BrokerRefused):
            row.problem = counts.hint or counts.message
        elif counts is None:
            row.there = False
        else:
            # The API's are up to five seconds old; these are of now.
            row.ready, row.consumers = counts.ready, counts.consumers
            before, at = self._before.get(name, (counts.ready, now))
            row.change = (counts.ready - before) / (now - at) if now > at else None
            self._before[name] = (counts.ready, now)
        return row

    def close(self) -> None:
        """Hang up; the next look connects again."""
        if self._connection is not None:
            self._connection.close()
        self._connection = self._counter = None
