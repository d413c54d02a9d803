"""What becomes of tasks whose caller pressed Ctrl-C: revoked where they can be, and told what cannot.

Celery's `revoke` makes a running worker drop the task when it meets it; it stops nothing that has begun. Source:
celery.worker.control.revoke. A call that no worker took is besides gone from its queue with its caller's patience.
"""

from __future__ import annotations

from collections.abc import Mapping
from time import monotonic, sleep

from mpcli.bus.naming import TaskName
from mpcli.errors import Interrupted, MpError
from mpcli.wire.control import Control, Running, Survey
from mpcli.wire.diagnosis import since

# Seconds; a person waits.
_WAIT = 0.4
# Until workers are asked again: a task that one had just handed to its pool is told to run then, and the reply of one
# that ended meanwhile is here.
_SETTLED = 0.25


def interrupted_calls(control: Control, name: TaskName, deadlines: Mapping[str, float]) -> dict[str, Interrupted]:
    """Revoke these calls and ask the workers whether they had begun them; what to tell of each, by id.

    `deadlines` are theirs, on the clock of `time.monotonic`. Raises `BrokerError`.
    """
    survey = control.listeners(name.queue, _WAIT)
    workers = list(survey.workers)
    control.revoke(list(deadlines), workers)
    running: dict[str, tuple[str, Running]] = {}
    complete = bool(workers)
    for wait in (0.0, _SETTLED) if workers else ():
        sleep(wait)
        # Behind the revocation on the same channel: who is asked has heard it.
        active = control.active(workers, _WAIT)
        running |= {task.id: (worker, task) for worker, tasks in active.items() for task in tasks}
        complete = complete and survey.consumers <= len(active)
        if running.keys() >= deadlines.keys():
            break
    return {
        task_id: _told(name, running.get(task_id), survey, complete, deadline)
        for task_id, deadline in deadlines.items()
    }


def _told(
    name: TaskName, running: tuple[str, Running] | None, survey: Survey, complete: bool, deadline: float
) -> Interrupted:
    if running is not None:
        worker, task = running
        return Interrupted(
            f"interrupted: {name} had begun, runs on, and its result is lost",
            f"the worker {worker} has been running it since {since(task)}",
        )
    if not survey.consumers:
        return Interrupted(
            f"interrupted: {name} had not begun, for nobody is listening on {name.queue}{_expiry(deadline)}"
        )
    if complete:
        return was_revoked(name)
    revoked = "was revoked; if it had begun it runs on" if survey.workers else "runs on if it had begun"
    return Interrupted(f"interrupted: {name} {revoked}{_expiry(deadline)}", "not every worker could say whether it had")


def was_revoked(name: TaskName) -> Interrupted:
    """For a call that no worker had begun, and that all will drop."""
    return never_ran(f"interrupted: {name} had not begun and will not run, for it was revoked")


def never_ran(message: str) -> Interrupted:
    """For a task that did not begin, and will not."""
    told = Interrupted(message)
    told.never_ran = True
    return told


def not_revoked(name: TaskName, deadline: float, error: MpError) -> Interrupted:
    """For a call whose workers could not be reached, for this reason."""
    return Interrupted(
        f"interrupted: {name} runs on if it had begun{_expiry(deadline)}", f"it could not be revoked: {error}"
    )


def had_ended(name: TaskName | str, task_id: str = "") -> Interrupted:
    """For a task whose reply, or end, was there as it was given up."""
    hint = f"its id is {task_id}" if task_id else ""
    return Interrupted(f"interrupted: {name} had ended already, and its result is thrown away", hint)


def _expiry(deadline: float) -> str:
    left = deadline - monotonic()
    return f"; else it expires in {left:.0f} s" if left >= 1 else "; else it has expired"


def interrupted_send(name: TaskName, task_id: str) -> Interrupted:
    """For an async task that was published, and not confirmed yet."""
    return Interrupted(
        f"interrupted before the broker confirmed {name}: it may run all the same", f"its id is {task_id}"
    )


def interrupted_after_send(name: TaskName | str, task_id: str) -> Interrupted:
    """For an async task that the broker has."""
    return Interrupted(f"interrupted: {name} was sent already", f"its id is {task_id}")
