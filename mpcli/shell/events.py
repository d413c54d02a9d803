"""What comes of a cell: plain values, which `mpcli.shell.front` shows. `seconds` is how long it took."""

from __future__ import annotations

from dataclasses import dataclass

from mpcli.errors import MpError


@dataclass(frozen=True, slots=True)
class Value:
    """The value of the last expression; never None."""

    value: object
    seconds: float


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
    """A line of a command's own, such as the new timeout."""

    text: str


@dataclass(frozen=True, slots=True)
class Leave:
    """The session ends with this exit code."""

    code: int = 0


Event = Value | Failure | Raised | Interrupted | Said | Leave
