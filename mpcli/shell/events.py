"""What comes of a cell: plain values, which `mpcli.shell.front` shows. `seconds` is how long it took."""

from __future__ import annotations

from dataclasses import dataclass

from mpcli.errors import MpError


@dataclass(frozen=True, slots=True)
class Value:
    """The value of the last expression. It is None only where a task was called and returned that."""

    value: object
    seconds: float | None


@dataclass(frozen=True, slots=True)
class Paged:
    """A value of which all is wanted."""

    value: object


@dataclass(frozen=True, slots=True)
class Copied:
    """A text for the clipboard."""

    text: str


@dataclass(frozen=True, slots=True)
class Failure:
    """A call or a command that failed: `RemoteError` when the task raised, else what is wrong and what to do."""

    error: MpError
    seconds: float


@dataclass(frozen=True, slots=True)
class Raised:
    """The user's own code raised, or cannot be compiled. `lines` is the short traceback, of that code alone."""

    error: BaseException
    lines: list[str]
    seconds: float


@dataclass(frozen=True, slots=True)
class Interrupted:
    """Ctrl-C. `text` says what becomes of what was waited for; empty where there was nothing to say."""

    text: str = ""


@dataclass(frozen=True, slots=True)
class Said:
    """What a command has done, in a line: the new timeout."""

    text: str


@dataclass(frozen=True, slots=True)
class Text:
    """What was asked for, and is a text: a help, a history, a traceback."""

    text: str


@dataclass(frozen=True, slots=True)
class Ended:
    """A command of `mp` has ended with this exit code, which is not 0, and has told why."""

    code: int


@dataclass(frozen=True, slots=True)
class Leave:
    """The session ends with this exit code."""

    code: int = 0


Event = Value | Paged | Copied | Failure | Raised | Interrupted | Said | Text | Ended | Leave
