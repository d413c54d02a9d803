"""A batch under way: lines come in, calls go out, results are handed on, and nothing of it is lost sight of.

Memory is bounded by the concurrency: a line is read when there is room for its call, and there is room again when the
result of an earlier one was taken. So a slow reader of the results slows the reading of the lines.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing
from copy import copy
from queue import SimpleQueue
from time import monotonic
from typing import NamedTuple

from mpcli.errors import (
    BrokerError,
    BrokerRefused,
    ExitCode,
    Interrupted,
    MpError,
    NobodyListens,
    NoReply,
    NotFound,
    UnknownTask,
    UsageError,
)
from mpcli.verbs.batch_journal import Journal
from mpcli.verbs.batch_lines import BatchInput, BatchLine
from mpcli.verbs.batch_result import Result, Summary
from mpcli.wire import aside
from mpcli.wire.interruption import was_revoked
from mpcli.wire.ongoing import Ongoing
from mpcli.wire.open_caller import OpenCaller

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mpcli.verbs.batch import TaskCalls
    from mpcli.verbs.outcome import Outcomes
    from mpcli.verbs.seen import Outcome


class _Ended(NamedTuple):
    """How an async task ended that was waited for."""

    id: str
    outcome: Outcome | MpError


class _UnderWay(NamedTuple):
    line: BatchLine
    ongoing: Ongoing


class _Interrupt:
    """Somebody wants the batch to end."""


# Lines as they are read, an error or None at their end; calls and tasks as they end.
_Event = BatchLine | Ongoing | _Ended | MpError | _Interrupt | None


class Batch:
    """A batch to be run by iterating over it: lists of results, in the order in which the calls end.

    What would fail for all lines alike (`NotFound`, `NobodyListens`, `BrokerError`) ends it and is in `summary.fatal`;
    what was under way then comes to its own end, and each line that was not begun has a result that says so.
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
        # Before, nothing is under way that `interrupt` would have to end.
        self.has_begun = False
        self._calls = calls
        self._source = source
        self._journal = journal
        self._concurrency = concurrency
        self._retry = retry
        self._events: SimpleQueue[_Event] = SimpleQueue()
        self._room = threading.Semaphore(self._concurrency)
        self._stopping = self._is_over = False
        self._under_way: dict[str, _UnderWay] = {}
        self._outcomes: Outcomes | None = None
        self._ended: list[Result] = []
        # Lines that were noted as going to be sent, and never ran.
        self._unsent: list[int] = []

    def interrupt(self) -> None:
        """End it soon: each line that is under way gets a result that says so. From any thread or signal handler."""
        self._events.put(_Interrupt())

    def __iter__(self) -> Iterator[list[Result]]:
        """Do it."""
        url, name = self._calls.endpoint.url, f"mp call {self._calls.name} --batch"
        try:
            with ExitStack() as stack:
                caller = stack.enter_context(OpenCaller(url, name=name, reconnects=False))
                try:
                    self._calls.survey()
                    if self._calls.waits:
                        self._outcomes = self._listen(stack, url)
                except MpError as error:
                    self._end(error)
                self.has_begun = True
                aside.start(threading.Thread(target=self._read, name="mp batch input", daemon=True))
                yield from self._run(caller)
                self.summary.broken_off = self._source.broken_off
        finally:
            self._stop()
            self._is_over = True
            self._room.release()  # the reader may wait for it
            if self._journal is not None:
                self._journal.close()

    def _listen(self, stack: ExitStack, url: str) -> Outcomes:
        """Before anything is sent, so that nothing is missed."""
        from mpcli.verbs.follow import Follower
        from mpcli.verbs.outcome import Outcomes

        follower = stack.enter_context(Follower(url))

        def told(task_id: str, outcome: Outcome | MpError) -> None:
            self._events.put(_Ended(task_id, outcome))

        return stack.enter_context(closing(Outcomes(follower, url, self._calls.name, self._calls.timeout, told)))

    def _run(self, caller: OpenCaller) -> Iterator[list[Result]]:
        more = True
        while more or self._under_way:
            event = self._events.get()
            more = more and not isinstance(event, MpError | None)
            self._handle(caller, event)
            if self._events.empty() or len(self._ended) >= self._concurrency:
                yield from self._hand_on()
        yield from self._hand_on()

    def _read(self) -> None:
        """In a thread of its own: a line is read when there is room for its call."""
        try:
            for line in self._source.lines():
                self._room.acquire()
                if self._is_over:
                    return
                self._events.put(line)
        except MpError as error:
            self._events.put(error)
        else:
            self._events.put(None)

    def _handle(self, caller: OpenCaller, event: _Event) -> None:
        if isinstance(event, BatchLine):
            self._take_line(caller, event)
        elif isinstance(event, Ongoing):
            if event.error is not None or self._outcomes is None:  # else its end is waited for
                self._take(event.id, event.error)
        elif isinstance(event, _Ended):
            self._take(event.id, event.outcome)
        elif isinstance(event, MpError):
            self._end(event)
        elif isinstance(event, _Interrupt):
            self._give_up(caller)

    def _take_line(self, caller: OpenCaller, line: BatchLine) -> None:
        """Another line: begun, dealt with before, or not called any more."""
        is_begun = False
        try:
            if not self._was_done(line):
                is_begun = not self._stopping and self._begin(caller, line)
                if self._stopping:
                    self._ended.append(self._not_called(line))
        except MpError as error:
            self._end(error)
            self._ended.append(self._not_called(line))
        if not is_begun:
            self._room.release()

    def _not_called(self, line: BatchLine) -> Result:
        """The result of a line that did not run, for the batch ended first."""
        if self.summary.fatal is not None:
            error = copy(self.summary.fatal)
            error.message = f"not called: {error.message}"
        else:
            error = Interrupted("not called: the batch was interrupted")
        return Result(line.number, error=error, never_ran=True)

    def _begin(self, caller: OpenCaller, line: BatchLine) -> bool:
        """Send the call of a line; False when it is wrong. Raises `MpError` when it cannot be noted, or sent."""
        try:
            message = self._calls.message(line)
        except UsageError as error:
            if self._journal is not None:
                self._journal.sending(line.number, line.text, "")
            self._ended.append(Result(line.number, error=error))
            return False
        if self._journal is not None:
            self._journal.sending(line.number, line.text, message.id)
        if self._outcomes is not None:
            self._outcomes.expect(message.id, self._calls.due_in)
        self._under_way[message.id] = _UnderWay(line, self._calls.send(caller, message, self._events.put))
        return True

    def _was_done(self, line: BatchLine) -> bool:
        """Whether an earlier run dealt with it; one whose end it does not know is told as such. Raises `UsageError`."""
        before = self._journal.taken(line.number, line.text) if self._journal is not None else None
        if before is None or (self._retry and before.code != ExitCode.OK):
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

    def _take(self, task_id: str, outcome: Outcome | MpError | None) -> None:
        """A call came to its end, and its line has a result."""
        if (found := self._under_way.pop(task_id, None)) is None:
            return  # it was interrupted, or its end was told before
        self._room.release()
        if self._outcomes is not None:
            self._outcomes.forget(task_id)
        line, ongoing = found
        if self.summary.interrupted and isinstance(outcome, NoReply) and outcome.never_ran:
            outcome = was_revoked(self._calls.name)  # the worker met it before this was told as it is
        error = outcome if isinstance(outcome, MpError) else None
        is_lines_own = self._is_lines_own(ongoing, error)
        is_unknown = isinstance(error, NotFound) and not is_lines_own
        if error is not None and not is_lines_own:
            self._end(error)
        if is_unknown or (isinstance(error, BrokerError) and not ongoing.sent):
            result = self._not_called(line)
        else:
            result = _result(found, outcome)
        if result.never_ran:
            self._unsent.append(line.number)
        self._ended.append(result)

    def _is_lines_own(self, ongoing: Ongoing, error: MpError | None) -> bool:
        """Whether the other lines need not fare alike."""
        if isinstance(error, UnknownTask) and self.summary.ok:
            error.hint = f"other workers of {self._calls.name.queue} have run it: two versions of the service are up"
            return True
        if isinstance(error, BrokerRefused):
            return ongoing.sent
        return not isinstance(error, NotFound | NobodyListens | BrokerError)

    def _hand_on(self) -> Iterator[list[Result]]:
        """Give the results to the caller, and note them when it comes back for more: then they are out."""
        ended, self._ended = self._ended, []
        unsent, self._unsent = self._unsent, []
        for result in ended:
            self.summary.count(result)
        if ended:
            yield ended
        codes: list[tuple[int, int | None]] = [(one.line, int(one.code)) for one in ended if not one.never_ran]
        codes += [(number, None) for number in unsent]
        if self._journal is not None and codes:
            try:
                self._journal.ended(codes)
            except MpError as error:  # they are told the next time as lines whose end is not known
                self._end(error)

    # -- ends ------------------------------------------------------------------------------------------------------

    def _stop(self) -> None:
        """Nothing more is begun, and nothing more read from a stream."""
        self._stopping = True
        self._source.stop()

    def _end(self, error: MpError) -> None:
        """What is under way comes to its end; it ended for this reason."""
        self._stop()
        if self.summary.fatal is None:
            self.summary.fatal = self._calls.explained(copy(error))  # the line's own error is shown as it is

    def _give_up(self, caller: OpenCaller) -> None:
        """Each line under way gets a result that tells what becomes of its task; what ends meanwhile has its own."""
        self._stop()
        self.summary.interrupted = True
        told = caller.give_up([found.ongoing for found in self._under_way.values()])
        for task_id, found in list(self._under_way.items()):
            if task_id in told:
                self._take(task_id, told[task_id])
            elif self._outcomes is not None and found.ongoing.error is None and self._outcomes.forget(task_id):
                name = self._calls.name
                self._take(task_id, Interrupted(f"interrupted: {name} is waited for no longer; it goes on"))


def _result(found: _UnderWay, outcome: Outcome | MpError | None) -> Result:
    line, ongoing = found
    seconds = (ongoing.ended if outcome is None else monotonic()) - ongoing.began
    if isinstance(outcome, MpError):
        never_ran = isinstance(outcome, Interrupted) and outcome.never_ran
        return Result(line.number, error=outcome, task_id=ongoing.id, seconds=seconds, never_ran=never_ran)
    if outcome is not None:
        return Result(line.number, ended=outcome, task_id=ongoing.id, seconds=seconds)
    if not ongoing.replies:
        return Result(line.number, task_id=ongoing.id, seconds=seconds)
    return Result(line.number, value=ongoing.value, task_id=ongoing.id, seconds=seconds)
