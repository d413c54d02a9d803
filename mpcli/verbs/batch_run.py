"""A batch under way: lines come in, calls go out, results are handed on, and nothing of it is lost sight of.

Memory is bounded by the concurrency: a line is read when there is room for its call, and there is room again when the
result of an earlier one was taken. So a slow reader of the results slows the reading of the lines.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from copy import copy
from queue import SimpleQueue
from time import monotonic

from mpcli.bus.naming import TaskName
from mpcli.errors import BrokerError, BrokerRefused, ExitCode, MpError, NobodyListens, NoReply, NotFound, UsageError
from mpcli.verbs.batch_journal import Journal, mark_of
from mpcli.verbs.batch_lines import BatchInput, BatchLine
from mpcli.wire.ongoing import Ongoing
from mpcli.wire.open_caller import OpenCaller

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mpcli.verbs.batch import TaskCalls


_NONE = object()


class Result:
    """What came of one line: the `error`, or the `value` that the task returned, or for an async task just its `id`.

    `seconds` is from the sending to the end; None for a line that was not sent.
    """

    __slots__ = ("error", "has_value", "id", "line", "seconds", "value")

    def __init__(
        self,
        line: int,
        value: object = _NONE,
        error: MpError | None = None,
        task_id: str = "",
        seconds: float | None = None,
    ) -> None:
        self.line = line
        self.value = None if value is _NONE else value
        self.has_value = value is not _NONE
        self.error = error
        self.id = task_id
        self.seconds = seconds

    @property
    def code(self) -> ExitCode:
        """The exit code that a call of this line alone would have."""
        return self.error.exit_code if self.error is not None else ExitCode.OK


class Summary:
    """How far a batch has come. `total` lines, None when they are not known before they are read; `skipped` were done
    by an earlier run. `unsent` are lines that were begun and surely did not run; `begin_again` is the first one that
    was not begun, None when all were. `fatal` is the error that ended the batch before its end."""

    def __init__(self, name: TaskName, total: int | None, journal: str) -> None:
        self.name = name
        self.total = total
        self.journal = journal
        self.began = monotonic()
        self.ok = 0
        self.failed: dict[ExitCode, int] = {}
        self.skipped = 0
        self.unsent: list[int] = []
        self.begin_again: int | None = 1
        self.fatal: MpError | None = None
        self.interrupted = False

    @property
    def done(self) -> int:
        """Lines that have a result."""
        return self.ok + sum(self.failed.values())

    @property
    def code(self) -> int:
        """The highest exit code of all lines."""
        return int(max(self.failed, default=ExitCode.OK))

    def count(self, result: Result) -> None:
        """Another result."""
        if result.error is None:
            self.ok += 1
        else:
            self.failed[result.code] = self.failed.get(result.code, 0) + 1


class _Interrupt:
    """Somebody wants the batch to end."""


_Event = BatchLine | Ongoing | MpError | _Interrupt | None


class Batch:
    """A batch to be run by iterating over it: lists of results, in the order in which the calls end.

    What would fail for all lines alike (`NotFound`, `NobodyListens`, `BrokerError`) ends it and is in `summary.fatal`;
    what was under way then comes to its own end.
    """

    def __init__(
        self,
        calls: TaskCalls,
        source: BatchInput,
        journal: Journal | None,
        *,
        concurrency: int,
        retry: bool,
        total: int | None,
    ) -> None:
        self.summary = Summary(calls.name, total, journal.path if journal else "")
        self._calls = calls
        self._source = source
        self._journal = journal
        self._concurrency = concurrency
        self._retry = retry
        # Lines as they are read, an error or None at their end; calls as they end.
        self._events: SimpleQueue[_Event] = SimpleQueue()
        self._room = threading.Semaphore(self._concurrency)
        self._stopping = False
        self._under_way: dict[str, BatchLine] = {}
        self._ended: list[Result] = []
        self._never_ran: list[int] = []

    def interrupt(self) -> None:
        """End it soon: each line that is under way gets a result that says so. From any thread or signal handler."""
        self._events.put(_Interrupt())

    def __iter__(self) -> Iterator[list[Result]]:
        """Do it."""
        try:
            self._calls.survey()
            name = f"mp call {self._calls.name} --batch"
            with OpenCaller(self._calls.endpoint.url, name=name, reconnects=False) as caller:
                threading.Thread(target=self._read, name="mp batch input", daemon=True).start()
                yield from self._run(caller)
        except MpError as error:
            self._end(error)
        finally:
            self._stop()
            if self._journal is not None:
                self._journal.close()

    def _run(self, caller: OpenCaller) -> Iterator[list[Result]]:
        more = True
        while (more and not self._stopping) or self._under_way:
            event = self._events.get()
            more = more and not isinstance(event, MpError | None)
            try:
                self._handle(caller, event)
            except MpError as error:
                self._end(error)
            if self._events.empty() or len(self._ended) >= self._concurrency:
                yield from self._hand_on()
        yield from self._hand_on()

    def _read(self) -> None:
        """In a thread of its own: a line is read when there is room for its call."""
        try:
            for line in self._source.lines():
                self._room.acquire()
                if self._stopping:
                    return
                self._events.put(line)
        except MpError as error:
            self._events.put(error)
        else:
            self._events.put(None)

    def _handle(self, caller: OpenCaller, event: _Event) -> None:
        if isinstance(event, BatchLine):
            if self._stopping or not self._begin(caller, event):
                self._room.release()
        elif isinstance(event, Ongoing):
            self._room.release()
            line = self._under_way.pop(event.id, None)
            if line is not None:  # else it was interrupted
                self._take(line, event)
        elif isinstance(event, MpError):
            raise event
        elif isinstance(event, _Interrupt):
            self._give_up()
        else:
            self.summary.begin_again = None

    def _begin(self, caller: OpenCaller, line: BatchLine) -> bool:
        """Send the call of a line; False when it needs none."""
        was_done = self._was_done(line)
        self.summary.begin_again = line.number + 1
        if was_done:
            return False
        try:
            message = self._calls.message(line)
        except UsageError as error:
            if self._journal is not None:
                self._journal.sending(line.number, line.text, "")
            self._ended.append(Result(line.number, error=error))
            return False
        if self._journal is not None:
            self._journal.sending(line.number, line.text, message.id)
        self._under_way[message.id] = line
        self._calls.send(caller, message, self._events.put)
        return True

    def _was_done(self, line: BatchLine) -> bool:
        """Whether an earlier run dealt with it; one whose end it does not know is told as such. Raises `UsageError`."""
        before = self._journal.lines.pop(line.number, None) if self._journal is not None else None
        if before is None or before.never_ran:
            return False
        if before.mark != mark_of(line.text):
            raise UsageError(
                f"line {line.number} is not what it was when {self.summary.journal} was written",
                "a journal goes with one input; begin a new one for another",
            )
        if self._retry and before.code != ExitCode.OK:
            return False
        if before.code is None:
            error = NoReply(
                f"line {line.number} was sent by a run that was ended before its result: whether it ran is not known",
                "--retry calls it again",
            )
            self._ended.append(Result(line.number, error=error, task_id=before.id))
        else:
            self.summary.skipped += 1
        return True

    def _take(self, line: BatchLine, ongoing: Ongoing) -> None:
        error = ongoing.error
        if isinstance(error, NotFound) or (isinstance(error, BrokerError) and not ongoing.sent):
            self._never_ran.append(line.number)
            self.summary.unsent.append(line.number)
        else:
            is_id = error is None and not ongoing.replies
            seconds = ongoing.ended - ongoing.began
            self._ended.append(Result(line.number, _NONE if is_id else ongoing.value, error, ongoing.id, seconds))
        is_lines_own = isinstance(error, BrokerRefused) and ongoing.sent
        if isinstance(error, NotFound | NobodyListens | BrokerError) and not is_lines_own:
            self._end(error)

    def _hand_on(self) -> Iterator[list[Result]]:
        """Give the results to the caller, and note them when it comes back for more: then they are out."""
        ended, self._ended = self._ended, []
        never_ran, self._never_ran = self._never_ran, []
        for result in ended:
            self.summary.count(result)
        if ended:
            yield ended
        if self._journal is not None and (ended or never_ran):
            self._journal.ended([(one.line, int(one.code)) for one in ended] + [(one, None) for one in never_ran])

    # -- ends ------------------------------------------------------------------------------------------------------

    def _stop(self) -> None:
        """Nothing more is begun."""
        self._stopping = True
        self._room.release()  # the reader may wait for it

    def _end(self, error: MpError) -> None:
        """What is under way comes to its end; it ended for this reason."""
        self._stop()
        if self.summary.fatal is None:
            self.summary.fatal = copy(error)  # the line's own error is shown as it is
            self._calls.explain(self.summary.fatal)

    def _give_up(self) -> None:
        self._stop()
        self.summary.interrupted = True
        for task_id, line in self._under_way.items():
            error = NoReply(
                f"line {line.number} was interrupted before its result: whether it ran is not known",
                "a call that no worker has begun expires with its timeout",
            )
            self._ended.append(Result(line.number, error=error, task_id=task_id))
        self._under_way.clear()
