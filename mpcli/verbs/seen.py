"""A message that was seen, live or in a recording, and what came of its task."""

from __future__ import annotations

from mpcli.bus.headers import SENT_HEADER
from mpcli.wire.celery_view import CeleryView
from mpcli.wire.events import TaskEvent
from mpcli.wire.message import Message

# Another clock is believed when it differs by no more seconds than a message or an event may have been on its way.
SKEW = 10.0


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

    @property
    def sent(self) -> float:
        """When it was sent, where its sender told; a tap gets its copy later, when the task may run by now."""
        told = self.view.headers.get(SENT_HEADER)
        if isinstance(told, float) and 0 <= self.at - told <= SKEW and not self.view.retries:
            return told
        return self.at


class Outcome:
    """What a worker told of a task. `task` is empty when its message was not seen; `seconds` is the run time;
    `is_final` when nothing more will come of it."""

    __slots__ = (
        "at",
        "broker",
        "error",
        "id",
        "is_final",
        "result",
        "seconds",
        "task",
        "traceback",
        "waited",
        "what",
        "worker",
    )

    def __init__(self, broker: str, at: float, told: TaskEvent, task: str = "", since: float | None = None) -> None:
        """`at` is when we heard of it, `since` when its message was seen; both in seconds since 1970."""
        self.what = told.what
        self.id = told.id
        self.broker = broker
        self.at = at
        self.worker = told.text("hostname")
        self.task = task
        self.is_final = told.is_final
        # Seconds, where they are known: from the message to its start, and of the run.
        self.waited: float | None = None
        if since is not None and told.what == "started" and told.at:
            self.waited = max(told.at - since, 0.0)  # two clocks, where the worker is on another machine
        self.seconds = told.number("runtime")
        # As the worker wrote them: Python's repr of the result, of the exception; text, never evaluated.
        self.result = told.text("result") if "result" in told.fields else None
        self.error = told.text("exception")
        self.traceback = told.text("traceback")

    def __repr__(self) -> str:
        told = {"worker": self.worker, "seconds": self.seconds, "result": self.result, "error": self.error}
        return ", ".join([f"{self.what} {self.id}", *(f"{key}={value}" for key, value in told.items() if value)])


def task_of(routing_key: str) -> str:
    """The task that a routing key names; delayed messages carry their delay in front of it."""
    words = routing_key.rsplit(".", 3)[-3:]
    return ".".join(words) if len(words) == 3 and words[1] in ("sync", "async") else routing_key
