"""How everything reaches the user: JSON or rich on stdout, two lines on stderr for an error.

rich costs 45 ms and is imported only when there is a terminal to please.
"""

from __future__ import annotations

import os
import sys

from mpcli.errors import MpError, RemoteError
from mpcli.render.escape import escape, escape_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rich.console import Console


def stdout_is_terminal() -> bool:
    """Whether a person reads stdout: then the output is for people, else it is JSON."""
    return sys.stdout.isatty()


def wants_json(asked: bool) -> bool:
    """Whether the output is JSON: where it was asked for, and where no person reads it."""
    return asked or not stdout_is_terminal()


def wants_colour(is_terminal: bool) -> bool:
    """https://no-color.org and the habit of `TERM=dumb`."""
    return is_terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def rich_console(stderr: bool = False) -> Console:
    """A rich console that guesses nothing: no markup, emoji or highlighting of text that came from elsewhere."""
    from rich.console import Console

    return Console(stderr=stderr, markup=False, emoji=False, highlight=False)


def print_json(value: object) -> None:
    """One line for a program, indented and coloured for a person."""
    import json

    if not stdout_is_terminal():
        # ensure_ascii: whatever the locale of the reader, and no control reaches a terminal behind the pipe.
        sys.stdout.write(json.dumps(value, default=str) + "\n")
        sys.stdout.flush()
        return
    text = escape(json.dumps(value, default=str, indent=2, ensure_ascii=False))
    if wants_colour(True):
        from rich.syntax import Syntax

        rich_console().print(Syntax(text, "json", theme="ansi_dark", background_color="default", word_wrap=True))
    else:
        print_line(text)


def end_interrupted_line() -> None:
    """Begin a new line on a terminal, where ^C stands on this one."""
    if sys.stderr.isatty():
        sys.stderr.write("\n")


def print_line(text: str) -> None:
    """A line for people; the caller has escaped what came from elsewhere."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def print_note(text: str) -> None:
    """A line beside the result, on stderr, so that a pipe stays clean."""
    sys.stderr.write(escape(text) + "\n")
    sys.stderr.flush()


def print_error(error: MpError) -> None:
    """What is wrong, then what to do; a remote traceback goes in front, because it is the task's own words."""
    hint = error.hint
    if isinstance(error, RemoteError) and error.traceback:
        print_note(error.traceback.rstrip())
        hint = hint or "the traceback above is the worker's"
    red, dim, off = ("\x1b[31;1m", "\x1b[2m", "\x1b[0m") if wants_colour(sys.stderr.isatty()) else ("", "", "")
    lines = [f"{red}mp: {off}{escape_line(error.message)}"]
    if hint:
        lines.append(f"{dim}    {escape_line(hint)}{off}")
    sys.stderr.write("\n".join(lines) + "\n")
    sys.stderr.flush()
