"""Contexts as a table."""

from __future__ import annotations

from mpcli.platform.context_files import COLOURS
from mpcli.render.columns import print_columns
from mpcli.render.console import print_json, print_line
from mpcli.render.escape import escape_line

Row = dict[str, object]


def show_contexts(rows: list[Row], as_json: bool) -> None:
    """One row for each, in its colour; the one that is worked in has a star."""
    if as_json:
        print_json(rows)
        return
    keys = ("name", "safety", "sync_url", "async_url", "defined_in")
    print_columns(
        ("", "context", "safety", "sync", "async", "defined in"),
        [["*" if row["current"] else " ", *(escape_line(str(row[key])) for key in keys)] for row in rows],
        whole=3,
        least=8,
        paint=lambda number, line: _in_colour(str(rows[number]["colour"]), line),
    )


def _in_colour(colour: str, line: str) -> str:
    return f"\x1b[{30 + COLOURS.index(colour)}m{line}\x1b[0m" if colour else line


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
