"""Where async tasks are that nothing was heard of: in their queue, with a worker, done, and with whom."""

from __future__ import annotations

from time import time

from mpcli.bus.naming import TaskName
from mpcli.wire.control import Control, Held
from mpcli.wire.handshake import connect

_ANSWER_WAIT = 1.0


class Whereabouts:
    """What broker and workers say now of a task. `waiting` messages and `consumers` are its queue's.

    `state` is Celery's word for a task that a worker holds: `active` (running, for `seconds`), `reserved` (to be run
    next), `ready` (held for its eta); empty when none holds it, which is certain when `complete`: every worker of the
    queue answered.
    """

    __slots__ = ("complete", "consumers", "seconds", "state", "waiting", "worker")

    def __init__(self, waiting: int, consumers: int, complete: bool, held: Held | None) -> None:
        self.waiting = waiting
        self.consumers = consumers
        self.complete = complete
        self.state = held.state if held else ""
        self.worker = held.worker if held else ""
        self.seconds = max(time() - held.since, 0.0) if held and held.since else None

    @property
    def gone(self) -> bool:
        """Whether it is surely neither waiting nor with a worker of its queue."""
        return self.complete and not self.state and not self.waiting


def whereabouts(url: str, name: TaskName, task_ids: list[str]) -> dict[str, Whereabouts]:
    """Ask the broker and the workers of the tasks' queue, with a second for each. By id; raises `BrokerError`."""
    with connect(url, name="mp call --wait") as connection:
        control = Control(connection)
        survey = control.listeners(name.queue, wait=_ANSWER_WAIT)
        workers = list(survey.workers)
        held = control.holders(task_ids, workers, _ANSWER_WAIT) if workers else {}
    complete = survey.complete and held.keys() >= set(workers)
    by_id = {one.id: one for tasks in held.values() for one in tasks}
    return {
        task_id: Whereabouts(survey.waiting, survey.consumers, complete, by_id.get(task_id)) for task_id in task_ids
    }
