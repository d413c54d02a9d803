"""A session: names, variables, the context, and what came of each cell. It prints nothing and knows no terminal.

`Session.run(text)` takes a cell of the language and yields events (`mpcli.shell.events`), which a front shows. While a
cell runs, the session speaks to its `Front`: notes, the question of a `confirm` context, the wait for a reply.

For a line editor: `context`, `timeout`, `form`, `checks` (of arguments), `latency` (of the last call), `variables`
(by name), `known` (the catalog; `known.refresh()` in a thread), `arguments` and `results` (by task, as last seen),
`inputs` (every cell that was run), `log` (what came of those that are Python), `failure` (the last error),
`commands.names()`, `interrupts.install()`. `on_switch` is called after the context was switched.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path
from typing import Protocol

from mpcli.bus.naming import Mode, TaskName, check_service
from mpcli.errors import InvalidName, MpError, RemoteError
from mpcli.platform.contexts import Ask, Context, chosen, resolve
from mpcli.shell import language
from mpcli.shell.commands import CommandLine, Commands
from mpcli.shell.events import Event, Failure, Interrupted, Leave, Raised, Said, Value
from mpcli.shell.export import Logged, example
from mpcli.shell.interrupts import Interrupts
from mpcli.shell.known import Known
from mpcli.shell.language import Cell, Kind
from mpcli.shell.lines import Lines
from mpcli.shell.python import Python, place, short_traceback
from mpcli.shell.services import Builtins, Options, Reach
from mpcli.verbs.call import DEFAULT_TIMEOUT, call_in

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mpcli.bus.delay import Delay
    from mpcli.shell.handle import Handle


class Front(Protocol):
    """What shows what is to be told while a cell runs."""

    @property
    def ask(self) -> Ask | None:
        """How a person is asked whether a call may be made; None where there is nobody to ask."""

    def note(self, text: str) -> None:
        """Tell what the caller should know while there is still something to wait for."""

    def calling(self) -> AbstractContextManager[None]:
        """Around a call: nothing of it reads what is typed, but for the question of `ask`."""

    def waiting(self, name: TaskName, task_id: str, /) -> AbstractContextManager[None]:
        """Around the wait for the end of a task: a front may show that, and what, is waited for."""


class Quiet:
    """A front that tells nothing and cannot be asked."""

    ask: Ask | None = None

    def note(self, text: str) -> None:
        """Nobody wants to know."""

    def calling(self) -> AbstractContextManager[None]:
        """Nothing is typed."""
        return nullcontext()

    def waiting(self, _name: TaskName, _task_id: str) -> AbstractContextManager[None]:
        """Nothing to show."""
        return nullcontext()


class Session:
    """What `mp shell` is about, whoever types.

    `start` is the folder to look from, `context` the name of the context as a flag gives it, `command_line` runs
    the commands of `mp`. `yes` allows writes in a context that would ask. Raises `ConfigError` for an unknown context.
    """

    def __init__(
        self,
        start: Path,
        context: str | None = None,
        *,
        front: Front | None = None,
        command_line: CommandLine | None = None,
        yes: bool = False,
    ) -> None:
        self.start = start
        self.front: Front = front or Quiet()
        self.yes = yes
        self.timeout = DEFAULT_TIMEOUT
        self.form = "auto"
        self.checks = True
        self.latency: float | None = None
        self._answering = 0.0  # seconds that people took to answer questions
        self.arguments: dict[str, dict[str, object]] = {}
        self.results: dict[str, object] = {}
        self.inputs: list[str] = []
        self.log: list[Logged] = []
        self.failure: MpError | None = None
        self.on_switch: Callable[[], None] | None = None
        self.named = context
        self.context: Context = resolve(start, context)
        self.known = Known(start, self.context, context)
        self._reach = Reach(self.known, self.context.prefix, self._call)
        self.builtins = Builtins(self._reach)
        self._python = Python(self.builtins)
        self.commands = Commands(self, command_line)
        self.interrupts = Interrupts()
        self._lines = Lines(self.interrupts, self._waiting)

    @property
    def variables(self) -> dict[str, object]:
        """The user's own names. The last result is `_`."""
        return self._python.variables

    @property
    def flag(self) -> str | None:
        """What a command is to be told as its context: nothing while it would choose the session's by itself.

        Another terminal may have chosen another one for all commands since.
        """
        if self.named is not None or chosen(self.context.root, None, os.environ)[0] == self.context.name:
            return self.named
        return self.context.name

    def is_complete(self, text: str) -> bool:
        """Whether Enter runs it; False when more lines have to come."""
        return language.is_complete(text)

    def run(self, text: str) -> Iterator[Event]:
        """Run a cell as it was typed. Ctrl-C while it runs ends it, never the session. Raises nothing."""
        self.inputs.append(text)
        yield from self.run_cell(Cell(language.kind(text), text))

    def run_cell(self, cell: Cell, name: str = "") -> Iterator[Event]:
        """Run a cell of the file `name`, or of a prompt."""
        began = self._now()
        events: list[Event]
        try:
            with self.interrupts.running():
                events = self._run(cell, name, began)
        except MpError as error:
            self.failure = error
            error.message, error.hint = _in_the_shell(error.message), _in_the_shell(error.hint)
            where = place(error) if cell.kind is Kind.PYTHON else ""
            events = [Failure(error, self._now() - began, where)]
        except KeyboardInterrupt as interrupt:
            events = [Interrupted(" ".join(map(str, interrupt.args)))]
        except SystemExit as end:
            events = _left(end)
        except BaseException as error:  # noqa: BLE001 - it is the user's code: whatever it raises is shown
            events = [Raised(error, short_traceback(error), self._now() - began)]
        if cell.kind is Kind.PYTHON:
            self.log.append(_logged(cell.text, self.named, events))
        yield from events

    def _run(self, cell: Cell, name: str, began: float) -> list[Event]:
        if cell.kind is not Kind.PYTHON:
            return list(self.commands.run(cell))
        if (word := cell.text.strip()) in ("exit", "quit") and word not in self.variables:
            raise SystemExit
        result = self._python.run(cell.text, name, cell.line)
        wanted = result.value is not None or result.is_called
        return [Value(result.value, self._now() - began)] if wanted else []

    def is_service(self, name: str) -> bool:
        """Whether it is the name of a service, and not of a variable."""
        try:
            return name not in self.variables and bool(check_service(name, self.context.prefix))
        except InvalidName:
            return False

    def evaluate(self, name: str) -> object:
        """What a name, with its attributes and items, stands for. Raises what Python does."""
        return self._python.evaluate(name)

    def about(self, name: str, wants_more: bool = False) -> str:
        """What a dotted name is, for people. Raises `NameError`, `AttributeError`."""
        return self._python.about(name, wants_more)

    def switch(self, context: str) -> None:
        """Work in another context from here on. Raises `ConfigError`, and then nothing is changed."""
        self.context = resolve(self.start, context)
        self.named = context
        self.known = Known(self.start, self.context, context)
        self._reach.known, self._reach.prefix = self.known, self.context.prefix
        if self.on_switch is not None:
            self.on_switch()

    def close(self) -> None:
        """Close the connections."""
        self._lines.close()

    def _now(self) -> float:
        """Seconds on a clock that stands still while a person is asked."""
        return time.perf_counter() - self._answering

    def _ask(self) -> Ask | None:
        ask = self.front.ask
        if ask is None:
            return None

        def timed(question: str) -> bool:
            asked = time.perf_counter()
            try:
                return ask(question)
            finally:
                self._answering += time.perf_counter() - asked

        return timed

    def _waiting(self, name: TaskName, task_id: str) -> AbstractContextManager[None]:
        return self.front.waiting(name, task_id)

    def _call(self, task: str, args: tuple[object, ...], kwargs: dict[str, object], options: Options) -> object:
        with self.front.calling():
            return self._called(task, args, kwargs, options)

    def _called(self, task: str, args: tuple[object, ...], kwargs: dict[str, object], options: Options) -> object:
        timeout = float(str(options.get("timeout", self.timeout)))
        began = self._now()
        self.arguments[task] = kwargs
        delay = _delay(options)
        if delay is not None:
            with suppress(MpError):  # the call itself tells what is wrong
                self._lines.listen(self.context)
        try:
            outcome = call_in(
                self.context,
                task,
                list(args),
                kwargs,
                timeout=timeout,
                check=self.checks,
                delay=delay,
                yes=self.yes,
                ask=self._ask(),
                note=self.front.note,
                lines=self._lines,
            )
        except MpError:
            self._lines.forget()
            raise
        finally:
            self.latency = self._now() - began
        if outcome.mode is Mode.ASYNC:
            return self._handle(task, outcome.id, timeout, delay)
        self.results[task] = outcome.value
        return outcome.value

    def _handle(self, task: str, task_id: str, timeout: float, delay: Delay | None) -> Handle:
        name = TaskName.parse(task, self.context.prefix)
        due_in = delay.due_in if delay is not None else 0
        return self._lines.handle(self.context, name, task_id, timeout, due_in)


def _left(end: SystemExit) -> list[Event]:
    """As Python has it: what is no number is told, and the code is 1."""
    if end.code is None or isinstance(end.code, int):
        return [Leave(int(end.code or 0))]
    return [Said(str(end.code)), Leave(1)]


def _delay(options: Options) -> Delay | None:
    timing = {key: value for key, value in options.items() if key != "timeout"}
    if not timing:
        return None
    from mpcli.bus.delay import Delay

    return Delay.of(**timing)  # type: ignore[arg-type]  # as they were given to `with_options`


def _logged(text: str, context: str | None, events: list[Event]) -> Logged:
    event = events[-1] if events else None
    if isinstance(event, Failure):
        error = event.error
        raised = error.type_name if isinstance(error, RemoteError) else ""
        return Logged(text, context, raised=raised, failed="" if raised else error.message)
    if isinstance(event, Raised):
        return Logged(text, context, failed=f"raised {type(event.error).__name__}")
    if isinstance(event, Interrupted):
        return Logged(text, context, failed="interrupted")
    return Logged(text, context, value=example(event.value) if isinstance(event, Value) else None)


def _in_the_shell(text: str) -> str:
    """What is said of the command line, with what the shell has in its place."""
    for option, command in _PLACES:
        text = text.replace(option, command)
    return text


_PLACES = (
    ("--countdown, --eta and --expires", "countdown, eta and expires"),
    ("--timeout", "/timeout"),
    ("--no-check", "/check off"),
    ("--args '[...]' ", ""),
    (": it is given with = and not :=", ""),
    (": JSON is given with :=", ""),
)
