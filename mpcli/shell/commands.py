"""Lines that begin with `/`: the shell's own commands, and every command of `mp` as it is on the command line.

`/tail mplogin` is `mp tail mplogin` in the session's context, run by the command line itself: `run_mp` is given by
`mpcli.cli.shell`, because the shell knows nothing of how commands are parsed. `names()` lists all, each with a line of
what it does, for completion and `/help`.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator

from mpcli.errors import UsageError
from mpcli.shell import language
from mpcli.shell.events import Event, Leave, Said
from mpcli.shell.language import Cell, Kind

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mpcli.shell.session import Session

RunMp = Callable[[list[str], str | None], int]


class Commands:
    """The commands of one session."""

    def __init__(self, session: Session, run_mp: RunMp | None) -> None:
        self._session = session
        self._run_mp = run_mp
        self._own: dict[str, Callable[[list[str]], Iterator[Event]]] = {
            "context": self._context,
            "timeout": self._timeout,
            "quit": self._quit,
        }

    def names(self) -> dict[str, str]:
        """Every command without its slash, and what it does in a line."""
        return {name: (run.__doc__ or "").partition("\n")[0].rstrip(".") for name, run in self._own.items()}

    def run(self, cell: Cell) -> Iterator[Event]:
        """Run a command or answer a question. Raises `MpError`, `KeyboardInterrupt`."""
        if cell.kind is Kind.QUESTION:
            asked = language.question(cell.text)
            assert asked is not None
            return self._mp(["describe", asked[0]])
        try:
            name, *words = shlex.split(cell.text.strip()[1:]) or ["help"]
        except ValueError as error:
            raise UsageError(f"{cell.text.strip()}: {error}", "close the quotes") from error
        own = self._own.get(name)
        return own(words) if own else self._mp([name, *words])

    def _mp(self, words: list[str]) -> Iterator[Event]:
        if self._run_mp is None:
            raise UsageError(f"/{words[0]}: there is no command line here to run it", "use mp itself")
        self._run_mp(words, self._session.named)
        return iter(())

    def _context(self, words: list[str]) -> Iterator[Event]:
        """Work in another context: /context staging."""
        if len(words) != 1 or words[0] in ("list", "show"):
            yield from self._mp(["context", *(words or ["list"])])
            return
        self._session.switch(words[0])
        yield Said(f"in context {self._session.context.name}")

    def _timeout(self, words: list[str]) -> Iterator[Event]:
        """How long a call may take: /timeout 30."""
        if words:
            try:
                self._session.timeout = float(words[0])
            except ValueError:
                raise UsageError(f"{words[0]!r} is no number of seconds", "for example /timeout 30") from None
        yield Said(f"calls wait {self._session.timeout:g} s")

    def _quit(self, _: list[str]) -> Iterator[Event]:
        """Leave."""
        yield Leave(0)
