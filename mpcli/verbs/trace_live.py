"""A trace of what happens now: of an id, until it has all its ends, or of a call that is made for it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from contextlib import closing
from pathlib import Path
from time import monotonic

from mpcli.bus.naming import TaskName
from mpcli.errors import NotFound
from mpcli.platform.contexts import Ask, Context, allow_write, resolve
from mpcli.recording.format import EVENT, TASK
from mpcli.verbs.call import call_task
from mpcli.verbs.seen import Seen
from mpcli.verbs.selection import Selection
from mpcli.verbs.tail import absent_services, known_services, message_kinds, places_of
from mpcli.verbs.trace import Collector, Trace, checked
from mpcli.wire import aside
from mpcli.wire.celery_message import origin
from mpcli.wire.events import task_events
from mpcli.wire.tap_events import Arrived, Dropped, Event, Gap, Ready
from mpcli.wire.taps import watch

PATIENCE = 30.0
_PULSE, _GROWTH = 0.1, 0.25
# Seconds without news after which a trace that has all its ends is taken for whole: two brokers have no common order.
_SETTLED = 0.5


class Tapping:
    """The taps are open on the exchanges of `services`; `so_far` is what is known by now, for one who interrupts."""

    __slots__ = ("services", "so_far")

    def __init__(self, services: list[str], so_far: Callable[[], Trace | None]) -> None:
        self.services = services
        self.so_far = so_far


class Growing:
    """There is more of it, and more to come."""

    __slots__ = ("trace",)

    def __init__(self, trace: Trace) -> None:
        self.trace = trace


TraceEvent = Tapping | Growing | Trace


def trace_live(
    start: Path,
    wanted: str,
    *,
    services: list[str] | None = None,
    seconds: float = PATIENCE,
    context: str | None = None,
) -> Generator[TraceEvent, None, None]:
    """Watch until the root that `wanted` means has all its ends, for so many seconds at most.

    `services` are patterns as `mp tail` takes them, all services of the platform when there are none. The last event
    is the `Trace`. Raises `NotFound` when nothing of it passed, and `MpError` as `mp tail` does.
    """
    wanted = checked(wanted)
    watcher = _Watcher(resolve(start, context), services or [], wanted)
    yield from watcher.run(seconds)
    found = watcher.so_far()
    if found is None:
        raise NotFound(
            f"nothing of {wanted!r} passed in {seconds:g} s",
            "a tap sees what is sent from now on; `mp trace ID FILE` reads a recording",
        )
    yield found


def trace_call(
    start: Path,
    task: str,
    args: list[object],
    kwargs: dict[str, object],
    *,
    services: list[str] | None = None,
    seconds: float = PATIENCE,
    context: str | None = None,
    yes: bool = False,
    ask: Ask | None = None,
    note: Callable[[str], None] | None = None,
) -> Generator[TraceEvent, None, None]:
    """Call `task`, as `mp call` does, and watch what comes of it: for so many seconds at most, the call's own included.

    The last event is the `Trace`. Raises what the call raised: behind the trace, when there is one.
    """
    around = resolve(start, context)
    name = TaskName.parse(task, around.prefix)
    allow_write(around, f"call {name}", yes, ask)  # before anything is tapped, and in the thread that may ask
    call = _Call(
        lambda: call_task(task, args, kwargs, timeout=seconds, start=str(start), context=context, yes=True, note=note)
    )
    watcher = _Watcher(around, services or [], "")
    watcher.expect(str(name))
    yield from watcher.run(seconds, call)
    found = watcher.so_far()
    if found is not None:
        yield found
    call.settle()
    if found is None:
        raise NotFound(f"the call of {name} was not seen on its way", "is its exchange another service's?")


class _Call:
    """A call in a thread of its own."""

    def __init__(self, call: Callable[[], object]) -> None:
        self._call = call
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        aside.start(self._thread)

    def _run(self) -> None:
        try:
            self._call()
        except Exception as error:  # noqa: BLE001 - it is raised in the thread that waits
            self._failure = error

    @property
    def ended(self) -> bool:
        """Whether there is nothing more to wait for."""
        return not self._thread.is_alive()

    @property
    def failed(self) -> bool:
        return self._failure is not None

    def settle(self) -> None:
        """Raise what it raised; its own timeout is its deadline."""
        self._thread.join()
        if self._failure is not None:
            raise self._failure


class _Watcher:
    """Taps the services and collects, until the root that is meant has all its ends."""

    def __init__(self, around: Context, patterns: list[str], wanted: str) -> None:
        self._known = known_services(around)
        self._selection = Selection(patterns, around.prefix, self._known)
        self._places = places_of(around, self._selection)
        self._kinds = message_kinds(self._selection.services)
        self._collector = Collector(wanted)
        self._expected = ""
        self._looked = 0.0

    def expect(self, task: str) -> None:
        """The next call of this task that this process sends is the root."""
        self._expected = task

    def so_far(self) -> Trace | None:
        """What is known by now; None when nothing of it was seen."""
        root_id = self._collector.roots.found
        return self._collector.trace(root_id) if root_id else None

    def run(self, seconds: float, call: _Call | None = None) -> Generator[Tapping | Growing, None, None]:
        """Collect."""
        told = 0.0
        with closing(watch(self._places, seconds=seconds, pulse=_PULSE)) as events:
            for event in events:
                if isinstance(event, Ready):
                    absent_services(event, self._selection.services, self._known)
                    yield Tapping(self._selection.services, self.so_far)
                    if call is not None:
                        call.start()
                    continue
                self._take(event)
                if self._is_whole(call):
                    return
                if monotonic() - told > _GROWTH and self._collector.news > told and (found := self.so_far()):
                    told = monotonic()
                    yield Growing(found)

    def _take(self, event: Event) -> None:
        collector = self._collector
        if isinstance(event, Dropped):
            collector.dropped += event.count
        elif isinstance(event, Gap):
            collector.gaps += 1
        elif isinstance(event, Arrived):
            for message in event.messages:
                kind = self._kinds.get(message.exchange, TASK)
                if kind == EVENT:
                    for told in task_events(message):
                        collector.event(told, event.broker, event.at)
                    continue
                seen = Seen(kind, event.broker, event.at, message)
                collector.message(seen)
                if self._expected:
                    self._recognise(seen)

    def _recognise(self, seen: Seen) -> None:
        if seen.task == self._expected and seen.view.field("origin") == origin():
            self._expected = ""
            self._collector.roots.mean(seen.view.id)

    def _is_whole(self, call: _Call | None) -> bool:
        if call is not None and not call.ended:
            return False
        collector, now = self._collector, monotonic()
        if now - collector.news < _SETTLED:
            return False
        if not collector.roots.found:
            return call is not None and call.failed
        if self._looked > collector.news:
            return False
        self._looked = now
        found = self.so_far()
        return found is not None and found.complete
