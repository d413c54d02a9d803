"""Looking at recordings: what is in one, how much, where something is, how two differ."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path

from mpcli.errors import UsageError
from mpcli.recording.format import DEAD, DROPPED, EVENT, GAP, TASK, Entry
from mpcli.recording.reader import Reader
from mpcli.verbs.pairing import Pairing
from mpcli.verbs.seen import Outcome, Seen
from mpcli.verbs.where import Where
from mpcli.wire.codec import plain
from mpcli.wire.events import task_events
from mpcli.wire.message import Message, type_name


class Missing:
    """What a recording says it lacks, or what is damaged in it; a text for people, and its fields."""

    __slots__ = ("at", "broker", "fields", "kind")

    def __init__(self, kind: str, broker: str, at: float, fields: dict[str, object]) -> None:
        self.kind = kind
        self.broker = broker
        self.at = at
        self.fields = fields


Item = Seen | Outcome | Missing


def show(
    path: Path, *, where: str = "", pattern: str = "", ignore_case: bool = False, limit: int | None = None
) -> Iterator[Item]:
    """The messages of a recording with their outcomes, those that `where` and the regular expression `pattern` match.

    Raises `UsageError` for either of them, `NotARecording` for the file.
    """
    condition = Where(where) if where else None
    expression = _compiled(pattern, ignore_case) if pattern else None
    return _show(Reader(path), condition, expression, limit)


def _show(reader: Reader, where: Where | None, expression: re.Pattern[str] | None, limit: int | None) -> Iterator[Item]:
    pairing, count = Pairing(), 0
    filtered = where is not None or expression is not None
    for entry in reader:
        if entry.kind == EVENT and entry.message is not None:
            yield from pairing.outcomes(entry.broker, entry.at, entry.message)
        elif entry.message is None:
            if not filtered:
                yield Missing(entry.kind, entry.broker, entry.at, entry.fields)
        elif limit is None or count < limit:
            seen = Seen(entry.kind, entry.broker, entry.at, entry.message)
            if (where is None or where(seen)) and (expression is None or _found(expression, seen)):
                count += 1
                pairing.remember(seen)
                yield seen
    yield from _damage(reader)


def _damage(reader: Reader) -> Iterator[Missing]:
    if reader.damage:
        yield Missing("damaged", "", 0.0, {"file": str(reader.path), "damage": reader.damage})


def _compiled(pattern: str, ignore_case: bool) -> re.Pattern[str]:
    try:
        return re.compile(pattern, re.IGNORECASE if ignore_case else 0)
    except (re.error, RecursionError, OverflowError) as error:
        raise UsageError(
            f"{pattern!r} is not a regular expression: {error}", "quote what is meant literally"
        ) from error


def _found(expression: re.Pattern[str], seen: Seen) -> bool:
    return any(expression.search(text) for text in _texts(seen))


def _texts(seen: Seen) -> Iterator[str]:
    """Everything of a message that can be read, part by part; the body as it is under its compression."""
    message, view = seen.message, seen.view
    yield from (message.exchange, message.routing_key, seen.task)
    for name, value in view.properties.items():
        if name != "headers":
            yield str(value)
    for name, value in view.headers.items():
        yield f"{name}={plain(value)}"
    yield view.data().decode("utf-8", "backslashreplace")


class Statistics:
    """Counts over a whole recording. `tasks` is by broker and task; `outcomes` by task and what came of it."""

    __slots__ = (
        *("bytes", "damage", "damaged", "dead", "dropped", "events", "first", "gap_seconds", "gaps"),
        *("last", "messages", "outcomes", "size", "tasks", "torn"),
    )

    def __init__(self) -> None:
        self.messages = self.dead = self.events = 0
        self.bytes = self.size = 0
        self.first: float | None = None
        self.last: float | None = None
        self.tasks: Counter[tuple[str, str]] = Counter()
        self.outcomes: Counter[tuple[str, str]] = Counter()
        self.dropped = self.gaps = 0
        self.gap_seconds = 0.0
        self.damaged: list[int] = []
        self.torn = False
        self.damage = ""


def stat(path: Path) -> Statistics:
    """Count what is in a recording. Raises `NotARecording`."""
    reader, found = Reader(path), Statistics()
    names: dict[str, str] = {}
    for entry in reader:
        if entry.message is None:
            _count_missing(found, entry)
            continue
        found.first = entry.at if found.first is None else min(found.first, entry.at)
        found.last = entry.at if found.last is None else max(found.last, entry.at)
        if entry.kind == EVENT:
            found.events += 1
            for told in task_events(entry.message):
                if told.id in names:
                    found.outcomes[names[told.id], told.what] += 1
            continue
        seen = Seen(entry.kind, entry.broker, entry.at, entry.message)
        found.messages += entry.kind == TASK
        found.dead += entry.kind == DEAD
        found.bytes += len(entry.message.body)
        found.tasks[entry.broker, seen.task] += 1
        names[seen.view.id] = seen.task
    found.size = path.stat().st_size
    found.damaged, found.torn, found.damage = reader.damaged, reader.torn, reader.damage
    return found


def _count_missing(found: Statistics, entry: Entry) -> None:
    number = entry.fields.get("count" if entry.kind == DROPPED else "seconds")
    amount = number if isinstance(number, (int, float)) else 0
    if entry.kind == DROPPED:
        found.dropped += int(amount)
    elif entry.kind == GAP:
        found.gaps += 1
        found.gap_seconds += amount


class Difference:
    """Two messages that belong together, or one that has no counterpart; `changes` name a field and both values."""

    __slots__ = ("changes", "left", "right")

    def __init__(self, left: Seen | None, right: Seen | None, changes: list[tuple[str, str, str]]) -> None:
        self.left = left
        self.right = right
        self.changes = changes


def diff(left: Path, right: Path) -> Iterator[Difference | Missing]:
    """How the messages of two recordings differ, no difference when they hold the same; first what is damaged in them.

    They are paired by task id, the first with the first, and what is left by task and body: a replay gives new ids.
    """
    readers = Reader(left), Reader(right)
    ours, theirs = map(_messages, readers)
    return chain(*map(_damage, readers), _differences(ours, theirs))


def _differences(ours: list[Seen], theirs: list[Seen]) -> Iterator[Difference]:
    pairs, ours, theirs = _paired(ours, theirs, lambda seen: (seen.kind, seen.view.id))
    more, ours, theirs = _paired(ours, theirs, lambda seen: (seen.task, seen.message.body))
    for one, other in pairs + more:
        changes = _changes(one.message, other.message)
        if changes:
            yield Difference(one, other, changes)
    for seen in ours:
        yield Difference(seen, None, [])
    for seen in theirs:
        yield Difference(None, seen, [])


def _messages(reader: Reader) -> list[Seen]:
    return [
        Seen(entry.kind, entry.broker, entry.at, entry.message)
        for entry in reader
        if entry.message is not None and entry.kind != EVENT
    ]


def _paired(
    ours: list[Seen], theirs: list[Seen], key: Callable[[Seen], object]
) -> tuple[list[tuple[Seen, Seen]], list[Seen], list[Seen]]:
    waiting: dict[object, list[Seen]] = {}
    for seen in theirs:
        waiting.setdefault(key(seen), []).append(seen)
    pairs: list[tuple[Seen, Seen]] = []
    alone: list[Seen] = []
    for seen in ours:
        same = waiting.get(key(seen))
        if same:
            pairs.append((seen, same.pop(0)))
        else:
            alone.append(seen)
    taken = {id(other) for _, other in pairs}
    return pairs, alone, [seen for seen in theirs if id(seen) not in taken]


def _changes(left: Message, right: Message) -> list[tuple[str, str, str]]:
    if left == right:
        return []
    ours, theirs = _fields(left), _fields(right)
    names = [*ours, *(name for name in theirs if name not in ours)]
    found = [(name, ours.get(name, "absent"), theirs.get(name, "absent")) for name in names]
    changes = [change for change in found if change[1] != change[2]]
    if not changes:
        part = "body" if left.body != right.body else "properties"
        changes.append((part, "the same values", "the same values, in other bytes"))
    return changes


def _fields(message: Message) -> dict[str, str]:
    view = Seen(TASK, "", 0.0, message).view
    fields = {"exchange": message.exchange, "routing_key": message.routing_key}
    fields |= {name: str(value) for name, value in view.properties.items() if name != "headers"}
    fields |= {f"headers.{name}": f"{plain(value)!r} ({type_name(value)})" for name, value in view.headers.items()}
    if view.damaged:
        fields["properties"] = message.raw_properties.hex()
    if view.kwargs is None or view.args is None:
        return {**fields, "body": repr(view.data())}
    fields |= {f"args.{index}": repr(value) for index, value in enumerate(view.args)}
    fields |= {f"kwargs.{name}": repr(value) for name, value in view.kwargs.items()}
    return {**fields, "embed": repr(view.embed)}
