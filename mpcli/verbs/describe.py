"""What is known of one task."""

from __future__ import annotations

from pathlib import Path

from mpcli.bus.naming import TaskName
from mpcli.catalog.merge import CatalogTask
from mpcli.catalog.nearest import nearest
from mpcli.errors import UnknownTask
from mpcli.platform.contexts import resolve
from mpcli.verbs.tasks import Catalog, catalog


class Description:
    """A task, its queue, and the queue's waiting messages and consumers: None when the broker could not be asked,
    and -1 for both when the queue does not exist."""

    __slots__ = ("consumers", "context", "queue", "seen_at", "task", "waiting")

    def __init__(self, task: CatalogTask, found: Catalog) -> None:
        self.task = task
        self.context = found.context.name
        self.seen_at = found.seen_at
        self.queue = task.name.rpartition(".")[0]
        self.waiting: int | None = None
        self.consumers: int | None = None
        if found.live is not None and self.queue in found.live.queues:
            state = found.live.queues[self.queue]
            self.waiting, self.consumers = state if state is not None else (-1, -1)

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return {
            **self.task.as_dict(),
            "context": self.context,
            "queue": self.queue,
            "waiting": self.waiting,
            "consumers": self.consumers,
        }


def describe(start: Path, task: str, context: str | None = None, offline: bool = False) -> Description:
    """Signature, doc, place, limits, workers and queue of a task. Raises `InvalidName`, `UnknownTask`, `NoPlatform`."""
    name = str(TaskName.parse(task, resolve(start, context).prefix))
    found = catalog(start, context, offline, only=name)
    for one in found.tasks:
        if one.name == name:
            return Description(one, found)
    meant = nearest(name, [one.name for one in found.tasks])
    hint = f"did you mean {meant}?" if meant else "`mp tasks` lists those that are known"
    raise UnknownTask(f"there is no task {name}", hint)
