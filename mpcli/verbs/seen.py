"""A message that was seen, live or in a recording, and what came of its task."""

from __future__ import annotations

from mpcli.wire.celery_view import CeleryView
from mpcli.wire.message import Message


class Seen:
    """A message, when it was seen (seconds since 1970) and on which broker; decoded when asked for.

    `kind` is `task` for one on its way to a worker, `dead` for one that became a dead letter.
    """

    __slots__ = ("_view", "at", "broker", "kind", "message")

    def __init__(self, kind: str, broker: str, at: float, message: Message) -> None:
        self.kind = kind
        self.broker = broker
        self.at = at
        self.message = message
        self._view: CeleryView | None = None

    @property
    def view(self) -> CeleryView:
        """The Celery view, made once."""
        if self._view is None:
            self._view = CeleryView(self.message)
        return self._view

    @property
    def task(self) -> str:
        """The task's name: from the message, or from its routing key."""
        return self.view.task or task_of(self.message.routing_key)


class Outcome:
    """What a worker told of a task. `task` is empty when its message was not seen; `seconds` is the run time."""

    __slots__ = ("at", "broker", "error", "id", "result", "seconds", "task", "traceback", "waited", "what", "worker")

    def __init__(self, what: str, task_id: str, broker: str, at: float, worker: str) -> None:
        self.what = what
        self.id = task_id
        self.broker = broker
        self.at = at
        self.worker = worker
        self.task = ""
        # Seconds, where they are known: from the message to its start, and of the run.
        self.waited: float | None = None
        self.seconds: float | None = None
        # As the worker wrote them: Python's repr of the result, of the exception; text, never evaluated.
        self.result: str | None = None
        self.error = ""
        self.traceback = ""


def task_of(routing_key: str) -> str:
    """The task that a routing key names; delayed messages carry their delay in front of it."""
    words = routing_key.rsplit(".", 3)[-3:]
    return ".".join(words) if len(words) == 3 and words[1] in ("sync", "async") else routing_key
