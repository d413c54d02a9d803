"""Which outcome belongs to which message: by the task's id, among those that were seen last."""

from __future__ import annotations

from mpcli.verbs.seen import Outcome, Seen
from mpcli.wire.events import TaskEvent, task_events
from mpcli.wire.message import Message

_REMEMBERED = 100_000


class Pairing:
    """Remembers ids and turns the workers' events about them into outcomes."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[str, float]] = {}

    def remember(self, seen: Seen) -> None:
        """Outcomes of this message are wanted. A retry begins anew; a dead letter is the end of one that was seen."""
        task_id, known = seen.view.id, self._seen
        if not task_id or (seen.kind == "dead" and task_id in known):
            return
        if len(known) >= _REMEMBERED and task_id not in known:
            del known[next(iter(known))]
        known[task_id] = (seen.task, seen.sent)

    def outcomes(self, broker: str, at: float, message: Message) -> list[Outcome]:
        """What an event message tells of messages that were remembered."""
        return [self._outcome(broker, at, told) for told in task_events(message) if told.id in self._seen]

    def _outcome(self, broker: str, at: float, told: TaskEvent) -> Outcome:
        task, since = self._seen[told.id]
        return Outcome(broker, at, told, task, since)
