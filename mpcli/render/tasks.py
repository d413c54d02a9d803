"""The catalog as a table."""

from __future__ import annotations

import os

from mpcli.catalog.signature import signature
from mpcli.render.console import print_json, print_note, rich_console
from mpcli.render.escape import escape_line
from mpcli.verbs.tasks import Catalog


def show_tasks(found: Catalog, as_json: bool) -> None:
    """One row for each task; as JSON one object for each, in a list."""
    tasks = found.tasks
    if as_json:
        print_json([task.as_dict() for task in tasks])
        return
    if not tasks:
        print_note("no such task; `mp tasks` lists them all")
        return
    from rich import box
    from rich.table import Table

    live = found.live is not None
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("task", no_wrap=True, min_width=max(len(escape_line(task.name)) for task in tasks))
    if live:
        table.add_column("workers", no_wrap=True, justify="right")
    for column in ("signature", "what it does", "where"):
        # Cut on a narrow terminal, and not folded into a column of syllables: `mp describe` shows all of it.
        table.add_column(column, no_wrap=True, overflow="ellipsis")
    for task in tasks:
        shown = "(unknown)" if task.parameters is None else signature(task.parameters, task.returns)
        where = f"{os.path.relpath(task.file)}:{task.line}" if task.file else ""
        workers = ["?" if task.workers is None else str(len(task.workers))] if live else []
        row = [task.name, *workers, shown, task.doc.partition("\n")[0], where]
        table.add_row(*map(escape_line, row))
    rich_console().print(table)
    for task in tasks:
        for sentence in task.disagreements:
            print_note(f"{task.name}: {sentence}")
