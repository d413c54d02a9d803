"""`mp call`, as typer reads it: for help, for what is unusual, and for saying what is wrong with a command line."""

from __future__ import annotations

from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("call")(call)


def call(
    task: Annotated[
        str, typer.Argument(metavar="TASK", help="The whole name: mplogin.sync.register.", show_default=False)
    ],
    items: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="ITEM",
            help="Arguments: name=text, name:=json, name=@file, name:=@file; - is JSON on stdin.",
            show_default=False,
        ),
    ] = None,
    args: Annotated[str | None, typer.Option("--args", metavar="JSON", help="Positional arguments: an array.")] = None,
    kwargs: Annotated[str | None, typer.Option("--kwargs", metavar="JSON", help="Named arguments: an object.")] = None,
    timeout: Annotated[float, typer.Option("--timeout", help="Seconds to wait for the result.")] = 10.0,
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait for the end of an async task, by its workers' events.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One line of JSON; the default when piped.")] = False,
    no_check: Annotated[bool, typer.Option("--no-check", help="Send the arguments as they are, unchecked.")] = False,
    context: Annotated[str, typer.Option(metavar="CONTEXT", help="Whose brokers to use.")] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask, in a context that would.")] = False,
) -> int:
    """Call a sync task and print its result; send an async one and print its id.

    Exit codes: 3 the task raised, 4 no reply in time, 5 no such service or task, 6 broker unreachable or refused.

    Example: mp call mplogin.sync.register user_obj:='{"email": "a@b.c"}'
    """
    from mpcli.cli.arguments import CallOptions, build_request
    from mpcli.cli.fast_call import run_request

    options = CallOptions(timeout=timeout, as_json=as_json, check=not no_check, wait=wait, context=context, yes=yes)
    return run_request(build_request(task, items or [], args, kwargs, options))
