"""Contexts as a table."""

from __future__ import annotations

from mpcli.render.console import print_json, print_line, rich_console
from mpcli.render.escape import escape_line

Row = dict[str, object]


def show_contexts(rows: list[Row], as_json: bool) -> None:
    """One row for each; the one that is worked in has a star."""
    if as_json:
        print_json(rows)
        return
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table("", "context", "sync", "async", "safety", "defined in", box=box.SIMPLE_HEAD, pad_edge=False)
    for row in rows:
        name = Text(escape_line(str(row["name"])), style=str(row["colour"] or ""))
        cells = (escape_line(str(row[key])) for key in ("sync_url", "async_url", "safety", "defined_in"))
        table.add_row("*" if row["current"] else "", name, *cells)
    rich_console().print(table)


def show_context(row: Row, as_json: bool) -> None:
    """A fact on each line."""
    if as_json:
        print_json(row)
        return
    for key, value in row.items():
        if value not in ("", {}):
            print_line(f"{key:<11} {escape_line(_as_text(value))}")


def _as_text(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {text}" for key, text in value.items())
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)
