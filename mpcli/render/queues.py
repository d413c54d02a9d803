"""Queues as a table that fits the terminal, once or redrawn in place; as JSON, or as JSON Lines while watching."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from mpcli.render.console import print_error, print_json, print_line, print_note, rich_console
from mpcli.render.escape import escape_line
from mpcli.render.message import clock, dumps
from mpcli.render.ps import duration
from mpcli.verbs.queue_rows import QueueRow
from mpcli.verbs.queues import Snapshot
from mpcli.words import counted, iso

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rich.console import Group
    from rich.table import Table

# From the left as they are shown; below this many columns of the terminal a column is left out.
_COLUMNS: tuple[tuple[str, int, Callable[[QueueRow], str]], ...] = (
    ("broker", 50, lambda row: row.broker),
    ("type", 90, lambda row: row.type),
    ("ready", 0, lambda row: _count(row.ready)),
    ("unacked", 60, lambda row: _count(row.unacked)),
    ("consumers", 0, lambda row: _count(row.consumers)),
    ("in/s", 60, lambda row: _rate(row.in_rate)),
    ("out/s", 60, lambda row: _rate(row.out_rate)),
    ("change/s", 60, lambda row: _rate(row.change, sign=True)),
    ("oldest", 80, lambda row: duration(row.oldest)),
)
_LEAST_NAME = 8
_NUMBERS = frozenset({"ready", "unacked", "consumers", "in/s", "out/s", "change/s", "oldest"})


def show_queues(found: Snapshot, as_json: bool, everything: bool) -> None:
    """One look: a list of objects as JSON. What cannot be asked or listed is told on stderr."""
    if as_json:
        print_json([row.as_dict() for row in found.rows])
    elif found.rows:
        rich_console().print(_table(found, rich_console().width))
    for failure in found.failures.values():
        print_error(failure)
    if everything:
        for broker, reason in found.management.items():
            if reason and broker not in found.failures:
                print_note(f"mp: {broker}: only the management API lists every queue, and it is not there ({reason})")
    if not as_json:
        for text in _remarks(found):
            print_note(f"mp: {text}")


def watch_queues(snapshots: Iterable[Snapshot], as_json: bool) -> None:
    """Redraw the table in place until there is no more; as JSON a line for each look."""
    if as_json:
        for found in snapshots:
            print_line(dumps(_as_dict(found)))
        return
    from rich.live import Live

    console = rich_console()
    with Live(console=console, auto_refresh=False, vertical_overflow="crop") as live:
        for found in snapshots:
            live.update(_screen(found, console.width), refresh=True)


def _as_dict(found: Snapshot) -> dict[str, object]:
    failures = {broker: error.message for broker, error in found.failures.items()}
    return {"at": iso(found.at), "queues": [row.as_dict() for row in found.rows], "failures": failures}


def _screen(found: Snapshot, width: int) -> Group:
    from rich.console import Group
    from rich.text import Text

    lines = [Text(escape_line(f"{broker}: {error.message}"), "red") for broker, error in found.failures.items()]
    foot = f"{clock(found.at)[:8]}  {'  '.join([*_remarks(found)[:1], 'Ctrl-C ends it'])}"
    return Group(_table(found, width), *lines, Text(foot, "dim", no_wrap=True, overflow="ellipsis"))


def _table(found: Snapshot, width: int) -> Table:
    from rich import box
    from rich.table import Table

    known = [(name, cell) for name, least, cell in _COLUMNS if width >= least and any(cell(row) for row in found.rows)]
    titles = ["cons." if name == "consumers" and width < 60 else name for name, _ in known]
    rows = [[escape_line(cell) for cell in _cells(row, known)] for row in found.rows]
    widths = [max(map(len, column)) for column in zip(titles, *rows, strict=True)]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    # Two blanks and a separator for each column; a long name is cut rather than a number.
    room = width - 2 - sum(each + 3 for each in widths)
    table.add_column("queue", no_wrap=True, overflow="ellipsis", max_width=max(room, _LEAST_NAME))
    for (name, _), title, least in zip(known, titles, widths, strict=True):
        table.add_column(title, no_wrap=True, min_width=least, justify="right" if name in _NUMBERS else "left")
    for row, cells in zip(found.rows, rows, strict=True):
        table.add_row(escape_line(row.name), *cells, style=_style(row))
    return table


def _cells(row: QueueRow, known: list[tuple[str, Callable[[QueueRow], str]]]) -> list[str]:
    if row.there and not row.problem:
        return [cell(row) for _, cell in known]
    cells = [row.broker if name == "broker" else "" for name, _ in known]
    return [*cells[:-1], "refused" if row.problem else "not there"]


def _style(row: QueueRow) -> str:
    if not row.there:
        return "dim"
    if row.dead:
        return "red" if row.ready else ""
    return "yellow" if row.ready and row.consumers == 0 else ""


def _remarks(found: Snapshot) -> list[str]:
    dead = sum(row.ready or 0 for row in found.rows if row.dead)
    remarks = [f"{counted(dead, 'dead letter')}: `mp dead` tells why"] if dead else []
    remarks += [f"{row.name}: {row.problem}" for row in found.rows if row.problem]
    stuck = [row.name for row in found.rows if row.ready and row.consumers == 0 and not row.dead]
    if stuck:
        remarks.append(f"nobody consumes {', '.join(stuck)}")
    return remarks


def _count(value: int | None) -> str:
    return "" if value is None else str(value)


def _rate(value: float | None, sign: bool = False) -> str:
    if value is None:
        return ""
    if abs(value) < 0.05:
        return "0"
    return f"{value:+.1f}" if sign else f"{value:.1f}"
