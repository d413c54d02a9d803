"""Which task came of which: messages and events put together into the tasks of one root, with their attempts.

Celery gives each task the id of the task that sent it (`parent_id`) and of the one with which it all began (`root_id`);
`mpcli.bus.Caller` does the same for calls and sends from inside a task. A retry keeps the id.
"""

from __future__ import annotations

from mpcli.verbs.seen import SKEW, Seen
from mpcli.wire.events import TaskEvent

# More than anybody retries: a sender of one id again and again must not cost the square of it.
_MOST = 1000
FINAL = frozenset({"succeeded", "failed", "rejected", "revoked"})


class Attempt:
    """One try of a task. Times in seconds since 1970, None where nobody told; `retries` counts from 0."""

    __slots__ = ("ended", "error", "outcome", "received", "result", "retries", "seconds", "sent", "started", "worker")

    def __init__(self, retries: int) -> None:
        self.retries = retries
        self.sent: float | None = None
        self.received: float | None = None
        self.started: float | None = None
        self.ended: float | None = None
        # succeeded, failed, retried, rejected, revoked; empty while it waits or runs.
        self.outcome = ""
        self.worker = ""
        self.seconds: float | None = None
        self.result: str | None = None
        self.error = ""

    @property
    def begun(self) -> float | None:
        """The first that is known of it."""
        return next((at for at in (self.sent, self.received, self.started, self.ended) if at is not None), None)

    @property
    def waited(self) -> float | None:
        """Seconds from the message to its start."""
        since = self.sent if self.sent is not None else self.received
        return None if since is None or self.started is None else max(self.started - since, 0.0)

    @property
    def ran(self) -> float | None:
        """Seconds that it ran, as the worker told, else between its events."""
        if self.seconds is not None or self.started is None or self.ended is None:
            return self.seconds
        return max(self.ended - self.started, 0.0)


class Step:
    """One task of a trace. `seen` is None when its message was not seen; `planned` when it was never sent.

    `relation` is how it hangs on its parent: empty for a call or send, chain, callback, errback, chord, group.
    """

    __slots__ = (
        *("attempts", "broker", "deaths", "depth", "group", "id", "parent_id", "planned"),
        *("relation", "root_id", "seen", "task"),
    )

    def __init__(self, task_id: str, broker: str = "", task: str = "") -> None:
        self.id = task_id
        self.broker = broker
        self.task = task
        self.root_id = self.parent_id = self.group = ""
        self.seen: Seen | None = None
        self.attempts: list[Attempt] = []
        # When it became a dead letter.
        self.deaths: list[float] = []
        self.relation = ""
        self.planned = False
        self.depth = 0

    @property
    def begun(self) -> float | None:
        """The first that is known of it."""
        times = [at for attempt in self.attempts if (at := attempt.begun) is not None]
        return min(times + self.deaths, default=None)

    @property
    def ended(self) -> float | None:
        """The last that is known of it."""
        times = [at for one in self.attempts for at in (one.sent, one.received, one.started, one.ended) if at]
        return max(times + self.deaths, default=None)

    @property
    def done(self) -> bool:
        """Whether nothing more is to come of it."""
        return self.planned or bool(self.deaths) or bool(self.attempts and self.attempts[-1].outcome in FINAL)

    def take_message(self, seen: Seen) -> None:
        """Its message passed: the first, or that of a retry."""
        view = seen.view
        self.task, self.broker = seen.task, seen.broker
        self.root_id = self.root_id or as_id(view.field("root_id"))
        self.parent_id = as_id(view.field("parent_id"))
        self.group = as_id(view.field("group"))
        self.seen = self.seen or seen
        fitting = [one for one in self.attempts if one.sent is None and one.retries == view.retries]
        self._pick(fitting[:1], view.retries).sent = seen.sent

    def take_death(self, seen: Seen) -> None:
        """It became a dead letter."""
        self.deaths.append(seen.at)
        self.task, self.broker = self.task or seen.task, self.broker or seen.broker
        self.root_id = self.root_id or as_id(seen.view.field("root_id"))
        self.parent_id = self.parent_id or as_id(seen.view.field("parent_id"))

    def take_event(self, told: TaskEvent, broker: str, at: float) -> None:
        """A worker told of it."""
        when = told.at if 0 <= at - told.at <= SKEW else at
        self.broker = self.broker or broker
        if told.what == "received":
            self._received(told, when)
        elif told.what == "started":
            attempt = self._pick([one for one in self.attempts if one.started is None and not one.outcome][:1])
            attempt.started, attempt.worker = _after(attempt, when), told.text("hostname")
        elif told.what in FINAL or told.what == "retried":
            self._ended(told, when)

    def _ended(self, told: TaskEvent, when: float) -> None:
        open_ = [one for one in self.attempts if not one.outcome]
        begun = [one for one in open_ if one.started is not None] or open_
        # A retry is sent before the one that it repeats is told to have ended; what was delivered twice ends last.
        attempt = self._pick(begun[:1] if told.what == "retried" else begun[-1:] or self.attempts[-1:])
        attempt.worker = told.text("hostname") or attempt.worker
        attempt.error = told.text("exception") or attempt.error
        if attempt.outcome and told.what == "rejected":
            return  # a task that failed is rejected too, so that it becomes a dead letter: two events of one end
        attempt.outcome, attempt.ended = told.what, attempt.ended or _after(attempt, when)
        attempt.seconds = told.number("runtime")
        attempt.result = told.text("result") if "result" in told.fields else None

    def _received(self, told: TaskEvent, when: float) -> None:
        self.task = self.task or told.text("name")
        self.root_id = self.root_id or told.text("root_id")
        self.parent_id = self.parent_id or told.text("parent_id")
        retries = int(told.number("retries") or 0)
        fitting = [one for one in self.attempts if one.received is None and one.retries == retries]
        attempt = self._pick(fitting[:1], retries)
        attempt.received, attempt.worker = _after(attempt, when), told.text("hostname")

    def _pick(self, found: list[Attempt], retries: int | None = None) -> Attempt:
        """The one that was found, or a new one: its message or its beginning was not seen."""
        if not found and len(self.attempts) >= _MOST:
            return self.attempts[-1]
        if not found:
            last = self.attempts[-1].retries if self.attempts else 0
            found = [Attempt(last if retries is None else retries)]
            self.attempts += found
        return found[0]


def _after(attempt: Attempt, when: float) -> float:
    """Two clocks may disagree; nothing starts before it was sent."""
    return max([when, *(at for at in (attempt.sent, attempt.received, attempt.started) if at is not None)])


def as_id(value: object) -> str:
    """The value of a field that should hold an id; empty for anything else."""
    return value if isinstance(value, str) else ""
