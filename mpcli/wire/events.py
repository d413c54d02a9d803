"""What workers tell of their tasks, on the topic exchange `celeryev`: task-received, -started, -succeeded and so on.

An event is a mapping; a worker may send several in one message, as a list under the key `task.multi`. Source: Celery's
documentation, "Monitoring and Management Guide", event reference.
"""

from __future__ import annotations

import json
from math import isfinite

from mpcli.wire.message import Message

EVENT_EXCHANGE = "celeryev"
EVENT_PATTERN = "task.#"
_FINAL = frozenset({"succeeded", "failed", "revoked"})


class TaskEvent:
    """One event: `what` is received, started, succeeded, failed, retried, rejected, revoked or sent."""

    __slots__ = ("at", "fields", "id", "what")

    def __init__(self, what: str, task_id: str, at: float, fields: dict[str, object]) -> None:
        self.what = what
        self.id = task_id
        # The worker's clock, seconds since 1970.
        self.at = at
        self.fields = fields

    @property
    def is_final(self) -> bool:
        """Whether nothing more will come of it. A rejected task may have been put back."""
        return self.what in _FINAL or (self.what == "rejected" and not self.fields.get("requeue"))

    def text(self, name: str) -> str:
        """A field as text; empty when absent."""
        value = self.fields.get(name)
        return "" if value is None else str(value)

    def number(self, name: str) -> float | None:
        """A field as a finite number; None when it is none."""
        value = self.fields.get(name)
        if not isinstance(value, (int, float)) or isinstance(value, bool):
            return None
        try:
            return float(value) if isfinite(value) else None
        except OverflowError:
            return None


def task_events(message: Message) -> list[TaskEvent]:
    """The events in a message, none when it holds nothing that can be read."""
    try:
        value = json.loads(message.body)
    except (ValueError, RecursionError):
        return []
    found = []
    for item in value if isinstance(value, list) else [value]:
        if not isinstance(item, dict):
            continue
        kind, task_id, at = item.get("type"), item.get("uuid"), item.get("timestamp")
        if isinstance(kind, str) and kind.startswith("task-") and isinstance(task_id, str):
            seconds = float(at) if isinstance(at, (int, float)) else 0.0
            found.append(TaskEvent(kind.removeprefix("task-"), task_id, seconds, item))
    return found
