"""What came of the lines of a batch: of each one, and of all together."""

from __future__ import annotations

from time import monotonic

from mpcli.bus.naming import TaskName
from mpcli.errors import ExitCode, MpError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mpcli.verbs.seen import Outcome

_NONE = object()


class Result:
    """What came of one line: the `error`, or the `value` that the task returned; for an async task just its `id`, or
    how it `ended` where that was waited for.

    `seconds` is from the sending to the end; None for a line that was not sent. `never_ran`: the batch ended before the
    task of this line could run, and the same command calls it another time.
    """

    __slots__ = ("ended", "error", "has_value", "id", "line", "never_ran", "seconds", "value")

    def __init__(
        self,
        line: int,
        *,
        value: object = _NONE,
        error: MpError | None = None,
        ended: Outcome | None = None,
        task_id: str = "",
        seconds: float | None = None,
        never_ran: bool = False,
    ) -> None:
        self.line = line
        self.value = None if value is _NONE else value
        self.has_value = value is not _NONE
        self.error = error
        self.ended = ended
        self.id = task_id
        self.seconds = seconds
        self.never_ran = never_ran

    @property
    def code(self) -> ExitCode:
        """The exit code that a call of this line alone would have."""
        return self.error.exit_code if self.error is not None else ExitCode.OK


class Summary:
    """How far a batch has come. `total` lines, None when they are not known before they are read; `skipped` were done
    by an earlier run. `never_ran` counts the lines that surely did not run, for the batch ended first; of a stream the
    reading then ended behind the line `broken_off`. `fatal` is the error that ended the batch before its end."""

    def __init__(self, name: TaskName, total: int | None, journal: str) -> None:
        self.name = name
        self.total = total
        self.journal = journal
        self.began = monotonic()
        self.ok = 0
        self.failed: dict[ExitCode, int] = {}
        self.skipped = 0
        self.never_ran = 0
        self.broken_off: int | None = None
        self.fatal: MpError | None = None
        self.interrupted = False

    @property
    def done(self) -> int:
        """Lines that were called, and have a result."""
        return self.ok + sum(self.failed.values())

    @property
    def code(self) -> int:
        """The highest exit code of all lines."""
        return int(max(self.failed, default=ExitCode.OK))

    def count(self, result: Result) -> None:
        """Another result."""
        if result.never_ran:
            self.never_ran += 1
        elif result.error is None:
            self.ok += 1
        else:
            self.failed[result.code] = self.failed.get(result.code, 0) + 1
