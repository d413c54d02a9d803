"""The catalog as a table."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import lru_cache

from mpcli.catalog.merge import CatalogTask
from mpcli.catalog.signature import signature
from mpcli.render.columns import print_columns
from mpcli.render.console import print_json, print_note
from mpcli.render.escape import escape_line
from mpcli.verbs.tasks import Catalog


def show_tasks(found: Catalog, as_json: bool) -> None:
    """One row for each task; as JSON one object for each, in a list."""
    tasks = found.tasks
    if as_json:
        print_json([task.as_dict() for task in tasks])
        return
    if not tasks:
        print_note("mp: no such task; `mp tasks` lists them all, `mp new service mplogin` makes a service")
        return
    live = found.live is not None
    relative = lru_cache(os.path.relpath)  # a file has many tasks
    # `mp describe` shows all of what is cut here on a narrow terminal.
    headings = ["task", *(["workers"] if live else []), "signature", "what it does", "where"]
    print_columns(
        headings, [_row(task, live, relative) for task in tasks], whole=2 if live else 1, right=1 if live else -1
    )
    for task in tasks:
        for sentence in task.disagreements:
            print_note(f"{task.name}: {sentence}")


def _row(task: CatalogTask, live: bool, relative: Callable[[str], str]) -> list[str]:
    shown = "(unknown)" if task.parameters is None else signature(task.parameters, task.returns)
    where = f"{relative(task.file)}:{task.line}" if task.file else ""
    workers = ["?" if task.workers is None else str(len(task.workers))] if live else []
    return [escape_line(cell) for cell in (task.name, *workers, shown, task.doc.partition("\n")[0], where)]
