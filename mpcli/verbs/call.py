"""Calling one task, and when that fails saying the first thing that is wrong.

Causes are looked at in this order: the name's grammar, the catalog, the broker, the service's exchange and queue, its
workers, and what the task itself said. What is needed only to explain a failure is imported only then.
"""

from __future__ import annotations

from collections.abc import Callable

from mpcli.bus.naming import Mode, TaskName
from mpcli.errors import BrokerUnreachable, UnknownService, UnknownTask, UsageError
from mpcli.platform.contexts import Ask, Context, Endpoint, allow_write, resolve

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mpcli.verbs.likely import Likely

DEFAULT_TIMEOUT = 10.0
# RabbitMQ takes an expiration of at most 2**32 - 1 ms (https://www.rabbitmq.com/docs/ttl).
_MAX_TIMEOUT = 4_000_000.0

Note = Callable[[str], None]


class Outcome:
    """What came of it: the `value` that a sync task returned, or the `id` under which an async one was sent."""

    __slots__ = ("id", "mode", "value")

    def __init__(self, mode: Mode, value: object = None, task_id: str = "") -> None:
        self.mode = mode
        self.value = value
        self.id = task_id


def call_task(
    task: str,
    args: list[object],
    kwargs: dict[str, object],
    *,
    timeout: float = DEFAULT_TIMEOUT,
    start: str = ".",
    url: str = "",
    context: str | None = None,
    check: bool = True,
    yes: bool = False,
    ask: Ask | None = None,
    note: Note | None = None,
) -> Outcome:
    """Call `task` and return its result, or send it when it is an async one.

    The arguments are held against the signature first, unless `check` is False. `timeout` is in seconds. The broker is
    `url` or else that of the context, as seen from the folder `start`; `yes` and `ask` are for a context that wants to
    be asked (`allow_write`). `note` is told what the caller should know while there is still something to wait for.
    Raises `MpError` in all of its kinds.
    """
    if not 0 < timeout <= _MAX_TIMEOUT:
        raise UsageError(f"a timeout of {timeout:g} s", f"more than 0 and at most {_MAX_TIMEOUT:.0f} seconds")
    around = resolve(start, context)
    name = TaskName.parse(task, around.prefix)
    attempt = _Attempt(around, name, note or _ignore)
    if check:
        args, kwargs = attempt.check(args, kwargs, url)
    allow_write(around, f"call {name}", yes, ask)
    try:
        endpoint = Endpoint(url, "", "") if url else around.endpoint(name.mode)
        try:
            if name.mode is Mode.SYNC:
                return Outcome(name.mode, value=attempt.call(endpoint, args, kwargs, timeout))
            return Outcome(name.mode, task_id=attempt.send(endpoint, args, kwargs))
        except BrokerUnreachable as error:
            error.hint = endpoint.hint or error.hint
            raise
    except (BrokerUnreachable, UnknownService) as error:
        likely = attempt.likely()
        likely.refuse_typo()
        likely.suggest_service(error)
        raise


def _ignore(text: str) -> None:
    """Nobody wants to know."""


class _Attempt:
    """One task, from one place."""

    def __init__(self, around: Context, name: TaskName, note: Note) -> None:
        self.around = around
        self.name = name
        self.note = note

    def check(self, args: list[object], kwargs: dict[str, object], url: str) -> tuple[list[object], dict[str, object]]:
        from mpcli.verbs.checking import check_arguments

        made, told = check_arguments(
            self.around, self.name, args, kwargs, lambda: url or self.around.endpoint(self.name.mode).url
        )
        if told:
            self.note(told)
        return made

    def likely(self) -> Likely:
        """What was meant, once something has gone wrong."""
        from mpcli.verbs.likely import Likely

        return Likely(self.around, self.name)

    def call(self, endpoint: Endpoint, args: list[object], kwargs: dict[str, object], timeout: float) -> object:
        from mpcli.wire.call import call

        def nobody() -> None:
            self.likely().refuse_typo()
            self.note(f"nobody is listening on {self.name.queue}; waiting {timeout:g} s for a worker to come")

        try:
            return call(endpoint.url, self.name, args, kwargs, timeout=timeout, nobody=nobody)
        except UnknownTask as error:
            likely = self.likely()
            error.hint = likely.hint(likely.source_tasks() or likely.live_tasks(endpoint)) or error.hint
            raise

    def send(self, endpoint: Endpoint, args: list[object], kwargs: dict[str, object]) -> str:
        from mpcli.wire.call import send
        from mpcli.wire.control import Control
        from mpcli.wire.handshake import connect

        with connect(endpoint.url, name=f"mp call {self.name}") as connection:
            survey = Control(connection).survey(self.name.queue)
            if survey.complete and str(self.name) not in survey.tasks:
                raise self.likely().unknown(survey.tasks)
            if str(self.name) not in survey.tasks:
                self.likely().refuse_typo()
            sent = send(connection, self.name, args, kwargs)
        if not survey.consumers:
            self.note(f"nobody is listening on {self.name.queue} now: the message waits for a worker")
        elif str(self.name) not in survey.tasks:
            self.note(
                f"not every worker of {self.name.queue} could be asked whether it knows this task; sent all the same"
            )
        return sent
