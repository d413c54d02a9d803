"""Waiting for the end of an async task, and when none comes saying what is known."""

from __future__ import annotations

from time import monotonic

from mpcli.bus.naming import TaskName
from mpcli.errors import BrokerError, MpError, NoReply, RemoteError
from mpcli.verbs.follow import Followed, Follower
from mpcli.verbs.seen import Outcome
from mpcli.verbs.whereabouts import Whereabouts, whereabouts
from mpcli.words import counted

# Seconds of silence after which workers are asked, and at most between two questions.
_FIRST_LOOK, _LAST_LOOK = 1.0, 10.0
_NO_EVENTS = "workers tell of their tasks when started with -E, or with worker_send_task_events=True"


def await_outcome(
    follower: Follower, followed: Followed, url: str, name: TaskName, timeout: float, due_in: float = 0.0
) -> Outcome:
    """How the task ended, within `timeout` seconds from when it may begin, which is in `due_in` seconds.

    Raises `RemoteError` when it failed or was rejected; `NoReply` when it was revoked, when it did not end in time, and
    already before that when it is with nobody any more and no worker told of it: then none will. `BrokerError` when the
    broker cannot be listened to any longer.
    """
    deadline = monotonic() + due_in + timeout
    pause, gone = due_in + _FIRST_LOOK, 0
    while (left := deadline - monotonic()) > 0:
        ended = followed.wait(left if followed.outcomes else min(left, pause))
        if ended is not None:
            return _judged(name, ended)
        if followed.outcomes or monotonic() >= deadline:
            continue
        place = _looked(url, name, followed.id)
        # Twice: an event may be on its way.
        gone = gone + 1 if isinstance(place, Whereabouts) and place.gone else 0
        if gone == 2 and not followed.outcomes:
            raise _untold(name, followed.id)
        pause = _FIRST_LOOK / 2 if gone else min(2 * pause, _LAST_LOOK)
    raise _overdue(name, followed, timeout, _looked(url, name, followed.id), follower.hears)


def _looked(url: str, name: TaskName, task_id: str) -> Whereabouts | BrokerError:
    try:
        return whereabouts(url, name, task_id)
    except BrokerError as error:
        return error


def _judged(name: TaskName, ended: Outcome) -> Outcome:
    if ended.what == "succeeded":
        return ended
    if ended.what == "revoked":
        raise NoReply(f"{name} was revoked, or expired, before a worker could end it", f"its id is {ended.id}")
    if ended.what == "rejected":
        error = RemoteError(str(name), "Reject", "the worker does not put it back")
    else:
        kind, bracket, rest = ended.error.partition("(")
        text = rest.removesuffix(")").removesuffix(",") if bracket else ""
        error = RemoteError(str(name), kind or "an error", text, ended.traceback)
    error.hint = f"its id is {ended.id}, its worker {ended.worker}"
    raise error


def _untold(name: TaskName, task_id: str) -> NoReply:
    return NoReply(
        f"{name} was taken by a worker and is with none any more, but the workers of {name.queue} send no events: how "
        "it ended is not known",
        f"{_NO_EVENTS}; its id is {task_id}",
    )


def _overdue(
    name: TaskName, followed: Followed, timeout: float, place: Whereabouts | BrokerError, hears: bool
) -> NoReply:
    begun = f"{name} has not ended in {timeout:g} s"
    hint = f"wait longer with --timeout; its id is {followed.id}"
    if isinstance(place, MpError):
        return NoReply(f"{begun}, and the broker cannot be asked: {place.message}", hint)
    if place.state == "active":
        since = f" for {place.seconds:.1f} s" if place.seconds is not None else ""
        why = f"worker {place.worker} has been running it{since}"
    elif place.state:
        why = f"worker {place.worker} holds it and has not begun it"
    elif not place.consumers:
        why, hint = f"nobody is listening on {name.queue}", "it waits there for a worker: `mp up`; " + hint
    elif followed.outcomes:
        last = followed.outcomes[-1]
        why = f"the last that was heard of it: {last.what} by worker {last.worker}"
    elif place.waiting:
        waiting = f"{counted(place.waiting, 'message')} waiting in {name.queue}"
        why = f"{waiting} for {counted(place.consumers, 'worker')}"
    elif place.complete and not hears:
        why, hint = f"the workers of {name.queue} send no events", f"{_NO_EVENTS}; {hint}"
    else:
        why = f"nothing was heard of it from the workers of {name.queue}"
    if followed.missed:
        why += "; some of what the workers told was missed, as the connection broke"
    return NoReply(f"{begun}: {why}", hint)
