"""What comes of a cell: plain values, which `mpcli.shell.front` shows. `seconds` is how long it took.

Named tuples, because the ten of them as dataclasses would cost the first prompt a twentieth of its time.
"""

from __future__ import annotations

from typing import NamedTuple

from mpcli.errors import MpError


class Value(NamedTuple):
    """The value of the last expression. It is None only where a task was called and returned that."""

    value: object
    seconds: float | None


class Paged(NamedTuple):
    """A value of which all is wanted."""

    value: object


class Copied(NamedTuple):
    """A text for the clipboard."""

    text: str


class Failure(NamedTuple):
    """A call or a command that failed: `RemoteError` when the task raised, else what is wrong and what to do.

    `where` is the line of the user's code, such as `nightly.py, line 7`, where that is not plain.
    """

    error: MpError
    seconds: float
    where: str = ""


class Raised(NamedTuple):
    """The user's own code raised, or cannot be compiled. `lines` is the short traceback, of that code alone."""

    error: BaseException
    lines: list[str]
    seconds: float


class Interrupted(NamedTuple):
    """Ctrl-C. `text` says what becomes of what was waited for; empty where there was nothing to say."""

    text: str = ""


class Said(NamedTuple):
    """What a command has done, in a line: the new timeout."""

    text: str


class Text(NamedTuple):
    """What was asked for, and is a text: a help, a history, a traceback."""

    text: str


class Ended(NamedTuple):
    """A command of `mp` has ended with this exit code, which is not 0, and has told why."""

    code: int


class Leave(NamedTuple):
    """The session ends with this exit code."""

    code: int = 0


Event = Value | Paged | Copied | Failure | Raised | Interrupted | Said | Text | Ended | Leave
