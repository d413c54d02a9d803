"""One request over services and brokers: the tasks that came of one root, from a recording, a tap, or a call."""

from __future__ import annotations

from pathlib import Path
from time import monotonic

from mpcli.errors import NotFound, UsageError
from mpcli.recording.format import DEAD, DROPPED, EVENT, GAP
from mpcli.recording.reader import Reader
from mpcli.verbs.family import Roots, in_order
from mpcli.verbs.lineage import Step, as_id
from mpcli.verbs.seen import Seen
from mpcli.wire.events import TaskEvent, task_events

# A watch forgets the tasks that it saw first when there are more.
_MOST = 50_000


class Trace:
    """The tasks of one root, parents in front of their children.

    `begun` and `ended` are the first and the last that is known of it, in seconds since 1970. `complete` tells that
    nothing more is to come, `dropped` and `gaps` that a part of it may not have been seen, `damage` what of a recording
    could not be read.
    """

    __slots__ = ("begun", "complete", "damage", "dropped", "ended", "gaps", "root_id", "steps")

    def __init__(self, root_id: str, steps: list[Step], dropped: int = 0, gaps: int = 0) -> None:
        self.root_id = root_id
        self.steps = steps
        self.begun = min((at for step in steps if (at := step.begun) is not None), default=0.0)
        self.ended = max((at for step in steps if (at := step.ended) is not None), default=0.0)
        self.complete = _is_complete(steps)
        self.damage = ""
        self.dropped = dropped
        self.gaps = gaps


def _is_complete(steps: list[Step]) -> bool:
    """Whether every task that was sent has ended, and none of those that ended well has still one to send."""
    by_id = {step.id: step for step in steps}
    for step in steps:
        parent = by_id.get(step.parent_id)
        if step.planned and parent is not None and parent.attempts and parent.attempts[-1].outcome == "succeeded":
            return False
        if step.attempts and not step.done:
            return False
    return True


class Collector:
    """Puts messages and events together; `only` are the ids that count, all when None."""

    def __init__(self, wanted: str, only: set[str] | None = None) -> None:
        self.roots = Roots(wanted)
        self.dropped = self.gaps = 0
        # When there was something new of the root that is meant, on the clock of `time.monotonic`.
        self.news = monotonic()
        self._steps: dict[str, Step] = {}
        self._only = only

    def message(self, seen: Seen) -> None:
        """A message passed."""
        task_id = seen.view.id
        if not task_id or (self._only is not None and task_id not in self._only):
            return
        step = self._step(task_id)
        if seen.kind == DEAD:
            step.take_death(seen)
        else:
            step.take_message(seen)
        self._told(step)

    def event(self, told: TaskEvent, broker: str, at: float) -> None:
        """A worker told of a task."""
        if told.what == "sent" or (self._only is not None and told.id not in self._only):
            return
        step = self._step(told.id)
        step.take_event(told, broker, at)
        self._told(step)

    def _told(self, step: Step) -> None:
        self.roots.add(step.id, step.root_id, step.task)
        if self.roots.is_meant(step.id):
            self.news = monotonic()

    def _step(self, task_id: str) -> Step:
        step = self._steps.get(task_id)
        if step is None:
            if self._only is None and len(self._steps) >= _MOST:
                eldest = next(iter(self._steps))
                del self._steps[eldest]
                self.roots.forget(eldest)
            step = self._steps[task_id] = Step(task_id)
        return step

    def trace(self, root_id: str) -> Trace:
        """What is known by now."""
        members = self._only or self.roots.members(root_id)
        steps = {task_id: step for task_id, step in self._steps.items() if task_id in members}
        return Trace(root_id, in_order(root_id, steps), self.dropped, self.gaps)


def trace_file(path: Path, wanted: str) -> Trace:
    """The trace in a recording: of the root, or of the root of the task, whose id begins with `wanted`.

    Raises `NotFound` when there is none, `UsageError` when there are several, `NotARecording` for the file.
    """
    reader = Reader(path)
    roots = Roots(checked(wanted))
    for entry in reader:  # first only the ids: a recording may be larger than the memory
        if entry.message is not None and entry.kind == EVENT:
            for told in task_events(entry.message):
                roots.add(told.id, told.text("root_id"), told.text("name"))
        elif entry.message is not None:
            seen = Seen(entry.kind, entry.broker, entry.at, entry.message)
            if seen.view.id:
                roots.add(seen.view.id, as_id(seen.view.field("root_id")), seen.task)
    found = roots.found
    if not found:
        raise NotFound(
            f"{path} holds no task whose id, or whose root's, begins with {wanted!r}",
            f"`mp record show {path}` lists what is in it",
        )
    return _read(reader, found, roots.members(found))


def _read(reader: Reader, root_id: str, members: set[str]) -> Trace:
    collector = Collector(root_id, members)
    for entry in reader:
        collector.gaps += entry.kind == GAP
        if entry.kind == DROPPED and isinstance(count := entry.fields.get("count"), int):
            collector.dropped += count
        if entry.message is None:
            continue
        if entry.kind == EVENT:
            for told in task_events(entry.message):
                collector.event(told, entry.broker, entry.at)
        else:
            collector.message(Seen(entry.kind, entry.broker, entry.at, entry.message))
    trace = collector.trace(root_id)
    trace.damage = reader.damage
    return trace


def checked(wanted: str) -> str:
    """The id, without the quotes in which `mp call` writes it into a pipe. Raises `UsageError` for an empty one, with
    which every id begins."""
    wanted = wanted.strip().strip('"')
    if not wanted:
        raise UsageError("an empty id", "give the id of a task, or its beginning")
    return wanted
