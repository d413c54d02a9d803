"""Lines that begin with `/`: the shell's own commands, and every command of `mp` as it is on the command line.

`/tail mplogin` is `mp tail mplogin` in the session's context, run by the command line itself: a `CommandLine` is given
by `mpcli.cli.shell`, because the shell knows nothing of how commands are parsed. `names()` lists all of both, each with
a line of what it does, for completion and `/help`.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Protocol

from mpcli.errors import RemoteError, UsageError
from mpcli.shell import language
from mpcli.shell.events import Copied, Ended, Event, Leave, Paged, Said, Text, Value
from mpcli.shell.language import Cell, Kind
from mpcli.verbs.call import check_timeout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mpcli.shell.session import Session


class CommandLine(Protocol):
    """The commands of `mp`."""

    def names(self) -> Mapping[str, str]:
        """Each with a line of what it does."""

    def run(self, words: list[str], context: str | None) -> int:
        """Run one, in `context` as a flag would name it; the exit code. Raises `MpError`, `KeyboardInterrupt`."""


# A word that is a name in braces, with attributes and items: no dict of JSON looks so.
_BRACED = re.compile(r"(?<!\S)\{([^\W\d]\w*(?:\.[^\W\d]\w*|\[[^\[\]]+\])*)\}(?!\S)")
Own = Callable[[list[str]], Iterator[Event]]
# In the order of /help; each is a method.
_OWN = (
    *("context", "timeout", "check", "json", "table", "python", "auto", "all", "traceback"),
    *("save", "copy", "export", "history", "help", "quit"),
)


class Commands:
    """The commands of one session."""

    def __init__(self, session: Session, command_line: CommandLine | None) -> None:
        self._session = session
        self._command_line = command_line
        self._own: dict[str, Own] = {name: getattr(self, f"_{name}") for name in _OWN}

    def names(self) -> dict[str, str]:
        """Every command without its slash, and what it does in a line."""
        own = {name: (run.__doc__ or "").partition("\n")[0].rstrip(".") for name, run in self._own.items()}
        return {**(self._command_line.names() if self._command_line else {}), **own}

    def run(self, cell: Cell) -> Iterator[Event]:
        """Run a command or answer a question. Raises `MpError`, `KeyboardInterrupt`."""
        if cell.kind is Kind.QUESTION:
            return self._question(cell)
        try:
            name, *words = shlex.split(_BRACED.sub(self._filled, cell.text.strip()[1:])) or ["help"]
        except ValueError as error:
            raise UsageError(f"{cell.text.strip()}: {error}", "close the quotes") from error
        own = self._own.get("quit" if name == "exit" else name)
        return own(words) if own else self._mp([name, *words])

    def _filled(self, match: re.Match[str]) -> str:
        """For a word that is a name in braces, such as `{h.id}` or `{u["id"]}`, what the name stands for."""
        return shlex.quote(str(self._session.evaluate(match[1])))

    def _mp(self, words: list[str]) -> Iterator[Event]:
        known = self._command_line.names() if self._command_line else {}
        if self._command_line is None or words[0] not in known:
            raise UsageError(f"there is no command /{words[0]}", _meant(words[0], self.names()))
        code = self._command_line.run(words, self._session.flag)
        return iter([Ended(code)] if code else [])

    # -- questions -------------------------------------------------------------------------------------------------

    def _question(self, cell: Cell) -> Iterator[Event]:
        asked = language.question(cell.text)
        assert asked is not None
        name, wants_more = asked
        if name.count(".") == 2 and self._session.is_service(name.partition(".")[0]):
            yield from self._mp(["describe", name])
            return
        yield Text(self._session.about(name, wants_more))

    # -- the session -----------------------------------------------------------------------------------------------

    def _context(self, words: list[str]) -> Iterator[Event]:
        """Work in another context from here on: /context staging."""
        if len(words) == 1 and words[0] not in ("list", "show", "use"):
            self._session.switch(words[0])
            yield Said(f"in context {self._session.context.name}")
            return
        yield from self._mp(["context", *(words or ["list"])])
        if words[:1] == ["use"] and len(words) == 2:
            self._session.switch(words[1])

    def _timeout(self, words: list[str]) -> Iterator[Event]:
        """How long a call may take, in seconds: /timeout 30."""
        if words:
            try:
                seconds = float(words[0])
            except ValueError:
                raise UsageError(f"{words[0]!r} is no number of seconds", "for example /timeout 30") from None
            check_timeout(seconds)
            self._session.timeout = seconds
        yield Said(f"a call waits {self._session.timeout:g} s for its result")

    def _check(self, words: list[str]) -> Iterator[Event]:
        """Whether arguments are held against the signature before a call: /check off."""
        if words and words[0] not in ("on", "off"):
            raise UsageError(f"/check {words[0]}", "on or off")
        if words:
            self._session.checks = words[0] == "on"
        yield Said(f"arguments are {'checked' if self._session.checks else 'sent as they are'}")

    def _history(self, words: list[str]) -> Iterator[Event]:
        """What was typed in this session, or what of it holds a text: /history register."""
        wanted = " ".join(words)
        lines = [f"{number:>4}  {text}" for number, text in enumerate(self._session.inputs, 1) if wanted in text]
        yield Text("\n".join(lines[:-1]))

    def _help(self, words: list[str]) -> Iterator[Event]:
        """All of this, or the help of one command: /help tail."""
        if words and words[0] in self._own:
            yield Text(f"/{words[0]}: {self.names()[words[0]]}")
        elif words:
            yield from self._mp([*words, "--help"])
        else:
            yield Text(_HELP + "\n".join(f"  /{name:<11} {about}" for name, about in self.names().items()))

    def _quit(self, _: list[str]) -> Iterator[Event]:
        """Leave; so does Ctrl-D."""
        yield Leave(0)

    # -- results ---------------------------------------------------------------------------------------------------

    def _json(self, _: list[str]) -> Iterator[Event]:
        """Show results as JSON from here on, and the last one again."""
        return self._form("json")

    def _table(self, _: list[str]) -> Iterator[Event]:
        """Show results as tables from here on, and the last one again."""
        return self._form("table")

    def _python(self, _: list[str]) -> Iterator[Event]:
        """Show results as Python writes them from here on, and the last one again."""
        return self._form("python")

    def _auto(self, _: list[str]) -> Iterator[Event]:
        """Show each result in the form that suits it, as at first, and the last one again."""
        return self._form("auto")

    def _form(self, form: str) -> Iterator[Event]:
        self._session.form = form
        if "_" in self._session.variables:
            yield Value(self._session.variables["_"], None)

    def _last(self) -> object:
        if "_" not in self._session.variables:
            raise UsageError("there is no result yet", "call something first")
        return self._session.variables["_"]

    def _all(self, _: list[str]) -> Iterator[Event]:
        """The whole of the last result, in the pager."""
        yield Paged(self._last())

    def _traceback(self, _: list[str]) -> Iterator[Event]:
        """Where the last task that raised did so, on the remote side."""
        error = self._session.failure
        if not isinstance(error, RemoteError) or not error.traceback:
            raise UsageError("no task has raised with a traceback yet", "it is shown after a call that did")
        yield Text(error.traceback.rstrip())

    def _copy(self, _: list[str]) -> Iterator[Event]:
        """The last result as JSON to the terminal's clipboard."""
        from mpcli.render.shell import json_text

        yield Copied(json_text(self._last(), indent=2))

    def _save(self, words: list[str]) -> Iterator[Event]:
        """The last result as JSON to a file: /save user.json."""
        from mpcli.render.shell import json_text

        file = _new_file("save", words)
        _write(file, json_text(self._last(), indent=2) + "\n")
        yield Said(f"saved in {file}")

    def _export(self, words: list[str]) -> Iterator[Event]:
        """The session as a Python script, or as a pytest test: /export test_login.py."""
        from mpcli.shell.export import export

        file = _new_file("export", words)
        session = self._session
        text = export(session.log, session.timeout, session.is_service, as_test=file.name.startswith("test_"))
        _write(file, text)
        yield Said(f"exported to {file}: {'python -m pytest' if file.name.startswith('test_') else 'python'} {file}")


_HELP = """\
mplogin.sync.register(user_obj={"email": "a@b.c"})   call a task; its result is _
h = mplogin.async.send_welcome_email(...)            send one; h.id, h.state, h.wait(10)
mplogin.sync.register?                               all that is known of it
mplogin                                              what the service has
Ctrl-C gives up what is waited for; Ctrl-D leaves.

"""


def _meant(name: str, names: Mapping[str, str]) -> str:
    from mpcli.catalog.nearest import nearest

    meant = nearest(name, names)
    return f"did you mean /{meant}?" if meant else "/help lists them"


def _new_file(command: str, words: list[str]) -> Path:
    """The file that is named, which must not be there unless --force is too."""
    names = [word for word in words if word != "--force"]
    if len(names) != 1:
        raise UsageError(f"/{command} wants the name of a file", f"/{command} FILE, with --force to replace one")
    file = Path(names[0]).expanduser()
    if file.exists() and "--force" not in words:
        raise UsageError(f"{file} is there already", f"/{command} {file} --force replaces it")
    return file


def _write(file: Path, text: str) -> None:
    """For its owner alone: results and arguments may hold secrets. Whole or not at all."""
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as stream:
            stream.write(text)
        temporary.replace(file)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise UsageError(f"{file}: {error.strerror}", "nothing was written") from error
