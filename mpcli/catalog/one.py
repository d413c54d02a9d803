"""One task of a platform's source, for a call: it does not wait until a platform of 500 services is read.

As long as nothing changed it is a line of the index. Where something did, all is scanned when that is soon done, and
else the service in question alone, the rest behind.
"""

from __future__ import annotations

import os
import sys

from mpcli.catalog import index
from mpcli.catalog.index import IndexedTask

_FEW_SERVICES = 20


def find_task(root: str, prefix: str, name: str) -> IndexedTask | None:
    """The task, or None when the source has it not. Raises `MpError` for a broken platform, and `OSError`."""
    changed = index.has_changed(root, f"{name}\t")
    if changed is False:
        return index.seen(root, name)
    if changed is None or _is_small(root):
        return index.lookup(root, name)
    if "threading" not in sys.modules:  # a child of threads may hang in their locks
        index.scan_behind(root)
    return _read_alone(root, prefix, name)


def _is_small(root: str) -> bool:
    """By the folders beside mp.toml."""
    with os.scandir(root) as entries:
        return sum(entry.is_dir() and not entry.name.startswith(".") for entry in entries) <= _FEW_SERVICES


def _read_alone(root: str, prefix: str, name: str) -> IndexedTask | None:
    """From the service's own folder, where its name is the folder's, as `mp new` makes it."""
    from pathlib import Path

    from mpcli.catalog.indexing import task_line
    from mpcli.catalog.source import scan_service
    from mpcli.platform.layout import read_service

    folder = Path(root, name.partition(".")[0])
    service = read_service(folder, prefix) if (folder / "pyproject.toml").is_file() else None
    found = [task for task in scan_service(service) if task.name == name] if service is not None else []
    return IndexedTask(task_line(found[0].as_dict()).encode("utf-8", "backslashreplace")) if found else None
