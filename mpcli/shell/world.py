"""What there is to complete, as one snapshot that never changes: whoever refreshes it swaps in a new one.

Made from the two indexes that the catalog keeps on disk (`mpcli.catalog.index`): what the workers of the context told
the last time, and what stands in the source; of what runs the workers' word goes before. A line of 10,000 is taken
apart only when its task is shown.

It is not one with `mpcli.shell.known`. Code that runs asks that one, and is told the truth: the source is read where no
index is there yet, and each field knows where it comes from, for which all tasks are taken apart. A keystroke asks this
one and waits for nothing of the kind: it takes what lies on the disk, be it nothing, or of a moment ago.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from mpcli.catalog.index import TASKS, IndexedTask
from mpcli.catalog.signature import signature
from mpcli.platform.root import cache_folder
from mpcli.shell.names import Names


class Parameter:
    """A parameter of a task. `annotation` and `default` are source text, empty where there is none; `fields` is all of
    it, as the catalog has it."""

    __slots__ = ("annotation", "default", "fields", "is_required", "kind", "name")

    def __init__(self, fields: Mapping[str, object]) -> None:
        self.fields = fields
        self.name = str(fields["name"])
        self.kind = str(fields["kind"])
        self.annotation = str(fields.get("annotation") or "")
        self.default = "" if fields.get("default") is None else str(fields["default"])
        self.is_required = bool(fields.get("required"))

    @property
    def is_variadic(self) -> bool:
        """`*args` or `**kwargs`."""
        return self.kind.startswith("VAR_")

    @property
    def about(self) -> str:
        """Its annotation and default: `str = ''`."""
        default = f" = {self.default}" if self.default else ""
        return f"{self.annotation or 'anything'}{default}"


class Task:
    """A task as it is shown: its parameters (None when nobody knows them), what it returns, its doc's first line."""

    __slots__ = ("doc", "name", "parameters", "returns", "where")

    def __init__(self, name: str, parameters: list[Parameter] | None, returns: str, doc: str, where: str = "") -> None:
        self.name = name
        self.parameters = parameters
        self.returns = returns
        self.doc = doc
        self.where = where

    @property
    def signature(self) -> str:
        """As Python writes it, without the name."""
        if self.parameters is None:
            return "(...)"
        return signature([one.fields for one in self.parameters], self.returns)

    def parameter_at(self, position: int, keyword: str) -> Parameter | None:
        """Which one an argument is for: by its name, or by how many unnamed ones stand in front of it."""
        known = self.parameters or []
        if keyword:
            by_name = next((one for one in known if one.name == keyword), None)
            return by_name or next((one for one in known if one.kind == "VAR_KEYWORD"), None)
        positional = [one for one in known if one.kind in ("POSITIONAL_ONLY", "POSITIONAL_OR_KEYWORD")]
        if position < len(positional):
            return positional[position]
        return next((one for one in known if one.kind == "VAR_POSITIONAL"), None)


class World:
    """The tasks of a context."""

    def __init__(self, lines: Mapping[str, bytes] | None = None) -> None:
        self._lines = dict(lines or {})
        self.tasks = Names(self._lines)
        self.services = Names({name.partition(".")[0] for name in self._lines})
        self.modes: dict[str, list[str]] = {}
        for queue in sorted({name.rpartition(".")[0] for name in self._lines}):
            service, _, mode = queue.partition(".")
            self.modes.setdefault(service, []).append(mode)
        self._known: dict[str, Task] = {}

    def task(self, name: str) -> Task | None:
        """The task of this whole name."""
        if name not in self._known and name in self._lines:
            self._known[name] = _task(self._lines[name])
        return self._known.get(name)

    def takes_nothing(self, name: str) -> bool:
        """Whether the task has no parameters; without taking its line apart."""
        return self._lines[name].endswith(b"\t[]")


def load(root: str, context: str) -> World:
    """The world as the indexes on disk have it, without asking or scanning anything; empty where there are none."""
    folder = cache_folder(root)
    lines: dict[str, bytes] = {}
    for file in (TASKS, f"live.{context}"):
        try:
            with open(os.path.join(folder, file), "rb") as stream:
                data = stream.read()
        except OSError:
            continue
        for line in data.split(b"\n"):
            name = line[: line.find(b"\t")].decode("utf-8", "replace")
            # Workers that told names only know less than the source does.
            if name.count(".") == 2 and not (name in lines and line.endswith(b"\tnull")):
                lines[name] = line
    world = World(lines)
    world.tasks.warm()
    return world


def _task(line: bytes) -> Task:
    found = IndexedTask(line)
    parameters = found.parameters()
    known = None if parameters is None else [Parameter(fields) for fields in parameters]
    return Task(found.name, known, found.returns, found.doc, found.where)
