"""A session: names, variables, the context, and what came of each cell. It prints nothing and knows no terminal.

`Session.run(text)` takes a cell of the language and yields events (`mpcli.shell.events`), which a front shows. While a
cell runs, the session speaks to its `Front`: notes, the question of a `confirm` context, the wait for a reply.

For a line editor: `context`, `timeout`, `form`, `latency` (of the last call), `variables` (the user's own, by name),
`known` (the catalog; `known.refresh()` in a thread), `arguments` and `results` (by task, as last seen), `inputs`
(every cell that was run), `commands.names()`. `on_switch` is called after the context was switched.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Protocol

from mpcli.bus.naming import Mode
from mpcli.errors import MpError
from mpcli.platform.contexts import Ask, Context, resolve
from mpcli.shell import language
from mpcli.shell.commands import Commands, RunMp
from mpcli.shell.events import Event, Failure, Interrupted, Leave, Raised, Value
from mpcli.shell.interrupts import Interrupts
from mpcli.shell.known import Known
from mpcli.shell.language import Cell, Kind
from mpcli.shell.lines import Lines
from mpcli.shell.python import Python, short_traceback
from mpcli.shell.services import Builtins, Reach
from mpcli.verbs.call import DEFAULT_TIMEOUT, call_in

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mpcli.wire.ongoing import Ongoing


class Front(Protocol):
    """What shows what is to be told while a cell runs."""

    @property
    def ask(self) -> Ask | None:
        """How a person is asked whether a call may be made; None where there is nobody to ask."""

    def note(self, text: str) -> None:
        """Tell what the caller should know while there is still something to wait for."""

    def waiting(self, ongoing: Ongoing, /) -> AbstractContextManager[None]:
        """Around the wait for a reply: a front may show that, and what, is waited for."""


class Quiet:
    """A front that tells nothing and cannot be asked."""

    ask: Ask | None = None

    def note(self, text: str) -> None:
        """Nobody wants to know."""

    def waiting(self, _ongoing: Ongoing) -> AbstractContextManager[None]:
        """Nothing to show."""
        return nullcontext()


class Session:
    """What `mp shell` is about, whoever types.

    `start` is the folder to look from, `context` the name of the context as a flag gives it, `run_mp` runs a command
    of the command line. `yes` allows writes in a context that would ask. Raises `ConfigError` for an unknown context.
    """

    def __init__(
        self,
        start: Path,
        context: str | None = None,
        *,
        front: Front | None = None,
        run_mp: RunMp | None = None,
        yes: bool = False,
    ) -> None:
        self.start = start
        self.front: Front = front or Quiet()
        self.yes = yes
        self.timeout = DEFAULT_TIMEOUT
        self.form = "auto"
        self.latency: float | None = None
        self.arguments: dict[str, dict[str, object]] = {}
        self.results: dict[str, object] = {}
        self.inputs: list[str] = []
        self.on_switch: Callable[[], None] | None = None
        self.named = context
        self.context: Context = resolve(start, context)
        self.known = Known(start, self.context, context)
        self._reach = Reach(self.known, self.context.prefix, self._call)
        self._python = Python(Builtins(self._reach))
        self.commands = Commands(self, run_mp)
        self.interrupts = Interrupts()
        self._lines = Lines(self.interrupts, self._waiting)

    @property
    def variables(self) -> dict[str, object]:
        """The user's own names. The last result is `_`."""
        return self._python.variables

    def is_complete(self, text: str) -> bool:
        """Whether Enter runs it; False when more lines have to come."""
        return language.is_complete(text)

    def run(self, text: str) -> Iterator[Event]:
        """Run a cell as it was typed. Ctrl-C while it runs ends it, never the session. Raises nothing."""
        self.inputs.append(text)
        yield from self.run_cell(Cell(language.kind(text), text))

    def run_cell(self, cell: Cell, name: str = "") -> Iterator[Event]:
        """Run a cell of the file `name`, or of a prompt."""
        began = time.perf_counter()
        try:
            with self.interrupts.running():
                events = self._run(cell, name, began)
            yield from events
        except MpError as error:
            yield Failure(error, time.perf_counter() - began)
        except KeyboardInterrupt as interrupt:
            yield Interrupted(" ".join(map(str, interrupt.args)))
        except SystemExit as end:
            yield Leave(end.code if isinstance(end.code, int) else int(end.code is not None))
        except BaseException as error:  # noqa: BLE001 - it is the user's code: whatever it raises is shown
            yield Raised(error, short_traceback(error), time.perf_counter() - began)

    def _run(self, cell: Cell, name: str, began: float) -> list[Event]:
        if cell.kind is not Kind.PYTHON:
            return list(self.commands.run(cell))
        value = self._python.run(cell.text, name, cell.line)
        return [] if value is None else [Value(value, time.perf_counter() - began)]

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

    def _waiting(self, ongoing: Ongoing) -> AbstractContextManager[None]:
        return self.front.waiting(ongoing)

    def _call(self, task: str, args: tuple[object, ...], kwargs: dict[str, object]) -> object:
        began = time.perf_counter()
        outcome = call_in(
            self.context,
            task,
            list(args),
            kwargs,
            timeout=self.timeout,
            yes=self.yes,
            ask=self.front.ask,
            note=self.front.note,
            lines=self._lines,
        )
        self.latency = time.perf_counter() - began
        self.arguments[task] = kwargs
        self.results[task] = outcome.value
        return outcome.value if outcome.mode is Mode.SYNC else outcome.id
