"""Where an async task is that nothing was heard of: in its queue, with a worker, done, and with whom."""

from __future__ import annotations

from time import monotonic, time

from mpcli.bus.naming import TaskName
from mpcli.wire.control import Control
from mpcli.wire.handshake import connect

_ANSWER_WAIT = 1.0


class Whereabouts:
    """What broker and workers say now. `waiting` messages and `consumers` are the queue's.

    `state` is Celery's word for a task that a worker holds: `active` (running, for `seconds`), `reserved` (to be run
    next), `ready` (held for its eta); empty when none holds it, which is certain when `complete`: every worker of the
    queue answered.
    """

    __slots__ = ("complete", "consumers", "seconds", "state", "waiting", "worker")

    def __init__(self, waiting: int, consumers: int) -> None:
        self.waiting = waiting
        self.consumers = consumers
        self.complete = False
        self.state = ""
        self.worker = ""
        self.seconds: float | None = None

    @property
    def gone(self) -> bool:
        """Whether it is surely neither waiting nor with a worker of its queue."""
        return self.complete and not self.state and not self.waiting


def whereabouts(url: str, name: TaskName, task_id: str) -> Whereabouts:
    """Ask the broker and the workers of the task's queue, with a second for each. Raises `BrokerError`.

    Source: Celery's `query_task`, `celery.worker.control`.
    """
    with connect(url, name="mp call --wait") as connection:
        return look(Control(connection), name, task_id)


def look(control: Control, name: TaskName, task_id: str) -> Whereabouts:
    """As `whereabouts`, over a connection that is there."""
    survey = control.listeners(name.queue, wait=_ANSWER_WAIT)
    found = Whereabouts(survey.waiting, survey.consumers)
    workers = set(survey.workers)
    if not workers:
        return found
    ticket = control.ask("query_task", {"ids": [task_id]}, sorted(workers))
    for worker, reply in control.replies(ticket, monotonic() + _ANSWER_WAIT):
        workers.discard(worker)
        if isinstance(reply, dict) and task_id in reply:
            _note(found, worker, reply[task_id])
        if not workers:
            break
    found.complete = survey.complete and not workers
    return found


def _note(found: Whereabouts, worker: str, told: object) -> None:
    """A worker's answer: the state and what it knows of the task."""
    if not isinstance(told, list) or len(told) != 2 or not isinstance(told[1], dict):
        return
    found.state, found.worker = str(told[0]), worker
    began = told[1].get("time_start")
    if isinstance(began, (int, float)):
        found.seconds = max(time() - began, 0.0)
