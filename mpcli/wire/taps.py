"""Taps on several brokers as one stream, which outlives a broker's restart and says what it missed."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterator
from selectors import EVENT_READ, DefaultSelector
from time import monotonic, time

from mpcli.errors import BrokerError, BrokerRefused, BrokerUnreachable, MpError
from mpcli.wire import aside
from mpcli.wire.refusal import ACCESS_REFUSED, NOT_ALLOWED
from mpcli.wire.tap import Tap, open_tap
from mpcli.wire.tap_events import Arrived, Dropped, Event, Exchange, Gap, Lost, Pulse, Ready
from mpcli.wire.tap_queues import MAX_MESSAGES, Source

_FIRST_DELAY, _LAST_DELAY = 0.1, 2.0
_LAST_COUNT = 1.0


class Place:
    """A broker to tap: the name we give it, its URL or URLs, what to bind to, what to do when it does not answer."""

    __slots__ = ("broker", "hint", "sources", "url")

    def __init__(self, broker: str, url: str, sources: list[Source], hint: str = "") -> None:
        self.hint = hint
        self.broker = broker
        self.url = url
        self.sources = sources


class _Line:
    """One place: an open tap, or a thread that opens one, or the time at which to try again."""

    def __init__(self, place: Place, max_messages: int) -> None:
        self.place = place
        self.tap: Tap | None = None
        self.failure: MpError | None = None
        self.lost_at = 0.0
        self.retry_at = 0.0
        self._max_messages = max_messages
        self._delay = _FIRST_DELAY
        self._opened: list[Tap | MpError] = []
        self._thread: threading.Thread | None = None
        self._given_up = False

    def start(self) -> None:
        """Begin to open a tap, aside: a broker that does not answer must not hold up the other one."""
        self._opened = []
        self._thread = threading.Thread(target=self._open, daemon=True)
        aside.start(self._thread)

    def _open(self) -> None:
        try:
            tap = open_tap(self.place.url, self.place.sources, max_messages=self._max_messages)
        except MpError as error:
            if isinstance(error, BrokerUnreachable):
                error.advise(self.place.hint)
            self._opened.append(error)
            return
        self._opened.append(tap)
        if self._given_up:
            tap.abort()

    def wait(self) -> None:
        """Until the attempt that was begun ended; it has a deadline of its own."""
        if self._thread is not None:
            self._thread.join()
        self.look()

    def look(self) -> bool:
        """Whether a tap was opened since the last look."""
        if not self._opened:
            return False
        result = self._opened.pop()
        self._thread = None
        if isinstance(result, Tap):
            self.tap, self.failure, self._delay = result, None, _FIRST_DELAY
            return True
        self.failure = result
        self.retry_at = monotonic() + self._delay
        self._delay = min(2 * self._delay, _LAST_DELAY)
        return False

    @property
    def opening(self) -> bool:
        return self._thread is not None

    def lose(self, at: float) -> None:
        if self.tap is not None:
            self.tap.abort()
        self.tap, self.lost_at, self.retry_at = None, at, monotonic() + _FIRST_DELAY

    def close(self) -> None:
        self._given_up = True
        for opened in self._opened:  # one that was opened after the last look
            if isinstance(opened, Tap):
                opened.abort()
        if self.tap is not None:
            self.tap.close()


def watch(
    places: list[Place],
    *,
    seconds: float | None = None,
    max_messages: int = MAX_MESSAGES,
    until: int | None = None,
    pulse: float | None = None,
) -> Generator[Event, None, None]:
    """What passes all places, as it comes: for so many seconds, until the descriptor `until` can be read, or until the
    iterator is closed.

    With `pulse` there is a `Pulse` at least every so many seconds, for a caller that must look at the clock. Messages
    are acknowledged when the iterator is asked for more: a caller that saved them first loses none. Raises
    `MpError` when a broker cannot be tapped at the start, or refuses later on.
    """
    stop_at = None if seconds is None else monotonic() + seconds
    lines = [_Line(place, max_messages) for place in places]
    with DefaultSelector() as selector:
        try:
            yield from _begin(lines, selector)
            if until is not None:
                selector.register(until, EVENT_READ)
            while stop_at is None or monotonic() < stop_at:
                for line in lines:
                    yield from _tick(line, selector)
                pause = _pause(lines, stop_at)
                for key, _ in selector.select(pause if pulse is None else min(pause, pulse)):
                    if key.data is None:
                        return
                    yield from _read(key.data, selector)
                if pulse is not None:
                    yield Pulse()
            for line in lines:
                yield from _last_count(line)
        finally:
            for line in lines:
                line.close()


def _begin(lines: list[_Line], selector: DefaultSelector) -> Iterator[Event]:
    for line in lines:
        line.start()
    for line in lines:
        line.wait()
    for line in lines:
        if line.failure is not None:
            raise line.failure
    for line in lines:
        if line.tap is not None:
            selector.register(line.tap, EVENT_READ, line)
    yield Ready(time(), {line.place.broker: set(line.tap.missing) for line in lines if line.tap})


def _pause(lines: list[_Line], stop_at: float | None) -> float:
    """Seconds to sleep at most."""
    now = monotonic()
    due = [now + 1.0] if stop_at is None else [now + 1.0, stop_at]
    for line in lines:
        if line.tap is not None:
            due.append(line.tap.due)
        else:
            due.append(now + 0.02 if line.opening else line.retry_at)
    return max(min(due) - now, 0.0)


def _tick(line: _Line, selector: DefaultSelector) -> Iterator[Event]:
    broker = line.place.broker
    if line.tap is not None:
        try:
            line.tap.tick(monotonic())
        except BrokerError as error:
            yield _lose(line, selector, error)
    elif line.look() and line.tap is not None:
        selector.register(line.tap, EVENT_READ, line)
        yield Gap(broker, time(), line.lost_at)
    elif isinstance(line.failure, BrokerRefused) and line.failure.code in (ACCESS_REFUSED, NOT_ALLOWED):
        raise line.failure
    elif not line.opening and monotonic() >= line.retry_at:
        line.start()


def _read(line: _Line, selector: DefaultSelector) -> Iterator[Event]:
    tap, broker = line.tap, line.place.broker
    if tap is None:
        return
    try:
        messages = tap.read()
        at = time()
        if messages:
            yield Arrived(broker, at, messages)
            tap.acknowledge()
    except BrokerError as error:
        yield _lose(line, selector, error)
        return
    yield from _noticed(tap, broker, at)


def _noticed(tap: Tap, broker: str, at: float) -> Iterator[Event]:
    if tap.dropped or tap.uncounted:
        yield Dropped(broker, at, tap.dropped, not tap.uncounted)
        tap.dropped, tap.uncounted = 0, False
    for names, there in ((tap.found, True), (tap.vanished, False)):
        while names:
            yield Exchange(broker, at, names.pop(0), there)


def _lose(line: _Line, selector: DefaultSelector, error: BrokerError) -> Lost:
    if line.tap is not None:
        selector.unregister(line.tap)
    line.lose(time())
    return Lost(line.place.broker, line.lost_at, error.message)


def _last_count(line: _Line) -> Iterator[Event]:
    """What was dropped since the last count; the messages that come meanwhile are behind the end."""
    from select import select

    tap = line.tap
    if tap is None:
        yield Gap(line.place.broker, time(), line.lost_at)
        return
    deadline = monotonic() + _LAST_COUNT
    try:
        tap.count()
        while tap.counting and monotonic() < deadline:
            if select([tap], [], [], 0.1)[0]:
                tap.read()
    except BrokerError:
        return  # it went away with the count
    yield from _noticed(tap, line.place.broker, time())
