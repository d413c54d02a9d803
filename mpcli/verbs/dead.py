"""Dead letters: which tasks ended there, why, and one of them whole."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from math import isfinite
from pathlib import Path

from mpcli.bus.naming import Mode, check_service, dead_letter_queue
from mpcli.errors import BrokerRefused, NotFound, UsageError
from mpcli.platform.contexts import Ask, Context, resolve
from mpcli.verbs.causes import Cause, Causes
from mpcli.verbs.peek import Cost, Peeked, PeekSummary, peek
from mpcli.verbs.queue_place import is_dead, services, told
from mpcli.verbs.seen import Seen
from mpcli.wire.codec import plain
from mpcli.wire.handshake import connect
from mpcli.wire.queue_counts import QueueCounter

LOOK_AT = 1000
_MIN_ID = 4


class Death:
    """One entry of `x-death`: when (`at`, seconds since 1970, or None), how often, in which queue, for what reason."""

    __slots__ = ("at", "count", "exchange", "queue", "reason", "routing_keys")

    def __init__(self, table: dict[str, object]) -> None:
        at, count, keys = table.get("time"), table.get("count"), table.get("routing-keys")
        self.reason = str(table.get("reason") or "")
        self.queue = str(table.get("queue") or "")
        self.exchange = str(table.get("exchange") or "")
        self.routing_keys = [str(key) for key in keys] if isinstance(keys, list) else []
        self.count = count if isinstance(count, int) else 1
        is_time = isinstance(at, (int, float)) and not isinstance(at, bool) and isfinite(at)
        self.at = float(at) if is_time else None  # type: ignore[arg-type]


class DeadLetter:
    """A message in a dead-letter queue, its deaths, the newest first, and the worker's words where they are known."""

    __slots__ = ("cause", "deaths", "queue", "seen")

    def __init__(self, queue: str, seen: Seen, causes: Causes) -> None:
        self.queue = queue
        self.seen = seen
        self.deaths = deaths_of(seen)
        self.cause: Cause | None = causes.of(seen.task, seen.view.id)

    @property
    def death(self) -> Death | None:
        """The one that counts: the newest in a queue that is not itself one of dead letters."""
        alive = [death for death in self.deaths if not is_dead(death.queue)]
        return next(iter(alive or self.deaths), None)

    @property
    def reason(self) -> str:
        """Why the broker made it a dead letter, in the broker's word."""
        return self.death.reason if self.death else ""

    @property
    def at(self) -> float | None:
        """When it died."""
        return self.death.at if self.death else None


class DeadGroup:
    """Dead letters of one task with one reason and one type of error; `letters` are the oldest first."""

    __slots__ = ("letters", "queue", "reason", "task")

    def __init__(self, first: DeadLetter) -> None:
        self.queue = first.queue
        self.task = first.seen.task
        self.reason = first.reason
        self.letters = [first]

    @property
    def newest(self) -> DeadLetter:
        """The one that died last."""
        return max(self.letters, key=lambda letter: letter.at or 0.0)

    @property
    def times(self) -> tuple[float | None, float | None]:
        """When the first and the last of them died."""
        known = [letter.at for letter in self.letters if letter.at is not None]
        return (min(known), max(known)) if known else (None, None)


class DeadList:
    """The dead letters by task and reason, the most first. By queue: how many there are, how many were looked at."""

    __slots__ = ("groups", "queues")

    def __init__(self) -> None:
        self.groups: list[DeadGroup] = []
        self.queues: dict[str, tuple[int, int]] = {}


DeadEvent = Cost | PeekSummary | DeadList | DeadLetter


def dead(
    start: Path,
    service: str = "",
    *,
    limit: int = LOOK_AT,
    spend: bool = False,
    recording: Path | None = None,
    context: str | None = None,
    yes: bool = False,
    ask: Ask | None = None,
) -> Generator[DeadEvent, None, None]:
    """The dead letters of a service, or of all that are known; the last event is the `DeadList`.

    At most `limit` of each queue are looked at, as `peek` does it. `recording` may hold events that tell why. Raises
    as `peek` does, `UnknownService`-like `NotFound` for a service without a dead-letter queue.
    """
    around = resolve(start, context)
    causes = Causes(around, recording)
    found = DeadList()
    groups: dict[tuple[str, str, str, str], DeadGroup] = {}
    for queue, ready in _queues(around, service).items():
        found.queues[queue] = (ready, 0)
        if not ready:
            continue
        with closing(peek(start, queue, limit=limit, spend=spend, context=context, yes=yes, ask=ask)) as events:
            for event in events:
                if isinstance(event, Peeked):
                    found.queues[queue] = (max(ready, len(event.items)), len(event.items))
                    for letter in (DeadLetter(queue, seen, causes) for seen in event.items):
                        _group(groups, letter)
                else:
                    yield event
    found.groups = sorted(groups.values(), key=lambda group: -len(group.letters))
    yield found


def show(
    start: Path,
    task_id: str,
    *,
    service: str = "",
    limit: int = LOOK_AT,
    spend: bool = False,
    recording: Path | None = None,
    context: str | None = None,
    yes: bool = False,
    ask: Ask | None = None,
) -> Generator[DeadEvent, None, None]:
    """The dead letter, of `service` or any, whose id begins with `task_id`; several where it died more than once.

    Raises `UsageError` when it fits several ids, `NotFound` when it fits none, and as `dead` does.
    """
    if len(task_id) < _MIN_ID:
        raise UsageError(f"{task_id!r} is too short for an id", f"at least {_MIN_ID} characters of it")
    options = {"limit": limit, "spend": spend, "recording": recording, "context": context, "yes": yes, "ask": ask}
    for event in dead(start, service, **options):  # type: ignore[arg-type]
        if not isinstance(event, DeadList):
            yield event
            continue
        letters = [letter for group in event.groups for letter in group.letters]
        fitting = [letter for letter in letters if letter.seen.view.id.startswith(task_id)]
        if not fitting:
            rest = sum(ready - looked for ready, looked in event.queues.values())
            hint = f"{rest} more were not looked at: --limit" if rest else "`mp dead` lists them"
            raise NotFound(f"no dead letter's id begins with {task_id}", hint)
        ids = sorted({letter.seen.view.id for letter in fitting})
        if len(ids) > 1:
            raise UsageError(f"{len(ids)} ids begin with {task_id}", f"which one: {', '.join(ids[:5])}")
        yield from fitting


def deaths_of(seen: Seen) -> list[Death]:
    """What `x-death` tells, the newest first; nothing for a message without it, or with nonsense in its place."""
    value = plain(seen.view.headers.get("x-death"))
    return [Death(dict(entry)) for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def _group(groups: dict[tuple[str, str, str, str], DeadGroup], letter: DeadLetter) -> None:
    key = (letter.queue, letter.seen.task, letter.reason, letter.cause.kind if letter.cause else "")
    if key in groups:
        groups[key].letters.append(letter)
    else:
        groups[key] = DeadGroup(letter)


def _queues(around: Context, service: str) -> dict[str, int]:
    """The dead-letter queues that exist, and how many messages wait in each."""
    named = service.removesuffix(".dead")
    names = [check_service(named, around.prefix)] if named else services(around)
    if not names:
        raise UsageError("no service is known here", "name one: mp dead mplogin")
    endpoint = around.endpoint(Mode.ASYNC)
    with told(endpoint), connect(endpoint.url, name="mp dead") as connection:
        counts = QueueCounter(connection).count([dead_letter_queue(name) for name in names])
    for queue, found in counts.items():
        if isinstance(found, BrokerRefused):
            raise found
        if found is None and named:
            raise NotFound(f"no queue {queue} on the async broker", "`mp up` makes it, and so does the async worker")
    return {
        queue: found.ready
        for queue, found in counts.items()
        if found is not None and not isinstance(found, BrokerRefused)
    }
