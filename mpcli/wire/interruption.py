"""What becomes of a task whose caller pressed Ctrl-C: revoked where it can be, and told what cannot.

Celery's `revoke` makes every running worker drop the task when it meets it; it stops nothing that has begun. Source:
celery.worker.control.revoke. A call that no worker took is besides gone from its queue with its caller's patience.
"""

from __future__ import annotations

from time import monotonic

from mpcli.bus.naming import TaskName
from mpcli.errors import Interrupted, MpError
from mpcli.wire.control import Control, Running, Survey
from mpcli.wire.diagnosis import since
from mpcli.wire.methods import BASIC_DELIVER

# Seconds; a person waits.
_WAIT = 0.4


def interrupted_call(control: Control, name: TaskName, task_id: str, deadline: float) -> Interrupted:
    """Revoke the call and ask the workers whether they had begun it. `deadline` is that of the call."""
    try:
        survey = control.listeners(name.queue, _WAIT)
        workers = list(survey.workers)
        control.revoke(task_id, workers)
        # Behind the revocation on the same channel: who is asked has heard it.
        active = control.active(workers, _WAIT) if workers else {}
    except (MpError, TimeoutError) as error:
        return Interrupted(
            f"interrupted: {name} runs on if it had begun{_expiry(deadline)}", f"it could not be revoked: {error}"
        )
    if any(passed.method is BASIC_DELIVER and passed.channel == 1 for passed in control.passed):
        return Interrupted(f"interrupted: {name} had ended already, and its result is thrown away")
    return _told(name, task_id, survey, active, deadline)


def _told(
    name: TaskName, task_id: str, survey: Survey, active: dict[str, list[Running]], deadline: float
) -> Interrupted:
    for worker, tasks in active.items():
        for task in tasks:
            if task.id == task_id:
                return Interrupted(
                    f"interrupted: {name} had begun, runs on, and its result is lost",
                    f"the worker {worker} has been running it since {since(task)}",
                )
    if not survey.consumers:
        return Interrupted(
            f"interrupted: {name} had not begun, for nobody is listening on {name.queue}{_expiry(deadline)}"
        )
    if len(active) < survey.consumers:
        return Interrupted(
            f"interrupted: {name} was revoked; if it had begun it runs on{_expiry(deadline)}",
            "not every worker could say whether it had",
        )
    return Interrupted(f"interrupted: {name} had not begun and will not run, for it was revoked")


def _expiry(deadline: float) -> str:
    left = deadline - monotonic()
    return f"; else it expires in {left:.0f} s" if left >= 1 else "; else it has expired"


def interrupted_send(name: TaskName, task_id: str) -> Interrupted:
    """For an async task that was published, and not confirmed yet."""
    return Interrupted(
        f"interrupted before the broker confirmed {name}: it may run all the same", f"its id is {task_id}"
    )
