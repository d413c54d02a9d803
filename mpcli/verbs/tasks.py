"""Which tasks the platform has."""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import Path

from mpcli.catalog.source import SourceTask, scan_platform
from mpcli.platform.layout import load_platform


def tasks(start: Path, pattern: str = "") -> list[SourceTask]:
    """The tasks in the source of the platform around `start`, by name.

    `pattern` is a shell pattern (`mplogin.sync.*`) or, without any of its signs, a part of the name.
    """
    found = scan_platform(load_platform(start))
    if any(sign in pattern for sign in "*?["):
        return [task for task in found if fnmatchcase(task.name, pattern)]
    return [task for task in found if pattern in task.name]
