"""`mp shell`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("shell")(shell)


def shell(
    file: Annotated[Path | None, typer.Argument(metavar="[FILE]", help="Run this file and leave; - is stdin.")] = None,
    code: Annotated[str | None, typer.Option("-c", metavar="CODE", help="Run this and leave.")] = None,
    timeout: Annotated[float, typer.Option("--timeout", help="Seconds that a call may take.")] = 10.0,
    context: Annotated[str | None, typer.Option(metavar="CONTEXT", help="Whose brokers to use.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask, in a context that would.")] = False,
    vi: Annotated[bool, typer.Option("--vi", help="The keys of vi instead of those of Emacs.")] = False,
) -> int:
    """Call any task by its name, in Python: mplogin.sync.register(user_obj={"email": "a@b.c"}).

    With -c, a file, or a pipe on stdin the same language runs without a terminal; the exit code is that of the call.

    Example: mp shell -c 'mplogin.sync.register(user_obj={"email": "a@b.c"})'
    """
    from mpcli.shell.front import PlainFront, run_code
    from mpcli.shell.session import Session

    session = Session(Path.cwd(), context, front=PlainFront(), run_mp=run_mp, yes=yes)
    session.timeout = timeout
    try:
        if code is not None:
            return run_code(session, code, "<-c>")
        if file is not None and str(file) != "-":
            return run_code(session, file.read_text(encoding="utf-8"), str(file))
        if file is not None or not sys.stdin.isatty():
            return run_code(session, sys.stdin.read(), "<stdin>")
        from mpcli.shell.screen import run

        return run(session)
    finally:
        session.close()


def run_mp(words: list[str], context: str | None) -> int:
    """Run a command of `mp` inside of the shell, in the shell's context. Raises `MpError`, `KeyboardInterrupt`."""
    from mpcli.cli.app import run_typer
    from mpcli.cli.command_table import OPTIONS

    path = " ".join(words[:2]) if " ".join(words[:2]) in OPTIONS else words[0]
    if context and "--context" in OPTIONS.get(path, {}) and not any(word.startswith("--context") for word in words):
        at = len(path.split(" "))
        words = [*words[:at], "--context", context, *words[at:]]
    return run_typer(words)
