"""What the shell knows of the tasks: at once from the source and the cache, later from the workers.

`tasks` is a mapping that is never changed but replaced, so that a reader in another thread sees one or the other.
`refresh` asks the workers, on connections of its own, and may run in any thread.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from threading import Lock

from mpcli.errors import MpError
from mpcli.platform.contexts import Context

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mpcli.catalog.live import Live
    from mpcli.catalog.merge import CatalogTask


class Known:
    """The tasks of one context, seen from the folder `start`. `named` is the context as a flag would name it."""

    def __init__(self, start: Path, context: Context, named: str | None = None) -> None:
        self._start = start
        self._context = context
        self._named = named
        self._tasks: Mapping[str, CatalogTask] | None = None
        self._services: dict[str, dict[str, list[str]]] = {}
        self._lock = Lock()
        # What the workers said when they were last asked: who serves what, and which brokers answered.
        self.live: Live | None = None

    @property
    def tasks(self) -> Mapping[str, CatalogTask]:
        """By whole name, in order. Read from the source and the cache when it is first needed."""
        with self._lock:
            if self._tasks is None:
                self._replace(_offline(self._start, self._context, self._named))
            assert self._tasks is not None
            return self._tasks

    @property
    def services(self) -> Mapping[str, Mapping[str, list[str]]]:
        """The last words of the tasks, by service and mode: `services["mplogin"]["sync"]`."""
        _ = self.tasks
        return self._services

    def refresh(self) -> None:
        """Ask the workers, within a few seconds; a broker that does not answer changes nothing. Raises `MpError`."""
        from mpcli.verbs.tasks import catalog

        found = catalog(self._start, self._named)
        with self._lock:
            self.live = found.live
            self._replace(found.tasks)

    def _replace(self, tasks: list[CatalogTask]) -> None:
        services: dict[str, dict[str, list[str]]] = {}
        for task in tasks:
            service, mode, word = task.name.split(".")
            services.setdefault(service, {}).setdefault(mode, []).append(word)
        self._services = services
        self._tasks = {task.name: task for task in tasks}


def _offline(start: Path, context: Context, named: str | None) -> list[CatalogTask]:
    from mpcli.catalog.live_cache import recall
    from mpcli.catalog.merge import merge
    from mpcli.verbs.tasks import catalog

    try:
        return catalog(start, named, offline=True).tasks
    except MpError:
        # No platform here, or one that cannot be read: what the workers of this context said is still worth knowing.
        return merge([], None, recall(context.root, context.name))
