"""The names of the parameters of every task, from the source, so that a positional secret can be known as one."""

from __future__ import annotations

from pathlib import Path

from mpcli.errors import MpError


def parameter_names(start: Path) -> dict[str, list[str]]:
    """By task, in their order; nothing outside of a platform, or where its source cannot be read."""
    from mpcli.catalog.source import scan_platform
    from mpcli.platform.layout import load_platform

    try:
        tasks = scan_platform(load_platform(start))
    except (MpError, OSError):
        return {}
    return {task.name: [str(parameter["name"]) for parameter in task.parameters] for task in tasks}
