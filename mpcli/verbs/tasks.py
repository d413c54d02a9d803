"""Which tasks there are, and what is known of one."""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import Path

from mpcli.bus.naming import Mode
from mpcli.catalog.live import Live, ask
from mpcli.catalog.live_cache import recall, remember
from mpcli.catalog.merge import CatalogTask, merge
from mpcli.catalog.source import SourceTask, scan_platform
from mpcli.errors import ConfigError, NoPlatform
from mpcli.platform.contexts import Context, resolve
from mpcli.platform.layout import load_platform


class Catalog:
    """Tasks by name, and from where they are known: `live` is None when no worker was to be asked or none could be."""

    __slots__ = ("context", "live", "seen_at", "tasks")

    def __init__(self, context: Context, tasks: list[CatalogTask], live: Live | None, seen_at: float | None) -> None:
        self.context = context
        self.tasks = tasks
        self.live = live
        # When the workers were last asked, for what is only known from then.
        self.seen_at = seen_at


def catalog(start: Path, context: str | None = None, offline: bool = False, only: str = "") -> Catalog:
    """Everything that is known, from the source, the workers and the cache; of one task only when it is named.

    Brokers that do not answer within a moment are done without, in silence. Raises `NoPlatform` when there is neither
    a platform here nor a context with brokers, `ConfigError`.
    """
    around = resolve(start, context)
    source: list[SourceTask] = scan_platform(load_platform(Path(around.root))) if around.root else []
    urls = {} if offline else _urls(around)
    if not around.root and not urls:
        around.endpoint(Mode.SYNC)
        raise NoPlatform("no platform here, and no broker to ask")
    cached = recall(around.root, around.name)
    services = {task.name.partition(".")[0] for task in source}
    services |= {name.partition(".")[0] for name in (cached.tasks if cached else ())}
    if only:
        services = {only.partition(".")[0]}
    live = ask(urls, sorted(services)) if urls else None
    if live is not None and not live.modes:
        live = None
    if live is not None and not only:
        remember(around.root, around.name, live)
    return Catalog(around, merge(source, live, cached), live, cached.at if cached else None)


def _urls(context: Context) -> dict[Mode, str]:
    try:
        return context.urls
    except ConfigError:
        if context.root:
            return {}  # a variable that is not set: the source is known all the same
        raise


def tasks(start: Path, pattern: str = "", context: str | None = None, offline: bool = False) -> Catalog:
    """The tasks that match: by a shell pattern (`mplogin.sync.*`) or, without its signs, by a part of the name."""
    found = catalog(start, context, offline)
    if any(sign in pattern for sign in "*?["):
        found.tasks = [task for task in found.tasks if fnmatchcase(task.name, pattern)]
    else:
        found.tasks = [task for task in found.tasks if pattern in task.name]
    return found
