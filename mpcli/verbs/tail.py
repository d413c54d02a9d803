"""Watching messages without taking any, and what became of them."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import ExitStack, closing
from itertools import groupby
from pathlib import Path

from mpcli.bus.naming import Mode, dead_letter_exchange
from mpcli.errors import UnknownService
from mpcli.platform.contexts import Context, resolve
from mpcli.recording.format import DEAD, DROPPED, EVENT, GAP, TASK, Entry
from mpcli.recording.writer import Writer
from mpcli.verbs.pairing import Pairing
from mpcli.verbs.parameters import parameter_names
from mpcli.verbs.seen import Outcome, Seen, task_of
from mpcli.verbs.selection import Selection
from mpcli.verbs.where import Where
from mpcli.wire.events import EVENT_EXCHANGE
from mpcli.wire.message import Message
from mpcli.wire.tap_events import Arrived, Dropped, Event, Exchange, Gap, Lost, Pulse, Ready
from mpcli.wire.tap_queues import MAX_MESSAGES
from mpcli.wire.taps import Place, watch


class Started:
    """Every tap is open. `waiting` names services whose exchange is not there yet, `parameters` those of each task.

    `summary` goes on counting, so that a watch that is interrupted has one too.
    """

    __slots__ = ("parameters", "services", "summary", "waiting")

    def __init__(
        self, services: list[str], waiting: list[str], parameters: dict[str, list[str]], summary: Summary
    ) -> None:
        self.services = services
        self.waiting = waiting
        self.parameters = parameters
        self.summary = summary


class Batch:
    """What came together, in its order."""

    __slots__ = ("items",)

    def __init__(self, items: list[Seen | Outcome]) -> None:
        self.items = items


class Summary:
    """How it went: messages and outcomes that were wanted, what is known to be missing, seconds."""

    __slots__ = (
        "dropped",
        "events",
        "exact",
        "failure",
        "failures",
        "gap_seconds",
        "gaps",
        "messages",
        "outcomes",
        "record",
    )

    def __init__(self) -> None:
        self.messages = 0
        self.outcomes = 0
        # Messages from workers that were only copied, so that nobody knows what outcomes are in them.
        self.events = 0
        self.dropped = 0
        self.exact = True
        self.gaps = 0
        self.gap_seconds = 0.0
        # On how many messages --where raised, and how the last time.
        self.failures = 0
        self.failure = ""
        self.record = ""


TailEvent = Started | Batch | Dropped | Lost | Gap | Exchange | Summary


def tail(
    start: Path,
    patterns: list[str],
    *,
    where: str = "",
    limit: int | None = None,
    seconds: float | None = None,
    record: Path | None = None,
    show: bool = True,
    bound: int = MAX_MESSAGES,
    context: str | None = None,
) -> Generator[TailEvent, None, None]:
    """Watch the tasks that `patterns` mean on both brokers, until so many messages or seconds, or for ever.

    With `record` everything wanted is written there before the broker is told that it may forget it; with `show` false
    nothing else is done with it. The last event is the `Summary`. Raises `MpError` before anything was opened or
    written for what is wrong with the arguments; `UnknownService` when a named one is on neither broker.
    """
    condition = Where(where) if where else None
    around = resolve(start, context)
    known = known_services(around)
    selection = Selection(patterns, around.prefix, known)
    places = places_of(around, selection)
    with ExitStack() as stack:
        sieve = _Sieve(selection, condition, limit, show)
        events = stack.enter_context(closing(watch(places, seconds=seconds, max_messages=bound)))
        for event in events:
            if isinstance(event, Ready):
                waiting = absent_services(event, selection.services, known)
                if record is not None:  # only now: a file for a service that does not exist would stay behind
                    sieve.write_to(stack.enter_context(Writer(record)))
                yield Started(selection.services, waiting, parameter_names(start) if show else {}, sieve.summary)
                continue
            yield from sieve.take(event)
            if sieve.full:
                break
        yield sieve.summary


def places_of(around: Context, selection: Selection) -> list[Place]:
    """Both brokers of the context, and what to tap there."""
    found = [(mode, around.endpoint(mode)) for mode in Mode]
    return [Place(str(mode), broker.url, selection.sources(mode), broker.hint) for mode, broker in found]


def known_services(around: Context) -> list[str]:
    """The services of the platform that the context belongs to; none outside of one."""
    if not around.root:
        return []
    from mpcli.platform.layout import load_platform

    return [service.name for service in load_platform(Path(around.root)).services()]


def absent_services(ready: Ready, services: list[str], known: list[str]) -> list[str]:
    """Those without an exchange, which are waited for. Raises `UnknownService` for one that is not known either."""
    absent = [name for name in services if all(name in missing for missing in ready.missing.values())]
    for name in absent:
        if name not in known:
            raise UnknownService(f"no service {name} on either broker", f"known here: {', '.join(known) or 'none'}")
    return absent


def message_kinds(services: list[str]) -> dict[str, str]:
    """By exchange, what kind of message a tap gets there; on all others it is a task."""
    return {EVENT_EXCHANGE: EVENT, **{dead_letter_exchange(service): DEAD for service in services}}


class _Sieve:
    """Keeps what is wanted, writes it, pairs outcomes with messages, counts."""

    def __init__(self, selection: Selection, where: Where | None, limit: int | None, show: bool) -> None:
        self._selection = selection
        self._where = where
        self._limit = limit
        self._writer: Writer | None = None
        self._show = show
        self._kinds = message_kinds(selection.services)
        self._pairing = Pairing()
        self._filtered = where is not None or not selection.everything
        self.summary = Summary()

    def write_to(self, writer: Writer) -> None:
        """Record everything that is wanted."""
        self._writer = writer
        self.summary.record = str(writer.path)

    @property
    def full(self) -> bool:
        """Whether the limit is reached."""
        return self._limit is not None and self.summary.messages >= self._limit

    def take(self, event: Event) -> Iterator[TailEvent]:
        if isinstance(event, Arrived):
            if self._show or self._filtered:
                items = self._sift(event)
                if items and self._show:
                    yield Batch(items)
            else:
                self._copy(event)
        elif not isinstance(event, (Ready, Pulse)):
            self._note(event)
            yield event

    def _kind(self, message: Message) -> str:
        return self._kinds.get(message.exchange, TASK)

    def _copy(self, event: Arrived) -> None:
        """Everything as it is, nothing decoded."""
        for kind, group in groupby(event.messages, self._kind):
            messages = list(group)
            if kind != EVENT:
                if self._limit is not None:
                    del messages[self._limit - self.summary.messages :]
                self.summary.messages += len(messages)
            else:
                self.summary.events += len(messages)
            self._write(kind, event, messages)
            if self.full:
                break

    def _sift(self, event: Arrived) -> list[Seen | Outcome]:
        items: list[Seen | Outcome] = []
        kept: list[tuple[str, Message]] = []
        for message in event.messages:
            kind = self._kind(message)
            found = self._outcomes(event, message) if kind == EVENT else self._wanted(kind, event, message)
            if found or (kind == EVENT and not self._filtered):
                kept.append((kind, message))
                items += found
            if self.full:
                break
        if self._where is not None:
            self.summary.failures, self.summary.failure = self._where.failures, self._where.failure
        for kind, group in groupby(kept, lambda pair: pair[0]):
            self._write(kind, event, [message for _, message in group])
        return items

    def _write(self, kind: str, event: Arrived, messages: list[Message]) -> None:
        if self._writer is not None and messages:
            self._writer.write_messages(kind, event.broker, event.at, messages)

    def _wanted(self, kind: str, event: Arrived, message: Message) -> list[Seen]:
        if not self._selection.everything and not self._selection.wants(task_of(message.routing_key)):
            return []
        seen = Seen(kind, event.broker, event.at, message)
        if self._where is not None and not self._where(seen):
            return []
        self.summary.messages += 1
        if self._show or self._filtered:
            self._pairing.remember(seen)
        return [seen]

    def _outcomes(self, event: Arrived, message: Message) -> list[Outcome]:
        found = self._pairing.outcomes(event.broker, event.at, message)
        self.summary.outcomes += len(found)
        return found

    def _note(self, event: Dropped | Lost | Gap | Exchange) -> None:
        summary = self.summary
        if isinstance(event, Dropped):
            summary.dropped += event.count
            summary.exact = summary.exact and event.exact
            self._tell(DROPPED, event.broker, event.at, {"count": event.count, "exact": event.exact})
        elif isinstance(event, Gap):
            summary.gaps += 1
            summary.gap_seconds += event.at - event.since
            self._tell(GAP, event.broker, event.at, {"since": event.since, "seconds": event.at - event.since})

    def _tell(self, kind: str, broker: str, at: float, fields: dict[str, object]) -> None:
        if self._writer is not None:
            self._writer.write([Entry(kind, at, broker, fields=fields)])
