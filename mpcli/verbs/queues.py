"""What waits where: every queue of the platform on both brokers, once or again and again."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Generator
from contextlib import suppress
from fnmatch import fnmatchcase
from pathlib import Path
from time import monotonic, sleep, time

from mpcli.bus.naming import Mode, check_service, dead_letter_queue, queue_name
from mpcli.errors import ConfigError, InvalidName, MpError, NotFound, UsageError
from mpcli.platform.contexts import Context, resolve
from mpcli.verbs.queue_place import services, suggestion
from mpcli.verbs.queue_rows import QueueRow, QueueWatch
from mpcli.wire import aside

# Delays, events, remote control, taps, replies.
_HELPER = re.compile(
    r"celery_delayed_\d+|celeryev(\..*)?|.*celery\.pidbox|mp\.[a-z]+\.[0-9a-f-]{16,}(\..*)?|amq\.gen-.*"
    r"|[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}"
)
_SIGNS = "*?["
# Within a service, in the order of a message's life.
_ORDER = {"sync": 1, "async": 2, "dead": 3}


class Snapshot:
    """All queues at one moment (`at`, seconds since 1970). By broker: the error of one that cannot be asked, and why
    there is no management API, which is empty where there is one."""

    __slots__ = ("at", "failures", "management", "rows")

    def __init__(self) -> None:
        self.at = time()
        self.rows: list[QueueRow] = []
        self.failures: dict[str, MpError] = {}
        self.management: dict[str, str] = {}


def queues(start: Path, pattern: str = "", everything: bool = False, context: str | None = None) -> Snapshot:
    """Look once. With `everything` helper queues are among them, where the management API can list them.

    Raises `UsageError` when no queue is known and none is named, `NotFound` when none matches, and what
    `Context.endpoint` raises when there is no broker at all; a broker that cannot be asked is in `failures`.
    """
    overview = _Overview(start, pattern, everything, context)
    try:
        return overview.look()
    finally:
        overview.close()


def watch(
    start: Path, pattern: str = "", everything: bool = False, context: str | None = None, every: float = 1.0
) -> Generator[Snapshot, None, None]:
    """Look every so many seconds, for ever; a broker that goes away is in `failures` until it is back.

    Raises as `queues` does, at the first look only.
    """
    overview = _Overview(start, pattern, everything, context)
    try:
        due = monotonic()
        yield overview.look()
        while True:
            due += every
            sleep(max(due - monotonic(), 0.01))
            yield overview.look(again=True)
    finally:
        overview.close()


class _Overview:
    def __init__(self, start: Path, pattern: str, everything: bool, context: str | None) -> None:
        around = resolve(start, context)
        self._around = around
        self._pattern = pattern
        self._everything = everything
        self._known = services(around)
        self._names = _names(self._known, pattern, around.prefix)
        self._brokers = [QueueWatch(around, mode) for mode in _modes(around)]

    def look(self, again: bool = False) -> Snapshot:
        snapshot = Snapshot()
        asked = _together([lambda broker=broker: broker.look(self._names[broker.mode]) for broker in self._brokers])  # type: ignore[misc]
        for broker, answer in zip(self._brokers, asked, strict=True):
            snapshot.management[broker.mode] = broker.no_management
            if isinstance(answer, MpError):
                snapshot.failures[broker.mode] = answer
            else:
                shown = {row.name for row in snapshot.rows} if broker.address == self._brokers[0].address else set()
                snapshot.rows += [row for row in answer if self._wanted(row) and row.name not in shown]
        if not again:
            self._check(snapshot)
        snapshot.rows.sort(key=lambda row: (row.name.rpartition(".")[0], _ORDER.get(row.name.rpartition(".")[2], 0)))
        return snapshot

    def _wanted(self, row: QueueRow) -> bool:
        if not row.there and row.name.rpartition(".")[0] not in self._known:
            return False  # it was only looked whether it is there
        if row.name == self._pattern:
            return row.there
        if not self._everything and is_helper(row.name):
            return False
        return matches(row.name, self._pattern)

    def _check(self, snapshot: Snapshot) -> None:
        if len(snapshot.failures) == len(self._brokers):
            raise next(iter(snapshot.failures.values()))
        if snapshot.rows or snapshot.failures:
            return
        if self._pattern:
            raise NotFound(
                f"no queue matches {self._pattern!r}",
                suggestion(self._around, self._pattern) or "`mp queues` lists those of the services that are known",
            )
        raise UsageError(
            "no service is known here, and no management API lists the queues", "name one: mp queues mplogin"
        )

    def close(self) -> None:
        for broker in self._brokers:
            broker.close()


def _modes(around: Context) -> list[Mode]:
    """The brokers to ask: a context that names only one has only one."""
    if around.file is None:
        return list(Mode)
    found = []
    for mode in Mode:
        try:
            there = around.find(mode) is not None
        except ConfigError:
            there = True  # it is named, and what is wrong with it is to be told
        found += [mode] if there else []
    return found


def is_helper(queue: str) -> bool:
    """Whether it is one of those that Celery, kombu and mp make for themselves."""
    return _HELPER.fullmatch(queue) is not None


def matches(queue: str, pattern: str) -> bool:
    """Whether the name is meant: by a shell pattern, or without its signs by a part of the name."""
    if any(sign in pattern for sign in _SIGNS):
        return fnmatchcase(queue, pattern)
    return pattern in queue


def _names(known: list[str], pattern: str, prefix: str) -> dict[Mode, list[str]]:
    """The queues to ask each broker for; what is named in full is looked for on both."""
    literal = pattern and not any(sign in pattern for sign in _SIGNS)
    if literal:
        with suppress(InvalidName):  # then it is a part of a name, or a queue of somebody else's
            known = sorted({*known, check_service(pattern.partition(".")[0], prefix)})
    names: dict[Mode, list[str]] = {
        Mode.SYNC: [queue_name(service, Mode.SYNC) for service in known],
        Mode.ASYNC: [name for one in known for name in (queue_name(one, Mode.ASYNC), dead_letter_queue(one))],
    }
    for mode, own in names.items():
        names[mode] = [name for name in own if matches(name, pattern)]
        if literal and pattern not in names[mode]:
            names[mode].append(pattern)
    return names


def _together(work: list[Callable[[], list[QueueRow]]]) -> list[list[QueueRow] | MpError]:
    """Do all at once: a broker that does not answer must not hold up the other one."""
    results: list[list[QueueRow] | MpError] = [MpError("not asked")] * len(work)

    def run(number: int) -> None:
        try:
            results[number] = work[number]()
        except MpError as error:
            results[number] = error

    threads = [threading.Thread(target=run, args=(number,), daemon=True) for number in range(len(work))]
    for thread in threads:
        aside.start(thread)
    for thread in threads:
        thread.join()
    return results
