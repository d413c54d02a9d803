"""One catalog out of three sources: the services' source, their live workers, and what these said the last time.

Each field knows its origin, and where source and workers disagree that is said, not decided in silence. Of what runs
the workers' word goes before; for what nobody runs there is the source; the cache fills in what neither says.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from mpcli.catalog.live import Live, LiveTask
from mpcli.catalog.source import SourceTask

SOURCE, LIVE, CACHE = "source", "live", "cache"
_FIELDS = ("parameters", "returns", "doc", "limits", "file", "line", "workers")


class CatalogTask:
    """A task. `origins` names the source of each field that is known, `disagreements` are sentences for people.

    `workers` is None when nobody could be asked, and `parameters` when nobody knows them.
    """

    __slots__ = (*_FIELDS, "disagreements", "name", "origins")

    def __init__(self, name: str) -> None:
        self.name = name
        self.parameters: list[dict[str, object]] | None = None
        self.returns: str | None = None
        self.doc = ""
        self.limits: dict[str, object] = {}
        self.file = ""
        self.line = 0
        self.workers: list[str] | None = None
        self.origins: dict[str, str] = {}
        self.disagreements: list[str] = []

    def fill(self, origin: str, **fields: object) -> None:
        """Set the fields that have a value and are not known yet."""
        for field, value in fields.items():
            if value not in (None, "", 0, {}) and field not in self.origins:
                setattr(self, field, value)
                self.origins[field] = origin

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return {"name": self.name, **{field: getattr(self, field) for field in (*_FIELDS, "origins", "disagreements")}}


def merge(source: Iterable[SourceTask], live: Live | None, cached: Live | None) -> list[CatalogTask]:
    """All tasks by name."""
    written = {task.name: task for task in source}
    running = live.tasks if live else {}
    known = cached.tasks if cached else {}
    return [
        _one(name, written.get(name), running.get(name), known.get(name), live)
        for name in sorted(written.keys() | running.keys() | _worth(known, written, live))
        if name.count(".") == 2
    ]


def _worth(known: Mapping[str, LiveTask], written: Mapping[str, SourceTask], live: Live | None) -> set[str]:
    """What only the cache knows, of brokers that could not be asked now: of the others the workers spoke."""
    modes = live.modes if live else set()
    return {name for name in known if name not in written and not any(f".{mode}." in name for mode in modes)}


def _one(
    name: str, written: SourceTask | None, running: LiveTask | None, cached: LiveTask | None, live: Live | None
) -> CatalogTask:
    task = CatalogTask(name)
    mode = name.split(".")[1]
    is_asked = live is not None and mode in live.modes
    if running is not None:
        _fill_live(task, LIVE, running)
    if written is not None:
        task.fill(SOURCE, parameters=written.parameters, returns=written.returns, doc=written.doc)
        task.fill(SOURCE, file=written.file, line=written.line)
    if cached is not None and running is None:
        _fill_live(task, CACHE, cached)
    task.workers = list(running.workers) if running else [] if is_asked else None
    if is_asked:
        task.origins["workers"] = LIVE
    task.disagreements = list(_disagreements(written, running, is_asked and live is not None and mode in live.complete))
    return task


def _fill_live(task: CatalogTask, origin: str, told: LiveTask) -> None:
    task.fill(origin, parameters=told.parameters, doc=told.doc, limits=told.limits)
    if told.parameters is not None:
        task.fill(origin, returns=told.returns)


def _disagreements(written: SourceTask | None, running: LiveTask | None, is_sure: bool) -> Iterable[str]:
    if running is None:
        if written is not None and is_sure:
            yield "in the source, but no worker serves it"
        return
    if written is None:
        yield "a worker serves it, but it is not in the source here"
    elif running.parameters is not None and _shape(written.parameters) != _shape(running.parameters):
        yield "its signature in the source differs from that of the workers: they run another version"


def _shape(parameters: list[dict[str, object]]) -> list[tuple[object, ...]]:
    """What matters to a caller. Annotations and defaults are spelt in several ways: `Any`, `typing.Any`."""
    return [(one["name"], one["kind"], one["required"]) for one in parameters]
