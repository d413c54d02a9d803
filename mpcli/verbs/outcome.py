"""Waiting for the ends of async tasks, and when none comes saying what is known."""

from __future__ import annotations

import threading
from collections.abc import Callable
from time import monotonic

from mpcli.bus.naming import TaskName
from mpcli.errors import BrokerError, BrokerUnreachable, MpError, NobodyListens, NoReply, RemoteError
from mpcli.verbs.follow import Followed, Follower
from mpcli.verbs.seen import Outcome
from mpcli.verbs.whereabouts import Whereabouts, whereabouts
from mpcli.wire import aside
from mpcli.words import counted

# Seconds of silence after which workers are asked, and at most between two questions.
_FIRST_LOOK, _LAST_LOOK = 1.0, 10.0
_NO_EVENTS = "workers tell of their tasks when started with -E, or with worker_send_task_events=True"

Place = Whereabouts | BrokerError
Told = Callable[[str, Outcome | MpError], None]


def await_outcome(
    follower: Follower, followed: Followed, url: str, name: TaskName, timeout: float, due_in: float = 0.0
) -> Outcome:
    """How the task ended, within `timeout` seconds from when it may begin, which is in `due_in` seconds.

    Raises `RemoteError` when it failed or was rejected; `NoReply` when it was revoked, when it did not end in time, and
    already before that when it is with nobody any more and no worker told of it: then none will. `BrokerError` when the
    broker cannot be listened to any longer.
    """
    wait = _Wait(name, followed, timeout, due_in)
    while True:
        ended = followed.wait(max(wait.next_look - monotonic(), 0.0))
        if ended is not None:
            return _judged(name, ended)
        if monotonic() >= wait.next_look and wait.wants_place():
            wait.take(_looked(url, name, [followed.id])[followed.id], follower.hears)


class _Wait:
    """The wait for one task: when to ask where it is, at `next_look`, and what the answers mean. On the clock of
    `time.monotonic`."""

    def __init__(self, name: TaskName, followed: Followed, timeout: float, due_in: float = 0.0) -> None:
        self.followed = followed
        self._name = name
        self._timeout = timeout
        self._deadline = monotonic() + due_in + timeout
        self._pause = due_in + _FIRST_LOOK
        self._gone = 0
        self.next_look = min(monotonic() + self._pause, self._deadline)

    def wants_place(self) -> bool:
        """Whether to ask where it is; one that was heard of is asked about at the deadline only."""
        if monotonic() < self._deadline and self.followed.outcomes:
            self.next_look = self._deadline
            return False
        return True

    def take(self, place: Place, hears: bool) -> None:
        """What was found. Raises `NoReply` when no end will come, or the time is over."""
        if monotonic() >= self._deadline:
            raise _overdue(self._name, self.followed, self._timeout, place, hears)
        # Twice: an event may be on its way.
        self._gone = self._gone + 1 if isinstance(place, Whereabouts) and place.gone else 0
        if self._gone == 2 and not self.followed.outcomes:
            raise _untold(self._name, self.followed)
        self._pause = _FIRST_LOOK / 2 if self._gone else min(2 * self._pause, _LAST_LOOK)
        self.next_look = min(monotonic() + self._pause, self._deadline)


class Outcomes:
    """How any number of tasks of one name end, each `timeout` seconds from when it may begin; `then` is told of each
    once, by its id: what `await_outcome` returns, or what it raises. It must be quick. Those that are silent are asked
    about together.

    Thread-safe; a thread of its own asks, and `then` is called there or in that of the follower.
    """

    def __init__(self, follower: Follower, url: str, name: TaskName, timeout: float, then: Told) -> None:
        self._follower = follower
        self._url = url
        self._name = name
        self._timeout = timeout
        self._then = then
        self._changed = threading.Condition()
        self._waits: dict[str, _Wait] = {}
        self._closed = False
        aside.start(threading.Thread(target=self._run, name="mp outcomes", daemon=True))

    def expect(self, task_id: str, due_in: float = 0.0) -> None:
        """This one is about to be sent, and may begin in `due_in` seconds."""
        followed = self._follower.follow(task_id, self._heard)
        with self._changed:
            self._waits[task_id] = _Wait(self._name, followed, self._timeout, due_in)
            self._changed.notify()
        if followed.ended is not None:
            self._heard(followed.ended)

    def forget(self, task_id: str) -> bool:
        """Its end is not waited for any more; False when it was told already."""
        with self._changed:
            wait = self._waits.pop(task_id, None)
        if wait is None:
            return False
        self._follower.forget(wait.followed)
        return True

    def close(self) -> None:
        """Wait for nothing any more."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def _heard(self, outcome: Outcome) -> None:
        """An event. A rejection may be the first half of a failure: the thread waits a moment for the other one."""
        if not outcome.is_final:
            return
        if outcome.what == "rejected":
            with self._changed:
                self._changed.notify()
        elif self.forget(outcome.id):
            self._end(outcome.id, outcome)

    def _run(self) -> None:
        while True:
            with self._changed:
                if self._closed:
                    return
                now = monotonic()
                due = {task_id: wait for task_id, wait in self._waits.items() if _due(wait) <= now}
                if not due:
                    soonest = min((_due(wait) for wait in self._waits.values()), default=None)
                    self._changed.wait(None if soonest is None else max(soonest - now, 0.0))
                    continue
            try:
                self._look(due)
            except Exception as error:  # noqa: BLE001 - whatever it was, nobody may wait for this thread in vain
                problem = BrokerUnreachable(f"the wait was given up: {type(error).__name__}: {error}")
                for task_id in due:
                    if self.forget(task_id):
                        self._then(task_id, problem)

    def _look(self, due: dict[str, _Wait]) -> None:
        silent = [task_id for task_id, wait in due.items() if wait.followed.ended is None and wait.wants_place()]
        broken = self._follower.error
        places = _looked(self._url, self._name, silent) if silent and broken is None else {}
        for task_id, wait in due.items():
            outcome: Outcome | MpError | None = wait.followed.certain or broken
            try:
                if outcome is None and task_id in places:
                    wait.take(places[task_id], self._follower.hears)
            except MpError as error:
                outcome = error
            if outcome is not None and self.forget(task_id):
                self._end(task_id, outcome)

    def _end(self, task_id: str, outcome: Outcome | MpError) -> None:
        try:
            self._then(task_id, outcome if isinstance(outcome, MpError) else _judged(self._name, outcome))
        except MpError as error:
            self._then(task_id, error)


def _due(wait: _Wait) -> float:
    return wait.next_look if wait.followed.ended is None else wait.followed.sure_at


def _looked(url: str, name: TaskName, task_ids: list[str]) -> dict[str, Place]:
    try:
        return dict(whereabouts(url, name, task_ids))
    except BrokerError as error:
        return dict.fromkeys(task_ids, error)


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


def _untold(name: TaskName, followed: Followed) -> NoReply:
    taken = f"{name} was taken by a worker and is with none any more, but"
    if followed.missed:
        return NoReply(
            f"{taken} the connection broke meanwhile, and how it ended may have been told then: it is not known",
            f"its id is {followed.id}",
        )
    return NoReply(
        f"{taken} the workers of {name.queue} send no events: how it ended is not known",
        f"{_NO_EVENTS}; its id is {followed.id}",
    )


def _overdue(name: TaskName, followed: Followed, timeout: float, place: Place, hears: bool) -> NoReply:
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
        return NobodyListens(
            f"{begun}: nobody is listening on {name.queue}", f"it waits there for a worker: `mp up`; {hint}"
        )
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
