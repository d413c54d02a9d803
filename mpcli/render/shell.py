"""The results of the shell: for a person rich, cut to the screen, with the time below; for a program JSON.

What stands on the screen is escaped, and what goes by a secret name is hidden; a program behind a pipe gets all of it.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from itertools import islice

from mpcli.errors import MpError, RemoteError
from mpcli.render.call import as_plain
from mpcli.render.console import print_error, print_line, print_note, rich_console, wants_colour
from mpcli.render.escape import escape, escape_line
from mpcli.render.secrets import masked, masked_text
from mpcli.words import counted

AUTO, JSON, TABLE, PYTHON = "auto", "json", "table", "python"
FORMS = (AUTO, JSON, TABLE, PYTHON)
# A table has at most so many columns, and each as many signs as this where it needs them: else it is made of slivers,
# and each row is shown by itself.
_COLUMNS = 12
_LEAST_WIDE = 10
_BETWEEN = 3
# A result of so many lines, or a screen without what stands around it, is shown whole.
_MARGIN = 6
_LEAST = 20
# One that is cut leaves room for its call, the line below it, the prompt, its menu and the bar: so that its beginning,
# where the names of the columns are, stays on the screen.
_AROUND = 14
_LEAST_CUT = 8
# Whose objects are data: they hold what their repr says and nothing else.
_DATA = ("builtins", "datetime", "decimal", "uuid")

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table


def show_value(value: object, form: str = AUTO, seconds: float | None = None, whole: bool = False) -> None:
    """Print a value in one of `FORMS`; on a terminal what is longer than the screen is cut, unless `whole`."""
    if not sys.stdout.isatty():
        print_line(json_text(value) if form in (AUTO, JSON) else escape(_plain(value, form)))
        return
    console = rich_console()
    most = max(console.height - _MARGIN, _LEAST)
    shown = _Shown(most, console.width) if not whole else _Shown()
    lines = console.render_lines(_renderable(shown.of(value, form), form, console.width), pad=False)
    while lines and not "".join(segment.text for segment in lines[-1]).strip():
        lines.pop()  # the frame of a table
    is_cut = not whole and (shown.is_cut or len(lines) > most)
    if is_cut:
        lines = lines[: max(console.height - _AROUND, _LEAST_CUT)]
    from rich.segment import Segment, Segments

    for line in lines:
        console.print(Segments([*line, Segment.line()]), end="", soft_wrap=True)
    notes = ["there is more: /all shows it"] if is_cut else []
    show_dim(" · ".join([*notes, *([took(seconds)] if seconds is not None else [])]))


def page_value(value: object, form: str) -> None:
    """Show all of it, in the user's pager on a terminal."""
    if not sys.stdout.isatty():
        show_value(value, form)
        return
    console = rich_console()
    # less shows colours only when it is told to.
    with console.pager(styles="R" in os.environ.get("LESS", "") and wants_colour(True)):
        console.print(_renderable(_Shown().of(value, form), form, console.width))


def show_dim(text: str) -> None:
    """A line beside the result, on stdout because only a person sees it."""
    if text:
        dim, off = ("\x1b[2m", "\x1b[0m") if wants_colour(sys.stdout.isatty()) else ("", "")
        print_line(f"{dim}{escape_line(text)}{off}")


def took(seconds: float) -> str:
    """A duration, as it stands below a result."""
    return f"{seconds * 1000:.1f} ms" if seconds < 1 else f"{seconds:.2f} s"


def json_text(value: object, indent: int | None = None) -> str:
    """As a program wants it: ASCII, dates and the like as text; what has no JSON form at all as its repr."""
    return json.dumps(value, default=as_plain, indent=indent, skipkeys=True)


def show_error(error: MpError, seconds: float) -> None:
    """What is wrong and what to do; on a terminal the traceback of the remote side is folded."""
    if not isinstance(error, RemoteError) or not sys.stderr.isatty():
        print_error(error)
        return
    lines = len(error.traceback.splitlines())
    hint = f"/traceback shows where: {counted(lines, 'line')}" if lines else ""
    # The type apart: `InvalidCredentials: no such user` is no secret behind a name.
    print_error(MpError(f"{error.task} raised {error.type_name}: {masked_text(error.text)}", hint))
    show_dim(took(seconds))


def show_raised(lines: Sequence[str]) -> None:
    """The short traceback of the user's own code."""
    print_note(masked_text("\n".join(lines)))


def copy(text: str) -> bool:
    """Hand text to the terminal's clipboard (OSC 52, through ssh too); whether there is a terminal that could."""
    if not sys.stdout.isatty():
        return False
    from base64 import b64encode

    sys.stdout.write(f"\x1b]52;c;{b64encode(text.encode('utf-8', 'backslashreplace')).decode()}\x07")
    sys.stdout.flush()
    return True


class _Repr:
    """What is no data speaks for itself."""

    __slots__ = ("_text",)

    def __init__(self, value: object) -> None:
        self._text = masked_text(repr(value))

    def __repr__(self) -> str:
        return self._text


class _Shown:
    """What of a value is for eyes: its secrets hidden, and no more of it than `most` lines of `width` can hold."""

    def __init__(self, most: int | None = None, width: int = 0) -> None:
        # On one line each takes three signs (`1, `), else a line.
        self._most = max(most, width // 3 + 1) if most else None
        self._signs = most * width if most else None
        self.is_cut = False

    def of(self, value: object, form: str) -> object:
        """For JSON only what JSON has; what is no data is its repr."""
        told = self._told(masked(value))
        return json.loads(json_text(told)) if form == JSON and not isinstance(told, _Repr) else told

    def _told(self, value: object) -> object:
        if isinstance(value, dict):
            self._note(len(value), self._most)
            return {key: self._told(inner) for key, inner in islice(value.items(), self._most)}
        if isinstance(value, (list, tuple)):
            self._note(len(value), self._most)
            told = [self._told(inner) for inner in value[: self._most]]
            return told if isinstance(value, list) else tuple(told)
        if isinstance(value, (str, bytes)):
            self._note(len(value), self._signs)
            return value[: self._signs]
        return value if value is None or type(value).__module__ in _DATA else _Repr(value)

    def _note(self, length: int, most: int | None) -> None:
        self.is_cut = self.is_cut or (most is not None and length > most)


def _plain(value: object, form: str) -> str:
    return _grid(value) if form == TABLE else repr(value)


def _grid(value: object) -> str:
    """A table for a program: tabs between the cells."""
    columns, rows = _cells(value)
    return "\n".join("\t".join(map(escape_line, row)) for row in [columns, *rows])


def _renderable(value: object, form: str, width: int) -> RenderableType:
    if isinstance(value, _Repr):
        return _text(escape(repr(value)))
    if form == JSON:
        from rich.syntax import Syntax

        text = escape(json.dumps(value, indent=2, ensure_ascii=False, default=as_plain, skipkeys=True))
        if wants_colour(True):
            return Syntax(text, "json", theme="ansi_dark", background_color="default", word_wrap=True)
        return _text(text)
    if form == TABLE or (form == AUTO and _is_tabular(value) and _has_room(value, width)):
        return _table(value)
    return _text(escape(_pretty(value, width)))


def _text(text: str) -> RenderableType:
    from rich.highlighter import ReprHighlighter
    from rich.text import Text

    found = Text(text, overflow="fold")
    ReprHighlighter().highlight(found)
    return found


def _pretty(value: object, width: int) -> str:
    """As Python writes it, over several lines where one is too long."""
    from rich.pretty import pretty_repr

    return pretty_repr(value, max_width=width)


def _is_tabular(value: object) -> bool:
    """Several rows that have the same few columns, whose cells are single values."""
    if not isinstance(value, list) or len(value) < 2 or not all(isinstance(row, dict) and row for row in value):
        return False
    first = list(value[0])
    return len(first) <= _COLUMNS and all(
        list(row) == first and not any(isinstance(cell, (dict, list)) and cell for cell in row.values())
        for row in value
    )


def _has_room(value: object, width: int) -> bool:
    """Whether no column of the table would be a sliver."""
    columns, rows = _cells(value)
    needs = [max(len(name), *(len(row[at]) for row in rows)) for at, name in enumerate(columns)]
    return sum(min(signs, _LEAST_WIDE) + _BETWEEN for signs in needs) <= width + _BETWEEN


def _table(value: object) -> Table:
    from rich import box
    from rich.table import Table

    columns, rows = _cells(value)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for at, column in enumerate(columns):
        numbers = all(row[at].replace(".", "", 1).lstrip("-").isdigit() for row in rows)
        table.add_column(escape_line(column), overflow="fold", justify="right" if numbers and rows else "left")
    for row in rows:
        table.add_row(*map(escape_line, row))
    return table


def _cells(value: object) -> tuple[list[str], list[list[str]]]:
    """Columns and rows of whatever it is: of rows their fields, of a dict its keys and values, else one column."""
    if isinstance(value, dict):
        return ["key", "value"], [[str(key), _cell(inner)] for key, inner in value.items()]
    values = value if isinstance(value, (list, tuple)) else [value]
    rows = [row for row in values if isinstance(row, dict)]
    if not rows or len(rows) < len(values):
        return ["value"], [[_cell(one)] for one in values]
    columns = list(dict.fromkeys(key for row in rows for key in row))
    return [str(one) for one in columns], [[_cell(row.get(one, "")) for one in columns] for row in rows]


def _cell(value: object) -> str:
    return value if isinstance(value, str) else json_text(value) if isinstance(value, (dict, list)) else str(value)
