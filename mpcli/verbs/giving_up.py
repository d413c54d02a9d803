"""Giving up a call that somebody waited for: what becomes of the task, and that it does not begin later."""

from __future__ import annotations

from time import monotonic

from mpcli.bus.naming import TaskName
from mpcli.errors import MpError

_CONNECT_WAIT = 0.5
_ANSWER_WAIT = 0.5


def give_up(url: str, name: TaskName, task_id: str, expires_in: float) -> str:
    """Tell the workers not to begin the task any more, and say what became of it. Takes a second at most.

    `expires_in`, in seconds, is when the broker drops the message at the latest. Raises nothing: what cannot be found
    out is said to be unknown. A worker keeps what is revoked in its memory (Celery, "Workers Guide", revoke).
    """
    from mpcli.wire.control import Control
    from mpcli.wire.handshake import connect

    unknown = f"whether {name} has begun is not known; what has runs on, else it is dropped in {expires_in:.0f} s"
    try:
        with connect(url, timeout=_CONNECT_WAIT, name=f"mp shell {name}") as connection:
            control = Control(connection)
            survey = control.survey(name.queue, _ANSWER_WAIT)
            if not survey.consumers:
                return f"nobody listens on {name.queue}: {name} had not begun and is dropped in {expires_in:.0f} s"
            workers = list(survey.workers)
            control.ask("revoke", {"task_id": task_id}, workers)
            ticket = control.ask("query_task", {"ids": [task_id]}, workers)
            heard: set[str] = set()
            for worker, reply in control.replies(ticket, monotonic() + _ANSWER_WAIT):
                if _is_active(reply, task_id):
                    return f"{name} has begun on {worker} and runs on; nobody waits for its result"
                heard.add(worker)
                if heard.issuperset(workers) and survey.complete:
                    return f"{name} had not begun and will not run"
    except MpError:
        pass
    return unknown


def _is_active(reply: object, task_id: str) -> bool:
    found = reply.get(task_id) if isinstance(reply, dict) else None
    return isinstance(found, list) and found[:1] == ["active"]
