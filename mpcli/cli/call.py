"""`mp call`, as typer reads it: for help, for what is unusual, and for saying what is wrong with a command line."""

from __future__ import annotations

from typing import Annotated

import typer

from mpcli.errors import UsageError


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
    timeout: Annotated[
        float, typer.Option("--timeout", metavar="SECONDS", help="How long to wait for the result.")
    ] = 10.0,
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait for the end of an async task, by its workers' events.")
    ] = False,
    countdown: Annotated[
        str, typer.Option(metavar="TIME", help="An async task begins after this time: 90, 5m, 1h.")
    ] = "",
    eta: Annotated[str, typer.Option(metavar="MOMENT", help="It begins then: 2030-01-31T12:00.")] = "",
    expires: Annotated[str, typer.Option(metavar="TIME", help="It is dropped if it has not begun by then.")] = "",
    trace: Annotated[bool, typer.Option("--trace", help="Show when the message was where.")] = False,
    as_code: Annotated[
        str, typer.Option("--as-code", metavar="KIND", help="Print the call as python, pytest or curl; send nothing.")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="JSON on one line; the default when piped.")] = False,
    no_check: Annotated[bool, typer.Option("--no-check", help="Send the arguments as they are, unchecked.")] = False,
    batch: Annotated[
        bool, typer.Option("--batch", help="Call it for each line of stdin; a JSON line for each result.")
    ] = False,
    concurrency: Annotated[
        int,
        typer.Option(
            "--concurrency", metavar="N", help="Calls at a time in a batch.", show_default="8, or 100 for async tasks"
        ),
    ] = 0,
    journal: Annotated[
        str, typer.Option("--journal", metavar="FILE", help="Note a batch's progress, and go on where it ended.")
    ] = "",
    retry: Annotated[
        bool, typer.Option("--retry", help="Call again what failed, or has no known end, in the journal.")
    ] = False,
    context: Annotated[str, typer.Option(metavar="CONTEXT", help="Whose brokers to use.")] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask, in a context that would.")] = False,
) -> int:
    """Call a sync task and print its result; send an async one and print its id.

    Exit codes: 3 the task raised, 4 no reply in time, 5 no such service or task, 6 broker unreachable or refused.

    Example: mp call mplogin.sync.register user_obj:='{"email": "a@b.c"}'
    """
    from mpcli.cli.arguments import CODE_KINDS, CallOptions, build_request
    from mpcli.cli.fast_call import run_request

    if as_code and as_code not in CODE_KINDS:
        raise UsageError(f"--as-code {as_code!r} is none of {', '.join(CODE_KINDS)}", "for example --as-code python")
    options = CallOptions(
        timeout=timeout, as_json=as_json, check=not no_check, wait=wait, countdown=countdown, eta=eta, expires=expires,
        trace=trace, as_code=as_code, context=context, yes=yes,
    )  # fmt: skip
    if batch:
        from mpcli.cli.batch import run_batch

        given = [*(items or []), *(["--args"] if args else []), *(["--kwargs"] if kwargs else [])]
        return run_batch(task, options, given, concurrency=concurrency, journal=journal, retry=retry)
    if concurrency or journal or retry:
        raise UsageError("--concurrency, --journal and --retry go with --batch", "mp call TASK --batch < lines.jsonl")
    return run_request(build_request(task, items or [], args, kwargs, options))
