"""Calling one task, and when that fails saying the first thing that is wrong.

Causes are looked at in this order: the name's grammar, the catalog, the broker, the service's exchange and queue, its
workers, and what the task itself said. What is needed only to explain a failure is imported only then.
"""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic

from mpcli.bus.naming import Mode, TaskName
from mpcli.errors import BrokerUnreachable, Interrupted, MpError, NotFound, UnknownService, UnknownTask, UsageError
from mpcli.platform.contexts import Ask, Context, Endpoint, allow_write, resolve

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    from mpcli.bus.delay import Delay
    from mpcli.verbs.checking import Checker
    from mpcli.verbs.likely import Likely
    from mpcli.verbs.seen import Outcome as Ended
    from mpcli.wire.connection import Connection
    from mpcli.wire.hops import Hops

    class Lines(Protocol):
        """What stays from one call to the next: the brokers' addresses, open connections."""

        def endpoint(self, around: Context, mode: Mode) -> Endpoint:
            """As `Context.endpoint`."""

        def checker(self, around: Context, name: TaskName, made: Callable[[], Checker]) -> Checker:
            """What `made` makes, or made a moment ago."""

        def call(
            self,
            url: str,
            name: TaskName,
            args: list[object],
            kwargs: dict[str, object],
            *,
            timeout: float,
            nobody: Callable[[], None],
        ) -> object:
            """As `mpcli.wire.call.call`."""

        def survey(self, url: str, name: TaskName, survey: Callable[[Connection], str]) -> str:
            """What `survey` says; empty when it had nothing to say of this task a moment ago."""

        def send(self, url: str, name: TaskName, args: list[object], kwargs: dict[str, object]) -> str:
            """As `mpcli.wire.call.send`."""


DEFAULT_TIMEOUT = 10.0
# RabbitMQ takes an expiration of at most 2**32 - 1 ms (https://www.rabbitmq.com/docs/ttl).
_MAX_TIMEOUT = 4_000_000.0

Note = Callable[[str], None]


class Outcome:
    """What came of it: the `value` that a sync task returned, or the `id` under which an async one was sent, and how it
    `ended` where that was waited for."""

    __slots__ = ("ended", "id", "mode", "value")

    def __init__(self, mode: Mode, value: object = None, task_id: str = "", ended: Ended | None = None) -> None:
        self.mode = mode
        self.value = value
        self.id = task_id
        self.ended = ended

    def thrown_away(self, task: str) -> Interrupted:
        """For whoever has it and is interrupted before it is shown."""
        from mpcli.wire.interruption import had_ended, interrupted_after_send

        is_over = self.mode is Mode.SYNC or self.ended is not None
        return had_ended(task, self.id) if is_over else interrupted_after_send(task, self.id)


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
    wait: bool = False,
    delay: Delay | None = None,
    hops: Hops | None = None,
    yes: bool = False,
    ask: Ask | None = None,
    note: Note | None = None,
    meanwhile: Note | None = None,
) -> Outcome:
    """Call `task` and return its result, or send it when it is an async one.

    The arguments are held against the signature first, unless `check` is False. `timeout` is in seconds; with `wait` it
    is also how long an async task's end is waited for. `delay` says when an async task may begin and until when; `hops`
    is told when the message was where. The broker is `url` or else that of the context, as seen from the folder
    `start`; `yes` and `ask` are for a context that wants to be asked (`allow_write`). `note` is told what the caller
    should know while there is still something to wait for, and `meanwhile`, after a second without a reply, what the
    workers do. Raises `MpError` in all of its kinds.
    """
    return call_in(
        resolve(start, context), task, args, kwargs,
        timeout=timeout, url=url, check=check, wait=wait, delay=delay, hops=hops,
        yes=yes, ask=ask, note=note, meanwhile=meanwhile,
    )  # fmt: skip


def call_in(
    around: Context,
    task: str,
    args: list[object],
    kwargs: dict[str, object],
    *,
    timeout: float = DEFAULT_TIMEOUT,
    url: str = "",
    check: bool = True,
    wait: bool = False,
    delay: Delay | None = None,
    hops: Hops | None = None,
    yes: bool = False,
    ask: Ask | None = None,
    note: Note | None = None,
    meanwhile: Note | None = None,
    lines: Lines | None = None,
) -> Outcome:
    """As `call_task`, in a context that was resolved already, and over open `lines`."""
    check_timeout(timeout)
    name = TaskName.parse(task, around.prefix)
    if delay is not None:
        check_sent(name)
    attempt = Attempt(around, name, note or _ignore, lines, delay, hops, meanwhile)
    if check:
        args, kwargs = attempt.check(args, kwargs, url)
    allow_write(around, f"call {name}", yes, ask)
    endpoint = None
    try:
        endpoint = attempt.endpoint(url)
        if name.mode is Mode.SYNC:
            return Outcome(name.mode, value=attempt.call(endpoint, args, kwargs, timeout))
        if wait:
            return attempt.send_and_wait(endpoint, args, kwargs, timeout)
        return Outcome(name.mode, task_id=attempt.send(endpoint, args, kwargs))
    except (BrokerUnreachable, NotFound) as error:
        raise attempt.explained(error, endpoint) from None


def check_timeout(timeout: float) -> None:
    """Raises `UsageError` for seconds that no call can wait."""
    if not 0 < timeout <= _MAX_TIMEOUT:
        raise UsageError(f"a timeout of {timeout:g} s", f"more than 0 and at most {_MAX_TIMEOUT:.0f} seconds")


def check_sent(name: TaskName) -> None:
    """Raises `UsageError` for a task that cannot have a `Delay`."""
    if name.mode is Mode.SYNC:
        raise UsageError(
            f"{name} is called and not sent: --countdown, --eta and --expires are for async tasks",
            "a call that no worker has begun expires with --timeout",
        )


def _ignore(text: str) -> None:
    """Nobody wants to know."""


class Attempt:
    """One task, from one place."""

    def __init__(
        self,
        around: Context,
        name: TaskName,
        note: Note,
        lines: Lines | None = None,
        delay: Delay | None = None,
        hops: Hops | None = None,
        meanwhile: Note | None = None,
    ) -> None:
        self.around = around
        self.name = name
        self.note = note
        # A delayed task and a traced one have a connection of their own.
        self.lines = lines if delay is None and hops is None else None
        self.delay = delay
        self.hops = hops
        self.meanwhile = meanwhile

    def endpoint(self, url: str) -> Endpoint:
        """The broker: at `url`, or the context's."""
        if url:
            return Endpoint(url, "", "")
        mode = self.name.mode
        return self.lines.endpoint(self.around, mode) if self.lines is not None else self.around.endpoint(mode)

    def check(self, args: list[object], kwargs: dict[str, object], url: str) -> tuple[list[object], dict[str, object]]:
        """The arguments converted. Raises `ArgumentsRefused`."""
        from mpcli.verbs.checking import Checker

        def known() -> Checker:
            return Checker(self.around, self.name, lambda: self.endpoint(url).url)

        checker = self.lines.checker(self.around, self.name, known) if self.lines is not None else known()
        made, told = checker.check(args, kwargs)
        if told:
            self.note(told)
        return made

    def likely(self) -> Likely:
        """What was meant, once something has gone wrong."""
        from mpcli.verbs.likely import Likely

        return Likely(self.around, self.name)

    def call(self, endpoint: Endpoint, args: list[object], kwargs: dict[str, object], timeout: float) -> object:
        """What a sync task returns."""

        def nobody() -> None:
            self.likely().refuse_typo()
            self.note(f"nobody is listening on {self.name.queue}; waiting {timeout:g} s for a worker to come")

        if self.lines is not None:
            return self.lines.call(endpoint.url, self.name, args, kwargs, timeout=timeout, nobody=nobody)
        from mpcli.wire.call import call

        return call(
            endpoint.url, self.name, args, kwargs,
            timeout=timeout, nobody=nobody, hops=self.hops, told=self.meanwhile,
        )  # fmt: skip

    def explained(self, error: MpError, endpoint: Endpoint | None) -> MpError:
        """The error to tell for this one: with what was probably meant, or that the task's name is wrong."""
        likely = self.likely()
        if isinstance(error, UnknownTask):
            error.hint = likely.hint(likely.source_tasks() or likely.live_tasks(endpoint)) or error.hint
            return error
        if endpoint is not None and isinstance(error, BrokerUnreachable) and not error.uncertain:
            error.advise(endpoint.hint)
        if isinstance(error, BrokerUnreachable | UnknownService):
            try:
                likely.refuse_typo()
            except UnknownTask as typo:
                return typo
            likely.suggest_service(error)
        return error

    def send_and_wait(
        self, endpoint: Endpoint, args: list[object], kwargs: dict[str, object], timeout: float
    ) -> Outcome:
        """How an async task ended."""
        from mpcli.verbs.follow import Follower
        from mpcli.verbs.outcome import await_outcome

        sent, ended = "", None
        due_in = self.delay.due_in if self.delay is not None else 0
        try:
            with Follower(endpoint.url) as follower:  # before it is sent, so that nothing is missed
                sent = self.send(endpoint, args, kwargs)
                self.note(f"{self.name} is sent as {sent}; waiting for its end")
                ended = await_outcome(follower, follower.follow(sent), endpoint.url, self.name, timeout, due_in)
            ended.task = str(self.name)
            return Outcome(self.name.mode, task_id=sent, ended=ended)
        except KeyboardInterrupt:
            if ended is not None:
                raise Outcome(self.name.mode, task_id=sent, ended=ended).thrown_away(str(self.name)) from None
            if not sent:
                raise self._not_sent() from None
            raise Interrupted(
                f"{self.name} is waited for no longer; it goes on", f"its id is {sent}; `mp tail` shows its end"
            ) from None

    def send(self, endpoint: Endpoint, args: list[object], kwargs: dict[str, object]) -> str:
        """The id of an async task that was sent."""
        if self.lines is not None:
            told = self.lines.survey(endpoint.url, self.name, self.survey)
            sent = self.lines.send(endpoint.url, self.name, args, kwargs)
        else:
            from mpcli.wire.call import send
            from mpcli.wire.handshake import connect

            began, sent = monotonic(), ""
            try:
                with connect(endpoint.url, name=f"mp call {self.name}") as connection:
                    if self.hops is not None:
                        self.hops.begin(began)
                        self.hops.mark("connected")
                    told = self.survey(connection)
                    sent = send(connection, self.name, args, kwargs, self.delay, self.hops)
            except KeyboardInterrupt:
                if not sent:
                    raise self._not_sent() from None
                raise Outcome(self.name.mode, task_id=sent).thrown_away(str(self.name)) from None
        if told:
            self.note(told)
        return sent

    def _not_sent(self) -> Interrupted:
        return Interrupted(f"interrupted: {self.name} was not sent")

    def survey(self, connection: Connection) -> str:
        """Refuse a task that the workers do not have; what the caller should know, empty when one has it."""
        from mpcli.wire.control import Control

        survey = Control(connection).survey(self.name.queue)
        if not survey.exists and self.delay is not None:
            raise UnknownService(
                f"there is no queue {self.name.queue} on the broker at {connection.url.address}",
                "it appears when the service's worker first starts: `mp up`",
            )
        if str(self.name) in survey.tasks:
            return ""
        if survey.complete:
            raise self.likely().unknown(survey.tasks)
        self.likely().refuse_typo()
        if not survey.exists:
            return ""  # the publish will tell it better
        if not survey.consumers:
            waits = "the message waits for a worker" if self.name.mode is Mode.ASYNC else "a call waits for one to come"
            return f"nobody is listening on {self.name.queue} now: {waits}"
        return f"not every worker of {self.name.queue} could be asked whether it knows this task; sent all the same"
