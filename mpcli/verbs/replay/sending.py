"""Sending what was planned: in windows with confirms, at a pace, each message accounted for and journaled."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from time import monotonic

from mpcli.bus.naming import Mode
from mpcli.errors import BrokerRefused, MpError
from mpcli.platform.contexts import Endpoint
from mpcli.verbs.replay.journal import Journal
from mpcli.verbs.replay.planning import Planned
from mpcli.verbs.replay.sources import Item, Source
from mpcli.verbs.replay.summary import Summary
from mpcli.wire.connection import Connection
from mpcli.wire.frames import CONTENT_START, FRAME_OVERHEAD
from mpcli.wire.handshake import connect
from mpcli.wire.message import Message
from mpcli.wire.methods import EXCHANGE_DECLARE
from mpcli.wire.publisher import CONFIRMED, RETURNED, Publisher
from mpcli.wire.refusal import NOT_FOUND

# Seconds: how long the loop sleeps at most, so that it can be stopped; how often an idle source is kept alive.
_GLANCE, _BEAT = 0.1, 1.0
_HEADER_OVERHEAD = FRAME_OVERHEAD + CONTENT_START.size  # bytes of a header frame around the properties
_LOOK = 2  # a channel that the broker may close


class NotSent:
    """A message that stayed where it was, and why: `what` is skipped, returned or refused."""

    __slots__ = ("planned", "reason", "what")

    def __init__(self, planned: Planned, what: str, reason: str) -> None:
        self.planned = planned
        self.what = what
        self.reason = reason


class Sent:
    """These are confirmed, journaled, and gone from their queue."""

    __slots__ = ("planned",)

    def __init__(self, planned: list[Planned]) -> None:
        self.planned = planned


class Pace:
    """When a message may go: so many a second, or as it was recorded, so many times as fast."""

    def __init__(self, rate: float | None = None, speed: float | None = None) -> None:
        self.free = rate is None and speed is None
        self._rate = rate
        self._speed = speed
        self._count = 0
        self._begun = 0.0
        self._first = 0.0

    def due(self, at: float) -> float:
        """When the next message may go, one that was recorded `at`; on the clock of `time.monotonic`."""
        if not self._begun:
            self._begun, self._first = monotonic(), at
        due = self._begun
        if self._rate is not None:
            due += self._count / self._rate
        if self._speed is not None:
            due = max(due, self._begun + (at - self._first) / self._speed)
        return due

    def count(self) -> None:
        """One was sent."""
        self._count += 1


class Line:
    """The connection to one broker, and what is under way on it."""

    def __init__(self, mode: str, endpoint: Endpoint, stack: ExitStack) -> None:
        self.mode = mode
        self.url = endpoint.url
        self.connection: Connection = stack.enter_context(connect(endpoint.url, name="mp replay"))
        self.publisher: Publisher
        self.pending: dict[int, Planned] = {}
        self._exchanges: dict[str, str] = {"": ""}

    def begin(self) -> None:
        """Publish from now on. Channel 1 may have got a consumer before."""
        self.publisher = Publisher(self.connection)
        self.connection.open_channel(_LOOK)

    def missing(self, exchange: str) -> str:
        """Why nothing can be published to the exchange; empty when it is there. Asked once for each."""
        known = self._exchanges.get(exchange)
        if known is None:
            known = self._exchanges[exchange] = self._look(exchange)
        return known

    def too_large(self, message: Message) -> str:
        """Why the broker would hang up on the message; empty for one that it takes. A body may go in many frames, its
        properties may not."""
        size, most = len(message.raw_properties) + _HEADER_OVERHEAD, self.connection.frame_max
        return (
            f"its properties need a frame of {size} bytes, the {self.mode} broker takes {most}"
            if size > most > 0
            else ""
        )

    def _look(self, exchange: str) -> str:
        try:
            self.connection.request(
                EXCHANGE_DECLARE, exchange, "topic", True, False, False, False, False, {}, channel=_LOOK
            )
        except BrokerRefused as error:
            self.connection.open_channel(_LOOK)
            return f"no exchange {exchange} on the {self.mode} broker" if error.code == NOT_FOUND else ""
        return ""

    def send(self, batch: Sequence[Planned]) -> None:
        """Publish these."""
        first = self.publisher.send([planned.rewritten.message for planned in batch])
        self.pending.update(enumerate(batch, first))


class Sending:
    """Sends the messages of a plan. `summary` is always up to date."""

    def __init__(
        self,
        source: Source,
        journal: Journal,
        pace: Pace,
        summary: Summary,
        lines: dict[str, Line],
    ) -> None:
        self.summary = summary
        # Told what is about to be sent.
        self.before: Callable[[list[Planned]], None] | None = None
        self._source = source
        self._journal = journal
        self._pace = pace
        self._lines = lines
        self._next: Planned | None = None
        self._beat_at = monotonic() + _BEAT

    def run(self, messages: Iterator[Planned]) -> Iterator[Sent | NotSent | None]:
        """Send all; what became of them as it is known, None now and then while nothing happens.

        When it is closed, what is under way is still waited for, a moment, and journaled. Raises `BrokerError`.
        """
        try:
            self._next = next(messages, None)
            while self._next is not None or any(line.pending for line in self._lines.values()):
                yield from self._fill(messages)
                yield from self._settle(_GLANCE)
                self._beat()
        finally:
            self._drain()

    def _fill(self, messages: Iterator[Planned]) -> Iterator[NotSent]:
        """Take what may go now, as much as every line has room for."""
        room = min(line.publisher.room for line in self._lines.values()) if self._lines else 1
        if self._lines and self._pace.free and room < next(iter(self._lines.values())).publisher.window // 2:
            return
        batches: dict[str, list[Planned]] = {mode: [] for mode in self._lines}
        count = 0
        while (planned := self._next) is not None and count < room:
            if planned.number in self._journal.confirmed:
                self._source.done([_item(planned)])  # a crash came between the journal and this
            elif (stays := self._stays(planned)) is not None:
                yield stays
            elif not self._pace.free and self._pace.due(planned.seen.at) > monotonic():
                break
            else:
                self._pace.count()
                batches[planned.seen.broker].append(planned)
                count += 1
            self._next = next(messages, None)
        for mode, batch in batches.items():
            if batch:
                if self.before is not None:
                    self.before(batch)
                self._lines[mode].send(batch)

    def _stays(self, planned: Planned) -> NotSent | None:
        """Why a message is not sent; None for one to send."""
        if planned.rewritten.skip:
            self.summary.skipped += 1
            return NotSent(planned, "skipped", planned.rewritten.skip)
        line = self._lines[planned.seen.broker]
        if reason := line.missing(planned.rewritten.exchange) or line.too_large(planned.rewritten.message):
            self.summary.refused += 1
            return NotSent(planned, "refused", reason)
        return None

    def _settle(self, seconds: float) -> Iterator[Sent | NotSent | None]:
        busy = [line for line in self._lines.values() if line.pending]
        if not busy:
            self._sleep(seconds)
            yield None
        for line in busy:
            yield from self._settled(line, monotonic() + self._patience(seconds) / len(busy))
        self.summary.unknown = sum(len(line.pending) for line in self._lines.values())

    def _patience(self, seconds: float) -> float:
        """Not beyond the time at which the next message is due."""
        if self._next is None or self._pace.free:
            return seconds
        return max(min(seconds, self._pace.due(self._next.seen.at) - monotonic()), 0.001)

    def _sleep(self, seconds: float) -> None:
        from time import sleep

        if self._next is not None:
            sleep(self._patience(seconds))

    def _settled(self, line: Line, deadline: float) -> list[Sent | NotSent | None]:
        """What the broker has said; the confirmed are journaled, then taken from their queue, then told."""
        confirmed: list[Planned] = []
        events: list[Sent | NotSent | None] = []
        for one in line.publisher.settle(deadline):
            planned = line.pending.pop(one.number)
            if one.what == CONFIRMED:
                confirmed.append(planned)
            elif one.what == RETURNED:
                self.summary.returned += 1
                route = f"{one.message.exchange or 'the default exchange'} with key {one.message.routing_key}"
                events.append(NotSent(planned, "returned", f"no queue takes it at {route}"))
            else:
                self.summary.refused += 1
                events.append(NotSent(planned, "refused", "the broker could not take it: is its queue full?"))
        if confirmed:
            self._journal.confirm(planned.number for planned in confirmed)
            self._source.done(map(_item, confirmed))
            self.summary.confirmed += len(confirmed)
            events.append(Sent(confirmed))
        return events or [None]

    def _beat(self) -> None:
        if monotonic() >= self._beat_at:
            self._source.beat()
            for line in self._lines.values():  # the next message may be due in an hour
                line.connection.stay_alive()
            self._beat_at = monotonic() + _BEAT

    def _drain(self, seconds: float = 2.0) -> None:
        """Stopped in the middle: hear what the broker still has to say, so that a resume sends less twice."""
        deadline = monotonic() + seconds
        for line in self._lines.values():
            try:
                while line.pending and monotonic() < deadline:
                    self._settled(line, deadline)
            except MpError:
                continue  # it is the connection that ended it
        self.summary.unknown = sum(len(line.pending) for line in self._lines.values())


def _item(planned: Planned) -> Item:
    return Item(planned.number, planned.seen)


def open_lines(modes: set[str], endpoint: Callable[[Mode], Endpoint], stack: ExitStack) -> dict[str, Line]:
    """A connection to each broker that is needed. Raises `MpError` before anything is sent."""
    return {mode: Line(mode, endpoint(Mode(mode)), stack) for mode in sorted(modes)}
