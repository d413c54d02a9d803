"""One task called for each line of an input, so many at a time over one connection."""

from __future__ import annotations

from mpcli.bus.naming import Mode, TaskName
from mpcli.errors import MpError, UsageError
from mpcli.platform.contexts import Ask, Context, Endpoint, allow_write, resolve
from mpcli.verbs.batch_journal import Journal
from mpcli.verbs.batch_lines import BatchInput, BatchLine
from mpcli.verbs.batch_run import Batch
from mpcli.verbs.call import DEFAULT_TIMEOUT, Attempt, Note, check_sent, check_timeout
from mpcli.wire.celery_message import TaskMessage, async_message, sync_message
from mpcli.wire.lanes import REPLY_TO
from mpcli.wire.ongoing import Ongoing, Then
from mpcli.wire.open_caller import OpenCaller

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from mpcli.bus.delay import Delay

# Calls keep a worker busy; sends only wait for the broker, or together for the workers' events.
_SYNC_CONCURRENCY, _ASYNC_CONCURRENCY = 8, 100
_MAX_CONCURRENCY = 1000
_SHOWN_WRONG = 10


class Plan:
    """How to run a batch: `concurrency` calls at a time (0: as many as are usual), `timeout` seconds for each; with
    `wait` an async task is waited for too; `retry` with a `journal` calls again what failed, or whose end is not known.
    `timing` are the arguments of `Delay.of`, for each line from its sending.
    """

    def __init__(
        self,
        *,
        concurrency: int = 0,
        timeout: float = DEFAULT_TIMEOUT,
        check: bool = True,
        wait: bool = False,
        journal: str = "",
        retry: bool = False,
        timing: Mapping[str, float | datetime] | None = None,
    ) -> None:
        self.concurrency = concurrency
        self.timeout = timeout
        self.check = check
        self.wait = wait
        self.journal = journal
        self.retry = retry
        self.timing = timing

    def delay(self) -> Delay | None:
        """For a task that is sent now. Raises `UsageError` for what makes no sense, also when it was sense before: the
        moment at which all expires is over."""
        if not self.timing:
            return None
        from mpcli.bus.delay import Delay

        return Delay.of(**self.timing)  # type: ignore[arg-type]  # each has the type of its name


def call_batch(
    task: str,
    source: BatchInput,
    plan: Plan,
    *,
    start: str = ".",
    url: str = "",
    context: str | None = None,
    yes: bool = False,
    ask: Ask | None = None,
    note: Note,
) -> Batch:
    """Prepare to call `task` for each line; iterate over what is returned to do it.

    Where the input can be read twice, every line is checked before anything is sent, and `UsageError` refuses all when
    one is wrong; in a stream a wrong line is a result of its own. Raises what `call_task` raises before its call.
    """
    check_timeout(plan.timeout)
    if not 0 <= plan.concurrency <= _MAX_CONCURRENCY:
        raise UsageError(f"--concurrency {plan.concurrency}", f"from 1 to {_MAX_CONCURRENCY}")
    if plan.retry and not plan.journal:
        raise UsageError("--retry without --journal", "the journal of the earlier run says what is to be tried again")
    around = resolve(start, context)
    name = TaskName.parse(task, around.prefix)
    if plan.delay() is not None:
        check_sent(name)
    endpoint = Endpoint(url, "", "") if url else around.endpoint(name.mode)
    calls = TaskCalls(around, name, endpoint, plan, note)
    total = calls.check_all(source) if source.rewinds else None
    allow_write(around, f"call {name} for each line", yes, ask)
    journal = Journal(plan.journal, str(name)) if plan.journal else None
    usual = _SYNC_CONCURRENCY if name.mode is Mode.SYNC else _ASYNC_CONCURRENCY
    return Batch(calls, source, journal, concurrency=plan.concurrency or usual, retry=plan.retry, total=total)


class TaskCalls:
    """How the lines of one batch become messages, and how its failure is explained."""

    def __init__(self, around: Context, name: TaskName, endpoint: Endpoint, plan: Plan, note: Note) -> None:
        from mpcli.verbs.checking import Checker

        self.name = name
        self.endpoint = endpoint
        # Whether the end of what was sent is waited for, and for how many seconds.
        self.waits = plan.wait and name.mode is Mode.ASYNC
        self.timeout = plan.timeout
        self._note = note
        self._noted: set[str] = set()
        self._plan = plan
        # Whether the broker lets a message wait; and until when the last line that was made waits.
        self._lets_wait = False
        self._delay = plan.delay()
        self._attempt = Attempt(around, name, note, delay=self._delay)
        self._checker = Checker(around, name, lambda: endpoint.url) if plan.check else None

    def check_all(self, source: BatchInput) -> int:
        """How many lines there are. Raises `UsageError` when one is wrong."""
        total = wrong = 0
        for line in source.lines():
            total += 1
            try:
                self.message(line)
            except UsageError as error:
                wrong += 1
                if wrong <= _SHOWN_WRONG:
                    self._note(f"{error.message} ({error.hint})" if error.hint else error.message)
        if wrong:
            lines = "1 line is" if wrong == 1 else f"{wrong} lines are"
            raise UsageError(f"{lines} wrong, of {total}: nothing was sent", "a stream is checked line by line instead")
        return total

    def message(self, line: BatchLine) -> TaskMessage:
        """The message of a line. Raises `UsageError`, which names the line."""
        try:
            args, kwargs = line.arguments()
            if self._checker is not None:
                (args, kwargs), told = self._checker.check(args, kwargs)
                self._note_once(told)
            if self.name.mode is Mode.SYNC:
                return sync_message(str(self.name), args, kwargs, REPLY_TO, self.timeout)
            return self._async_message(args, kwargs)
        except UsageError as error:
            error.message = f"line {line.number}: {error.message}"
            raise

    def _async_message(self, args: list[object], kwargs: dict[str, object]) -> TaskMessage:
        delay = self._delay = self._plan.delay()
        message = async_message(str(self.name), args, kwargs, delay.headers() if delay else None)
        if delay is not None and delay.waits and self._lets_wait:
            from mpcli.wire.delay import waiting_route

            message.route = waiting_route(self.name, delay)
        return message

    @property
    def due_in(self) -> float:
        """Seconds until the task of the message that was made last may begin."""
        return self._delay.due_in if self._delay is not None else 0.0

    def _note_once(self, text: str) -> None:
        if text and text not in self._noted:
            self._noted.add(text)
            self._note(text)

    def send(self, caller: OpenCaller, message: TaskMessage, then: Then) -> Ongoing:
        """Hand the message over."""
        if self.name.mode is Mode.SYNC:
            return caller.ask(self.name, message, timeout=self.timeout, then=then)
        return caller.post(self.name, message, then=then)

    def survey(self) -> None:
        """Ask the workers once whether they know the task at all. Raises `UnknownTask`, `BrokerError`."""
        from mpcli.wire.handshake import connect

        with connect(self.endpoint.url, name=f"mp call {self.name} --batch") as connection:
            self._note_once(self._attempt.survey(connection))
            if self._delay is not None and self._delay.eta:
                from mpcli.wire.delay import lets_wait

                self._lets_wait = lets_wait(connection, self.name)

    def explained(self, error: MpError) -> MpError:
        """What is told of the error that ended the batch."""
        return self._attempt.explained(error, self.endpoint)
