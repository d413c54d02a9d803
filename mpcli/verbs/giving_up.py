"""Giving up a call that somebody waited for: what becomes of the task, and that it does not begin later."""

from __future__ import annotations

from mpcli.bus.naming import TaskName
from mpcli.errors import MpError

_CONNECT_WAIT = 0.5


def give_up(url: str, name: TaskName, task_id: str, expires_in: float) -> str:
    """Tell the workers not to begin the task any more, and say what became of it. Takes two seconds at most.

    `expires_in`, in seconds, is when the broker drops the message at the latest. Raises nothing: what cannot be found
    out is said to be unknown. A worker keeps what is revoked in its memory (Celery, "Workers Guide", revoke).
    """
    from mpcli.verbs.whereabouts import look
    from mpcli.wire.control import Control
    from mpcli.wire.handshake import connect

    try:
        with connect(url, timeout=_CONNECT_WAIT, name=f"mp shell {name}") as connection:
            control = Control(connection)
            control.ask("revoke", {"task_id": task_id})
            # Over the same channel: a worker that answers has heard the other one before.
            place = look(control, name, task_id)
    except MpError:
        return f"whether {name} has begun is not known: what has begun runs on, else it expires in {expires_in:.0f} s"
    if place.state == "active":
        return f"{name} has begun on {place.worker} and runs on; nobody waits for its result"
    if not place.consumers:
        return f"nobody listens on {name.queue}: {name} has not begun, and expires in {expires_in:.0f} s"
    if place.complete or place.state:
        return f"{name} had not begun and will not run"
    return f"not every worker of {name.queue} could be asked: what has begun runs on, else it does not run any more"
