"""What a call inherits from the task that makes it: the ids that join the trace, and what is left of the patience of
the one who waits for that task."""

from __future__ import annotations

import sys
import time
from typing import Any, NamedTuple

from mpcli.bus.headers import BUDGET_HEADER, SENT_HEADER

_STARTED = "mp_started"


class Origin(NamedTuple):
    """The running task's `root_id` and id, and the seconds left to it; None where there is no limit."""

    root_id: str | None = None
    parent_id: str | None = None
    remaining: float | None = None


_NOWHERE = Origin()


def origin() -> Origin:
    """Of the task that runs in this thread; an empty one outside of tasks."""
    state = sys.modules.get("celery._state")  # not imported: then no task can be running
    task = state.get_current_task() if state is not None else None
    request = getattr(task, "request", None)
    task_id = getattr(request, "id", None)
    if not task_id:
        return _NOWHERE
    return Origin(getattr(request, "root_id", None) or task_id, task_id, _remaining(request))


def mark_started(request: Any) -> None:
    """Note when a task began, by the clock that nobody sets."""
    setattr(request, _STARTED, (time.monotonic(), time.time()))


def _remaining(request: Any) -> float | None:
    budget, sent = getattr(request, BUDGET_HEADER, None), getattr(request, SENT_HEADER, None)
    if not isinstance(budget, (int, float)):
        return None
    started, wall = getattr(request, _STARTED, None) or (time.monotonic(), time.time())
    # The time in the queue is known by two hosts' clocks alone. One that is negative, or longer than the broker would
    # have kept the message, tells of clocks that disagree: then it does not count.
    queued = wall - sent if isinstance(sent, (int, float)) else 0.0
    if not 0 <= queued <= budget:
        queued = 0.0
    return budget - queued - (time.monotonic() - started)
