"""`mp shell`, as typer reads it: for help, for what is unusual, and for saying what is wrong with a command line."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mpcli.cli.options import Context, Yes


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("shell")(shell)


def shell(
    file: Annotated[Path | None, typer.Argument(metavar="FILE", help="Run this file and leave; - is stdin.")] = None,
    code: Annotated[str | None, typer.Option("-c", metavar="CODE", help="Run this and leave.")] = None,
    timeout: Annotated[float, typer.Option("--timeout", metavar="SECONDS", help="How long a call may take.")] = 10.0,
    context: Context = None,
    yes: Yes = False,
    vi: Annotated[bool, typer.Option("--vi", help="The keys of vi instead of those of Emacs.")] = False,
) -> int:
    """Call any task by its name, in Python: mplogin.sync.register(user_obj={"email": "a@b.c"}).

    With -c, a file, or a pipe on stdin the same language runs without a terminal; the exit code is that of the call.

    Example: mp shell -c 'mplogin.sync.register(user_obj={"email": "a@b.c"})'
    """
    from mpcli.cli.fast_shell import run_shell

    return run_shell(None if file is None else str(file), code, timeout, context, yes, vi)
