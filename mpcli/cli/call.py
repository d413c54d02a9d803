"""`mp call`, as typer reads it: for help, for what is unusual, and for saying what is wrong with a command line."""

from __future__ import annotations

from typing import Annotated

import typer

from mpcli.cli.options import Context, Yes
from mpcli.errors import UsageError

_RESULT, _LATER, _BATCH = "The result", "An async task, later", "A batch"

_Task = Annotated[str, typer.Argument(metavar="TASK", help="Its whole name, such as mplogin.sync.register.")]
_Items = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="ITEM", help="An argument: name=text, name:=json, name=@file, name:=@file; or - for JSON on stdin."
    ),
]
_Args = Annotated[str | None, typer.Option(metavar="JSON", help="Positional arguments: an array.")]
_Kwargs = Annotated[str | None, typer.Option(metavar="JSON", help="Named arguments: an object.")]
_NoCheck = Annotated[bool, typer.Option("--no-check", help="Do not hold the arguments against the signature.")]
_Timeout = Annotated[
    float, typer.Option(metavar="SECONDS", help="How long to wait for the result.", rich_help_panel=_RESULT)
]
_Wait = Annotated[
    bool,
    typer.Option("--wait", help="Wait for the end of an async task, by its workers' events.", rich_help_panel=_RESULT),
]
_Trace = Annotated[bool, typer.Option("--trace", help="Show when the message was where.", rich_help_panel=_RESULT)]
_AsCode = Annotated[
    str,
    typer.Option(
        metavar="python|pytest|curl", help="Print the call as code, and send nothing.", rich_help_panel=_RESULT
    ),
]
_Json = Annotated[
    bool, typer.Option("--json", help="One line of JSON; the default in a pipe.", rich_help_panel=_RESULT)
]
_Countdown = Annotated[
    str, typer.Option(metavar="TIME", help="It begins after this time: 90, 5m, 1h.", rich_help_panel=_LATER)
]
_Eta = Annotated[str, typer.Option(metavar="MOMENT", help="It begins then: 2030-01-31T12:00.", rich_help_panel=_LATER)]
_Expires = Annotated[
    str,
    typer.Option(metavar="TIME|MOMENT", help="It is dropped if it has not begun by then: 1h.", rich_help_panel=_LATER),
]
_Batch = Annotated[
    bool,
    typer.Option("--batch", help="Call it for each line of stdin, with a line for each.", rich_help_panel=_BATCH),
]
_Concurrency = Annotated[
    int,
    typer.Option(metavar="N", help="So many at a time.", show_default="8; 100 async ones", rich_help_panel=_BATCH),
]
_Journal = Annotated[
    str,
    typer.Option(metavar="FILE", help="Note how far it is, and go on there the next time.", rich_help_panel=_BATCH),
]
_Retry = Annotated[
    bool,
    typer.Option("--retry", help="Call again what failed or has no known end in the journal.", rich_help_panel=_BATCH),
]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("call")(call)


def call(
    task: _Task,
    items: _Items = None,
    args: _Args = None,
    kwargs: _Kwargs = None,
    no_check: _NoCheck = False,
    timeout: _Timeout = 10.0,
    wait: _Wait = False,
    trace: _Trace = False,
    as_code: _AsCode = "",
    as_json: _Json = False,
    countdown: _Countdown = "",
    eta: _Eta = "",
    expires: _Expires = "",
    batch: _Batch = False,
    concurrency: _Concurrency = 0,
    journal: _Journal = "",
    retry: _Retry = False,
    context: Context = None,
    yes: Yes = False,
) -> int:
    """Call a sync task and print its result; send an async one and print its id.

    Exit codes: 3 the task raised, 4 no reply in time, 5 no such service or task, 6 broker unreachable or refused.

    Examples:
        mp call mplogin.sync.register user_obj:='{"email": "a@b.c"}'
        mp call mplogin.async.send_mail email=a@b.c --wait
        mp call mplogin.sync.register --batch < users.jsonl > results.jsonl
    """
    from mpcli.cli.arguments import CODE_KINDS, CallOptions, build_request
    from mpcli.cli.fast_call import run_request

    if as_code and as_code not in CODE_KINDS:
        raise UsageError(f"--as-code {as_code!r} is none of {', '.join(CODE_KINDS)}", "for example --as-code python")
    options = CallOptions(
        timeout=timeout, as_json=as_json, check=not no_check, wait=wait, countdown=countdown, eta=eta, expires=expires,
        trace=trace, as_code=as_code, context=context or "", yes=yes,
    )  # fmt: skip
    if batch:
        from mpcli.cli.batch import run_batch

        given = [
            *(items or []),
            *(["--args"] if args is not None else []),
            *(["--kwargs"] if kwargs is not None else []),
        ]
        return run_batch(task, options, given, concurrency=concurrency, journal=journal, retry=retry)
    if concurrency or journal or retry:
        raise UsageError("--concurrency, --journal and --retry go with --batch", "mp call TASK --batch < lines.jsonl")
    return run_request(build_request(task, items or [], args, kwargs, options))
